import * as core from "@actions/core";
import type { CheckId } from "../mesh/catalogue.ts";
import { type RootCause, rootCauses } from "../mesh/causes.ts";
import { Failure } from "../mesh/failure.ts";
import type { Verdict } from "../mesh/phases.ts";
import type { Check, Report } from "../mesh/report.ts";
import { count } from "../mesh/words.ts";
import { changeSentence } from "../report/changes.ts";
import { documentationOf, places, whereabouts } from "../report/words.ts";
import { InputError, printable } from "./messages.ts";

/** What the platform shows of one step: ten annotations of a kind, of 4,096 characters each. */
const MOST = 10;
const LONGEST = 3_900;

/**
 * An error annotation for each root cause, a warning annotation for each that could not be checked and for each warning of
 * a check. What a root cause explains is not told again, nor are the run's warnings, which were told when they came up.
 * @param documentation base URL of the documentation
 */
export function annotate(report: Report, documentation?: string): void {
  const causes = rootCauses(report.checks);
  const told = causes.map((cause) => ({ verdict: cause.check.verdict, note: noteOf(cause, documentation) }));
  const notes = (verdict: Verdict) => told.filter((each) => each.verdict === verdict).map(({ note }) => note);
  annotateAll(notes("failed"), core.error, MOST);
  const left = Math.max(1, MOST - report.warnings.length);
  annotateAll([...notes("unknown"), ...warningNotes(report.checks, documentation)], core.warning, left);
}

/** An error annotation for a plan that was to have no changes. */
export function annotateChanges(report: Report): void {
  const hint =
    "The job summary and the JSON report have every field. If the inputs are right, run the command `install` with them; otherwise give them the values that the clusters have.";
  error("The plan has changes", changeSentence(report), hint);
}

interface Note {
  readonly title: string;
  readonly message: string;
  /** What is not cut where there is too much text. */
  readonly rest: string;
}

function annotateAll(notes: readonly Note[], tell: typeof core.error, most: number): void {
  const shown = notes.length > most ? notes.slice(0, most - 1) : notes;
  for (const note of shown) show(note, tell);
  if (shown.length === notes.length) return;
  const message = `${notes.length - shown.length} more findings are in the job summary.`;
  show({ title: "More findings", message, rest: "" }, tell);
}

function noteOf({ check, subjects, explains }: RootCause, documentation: string | undefined): Note {
  const also = explains.length > 0 ? `This explains ${count(explains.length, "other check")}.` : "";
  return {
    title: `${whereabouts(subjects, check)}: ${check.id}`,
    message: check.cause ?? "",
    rest: lines(cut(check.hint ?? "", LONGEST / 2), also, readOn(check.id, documentation)),
  };
}

/** The same warning of several clusters is one. */
function warningNotes(checks: readonly Check[], documentation: string | undefined): Note[] {
  const same = Map.groupBy(
    checks.filter(({ warning }) => warning !== undefined),
    ({ id, warning }) => JSON.stringify([id, warning]),
  );
  return [...same.values()].map((of) => {
    const { id, warning = "" } = of[0] as Check;
    const title = `${places(of.map(({ subject }) => subject))}: ${id}`;
    return { title, message: warning, rest: readOn(id, documentation) };
  });
}

function readOn(id: CheckId, documentation: string | undefined): string {
  return documentation ? `Read on: ${documentationOf(id, documentation)}` : `Read on: docs/CHECKS.md, ${id}`;
}

/** An error annotation for what went wrong before there was a report. */
export function annotateError(problem: unknown): void {
  if (problem instanceof InputError) annotateInputs(problem.problems);
  else if (problem instanceof Failure) error("Failed", problem.message, problem.hint);
  else error("Unexpected error", problem instanceof Error ? problem.message : String(problem));
}

function annotateInputs(problems: readonly string[]): void {
  const alone = problems.length > MOST ? MOST - 1 : problems.length;
  for (const problem of problems.slice(0, alone)) error("Input", problem);
  const together: string[] = [];
  let room = LONGEST;
  const rest = problems.slice(alone);
  for (const problem of rest) {
    // Room is left to say how many more there are.
    if (together.length > 0 && room < problem.length + 100) break;
    room -= problem.length + 1;
    together.push(problem);
  }
  if (rest.length > together.length) {
    together.push(`${rest.length - together.length} more problems with the inputs are not shown.`);
  }
  if (together.length > 0) error("Input", together.join("\n"));
  core.info("Nothing was changed.");
}

function error(title: string, message: string, hint = ""): void {
  show({ title, message, rest: cut(hint, LONGEST / 2) }, core.error);
}

/** The hint is what helps, so where there is too much text it is the message that is cut. */
function show({ title, message, rest }: Note, tell: typeof core.error): void {
  tell(printable(lines(cut(message, LONGEST - rest.length), rest)), { title });
}

function lines(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n");
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)} …` : text;
}
