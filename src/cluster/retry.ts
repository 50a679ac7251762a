import type { Deadline } from "./deadline.ts";

/**
 * The one place that says what is tried again, how often and when; requests to API servers and downloads go by it.
 *
 * | What                                                    | Tried again                                          |
 * | ------------------------------------------------------- | ---------------------------------------------------- |
 * | no answer, a broken connection, half an answer          | within the patience                                  |
 * | 429, 500, 502, 503, 504                                 | within the patience                                  |
 * | a webhook that cannot be called (500), as after a       | the same; where the answer alone is wanted, in a dry |
 * | rollout for a moment                                    | run or for a probe, within a patience of its own     |
 * | a field that the kind does not have (500)               | never                                                |
 * | 401, where credentials were accepted before             | once, with new credentials                           |
 * | 409, where the object was modified meanwhile            | within the patience                                  |
 * | a wrong certificate, a name that does not exist, any    | never: it cannot succeed                             |
 * | other status, another field manager's conflict          |                                                      |
 * | a watch that broke or ended early (410, too)            | begun anew by a list, until what it waits for is     |
 * |                                                         | there                                                |
 *
 * A read is given 20 s, a write 35 s, for it waits for admission webhooks.
 * Pauses double from 0.2 s to 5 s, up to half of each left to chance, or are as long as Retry-After says; there is none
 * that would end after the deadline. Each is said in the log. Every request of ours may be repeated: reads, reviews,
 * server-side apply, deletes, and creations of what is this run's alone.
 */
export const TRIED_AGAIN: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** How long somebody is tried who never answered, and who did; and who only hands on what others say. Milliseconds. */
export const PATIENCE_AT_FIRST = 15_000;
export const PATIENCE = 120_000;
export const PATIENCE_PASSED_ON = 3_000;

/** How long something is tried. Milliseconds from the first try on, asked anew after each. */
export type Patience = () => number;

/** Says that something is tried again, and why. */
export type OnRetry = (message: string) => void;

/** How a try ended: for good, or so that another one may help. */
export type Try<T> =
  | { readonly done: T }
  | {
      readonly problem: string;
      /** Milliseconds after which it was asked to come back. */
      readonly after?: number | undefined;
      /** In place of the rule's. */
      readonly patience?: Patience | undefined;
      /** What it comes to where there is no time for another one; may throw. */
      end(): T | Promise<T>;
    };

export interface Rule {
  readonly deadline: Deadline;
  readonly patience: Patience;
  readonly onRetry: OnRetry;
}

/** Tries until one is done for good, or patience or the deadline leave no time for another one. @param what for the log */
export async function retrying<T>(
  what: string,
  { deadline, patience, onRetry }: Rule,
  attempt: (tries: number) => Promise<Try<T>>,
): Promise<T> {
  const started = performance.now();
  for (let tries = 1; ; tries++) {
    const outcome = await attempt(tries);
    if ("done" in outcome) return outcome.done;
    const pause = pauseBefore(tries, outcome.after);
    const left = Math.min(deadline.remaining(), started + (outcome.patience ?? patience)() - performance.now());
    if (pause >= left) return outcome.end();
    onRetry(`${what}: try ${tries + 1} in ${(pause / 1000).toFixed(1)} s: ${outcome.problem}`);
    await deadline.pause(pause);
  }
}

/** Milliseconds before the next try. Some of it is left to chance, so that those who failed together do not come back so. */
export function pauseBefore(tries: number, after?: number): number {
  if (after !== undefined) return after * (1 + Math.random() / 10);
  return Math.min(5_000, 100 * 2 ** tries) * (0.5 + Math.random() / 2);
}
