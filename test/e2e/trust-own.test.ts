// Two control planes whose istiods made roots of trust for themselves become one mesh with one root, while their workloads are
// called. Wants clusters without a mesh, and leaves none.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rootCa } from "../cluster/certificates.ts";
import { Cluster } from "./cluster.ts";
import { type Root, seen, sum, through, VALUES } from "./root-change.ts";
import { logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, istioVersion, sampleImage } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

describe.skipIf(taken)(`roots that istiods made themselves${taken ? ` (skipped: ${taken})` : ""}`, () => {
  let root: Root;

  beforeAll(async () => {
    root = await rootCa();
    await all(async (cluster) => {
      const global = { meshID: "mesh1", multiCluster: { clusterName: cluster.name }, network: cluster.network };
      await cluster.kubectl(["create", "namespace", SYSTEM]);
      await cluster.apply([
        {
          apiVersion: "sailoperator.io/v1",
          kind: "Istio",
          metadata: { name: "default" },
          spec: { version: `v${istioVersion}`, namespace: SYSTEM, values: { ...VALUES, global } },
        },
      ]);
      const ready = ["istios.sailoperator.io/default", "--for=jsonpath={.status.state}=Healthy", "--timeout=120s"];
      await cluster.kubectl(["wait", ...ready], { timeoutMs: 130_000 });
    });
  });

  afterAll(async () => {
    const result = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    await all(async (cluster) => {
      await cluster.kubectl(["delete", "istios.sailoperator.io", "default", "--ignore-not-found", "--timeout=60s"]);
      const namespace = ["delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=60s"];
      await cluster.kubectl(namespace, { timeoutMs: 70_000 });
    });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("become one that is provided, and the clusters one mesh", async () => {
    const streams = await startStreams(clusters, sampleImage, undefined, true);
    const result = await through(clusters, root, "self-signed to one root", 0, false);
    const now = await all(seen);
    const sent = await streams.stop();
    console.log(toldOf(sent));
    expect(result.outputs.result).toBe("passed");
    for (const { roots, isOf } of now) expect([roots, isOf(root)]).toEqual([[sum(root)], true]);
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });
});
