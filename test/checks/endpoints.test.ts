// What istiod holds against what there is: its own rules of what it keeps, case by case, and what is said of a difference.
import { describe, expect, test } from "vitest";
import { compare, type Difference } from "../../src/checks/comparison.ts";
import { endpointsAreHeld } from "../../src/checks/endpoints.ts";
import type { KubernetesGateway } from "../../src/checks/gateway-resource.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { DebugClosed } from "../../src/facts/debug.ts";
import { type Offer, readHeld, readOffer } from "../../src/facts/endpoints.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { LabelSelector } from "../../src/mesh/label-selector.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

type Json = Record<string, unknown>;

const NETWORK = "topology.istio.io/network";
const endpoint = (address: string, more: Json = {}) => ({ addresses: [address], conditions: { ready: true }, ...more });
const slice = (service: string, endpoints: Json[], more: Json = {}) => ({
  metadata: { namespace: "apps", name: `${service}-1`, labels: { "kubernetes.io/service-name": service } },
  addressType: "IPv4",
  ports: [{ name: "http", port: 8080 }],
  endpoints,
  ...more,
});
const service = (name: string, more: Json = {}, metadata: Json = {}) => ({
  metadata: { namespace: "apps", name, ...metadata },
  spec: { ports: [{ port: 80 }] },
  ...more,
});
const gateway = (ingress: Json[], { spec = {}, ...metadata }: Json = {}) =>
  service(
    "gateway",
    {
      spec: { type: "LoadBalancer", ports: [{ port: 15443 }], ...(spec as Json) },
      status: { loadBalancer: { ingress } },
    },
    { namespace: "istio-system", labels: { [NETWORK]: "network2" }, ...metadata },
  );
const namespaces = [
  { metadata: { name: "apps", labels: { team: "a" } } },
  { metadata: { name: "istio-system", labels: { mesh: "yes" } } },
];

/** A shard as istiod writes it. */
const held = (address: string | string[], more: Json = {}) => ({
  Labels: { app: "web" },
  Addresses: [address].flat(),
  ServicePortName: "http",
  EndpointPort: 8080,
  Locality: { Label: "", ClusterID: "west" },
  HealthStatus: 1,
  NodeName: "node-1",
  ...more,
});
const shards = (web: Json[], host = "web.apps.svc.cluster.local", shard = "Kubernetes/west") => ({
  [host]: { apps: { Shards: { [shard]: web, "Kubernetes/east": [held("10.9.9.9")] }, ServiceAccounts: {} } },
});
const way = (Addr: string, more: Json = {}) => ({ Network: "network2", Cluster: "west", Addr, Port: 15443, ...more });

interface World {
  slices?: Json[];
  services?: Json[];
  shardz?: Json;
  networkz?: Json[] | null;
  selectors?: LabelSelector[];
  kubernetesGateways?: Json[];
}

const offerOf = ({
  slices = [slice("web", [endpoint("10.1.0.1")])],
  services = [service("web"), gateway([{ ip: "192.0.2.2" }])],
}: World) => {
  const lists: Record<string, unknown[]> = { EndpointSlice: slices, Service: services, Namespace: namespaces };
  return readOffer(clusterOf("west", { list: (async ({ kind }: { kind: string }) => lists[kind]) as never }));
};
const heldOf = ({ shardz = shards([held("10.1.0.1")]), networkz = [way("192.0.2.2")] }: World) =>
  readHeld(
    clusterOf("east", {
      exec: async (_pod, _container, command) => {
        const answer = command.at(-1)?.endsWith("endpointShardz") ? shardz : networkz;
        return { exitCode: 0, stdout: `${JSON.stringify(answer)}\n`, stderr: "" };
      },
    }),
    "istio-system",
    "istiod-1",
  );

async function compared(world: World) {
  const rules = {
    selectors: world.selectors ?? [],
    kubernetesGateways: (world.kubernetesGateways ?? []) as unknown as KubernetesGateway[],
  };
  return compare("west", await offerOf(world), await heldOf(world), rules);
}

const differences = async (world: World) =>
  (await compared(world)).differences.map(({ kind, what }) => `${kind} ${what}`);

describe("what is meant is no difference", () => {
  const web = [slice("web", [endpoint("10.1.0.1")])];
  const nothing = { shardz: {} };
  test.each<[string, World]>([
    ["both are the same", {}],
    ["nothing there and nothing held", { slices: [], services: [], shardz: {}, networkz: null }],
    ["a namespace that istiod does not look at", { selectors: [{ matchLabels: { mesh: "yes" } }], ...nothing }],
    [
      "a namespace that no expression takes",
      { selectors: [{ matchExpressions: [{ key: "team", operator: "NotIn", values: ["a"] }] }], ...nothing },
    ],
    [
      "a Service exported to nobody",
      {
        slices: web,
        services: [
          service("web", {}, { annotations: { "networking.istio.io/exportTo": "~" } }),
          gateway([{ ip: "192.0.2.2" }]),
        ],
        ...nothing,
      },
    ],
    [
      "an endpoint that is not ready",
      { slices: [slice("web", [endpoint("10.1.0.1", { conditions: { ready: false } })])], ...nothing },
    ],
    [
      "one on its way out that is held still",
      { slices: [slice("web", [endpoint("10.1.0.1", { conditions: { ready: false, terminating: true } })])] },
    ],
    [
      "a Service whose endpoints are names",
      { slices: [slice("web", [endpoint("example.com")], { addressType: "FQDN" })], ...nothing },
    ],
    [
      "what was imported from another cluster",
      {
        slices: [
          slice("web", [endpoint("10.1.0.1")], {
            metadata: {
              namespace: "apps",
              name: "x",
              labels: { "kubernetes.io/service-name": "web", "multicluster.kubernetes.io/service-name": "web" },
            },
          }),
        ],
        ...nothing,
      },
    ],
    [
      "our own probes, which come and go",
      {
        slices: [
          slice("probe-east", [endpoint("10.1.0.8")], {
            metadata: {
              namespace: "istio-mesh-probe-0a1b",
              name: "x",
              labels: { "kubernetes.io/service-name": "probe-east" },
            },
          }),
        ],
        shardz: {
          "probe-west.istio-mesh-probe-0a1b.svc.cluster.local": {
            "istio-mesh-probe-0a1b": { Shards: { "Kubernetes/west": [held("10.1.0.9")] } },
          },
        },
      },
    ],
    ["a slice without ports", { slices: [slice("web", [endpoint("10.1.0.1")], { ports: null })], ...nothing }],
    ["another cluster domain", { shardz: shards([held("10.1.0.1")], "web.apps.svc.corp.example") }],
    [
      "the same once more for the whole set of clusters",
      { shardz: { ...shards([held("10.1.0.1")]), ...shards([held("10.7.7.7")], "web.apps.svc.clusterset.local") } },
    ],
    [
      "two addresses of one endpoint",
      {
        slices: [slice("web", [endpoint("10.1.0.1")]), slice("web", [endpoint("fd00::1")], { addressType: "IPv6" })],
        shardz: shards([held(["10.1.0.1", "fd00::1"])]),
      },
    ],
    [
      "a WorkloadEntry that a Service selects",
      { shardz: shards([held("10.1.0.1"), held("172.20.0.9", { NodeName: "" })]) },
    ],
    [
      "what a ServiceEntry has",
      {
        shardz: {
          ...shards([held("10.1.0.1")]),
          "api.example.com": { apps: { Shards: { "External/west": [held("1.1.1.1")] } } },
        },
      },
    ],
    [
      "a gateway by name, which resolves to something",
      { services: [service("web"), gateway([{ hostname: "lb.example.com" }])], networkz: [way("198.51.100.7")] },
    ],
    [
      "a gateway at its nodes, whose addresses are not looked at",
      {
        services: [
          service("web"),
          gateway([], { spec: { type: "NodePort" }, annotations: { "traffic.istio.io/nodeSelector": "{}" } }),
        ],
        networkz: [way("198.51.100.7", { Port: 31000 })],
      },
    ],
    [
      "a gateway of Kubernetes' API with an address of its own",
      {
        networkz: [way("192.0.2.2"), way("203.0.113.9")],
        kubernetesGateways: [
          { metadata: { name: "ew" }, spec: { addresses: [{ type: "IPAddress", value: "203.0.113.9" }] } },
        ],
      },
    ],
    [
      "a gateway that the mesh's configuration names",
      { networkz: [way("192.0.2.2"), way("203.0.113.9", { Cluster: "" })] },
    ],
    [
      "another port by its label",
      {
        services: [
          service("web"),
          gateway([{ ip: "192.0.2.2" }], {
            spec: { ports: [{ port: 443 }] },
            labels: { [NETWORK]: "network2", "networking.istio.io/gatewayPort": "443" },
          }),
        ],
        networkz: [way("192.0.2.2", { Port: 443 })],
      },
    ],
    [
      "a labelled Service without that port",
      { services: [service("web"), gateway([{ ip: "192.0.2.2" }], { spec: { ports: [{ port: 80 }] } })], networkz: [] },
    ],
    [
      "a gateway for another network in a namespace that is not looked at, beside one that is",
      {
        services: [
          service("web"),
          gateway([{ ip: "192.0.2.2" }]),
          gateway([{ ip: "192.0.2.3" }], { namespace: "apps" }),
        ],
        selectors: [{ matchLabels: { mesh: "yes" } }],
        ...nothing,
      },
    ],
  ])("%s", async (_, world) => {
    expect(await differences(world)).toEqual([]);
  });
});

describe("what is lost is found", () => {
  test.each<[string, World, string[]]>([
    ["an endpoint", { shardz: shards([]) }, ["missing apps/web 10.1.0.1:8080"]],
    [
      "all of a cluster",
      { shardz: shards([held("10.1.0.1")], undefined, "Kubernetes/elsewhere") },
      ["missing apps/web 10.1.0.1:8080"],
    ],
    [
      "one whose port is another by now",
      { shardz: shards([held("10.1.0.1", { EndpointPort: 9090 })]) },
      ["missing apps/web 10.1.0.1:8080", "gone apps/web 10.1.0.1:9090"],
    ],
    [
      "a pod that is no more",
      { shardz: shards([held("10.1.0.1"), held("10.1.0.2")]) },
      ["gone apps/web 10.1.0.2:8080"],
    ],
    ["a Service that is no more", { slices: [] }, ["gone apps/web 10.1.0.1:8080"]],
    [
      "an endpoint of which nothing is said",
      { slices: [slice("web", [endpoint("10.1.0.1"), { addresses: ["10.1.0.3"] }])] },
      ["missing apps/web 10.1.0.3:8080"],
    ],
    ["a gateway", { networkz: [] }, ["gateway 192.0.2.2:15443 of network2"]],
    ["a gateway where Go writes no list", { networkz: null }, ["gateway 192.0.2.2:15443 of network2"]],
    [
      "a gateway that moved",
      { networkz: [way("192.0.2.9")] },
      ["gateway 192.0.2.2:15443 of network2", "gone-gateway 192.0.2.9:15443 of network2"],
    ],
    [
      "a gateway taken for another network's",
      { networkz: [way("192.0.2.2", { Network: "old" })] },
      ["gateway 192.0.2.2:15443 of network2"],
    ],
    [
      "a gateway's name that does not resolve",
      { services: [service("web"), gateway([{ hostname: "lb.example.com" }])], networkz: [] },
      ["unresolved lb.example.com:15443 of network2"],
    ],
    [
      "a gateway where istiod does not look",
      { selectors: [{ matchLabels: { team: "a" } }], networkz: [] },
      ["hidden-gateway istio-system/gateway, 192.0.2.2:15443 of network2"],
    ],
  ])("%s", async (_, world, expected) => {
    expect(await differences(world)).toEqual(expected);
  });

  test("and what there is, is counted", async () => {
    const slices = [slice("web", [endpoint("10.1.0.1"), endpoint("10.1.0.2")]), slice("db", [endpoint("10.1.0.3")])];
    expect(await compared({ slices })).toMatchObject({
      pod: "istiod-1",
      services: 2,
      endpoints: 3,
      gateways: [{ address: "192.0.2.2" }],
    });
  });
});

describe("the finding", () => {
  const mesh = meshOf(["east", "west"]);
  const istiod = (image = "pilot:1.31.0", env: Json[] = []) => ({
    metadata: { name: "istiod" },
    spec: { template: { spec: { containers: [{ name: "discovery", image, env }] } } },
  });
  interface Case {
    differences?: Difference[];
    image?: string;
    env?: Json[];
    problem?: Failure;
    traffic?: boolean;
    services?: Json[];
    endpoints?: number;
    held?: number;
  }
  async function find({
    differences = [],
    image,
    env,
    problem,
    traffic = true,
    services,
    endpoints = 2,
    held = 2,
  }: Case) {
    const offer: Offer = await offerOf(services ? { services } : {});
    const comparison = { pod: "istiod-1", services: 1, endpoints, held, gateways: [], differences, named: new Map() };
    const observer = { spec: { name: "east" }, istiod: () => istiod(image, env), istios: () => [] };
    return endpointsAreHeld(mesh, {
      observer: observer as unknown as Observation,
      target: { spec: { name: "west" } } as unknown as Observation,
      offer,
      replicas: [problem ? { pod: "istiod-1", problem } : comparison],
      traffic,
    });
  }
  const missing = (...what: string[]) =>
    what.map((each): Difference => ({ kind: "missing", what: `apps/${each}:8080` }));
  const ambient = [{ name: "AMBIENT_ENABLE_MULTI_NETWORK", value: "true" }];
  const labelled = (name: string) => service(name, {}, { labels: { "istio.io/global": "true" } });

  test.each<[string, Case, string, RegExp, RegExp?]>([
    ["all is held", {}, "passed", /^istiod-1 holds what west has: 2 endpoints of 1 Service, and no gateway\.$/],
    [
      "all is lost",
      { differences: missing("web 1", "web 2"), held: 0 },
      "failed",
      /does not hold any of the 2 endpoints of 1 Service that west has \(apps\/web\)/,
      /rollout restart/,
    ],
    [
      "by a version that is known for it",
      { differences: missing("web 1", "web 2"), held: 0, image: "pilot:1.30.2" },
      "failed",
      /Istio 1\.30\.2 forgets a cluster whose remote secret is changed; 1\.30\.4/,
    ],
    [
      "by one that is not",
      { differences: missing("web 1", "web 2"), held: 0, image: "pilot:1.30.4" },
      "failed",
      /whatever istiod says of west\.$/,
    ],
    [
      "some is missing",
      { differences: missing("web 1") },
      "failed",
      /does not follow what west has: .*1 endpoint missing \(apps\/web 1:8080\)/,
      /reach west's API server\?/,
    ],
    [
      "some is no more",
      { differences: [{ kind: "gone", what: "apps/web 1" }] },
      "failed",
      /1 endpoint held that is no more \(apps\/web 1\)/,
    ],
    [
      "a gateway is lost",
      { differences: [{ kind: "gateway", what: "192.0.2.2:15443 of n" }] },
      "failed",
      /gateways as they are: 192\.0\.2\.2:15443 of n missing/,
      /rollout restart/,
    ],
    [
      "a name does not resolve",
      { differences: [{ kind: "unresolved", what: "lb:15443 of n" }] },
      "failed",
      /its name does not resolve where istiod runs/,
      /DNS/,
    ],
    [
      "a gateway is hidden",
      { differences: [{ kind: "hidden-gateway", what: "x/gw, lb:15443 of n" }] },
      "failed",
      /discoverySelectors .* do not select it/,
      /label the gateway's namespace/,
    ],
    [
      "the debug interface is closed",
      { problem: new DebugClosed("closed") },
      "skipped",
      /closed \(ENABLE_DEBUG_ON_HTTP=false\)\. Whether it holds it is seen by the requests alone/,
    ],
    [
      "it is closed, and no requests are sent",
      { problem: new DebugClosed("closed"), traffic: false },
      "unknown",
      /ENABLE_DEBUG_ON_HTTP=false/,
      /`traffic`/,
    ],
    [
      "it could not be asked",
      { problem: new Failure("it could not be asked (HTTP 403)") },
      "unknown",
      /istiod-1 could not be asked .*403/,
      /pods\/exec/,
    ],
    [
      "the switch for ambient hides all",
      { env: ambient },
      "failed",
      /AMBIENT_ENABLE_MULTI_NETWORK=true.*none is\.$/,
      /leave it out/,
    ],
    [
      "it hides what is not global",
      { env: ambient, services: [labelled("db"), service("web")] },
      "passed",
      /holds what/,
    ],
    [
      "it is a mesh of that kind",
      { env: ambient, services: [gateway([], { spec: { ports: [{ port: 15008 }] } })] },
      "passed",
      /holds what/,
    ],
  ])("%s", async (_, given, verdict, cause, hint = /^/) => {
    const finding = await find(given);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(cause);
    expect(finding.hint ?? "").toMatch(hint);
  });

  test("warns of what the switch for ambient hides", async () => {
    const { warning } = await find({ env: ambient, services: [labelled("db"), service("web")] });
    expect(warning).toMatch(/1 Service of west not labelled istio\.io\/global=true is west's alone/);
  });
});
