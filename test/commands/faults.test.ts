// A sample of what `npm run faults` does with every command and every request.
import { expect, test } from "vitest";
import type { Case } from "../faults/cases.ts";
import { casesOf, isIstioctls, line, runCases, undisturbed } from "../faults/faults.ts";
import { KINDS } from "../faults/kinds.ts";
import { SCENARIOS } from "../faults/scenarios.ts";
import { testClusters } from "./clusters.ts";

// For its short keys; the scenarios start clusters of their own.
testClusters();

test("an install with a fault passes, or says why it cannot, and the next one completes it: one of each kind", async () => {
  const { whole, targets } = await undisturbed(SCENARIOS.install);
  // Of the watches, the one that there has to be, however slow this machine: the operator waits for it.
  const isSure = ({ target }: Case) => !target.class.includes("watch=true") || target.class.includes("/istios?");
  const cases = casesOf(targets).filter((each) => isSure(each) && !isIstioctls(each.target));
  const sample = KINDS.map(({ name }, i) => {
    const some = cases.filter(({ kind }) => kind.name === name);
    expect(some, name).not.toEqual([]);
    return some[Math.floor((some.length * i) / KINDS.length)]!;
  });
  const ended = await runCases(SCENARIOS.install, sample, whole);
  expect(ended.filter(({ problems }) => problems.length > 0).map(line)).toEqual([]);
  expect(ended.map(({ kind, hit, result }) => `${kind.name}: ${hit ? result : "did not come"}`)).toEqual(
    sample.map(({ kind, target }) => {
      // A watch is begun anew by a list, which a list is not.
      const mends = kind.transient || (kind.name === "410 Gone" && target.class.includes("watch=true"));
      return `${kind.name}: ${mends ? "passed" : "failed"}`;
    }),
  );
}, 300_000);
