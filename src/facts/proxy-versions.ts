import type { Cluster } from "../cluster/cluster.ts";
import { fields, items, text } from "../mesh/fields.ts";
import { debug } from "./debug.ts";

/**
 * The Istio versions that the proxies which are connected to istiod name themselves, by `pod.namespace` (its metadata's
 * ISTIO_VERSION, which a proxy has from its own image; pilot/pkg/xds/debug.go).
 * @param pods the replicas of istiod, each of which knows those that are connected to it
 * @throws as `debug`
 */
export async function readProxyVersions(
  cluster: Cluster,
  namespace: string,
  pods: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const answers = await Promise.all(pods.map((pod) => debug(cluster, namespace, pod, "syncz")));
  const proxies = answers.flatMap(items);
  return new Map(
    proxies.flatMap((each): [string, string][] => {
      const [proxy, version] = [text(fields(each).proxy), text(fields(each).istio_version)];
      return proxy && version ? [[proxy, version]] : [];
    }),
  );
}
