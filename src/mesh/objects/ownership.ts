import type { MeshSpec } from "../spec.ts";

/** Field manager of every write, and value of `app.kubernetes.io/managed-by` on what is ours. */
export const MANAGER = "istio-mesh-action";

export const MANAGED_BY = "app.kubernetes.io/managed-by";

/** Kubernetes' recommended labels, by which our objects are found again: who, which mesh, which part. */
export function ownership(mesh: Pick<MeshSpec, "id">, component: string): Record<string, string> {
  return {
    [MANAGED_BY]: MANAGER,
    "app.kubernetes.io/part-of": mesh.id,
    "app.kubernetes.io/component": component,
  };
}
