import type { Json, StoreEvent } from "./kube.ts";
import { apiVersionOf, type Resource, Resources, storageKey } from "./resources.ts";

/** One change, as watches replay it. */
export interface Change {
  readonly revision: number;
  /** Which kind it was, in whatever version: see `storageKey`. */
  readonly key: string;
  readonly type: StoreEvent["type"];
  readonly object: Json;
  readonly previous: Json | undefined;
}

/** So many changes are remembered; a watch from before them has expired. */
const REMEMBERED = 5_000;

/**
 * The objects, one revision counter, and the changes. What is stored is never changed in place, and frozen, so it is handed
 * out without copies.
 */
export class Store {
  readonly resources = new Resources();
  readonly #objects = new Map<string, Map<string, Json>>();
  readonly #listeners = new Set<(change: Change) => void>();
  #history: Change[] = [];
  #revision = 1;
  #forgotten = 0;

  get revision(): number {
    return this.#revision;
  }

  get(resource: Resource, namespace: string, name: string): Json | undefined {
    const found = this.#objects.get(storageKey(resource))?.get(`${namespace}/${name}`);
    return found && as(resource, found);
  }

  list(resource: Resource, namespace?: string): Json[] {
    const entries = [...(this.#objects.get(storageKey(resource)) ?? [])];
    return entries
      .filter(([key]) => !namespace || key.startsWith(`${namespace}/`))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => as(resource, object));
  }

  /** Every object of every kind, each once. */
  *everything(): Generator<[Resource, Json]> {
    for (const [key, objects] of this.#objects) {
      const resource = this.resources.all.find((r) => storageKey(r) === key);
      if (resource) for (const object of objects.values()) yield [resource, as(resource, object)];
    }
  }

  write(resource: Resource, object: Json): Json {
    const key = storageKey(resource);
    const objects = this.#objects.get(key) ?? new Map<string, Json>();
    this.#objects.set(key, objects);
    const id = idOf(object);
    const previous = objects.get(id);
    const stored = this.#revised(object);
    objects.set(id, stored);
    this.#tell({ revision: this.#revision, key, type: previous ? "MODIFIED" : "ADDED", object: stored, previous });
    return stored;
  }

  /** A deletion has a revision too: the object as it was, with that. */
  erase(resource: Resource, object: Json): Json {
    const key = storageKey(resource);
    const previous = this.#objects.get(key)?.get(idOf(object));
    this.#objects.get(key)?.delete(idOf(object));
    const last = this.#revised(object);
    this.#tell({ revision: this.#revision, key, type: "DELETED", object: last, previous });
    return last;
  }

  /** The changes after a revision, or `undefined` where they are no longer known. */
  since(revision: number): Change[] | undefined {
    if (revision < this.#forgotten) return undefined;
    return this.#history.filter((change) => change.revision > revision);
  }

  /** Makes all changes so far unknown, as compaction does. */
  compact(): void {
    this.#history = [];
    this.#forgotten = this.#revision;
  }

  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #revised(object: Json): Json {
    return frozen({ ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#revision) } });
  }

  #tell(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > REMEMBERED) this.#forgotten = this.#history.shift()?.revision ?? 0;
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** What is frozen already is so all the way down. */
function frozen<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

/** An object in the version that it is asked for in; the versions of a kind differ in nothing else here. */
export function as(resource: Resource, object: Json): Json {
  const apiVersion = apiVersionOf(resource);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function idOf({ metadata }: Json): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
