import { describe, expect, test } from "vitest";
import type { Service } from "../../src/checks/gateway-service.ts";
import { readGateways, waysOf } from "../../src/checks/gateways.ts";
import type { Cluster, ListQuery } from "../../src/cluster/cluster.ts";
import type { ObjectRef } from "../../src/mesh/objects/object.ts";

const NETWORK = "topology.istio.io/network";

/** A Service `namespace/name` of a network; without a port for mTLS where that is said. */
function service(
  path: string,
  network?: string,
  { ports = [15443], labels = {} }: { ports?: number[]; labels?: Record<string, string> } = {},
): Service {
  const [namespace = "", name = ""] = path.split("/");
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, labels: { ...labels, ...(network === undefined ? {} : { [NETWORK]: network }) } },
    spec: { selector: { app: name }, ports: ports.map((port) => ({ port })) },
  };
}
const CALLED = { labels: { istio: "eastwestgateway" } };
const names = (services: readonly Service[]) =>
  services.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

describe("which Services are the network's gateways", () => {
  test.each<[string, Service[], { services: string[]; others?: string[]; hidden?: string[] }]>([
    [
      "the one that is labelled, whatever it is called and wherever it is",
      [service("edge/way", "one")],
      { services: ["edge/way"] },
    ],
    ["several", [service("mesh/a", "one"), service("edge/b", "one")], { services: ["mesh/a", "edge/b"] }],
    [
      "not another network's",
      [service("mesh/a", "one"), service("mesh/vms", "two", CALLED)],
      { services: ["mesh/a"], others: ["mesh/vms"] },
    ],
    [
      "not one that only ambient meshes take",
      [service("mesh/a", "one"), service("mesh/hbone", "one", { ports: [15008] })],
      { services: ["mesh/a"] },
    ],
    [
      "by the port of its label",
      [service("mesh/a", "one", { ports: [443], labels: { "networking.istio.io/gatewayPort": "443" } })],
      { services: ["mesh/a"] },
    ],
    ["of another network alone: none", [service("edge/vms", "two")], { services: [], others: ["edge/vms"] }],
    [
      "one without the port, where there is no other",
      [service("mesh/a", "one", { ports: [443] })],
      { services: ["mesh/a"] },
    ],
    [
      "one without the label that calls itself so, where there is no other",
      [service("mesh/a", undefined, CALLED)],
      { services: ["mesh/a"] },
    ],
    [
      "one with another network's label that calls itself so, where there is no other",
      [service("mesh/a", "two", CALLED)],
      { services: ["mesh/a"] },
    ],
    [
      "one where istiod does not look, where there is no other",
      [service("dark/a", "one")],
      { services: ["dark/a"], hidden: ["dark/a"] },
    ],
    [
      "not one where istiod does not look beside another",
      [service("dark/a", "one"), service("mesh/b", "one")],
      { services: ["mesh/b"] },
    ],
  ])("%s", (_, found, { services, others = [], hidden = [] }) => {
    const ways = waysOf(found, { network: "one", looksAt: (namespace) => namespace !== "dark", named: [] });
    expect({ services: names(ways.services), others: names(ways.others), hidden: names(ways.hidden) }).toEqual({
      services,
      others,
      hidden,
    });
  });
});

test("one without an address is no way in beside another that has one", () => {
  const reached = { ...service("edge/b", "one"), status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } };
  const ways = waysOf([service("mesh/a", "one"), reached], { network: "one", looksAt: () => true, named: [] });
  expect([names(ways.services), names(ways.idle)]).toEqual([["edge/b"], ["mesh/a"]]);
});

test("one without an address is no way in where the mesh configuration has an address", () => {
  const named = [{ network: "one", registries: ["east"], address: "192.0.2.1", service: undefined, port: 443 }];
  const ways = waysOf([service("mesh/a", "one")], { network: "one", looksAt: () => true, named });
  expect([names(ways.services), ways.addresses]).toEqual([[], ["192.0.2.1:443"]]);
});

describe("the mesh configuration", () => {
  const cluster = (...services: Service[]) =>
    ({
      list: async ({ kind, labelSelector = "" }: ListQuery) => {
        const [key = "", value] = labelSelector.split("=");
        const has = ({ metadata }: Service) =>
          key in (metadata.labels ?? {}) && (value === undefined || metadata.labels?.[key] === value);
        return kind === "Service" ? services.filter(has) : [];
      },
      get: async ({ kind, name, namespace }: ObjectRef) =>
        kind === "Service"
          ? services.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)
          : { metadata: { labels: { watched: name === "mesh" ? "yes" : "no" } } },
    }) as unknown as Cluster;
  const spec = { name: "east", network: "one" };
  const named = { network: "one", registries: ["east"], address: undefined, service: undefined, port: 443 };

  test("names a gateway's Service, and its port", async () => {
    const networkGateways = [{ ...named, service: "way.edge.svc.cluster.local" }];
    const found = await readGateways(cluster(service("edge/way")), spec, { discoverySelectors: [], networkGateways });
    expect(found.services.map(({ metadata }) => metadata.labels)).toEqual([
      { [NETWORK]: "one", "networking.istio.io/gatewayPort": "443" },
    ]);
  });

  test("does not count for a Service that has the label itself, nor for another cluster", async () => {
    const networkGateways = [
      { ...named, service: "way.edge.svc.cluster.local" },
      { ...named, registries: ["west"], service: "other.edge.svc.cluster.local" },
    ];
    const found = await readGateways(cluster(service("edge/way", "two"), service("edge/other")), spec, {
      discoverySelectors: [],
      networkGateways,
    });
    expect([names(found.services), names(found.others)]).toEqual([[], ["edge/way"]]);
  });

  test("names an address", async () => {
    const networkGateways = [
      { ...named, address: "192.0.2.1" },
      { ...named, network: "two", address: "192.0.2.2" },
    ];
    const found = await readGateways(cluster(), spec, { discoverySelectors: [], networkGateways });
    expect([found.addresses, found.services]).toEqual([["192.0.2.1:443"], []]);
  });

  test("says by discoverySelectors where istiod looks", async () => {
    const discoverySelectors = [{ matchLabels: { watched: "yes" } }];
    const dark = await readGateways(cluster(service("dark/a", "one")), spec, {
      discoverySelectors,
      networkGateways: [],
    });
    expect(names(dark.hidden)).toEqual(["dark/a"]);
    const seen = await readGateways(cluster(service("mesh/a", "one")), spec, {
      discoverySelectors,
      networkGateways: [],
    });
    expect([names(seen.services), seen.hidden]).toEqual([["mesh/a"], []]);
  });
});
