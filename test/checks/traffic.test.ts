import { describe, expect, test } from "vitest";
import { type Attempt, type Call, type Endpoint, judgePair, percentile } from "../../src/checks/traffic.ts";
import { ANSWER_PORT } from "../../src/mesh/objects/probe.ts";

const pair = { source: "east", target: "west" };
const CALLER = "spiffe://cluster.local/ns/probe/sa/probe-east";
const seenAs = (uri: string) => `By=spiffe://cluster.local/ns/probe/sa/probe-west;Hash=abc;Subject="";URI=${uri}`;
const good: Call = { status: 200, body: "west\n", client: seenAs(CALLER), milliseconds: 3 };
const gateway: Endpoint[] = [{ address: "192.0.2.7", port: 15443 }];

const judge = (told: Partial<Attempt>) =>
  judgePair({
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
    ...told,
  });
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

  const elsewhere = { ...good, client: seenAs("spiffe://cluster.local/ns/probe/sa/probe-north") };
  const reset = "upstream connect error or disconnect/reset before headers. reset reason: ";

  test.each<[string, Partial<Attempt>, "failed" | "unknown", RegExp, RegExp]>([
    [
      "some of whose requests are lost",
      { more: [good, { status: 503, body: "no healthy upstream" }] },
      "failed",
      /^Only 2 of 3 requests from east were answered by west\. One of the others: HTTP 503: no healthy upstream\.$/,
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
      "without mTLS",
      { first: { status: 200, body: "west" } },
      "failed",
      /saw no certificate: the request was not mTLS/,
      /PeerAuthentication/,
    ],
    [
      "that saw another caller",
      { first: elsewhere },
      "failed",
      /saw it as \S+probe-north instead of \S+probe-east\.$/,
      /PeerAuthentication/,
    ],
    [
      "that forbids it",
      refused(403, "RBAC: access denied"),
      "failed",
      /^west refuses east's request: RBAC: access denied\.$/,
      /AuthorizationPolicy/,
    ],
    [
      "of which the source knows no endpoint",
      { ...refused(503, "no healthy upstream"), endpoints: [] },
      "failed",
      /^east knows no endpoint in west/,
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
      refused(503, `${reset}remote connection failure, TLS_error: CERTIFICATE_VERIFY_FAILED`),
      "failed",
      /certificates are not accepted/,
      /kubectl -n mesh-system get configmap istio-ca-root-cert/,
    ],
    [
      "whose gateway does not let anybody connect",
      refused(503, `${reset}remote connection failure, delayed connect error: Connection refused`),
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
      refused(503, `${reset}connection termination`),
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

test.each([
  [[], 99, 0],
  [[7], 50, 7],
  [[1, 2, 3, 4], 50, 2],
  [[1, 2, 3, 4], 99, 4],
])("of %j the %ith percentile is %d", (sorted, percent, value) => {
  expect(percentile(sorted, percent)).toBe(value);
});
