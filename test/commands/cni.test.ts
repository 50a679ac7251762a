import { beforeAll, describe, expect, test, vi } from "vitest";
import { rolledOutEverywhere } from "../../src/steps/cni.ts";
import type { Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import { clusterSpec, failures, MANAGER, notPassed, runInstall, runVerify, writes } from "./mesh.ts";

const CNI = { apiVersion: "sailoperator.io/v1", kind: "IstioCNI", name: "default" };
const clusters = testClusters();

/** Has a cluster serve what only OpenShift serves. */
function makeOpenShift(kube: Kube): void {
  const group = "config.openshift.io";
  kube.put({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `clusterversions.${group}` },
    spec: {
      group,
      scope: "Cluster",
      names: {
        kind: "ClusterVersion",
        listKind: "ClusterVersionList",
        plural: "clusterversions",
        singular: "clusterversion",
      },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  });
}

function putCni(kube: Kube, version: string, withNamespace = true): void {
  if (withNamespace) kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: "istio-cni" } });
  kube.put({ ...CNI, metadata: { name: "default" }, spec: { version, namespace: "istio-cni" } });
}

describe("the CNI plugin", () => {
  let kubes: Clusters;
  beforeAll(async () => {
    kubes = await clusters(2);
  });

  test("is made on OpenShift, where its namespace is made, too; and nowhere else", async () => {
    makeOpenShift(kubes[0]);
    const outcome = await runInstall(kubes, { verification: { traffic: false } });
    expect(failures(outcome)).toEqual([]);
    const { metadata, spec, status } = kubes[0].get(CNI);
    expect(spec).toEqual({ version: "v1.26.3", namespace: "istio-cni" });
    expect(metadata.labels).toMatchObject({ "app.kubernetes.io/managed-by": MANAGER });
    expect(status.state).toBe("Healthy");
    expect(kubes[1].get(CNI)).toBeUndefined();
    const of = (id: string) => outcome.report.checks.filter((check) => check.id === id).map(({ verdict }) => verdict);
    expect(of("install.cni")).toEqual(["passed"]);
    expect(of("control-plane.cni").toSorted()).toEqual(["passed", "skipped"]);
  });

  test("is left as it is by a second run", async () => {
    const again = await runInstall(kubes);
    expect(failures(again)).toEqual([]);
    expect(again.report.changes.filter(({ action }) => action !== "unchanged")).toEqual([]);
    expect(again.report.changed).toBe(false);
  });

  test("that is gone is told by a verification", async () => {
    kubes[0].delete(CNI);
    const told = failures(await runVerify(kubes, { verification: { traffic: false } }));
    expect(told.join("\n")).toMatch(
      /control-plane\.cni cluster1: There is no IstioCNI default, though the operator asks for it/,
    );
  });

  test("is made where the values ask for it", async () => {
    const values = { pilot: { cni: { enabled: true } } };
    const asking = await runInstall(kubes, { mesh: { clusters: [clusterSpec(1), clusterSpec(2, { values })] } });
    expect(notPassed(asking)).toEqual([]);
    expect(kubes[1].get(CNI).status.state).toBe("Healthy");
  });
});

test("is made where the operator asks for it, in the namespace that the input names, and nowhere else", async () => {
  const kubes = await clusters(2, (index) => ({ operator: { demandsCni: index === 0 } }));
  const mesh = { cni: { namespace: "plugins" } };
  const outcome = await runInstall(kubes, { mesh, verification: { traffic: false } });
  expect(failures(outcome)).toEqual([]);
  expect(kubes[0].get(CNI).spec).toEqual({ version: "v1.26.3", namespace: "plugins" });
  expect(kubes[1].get(CNI)).toBeUndefined();
  const [made] = outcome.report.checks.filter(({ id }) => id === "install.cni");
  expect(made?.evidence).toBe("IstioCNI default is Healthy; it is needed, for the operator asks for it.");
  const again = await runInstall(kubes, { mesh });
  expect(failures(again)).toEqual([]);
  expect(again.report.changed).toBe(false);
});

test.each<[string, object | undefined, RegExp | undefined]>([
  ["is not seen yet", { observedGeneration: 1 }, /about to be rolled out/],
  [
    "is of the old version on one node",
    { updatedNumberScheduled: 2 },
    /of 3 pods of istio-cni-node 2 are of this version and 3 available/,
  ],
  ["is not available on one node", { numberAvailable: 2 }, /3 are of this version and 2 available/],
  ["is rolled out", {}, undefined],
  ["is not there to be looked at", undefined, undefined],
])("a DaemonSet that %s", (_, more, seen) => {
  const status = {
    observedGeneration: 2,
    desiredNumberScheduled: 3,
    updatedNumberScheduled: 3,
    numberAvailable: 3,
    ...more,
  };
  const metadata = { name: "istio-cni-node", namespace: "istio-cni", generation: 2 };
  const found = rolledOutEverywhere(more ? [{ apiVersion: "apps/v1", kind: "DaemonSet", metadata, status }] : []);
  expect("seen" in found ? found.seen : undefined).toEqual(seen ? expect.stringMatching(seen) : undefined);
});

describe("a CNI plugin of somebody else", () => {
  test("stays as it is where it is healthy and of a neighbouring version", async () => {
    const kubes = await clusters(2);
    makeOpenShift(kubes[0]);
    putCni(kubes[0], "v1.25.3");
    await vi.waitFor(() => expect(kubes[0].get(CNI).status?.state).toBe("Healthy"));
    const before = kubes[0].get(CNI).metadata.resourceVersion;
    const outcome = await runInstall(kubes);
    expect(failures(outcome)).toEqual([]);
    expect(kubes[0].get(CNI).metadata.resourceVersion).toBe(before);
  });

  test.each<[string, string, boolean, RegExp]>([
    ["not healthy", "v1.26.3", false, /is ReconcileError: validation error: namespace "istio-cni" doesn't exist/],
    ["too old", "v1.24.6", true, /has version v1\.24\.6, which does not go with Istio 1\.26\.3/],
  ])("is told before anything is changed where it is %s", async (_, version, withNamespace, message) => {
    const kubes = await clusters(2);
    makeOpenShift(kubes[0]);
    putCni(kubes[0], version, withNamespace);
    await vi.waitFor(() => expect(kubes[0].get(CNI).status).toBeDefined());
    const [failure] = failures(await runInstall(kubes));
    expect(failure).toMatch(
      /preflight\.control-plane cluster1: There is an IstioCNI default that somebody else manages/,
    );
    expect(failure).toMatch(message);
    for (const kube of kubes) expect(writes(kube)).toEqual([]);
  });
});
