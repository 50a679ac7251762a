import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { MTLS_PORT } from "../mesh/objects/gateway.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import { failed, passed } from "./finding.ts";
import { mtlsPort } from "./gateway-service.ts";
import { type Gateways, matches, type Observation } from "./observation.ts";

/** What one port of a gateway does with whom. */
interface Server {
  readonly port?: { readonly number?: number | undefined; readonly protocol?: string | undefined };
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
  spec: { addresses?: { type?: string; value?: string }[]; listeners?: Listener[] };
}

/** A Gateway of either API. */
interface Exposure {
  /** As messages name it. */
  readonly name: string;
  /** The command to change it. */
  readonly edit: string;
  readonly servers: readonly Server[];
  /** Whether it configures the proxies of the east-west gateway. */
  readonly selects: boolean;
}

/** Whether a Gateway, of Istio's API or of Kubernetes', lets the other networks in to all Services. */
export function servicesAreExposed({
  exposures,
  kubernetesGateways,
  gateways,
}: Pick<Observation, "exposures" | "kubernetesGateways" | "gateways">): Finding {
  const behind = gateways();
  const ofIstio = exposures().map((gateway) => istioExposure(gateway, behind));
  const ports = behind.services.length > 0 ? [...new Set(behind.services.map(mtlsPort))] : [MTLS_PORT];
  const finding = judge(ofIstio, ports);
  if (finding.verdict === "passed") return finding;
  // Others than the east-west gateway's are for traffic of another kind.
  const ofKubernetes = kubernetesGateways()
    .map((gateway) => kubernetesExposure(gateway, behind))
    .filter(({ selects }) => selects);
  return ofKubernetes.length > 0 ? judge([...ofKubernetes, ...ofIstio], ports) : finding;
}

/** @param ports where the other networks come in */
function judge(exposures: readonly Exposure[], ports: readonly number[]): Finding {
  const selecting = exposures.filter(({ selects }) => selects);
  const reading = {
    source: "Gateways that configure the east-west gateway",
    values: Object.fromEntries(selecting.map(({ name, servers }) => [name, servers])),
  };
  if (selecting.length === 0) {
    const passing = exposures.filter(({ servers }) => servers.some(({ tls }) => tls?.mode === "AUTO_PASSTHROUGH"));
    const names = passing.map(({ name }) => name).join(", ");
    return failed(
      passing.length > 0
        ? `${names} exposes services, but its selector does not match the east-west gateway's pods.`
        : "No Gateway exposes the services: the east-west gateway lets nobody in.",
      "Run the command `install`, or apply Istio's expose-services Gateway (port 15443, AUTO_PASSTHROUGH, *.local).",
      reading,
    );
  }
  const problems = selecting.map((exposure) => ({ exposure, problem: problemOf(exposure, ports) }));
  const right = problems.find(({ problem }) => problem === undefined);
  if (right) return passed(`${right.exposure.name} exposes *.local on ${ports.join(", ")}, AUTO_PASSTHROUGH.`, reading);
  return failed(
    `The services are not exposed: ${problems.map(({ exposure, problem }) => `${exposure.name} ${problem}`).join("; ")}.`,
    `${problems[0]?.exposure.edit}, or run the command \`install\`.`,
    reading,
  );
}

function istioExposure({ metadata, spec }: IstioGateway, { services, deployments, pods }: Gateways): Exposure {
  // Pods may be missing, and the Gateway be right all the same.
  const labels = [
    ...pods.map((pod) => pod.metadata.labels ?? {}),
    ...deployments.map((deployment) => deployment.spec.template.metadata?.labels ?? {}),
    ...(pods.length + deployments.length === 0 ? services.map((service) => service.spec?.selector ?? {}) : []),
  ];
  return {
    name: `Gateway ${metadata.namespace}/${metadata.name}`,
    edit: `kubectl -n ${metadata.namespace} edit gateways.networking.istio.io ${metadata.name}`,
    servers: spec.servers ?? [],
    selects: labels.some((each) => matches(spec.selector ?? {}, each)),
  };
}

/** istiod labels the pods that it makes for such a Gateway with this; else the Gateway names their Service. */
const OF_GATEWAY = "gateway.networking.k8s.io/gateway-name";

/** What istiod makes of it (pilot/pkg/config/kube/gateway): a Gateway of its own, which the API server does not have. */
function kubernetesExposure(gateway: KubernetesGateway, { services, pods }: Gateways): Exposure {
  const { metadata, spec } = gateway;
  const { name, namespace = "" } = metadata;
  // A name without a dot is one in the Gateway's namespace.
  const hosts = (spec.addresses ?? []).map(({ value = "" }) =>
    value.includes(".") ? value : `${value}.${namespace}.svc`,
  );
  const named = services.some(({ metadata: { name, namespace } }) =>
    hosts.some((host) => `${host}.`.startsWith(`${name}.${namespace}.svc.`)),
  );
  const own = [...pods, ...services].some(
    (each) => each.metadata.namespace === namespace && each.metadata.labels?.[OF_GATEWAY] === name,
  );
  return {
    name: `Gateway ${namespace}/${name} of gateway.networking.k8s.io`,
    edit: `kubectl -n ${namespace} edit gateways.gateway.networking.k8s.io ${name}`,
    servers: (spec.listeners ?? []).map((listener) => ({
      port: { number: listener.port, protocol: listener.protocol },
      tls: { mode: modeOf(listener, gateway) },
      hosts: [listener.hostname ?? "*"],
    })),
    selects: own || named,
  };
}

/** By the listener's option, or because it has the port for it and the Gateway is a network's (`IsAutoPassthrough`). */
function modeOf({ port, tls }: Listener, gateway: KubernetesGateway): string {
  if (tls?.mode !== "Passthrough") return tls?.mode ?? "(none)";
  const asked = tls.options?.["gateway.istio.io/listener-protocol"] === "auto-passthrough";
  const meant = NETWORK_LABEL in (gateway.metadata.labels ?? {}) && port === mtlsPort(gateway);
  return asked || meant ? "AUTO_PASSTHROUGH" : "PASSTHROUGH";
}

const HOSTS = /^([^/]*\/)?(\*|\*\.local)$/;

/** What keeps a Gateway from exposing the services; `undefined`: nothing. */
function problemOf({ servers }: Exposure, ports: readonly number[]): string | undefined {
  if (servers.length === 0) return "has no server";
  const problems = servers.map(({ port, tls, hosts = [] }) =>
    [
      ports.includes(port?.number ?? 0) ? [] : `listens on port ${port?.number} instead of ${ports.join(", ")}`,
      port?.protocol === "TLS" ? [] : `has protocol ${port?.protocol} instead of TLS`,
      tls?.mode === "AUTO_PASSTHROUGH" ? [] : `has TLS mode ${tls?.mode ?? "(none)"} instead of AUTO_PASSTHROUGH`,
      hosts.some((host) => HOSTS.test(host)) ? [] : `has hosts ${hosts.join(", ")} instead of *.local`,
    ].flat(),
  );
  // The one that is nearest to what it should be is most likely the one that was meant.
  const nearest = problems.sort((a, b) => a.length - b.length)[0] as string[];
  return nearest.length === 0 ? undefined : nearest.join(" and ");
}
