import type { MeshSpec } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";
import type { Secret } from "./secrets.ts";

/** The service account that the other clusters' istiods read this cluster with. */
export const READER = "istio-reader-service-account";

/** Secret in which istioctl keeps the reader's token. */
export const READER_TOKEN = `${READER}-istio-remote-secret-token`;

/** The role that OpenShift and Alauda have for reading a whole cluster; vanilla Kubernetes does not. */
export const CLUSTER_READER = "cluster-reader";

/** Name of the reader role, and of its binding, that istiod's chart makes. */
export function chartReaderRole(mesh: MeshSpec, revision: string): string {
  return `istio-reader-clusterrole${revision === "default" ? "" : `-${revision}`}-${mesh.namespace}`;
}

export function readerAccount(mesh: MeshSpec): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: READER, namespace: mesh.namespace, labels: ownership(mesh, "reader") },
  };
}

/**
 * A token of the reader account that does not expire. Kubernetes fills it, and istioctl takes the one that it finds: made
 * beforehand, istioctl does not have to make one and wait a second for it.
 */
export function readerToken(mesh: MeshSpec): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: READER_TOKEN,
      namespace: mesh.namespace,
      labels: ownership(mesh, "reader"),
      annotations: { "kubernetes.io/service-account.name": READER },
    },
    type: "kubernetes.io/service-account-token",
  };
}

/** Binds a ClusterRole to the reader account. The role is part of the name, for a binding's role cannot be changed. */
export function readerBinding(mesh: MeshSpec, role: string): KubernetesObject {
  const suffix = mesh.namespace === "istio-system" ? "" : `-${mesh.namespace}`;
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `${role}-istio-reader-sa${suffix}`, labels: ownership(mesh, "reader") },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [{ kind: "ServiceAccount", name: READER, namespace: mesh.namespace }],
  };
}
