import { ADOPTED, type Adoption } from "../adoption.ts";
import { isMapping } from "../fields.ts";
import type { ClusterSpec, MeshSpec, SettledMesh, Values } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

/** Istio's label for the network that a namespace, Service or pod belongs to. */
export const NETWORK_LABEL = "topology.istio.io/network";

export const ISTIO = { apiVersion: "sailoperator.io/v1", kind: "Istio" } as const;
/** What the operator makes of an `Istio`. It holds the operator's finalizer until istiod is gone. */
export const ISTIO_REVISION = { apiVersion: "sailoperator.io/v1", kind: "IstioRevision" } as const;

/** The control plane's namespace with its network label, by which pods without a sidecar get their network. */
export function namespace(mesh: MeshSpec, cluster: ClusterSpec): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: mesh.namespace,
      labels: { ...ownership(mesh, "control-plane"), [NETWORK_LABEL]: cluster.network },
    },
  };
}

/** The identity that every part of the mesh must agree on, in istiod's Helm values. */
export function identityValues(mesh: Pick<MeshSpec, "id">, cluster: Pick<ClusterSpec, "name" | "network">) {
  return { global: { meshID: mesh.id, network: cluster.network, multiCluster: { clusterName: cluster.name } } };
}

/**
 * The Sail Operator's `Istio` resource; the user's values with the mesh's identity merged in.
 * @param version without a leading `v`, where it is not the mesh's: the name of a line
 * @param adoption where it has lived alone
 */
export function istio(
  mesh: SettledMesh,
  cluster: ClusterSpec,
  version = mesh.istioVersion,
  adoption?: Adoption,
): KubernetesObject {
  const annotations = adoption && !adoption.byNames && { [ADOPTED]: JSON.stringify(adoption.record) };
  const args = adoption?.args && { pilot: { extraContainerArgs: adoption.args } };
  const values = mergeValues(cluster.values, identityValues(mesh, cluster));
  return {
    ...ISTIO,
    metadata: {
      name: mesh.istioResource,
      labels: ownership(mesh, "control-plane"),
      ...(annotations ? { annotations } : {}),
    },
    spec: { version: `v${version}`, namespace: mesh.namespace, values: mergeValues(values, args ?? {}) },
  };
}

/**
 * What istioctl makes the same control plane of: the charts that the Sail Operator installs with their own defaults, and no
 * gateways. The base chart's default revision is what validates objects without a revision; it goes with the revision that
 * needs no name.
 */
export function istioOperator(mesh: MeshSpec, cluster: ClusterSpec): KubernetesObject {
  const isDefault = mesh.istioResource === "default";
  const defaults = { defaultRevision: isDefault ? "default" : "", global: { istioNamespace: mesh.namespace } };
  return {
    apiVersion: "install.istio.io/v1alpha1",
    kind: "IstioOperator",
    metadata: { name: mesh.istioResource, namespace: mesh.namespace },
    spec: {
      profile: "minimal",
      namespace: mesh.namespace,
      ...(isDefault ? {} : { revision: mesh.istioResource }),
      components: { base: { enabled: true }, pilot: { enabled: true } },
      values: mergeValues(defaults, mergeValues(cluster.values, identityValues(mesh, cluster))),
    },
  };
}

const CRD = "CustomResourceDefinition";

/**
 * An object of istioctl's manifests as ours. Not Istio's CRDs: they serve whatever else uses them, and with them would go
 * every object of theirs.
 */
export function owned(mesh: MeshSpec, object: KubernetesObject): KubernetesObject {
  if (object.kind === CRD) return object;
  const { metadata } = object;
  const labels = { ...metadata.labels, ...ownership(mesh, "control-plane") };
  return { ...object, metadata: { ...metadata, labels } };
}

/** The manifests in the order to apply them, a group at a time: kinds, what is needed to run, and what runs or asks istiod. */
export function inOrder(objects: readonly KubernetesObject[]): KubernetesObject[][] {
  const place = ({ kind }: KubernetesObject) => (kind === CRD ? 0 : /^Deployment$|Webhook|Policy/.test(kind) ? 2 : 1);
  return [0, 1, 2].map((group) => objects.filter((object) => place(object) === group));
}

interface WebhookConfiguration extends KubernetesObject {
  webhooks?: ({ name: string; failurePolicy?: string } & Values)[];
}

/**
 * The manifest without what istiod sets on the object that is there: its webhooks let everything pass until istiod serves,
 * which then makes them refuse. That is its field from then on.
 */
export function withoutIstiods(object: KubernetesObject, existing: KubernetesObject | undefined): KubernetesObject {
  const { webhooks } = object as WebhookConfiguration;
  const before = (existing as WebhookConfiguration | undefined)?.webhooks;
  if (!webhooks || !before) return object;
  return {
    ...object,
    webhooks: webhooks.map(({ failurePolicy, ...webhook }) => {
      const now = before.find(({ name }) => name === webhook.name)?.failurePolicy ?? failurePolicy;
      return failurePolicy === undefined || now !== failurePolicy ? webhook : { ...webhook, failurePolicy };
    }),
  };
}

/** Whether the values say themselves which image istiod has, so that the version does not. */
export function imageIsChosen(values: Values | undefined): boolean {
  const { pilot, global } = values ?? {};
  return [pilot, global].some((each) => isMapping(each) && (each.tag ?? (each === pilot ? each.image : undefined)));
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
