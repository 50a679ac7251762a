import { setMaxListeners } from "node:events";

/** The one deadline of a run. Everything that waits or asks is bounded by it, and by the runner's cancellation. */
export class Deadline {
  readonly signal: AbortSignal;
  readonly #end: number;
  readonly #cancelled: AbortSignal | undefined;
  /** The whole span in seconds, for messages. */
  readonly seconds: number;

  constructor(milliseconds: number, cancelled?: AbortSignal) {
    this.seconds = milliseconds / 1000;
    this.#end = performance.now() + milliseconds;
    this.#cancelled = cancelled;
    const timeout = AbortSignal.timeout(milliseconds);
    this.signal = cancelled ? AbortSignal.any([timeout, cancelled]) : timeout;
    // Every wait of every cluster listens to it; that is no leak.
    setMaxListeners(0, this.signal);
  }

  /** Milliseconds left, never negative; none once the run is cancelled, or retries would follow each other without a pause. */
  remaining(): number {
    return this.signal.aborted ? 0 : Math.max(0, this.#end - performance.now());
  }

  /** Whether the run was cancelled, rather than too slow. */
  get cancelled(): boolean {
    return this.#cancelled?.aborted === true;
  }

  get passed(): boolean {
    return this.remaining() === 0;
  }

  /** Every pause of a run, between tries and between looks: resolves after it, or at the deadline. */
  pause(milliseconds: number): Promise<void> {
    return sleep(milliseconds, this.signal);
  }
}

/** Resolves after `milliseconds`, or as soon as the signal aborts. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** What comes of the work, or at once the signal's reason: undici heeds a signal only when it is connected. */
export async function heeding<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  const over = Promise.withResolvers<never>();
  const abort = () => over.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Does the work with a signal that aborts after a while, or with another one. Nothing of it is left behind: a signal of
 * `AbortSignal.timeout` would be kept for all of its time, whenever the work was done.
 */
export async function within<T>(
  milliseconds: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort(outer.reason);
  const late = () => new DOMException("The operation was aborted due to timeout", "TimeoutError");
  const timer = setTimeout(() => controller.abort(late()), milliseconds);
  outer.addEventListener("abort", abort);
  if (outer.aborted) abort();
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", abort);
  }
}
