// A sample of what `npm run faults` does with every command and every request.
import { expect, test } from "vitest";
import { casesOf, line, runCases, undisturbed } from "../faults/faults.ts";
import { KINDS } from "../faults/kinds.ts";
import { SCENARIOS } from "../faults/scenarios.ts";

test("an install with a fault of every kind, early and late, passes or says why; the next one completes it", async () => {
  const { whole, targets } = await undisturbed(SCENARIOS.install);
  const cases = casesOf(targets);
  const sample = KINDS.flatMap(({ name }, i) => {
    const some = cases.filter(({ kind }) => kind.name === name);
    return [0.2, 0.8].map((share) => some[Math.floor(some.length * share + i) % some.length]!);
  });
  const ended = await runCases(SCENARIOS.install, sample, whole);
  expect(ended.filter(({ problems }) => problems.length > 0).map(line)).toEqual([]);
  expect(ended.filter(({ hit }) => !hit).map(line)).toEqual([]);
  // What can be mended by another try is.
  const failed = ended.filter(({ result, kind }) => result !== "passed" && kind.transient).map(line);
  expect(failed.filter((text) => !text.includes("secrets") && !text.includes("serviceaccounts"))).toEqual([]);
  expect(new Set(ended.map(({ result }) => result))).toEqual(new Set(["passed", "failed"]));
}, 120_000);
