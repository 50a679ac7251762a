import type { Cluster } from "../cluster/cluster.ts";
import { type Fields, fields, items, text } from "../mesh/fields.ts";
import { debug } from "./debug.ts";

/** A kind of configuration, as istiod sent it to a proxy and the proxy took it. */
export interface Resource {
  readonly sent: string | undefined;
  readonly acked: string | undefined;
  /** The proxy's own words, where it refused what was sent last. */
  readonly rejected: string | undefined;
}

export const KINDS = ["clusters", "listeners", "routes", "endpoints", "secrets", "extensions"] as const;
export type Kind = (typeof KINDS)[number];

/** A proxy that is connected to a replica of istiod: a pod's, or that of a machine outside of Kubernetes. */
export interface Connection {
  /** The replica's pod. */
  readonly istiod: string;
  /** `pod.namespace`. */
  readonly proxy: string;
  readonly namespace: string;
  /** As istiod takes it: an alias is replaced by what it stands for. `undefined`: it does not say. */
  readonly clusterName: string | undefined;
  /** `sidecar`, `router`, `waypoint`, … */
  readonly role: string;
  /** The Istio version that it names, which it has from its own image. */
  readonly version: string | undefined;
  readonly resources: ReadonlyMap<Kind, Resource>;
}

/** A mesh's proxies are listed in one answer. Milliseconds. */
const ALL = 60_000;

/**
 * The proxies that are connected to these replicas of istiod (`/debug/syncz`, pilot/pkg/xds/debug.go): one request for each.
 * @throws as `debug`
 */
export async function readConnections(
  cluster: Cluster,
  namespace: string,
  pods: readonly string[],
): Promise<Connection[]> {
  const answers = await Promise.all(
    pods.map(async (pod) => connectionsIn(await debug(cluster, namespace, pod, "syncz", ALL), pod)),
  );
  return answers.flat();
}

function connectionsIn(syncz: unknown, istiod: string): Connection[] {
  return items(syncz).flatMap((each) => {
    const told = fields(each);
    const proxy = text(told.proxy);
    if (!proxy) return [];
    return {
      istiod,
      proxy,
      namespace: proxy.slice(proxy.lastIndexOf(".") + 1),
      clusterName: text(told.cluster_id),
      // What an older version does not say is a sidecar until the contrary is known.
      role: text(told.proxy_type) ?? "sidecar",
      version: text(told.istio_version),
      resources: resourcesIn(told),
    };
  });
}

/** By the end of its type's URL, and by the name that it has in answers of older versions, which do not say what is rejected. */
const NAMED: Readonly<Record<Kind, readonly [type: string, field: string]>> = {
  clusters: [".cluster.v3.Cluster", "cluster"],
  listeners: [".listener.v3.Listener", "listener"],
  routes: [".route.v3.RouteConfiguration", "route"],
  endpoints: [".endpoint.v3.ClusterLoadAssignment", "endpoint"],
  secrets: [".tls.v3.Secret", "secret"],
  extensions: [".core.v3.TypedExtensionConfig", "extensionconfig"],
};

function resourcesIn(told: Fields): Map<Kind, Resource> {
  const byType = Object.entries(fields(told.resources));
  return new Map(
    KINDS.flatMap((kind): [Kind, Resource][] => {
      const [type, field] = NAMED[kind];
      const found = byType.find(([url]) => url.endsWith(type));
      const { sent, acked, lastError } = found
        ? fields(found[1])
        : { sent: told[`${field}_sent`], acked: told[`${field}_acked`], lastError: undefined };
      if (!text(sent)) return [];
      return [[kind, { sent: text(sent), acked: text(acked), rejected: text(lastError) }]];
    }),
  );
}
