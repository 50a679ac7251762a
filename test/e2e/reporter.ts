import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** Ends the log with lines that need no terminal: what failed, and one line of totals. */
export class PlainEnd implements Reporter {
  #start = 0;

  onTestRunStart(): void {
    this.#start = Date.now();
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    // A file that could not be loaded has no tests to count.
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length;
    for (const test of tests) if (test.result().state === "failed") console.log(`failed: ${test.fullName}`);
    const seconds = Math.round((Date.now() - this.#start) / 1000);
    const totals = `${count("passed")} passed, ${count("failed") + broken} failed, ${count("skipped")} skipped`;
    console.log(`e2e: ${totals} in ${seconds} s`);
  }
}
