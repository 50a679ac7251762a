import { type SerializedError, type TestModule, type TestRunEndReason, VerboseReporter } from "vitest/node";

/** Ends the log with lines that need no terminal: what failed, and one line of totals. */
export class PlainEnd extends VerboseReporter {
  override onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    super.onTestRunEnd(modules, errors, reason);
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    for (const test of tests) if (test.result().state === "failed") console.log(`failed: ${test.fullName}`);
    // A run can fail without a failed test: where a file, or the setup before all files, could not be run.
    const failed = count("failed") || (reason === "passed" ? 0 : 1);
    console.log(`e2e: ${count("passed")} passed, ${failed} failed, ${count("skipped")} skipped`);
  }
}
