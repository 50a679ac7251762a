// Which Services other networks are let in to, and what several clusters answer for.
import { expect, test } from "vitest";
import type { Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { failures, NAMESPACE, notPassed, runInstall, runPlan, runVerify, writes } from "./mesh.ts";

const clusters = testClusters();
const GATEWAY = {
  apiVersion: "networking.istio.io/v1",
  kind: "Gateway",
  namespace: NAMESPACE,
  name: "cross-network-gateway",
};
const hosts = (kube: Kube) => kube.get(GATEWAY)?.spec.servers[0].hosts;

function put(kube: Kube, ...names: string[]): void {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
  for (const name of names) {
    const spec = { selector: { app: name }, ports: [{ name: "http", port: 80 }] };
    kube.put({ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "shop" }, spec });
  }
}

test("Services of one name that are not exposed are refused before anything is written, unless they are kept local", async () => {
  const kubes = await clusters(2);
  for (const kube of kubes) put(kube, "web", "db");
  const exposed = [{ namespace: "shop", name: "web" }];
  const refused = await runInstall(kubes, { mesh: { exposed } });
  expect(failures(refused).join("\n")).toMatch(
    /preflight\.remote-secrets cluster1: Once cluster1 reads the others, a share of its calls to 1 Service .*\(shop\/db\).*exposed-services/,
  );
  for (const kube of kubes) expect(writes(kube)).toEqual([]);

  const serviceSettings = [{ settings: { clusterLocal: true }, hosts: ["db.shop.svc.cluster.local"] }];
  const specs = [1, 2].map((i) => ({
    name: `cluster${i}`,
    network: `network${i}`,
    values: { meshConfig: { serviceSettings } },
  }));
  const joined = await runInstall(kubes, { mesh: { exposed, clusters: specs } });
  expect(notPassed(joined)).toEqual([]);
  expect(kubes.map(hosts)).toEqual([["web.shop.svc.cluster.local"], ["web.shop.svc.cluster.local"]]);
});

test("none is exposed: the Gateway goes, and nobody is called", async () => {
  const kubes = await clusters(2);
  expect(notPassed(await runInstall(kubes))).toEqual([]);
  const none = { mesh: { exposed: [] } };
  const planned = await runPlan(kubes, none);
  expect(
    planned.report.changes
      .filter(({ action }) => action !== "unchanged")
      .map(({ kind, action }) => `${kind} ${action}`),
  ).toEqual(["Gateway deleted", "Gateway deleted"]);
  const closed = await runInstall(kubes, none);
  expect(failures(closed)).toEqual([]);
  expect(kubes.map(hosts)).toEqual([undefined, undefined]);
  const again = await runInstall(kubes, none);
  expect([failures(again), again.report.changed]).toEqual([[], false]);
  const verified = await runVerify(kubes, { ...none, verification: { traffic: true } });
  expect([failures(verified), verified.report.result]).toEqual([[], "passed"]);
  const skipped = verified.report.checks.filter(({ id, verdict }) => verdict === "skipped" && !id.endsWith("cni"));
  expect(skipped.map(({ id, cause }) => `${id} ${cause}`)).toEqual([
    ...["cluster1", "cluster2"].map(() =>
      expect.stringMatching(/^gateway\.exposure `exposure: none` lets other networks in/),
    ),
    ...["cluster1", "cluster2"].map(() =>
      expect.stringMatching(/^pair\.request No request was sent: `exposure: none`/),
    ),
  ]);
});
