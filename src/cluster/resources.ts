import type { ObjectRef } from "../mesh/objects/object.ts";
import type { ListQuery } from "./cluster.ts";

const ADMISSION = "admissionregistration.k8s.io/v1";

// Every kind that the action touches. A table instead of discovery: no request, and one place to see what they are.
const KINDS: Readonly<Record<string, { plural: string; namespaced: boolean }>> = {
  "v1/Namespace": { plural: "namespaces", namespaced: false },
  "v1/Secret": { plural: "secrets", namespaced: true },
  "v1/ConfigMap": { plural: "configmaps", namespaced: true },
  "v1/ServiceAccount": { plural: "serviceaccounts", namespaced: true },
  "v1/Service": { plural: "services", namespaced: true },
  "v1/Event": { plural: "events", namespaced: true },
  "v1/Pod": { plural: "pods", namespaced: true },
  "apps/v1/DaemonSet": { plural: "daemonsets", namespaced: true },
  "apps/v1/StatefulSet": { plural: "statefulsets", namespaced: true },
  "apps/v1/Deployment": { plural: "deployments", namespaced: true },
  "policy/v1/PodDisruptionBudget": { plural: "poddisruptionbudgets", namespaced: true },
  "autoscaling/v2/HorizontalPodAutoscaler": { plural: "horizontalpodautoscalers", namespaced: true },
  "rbac.authorization.k8s.io/v1/Role": { plural: "roles", namespaced: true },
  "rbac.authorization.k8s.io/v1/RoleBinding": { plural: "rolebindings", namespaced: true },
  "rbac.authorization.k8s.io/v1/ClusterRole": { plural: "clusterroles", namespaced: false },
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": { plural: "clusterrolebindings", namespaced: false },
  "networking.k8s.io/v1/NetworkPolicy": { plural: "networkpolicies", namespaced: true },
  [`${ADMISSION}/MutatingWebhookConfiguration`]: { plural: "mutatingwebhookconfigurations", namespaced: false },
  [`${ADMISSION}/ValidatingWebhookConfiguration`]: { plural: "validatingwebhookconfigurations", namespaced: false },
  [`${ADMISSION}/ValidatingAdmissionPolicy`]: { plural: "validatingadmissionpolicies", namespaced: false },
  [`${ADMISSION}/ValidatingAdmissionPolicyBinding`]: {
    plural: "validatingadmissionpolicybindings",
    namespaced: false,
  },
  "coordination.k8s.io/v1/Lease": { plural: "leases", namespaced: true },
  "discovery.k8s.io/v1/EndpointSlice": { plural: "endpointslices", namespaced: true },
  "apiextensions.k8s.io/v1/CustomResourceDefinition": { plural: "customresourcedefinitions", namespaced: false },
  "certificates.k8s.io/v1beta1/ClusterTrustBundle": { plural: "clustertrustbundles", namespaced: false },
  "certificates.k8s.io/v1alpha1/ClusterTrustBundle": { plural: "clustertrustbundles", namespaced: false },
  "authorization.k8s.io/v1/SelfSubjectAccessReview": { plural: "selfsubjectaccessreviews", namespaced: false },
  "authorization.k8s.io/v1/SubjectAccessReview": { plural: "subjectaccessreviews", namespaced: false },
  "authentication.k8s.io/v1/TokenReview": { plural: "tokenreviews", namespaced: false },
  "security.istio.io/v1/PeerAuthentication": { plural: "peerauthentications", namespaced: true },
  "networking.istio.io/v1/DestinationRule": { plural: "destinationrules", namespaced: true },
  "networking.istio.io/v1/VirtualService": { plural: "virtualservices", namespaced: true },
  "networking.istio.io/v1alpha3/EnvoyFilter": { plural: "envoyfilters", namespaced: true },
  "networking.istio.io/v1/Sidecar": { plural: "sidecars", namespaced: true },
  "security.istio.io/v1/AuthorizationPolicy": { plural: "authorizationpolicies", namespaced: true },
  "sailoperator.io/v1/Istio": { plural: "istios", namespaced: false },
  "sailoperator.io/v1/IstioCNI": { plural: "istiocnis", namespaced: false },
  "sailoperator.io/v1/IstioRevision": { plural: "istiorevisions", namespaced: false },
  "networking.istio.io/v1/Gateway": { plural: "gateways", namespaced: true },
  "gateway.networking.k8s.io/v1/Gateway": { plural: "gateways", namespaced: true },
};

function kindOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  const known = KINDS[`${apiVersion}/${kind}`];
  if (!known) throw new Error(`${apiVersion} ${kind} is missing in src/cluster/resources.ts`);
  return known;
}

/** Whether the action can handle objects of this kind. */
export function isKnownKind({ apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  return `${apiVersion}/${kind}` in KINDS;
}

/** The group and plural of a kind, as access reviews name it. */
export function groupResource(of: { apiVersion: string; kind: string }): { group: string; resource: string } {
  const slash = of.apiVersion.indexOf("/");
  return { group: slash < 0 ? "" : of.apiVersion.slice(0, slash), resource: kindOf(of).plural };
}

/** The API path of a collection. */
export function collectionPath(of: { apiVersion: string; kind: string; namespace?: string }): string {
  const { plural, namespaced } = kindOf(of);
  const root = of.apiVersion.includes("/") ? `/apis/${of.apiVersion}` : `/api/${of.apiVersion}`;
  return `${root}${namespaced && of.namespace ? `/namespaces/${encodeURIComponent(of.namespace)}` : ""}/${plural}`;
}

/** The API path of one object. */
export function objectPath(ref: ObjectRef): string {
  return `${collectionPath(ref)}/${encodeURIComponent(ref.name)}`;
}

/** The API path of a list or watch with its selectors. */
export function listPath(query: ListQuery, extra: Record<string, string> = {}): string {
  const parameters = new URLSearchParams(extra);
  if (query.labelSelector) parameters.set("labelSelector", query.labelSelector);
  if (query.fieldSelector) parameters.set("fieldSelector", query.fieldSelector);
  if (query.limit) parameters.set("limit", String(query.limit));
  const text = parameters.toString();
  return `${collectionPath(query)}${text ? `?${text}` : ""}`;
}
