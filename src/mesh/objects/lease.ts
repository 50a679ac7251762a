import type { KubernetesObject, ObjectRef } from "./object.ts";
import { MANAGED_BY, MANAGER } from "./ownership.ts";

/**
 * The Lease that a run holds in a cluster while it writes. One for all meshes: they share the cluster's CRDs, operator and
 * CNI plugin. In `default`, which is there before anything of ours is, cannot be deleted, and which, unlike kube-system, no
 * platform keeps for itself.
 */
export const LEASE = {
  apiVersion: "coordination.k8s.io/v1",
  kind: "Lease",
  namespace: "default",
  name: MANAGER,
} as const satisfies ObjectRef;

export interface Lease extends KubernetesObject {
  spec: {
    /** Empty: nobody. */
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** The Lease in a holder's hands. @param milliseconds after which it is anybody's @param found as it was read */
export function lease(holder: string, milliseconds: number, found: Lease | undefined): Lease {
  const { apiVersion, kind, name, namespace } = LEASE;
  // MicroTime has six digits.
  const now = new Date().toISOString().replace("Z", "000Z");
  const { uid, resourceVersion } = found?.metadata ?? {};
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      namespace,
      labels: { [MANAGED_BY]: MANAGER },
      ...(uid && resourceVersion ? { uid, resourceVersion } : {}),
    },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(milliseconds / 1000),
      acquireTime: now,
      renewTime: now,
      leaseTransitions: (found?.spec.leaseTransitions ?? -1) + 1,
    },
  };
}
