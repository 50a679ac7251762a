import { describe, expect, test } from "vitest";
import {
  identityValues,
  inOrder,
  istio,
  istioOperator,
  mergeValues,
  namespace,
  owned,
  withoutIstiods,
} from "../../../src/mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../../../src/mesh/objects/object.ts";
import type { Values } from "../../../src/mesh/spec.ts";
import { meshOf } from "../../steps/support.ts";

const mesh = meshOf(["a"]);
const cluster = { name: "a", network: "network1", values: {} };

describe("the namespace", () => {
  test("that we make is ours and has its network", () => {
    expect(namespace(mesh, cluster)).toEqual({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: {
        name: "istio-system",
        labels: {
          "app.kubernetes.io/managed-by": "istio-mesh-action",
          "app.kubernetes.io/part-of": "mesh1",
          "app.kubernetes.io/component": "control-plane",
          "topology.istio.io/network": "network1",
        },
      },
    });
  });
});

describe("the Istio resource", () => {
  test("is as the procedure has it", () => {
    expect(istio(mesh, cluster)).toEqual({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: {
        name: "default",
        labels: {
          "app.kubernetes.io/managed-by": "istio-mesh-action",
          "app.kubernetes.io/part-of": "mesh1",
          "app.kubernetes.io/component": "control-plane",
        },
      },
      spec: {
        version: "v1.26.3",
        namespace: "istio-system",
        values: { global: { meshID: "mesh1", network: "network1", multiCluster: { clusterName: "a" } } },
      },
    });
  });

  test("has the user's values, but the mesh's identity", () => {
    const values = {
      pilot: { env: { A: "1" } },
      global: { network: "other", proxy: { logLevel: "debug" }, multiCluster: { enabled: true } },
    };
    expect(istio({ ...mesh, istioResource: "canary", namespace: "mesh" }, { ...cluster, values })).toMatchObject({
      metadata: { name: "canary" },
      spec: {
        namespace: "mesh",
        values: {
          pilot: { env: { A: "1" } },
          global: {
            meshID: "mesh1",
            network: "network1",
            proxy: { logLevel: "debug" },
            multiCluster: { clusterName: "a", enabled: true },
          },
        },
      },
    });
    expect(identityValues(mesh, cluster).global.multiCluster).toEqual({ clusterName: "a" });
  });
});

describe("values are merged as Helm merges them", () => {
  test.each<[string, Values, Values, Values]>([
    ["nothing", {}, {}, {}],
    ["one side", { a: 1 }, {}, { a: 1 }],
    ["both", { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ["the later one wins", { a: 1 }, { a: 2 }, { a: 2 }],
    [
      "mappings, at every depth",
      { a: { b: { c: 1, d: 2 } } },
      { a: { b: { d: 3 }, e: 4 } },
      { a: { b: { c: 1, d: 3 }, e: 4 } },
    ],
    ["a list is replaced as a whole", { a: [1, 2] }, { a: [3] }, { a: [3] }],
    ["a mapping is replaced by anything else", { a: { b: 1 } }, { a: "x" }, { a: "x" }],
    ["and the other way", { a: [1] }, { a: { b: 1 } }, { a: { b: 1 } }],
    ["nothing replaces something, where it is said", { a: { b: 1 } }, { a: null }, { a: null }],
  ])("%s", (_, base, over, merged) => {
    const before = structuredClone([base, over]);
    expect(mergeValues(base, over)).toEqual(merged);
    expect([base, over]).toEqual(before);
  });

  test("a key that every object has is a key like any other", () => {
    mergeValues({}, JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'));
    expect({}).not.toHaveProperty("polluted");
  });
});

const of = (kind: string, more: object = {}): KubernetesObject => ({
  apiVersion: "x/v1",
  kind,
  metadata: { name: kind.toLowerCase(), labels: { app: "istiod", "app.kubernetes.io/managed-by": "Helm" } },
  ...more,
});

describe("what istioctl is asked for", () => {
  const values = { pilot: { env: { A: "b" } }, global: { hub: "registry.example/istio", tag: "1.26.3-distroless" } };

  test("is the same values, without gateways", () => {
    const { spec } = istioOperator(mesh, { ...cluster, values });
    expect(spec).toEqual({
      profile: "minimal",
      namespace: "istio-system",
      components: { base: { enabled: true }, pilot: { enabled: true } },
      values: {
        defaultRevision: "default",
        pilot: { env: { A: "b" } },
        global: {
          istioNamespace: "istio-system",
          hub: "registry.example/istio",
          tag: "1.26.3-distroless",
          meshID: "mesh1",
          network: "network1",
          multiCluster: { clusterName: "a" },
        },
      },
    });
  });

  test("is a revision where the resource's name is one, which does not validate for those without", () => {
    const { spec } = istioOperator(meshOf(["a"], { istioResource: "canary" }), cluster);
    expect(spec).toMatchObject({ revision: "canary", values: { defaultRevision: "" } });
  });
});

describe("what istioctl makes", () => {
  test("is ours, but for the CRDs, which others use", () => {
    const ours = owned(mesh, of("ConfigMap")).metadata.labels;
    expect(ours).toMatchObject({ app: "istiod", "app.kubernetes.io/managed-by": "istio-mesh-action" });
    expect(owned(mesh, of("CustomResourceDefinition"))).toEqual(of("CustomResourceDefinition"));
  });

  test("is applied in an order that holds at every moment", () => {
    const kinds = [
      "Deployment",
      "Role",
      "CustomResourceDefinition",
      "ValidatingWebhookConfiguration",
      "ServiceAccount",
    ];
    expect(inOrder(kinds.map((kind) => of(kind))).map((group) => group.map(({ kind }) => kind))).toEqual([
      ["CustomResourceDefinition"],
      ["Role", "ServiceAccount"],
      ["Deployment", "ValidatingWebhookConfiguration"],
    ]);
  });

  const webhook = (failurePolicy?: string) =>
    of("ValidatingWebhookConfiguration", { webhooks: [{ name: "v", ...(failurePolicy ? { failurePolicy } : {}) }] });

  test.each([
    ["at first, as made", undefined, "Ignore"],
    ["as long as istiod has not served", webhook("Ignore"), "Ignore"],
    ["and istiod's from then on", webhook("Fail"), undefined],
  ])("has its webhooks' failure policy %s", (_, existing, policy) => {
    expect(withoutIstiods(webhook("Ignore"), existing)).toEqual(webhook(policy));
  });
});
