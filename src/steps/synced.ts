import { type IstiodView, istiodViews, managesAll, NOT_REGISTERED, statusOf } from "../checks/istiod.ts";
import type { Look } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { DEBUG_SWITCH } from "../facts/debug.ts";
import type { Held } from "../facts/endpoints.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import { Failure } from "../mesh/failure.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count } from "../mesh/words.ts";
import type { AsBefore } from "./as-before.ts";
import { defectiveVersion, fixedIn, PATIENCE, restartIstiods } from "./restart.ts";
import type { Needs, Outcome, Run } from "./run.ts";
import type { Step } from "./step.ts";

/** How a remote secret became as it is. */
export interface Written {
  /** By the API server's clock. */
  readonly at: Date;
  /** A changed one needs more than `synced`, which istiod says of its first reading, by whatever the secret held then. */
  readonly changed: boolean;
}

/** How a remote secret became as it is. @param changed whether it was another one before, in an earlier run, too */
export function written({ metadata }: Secret, changed: boolean): Written {
  const ours = metadata.managedFields?.find(({ manager, operation }) => manager === MANAGER && operation === "Apply");
  return { at: new Date(ours?.time ?? metadata.creationTimestamp ?? 0), changed };
}

/**
 * Waits until every replica of the observer's istiod reads each target by its remote secret as it is now: it reports the
 * target synced and, where the secret was changed, has started or logged since then that it takes the change up. Where one
 * does neither in time, or does not even register the target, it has missed the secret, as some versions of Istio do, and
 * istiod is restarted.
 * @param istiods gives what selects the pods of istiod
 * @param secrets for each target how its remote secret became as it is
 * @param asBefore what was held before a secret was changed, which is to be held again
 * @returns for each target, in their order, a step that is over as soon as its own is seen
 */
export function confirmRead(
  run: Run,
  id: CheckId,
  { namespace }: MeshSpec,
  observer: Member,
  istiods: () => Promise<string>,
  secrets: ReadonlyMap<string, Promise<Written>>,
  needs: Needs = [],
  patience = PATIENCE,
  asBefore?: AsBefore,
): Promise<void>[] {
  const istiod = new Istiod(namespace, observer, istiods, secrets.size, patience, asBefore);
  Promise.allSettled(secrets.values()).then(() => istiod.nothingMore());
  return [...secrets].map(([target, secret]) =>
    run.step(id, { observer: observer.spec.name, target }, [secret, ...needs], async (step) =>
      istiod.reads(target, await secret, step),
    ),
  );
}

/** A target that is waited for. */
interface Wait {
  readonly target: string;
  readonly secret: Written;
  readonly step: Step;
  readonly since: number;
  /** The pods that were seen to have logged the change. */
  readonly logged: Set<string>;
  readonly done: (outcome: Outcome<void>) => void;
  /** The pods that ran when istiod was restarted for it, or for another one meanwhile. */
  before?: ReadonlySet<string>;
  restarted?: number;
  warning?: string;
}

interface Replica {
  readonly pod: Pod;
  readonly view: IstiodView;
  readonly log: string;
}

/** What a replica shows of a target: all that is wanted, or what is missing. */
interface Shown {
  readonly replica: Replica;
  readonly sign?: string | undefined;
  /** What it no longer holds of the target. */
  readonly lost?: string | undefined;
  readonly missing?: string | undefined;
  /** It has missed the secret, as far as can be seen by now. */
  readonly blind: boolean;
  /** Its version is known to lose what it had read by the old secret, whatever it says: only a restart helps. */
  readonly defective?: string | undefined;
}

/** The istiods of one observer. */
class Istiod {
  readonly #namespace: string;
  readonly #observer: Member;
  readonly #selector: () => Promise<string>;
  /** How many other clusters it is to read. */
  readonly #remotes: number;
  readonly #patience: number;
  readonly #asBefore: AsBefore | undefined;
  readonly #waits = new Map<string, Wait>();
  /** One poll serves all targets. */
  #poll: Promise<void> | undefined;
  /** Nothing more is written for it: one restart serves all. */
  #written = false;

  constructor(
    namespace: string,
    observer: Member,
    selector: () => Promise<string>,
    remotes: number,
    patience: number,
    asBefore: AsBefore | undefined,
  ) {
    this.#asBefore = asBefore;
    this.#namespace = namespace;
    this.#observer = observer;
    this.#selector = selector;
    this.#remotes = remotes;
    this.#patience = patience;
  }

  async reads(target: string, secret: Written, step: Step): Promise<Outcome<void>> {
    const seen = new Promise<Outcome<void>>((done) =>
      this.#waits.set(target, { target, secret, step, since: performance.now(), logged: new Set(), done }),
    );
    this.#poll ??= this.#observer.cluster.poll(`istiod of ${this.#observer.spec.name} to read the other clusters`, () =>
      this.#look(),
    );
    return Promise.race([seen, this.#poll.then(() => seen)]);
  }

  async #look(): Promise<Look<void>> {
    const running = await this.#running();
    // Those that began to wait while istiod was being asked, too.
    const waits = [...this.#waits.values()];
    if (running.length === 0) return { seen: "no pod of istiod runs" };
    const replicas = await Promise.all(
      running.map(async (each) => ({ ...each, log: await this.#log(each.pod, waits) })),
    );
    const held = new Map<string, Promise<Held>>();
    const missing: string[] = [];
    const blind: [Wait, Shown[]][] = [];
    for (const wait of waits) {
      const shown = replicas.map((replica) => show(replica, wait, this.#remotes));
      const all = shown.some((each) => each.missing) ? shown : await this.#compared(shown, wait, held);
      const not = all.filter((shown) => shown.missing);
      missing.push(...not.map((shown) => shown.missing as string));
      if (not.length === 0) {
        this.#waits.delete(wait.target);
        wait.done({
          value: undefined,
          evidence: evidence(all, wait.target),
          ...warningOf(wait, all, this.#observer.spec.name),
        });
      } else {
        const missed = not.filter((shown) => shown.blind);
        if (missed.length > 0 && !wait.before) blind.push([wait, missed]);
      }
    }
    if (this.#waits.size === 0) {
      this.#poll = undefined;
      return { done: undefined };
    }
    const now = performance.now();
    const lost = blind.flatMap(([, shown]) => shown.flatMap(({ defective }) => defective ?? []));
    if (lost.length > 0 && this.#written) await this.#restart(blind, lost[0]);
    else if (lost.length === 0 && blind.some(([{ since }]) => now - since >= this.#patience))
      await this.#restart(blind);
    const mute = replicas.find(({ view }) => view.metrics && !managesAll(view, this.#remotes));
    if (mute && waits.every(({ since }) => now - since >= this.#patience)) throw this.#untold(mute);
    return { seen: missing.join("; ") || "a remote secret was just written" };
  }

  /**
   * A replica that has taken up a changed secret is to hold what was held before. One that began afterwards has read all of
   * it anew: no restart would help it.
   */
  #compared(all: readonly Shown[], wait: Wait, held: Map<string, Promise<Held>>): Promise<Shown[]> {
    const { target, secret, since, restarted = since } = wait;
    return Promise.all(
      all.map(async (shown) => {
        const { pod } = shown.replica;
        const lost = secret.changed ? await this.#asBefore?.lost(target, [pod.metadata.name], held) : undefined;
        if (!lost) return shown;
        // Told, and no longer waited for.
        if (isNew(pod, wait) && performance.now() - restarted >= this.#patience) return { ...shown, lost };
        return { ...shown, lost, missing: lost, blind: !isNew(pod, wait) };
      }),
    );
  }

  async #running(): Promise<Pick<Replica, "pod" | "view">[]> {
    const { cluster } = this.#observer;
    const namespace = this.#namespace;
    const query = { apiVersion: "v1", kind: "Pod", namespace, labelSelector: await this.#selector() };
    const pods = (await cluster.list(query)) as unknown as Pod[];
    const views = await istiodViews(cluster, namespace, pods);
    return views.map((view) => ({ view, pod: pods.find(({ metadata }) => metadata.name === view.pod) as Pod }));
  }

  /** What a replica has logged since the first of the changed secrets was written that it has not begun after. */
  async #log(replica: Pod, waits: readonly Wait[]): Promise<string> {
    const times = waits.filter((wait) => wait.secret.changed && !isNew(replica, wait)).map(({ secret }) => secret.at);
    if (times.length === 0) return "";
    const pod = { apiVersion: "v1", kind: "Pod", namespace: this.#namespace, name: replica.metadata.name };
    const since = new Date(Math.min(...times.map(Number)));
    return this.#observer.cluster.logs(pod, "discovery", { since }).catch((error: unknown) => {
      // A pod that is just being replaced has no log; the next look finds its successor.
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return "";
      throw error;
    });
  }

  /** Its metrics are all that there is, and they do not say that it has read the others: nothing more can be waited for. */
  #untold({ view: { pod, metrics } }: Replica): Failure {
    return new Failure(
      `${pod} of ${this.#observer.spec.name} manages ${metrics?.remotes} of ${count(this.#remotes, "remote cluster")} by its metrics, ${metrics?.timeouts} of which took too long to read; which, it does not say: its debug interface is closed (${DEBUG_SWITCH}).`,
      `Look into its log: kubectl -n ${this.#namespace} logs ${pod} | grep -i cluster`,
    );
  }

  /** To be told when no more secrets are written for it. */
  nothingMore(): void {
    this.#written = true;
  }

  /**
   * As `kubectl rollout restart` does: once for all who wait.
   * @param defective the version of Istio that is known to lose what it had read
   */
  async #restart(blind: readonly (readonly [Wait, readonly Shown[]])[], defective?: string): Promise<void> {
    const { spec } = this.#observer;
    const replicas = new Map(
      blind.flatMap(([, shown]) => shown.map(({ replica: { pod } }) => [pod.metadata.name, pod] as const)),
    );
    const names = [...replicas.keys()].join(", ");
    const targets = blind.map(([{ target }]) => target).join(", ");
    const missed = defective
      ? `Istio ${defective}, which ${names} ${replicas.size === 1 ? "runs" : "run"}, is known to lose the endpoints of ${targets} when the remote ${blind.length === 1 ? "secret" : "secrets"} for ${blind.length === 1 ? "it changes" : "them change"} (${fixedIn(defective)} and later do not)`
      : `${names} did not take up the remote ${blind.length === 1 ? "secret" : "secrets"} for ${targets} within ${Math.round(this.#patience / 1000)} s`;
    const lost = blind.flatMap(([, shown]) => shown.flatMap((each) => each.lost ?? []))[0];
    const why = lost ? `${lost}, since the remote secret for it was changed` : missed;
    const all = await restartIstiods(blind[0]![0].step, this.#namespace, this.#observer, [...replicas.values()], why);
    for (const wait of this.#waits.values()) Object.assign(wait, { before: all, restarted: performance.now() });
    for (const [wait] of blind) wait.warning = `istiod of ${spec.name} was restarted, for ${why}.`;
  }
}

/** Whether a replica began after the remote secret was written, and so has read it as it is. */
function isNew({ metadata }: Pod, { secret, before }: Wait): boolean {
  return new Date(metadata.creationTimestamp ?? 0) > secret.at || (before !== undefined && !before.has(metadata.name));
}

/** @param remotes how many clusters the replica is to read */
function show(replica: Replica, wait: Wait, remotes: number): Shown {
  const { pod, view, log } = replica;
  const { target, secret, logged } = wait;
  const { name } = pod.metadata;
  const status = isByNumber(view) && managesAll(view, remotes) ? "synced" : statusOf(view, target);
  const tookItUp = secret.changed && tookUp(log, target);
  const sign = isNew(pod, wait) ? "has started since" : tookItUp ? "has logged the change" : undefined;
  // Between the line in the log and the new client, istiod still tells of the old one: it is asked once more.
  const first = sign === "has logged the change" && !logged.has(name);
  if (first) logged.add(name);
  const unsigned = secret.changed && sign === undefined;
  const missing =
    status !== "synced"
      ? `${name} says of ${target}: ${status}`
      : unsigned
        ? `${name} shows no sign of the changed secret for ${target}`
        : first
          ? `${name} is taking up the changed secret for ${target}`
          : undefined;
  const seen = { replica, sign: secret.changed ? sign : undefined };
  const defective = secret.changed && !isNew(pod, wait) ? defectiveVersion(pod) : undefined;
  if (defective) {
    const lost = `${name} is about to be restarted: Istio ${defective} loses what it had read of ${target}`;
    return { ...seen, missing: lost, blind: true, defective };
  }
  return { ...seen, missing, blind: status === NOT_REGISTERED || unsigned };
}

/** Whether a replica tells only how many clusters it manages: its debug interface is closed, and it is before Istio 1.30. */
function isByNumber({ metrics }: IstiodView): boolean {
  return metrics !== undefined && metrics.statuses.size === 0;
}

function warningOf({ warning, target }: Wait, all: readonly Shown[], observer: string): { readonly warning?: string } {
  const told = all.some(({ replica }) => isByNumber(replica.view));
  const number = `That istiod of ${observer} reads ${target} is told by the number of clusters in its metrics: its debug interface is closed (${DEBUG_SWITCH}).`;
  const less = all.flatMap((each) => each.lost ?? []).map((each) => `In ${observer}, ${each}.`);
  const warnings = [...(warning ? [warning] : []), ...less, ...(told ? [number] : [])];
  return warnings.length > 0 ? { warning: warnings.join(" ") } : {};
}

function evidence(all: readonly Shown[], target: string): string {
  const names = all.map(({ replica }) => replica.pod.metadata.name);
  const signs = all.flatMap(({ sign }, i) => (sign ? [`${names[i]} ${sign}`] : []));
  if (signs.length > 0)
    return `${signs.join(", ")}; ${all.length === 1 ? "it reports" : "all report"} ${target} synced.`;
  return `${names.join(", ")} ${all.length === 1 ? "reports" : "report"} ${target} synced.`;
}

/**
 * Whether istiod has logged that it takes up a cluster's changed remote secret. In the words of its secret controller
 * (pkg/kube/multicluster): `Updating cluster NAME from secret` in old versions, `Updating cluster` or `Update cluster` and
 * then `cluster=NAME` in later ones, or the same as JSON. What follows a colon there is an error.
 */
export function tookUp(log: string, target: string): boolean {
  const change = /\b(?:Add|Adding|Update|Updating) cluster(?=[\s"])/;
  const name = target.replaceAll(".", "\\.");
  const named = new RegExp(`\\bcluster(?:[= ]|":\\s*")${name}(?![-\\w]|\\.\\w)`);
  return log.split("\n").some((line) => change.test(line) && named.test(line));
}
