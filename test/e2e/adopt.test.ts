// Clusters that live alone become one mesh: a platform team's control planes as a single cluster's are, with one root of trust,
// and workloads that have run for a while. What they answer each other goes on through every step. Leaves nothing.

import { X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { loadRoot } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { call, deploySample, removeSample } from "./sample.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, istioVersion, sampleImage } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

/** As its owner sees it. */
async function ownersOf(cluster: Cluster) {
  const [istio, namespace] = await Promise.all([
    cluster.get("istios.sailoperator.io", "default"),
    cluster.get("namespace", SYSTEM),
  ]);
  const { labels, annotations } = istio.metadata;
  return { spec: istio.spec, labels, annotations, namespace: namespace.metadata.labels };
}

async function argsOf(cluster: Cluster): Promise<string[]> {
  const { spec } = await cluster.get("deployment", "istiod", SYSTEM);
  return spec.template.spec.containers[0].args.filter((each: string) => each.includes("Aliases"));
}

/** When the certificate that a pod's proxy shows was issued, and by which name the pod was injected. */
async function proxyOf(cluster: Cluster, app: string): Promise<{ issued: number; name: string }> {
  const [pod] = await cluster.list("pods", "-n", "sample", "-l", `app=${app}`, "--field-selector=status.phase=Running");
  const dump = ["pilot-agent", "request", "GET", "config_dump?mask=dynamic_active_secrets"];
  const answer = await cluster.exec("sample", pod.metadata.name, "istio-proxy", ...dump);
  const { configs } = JSON.parse(answer.slice(answer.indexOf("{")));
  const secrets = configs.flatMap((each: KubernetesObject) => each.dynamic_active_secrets ?? [each]);
  const { secret } = secrets.find((each: KubernetesObject) => each.name === "default");
  const chain = Buffer.from(secret.tls_certificate.certificate_chain.inline_bytes, "base64");
  const proxies = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const { env } = proxies.find((each: KubernetesObject) => each.name === "istio-proxy");
  const { value } = env.find((each: KubernetesObject) => each.name === "ISTIO_META_CLUSTER_ID");
  return { issued: Date.parse(new X509Certificate(chain).validTo), name: value };
}

async function restart(cluster: Cluster): Promise<void> {
  await cluster.kubectl(["rollout", "restart", "deployment", "-n", "sample"]);
  for (const name of ["helloworld", "client"]) {
    await cluster.kubectl(["rollout", "status", `deployment/${name}`, "-n", "sample", "--timeout=90s"], {
      timeoutMs: 100_000,
    });
  }
  // What is on its way out is still counted.
  await cluster.kubectl([
    "wait",
    "--for=delete",
    "pod",
    "-n",
    "sample",
    "--field-selector=status.phase=Succeeded",
    "--timeout=30s",
  ]);
}

describe.skipIf(taken)(`control planes that live alone${taken ? ` (skipped: ${taken})` : ""}`, () => {
  let before: Awaited<ReturnType<typeof ownersOf>>[];

  beforeAll(async () => {
    const { certificate, key } = await rootCa();
    const root = await loadRoot(certificate, key);
    await all(async (cluster) => {
      await cluster.kubectl(["create", "namespace", SYSTEM]);
      await cluster.apply([
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "cacerts", namespace: SYSTEM },
          stringData: { ...(await issueIntermediate(root, cluster.name, SYSTEM)) },
        },
        {
          apiVersion: "sailoperator.io/v1",
          kind: "Istio",
          metadata: { name: "default", labels: { owner: "platform-team" } },
          spec: {
            version: `v${istioVersion}`,
            namespace: SYSTEM,
            // Certificates of two minutes, renewed after one.
            values: { meshConfig: { defaultConfig: { proxyMetadata: { SECRET_TTL: "2m" } } } },
          },
        },
      ]);
      const ready = ["istios.sailoperator.io/default", "--for=jsonpath={.status.state}=Healthy", "--timeout=120s"];
      await cluster.kubectl(["wait", ...ready], { timeoutMs: 130_000 });
      await deploySample(cluster, clusters, sampleImage);
    });
    before = await all(ownersOf);
  });

  afterAll(async () => {
    await all(async (cluster) => {
      await removeSample(cluster);
      await cluster.kubectl(["delete", "istios.sailoperator.io", "default", "--timeout=60s"]);
      await cluster.kubectl(["wait", "--for=delete", "deployment/istiod", "-n", SYSTEM, "--timeout=60s"]);
      await cluster.kubectl(["delete", "namespace", SYSTEM, "--timeout=60s"]);
    });
  });

  it("are told what would become, by plan", async () => {
    const result = await runOn(clusters, { command: "plan", adopt: "true" });
    expect(result.exitCode, explain(result)).toBe(0);
    const changed = result.report?.changes.filter(({ action }) => action !== "unchanged") ?? [];
    expect(changed.map(({ cluster, kind }) => `${cluster} ${kind}`)).toEqual(
      clusters.map(({ name }) => `${name} Istio`),
    );
    expect(await all(ownersOf)).toEqual(before);
  });

  it("take the mesh's names while all that runs is served, and its certificates renewed", async () => {
    const streams = await startStreams(clusters, sampleImage, undefined, true);
    const result = await runOn(clusters, { adopt: "true" });
    console.log(`adopted, first run: ${result.seconds.toFixed(1)} s`);
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.summary).toMatch(/⏳ cluster1, cluster2 are on the way/);
    expect(result.summary).toMatch(/3 pods of cluster1 in sample still run as Kubernetes and without a network/);
    expect(await all(argsOf)).toEqual(clusters.map(({ name }) => [`--clusterAliases=Kubernetes=${name}`]));
    const old = await all((cluster) => proxyOf(cluster, "helloworld"));
    const verified = await runOn(clusters, { command: "verify" });
    expect(verified.exitCode, explain(verified)).toBe(0);
    const deadline = Date.now() + 150_000;
    let now = old;
    while (now.some(({ issued }, i) => issued <= (old[i]?.issued ?? 0)) && Date.now() < deadline) {
      await delay(3_000);
      now = await all((cluster) => proxyOf(cluster, "helloworld"));
    }
    expect(now.every(({ issued, name }, i) => issued > (old[i]?.issued ?? 0) && name === "Kubernetes")).toBe(true);
    const results = await streams.stop({ keep: true });
    console.log(toldOf(results));
    expect(
      results.map(({ failed }) => failed),
      toldOf(results),
    ).toEqual([0, 0]);
  });

  it("are red where istiod is not told of a name that proxies say, and a run tells it again", async () => {
    const [cluster] = clusters as [Cluster, ...Cluster[]];
    const patch = JSON.stringify([{ op: "remove", path: "/spec/values/pilot" }]);
    await cluster.kubectl(["patch", "istios.sailoperator.io", "default", "--type=json", "-p", patch]);
    const deadline = Date.now() + 60_000;
    while ((await argsOf(cluster)).length > 0 && Date.now() < deadline) await delay(500);
    const rollout = ["rollout", "status", "deployment/istiod", "-n", SYSTEM, "--timeout=60s"];
    await cluster.kubectl(rollout, { timeoutMs: 70_000 });
    const verified = await runOn(clusters, { command: "verify" });
    expect(verified.exitCode, explain(verified)).toBe(1);
    const failed = verified.report?.checks.filter(({ verdict }) => verdict === "failed") ?? [];
    const names = failed.find(({ id }) => id === "workloads.identity");
    expect(names?.subject, explain(verified)).toEqual({ cluster: cluster.name });
    expect(names?.cause).toMatch(/of cluster name Kubernetes under an istiod of cluster1: it refuses them/);
    const again = await runOn(clusters, {});
    expect(again.exitCode, explain(again)).toBe(0);
    expect(await argsOf(cluster)).toEqual(["--clusterAliases=Kubernetes=cluster1"]);
  });

  it("are joined by the run after their workloads were restarted, and give up the old name", async () => {
    await all(restart);
    const streams = await startStreams(clusters, sampleImage, undefined, true);
    const result = await runOn(clusters, { adopt: "true" });
    console.log(`adopted, second run: ${result.seconds.toFixed(1)} s`);
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.summary).toContain("are one mesh");
    expect(await all(argsOf)).toEqual([[], []]);
    const results = await streams.stop({ keep: true });
    console.log(toldOf(results));
    expect(
      results.map(({ failed }) => failed),
      toldOf(results),
    ).toEqual([0, 0]);
    for (const source of clusters) {
      const { from, lastError } = await call(
        source,
        "helloworld",
        clusters.map(({ name }) => name),
      );
      expect([...from.keys()].sort(), lastError).toEqual(clusters.map(({ name }) => name));
    }
    const again = await runOn(clusters, {});
    expect([again.exitCode, again.outputs.changed], explain(again)).toEqual([0, "false"]);
  });

  it("and are given back as they were, while all that runs is served", async () => {
    const streams = await startStreams(clusters, sampleImage, undefined, true);
    const result = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.summary).toMatch(/may still run as cluster1.*run <code>uninstall<\/code> again/);
    expect(await all(argsOf)).toEqual(clusters.map(({ name }) => [`--clusterAliases=${name}=Kubernetes`]));
    const results = await streams.stop({ keep: true });
    console.log(toldOf(results));
    expect(
      results.map(({ failed }) => failed),
      toldOf(results),
    ).toEqual([0, 0]);
    await all(restart);
    const last = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    expect(last.exitCode, explain(last)).toBe(0);
    expect(await all(ownersOf)).toEqual(before);
  });
});
