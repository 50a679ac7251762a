import { expect, test } from "vitest";
import { type Check, subjectName } from "../../src/mesh/report.ts";
import { routed } from "../embedded/cluster.ts";
import type { Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { clusterSpec, failures, meshSpec, NAMESPACE, notPassed, runInstall, runVerify } from "./mesh.ts";

const started = testClusters();
const pairs = (checks: readonly Check[]) =>
  Object.fromEntries(
    checks
      .filter(({ id }) => id === "pair.request")
      .map(({ subject, evidence }) => {
        const { source, target } = subject as { source: string; target: string };
        return [`${source} ${target}`, /directly/.test(evidence) ? "directly" : "through a gateway"];
      }),
  );

test("two of three clusters in one network go directly, and by gateways to and from the third", async () => {
  const kubes = await started(3);
  for (const kube of kubes.slice(0, 2)) routed.add(kube);
  const of = (number: number) => clusterSpec(number, { network: number === 3 ? "far" : "near" });
  const outcome = await runInstall(kubes, {
    mesh: { clusters: [of(1), of(2), of(3)] },
    verification: { traffic: true },
  });
  expect(notPassed(outcome)).toEqual([]);
  expect(pairs(outcome.report.checks)).toEqual({
    "cluster1 cluster2": "directly",
    "cluster2 cluster1": "directly",
    "cluster1 cluster3": "through a gateway",
    "cluster2 cluster3": "through a gateway",
    "cluster3 cluster1": "through a gateway",
    "cluster3 cluster2": "through a gateway",
  });

  // One gateway is enough for a network: what others have in it is reached by the same.
  const [, second] = kubes as [Kube, Kube];
  for (const [apiVersion, kind] of [
    ["v1", "Service"],
    ["autoscaling/v2", "HorizontalPodAutoscaler"],
    ["apps/v1", "Deployment"],
  ] as const)
    second.delete({ apiVersion, kind, namespace: NAMESPACE, name: "istio-eastwestgateway" });
  const mesh = { clusters: [of(1), of(2), of(3)], gateway: { ...meshSpec(3).gateway, install: false } };
  expect(failures(await runInstall(kubes, { mesh }))).toEqual([]);
  const { report } = await runVerify(kubes, { mesh });
  expect(pairs(report.checks)).toEqual(pairs(outcome.report.checks));
  const wanting = report.checks.filter(({ id, verdict }) => verdict !== "passed" && id !== "control-plane.cni");
  expect(wanting.map(({ id, subject, verdict, cause }) => [verdict, id, subjectName(subject), cause])).toEqual(
    ["deployment", "address", "exposure", "network", "version"].map((what) => [
      "skipped",
      `gateway.${what}`,
      "cluster2",
      "cluster2 has no gateway of its own: its network near is reached by that of cluster1.",
    ]),
  );
});

test("a mesh in one network needs no gateways", async () => {
  const kubes = await started(2);
  for (const kube of kubes) routed.add(kube);
  const clusters = [1, 2].map((number) => clusterSpec(number, { network: "near" }));
  const gateway = { ...meshSpec(2).gateway, install: false };
  const outcome = await runInstall(kubes, { mesh: { clusters, gateway }, verification: { traffic: true } });
  expect(notPassed(outcome).filter((line) => !/^skipped gateway\./.test(line))).toEqual([]);
  expect(Object.values(pairs(outcome.report.checks))).toEqual(["directly", "directly"]);
  for (const kube of kubes) expect(kube.list("networking.istio.io/v1", "Gateway")).toEqual([]);
});
