import type { Cluster } from "../cluster/cluster.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";

/** What a ConfigMap has at a key; `undefined` where there is none. Takes `get configmaps` in the namespace. */
export async function configText(
  cluster: Cluster,
  namespace: string,
  name: string,
  key: string,
): Promise<string | undefined> {
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace, name };
  return (await cluster.get<KubernetesObject & { data?: Record<string, string> }>(ref))?.data?.[key];
}

/** The name of an object of a revision's control plane, as Istio's charts have it: `istio`, `istio-canary`. */
export function ofRevision(name: string, revision: string): string {
  return revision === "default" ? name : `${name}-${revision}`;
}

/** The mesh configuration of a revision's control plane, YAML. */
export function meshConfig(cluster: Cluster, namespace: string, revision: string): Promise<string | undefined> {
  return configText(cluster, namespace, ofRevision("istio", revision), "mesh");
}

/** The Helm values that a revision's control plane injects proxies by, JSON or YAML. */
export function injectorValues(cluster: Cluster, namespace: string, revision: string): Promise<string | undefined> {
  return configText(cluster, namespace, ofRevision("istio-sidecar-injector", revision), "values");
}
