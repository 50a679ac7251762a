import { Failure } from "../mesh/failure.ts";
import { quoted } from "../mesh/quoted.ts";
import { withoutSecrets } from "../mesh/redact.ts";

/** Notes a problem: which input (or part of it), and what is found there and what is expected, without a full stop. */
export type ReportProblem = (input: string, problem: string) => void;

/** A value for a message. */
export function shown(value: string): string {
  return value === "" ? "empty" : quoted(value);
}

/** A name for a message, unless it looks like the kubeconfig itself, given where its name belongs. */
export function named(value: string): string {
  return value !== "" && /^[\w .:/\\~-]{1,100}$/.test(value)
    ? JSON.stringify(value)
    : "(not shown, for it looks like no name)";
}

/** A text from outside as the log may have it: without secrets and what a terminal would obey; its line breaks stay. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
  return withoutSecrets(text).replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}

/** A URL for a message. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/]*@/, "//");
}

/** Why a secret is empty, most of the time. */
export const FORK =
  "The usual cause is a secret that is not available: its name is misspelled, or the run is for a pull request from a fork, which gets no secrets";

/** Everything that is wrong with the inputs, at once. */
export class InputError extends Failure {
  readonly problems: readonly string[];

  constructor(found: readonly string[]) {
    // One secret may be given in the place of another input.
    const problems = found.map(withoutSecrets);
    super(
      `The inputs cannot be used:\n${problems.map((problem) => `- ${problem}`).join("\n")}`,
      "Nothing was changed.",
    );
    this.name = "InputError";
    this.problems = problems;
  }
}
