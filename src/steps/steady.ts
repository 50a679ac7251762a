import { setTimeout as delay } from "node:timers/promises";
import { type Call, isFrom, told } from "../checks/attempt.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type MeshSpec, orderedPairs, type TrafficPair } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import type { Injection } from "./probe.ts";
import type { Run } from "./run.ts";
import { Probes, type TrafficTools } from "./traffic.ts";

/** How often each pair is tried at most; in a large mesh more seldom, so that no cluster sends more than so many a second. Milliseconds. */
const EVERY = 500;
const MOST_A_SECOND = 20;

/** What came of one pair's requests. */
interface Tally {
  readonly pair: TrafficPair;
  sent: number;
  failed: number;
  /** Of a failure after which none has been answered, since when. */
  failing: number | undefined;
  /** Longest time without an answer, in milliseconds. */
  longest: number;
  /** When the last request that was answered was sent. */
  answered: number | undefined;
  /** The last one that was not, in words. */
  why: string;
}

/**
 * Requests between all pairs of clusters, for as long as something is done to them: by probes that are there from before, with
 * the proxies that workloads have, each request on a connection of its own that no proxy tries again.
 */
export class Steady {
  readonly #probes: Probes;
  readonly #tallies: readonly Tally[];
  readonly #over = new AbortController();
  readonly #every: number;
  #sending: readonly Promise<void>[] = [];
  #begun: Promise<void> | undefined;

  constructor(run: Run, mesh: MeshSpec, tools: TrafficTools) {
    this.#probes = new Probes(run, mesh, { ...tools, services: [] });
    const names = mesh.clusters.map(({ name }) => name);
    this.#tallies = orderedPairs(names).map(
      ({ observer, target }): Tally => ({
        pair: { source: observer, target },
        sent: 0,
        failed: 0,
        failing: undefined,
        longest: 0,
        answered: undefined,
        why: "",
      }),
    );
    this.#every = Math.max(EVERY, ((names.length - 1) / MOST_A_SECOND) * 1000);
  }

  /**
   * Starts to send, once; settles when each pair was answered, or has used up its patience, or where no probe runs.
   * @param members those with a control plane
   * @param isJoined whether the source reads the target, so that it may be answered
   */
  begin(
    members: readonly Member[],
    injectedBy: (member: Member) => Promise<Injection>,
    isJoined: (pair: TrafficPair) => boolean,
  ): Promise<void> {
    this.#begun ??= this.#begin(members, injectedBy, isJoined);
    return this.#begun;
  }

  async #begin(
    members: readonly Member[],
    injectedBy: (member: Member) => Promise<Injection>,
    isJoined: (pair: TrafficPair) => boolean,
  ): Promise<void> {
    for (const member of members) this.#probes.start(member, injectedBy(member));
    const runs = new Set(
      (
        await Promise.all(members.map(async (member) => ((await this.#probes.runs(member)) ? [member.spec.name] : [])))
      ).flat(),
    );
    const pairs = this.#tallies.filter(({ pair }) => runs.has(pair.source) && runs.has(pair.target) && isJoined(pair));
    this.#sending = pairs.map((tally) =>
      this.#send(tally, members.find(({ spec }) => spec.name === tally.pair.source) as Member),
    );
    const begun = performance.now();
    const [first] = members;
    await first?.cluster.poll("the clusters to answer each other", async (): Promise<Look<void>> => {
      const open = pairs.filter(({ answered }) => answered === undefined);
      return open.length === 0 || performance.now() - begun >= PATIENCE
        ? { done: undefined }
        : { seen: `${namesOf(open)}: no answer yet` };
    });
  }

  async #send(tally: Tally, source: Member): Promise<void> {
    while (!this.#over.signal.aborted) {
      const sent = performance.now();
      const call = await this.#probes.callOnce(source, tally.pair.target);
      const now = performance.now();
      // What the API server could not hand on says nothing of the mesh.
      if (call.status !== undefined && !this.#over.signal.aborted) {
        note(tally, call, sent, now);
      }
      await delay(Math.max(0, this.#every - (now - sent)), undefined, { signal: this.#over.signal }).catch(() => {});
    }
  }

  /**
   * Waits until every pair that was answered before is answered still.
   * @param patience how long at most, in milliseconds
   * @returns those that are not even then, in words
   */
  async cut({ cluster }: Member, patience: number): Promise<string | undefined> {
    const since = performance.now();
    const before = this.#tallies.filter(({ answered }) => answered !== undefined);
    return cluster.poll("the clusters to answer each other as before", async (): Promise<Look<string | undefined>> => {
      const silent = before.filter(({ answered = 0 }) => answered < since);
      if (silent.length === 0) return { done: undefined };
      const seen = `${namesOf(silent)}: ${silent[0]?.why || "not asked yet"}`;
      // Of those that could not be asked nothing is known.
      const late = performance.now() - since >= patience;
      return late ? { done: silent.some(({ failing }) => failing !== undefined) ? seen : undefined } : { seen };
    });
  }

  /** What came of all requests, in a sentence; `undefined` where none was sent. */
  told(): { readonly evidence: string; readonly failed: number } | undefined {
    const tried = this.#tallies.filter(({ answered }) => answered !== undefined);
    const sum = (of: (tally: Tally) => number) => tried.reduce((total, each) => total + of(each), 0);
    const [sent, failed] = [sum((each) => each.sent), sum((each) => each.failed)];
    if (sent === 0) return undefined;
    const longest = Math.max(...tried.map((each) => each.longest));
    const pairs = `between ${count(tried.length, "ordered pair")} of clusters`;
    return {
      failed,
      evidence:
        failed === 0
          ? `Of ${count(sent, "request")} meanwhile ${pairs}, each on a connection of its own, none failed.`
          : `Of ${count(sent, "request")} meanwhile ${pairs}, each on a connection of its own, ${failed} failed, for ${Math.round(longest)} ms at the longest.`,
    };
  }

  /** Sends no more, and asks the probes to go. */
  async end(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#sending);
    await this.#probes.remove();
  }
}

/** It counts from the first answer on: until then there was nothing that could be cut. */
function note(tally: Tally, call: Call, sent: number, now: number): void {
  if (isFrom(tally.pair.target, call)) {
    if (tally.failing !== undefined) tally.longest = Math.max(tally.longest, now - tally.failing);
    tally.failing = undefined;
    tally.answered = sent;
  } else if (tally.answered !== undefined) {
    tally.failed++;
    tally.failing ??= sent;
    tally.why = told(call);
  }
  if (tally.answered !== undefined) tally.sent++;
}

/** A pair that has no answer for so long had none before. Milliseconds. */
const PATIENCE = 10_000;

const namesOf = (tallies: readonly Tally[]) => listed(tallies.map(({ pair }) => `${pair.source} → ${pair.target}`));
