import { describe, expect, test } from "vitest";
import { ApiError, Unreachable } from "../../src/cluster/errors.ts";
import type { CheckId } from "../../src/mesh/catalogue.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { Verdict } from "../../src/mesh/phases.ts";
import type { CheckRef, Finding, Result, Subject } from "../../src/mesh/report.ts";
import { NotReached, Run, reached } from "../../src/steps/run.ts";
import { applying, clusterOf, memberOf, meshOf, ownSecret, secret, secretRef, Told } from "./support.ts";

/** A step of each of two phases, one after the other, and a second one of the later. */
const TRUST = "install.trust";
const ADDRESS = "install.gateway-address";
const EXPOSURE = "install.exposure";
const API = "preflight.api";
const DISTINCT = "preflight.distinct";

const A = { cluster: "a" };
const B = { cluster: "b" };
const AB = { observer: "a", target: "b" };
const CALL = { source: "a", target: "b" };
const BACK = { source: "b", target: "a" };
const MESH = {};

function begin(names = ["a", "b"]) {
  const told = new Told();
  const mesh = meshOf(names);
  const members = names.map((name) => memberOf(mesh, name));
  return { told, run: new Run("install", mesh, members, told) };
}

const seen = (evidence = "It is so.") => ({ value: undefined, evidence });
const failed = { verdict: "failed", evidence: "" } as const;
const planned = (id: CheckId, subject: Subject): CheckRef => ({ id, subject });
/** Checks as `id subject verdict`. */
const checks = (run: Run) =>
  run.report().checks.map(({ id, subject, verdict, cause }) => ({ id, subject, verdict, cause }));

describe("a step", () => {
  test("that is done gives its value, and is told and noted with what was seen", async () => {
    const { run, told } = begin();
    run.plan(planned(TRUST, A));
    expect(await run.step(TRUST, A, [], async () => ({ value: 42, evidence: "It is so." }))).toBe(42);
    expect(told.lines).toEqual(["trust a: [passed] It is so."]);
    expect(run.report().checks).toEqual([
      {
        id: TRUST,
        category: "install",
        phase: "trust",
        readings: [],
        subject: A,
        verdict: "passed",
        evidence: "It is so.",
      },
    ]);
    expect(run.failed).toBe(false);
  });

  test.each<[string, unknown, object]>([
    ["a failure", new Failure("It broke.", "Mend it."), { cause: "It broke.", hint: "Mend it.", evidence: "" }],
    [
      "an answer of the API server",
      new ApiError("read x", 403, { reason: "Forbidden", message: "no" }),
      { cause: "Could not read x: Forbidden: no", evidence: "The API server answered 403." },
    ],
    [
      "a defect of ours",
      new TypeError("x is not a function"),
      { cause: "x is not a function", hint: expect.stringContaining("report it") },
    ],
    ["something that is no error", "thrown", { cause: "thrown", hint: expect.stringContaining("report it") }],
  ])("that fails is told and noted with its cause and hint: %s", async (_, error, expected) => {
    const { run, told } = begin();
    run.plan(planned(TRUST, A));
    const step = run.step(TRUST, A, [], () => Promise.reject(error));
    await expect(step).rejects.toThrow(new NotReached("install.trust of a failed"));
    expect(run.report().checks).toEqual([expect.objectContaining({ id: TRUST, verdict: "failed", ...expected })]);
    expect(told.lines[0]).toMatch(/^trust a: \[failed\] /);
    expect(run.failed).toBe(true);
  });

  test.each<[string, unknown, string[]]>([
    ["its first cluster", new Unreachable("a", "No answer.", ""), ["a"]],
    ["its second cluster", new Unreachable("b", "No answer.", ""), ["b"]],
    ["a cluster that is down behind its load balancer", new ApiError("read x", 503, {}, undefined, "b"), ["b"]],
    ["an extension API that is down", new ApiError("read x", 503, {}), []],
    ["an API server that is none of the mesh's", new Unreachable("", "No answer.", ""), []],
  ])("of a pair calls that cluster unreachable that did not answer: %s", async (_, error, expected) => {
    const { run } = begin();
    run.plan(planned(EXPOSURE, AB));
    await expect(run.step(EXPOSURE, AB, [], () => Promise.reject(error))).rejects.toThrow(NotReached);
    expect(run.unreachable).toEqual(expected);
  });

  test("waits for what it needs", async () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    const order: string[] = [];
    const need = Promise.withResolvers<void>();
    const step = run.step(TRUST, A, [need.promise], async () => {
      order.push("step");
      return seen();
    });
    await new Promise((resolve) => setImmediate(resolve));
    order.push("need");
    need.resolve();
    await step;
    expect(order).toEqual(["need", "step"]);
  });

  test("that needs one that failed is skipped and names it, and so is what needs it in turn", async () => {
    const { run, told } = begin();
    run.plan(planned(TRUST, A), planned(ADDRESS, A), planned(EXPOSURE, AB));
    const x = run.step(TRUST, A, [], () => Promise.reject(new Failure("It broke.")));
    let begun = false;
    const y = run.step(ADDRESS, A, [x], async () => {
      begun = true;
      return seen();
    });
    const z = run.step(EXPOSURE, AB, [Promise.resolve(), y], async () => seen());
    await Promise.allSettled([z]);
    expect(begun).toBe(false);
    expect(checks(run)).toEqual([
      { id: TRUST, subject: A, verdict: "failed", cause: "It broke." },
      { id: ADDRESS, subject: A, verdict: "skipped", cause: "Not reached: install.trust of a failed." },
      { id: EXPOSURE, subject: AB, verdict: "skipped", cause: "Not reached: install.trust of a failed." },
    ]);
    // What was only skipped is not told, beside the one line that says why.
    expect(told.lines).toEqual(["trust a: [failed] It broke."]);
  });

  test("that was not planned is a defect", () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    expect(() => run.step(TRUST, B, [], async () => seen())).toThrow("not planned");
    expect(() => run.step(ADDRESS, A, [], async () => seen())).toThrow("not planned");
  });

  test("that was done is not taken again", async () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    await run.step(TRUST, A, [], async () => seen());
    expect(() => run.step(TRUST, A, [], async () => seen())).toThrow("taken already");
  });

  test("that nobody waits for does not end the process when it fails", async () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    const unhandled: unknown[] = [];
    const listen = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", listen);
    run.step(TRUST, A, [], () => Promise.reject(new Failure("It broke.")));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(unhandled).toEqual([]);
  });
});

describe("an attempt", () => {
  test("gives the value, or nothing where the step was noted as failed", async () => {
    expect(await reached(Promise.resolve(1))).toBe(1);
    expect(await reached(Promise.reject(new NotReached("x")))).toBeUndefined();
  });

  test("does not hide what was not noted", async () => {
    await expect(reached(Promise.reject(new TypeError("x")))).rejects.toThrow(TypeError);
  });
});

test("a phase is announced when something of it is planned", () => {
  const { run, told } = begin();
  expect([...told.planned]).toEqual([]);
  run.plan(planned("pair.request", CALL), planned("cluster.api", A), planned("cluster.api", B));
  expect([...told.planned]).toEqual(["traffic", "verification"]);
});

describe("a phase ends once", () => {
  test("when all its steps are passed, failed or skipped, and not before", async () => {
    const { run, told } = begin();
    run.plan(planned(TRUST, A), planned(TRUST, B), planned(TRUST, AB), planned(EXPOSURE, A));
    await run.step(TRUST, A, [], async () => seen());
    expect(told.ended).toEqual([]);
    const failed = run.step(TRUST, B, [], () => Promise.reject(new Failure("no")));
    await Promise.allSettled([failed]);
    expect(told.ended).toEqual([]);
    await Promise.allSettled([run.step(TRUST, AB, [failed], async () => seen())]);
    expect(told.ended).toEqual(["trust"]);
    run.report();
    expect(told.ended).toEqual(["trust", "gateway"]);
    run.skipRest("again");
    run.report();
    expect(told.ended).toEqual(["trust", "gateway"]);
  });

  test("even where its steps were all skipped", () => {
    const { run, told } = begin();
    run.plan(planned(TRUST, A), planned(ADDRESS, A), planned(TRUST, B));
    run.skipRest("The preflight failed.");
    expect(told.ended).toEqual(["gateway", "trust"]);
    expect(told.lines).toEqual([]);
  });
});

describe("a judgement", () => {
  const finding: Finding = {
    verdict: "passed",
    evidence: "Both have the root 1a2b.",
    warning: "It expires in 12 days.",
    clusters: ["a"],
    readings: [{ source: "ConfigMap istio-system/istio-ca-root-cert", values: { sha256: "1a2b" } }],
  };

  test("is noted as it was found, with what the catalogue knows of the check, and is told", () => {
    const { run, told } = begin();
    run.plan(planned("trust.same-root", MESH));
    run.judge("trust.same-root", MESH, finding);
    expect(run.report().checks).toEqual([
      { id: "trust.same-root", category: "trust", phase: "verification", subject: MESH, ...finding },
    ]);
    expect(told.lines).toEqual(["verification mesh: [passed] Both have the root 1a2b."]);
    expect(told.ended).toEqual(["verification"]);
  });

  test("without readings has none", () => {
    const { run } = begin();
    run.plan(planned("gateway.address", A));
    run.judge("gateway.address", A, { verdict: "passed", evidence: "It is 192.0.2.1." });
    expect(run.report().checks[0]?.readings).toEqual([]);
  });

  test.each<[Verdict, Result, string[]]>([
    ["passed", "passed", ["verification a: [passed] It was seen."]],
    ["failed", "failed", ["verification a: [failed] So it is."]],
    ["unknown", "incomplete", ["verification a: [unknown] So it is."]],
    ["skipped", "passed", []],
  ])("that is %s makes a run %s", (verdict, result, lines) => {
    const { run, told } = begin();
    run.plan(planned("gateway.address", A));
    const cause = verdict === "passed" ? {} : { cause: "So it is." };
    run.judge("gateway.address", A, { verdict, evidence: "It was seen.", ...cause });
    expect(run.report().result).toBe(result);
    expect(told.lines).toEqual(lines);
  });

  test("of what was not planned, or was judged already, is a defect", () => {
    const { run } = begin();
    run.plan(planned("gateway.address", A));
    expect(() => run.judge("gateway.address", B, finding)).toThrow("not planned");
    run.judge("gateway.address", A, finding);
    expect(() => run.judge("gateway.address", A, finding)).toThrow("taken already");
  });

  test("points to the one that explains it, in the report", () => {
    const { run } = begin();
    run.plan(planned("gateway.deployment", B), planned("pair.request", CALL), planned("pair.request", BACK));
    for (const subject of [CALL, BACK]) run.judge("pair.request", subject, { ...failed, cause: "No answer." });
    run.judge("gateway.deployment", B, { ...failed, cause: "No pod is ready." });
    expect(run.report().checks.map(({ id, subject, because }) => [id, subject, because])).toEqual([
      ["pair.request", CALL, { id: "gateway.deployment", subject: B }],
      ["pair.request", BACK, undefined],
      ["gateway.deployment", B, undefined],
    ]);
  });
});

describe("what is timed", () => {
  test("is in its phase and cluster, from the first start to the last end, and gives its value", async () => {
    const { run } = begin();
    const first = Promise.withResolvers<number>();
    const timed = run.timed("verification", A, () => first.promise);
    await run.timed("verification", B, async () => {});
    await run.timed("traffic", CALL, async () => {});
    first.resolve(42);
    expect(await timed).toBe(42);
    const { phases } = run.report();
    expect(phases.map(({ phase, clusters }) => [phase, Object.keys(clusters).toSorted()])).toEqual([
      ["verification", ["a", "b"]],
      ["traffic", ["a"]],
    ]);
    expect(phases[0]?.seconds).toBeGreaterThanOrEqual(phases[0]?.clusters.a as number);
  });

  test("is so even where it ends badly", async () => {
    const { run } = begin();
    await expect(run.timed("traffic", A, () => Promise.reject(new Failure("It broke.")))).rejects.toThrow("It broke.");
    expect(run.report().phases.map(({ phase }) => phase)).toEqual(["traffic"]);
  });
});

describe("what is left", () => {
  test("is skipped where it is picked, and nothing else", () => {
    const { run } = begin();
    run.plan(planned(API, A), planned(API, B), planned(TRUST, AB), planned(DISTINCT, MESH));
    run.skipRest("It could not be read.", ({ id, subject }) => id === API && subject === A);
    expect(checks(run).map(({ subject, cause }) => [subject, cause])).toEqual([
      [A, "It could not be read."],
      [B, "It was not reached."],
      [AB, "It was not reached."],
      [MESH, "It was not reached."],
    ]);
  });

  test("is in the report, and is no failure", () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    const { checks, result } = run.report();
    expect(checks).toEqual([
      {
        id: TRUST,
        category: "install",
        phase: "trust",
        readings: [],
        subject: A,
        verdict: "skipped",
        evidence: "",
        cause: "It was not reached.",
      },
    ]);
    expect(result).toBe("passed");
  });
});

describe("changes", () => {
  test.each<[string, Parameters<typeof applying>, boolean]>([
    ["nothing is applied", [], false],
    ["all stays as it is", ["unchanged", "unchanged"], false],
    ["something is created", ["unchanged", "created"], true],
    ["something is updated", ["updated", "unchanged"], true],
  ])("%s", async (_, actions, changed) => {
    const { run } = begin();
    const cluster = clusterOf("a", { get: async () => undefined, apply: applying(...actions) });
    run.plan(planned(TRUST, A));
    await run.step(TRUST, A, [], async (step) => {
      for (const action of actions) expect((await step.apply(cluster, secret)).action).toBe(action);
      return seen();
    });
    const report = run.report();
    expect(report.changed).toBe(changed);
    expect(report.changes.map(({ action }) => action)).toEqual(actions);
  });

  test("are told and noted with cluster and object; what stays is noted only", async () => {
    const { run, told } = begin();
    const cluster = clusterOf("b", {
      get: async () => undefined,
      apply: applying("created", "unchanged"),
      delete: async () => true,
    });
    run.plan(planned(TRUST, AB));
    await run.step(TRUST, AB, [], async (step) => {
      await step.apply(cluster, secret);
      await step.apply(cluster, secret);
      await step.delete(cluster, ownSecret(cluster.name));
      return seen();
    });
    expect(run.report().changes).toEqual([
      { cluster: "b", ...secretRef, action: "created" },
      { cluster: "b", ...secretRef, action: "unchanged" },
      { cluster: "b", ...secretRef, action: "deleted" },
    ]);
    expect(told.lines).toEqual([
      "trust b: created Secret istio-system/s",
      "trust b: deleted Secret istio-system/s",
      "trust a → b: [passed] It is so.",
    ]);
  });

  test("are in the report in the order of the clusters, and of one in which they came", async () => {
    const { run } = begin();
    run.plan(planned(TRUST, AB));
    await run.step(TRUST, AB, [], async (step) => {
      for (const name of ["b", "a", "b"]) {
        await step.apply(
          clusterOf(name, { get: async () => undefined, apply: applying(name === "a" ? "created" : "updated") }),
          secret,
        );
      }
      await step.delete(clusterOf("a", { delete: async () => true }), ownSecret("a"));
      return seen();
    });
    expect(run.report().changes.map(({ cluster, action }) => `${cluster} ${action}`)).toEqual([
      "a created",
      "a deleted",
      "b updated",
      "b updated",
    ]);
  });

  test("that are only planned are told as such, with their fields and notes", async () => {
    const { run, told } = begin();
    run.plan(planned("plan.objects", A));
    const change = {
      ...secretRef,
      action: "updated",
      diff: [{ path: "type", after: "Opaque" }],
      note: "Mind this.",
    } as const;
    await run.step("plan.objects", A, [], async (step) => {
      step.would(clusterOf("a"), change);
      step.would(clusterOf("a"), { ...secretRef, action: "unchanged" });
      return seen();
    });
    const { changes, changed } = run.report();
    expect(changes).toEqual([
      { cluster: "a", ...change },
      { cluster: "a", ...secretRef, action: "unchanged" },
    ]);
    expect(changed).toBe(true);
    expect(told.lines[0]).toBe("plan a: would be updated Secret istio-system/s");
    expect(told.lines).toHaveLength(2);
  });

  test("what was not there to be deleted is none", async () => {
    const { run } = begin();
    const cluster = clusterOf("a", { delete: async () => false });
    run.plan(planned(TRUST, A));
    await run.step(TRUST, A, [], async (step) => {
      await step.delete(cluster, ownSecret(cluster.name));
      return seen();
    });
    expect(run.report()).toMatchObject({ changed: false, changes: [] });
  });

  test("nothing is deleted without proof, or that was not read", async () => {
    const { run } = begin();
    run.plan(planned(TRUST, A));
    const cluster = clusterOf("a");
    const { annotations: _, ...bare } = ownSecret("a").metadata;
    const { uid: __, ...unread } = ownSecret("a").metadata;
    await run.step(TRUST, A, [], async (step) => {
      for (const object of [{ ...secret, metadata: bare }, ownSecret("b")])
        await expect(step.delete(cluster, object)).rejects.toThrow(/is not to be deleted/);
      await expect(step.delete(cluster, { ...secret, metadata: unread })).rejects.toThrow(/was not read/);
      return seen();
    });
    expect(run.report().changes).toEqual([]);
  });

  test("of a step that failed are changes all the same", async () => {
    const { run } = begin();
    const cluster = clusterOf("a", { get: async () => undefined, apply: applying("created") });
    run.plan(planned(TRUST, A));
    await reached(
      run.step(TRUST, A, [], async (step) => {
        await step.apply(cluster, secret);
        throw new Failure("It broke.");
      }),
    );
    expect(run.report()).toMatchObject({ changed: true, result: "failed" });
  });
});

test("the report as a whole", async () => {
  const { run } = begin();
  run.plan(planned(TRUST, A), planned(ADDRESS, AB));
  await run.step(TRUST, A, [], async () => seen());
  await run.step(ADDRESS, AB, [], async () => seen());
  run.warn("Mind this.");
  run.trusts("abc");
  run.clusterReport("a").istioVersion = "1.26.3";
  const report = run.report();
  expect(report).toMatchObject({
    schemaVersion: 1,
    command: "install",
    result: "passed",
    mesh: { id: "mesh1", istioVersion: "1.26.3", namespace: "istio-system", rootSha256: "abc" },
    clusters: [
      { name: "a", network: "network-a", istioVersion: "1.26.3", gatewayAddresses: [], requests: 7 },
      { name: "b", network: "network-b", gatewayAddresses: [], requests: 7 },
    ],
    warnings: ["Mind this."],
  });
  // In the procedure's order; a pair's time is its observer's.
  expect(report.phases.map(({ phase, clusters }) => [phase, Object.keys(clusters)])).toEqual([
    ["trust", ["a"]],
    ["gateway", ["a"]],
  ]);
  expect(new Date(report.startedAt).toISOString()).toBe(report.startedAt);
});
