import * as core from "@actions/core";
import { Failure } from "../mesh/failure.ts";
import { type Report, subjectName } from "../mesh/report.ts";
import { InputError } from "./inputs.ts";

/** What the platform shows of one step: ten annotations of a kind, of 4,096 characters each. */
const MOST = 10;
const LONGEST = 3_900;

/** An error annotation for each failed check; what was only skipped because of one is not told again. */
export function annotate(report: Report): void {
  const failed = report.checks.filter(({ verdict }) => verdict === "failed");
  const shown = failed.length > MOST ? failed.slice(0, MOST - 1) : failed;
  for (const { id, subject, cause, hint } of shown) error(`${subjectName(subject)}: ${id}`, cause ?? "", hint);
  if (shown.length < failed.length) {
    error("More findings", `${failed.length - shown.length} more checks failed; the job summary has them all.`);
  }
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

/** The hint is what helps, so where there is too much text it is the cause that is cut. */
function error(title: string, message: string, hint = ""): void {
  const rest = cut(hint, LONGEST / 2);
  const text = cut(message, LONGEST - rest.length);
  core.error(rest ? `${text}\n${rest}` : text, { title });
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)} …` : text;
}
