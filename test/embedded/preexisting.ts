import type { Json } from "./kube.ts";

const RBAC = "rbac.authorization.k8s.io/v1";

/** What a cluster has before anybody does anything. */
export function preexisting(): Json[] {
  const namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"];
  return [
    ...namespaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "kubernetes",
        namespace: "default",
        labels: { "kubernetes.io/service-name": "kubernetes" },
      },
      addressType: "IPv4",
      endpoints: [{ addresses: ["203.0.113.10"], conditions: { ready: true } }],
      ports: [{ name: "https", port: 6443, protocol: "TCP" }],
    },
    role("cluster-admin", [
      { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
      { nonResourceURLs: ["*"], verbs: ["*"] },
    ]),
    role("view", [
      {
        apiGroups: [""],
        resources: ["configmaps", "endpoints", "events", "namespaces", "pods", "serviceaccounts", "services"],
        verbs: ["get", "list", "watch"],
      },
      { apiGroups: ["apps"], resources: ["deployments", "replicasets"], verbs: ["get", "list", "watch"] },
    ]),
  ];
}

function role(name: string, rules: Json[]): Json {
  return {
    apiVersion: RBAC,
    kind: "ClusterRole",
    metadata: { name, labels: { "kubernetes.io/bootstrapping": "rbac-defaults" } },
    rules,
  };
}
