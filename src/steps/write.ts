// The one place where objects are applied: what may be done with one is decided here, by whose it is.
import { terminating } from "../checks/inventory.ts";
import type { Applied, Cluster } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import { PATIENCE_PASSED_ON } from "../cluster/retry.ts";
import { adoptionRecord, sharedPart } from "../mesh/adoption.ts";
import {
  alsoSaidBy,
  classify,
  foundAs,
  handOver,
  inShell,
  type Owner,
  proven,
  unclaimed,
  writersOf,
} from "../mesh/claim.ts";
import { differences } from "../mesh/diff.ts";
import { Failure } from "../mesh/failure.ts";
import { mergeValues } from "../mesh/objects/control-plane.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { claimOn, isWhole } from "../mesh/pieces.ts";
import { listed } from "../mesh/words.ts";

/** What applying an object did to it, or would do. */
export interface Written<T> extends Applied<T> {
  /** What is to be said of it. */
  readonly note?: string;
  /** It is somebody else's, and stays as it is. */
  readonly left?: true;
}

/** What is there under the name of what is wanted may not be changed, and does not do. */
export class InTheWay extends Failure {}

/** How long it is believed that an object is as it was seen. Milliseconds. */
const BELIEVED = 30_000;

/** What a dry run has just found to be as it is wanted: to apply it would change nothing, so it is not done. */
export class Same {
  readonly #found = new Map<string, { written: Written<KubernetesObject>; at: number }>();

  /** @param written what would become of the object */
  note(object: KubernetesObject, written: Written<KubernetesObject>): void {
    if (written.action === "unchanged") this.#found.set(JSON.stringify(object), { written, at: performance.now() });
  }

  /** What would become of this very object; `undefined` where that has to be asked. */
  of<T extends KubernetesObject>(object: T): Written<T> | undefined {
    const { written, at = 0 } = this.#found.get(JSON.stringify(object)) ?? {};
    return performance.now() - at < BELIEVED ? (written as Written<T> | undefined) : undefined;
  }
}

/** How often it is looked again at an object that was made anew while it was about to be written. */
const LOOKS = 3;

/**
 * Applies an object as its claim has it. Throws a `Failure` where it is somebody else's and does not do the job.
 * @param trial only says what would become of it
 */
export async function write<T extends KubernetesObject>(
  cluster: Cluster,
  owner: Owner,
  object: T,
  trial = false,
): Promise<Written<T>> {
  for (let look = 1; ; look++) {
    const before = await cluster.get<T>(refOf(object));
    const lacks = await lacking(cluster, owner, object, before);
    const move = classify(claimOn(object), foundAs(owner, before), lacks.length === 0);
    if (move === "refuse") throw refusal(owner, object, before as T, lacks);
    if (move === "leave" || move === "warn") return leave(before as T, move === "warn");
    const adopted = move === "fields" && before !== undefined && adoptionRecord(object) !== undefined;
    const wanted = adopted
      ? await shared(cluster, owner, object, before)
      : move === "fields"
        ? unclaimed(object)
        : proven(owner, object);
    // What joining takes was asked for by name, and is given back.
    const force = adopted || (move === "update" && isWhole(object));
    if (trial) return tried(cluster, wanted, before, force);
    try {
      const applied = await cluster.apply(wanted, before, force);
      const other = move === "create" ? alsoSaidBy(applied.object) : undefined;
      if (other) await giveUp(cluster, applied.object, other);
      return applied;
    } catch (error) {
      // It is another one by now, or gone.
      const replaced = error instanceof ApiError && error.status === 409 && error.conflicts.length === 0;
      if (!replaced || look === LOOKS) throw error;
    }
  }
}

/** What joining takes of an object of somebody else's; throws a `Failure` where it would have to be another one beyond that. */
async function shared<T extends KubernetesObject>(cluster: Cluster, owner: Owner, object: T, before: T): Promise<T> {
  const part = sharedPart(object, before);
  const [{ object: joined }, { object: whole }] = await Promise.all([
    tried(cluster, part, before, true),
    tried(cluster, { ...unclaimed(object), metadata: part.metadata }, before, true),
  ]);
  const lacks = differences(joined, whole).map(({ path }) => path);
  if (lacks.length > 0) throw refusal(owner, object, before, lacks);
  return part;
}

/** What an object of somebody else's lacks of what is wanted of it, a field each; empty where it does the job. */
async function lacking<T extends KubernetesObject>(
  cluster: Cluster,
  owner: Owner,
  object: T,
  before: T | undefined,
): Promise<string[]> {
  const found = foundAs(owner, before);
  if (!before || (found !== "theirs" && found !== "labelled") || claimOn(object) !== "suffices") return [];
  try {
    const { object: after } = await tried(cluster, unclaimed(object), before);
    return differences(before, after).map(({ path }) => path);
  } catch (error) {
    if (!(error instanceof ApiError) || error.conflicts.length === 0) throw error;
    return error.conflicts.map(({ field, manager }) => `${field.replace(/^\./, "")} (by ${manager})`);
  }
}

/** What applying it would do, as the API server says it or, where it cannot be asked, by what is set. */
async function tried<T extends KubernetesObject>(
  cluster: Cluster,
  wanted: T,
  before: T | undefined,
  force = false,
): Promise<Written<T>> {
  try {
    return await cluster.tryApply(wanted, before, force);
  } catch (error) {
    const note = untriable(error);
    if (note === undefined) throw error;
    if (!before) return { object: wanted, action: "created", note };
    const after = mergeValues(before, wanted) as T;
    const action = differences(before, after).length === 0 ? "unchanged" : "updated";
    return { object: after, before, action, ...(action === "unchanged" ? {} : { note }) };
  }
}

/** What creating an object of ours would do. That it is there by now is no matter: it is looked at when it is made. */
export async function tryCreate(
  cluster: Cluster,
  owner: Owner,
  object: KubernetesObject,
): Promise<Written<KubernetesObject>> {
  const made = { object, action: "created" } as const;
  try {
    await cluster.dryRun(proven(owner, object), () => PATIENCE_PASSED_ON);
    return made;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return made;
    const note = untriable(error);
    if (note === undefined) throw error;
    return { ...made, note };
  }
}

/** Why a dry run says nothing about the real one; `undefined` where it does. */
function untriable(error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const { status, message, webhook } = error;
  // Its kind is not served yet, or what it refers to does not exist before the real one.
  if (status === 404) return "It could not be tried: what it needs is not there yet.";
  if (webhook) return `It could not be tried: the webhook ${webhook.name} cannot be called.`;
  if (status === 400 && /support dry.?run/.test(message))
    return "It could not be tried: a webhook for it does not take dry runs.";
  return undefined;
}

function leave<T extends KubernetesObject>(before: T, looksOurs: boolean): Written<T> {
  const writers = writersOf(before);
  const whose = writers.length > 0 ? `somebody else's (${listed(writers)})` : "somebody else's";
  const note = looksOurs
    ? "It carries this action's label, but not its proof; it stays as it is."
    : `It is ${whose}, and does the job; it stays as it is.`;
  return { object: before, before, action: "unchanged", note, left: true };
}

/** What was made by somebody else while it was written is theirs: what was put on it is taken off again. */
async function giveUp(cluster: Cluster, object: KubernetesObject, other: string): Promise<never> {
  const { apiVersion, kind, metadata } = object;
  const { name, namespace } = metadata;
  await cluster.apply({ apiVersion, kind, metadata: { name, ...(namespace ? { namespace } : {}) } }, object);
  throw new Failure(
    `${describe(refOf(object))} was made by ${other} while this run was about to make it. It was left to ${other}.`,
    "Run again: it then goes by what is there.",
  );
}

function refusal(owner: Owner, object: KubernetesObject, before: KubernetesObject, lacks: readonly string[]): InTheWay {
  const ref = refOf(object);
  const name = describe(ref);
  if (before.metadata.deletionTimestamp) {
    return new InTheWay(
      `${terminating(before)}: what is written now would go with it.`,
      `Run again when it is gone. What holds it, and its status, is in: ${inShell("get", ref)} -o yaml`,
    );
  }
  const writers = writersOf(before);
  const whose = writers.length > 0 ? `${listed(writers)} made it` : "somebody else made it";
  const differs = lacks.length > 0 ? `, and it is not as the mesh needs it: ${listed(lacks)}` : "";
  return new InTheWay(
    `${name} is not this action's (${whose})${differs}.`,
    `${WITHOUT[object.kind]?.(object) ?? "Set it there as it is wanted, or the inputs as it is there"}. Or have it made by this action: ${inShell("delete", ref)}. Or hand it over, to be changed and removed as this action's own: ${handOver(owner, ref)}`,
  );
}

const gateway = () =>
  "To use the gateway that is there, set `install: false` in the input `gateway`; else give the inputs the values that it has";

/** How to go on with what is there, by kind. */
const WITHOUT: Readonly<Record<string, (object: KubernetesObject) => string>> = {
  Istio: () =>
    "Set these fields there, or the inputs as they are there; or use `installer: existing`, which connects the control plane as it is",
  Service: gateway,
  Deployment: ({ metadata }) => (metadata.name === "istio-eastwestgateway" ? gateway() : EXISTING),
  PodDisruptionBudget: gateway,
  HorizontalPodAutoscaler: gateway,
};
const EXISTING = "Use `installer: existing`, which connects the control plane as it is";
