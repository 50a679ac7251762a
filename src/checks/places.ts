import type { HeldGateway, Offer } from "../facts/endpoints.ts";
import type { MeshConfig } from "../facts/mesh-config.ts";
import type { Policies } from "../facts/policies.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { type Route, ruleFor, settingOf } from "./policies.ts";

/** What there is to know of where a Service's endpoints are, for callers of one cluster. */
export interface Whereabouts {
  /** `namespace/name`. */
  readonly service: string;
  /** The callers' cluster. */
  readonly source: string;
  /** By cluster, as far as it could be read. */
  readonly offers: ReadonlyMap<string, Offer>;
  readonly networks: ReadonlyMap<string, string>;
  /** All that istiods of the callers' cluster hold. */
  readonly gateways: readonly HeldGateway[];
}

/** The clusters that have endpoints of the Service that are ready. */
export function clustersHaving({ service, offers }: Whereabouts): string[] {
  return [...offers].flatMap(([cluster, { endpoints }]) =>
    (endpoints.get(service)?.ready.size ?? 0) > 0 ? [cluster] : [],
  );
}

/**
 * The clusters whose endpoints may be behind an address of a proxy, as `address:port`: in one network a pod's own, and behind
 * a gateway those of all clusters of its network, for it hands on to any of them.
 */
export function placesOf(where: Whereabouts): Map<string, string[]> {
  const { service, source, offers, networks, gateways } = where;
  const places = new Map<string, string[]>();
  const note = (address: string, cluster: string) => {
    const known = places.get(address) ?? [];
    if (!known.includes(cluster)) places.set(address, [...known, cluster]);
  };
  for (const cluster of clustersHaving(where)) {
    const network = networks.get(cluster);
    const through = network === networks.get(source) ? [] : gateways.filter((each) => each.network === network);
    for (const { address, port } of through) note(`${address}:${port}`, cluster);
    // A network that nothing leads into is taken for one that is reached directly.
    if (through.length === 0)
      for (const address of offers.get(cluster)?.endpoints.get(service)?.all ?? []) note(address, cluster);
  }
  return places;
}

const DISTRIBUTION = "networking.istio.io/traffic-distribution";

/**
 * By what proxies may prefer some of a Service's endpoints to others, so that it says nothing of these if they are not asked;
 * `undefined`: by nothing. Without outlier detection Istio prefers none for its locality (pilot/pkg/networking/core/loadbalancer).
 */
export function preferenceOf(
  route: Route,
  port: number,
  service: KubernetesObject | undefined,
  policies: Policies | undefined,
  config: MeshConfig | undefined,
): string | undefined {
  const said =
    (service?.spec as { trafficDistribution?: string } | undefined)?.trafficDistribution ??
    service?.metadata.annotations?.[DISTRIBUTION];
  if (said) return `by its trafficDistribution, ${said}, some endpoints are preferred`;
  if (!policies) return "whether a DestinationRule prefers others could not be read";
  if (!config) return "whether the mesh configuration prefers others could not be read";
  const rule = ruleFor(policies, route);
  const balancer = rule && settingOf(rule, port, "loadBalancer");
  const { enabled, distribute } = balancer?.localityLbSetting ?? config.localityLbSetting;
  if (rule && balancer?.consistentHash) return `${describe(refOf(rule))} chooses endpoints by a hash`;
  if (enabled === false) return undefined;
  if (rule && settingOf(rule, port, "outlierDetection"))
    return `by the outlierDetection of ${describe(refOf(rule))} endpoints that are near are preferred`;
  if (!distribute?.length) return undefined;
  const where = rule && balancer?.localityLbSetting ? describe(refOf(rule)) : "the mesh configuration";
  return `${where} distributes requests by locality`;
}
