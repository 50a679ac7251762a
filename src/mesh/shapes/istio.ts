import type { KubernetesObject } from "../objects/object.ts";
import type { Values } from "../spec.ts";

/** What this code reads of the Sail Operator's `Istio`. */
export interface IstioResource extends KubernetesObject {
  spec: {
    version?: string;
    namespace?: string;
    updateStrategy?: { type?: string };
    values?: Values & { global?: Record<string, unknown> };
  };
  status?: {
    observedGeneration?: number;
    state?: string;
    activeRevisionName?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
  };
}
