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

const RBAC = "rbac.authorization.k8s.io/v1";
const ADMISSION = "admissionregistration.k8s.io/v1";

/** Every kind of object that carries these labels for good. A probe's are not among them: its namespace takes them along. */
export const OWN_KINDS: readonly { apiVersion: string; kind: string; clusterScoped?: true }[] = [
  { apiVersion: "v1", kind: "Secret" },
  { apiVersion: "v1", kind: "ConfigMap" },
  { apiVersion: "v1", kind: "ServiceAccount" },
  { apiVersion: "v1", kind: "Service" },
  { apiVersion: "apps/v1", kind: "Deployment" },
  { apiVersion: "policy/v1", kind: "PodDisruptionBudget" },
  { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" },
  { apiVersion: RBAC, kind: "Role" },
  { apiVersion: RBAC, kind: "RoleBinding" },
  { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
  { apiVersion: "networking.istio.io/v1", kind: "Gateway" },
  { apiVersion: "v1", kind: "Namespace", clusterScoped: true },
  { apiVersion: RBAC, kind: "ClusterRole", clusterScoped: true },
  { apiVersion: RBAC, kind: "ClusterRoleBinding", clusterScoped: true },
  { apiVersion: ADMISSION, kind: "MutatingWebhookConfiguration", clusterScoped: true },
  { apiVersion: ADMISSION, kind: "ValidatingWebhookConfiguration", clusterScoped: true },
  { apiVersion: ADMISSION, kind: "ValidatingAdmissionPolicy", clusterScoped: true },
  { apiVersion: ADMISSION, kind: "ValidatingAdmissionPolicyBinding", clusterScoped: true },
  { apiVersion: "sailoperator.io/v1", kind: "Istio", clusterScoped: true },
  { apiVersion: "sailoperator.io/v1", kind: "IstioCNI", clusterScoped: true },
];
