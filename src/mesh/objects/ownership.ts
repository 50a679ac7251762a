import type { MeshSpec } from "../spec.ts";

/** Field manager of every write, and value of `app.kubernetes.io/managed-by` on what is ours. */
export const MANAGER = "istio-mesh-action";

export const MANAGED_BY = "app.kubernetes.io/managed-by";
export const PART_OF = "app.kubernetes.io/part-of";
export const COMPONENT = "app.kubernetes.io/component";

/** Kubernetes' recommended labels, by which our objects are found again: who, which mesh, which part. They prove nothing. */
export function ownership(mesh: Pick<MeshSpec, "id">, component: string): Record<string, string> {
  return {
    [MANAGED_BY]: MANAGER,
    [PART_OF]: mesh.id,
    [COMPONENT]: component,
  };
}
