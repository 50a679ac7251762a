// Whose an object is, and what may be done with it.
import { describe, type KubernetesObject, type ManagedFieldsEntry, type ObjectRef, refOf } from "./objects/object.ts";
import { COMPONENT, MANAGED_BY, MANAGER, PART_OF } from "./objects/ownership.ts";
import type { Claim } from "./pieces.ts";
import type { MeshSpec } from "./spec.ts";

/** Whose an object of ours is: a mesh's, in one cluster. */
export interface Owner {
  readonly mesh: string;
  /** The control planes'. */
  readonly namespace: string;
  /** UID of the cluster's `kube-system`. */
  readonly cluster: string;
}

/** The annotation that proves that this action made an object. A label does not: whoever copies an object copies it. */
export const OWNER = `${MANAGER}/owner`;

/** @param cluster UID of its `kube-system` */
export function ownerOf({ id, namespace }: Pick<MeshSpec, "id" | "namespace">, cluster: string): Owner {
  return { mesh: id, namespace, cluster };
}

/**
 * The proof's value. It names the object and its cluster, so that it holds neither on a copy under another name nor on one
 * that is restored elsewhere.
 */
export function proofOf({ mesh, namespace, cluster }: Owner, ref: ObjectRef): string {
  const [group = ""] = ref.apiVersion.includes("/") ? ref.apiVersion.split("/") : [];
  const kind = group ? `${ref.kind}.${group}` : ref.kind;
  return `${describe({ ...ref, kind })} of mesh ${mesh} in ${namespace}, cluster ${cluster}`;
}

/** Whether the object is proven to be the owner's. */
export function isOurs(owner: Owner, object: KubernetesObject): boolean {
  return object.metadata.annotations?.[OWNER] === proofOf(owner, refOf(object));
}

/** Whether the object is proven to be of this action's making, for whichever mesh. @param cluster UID of its `kube-system` */
export function isProven(cluster: string, object: KubernetesObject): boolean {
  const proof = object.metadata.annotations?.[OWNER] ?? "";
  const [, mesh, namespace] = /^.* of mesh (.*) in (\S+), cluster \S+$/.exec(proof) ?? [];
  return mesh !== undefined && namespace !== undefined && isOurs({ mesh, namespace, cluster }, object);
}

/** The object as it is written: with the proof, where it is one that this action makes for itself. */
export function proven<T extends KubernetesObject>(owner: Owner, object: T): T {
  const { metadata } = object;
  if (metadata.labels?.[MANAGED_BY] !== MANAGER) return object;
  const annotations = { ...metadata.annotations, [OWNER]: proofOf(owner, refOf(object)) };
  return { ...object, metadata: { ...metadata, annotations } };
}

/** Kinds whose labels mean something to Istio. */
const READ_BY_LABEL: ReadonlySet<string> = new Set(["Namespace", "Secret", "Service"]);

/** What is asked of an object that somebody else made: what it has to be, and nothing by which it would become ours. */
export function unclaimed<T extends KubernetesObject>(object: T): T {
  const { [MANAGED_BY]: manager, [PART_OF]: _, [COMPONENT]: __, ...labels } = object.metadata.labels ?? {};
  if (manager !== MANAGER) return object;
  const { labels: ___, ...others } = object.metadata;
  const kept = READ_BY_LABEL.has(object.kind) && Object.keys(labels).length > 0 ? { labels } : {};
  return { ...object, metadata: { ...others, ...kept } };
}

/** What is there under the name of an object that is wanted. */
export type Found = "absent" | "ours" | "theirs" | "labelled" | "terminating";

/** `labelled`: it carries this mesh's labels, and no proof that it is the mesh's. */
export function foundAs(owner: Owner, object: KubernetesObject | undefined): Found {
  if (!object) return "absent";
  if (object.metadata.deletionTimestamp) return "terminating";
  if (isOurs(owner, object)) return "ours";
  return isLabelled(owner, object) ? "labelled" : "theirs";
}

function isLabelled({ mesh }: Owner, { metadata: { labels = {} } }: KubernetesObject): boolean {
  return labels[MANAGED_BY] === MANAGER && labels[PART_OF] === mesh;
}

/**
 * What is done to one object: `create` and `update` with labels and proof, `fields` without; `leave` it as it is, which is
 * told, with a warning where it looks like ours; or `refuse`.
 */
export type Move = "create" | "update" | "fields" | "leave" | "warn" | "refuse";

/** @param suffices whether what is there does the job as it is: asked of what is not ours */
export function classify(claim: Claim, found: Found, suffices: boolean): Move {
  switch (found) {
    case "absent":
      return "create";
    case "ours":
      return "update";
    case "terminating":
      return "refuse";
    case "labelled":
    case "theirs":
      if (claim === "share") return "fields";
      if (claim === "own") return found === "labelled" ? "warn" : "refuse";
      return suffices ? "leave" : "refuse";
  }
}

/** Why an object is not the owner's, in a sentence; `undefined` where it is. */
export function notOurs(owner: Owner, object: KubernetesObject): string | undefined {
  if (isOurs(owner, object)) return undefined;
  const { labels = {} } = object.metadata;
  if (labels[MANAGED_BY] !== MANAGER) return `It has no label ${MANAGED_BY}=${MANAGER}: this action did not make it.`;
  if (labels[PART_OF] !== owner.mesh) return `It is part of mesh ${labels[PART_OF] ?? "(none)"}, not of ${owner.mesh}.`;
  return `It carries this action's label, but not its proof (annotation ${OWNER}), as a copy or a restored backup does. If it is to go: ${inShell("delete", refOf(object))}`;
}

/** The command that gives an object the proof: with it goes the object, into this action's hands. */
export function handOver(owner: Owner, ref: ObjectRef): string {
  return `${inShell("annotate", ref)} '${OWNER}=${proofOf(owner, ref)}' --overwrite`;
}

/** A command of kubectl about an object, which names its kind so that no other one can be meant. */
export function inShell(verb: string, { apiVersion, kind, namespace, name }: ObjectRef): string {
  const [version = "", group] = apiVersion.split("/").reverse();
  const full = group ? `${kind}.${version}.${group}` : kind;
  return `kubectl${namespace ? ` -n ${namespace}` : ""} ${verb} ${full.toLowerCase()} ${name}`;
}

/** Who wrote an object's content, for messages: the managers of its fields, but for its status. */
export function writersOf({ metadata }: KubernetesObject): string[] {
  const entries = (metadata.managedFields ?? []).filter(
    ({ manager, subresource }) => !subresource && manager !== MANAGER,
  );
  return [...new Set(entries.map(({ manager }) => manager))];
}

/**
 * Who says the same as we do of an object, some field of it at least: of one that was just created nobody can, so that it
 * was there. Controllers write what nobody has set.
 */
export function alsoSaidBy({ metadata }: KubernetesObject): string | undefined {
  const entries = (metadata.managedFields ?? []).filter(({ subresource }) => !subresource);
  const own = entries.find(({ manager, operation }) => manager === MANAGER && operation === "Apply");
  const paths = new Set(own ? pathsOf(own) : []);
  return entries.find((entry) => entry.manager !== MANAGER && pathsOf(entry).some((path) => paths.has(path)))?.manager;
}

/** The fields that an entry names at the ends of its tree. */
function pathsOf({ fieldsV1 }: ManagedFieldsEntry): string[] {
  const walk = (node: unknown, path: string): string[] => {
    const inner = Object.entries((node ?? {}) as Record<string, unknown>).filter(([key]) => key !== ".");
    return inner.length === 0 ? [path] : inner.flatMap(([key, value]) => walk(value, `${path}/${key}`));
  };
  return walk(fieldsV1, "");
}
