// Meshes whose Istio becomes another version, and those where it must not.
import { describe, expect, test } from "vitest";
import { generateRoot } from "../../src/mesh/certificates/issue.ts";
import type { Report } from "../../src/mesh/report.ts";
import { distorted } from "../embedded/cluster.ts";
import type { Json, Kube, LoggedRequest } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import {
  failures,
  isWrite,
  meshSpec,
  NAMESPACE,
  notPassed,
  resourceVersions,
  runInstall,
  runPlan,
  runVerify,
  type Setup,
  writes,
} from "./mesh.ts";

const started = testClusters();

/** The stand-in of the operator installs both. */
const [OLD, NEW] = ["1.25.3", "1.26.3"];
const at = (istioVersion: string, more: Setup = {}): Setup => ({ ...more, mesh: { ...more.mesh, istioVersion } });

const deployment = (kube: Kube, name: string): Json =>
  kube.get({ apiVersion: "apps/v1", kind: "Deployment", namespace: NAMESPACE, name });
const imageOfIstiod = (kube: Kube): string => deployment(kube, "istiod").spec.template.spec.containers[0].image;
const proxies = (kube: Kube): string[] =>
  kube
    .list("v1", "Pod", NAMESPACE)
    .filter(({ metadata }) => metadata.labels.app === "istio-eastwestgateway" && !metadata.deletionTimestamp)
    .map(({ spec }) => spec.containers[0].image);
const version = (image: string | undefined) => image?.split(":")[1];

/** The run's own Lease apart, which it holds in every cluster. */
const isPiece = (request: LoggedRequest) => isWrite(request) && !request.path.includes("/leases");

/** Tells the writes of all clusters in the order in which they come, by the cluster's number. */
function order(kubes: readonly Kube[], tell: (cluster: number, request: LoggedRequest) => void): () => void {
  for (const [i, kube] of kubes.entries()) {
    kube.intercept((request) => {
      if (isPiece(request) && !request.user.startsWith("system:serviceaccount:")) tell(i + 1, request);
      return undefined;
    });
  }
  return () => {
    for (const kube of kubes) kube.intercept(undefined);
  };
}

const evidence = ({ checks }: Report, id: string) =>
  checks.filter((check) => check.id === id).map((check) => check.evidence);

/** Neither a plan nor an installation gets over the preflight, and no cluster is written to. */
async function expectRefused(kubes: readonly Kube[], setup: Setup, cause: RegExp): Promise<void> {
  const before = kubes.map((kube) => [writes(kube).length, resourceVersions(kube)]);
  for (const run of [runPlan, runInstall]) {
    expect(failures(await run(kubes, setup))).toContainEqual(expect.stringMatching(cause));
  }
  expect(kubes.map((kube) => [writes(kube).length, resourceVersions(kube)])).toEqual(before);
}

const LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener";

/** A mesh whose proxies refuse what the newer istiod of the first cluster sends. */
async function refusing(): Promise<{ kubes: Awaited<ReturnType<typeof started>>; asked: Setup }> {
  const refuse = (each: Json): Json => ({
    ...each,
    resources: { ...each.resources, [LISTENER]: { ...each.resources[LISTENER], lastError: "no such filter" } },
  });
  const kubes = await started(2);
  distorted.set(kubes[0], (path, answer) =>
    path === "syncz" && version(imageOfIstiod(kubes[0])) === NEW ? answer.map(refuse) : answer,
  );
  const asked: Setup = { patience: 500 };
  expect(notPassed(await runInstall(kubes, at(OLD, asked)))).toEqual([]);
  return { kubes, asked };
}

describe("a mesh that runs", () => {
  test("keeps its version, is not moved where that is no step, and goes up cluster by cluster", async () => {
    const kubes = await started(3, { operator: { slowHelmMs: 150, versions: [NEW, OLD, "1.27.0", "1.24.6"] } });
    const [first, second] = kubes;
    const pair = [first, second];
    const root = await generateRoot();
    const joined = await runInstall(pair, at(OLD, { root }));
    expect(notPassed(joined)).toEqual([]);
    expect(joined.report.mesh.istioVersion).toBe(OLD);

    // Left out, it is what runs; a cluster that joins gets the same.
    const again = await runInstall(pair, at(""));
    expect([notPassed(again), again.report.changed]).toEqual([[], false]);
    expect(evidence(again.report, "preflight.version")).toEqual([
      `\`istio-version\` is not set: it is ${OLD}, which runs. Istio ${OLD} runs in cluster1, cluster2 already.`,
    ]);

    // Neither down nor two up, in any cluster, and `plan` says the same.
    await expectRefused(
      pair,
      at("1.24.6"),
      /preflight\.version .*cluster1, cluster2 run Istio 1\.25\.3: with 1\.24\.6.*allow-downgrade/,
    );
    await expectRefused(
      pair,
      at("1.27.0"),
      /preflight\.version .*2 minor versions before 1\.27\.0.*by way of 1\.26, then 1\.27\.0/,
    );

    // One up: `plan` tells of the gateway, too.
    const planned = await runPlan(pair, at(NEW));
    expect(notPassed(planned)).toEqual([]);
    const moved = planned.report.changes.filter(({ action }) => action !== "unchanged");
    expect(moved.map(({ cluster, kind, name }) => `${cluster} ${kind} ${name}`)).toEqual(
      ["cluster1", "cluster2"].flatMap((cluster) => [
        `${cluster} Istio default`,
        `${cluster} Deployment istio-eastwestgateway`,
      ]),
    );

    // The second cluster is not touched before the first is done; a third, which is new, does not wait.
    const touched: number[] = [];
    const seen: { istiods: (string | undefined)[]; proxies: (string | undefined)[] }[] = [];
    const end = order(kubes, (cluster, { path }) => {
      touched.push(cluster);
      if (path.includes("/deployments/istio-eastwestgateway") && cluster < 3) {
        seen.push({
          istiods: pair.map((kube) => version(imageOfIstiod(kube))),
          proxies: pair.map((kube) => version(proxies(kube)[0])),
        });
      }
    });
    const upgraded = await runInstall(kubes, at(NEW, { root, verification: { traffic: true } }));
    end();
    expect(failures(upgraded)).toEqual([]);
    expect(upgraded.report.mesh.istioVersion).toBe(NEW);
    // A gateway is made anew when its istiod is the new one, and the next cluster's istiod is still the old one then.
    expect(seen).toEqual([
      { istiods: [NEW, OLD], proxies: [OLD, OLD] },
      { istiods: [NEW, NEW], proxies: [NEW, OLD] },
    ]);
    expect(touched.indexOf(3)).toBeLessThan(touched.indexOf(2));
    expect(kubes.map(proxies).map((images) => images.map(version))).toEqual([[NEW], [NEW], [NEW]]);
    expect(evidence(upgraded.report, "install.upgrade")).toEqual([
      expect.stringMatching(
        /^Istio 1\.26\.3 has taken the place of 1\.25\.3.*istiod has read cluster2\. Of \d+ requests meanwhile between 2 ordered pairs .*none failed\.$/,
      ),
      expect.stringMatching(/istiod has read cluster1\. Of \d+ requests meanwhile/),
    ]);

    const same = await runInstall(kubes, at(NEW));
    expect([notPassed(same), same.report.changed]).toEqual([[], false]);

    // Back by one is done where it is wanted.
    const back = await runInstall(pair, at(OLD, { mesh: { allowDowngrade: true }, prune: true }));
    expect(failures(back)).toEqual([]);
    expect(pair.map(imageOfIstiod).map(version)).toEqual([OLD, OLD]);
  }, 60_000);

  test("stops where a cluster fails: no other is touched, and how to go on is said; it then goes on", async () => {
    const missing = [`gcr.io/istio-release/pilot:${NEW}`];
    const kubes = await started(2, (index) => (index === 0 ? { kubelet: { missingImages: missing } } : {}));
    expect(notPassed(await runInstall(kubes, at(OLD)))).toEqual([]);
    const written = () => writes(kubes[1]).filter(isPiece);
    const before = written();
    const outcome = await runInstall(
      kubes,
      at(NEW, { endWhen: ({ seen }) => seen.some((each) => /pull|ImagePull/i.test(each)) }),
    );
    expect(failures(outcome)).toContainEqual(expect.stringMatching(/install\.istiod cluster1/));
    expect(failures(outcome).filter((each) => !each.includes("cluster1"))).toEqual([]);
    expect(written()).toEqual(before);
    expect(outcome.warnings).toEqual([
      expect.stringMatching(
        /^The change to Istio 1\.26\.3 has stopped: cluster1 is between 1\.25\.3 and it; cluster2 was not begun and has 1\.25\.3\. .*`istio-version: 1\.26\.3`.*`istio-version: 1\.25\.3` and `allow-downgrade: true`\.$/,
      ),
    ]);
    // Without the input, too, it goes on to the newest.
    const again = await runPlan(kubes, at(""));
    expect(evidence(again.report, "preflight.version")).toEqual([
      expect.stringContaining(`it is ${NEW}, the newest that runs`),
    ]);
  }, 60_000);

  test("stops where the clusters no longer answer each other", async () => {
    const kubes = await started(2);
    const asked: Setup = { verification: { traffic: true }, patience: 1_500 };
    expect(notPassed(await runInstall(kubes, at(OLD, asked)))).toEqual([]);
    const [first, second] = kubes;
    const pieces = () => [
      second.get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" }).metadata.generation,
      deployment(second, "istio-eastwestgateway").metadata.generation,
    ];
    const before = pieces();
    let cut = false;
    first.intercept((request) => {
      if (isPiece(request) && request.path.includes("/deployments/istio-eastwestgateway")) cut = true;
      return cut && request.path.includes("/connect/probe-cluster2")
        ? { status: 503, headers: { server: "envoy" }, body: "no healthy upstream" }
        : undefined;
    });
    const stopped = await runInstall(kubes, at(NEW, asked));
    first.intercept(undefined);
    expect(failures(stopped)).toEqual([
      expect.stringMatching(
        /install\.upgrade cluster1: The mesh is not as it was before: .*cluster1 → cluster2: HTTP 503: no healthy upstream/,
      ),
    ]);
    expect(pieces()).toEqual(before);
    expect(stopped.warnings).toEqual([expect.stringMatching(/cluster1 is between .*; cluster2 was not begun/)]);
    expect(version(imageOfIstiod(second))).toBe(OLD);

    // The next run finds cluster1 done, and goes on.
    const done = await runInstall(kubes, at(NEW, asked));
    expect(failures(done)).toEqual([]);
    expect(kubes.map(imageOfIstiod).map(version)).toEqual([NEW, NEW]);
  }, 60_000);

  test("stops before anything is made anew where a proxy refuses what the new istiod sends", async () => {
    const { kubes, asked } = await refusing();
    const gateway = deployment(kubes[0], "istio-eastwestgateway").metadata.generation;
    const stopped = await runInstall(kubes, at(NEW, asked));
    expect(failures(stopped)).toEqual([
      expect.stringMatching(
        /install\.proxies cluster1: Since istiod is of 1\.26\.3, listeners of .* refused: no such filter/,
      ),
    ]);
    expect(deployment(kubes[0], "istio-eastwestgateway").metadata.generation).toBe(gateway);
    expect(version(imageOfIstiod(kubes[1]))).toBe(OLD);
  }, 60_000);

  // An upgrade of two is an `Istio` and a gateway in each.
  test.each([1, 2, 3, 4])(
    "is whole again after a run that ended at write %i of its upgrade",
    async (last) => {
      const kubes = await started(2);
      expect(notPassed(await runInstall(kubes, at(OLD)))).toEqual([]);
      const cancel = new AbortController();
      let count = 0;
      for (const kube of kubes)
        kube.intercept((sent) => {
          if (!isPiece(sent) || sent.user.startsWith("system:") || ++count < last) return undefined;
          cancel.abort();
          return count === last ? { truncate: true } : { destroy: true };
        });
      const cut = await runInstall(kubes, at(NEW, { cancel: cancel.signal }));
      for (const kube of kubes) kube.intercept(undefined);
      expect(cut.report.result).toBe("failed");
      expect(count).toBeGreaterThanOrEqual(last);
      expect(notPassed(await runInstall(kubes, at(NEW)))).toEqual([]);
      expect(kubes.map(imageOfIstiod).map(version)).toEqual([NEW, NEW]);
      expect(kubes.map(proxies).map((images) => images.map(version))).toEqual([[NEW], [NEW]]);
    },
    60_000,
  );

  test("of another's making is connected as it is, and its gateway follows", async () => {
    const kubes = await started(2);
    expect(notPassed(await runInstall(kubes, at(OLD)))).toEqual([]);
    const existing = (): Setup => at("", { mesh: { installer: "existing" } });
    expect(failures(await runInstall(kubes, existing()))).toEqual([]);
    for (const kube of kubes) {
      const istio = kube.get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" });
      kube.put({ ...istio, spec: { ...istio.spec, version: `v${NEW}` } });
    }
    await expect.poll(() => kubes.map(imageOfIstiod).map(version)).toEqual([NEW, NEW]);
    const left = await runInstall(kubes, existing());
    expect(failures(left)).toEqual([]);
    expect(left.report.changes.filter(({ action }) => action !== "unchanged").map(({ kind }) => kind)).toEqual([
      "Deployment",
      "Deployment",
    ]);
    expect(kubes.map(proxies).map(([image]) => version(image))).toEqual([NEW, NEW]);
  }, 60_000);
});

test("which Istio runs is what a verification says, not what was asked for", async () => {
  const kubes = await started(2);
  await runInstall(kubes, at(OLD));
  const { report } = await runVerify(kubes, { ...at(NEW), verification: { traffic: false } });
  expect(report.mesh.istioVersion).toBe(OLD);
  expect(meshSpec(2, { istioVersion: "" })).not.toHaveProperty("istioVersion");
}, 60_000);
