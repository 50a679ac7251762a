import pLimit from "p-limit";
import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { type KubernetesObject, qualifiedName } from "../mesh/objects/object.ts";
import { debug } from "./debug.ts";

/** What a cluster has for the others, as its own API server tells it. Services are by `namespace/name`. */
export interface Offer {
  /** The endpoints, as `address:port`, of each Service that has any. */
  readonly endpoints: ReadonlyMap<string, Endpoints>;
  readonly services: ReadonlyMap<string, KubernetesObject>;
  /** The namespaces' labels. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export interface Endpoints {
  /** Those that requests may be sent to. */
  readonly ready: ReadonlySet<string>;
  readonly all: ReadonlySet<string>;
}

/** A way into a network, as istiod has it. */
export interface HeldGateway {
  readonly network: string;
  /** The cluster that it was found in; empty where the mesh's configuration names it. */
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
}

/** An endpoint, as istiod has it. */
export interface HeldEndpoint {
  /** Or that of something else, such as a WorkloadEntry. */
  readonly ofPod: boolean;
  /** Whether it takes mutual TLS, by which alone it is reached through a gateway. */
  readonly takesMtls: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

/** What one replica of istiod holds of the clusters. */
export interface Held {
  readonly pod: string;
  /** By cluster, Service and `address:port`. */
  readonly endpoints: ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, HeldEndpoint>>>;
  readonly gateways: readonly HeldGateway[];
}

interface EndpointSlice extends KubernetesObject {
  addressType?: string;
  endpoints?: { addresses: string[]; conditions?: { ready?: boolean | null } }[] | null;
  ports?: { port?: number | null }[] | null;
}

const SERVICE_NAME = "kubernetes.io/service-name";
/** Of a slice that another cluster's endpoints were imported by, which istiod leaves aside. */
const IMPORTED = "multicluster.kubernetes.io/service-name";

/** Reads what a cluster has for the others: three lists, whatever its size. */
export async function readOffer(cluster: Cluster): Promise<Offer> {
  const [slices, services, namespaces] = await Promise.all([
    cluster.list<EndpointSlice>({ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice" }),
    cluster.list<KubernetesObject>({ apiVersion: "v1", kind: "Service" }),
    cluster.list<KubernetesObject>({ apiVersion: "v1", kind: "Namespace" }),
  ]);
  return {
    endpoints: endpointsIn(slices),
    services: new Map(services.map((service) => [qualifiedName(service), service])),
    namespaces: new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
  };
}

/** The endpoints that istiod makes of slices (pilot/pkg/serviceregistry/kube/controller/endpointslice.go). */
function endpointsIn(slices: readonly EndpointSlice[]): Map<string, Endpoints> {
  const found = new Map<string, { ready: Set<string>; all: Set<string> }>();
  for (const { metadata, addressType, endpoints, ports } of slices) {
    const service = metadata.labels?.[SERVICE_NAME];
    if (!service || metadata.labels?.[IMPORTED] || addressType === "FQDN") continue;
    const key = `${metadata.namespace}/${service}`;
    const of = found.get(key) ?? { ready: new Set(), all: new Set() };
    for (const { addresses, conditions } of endpoints ?? []) {
      for (const address of addresses) {
        for (const { port } of ports ?? []) {
          const endpoint = `${address}:${port ?? 0}`;
          of.all.add(endpoint);
          // Nothing said is ready, as Kubernetes has it.
          if (conditions?.ready !== false) of.ready.add(endpoint);
        }
      }
    }
    if (of.all.size > 0) found.set(key, of);
  }
  return found;
}

/** Dumps under way at once: each may be tens of megabytes, of which little is kept. */
const DUMPS = pLimit(2);
/** A dump of all endpoints that an istiod knows may take its time. Milliseconds. */
const DUMP = 120_000;

/** What a replica of istiod holds now. @throws as `debug` */
export async function readHeld(cluster: Cluster, namespace: string, pod: string): Promise<Held> {
  const [endpoints, gateways] = await Promise.all([
    DUMPS(async () => endpointsHeld(await debug(cluster, namespace, pod, "endpointShardz", DUMP))),
    debug(cluster, namespace, pod, "networkz").then(gatewaysHeld),
  ]);
  return { pod, endpoints, gateways };
}

/** As istiod's EndpointIndex writes it: host name, namespace, `Shards`, `provider/cluster` (pilot/pkg/model/endpointshards.go). */
type Shardz = Record<string, Record<string, { Shards?: Record<string, ShardEndpoint[] | null> | null }>>;

interface ShardEndpoint {
  readonly Addresses?: readonly string[] | null;
  readonly EndpointPort?: number;
  /** Of a pod alone. */
  readonly NodeName?: string;
  /** `istio` where a sidecar is there to take it. */
  readonly TLSMode?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

const KUBERNETES = "Kubernetes/";
/** The Services of Kubernetes' multi-cluster API: the same endpoints once more. */
const CLUSTER_SET = ".svc.clusterset.local";

function endpointsHeld(shardz: unknown): Map<string, Map<string, Map<string, HeldEndpoint>>> {
  if (typeof shardz !== "object" || shardz === null) throw new Failure("its endpoints cannot be read");
  const held = new Map<string, Map<string, Map<string, HeldEndpoint>>>();
  for (const [host, namespaces] of Object.entries(shardz as Shardz)) {
    if (host.endsWith(CLUSTER_SET)) continue;
    for (const [namespace, { Shards }] of Object.entries(namespaces)) {
      // The cluster's domain may be any.
      const end = host.indexOf(`.${namespace}.svc.`);
      if (end < 0) continue;
      const service = `${namespace}/${host.slice(0, end)}`;
      for (const [shard, endpoints] of Object.entries(Shards ?? {})) {
        if (!shard.startsWith(KUBERNETES)) continue;
        const cluster = shard.slice(KUBERNETES.length);
        const ofCluster = held.get(cluster) ?? new Map<string, Map<string, HeldEndpoint>>();
        held.set(cluster, ofCluster);
        const ofService = new Map<string, HeldEndpoint>();
        for (const { Addresses, EndpointPort, NodeName, TLSMode, Labels } of endpoints ?? []) {
          const endpoint = { ofPod: Boolean(NodeName), takesMtls: TLSMode === "istio", labels: Labels ?? {} };
          for (const address of Addresses ?? []) ofService.set(`${address}:${EndpointPort ?? 0}`, endpoint);
        }
        ofCluster.set(service, ofService);
      }
    }
  }
  return held;
}

function gatewaysHeld(networkz: unknown): HeldGateway[] {
  // Where it has none, Go writes no list.
  return ((networkz ?? []) as Record<string, unknown>[]).map(({ Network, Cluster, Addr, Port }) => ({
    network: String(Network ?? ""),
    cluster: String(Cluster ?? ""),
    address: String(Addr ?? ""),
    port: Number(Port ?? 0),
  }));
}
