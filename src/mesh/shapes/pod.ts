import type { Container } from "./deployment.ts";

/** What this code reads of a pod. */
export interface Pod {
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string }[];
  };
  spec?: {
    nodeName?: string;
    hostNetwork?: boolean;
    readinessGates?: unknown[];
    containers: Container[];
    initContainers?: Container[];
    volumes?: { name: string; configMap?: { name?: string }; csi?: { driver?: string } }[];
    imagePullSecrets?: { name: string }[];
  };
  status?: {
    phase?: string;
    /** When the kubelet took the pod up. */
    startTime?: string;
    conditions?: { type: string; status: string; message?: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

export interface ContainerStatus {
  name: string;
  ready?: boolean;
  state?: { waiting?: { reason?: string; message?: string }; running?: { startedAt?: string } };
}
