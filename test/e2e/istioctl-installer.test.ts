// `installer: istioctl` on real clusters that have no control plane yet. Run it alone, on fresh ones: in the whole suite the
// operator's mesh is there already.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion, istioctlMirror, values } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const why = istiods.length > 0 ? "skipped: the clusters have a control plane already" : "they have none yet";
if (istiods.length > 0) console.log(`istioctl-installer.test.ts is ${why}.`);

const toolCache = mkdtempSync(join(tmpdir(), "tools-"));
afterAll(() => rmSync(toolCache, { recursive: true, force: true }));

function run(): Promise<RunResult> {
  const list = clusters.map(({ name, network, kubeconfigPath }) => ({
    name,
    network,
    "kubeconfig-file": kubeconfigPath,
  }));
  const inputs = {
    installer: "istioctl",
    clusters: stringify(list),
    "istio-version": istioVersion,
    ...(values ? { values } : {}),
    ...(istioctlMirror ? { "istioctl-mirror": istioctlMirror } : {}),
  };
  return runAction({ inputs, toolCache, timeoutMs: 12 * 60_000 });
}

const told = ({ seconds, outputs, report }: RunResult) =>
  `${clusters.length} clusters: ${seconds.toFixed(1)} s, ${report?.clusters.map(({ requests }) => requests)} requests, changed: ${outputs.changed}`;

describe.skipIf(istiods.length > 0)(`clusters without an operator's control plane (${why})`, () => {
  it("become one mesh that answers requests, without an Istio resource", async () => {
    const result = await run();
    console.log(`installer: istioctl, ${told(result)}`);
    expect(result.report?.checks.filter(({ verdict }) => verdict === "failed" || verdict === "unknown")).toEqual([]);
    expect([result.exitCode, result.outputs.result]).toEqual([0, "passed"]);
    const requests = result.report?.checks.filter(({ id }) => id === "pair.request").map(({ verdict }) => verdict);
    expect(requests).toEqual(Array(clusters.length * (clusters.length - 1)).fill("passed"));
    const found = await all((cluster) => cluster.list("deployments", "-n", "istio-system", "-l", "app=istiod"));
    for (const [istiod] of found) {
      expect(istiod.metadata.labels["app.kubernetes.io/managed-by"]).toBe("istio-mesh-action");
    }
  });

  it("are left as they are by a second run, with what istiod has made of its webhooks", async () => {
    const policies = () =>
      all(async (cluster) => {
        const found = await cluster.list("validatingwebhookconfigurations", "-l", "app=istiod");
        return found.flatMap(({ webhooks }) => webhooks.map((each: { failurePolicy: string }) => each.failurePolicy));
      });
    const before = await policies();
    expect(new Set(before.flat())).toEqual(new Set(["Fail"]));
    const result = await run();
    console.log(`installer: istioctl again, ${told(result)}`);
    expect([result.exitCode, result.outputs.result, result.outputs.changed]).toEqual([0, "passed", "false"]);
    expect(await policies()).toEqual(before);
  });
});
