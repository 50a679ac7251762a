import { isDeepStrictEqual } from "node:util";
import { clone } from "./clone.ts";
import type { Json } from "./kube.ts";
import { KEY_DEFAULTS, type ListType, type Shape } from "./shape.ts";

/** Paths of fields, each the elements of `fieldsV1` (`f:name`, `k:{...}`, `v:...`) joined by a newline. */
export type FieldSet = ReadonlySet<string>;

const SEPARATOR = "\n";
/** Stands for a list item itself, which has no value beside its fields. */
const ITEM = Symbol("item");

// Who wrote these is not tracked: they are identity, or the API server's own.
const UNTRACKED = new Set(
  [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
  ].map((name) => `f:metadata${SEPARATOR}f:${name}`),
);

export function isMapping(value: unknown): value is Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields that an object sets, with their values. */
export function fieldsOf(object: Json, shape: Shape): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const walk = (value: unknown, at: string, path: readonly string[]) => {
    const list = Array.isArray(value) ? shape.list(path) : "atomic";
    if (Array.isArray(value) && list !== "atomic") {
      for (const item of value) {
        const element = join(at, elementOf(item, list));
        found.set(element, ITEM);
        walk(item, element, path);
      }
    } else if (isMapping(value) && Object.keys(value).length > 0 && !shape.atomic(path)) {
      for (const [name, inner] of Object.entries(value)) {
        if (inner !== undefined) walk(inner, join(at, `f:${name}`), [...path, name]);
      }
    } else if (at && !UNTRACKED.has(at)) found.set(at, value);
  };
  const { apiVersion: _, kind: __, ...rest } = object;
  walk(rest, "", []);
  found.delete("f:metadata");
  return found;
}

const join = (at: string, element: string) => (at ? at + SEPARATOR + element : element);

export function elementOf(item: Json, list: Exclude<ListType, "atomic">): string {
  if (list === "set" || !isMapping(item)) return `v:${JSON.stringify(item)}`;
  // Keys in fieldsV1 are in alphabetical order.
  const keys = [...list].sort().map((key) => [key, item[key] ?? KEY_DEFAULTS[key]]);
  return `k:${JSON.stringify(Object.fromEntries(keys.filter(([, value]) => value !== undefined)))}`;
}

export interface Comparison {
  /** Set anew or to another value. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

export function compare(before: Json, after: Json, shape: Shape): Comparison {
  const [old, now] = [fieldsOf(before, shape), fieldsOf(after, shape)];
  return {
    changed: new Set(
      [...now.keys()].filter((path) => !old.has(path) || !isDeepStrictEqual(old.get(path), now.get(path))),
    ),
    removed: new Set([...old.keys()].filter((path) => !now.has(path))),
  };
}

/** `fieldsV1` of a set. */
export function encode(fields: FieldSet): Json {
  const root: Json = {};
  for (const path of [...fields].sort()) {
    let node = root;
    const elements = path.split(SEPARATOR);
    for (const element of elements) {
      node[element] ??= {};
      node = node[element];
    }
    node["."] = {};
  }
  // A member without fields of its own is an empty mapping.
  const tidy = (node: Json): Json => {
    const entries = Object.entries(node);
    if (entries.length === 1 && entries[0]?.[0] === ".") return {};
    return Object.fromEntries(entries.map(([name, inner]) => [name, name === "." ? {} : tidy(inner)]));
  };
  return tidy(root);
}

export function decode(fieldsV1: Json): FieldSet {
  const found = new Set<string>();
  const walk = (node: Json, at: string) => {
    const entries = Object.entries(node ?? {});
    if (entries.length === 0 && at) found.add(at);
    for (const [element, inner] of entries) {
      if (element === ".") found.add(at);
      else walk(inner, join(at, element));
    }
  };
  walk(fieldsV1, "");
  return found;
}

/** `.spec.ports[port=80,protocol="TCP"].name`, as conflicts name a field. */
export function display(path: string): string {
  return path
    .split(SEPARATOR)
    .map((element) => {
      const text = element.slice(2);
      if (element.startsWith("f:")) return `.${text}`;
      if (element.startsWith("v:")) return `[=${text}]`;
      const keys = Object.entries(JSON.parse(text)).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${keys.join(",")}]`;
    })
    .join("");
}

/** Whether a set has the field, or one in it. */
export function covers(fields: FieldSet, path: string): boolean {
  if (fields.has(path)) return true;
  for (const field of fields) if (field.startsWith(path + SEPARATOR)) return true;
  return false;
}

/** What `over` sets put into `base`: mappings and keyed lists item by item, all else in whole. */
export function merge(base: Json, over: Json, shape: Shape, path: readonly string[] = []): Json {
  if (isMapping(base) && isMapping(over) && !shape.atomic(path)) {
    const merged = { ...base };
    for (const [name, value] of Object.entries(over)) {
      merged[name] = Object.hasOwn(base, name) ? merge(base[name], value, shape, [...path, name]) : value;
    }
    return merged;
  }
  const list = Array.isArray(base) && Array.isArray(over) ? shape.list(path) : "atomic";
  return list === "atomic" ? over : mergeLists(base, over, list, (a, b) => merge(a, b, shape, path));
}

/** The order is that of `over`; items that only `base` has stay where they were among those. */
function mergeLists(
  base: Json[],
  over: Json[],
  list: Exclude<ListType, "atomic">,
  both: (a: Json, b: Json) => Json,
): Json[] {
  const left = base.map((item) => [elementOf(item, list), item] as const);
  const right = over.map((item) => [elementOf(item, list), item] as const);
  const wanted = new Set(right.map(([element]) => element));
  const had = new Map(left);
  const merged: Json[] = [];
  const done = new Set<string>();
  let l = 0;
  let r = 0;
  while (l < left.length || r < right.length) {
    const [element = "", item] = left[l] ?? [];
    if (l < left.length && (!wanted.has(element) || done.has(element))) {
      if (!done.has(element)) merged.push(item);
      l++;
    } else {
      const [next = "", value] = right[r++] ?? [];
      merged.push(had.has(next) ? both(had.get(next), value) : value);
      done.add(next);
    }
  }
  return merged;
}

/** Without the fields at the paths, and without mappings and lists that were left empty. */
export function remove(object: Json, paths: Iterable<string>, shape: Shape): Json {
  const result = clone(object);
  const drop = (value: Json, elements: readonly string[], path: readonly string[]): void => {
    const [element = "", ...rest] = elements;
    if (element.startsWith("f:")) {
      const name = element.slice(2);
      if (!isMapping(value) || !Object.hasOwn(value, name)) return;
      if (rest.length > 0) drop(value[name], rest, [...path, name]);
      if (rest.length === 0 || isEmpty(value[name])) delete value[name];
    } else if (Array.isArray(value)) {
      const list = shape.list(path);
      if (list === "atomic") return;
      const index = value.findIndex((item) => elementOf(item, list) === element);
      if (index < 0) return;
      if (rest.length > 0) drop(value[index], rest, path);
      else value.splice(index, 1);
    }
  };
  // An item goes before its fields do: by its keys it is found.
  const split = [...paths].map((path) => path.split(SEPARATOR)).sort((a, b) => a.length - b.length);
  for (const elements of split) drop(result, elements, []);
  return result;
}

const isEmpty = (value: Json) => typeof value === "object" && value !== null && Object.keys(value).length === 0;
