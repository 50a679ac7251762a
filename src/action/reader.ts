import { DNS_LABEL } from "./installation.ts";
import { type ReportProblem, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";

/** Reads single inputs, and gathers what is wrong with them. */
export class Reader {
  readonly source: InputSource;
  readonly problems: string[] = [];

  constructor(source: InputSource) {
    this.source = source;
  }

  readonly report: ReportProblem = (input, problem) => {
    this.problems.push(`\`${input}\` ${problem}.`);
  };

  oneOf<T extends string>(input: string, allowed: readonly T[]): T {
    const value = this.source.get(input) as T;
    if (!allowed.includes(value)) this.report(input, `is ${shown(value)}; expected one of: ${allowed.join(", ")}`);
    return value;
  }

  flag(input: string): boolean {
    return this.oneOf(input, ["true", "false"]) === "true";
  }

  /** Names with spaces, commas or line ends in between. */
  list(input: string): string[] {
    return this.source
      .get(input)
      .split(/[\s,]+/)
      .filter((name) => name !== "");
  }

  matching(input: string, value: string, pattern: RegExp, expected: string): string {
    if (!pattern.test(value)) this.report(input, `is ${shown(value)}; expected ${expected}`);
    return value;
  }

  dnsLabel(input: string, value = this.source.get(input)): string {
    return this.matching(input, value, DNS_LABEL, "a DNS label: lower-case letters, digits and `-`, at most 63");
  }

  /** That an input is set which has an effect beside another one alone. @param other how that is to be set */
  only(input: string, isSet: boolean, isFit: boolean, beside: string, other: string): void {
    if (isSet && !isFit) this.report(input, `has an effect with ${beside} only; leave it out, or set ${other}`);
  }
}
