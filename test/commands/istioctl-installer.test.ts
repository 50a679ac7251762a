import { beforeAll, describe, expect, test } from "vitest";
import { installRights, merged } from "../../src/checks/rights.ts";
import { istiodChart } from "../embedded/controllers/chart.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import { failures, MANAGER, meshSpec, NAMESPACE, notPassed, runInstall, runVerify, writes } from "./mesh.ts";

const mesh = { installer: "istioctl" } as const;
const started = testClusters();

/** Clusters without the operator. */
const clusters = (count: number) => started(count, { operator: false });

const istiod = (kube: Kube): Json =>
  kube.get({ apiVersion: "apps/v1", kind: "Deployment", namespace: NAMESPACE, name: "istiod" });
const VALIDATOR = {
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  name: `istio-validator-${NAMESPACE}`,
};

function putIstiod(kube: Kube, metadata: Json = {}): void {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  const global = { meshID: "mesh1", network: "network1", multiCluster: { clusterName: "cluster1" } };
  const release = { revision: "default", namespace: NAMESPACE, version: "1.26.3", values: { global } };
  for (const object of istiodChart(release)) {
    const more = object.kind === "Deployment" ? metadata : {};
    kube.put({ ...object, metadata: { ...object.metadata, ...more } });
  }
}

describe("clusters without the operator", () => {
  let kubes: Clusters;
  beforeAll(async () => {
    kubes = await clusters(2);
  });

  test("become one mesh, with the same values, and verified by requests", async () => {
    const outcome = await runInstall(kubes, {
      istioctl: { program: true },
      mesh: {
        ...mesh,
        clusters: [1, 2].map((n) => ({
          name: `cluster${n}`,
          network: `network${n}`,
          values: { pilot: { replicaCount: 2 } },
        })),
      },
      verification: { traffic: true },
    });
    const skipped = outcome.report.checks.filter(({ id }) => id === "control-plane.istio");
    expect(notPassed(outcome).filter((line) => !line.startsWith("skipped control-plane.istio "))).toEqual([]);
    expect(skipped.map(({ id, cause }) => [id, cause])).toEqual(
      Array(2).fill(["control-plane.istio", `There is no Istio resource default for ${NAMESPACE}.`]),
    );
    // Once to see from where the images would come, and once more to have them from where they stay.
    expect(outcome.istioctl.filter((call) => call.startsWith("manifest generate"))).toHaveLength(4);
    for (const [index, kube] of kubes.entries()) {
      const { metadata, spec } = istiod(kube);
      expect(spec.replicas).toBe(2);
      const env = Object.fromEntries(
        spec.template.spec.containers[0].env.map(({ name, value }: Json) => [name, value]),
      );
      expect(env.CLUSTER_ID).toBe(`cluster${index + 1}`);
      expect(metadata.labels).toMatchObject({
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": "mesh1",
      });
    }
  });

  test("keep Istio's CRDs as they come: what else uses them is not ours to take away", () => {
    const crd = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      name: "gateways.networking.istio.io",
    };
    expect(kubes[0].get(crd).metadata.labels ?? {}).not.toHaveProperty("app.kubernetes.io/managed-by", MANAGER);
  });

  test("are left as they are by a second run, also what istiod has made of its webhooks", async () => {
    for (const kube of kubes) {
      const validator = kube.get(VALIDATOR);
      expect(validator.webhooks[0].failurePolicy).toBe("Ignore");
      kube.put({ ...validator, webhooks: [{ ...validator.webhooks[0], failurePolicy: "Fail" }] });
    }
    // What is put here goes past the field managers: the next run gives the field up, and from then on nothing is written.
    await runInstall(kubes, { mesh });
    const before = kubes.map((kube) => kube.get(VALIDATOR).metadata.resourceVersion);
    const again = await runInstall(kubes, { mesh });
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(again.report.changes.filter(({ kind }) => kind === "Deployment")).toHaveLength(4);
    expect(kubes.map((kube) => kube.get(VALIDATOR).metadata.resourceVersion)).toEqual(before);
    for (const kube of kubes) expect(kube.get(VALIDATOR).webhooks[0].failurePolicy).toBe("Fail");
  });

  test("are not made another mesh's", async () => {
    const [failure] = failures(await runInstall(kubes, { mesh: { ...mesh, id: "other" } }));
    expect(failure).toMatch(
      /preflight\.control-plane cluster1: istiod \(Deployment istiod\) runs with mesh ID mesh1 instead of other/,
    );
  });

  test("are not taken over by the operator", async () => {
    // Beside it stands that there is no operator.
    const failure = failures(await runInstall(kubes)).find((line) => line.includes("preflight.control-plane"));
    expect(failure).toMatch(
      /preflight\.control-plane cluster1: .*this action with `installer: istioctl` installed it, not the Sail Operator.*Stay with/,
    );
  });

  test("can be verified by themselves", async () => {
    const { report } = await runVerify(kubes, { mesh });
    expect(report.result).toBe("passed");
  });
});

describe("a control plane of somebody else is not taken over:", () => {
  test.each<[string, Json, RegExp]>([
    [
      "the Helm chart's",
      { annotations: { "meta.helm.sh/release-name": "istiod" } },
      /that Helm \(release istiod\) installed/,
    ],
    [
      "istioctl's",
      { labels: { app: "istiod", "operator.istio.io/managed": "Reconcile" } },
      /that `istioctl install` installed/,
    ],
    ["anybody's", {}, /that something else installed/],
  ])("%s", async (_, metadata, message) => {
    const kubes = await clusters(2);
    putIstiod(kubes[0], metadata);
    const [failure] = failures(await runInstall(kubes, { mesh }));
    expect(failure).toMatch(message);
    expect(failure).toMatch(/installer: existing/);
    for (const kube of kubes) expect(writes(kube)).toEqual([]);
  });

  test("the operator's", async () => {
    const kubes = await started(2);
    kubes[0].put({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: { name: "default" },
      spec: { version: "v1.26.3", namespace: NAMESPACE, values: {} },
    });
    const [failure] = failures(await runInstall(kubes, { mesh }));
    expect(failure).toMatch(/The Sail Operator owns the control plane in istio-system.*Use `installer: sail`/);
  });
});

test("values that istioctl refuses are told before anything is changed", async () => {
  const kubes = await clusters(2);
  const values = { pilot: { env: "x" } };
  const [failure] = failures(
    await runInstall(kubes, {
      istioctl: { program: true },
      mesh: { ...mesh, clusters: [1, 2].map((n) => ({ name: `cluster${n}`, network: `network${n}`, values })) },
    }),
  );
  expect(failure).toMatch(
    /preflight\.istioctl mesh: istioctl could not make the control plane of cluster1: .*bad StructValue.*Correct `values`/,
  );
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
});

test("an object of somebody else that is set differently is refused, with the field and who set it, and stays", async () => {
  const kubes = await clusters(2);
  kubes[0].put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  const config = { apiVersion: "v1", kind: "ConfigMap", namespace: NAMESPACE, name: "istio" };
  kubes[0].put({
    ...config,
    metadata: { name: "istio", namespace: NAMESPACE, managedFields: [] },
    data: { mesh: "theirs" },
  });
  const [failure] = failures(await runInstall(kubes, { mesh }));
  expect(failure).toMatch(
    /preflight\.ownership cluster1: ConfigMap istio-system\/istio is not this action's .*: data\.mesh \(by /,
  );
  expect(kubes[0].get(config).data.mesh).toBe("theirs");
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
});

test("the rights that it needs are those that it asks for, with istiod's own", () => {
  const rights = merged(installRights(meshSpec(2, mesh)));
  expect(rights).toContainEqual({
    group: "rbac.authorization.k8s.io",
    resource: "clusterroles",
    verbs: ["get", "create", "patch", "escalate", "bind"],
  });
});
