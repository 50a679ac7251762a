import { describe, expect, test } from "vitest";
import type { Cluster, ExecResult, Look } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { Run } from "../../src/steps/run.ts";
import { confirmRead, tookUp, type Written } from "../../src/steps/synced.ts";
import { memberOf, meshOf, Told } from "./support.ts";

const CREATED: Written = { at: new Date("2026-11-24T10:00:00Z"), changed: false };

describe("every replica of istiod reports every other cluster synced", () => {
  type Answer = Partial<ExecResult> | Error;
  const says = (...clusters: [id: string, status: string][]): Answer => ({
    stdout: JSON.stringify(clusters.map(([id, syncStatus]) => ({ id, syncStatus }))),
  });
  const both = says(["b", "synced"], ["c", "synced"]);

  /** Confirms on a cluster `a` whose replicas answer in turn, one round after the other. */
  async function confirm(rounds: Record<string, Answer>[], patience?: number) {
    const mesh = meshOf(["a", "b", "c"]);
    const told: string[] = [];
    let round = -1;
    const poll: Cluster["poll"] = async <R>(_: string, probe: () => Promise<Look<R>>) => {
      while (++round < rounds.length) {
        const outcome = await probe();
        if ("done" in outcome) return outcome.done;
        told.push(outcome.seen);
      }
      throw new Failure(`Waited for it. Last seen: ${told.at(-1)}.`);
    };
    const member = memberOf(mesh, "a", {
      poll,
      list: (async () =>
        Object.keys(rounds[round] ?? {}).map((name) => ({
          metadata: { name },
          status: { phase: "Running" },
        }))) as never,
      exec: async (pod, _, command) => {
        const answer = rounds[round]?.[pod.name] ?? {};
        if (answer instanceof Error) throw answer;
        if (command.at(-1) === "/metrics" && "metrics" in answer)
          return { exitCode: 0, stderr: "", stdout: String(answer.metrics) };
        return { exitCode: 0, stdout: "", stderr: "", ...answer };
      },
    });
    const run = new Run("install", mesh, [member], new Told());
    const targets = ["b", "c"];
    run.plan(...targets.map((target) => ({ id: "install.synced" as const, subject: { observer: "a", target } })));
    const secrets = new Map(targets.map((target) => [target, Promise.resolve(CREATED)]));
    const istiods = async () => "app=istiod";
    await Promise.allSettled(confirmRead(run, "install.synced", mesh, member, istiods, secrets, [], patience));
    const verdicts = run.report().checks.map(({ verdict }) => verdict);
    const warnings = run.report().checks.flatMap(({ warning }) => warning ?? []);
    return { warnings, verdicts, told, evidence: run.report().checks.map(({ evidence, cause }) => cause ?? evidence) };
  }

  test("at once", async () => {
    expect(await confirm([{ p: both }])).toEqual({
      warnings: [],
      verdicts: ["passed", "passed"],
      told: [],
      evidence: ["p reports b synced.", "p reports c synced."],
    });
  });

  describe("where its debug interface is closed", () => {
    const closed = { stdout: "404 page not found\n" };
    /** As a replica whose metrics these are. */
    const measures = (...lines: string[]): Answer => ({ ...closed, metrics: lines.join("\n") }) as Answer;
    const managed = (number: number) => `istiod_managed_clusters{cluster_type="remote"} ${number}`;
    const status = (cluster: string, state: string, value = 1) =>
      `istiod_remote_cluster_sync_status{cluster="${cluster}",cluster_type="remote",status="${state}"} ${value}`;

    test("its metrics tell, by name from Istio 1.30 on", async () => {
      const synced = [status("b", "synced"), status("b", "syncing", 0), status("c", "synced")];
      const { verdicts, told, evidence } = await confirm([
        { p: measures(managed(2), status("b", "syncing"), status("c", "syncing")) },
        { p: measures(managed(2), ...synced) },
      ]);
      expect(verdicts).toEqual(["passed", "passed"]);
      expect(told).toEqual(["p says of b: syncing; p says of c: syncing"]);
      expect(evidence).toEqual(["p reports b synced.", "p reports c synced."]);
    });

    test("by their number before, with a warning", async () => {
      const { verdicts, warnings } = await confirm([{ p: measures(managed(2)) }]);
      expect(verdicts).toEqual(["passed", "passed"]);
      expect(warnings).toEqual([
        expect.stringMatching(/a reads b .*ENABLE_DEBUG_ON_HTTP=false/),
        expect.stringMatching(/a reads c /),
      ]);
    });

    test.each([
      ["too few are managed", [managed(1)], /manages 1 of 2 remote clusters/],
      ["one took too long", [managed(2), "remote_cluster_sync_timeouts_total 1"], /1 of which took too long/],
    ])("it is not waited for to the deadline where %s", async (_, lines, cause) => {
      const { verdicts, evidence } = await confirm(Array(5).fill({ p: measures(...lines) }), 0);
      expect(verdicts).toEqual(["failed", "failed"]);
      expect(evidence[0]).toMatch(cause);
      expect(evidence[0]).toMatch(/ENABLE_DEBUG_ON_HTTP=false/);
    });
  });

  test("after a while, each cluster as soon as it is", async () => {
    const { verdicts, told } = await confirm([
      { p: says() },
      { p: says(["b", "synced"], ["c", "syncing"]) },
      { p: says(["b", "synced"], ["c", "timeout"]) },
      { p: both },
    ]);
    expect(verdicts).toEqual(["passed", "passed"]);
    expect(told).toEqual([
      "p says of b: not registered; p says of c: not registered",
      "p says of c: syncing",
      "p says of c: timeout",
    ]);
  });

  test("by all replicas, not by one", async () => {
    const { verdicts, told, evidence } = await confirm([
      { p: both, q: says(["b", "synced"]) },
      { p: both, q: both },
    ]);
    expect(verdicts).toEqual(["passed", "passed"]);
    expect(told).toEqual(["q says of c: not registered"]);
    expect(evidence).toEqual(["p, q report b synced.", "p, q report c synced."]);
  });

  test.each<[string, Answer, string]>([
    [
      "is being replaced",
      new Failure("Could not run pilot-discovery: the connection ended."),
      "it could not be asked (Could not run pilot-discovery: the connection ended.)",
    ],
    [
      "answers with something else",
      { stdout: "Error", exitCode: 1, stderr: "connection refused" },
      "its answer cannot be read (exit code 1: connection refused)",
    ],
    ["answers with no list", { stdout: "null" }, "its answer is no list of clusters"],
  ])("a replica that %s is asked again", async (_, answer, why) => {
    const { verdicts, told } = await confirm([{ p: answer }, { p: both }]);
    expect(verdicts).toEqual(["passed", "passed"]);
    expect(told).toEqual([`p says of b: ${why}; p says of c: ${why}`]);
  });

  test("no replica is no proof", async () => {
    const { verdicts, told } = await confirm([{}, { p: both }]);
    expect(verdicts).toEqual(["passed", "passed"]);
    expect(told).toEqual(["no pod of istiod runs"]);
  });

  test("what never is fails with the last thing seen, what is passes", async () => {
    const { verdicts, evidence } = await confirm([{ p: says(["b", "synced"], ["c", "timeout"]) }]);
    expect(verdicts.toSorted()).toEqual(["failed", "passed"]);
    expect(evidence.join()).toContain("p says of c: timeout");
  });
});

const HEAD = "2026-11-24T10:00:00.000000Z\tinfo\t";

test.each<[boolean, string]>([
  [true, `${HEAD}Update cluster\tcluster=east secret=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Update cluster\tcluster=east config=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Add cluster\tcluster=east secret=istio-system/x`],
  [true, `${HEAD}Updating cluster\tcluster=east secret=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Updating cluster east from secret istio-system/istio-remote-secret-east`],
  [true, '{"level":"info","time":"t","msg":"Update cluster","cluster":"east","secret":"istio-system/x"}'],
  [false, `${HEAD}Update cluster\tcluster=east-2 secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}Update cluster\tcluster=east.eu secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}Update cluster\tcluster=east_2 secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}Update cluster\tcluster=north-east secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}skipping update (kubeconfig are identical)\tcluster=east secret=istio-system/x`],
  [false, `${HEAD}processing secret event for secret istio-system/istio-remote-secret-east`],
  [false, `error\tUpdate cluster: create remote cluster failed: kubeconfig is not valid\tcluster=east secret=x`],
  [false, `error\tUpdating cluster_id=east from secret=istio-system/x: kubeconfig is not valid`],
  [false, `${HEAD}Update cluster\n${HEAD}other\tcluster=east`],
  [false, ""],
])("%s: %s", (taken, log) => {
  expect(tookUp(`first line\n${log}\nlast line\n`, "east")).toBe(taken);
});
