// How a control plane that has lived alone takes the mesh's identity, while what runs under its old one is served.
import { fields, isMapping, text } from "./fields.ts";
import type { KubernetesObject, ManagedFieldsEntry } from "./objects/object.ts";
import { MANAGER } from "./objects/ownership.ts";
import type { IstioResource } from "./shapes/istio.ts";

/** The annotation by which an `Istio` says that it was adopted, and how it was before. */
export const ADOPTED = `${MANAGER}/adopted`;

/** A field that joining took, and what was in it. */
export interface FormerField {
  readonly path: readonly string[];
  readonly value: unknown;
  /** The field manager that had set it. */
  readonly by: string;
}

/** What is remembered of an `Istio` that was adopted. */
export interface AdoptionRecord {
  /** The cluster's name before, and in the mesh. */
  readonly name: string;
  readonly as: string;
  /** Those that had a value of their own; every other one was not there. */
  readonly former: readonly FormerField[];
  /** Proxies that run are of no network yet: the cluster has its names, and is not joined before none is left. */
  readonly waits?: true;
  /** It was asked to be as it was, and goes on serving the mesh's name until no proxy says it. */
  readonly leaves?: true;
}

/** A control plane on its way into the mesh, or in it. */
export interface Adoption {
  readonly record: AdoptionRecord;
  /** The name that proxies are served under beside the cluster's own. */
  readonly alias: string | undefined;
  /** istiod's further arguments, where it is to have some. */
  readonly args: readonly string[] | undefined;
  /** The proxies that are to be made anew, by namespace, each with so many; `undefined`: they could not be read. */
  readonly left: ReadonlyMap<string, number> | undefined;
  /** The control plane has the mesh's names already: nothing is changed of it, and what is known is noted on its namespace. */
  readonly byNames?: true;
}

/** What is decided from. */
export interface Alone {
  readonly istio: IstioResource;
  /** The cluster's name in the mesh. */
  readonly name: string;
  /** What istiod runs as. */
  readonly runs: { readonly clusterName: string };
  /** By the namespace's label, by which istiod knows the network of what has none of its own. */
  readonly label: string | undefined;
  /** istiod's further arguments by the input `values`, where they say any. */
  readonly args: readonly string[] | undefined;
  /** Whether the `Istio` is this action's, so that its arguments are those of the inputs. */
  readonly ours: boolean;
  /** Of the control planes in this namespace; `undefined`: they could not be read. */
  readonly proxies:
    | readonly {
        readonly namespace: string;
        readonly clusterName: string;
        readonly network: string | undefined;
        readonly ownNetwork: boolean;
      }[]
    | undefined;
}

/** The record on an `Istio`; `undefined` where there is none that can be read. */
export function adoptionRecord({ metadata }: Pick<KubernetesObject, "metadata">): AdoptionRecord | undefined {
  try {
    const read: unknown = JSON.parse(metadata.annotations?.[ADOPTED] ?? "");
    const { name, as, former } = fields(read);
    return text(name) && text(as) && Array.isArray(former) ? (read as AdoptionRecord) : undefined;
  } catch {
    return undefined;
  }
}

const WAITING = JSON.stringify({ waits: true });

/** The control planes' namespace as one whose cluster waits to be joined. */
export function waiting<T extends KubernetesObject>(namespace: T): T {
  const { labels: _, ...metadata } = namespace.metadata;
  return { ...namespace, metadata: { ...metadata, annotations: { [ADOPTED]: WAITING } } };
}

export const isWaiting = ({ metadata }: KubernetesObject) => metadata.annotations?.[ADOPTED] === WAITING;

/** By which istiod takes proxies of one cluster name for its own (pilot/cmd/pilot-discovery). */
export const aliasArgument = (old: string, name: string) => `--clusterAliases=${old}=${name}`;

/**
 * What becomes of a control plane that is adopted. The old name is served while a proxy says it, and at least until istiod
 * has the new one. Proxies without a network would reach nothing of another one's, and by Istio 1.30 and later not even what
 * is beside them past a gateway (pilot/pkg/xds/endpoints/ep_filters.go): while there are some, the cluster waits.
 */
export function adopting({ istio, name, runs, label, args, ours, proxies }: Alone): Adoption {
  const known = adoptionRecord(istio);
  const renamed = runs.clusterName !== name;
  const old = renamed ? runs.clusterName : (known?.name ?? name);
  const bare = (each: NonNullable<Alone["proxies"]>[number]) => each.network === undefined && !each.ownNetwork;
  const under = proxies?.filter((each) => each.clusterName === old && old !== name);
  const without = proxies?.filter(bare);
  const served = old !== name && (renamed || under === undefined || under.length > 0);
  const waits = label === undefined && (without === undefined || without.length > 0);
  const base = args ?? (ours ? undefined : withoutOurs(argumentsOf(istio), known));
  const alias = aliasArgument(old, name);
  const wanted = served ? [...(base ?? []).filter((each) => each !== alias), alias] : base;
  const left = proxies && new Set([...(under ?? []), ...(waits ? (without ?? []) : [])]);
  return {
    record: {
      name: known?.name ?? old,
      as: name,
      former: known?.former ?? [],
      ...(waits ? { waits } : {}),
    },
    alias: served ? old : undefined,
    args: wanted,
    left: left && countedBy([...left].map(({ namespace }) => namespace)),
  };

  function countedBy(namespaces: readonly string[]): ReadonlyMap<string, number> {
    const groups = Map.groupBy(namespaces.toSorted(), (each) => each);
    return new Map([...groups].map(([namespace, some]) => [namespace, some.length]));
  }
}

/** Where the mesh's identity, and istiod's further arguments, are in an `Istio`. */
const ARGS = ["spec", "values", "pilot", "extraContainerArgs"];
const IDENTITY = [
  ["spec", "values", "global", "meshID"],
  ["spec", "values", "global", "network"],
  ["spec", "values", "global", "multiCluster", "clusterName"],
];

const same = (a: readonly string[], b: readonly string[]) => a.join("\0") === b.join("\0");
const at = (object: unknown, path: readonly string[]) =>
  path.reduce<unknown>((inner, key) => fields(inner)[key], object);

/** istiod's further arguments; `undefined` where none are set. */
function argumentsOf(istio: unknown): readonly string[] | undefined {
  const args = at(istio, ARGS);
  return Array.isArray(args) ? args.map(String) : undefined;
}

/** Those of them that were not put there by an adoption. */
function withoutOurs(
  args: readonly string[] | undefined,
  record: AdoptionRecord | undefined,
): readonly string[] | undefined {
  if (!args || !record) return args;
  const ours = [aliasArgument(record.name, record.as), aliasArgument(record.as, record.name)];
  const rest = args.filter((each) => !ours.includes(each));
  return rest.length > 0 ? rest : undefined;
}

/**
 * What joining takes of an `Istio` that is somebody else's, and nothing else of it, with what has been there on record.
 * @param wanted the resource as it would be, were it ours
 */
export function sharedPart<T extends KubernetesObject>(wanted: T, before: KubernetesObject): T {
  const { apiVersion, kind, metadata } = wanted;
  const record = adoptionRecord(wanted) as AdoptionRecord;
  const paths = [...IDENTITY, ARGS].filter((path) => at(wanted, path) !== undefined);
  const former = paths.flatMap((path): FormerField[] => {
    const known = record.former.find((each) => same(each.path, path));
    const isArgs = path === ARGS;
    const value = isArgs ? withoutOurs(argumentsOf(before), record) : at(before, path);
    if (value === undefined || (known && !isArgs) || JSON.stringify(value) === JSON.stringify(at(wanted, path)))
      return known ? [known] : [];
    const by = managerOf(before, path);
    return by || known ? [{ path, value, by: by ?? (known as FormerField).by }] : [];
  });
  const gone = record.former.filter(({ path }) => !paths.some((each) => same(each, path)));
  const annotations = { [ADOPTED]: JSON.stringify({ ...record, former: [...former, ...gone] }) };
  const content = paths.reduce((made, path) => put(made, path, at(wanted, path)), {} as Record<string, unknown>);
  return { apiVersion, kind, metadata: { name: metadata.name, annotations }, ...content } as unknown as T;
}

/** What giving an `Istio` back takes: fields that are set to what they were, in their managers' names, and what is applied then. */
export interface GivingBack {
  readonly restored: readonly FormerField[];
  readonly applied: KubernetesObject;
  /** Whether the mesh's name for the cluster is still served. */
  readonly serves: boolean;
}

/** @param inUse whether a proxy says the mesh's name for the cluster, or it is not known that none does */
export function givingBack(istio: KubernetesObject, record: AdoptionRecord, inUse: boolean): GivingBack {
  const { apiVersion, kind, metadata } = istio;
  const nothing = { apiVersion, kind, metadata: { name: metadata.name } };
  const serves = inUse && record.name !== record.as;
  // What somebody has set since is theirs.
  const former = record.former.filter(({ path }) => setBy(istio, path, (manager) => manager === MANAGER) !== undefined);
  if (!serves) return { restored: former, applied: nothing, serves };
  const { waits: _, ...rest } = record;
  const annotations = { [ADOPTED]: JSON.stringify({ ...rest, leaves: true }) };
  const args = [...(withoutOurs(argumentsOf(istio), record) ?? []), aliasArgument(record.as, record.name)];
  return {
    restored: former.filter(({ path }) => !same(path, ARGS)),
    applied: { ...nothing, metadata: { ...nothing.metadata, annotations }, ...put({}, ARGS, args) },
    serves,
  };
}

/** Fields as an object of their own: what they are set to by a merge patch. */
export function fieldsAlone(formers: readonly FormerField[]): Record<string, unknown> {
  return formers.reduce((made, { path, value }) => put(made, path, value), {} as Record<string, unknown>);
}

function put(object: Record<string, unknown>, path: readonly string[], value: unknown): Record<string, unknown> {
  const [key = "", ...rest] = path;
  if (rest.length === 0) return { ...object, [key]: value };
  const inner = object[key];
  return { ...object, [key]: put(isMapping(inner) ? { ...inner } : {}, rest, value) };
}

/** Who else has set a field; `undefined` where nobody has. */
function managerOf(object: KubernetesObject, path: readonly string[]): string | undefined {
  return setBy(object, path, (manager) => manager !== MANAGER);
}

/** The first of some managers that has set a field. */
function setBy(
  { metadata }: KubernetesObject,
  path: readonly string[],
  some: (manager: string) => boolean,
): string | undefined {
  const has = ({ fieldsV1 }: ManagedFieldsEntry) => {
    let inner: unknown = fieldsV1;
    for (const key of path) {
      inner = fields(inner)[`f:${key}`];
      if (inner === undefined) return false;
    }
    return true;
  };
  return metadata.managedFields?.find((each) => !each.subresource && some(each.manager) && has(each))?.manager;
}
