// Control planes that live alone become one mesh: by their names first, and by traffic once their workloads know the network.
import { describe, expect, test, vi } from "vitest";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { loadRoot } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import { renew } from "../embedded/controllers/certificates.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import {
  failures,
  MANAGER,
  NAMESPACE,
  notPassed,
  type Outcome,
  resourceVersions,
  runInstall,
  runPlan,
  runRotate,
  runUninstall,
  runVerify,
} from "./mesh.ts";

const clusters = testClusters();
const NETWORK = "topology.istio.io/network";
const root = generateRoot();
const ISTIO = { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" };
const adopt = { mesh: { adopt: true } } as const;

/** A platform team's control plane, as a single cluster's is, with two pods of a workload. */
async function live(kube: Kube, number: number, values: Json = {}, selfSigned = false): Promise<void> {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: { owner: "platform" } } });
  if (!selfSigned) {
    const files = await issueIntermediate(root, `cluster${number}`, NAMESPACE);
    const data = Object.fromEntries(Object.entries(files).map(([key, value]) => [key, encode(value)]));
    const metadata = { name: "cacerts", namespace: NAMESPACE };
    kube.put({ apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data });
  }
  kube.put({
    ...{ apiVersion: ISTIO.apiVersion, kind: ISTIO.kind },
    metadata: {
      name: "default",
      labels: { owner: "platform" },
      managedFields: [
        {
          manager: "gitops",
          operation: "Update",
          apiVersion: ISTIO.apiVersion,
          fieldsType: "FieldsV1",
          fieldsV1: { "f:metadata": { "f:labels": { "f:owner": {} } }, "f:spec": fieldsOf({ values }) },
        },
      ],
    },
    spec: { version: "v1.26.3", namespace: NAMESPACE, values },
  });
  const bundle = { apiVersion: "v1", kind: "ConfigMap", namespace: NAMESPACE, name: "istio-ca-root-cert" };
  await vi.waitFor(() => expect(kube.get(bundle)).toBeDefined(), { timeout: 5_000 });
  kube.put({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "shop", labels: { "istio-injection": "enabled" } },
  });
  kube.put({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "shop" } });
  kube.put({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "app", namespace: "shop" },
    spec: { selector: { app: "app" }, ports: [{ name: "http", port: 80 }] },
  });
  kube.put({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "app", namespace: "shop" },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "app" } },
      template: { metadata: { labels: { app: "app" } }, spec: { containers: [{ name: "app", image: "app:1" }] } },
    },
  });
  await running(kube);
}

const fieldsOf = (object: Json): Json =>
  Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      `f:${key}`,
      value && typeof value === "object" && !Array.isArray(value) ? fieldsOf(value as Json) : {},
    ]),
  );

async function running(kube: Kube): Promise<void> {
  await vi.waitFor(
    () => {
      const pods = kube.list("v1", "Pod", "shop").filter(({ metadata }) => !metadata.deletionTimestamp);
      expect(pods.filter(({ metadata }) => metadata.annotations?.["istio.io/rev"])).toHaveLength(2);
    },
    { timeout: 5_000 },
  );
}

/** As the owner restarts the workloads. */
async function restart(kube: Kube): Promise<void> {
  const old = kube.list("v1", "Pod", "shop").map(({ metadata }) => metadata.name);
  for (const name of old) kube.delete({ apiVersion: "v1", kind: "Pod", namespace: "shop", name });
  await vi.waitFor(
    () => expect(kube.list("v1", "Pod", "shop").filter(({ metadata }) => old.includes(metadata.name))).toEqual([]),
    { timeout: 5_000 },
  );
  await running(kube);
}

async function lone(values: Json = {}): Promise<Clusters> {
  const kubes = await clusters(2);
  await Promise.all(kubes.map((kube, i) => live(kube, i + 1, values)));
  return kubes;
}

const istio = (kube: Kube) => kube.get(ISTIO);
const label = (kube: Kube) =>
  kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE }).metadata.labels?.[NETWORK];
const args = (kube: Kube) => istio(kube).spec.values.pilot?.extraContainerArgs;
const gateways = (kube: Kube) =>
  kube.list("v1", "Service", NAMESPACE).filter(({ metadata }) => /eastwest/.test(metadata.name));
const secrets = (kube: Kube) =>
  kube.list("v1", "Secret", NAMESPACE).filter(({ metadata }) => metadata.labels?.["istio/multiCluster"]);
const warned = ({ report }: Outcome) => report.checks.flatMap(({ warning }) => warning ?? []).join("\n");
/** What its owner has, and what they see of ours. */
const owned = (kube: Kube) => {
  const { spec, metadata } = istio(kube);
  // Empty ones say nothing.
  const { values, ...others } = spec;
  const told = Object.keys(values ?? {}).length > 0 ? { ...others, values } : others;
  const namespace = kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE });
  return {
    spec: told,
    labels: metadata.labels,
    annotations: metadata.annotations ?? {},
    namespace: namespace.metadata.labels,
  };
};

describe("two control planes that live alone", () => {
  test("take the mesh's names, are joined once their workloads were restarted, and are given back", async () => {
    const kubes = await lone();
    const before = kubes.map(owned);

    const versions = kubes.map(resourceVersions);
    const planned = await runPlan(kubes, adopt);
    expect(notPassed(planned)).toEqual([]);
    const would = planned.report.changes.filter(({ action }) => action !== "unchanged");
    expect(would.map(({ cluster, kind }) => `${cluster} ${kind}`)).toEqual(["cluster1 Istio", "cluster2 Istio"]);
    expect(would[0]?.diff?.map(({ path }) => path).join("\n")).toMatch(/clusterName|global/);
    expect(kubes.map(resourceVersions)).toEqual(versions);

    const first = await runInstall(kubes, { ...adopt, verification: { traffic: true } });
    expect(failures(first)).toEqual([]);
    expect(first.report.result).toBe("passed");
    expect(first.report.clusters.map(({ waits }) => waits)).toEqual([true, true]);
    expect(warned(first)).toMatch(
      /2 pods of cluster1 in shop still run as Kubernetes and without a network\. Restart them \(kubectl -n shop rollout restart deployment\); it is joined by the next run/,
    );
    expect(warned(first)).toMatch(
      /Once cluster1 reads the others, cluster2 answers, too, for 1 Service \(shop\/app\)\./,
    );
    for (const [i, kube] of kubes.entries()) {
      const { spec, metadata } = istio(kube);
      expect(metadata.labels).toEqual({ owner: "platform" });
      expect(spec.values).toEqual({
        global: { meshID: "mesh1", network: `network${i + 1}`, multiCluster: { clusterName: `cluster${i + 1}` } },
        pilot: { extraContainerArgs: [`--clusterAliases=Kubernetes=cluster${i + 1}`] },
      });
      expect([label(kube), gateways(kube), secrets(kube)]).toEqual([undefined, [], []]);
    }

    const again = await runInstall(kubes, adopt);
    expect([failures(again), again.report.changed]).toEqual([[], false]);
    // It goes on where it is, whatever the input says.
    const without = await runInstall(kubes);
    expect([failures(without), without.report.changed]).toEqual([[], false]);

    const between = await runVerify(kubes, { verification: { traffic: true } });
    expect([failures(between), between.report.result]).toEqual([[], "passed"]);
    expect(warned(between)).toMatch(
      /2 proxies .* of cluster name Kubernetes, by which istiod of cluster1 takes them still/,
    );
    expect(failures(await runRotate(kubes)).join("\n")).toMatch(/cluster1 is not joined yet\..*Run `install` first/);

    // One cluster alone is ready: it has nobody to be joined with.
    await restart(kubes[0]);
    const half = await runInstall(kubes, adopt);
    expect(failures(half)).toEqual([]);
    expect(half.report.clusters.map(({ waits }) => waits)).toEqual([undefined, true]);
    expect([label(kubes[0]), args(kubes[0]), secrets(kubes[0])]).toEqual(["network1", undefined, []]);
    expect([label(kubes[1]), args(kubes[1])]).toEqual([undefined, ["--clusterAliases=Kubernetes=cluster2"]]);

    await restart(kubes[1]);
    const joined = await runInstall(kubes, { ...adopt, verification: { traffic: true } });
    expect(notPassed(joined)).toEqual([]);
    expect(kubes.map(args)).toEqual([undefined, undefined]);
    expect(kubes.map(label)).toEqual(["network1", "network2"]);
    expect(kubes.map((kube) => secrets(kube).length)).toEqual([1, 1]);
    const same = await runInstall(kubes);
    expect([notPassed(same), same.report.changed]).toEqual([[], false]);
    expect(warned(same)).not.toContain("answers, too");

    const left = await runUninstall(kubes, "all");
    expect(failures(left)).toEqual([]);
    expect(warned(left)).toMatch(/2 pods of cluster1 in shop may still run as cluster1.*run `uninstall` again/);
    expect(kubes.map(args)).toEqual([1, 2].map((i) => [`--clusterAliases=cluster${i}=Kubernetes`]));
    for (const kube of kubes) await restart(kube);
    expect(failures(await runUninstall(kubes, "all"))).toEqual([]);
    expect(kubes.map(owned)).toEqual(before);
  });

  test("are given an alias again that somebody took away", async () => {
    const kubes = await lone();
    expect(failures(await runInstall(kubes, adopt))).toEqual([]);
    const found = istio(kubes[0]);
    const { pilot: _, ...values } = found.spec.values;
    kubes[0].put({ ...found, spec: { ...found.spec, values } });
    await vi.waitFor(
      () => {
        const istiod = kubes[0].get({
          apiVersion: "apps/v1",
          kind: "Deployment",
          namespace: NAMESPACE,
          name: "istiod",
        });
        expect(JSON.stringify(istiod.spec.template)).not.toContain("clusterAliases");
      },
      { timeout: 5_000 },
    );
    // And a run puts it right.
    expect(failures(await runInstall(kubes))).toEqual([]);
    expect(args(kubes[0])).toEqual(["--clusterAliases=Kubernetes=cluster1"]);
  });

  test("keep what else their owner has set, and get back what was taken", async () => {
    const kubes = await lone({
      global: { meshID: "mesh1", multiCluster: { clusterName: "old" } },
      pilot: { extraContainerArgs: ["--logtest"], env: { A: "1" } },
    });
    const before = kubes.map(owned);
    expect(failures(await runInstall(kubes, adopt))).toEqual([]);
    expect(args(kubes[0])).toEqual(["--logtest", "--clusterAliases=old=cluster1"]);
    expect(istio(kubes[0]).spec.values.pilot.env).toEqual({ A: "1" });
    for (const kube of kubes) await restart(kube);
    expect(failures(await runInstall(kubes, adopt))).toEqual([]);
    expect(args(kubes[0])).toEqual(["--logtest"]);
    expect(failures(await runUninstall(kubes, "all"))).toEqual([]);
    expect(args(kubes[0])).toEqual(["--logtest", "--clusterAliases=cluster1=old"]);
    for (const kube of kubes) await restart(kube);
    expect(failures(await runUninstall(kubes, "all"))).toEqual([]);
    expect(kubes.map(owned)).toEqual(before);
    const { managedFields } = istio(kubes[0]).metadata;
    expect(managedFields.map(({ manager }: Json) => manager)).not.toContain(MANAGER);
    expect(JSON.stringify(managedFields)).toContain("clusterName");
  });

  test("are refused where joining would take more than their names, and nothing is written", async () => {
    const kubes = await lone();
    const versions = kubes.map(resourceVersions);
    const values = { pilot: { env: { B: "2" } } };
    const specs = [1, 2].map((i) => ({ name: `cluster${i}`, network: `network${i}`, values }));
    const refused = await runInstall(kubes, { mesh: { adopt: true, clusters: specs } });
    expect(failures(refused).join("\n")).toMatch(
      /preflight\.ownership cluster1: Istio default is not this action's .*pilot\.env/,
    );
    expect(kubes.map(resourceVersions)).toEqual(versions);
  });

  test("with roots of their own: the root comes first, then the names, then the rest", async () => {
    const kubes = await clusters(2);
    await Promise.all(kubes.map((kube, i) => live(kube, i + 1, {}, true)));
    const { certificate, key } = await rootCa();
    const setup = {
      root: await loadRoot(certificate, key),
      times: { reload: 2_000, kubelet: 0, skew: 0, waited: 0 },
      pace: 20,
      mesh: { adopt: true, trust: { mode: "provided", transition: true } },
    } as const;
    const told: string[] = [];
    for (let run = 0; run < 6; run++) {
      const outcome = await runInstall(kubes, setup);
      const waits = outcome.report.clusters.some((each) => each.waits);
      told.push(failures(outcome).join() || (outcome.report.nextRunAfter ? "root" : waits ? "names" : "joined"));
      if (told.at(-1) === "joined") break;
      if (waits) for (const kube of kubes) await restart(kube);
      else for (const kube of kubes) renew.get(kube)?.();
    }
    expect(told).toEqual(["root", "root", "names", "joined"]);
    expect(kubes.map((kube) => secrets(kube).length)).toEqual([1, 1]);
  });
});
