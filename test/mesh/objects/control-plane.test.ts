import { describe, expect, test } from "vitest";
import { identityValues, istio, mergeValues, namespace } from "../../../src/mesh/objects/control-plane.ts";
import type { Values } from "../../../src/mesh/spec.ts";
import { meshOf } from "../../steps/support.ts";

const mesh = meshOf(["a"]);
const cluster = { name: "a", network: "network1", values: {} };

describe("the namespace", () => {
  test("that we make is ours and has its network", () => {
    expect(namespace(mesh, cluster, true)).toEqual({
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

  test("that was there gets its network, and is not made ours", () => {
    expect(namespace(mesh, cluster, false).metadata.labels).toEqual({ "topology.istio.io/network": "network1" });
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
