import type { Cluster } from "../cluster/cluster.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { DEFAULT_CLUSTER_NAME } from "./identity.ts";

/** A pod with a proxy: a workload, or a gateway. By what it was injected with, which stays so until it is replaced. */
export interface MeshProxy {
  readonly namespace: string;
  readonly pod: string;
  /** Of the istiod that injected it. */
  readonly revision: string;
  readonly clusterName: string;
  readonly network: string | undefined;
}

/** The proxies of a cluster's active pods. Takes `list pods` in all namespaces. */
export async function readProxies(cluster: Cluster): Promise<MeshProxy[]> {
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod" })) as unknown as Pod[];
  return pods.flatMap(({ metadata, spec, status }) => {
    if (metadata.deletionTimestamp || status?.phase === "Failed" || status?.phase === "Succeeded") return [];
    const proxy = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
      ({ name }) => name === "istio-proxy",
    );
    if (!proxy) return [];
    const env = (wanted: string) => proxy.env?.find(({ name }) => name === wanted)?.value || undefined;
    return {
      namespace: metadata.namespace ?? "default",
      pod: metadata.name,
      revision: revisionOf(metadata),
      clusterName: env("ISTIO_META_CLUSTER_ID") ?? DEFAULT_CLUSTER_NAME,
      network: env("ISTIO_META_NETWORK"),
    };
  });
}

/** The revision of the istiod that injected a pod. Injection says it in an annotation of its own, and in that of its status, which older versions have alone. */
export function revisionOf({ annotations = {} }: Pod["metadata"]): string {
  if (annotations["istio.io/rev"]) return annotations["istio.io/rev"];
  try {
    const { revision } = JSON.parse(annotations["sidecar.istio.io/status"] ?? "") as { revision?: string };
    return revision || "default";
  } catch {
    return "default";
  }
}
