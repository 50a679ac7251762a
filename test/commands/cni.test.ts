import { beforeAll, describe, expect, test, vi } from "vitest";
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
    expect(again.report.changed).toBe(false);
  });

  test("that is gone is told by a verification", async () => {
    kubes[0].delete(CNI);
    const [failure] = failures(await runVerify(kubes, { verification: { traffic: false } }));
    expect(failure).toMatch(
      /control-plane\.cni cluster1: There is no IstioCNI default, though the platform is OpenShift/,
    );
  });

  test("is made where the values ask for it", async () => {
    const values = { pilot: { cni: { enabled: true } } };
    const asking = await runInstall(kubes, { mesh: { clusters: [clusterSpec(1), clusterSpec(2, { values })] } });
    expect(notPassed(asking)).toEqual([]);
    expect(kubes[1].get(CNI).status.state).toBe("Healthy");
  });
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
