import { isIP } from "node:net";
import type { Held, HeldEndpoint, HeldGateway, Offer } from "../facts/endpoints.ts";
import { isSelected, type LabelSelector } from "../mesh/label-selector.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { type KubernetesObject, qualifiedName } from "../mesh/objects/object.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import { listed } from "../mesh/words.ts";
import type { KubernetesGateway } from "./gateway-resource.ts";
import { addressesOf, isByNodes, mtlsPort, type Service, takesMtls } from "./gateway-service.ts";
import { EXPORT_TO } from "./visibility.ts";

/** Something that an istiod should hold and does not, or holds and should not. */
export interface Difference {
  readonly kind: "missing" | "gone" | "gateway" | "unresolved" | "hidden-gateway" | "gone-gateway" | "no-gateway";
  /** What: `apps/web 10.1.2.3:8080`, or `172.18.0.4:15443 of network2`. */
  readonly what: string;
}

/** What one replica of istiod holds of another cluster, against what that has. */
export interface Comparison {
  readonly pod: string;
  /** What the cluster has for it: Services with endpoints, endpoints that are ready. */
  readonly services: number;
  readonly endpoints: number;
  /** How many endpoints of the cluster it holds, whichever. */
  readonly held: number;
  readonly gateways: readonly HeldGateway[];
  readonly differences: readonly Difference[];
  /** The endpoints that it holds of the Services that were named. */
  readonly named: ReadonlyMap<string, readonly HeldEndpoint[]>;
}

/** What is meant to differ. */
export interface Rules {
  /** By which of them the observer's istiod chooses namespaces; none: it looks at all. */
  readonly selectors: readonly LabelSelector[];
  /** The target's Gateways of Kubernetes' API, by which it may have more addresses. */
  readonly kubernetesGateways: readonly KubernetesGateway[];
  /** The target's network, where that is another one than the observer's: a way into it has to be known. */
  readonly network?: string | undefined;
  /** Services, as `namespace/name`, whose endpoints are kept. */
  readonly named?: readonly string[];
}

/**
 * What a replica of istiod holds of a cluster, against what that cluster has. istiod keeps everything that it reads and only
 * leaves out later, for each proxy, what is cluster-local or not exported to it; so all is missed but what is in a namespace
 * that it does not look at, or exported to nobody, or not ready. Our own probes come and go meanwhile.
 */
export function compare(
  target: string,
  offer: Offer,
  held: Held,
  { selectors, kubernetesGateways, network, named = [] }: Rules,
): Comparison {
  const looksAt = (namespace: string) => isSelected(selectors, offer.namespaces.get(namespace));
  const differences: Difference[] = [];
  const holds = held.endpoints.get(target) ?? new Map<string, ReadonlyMap<string, HeldEndpoint>>();
  let services = 0;
  let endpoints = 0;
  for (const [service, { ready }] of offer.endpoints) {
    if (
      isProbes(service) ||
      !looksAt(namespaceOf(service)) ||
      isExportedToNobody(offer.services.get(service)) ||
      ready.size === 0
    )
      continue;
    services++;
    endpoints += ready.size;
    for (const endpoint of ready)
      if (!holds.get(service)?.has(endpoint)) differences.push({ kind: "missing", what: `${service} ${endpoint}` });
  }
  let known = 0;
  for (const [service, itsEndpoints] of holds) {
    known += itsEndpoints.size;
    if (isProbes(service)) continue;
    const all = offer.endpoints.get(service)?.all;
    // What is no pod's may come from elsewhere, as a WorkloadEntry does.
    for (const [endpoint, { ofPod }] of itsEndpoints)
      if (ofPod && !all?.has(endpoint)) differences.push({ kind: "gone", what: `${service} ${endpoint}` });
  }
  const gateways = held.gateways.filter(({ cluster }) => cluster === target);
  const ways = gatewayDifferences(offer, gateways, held.gateways, kubernetesGateways, looksAt);
  const hasNone = network !== undefined && ways.length === 0 && !held.gateways.some((each) => each.network === network);
  differences.push(...ways, ...(hasNone ? [{ kind: "no-gateway", what: network } as const] : []));
  const kept = new Map(named.map((service) => [service, [...(holds.get(service)?.values() ?? [])]]));
  return { pod: held.pod, services, endpoints, held: known, gateways, differences, named: kept };
}

/** @param gateways those that were found in the target, of all that are held */
function gatewayDifferences(
  offer: Offer,
  gateways: readonly HeldGateway[],
  all: readonly HeldGateway[],
  kubernetesGateways: readonly KubernetesGateway[],
  looksAt: (namespace: string) => boolean,
): Difference[] {
  const differences: Difference[] = [];
  const services = [...offer.services.values()] as Service[];
  // Not only those that are named a network's: the mesh's configuration may name others.
  const addresses = new Set([
    ...addressesOf(services),
    ...kubernetesGateways.flatMap(({ spec }) => (spec.addresses ?? []).flatMap(({ value }) => value ?? [])),
  ]);
  for (const service of services) {
    const network = service.metadata.labels?.[NETWORK_LABEL];
    if (!network || !takesMtls(service)) continue;
    const [own, port] = [addressesOf([service]), mtlsPort(service)];
    const named = (address: string) => `${address}:${port} of ${network}`;
    if (!looksAt(service.metadata.namespace ?? "")) {
      if (own.length > 0 && !all.some((each) => each.network === network))
        differences.push({ kind: "hidden-gateway", what: `${qualifiedName(service)}, ${named(listed(own))}` });
      continue;
    }
    for (const address of own) {
      const its = gateways.filter(
        (each) => each.network === network && (each.port === port || service.spec?.type === "NodePort"),
      );
      if (isIP(address)) {
        if (!its.some((each) => each.address === address)) differences.push({ kind: "gateway", what: named(address) });
      } else if (!its.some((each) => !addresses.has(each.address) || each.address === address)) {
        // istiod holds what a name resolves to.
        differences.push({ kind: "unresolved", what: named(address) });
      }
    }
  }
  const byName = [...addresses].some((address) => !isIP(address)) || services.some(isByNodes);
  if (byName) return differences;
  const gone = gateways.filter(({ address }) => !addresses.has(address));
  return [
    ...differences,
    ...gone.map(
      ({ address, port, network }): Difference => ({
        kind: "gone-gateway",
        what: `${address}:${port} of ${network}`,
      }),
    ),
  ];
}

function isExportedToNobody(service: KubernetesObject | undefined): boolean {
  const to = service?.metadata.annotations?.[EXPORT_TO] ?? "";
  return to.split(",").some((each) => each.trim() === "~");
}

const isProbes = (service: string) => service.startsWith(PROBE_PREFIX);
const namespaceOf = (service: string) => service.slice(0, service.indexOf("/"));
