import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Log } from "../../src/action/log.ts";
import type { Wait } from "../../src/cluster/cluster.ts";
import { PHASES, type Phase } from "../../src/mesh/phases.ts";
import { isCommand, stdout } from "./stdout.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const a = { cluster: "a" };
const b = { cluster: "b" };

const PHASE_NAMES = Object.keys(PHASES) as Phase[];

/** What the log of a run of these phases writes, without the seconds. */
async function written(act: (log: Log) => unknown, planned: readonly Phase[] = PHASE_NAMES): Promise<string[]> {
  const lines = await stdout(async () => {
    const log = new Log();
    for (const phase of planned) log.phasePlanned(phase);
    await act(log);
    log.end();
  });
  return lines.map((line) => line.replace(/^ *\d+\.\ds /, ""));
}

describe("groups", () => {
  test("a phase is a group, one line an event, with the verdict's mark", async () => {
    const lines = await written((log) => {
      log.event("preflight", a, "answers", "passed");
      log.event("preflight", b, "does not answer", "failed");
      log.event("preflight", {}, "they differ", "unknown");
      log.event("preflight", { observer: "a", target: "b" }, "looks");
      log.phaseEnded("preflight");
    });
    expect(lines).toEqual([
      "::group::Preflight",
      "✓ a: answers",
      "✗ b: does not answer",
      "? mesh: they differ",
      "· a → b: looks",
      "::endgroup::",
    ]);
  });

  test("what a cluster that is ahead does is kept for its own group", async () => {
    const lines = await written((log) => {
      log.event("preflight", a, "1");
      log.event("trust", a, "2");
      log.event("controlPlane", a, "3");
      log.event("preflight", b, "1");
      log.phaseEnded("preflight");
      log.event("trust", b, "2");
      log.event("gateway", a, "4");
      log.phaseEnded("trust");
      log.phaseEnded("controlPlane");
      log.phaseEnded("gateway");
    });
    expect(lines).toEqual([
      "::group::Preflight",
      "· a: 1",
      "· b: 1",
      "::endgroup::",
      "::group::Trust",
      "· a: 2",
      "· b: 2",
      "::endgroup::",
      "::group::Control planes",
      "· a: 3",
      "::endgroup::",
      "::group::East-west gateways",
      "· a: 4",
      "::endgroup::",
    ]);
  });

  test.each<[string, readonly Phase[]]>([
    ["in their order", ["verification", "traffic"]],
    ["in another order", ["traffic", "verification"]],
  ])("a run waits for no phase that it does not have, planned %s", async (_, planned) => {
    const lines = await stdout(() => {
      const log = new Log();
      for (const phase of planned) log.phasePlanned(phase);
      log.event("verification", a, "1");
      log.event("traffic", a, "2");
      log.event("verification", b, "1");
      // It is told while the run goes on, not only at its end.
    });
    expect(lines.map((line) => line.replace(/^ *\d+\.\ds /, ""))).toEqual([
      "::group::Verification",
      "· a: 1",
      "· b: 1",
    ]);
  });

  test("what is of no phase of the run is told at once", async () => {
    expect(await written((log) => log.event("preflight", {}, "looks"), [])).toEqual(["· mesh: looks"]);
  });

  test("a phase that ends before the one before it is still told after it", async () => {
    const lines = await written((log) => {
      log.phaseEnded("preflight");
      log.event("trust", a, "2");
      log.event("gateway", a, "4");
      log.phaseEnded("gateway");
      log.event("trust", b, "2");
      log.phaseEnded("trust");
      log.phaseEnded("controlPlane");
    });
    expect(lines).toEqual([
      "::group::Trust",
      "· a: 2",
      "· b: 2",
      "::endgroup::",
      "::group::East-west gateways",
      "· a: 4",
      "::endgroup::",
    ]);
  });

  test("what comes late, of a phase that is over, is told where the log is", async () => {
    const lines = await written((log) => {
      log.phaseEnded("preflight");
      log.event("trust", a, "2");
      log.event("preflight", b, "late");
      for (const phase of PHASE_NAMES) log.phaseEnded(phase);
      log.event("preflight", b, "very late");
    });
    expect(lines).toEqual(["::group::Trust", "· a: 2", "· b: late", "::endgroup::", "· b: very late"]);
  });

  test("the end tells all that was kept, and every group that was opened is closed", async () => {
    const lines = await written((log) => {
      log.event("confirmation", a, "6");
      log.event("trust", a, "2");
    });
    expect(lines).toEqual([
      "::group::Trust",
      "· a: 2",
      "::endgroup::",
      "::group::Confirmation",
      "· a: 6",
      "::endgroup::",
    ]);
  });

  test("whatever the order, no line is lost or told twice, and groups are in order and never nested", async () => {
    // A small generator with a fixed seed: the same orders in every run.
    let state = 1;
    const random = (below: number) => {
      state = (state * 48271) % 2147483647;
      return state % below;
    };
    for (let round = 0; round < 200; round++) {
      const steps = PHASE_NAMES.flatMap((phase) => [1, 2, 3].map((n) => ({ phase, text: `${phase} ${n}` })));
      const open = new Map(PHASE_NAMES.map((phase) => [phase, 3]));
      const lines = await written((log) => {
        while (steps.length > 0) {
          // Something of the first few that are left, for clusters run ahead by some steps.
          const [step] = steps.splice(random(Math.min(8, steps.length)), 1);
          if (!step) break;
          log.event(step.phase, a, step.text);
          open.set(step.phase, (open.get(step.phase) ?? 0) - 1);
          if (open.get(step.phase) === 0) log.phaseEnded(step.phase);
        }
      });
      const groups = lines.filter((line) => line.startsWith("::group::"));
      expect(groups).toEqual(PHASE_NAMES.map((phase) => `::group::${PHASES[phase]}`));
      let group = "";
      const told: string[] = [];
      for (const line of lines) {
        if (line.startsWith("::group::")) {
          expect(group).toBe("");
          group = line.slice("::group::".length);
        } else if (line === "::endgroup::") group = "";
        else {
          const [phase = ""] = line.replace("· a: ", "").split(" ");
          expect(group).toBe(PHASES[phase as Phase]);
          told.push(line);
        }
      }
      expect(told.toSorted()).toEqual(
        PHASE_NAMES.flatMap((phase) => [1, 2, 3].map((n) => `· a: ${phase} ${n}`)).toSorted(),
      );
    }
  });
});

const HOSTILE = [
  "x\n::error::pwned",
  "x\r::add-mask::e",
  "x\u2028::set-output name=result::passed",
  "x\u0085::stop-commands::t",
  "::error::pwned",
  "x ##[add-mask]e",
  "##[save-state name=folder]/",
  "x #\u0000#[error]pwned",
  "x ##\u001b[31m[error]y",
];

test.each(HOSTILE)("what a cluster says is no command to the runner: %j", async (text) => {
  expect(isCommand("::error::x") && isCommand(" x ##[error]y")).toBe(true);
  const lines = await stdout(async () => {
    const log = new Log();
    const wait: Wait = { cluster: "a", what: text, since: performance.now(), seen: text };
    log.event("preflight", a, text, "failed");
    log.event("trust", a, text);
    log.retrying("a", text);
    log.waiting(wait);
    vi.advanceTimersByTime(20_000);
    log.waited(wait);
    log.end();
  });
  const own = /^(::group::(Preflight|Trust)|::endgroup::)$/;
  expect(lines.filter((line) => !own.test(line) && isCommand(line))).toEqual([]);
  expect(lines.filter((line) => !own.test(line)).length).toBeGreaterThanOrEqual(4);
});

test("a warning is one annotation, however many lines it has", async () => {
  expect(await stdout(() => new Log().warning("one\n::error::two"))).toEqual([
    "::warning title=Multi-cluster mesh::one%0A::error::two",
  ]);
});

test("a secret that was read from a cluster is masked", async () => {
  expect(await stdout(() => new Log().secret("token-1234"))).toEqual(["::add-mask::token-1234"]);
});

describe("waits", () => {
  const wait = (seen = "nothing yet"): Wait => ({ cluster: "a", what: "istiod", since: performance.now(), seen });

  test("tell what is waited for, for how long, and what was seen; sooner when that changes", async () => {
    const lines = await written((log) => {
      const istiod = wait();
      log.waiting(istiod);
      vi.advanceTimersByTime(5_000);
      vi.advanceTimersByTime(5_000);
      istiod.seen = "0 of 1 pods are ready";
      vi.advanceTimersByTime(5_000);
      vi.advanceTimersByTime(15_000);
      log.waited(istiod);
      vi.advanceTimersByTime(60_000);
    });
    expect(lines).toEqual([
      "… a: waiting (5 s) for istiod; last seen: nothing yet",
      "… a: waiting (15 s) for istiod; last seen: 0 of 1 pods are ready",
      "… a: waiting (30 s) for istiod; last seen: 0 of 1 pods are ready",
    ]);
  });

  test("that are over soon are not told", async () => {
    const lines = await written((log) => {
      const istiod = wait();
      log.waiting(istiod);
      vi.advanceTimersByTime(4_900);
      log.waited(istiod);
      vi.advanceTimersByTime(60_000);
    });
    expect(lines).toEqual([]);
  });

  test("are told of every cluster", async () => {
    const lines = await written((log) => {
      for (const cluster of ["a", "b"]) log.waiting({ ...wait(), cluster });
      vi.advanceTimersByTime(5_000);
    });
    expect(lines).toHaveLength(2);
  });

  test("end with the log", async () => {
    const lines = await stdout(() => {
      const log = new Log();
      log.waiting(wait());
      log.end();
      vi.advanceTimersByTime(60_000);
    });
    expect(lines).toEqual([]);
  });
});
