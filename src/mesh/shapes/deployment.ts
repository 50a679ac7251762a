import type { KubernetesObject } from "../objects/object.ts";

/** What this code reads of a Deployment. */
export interface Deployment extends KubernetesObject {
  spec: {
    replicas?: number;
    paused?: boolean;
    selector?: { matchLabels?: Record<string, string> };
    template: {
      metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
      spec: { containers: Container[] };
    };
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
    conditions?: { type: string; status: string; message?: string }[];
  };
}

export interface Container {
  name: string;
  image?: string;
  args?: string[];
  lifecycle?: { postStart?: unknown };
  /** Without a `value` where it is empty, or is taken from somewhere else: `valueFrom`. */
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  ports?: { name?: string; containerPort: number }[];
}
