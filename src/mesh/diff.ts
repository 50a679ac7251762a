import { isDeepStrictEqual } from "node:util";
import { isMapping } from "./fields.ts";
import type { KubernetesObject } from "./objects/object.ts";
import type { FieldChange } from "./report.ts";

/** Stands for a value that is not shown. */
export const HIDDEN = "(secret)";

/** What names an object, and what the API server keeps of it for itself. */
const NOT_CONTENT = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "managedFields",
  "selfLink",
]);
/** A copy of the whole object, a Secret's data included, that `kubectl apply` leaves. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * The fields in which an object differs, by their paths; nothing that the API server or a controller keeps, and of a
 * Secret's values only that they differ.
 * @param before `undefined` where there is none: then every field of the other
 */
export function differences(before: KubernetesObject | undefined, after: KubernetesObject): FieldChange[] {
  const found: FieldChange[] = [];
  compare(content(before) ?? {}, content(after), "", found);
  if (after.kind !== "Secret") return found;
  return found.map((change) => (/^(data|stringData)\b/.test(change.path) ? hidden(change) : change));
}

type Mapping = Readonly<Record<string, unknown>>;

function content(object: KubernetesObject | undefined): Mapping | undefined {
  if (!object) return undefined;
  const { apiVersion: _, kind: __, status: ___, metadata, ...rest } = object;
  const { annotations = {}, ...kept } = metadata;
  const { [LAST_APPLIED]: ____, ...told } = annotations;
  const names = Object.entries({ ...kept, ...unlessEmpty("annotations", told) });
  return { ...unlessEmpty("metadata", Object.fromEntries(names.filter(([key]) => !NOT_CONTENT.has(key)))), ...rest };
}

function unlessEmpty(key: string, value: Mapping): Mapping {
  return Object.keys(value).length > 0 ? { [key]: value } : {};
}

function compare(before: unknown, after: unknown, path: string, found: FieldChange[]): void {
  if (isDeepStrictEqual(before, after)) return;
  const [old, now] = [partsOf(before), partsOf(after)];
  if (!old || !now || !inOneOrder(old, now) || old.size + now.size === 0) {
    found.push({ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) });
    return;
  }
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    compare(old.get(key), now.get(key), path + (path === "" ? key.replace(/^\./, "") : key), found);
  }
}

/**
 * A mapping's fields, or the items of a list that have names, by what they add to the path. `undefined` where a value is
 * only told as a whole. Of what is not there any field may be.
 */
function partsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (value === undefined) return new Map();
  if (Array.isArray(value)) {
    const names = value.map((item) => (isMapping(item) && typeof item.name === "string" ? item.name : undefined));
    if (names.includes(undefined) || new Set(names).size < names.length) return undefined;
    return new Map(value.map((item, i) => [`[name=${JSON.stringify(names[i])}]`, item]));
  }
  if (!isMapping(value)) return undefined;
  return new Map(Object.entries(value).map(([key, item]) => [/^[\w-]+$/.test(key) ? `.${key}` : `["${key}"]`, item]));
}

/** Whether the parts that both have come one after another in the same way: in a list that can matter. */
function inOneOrder(old: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): boolean {
  const isList = [...old.keys(), ...now.keys()].every((key) => key.startsWith("[name="));
  if (!isList) return true;
  const common = (one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>) =>
    [...one.keys()].filter((key) => other.has(key));
  return isDeepStrictEqual(common(old, now), common(now, old));
}

function hidden({ path, ...values }: FieldChange): FieldChange {
  return { path, ...("before" in values ? { before: HIDDEN } : {}), ...("after" in values ? { after: HIDDEN } : {}) };
}
