import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { type Fields, fields, items, text } from "../mesh/fields.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import { debug } from "./debug.ts";

/** What an istiod gives one of the proxies that are connected to it. */
export interface ProxyView {
  /** `pod.namespace`. */
  readonly proxy: string;
  readonly namespace: string;
  /** Addresses, as `address:port`, by `namespace/name:port` of the Service. What it does not know is missing. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
}

/** A proxy's configuration may be large. Milliseconds. */
const DUMP = 60_000;

/**
 * What a running sidecar of the cluster is given: one that serves a workload, by preference of these namespaces. `undefined`
 * where none is connected.
 * @throws as `debug`
 */
export async function readProxyView(
  cluster: Cluster,
  namespace: string,
  pods: readonly string[],
  clusterName: string,
  preferred: readonly string[],
): Promise<ProxyView | undefined> {
  const connected = await Promise.all(
    pods.map(async (pod) => proxiesIn(await debug(cluster, namespace, pod, "syncz"), clusterName, pod)),
  );
  const workloads = connected
    .flat()
    .filter((proxy) => proxy.namespace !== namespace && !proxy.namespace.startsWith(PROBE_PREFIX));
  const chosen = workloads.find((proxy) => preferred.includes(proxy.namespace)) ?? workloads[0];
  if (!chosen) return undefined;
  const path = `edsz?proxyID=${encodeURIComponent(chosen.id)}`;
  const dump = await debug(cluster, namespace, chosen.istiod, path, DUMP);
  return { proxy: chosen.id, namespace: chosen.namespace, endpoints: endpointsIn(dump) };
}

/** The sidecars that a replica tells of (pilot/pkg/xds/debug.go); gateways have a role of their own. */
function proxiesIn(syncz: unknown, clusterName: string, istiod: string) {
  return items(syncz).flatMap((each) => {
    const { proxy, proxy_type, cluster_id } = fields(each);
    const id = text(proxy) ?? "";
    const namespace = id.slice(id.indexOf(".") + 1);
    // What an older version does not say is a sidecar until the contrary is known.
    if (!id || (text(proxy_type) ?? "sidecar") !== "sidecar" || (text(cluster_id) ?? clusterName) !== clusterName)
      return [];
    return [{ id, namespace, istiod }];
  });
}

/** `outbound|80||web.apps.svc.cluster.local`; with a subset between the bars it is for a part of the Service alone. */
const OUTBOUND = /^outbound\|(\d+)\|\|([^.]+)\.([^.]+)\.svc\./;

/** Of a configuration dump of Envoy's admin API, which has nothing but endpoints in it. */
function endpointsIn(dump: unknown): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const { configs } = fields(dump);
  if (!Array.isArray(configs) && Object.keys(fields(dump)).length > 0)
    throw new Failure("what it gives a proxy cannot be read");
  for (const config of items(configs)) {
    const { clusterName, endpoints } = fields(config);
    const match = OUTBOUND.exec(text(clusterName) ?? "");
    if (!match) continue;
    const [, port, name, namespace] = match;
    const addresses = items(endpoints)
      .flatMap((locality) => items(fields(locality).lbEndpoints))
      .map((each) => fields(fields(fields(fields(each).endpoint).address).socketAddress) as Fields)
      .flatMap(({ address, portValue }) => (text(address) ? [`${address}:${portValue ?? 0}`] : []));
    found.set(`${namespace}/${name}:${port}`, addresses);
  }
  return found;
}
