// Requests to the user's own Services: who answered, and why nobody did.
import { describe, expect, test } from "vitest";
import { type AnswersView, type Asked, portToCall, serviceIsAnswered } from "../../src/checks/answers.ts";
import type { Call } from "../../src/checks/attempt.ts";
import { placesOf, preferenceOf } from "../../src/checks/places.ts";
import type { Offer } from "../../src/facts/endpoints.ts";
import type { MeshConfig } from "../../src/facts/mesh-config.ts";
import type { Policy } from "../../src/facts/policies.ts";
import type { Upstream } from "../../src/facts/upstreams.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";

const ok: Call = { status: 200, body: "hello", milliseconds: 3 };
const RESET = "upstream connect error or disconnect/reset before headers. ";
/** As the sidecar's access log has it, under an error page of the platform's own. */
const byFlags = (flags: string, details: string): Call => ({
  status: 503,
  body: "<h1>Sorry</h1>",
  refusal: { by: "sidecar", flags: flags.split(","), details, reason: "", upstream: "" },
});
const UF: Call = {
  status: 503,
  body: `${RESET}reset reason: remote connection failure, transport failure reason: delayed connect error: 111`,
};
const UC: Call = { status: 503, body: `${RESET}reset reason: connection termination` };
const UH: Call = { status: 503, body: "no healthy upstream" };
const fill = (number: number, call = ok) => Array.from({ length: number }, () => call);

const at = (address: string, more: Partial<Upstream> = {}): Upstream => ({
  ...{ address, made: 5, failed: 0, requests: 5, good: 5, errors: 0, priority: 0, weight: 1, health: "healthy" },
  ...more,
});
const none = { made: 0, requests: 0, good: 0 };
const POD = "10.1.0.1:8080";
const GATEWAY = "192.0.2.2:15443";

type World = Partial<Omit<AnswersView, "asked">> & { asked?: Partial<Asked> };
const judge = ({ asked, ...more }: World = {}) =>
  serviceIsAnswered({
    service: { namespace: "apps", name: "web", request: "/healthz?token=secret" },
    source: "east",
    asked: { port: 80, first: ok, tries: 1, seconds: 1, more: fill(10), upstreams: [at(POD), at(GATEWAY)], ...asked },
    places: new Map([
      [POD, ["east"]],
      [GATEWAY, ["west"]],
    ]),
    having: ["east", "west"],
    preference: undefined,
    exported: [],
    deciding: [],
    ...more,
  });

describe("what is answered is green", () => {
  test.each<[string, World, RegExp, RegExp?]>([
    [
      "by all",
      {},
      /^10 of 10 requests from east to \/healthz of apps\/web:80 were answered \(HTTP 200\): 5 by east, 5 by west\.$/,
    ],
    [
      "by whatever status the application gives",
      { asked: { more: [{ ...ok, status: 401 }, ...fill(9, { ...ok, status: 404 })] } },
      /were answered \(1 by HTTP 401, 9 by HTTP 404\)/,
    ],
    [
      "by an error of the application's own",
      {
        asked: {
          more: [ok, ...fill(9, { status: 500, body: "stack trace" })],
          upstreams: [at(POD, { good: 1, errors: 4 }), at(GATEWAY, { good: 0, errors: 5 })],
        },
      },
      /1 by HTTP 200, 9 by HTTP 500\): 5 by east, 5 by west/,
      /^9 of 10 answers are errors of the application itself\.$/,
    ],
    [
      "by a policy's refusal",
      { asked: { more: fill(10, { status: 403, body: "RBAC: access denied" }) } },
      /HTTP 403/,
      /policy refuses the probe/,
    ],
    [
      "by a port of TCP, where connections alone are counted",
      { asked: { upstreams: [at(POD, { good: 0 }), at(GATEWAY, { good: 0 })] } },
      /5 by east, 5 by west/,
    ],
    [
      "behind one gateway of two clusters",
      {
        having: ["west", "north"],
        places: new Map([[GATEWAY, ["west", "north"]]]),
        asked: { upstreams: [at(GATEWAY, { good: 9 })] },
      },
      /: 9 by west or north\.$/,
    ],
    [
      "by an address of IPv6",
      {
        places: new Map([["2001:db8::7:15443", ["west"]]]),
        having: ["west"],
        asked: { upstreams: [at("[2001:db8::7]:15443")] },
      },
      /: 5 by west\.$/,
    ],
    [
      "by whom was not seen",
      { asked: { upstreams: { problem: "HTTP 500" } } },
      /HTTP 200\)\.$/,
      /^By which clusters' endpoints was not seen: HTTP 500$/,
    ],
    [
      "where a VirtualService sends it elsewhere",
      { asked: { upstreams: [at(POD, none), at(GATEWAY, none)] } },
      /HTTP 200\)\.$/,
      /is there a VirtualService that answers, or sends it elsewhere/,
    ],
    [
      "where others had to stand in now and then",
      { asked: { upstreams: [at(POD), at(GATEWAY, { good: 4, errors: 1, failed: 1 })] } },
      /5 by east, 4 by west\.$/,
      /^1 more failed at 192\.0\.2\.2:15443 \(west\), and the proxy tried again/,
    ],
    [
      "where the far ones are the second choice",
      { asked: { upstreams: [at(POD, { good: 9 }), at(GATEWAY, { ...none, priority: 1 })] } },
      /9 by east\. west was not seen to be asked: the proxy prefers endpoints that are nearer\.$/,
    ],
    [
      "where a rule may pass some over",
      { preference: "a hash decides", asked: { upstreams: [at(POD, { good: 9 }), at(GATEWAY, none)] } },
      /west was not seen to be asked: a hash decides\.$/,
    ],
    [
      "where chance may",
      { asked: { upstreams: [at(POD, { good: 9, weight: 9 }), at(GATEWAY, none)] } },
      /it has 1 of 10 shares, and none of 9 requests came there\.$/,
    ],
    [
      "where one is unhealthy",
      { asked: { upstreams: [at(POD, { good: 9 }), at(GATEWAY, { ...none, health: "/failed_outlier_check" })] } },
      /west was not seen to be asked: the proxy takes its endpoints for unhealthy/,
    ],
    [
      "where it is not known whose an address is",
      { places: new Map([[POD, ["east"]]]) },
      /5 by east, 5 by 192\.0\.2\.2:15443\. west was not seen to be asked: it may be what is at 192\.0\.2\.2:15443/,
    ],
    [
      "where nothing says why one was passed over",
      { asked: { upstreams: [at(POD, { good: 40 }), at(GATEWAY, none)] } },
      /40 by east\.$/,
      /^None of them was answered by west, though east's proxy has endpoints there/,
    ],
  ])("%s", (_, world, told, warning) => {
    const finding = judge(world);
    expect([finding.verdict, finding.cause]).toEqual(["passed", undefined]);
    expect(finding.evidence).toMatch(told);
    if (warning) expect(finding.warning).toMatch(warning);
    else expect(finding.warning).toBeUndefined();
    expect(JSON.stringify(finding)).not.toMatch(/secret|stack trace/);
  });
});

describe("what is not answered is told with its cause", () => {
  test.each<[string, World, "failed" | "unknown", RegExp, (readonly string[])?]>([
    [
      "no endpoint",
      { asked: { first: UH, more: [], upstreams: [] } },
      "failed",
      /^east's requests to apps\/web:80 are not answered, for 1 s: the proxy has no endpoint of it\. Envoy says UH: HTTP 503: no healthy upstream\.$/,
      ["west"],
    ],
    [
      "a name that does not resolve",
      { asked: { first: UH, more: [], upstreams: [at(POD, none), at(GATEWAY, none)] } },
      "failed",
      /its name, web\.apps\.svc, does not resolve there/,
    ],
    [
      "all unhealthy",
      { asked: { first: UH, more: [], upstreams: [at(POD, { ...none, health: "/failed_outlier_check" })] } },
      "failed",
      /takes all its endpoints for unhealthy \(\/failed_outlier_check\)/,
    ],
    [
      "a gateway that does not take connections",
      { asked: { first: UF, more: [], upstreams: [at(GATEWAY, { good: 0, errors: 5, failed: 5 })] } },
      "failed",
      /connections fail at 192\.0\.2\.2:15443 \(west\)\. Envoy says UF:/,
      ["west"],
    ],
    [
      "a certificate",
      {
        asked: {
          first: { ...UF, body: `${UF.body} TLS_error:|268435581:CERTIFICATE_VERIFY_FAILED` },
          more: [],
          upstreams: [at(GATEWAY, { good: 0, errors: 5, failed: 5 })],
        },
      },
      "failed",
      /do not accept each other's certificates at 192\.0\.2\.2:15443 \(west\)/,
      ["west"],
    ],
    [
      "a rule that aborts",
      { asked: { first: byFlags("FI", "fault_filter_abort"), more: [] } },
      "failed",
      /a VirtualService aborts them \(fault\.abort\)\. Envoy says FI/,
    ],
    [
      "a subset that is not there",
      { asked: { first: byFlags("NC", "cluster_not_found"), more: [] } },
      "failed",
      /routed to a subset that no DestinationRule has/,
    ],
    [
      "a certificate, by the flags alone",
      {
        asked: {
          first: byFlags("UF,URX", "upstream_reset_before_response_started{TLS_error:CERTIFICATE_VERIFY_FAILED}"),
          more: [],
          upstreams: [at(GATEWAY, { good: 0, errors: 5, failed: 5 })],
        },
      },
      "failed",
      /do not accept each other's certificates/,
      ["west"],
    ],
    [
      "an application that does not listen",
      {
        asked: {
          first: ok,
          more: [...fill(6), ...fill(4, UC)],
          upstreams: [at(POD), at(GATEWAY, { good: 0, errors: 4 })],
        },
      },
      "failed",
      /^Only 6 of 10 requests .*: the connection is taken, and what is behind it does not answer at 192\.0\.2\.2:15443 \(west\)\. Envoy says UC/,
      ["west"],
    ],
    [
      "no answer in time",
      { asked: { first: { status: 504, body: "upstream request timeout" }, more: [] } },
      "failed",
      /there was no answer within 5 s\. Envoy says UT/,
    ],
    [
      "a cluster in whose place others answer",
      { asked: { upstreams: [at(POD, { good: 9 }), at(GATEWAY, { good: 0, errors: 4, failed: 4 })] } },
      "failed",
      /^Of apps\/web:80, what is in west does not answer east: 4 tries at 192\.0\.2\.2:15443 failed\. Others answered in its place/,
      ["west"],
    ],
    [
      "a cluster of which the proxy has nothing",
      { asked: { upstreams: [at(POD, { good: 9 })] } },
      "failed",
      /were answered \(HTTP 200\), but the probe's proxy in east has no endpoint of it in west\.$/,
      ["west"],
    ],
    [
      "a connection that a policy may have closed",
      {
        deciding: ["AuthorizationPolicy apps/some of west"],
        asked: { first: UC, more: [], upstreams: [at(GATEWAY, { good: 0 })] },
      },
      "unknown",
      /connections are closed, as a policy does it on a port that is not of HTTP, and AuthorizationPolicy apps\/some of west decides/,
    ],
    [
      "a connection that no policy closes, for the port is of HTTP",
      {
        deciding: ["AuthorizationPolicy apps/some of west"],
        asked: { first: UC, more: [], upstreams: [at(GATEWAY, { good: 0, errors: 5 })] },
      },
      "failed",
      /what is behind it does not answer at 192\.0\.2\.2:15443 \(west\)/,
      ["west"],
    ],
    [
      "a Service that the proxy does not know",
      { asked: { upstreams: undefined } },
      "unknown",
      /does not know apps\/web:80: what answers it \(HTTP 200\) is asked past the mesh/,
    ],
    [
      "a path that no route is for",
      {
        asked: {
          first: { status: 404, body: "" },
          more: fill(9, { status: 404, body: "" }),
          upstreams: [at(POD, none), at(GATEWAY, none)],
        },
      },
      "unknown",
      /answers east by HTTP 404, and no endpoint of apps\/web:80 itself was asked: is there a VirtualService/,
    ],
    [
      "a probe that cannot be asked",
      { asked: { first: { status: undefined, body: "pods is forbidden" } } },
      "unknown",
      /could not be asked through its API server: pods is forbidden/,
    ],
  ])("%s", (_, world, verdict, cause, clusters) => {
    const finding = judge(world);
    expect([finding.verdict, finding.evidence]).toEqual([verdict, ""]);
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).not.toBe("");
    expect(finding.clusters).toEqual(clusters);
  });
});

describe("the port that is called", () => {
  const service = (...ports: object[]): KubernetesObject =>
    ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "apps", name: "web" },
      spec: { ports },
    }) as KubernetesObject;
  const web = { namespace: "apps", name: "web" };
  test.each<[string, number | undefined, KubernetesObject | undefined, number | RegExp]>([
    ["the one that was asked for", 81, service({ port: 80 }, { port: 81 }), 81],
    ["the same where the Service is not there", 81, undefined, 81],
    ["the first of HTTP", undefined, service({ name: "tcp", port: 79 }, { name: "http-web", port: 80 }), 80],
    ["the first of TCP", undefined, service({ protocol: "UDP", port: 53 }, { port: 79 }), 79],
    ["none of TLS", undefined, service({ name: "https", port: 443 }, { name: "tcp", port: 79 }), 79],
    ["of TLS alone", undefined, service({ name: "https", port: 443 }), /speaks TLS of its own there/],
    ["of TLS, asked for", 443, service({ appProtocol: "https", port: 443 }), /speaks TLS of its own there/],
    ["of no Service", undefined, undefined, /east has no Service apps\/web that would say which port/],
  ])("%s", (_, port, found, told) => {
    const call = () => portToCall({ ...web, ...(port ? { port } : {}) }, "east", found);
    if (typeof told === "number") expect(call()).toBe(told);
    else expect(call).toThrow(told);
  });
});

test("behind a gateway are the endpoints of all clusters of its network, and pods' own addresses in one network", () => {
  const offer = (address: string): Offer => ({
    services: new Map(),
    endpoints: new Map([["apps/web", { ready: new Set([address]), all: new Set([address]) }]]),
    namespaces: new Map(),
  });
  const gateway = (cluster: string, address: string) => ({ network: "n2", cluster, address, port: 15443 });
  const places = placesOf({
    service: "apps/web",
    source: "east",
    offers: new Map([
      ["east", offer("10.1.0.1:80")],
      ["near", offer("10.1.0.2:80")],
      ["west", offer("10.2.0.1:80")],
      ["north", offer("10.2.0.2:80")],
      ["routed", offer("10.3.0.1:80")],
    ]),
    networks: new Map([
      ["east", "n1"],
      ["near", "n1"],
      ["west", "n2"],
      ["north", "n2"],
      ["routed", "n3"],
    ]),
    gateways: [gateway("west", "192.0.2.2"), gateway("north", "192.0.2.3")],
  });
  expect(Object.fromEntries(places)).toEqual({
    "10.1.0.1:80": ["east"],
    "10.1.0.2:80": ["near"],
    "192.0.2.2:15443": ["west", "north"],
    "192.0.2.3:15443": ["west", "north"],
    "10.3.0.1:80": ["routed"],
  });
});

describe("what may pass endpoints over", () => {
  const rule = (trafficPolicy: object, namespace = "apps", more: object = {}): Policy =>
    ({
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { namespace, name: "rule" },
      spec: { host: "web", trafficPolicy, ...more },
    }) as Policy;
  const service = (spec: object, annotations = {}) =>
    ({ apiVersion: "v1", kind: "Service", metadata: { name: "web", annotations }, spec }) as KubernetesObject;
  const DISTRIBUTE = { distribute: [{ from: "*", to: {} }] };
  test.each<
    [string, Parameters<typeof preferenceOf>[2], Policy[] | undefined, Partial<MeshConfig> | undefined, RegExp?]
  >([
    ["nothing", undefined, [], {}],
    [
      "outlier detection",
      undefined,
      [rule({ outlierDetection: {} })],
      {},
      /outlierDetection of DestinationRule apps\/rule/,
    ],
    [
      "outlier detection where locality is off",
      undefined,
      [rule({ outlierDetection: {} })],
      { localityLbSetting: { enabled: false } },
    ],
    [
      "outlier detection of another port",
      undefined,
      [rule({ portLevelSettings: [{ port: { number: 81 }, outlierDetection: {} }] })],
      {},
    ],
    [
      "that of this port",
      undefined,
      [rule({ portLevelSettings: [{ port: { number: 80 }, outlierDetection: {} }] })],
      {},
      /outlierDetection/,
    ],
    [
      "what a port's own settings leave out",
      undefined,
      [rule({ outlierDetection: {}, portLevelSettings: [{ port: { number: 80 } }] })],
      {},
    ],
    ["a hash", undefined, [rule({ loadBalancer: { consistentHash: {} } })], {}, /by a hash/],
    [
      "the mesh's distribution",
      undefined,
      [],
      { localityLbSetting: DISTRIBUTE },
      /^the mesh configuration distributes/,
    ],
    [
      "a rule's distribution",
      undefined,
      [rule({ loadBalancer: { localityLbSetting: DISTRIBUTE } })],
      {},
      /^DestinationRule apps\/rule distributes/,
    ],
    [
      "a rule that is not for these callers",
      undefined,
      [rule({ outlierDetection: {} }, "apps", { exportTo: ["."] })],
      {},
    ],
    ["a rule of another namespace", undefined, [rule({ outlierDetection: {} }, "shop", { host: "*.local" })], {}],
    [
      "the mesh's rule for all",
      undefined,
      [rule({ outlierDetection: {} }, "mesh-system", { host: "*.local" })],
      {},
      /mesh-system\/rule/,
    ],
    [
      "that behind the Service's own",
      undefined,
      [rule({ outlierDetection: {} }, "mesh-system", { host: "*.local" }), rule({})],
      {},
    ],
    ["the Service's own word", service({ trafficDistribution: "PreferClose" }), [], {}, /PreferClose/],
    [
      "the same as an annotation",
      service({}, { "networking.istio.io/traffic-distribution": "PreferClose" }),
      [],
      {},
      /PreferClose/,
    ],
    ["what could not be read", undefined, undefined, {}, /could not be read/],
    ["a mesh configuration that could not be read", undefined, [], undefined, /could not be read/],
  ])("%s", (_, object, policies, config, told) => {
    const route = { host: "web.apps.svc.cluster.local", namespace: "apps", caller: "", rootNamespace: "mesh-system" };
    const all = config && ({ localityLbSetting: {}, ...config } as MeshConfig);
    const found = preferenceOf(route, 80, object, policies, all);
    if (told) expect(found).toMatch(told);
    else expect(found).toBeUndefined();
  });
});

test("a Service that is exported to others alone is not asked for what it does not promise", () => {
  const { verdict, cause } = judge({ exported: ["apps"], asked: { upstreams: undefined } });
  expect([verdict, cause]).toEqual(["skipped", expect.stringMatching(/^apps\/web:80 is exported to apps alone\./)]);
});
