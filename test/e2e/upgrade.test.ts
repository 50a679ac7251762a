// A mesh that runs goes up by a minor while its workloads call each other: one cluster after the other, each whole before the
// next is touched, gateways too. Wants clusters without a mesh, and leaves none.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { loadRoot } from "../../src/mesh/certificates/root.ts";
import { OWNER, proofOf } from "../../src/mesh/claim.ts";
import { MANAGER, ownership } from "../../src/mesh/objects/ownership.ts";
import { rootCa } from "../cluster/certificates.ts";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { explain, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, istioVersion, olderIstioVersion, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";
const ISTIOD = "app=istiod";
const GATEWAY = "istio=eastwestgateway";

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", ISTIOD))).flat();
const missing =
  olderIstioVersion === undefined
    ? "E2E_OLDER_ISTIO_VERSION is not set"
    : istiods.length > 0
      ? "the clusters have a control plane already"
      : undefined;

/** The pods that are to stay, of istiod or of a gateway. */
const pods = async (cluster: Cluster, selector: string) =>
  (await cluster.list("pods", "-n", SYSTEM, "-l", selector)).filter(({ metadata }) => !metadata.deletionTimestamp);
const images = async (cluster: Cluster, selector: string): Promise<string[]> =>
  (await pods(cluster, selector)).map(({ spec }) => spec.containers[0].image.replace(/.*:/, ""));

/** In seconds since 1970, as Kubernetes notes them. */
async function times(cluster: Cluster, selector: string): Promise<{ created: number; ready: number }> {
  const found = await pods(cluster, selector);
  const seconds = (text: string) => Date.parse(text) / 1000;
  return {
    created: Math.min(...found.map(({ metadata }) => seconds(metadata.creationTimestamp))),
    ready: Math.max(
      ...found.map(({ status }) =>
        seconds(status.conditions.find((each: { type: string }) => each.type === "Ready").lastTransitionTime),
      ),
    ),
  };
}

const upgrades = ({ report }: RunResult) =>
  report?.checks.filter(({ id }) => id === "install.upgrade").map(({ evidence }) => evidence) ?? [];

async function install(version: string, what: string): Promise<RunResult> {
  const result = await runOn(clusters, { "istio-version": version });
  console.log(`${what}: ${result.seconds.toFixed(1)} s, exit code ${result.exitCode}`);
  expect(result.exitCode, explain(result)).toBe(0);
  return result;
}

describe.skipIf(missing)(`an upgrade by a minor${missing ? ` (skipped: ${missing})` : ""}`, () => {
  const older = olderIstioVersion as string;

  beforeAll(async () => {
    await install(older, `${clusters.length} clusters with Istio ${older}`);
  });
  afterAll(async () => {
    const result = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("goes cluster by cluster, and no request of the workloads fails", async () => {
    const streams = await startStreams(clusters, sampleImage);
    const result = await install(istioVersion, `from ${older} to ${istioVersion}`);
    const sent = await streams.stop();
    console.log(toldOf(sent));
    for (const told of upgrades(result)) console.log(told);

    expect(result.outputs["istio-version"]).toBe(istioVersion);
    for (const selector of [ISTIOD, GATEWAY])
      expect(await all((cluster) => images(cluster, selector))).toEqual(clusters.map(() => [istioVersion]));
    for (const [index, cluster] of clusters.entries()) {
      const istiod = await times(cluster, ISTIOD);
      const gateway = await times(cluster, GATEWAY);
      expect(gateway.created, `${cluster.name}: the gateway before its istiod`).toBeGreaterThanOrEqual(istiod.ready);
      const next = clusters[index + 1];
      if (!next) continue;
      const after = await times(next, ISTIOD);
      expect(after.created, `${next.name} before ${cluster.name} was done`).toBeGreaterThanOrEqual(gateway.ready);
    }
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });

  it("is not taken back by mistake: the older version is refused before anything is written", async () => {
    const seen = () => all((cluster) => cluster.get("istios.sailoperator.io", "default"));
    const before = (await seen()).map(({ metadata, spec }) => [metadata.generation, spec]);
    const result = await runOn(clusters, { "istio-version": older });
    expect([result.exitCode, result.outputs.changed], explain(result)).toEqual([1, "false"]);
    const failed = result.report?.checks.filter(({ verdict }) => verdict === "failed") ?? [];
    expect([...new Set(failed.map(({ id }) => id))]).toEqual(["preflight.version"]);
    for (const { hint } of failed) expect(hint).toContain("allow-downgrade");
    expect((await seen()).map(({ metadata, spec }) => [metadata.generation, spec])).toEqual(before);
  });

  it("is over with it: a run without a version changes nothing and keeps the new one", async () => {
    const result = await runOn(clusters, { "istio-version": "", verify: "false" });
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.outputs).toMatchObject({ changed: "false", "istio-version": istioVersion });
  });
});

describe.skipIf(missing)(`an upgrade that is interrupted${missing ? ` (skipped: ${missing})` : ""}`, () => {
  const older = olderIstioVersion as string;
  const two = clusters.slice(0, 2);

  beforeAll(async () => {
    const result = await runOn(two, { "istio-version": older, verify: "false" });
    expect(result.exitCode, explain(result)).toBe(0);
  });
  afterAll(async () => {
    const result = await runOn(two, { command: "uninstall", "uninstall-scope": "all" });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("at ten random moments, is completed by the runs that follow, and no request of the workloads fails", async () => {
    const streams = await startStreams(two, sampleImage);
    const moments: string[] = [];
    for (let i = 0; i < 10; i++) {
      const seconds = 1 + Math.random() * 11;
      const kill = { signal: "SIGKILL", when: AbortSignal.timeout(Math.round(seconds * 1000)) } as const;
      const result = await runOn(two, { "istio-version": istioVersion }, { kill });
      moments.push(`${seconds.toFixed(1)} s${result.exitCode === null ? "" : " (it was done before)"}`);
    }
    const last = await runOn(two, { "istio-version": istioVersion });
    const sent = await streams.stop();
    console.log(`killed after ${moments.join(", ")}`);
    console.log(toldOf(sent));
    expect(last.exitCode, explain(last)).toBe(0);
    for (const selector of [ISTIOD, GATEWAY])
      expect(await Promise.all(two.map((cluster) => images(cluster, selector)))).toEqual(two.map(() => [istioVersion]));
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });
});

describe.skipIf(missing)(`an upgrade by a second revision${missing ? ` (skipped: ${missing})` : ""}`, () => {
  const older = olderIstioVersion as string;
  const named = (version: string) => `default-v${version.replaceAll(".", "-")}`;
  const two = clusters.slice(0, 2);
  const both = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(two.map(task));

  beforeAll(async () => {
    const { certificate, key } = await rootCa();
    const root = await loadRoot(certificate, key);
    // As a run would have left them that made the resource while its strategy was set by the platform team.
    await both(async (cluster) => {
      const { metadata } = await cluster.get("namespace", "kube-system");
      const kind = { apiVersion: "sailoperator.io/v1", kind: "Istio" };
      const owner = proofOf({ mesh: "mesh1", namespace: SYSTEM, cluster: metadata.uid }, { ...kind, name: "default" });
      const global = { meshID: "mesh1", network: cluster.network, multiCluster: { clusterName: cluster.name } };
      const updateStrategy = { type: "RevisionBased" };
      const apply = (manager: string, object: object) =>
        cluster.kubectl(["apply", "--server-side", "--field-manager", manager, "-f", "-"], {
          input: JSON.stringify(object),
        });
      await cluster.kubectl(["create", "namespace", SYSTEM]);
      await cluster.kubectl(["label", "namespace", SYSTEM, `topology.istio.io/network=${cluster.network}`]);
      await cluster.apply([
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "cacerts", namespace: SYSTEM },
          stringData: { ...(await issueIntermediate(root, cluster.name, SYSTEM)) },
        },
      ]);
      await apply(MANAGER, {
        ...kind,
        metadata: {
          name: "default",
          labels: ownership({ id: "mesh1" }, "control-plane"),
          annotations: { [OWNER]: owner },
        },
        spec: { version: `v${older}`, namespace: SYSTEM, updateStrategy, values: { global } },
      });
      await apply("platform-team", { ...kind, metadata: { name: "default" }, spec: { updateStrategy } });
      const healthy = ["istios.sailoperator.io/default", "--for=jsonpath={.status.state}=Healthy", "--timeout=240s"];
      await cluster.kubectl(["wait", ...healthy], { timeoutMs: 250_000 });
    });
  });
  afterAll(async () => {
    const result = await runOn(two, { command: "uninstall", "uninstall-scope": "all" });
    await both(async (cluster) => {
      await cluster.kubectl(["delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=60s"], {
        timeoutMs: 70_000,
      });
    });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("puts the new istiod beside the old one, and no request of the workloads fails", async () => {
    const first = await runOn(two, { "istio-version": older });
    expect(first.exitCode, explain(first)).toBe(0);
    const streams = await startStreams(two, sampleImage, { "istio.io/rev": named(older) });
    const result = await runOn(two, { "istio-version": istioVersion });
    const sent = await streams.stop();
    console.log(`${result.seconds.toFixed(1)} s, exit code ${result.exitCode}`);
    console.log(toldOf(sent));
    for (const told of upgrades(result)) console.log(told);
    expect(result.exitCode, explain(result)).toBe(0);
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
    // The old one stays for those that it has injected.
    for (const found of await both((cluster) => images(cluster, GATEWAY))) expect(found).toEqual([istioVersion]);
  });
});
