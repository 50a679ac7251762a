// What becomes of `cacerts` where somebody else writes it between the survey and the write.
import "reflect-metadata";
import { beforeAll, describe, expect, test } from "vitest";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { inspectRoot } from "../../src/mesh/certificates/pem.ts";
import type { RootCa } from "../../src/mesh/certificates/root.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { failures, NAMESPACE, notPassed, proven, putNamespace, runInstall, text } from "./mesh.ts";

const started = testClusters();
const REF = { apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" };
const sha256 = (kube: Kube) => inspectRoot(text(kube.get(REF), "root-cert.pem")).sha256;

/** Another run's, which has the same labels. */
async function cacertsOf(root: RootCa, cluster: string): Promise<Json> {
  const files = await issueIntermediate(Promise.resolve(root), cluster, NAMESPACE);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: NAMESPACE, labels: ownership({ id: "mesh1" }, "trust") },
    type: "Opaque",
    data: Object.fromEntries(Object.entries(files).map(([name, file]) => [name, encode(file)])),
  };
}

/** Puts it in the moment before the run writes its own. */
function intervene(kube: Kube, put: () => void): void {
  let done = false;
  kube.intercept(({ method, path }) => {
    const writes = /\/secrets(\/cacerts)?\?/.test(path) && ["POST", "PATCH"].includes(method);
    if (writes && !done) {
      done = true;
      put();
    }
    return undefined;
  });
}

describe("cacerts that somebody else makes in the moment before", () => {
  let root: RootCa;
  let other: RootCa;
  beforeAll(async () => {
    [root, other] = await Promise.all([generateRoot(), generateRoot()]);
  });

  test("with another root is not overwritten, and no control plane is started", async () => {
    const kubes = await started(2);
    const theirs = proven(kubes[0], await cacertsOf(other, "cluster1"));
    intervene(kubes[0], () => kubes[0].put(theirs));
    const outcome = await runInstall(kubes);
    expect(failures(outcome)).toEqual([
      expect.stringMatching(
        /^failed install\.trust cluster1: The Secret istio-system\/cacerts was made by somebody else while .* It was not overwritten\. \| Another run/,
      ),
    ]);
    expect(kubes[0].get(REF).data).toEqual(theirs.data);
    for (const kube of kubes) expect(kube.list("sailoperator.io/v1", "Istio")).toEqual([]);
    // What was left is made a whole by the next run.
    kubes[0].intercept(undefined);
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    expect(sha256(kubes[0])).toBe(sha256(kubes[1]));
  });

  test("with the same root is gone by", async () => {
    const kubes = await started(2);
    const theirs = await cacertsOf(root, "cluster1");
    intervene(kubes[0], () => kubes[0].put(theirs));
    expect(notPassed(await runInstall(kubes, { mesh: { trust: { mode: "provided" } }, root }))).toEqual([]);
    expect(kubes[0].get(REF).data).toEqual(theirs.data);
    expect(sha256(kubes[0])).toBe(sha256(kubes[1]));
  });

  test("in the place of what an interrupted run had left is not overwritten", async () => {
    const kubes = await started(2);
    const left = await cacertsOf(root, "cluster1");
    putNamespace(kubes[0]);
    kubes[0].put(proven(kubes[0], left));
    const theirs = proven(kubes[0], await cacertsOf(other, "cluster1"));
    intervene(kubes[0], () => kubes[0].put(theirs));
    const outcome = await runInstall(kubes);
    expect(failures(outcome)[0]).toMatch(/install\.trust cluster1: The Secret istio-system\/cacerts was changed by/);
    expect(kubes[0].get(REF).data).toEqual(theirs.data);
  });

  test.each([true, false])("is one's own where the answer was lost: left by an interrupted run: %s", async (isLeft) => {
    const kubes = await started(2);
    if (isLeft) {
      putNamespace(kubes[0]);
      kubes[0].put(proven(kubes[0], await cacertsOf(root, "cluster1")));
    }
    let lost = false;
    kubes[0].intercept(({ method, path }) => {
      if (lost || !/\/secrets(\/cacerts)?\?/.test(path) || !["POST", "PATCH"].includes(method)) return undefined;
      lost = true;
      return { truncate: true };
    });
    const outcome = await runInstall(kubes);
    expect(lost).toBe(true);
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.changes.filter(({ kind, name }) => kind === "Secret" && name === "cacerts")).toMatchObject([
      { cluster: "cluster1", action: isLeft ? "updated" : "created" },
      { cluster: "cluster2", action: "created" },
    ]);
    expect(sha256(kubes[0])).toBe(sha256(kubes[1]));
  });
});
