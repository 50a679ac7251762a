import type { Cluster } from "../cluster/cluster.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import { isUpstreamOperator, type OperatorRelease, operatorRelease, operatorVersion } from "../mesh/versions.ts";

/** The Lease by which replicas of a Sail Operator agree on one leader: its name in every build, whoever ships it (cmd/main.go). */
export const OPERATOR_LEASE = "sail-operator-lock";

/** A leader renews its Lease every few seconds. One that nobody has renewed for so long is what an operator left. Milliseconds. */
const LIVE = 10 * 60_000;

interface Crd extends KubernetesObject {
  spec: { versions: { name: string; served: boolean; schema?: { openAPIV3Schema?: Schema } }[] };
}
interface Schema {
  properties?: Record<string, Schema>;
  enum?: string[];
}

interface Lease extends KubernetesObject {
  spec?: { holderIdentity?: string; renewTime?: string };
}

/** The images that the operator puts in the place of its charts' own, by the component: `istiod`, `proxy`, `cni`. */
export type Pins = Readonly<Record<string, string>>;

/** The Sail Operator as it is on a cluster. */
export interface FoundOperator {
  /** Whether the CRD of `Istio` is there, and whether in the version that we use. */
  readonly crd: "served" | "older" | "missing";
  /** What the CRD offers as `spec.version`, each with its `v`; `undefined` where it does not say. */
  readonly offers: readonly string[] | undefined;
  readonly deployment: Deployment | undefined;
  /** Who holds its Lease; an operator whose Deployment cannot be told is there all the same. */
  readonly holder?: string;
  /** `X.Y.Z` and a vendor's suffix, by its image's tag. */
  readonly version: string | undefined;
  /** What is known of it, where it is upstream's. */
  readonly release?: OperatorRelease;
}

/** What there is of the operator on a cluster. */
export async function findOperator(cluster: Cluster): Promise<FoundOperator> {
  const [crd, { deployment, holder }] = await Promise.all([
    cluster.get<Crd>({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      name: "istios.sailoperator.io",
    }),
    operatorDeployment(cluster),
  ]);
  const served = crd?.spec.versions.find((version) => version.name === "v1" && version.served);
  const image = operatorImage(deployment);
  const version = image && operatorVersion(image);
  const release = version && isUpstreamOperator(image) ? operatorRelease(version) : undefined;
  return {
    crd: served ? "served" : crd ? "older" : "missing",
    offers: served?.schema?.openAPIV3Schema?.properties?.spec?.properties?.version?.enum,
    deployment,
    ...(holder ? { holder } : {}),
    version,
    ...(release ? { release } : {}),
  };
}

/** Whether there is an operator: its Deployment, or somebody who holds its Lease. */
export function hasOperator({ deployment, holder }: FoundOperator): boolean {
  return deployment !== undefined || holder !== undefined;
}

/** The operator's Deployment: by the Lease, else by the labels that charts and bundles are known to give it. */
export async function operatorDeployment(
  cluster: Cluster,
): Promise<{ deployment: Deployment | undefined; holder: string | undefined }> {
  const kind = { apiVersion: "apps/v1", kind: "Deployment" };
  const [leases, ...labelled] = await Promise.all([
    cluster.list<Lease>({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      fieldSelector: `metadata.name=${OPERATOR_LEASE}`,
    }),
    ...["app.kubernetes.io/name", "control-plane"].map((label) =>
      cluster.list<Deployment>({ ...kind, labelSelector: `${label} in (sail-operator,servicemesh-operator3)` }),
    ),
  ]);
  const live = leases.filter(isHeld).toSorted((a, b) => renewed(b) - renewed(a));
  for (const { metadata, spec } of live) {
    const there = await cluster.list<Deployment>({ ...kind, namespace: metadata.namespace as string });
    // A pod of a Deployment is named after it: NAME-HASH-HASH, and the leader calls itself POD_UUID.
    const named = there.filter(({ metadata: { name } }) => spec?.holderIdentity?.startsWith(`${name}-`));
    const longest = named.toSorted((a, b) => b.metadata.name.length - a.metadata.name.length)[0];
    const deployment = longest ?? (there.length === 1 ? there[0] : labelled.flat()[0]);
    return { deployment, holder: `${spec?.holderIdentity} in namespace ${metadata.namespace}` };
  }
  return { deployment: labelled.flat()[0], holder: undefined };
}

function renewed({ spec, metadata }: Lease): number {
  return Date.parse(spec?.renewTime ?? metadata.creationTimestamp ?? "") || 0;
}

function isHeld(lease: Lease): boolean {
  return Boolean(lease.spec?.holderIdentity) && Date.now() - renewed(lease) < LIVE;
}

/** The image of the operator itself, among those of its pod. */
function operatorImage(deployment: Deployment | undefined): string | undefined {
  const containers = deployment?.spec.template.spec.containers ?? [];
  const own = containers.find(({ name, image = "" }) => /operator|^manager$/.test(name) || /operator/.test(image));
  return (own ?? containers[0])?.image;
}

/**
 * The images that an operator pins for an Istio version, by its pod's annotations `images.v1_26_3.istiod` and so on
 * (pkg/config, pkg/istiovalues/digests.go); `undefined` where it has none for it: then its charts' own are used.
 */
export function pinsOf({ deployment }: Pick<FoundOperator, "deployment">, istioVersion: string): Pins | undefined {
  const annotations = deployment?.spec.template.metadata?.annotations ?? {};
  const prefix = `images.v${istioVersion.replaceAll(".", "_")}.`;
  const pins = Object.entries(annotations).flatMap(([key, image]) =>
    key.startsWith(prefix) ? [[key.slice(prefix.length), image] as const] : [],
  );
  return pins.length > 0 ? Object.fromEntries(pins) : undefined;
}
