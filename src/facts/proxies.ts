import type { Cluster } from "../cluster/cluster.ts";
import { fields, text } from "../mesh/fields.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { isOn } from "./config.ts";
import { DEFAULT_CLUSTER_NAME } from "./identity.ts";

/** A pod with a proxy: a workload, or a gateway. By what it was injected with, which stays so until it is replaced. */
export interface MeshProxy {
  readonly namespace: string;
  readonly pod: string;
  /** Of the istiod that injected it. */
  readonly revision: string;
  readonly clusterName: string;
  readonly network: string | undefined;
}

/** What else a proxy was injected with. */
export interface InjectedProxy extends MeshProxy {
  readonly meshId: string | undefined;
  /** The namespace of the istiod that it asks for its configuration; `undefined`: its address does not say. */
  readonly controlPlane: string | undefined;
  readonly image: string | undefined;
  /** `sidecar`, `router`, which is a gateway, or `waypoint`. */
  readonly role: string;
  /** Whether its owner gave it a network by its own configuration. */
  readonly ownNetwork: boolean;
  /** When it came up, with a certificate and roots of that time; `undefined`: it does not run. */
  readonly started: Date | undefined;
  /** The ConfigMap of its namespace in which it finds what istiod is trusted by; `undefined`: in none. */
  readonly rootFrom: string | undefined;
  /** Whether its certificates, and the roots that it trusts, come from SPIRE. */
  readonly bySpire: boolean;
  /** Whether it may have got other roots since, or at other times than proxies usually do. */
  readonly ownRenewal: boolean;
  /** How long a certificate it asks for, in milliseconds, where that is set (`SECRET_TTL`). */
  readonly secretTtl: number | undefined;
}

/** The proxies of a cluster's active pods. Takes `list pods` in all namespaces. */
export async function readProxies(cluster: Cluster): Promise<InjectedProxy[]> {
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod" })) as unknown as Pod[];
  return pods.flatMap((pod) => {
    const { metadata, status } = pod;
    if (metadata.deletionTimestamp || status?.phase === "Failed" || status?.phase === "Succeeded") return [];
    return proxyOf(pod) ?? [];
  });
}

/** A pod's proxy; `undefined` where it has none. The node proxies of ambient are called so, too, and are none. */
export function proxyOf({ metadata, spec, status }: Pod): InjectedProxy | undefined {
  // A sidecar of Kubernetes' own kind is among the init containers, where Istio 1.27 and later put it.
  const proxy = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name, args }) => name === "istio-proxy" && !args?.includes("ztunnel"),
  );
  if (!proxy) return undefined;
  // Of a variable that is there twice, the last one counts, as to Kubernetes.
  const env = (wanted: string) => proxy.env?.findLast(({ name }) => name === wanted)?.value || undefined;
  const { startedAt } =
    [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(
      ({ name }) => name === "istio-proxy",
    )?.state?.running ?? {};
  return {
    namespace: metadata.namespace ?? "default",
    pod: metadata.name,
    revision: revisionOf(metadata),
    clusterName: env("ISTIO_META_CLUSTER_ID") ?? DEFAULT_CLUSTER_NAME,
    network: env("ISTIO_META_NETWORK"),
    meshId: env("ISTIO_META_MESH_ID"),
    controlPlane: controlPlaneIn(env("PROXY_CONFIG"), env("CA_ADDR")),
    image: proxy.image,
    role: ROLES.find((role) => proxy.args?.includes(role)) ?? "sidecar",
    ownNetwork: metadata.annotations?.["proxy.istio.io/config"]?.includes("ISTIO_META_NETWORK") ?? false,
    started: startedAt ? new Date(startedAt) : undefined,
    rootFrom: spec?.volumes?.find(({ name }) => name === "istiod-ca-cert")?.configMap?.name,
    bySpire: spec?.volumes?.some(({ csi }) => csi?.driver === SPIRE_DRIVER) ?? false,
    ownRenewal: env("SECRET_TTL") !== undefined || isOn(env("PROXY_CONFIG_XDS_AGENT")),
    secretTtl: goDuration(env("SECRET_TTL")),
  };
}

/** Milliseconds of a duration as Go writes it, such as `24h0m0s`; `undefined` where it is none. */
function goDuration(text = ""): number | undefined {
  if (!/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g);
  return [...parts].reduce((sum, [, number, unit = ""]) => sum + Number(number) * (units[unit] ?? 0), 0);
}

/** The driver of the volume by which SPIRE hands certificates to a pod. */
export const SPIRE_DRIVER = "csi.spiffe.io";

/** What the agent is started as. */
const ROLES = ["router", "waypoint", "sidecar"];

/** `istiod-canary.istio-system.svc:15012` */
const ISTIOD_ADDRESS = /^istiod[\w-]*\.([\w-]+)\.svc\b/;

/** @param proxyConfig what differs from the proxies' defaults, JSON @param caAddress who signs for it, istiod as a rule */
function controlPlaneIn(proxyConfig: string | undefined, caAddress = ""): string | undefined {
  const address = text(fields(parsed(proxyConfig)).discoveryAddress);
  return ISTIOD_ADDRESS.exec(address ?? caAddress)?.[1];
}

/** The revision of the istiod that injected a pod. Injection says it in an annotation of its own, and in that of its status, which older versions have alone. */
export function revisionOf({ annotations = {} }: Pod["metadata"]): string {
  if (annotations["istio.io/rev"]) return annotations["istio.io/rev"];
  return text(fields(parsed(annotations["sidecar.istio.io/status"])).revision) ?? "default";
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? "");
  } catch {
    return undefined;
  }
}
