import { describe, expect, test } from "vitest";
import type { IstiodView } from "../../src/checks/istiod.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { readerMayRead } from "../../src/checks/reader.ts";
import { type Access, remoteChecks } from "../../src/checks/remote-access.ts";
import { strangersAmong } from "../../src/checks/strangers.ts";
import { ownerOf } from "../../src/mesh/claim.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { remoteSecret } from "../../src/mesh/objects/secrets.ts";
import { remoteKubeconfig } from "../../src/mesh/remote-kubeconfig.ts";
import { certificate as aCertificate } from "../mesh/certificate.ts";
import { meshOf } from "../steps/support.ts";

const SERVER = "https://10.0.0.2:6443";
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const NOW = new Date("2026-01-01T00:00:00Z");
const mesh = meshOf(["east", "west"]);
const roots = (await Promise.all(["A", "B"].map((name) => aCertificate({ name })))).map(({ pem }) => pem) as [
  string,
  string,
];
const checks = remoteChecks(mesh, NOW);

const kubeconfig = remoteKubeconfig("west", { server: SERVER, ca: CA, token: "header.claims.signature" });
const secret = (text: string) => ({ ...remoteSecret(mesh, "west", text), data: { west: btoa(text) } });

const refused: Access["review"] = () => {
  throw new Failure("There is no token for west to look at.");
};
const accepted: Access["review"] = () => ({ authenticated: true, username: "system:serviceaccount:x:reader" });
const synced: IstiodView = { pod: "istiod-1", clusters: [{ id: "west", syncStatus: "synced" }] };

/** @param env of the observer's istiod @param rootCa the target's own CA */
function judge(
  id: keyof typeof checks,
  text: string,
  access: Partial<Access> = {},
  views = [synced],
  { env = "", rootCa = CA } = {},
) {
  const container = { env: [{ name: "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS", value: env }] };
  const istiod = () => ({ spec: { template: { spec: { containers: [container] } } } });
  const observer = {
    spec: { name: "east" },
    remoteSecrets: () => [secret(text)],
    strayRemoteSecrets: () => [],
    views: () => views,
    istiod,
  };
  const target = { spec: { name: "west" }, servers: () => [SERVER], uid: () => "uid-west", rootCa: () => rootCa };
  return checks[id]!({
    observer: observer as unknown as Observation,
    target: target as unknown as Observation,
    access: { review: accepted, ...access },
  });
}

const nobody: Access["call"] = { problem: "no answer.", by: "nobody" };
const answered: Access["call"] = { uid: "uid-west" };
const unknownToken: Access["review"] = () => ({ authenticated: false });

const edited = (from: string | RegExp, to: string) => kubeconfig.replace(from, to);
const elsewhere = edited(SERVER, "https://192.0.2.9:6443");
const plugin = edited(/token: .*/, "exec: { command: aws }");
const certificate = edited(/token: .*/, "client-certificate-data: Y2VydA==\n      client-key-data: a2V5");

describe("remote.token", () => {
  test.each<[string, string, Partial<Access>, string, RegExp]>([
    ["a token that is accepted", kubeconfig, {}, "passed", /accepts the token as .*never expires/],
    [
      "a token that is not",
      kubeconfig,
      { review: () => ({ authenticated: false, error: "[invalid bearer token]" }) },
      "failed",
      /^west does not accept the token .*\(invalid bearer token\)/,
    ],
    [
      "a token of a proxy's",
      elsewhere,
      { review: unknownToken, call: answered },
      "passed",
      /what stands before the API server takes it/,
    ],
    [
      "a token that was revoked, tried",
      kubeconfig,
      { review: unknownToken, call: { problem: "401.", by: "answer" } },
      "failed",
      /^west does not accept/,
    ],
    [
      "a token that was revoked, where nothing can be tried",
      kubeconfig,
      { review: unknownToken, call: nobody },
      "failed",
      /^west does not accept/,
    ],
    [
      "a token of a proxy's that cannot be reached",
      elsewhere,
      { review: unknownToken, call: nobody },
      "unknown",
      /whether https:\/\/192\.0\.2\.9:6443 takes it could not be tried from here: no answer\.$/,
    ],
    ["a command", plugin, { review: refused }, "skipped", /logs in to west by a command of its own container/],
    [
      "a client certificate that is accepted",
      certificate,
      { review: refused, call: { uid: "uid-west" } },
      "passed",
      /^west accepts the client certificate in the remote secret for it\.$/,
    ],
    [
      "a client certificate that cannot be tried",
      certificate,
      { review: refused, call: nobody },
      "unknown",
      /no token but a client certificate, .* could not be tried from here: no answer\.$/,
    ],
    [
      "nothing to log in with",
      edited(/token: .*/, "name: nobody"),
      { review: refused },
      "unknown",
      /with something to log in with/,
    ],
  ])("%s", (_, text, access, verdict, told) => {
    const finding = judge("remote.token", text, access);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(told);
  });
});

describe("remote.kubeconfig", () => {
  test.each<[string, string, Partial<Access>, IstiodView[], string, RegExp]>([
    ["of the target", kubeconfig, {}, [synced], "passed", /is west's API server\.$/],
    ["at an address that its secret proves", elsewhere, { call: { uid: "uid-west" } }, [], "passed", /it was called/],
    ["at an address that istiod reads by", elsewhere, {}, [synced], "passed", /istiod has read west by it/],
    ["of another cluster", elsewhere, { call: { uid: "other" } }, [synced], "failed", /leads to another cluster/],
    [
      "nowhere",
      elsewhere,
      { call: { problem: "no route.", by: "nobody" } },
      [],
      "failed",
      /none of west's .*either: no route\.$/,
    ],
    [
      "at an address that a stranger has here",
      edited(SERVER, "https://10.9.9.9:6443"),
      { call: { problem: "Not accepted.", by: "certificate" } },
      [synced],
      "passed",
      /istiod has read west by it/,
    ],
    [
      "where another certificate is presented to all",
      elsewhere,
      { call: { problem: "Not accepted.", by: "certificate" } },
      [synced],
      "failed",
      /^The CA in the remote secret for west is not the one of .*Not accepted\./,
    ],
    [
      "at a loopback address",
      edited(SERVER, "https://127.0.0.1:6443"),
      {},
      [synced],
      "failed",
      /a loopback address: istiod would ask itself/,
    ],
    ["that istiod refuses", plugin, {}, [synced], "failed", /\(exec\), which istiod refuses/],
    [
      "that istiod refuses for a user that is not used",
      `${kubeconfig}  - name: admin\n    user: { exec: { command: aws } }\n`,
      {},
      [synced],
      "failed",
      /\(exec\) in a user that it does not use, "admin", which istiod refuses/,
    ],
  ])("%s", (_, text, access, views, verdict, told) => {
    const finding = judge("remote.kubeconfig", text, access, views);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(told);
  });

  test("what istiod need not refuse is fit for use", () => {
    const judged = (env: string) => judge("remote.kubeconfig", plugin, { review: refused }, [synced], { env }).verdict;
    expect([judged("exec"), judged("tokenFile,exec"), judged("tokenFile")]).toEqual(["passed", "passed", "failed"]);
  });

  test.each<[string, Partial<Access>, [string, RegExp]]>([
    [
      "refused",
      { call: { problem: "Not accepted.", by: "certificate" } },
      ["failed", /^The CA in the remote secret for west is not the one of .*Not accepted\. An istiod goes on/],
    ],
    ["accepted at that address", { call: answered }, ["passed", /its UID is west's\.$/]],
    ["not tried", { call: nobody }, ["passed", /another than .* could not be tried from here: no answer\.$/]],
    ["not what is the matter", { call: { problem: "401.", by: "answer" } }, ["passed", /is west's API server\.$/]],
  ])("another CA than the target's own: %s", (_, access, wanted) => {
    const text = remoteKubeconfig("west", { server: SERVER, ca: roots[0], token: "t" });
    const finding = judge("remote.kubeconfig", text, access, [synced], { rootCa: roots[1] });
    expect([finding.verdict, finding.warning ?? finding.cause ?? finding.evidence]).toEqual([
      wanted[0],
      expect.stringMatching(wanted[1]),
    ]);
  });

  test("warns where the API server's certificate is not looked at", () => {
    const finding = judge("remote.kubeconfig", edited("server:", "insecure-skip-tls-verify: true\n      server:"));
    expect([finding.verdict, finding.warning]).toEqual(["passed", expect.stringMatching(/turns off the verification/)]);
  });
});

describe("remote.reader", () => {
  test.each<[string, [string, string[]][], string[], string, RegExp]>([
    ["all that log in", [["reader", []]], [], "passed", /^reader may read/],
    [
      "one that lacks a right",
      [
        ["reader", []],
        ["the password in a's remote secret", ["list pods"]],
      ],
      ["x"],
      "failed",
      /the password in a's remote secret may not list pods/,
    ],
    [
      "one that could not be tried",
      [["reader", []]],
      ["the OIDC in a's remote secret"],
      "unknown",
      /^What the OIDC in a's remote secret may read here is not known/,
    ],
    ["none", [], [], "skipped", /^No other cluster logs in here/],
  ])("%s", (_, lacking, untried, verdict, told) => {
    const finding = readerMayRead(new Map(lacking), untried);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(told);
  });
});

test("the cluster's own remote secret, which istiod ignores, is no stranger", () => {
  const held = (name: string) => ({ ...secret(kubeconfig), data: { [name]: "" } });
  const strangers = (name: string) => strangersAmong(ownerOf(mesh, "uid"), mesh, "east", [held(name)]).length;
  expect([strangers("east"), strangers("west"), strangers("north")]).toEqual([0, 0, 1]);
});
