import type { Cluster } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { isOurs, notOurs, type Owner, ownerOf } from "../mesh/claim.ts";
import { cniNamespace, ISTIO_CNI } from "../mesh/objects/cni.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import { exposure } from "../mesh/objects/exposure.ts";
import { gateway } from "../mesh/objects/gateway.ts";
import { describe, type KubernetesObject, type ObjectRef, refOf } from "../mesh/objects/object.ts";
import { COMPONENT, MANAGED_BY, MANAGER, OWN_KINDS, PART_OF } from "../mesh/objects/ownership.ts";
import { PROBE_NAMESPACES } from "../mesh/objects/probe.ts";
import { readerToken } from "../mesh/objects/reader.ts";
import { cacerts, REMOTE_SECRET_LABEL, type Secret } from "../mesh/objects/secrets.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, UninstallScope } from "../mesh/spec.ts";
import { LINKS } from "./rights.ts";

/** What there is to remove in one cluster. Our objects are found by their labels, whatever their names. */
export interface Inventory {
  readonly owner: Owner;
  readonly remoteSecrets: readonly KubernetesObject[];
  /** Those that are not ours, and stay. */
  readonly foreignRemoteSecrets: readonly Secret[];
  readonly exposures: readonly KubernetesObject[];
  /** What the other clusters read this one by. */
  readonly access: readonly KubernetesObject[];
  readonly gateway: readonly KubernetesObject[];
  readonly istios: readonly KubernetesObject[];
  /** What istioctl made of the control plane. */
  readonly controlPlane: readonly KubernetesObject[];
  readonly cnis: readonly KubernetesObject[];
  /** The CNI plugin's namespace, if it is ours. */
  readonly cniNamespace: KubernetesObject | undefined;
  readonly rest: readonly KubernetesObject[];
  readonly probes: readonly KubernetesObject[];
  /** The control plane's, ours or not. */
  readonly namespace: KubernetesObject | undefined;
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
  const kinds = OWN_KINDS.filter(({ kind }) => kind !== "Namespace" && (all || LINKS.includes(kind)));
  const [uid, labelled, remoteSecrets, probes, istios, own, ofCni, named] = await Promise.all([
    cluster.uid(),
    Promise.all(
      kinds.map(({ apiVersion, kind, clusterScoped }) =>
        cluster.list({ apiVersion, kind, labelSelector, ...(clusterScoped ? {} : { namespace }) }),
      ),
    ),
    cluster.list<Secret>({ apiVersion: "v1", kind: "Secret", namespace, labelSelector: `${REMOTE_SECRET_LABEL}=true` }),
    cluster.list({ apiVersion: "v1", kind: "Namespace", labelSelector: PROBE_NAMESPACES }),
    all ? cluster.list<IstioResource>(ISTIO) : [],
    cluster.get({ apiVersion: "v1", kind: "Namespace", name: namespace }),
    all ? ownCniNamespace(mesh, cluster) : undefined,
    Promise.all(ourNames(mesh, scope, member).map((ref) => cluster.get(ref))),
  ]);
  const owner = ownerOf(mesh, uid);
  const why = (object: KubernetesObject) => notOurs(owner, object) ?? notToTouch(mesh, object);
  const ours = labelled.flat().filter((object) => !why(object));
  const ofComponent = (component: string) => ours.filter(({ metadata }) => metadata.labels?.[COMPONENT] === component);
  const access = ofComponent("reader").filter(({ kind }) => kind === "Secret" || kind === "ClusterRoleBinding");
  const found = {
    remoteSecrets: ofComponent("remote-secret"),
    exposures: ofComponent("exposure"),
    access,
    gateway: all ? ofComponent("east-west-gateway") : [],
    istios: ours.filter(({ kind }) => kind === ISTIO.kind),
    cnis: ours.filter(({ kind }) => kind === ISTIO_CNI.kind),
    controlPlane: all ? ofComponent("control-plane").filter(({ kind }) => kind !== ISTIO.kind) : [],
  };
  const known = new Set(Object.values(found).flat());
  const alike = [
    ...labelled.flat(),
    ...remoteSecrets,
    ...istios.filter(({ spec }) => spec.namespace === namespace),
    ...named.flatMap((each) => each ?? []),
  ];
  return {
    owner,
    ...found,
    foreignRemoteSecrets: remoteSecrets.filter(why),
    rest: all ? ours.filter((object) => !known.has(object)) : [],
    probes: probes.filter((probe) => isOurs(owner, probe)),
    namespace: own,
    cniNamespace: ofCni && !why(ofCni) ? ofCni : undefined,
    shared: [...labelled.flat(), ...(own ? [own] : [])].some(
      ({ metadata: { labels = {} } }) => labels[MANAGED_BY] === MANAGER && labels[PART_OF] !== mesh.id,
    ),
    strangers: alike.flatMap((object) => {
      const because = why(object);
      return because ? [{ ref: refOf(object), why: because }] : [];
    }),
  };
}

/** Why what is of a control plane stays though its labels say that it is ours; in a sentence. */
function notToTouch(
  { installer, namespace }: MeshSpec,
  { kind, metadata, spec }: KubernetesObject,
): string | undefined {
  const component = metadata.labels?.[COMPONENT];
  if (installer === "existing" && (component === "control-plane" || component === "cni"))
    return "`installer: existing` leaves control planes alone.";
  if (kind !== ISTIO.kind) return undefined;
  const other = (spec as IstioResource["spec"]).namespace;
  return other === namespace ? undefined : `It is for namespace ${other}, not for ${namespace}.`;
}

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
