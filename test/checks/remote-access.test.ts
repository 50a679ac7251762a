import { describe, expect, test } from "vitest";
import type { IstiodView } from "../../src/checks/istiod.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { type Access, remoteChecks } from "../../src/checks/remote-access.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { remoteSecret } from "../../src/mesh/objects/secrets.ts";
import { remoteKubeconfig } from "../../src/mesh/remote-kubeconfig.ts";
import { meshOf } from "../steps/support.ts";

const SERVER = "https://10.0.0.2:6443";
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const NOW = new Date("2026-01-01T00:00:00Z");
const mesh = meshOf(["east", "west"]);
const checks = remoteChecks(mesh, NOW);

const kubeconfig = remoteKubeconfig("west", { server: SERVER, ca: CA, token: "header.claims.signature" });
const secret = (text: string) => ({ ...remoteSecret(mesh, "west", text), data: { west: btoa(text) } });

const refused: Access["review"] = () => {
  throw new Failure("There is no token for west to look at.");
};
const accepted: Access["review"] = () => ({ authenticated: true, username: "system:serviceaccount:x:reader" });
const synced: IstiodView = { pod: "istiod-1", clusters: [{ id: "west", syncStatus: "synced" }] };

function judge(id: keyof typeof checks, text: string, access: Partial<Access> = {}, views = [synced]) {
  const observer = { spec: { name: "east" }, remoteSecrets: () => [secret(text)], views: () => views };
  const target = { spec: { name: "west" }, servers: () => [SERVER], uid: () => "uid-west" };
  return checks[id]!({
    observer: observer as unknown as Observation,
    target: target as unknown as Observation,
    access: { review: accepted, ...access },
  });
}

const edited = (from: string | RegExp, to: string) => kubeconfig.replace(from, to);
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
      "a client certificate that is accepted",
      certificate,
      { review: refused, call: { uid: "uid-west" } },
      "passed",
      /^west accepts the client certificate in the remote secret for it\.$/,
    ],
    [
      "a client certificate that cannot be tried",
      certificate,
      { review: refused, call: { problem: "no answer." } },
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
  const elsewhere = edited(SERVER, "https://192.0.2.9:6443");

  test.each<[string, string, Partial<Access>, IstiodView[], string, RegExp]>([
    ["of the target", kubeconfig, {}, [synced], "passed", /is west's API server\.$/],
    ["at an address that its secret proves", elsewhere, { call: { uid: "uid-west" } }, [], "passed", /it was called/],
    ["at an address that istiod reads by", elsewhere, {}, [synced], "passed", /istiod has read west by it/],
    ["of another cluster", elsewhere, { call: { uid: "other" } }, [synced], "failed", /leads to another cluster/],
    ["nowhere", elsewhere, { call: { problem: "no route." } }, [], "failed", /none of west's .*either: no route\.$/],
    [
      "at a loopback address",
      edited(SERVER, "https://127.0.0.1:6443"),
      {},
      [synced],
      "failed",
      /a loopback address: istiod would ask itself/,
    ],
    ["that istiod refuses", edited(/token: .*/, "exec: {}"), {}, [synced], "failed", /\(exec\), which istiod refuses/],
  ])("%s", (_, text, access, views, verdict, told) => {
    const finding = judge("remote.kubeconfig", text, access, views);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(told);
  });

  test("warns where the API server's certificate is not looked at", () => {
    const finding = judge("remote.kubeconfig", edited("server:", "insecure-skip-tls-verify: true\n      server:"));
    expect([finding.verdict, finding.warning]).toEqual(["passed", expect.stringMatching(/turns off the verification/)]);
  });
});
