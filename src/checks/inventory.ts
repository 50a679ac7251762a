import type { Cluster } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { adoptionRecord } from "../mesh/adoption.ts";
import { isOurs, notOurs, type Owner, ownerOf } from "../mesh/claim.ts";
import { cniNamespace } from "../mesh/objects/cni.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import { exposure } from "../mesh/objects/exposure.ts";
import { gateway } from "../mesh/objects/gateway.ts";
import { describe, type KubernetesObject, type ObjectRef, refOf } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER, PART_OF } from "../mesh/objects/ownership.ts";
import { PROBE_NAMESPACES } from "../mesh/objects/probe.ts";
import { readerToken } from "../mesh/objects/reader.ts";
import { cacerts, REMOTE_SECRET_LABEL, type Secret } from "../mesh/objects/secrets.ts";
import { foundKinds, type Removal, removalOf, takenDown } from "../mesh/pieces.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, UninstallScope } from "../mesh/spec.ts";

/** What there is to remove in one cluster. Our objects are found by their labels, whatever their names. */
export interface Inventory {
  readonly owner: Owner;
  /** What is ours, by the step that takes it down; of the namespace, whosever it is. */
  readonly found: ReadonlyMap<Removal, readonly KubernetesObject[]>;
  /** Remote secrets that are not ours, and stay. */
  readonly foreignRemoteSecrets: readonly Secret[];
  /** `Istio` resources of somebody else's that this mesh has adopted: what was taken of them is given back. */
  readonly adopted: readonly IstioResource[];
  /** Whether there is something of another mesh of ours. */
  readonly shared: boolean;
  /** What is like ours and is not. */
  readonly strangers: readonly { readonly ref: ObjectRef; readonly why: string }[];
}

/** Reads what there is of ours in a cluster, and what looks like it; throws a `Failure` where it cannot. */
export async function takeInventory(mesh: MeshSpec, scope: UninstallScope, member: Member): Promise<Inventory> {
  const { cluster } = member;
  const { namespace } = mesh;
  const labelSelector = `${MANAGED_BY}=${MANAGER}`;
  const all = scope === "all";
  const [uid, labelled, remoteSecrets, probes, istios, own, ofCni, named] = await Promise.all([
    cluster.uid(),
    Promise.all(
      foundKinds(scope).map(({ apiVersion, kind, clusterScoped }) =>
        cluster.list({ apiVersion, kind, labelSelector, ...(clusterScoped ? {} : { namespace }) }),
      ),
    ).then((each) => each.flat()),
    cluster.list<Secret>({ apiVersion: "v1", kind: "Secret", namespace, labelSelector: `${REMOTE_SECRET_LABEL}=true` }),
    cluster.list({ apiVersion: "v1", kind: "Namespace", labelSelector: PROBE_NAMESPACES }),
    all ? cluster.list<IstioResource>(ISTIO) : [],
    cluster.get({ apiVersion: "v1", kind: "Namespace", name: namespace }),
    all ? ownCniNamespace(mesh, cluster) : undefined,
    Promise.all(ourNames(mesh, scope, member).map((ref) => cluster.get(ref))),
  ]);
  const owner = ownerOf(mesh, uid);
  const why = (object: KubernetesObject) => notOurs(owner, object) ?? notToTouch(mesh, object);
  const ours = [...labelled, ...probes, ...(ofCni ? [ofCni] : [])].filter((object) => !why(object));
  const steps = new Set(takenDown(scope).map(({ id }) => id));
  const found = Map.groupBy(ours, removalOf);
  const alike = [
    ...labelled,
    ...remoteSecrets,
    ...istios.filter(({ spec }) => spec.namespace === namespace),
    ...named.flatMap((each) => each ?? []),
  ];
  return {
    owner,
    found: new Map([...found, ["uninstall.namespace", own ? [own] : []] as const].filter(([id]) => steps.has(id))),
    foreignRemoteSecrets: remoteSecrets.filter(why),
    adopted:
      mesh.installer === "existing"
        ? []
        : istios.filter((each) => each.spec.namespace === namespace && adoptionRecord(each) && notOurs(owner, each)),
    shared: [...labelled, ...(own ? [own] : [])].some(
      ({ metadata: { labels = {} } }) => labels[MANAGED_BY] === MANAGER && labels[PART_OF] !== mesh.id,
    ),
    strangers: alike.flatMap((object) => {
      const because = why(object);
      return because ? [{ ref: refOf(object), why: because }] : [];
    }),
  };
}

/** Why what is of a control plane stays though its labels say that it is ours; in a sentence. */
function notToTouch({ installer, namespace }: MeshSpec, object: KubernetesObject): string | undefined {
  const { kind, spec } = object;
  if (installer === "existing" && OF_CONTROL_PLANES.has(removalOf(object)))
    return "`installer: existing` leaves control planes alone.";
  if (kind !== ISTIO.kind) return undefined;
  const other = (spec as IstioResource["spec"]).namespace;
  return other === namespace ? undefined : `It is for namespace ${other}, not for ${namespace}.`;
}

const OF_CONTROL_PLANES: ReadonlySet<Removal> = new Set(["uninstall.control-plane", "uninstall.cni"]);

/** The CNI plugin's namespace, if it is ours. */
export async function ownCniNamespace(mesh: MeshSpec, cluster: Cluster): Promise<KubernetesObject | undefined> {
  const [uid, found] = await Promise.all([cluster.uid(), cluster.get(refOf(cniNamespace(mesh)))]);
  return found && isOurs(ownerOf(mesh, uid), found) ? found : undefined;
}

/** The names under which `install` would make what is removed here: what has one of them and is not ours is worth a word. */
function ourNames(mesh: MeshSpec, scope: UninstallScope, { spec }: Member): ObjectRef[] {
  const { early, late } = gateway(mesh, spec, "default");
  const objects = [
    exposure(mesh),
    readerToken(mesh),
    ...(scope === "all" ? [cacerts(mesh, {}), ...early, ...late] : []),
  ];
  return objects.map(refOf);
}

/**
 * The `IstioRevision`s that go, or are about to: those of `Istio` resources that are gone already, or will be.
 * @param removing UIDs of the latter
 */
export function goingRevisions(
  mesh: MeshSpec,
  removing: ReadonlySet<string | undefined>,
  istios: readonly KubernetesObject[],
  revisions: readonly KubernetesObject[],
): KubernetesObject[] {
  const staying = new Set(istios.map(({ metadata }) => metadata.uid).filter((uid) => !removing.has(uid)));
  return revisions.filter(({ metadata, spec }) => {
    const owners = (metadata.ownerReferences ?? []).filter(({ kind }) => kind === ISTIO.kind);
    const orphaned = owners.length > 0 && owners.every(({ uid }) => !staying.has(uid));
    return (spec as IstioResource["spec"]).namespace === mesh.namespace && (metadata.deletionTimestamp || orphaned);
  });
}

/** What a namespace holds of its own accord: by Kubernetes, OpenShift and OLM in every one, by istiod where it ran. */
const COMMON: Readonly<Record<string, readonly string[]>> = {
  ConfigMap: ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert", "istio-ca-crl"],
  ServiceAccount: ["default", "builder", "deployer"],
  RoleBinding: ["system:deployers", "system:image-builders", "system:image-pullers"],
};
/** Kinds of which nobody keeps anything: Endpoints are their Service's, a Lease is held by what runs. */
const PASSING = new Set(["Event", "Endpoints", "Lease"]);
const LEADER = "control-plane.alpha.kubernetes.io/leader";
const COPIED_BY_OLM = "olm.copiedFrom";
const ACCOUNT = "kubernetes.io/service-account.name";

/** What in a namespace is somebody's, and what is only on its way to go with its owner. */
export function foreignContents(
  owner: Owner,
  contents: readonly KubernetesObject[],
): { foreign: KubernetesObject[]; passing: KubernetesObject[] } {
  const uids = new Set(contents.map(({ metadata }) => metadata.uid));
  const accounts = new Set(
    contents.filter(({ kind }) => kind === "ServiceAccount").map(({ metadata }) => metadata.name),
  );
  const somebodys = contents.filter((object) => {
    const { kind, metadata } = object;
    if (PASSING.has(kind) || COMMON[kind]?.includes(metadata.name) || metadata.deletionTimestamp) return false;
    if (metadata.annotations?.[LEADER] || metadata.labels?.[COPIED_BY_OLM]) return false;
    if (COMMON.ServiceAccount?.includes(metadata.annotations?.[ACCOUNT] ?? "")) return false;
    // What its owner takes along is told by its owner.
    if (metadata.ownerReferences?.some(({ uid }) => uids.has(uid))) return false;
    return !isOurs(owner, object);
  });
  const goes = ({ metadata }: KubernetesObject) => {
    const account = metadata.annotations?.[ACCOUNT];
    return (metadata.ownerReferences ?? []).length > 0 || (account !== undefined && !accounts.has(account));
  };
  return { foreign: somebodys.filter((object) => !goes(object)), passing: somebodys.filter(goes) };
}

/** For messages: what keeps an object from going. */
export function terminating(object: KubernetesObject): string {
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  const held = finalizers.length > 0 ? `, held by finalizer ${finalizers.join(", ")}` : "";
  // A namespace says what in it does not go.
  const { conditions = [] } = (object.status ?? {}) as { conditions?: { status: string; message?: string }[] };
  const told = conditions.flatMap(({ status, message }) => (status === "True" && message ? [message] : []));
  const why = object.kind === "Namespace" && told.length > 0 ? `: ${clip(told.join(" "))}` : "";
  return `${describe(refOf(object))} is ${deletionTimestamp ? "being deleted" : "still there"}${held}${why}`;
}
