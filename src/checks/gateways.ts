import type { Cluster } from "../cluster/cluster.ts";
import type { MeshConfig, NetworkGateway } from "../facts/mesh-config.ts";
import { isSelected, type LabelSelector, matches } from "../mesh/label-selector.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { GATEWAY_PORT_LABEL, GATEWAY_SELECTOR } from "../mesh/objects/gateway.ts";
import { type KubernetesObject, qualifiedName } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { ClusterSpec } from "../mesh/spec.ts";
import { addressesOf, isByNodes, type Service, takesMtls } from "./gateway-service.ts";
import { isActive } from "./pods.ts";

/** What takes in the other networks' traffic. */
export interface Gateways extends Ways {
  readonly deployments: readonly Deployment[];
  /** The active ones. */
  readonly pods: readonly Pod[];
}

/** The ways into a network that a cluster has. */
export interface Ways {
  /** The Services that istiod takes for the network's gateways; where there is none, those that were meant for it. */
  readonly services: readonly Service[];
  /** Gateways of other networks, which are nobody's business here. */
  readonly others: readonly Service[];
  /** Of `services`, those in namespaces that istiod does not look at. */
  readonly hidden: readonly Service[];
  /** Those of the network that are no ways in, for they have no address, beside others that have. */
  readonly idle: readonly Service[];
  /** As `address:port`: where the mesh configuration itself says it. */
  readonly addresses: readonly string[];
}

/** What tells ways into a network from other Services. */
export interface WaysRules {
  readonly network: string;
  /** Whether istiod looks at a namespace. */
  looksAt(namespace: string): boolean;
  /** The ways that the mesh configuration names. */
  readonly named: readonly NetworkGateway[];
}

const networkOf = ({ metadata }: Service) => metadata.labels?.[NETWORK_LABEL] || undefined;

/**
 * Which of the Services are the network's gateways, as istiod has it: any of any namespace that it looks at, by the network's
 * label, the port for mTLS and an address (pilot/pkg/serviceregistry/kube/controller/network.go). One that lacks some of it, or
 * lies where istiod does not look, is told of where there is no other: it was meant to be one.
 * @param found the Services that have the label, or another by which they call themselves so
 */
export function waysOf(found: readonly Service[], { network, looksAt, named }: WaysRules): Ways {
  const taken = found.filter((each) => networkOf(each) && takesMtls(each));
  const own = taken.filter((each) => networkOf(each) === network);
  const seen = own.filter(({ metadata }) => looksAt(metadata.namespace ?? ""));
  const labelled = found.filter((each) => networkOf(each) === network);
  const addresses = named.flatMap((each) =>
    each.network === network && each.address ? `${each.address}:${each.port}` : [],
  );
  const reached = seen.filter((each) => addressesOf([each]).length > 0 || isByNodes(each));
  // Where the mesh configuration has an address, a Service without one need not be more than what stands behind it.
  const meant = addresses.length > 0 ? [reached] : [reached, seen, own, labelled, found.filter(isCalledSo)];
  const services = meant.find(({ length }) => length > 0) ?? [];
  return {
    services,
    others: taken.filter((each) => networkOf(each) !== network && !services.includes(each)),
    hidden: services.filter(({ metadata }) => !looksAt(metadata.namespace ?? "")),
    idle: services === reached ? seen.filter((each) => !reached.includes(each)) : [],
    addresses,
  };
}

function isCalledSo({ metadata }: Service): boolean {
  return metadata.labels?.istio === GATEWAY_SELECTOR.istio;
}

/** What there is to say of a gateway where istiod does not look. @param istioNamespace of the mesh configuration */
export function notLookedAt(
  { metadata }: Service,
  network: string,
  istioNamespace: string,
): { cause: string; hint: string } {
  const { namespace } = metadata;
  return {
    cause: `istiod takes no Service of namespace ${namespace} for a gateway, and so not ${namespace}/${metadata.name}: discoverySelectors of its mesh configuration do not select that namespace. The other clusters have no way into ${network}.`,
    hint: `Label the namespace so that they select it: kubectl label namespace ${namespace} KEY=VALUE. To see them: kubectl -n ${istioNamespace} get configmaps -o yaml | grep -A5 discoverySelectors`,
  };
}

/** Reads the ways into a cluster's network, and the pods behind them. @param config of the istiod that looks for them */
export async function readGateways(
  cluster: Cluster,
  { name, network }: Pick<ClusterSpec, "name" | "network">,
  { discoverySelectors, networkGateways }: Pick<MeshConfig, "discoverySelectors" | "networkGateways">,
): Promise<Gateways> {
  const list = (labelSelector: string) => cluster.list<Service>({ apiVersion: "v1", kind: "Service", labelSelector });
  const lists = await Promise.all([
    list(`istio=${GATEWAY_SELECTOR.istio}`),
    ...networkGateways.map((each) => namedService(cluster, name, each)),
    // Last, for what a label says counts, and not what the mesh configuration does.
    list(NETWORK_LABEL),
  ]);
  const found = [...new Map(lists.flat().map((each) => [qualifiedName(each), each])).values()];
  const looksAt = await whereIstiodLooks(cluster, discoverySelectors, namespacesOf(found));
  const ways = waysOf(found, { network, looksAt, named: networkGateways });
  return { ...ways, ...(await behind(cluster, ways.services)) };
}

/** The namespaces that objects are in. */
export function namespacesOf(objects: readonly KubernetesObject[]): string[] {
  return objects.map(({ metadata }) => metadata.namespace ?? "");
}

/** Whether istiod looks at a namespace, which is one of these. Takes `get namespaces`, where there are selectors. */
export async function whereIstiodLooks(
  cluster: Cluster,
  selectors: readonly LabelSelector[],
  namespaces: readonly string[],
): Promise<(namespace: string) => boolean> {
  if (selectors.length === 0) return () => true;
  const names = [...new Set(namespaces)];
  const found = await Promise.all(names.map((name) => cluster.get({ apiVersion: "v1", kind: "Namespace", name })));
  const labels = new Map(names.map((name, i) => [name, found[i]?.metadata.labels]));
  return (namespace) => isSelected(selectors, labels.get(namespace));
}

/** The Service that the mesh configuration names, as if it were labelled: to istiod it is the same. */
async function namedService(
  cluster: Cluster,
  clusterName: string,
  { service, registries, network, port }: NetworkGateway,
): Promise<Service[]> {
  if (!service || !registries.includes(clusterName)) return [];
  const [name = "", namespace = ""] = service.split(".");
  const found = await cluster.get<Service>({ apiVersion: "v1", kind: "Service", namespace, name });
  if (!found) return [];
  const labels = { [GATEWAY_PORT_LABEL]: String(port), [NETWORK_LABEL]: network, ...found.metadata.labels };
  return [{ ...found, metadata: { ...found.metadata, labels } }];
}

async function behind(
  cluster: Cluster,
  services: readonly Service[],
): Promise<{ deployments: Deployment[]; pods: Pod[] }> {
  const each = await Promise.all(
    services.map(async ({ metadata, spec }) => {
      const selector = spec?.selector ?? {};
      const namespace = metadata.namespace as string;
      const labelSelector = Object.entries(selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(",");
      if (!labelSelector) return { deployments: [], pods: [] };
      const [pods, all] = await Promise.all([
        cluster.list({ apiVersion: "v1", kind: "Pod", namespace, labelSelector }),
        cluster.list<Deployment>({ apiVersion: "apps/v1", kind: "Deployment", namespace }),
      ]);
      const deployments = all.filter(({ spec }) => matches(selector, spec.template.metadata?.labels));
      return { deployments, pods: (pods as unknown as Pod[]).filter(isActive) };
    }),
  );
  const unique = <T extends { metadata: { uid?: string } }>(items: readonly T[]) => [
    ...new Map(items.map((item) => [item.metadata.uid, item])).values(),
  ];
  return {
    deployments: unique(each.flatMap(({ deployments }) => deployments)),
    pods: unique(each.flatMap(({ pods }) => pods)),
  };
}
