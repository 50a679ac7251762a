import type { CheckId } from "../mesh/catalogue.ts";
import { Failure } from "../mesh/failure.ts";
import type { Finding, Reading } from "../mesh/report.ts";

/** A check: what it finds in `T`. It may throw the `Failure` of a part that could not be read. */
export type Judgement<T> = (subject: T) => Finding;

/** Checks by their IDs. */
export type Judgements<T> = Readonly<Partial<Record<CheckId, Judgement<T>>>>;

export const passed = (evidence: string, ...readings: Reading[]): Finding => ({
  verdict: "passed",
  evidence,
  readings,
});

export const failed = (cause: string, hint: string, ...readings: Reading[]): Finding => ({
  verdict: "failed",
  evidence: "",
  cause,
  hint,
  readings,
});

/** @param evidence what was looked at */
export const failedAt = (evidence: string, cause: string, hint: string): Finding => ({
  ...failed(cause, hint),
  evidence,
});

export const unknown = (cause: string, hint: string, ...readings: Reading[]): Finding => ({
  verdict: "unknown",
  evidence: "",
  cause,
  hint,
  readings,
});

export const skipped = (cause: string, ...readings: Reading[]): Finding => ({
  verdict: "skipped",
  evidence: "",
  cause,
  readings,
});

/** What a check finds; what it could not look at is unknown, not failed. */
export function judged(look: () => Finding): Finding {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return unknown(error.message, error.hint ?? "");
  }
}
