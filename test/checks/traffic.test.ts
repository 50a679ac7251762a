import { describe, expect, test } from "vitest";
import type { Attempt, Call, Circumstances, Endpoint, Refusal } from "../../src/checks/attempt.ts";
import { judgePair, percentile } from "../../src/checks/traffic.ts";
import type { GatewayView } from "../../src/facts/gateway-view.ts";
import type { Policy } from "../../src/facts/policies.ts";
import type { Upstream } from "../../src/facts/upstreams.ts";
import { ANSWER_PORT } from "../../src/mesh/objects/probe.ts";

const pair = { source: "east", target: "west" };
const CALLER = "spiffe://cluster.local/ns/probe/sa/probe-east";
const seenAs = (uri: string) => `By=spiffe://cluster.local/ns/probe/sa/probe-west;Hash=abc;Subject="";URI=${uri}`;
const good: Call = { status: 200, body: "west\n", client: seenAs(CALLER), milliseconds: 3 };
const gateway: Endpoint[] = [{ address: "192.0.2.7", port: 15443 }];

const judge = ({ host = HOST, ...told }: Partial<Attempt>, circumstances?: Circumstances) =>
  judgePair(
    {
      pair,
      namespace: "probe",
      trustDomain: "cluster.local",
      first: good,
      tries: 1,
      seconds: 0.1,
      more: [],
      endpoints: gateway,
      gateway: ["192.0.2.7"],
      istioNamespace: "mesh-system",
      ...(host ? { host } : {}),
      ...told,
    },
    circumstances,
  );
const RESET = "upstream connect error or disconnect/reset before headers. reset reason: ";
const HOST = "probe-west.probe.svc.cluster.local";
const refused = (status: number | undefined, body: string): Partial<Attempt> => ({ first: { status, body } });

describe("a pair of clusters", () => {
  test("is proved by the target's answers, through its gateway, to the source's identity", () => {
    const more = [1, 2, 90].map((milliseconds) => ({ ...good, milliseconds }));
    const { verdict, evidence, readings } = judge({ more });
    expect([verdict, evidence]).toEqual([
      "passed",
      `4 of 4 requests answered by west through 192.0.2.7:15443, p50 2 ms, p99 90 ms; it saw ${CALLER}.`,
    ]);
    expect(readings?.find(({ source }) => source === "requests from east's probe")?.values).toMatchObject({
      answered: 4,
      of: 4,
      p50: 2,
      p99: 90,
    });
  });

  test("in one network is proved without a gateway", () => {
    const { verdict, evidence } = judge({ oneNetwork: true, endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }] });
    expect(verdict).toBe("passed");
    expect(evidence).toContain(`answered by west directly, in one network, at 10.0.0.9:${ANSWER_PORT}, p50`);
  });

  const elsewhere = { ...good, client: seenAs("spiffe://cluster.local/ns/probe/sa/probe-north") };

  test.each<[string, Partial<Attempt>, "failed" | "unknown", RegExp, RegExp]>([
    [
      "some of whose requests are lost",
      { more: [good, { status: 503, body: "no healthy upstream" }] },
      "failed",
      /^Only 2 of 3 connections from east were answered by west\. One of the others: HTTP 503: no healthy upstream\.$/,
      /gateway's pods in west/,
    ],
    [
      "that answers past the gateways",
      { endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }] },
      "failed",
      /past the gateways: .*\(10\.0\.0\.9\)/,
      /share a network/,
    ],
    ["whose way was not told", { endpoints: "HTTP 500" }, "unknown", /could not be seen: HTTP 500\.$/, /Run it again/],
    ["whose way is gone", { endpoints: [] }, "unknown", /could not be seen: east's proxy has no/, /Run it again/],
    [
      "whose caller cannot be asked",
      refused(undefined, "pods is forbidden"),
      "unknown",
      /probe in east could not be asked .*forbidden/,
      /pods\/proxy/,
    ],
    [
      "of which another one answers",
      { first: { ...good, body: "north\n" } },
      "failed",
      /^north answered east in place of west\.$/,
      /clusterName/,
    ],
    ["of which nobody says who answers", { first: { ...good, body: "" } }, "failed", /^Somebody else/, /clusterName/],
    [
      "that saw another caller",
      { first: elsewhere },
      "failed",
      /saw it as \S+probe-north instead of \S+probe-east\.$/,
      /PeerAuthentication/,
    ],
    [
      "that forbids it on the pods' own way",
      { ...refused(403, "RBAC: access denied"), endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }] },
      "failed",
      /^west refuses east's request: RBAC: access denied\.$/,
      /AuthorizationPolicy/,
    ],
    [
      "of which the source is told nothing",
      { ...refused(503, `${RESET}connection refused`), endpoints: [], host: "" },
      "failed",
      /^east's proxies are not told of a Service in another namespace/,
      /get sidecars\.networking\.istio\.io -A/,
    ],
    [
      "whose gateway has a name that nobody knows",
      {
        ...refused(503, `${RESET}connection timeout`),
        endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }],
        gateway: ["lb.example"],
      },
      "failed",
      /the name lb\.example of the gateway does not resolve where east's istiod runs\.$/,
      /RESOLVE_HOSTNAME_GATEWAYS/,
    ],
    [
      "of which the source knows no endpoint",
      { ...refused(503, "no healthy upstream"), endpoints: [] },
      "failed",
      /^east's proxies have no endpoint in west/,
      /^In east: istioctl remote-clusters -i mesh-system; .*kubectl -n mesh-system rollout restart/,
    ],
    [
      "of which the source knows the pods alone",
      { ...refused(503, "timeout"), endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }] },
      "failed",
      /the pods' own addresses in west \(10\.0\.0\.9:\d+\)/,
      /^In west: kubectl get service/,
    ],
    [
      "that have different roots",
      refused(503, `${RESET}remote connection failure, TLS_error: CERTIFICATE_VERIFY_FAILED`),
      "failed",
      /certificates are not accepted on the way from east to west: east does not accept west's certificate\./,
      /kubectl -n mesh-system get configmap istio-ca-root-cert/,
    ],
    [
      "of which the target refuses the certificate",
      refused(503, `${RESET}remote connection failure, TLS_error:|268436526:SSL routines:TLSV1_ALERT_UNKNOWN_CA`),
      "failed",
      /: west does not accept east's certificate\./,
      /istio-ca-root-cert/,
    ],
    [
      "whose gateway does not let anybody connect",
      refused(503, `${RESET}remote connection failure, delayed connect error: Connection refused`),
      "failed",
      /^The gateway of west at 192\.0\.2\.7:15443 does not take connections/,
      /Allow TCP 15443 to 192\.0\.2\.7 .*nc -vz 192\.0\.2\.7 15443$/,
    ],
    [
      "whose gateway is silent, and whose endpoints were not told",
      { ...refused(504, "upstream request timeout"), endpoints: "HTTP 500" },
      "failed",
      /^The gateway of west at 192\.0\.2\.7 does not take connections/,
      /nc -vz 192\.0\.2\.7 15443$/,
    ],
    [
      "whose gateway knows nothing to hand on to",
      refused(503, `${RESET}connection termination`),
      "failed",
      /takes the connection and closes it/,
      /AUTO_PASSTHROUGH/,
    ],
    [
      "that answers what nobody foresaw",
      { ...refused(418, "short and stout."), seconds: 29.7 },
      "failed",
      /^east's requests are not answered by west, for 30 s\. HTTP 418: short and stout\.$/,
      /^In east: istioctl remote-clusters -i mesh-system; istioctl proxy-config endpoints/,
    ],
  ])("%s", (_, told, verdict, cause, hint) => {
    const finding = judge(told);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
    expect(finding.readings?.length, "what it was seen by").toBeGreaterThan(0);
  });
});

test("a target that does not tell of its caller was called by mTLS all the same, for its gateway hands on nothing else", () => {
  const { verdict, evidence } = judge({ first: { status: 200, body: "west", milliseconds: 2 } });
  expect(verdict).toBe("passed");
  expect(evidence).toMatch(/as whom it was called was not seen/);
});

test("several addresses are told with how many connections each took", () => {
  const addresses = [
    { address: "192.0.2.7:15443", made: 6, failed: 0 },
    { address: "192.0.2.8:15443", made: 4, failed: 0 },
  ];
  expect(judge({ more: [good] }, { addresses }).evidence).toMatch(
    /through 192\.0\.2\.7:15443 \(6\), 192\.0\.2\.8:15443 \(4\), p50/,
  );
});

const view = (pod: string, told: Partial<GatewayView> = {}): GatewayView => ({
  pod,
  node: "node1",
  ports: [15443, 15021],
  names: new Set([`outbound_.${ANSWER_PORT}_._.${HOST}`]),
  refused: [],
  connections: 0,
  endpoints: new Map(),
  ...told,
});
const SNI = `outbound_.${ANSWER_PORT}_._.${HOST}`;
const upstream = (address: string, made: number, failed: number): Upstream => ({
  ...{ address, made, failed, requests: made, good: 0, errors: 0, priority: 0, weight: 1, health: "healthy" },
});
const lost: Call = { status: 504, body: "upstream request timeout" };

describe("where some connections are lost", () => {
  test.each<[string, Circumstances, RegExp, RegExp]>([
    [
      "a pod of the gateway that is stuck is named",
      {
        gateways: [view("gw-a", { connections: 3 }), view("gw-b", { problem: "no answer", silent: 4, node: "node2" })],
      },
      /: its gateway's pod gw-b on node node2 does not answer its own node either, for 4 s: it is stuck\. One of/,
      /metadata\.name=gw-b/,
    ],
    [
      "a pod of the gateway that handed on nothing is named",
      { gateways: [view("gw-a", { connections: 3 }), view("gw-b")] },
      /: its gateway's pod gw-b on node node1 has handed on none\. One of/,
      /metadata\.name=gw-b/,
    ],
    [
      "a pod that may not be asked is not",
      { gateways: [view("gw-a", { connections: 3 }), view("gw-b", { problem: "forbidden" })] },
      /were answered by west\. One of/,
      /Look at the gateway's pods in west/,
    ],
    [
      "the address is named",
      {
        addresses: [
          { address: "192.0.2.7:15443", made: 5, failed: 0 },
          { address: "192.0.2.8:15443", made: 5, failed: 5 },
        ],
      },
      /: 5 of 5 to 192\.0\.2\.8:15443 failed\. One of/,
      /nc -vz 192\.0\.2\.8 15443/,
    ],
  ])("%s", (_, circumstances, cause, hint) => {
    const finding = judge({ more: [good, lost] }, circumstances);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
  });

  test("what the API server could not hand on is no connection", () => {
    const finding = judge({ more: [good, { status: undefined, body: "timeout" }] });
    expect(finding.evidence).toMatch(/^2 of 2 requests/);
    expect(finding.warning).toMatch(/^Of 3 connections from \w+ to \w+ 1 could not be asked for, .*: timeout$/);
  });
});

const named = (kind: string, name: string, spec: Policy["spec"]): Policy => ({
  apiVersion: "v1",
  kind,
  metadata: { namespace: "mesh-system", name },
  ...(spec ? { spec } : {}),
});
const rule = (name: string, host: string, mode?: string, more: object = {}) =>
  named("DestinationRule", name, { host, ...(mode ? { trafficPolicy: { tls: { mode } } } : {}), ...more });
const inCluster = (cluster: string, ...policies: Policy[]): Circumstances => ({
  policies: new Map([[cluster, { namespace: "mesh-system", policies }]]),
});

/** The same where proxies use no mTLS by themselves. */
const without = (cluster: string, ...policies: Policy[]): Circumstances => ({
  policies: new Map([[cluster, { namespace: "mesh-system", policies, autoMtls: false }]]),
});

describe("what the mesh says of all its workloads", () => {
  const none: Partial<Attempt> = { ...refused(503, "no healthy upstream"), endpoints: [] };
  const untold: Partial<Attempt> = { ...refused(503, `${RESET}connection refused`), endpoints: [], host: "" };

  test.each<[string, Partial<Attempt>, Circumstances, RegExp]>([
    [
      "a DestinationRule that turns mTLS off",
      none,
      inCluster("east", rule("plain", "*.local", "DISABLE")),
      /^DestinationRule mesh-system\/plain in east sets tls\.mode DISABLE for \*\.local: /,
    ],
    [
      "the same in the target, whose gateway then has no endpoint",
      refused(503, `${RESET}connection termination`),
      inCluster("west", rule("plain", "*.local", "DISABLE")),
      /^DestinationRule mesh-system\/plain in west sets/,
    ],
    [
      "a PeerAuthentication that turns mTLS off",
      none,
      inCluster("west", named("PeerAuthentication", "default", { mtls: { mode: "DISABLE" } })),
      /^PeerAuthentication mesh-system\/default in west turns mTLS off/,
    ],
    [
      "the same in the source, whose istiod then sends none",
      none,
      inCluster("east", named("PeerAuthentication", "default", { mtls: { mode: "DISABLE" } })),
      /^PeerAuthentication mesh-system\/default in east turns mTLS off/,
    ],
    [
      "mTLS that nobody asks for and that is not used by itself",
      refused(503, `${RESET}connection termination`),
      without("east", rule("pool", "*.local")),
      /^The mesh configuration of east turns automatic mTLS off \(enableAutoMtls: false\), and no DestinationRule of/,
    ],
    [
      "a Sidecar that hides other namespaces",
      untold,
      inCluster("east", named("Sidecar", "default", { egress: [{ hosts: ["mesh-system/*", "~/*"] }] })),
      /^Sidecar mesh-system\/default in east hides other namespaces' Services .*mesh-system\/\*/,
    ],
  ])("is told by its own name: %s", (_, attempt, circumstances, cause) => {
    const finding = judge(attempt, circumstances);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(/kubectl -n mesh-system (edit|get)/);
  });

  test("a VirtualService for all of them, too, whoever answered", () => {
    const away = named("VirtualService", "away", { hosts: ["*.local"], http: [{ directResponse: { status: 200 } }] });
    const finding = judge({ first: { ...good, body: "away" } }, inCluster("east", away));
    expect([finding.verdict, finding.cause]).toEqual([
      "failed",
      "VirtualService mesh-system/away in east is for *.local and has proxies answer, or redirect, every request themselves, so east's request does not get to west.",
    ]);
    const own = named("VirtualService", "own", { hosts: ["*.local"], exportTo: ["."], http: [{ directResponse: {} }] });
    expect(judge(none, inCluster("east", own)).cause).toMatch(/have no endpoint in west/);
  });

  test.each<[string, Partial<Attempt>, Circumstances]>([
    [
      "a DestinationRule for others",
      none,
      inCluster(
        "east",
        rule("elsewhere", "*.example.com", "DISABLE"),
        rule("private", "*.local", "DISABLE", { exportTo: ["."] }),
        rule("all", "*", "DISABLE"),
        rule("closer", "*.svc.cluster.local", "ISTIO_MUTUAL"),
      ),
    ],
    ["a DestinationRule without TLS", none, inCluster("east", rule("pool", "*.local"))],
    ["mTLS that is not used by itself, but asked for", none, without("east", rule("mtls", "*.local", "ISTIO_MUTUAL"))],
    [
      "a PeerAuthentication for some workloads",
      none,
      inCluster(
        "west",
        named("PeerAuthentication", "some", { mtls: { mode: "DISABLE" }, selector: { matchLabels: { app: "old" } } }),
      ),
    ],
    [
      "a PeerAuthentication that a DestinationRule is stronger than",
      none,
      inCluster(
        "east",
        rule("mutual", "*.local", "ISTIO_MUTUAL"),
        named("PeerAuthentication", "default", { mtls: { mode: "DISABLE" } }),
      ),
    ],
    [
      "a Sidecar that shows the namespace",
      untold,
      inCluster("east", named("Sidecar", "default", { egress: [{ hosts: ["./*", "mesh-system/*"] }] })),
    ],
    [
      "a Sidecar for some workloads",
      untold,
      inCluster(
        "east",
        named("Sidecar", "some", { workloadSelector: { labels: {} }, egress: [{ hosts: ["mesh-system/*"] }] }),
      ),
    ],
  ])("is not blamed where it is no matter: %s", (_, attempt, circumstances) => {
    expect(judge(attempt, circumstances).cause).toMatch(/have no endpoint in west|are not told of a Service/);
  });

  test("a policy that refuses the request proves the way to whom it protects", () => {
    const deny = named("AuthorizationPolicy", "nobody", { action: "DENY", rules: [{}] });
    const some = { action: "DENY", rules: [{}], selector: { matchLabels: { app: "db" } } };
    const { verdict, evidence, warning } = judge(
      refused(403, "RBAC: access denied"),
      inCluster("west", deny, named("AuthorizationPolicy", "some", some)),
    );
    expect([verdict, evidence]).toEqual([
      "passed",
      "east's request came through 192.0.2.7:15443 to west's own proxy, which refused it: RBAC: access denied.",
    ]);
    expect(warning).toMatch(
      /^AuthorizationPolicy mesh-system\/nobody \(DENY\) of west refuses what the probe in east asks/,
    );
  });
});

test("the mesh configuration may have all proxies see their own network alone", () => {
  const policies = new Map([["east", { namespace: "mesh-system", policies: [], networkView: "net-e" }]]);
  const none: Partial<Attempt> = { ...refused(503, "no healthy upstream"), endpoints: [] };
  const judged = (targetNetwork: string) => judge({ ...none, targetNetwork }, { policies }).cause;
  expect(judged("net-w")).toMatch(/^The mesh configuration of east has all proxies be told of net-e alone .*net-w\.$/);
  expect(judged("net-e")).toMatch(/have no endpoint in west/);
});

test("what NetworkPolicies of a rule of the cluster's own may have stopped says nothing of the mesh", () => {
  const walls = new Map([["west", ["default-deny"]]]);
  const lost = refused(503, `${RESET}connection timeout`);
  expect(judge(lost, { walls })).toMatchObject({
    verdict: "unknown",
    cause: expect.stringMatching(/\(default-deny in west\), and east's request was not answered/),
  });
  expect(judge(lost, { walls: new Map([["west", []]]) }).verdict).toBe("failed");
});

describe("in one network", () => {
  const direct: Partial<Attempt> = { oneNetwork: true, endpoints: [{ address: "10.0.0.9", port: ANSWER_PORT }] };
  const lostThere = refused(503, `${RESET}connection timeout`);

  test("pods that are not reached are told as that, and no gateway is asked for", () => {
    expect(judge({ ...lostThere, ...direct }).cause).toMatch(/^west's pods, 10\.0\.0\.9:8080, do not take connections/);
  });

  test("no rule about mTLS is to blame", () => {
    const rules = inCluster("east", rule("plain", "*.local", "DISABLE"));
    expect(judge({ ...lostThere, ...direct }, rules).cause).toMatch(/^west's pods, /);
  });

  test("a policy that refuses the request proves the way", () => {
    expect(judge({ ...refused(403, "RBAC: access denied"), ...direct }).verdict).toBe("passed");
  });

  test("a caller that was not seen may have come without mTLS", () => {
    const { verdict, warning } = judge({ first: { status: 200, body: "west" }, ...direct });
    expect([verdict, warning]).toEqual(["passed", expect.stringMatching(/whether by mTLS is not known/)]);
  });
});

/** As the access log of the source's sidecar would have it; the words say less. */
const byFlags = (flags: string, details: string, more: Partial<Refusal> = {}): Partial<Attempt> => ({
  first: {
    status: 503,
    body: "an error page of the platform's own",
    refusal: { by: "sidecar", flags: flags.split(","), details, reason: "", upstream: "192.0.2.7:15443", ...more },
  },
});
const RESET_BEFORE = "upstream_reset_before_response_started";
const TLS = (what: string) => `${RESET_BEFORE}{remote_connection_failure|TLS_error:|${what}:TLS_error_end}`;

describe("why a request failed is told by the flags and details of the Envoy that refused it, whatever its words", () => {
  test.each<[string, Partial<Attempt>, Circumstances, RegExp]>([
    [
      "nobody listens",
      byFlags("UF,URX", `${RESET_BEFORE}{remote_connection_failure|delayed_connect_error:_Connection_refused}`),
      {},
      /^The gateway of west at 192\.0\.2\.7:15443 does not take connections: HTTP 503: .*\(UF,URX .*Connection_refused\}\)/,
    ],
    ["nobody answers", byFlags("UF,URX", `${RESET_BEFORE}{connection_timeout}`), {}, /does not take connections/],
    [
      "it is taken, and closed as no name of the gateway's",
      byFlags("URX,UF", TLS("33554536:system_library:OPENSSL_internal:Connection_reset_by_peer")),
      { gateways: [view("gw", { names: new Set() })] },
      /takes the connection and closes it: it hands on nothing/,
    ],
    [
      "the gateway has no endpoint for the name",
      byFlags("UF", TLS("33554536:system_library:OPENSSL_internal:Connection_reset_by_peer")),
      { gateways: [view("gw")] },
      /^The gateway of west takes east's connection, knows what it asks for, and has no endpoint for it/,
    ],
    [
      "the gateway does not get through to the pod",
      byFlags("UF", TLS("33554536:system_library:OPENSSL_internal:Connection_reset_by_peer")),
      { gateways: [view("gw", { endpoints: new Map([[SNI, [upstream("10.0.0.9:8080", 6, 6)]]]) })] },
      /does not get through to the pod behind it: 6 of 6 connections to 10\.0\.0\.9:8080 failed/,
    ],
    [
      "the source does not accept the certificate",
      byFlags("UF", TLS("268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed")),
      {},
      /east does not accept west's certificate/,
    ],
    [
      "the target does not",
      byFlags("UC", `${RESET_BEFORE}{connection_termination}`, {
        reason: "TLS_error:|268436526:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA:TLS_error_end",
      }),
      {},
      /west does not accept east's certificate/,
    ],
    [
      "a rule wants another name in it",
      byFlags("UF", TLS("268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_SAN_list")),
      inCluster("east", {
        ...rule("san", "*.local"),
        spec: { host: "*.local", trafficPolicy: { tls: { mode: "ISTIO_MUTUAL", subjectAltNames: ["spiffe://x/y"] } } },
      }),
      /^DestinationRule mesh-system\/san in east wants spiffe:\/\/x\/y in the certificates of \*\.local/,
    ],
    [
      "a load balancer of HTTP stands before the gateway",
      byFlags("UF", TLS("268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER")),
      {},
      /^What answers at 192\.0\.2\.7:15443 speaks no TLS/,
    ],
    [
      "no route leads there",
      byFlags("UF", `${RESET_BEFORE}{remote_connection_failure|immediate_connect_error:_Network_is_unreachable}`),
      {},
      /does not take connections/,
    ],
    [
      "its endpoints are taken for unhealthy",
      byFlags("UH", "no_healthy_upstream"),
      {},
      /takes what it has of west .* for unhealthy/,
    ],
    [
      "the name does not resolve",
      byFlags("UH", "no_healthy_upstream", { by: "probe" }),
      {},
      /^The name probe-west\.probe\.svc, .* does not resolve in its pods/,
    ],
    ["a rule aborts it", byFlags("FI", "fault_filter_abort"), {}, /^A VirtualService in east aborts the request/],
  ])("%s", (_, attempt, circumstances, cause) => {
    const finding = judge(attempt, circumstances);
    expect(finding).toMatchObject({ verdict: "failed", cause: expect.stringMatching(cause) });
    expect(finding.hint).toBeTruthy();
  });

  test("and so is the policy", () => {
    const details = "rbac_access_denied_matched_policy[ns[rules]-policy[nobody]-rule[0]]";
    const first = {
      status: 403,
      body: "no",
      refusal: { by: "target" as const, flags: [], details, reason: "", upstream: "" },
    };
    expect(judge({ first })).toMatchObject({
      verdict: "passed",
      warning: expect.stringMatching(/^AuthorizationPolicy rules\/nobody of west refuses/),
    });
  });

  test("and so is a limit of requests at the target", () => {
    const refusal = { by: "target" as const, flags: ["RL"], details: "local_rate_limited", reason: "", upstream: "" };
    expect(judge({ first: { status: 429, body: "", refusal } })).toMatchObject({
      verdict: "passed",
      evidence: expect.stringMatching(/to west's own proxy, which refused it: HTTP 429\.$/),
      warning: expect.stringMatching(/^A limit of requests of west refuses/),
    });
  });

  test.each([302, 401])("a login for all who have none is a policy's, too: HTTP %i", (status) => {
    const login = named("AuthorizationPolicy", "login", { action: "CUSTOM", rules: [{}] });
    expect(judge({ first: { status, body: "" } }, inCluster("west", login))).toMatchObject({
      verdict: "passed",
      warning: expect.stringMatching(/^AuthorizationPolicy mesh-system\/login \(CUSTOM\) of west/),
    });
    expect(judge({ first: { status, body: "" } }, inCluster("west")).verdict).toBe("failed");
  });

  test("where Envoy says only that the connection failed, the gateway's own word decides", () => {
    const bare = refused(503, `${RESET}remote connection failure`);
    expect(judge(bare, { gateways: [view("gw", { names: new Set() })] }).cause).toMatch(
      /closes it: it hands on nothing/,
    );
    expect(judge(bare, { gateways: [view("gw")] }).cause).toMatch(/does not take connections/);
  });
});

describe("a gateway that closes what it takes", () => {
  const closed = refused(503, `${RESET}connection termination`);
  test.each<[string, GatewayView, RegExp]>([
    [
      "does not know the name",
      view("gw", { names: new Set(["outbound_.80_._.other"]) }),
      /it hands on 1 name, and not probe-west\.probe/,
    ],
    ["hands on nothing at all", view("gw", { names: new Set() }), /it hands on nothing/],
    [
      "knows the name, and where to go",
      view("gw", { endpoints: new Map([[SNI, [upstream("10.0.0.9:8080", 6, 0)]]]) }),
      /does not expose the service, or has no endpoint/,
    ],
    [
      "has refused a listener",
      view("gw", { names: new Set(), refused: ["duplicate filter chain"] }),
      /It has refused what istiod gave it: duplicate filter chain\./,
    ],
  ])("and %s", (_, gateways, cause) => {
    expect(judge(closed, { gateways: [gateways] }).cause).toMatch(cause);
  });
});

test.each([
  [[], 99, 0],
  [[7], 50, 7],
  [[1, 2, 3, 4], 50, 2],
  [[1, 2, 3, 4], 99, 4],
])("of %j the %ith percentile is %d", (sorted, percent, value) => {
  expect(percentile(sorted, percent)).toBe(value);
});
