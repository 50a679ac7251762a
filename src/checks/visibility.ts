import type { MeshConfig } from "../facts/mesh-config.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { ServiceSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly protocol?: string;
  readonly appProtocol?: string;
}

/** The annotation by which a Service says so. */
export const EXPORT_TO = "networking.istio.io/exportTo";

/** To which namespaces a Service is exported; `.` is its own, `*` are all, and nothing said is what the mesh says, or all. */
export function exportOf({ metadata }: KubernetesObject, config: MeshConfig | undefined): string[] {
  const own = metadata.annotations?.[EXPORT_TO]?.split(",").map((each) => each.trim()) ?? [];
  const said = own.length > 0 ? own : [...(config?.defaultServiceExportTo ?? [])];
  return said.map((each) => (each === "." ? (metadata.namespace ?? each) : each));
}

/** Istio's defaults (pilot/pkg/model/cluster_local.go): what every cluster has for itself. */
const LOCAL_NAMESPACE = "kube-system";
const LOCAL_SERVICE = "default/kubernetes";

/** By which rule the endpoints stay in their cluster; the most specific host decides. */
export function localRule({ namespace, name }: ServiceSpec, { clusterLocal }: MeshConfig): string | undefined {
  const host = `${name}.${namespace}.svc.`;
  const rank = (pattern: string) => {
    if (!pattern.startsWith("*")) return pattern.startsWith(host) ? Number.POSITIVE_INFINITY : -1;
    // The domain of the cluster may be any: what stands after it is not compared.
    const end = pattern.slice(1);
    return end === "" || host.endsWith(`${end.slice(0, end.indexOf(".svc") + 5)}`) || !end.includes(".svc")
      ? end.length
      : -1;
  };
  const [best] = clusterLocal.filter((each) => rank(each.host) >= 0).sort((a, b) => rank(b.host) - rank(a.host));
  if (best) return best.local ? `meshConfig.serviceSettings has ${best.host} as clusterLocal` : undefined;
  if (namespace === LOCAL_NAMESPACE) return `all of ${LOCAL_NAMESPACE} is each cluster's own`;
  return `${namespace}/${name}` === LOCAL_SERVICE ? "each cluster has its own" : undefined;
}

/** What a Service listens on. */
export function portsOf({ spec }: KubernetesObject): Port[] {
  return (spec as { ports?: Port[] } | undefined)?.ports ?? [];
}

/** Whether Istio routes it. */
export const isTcp = ({ protocol = "TCP" }: Port) => protocol === "TCP";

/** What Istio chooses the protocol by (pkg/config/kube/conversion.go): the field, else the name before its first hyphen. */
export const protocolOf = ({ name = "", appProtocol }: Port) => appProtocol ?? name.split("-")[0] ?? "";

/** What two Services of one name differ by, in words; `undefined`: nothing that Istio minds. @param asked the port that counts; absent: all */
export function differenceOf(asked: number | undefined, a: readonly Port[], b: readonly Port[]): string | undefined {
  const numbers = (ports: readonly Port[]) =>
    ports.map(({ port }) => port).filter((port) => asked === undefined || port === asked);
  const missing = [
    ...numbers(a).filter((each) => !numbers(b).includes(each)),
    ...numbers(b).filter((each) => !numbers(a).includes(each)),
  ];
  if (missing.length > 0)
    return `only one of them has ${count(missing.length, "port")} (${listed(missing.map(String))})`;
  for (const port of numbers(a)) {
    const [one, other] = [a, b].map((ports) => ports.find((each) => each.port === port) as Port);
    if (one && other && protocolOf(one) !== protocolOf(other))
      return `port ${port} is ${protocolOf(one) || "without a protocol"} in one and ${protocolOf(other) || "without a protocol"} in the other`;
  }
  return undefined;
}
