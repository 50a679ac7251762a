import { matches } from "../mesh/label-selector.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { mtlsPort, type Service } from "./gateway-service.ts";

/** The mode in which a gateway hands mutual TLS on as it comes. */
export const AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH";

/** What one port of a gateway does with whom. */
export interface Server {
  readonly port?: { readonly number?: number | undefined; readonly protocol?: string | undefined };
  readonly bind?: string;
  readonly tls?: { readonly mode?: string };
  readonly hosts?: readonly string[];
}

/** A Gateway of networking.istio.io. */
export interface IstioGateway extends KubernetesObject {
  spec: { selector?: Record<string, string>; servers?: Server[] };
}

interface Listener {
  readonly port?: number;
  readonly protocol?: string;
  readonly hostname?: string;
  readonly tls?: { readonly mode?: string; readonly options?: Readonly<Record<string, string>> };
}

/** A Gateway of gateway.networking.k8s.io. */
export interface KubernetesGateway extends KubernetesObject {
  spec: { gatewayClassName?: string; addresses?: { type?: string; value?: string }[]; listeners?: Listener[] };
}

/** A way into the network, and what stands behind it. */
export interface Way {
  readonly service: Service;
  /** The labels of what its selector takes: pods, or templates of pods to come. */
  readonly labels: readonly Readonly<Record<string, string>>[];
  readonly pods: readonly Pod[];
  /** The pods' port that the other networks' traffic arrives at. */
  readonly port: number;
  /** It has other pods beside. */
  readonly partly?: true;
}

/** A Gateway of either API. */
export interface Exposure {
  /** As messages name it. */
  readonly name: string;
  readonly kind: string;
  readonly metadata: KubernetesObject["metadata"];
  readonly servers: readonly Server[];
  /** Whether it configures the proxies of that way. */
  selects(way: Way): boolean;
  /** Whether its ports are a Service's, of which it may name no others. */
  readonly ofService: boolean;
}

export function istioExposure({ metadata, spec }: IstioGateway): Exposure {
  const { selector } = spec;
  return {
    name: `Gateway ${metadata.namespace}/${metadata.name}`,
    kind: "gateways.networking.istio.io",
    metadata,
    servers: spec.servers ?? [],
    // Without a selector it is everybody's.
    selects: ({ labels }) => labels.some((each) => matches(selector ?? {}, each)),
    ofService: false,
  };
}

/** istiod labels the pods that it makes for such a Gateway with this; else the Gateway names their Service. */
const OF_GATEWAY = "gateway.networking.k8s.io/gateway-name";

/** What istiod makes of it (pilot/pkg/config/kube/gateway): a Gateway of its own, which the API server does not have. */
export function kubernetesExposure(gateway: KubernetesGateway): Exposure {
  const { metadata, spec } = gateway;
  const { name, namespace = "" } = metadata;
  // A name without a dot is one in the Gateway's namespace.
  const hosts = (spec.addresses ?? []).map(({ value = "" }) =>
    value.includes(".") ? value : `${value}.${namespace}.svc`,
  );
  const isOwn = (each: { metadata: KubernetesObject["metadata"] | Pod["metadata"] }) =>
    each.metadata.namespace === namespace && each.metadata.labels?.[OF_GATEWAY] === name;
  return {
    name: `Gateway ${namespace}/${name} of gateway.networking.k8s.io`,
    kind: "gateways.gateway.networking.k8s.io",
    metadata,
    servers: (spec.listeners ?? []).map((listener) => ({
      port: { number: listener.port, protocol: listener.protocol },
      tls: { mode: modeOf(listener, gateway) },
      hosts: [listener.hostname ?? "*"],
    })),
    selects: ({ service, pods }) =>
      [service, ...pods].some(isOwn) ||
      hosts.some((host) => `${host}.`.startsWith(`${service.metadata.name}.${service.metadata.namespace}.svc.`)),
    ofService: true,
  };
}

/** The class of Gateways by which istiod learns of gateways elsewhere, and of which it makes nothing here. */
const REMOTE_CLASS = "istio-remote";

/** Those Gateways of Kubernetes' API that configure proxies. */
export function configuring(gateways: readonly KubernetesGateway[]): KubernetesGateway[] {
  return gateways.filter(({ spec }) => spec.gatewayClassName !== REMOTE_CLASS);
}

/** By the listener's option, or because it has the port for it and the Gateway is a network's (`IsAutoPassthrough`). */
function modeOf({ port, tls }: Listener, gateway: KubernetesGateway): string {
  if (tls?.mode !== "Passthrough") return tls?.mode ?? "(none)";
  const asked = tls.options?.["gateway.istio.io/listener-protocol"] === "auto-passthrough";
  const meant = NETWORK_LABEL in (gateway.metadata.labels ?? {}) && port === mtlsPort(gateway);
  return asked || meant ? AUTO_PASSTHROUGH : "PASSTHROUGH";
}
