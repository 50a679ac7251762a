// The verification on a real mesh: green where all is well, and for every fault the check that is to find it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rootCauses } from "../../src/mesh/causes.ts";
import { type Check, type Report, subjectName } from "../../src/mesh/report.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { type Fault, faults } from "./faults.ts";
import { difference, istioctlViews, type Views } from "./istioctl-views.ts";
import { removeRestricted, restrictedKubeconfig } from "./restricted.ts";
import { listed, runOn, untilPassed } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioctl, nodeShell, nextIstiod, nodePids } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const [source, target] = clusters as [Cluster, Cluster];

const verify = (inputs: Record<string, string> = {}) =>
  runAction({ inputs: { command: "verify", clusters: listed(clusters), ...inputs }, timeoutMs: 10 * 60_000 });

const told = ({ id, subject, verdict, cause, warning }: Check) =>
  `${verdict} ${id} ${subjectName(subject)}: ${cause ?? warning}`;
const notPassed = (report: Report | undefined) =>
  (report?.checks ?? []).filter((check) => check.verdict !== "passed" && !usual(check)).map(told);
/** Where nothing asks for the CNI plugin it is not looked for. */
const usual = ({ id, verdict }: Check) => id === "control-plane.cni" && verdict === "skipped";

/** What of ours is on the clusters that is gone after a run, or on its way out. */
async function probes(): Promise<string[]> {
  const selector = "app.kubernetes.io/managed-by=istio-mesh-action,app.kubernetes.io/component=probe";
  const found = await Promise.all(clusters.map((cluster) => cluster.list("namespaces", "-l", selector)));
  return found.flat().flatMap(({ metadata }) => (metadata.deletionTimestamp ? [] : metadata.name));
}

const rows: string[] = [];
afterAll(() => {
  if (rows.length > 0) console.log(["fault | reported as | remote-clusters | analyze", ...rows].join("\n"));
});

describe("a healthy mesh", () => {
  it("passes every check, and nothing is left of the probe", async () => {
    const result = await verify();
    console.log(
      `verify, ${clusters.length} clusters: ${result.seconds.toFixed(1)} s; ${result.outputs["checks-passed"]} checks`,
    );
    expect(notPassed(result.report)).toEqual([]);
    expect({ exit: result.exitCode, result: result.outputs.result, changed: result.outputs.changed }).toEqual({
      exit: 0,
      result: "passed",
      changed: "false",
    });
    const requests = result.report?.checks.filter(({ id }) => id === "pair.request") ?? [];
    expect(requests.length).toBe(clusters.length * (clusters.length - 1));
    expect(await probes()).toEqual([]);
  });

  it("without traffic passes all else, and creates nothing", async () => {
    const result = await verify({ traffic: "false" });
    console.log(`verify without traffic, ${clusters.length} clusters: ${result.seconds.toFixed(1)} s`);
    expect(result.report?.changes).toEqual([]);
    const skipped = result.report?.checks.filter((check) => check.verdict !== "passed" && !usual(check)) ?? [];
    expect(new Set(skipped.map(({ id, verdict }) => `${verdict} ${id}`))).toEqual(
      new Set(["skipped traffic.probe", "skipped pair.request"]),
    );
    expect(result.exitCode).toBe(0);
  });
});

describe("a user with the documented rights and no other", () => {
  it.each([
    { section: "verify", traffic: "true" },
    { section: "verify-without-traffic", traffic: "false" },
  ])("can verify: $section", async ({ section, traffic }) => {
    const kubeconfigs = await Promise.all(clusters.map((cluster) => restrictedKubeconfig(cluster, section)));
    try {
      const list = listed(clusters, (_, i) => ({ "kubeconfig-env": `RESTRICTED_${i}` }));
      const env = Object.fromEntries(kubeconfigs.map((text, i) => [`RESTRICTED_${i}`, text]));
      const result = await runAction({ inputs: { command: "verify", traffic, clusters: list }, env });
      expect(
        result.report?.checks.filter(({ verdict }) => verdict === "failed" || verdict === "unknown").map(told),
      ).toEqual([]);
      expect(result.exitCode).toBe(0);
    } finally {
      await Promise.all(clusters.map((cluster) => removeRestricted(cluster, section)));
    }
  });
});

describe("a cancelled verification", () => {
  it("leaves no probe behind", async () => {
    const cancel = new AbortController();
    const result = await runAction({
      inputs: { command: "verify", clusters: listed(clusters) },
      cancel: cancel.signal,
      onLine: ({ text }) => {
        // By then the probes are being started, which takes seconds.
        if (/synced/.test(text)) cancel.abort();
      },
      timeoutMs: 5 * 60_000,
    });
    expect(result.exitCode).not.toBe(0);
    expect(result.postExitCode).toBe(0);
    await Promise.all(
      clusters.map((cluster) =>
        cluster.kubectl(
          ["wait", "--for=delete", "namespace", "-l", "app.kubernetes.io/component=probe", "--timeout=60s"],
          { timeoutMs: 70_000 },
        ),
      ),
    );
    expect(await probes()).toEqual([]);
  });
});

describe("a fault", () => {
  beforeAll(async () => {
    if (istioctl) healthy = await istioctlViews(istioctl, clusters);
  });
  const all = faults(source, target, clusters, { nodeShell, nextIstiod, nodePids });
  const only = process.env.E2E_FAULTS;

  for (const fault of all.filter(({ name }) => !only || new RegExp(only).test(name))) {
    it.skipIf(fault.impossible)(
      `is found and told: ${fault.name}${fault.impossible ? ` (skipped: ${fault.impossible})` : ""}`,
      async () => {
        const mend = await fault.make();
        let result: RunResult;
        let others: string[];
        let after: RunResult;
        try {
          result = await verify();
          others = await asToldByIstioctl();
        } finally {
          after = await mended(mend);
        }
        rows.push([fault.name, reported(result.report as Report), ...others].join(" | "));
        judge(fault, result);
        expect(notPassed(after.report), "after the repair").toEqual([]);
        expect(await probes()).toEqual([]);
      },
    );
  }
});

function reported(report: Report): string {
  const causes = rootCauses(report.checks).map(
    ({ check, subjects, explains }) =>
      `${check.verdict} ${check.id} (${subjects.map(subjectName).join(", ")}; explains ${explains.length}): ${check.cause}`,
  );
  const warnings = report.checks.flatMap(({ warning }) => warning ?? []);
  return [...causes, ...warnings.map((text) => `warning: ${text}`)].join("; ") || "all green";
}

function judge({ expected, warning }: Fault, { report, exitCode, outputs }: RunResult): void {
  const bad = (report?.checks ?? []).filter(({ verdict }) => verdict === "failed" || verdict === "unknown");
  const roots = bad.filter(({ because }) => !because);
  const named = ({ id, subject = {} }: { id: string; subject?: object }) =>
    `${id} ${Object.values(subject).join(" → ")}`;
  expect(roots.map(named).sort(), bad.map(told).join("\n")).toEqual(expected.map(named).sort());
  for (const each of expected) {
    const found = roots.find((check) => named(check) === named(each));
    expect(found?.verdict).toBe("failed");
    expect(found?.cause).toMatch(each.cause);
    expect(found?.hint, "what to do next").toBeTruthy();
  }
  if (warning) expect(report?.checks.flatMap((check) => check.warning ?? []).join("\n")).toMatch(warning);
  expect({ exitCode, result: outputs.result }).toEqual(
    expected.length > 0 ? { exitCode: 1, result: "failed" } : { exitCode: 0, result: "passed" },
  );
}

/**
 * After a repair what depends on it needs a moment: an istiod tries a cluster again, a load balancer gives an address.
 * Where it does not come to be whole, an installation sees to it, for the next fault is made in a mesh that is.
 */
async function mended(mend: () => Promise<unknown>): Promise<RunResult> {
  const deadline = Date.now() + 120_000;
  let result: RunResult | undefined;
  try {
    await mend();
    result = await untilPassed(verify, deadline);
    return result;
  } finally {
    if (result?.exitCode !== 0) {
      const { exitCode, seconds } = await runOn(clusters);
      console.log(`healed by an installation: ${seconds.toFixed(1)} s, exit code ${exitCode}`);
    }
  }
}

/** Whether Istio's own tools notice, by what they said of the healthy mesh. */
let healthy: Views | undefined;
async function asToldByIstioctl(): Promise<string[]> {
  if (!istioctl || !healthy) return [];
  const now = await istioctlViews(istioctl, clusters);
  return [difference(healthy.remoteClusters, now.remoteClusters), difference(healthy.analyze, now.analyze)].map(
    (news) => (news.length === 0 ? "silent" : `notices: ${news.join("; ").slice(0, 200)}`),
  );
}
