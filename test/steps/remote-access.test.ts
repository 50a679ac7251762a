import { describe, expect, test } from "vitest";
import type { Answer, Problem } from "../../src/checks/remote-access.ts";
import type { Survey } from "../../src/checks/survey.ts";
import { reviewsOnce } from "../../src/checks/tokens.ts";
import type { Kubeconfig } from "../../src/cluster/kubeconfig.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import { isCurrent, proved } from "../../src/steps/remote-access.ts";
import { Run } from "../../src/steps/run.ts";
import { base64 } from "../cluster/certificates.ts";
import { memberOf, meshOf, Told } from "./support.ts";

describe("a remote secret is current", () => {
  const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  const good = {
    server: "https://b.example",
    ca: CA,
    token: "token-b",
    tlsServerName: "",
    user: {} as object,
    cluster: {} as object,
  };

  function remoteSecret(parts: Partial<typeof good> = {}): Secret {
    const { server, ca, token, tlsServerName, user, cluster } = { ...good, ...parts };
    const kubeconfig = {
      "current-context": "b",
      contexts: [{ name: "b", context: { cluster: "b", user: "b" } }],
      clusters: [
        {
          name: "b",
          cluster: {
            server,
            "certificate-authority-data": base64(ca),
            ...(tlsServerName ? { "tls-server-name": tlsServerName } : {}),
            ...cluster,
          },
        },
      ],
      users: [{ name: "b", user: { token, ...user } }],
    };
    return {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "istio-remote-secret-b" },
      data: { b: base64(JSON.stringify(kubeconfig)) },
    };
  }
  const observer = (...remoteSecrets: Secret[]) => ({ remoteSecrets }) as unknown as Survey;
  const target = (token = "token-b", ca = CA) =>
    ({
      apiServer: { url: "https://b.example", source: "the kubeconfig" },
      readerToken: { data: { token: base64(token), "ca.crt": base64(ca) } },
    }) as unknown as Survey;
  const member = (kubeconfig: Partial<Kubeconfig> = {}, tlsServerName?: string) => {
    const { spec, cluster } = memberOf(meshOf(["a", "b"]), "b");
    return {
      spec: { ...spec, ...(tlsServerName ? { tlsServerName } : {}) },
      cluster,
      kubeconfig: kubeconfig as Kubeconfig,
    };
  };

  const rename = (secret: Secret, name: string): Secret => ({ ...secret, metadata: { name } });
  test.each<[string, Survey, Survey, boolean]>([
    ["as istioctl would make it now", observer(remoteSecret()), target(), true],
    ["among others", observer(rename(remoteSecret(), "istio-remote-secret-c"), remoteSecret()), target(), true],
    ["there is none", observer(), target(), false],
    ["under another name", observer(rename(remoteSecret(), "mine")), target(), false],
    ["under another key", observer({ ...remoteSecret(), data: { c: "" } }), target(), false],
    ["with a second key", observer({ ...remoteSecret(), data: { ...remoteSecret().data, c: "" } }), target(), false],
    ["without data", observer({ ...remoteSecret(), data: {} }), target(), false],
    ["another server", observer(remoteSecret({ server: "https://old.example" })), target(), false],
    ["another token", observer(remoteSecret({ token: "old" })), target(), false],
    ["no token, on either side", observer(remoteSecret({ token: "" })), target(""), false],
    ["another CA", observer(remoteSecret({ ca: CA.replace("MIIB", "MIIC") })), target(), false],
    ["no token Secret", observer(remoteSecret()), { ...target(), readerToken: undefined }, false],
    ["a TLS server name that is not wanted", observer(remoteSecret({ tlsServerName: "old.example" })), target(), false],
    ["what istiod would refuse", observer(remoteSecret({ user: { exec: { command: "x" } } })), target(), false],
    ["no verification", observer(remoteSecret({ cluster: { "insecure-skip-tls-verify": true } })), target(), false],
    ["no YAML", observer({ ...remoteSecret(), data: { b: base64("a: b: c") } }), target(), false],
  ])("%s", (_, of, to, current) => {
    expect(isCurrent({}, of, to, member())).toBe(current);
  });

  test.each<[string, boolean, { ttl?: number; made?: number; left?: number; uid?: string; ca?: string }]>([
    ["fresh", true, {}],
    ["for less than is wanted now", true, { ttl: 7_200 }],
    ["half over", false, { left: 1_800 }],
    ["just not half over", true, { left: 1_801 }],
    ["over", false, { left: -10 }],
    ["for longer than is wanted now", false, { ttl: 1_800 }],
    ["bound to a Secret of before", false, { uid: "old" }],
    ["with another CA", false, { ca: CA.replace("MIIB", "MIIC") }],
  ])(
    "with a token that expires: %s",
    (_, current, { ttl = 3_600, made = 3_600, left = made, uid = "now", ca = CA }) => {
      const now = new Date("2026-11-24T10:00:00Z");
      const exp = now.getTime() / 1000 + left;
      const claims = { iat: exp - made, exp, "kubernetes.io": { secret: { uid } } };
      const token = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
      const to = { ...target(), rootCa: CA, readerToken: { metadata: { name: "t", uid: "now" } } } as unknown as Survey;
      const of = observer(remoteSecret({ token, ca }));
      expect(isCurrent({ tokenTtl: ttl }, of, to, member(), now)).toBe(current);
      // Without the wish for an end such a token is not what would be made.
      expect(isCurrent({}, of, to, member(), now)).toBe(false);
    },
  );

  test.each<[string, Partial<Kubeconfig>, string | undefined]>([
    ["of the input", {}, "b.internal"],
    ["of the kubeconfig", { tlsServerName: "b.internal" }, undefined],
    ["of the input before the kubeconfig's", { tlsServerName: "other" }, "b.internal"],
  ])("with the TLS server name %s", (_, kubeconfig, input) => {
    const of = (tlsServerName: string) => observer(remoteSecret({ tlsServerName }));
    expect(isCurrent({}, of("b.internal"), target(), member(kubeconfig, input))).toBe(true);
    expect(isCurrent({}, of(""), target(), member(kubeconfig, input))).toBe(false);
  });
});

describe("a remote secret is tried before it is handed out", () => {
  const mesh = meshOf(["a", "b"]);
  const at = (url: string) => ({ uid: "uid-b", apiServer: { url } }) as unknown as Survey;
  const made = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: { b: base64("kubeconfig") } };

  test.each<[string, Answer | Problem, string | RegExp, url?: string]>([
    ["it leads to the target", { uid: "uid-b" }, ""],
    ["it is taken by who does not tell its UID", { uid: undefined }, ""],
    [
      "nobody answers here",
      { problem: "No way.", by: "nobody" },
      "could not be tried from here before it is handed out: No way.",
    ],
    [
      "its CA is another",
      { problem: "Not accepted.", by: "certificate" },
      /^The remote secret for b would not do, .*: Not accepted\.$/,
    ],
    [
      "a stranger answers at an address that is private, and another's from here",
      { problem: "Not accepted.", by: "certificate" },
      "could not be tried from here before it is handed out: Not accepted.",
      "https://10.0.0.2:6443",
    ],
    [
      "its token is refused",
      { problem: "Unauthorized.", by: "answer" },
      /would not do, and was given to nobody: Unauthorized\.$/,
    ],
    [
      "it leads elsewhere",
      { uid: "uid-x" },
      /would lead to another cluster.* UID of kube-system is uid-x, not uid-b\.$/,
    ],
  ])("%s", async (_, answer, wanted, url = "https://b.example") => {
    const told = new Told();
    const member = memberOf(mesh, "b");
    const run = new Run("install", mesh, [member], told);
    const proof = proved(run, member, at(url), made, async (text) => {
      expect(text).toBe("kubeconfig");
      return answer;
    });
    if (wanted instanceof RegExp) {
      await expect(proof).rejects.toThrow(wanted);
      return;
    }
    expect(await proof).toBe(made);
    if (wanted) expect(told.lines).toEqual([expect.stringContaining(wanted)]);
    else expect(told.lines).toEqual([]);
  });

  test("and a token is reviewed once, however many hold it", async () => {
    let asked = 0;
    const create = async <T>() => ({ status: { authenticated: ++asked > 0 } }) as T;
    const [one, other] = [memberOf(mesh, "a", { create }), memberOf(mesh, "b", { create })];
    const review = reviewsOnce();
    await Promise.all([review(one, "t"), review(one, "t"), review(one, "u"), review(other, "t")]);
    expect(asked).toBe(3);
  });
});
