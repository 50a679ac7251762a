// The plan on a real mesh: no change where there is none, and exactly the one that an input makes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { removeRestricted, restrictedKubeconfig } from "./restricted.ts";
import { listed, logOf } from "./run.ts";
import { leaks, secretStrings } from "./secrets.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const names = clusters.map(({ name }) => name);

function plan(inputs: Record<string, string> = {}, contents: readonly string[] = []): Promise<RunResult> {
  const list = listed(clusters, ({ kubeconfigPath }, i) =>
    contents[i] ? { kubeconfig: contents[i] } : { "kubeconfig-file": kubeconfigPath },
  );
  const usual = { command: "plan", "istio-version": istioVersion, clusters: list };
  return runAction({ inputs: { ...usual, ...inputs }, timeoutMs: 3 * 60_000 });
}

const changes = (report: Report | undefined) => (report?.changes ?? []).filter(({ action }) => action !== "unchanged");

/** All that a plan could have changed. What was on its way out already, such as another test's namespace, may go meanwhile. */
async function state(): Promise<Record<string, string>> {
  const kinds =
    "istios.sailoperator.io,gateways.networking.istio.io,secrets,serviceaccounts,services,deployments,horizontalpodautoscalers,poddisruptionbudgets,roles,rolebindings,clusterrolebindings,namespaces";
  const all = await Promise.all(clusters.map((cluster) => cluster.list(kinds, "-n", "istio-system")));
  const content = ({ metadata, status: _, ...rest }: KubernetesObject) => {
    const { managedFields, resourceVersion: __, ...kept } = metadata;
    const ours = managedFields?.filter(({ manager }: KubernetesObject) => manager === "istio-mesh-action");
    return JSON.stringify({ ...rest, metadata: kept, ours });
  };
  return Object.fromEntries(
    all.flatMap((objects, i) =>
      objects
        .filter(({ metadata }) => !metadata.deletionTimestamp)
        .map((each) => [`${names[i]} ${each.kind} ${each.metadata.name}`, content(each)]),
    ),
  );
}

let before: Record<string, string>;
beforeAll(async () => {
  before = await state();
});

describe("a plan with the inputs of the install", () => {
  it("has no change, with fail-on-change too", async () => {
    const result = await plan({ "fail-on-change": "true" });
    console.log(`plan, ${clusters.length} clusters: ${result.seconds.toFixed(1)} s`);
    expect(changes(result.report), logOf(result)).toEqual([]);
    expect(result.exitCode, logOf(result)).toBe(0);
    expect(result.outputs).toMatchObject({ result: "passed", changed: "false" });
    expect(result.report?.changes.length).toBeGreaterThan(8 * clusters.length);
    expect(leaks(result, await secretStrings(clusters))).toEqual([]);
  });

  it("needs the documented rights of an install, and no more", async () => {
    const restricted = await Promise.all(clusters.map((cluster) => restrictedKubeconfig(cluster, "install")));
    const result = await plan({}, restricted);
    expect(result.exitCode, logOf(result)).toBe(0);
    expect(result.outputs).toMatchObject({ result: "passed", changed: "false" });
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => removeRestricted(cluster, "install")));
  });
});

describe("a plan with other inputs", () => {
  it("tells exactly what they change, and changes nothing", async () => {
    const result = await plan({
      values: "meshConfig: { accessLogFile: /dev/stdout }",
      gateway: "replicas: 3",
    });
    expect(result.exitCode, logOf(result)).toBe(0);
    expect(result.outputs).toMatchObject({ result: "passed", changed: "true" });
    const found = changes(result.report).map(({ cluster, kind, name, action, diff }) => ({
      cluster,
      kind,
      name,
      action,
      diff,
    }));
    const expected = names.flatMap((cluster) => [
      {
        cluster,
        kind: "Istio",
        name: "default",
        action: "updated",
        diff: [{ path: "spec.values.meshConfig.accessLogFile", after: "/dev/stdout" }],
      },
      {
        cluster,
        kind: "HorizontalPodAutoscaler",
        name: "istio-eastwestgateway",
        action: "updated",
        diff: [{ path: "spec.minReplicas", before: 1, after: 3 }],
      },
    ]);
    expect(found).toHaveLength(expected.length);
    expect(found).toEqual(expect.arrayContaining(expected));
    expect(result.summary).toContain('+ spec.values.meshConfig.accessLogFile: "/dev/stdout"');
  });

  it("fails with fail-on-change, and says why", async () => {
    const result = await plan({ gateway: "replicas: 3", "fail-on-change": "true" });
    expect(result.exitCode).toBe(1);
    expect(result.outputs).toMatchObject({ result: "passed", changed: "true" });
    const errors = result.annotations.filter(({ level }) => level === "error");
    expect(errors.map(({ title }) => title)).toEqual(["The plan has changes"]);
    expect(errors[0]?.message).toContain(
      `${clusters.length} objects would be updated in ${names.slice(0, 2).join(", ")}`,
    );
  });

  it("leaves every object as it was", async () => {
    expect(await state()).toEqual(before);
  });
});
