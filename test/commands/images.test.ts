import { beforeAll, describe, expect, test } from "vitest";
import type { Json, Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import { NAMESPACE, notPassed, runInstall, runPlan, runVerify, writes } from "./mesh.ts";

const started = testClusters();
const GCR = "gcr.io/istio-release";
const LASTS = "docker.io/istio";
const ISTIO = { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" };

const imageOf = (kube: Kube, labels: string) =>
  kube
    .list("v1", "Pod")
    .filter(({ metadata }: Json) => metadata.namespace === NAMESPACE && metadata.labels?.app === labels)
    .map(({ spec }: Json) => spec.containers[0].image);
const said = ({ report }: Awaited<ReturnType<typeof runInstall>>, id: string) =>
  report.checks.filter((check) => check.id === id).map(({ evidence, warning }) => warning ?? evidence);

describe("new control planes of operators with pins to registries that go", () => {
  let kubes: Clusters;
  beforeAll(async () => {
    kubes = await started(2, (index) => ({ operator: { pins: [GCR, "registry.istio.io/release"][index]! } }));
  });

  test("come from where images stay, the gateways' proxies, too; and it is said", async () => {
    const outcome = await runInstall(kubes);
    expect(notPassed(outcome)).toEqual([]);
    for (const kube of kubes) {
      expect(kube.get(ISTIO).spec.values.global.hub).toBe(LASTS);
      expect(imageOf(kube, "istiod")).toEqual([`${LASTS}/pilot:1.26.3`]);
      expect(imageOf(kube, "istio-eastwestgateway")).toEqual([`${LASTS}/proxyv2:1.26.3`]);
    }
    expect(said(outcome, "preflight.images").toSorted()).toEqual([
      expect.stringMatching(/would come from gcr\.io\/istio-release, which .*: docker\.io\/istio is set in its place/),
      expect.stringMatching(/would come from registry\.istio\.io\/release, which /),
    ]);
  });

  test("and stay so in a second run, without a word in the inputs", async () => {
    const again = await runInstall(kubes);
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(said(await runVerify(kubes), "control-plane.images")[0]).toBe("The images come from docker.io/istio.");
  });
});

describe("a mesh that runs from a registry that goes", () => {
  let kubes: Clusters;
  beforeAll(async () => {
    kubes = await started(2, { operator: { pins: GCR } });
    expect(notPassed(await runInstall(kubes, { mesh: { imageHub: GCR, istioVersion: "1.25.3" } }))).toEqual([]);
  });

  test("is not rolled for that alone, but warned of by a verification", async () => {
    const from = kubes.map(({ requests }) => requests.length);
    const again = await runInstall(kubes, { mesh: { istioVersion: "1.25.3" } });
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    kubes.forEach((kube, index) => {
      expect(
        writes(kube).filter((each) => kube.requests.indexOf(each) >= from[index]! && each.path.includes("/istios")),
      ).toEqual([]);
    });
    const [warning] = said(await runVerify(kubes, { mesh: { istioVersion: "1.25.3" } }), "control-plane.images");
    expect(warning).toMatch(
      /^Images come from gcr\.io\/istio-release, which .*2027-01-01.*a pod that starts on a node without/,
    );
  });

  test("gets another with an upgrade, which a plan shows", async () => {
    const hubs = ({ report }: Awaited<ReturnType<typeof runPlan>>) =>
      report.changes.flatMap(({ kind, diff = [] }) =>
        kind === "Istio"
          ? diff.filter(({ path }) => path.endsWith(".hub")).map(({ before, after }) => [before, after])
          : [],
      );
    expect(hubs(await runPlan(kubes))).toEqual([
      [GCR, LASTS],
      [GCR, LASTS],
    ]);
  });
});

test("a registry of one's own is for all: the CNI plugin's image, too", async () => {
  const kubes = await started(2, { operator: { pins: GCR, demandsCni: true } });
  const outcome = await runInstall(kubes, {
    mesh: { imageHub: "registry.example/istio", cni: { values: { cni: { cniConfDir: "/etc/cni/multus/net.d" } } } },
  });
  expect(notPassed(outcome)).toEqual([]);
  for (const kube of kubes) {
    expect(imageOf(kube, "istio-eastwestgateway")).toEqual(["registry.example/istio/proxyv2:1.26.3"]);
    expect(kube.get({ ...ISTIO, kind: "IstioCNI" }).spec.values).toEqual({
      cni: { cniConfDir: "/etc/cni/multus/net.d" },
      global: { hub: "registry.example/istio" },
    });
  }
});
