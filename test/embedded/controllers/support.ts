import { isDeepStrictEqual } from "node:util";
import type { Json, Kube, Ref, StoreEvent } from "../kube.ts";
import { StatusError } from "../status.ts";

export const encode = (text: string): string => Buffer.from(text, "utf8").toString("base64");
export const decode = (text: string | undefined): string => Buffer.from(text ?? "", "base64").toString("utf8");

export function refOf({ apiVersion, kind, metadata }: Json): Ref {
  const { name, namespace } = metadata;
  return { apiVersion, kind, name, ...(namespace ? { namespace } : {}) };
}

/** What a controller finds changed meanwhile, a namespace that is going for one, it leaves to the next event. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}

type Listener = (event: StoreEvent) => void;
/** The listeners of each kind that share one subscription, for every subscription gets copies of all that happens. */
const hubs = new WeakMap<Kube, Map<string, Listener[]>>();

/** Tells of the objects of one kind; `apiVersion/kind` as objects have them. */
export function on(kube: Kube, apiVersion: string, kind: string, listener: Listener): void {
  let hub = hubs.get(kube);
  if (!hub) {
    const fresh = new Map<string, Listener[]>();
    hubs.set(kube, fresh);
    kube.subscribe((event) => {
      // Who comes after the first event would miss it, and gets another subscription.
      hubs.delete(kube);
      const { object } = event;
      for (const each of fresh.get(`${object.apiVersion}/${object.kind}`) ?? []) attempt(() => each(event));
    });
    hub = fresh;
  }
  const key = `${apiVersion}/${kind}`;
  hub.set(key, [...(hub.get(key) ?? []), listener]);
}

/** Runs after a while, without keeping the process for it. */
export function later(milliseconds: number, work: () => void): void {
  setTimeout(() => attempt(work), milliseconds).unref();
}

/** At once where there is nothing to wait for: in a test, a timer's millisecond is much. */
export function after(milliseconds: number | undefined, work: () => void): void {
  if (milliseconds) later(milliseconds, work);
  else queueMicrotask(() => attempt(work));
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function merge(base: Json, over: Json): Json {
  if (!isMapping(base) || !isMapping(over)) return over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = key in base ? merge(base[key], value) : value;
  return merged;
}

/** Creates the object or sets these of its fields; what is so already is not written again. */
export function ensure(kube: Kube, object: Json): void {
  const existing = kube.get(refOf(object));
  const wanted = existing ? merge(existing, object) : object;
  if (!existing || !isDeepStrictEqual(existing, wanted)) kube.put(wanted);
}

/** As `ensure`, for the status. */
export function ensureStatus(kube: Kube, object: Json, status: Json): void {
  const existing = object.status ?? {};
  if (!isDeepStrictEqual(existing, merge(existing, status))) kube.patchStatus(refOf(object), status);
}

export function hasLabels(object: Json, labels: Record<string, string>): boolean {
  return Object.entries(labels).every(([name, value]) => object.metadata.labels?.[name] === value);
}

export function isReady(pod: Json): boolean {
  const conditions: Json[] = pod.status?.conditions ?? [];
  return (
    !pod.metadata.deletionTimestamp && conditions.some(({ type, status }) => type === "Ready" && status === "True")
  );
}

/** RFC 3339 in seconds, as Kubernetes has it. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
