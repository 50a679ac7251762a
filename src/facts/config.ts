import type { Cluster } from "../cluster/cluster.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";

/** What a ConfigMap has, by key; nothing where there is none. Takes `get configmaps` in the namespace. */
export async function configData(
  cluster: Cluster,
  namespace: string,
  name: string,
): Promise<Readonly<Record<string, string>>> {
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace, name };
  return (await cluster.get<KubernetesObject & { data?: Record<string, string> }>(ref))?.data ?? {};
}

/** What a ConfigMap has at a key; `undefined` where there is none. Takes `get configmaps` in the namespace. */
export async function configText(
  cluster: Cluster,
  namespace: string,
  name: string,
  key: string,
): Promise<string | undefined> {
  return (await configData(cluster, namespace, name))[key];
}

/** The name of an object of a revision's control plane, as Istio's charts have it: `istio`, `istio-canary`. */
export function ofRevision(name: string, revision: string): string {
  return revision === "default" ? name : `${name}-${revision}`;
}

/** The Helm values that a revision's control plane injects proxies by, JSON or YAML. */
export function injectorValues(cluster: Cluster, namespace: string, revision: string): Promise<string | undefined> {
  return configText(cluster, namespace, ofRevision("istio-sidecar-injector", revision), "values");
}

/** As istiod takes a switch in its environment. */
export function isOn(value: unknown): boolean {
  return /^(1|t|true)$/i.test(String(value));
}

/** A variable that istiod is given itself; `undefined` where it is empty. */
export function envOf(istiod: Deployment | undefined, name: string): string | undefined {
  const { env = [] } = istiod?.spec.template.spec.containers[0] ?? {};
  return env.find((each) => each.name === name)?.value || undefined;
}
