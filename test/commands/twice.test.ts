// Two runs at once, in this process, on embedded clusters.
import "reflect-metadata";
import { describe, expect, test } from "vitest";
import { lease } from "../../src/mesh/objects/lease.ts";
import type { Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { failures, isWrite, notPassed, runInstall, runRotate, runUninstall, runVerify, writes } from "./mesh.ts";
import { installTwice } from "./twice.ts";

const started = testClusters();
const REF = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace: "default", name: "istio-mesh-action" };
const holder = (kube: Kube) => kube.get(REF)?.spec.holderIdentity;
const isLease = ({ path }: { path: string }) => path.includes("/namespaces/default/leases");

describe("two installations of fresh clusters at once", () => {
  test.each([0, 20, 150, 400, 900])("end well, with one root, %i ms apart", async (apart) => {
    await installTwice(await started(2), apart);
  });
});

describe("a Lease in each cluster", () => {
  test("is held from before the first write to the end, and left without a holder", async () => {
    const kubes = await started(2);
    const held: string[] = [];
    for (const kube of kubes) {
      kube.intercept(({ method, path }) => {
        const write = method !== "GET" && !/reviews|dryRun/.test(path) && !path.includes("/leases");
        if (write && path.includes("istio-system")) held.push(holder(kube));
        return undefined;
      });
    }
    expect(
      notPassed(await runInstall(kubes, { holder: "https://github.com/o/r/actions/runs/1", leaseMs: 45_000 })),
    ).toEqual([]);
    expect(new Set(held.filter((who) => who !== "https://github.com/o/r/actions/runs/1"))).toEqual(new Set());
    for (const kube of kubes) {
      expect(holder(kube)).toBe("");
      expect(
        kube.requests.filter((each) => isLease(each) && !each.user.startsWith("system:serviceaccount")),
      ).toHaveLength(3);
    }
  });

  test("is not touched by a verification, and goes with all else", async () => {
    const kubes = await started(2);
    await runInstall(kubes);
    const before = kubes.map((kube) => kube.requests.filter(isLease).length);
    await runVerify(kubes, { verification: { traffic: false } });
    expect(kubes.map((kube) => kube.requests.filter(isLease).length)).toEqual(before);
    expect(notPassed(await runUninstall(kubes, "all"))).toEqual([]);
    for (const kube of kubes) expect(kube.get(REF)).toBeUndefined();
  });

  test("of a holder that was killed is taken over when it was not renewed for its time", async () => {
    const kubes = await started(2);
    kubes[1].put(lease("a run that was killed", 1_000, undefined));
    const outcome = await runInstall(kubes);
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.checks.find(({ id }) => id === "preflight.lease")?.evidence).toMatch(
      /in cluster1, cluster2\. It waited for a run that was killed\.$/,
    );
  });

  test("that is renewed is waited for until the deadline, and nothing is written", async () => {
    const kubes = await started(2);
    const put = () => kubes[0].put(lease("https://github.com/o/r/actions/runs/7", 1_000, undefined));
    put();
    const renewing = setInterval(put, 300);
    const before = kubes.map((kube) => writes(kube).length);
    const outcome = await runInstall(kubes, { timeoutMs: 3_000 });
    clearInterval(renewing);
    const [failure, ...more] = failures(outcome);
    expect(more).toEqual([]);
    expect(failure).toMatch(
      /^failed preflight\.lease mesh: Waited \d s for another run to be done with cluster1, until .* is held by https:\S+runs\/7, since 20\d\d-\S+Z\. \| Let that run end/,
    );
    expect(writes(kubes[0]).length).toBe(before[0]);
    // The other cluster's was given back.
    expect(holder(kubes[1])).toBe("");
  });

  test.each(["rotate", "uninstall"] as const)("is waited for by %s, too", async (command) => {
    const kubes = await started(2);
    await runInstall(kubes);
    kubes[0].put(lease("a run that was killed", 1_000, undefined));
    const outcome =
      command === "rotate" ? await runRotate(kubes, { patience: 300 }) : await runUninstall(kubes, "mesh");
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.checks.find(({ id }) => id === "preflight.lease")?.evidence).toContain("It waited for a run");
  });

  test("that cannot be written, for the cluster has gone, is that cluster's, which is told as unreachable", async () => {
    const kubes = await started(2);
    kubes[1].intercept((request) => (isLease(request) && request.method === "POST" ? { destroy: true } : undefined));
    const outcome = await runInstall(kubes, { timeoutMs: 4_000 });
    expect(failures(outcome)).toHaveLength(1);
    expect(outcome.report.clusters.map(({ unreachable = false }) => unreachable)).toEqual([false, true]);
  });

  test("that is lost ends all writing", async () => {
    // What comes after the control plane comes when the Lease was to be renewed.
    const kubes = await started(2, { operator: { slowMs: 600 } });
    let stolen = false;
    kubes[0].intercept((sent) => {
      if (!stolen && isWrite(sent) && sent.path.includes("/istios/")) {
        stolen = true;
        kubes[0].put(lease("a thief", 60_000, undefined));
      }
      return undefined;
    });
    const outcome = await runInstall(kubes, { leaseMs: 200 });
    expect(failures(outcome).join("\n")).toMatch(
      /This run has lost Lease default\/istio-mesh-action in cluster1: it is held by a thief\. It writes nothing more there\./,
    );
    expect(holder(kubes[0])).toBe("a thief");
  });
});
