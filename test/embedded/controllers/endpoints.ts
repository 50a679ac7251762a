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

/** The gateways that istiod finds by their Services' label; one without an address is none. */
export function networkGateways(all: readonly Known[]): NetworkGateway[] {
  return all.flatMap((known) =>
    known.neighbour.kube.list("v1", "Service").flatMap((service) => {
      const network = service.metadata.labels?.[NETWORK];
      if (!network) return [];
      const ingress: Json[] = (service.spec.type === "LoadBalancer" && service.status?.loadBalancer?.ingress) || [];
      const addresses: string[] = [
        ...(service.spec.externalIPs ?? []),
        ...ingress.map(({ ip, hostname }) => ip ?? hostname),
      ];
      const port = Number(service.metadata.labels[GATEWAY_PORT] ?? MTLS_PORT);
      return addresses.map((address) => ({ network, known, service, address, port }));
    }),
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
