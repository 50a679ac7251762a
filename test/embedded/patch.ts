import { isDeepStrictEqual } from "node:util";
import { clone } from "./clone.ts";
import { elementOf, isMapping } from "./fields.ts";
import type { Json } from "./kube.ts";
import type { Shape } from "./shape.ts";
import { badRequest, StatusError } from "./status.ts";

/** RFC 7396. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isMapping(patch)) return patch;
  const result: Json = isMapping(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/** A merge patch that goes into lists whose items have keys; `$patch: delete` takes an item or a field away. */
export function strategicPatch(target: Json, patch: Json, shape: Shape, path: readonly string[] = []): Json {
  if (Array.isArray(patch) && Array.isArray(target)) {
    const list = shape.list(path);
    if (list === "atomic") return patch;
    const result = [...target];
    for (const item of patch) {
      const element = elementOf(item, list);
      const index = result.findIndex((other) => elementOf(other, list) === element);
      if (item?.$patch === "delete") {
        if (index >= 0) result.splice(index, 1);
      } else if (index >= 0) result[index] = strategicPatch(result[index], item, shape, path);
      else result.push(item);
    }
    return result;
  }
  if (!isMapping(patch)) return patch;
  const { $patch, $retainKeys: _, ...rest } = patch;
  const result: Json = isMapping(target) && $patch !== "replace" ? { ...target } : {};
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith("$setElementOrder/")) continue;
    const deleted = /^\$deleteFromPrimitiveList\/(.+)$/.exec(name)?.[1];
    if (deleted) result[deleted] = (result[deleted] ?? []).filter((item: Json) => !value.includes(item));
    else if (value === null) delete result[name];
    else result[name] = strategicPatch(result[name], value, shape, [...path, name]);
  }
  return result;
}

/** RFC 6902. */
export function jsonPatch(target: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw badRequest("a JSON patch is a list of operations");
  const result = clone(target);
  for (const { op, path, from, value } of operations) {
    if (op === "test") {
      if (!isDeepStrictEqual(read(result, path), value))
        throw unprocessable(`testing value ${path} failed: test failed`);
    } else if (op === "remove") take(result, path);
    else if (op === "move") put(result, path, take(result, from), true);
    else if (op === "copy") put(result, path, clone(read(result, from)), true);
    else if (op === "add" || op === "replace") put(result, path, value, op === "add");
    else throw badRequest(`unknown operation ${op}`);
  }
  return result;
}

const unprocessable = (message: string) =>
  new StatusError(422, "Invalid", `the server rejected our request due to an error in our request: ${message}`);

function pointer(path: string): string[] {
  return path
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function parent(target: Json, path: string): [Json, string] {
  const parts = pointer(path);
  const last = parts.pop() ?? "";
  let current = target;
  for (const part of parts) {
    current = current?.[part];
    if (typeof current !== "object" || current === null) throw unprocessable(`doc is missing path: ${path}`);
  }
  return [current, last];
}

function read(target: Json, path: string): Json {
  const [holder, name] = parent(target, path);
  return holder[name];
}

function take(target: Json, path: string): Json {
  const [holder, name] = parent(target, path);
  const value = holder[name];
  if (value === undefined) throw unprocessable(`unable to remove nonexistent key: ${name}`);
  if (Array.isArray(holder)) holder.splice(Number(name), 1);
  else delete holder[name];
  return value;
}

function put(target: Json, path: string, value: Json, insert: boolean): void {
  const [holder, name] = parent(target, path);
  if (!insert && holder[name] === undefined)
    throw unprocessable(`replace operation does not apply: missing value ${path}`);
  if (Array.isArray(holder) && insert) holder.splice(name === "-" ? holder.length : Number(name), 0, value);
  else holder[name] = value;
}
