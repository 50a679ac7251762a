import { isDeepStrictEqual } from "node:util";
import { compare, covers, decode, display, encode, type FieldSet, fieldsOf, merge, remove } from "./fields.ts";
import type { Json } from "./kube.ts";
import type { Shape } from "./shape.ts";
import { StatusError } from "./status.ts";

/** Who writes, and how. */
export interface Writer {
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource?: string;
}

interface Managed extends Writer {
  readonly operation: "Apply" | "Update";
  time: string;
  fields: FieldSet;
}

const subtract = (a: FieldSet, b: FieldSet): FieldSet => new Set([...a].filter((path) => !b.has(path)));
const isStatus = (path: string) => path === "f:status" || path.startsWith("f:status\n");

/**
 * Server-side apply.
 * @param live the object as it is, `undefined` where there is none
 * @returns the object as it would be before defaults are set, with its managedFields
 * @throws StatusError where another manager owns a field that would change
 */
export function apply(
  live: Json | undefined,
  config: Json,
  writer: Writer,
  shape: Shape,
  { force, now }: { force: boolean; now: string },
): Json {
  const before = read(live);
  const previous = before.find((entry) => isSame(entry, writer, "Apply"));
  const base = live ?? {};
  const wanted: FieldSet = new Set(fieldsOf(config, shape).keys());
  const merged = live ? merge(base, config, shape) : config;

  const { changed } = compare(base, merged, shape);
  let others = before.filter((entry) => entry !== previous);
  const conflicts = others.flatMap((entry) =>
    [...entry.fields]
      .filter((path) => changed.has(path))
      .sort()
      .map((path) => ({ entry, path })),
  );
  if (conflicts.length > 0) {
    if (!force) throw applyConflict(conflicts);
    others = others.map((entry) => ({ ...entry, fields: subtract(entry.fields, changed) }));
  }

  // Ours no longer: gone, unless somebody else has it, or we still set something in it.
  const dropped = [...(previous?.fields ?? [])].filter(
    (path) => !covers(wanted, path) && !others.some((entry) => covers(entry.fields, path)),
  );
  const object = remove(merged, dropped, shape);
  const mine: Managed = {
    ...writer,
    operation: "Apply",
    time: previous?.time ?? now,
    fields: wanted,
  };
  if (previous && isUnchanged(live, object, previous, mine) && conflicts.length === 0) return live;
  mine.time = now;
  return write(object, [...others, mine]);
}

function isUnchanged(live: Json, object: Json, previous: Managed, mine: Managed): boolean {
  return (
    isDeepStrictEqual(live, object) &&
    previous.fields.size === mine.fields.size &&
    [...previous.fields].every((path) => mine.fields.has(path)) &&
    previous.apiVersion === mine.apiVersion
  );
}

/** Notes who changed what in a write other than an apply, and returns the object with that in its managedFields. */
export function track(
  live: Json | undefined,
  object: Json,
  writer: Writer,
  shape: Shape,
  { now, statusApart }: { now: string; statusApart: boolean },
): Json {
  // An empty entry is how a client clears them.
  const given = object.metadata.managedFields;
  const cleared = Array.isArray(given) && given.length === 1 && Object.keys(given[0]).length === 0;
  const before = cleared ? [] : read(live);
  const { changed, removed } = compare(live ?? {}, object, shape);
  // What a write cannot change is not its writer's.
  const mine = (path: string) => !statusApart || isStatus(path) === (writer.subresource === "status");
  const own = new Set([...changed].filter(mine));
  if (cleared && own.size === 0) return write(object, []);
  const lost = new Set([...own, ...removed]);
  const previous = before.find((entry) => isSame(entry, writer, "Update"));
  const others = before
    .filter((entry) => entry !== previous)
    .map((entry) => ({ ...entry, fields: subtract(entry.fields, lost) }));
  if (own.size === 0 && !previous) return write(object, others);
  const fields = new Set([...subtract(previous?.fields ?? new Set(), removed), ...own]);
  return write(object, [
    ...others,
    { ...writer, operation: "Update", time: own.size + removed.size > 0 ? now : (previous?.time ?? now), fields },
  ]);
}

function isSame(entry: Managed, writer: Writer, operation: Managed["operation"]): boolean {
  return (
    entry.manager === writer.manager &&
    entry.operation === operation &&
    entry.subresource === writer.subresource &&
    (operation === "Apply" || entry.apiVersion === writer.apiVersion)
  );
}

function read(object: Json | undefined): Managed[] {
  return (object?.metadata.managedFields ?? []).map((entry: Json) => ({
    manager: entry.manager,
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    time: entry.time,
    ...(entry.subresource ? { subresource: entry.subresource } : {}),
    fields: decode(entry.fieldsV1),
  }));
}

function write(object: Json, entries: readonly Managed[]): Json {
  // Appliers come first, then by time, as the API server has them.
  const order = (entry: Managed) => [entry.operation, entry.time, entry.manager, entry.subresource ?? ""].join("\n");
  const managedFields = entries
    .filter(({ fields }) => fields.size > 0)
    .sort((a, b) => (order(a) < order(b) ? -1 : 1))
    .map(({ manager, operation, apiVersion, time, subresource, fields }) => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: "FieldsV1",
      fieldsV1: encode(fields),
      ...(subresource ? { subresource } : {}),
    }));
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, ...(managedFields.length > 0 ? { managedFields } : {}) } };
}

function applyConflict(conflicts: readonly { entry: Managed; path: string }[]): StatusError {
  const nameOf = ({ manager, subresource, operation, apiVersion }: Managed) =>
    JSON.stringify(manager) +
    (subresource ? ` with subresource ${JSON.stringify(subresource)}` : "") +
    (operation === "Update" ? ` using ${apiVersion}` : "");
  const all = conflicts.map(({ entry, path }) => ({ manager: nameOf(entry), field: display(path) }));
  const [first] = all;
  const managers = [...new Set(all.map(({ manager }) => manager))].sort();
  const message =
    all.length === 1
      ? `1 conflict: conflict with ${first?.manager}: ${first?.field}`
      : `${all.length} conflicts: ${managers
          .flatMap((manager) => [
            `conflicts with ${manager}:`,
            ...all.filter((one) => one.manager === manager).map(({ field }) => `- ${field}`),
          ])
          .join("\n")}`;
  return new StatusError(409, "Conflict", `Apply failed with ${message}`, {
    causes: all.map(({ manager, field }) => ({
      reason: "FieldManagerConflict",
      message: `conflict with ${manager}`,
      field,
    })),
  });
}
