// The other ways in which a mesh can begin, on clusters without a control plane: the action installs the operator, too, and
// the mesh has a revision of its own name; or there is no operator at all. Comes after the uninstallation.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { RunResult } from "../runner.ts";
import { OPERATOR, removeOperator, writeChart } from "./chart.ts";
import { Cluster } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion, sampleImage, values, helm } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;
const withoutHelm = taken ?? (helm ? undefined : "E2E_HELM is not set, so no operator can be installed");
const because = (reason: string | undefined) => (reason ? ` (skipped: ${reason})` : "");

const folder = mkdtempSync(join(tmpdir(), "beginnings-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (inputs: Record<string, string>) =>
  runOn(clusters, inputs, {
    toolCache: join(folder, "tools"),
    ...(helm ? { env: { PATH: `${dirname(helm)}:${process.env.PATH}` } } : {}),
  });

const told = ({ seconds, outputs, report }: RunResult) =>
  `${clusters.length} clusters: ${seconds.toFixed(1)} s, ${report?.clusters.map(({ requests }) => requests)} requests, changed: ${outputs.changed}`;

function expectPassed(result: RunResult, changed: boolean): void {
  expect(result.report?.checks.filter(({ verdict }) => verdict === "failed" || verdict === "unknown")).toEqual([]);
  expect([result.exitCode, result.outputs.result, result.outputs.changed], explain(result)).toEqual([
    0,
    "passed",
    String(changed),
  ]);
}
function expectTraffic({ report }: RunResult): void {
  const requests = report?.checks.filter(({ id }) => id === "pair.request").map(({ verdict }) => verdict);
  expect(requests).toEqual(Array(clusters.length * (clusters.length - 1)).fill("passed"));
}
async function expectNothingLeft(): Promise<void> {
  const spaces = await all((cluster) => cluster.list("namespaces"));
  expect(spaces.flat().map(({ metadata }) => metadata.name)).not.toContain("istio-system");
}

describe.skipIf(withoutHelm)(`clusters that have no operator yet${because(withoutHelm)}`, () => {
  const chart = join(folder, "chart");
  const inputs = {
    "install-operator": "true",
    "operator-version": istioVersion.replace(/-.*/, ""),
    "operator-chart": chart,
    "istio-resource": "canary",
  };

  it("get it by Helm, and become one mesh, of a revision of its own name, that answers requests", async () => {
    await writeChart(chart, inputs["operator-version"], clusters[0] as Cluster, sampleImage);
    await all(removeOperator);
    const result = await run(inputs);
    console.log(`install-operator, ${told(result)}`);
    expectPassed(result, true);
    expectTraffic(result);
    const said = result.report?.checks.filter(({ id }) => id === "install.operator").map(({ evidence }) => evidence);
    expect(said).toEqual(clusters.map(() => expect.stringContaining("is installed and available")));
    for (const { kubeconfigPath } of clusters) {
      const args = ["list", "--namespace", OPERATOR, "--output", "json", "--kubeconfig", kubeconfigPath];
      const { stdout } = await promisify(execFile)(helm as string, args);
      expect(JSON.parse(stdout)).toMatchObject([{ name: OPERATOR, status: "deployed" }]);
    }
    const resources = (await all((cluster) => cluster.list("istios.sailoperator.io"))).flat();
    expect(resources.map(({ metadata }) => metadata.name)).toEqual(clusters.map(() => "canary"));
  });

  it("are left as they are by a second run", async () => {
    const result = await run(inputs);
    console.log(`install-operator again, ${told(result)}`);
    expectPassed(result, false);
    expectTraffic(result);
  });

  it("keep the operator when the mesh is removed", async () => {
    const result = await run({ command: "uninstall", "uninstall-scope": "all", "istio-resource": "canary" });
    expectPassed(result, true);
    await expectNothingLeft();
    const deployments = (await all((cluster) => cluster.list("deployments", "-n", OPERATOR))).flat();
    expect(deployments.map(({ metadata }) => metadata.name)).toEqual(clusters.map(() => OPERATOR));
  });
});

describe.skipIf(taken)(`clusters whose control planes istioctl installs${because(taken)}`, () => {
  const inputs = { installer: "istioctl", ...(values ? { values } : {}) };

  it("become one mesh that answers requests, without an Istio resource", async () => {
    const result = await run(inputs);
    console.log(`installer: istioctl, ${told(result)}`);
    expectPassed(result, true);
    expectTraffic(result);
    const found = (
      await all((cluster) => cluster.list("deployments", "-n", "istio-system", "-l", "app=istiod"))
    ).flat();
    expect(found.map(({ metadata }) => metadata.labels["app.kubernetes.io/managed-by"])).toEqual(
      clusters.map(() => "istio-mesh-action"),
    );
    expect((await all((cluster) => cluster.list("istios.sailoperator.io"))).flat()).toEqual([]);
  });

  it("are left as they are by a second run, with what istiod has made of its webhooks", async () => {
    const policies = () =>
      all(async (cluster) => {
        const found = await cluster.list("validatingwebhookconfigurations", "-l", "app=istiod");
        return found.flatMap(({ webhooks }) => webhooks.map((each: { failurePolicy: string }) => each.failurePolicy));
      });
    const before = await policies();
    expect(new Set(before.flat())).toEqual(new Set(["Fail"]));
    const result = await run(inputs);
    console.log(`installer: istioctl again, ${told(result)}`);
    expectPassed(result, false);
    expect(await policies()).toEqual(before);
  });

  it("are without any of it when it is removed", async () => {
    expectPassed(await run({ command: "uninstall", "uninstall-scope": "all", installer: "istioctl" }), true);
    await expectNothingLeft();
    const hooks = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
    const found = await all((cluster) => cluster.list(hooks, "-l", "app.kubernetes.io/managed-by=istio-mesh-action"));
    expect(found.flat()).toEqual([]);
  });
});
