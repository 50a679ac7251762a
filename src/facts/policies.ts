import type { Cluster } from "../cluster/cluster.ts";
import { text } from "../mesh/fields.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import { type MeshConfig, readMeshConfig } from "./mesh-config.ts";

/** What may hide a Service from callers, or refuse them: Istio's own policies. */
export const POLICIES = [
  { apiVersion: "networking.istio.io/v1", kind: "DestinationRule" },
  { apiVersion: "networking.istio.io/v1", kind: "VirtualService" },
  { apiVersion: "networking.istio.io/v1", kind: "Sidecar" },
  { apiVersion: "security.istio.io/v1", kind: "PeerAuthentication" },
  { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" },
] as const;

/** How a DestinationRule has requests sent. */
export interface TrafficPolicy {
  tls?: { mode?: string; subjectAltNames?: string[] };
  loadBalancer?: { consistentHash?: object; localityLbSetting?: { enabled?: boolean | null; distribute?: unknown[] } };
  outlierDetection?: object;
}

/** The same with what it says of single ports, of which all that it says of others does not hold then. */
export interface PortPolicies extends TrafficPolicy {
  portLevelSettings?: (TrafficPolicy & { port?: { number?: number } })[];
}

/** What a VirtualService makes of requests by HTTP. */
export interface HttpRoute {
  match?: {
    name?: string;
    port?: number;
    sourceNamespace?: string;
    gateways?: string[];
    uri?: object;
    [other: string]: unknown;
  }[];
  route?: RouteDestination[];
  fault?: { abort?: { percentage?: { value?: number }; percent?: number } };
  redirect?: object;
  directResponse?: object;
  delegate?: object;
}

export interface RouteDestination {
  destination?: { host?: string; subset?: string };
  weight?: number;
}

/** Of what is read of it, all may be missing. */
export interface Policy extends KubernetesObject {
  spec?: {
    /** Of a DestinationRule. */
    host?: string;
    exportTo?: string[];
    trafficPolicy?: PortPolicies;
    subsets?: { name?: string; labels?: Record<string, string>; trafficPolicy?: PortPolicies }[];
    /** Of a VirtualService. */
    hosts?: string[];
    gateways?: string[];
    http?: HttpRoute[];
    tcp?: Pick<HttpRoute, "match" | "route">[];
    /** Of a Sidecar. */
    workloadSelector?: object;
    egress?: { hosts?: string[] }[];
    /** Of a PeerAuthentication. */
    mtls?: { mode?: string };
    /** By the port of the pod. */
    portLevelMtls?: Record<string, { mode?: string }>;
    /** Of an AuthorizationPolicy. */
    action?: string;
    rules?: unknown[];
    targetRef?: object;
    targetRefs?: unknown[];
    selector?: { matchLabels?: Record<string, string> };
  };
}

export type Policies = readonly Policy[];

/** All of a cluster, or of a namespace: five lists. Throws a `Failure` where one of them could not be read. */
export async function readPolicies(cluster: Cluster, namespace?: string): Promise<Policies> {
  const where = namespace === undefined ? {} : { namespace };
  const lists = await Promise.all(POLICIES.map((kind) => cluster.list<Policy>({ ...kind, ...where })));
  return lists.flat();
}

/** What a mesh says of all its workloads, in its root namespace. */
export interface RootPolicies {
  readonly namespace: string;
  readonly policies: Policies;
  /** See `MeshConfig`. */
  readonly autoMtls?: false;
  readonly defaultExportTo?: MeshConfig["defaultExportTo"];
  /** The networks that proxies are told of alone, as `ISTIO_META_REQUESTED_NETWORK_VIEW` has them. */
  readonly networkView?: string;
}

/**
 * The names of the NetworkPolicies in a namespace. Takes `list networkpolicies` there; throws a `Failure` where that is not
 * allowed.
 */
export async function readNetworkPolicies(cluster: Cluster, namespace: string): Promise<string[]> {
  const found = await cluster.list({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", namespace });
  return found.map(({ metadata }) => metadata.name);
}

/** @param system the control plane's namespace, which is the root namespace where the mesh configuration names no other */
export async function readRootPolicies(
  cluster: Cluster,
  system: string,
  revision: string,
  istiod: Deployment | undefined,
): Promise<RootPolicies> {
  const {
    rootNamespace: namespace = system,
    autoMtls,
    defaultExportTo = {},
    proxyMetadata,
  } = await readMeshConfig(cluster, system, revision, istiod);
  // What is another revision's its istiod does not read (pkg/config/model.go).
  const policies = (await readPolicies(cluster, namespace)).filter(({ metadata }) =>
    [undefined, revision].includes(metadata.labels?.["istio.io/rev"]),
  );
  const networkView = text(proxyMetadata.ISTIO_META_REQUESTED_NETWORK_VIEW);
  return {
    namespace,
    policies,
    defaultExportTo,
    ...(autoMtls === false ? { autoMtls } : {}),
    ...(networkView ? { networkView } : {}),
  };
}
