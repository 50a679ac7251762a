import type { Json } from "./kube.ts";
import type { Resource } from "./resources.ts";

/** How a list is merged: as one value, as a set of values, or by its items' keys. */
export type ListType = "atomic" | "set" | readonly string[];

/** What server-side apply has to know of a kind's fields. A path has the names of fields only; list items add nothing. */
export interface Shape {
  list(path: readonly string[]): ListType;
  /** Whether a mapping is one value. */
  atomic(path: readonly string[]): boolean;
}

/** Values that the keys of list items have when they are left out. */
export const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: "TCP" };

const BY_NAME = ["name"];
// Lists of the built-in kinds, by their own name: no two of these differ among the kinds that are served.
const LISTS: Readonly<Record<string, ListType>> = {
  containers: BY_NAME,
  initContainers: BY_NAME,
  ephemeralContainers: BY_NAME,
  volumes: BY_NAME,
  env: BY_NAME,
  imagePullSecrets: BY_NAME,
  webhooks: BY_NAME,
  volumeMounts: ["mountPath"],
  volumeDevices: ["devicePath"],
  hostAliases: ["ip"],
  topologySpreadConstraints: ["topologyKey", "whenUnsatisfiable"],
  conditions: ["type"],
  ownerReferences: ["uid"],
  finalizers: "set",
};

const ATOMIC_MAPS = new Set([
  "selector",
  "labelSelector",
  "nodeSelector",
  "roleRef",
  "secretRef",
  "configMapKeyRef",
  "secretKeyRef",
  "fieldRef",
  "resourceFieldRef",
  "scaleTargetRef",
  "matchLabels",
  "clientConfigRef",
  "involvedObject",
  "targetRef",
]);

export function shapeOf(resource: Resource): Shape {
  const { schema } = resource;
  if (!schema)
    return { list: (path) => builtInList(resource, path), atomic: (path) => ATOMIC_MAPS.has(path.at(-1) ?? "") };
  return {
    list: (path) => {
      if (path[0] === "metadata") return builtInList(resource, path);
      const found = at(schema, path);
      const type = found?.["x-kubernetes-list-type"];
      return type === "map" ? (found["x-kubernetes-list-map-keys"] as string[]) : type === "set" ? "set" : "atomic";
    },
    atomic: (path) => path[0] !== "metadata" && at(schema, path)?.["x-kubernetes-map-type"] === "atomic",
  };
}

function builtInList({ kind }: Resource, path: readonly string[]): ListType {
  const name = path.at(-1) ?? "";
  if (name === "ports") {
    if (path.includes("containers") || path.includes("initContainers")) return ["containerPort", "protocol"];
    return kind === "Service" && path.length === 2 ? ["port", "protocol"] : "atomic";
  }
  if (name === "secrets" && kind === "ServiceAccount") return BY_NAME;
  if (name === "matchConditions") return BY_NAME;
  // A CustomResourceDefinition's schema may well have properties of these names.
  if (kind === "CustomResourceDefinition" && path[0] === "spec") return "atomic";
  return Object.hasOwn(LISTS, name) ? (LISTS[name] ?? "atomic") : "atomic";
}

/** The schema of the field at a path; lists are passed through to their items. */
function at(schema: Json, path: readonly string[]): Json {
  let current = schema;
  for (const name of path) {
    while (current?.items) current = current.items;
    current =
      current?.properties?.[name] ??
      (typeof current?.additionalProperties === "object" ? current.additionalProperties : undefined);
  }
  return current;
}
