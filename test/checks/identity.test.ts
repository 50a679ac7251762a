import { describe, expect, test } from "vitest";
import {
  consequences,
  type Difference,
  differencesOf,
  imprecise,
  inWords,
  keepsServing,
  safeWay,
} from "../../src/checks/identity.ts";
import { chooseIstiod } from "../../src/checks/istiod.ts";
import { aliasesIn, type Identity, readIdentity } from "../../src/facts/identity.ts";
import { type MeshProxy, readProxies } from "../../src/facts/proxies.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { Container, Deployment } from "../../src/mesh/shapes/deployment.ts";
import type { IstioResource } from "../../src/mesh/shapes/istio.ts";
import { clusterOf } from "../steps/support.ts";

const mesh = { id: "mesh1" };
const east = { name: "east", network: "net-e" };
const own = { clusterName: "east", network: "net-e", meshId: "mesh1" };

function istiod(revision: string, container: Partial<Container> = {}): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: `istiod-${revision}` },
    spec: {
      template: {
        metadata: { labels: { "istio.io/rev": revision } },
        spec: { containers: [{ name: "discovery", ...container }] },
      },
    },
  };
}

describe("a control plane's identity is read as Istio takes it", () => {
  const read = (container: Partial<Container>, values: object = {}, config = "") =>
    readIdentity(
      clusterOf("c", {
        get: async <T extends KubernetesObject>({ name }: { name: string }) =>
          ({ data: name === "istio" ? { mesh: config } : { values: JSON.stringify(values) } }) as unknown as T,
      }),
      "istio-system",
      "default",
      istiod("default", container),
    );
  const env = (value?: string) => ({ env: [{ name: "CLUSTER_ID", ...(value === undefined ? {} : { value }) }] });

  test.each<[string, Partial<Container>, object, string]>([
    ["by its environment", env("east"), { global: { multiCluster: { clusterName: "west" } } }, "east"],
    ["by an argument before that", { ...env("east"), args: ["discovery", "--clusterID=north"] }, {}, "north"],
    ["by an argument in two parts", { args: ["--clusterID", "north"] }, {}, "north"],
    ["by what it injects", {}, { global: { multiCluster: { clusterName: "west" } } }, "west"],
    ["Istio's default where nobody says", {}, {}, "Kubernetes"],
    ["Istio's default where it is empty", env(), { global: { multiCluster: { clusterName: "" } } }, "Kubernetes"],
  ])("the cluster's name: %s", async (_, container, values, name) => {
    expect((await read(container, values)).clusterName).toBe(name);
  });

  test("a name from another object cannot be told", async () => {
    const container = { env: [{ name: "CLUSTER_ID", valueFrom: { configMapKeyRef: {} } }] };
    await expect(read(container)).rejects.toThrow(/takes its cluster's name, CLUSTER_ID, from another object/);
  });

  test.each<[string, object, string, Partial<Identity>]>([
    ["nothing is set", {}, "", { network: undefined, meshId: undefined, trustDomain: "cluster.local" }],
    [
      "by values",
      { global: { network: "n", meshID: "m" } },
      "trustDomain: t",
      { network: "n", meshId: "m", trustDomain: "t" },
    ],
    ["by the mesh configuration", {}, "defaultConfig: { meshId: m }", { meshId: "m" }],
    [
      "roots of others",
      { global: { caAddress: "ca.example:443" } },
      "caCertificates: [{ pem: P, trustDomains: [west] }, { spiffeBundleUrl: u }]",
      {
        caCertificates: [
          { pem: "P", trustDomains: ["west"] },
          { pem: undefined, trustDomains: [] },
        ],
        takesCaCertificates: false,
        caAddress: "ca.example:443",
      },
    ],
    [
      "roots of others that proxies take",
      {},
      'defaultConfig: { proxyMetadata: { PROXY_CONFIG_XDS_AGENT: "true" } }',
      { caCertificates: [], takesCaCertificates: true },
    ],
  ])("the rest: %s", async (_, values, config, wanted) => {
    expect(await read({}, values, config)).toMatchObject(wanted);
  });

  test("a mesh configuration that is no YAML is not taken for an empty one", async () => {
    await expect(read({}, {}, ": [")).rejects.toThrow(/ConfigMap istio-system\/istio holds no YAML/);
  });

  test.each<[string[], string, string[]]>([
    [["--clusterAliases=Kubernetes=east"], "east", ["Kubernetes"]],
    [["--clusterAliases", "old=east,other=west"], "east", ["old"]],
    [["--clusterAliases=Kubernetes=west"], "east", []],
    [["--clusterAliases=Kubernetes=north-east"], "east", []],
    [[], "east", []],
  ])("aliases in %j of %s", (args, name, aliases) => {
    expect(aliasesIn(args, name)).toEqual(aliases);
  });
});

describe("an identity is the mesh's or another", () => {
  test.each<[string, Partial<Identity>, string | undefined, string]>([
    ["the same", {}, "net-e", ""],
    ["no label", {}, undefined, ""],
    ["no mesh ID", { meshId: undefined }, "net-e", ""],
    ["the network by the label alone", { network: undefined }, "net-e", ""],
    ["no network", { network: undefined }, undefined, "network (none) instead of net-e"],
    ["another label", {}, "net-w", "network net-w instead of net-e"],
    ["another label alone", { network: undefined }, "net-w", "network net-w instead of net-e"],
    ["another network", { network: "net-w" }, "net-e", "network net-w instead of net-e"],
    ["another name", { clusterName: "Kubernetes" }, "net-e", "cluster name Kubernetes instead of east"],
    ["another mesh", { meshId: "m" }, "net-e", "mesh ID m instead of mesh1"],
    [
      "a mesh of its own",
      { clusterName: "Kubernetes", network: undefined, meshId: undefined },
      undefined,
      "cluster name Kubernetes instead of east, network (none) instead of net-e",
    ],
  ])("%s", (_, over, label, wanted) => {
    expect(inWords(differencesOf(mesh, east, { ...own, ...over }, label))).toBe(wanted);
  });

  test("what is not precise is said", () => {
    const trust = { trustDomain: "t", trustDomainAliases: [], caCertificates: [], takesCaCertificates: false };
    const identity = { ...own, ...trust, caAddress: undefined, clusterAliases: [] };
    expect(imprecise(identity, "net-e")).toBeUndefined();
    expect(imprecise(identity, undefined)).toBeUndefined();
    expect(imprecise({ ...identity, meshId: undefined }, "net-e")).toMatch(/No mesh ID is set.*trust domain t/);
    expect(imprecise({ ...identity, network: undefined }, "net-e")).toMatch(/label .* alone: .*past the gateways/);
  });

  test.each<[string, unknown, boolean]>([
    ["no arguments", undefined, false],
    ["an alias for it", ["--clusterAliases=Kubernetes=east"], true],
    ["an alias for another", ["--clusterAliases=Kubernetes=west"], false],
    ["another alias", ["--clusterAliases=old=east"], false],
    ["no list", "--clusterAliases=Kubernetes=east", false],
  ])("with %s it goes on serving proxies of the old name or not", (_, extraContainerArgs, wanted) => {
    expect(keepsServing({ pilot: { extraContainerArgs } }, "Kubernetes", "east")).toBe(wanted);
  });
});

describe("a refusal says what it would come to, and the safe way", () => {
  const renamed: Difference = { what: "cluster name", is: "Kubernetes", wanted: "east" };
  const joined: Difference = { what: "network", is: undefined, wanted: "net-e" };
  const moved: Difference = { what: "network", is: "net-o", wanted: "net-e" };
  const proxy = (namespace: string, clusterName = "Kubernetes", network?: string): MeshProxy => ({
    namespace,
    pod: "p",
    revision: "default",
    clusterName,
    network,
  });
  const proxies = () => [proxy("shop"), proxy("shop"), proxy("bank"), proxy("bank", "east", "net-e")];
  const say = (different: Difference, { flat = false, changeable = true, of = proxies as () => MeshProxy[] } = {}) =>
    consequences([different], of, { flat, changeable });

  test.each<[string, string, RegExp]>([
    [
      "renamed",
      say(renamed),
      /istiod would refuse the 3 proxies that run \(in namespaces bank, shop\): `client claims/,
    ],
    ["renamed, one", say(renamed, { of: () => [proxy("shop")] }), /the one proxy that runs \(in namespace shop\)/],
    ["renamed, none", say(renamed, { of: () => [] }), /every proxy that was injected so far \(none runs now\)/],
    [
      "renamed, not to be counted",
      say(renamed, {
        of: () => {
          throw new Failure("may not");
        },
      }),
      /the proxies that run \(they could not be counted\)/,
    ],
    ["renamed, somebody else's", say(renamed, { changeable: false }), /would know it as east, which its istiod/],
    ["into a network", say(joined), /the 3 proxies that run .* past the gateways/],
    ["a flat mesh", say(joined, { flat: true }), /one flat network.*gateways that are not there yet/],
    ["into another network", say(moved), /the 3 proxies that run .* would keep network net-o/],
  ])("%s", (_, told, wanted) => {
    expect(told).toMatch(wanted);
  });

  test("with the way for each", () => {
    expect(safeWay([renamed], { flat: false, changeable: true })).toMatch(
      /set the cluster's `name` to Kubernetes\. Only one cluster .*add to `values` pilot\.extraContainerArgs: \["--clusterAliases=Kubernetes=east"\]/,
    );
    expect(safeWay([renamed], { flat: false, changeable: false })).toMatch(
      /set the Helm values global\.multiCluster\.clusterName and pilot/,
    );
    expect(safeWay([joined], { flat: false, changeable: true })).toMatch(
      /^To give it a network, set the Helm value global\.network to net-e/,
    );
    expect(safeWay([joined], { flat: true, changeable: true })).toMatch(/^Leave it as it is: on one network/);
    expect(safeWay([moved], { flat: false, changeable: true })).toBe(
      "Give this action the names that istiod runs with: set its `network` to net-o.",
    );
  });
});

describe("which istiod counts", () => {
  const resource = (activeRevisionName?: string): IstioResource => ({
    apiVersion: "sailoperator.io/v1",
    kind: "Istio",
    metadata: { name: "default" },
    spec: {},
    ...(activeRevisionName ? { status: { activeRevisionName } } : {}),
  });
  const many = (count: object) => new Map(Object.entries(count)) as Map<string, number>;
  const choose = (istios: IstioResource[], revisions: string[], workloads?: ReadonlyMap<string, number>) => {
    const istiods = revisions.map((each) => istiod(each));
    const chosen = chooseIstiod({ istioResource: "default" }, istios, istiods, workloads);
    const name = (each: Deployment | undefined) => each?.metadata.name.replace("istiod-", "");
    return [chosen.revision, name(chosen.istiod), chosen.inUse.map(name).join()];
  };

  test.each<[string, ReturnType<typeof choose>, [string, string | undefined, string]]>([
    ["there is none", choose([], []), ["default", undefined, ""]],
    ["that of the name", choose([], ["default", "canary"], many({})), ["default", "default", "default"]],
    [
      "that of the active revision, and the older one that workloads hang on",
      choose([resource("v2")], ["v1", "v2"], many({ v1: 3 })),
      ["v2", "v2", "v2,v1"],
    ],
    ["not an older one without any", choose([resource("v2")], ["v1", "v2"], many({ v2: 3 })), ["v2", "v2", "v2"]],
    ["all where it is not known", choose([resource("v2")], ["v1", "v2"]), ["v2", "v2", "v2,v1"]],
    ["the only one", choose([resource()], ["v1"]), ["v1", "v1", "v1"]],
    ["the only one in use", choose([], ["v1", "v2"], many({ v2: 1 })), ["v2", "v2", "v2"]],
    ["none of two in use", choose([], ["v1", "v2"], many({ v1: 1, v2: 1 })), ["default", undefined, "v1,v2"]],
    ["none of two that nobody uses", choose([], ["v1", "v2"], many({})), ["default", undefined, ""]],
  ])("%s", (_, found, wanted) => {
    expect(found).toEqual(wanted);
  });
});

test("proxies are told by what they were injected with", async () => {
  const proxy = { name: "istio-proxy", env: [{ name: "ISTIO_META_CLUSTER_ID", value: "east" }] };
  const pod = (name: string, spec: object, more: object = {}) => ({
    metadata: { name, namespace: "n", ...more },
    spec,
  });
  const pods = [
    pod("sidecar", { containers: [{ name: "app" }, proxy] }, { annotations: { "istio.io/rev": "v2" } }),
    pod(
      "native",
      { containers: [{ name: "app" }], initContainers: [proxy] },
      { annotations: { "sidecar.istio.io/status": '{"revision":"v1"}' } },
    ),
    pod("bare", { containers: [{ name: "app" }] }),
    { ...pod("over", { containers: [proxy] }), status: { phase: "Succeeded" } },
    pod("unnamed", {
      containers: [{ name: "istio-proxy", env: [{ name: "ISTIO_META_NETWORK", value: "net-e" }] }],
    }),
  ];
  const found = await readProxies(clusterOf("c", { list: async () => pods as never }));
  expect(found).toMatchObject([
    { namespace: "n", pod: "sidecar", revision: "v2", clusterName: "east", network: undefined },
    { namespace: "n", pod: "native", revision: "v1", clusterName: "east", network: undefined },
    { namespace: "n", pod: "unnamed", revision: "default", clusterName: "Kubernetes", network: "net-e" },
  ]);
});
