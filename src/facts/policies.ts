import type { Cluster } from "../cluster/cluster.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";

/** What may hide a Service from callers, or refuse them: Istio's own policies. */
export const POLICIES = [
  { apiVersion: "networking.istio.io/v1", kind: "DestinationRule" },
  { apiVersion: "networking.istio.io/v1", kind: "Sidecar" },
  { apiVersion: "security.istio.io/v1", kind: "PeerAuthentication" },
  { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy" },
] as const;

/** Of what is read of it, all may be missing. */
export interface Policy extends KubernetesObject {
  spec?: {
    /** Of a DestinationRule. */
    host?: string;
    trafficPolicy?: { tls?: { mode?: string } };
    /** Of a PeerAuthentication. */
    mtls?: { mode?: string };
    /** Of an AuthorizationPolicy. */
    action?: string;
    rules?: unknown[];
    selector?: { matchLabels?: Record<string, string> };
  };
}

export type Policies = readonly Policy[];

/** All of a cluster: four lists. Throws a `Failure` where one of them could not be read. */
export async function readPolicies(cluster: Cluster): Promise<Policies> {
  const lists = await Promise.all(POLICIES.map((kind) => cluster.list<Policy>(kind)));
  return lists.flat();
}
