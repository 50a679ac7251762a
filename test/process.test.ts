// The built action as a process: it lives as long as there is something to do, whatever does not answer.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { subjectName } from "../src/mesh/report.ts";
import { rootCa } from "./cluster/certificates.ts";
import { startCluster } from "./embedded/cluster.ts";
import { fakeIstioctl } from "./embedded/istioctl.ts";
import type { Kube } from "./embedded/kube.ts";
import { runAction } from "./runner.ts";

let folder: string;
let kube: Kube;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "process-"));
  kube = await startCluster();
});
afterAll(async () => {
  await kube.stop();
  await rm(folder, { recursive: true });
});

// Nothing but a timer may be left while a probe waits for what the cluster that does not answer asks of its namespace.
test("an installation goes on without a cluster that does not answer, to its very end", async () => {
  const root = await rootCa();
  const gone = await startCluster();
  const kubeconfig = gone.kubeconfig();
  await gone.stop();
  const result = await runAction({
    inputs: {
      command: "install",
      "cluster1-kubeconfig": kube.kubeconfig(),
      "cluster2-kubeconfig": kubeconfig,
      "istioctl-path": await fakeIstioctl(folder),
      "istio-version": "1.26.3",
      ca: "provided",
      "ca-root-cert": root.certificate,
      "ca-root-key": root.key,
      timeout: "30s",
    },
    timeoutMs: 90_000,
  });
  // 13: Node found nothing more to do in the middle of it.
  expect(result.exitCode).toBe(1);
  expect(result.report?.clusters.map(({ unreachable = false }) => unreachable)).toEqual([false, true]);
  const ends = (id: string) =>
    Object.fromEntries(
      result.report?.checks
        .filter((check) => check.id === id)
        .map(({ subject, verdict }) => [subjectName(subject), verdict]) ?? [],
    );
  expect(ends("install.gateway-address")).toEqual({ cluster1: "passed", cluster2: "skipped" });
  expect(ends("traffic.probe")).toEqual({ cluster1: "passed", cluster2: "unknown" });
}, 120_000);
