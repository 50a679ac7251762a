import { parse } from "yaml";
import type { Json } from "../kube.ts";
import type { Neighbour } from "../network.ts";
import { hasLabels, isReady } from "./support.ts";

/** A cluster as one istiod knows it. */
export interface Known {
  /** The name that istiod has for it: its own, or the key in the remote secret. */
  readonly id: string;
  /** The control plane's, whose label is the network of all pods that have none of their own. */
  readonly namespace: string;
  readonly neighbour: Neighbour;
}

/** A network's way in, as `/debug/networkz` has it. */
export interface NetworkGateway {
  readonly network: string;
  readonly known: Known;
  readonly service: Json;
  readonly address: string;
  readonly port: number;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly known: Known;
  readonly pod: Json;
  /** Absent: the pod's own address. */
  readonly gateway?: NetworkGateway;
}

const NETWORK = "topology.istio.io/network";
const GATEWAY_PORT = "networking.istio.io/gatewayPort";
const MTLS_PORT = 15443;

const NODE_SELECTOR = "traffic.istio.io/nodeSelector";

/**
 * The gateways that istiod finds by their Services' label, or by its own configuration's networks; one without an address is
 * none. @param all the clusters that it knows, its own first
 */
export function networkGateways(all: readonly Known[]): NetworkGateway[] {
  const networks = networksOf(all[0]);
  const labelled = all.flatMap((known) =>
    known.neighbour.kube.list("v1", "Service").flatMap((service) => {
      const { name, namespace, labels = {} } = service.metadata;
      const named = networks
        .filter(({ registries }) => registries.includes(known.id))
        .find(({ gateway }) => gateway.registryServiceName === `${name}.${namespace}.svc.cluster.local`);
      const network = labels[NETWORK] || named?.network;
      if (!network) return [];
      const port = Number(labels[GATEWAY_PORT] ?? (labels[NETWORK] ? MTLS_PORT : named?.gateway.port));
      return addressesOf(known, service, port).map((each) => ({ network, known, service, ...each }));
    }),
  );
  const byAddress = networks.flatMap(({ network, gateway: { address, port } }) =>
    all.flatMap((known) =>
      known.neighbour.kube
        .list("v1", "Service")
        .filter((service) => address && addressesOf(known, service, port).some((each) => each.address === address))
        .map((service) => ({ network, known: { ...known, id: "" }, service, address, port })),
    ),
  );
  return [...labelled, ...byAddress];
}

function addressesOf({ neighbour }: Known, { metadata, spec, status }: Json, port: number) {
  const ingress: Json[] = (spec.type === "LoadBalancer" && status?.loadBalancer?.ingress) || [];
  const addresses: string[] = [...(spec.externalIPs ?? []), ...ingress.map(({ ip, hostname }) => ip ?? hostname)];
  const found = addresses.map((address) => ({ address, port }));
  const selector = metadata.annotations?.[NODE_SELECTOR];
  if (spec.type !== "NodePort" || selector === undefined) return found;
  const { nodePort = port } = spec.ports.find((each: Json) => each.port === port) ?? {};
  const nodes = neighbour.kube.list("v1", "Node").filter((node) => hasLabels(node, JSON.parse(selector)));
  const own = nodes.flatMap((node) => node.status.addresses.find(({ type }: Json) => type === "ExternalIP") ?? []);
  return [...found, ...own.map(({ address }) => ({ address, port: nodePort }))];
}

function networksOf(own: Known | undefined): { network: string; registries: string[]; gateway: Json }[] {
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace: own?.namespace ?? "", name: "istio" };
  const { networks = {} } = parse(own?.neighbour.kube.get(ref)?.data?.meshNetworks ?? "") ?? {};
  return Object.entries<Json>(networks).flatMap(([network, { endpoints = [], gateways = [] }]) =>
    gateways.map((gateway: Json) => ({
      network,
      registries: endpoints.flatMap(({ fromRegistry }: Json) => fromRegistry ?? []),
      gateway,
    })),
  );
}

/** The network of a pod: its own label's, else that of its cluster's control plane. */
export function networkOf({ neighbour, namespace }: Known, pod: Json): string {
  const own = pod.metadata.labels?.[NETWORK];
  if (own) return own;
  return neighbour.kube.get({ apiVersion: "v1", kind: "Namespace", name: namespace })?.metadata.labels?.[NETWORK] ?? "";
}

/**
 * What istiod gives a proxy for a Service: the pods that each cluster's Service of that name selects, those of other
 * networks as these networks' gateways. A network without a gateway is taken for one that can be reached directly.
 * @param network the proxy's own
 */
export function endpointsFor(
  all: readonly Known[],
  { namespace, name, port }: { readonly namespace: string; readonly name: string; readonly port: number },
  network: string,
): Endpoint[] {
  const gateways = networkGateways(all);
  const found = all.flatMap((known) =>
    podsOf(known, namespace, name).flatMap(({ pod, ports }): Endpoint[] => {
      const its = networkOf(known, pod);
      const targetPort = ports.find((each: Json) => each.port === port)?.targetPort;
      if (targetPort === undefined) return [];
      const direct = { address: pod.status.podIP, port: Number(targetPort), known, pod };
      if (its === network || its === "") return [direct];
      const ofNetwork = gateways.filter((each) => each.network === its);
      const ofCluster = ofNetwork.filter((each) => each.known.id === known.id);
      const through = ofCluster.length > 0 ? ofCluster : ofNetwork;
      if (through.length === 0) return [direct];
      // Only mTLS passes a gateway.
      if (pod.metadata.labels?.["security.istio.io/tlsMode"] !== "istio") return [];
      return through.map((gateway) => ({ address: gateway.address, port: gateway.port, known, pod, gateway }));
    }),
  );
  // Of several pods behind one gateway the proxy sees one address.
  return [...new Map(found.map((each) => [`${each.address}:${each.port}/${each.known.id}`, each])).values()];
}

/** The ready pods that a Service selects. */
function podsOf({ neighbour: { kube } }: Known, namespace: string, name: string): { pod: Json; ports: Json[] }[] {
  const service = kube.get({ apiVersion: "v1", kind: "Service", namespace, name });
  if (!service?.spec.selector) return [];
  return kube
    .list("v1", "Pod", namespace)
    .filter((pod) => isReady(pod) && hasLabels(pod, service.spec.selector))
    .map((pod) => ({ pod, ports: service.spec.ports }));
}
