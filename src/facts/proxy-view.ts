import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { type Fields, fields, items, text } from "../mesh/fields.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import type { Connection } from "./connections.ts";
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
  connections: readonly Connection[],
  clusterName: string,
  preferred: readonly string[],
): Promise<ProxyView | undefined> {
  const workloads = connections.filter(
    (each) =>
      each.role === "sidecar" &&
      (each.clusterName ?? clusterName) === clusterName &&
      each.namespace !== namespace &&
      !each.namespace.startsWith(PROBE_PREFIX),
  );
  const chosen = workloads.find((proxy) => preferred.includes(proxy.namespace)) ?? workloads[0];
  if (!chosen) return undefined;
  const path = `edsz?proxyID=${encodeURIComponent(chosen.proxy)}`;
  const dump = await debug(cluster, namespace, chosen.istiod, path, DUMP);
  return { proxy: chosen.proxy, namespace: chosen.namespace, endpoints: endpointsIn(dump) };
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
