import { randomBytes, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { apply, track, type Writer } from "./apply.ts";
import { clone } from "./clone.ts";
import { allocator, foldStringData, setDefaults } from "./defaults.ts";
import type { Json } from "./kube.ts";
import { apiVersionOf, type Resource } from "./resources.ts";
import { shapeOf } from "./shape.ts";
import { alreadyExists, conflict, forbidden, notFound, StatusError } from "./status.ts";
import { as, Store } from "./store.ts";
import { validate } from "./validation.ts";

export interface WriteOptions {
  readonly manager: string;
  readonly dryRun?: boolean;
  readonly subresource?: string;
  /** Writes the status through the main resource too, as only those inside may. */
  readonly inside?: boolean;
}

export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly dryRun?: boolean;
}

const NAMESPACE: Resource = new Store().resources.byKind("v1", "Namespace") as Resource;

/** What an API server does around its store: identity, defaults, validation, field managers, deletion. */
export class Registry {
  readonly store = new Store();
  readonly #allocate = allocator();
  /** What becomes of a pod between its defaults and its validation; what is written from inside goes past it. */
  admit: (pod: Json, options: { readonly dryRun: boolean }) => Json = (pod) => pod;
  #stopped = false;

  stop(): void {
    this.#stopped = true;
  }

  get(resource: Resource, namespace: string, name: string): Json {
    const found = this.store.get(resource, namespace, name);
    if (!found) throw notFound(resource, name);
    return found;
  }

  create(resource: Resource, namespace: string, given: Json, options: WriteOptions): Json {
    this.#checkNamespace(resource, namespace, given.metadata?.name ?? "");
    const object = cleaned(resource, given, namespace);
    if (!object.metadata.name && object.metadata.generateName) {
      object.metadata.name = object.metadata.generateName + suffix();
    }
    if (object.metadata.name && this.store.get(resource, namespace, object.metadata.name)) {
      throw alreadyExists(resource, object.metadata.name);
    }
    if (resource.status && !options.inside) delete object.status;
    delete object.metadata.resourceVersion;
    Object.assign(object.metadata, identity(resource));
    const admitted = this.#admitted(resource, object, options);
    validate(resource, admitted, undefined);
    const tracked = track(undefined, admitted, writerOf(resource, options), shapeOf(resource), {
      now: now(),
      statusApart: resource.status && !options.inside,
    });
    return this.#commit(resource, undefined, tracked, options);
  }

  /** @param change makes the new object of the one that there is */
  update(
    resource: Resource,
    namespace: string,
    name: string,
    change: (live: Json) => Json,
    options: WriteOptions,
  ): Json {
    const live = this.get(resource, namespace, name);
    const given = cleaned(resource, change(live), namespace);
    const next = this.#prepared(resource, live, given, options);
    const tracked = track(live, next, writerOf(resource, options), shapeOf(resource), {
      now: now(),
      statusApart: resource.status && !options.inside,
    });
    return this.#commit(resource, live, tracked, options);
  }

  /** Server-side apply. */
  apply(
    resource: Resource,
    namespace: string,
    name: string,
    config: Json,
    options: WriteOptions & { force: boolean },
  ): Json {
    const live = this.store.get(resource, namespace, name);
    if (!live) this.#checkNamespace(resource, namespace, name);
    const wanted = withoutNulls(cleaned(resource, config, namespace));
    wanted.metadata.name = name;
    const { resourceVersion, uid, ...metadata } = wanted.metadata;
    if (live && resourceVersion && resourceVersion !== live.metadata.resourceVersion) throw conflict(resource, name);
    if (live && uid && uid !== live.metadata.uid) throw uidConflict(resource, name, uid, live.metadata.uid);
    delete metadata.managedFields;
    wanted.metadata = metadata;
    if (resource.kind === "Secret") foldStringData(wanted);
    if (options.subresource === "status")
      for (const key of Object.keys(wanted)) dropUnless(wanted, key, ["apiVersion", "kind", "metadata", "status"]);
    else if (resource.status) delete wanted.status;
    const applied = apply(live, wanted, writerOf(resource, options), shapeOf(resource), {
      force: options.force,
      now: now(),
    });
    if (applied === live) return live;
    const { managedFields } = applied.metadata;
    if (live) {
      const next = this.#prepared(resource, live, clone(applied), options);
      return this.#commit(resource, live, { ...next, metadata: { ...next.metadata, managedFields } }, options);
    }
    const object = clone(applied);
    Object.assign(object.metadata, identity(resource));
    const admitted = this.#admitted(resource, object, options);
    validate(resource, admitted, undefined);
    return this.#commit(resource, undefined, admitted, options);
  }

  /** Creates or replaces, past all checks of who wrote before. */
  put(resource: Resource, object: Json, manager: string): Json {
    const namespace = resource.namespaced ? (object.metadata.namespace ?? "default") : "";
    const { name } = object.metadata;
    const options = { manager, inside: true };
    if (!name || !this.store.get(resource, namespace, name)) return this.create(resource, namespace, object, options);
    const { resourceVersion: _, uid: __, ...metadata } = object.metadata;
    return this.update(
      resource,
      namespace,
      name,
      (live) => ({ ...object, status: object.status ?? live.status, metadata }),
      options,
    );
  }

  /** @returns the object where finalizers hold it or `gone` where nothing is left of it */
  delete(
    resource: Resource,
    namespace: string,
    name: string,
    options: DeleteOptions = {},
  ): { object: Json; gone: boolean } {
    const live = this.get(resource, namespace, name);
    const { uid, resourceVersion } = options.preconditions ?? {};
    // Preconditions are told with the kind, where all other conflicts are told with the resource.
    const kind = { group: resource.group, plural: resource.kind };
    if (uid && uid !== live.metadata.uid) {
      const why = `the UID in the precondition (${uid}) does not match the UID in record (${live.metadata.uid}). The object might have been deleted and then recreated`;
      throw conflict(kind, name, why);
    }
    if (resourceVersion && resourceVersion !== live.metadata.resourceVersion) {
      const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${live.metadata.resourceVersion}). The object might have been modified`;
      throw conflict(kind, name, why);
    }
    if (options.dryRun) return { object: live, gone: true };
    if (options.propagationPolicy === "Orphan") this.#orphan(live.metadata.uid);
    const isNamespace = resource.kind === "Namespace" && resource.group === "";
    if (!isNamespace && !live.metadata.finalizers?.length) return { object: this.#erase(resource, live), gone: true };
    if (live.metadata.deletionTimestamp) return { object: live, gone: false };
    const { generation } = live.metadata;
    const dying = this.store.write(resource, {
      ...live,
      metadata: {
        ...live.metadata,
        ...(generation ? { generation: generation + 1 } : {}),
        deletionTimestamp: now(),
        ...(isNamespace ? {} : { deletionGracePeriodSeconds: 0 }),
      },
      ...(isNamespace ? { status: { ...live.status, phase: "Terminating" } } : {}),
    });
    if (isNamespace) this.#soon(() => this.#empty(name));
    return { object: dying, gone: false };
  }

  /** A new object with its defaults, and with what admission adds and that one's defaults. */
  #admitted(resource: Resource, object: Json, { inside, dryRun = false }: WriteOptions): Json {
    setDefaults(resource, object, undefined, this.#allocate);
    if (inside || resource.group !== "" || resource.kind !== "Pod") return object;
    const admitted = this.admit(object, { dryRun });
    setDefaults(resource, admitted, undefined, this.#allocate);
    return admitted;
  }

  /** The new object with all that a writer may not change put back, defaults set, and checked. */
  #prepared(resource: Resource, live: Json, given: Json, { subresource, inside }: WriteOptions): Json {
    const { name, uid, resourceVersion, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } =
      live.metadata;
    if (given.metadata.resourceVersion && given.metadata.resourceVersion !== resourceVersion)
      throw conflict(resource, name);
    if (given.metadata.uid && given.metadata.uid !== uid) throw uidConflict(resource, name, given.metadata.uid, uid);
    const kept = {
      name,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      generation,
    };
    let next: Json = { ...given, metadata: { ...given.metadata } };
    if (subresource === "status") {
      next = { ...live, metadata: { ...live.metadata, managedFields: given.metadata.managedFields } };
      if (given.status !== undefined) next.status = given.status;
    } else if (resource.status && !inside) {
      delete next.status;
      if (live.status !== undefined) next.status = live.status;
    }
    for (const [key, value] of Object.entries(kept)) {
      if (value === undefined) delete next.metadata[key];
      else next.metadata[key] = value;
    }
    next = clone(next);
    setDefaults(resource, next, live, this.#allocate);
    validate(resource, next, live);
    if (generation && !isDeepStrictEqual(wantedOf(next), wantedOf(live))) next.metadata.generation = generation + 1;
    return next;
  }

  #commit(resource: Resource, live: Json | undefined, object: Json, { dryRun }: WriteOptions): Json {
    if (live && isDeepStrictEqual(live, object)) return live;
    if (dryRun) return object;
    // The last finalizer went: so does the object.
    if (object.metadata.deletionTimestamp && !object.metadata.finalizers?.length && resource.kind !== "Namespace") {
      return this.#erase(resource, object);
    }
    const stored = this.store.write(resource, object);
    if (resource.kind === "CustomResourceDefinition") this.#define(resource, stored);
    if (resource.kind === "Namespace" && stored.metadata.deletionTimestamp)
      this.#soon(() => this.#empty(stored.metadata.name));
    return as(resource, stored);
  }

  #erase(resource: Resource, object: Json): Json {
    const { name, namespace, uid } = object.metadata;
    if (resource.kind === "CustomResourceDefinition") {
      for (const [other, custom] of [...this.store.everything()]) {
        if (other.group === object.spec.group && other.kind === object.spec.names.kind) this.store.erase(other, custom);
      }
      this.store.resources.define(name, undefined);
    }
    const last = this.store.erase(resource, object);
    this.#soon(() => this.#collect(uid));
    if (namespace && this.store.get(NAMESPACE, "", namespace)?.metadata.deletionTimestamp)
      this.#soon(() => this.#empty(namespace));
    return last;
  }

  /** Deletes what was owned by an object that is gone, and by nobody else. */
  #collect(uid: string): void {
    const owners = ({ metadata }: Json): Json[] => metadata.ownerReferences ?? [];
    const everything = [...this.store.everything()];
    const dependents = everything.filter(([, object]) => owners(object).some((owner) => owner.uid === uid));
    if (dependents.length === 0) return;
    const alive = new Set(everything.map(([, object]) => object.metadata.uid));
    for (const [resource, object] of dependents) {
      const { namespace = "", name } = object.metadata;
      const left = owners(object).filter((owner) => alive.has(owner.uid));
      if (left.length === 0) this.#attempt(() => this.delete(resource, namespace, name));
      else this.#setOwners(resource, object, left);
    }
  }

  #orphan(uid: string): void {
    for (const [resource, object] of [...this.store.everything()]) {
      const owners: Json[] = object.metadata.ownerReferences ?? [];
      const left = owners.filter((owner) => owner.uid !== uid);
      if (left.length < owners.length) this.#setOwners(resource, object, left);
    }
  }

  #setOwners(resource: Resource, object: Json, owners: Json[]): void {
    const { ownerReferences: _, ...metadata } = object.metadata;
    this.store.write(resource, {
      ...object,
      metadata: { ...metadata, ...(owners.length > 0 ? { ownerReferences: owners } : {}) },
    });
  }

  /** Takes a namespace that is being deleted on: first what is in it, then itself. */
  #empty(name: string): void {
    const namespace = this.store.get(NAMESPACE, "", name);
    if (!namespace?.metadata.deletionTimestamp) return;
    const inside = () => [...this.store.everything()].filter(([, { metadata }]) => metadata.namespace === name);
    for (const [resource, object] of inside()) {
      if (!object.metadata.deletionTimestamp) this.#attempt(() => this.delete(resource, name, object.metadata.name));
    }
    if (inside().length === 0 && !namespace.metadata.finalizers?.length) this.#erase(NAMESPACE, namespace);
  }

  /** Serves the kinds that a definition defines from now on; the API server's own controller says so a moment later. */
  #define(resource: Resource, definition: Json): void {
    const { name } = definition.metadata;
    this.store.resources.define(name, definition);
    if (definition.status?.conditions?.some(({ type, status }: Json) => type === "Established" && status === "True"))
      return;
    this.#soon(() => {
      if (!this.store.get(resource, "", name)) return;
      const condition = (type: string, reason: string, message: string) => ({
        type,
        status: "True",
        reason,
        message,
        lastTransitionTime: now(),
      });
      const status = {
        conditions: [
          condition("NamesAccepted", "NoConflicts", "no conflicts found"),
          condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        acceptedNames: definition.spec.names,
        storedVersions: definition.spec.versions.filter(({ storage }: Json) => storage).map((v: Json) => v.name),
      };
      this.update(resource, "", name, (live) => ({ ...live, status }), {
        manager: "kube-apiserver",
        subresource: "status",
      });
    });
  }

  #checkNamespace(resource: Resource, namespace: string, name: string): void {
    if (!resource.namespaced) return;
    const found = this.store.get(NAMESPACE, "", namespace);
    if (!found) throw notFound(NAMESPACE, namespace);
    if (found.metadata.deletionTimestamp) {
      throw forbidden(
        resource,
        name,
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      );
    }
  }

  #soon(action: () => void): void {
    setImmediate(() => {
      if (!this.#stopped) this.#attempt(action);
    });
  }

  /** What is done in the background may find that somebody else did it. */
  #attempt(action: () => unknown): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
    }
  }
}

/** To the second, as all times of the API are. */
export function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

export function suffix(): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return [...randomBytes(5)].map((byte) => letters[byte % letters.length]).join("");
}

function identity({ generation }: Resource): Json {
  return { uid: randomUUID(), creationTimestamp: now(), ...(generation ? { generation: 1 } : {}) };
}

/** A copy with the kind and namespace that it was sent to, without what a client cannot say. */
function cleaned(resource: Resource, given: Json, namespace: string): Json {
  const object = clone(given);
  object.apiVersion = apiVersionOf(resource);
  object.kind = resource.kind;
  const { creationTimestamp: _, generation: __, selfLink: ___, ...metadata } = object.metadata ?? {};
  object.metadata = metadata;
  if (resource.namespaced) object.metadata.namespace = namespace;
  else delete object.metadata.namespace;
  for (const key of ["labels", "annotations", "finalizers", "ownerReferences"]) {
    const value = object.metadata[key];
    if (value === null || (value && Object.keys(value).length === 0)) delete object.metadata[key];
  }
  return object;
}

function writerOf(resource: Resource, { manager, subresource }: WriteOptions): Writer {
  return { manager, apiVersion: apiVersionOf(resource), ...(subresource ? { subresource } : {}) };
}

/** What a generation counts the changes of. */
function wantedOf({ metadata: _, status: __, ...rest }: Json): Json {
  return rest;
}

function uidConflict(resource: Resource, name: string, uid: string, is: string): StatusError {
  return conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${is}`);
}

function dropUnless(object: Json, key: string, kept: readonly string[]): void {
  if (!kept.includes(key)) delete object[key];
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutNulls(inner)]));
}
