import * as core from "@actions/core";
import type { Report } from "../mesh/report.ts";
import { subjectName } from "../steps/run.ts";
import { InputError } from "./inputs.ts";

/** What the platform shows of one step: ten annotations of a kind, of 4,096 characters each. */
const MOST = 10;
const LONGEST = 3_900;

/** An error annotation for each failed check; what was only skipped because of one is not told again. */
export function annotate(report: Report): void {
  const failed = report.checks.filter(({ verdict }) => verdict === "failed");
  failed.slice(0, MOST - 1).forEach(({ id, subject, cause, hint }) => {
    error(`${subjectName(subject)}: ${id}`, `${cause}${hint ? `\n${hint}` : ""}`);
  });
  if (failed.length === MOST) {
    const [last] = failed.slice(-1);
    if (last) error(`${subjectName(last.subject)}: ${last.id}`, `${last.cause}${last.hint ? `\n${last.hint}` : ""}`);
  } else if (failed.length > MOST) {
    error("More findings", `${failed.length - MOST + 1} more checks failed; the job summary has them all.`);
  }
}

/** An error annotation for what went wrong before there was a report. */
export function annotateError(problem: unknown): void {
  if (problem instanceof InputError) {
    const shown = problem.problems.length > MOST ? problem.problems.slice(0, MOST - 1) : problem.problems;
    for (const each of shown) error("Input", each);
    if (shown.length < problem.problems.length) {
      error("Input", `${problem.problems.slice(shown.length).join("\n")}`);
    }
  } else error("Unexpected error", problem instanceof Error ? problem.message : String(problem));
}

function error(title: string, message: string): void {
  core.error(message.length > LONGEST ? `${message.slice(0, LONGEST)} …` : message, { title });
}
