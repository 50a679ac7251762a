import { describe, expect, test } from "vitest";
import {
  ADOPTED,
  type AdoptionRecord,
  type Alone,
  adopting,
  adoptionRecord,
  aliasArgument,
  givingBack,
  sharedPart,
} from "../../src/mesh/adoption.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { IstioResource } from "../../src/mesh/shapes/istio.ts";

const record = (more: Partial<AdoptionRecord> = {}): AdoptionRecord => ({
  name: "Kubernetes",
  as: "east",
  former: [],
  ...more,
});
const resource = (values: object, kept?: AdoptionRecord, managers: Record<string, object> = {}): IstioResource => ({
  apiVersion: "sailoperator.io/v1",
  kind: "Istio",
  metadata: {
    name: "default",
    ...(kept ? { annotations: { [ADOPTED]: JSON.stringify(kept) } } : {}),
    managedFields: Object.entries(managers).map(([manager, fieldsV1]) => ({ manager, operation: "Update", fieldsV1 })),
  },
  spec: { version: "v1.30.3", namespace: "istio-system", values: { ...values } },
});
const proxy = (clusterName: string, network?: string, ownNetwork = false) => ({
  namespace: "shop",
  clusterName,
  network,
  ownNetwork,
});
const alias = "--clusterAliases=Kubernetes=east";

describe("a control plane that is adopted", () => {
  const running = { clusterName: "Kubernetes" };
  const renamed = { clusterName: "east" };
  type Said = {
    alias: string | undefined;
    waits: boolean;
    args: readonly string[] | undefined;
    left: number | undefined;
  };
  test.each<[string, Partial<Alone>, Said]>([
    ["is renamed while its proxies are served", {}, { alias: "Kubernetes", waits: true, args: [alias], left: 1 }],
    [
      "and serves the old name until istiod has the new one, whoever says it",
      { proxies: [] },
      { alias: "Kubernetes", waits: false, args: [alias], left: 0 },
    ],
    [
      "goes on serving the old name while a proxy says it",
      { istio: resource({}, record()), runs: renamed, label: "net" },
      { alias: "Kubernetes", waits: false, args: [alias], left: 1 },
    ],
    [
      "takes the old name back when none says it",
      {
        istio: resource({ pilot: { extraContainerArgs: [alias] } }, record()),
        runs: renamed,
        proxies: [proxy("east", "n")],
      },
      { alias: undefined, waits: false, args: undefined, left: 0 },
    ],
    [
      "keeps it where that is not known",
      { istio: resource({}, record()), runs: renamed, proxies: undefined },
      { alias: "Kubernetes", waits: true, args: [alias], left: undefined },
    ],
    [
      "waits for proxies of the right name and no network",
      { istio: resource({}, record()), runs: renamed, proxies: [proxy("east")] },
      { alias: undefined, waits: true, args: undefined, left: 1 },
    ],
    [
      "does not wait for one whose owner set its network",
      { istio: resource({}, record()), runs: renamed, proxies: [proxy("east", undefined, true)] },
      { alias: undefined, waits: false, args: undefined, left: 0 },
    ],
    [
      "waits no more once its namespace says the network",
      { istio: resource({}, record()), runs: renamed, proxies: [proxy("east")], label: "net" },
      { alias: undefined, waits: false, args: undefined, left: 0 },
    ],
    [
      "keeps the arguments that it has",
      { istio: resource({ pilot: { extraContainerArgs: ["--a"] } }) },
      { alias: "Kubernetes", waits: true, args: ["--a", alias], left: 1 },
    ],
    [
      "and gives them up to those of the input",
      { istio: resource({ pilot: { extraContainerArgs: ["--a"] } }), args: [alias, "--b"] },
      { alias: "Kubernetes", waits: true, args: ["--b", alias], left: 1 },
    ],
    [
      "of this action's own has those of the input alone",
      {
        istio: resource({ pilot: { extraContainerArgs: [alias, "--a"] } }, record()),
        ours: true,
        runs: renamed,
        proxies: [],
      },
      { alias: undefined, waits: false, args: undefined, left: 0 },
    ],
  ])("%s", (_, given, said) => {
    const {
      record: kept,
      alias: served,
      args,
      left,
    } = adopting({
      istio: resource({}),
      name: "east",
      runs: running,
      label: undefined,
      args: undefined,
      ours: false,
      proxies: [proxy("Kubernetes")],
      ...given,
    });
    expect({
      alias: served,
      waits: kept.waits === true,
      args,
      left: left && [...left.values()].reduce((sum, each) => sum + each, 0),
    }).toEqual(said);
    expect(kept).toMatchObject({ name: "Kubernetes", as: "east" });
  });
});

describe("of somebody else's Istio", () => {
  const global = { meshID: "m", network: "n", multiCluster: { clusterName: "east" } };
  const wanted = (args?: readonly string[], kept = record()) => ({
    ...resource({ global, env: 1, ...(args ? { pilot: { extraContainerArgs: args } } : {}) }, kept),
  });
  const set = {
    "f:spec": { "f:values": { "f:global": { "f:meshID": {} }, "f:pilot": { "f:extraContainerArgs": {} } } },
  };

  test("the names and the arguments are taken, and nothing else", () => {
    const part = sharedPart(wanted([alias]), resource({}));
    expect(part).toEqual({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: { name: "default", annotations: { [ADOPTED]: JSON.stringify(record()) } },
      spec: { values: { global, pilot: { extraContainerArgs: [alias] } } },
    });
  });

  test("what was there is kept on record, with who had set it, and given back in their name", () => {
    const before = resource({ global: { meshID: "old" }, pilot: { extraContainerArgs: ["--a"] } }, undefined, {
      argo: set,
    });
    const part = sharedPart(wanted(["--a", alias]), before);
    const kept = adoptionRecord(part) as AdoptionRecord;
    expect(kept.former).toEqual([
      { path: ["spec", "values", "global", "meshID"], value: "old", by: "argo" },
      { path: ["spec", "values", "pilot", "extraContainerArgs"], value: ["--a"], by: "argo" },
    ]);
    const now = resource({ global, pilot: { extraContainerArgs: ["--a", alias] } }, kept, { "istio-mesh-action": set });
    // A later run takes nothing for the owner's that was put there by the one before.
    expect(adoptionRecord(sharedPart(wanted(["--a", alias], kept), now))?.former).toEqual(kept.former);
    const serving = givingBack(now, kept, true);
    expect(serving.restored.map(({ value }) => value)).toEqual(["old"]);
    expect(serving.applied).toMatchObject({
      spec: { values: { pilot: { extraContainerArgs: ["--a", "--clusterAliases=east=Kubernetes"] } } },
    });
    expect(adoptionRecord(serving.applied)?.leaves).toBe(true);
    const last = givingBack(now, kept, false);
    expect(last.restored).toEqual(kept.former);
    // What somebody has set since stays.
    const taken = resource({ global, pilot: { extraContainerArgs: ["--a", alias] } }, kept, { argo: set });
    expect(givingBack(taken, kept, false).restored).toEqual([]);
    expect(last.applied).toEqual({ apiVersion: now.apiVersion, kind: "Istio", metadata: { name: "default" } });
  });

  test("what its owner had set as the mesh has it stays theirs", () => {
    const before = resource({ global: { meshID: "m" } }, undefined, { argo: set });
    expect(adoptionRecord(sharedPart(wanted(), before))?.former).toEqual([]);
  });
});

test.each<[string, string | undefined]>([
  ["none", undefined],
  ["no JSON", "x"],
  ["another form", "[1]"],
])("a record that is %s is none", (_, text) => {
  const annotations = text === undefined ? {} : { [ADOPTED]: text };
  expect(adoptionRecord({ metadata: { name: "default", annotations } } as KubernetesObject)).toBeUndefined();
});

test("the argument is as istiod takes it", () => {
  expect(aliasArgument("old", "new")).toBe("--clusterAliases=old=new");
});
