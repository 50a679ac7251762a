// Clusters that somebody's control plane serves already: what it is to its workloads stays.
import { beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import type { ClusterSpec, MeshSpec } from "../../src/mesh/spec.ts";
import { istiodChart } from "../embedded/controllers/chart.ts";
import { definitions } from "../embedded/controllers/crds.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import {
  clusterSpec,
  failures,
  NAMESPACE,
  notPassed,
  resourceVersions,
  runInstall,
  runRotate,
  runVerify,
  writes,
} from "./mesh.ts";

const clusters = testClusters();
const NETWORK = "topology.istio.io/network";
const root = generateRoot();

/** What the mesh's own control planes are given. */
const identity = (number: number): Json => ({
  meshID: "mesh1",
  network: `network${number}`,
  multiCluster: { clusterName: `cluster${number}` },
});

interface Owned {
  readonly global: Json;
  /** Without one, the Sail Operator's. */
  readonly chart?: { readonly revisions: readonly string[]; readonly labels?: Json };
  readonly workloads?: Readonly<Record<string, string>>;
}

/** A control plane of a platform team's, with `cacerts` of one root and workloads that it serves. */
async function put(
  kube: Kube,
  number: number,
  { global, chart, workloads = { shop: "default" } }: Owned,
): Promise<void> {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  const files = await issueIntermediate(root, `cluster${number}`, NAMESPACE);
  const data = Object.fromEntries(Object.entries(files).map(([key, value]) => [key, encode(value)]));
  const metadata = { name: "cacerts", namespace: NAMESPACE };
  kube.put({ apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data });
  if (chart) {
    for (const each of definitions([]).filter(({ spec }) => /^(networking|security)\.istio\.io$/.test(spec.group)))
      kube.put(each);
    for (const revision of chart.revisions) {
      const release = { revision, namespace: NAMESPACE, version: "1.26.3", values: { global } };
      for (const object of istiodChart(release)) {
        const labels = { ...object.metadata.labels, ...(object.kind === "Deployment" ? chart.labels : {}) };
        kube.put({ ...object, metadata: { ...object.metadata, labels } });
      }
    }
  } else {
    kube.put({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: { name: "default" },
      spec: { version: "v1.26.3", namespace: NAMESPACE, values: { global } },
    });
  }
  const config = { apiVersion: "v1", kind: "ConfigMap", namespace: NAMESPACE, name: "istio-ca-root-cert" };
  await vi.waitFor(() => expect(kube.get(config)).toBeDefined(), { timeout: 5_000 });
  for (const [namespace, revision] of Object.entries(workloads)) {
    kube.put({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels: { "istio.io/rev": revision } },
    });
    kube.put({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } });
    kube.put({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "app", namespace },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: "app" } },
        template: { metadata: { labels: { app: "app" } }, spec: { containers: [{ name: "app", image: "app:1" }] } },
      },
    });
    await vi.waitFor(
      () => {
        const pods = kube.list("v1", "Pod", namespace);
        expect(pods.filter(({ metadata }) => metadata.annotations?.["istio.io/rev"] === revision)).toHaveLength(2);
      },
      { timeout: 5_000 },
    );
  }
}

/** Fills a cluster's place with what install must leave as it is, and gives what install says of it. */
async function refusal(kube: Kube, other: Kube, mesh: Partial<MeshSpec> = {}): Promise<string> {
  const before = resourceVersions(kube);
  const outcome = await runInstall([kube, other], { mesh });
  expect(outcome.report.result).toBe("failed");
  for (const each of [kube, other]) expect(writes(each)).toEqual([]);
  expect(resourceVersions(kube)).toEqual(before);
  return failures(outcome).join("\n");
}

describe("a control plane that runs as another cluster is left alone, and its proxies are counted,", () => {
  test.each<[string, Omit<Owned, "global">, Partial<MeshSpec>]>([
    ["the operator's", {}, {}],
    [
      "this action's, without an operator",
      { chart: { revisions: ["default"], labels: { "app.kubernetes.io/managed-by": "istio-mesh-action" } } },
      { installer: "istioctl" },
    ],
    ["somebody else's", { chart: { revisions: ["default"] } }, { installer: "existing" }],
  ])("%s", async (_, owned, mesh) => {
    const [kube, other] = await clusters(2, owned.chart ? { operator: false } : {});
    // As a single cluster's are installed: no name, no network, no mesh ID.
    await put(kube, 1, { global: {}, ...owned });
    const said = await refusal(kube, other, mesh);
    expect(said).toMatch(
      /preflight\.control-plane cluster1: istiod \(Deployment istiod\) runs with cluster name Kubernetes instead of cluster1, network \(none\) instead of network1\./,
    );
    expect(said).toMatch(/the 2 proxies that run \(in namespace shop\)/);
    expect(said).toMatch(/\| Give this action the names .*`name` to Kubernetes.*--clusterAliases=Kubernetes=cluster1/);
    if (mesh.installer === undefined)
      expect(said).toMatch(
        /Or set `adopt: true`.*clusterName\) Kubernetes → cluster1, network \(global\.network\) none → network1, mesh ID \(global\.meshID\) none → mesh1, /,
      );
    if (mesh.installer !== "existing") expect(said).toMatch(/client claims to be in cluster "Kubernetes"/);
  });

  test("by name alone, or by network alone, or by mesh", async () => {
    for (const [global, wanted] of [
      [
        { ...identity(1), multiCluster: { clusterName: "east" } },
        /cluster name east instead of cluster1\. As cluster1/,
      ],
      [{ ...identity(1), network: "net-e" }, /with network net-e instead of network1\. .*would keep network net-e/],
      [{ ...identity(1), meshID: "mesh-e" }, /with mesh ID mesh-e instead of mesh1\. /],
    ] as [Json, RegExp][]) {
      const [kube, other] = await clusters(2);
      await put(kube, 1, { global, workloads: {} });
      expect(await refusal(kube, other)).toMatch(wanted);
    }
  });

  test("as a flat mesh, whose traffic a label would move", async () => {
    const [kube, other] = await clusters(2, { operator: false });
    const { network: _, ...flat } = identity(1);
    await put(kube, 1, { global: flat, chart: { revisions: ["default"] }, workloads: {} });
    kube.put({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "remote", namespace: NAMESPACE, labels: { "istio/multiCluster": "true" } },
      data: { cluster3: encode("x") },
    });
    const said = await refusal(kube, other, { installer: "existing" });
    expect(said).toMatch(
      /network \(none\) instead of network1\. .*one flat network.*gateways that are not there yet\. \| Leave it as it is/,
    );
  });

  test("and so is one whose root of trust cannot be read: no CA is issued beside it", async () => {
    const [kube, other] = await clusters(2);
    await put(kube, 1, { global: identity(1), workloads: {} });
    for (const [kind, name] of [
      ["Secret", "cacerts"],
      ["ConfigMap", "istio-ca-root-cert"],
    ] as const)
      kube.delete({ apiVersion: "v1", kind, namespace: NAMESPACE, name });
    expect(await refusal(kube, other)).toMatch(/preflight\.trust mesh: cluster1: An istiod runs, and its root/);
  });
});

describe("control planes with the mesh's identity are joined", () => {
  let kubes: Clusters;
  beforeAll(async () => {
    kubes = await clusters(2, { operator: false });
    const { meshID: _, ...unnamed } = identity(1);
    const chart = { revisions: ["default"] };
    await Promise.all([
      put(kubes[0], 1, { global: unnamed, chart }),
      put(kubes[1], 2, { global: identity(2), chart, workloads: {} }),
    ]);
  });

  test("without a mesh ID with a warning, and the network's label comes after the gateway's address", async () => {
    const outcome = await runInstall(kubes, { mesh: { installer: "existing" } });
    expect(notPassed(outcome)).toEqual([]);
    const told = outcome.report.checks.filter(({ warning }) => warning).map(({ id, warning }) => `${id} ${warning}`);
    expect(told).toEqual([expect.stringMatching(/^preflight\.control-plane cluster1: No mesh ID is set/)]);
    for (const [i, kube] of kubes.entries()) {
      const namespace = kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE });
      expect(namespace.metadata.labels[NETWORK]).toBe(`network${i + 1}`);
      const sent = writes(kube).map(({ path }) => path);
      const place = (pattern: RegExp) => sent.findIndex((path) => pattern.test(path));
      expect(place(/services\/istio-eastwestgateway/)).toBeGreaterThanOrEqual(0);
      expect(place(/namespaces\/istio-system\?/)).toBeGreaterThan(place(/services\/istio-eastwestgateway/));
    }
    const again = await runInstall(kubes, { mesh: { installer: "existing" } });
    expect(again.report.changed).toBe(false);
  });

  test("and verified, also without the namespace's label", async () => {
    const [kube] = kubes;
    const ref = { apiVersion: "v1", kind: "Namespace", name: NAMESPACE };
    const { metadata } = kube.get(ref);
    const { [NETWORK]: label, ...labels } = metadata.labels;
    kube.put({ ...kube.get(ref), metadata: { ...metadata, labels } });
    const outcome = await runVerify(kubes);
    expect(failures(outcome)).toEqual([]);
    expect(outcome.report.result).toBe("passed");
    const warned = outcome.report.checks.flatMap(({ id, warning }) => (warning ? `${id}: ${warning}` : []));
    expect(warned.join("\n")).toMatch(
      /control-plane\.identity: No mesh ID.*\n.*control-plane\.network: .*no network label/s,
    );
    kube.put({ ...kube.get(ref), metadata: { ...metadata, labels: { ...labels, [NETWORK]: label } } });
  });
});

test("somebody else's pipeline is told what to set, and the cluster is joined once its workloads have it", async () => {
  const kubes = await clusters(2, { operator: false });
  const chart = { revisions: ["default"] };
  await put(kubes[0], 1, { global: {}, chart });
  await put(kubes[1], 2, { global: identity(2), chart, workloads: {} });
  const mesh = { installer: "existing" } as const;
  const said = await refusal(kubes[0], kubes[1], mesh);
  const [, values] =
    /add these, which serve what runs under both names, and run again: (\{.*\})\. Then/.exec(said) ?? [];
  const set = parse(values ?? "") as Json;
  expect(set).toEqual({ global: identity(1), pilot: { extraContainerArgs: ["--clusterAliases=Kubernetes=cluster1"] } });

  for (const object of istiodChart({ revision: "default", namespace: NAMESPACE, version: "1.26.3", values: set }))
    kubes[0].put(object);
  const waits = await runInstall(kubes, { mesh, verification: { traffic: false } });
  expect(failures(waits)).toEqual([]);
  expect(waits.report.clusters.map((each) => each.waits)).toEqual([true, undefined]);
  const warned = waits.report.checks.flatMap(({ warning }) => warning ?? []).join("\n");
  expect(warned).toMatch(/2 pods of cluster1 in shop still run as Kubernetes and without a network/);
  const again = await runInstall(kubes, { mesh });
  expect([failures(again), again.report.changed]).toEqual([[], false]);
  expect(failures(await runVerify(kubes, { mesh, verification: { traffic: true } }))).toEqual([]);

  for (const { metadata } of kubes[0].list("v1", "Pod", "shop"))
    kubes[0].delete({ apiVersion: "v1", kind: "Pod", namespace: "shop", name: metadata.name });
  await vi.waitFor(
    () => {
      const pods = kubes[0].list("v1", "Pod", "shop").filter(({ spec }) => JSON.stringify(spec).includes("network1"));
      expect(pods).toHaveLength(2);
    },
    { timeout: 5_000 },
  );
  const joined = await runInstall(kubes, { mesh, verification: { traffic: true } });
  expect(failures(joined)).toEqual([]);
  expect(joined.report.checks.filter(({ id }) => id === "pair.request").map(({ verdict }) => verdict)).toEqual([
    "passed",
    "passed",
  ]);
  const { metadata } = kubes[0].get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE });
  expect([metadata.labels[NETWORK], metadata.annotations]).toEqual(["network1", undefined]);
});

test("a cluster is renamed where its istiod goes on serving the old name", async () => {
  const kubes = await clusters(2);
  const network = { network: "network1" };
  await put(kubes[0], 1, { global: network });
  await put(kubes[1], 2, { global: identity(2), workloads: {} });
  const values = { pilot: { extraContainerArgs: ["--clusterAliases=Kubernetes=cluster1"] } };
  const specs: ClusterSpec[] = [clusterSpec(1, { values }), clusterSpec(2)];
  const { report } = await runInstall(kubes, { mesh: { clusters: specs } });
  const check = report.checks.find(({ id, subject }) => id === "preflight.control-plane" && "cluster" in subject);
  expect(check?.verdict).toBe("passed");
  expect(check?.warning).toMatch(/renamed from Kubernetes to cluster1\. .*restart gateways and workloads/);
});

describe("two revisions", () => {
  test("of which none is named, and both are in use, are told before anything is written", async () => {
    const [kube, other] = await clusters(2, { operator: false });
    const chart = { revisions: ["v1", "v2"] };
    await put(kube, 1, { global: identity(1), chart, workloads: { shop: "v1", bank: "v2" } });
    const said = await refusal(kube, other, { installer: "existing" });
    expect(said).toMatch(
      /no istiod of revision default .*several others: istiod-v1 of revision v1, istiod-v2 .*`istio-resource`/,
    );
  });

  test("are both looked at where workloads hang on the older one, and who does is told", async () => {
    const kubes = await clusters(2, { operator: false });
    const chart = { revisions: ["v1", "v2"] };
    await Promise.all(
      kubes.map((kube, i) =>
        put(kube, i + 1, { global: identity(i + 1), chart, workloads: i === 0 ? { shop: "v1" } : {} }),
      ),
    );
    const mesh = { installer: "existing", istioResource: "v2" } as const;
    const joined = await runInstall(kubes, { mesh });
    expect(notPassed(joined)).toEqual([]);
    const synced = joined.report.checks.filter(({ id }) => id === "install.synced").map(({ evidence }) => evidence);
    expect(synced.join("\n")).toMatch(/istiod-v1-\S+, istiod-v2-\S+ report cluster2 synced/);
    const verified = await runVerify(kubes, { mesh, verification: { traffic: false } });
    expect(failures(verified)).toEqual([]);
    const warned = verified.report.checks.flatMap(({ id, warning }) => (warning ? `${id} ${warning}` : []));
    expect(warned.filter((each) => !each.startsWith("control-plane.images"))).toEqual([
      expect.stringMatching(/^control-plane\.istiod The mesh's revision is v2, and 2 workloads are on revision v1\./),
    ]);
  });
});

test("clusters and networks have names that Istio takes and Kubernetes' objects do not", async () => {
  const kubes = await clusters(2);
  const specs = [
    clusterSpec(1, { name: "Prod.EU_1", network: "net_1" }),
    clusterSpec(2, { name: "prod.eu", network: "Net.2" }),
  ];
  const mesh = { clusters: specs };
  const joined = await runInstall(kubes, { mesh, verification: { traffic: true } });
  expect(notPassed(joined)).toEqual([]);
  const again = await runInstall(kubes, { mesh });
  expect([again.report.result, again.report.changed]).toEqual(["passed", false]);
  expect(notPassed(await runRotate(kubes, { mesh }))).toEqual([]);
});
