// Taking a real mesh apart: first its links, then, joined again, all of it. Comes last, for it leaves nothing to others.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunResult } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { call, deploySample, removeSample } from "./sample.ts";
import { leaks, secretStrings } from "./secrets.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const names = clusters.map(({ name }) => name);
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));

const run = (inputs: Record<string, string>) => runOn(clusters, inputs);
const install = () => run({ verify: "false" });
const uninstall = (scope: string) => run({ command: "uninstall", "uninstall-scope": scope });

function expectPassed(result: RunResult, changed?: boolean): void {
  expect(result.exitCode, explain(result)).toBe(0);
  expect(result.outputs.result, explain(result)).toBe("passed");
  if (changed !== undefined) expect(result.outputs.changed, explain(result)).toBe(String(changed));
}
const deleted = ({ report }: RunResult) => report?.changes.filter(({ action }) => action === "deleted") ?? [];

/** What is labelled as ours, of every kind that can be listed. */
async function ours(cluster: Cluster): Promise<string[]> {
  const kinds = (await cluster.kubectl(["api-resources", "--verbs=list", "-o", "name"])).trim().split("\n");
  // Kinds that only follow another one's labels are gone when that one's controller has seen to it.
  const kept = kinds.filter((kind) => !/^(endpoints|endpointslices|replicasets|pods)\b/.test(kind)).join(",");
  const found = await cluster.list(kept, "-A", "-l", "app.kubernetes.io/managed-by=istio-mesh-action");
  const nameOf = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
  return [...new Set(found.map(nameOf))].sort();
}

/** The clusters that every replica of a cluster's istiod reads. */
async function readBy(cluster: Cluster): Promise<string[]> {
  const running = ["-n", "istio-system", "-l", "app=istiod", "--field-selector=status.phase=Running"];
  const request = ["pilot-discovery", "request", "GET", "/debug/clusterz"];
  const pods = await cluster.list("pods", ...running);
  const views = await Promise.all(
    pods.map(({ metadata }) => cluster.exec("istio-system", metadata.name, "discovery", ...request)),
  );
  return views.flatMap((text) =>
    JSON.parse(text).flatMap(({ id, secretName }: KubernetesObject) => (secretName ? id : [])),
  );
}

describe("uninstall", () => {
  beforeAll(async () => {
    expectPassed(await install());
    await all((cluster) => deploySample(cluster, clusters, sampleImage));
  });
  afterAll(async () => {
    await all(removeSample);
  });

  it("scope mesh: no cluster reads another, and in each of them workloads go on", async () => {
    const secrets = await secretStrings(clusters);
    const before = await all(ours);
    const result = await uninstall("mesh");
    console.log(`uninstall, links: ${result.seconds.toFixed(1)} s; ${deleted(result).length} objects removed`);
    expectPassed(result, true);
    expect(result.report?.left).toEqual([]);
    expect(leaks(result, secrets)).toEqual([]);
    const after = await all(ours);
    clusters.forEach(({ name }, i) => {
      const gone = before[i]!.filter((each) => !after[i]!.includes(each));
      const remotes = names
        .filter((each) => each !== name)
        .map((each) => `Secret istio-system/istio-remote-secret-${each}`);
      expect(gone).toEqual(expect.arrayContaining(["Gateway istio-system/cross-network-gateway", ...remotes]));
    });
    await all(async (cluster) => {
      for (let i = 0; i < 60 && (await readBy(cluster)).length > 0; i++) await delay(1_000);
      expect(await readBy(cluster), cluster.name).toEqual([]);
      const answers = await call(cluster, `only-${cluster.name}`, [cluster.name]);
      expect([...answers.from.keys()], answers.lastError).toEqual([cluster.name]);
    });
  });

  it("scope mesh again: nothing to do", async () => {
    const result = await uninstall("mesh");
    expectPassed(result, false);
    expect(result.report?.changes).toEqual([]);
  });

  it("install joins them again", async () => {
    expectPassed(await install(), true);
    await all(async (cluster) => {
      const others = names.filter((name) => name !== cluster.name);
      expect((await readBy(cluster)).sort()).toEqual(others);
      for (const other of others) {
        const answers = await call(cluster, `only-${other}`, [other]);
        expect([...answers.from.keys()], answers.lastError).toEqual([other]);
      }
    });
  });

  it("scope all: nothing of ours is left, nor what the operator made for it; what is somebody's is listed", async () => {
    const [one] = clusters as [Cluster];
    await one.apply([
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "somebodys", namespace: "istio-system" } },
    ]);
    const before = await all(ours);
    const result = await uninstall("all");
    const after = await all(ours);
    const counts = (found: string[][]) => found.map(({ length }, i) => `${names[i]} ${length}`).join(", ");
    console.log(
      `uninstall, all: ${result.seconds.toFixed(1)} s; ${deleted(result).length} objects removed; labelled before: ${counts(before)}; after: ${counts(after)}`,
    );
    expectPassed(result, true);
    for (const found of before) expect(found.length).toBeGreaterThan(10);
    clusters.forEach((_, i) => {
      expect(after[i]).toEqual(i === 0 ? ["Namespace /istio-system"] : []);
    });
    expect(result.report?.left.map(({ cluster, kind, name }) => `${cluster} ${kind} ${name}`)).toEqual([
      `${one.name} ConfigMap somebodys`,
      `${one.name} Namespace istio-system`,
    ]);
    for (const name of ["istios", "istiorevisions"])
      expect((await all((cluster) => cluster.list(`${name}.sailoperator.io`))).flat(), name).toEqual([]);
  });

  it("scope all again, once nothing of somebody's is in the way: the namespace", async () => {
    const [one] = clusters as [Cluster];
    const again = await uninstall("all");
    expectPassed(again, false);
    await one.kubectl(["delete", "configmap", "somebodys", "-n", "istio-system"]);
    const last = await uninstall("all");
    expectPassed(last, true);
    expect(deleted(last).map(({ cluster, kind }) => `${cluster} ${kind}`)).toEqual([`${one.name} Namespace`]);
    expect(last.report?.left).toEqual([]);
    expect((await all(ours)).flat()).toEqual([]);
    const spaces = await all((cluster) => cluster.list("namespaces"));
    expect(spaces.flat().map(({ metadata }) => metadata.name)).not.toContain("istio-system");
  });
});
