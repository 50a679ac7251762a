import type { Cluster } from "../cluster/cluster.ts";
import { ApiError, unreachableCluster } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { CHECKS, type CheckId } from "../mesh/catalogue.ts";
import { explained } from "../mesh/causes.ts";
import { Failure } from "../mesh/failure.ts";
import { describe, type ObjectRef } from "../mesh/objects/object.ts";
import type { Phase, Verdict } from "../mesh/phases.ts";
import { PHASES } from "../mesh/phases.ts";
import { withoutSecretsIn } from "../mesh/redact.ts";
import type {
  Change,
  Check,
  CheckRef,
  ClusterReport,
  Finding,
  Left,
  PhaseReport,
  Reading,
  Report,
  Result,
  Subject,
} from "../mesh/report.ts";
import { clustersOf, SCHEMA_VERSION, subjectName } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { type ObjectChange, type Step, stepOf } from "./step.ts";
import type { Same } from "./write.ts";

/** Told what happens while it happens; all else is in the report. */
export interface Progress {
  event(phase: Phase, subject: Subject, text: string, verdict?: Verdict): void;
  /** Something of this phase is to come. */
  phasePlanned(phase: Phase): void;
  phaseEnded(phase: Phase): void;
  warning(text: string): void;
  /** A value that was read from a cluster and must not be shown. */
  secret(value: string): void;
}

/** A step failed, or was not taken because one that it needs failed; `message` names the step that failed. */
export class NotReached extends Error {}

/** The step's value, or `undefined` where it was noted as failed or skipped already. */
export async function reached<T>(step: Promise<T>): Promise<T | undefined> {
  try {
    return await step;
  } catch (error) {
    if (error instanceof NotReached) return undefined;
    throw error;
  }
}

export interface Outcome<T> {
  readonly value: T;
  /** What was seen that makes it true, in a sentence. */
  readonly evidence: string;
  readonly readings?: readonly Reading[];
  /** Passed, but not as it should be. */
  readonly warning?: string;
}

/** Steps that come before another. */
export type Needs = readonly Promise<unknown>[];

const keyOf = ({ id, subject }: Pick<CheckRef, "id" | "subject">) => JSON.stringify([id, subject]);
const phaseOf = (id: CheckId): Phase => CHECKS[id].phase;

/** One run of a command: collects what was checked and changed, and becomes the report. */
export class Run {
  readonly #command: string;
  readonly #mesh: MeshSpec;
  readonly #members: readonly Member[];
  readonly #progress: Progress;
  readonly #started = new Date();
  readonly #clock = performance.now();
  readonly #planned = new Map<string, CheckRef>();
  readonly #open = new Map<Phase, number>();
  readonly #spans = new Map<
    Phase,
    { start: number; end: number; clusters: Map<string, { start: number; end: number }> }
  >();
  readonly #checks: Check[] = [];
  readonly #failures: Check[] = [];
  readonly #changes: Change[] = [];
  readonly #left = new Map<string, Left>();
  readonly #excuses: { readonly why: string; readonly pick: (check: CheckRef) => boolean }[] = [];
  readonly #warnings: string[] = [];
  readonly #clusters: ReadonlyMap<string, ClusterReport>;
  #rootSha256: string | undefined;
  #tokensExpireAt: Date | undefined;
  #nextRunAfter: Date | undefined;
  /** By cluster: what a dry run of the writes has found to be there already. */
  readonly same = new Map<string, Same>();
  /** Whether requests between workloads are part of the run. */
  traffic = false;
  /** Asked before each write to a cluster; throws where none may begin any more. */
  guard: (cluster: string) => Promise<void> = async () => {};

  constructor(command: string, mesh: MeshSpec, members: readonly Member[], progress: Progress) {
    this.#command = command;
    this.#mesh = mesh;
    this.#members = members;
    this.#progress = progress;
    this.#clusters = new Map(
      mesh.clusters.map(({ name, network }) => [name, { name, network, gatewayAddresses: [], requests: 0 }]),
    );
  }

  clusterReport(name: string): ClusterReport {
    return this.#clusters.get(name) as ClusterReport;
  }

  /** Announces a step or a check, so that it is in the report even if it is never reached. */
  plan(...checks: CheckRef[]): void {
    for (const check of checks) {
      const phase = phaseOf(check.id);
      this.#planned.set(keyOf(check), check);
      this.#open.set(phase, (this.#open.get(phase) ?? 0) + 1);
      this.#progress.phasePlanned(phase);
    }
  }

  /** Announces checks once more that are over: what they found is forgotten. */
  again(checks: readonly CheckRef[]): void {
    const keys = new Set(checks.map(keyOf));
    for (const list of [this.#checks, this.#failures]) {
      list.splice(0, list.length, ...list.filter((check) => !keys.has(keyOf(check))));
    }
    this.plan(...checks.filter((check) => !this.#planned.has(keyOf(check))));
  }

  /** Notes what a planned check found. */
  judge(id: CheckId, subject: Subject, finding: Finding): void {
    this.#settle(this.#expected(id, subject), finding);
  }

  /** Counts the time that the work takes for the phase. */
  async timed<T>(phase: Phase, subject: Subject, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#span(phase, subject, start);
    }
  }

  /**
   * Takes a planned step and notes how it ended. What it throws is noted as its cause and thrown on as `NotReached`.
   * @param needs steps that come before it; where one of them failed, this one is noted as skipped
   */
  step<T>(id: CheckId, subject: Subject, needs: Needs, work: (step: Step) => Promise<Outcome<T>>): Promise<T> {
    const taken = this.#take(this.#expected(id, subject), needs, work);
    // Its end is noted already; those that need it look at it in their own time.
    taken.catch(() => {});
    return taken;
  }

  #expected(id: CheckId, subject: Subject): CheckRef {
    const planned = this.#planned.get(keyOf({ id, subject }));
    if (!planned) throw new Error(`${id} for ${subjectName(subject)} is not planned or was taken already`);
    return planned;
  }

  async #take<T>(planned: CheckRef, needs: Needs, work: (step: Step) => Promise<Outcome<T>>): Promise<T> {
    const { id, subject } = planned;
    const phase = phaseOf(id);
    try {
      await Promise.all(needs);
    } catch (error) {
      const cause =
        error instanceof NotReached ? `Not reached: ${error.message}.` : "Not reached: something before it failed.";
      this.#settle(planned, { verdict: "skipped", evidence: "", cause });
      throw error;
    }
    const start = performance.now();
    try {
      const { value, ...seen } = await work(
        stepOf(this.#mesh, {
          guard: (cluster) => this.guard(cluster),
          say: (text) => this.#progress.event(phase, subject, text),
          changed: (cluster, change, would) => this.#changed(cluster, phase, change, would),
          known: (cluster, object) => this.same.get(cluster.name)?.of(object),
        }),
      );
      this.#settle(planned, { verdict: "passed", ...seen }, start);
      return value;
    } catch (error) {
      // Whichever step asked it: of a pair's two clusters either may be the one that is down.
      const down = this.#clusters.get(unreachableCluster(error) ?? "");
      if (down) down.unreachable = true;
      this.#settle(planned, explain(error), start);
      throw new NotReached(`${id} of ${subjectName(subject)} failed`, { cause: error });
    }
  }

  /** Marks what is planned and was not reached, all of it or what is picked, as skipped. */
  skipRest(cause: string, pick: (planned: CheckRef) => boolean = () => true): void {
    for (const planned of [...this.#planned.values()].filter(pick)) {
      this.#settle(planned, { verdict: "skipped", evidence: "", cause });
    }
  }

  /**
   * What need not be yet: of the checks that are picked, those that would not pass count as skipped, and a run that leaves
   * them out is complete all the same.
   */
  excuse(why: string, pick: (check: CheckRef) => boolean): void {
    this.#excuses.push({ why, pick });
  }

  #excused(check: CheckRef): string | undefined {
    return this.#excuses.find(({ pick }) => pick(check))?.why;
  }

  /** Notes the SHA-256 of the mesh's root of trust. */
  trusts(rootSha256: string): void {
    this.#rootSha256 = rootSha256;
  }

  /** Notes when a token in a remote secret expires. */
  tokenExpires(at: Date): void {
    if (!this.#tokensExpireAt || at < this.#tokensExpireAt) this.#tokensExpireAt = at;
  }

  /** Notes that what was begun is under way, and when the next run goes on with it. */
  goesOn(after: Date): void {
    this.#nextRunAfter = after;
  }

  /** Notes that an object stays, and why. What was noted of it first counts. */
  leave(phase: Phase, cluster: string, ref: ObjectRef, why: string): void {
    const key = `${cluster} ${describe(ref)}`;
    if (this.#left.has(key)) return;
    this.#left.set(key, { cluster, ...ref, why: withoutSecretsIn(why) });
    this.#progress.event(phase, { cluster }, `left ${describe(ref)}: ${why}`);
  }

  warn(text: string): void {
    this.#warnings.push(withoutSecretsIn(text));
    this.#progress.warning(text);
  }

  say(phase: Phase, subject: Subject, text: string): void {
    this.#progress.event(phase, subject, text);
  }

  secret(value: string): void {
    this.#progress.secret(value);
  }

  get failed(): boolean {
    return this.#failures.length > 0;
  }

  /** Whether something failed that has nothing to do with a cluster that cannot be reached. */
  get troubled(): boolean {
    return this.#failures.some((check) => !this.#ofUnreachable(check));
  }

  /** Whether all that was planned and is over passed, but for what has to do with a cluster that cannot be reached. */
  get complete(): boolean {
    return this.#checks.every(
      (check) =>
        check.verdict === "passed" ||
        this.#ofUnreachable(check) ||
        (check.verdict === "skipped" && this.#excused(check) !== undefined),
    );
  }

  /** The clusters that could not be reached when a step needed them. */
  get unreachable(): string[] {
    return [...this.#clusters.values()].filter(({ unreachable }) => unreachable).map(({ name }) => name);
  }

  #ofUnreachable({ subject, clusters = [] }: Check): boolean {
    return [...clustersOf(subject), ...clusters].some((name) => this.clusterReport(name).unreachable);
  }

  report(): Report {
    this.skipRest("It was not reached.");
    for (const { cluster } of this.#members) this.clusterReport(cluster.name).requests = cluster.requests;
    // Clusters go side by side; told they are one after the other, in the same way each time.
    const names = [...this.#clusters.keys()];
    const order = ({ cluster }: Change) => names.indexOf(cluster);
    const round = (milliseconds: number) => Math.round(milliseconds) / 1000;
    const phases: PhaseReport[] = (Object.keys(PHASES) as Phase[]).flatMap((phase) => {
      const span = this.#spans.get(phase);
      if (!span) return [];
      const clusters = [...span.clusters].map(([name, { start, end }]) => [name, round(end - start)] as const);
      return [{ phase, seconds: round(span.end - span.start), clusters: Object.fromEntries(clusters) }];
    });
    return {
      schemaVersion: SCHEMA_VERSION,
      command: this.#command,
      result: this.#result(),
      changed: this.#changes.some((change) => change.action !== "unchanged"),
      mesh: {
        id: this.#mesh.id,
        istioVersion: this.#istioVersion(),
        namespace: this.#mesh.namespace,
        ...(this.#rootSha256 ? { rootSha256: this.#rootSha256 } : {}),
      },
      clusters: [...this.#clusters.values()].map(({ name, network, ...seen }) => ({
        name,
        network,
        ...withoutSecretsIn(seen),
      })),
      checks: explained(this.#checks),
      warnings: this.#warnings,
      changes: this.#changes.toSorted((a, b) => order(a) - order(b)),
      left: [...this.#left.values()],
      phases,
      traffic: this.traffic,
      ...(this.#tokensExpireAt ? { tokensExpireAt: this.#tokensExpireAt.toISOString() } : {}),
      ...(this.#nextRunAfter ? { nextRunAfter: this.#nextRunAfter.toISOString() } : {}),
      startedAt: this.#started.toISOString(),
      seconds: round(performance.now() - this.#clock),
    };
  }

  /** What runs in every cluster of which it is known; empty where they differ, or none is. */
  #istioVersion(): string {
    const versions = new Set([...this.#clusters.values()].flatMap(({ istioVersion }) => istioVersion ?? []));
    const [version = ""] = versions;
    return versions.size === 1 ? version : "";
  }

  #result(): Result {
    if (this.failed) return "failed";
    return this.#checks.some((check) => check.verdict === "unknown") ? "incomplete" : "passed";
  }

  #changed(cluster: Cluster, phase: Phase, change: ObjectChange, would = ""): void {
    const { diff, note } = change;
    this.#changes.push({
      cluster: cluster.name,
      ...change,
      ...withoutSecretsIn({ ...(diff && { diff }), ...(note && { note }) }),
    });
    if (change.action === "unchanged") return;
    this.#progress.event(phase, { cluster: cluster.name }, `${would}${change.action} ${describe(change)}`);
  }

  #settle({ id, subject }: CheckRef, found: Finding, start?: number): void {
    if (!this.#planned.delete(keyOf({ id, subject }))) return;
    const why = found.verdict === "passed" ? undefined : this.#excused({ id, subject });
    const end: Finding = why === undefined ? found : { verdict: "skipped", evidence: "", cause: why };
    const { category, phase } = CHECKS[id];
    const { verdict, clusters, ...told } = end;
    const named = clusters ? { clusters } : {};
    const check: Check = { id, category, phase, subject, verdict, readings: [], ...withoutSecretsIn(told), ...named };
    this.#checks.push(check);
    if (verdict === "failed") this.#failures.push(check);
    if (start !== undefined) this.#span(phase, subject, start);
    if (end.verdict !== "skipped") this.#progress.event(phase, subject, end.cause ?? end.evidence, end.verdict);
    const open = (this.#open.get(phase) ?? 1) - 1;
    this.#open.set(phase, open);
    if (open === 0) this.#progress.phaseEnded(phase);
  }

  #span(phase: Phase, subject: Subject, start: number): void {
    const end = performance.now();
    const widen = (old: { start: number; end: number } | undefined) => ({
      start: Math.min(old?.start ?? start, start),
      end: Math.max(old?.end ?? end, end),
    });
    const span = this.#spans.get(phase);
    const clusters = span?.clusters ?? new Map();
    const [cluster] = clustersOf(subject);
    if (cluster) clusters.set(cluster, widen(clusters.get(cluster)));
    this.#spans.set(phase, { ...widen(span), clusters });
  }
}

function explain(error: unknown): Finding {
  const cause = error instanceof Error ? error.message : String(error);
  const hint =
    error instanceof Failure ? error.hint : "This is a defect of the action: please report it with this message.";
  const evidence = error instanceof ApiError ? `The API server answered ${error.status}.` : "";
  return { verdict: "failed", evidence, cause, ...(hint ? { hint } : {}) };
}
