import type { ClusterSpec, MeshSpec, Values } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

/** Istio's label for the network that a namespace, Service or pod belongs to. */
export const NETWORK_LABEL = "topology.istio.io/network";

export const ISTIO = { apiVersion: "sailoperator.io/v1", kind: "Istio" } as const;

/**
 * The control plane's namespace with its network label, by which pods without a sidecar get their network.
 * @param ours whether we created it: somebody else's namespace gets the network label and nothing more
 */
export function namespace(mesh: MeshSpec, cluster: ClusterSpec, ours: boolean): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: mesh.namespace,
      labels: { ...(ours ? ownership(mesh, "control-plane") : {}), [NETWORK_LABEL]: cluster.network },
    },
  };
}

/** The identity that every part of the mesh must agree on, in istiod's Helm values. */
export function identityValues(mesh: Pick<MeshSpec, "id">, cluster: Pick<ClusterSpec, "name" | "network">) {
  return { global: { meshID: mesh.id, network: cluster.network, multiCluster: { clusterName: cluster.name } } };
}

/** The Sail Operator's `Istio` resource; the user's values with the mesh's identity merged in. */
export function istio(mesh: MeshSpec, cluster: ClusterSpec): KubernetesObject {
  return {
    ...ISTIO,
    metadata: { name: mesh.istioResource, labels: ownership(mesh, "control-plane") },
    spec: {
      version: `v${mesh.istioVersion}`,
      namespace: mesh.namespace,
      values: mergeValues(cluster.values, identityValues(mesh, cluster)),
    },
  };
}

function isMapping(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Deep merge as Helm's: mappings are merged, everything else in `over` replaces what is in `base`. */
export function mergeValues(base: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isMapping(old) && isMapping(value) ? mergeValues(old, value) : value;
  }
  return merged;
}
