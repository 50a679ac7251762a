import * as core from "@actions/core";
import type { Watcher } from "../cluster/client.ts";
import type { Wait } from "../cluster/cluster.ts";
import { MARKS, PHASES, type Phase, type Verdict } from "../mesh/phases.ts";
import { type Subject, subjectName } from "../mesh/report.ts";
import type { Progress } from "../steps/run.ts";
import { mask } from "./masking.ts";
import { printable } from "./messages.ts";

const ORDER = Object.keys(PHASES) as Phase[];
/** Milliseconds between looks at what is waited for, and for how long an unchanged wait stays unmentioned. */
const TICK = 5_000;
const REPEAT = 15_000;

/**
 * The log: a group for each phase, in order. Clusters run ahead of each other; what belongs to a later phase is kept
 * back until the phases before it are over, while progress lines tell of all of them.
 */
export class Log implements Progress, Watcher {
  readonly #start = performance.now();
  readonly #kept = new Map<Phase, string[]>();
  readonly #planned = new Set<Phase>();
  readonly #secrets = new Set<string>();
  readonly #ended = new Set<Phase>();
  readonly #waits = new Map<Wait, { seen: string; at: number }>();
  readonly #timer = setInterval(() => this.#tick(), TICK).unref();
  #current: Phase | undefined;
  #open = false;

  event(phase: Phase, subject: Subject, text: string, verdict?: Verdict): void {
    const mark = verdict ? MARKS[verdict] : "·";
    const line = `${this.#time()} ${mark} ${subjectName(subject)}: ${oneLine(text)}`;
    // What comes late, of a phase that is over, is told where the log is now.
    if (phase === this.#current || !this.#planned.has(phase) || this.#ended.has(phase)) this.#tell(line);
    else {
      const kept = this.#kept.get(phase);
      if (kept) kept.push(line);
      else this.#kept.set(phase, [line]);
    }
  }

  phasePlanned(phase: Phase): void {
    this.#planned.add(phase);
    if (!this.#open) this.#current = this.#next();
  }

  phaseEnded(phase: Phase): void {
    this.#ended.add(phase);
    while (this.#current && this.#ended.has(this.#current)) {
      if (this.#open) core.endGroup();
      this.#open = false;
      this.#current = this.#next();
      const kept = this.#current && this.#kept.get(this.#current);
      if (this.#current) this.#kept.delete(this.#current);
      for (const line of kept ?? []) this.#tell(line);
    }
  }

  warning(text: string): void {
    core.warning(printable(text), { title: "Multi-cluster mesh" });
  }

  secret(value: string): void {
    // A token is met in every observer's remote secret, and the runner goes through its list for every line of the log.
    if (this.#secrets.has(value)) return;
    this.#secrets.add(value);
    mask(value);
  }

  waiting(wait: Wait): void {
    this.#waits.set(wait, { seen: "", at: performance.now() });
  }

  waited(wait: Wait): void {
    this.#waits.delete(wait);
  }

  retrying(cluster: string, message: string): void {
    this.#tell(`${this.#time()} ↻ ${cluster}: ${oneLine(message)}`);
  }

  /** Tells all that was kept back. */
  end(): void {
    clearInterval(this.#timer);
    for (const phase of ORDER) this.phaseEnded(phase);
  }

  #next(): Phase | undefined {
    return ORDER.find((each) => (this.#planned.has(each) && !this.#ended.has(each)) || this.#kept.has(each));
  }

  #tell(line: string): void {
    if (!this.#open && this.#current) {
      core.startGroup(PHASES[this.#current]);
      this.#open = true;
    }
    core.info(line);
  }

  #tick(): void {
    const now = performance.now();
    for (const [wait, told] of this.#waits) {
      const changed = wait.seen !== told.seen;
      if (now - told.at < (changed ? TICK - 500 : REPEAT)) continue;
      this.#waits.set(wait, { seen: wait.seen, at: now });
      const seconds = Math.round((now - wait.since) / 1000);
      const text = `waiting (${seconds} s) for ${wait.what}; last seen: ${wait.seen}`;
      core.info(`${this.#time()} … ${wait.cluster}: ${oneLine(text)}`);
    }
  }

  #time(): string {
    return `${((performance.now() - this.#start) / 1000).toFixed(1).padStart(6)}s`;
  }
}

/** Tells of a retry where there is no log of phases. */
export function tellRetry(cluster: string, message: string): void {
  core.info(oneLine(`${cluster}: ${message}`));
}

/**
 * Clusters supply some of what is logged, and none of it may be taken for a command by the runner: it takes `::x::` at the
 * beginning of a line, and `##[x]` anywhere.
 */
export function oneLine(text: string): string {
  return printable(text).replace(/\n+/g, " ").trim().replaceAll("##[", "## [");
}
