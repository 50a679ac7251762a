import { expect, test } from "vitest";
import { readMeshConfig } from "../../src/facts/mesh-config.ts";
import type { ObjectRef } from "../../src/mesh/objects/object.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import { clusterOf } from "../steps/support.ts";

const istiod = (shared?: string) =>
  ({
    spec: {
      template: {
        spec: { containers: [{ env: shared ? [{ name: "SHARED_MESH_CONFIG", value: shared }] : [] }] },
      },
    },
  }) as unknown as Deployment;

const read = (maps: Record<string, string>, shared?: string) =>
  readMeshConfig(
    clusterOf("c", {
      get: async <T>({ name }: ObjectRef) => (name in maps ? { data: { mesh: maps[name] } } : undefined) as T,
    }),
    "istio-system",
    "canary",
    istiod(shared),
  );

const COMMON = `
trustDomain: common.example
trustDomainAliases: [a]
enableAutoMtls: false
defaultConfig: { meshId: m, proxyMetadata: { A: "1", B: "1" } }
`;

test("what several revisions have in common stands behind a revision's own", async () => {
  const own = "{ trustDomain: own.example, trustDomainAliases: [b], defaultConfig: { proxyMetadata: { B: '2' } } }";
  expect(await read({ common: COMMON, "istio-canary": own }, "common")).toMatchObject({
    trustDomain: "own.example",
    trustDomainAliases: ["a", "b"],
    autoMtls: false,
    meshId: "m",
    proxyMetadata: { A: "1", B: "2" },
  });
});

test("it counts where istiod is told of it alone, and it need not be there", async () => {
  expect(await read({ common: COMMON })).toMatchObject({ trustDomain: "cluster.local", meshId: undefined });
  expect(await read({}, "common")).toMatchObject({ trustDomain: "cluster.local" });
  await expect(read({ common: ": [" }, "common")).rejects.toThrow("ConfigMap istio-system/common holds no YAML");
});
