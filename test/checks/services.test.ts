// The user's own Services: what keeps callers of one cluster from the endpoints of another, case by case, by its name.
import { describe, expect, test } from "vitest";
import type { Comparison } from "../../src/checks/comparison.ts";
import type { ServiceView } from "../../src/checks/service-view.ts";
import { serviceIsReached } from "../../src/checks/services.ts";
import type { HeldEndpoint, Offer } from "../../src/facts/endpoints.ts";
import type { MeshConfig } from "../../src/facts/mesh-config.ts";
import type { Policy } from "../../src/facts/policies.ts";
import type { ProxyView } from "../../src/facts/proxy-view.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { ServiceSpec } from "../../src/mesh/spec.ts";

type Json = Record<string, unknown>;

const CONFIG: MeshConfig = {
  meshId: undefined,
  caCertificates: [],
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  discoverySelectors: [],
  clusterLocal: [],
  defaultServiceExportTo: [],
  proxyMetadata: {},
  localityLbSetting: {},
  networkGateways: [],
};
const HTTP = { name: "http", port: 80 };
const web = (more: Json = {}, annotations: Record<string, string> = {}): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "apps", name: "web", annotations },
  spec: { clusterIP: "10.0.0.1", ports: [HTTP], ...more },
});

interface Place {
  /** `undefined`: there is none. */
  readonly service?: KubernetesObject | undefined;
  readonly ready?: readonly string[];
  readonly labels?: Record<string, string>;
}

const offerOf = ({ service, ready = [], labels = {} }: Place): Offer => ({
  services: new Map(service ? [["apps/web", service]] : []),
  endpoints: new Map(service ? [["apps/web", { ready: new Set(ready), all: new Set(ready) }]] : []),
  namespaces: new Map([["apps", labels]]),
});

const policy = (kind: string, namespace: string, name: string, spec: Json): Policy => ({
  apiVersion: "x/v1",
  kind,
  metadata: { namespace, name },
  spec,
});

interface World {
  service?: Partial<ServiceSpec>;
  east?: Place;
  west?: Place | "unread";
  held?: Partial<Comparison> | "none" | "closed";
  endpoint?: Partial<HeldEndpoint>;
  /** East's, and west's. */
  config?: Partial<MeshConfig>;
  westConfig?: Partial<MeshConfig> | "unread";
  /** The addresses that a proxy of east has; `undefined`: it does not know the Service. */
  proxy?: Record<string, string[]> | "none" | "unread";
  policies?: { east?: Policy[]; west?: Policy[] | "unread" };
  networks?: [string, string];
}

/** A healthy world: both clusters have the Service with an endpoint, and all is known; east is the one that calls. */
function seen({
  service = {},
  east = { service: web(), ready: ["10.1.0.1:8080"] },
  west = { service: web(), ready: ["10.2.0.1:8080"] },
  held = {},
  endpoint = {},
  config = {},
  westConfig = {},
  proxy = { "apps/web:80": ["10.1.0.1:8080", "192.0.2.2:15443"] },
  policies = {},
  networks = ["n1", "n2"],
}: World) {
  const fail = (why: string) => () => {
    throw new Failure(why, "Do this.");
  };
  const comparison: Comparison = {
    pod: "istiod-1",
    services: 1,
    endpoints: 1,
    held: 1,
    gateways: [{ network: "n2", cluster: "west", address: "192.0.2.2", port: 15443 }],
    differences: [],
    named: new Map([["apps/web", [{ ofPod: true, takesMtls: true, labels: { app: "web" }, ...endpoint }]]]),
    ...(typeof held === "object" ? held : {}),
  };
  const replicas =
    held === "none"
      ? []
      : held === "closed"
        ? [{ pod: "istiod-1", problem: new Failure("its debug interface is closed") }]
        : [comparison];
  const view: ProxyView | undefined =
    typeof proxy === "object"
      ? { proxy: "shop-1.shop", namespace: "shop", endpoints: new Map(Object.entries(proxy)) }
      : undefined;
  const all: ServiceView = {
    service: { namespace: "apps", name: "web", ...service },
    observer: "east",
    istioNamespace: "istio-system",
    host: "web.apps.svc.cluster.local",
    offers: new Map([
      ["east", () => offerOf(east)],
      ["west", west === "unread" ? fail("West is silent.") : () => offerOf(west)],
    ]),
    networks: new Map([
      ["east", networks[0]],
      ["west", networks[1]],
    ]),
    held: () => replicas,
    configs: new Map([
      ["east", () => ({ ...CONFIG, ...config })],
      [
        "west",
        westConfig === "unread" ? fail("Its mesh configuration is no YAML.") : () => ({ ...CONFIG, ...westConfig }),
      ],
    ]),
    proxy: proxy === "unread" ? fail("It could not be asked.") : () => view,
    policies: new Map([
      ["east", () => policies.east ?? []],
      ["west", policies.west === "unread" ? fail("Forbidden.") : () => (policies.west as Policy[]) ?? []],
    ]),
  };
  return serviceIsReached(all);
}

describe("what works is green", () => {
  test.each<[string, World, RegExp]>([
    [
      "both have endpoints",
      {},
      /^Endpoints that are ready: 1 in east, 1 in west\. A proxy .*shop-1\.shop, has them all/,
    ],
    ["one port was asked for", { service: { port: 80 } }, /1 in west/],
    ["only the other one has endpoints", { east: { service: web() } }, /^Endpoints that are ready: 1 in west\./],
    ["only its own has endpoints", { west: { service: web() }, proxy: {} }, /^Endpoints that are ready: 1 in east\./],
    ["only its own has the Service", { west: {}, proxy: {} }, /1 in east/],
    ["no workload runs there", { proxy: "none" }, /istiod of east holds them; no workload with a sidecar/],
    [
      "its name is resolved by the proxies",
      { east: {}, config: { proxyMetadata: { ISTIO_META_DNS_CAPTURE: "true" } } },
      /1 in west/,
    ],
    [
      "on one network they are reached directly",
      { networks: ["n", "n"], proxy: { "apps/web:80": ["10.2.0.1:8080"] }, endpoint: { takesMtls: false } },
      /1 in west/,
    ],
    [
      "exported to the caller's namespace",
      { west: { service: web({}, { "networking.istio.io/exportTo": "shop" }), ready: ["10.2.0.1:8080"] } },
      /1 in west/,
    ],
    [
      "not cluster-local by the more specific rule",
      {
        config: {
          clusterLocal: [
            { host: "*.apps.svc.cluster.local", local: true },
            { host: "web.apps.svc.cluster.local", local: false },
          ],
        },
      },
      /1 in west/,
    ],
    [
      "another namespace is cluster-local",
      { config: { clusterLocal: [{ host: "*.shop.svc.cluster.local", local: true }] } },
      /1 in west/,
    ],
    [
      "appProtocol says what the name says",
      { west: { service: web({ ports: [{ name: "web", port: 80, appProtocol: "http" }] }), ready: ["10.2.0.1:8080"] } },
      /1 in west/,
    ],
    [
      "a policy that names its callers, beside one that lets in nobody else",
      {
        policies: {
          west: [
            policy("AuthorizationPolicy", "apps", "nobody", {}),
            policy("AuthorizationPolicy", "apps", "some", { rules: [{ from: [] }] }),
          ],
        },
      },
      /1 in west/,
    ],
    [
      "a policy for other pods",
      {
        policies: {
          west: [policy("AuthorizationPolicy", "apps", "nobody", { selector: { matchLabels: { app: "db" } } })],
        },
      },
      /1 in west/,
    ],
    [
      "mutual TLS is off elsewhere",
      {
        policies: {
          west: [
            policy("PeerAuthentication", "istio-system", "default", OFF),
            policy("PeerAuthentication", "apps", "default", { mtls: { mode: "PERMISSIVE" } }),
            policy("PeerAuthentication", "apps", "db", { ...OFF, selector: { matchLabels: { app: "db" } } }),
            policy("PeerAuthentication", "other", "default", OFF),
          ],
        },
      },
      /1 in west/,
    ],
    [
      "mutual TLS is off, and clusters share a network",
      {
        networks: ["n", "n"],
        proxy: { "apps/web:80": ["10.2.0.1:8080"] },
        policies: { west: [policy("PeerAuthentication", "apps", "default", OFF)] },
      },
      /1 in west/,
    ],
    [
      "a DestinationRule for callers of another namespace, or of another host",
      {
        proxy: "none",
        policies: {
          east: [
            policy("DestinationRule", "apps", "mine", tls("web", "DISABLE", { exportTo: ["."] })),
            policy("DestinationRule", "apps", "outside", tls("*.example.com", "SIMPLE")),
            policy("DestinationRule", "shop", "theirs", tls("*.local", "DISABLE")),
          ],
        },
      },
      /istiod of east holds them/,
    ],
    [
      "policies where control planes are, which are not those of the mesh",
      {
        westConfig: { rootNamespace: "rules" },
        policies: { west: [policy("AuthorizationPolicy", "istio-system", "nobody", {})] },
      },
      /1 in west/,
    ],
  ])("%s", (_, world, evidence) => {
    expect(seen(world)).toMatchObject({ verdict: "passed", evidence: expect.stringMatching(evidence) });
  });

  test("a policy that decides by more than we know is told", () => {
    const some = policy("AuthorizationPolicy", "apps", "some", { rules: [{ from: [] }] });
    expect(seen({ policies: { west: [some] } }).warning).toMatch(
      /AuthorizationPolicy apps\/some of west decides who may call apps\/web/,
    );
    expect(seen({ policies: { west: "unread" } }).warning).toMatch(/policies of west could not be read/);
    expect(seen({ westConfig: "unread" }).warning).toMatch(/policies of west could not be read/);
  });
});

/** A VirtualService of east's for the Service. */
const routed = (http: Json[], more: Json = {}, namespace = "apps"): Policy =>
  policy("VirtualService", namespace, "way", { hosts: ["web"], http, ...more });
const to = (host: string, subset?: string) => ({ destination: { host, ...(subset ? { subset } : {}) } });
const subsets = (...all: Json[]): Policy => policy("DestinationRule", "apps", "parts", { host: "web", subsets: all });
const ABORT = { fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }, route: [to("web")] };

describe("a VirtualService", () => {
  test.each<[string, Policy[], Partial<MeshConfig>?]>([
    ["that sends all to the Service itself", [routed([{ route: [to("web")], timeout: "3s" }])]],
    [
      "that is by itself for callers of its own namespace alone, as the mesh has it",
      [routed([ABORT])],
      { defaultExportTo: { VirtualService: ["."] } },
    ],
    ["that mirrors all, and sets headers", [routed([{ route: [to("web")], mirror: { host: "copy" }, headers: {} }])]],
    [
      "that sends none to another Service any more",
      [
        routed([
          {
            route: [
              { ...to("web"), weight: 100 },
              { ...to("web-v2"), weight: 0 },
            ],
          },
        ]),
      ],
    ],
    [
      "with a subset of no mutual TLS to which nothing is sent",
      [subsets({ name: "old", trafficPolicy: { tls: { mode: "DISABLE" } } })],
    ],
    ["for gateways alone", [routed([ABORT], { gateways: ["istio-ingress/public"] })]],
    ["for callers of another namespace", [routed([ABORT], { exportTo: ["."] })]],
    ["for another host", [routed([ABORT], { hosts: ["web.other.svc.cluster.local", "web.example.com"] })]],
    ["for another port", [routed([{ ...ABORT, match: [{ port: 81 }] }])]],
    ["that is younger than another one for the host", [routed([{ route: [to("web")] }]), young(routed([ABORT]))]],
    [
      "that says less of the host than another one",
      [routed([ABORT], { hosts: ["*.local"] }), routed([{ route: [to("web")] }])],
    ],
    [
      "that sends all to a subset that endpoints of each cluster are of",
      [routed([{ route: [to("web", "v1")] }]), subsets({ name: "v1", labels: { app: "web" } })],
    ],
  ])("%s changes nothing", (_, east, config = {}) => {
    const { verdict, warning } = seen({ policies: { east }, config });
    expect([verdict, warning]).toEqual(["passed", undefined]);
  });

  test.each<[string, Policy[], RegExp]>([
    [
      "all to another Service",
      [routed([{ route: [to("web-v2")] }])],
      /^VirtualService apps\/way of east sends all that is for port 80 to web-v2: callers in east do not get to/,
    ],
    [
      "some to another Service",
      [
        routed([
          { match: [{ headers: { "x-canary": { exact: "1" } } }], route: [to("web-v2")] },
          { route: [to("web")] },
        ]),
      ],
      /sends some of what is for port 80 another way \(web-v2\)/,
    ],
    [
      "what is no HTTP to another Service",
      [policy("VirtualService", "apps", "way", { hosts: ["web"], tcp: [{ route: [to("other")] }] })],
      /sends all that is for port 80 to other/,
    ],
    ["some nowhere", [routed([{ match: [{ uri: { prefix: "/api" } }], route: [to("web")] }])], /sends some of what/],
    [
      "a tenth into an error",
      [routed([{ fault: { abort: { percentage: { value: 10 } } }, route: [to("web")] }])],
      /some/,
    ],
    [
      "a redirection",
      [routed([{ redirect: { uri: "/new" } }])],
      /has proxies answer, or redirect, what is for port 80/,
    ],
    [
      "all to its own cluster's, as pages on partitioning have it",
      [
        routed([{ route: [to("web.apps.svc.cluster.local", "east")] }]),
        subsets({ name: "east", labels: { "topology.istio.io/cluster": "east" } }),
      ],
      /sends all that is for port 80 to subset east, of which no endpoint in west is/,
    ],
  ])("that sends %s is told", (_, east, warning) => {
    expect(seen({ policies: { east } })).toMatchObject({
      verdict: "passed",
      warning: expect.stringMatching(warning),
    });
  });

  test.each<[string, World, RegExp]>([
    [
      "aborts all",
      { policies: { east: [routed([ABORT])] } },
      /^VirtualService apps\/way of east aborts every request to apps\/web:80/,
    ],
    [
      "aborts all that this namespace's callers ask",
      { policies: { east: [routed([{ ...ABORT, match: [{ sourceNamespace: "shop" }] }])] } },
      /aborts every request/,
    ],
    [
      "sends all to a subset that is not there",
      { policies: { east: [routed([{ route: [to("web", "v9")] }]), subsets({ name: "v1" })] } },
      /to subset v9, which no DestinationRule there has for web\.apps\.svc\.cluster\.local\.$/,
    ],
    [
      "sends all to a subset without mutual TLS",
      {
        policies: {
          east: [
            routed([{ route: [to("web", "v1")] }]),
            subsets({ name: "v1", labels: {}, trafficPolicy: { tls: { mode: "DISABLE" } } }),
          ],
        },
      },
      /in east DestinationRule apps\/parts has TLS mode DISABLE, .* for subset v1, to which VirtualService apps\/way sends all/,
    ],
  ])("that %s is the cause", (_, world, cause) => {
    expect(seen(world)).toMatchObject({ verdict: "failed", cause: expect.stringMatching(cause) });
  });
});

const young = (each: Policy): Policy => ({
  ...each,
  metadata: { ...each.metadata, creationTimestamp: "2026-01-01T00:00:00Z" },
});

describe("mutual TLS by the port", () => {
  const web8080 = { service: web({ ports: [{ ...HTTP, targetPort: 8080 }] }), ready: ["10.2.0.1:8080"] };
  const both = { east: web8080, west: web8080 };
  const peers = (mtls: Json, portLevelMtls: Json, selector: Json = { matchLabels: { app: "web" } }) =>
    policy("PeerAuthentication", "apps", "ports", { selector, mtls, portLevelMtls });
  const rule = (trafficPolicy: Json) => policy("DestinationRule", "apps", "ports", { host: "web", trafficPolicy });

  test.each<[string, World, RegExp]>([
    [
      "off for the pods' port",
      { ...both, policies: { west: [peers({ mode: "STRICT" }, { 8080: { mode: "DISABLE" } })] } },
      /in west PeerAuthentication apps\/ports switches mutual TLS off/,
    ],
    [
      "off but for another port",
      { ...both, policies: { west: [peers({ mode: "DISABLE" }, { 9090: { mode: "STRICT" } })] } },
      /in west PeerAuthentication apps\/ports switches/,
    ],
    [
      "another one by a DestinationRule for the port",
      {
        proxy: "none",
        policies: {
          east: [
            rule({
              tls: { mode: "ISTIO_MUTUAL" },
              portLevelSettings: [{ port: { number: 80 }, tls: { mode: "SIMPLE" } }],
            }),
          ],
        },
      },
      /in east DestinationRule apps\/ports has TLS mode SIMPLE/,
    ],
  ])("%s is the cause", (_, world, cause) => {
    expect(seen(world)).toMatchObject({ verdict: "failed", cause: expect.stringMatching(cause) });
  });

  test.each<[string, World]>([
    [
      "off for another port",
      { ...both, policies: { west: [peers({ mode: "STRICT" }, { 9090: { mode: "DISABLE" } })] } },
    ],
    [
      "on for the pods' port",
      { ...both, policies: { west: [peers({ mode: "DISABLE" }, { 8080: { mode: "STRICT" } })] } },
    ],
    [
      "off for the port, of all pods, which counts for nothing",
      { ...both, policies: { west: [peers({}, { 8080: { mode: "DISABLE" } }, {})] } },
    ],
    [
      "off for another port by a DestinationRule",
      {
        proxy: "none",
        policies: { east: [rule({ portLevelSettings: [{ port: { number: 81 }, tls: { mode: "SIMPLE" } }] })] },
      },
    ],
  ])("%s is no matter", (_, world) => {
    expect(seen(world)).toMatchObject({ verdict: "passed" });
  });
});

/** A Sidecar that shows its own namespace, and that of the control planes. */
const NARROW = { egress: [{ hosts: ["./*", "istio-system/*"] }] };
const OFF = { mtls: { mode: "DISABLE" } };
const tls = (host: string, mode: string, more: Json = {}) => ({ host, trafficPolicy: { tls: { mode } }, ...more });

describe("what is in the way is named", () => {
  const west = (more: Json, annotations: Record<string, string> = {}): World => ({
    west: { service: web(more, annotations), ready: ["10.2.0.1:8080"] },
  });
  test.each<[string, World, RegExp]>([
    ["there is none", { east: {}, west: {} }, /^No cluster has a Service apps\/web\.$/],
    [
      "it is not known where it is called",
      { east: {} },
      /^east has no Service apps\/web, so its name does not resolve there; west has it/,
    ],
    [
      "no endpoint is ready",
      { east: { service: web() }, west: { service: web() } },
      /^No endpoint of Service apps\/web is ready/,
    ],
    [
      "another port",
      west({ ports: [{ name: "http", port: 8080 }] }),
      /another in west than in east: only one of them has 2 ports \(8080, 80\)|only one of them has 2 ports \(80, 8080\)/,
    ],
    [
      "another protocol",
      west({ ports: [{ name: "tcp-web", port: 80 }] }),
      /port 80 is http in one and tcp in the other/,
    ],
    ["no such port", { service: { port: 81 } }, /of east has no port 81: it has 80\.$/],
    ["exported to nobody", west({}, { "networking.istio.io/exportTo": "~" }), /is exported to nobody/],
    [
      "a namespace that istiod does not look at",
      { config: { discoverySelectors: [{ matchLabels: { mesh: "yes" } }] } },
      /its discoverySelectors do not select it/,
    ],
    [
      "cluster-local",
      { config: { clusterLocal: [{ host: "*.apps.svc.cluster.local", local: true }] } },
      /serviceSettings has \*\.apps\.svc\.cluster\.local as clusterLocal/,
    ],
    [
      "everything cluster-local",
      { config: { clusterLocal: [{ host: "*", local: true }] } },
      /serviceSettings has \* as clusterLocal/,
    ],
    ["headless", west({ clusterIP: "None" }), /is headless: .* no way through the gateway to those of west/],
    [
      "not held",
      { held: { differences: [{ kind: "missing", what: "apps/web 10.2.0.1:8080" }] } },
      /^istiod-1 of east does not hold the endpoints of apps\/web in west/,
    ],
    ["pods without a sidecar", { endpoint: { takesMtls: false } }, /^No pod of apps\/web in west has a sidecar/],
    [
      "a policy that lets nobody in",
      { policies: { west: [policy("AuthorizationPolicy", "istio-system", "nobody", {})] } },
      /^AuthorizationPolicy istio-system\/nobody of west lets nobody in/,
    ],
    [
      "a policy of the namespace that the other cluster's mesh configuration names",
      {
        westConfig: { rootNamespace: "rules" },
        policies: { west: [policy("AuthorizationPolicy", "rules", "nobody", {})] },
      },
      /^AuthorizationPolicy rules\/nobody of west lets nobody in/,
    ],
    [
      "a Sidecar of the namespace that its own names",
      {
        proxy: {},
        config: { rootNamespace: "rules" },
        policies: {
          east: [policy("Sidecar", "istio-system", "stray", NARROW), policy("Sidecar", "rules", "default", NARROW)],
        },
      },
      /does not know apps\/web:80: Sidecar rules\/default decides/,
    ],
    [
      "a policy that keeps everybody out",
      { policies: { west: [policy("AuthorizationPolicy", "apps", "out", { action: "DENY", rules: [{}] })] } },
      /^AuthorizationPolicy apps\/out of west lets nobody in/,
    ],
    [
      "a Sidecar that hides it",
      { proxy: {}, policies: { east: [policy("Sidecar", "istio-system", "default", NARROW)] } },
      /does not know apps\/web:80: Sidecar istio-system\/default decides/,
    ],
    [
      "exported to others",
      { proxy: {}, ...west({}, { "networking.istio.io/exportTo": ".,db" }) },
      /does not know apps\/web:80: it is exported to apps, db alone/,
    ],
    ["hidden by nothing that is seen", { proxy: {} }, /does not know apps\/web:80\.$/],
    [
      "a DestinationRule without mutual TLS",
      {
        proxy: { "apps/web:80": ["10.1.0.1:8080"] },
        policies: {
          east: [
            policy("DestinationRule", "istio-system", "plain", {
              host: "*.local",
              trafficPolicy: { tls: { mode: "DISABLE" } },
            }),
          ],
        },
      },
      /no endpoint of apps\/web:80 in west: DestinationRule istio-system\/plain has TLS mode DISABLE/,
    ],
    [
      "mutual TLS switched off",
      {
        proxy: { "apps/web:80": ["10.1.0.1:8080"] },
        policies: { east: [policy("PeerAuthentication", "apps", "off", { mtls: { mode: "DISABLE" } })] },
      },
      /PeerAuthentication apps\/off switches mutual TLS off/,
    ],
    [
      "mutual TLS switched off where the endpoints are",
      { policies: { west: [policy("PeerAuthentication", "apps", "off", OFF)] } },
      /^Port 80 of apps\/web is not reached between networks: in west PeerAuthentication apps\/off switches mutual TLS off/,
    ],
    [
      "the same for its pods alone",
      {
        policies: {
          west: [
            policy("PeerAuthentication", "apps", "default", { mtls: { mode: "STRICT" } }),
            policy("PeerAuthentication", "apps", "web", { ...OFF, selector: { matchLabels: { app: "web" } } }),
          ],
        },
      },
      /in west PeerAuthentication apps\/web switches mutual TLS off/,
    ],
    [
      "a DestinationRule where no workload runs that could show it",
      { proxy: "none", policies: { east: [policy("DestinationRule", "apps", "plain", tls("web", "SIMPLE"))] } },
      /in east DestinationRule apps\/plain has TLS mode SIMPLE, and a gateway lets through only ISTIO_MUTUAL/,
    ],
    [
      "a DestinationRule that is not the one that decides",
      {
        proxy: { "apps/web:80": ["10.1.0.1:8080"] },
        policies: {
          east: [
            policy("DestinationRule", "istio-system", "all", tls("*.local", "DISABLE")),
            policy("DestinationRule", "apps", "mine", tls("web", "ISTIO_MUTUAL")),
          ],
        },
      },
      /in west, though istiod holds them/,
    ],
    [
      "left out for a reason that is not seen",
      { proxy: { "apps/web:80": ["10.1.0.1:8080"] } },
      /no endpoint of apps\/web:80 in west, though istiod holds them: it has 10\.1\.0\.1:8080/,
    ],
  ])("%s", (_, world, cause) => {
    const finding = seen(world);
    expect(finding).toMatchObject({ verdict: "failed", cause: expect.stringMatching(cause) });
    expect(finding.hint).toBeTruthy();
  });
});

describe("what is not known is not green", () => {
  test.each<[string, World, RegExp]>([
    ["a cluster that is silent", { west: "unread" }, /^What west has of apps\/web could not be read/],
    ["no istiod", { held: "none" }, /no pod of istiod runs/],
    ["an istiod that cannot be asked", { held: "closed" }, /its debug interface is closed/],
    ["a proxy that cannot be asked for", { proxy: "unread" }, /could not be asked/],
  ])("%s", (_, world, cause) => {
    expect(seen(world)).toMatchObject({ verdict: "unknown", cause: expect.stringMatching(cause) });
  });
});
