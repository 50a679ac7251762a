// A sample of what `npm run faults` does with every command and every request.
import { expect, test } from "vitest";
import { isIstioctls, line, runCases, undisturbed } from "../faults/faults.ts";
import { KINDS } from "../faults/kinds.ts";
import { isWatch } from "../faults/requests.ts";
import { SCENARIOS } from "../faults/scenarios.ts";
import { testClusters } from "./clusters.ts";

// For its short keys; the scenarios start clusters of their own.
testClusters();

test("an install with a fault passes, or says why it cannot, and the next one completes it: one of each kind", async () => {
  const { whole, targets } = await undisturbed(SCENARIOS.install);
  // What comes in every run, however slow this machine: how often something is looked at differs, and of the watches there is
  // sure to be one alone, for which the operator waits.
  const sure = targets.filter(
    (target) =>
      target.occurrence === 1 &&
      !isIstioctls(target) &&
      (!isWatch(target.request) || target.class.includes("/istios?")),
  );
  const sample = KINDS.map((kind, i) => {
    const some = sure.filter(({ request }) => kind.applies(request));
    expect(some, kind.name).not.toEqual([]);
    return { kind, target: some[Math.floor((some.length * i) / KINDS.length)]! };
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
