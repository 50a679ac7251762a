import { GATEWAY_PORT_LABEL, MTLS_PORT, NODE_SELECTOR } from "../mesh/objects/gateway.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Pod } from "../mesh/shapes/pod.ts";

/** A Service, as far as it may be a network's gateway. The rules are istiod's (pilot/pkg/serviceregistry/kube). */
export interface Service extends KubernetesObject {
  spec?: {
    type?: string;
    selector?: Record<string, string>;
    ports?: { port: number; targetPort?: number | string; protocol?: string }[];
    externalIPs?: string[];
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

/** The port by which the other networks come in, of a gateway's Service or of the Gateway that it is made for. */
export function mtlsPort({ metadata }: KubernetesObject): number {
  return Number(metadata.labels?.[GATEWAY_PORT_LABEL]) || MTLS_PORT;
}

/** Whether the Service leads to pods, and not to endpoints that somebody names. */
export function selectsPods({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0;
}

/** Whether the Service has that port, of TCP: istiod takes none for a gateway without it. */
export function takesMtls(service: Service): boolean {
  return portOf(service, mtlsPort(service)) !== undefined;
}

/** A Service may have one of the same number for UDP beside, as for HTTP/3. */
const portOf = ({ spec }: Service, number: number) =>
  spec?.ports?.find(({ port, protocol = "TCP" }) => port === number && protocol !== "UDP");

/**
 * The pods' port that a Service's port leads to: a number, or the name that a container has for it; `undefined` where the
 * Service has no such port, or the pods none of that name.
 */
export function targetPort(service: Service, number: number, pods: readonly Pod[]): number | undefined {
  const port = portOf(service, number);
  if (!port) return undefined;
  const { targetPort = number } = port;
  if (typeof targetPort === "number") return targetPort;
  const containers = pods.flatMap(({ spec }) => [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]);
  return containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === targetPort)?.containerPort;
}

/** IPs and host names that the Services were given, or have by themselves. */
export function addressesOf(services: readonly Service[]): string[] {
  return services.flatMap(({ spec, status }) => [
    ...(status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []),
    ...(spec?.externalIPs ?? []),
  ]);
}

/** The addresses, each with its port, by which both some gateways and some others are called. */
export function sharedWays(some: readonly Service[], others: readonly Service[]): string[] {
  const waysOf = (all: readonly Service[]) =>
    all.flatMap((each) => addressesOf([each]).map((address) => `${address}:${mtlsPort(each)}`));
  const known = waysOf(others);
  return waysOf(some).filter((each) => known.includes(each));
}

/** What there is to say of a gateway that has them. */
export function addressEvidence(addresses: readonly string[]): string {
  return addresses.length > 0
    ? `The gateway's address is ${addresses.join(", ")}.`
    : "The gateway's addresses are its nodes'.";
}

/** Whether istiod takes the nodes' addresses for the Service's: of a NodePort that says which nodes. */
export function isByNodes({ metadata, spec }: Service): boolean {
  return spec?.type === "NodePort" && metadata.annotations?.[NODE_SELECTOR] !== undefined;
}

/** Why the Service has no address, and what to do about it. */
export function withoutAddress({ metadata, spec }: Service): { readonly cause: string; readonly hint: string } {
  const { name, namespace } = metadata;
  if (spec?.type === "NodePort") {
    return {
      cause: `is a NodePort without the annotation ${NODE_SELECTOR}, by which istiod finds the nodes' addresses`,
      hint: `Say which nodes: kubectl -n ${namespace} annotate service ${name} ${NODE_SELECTOR}='{}'`,
    };
  }
  return {
    cause: "has no address",
    hint: `Is there a load balancer controller, and has it a free address? kubectl -n ${namespace} describe service ${name}`,
  };
}
