import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parseRemoteKubeconfig, remoteKubeconfig, unfit } from "../../src/mesh/remote-kubeconfig.ts";

const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const given = { server: "https://10.0.0.2:6443", ca: CA, token: "header.claims.signature" };

interface Kubeconfig {
  "current-context"?: string;
  clusters: { name: string; cluster: Record<string, unknown> }[];
  users: { name: string; user: Record<string, unknown> }[];
}

/** As it is made for a remote secret, and then changed. */
const kubeconfig = (edit: (config: Kubeconfig) => void = () => {}): string => {
  const config: Kubeconfig = parse(remoteKubeconfig("west", given));
  edit(config);
  return stringify(config);
};
const user = (fields: object) => kubeconfig((it) => Object.assign(it.users[0]!.user, fields));
const cluster = (fields: object) => kubeconfig((it) => Object.assign(it.clusters[0]!.cluster, fields));

test("a remote secret's kubeconfig is read as it was made", () => {
  const wanted = { ...given, login: "token", secrets: [given.token], insecure: false, problems: [], refusals: [] };
  expect(parseRemoteKubeconfig(kubeconfig())).toEqual(wanted);
  const named = remoteKubeconfig("west", { ...given, tlsServerName: "api" });
  expect(parseRemoteKubeconfig(named)).toEqual({ ...wanted, tlsServerName: "api" });
});

const certificate = { "client-certificate-data": "Y2VydA==", "client-key-data": "a2V5" };

test.each<[string, string, object]>([
  ["a token beside a certificate", user(certificate), { login: "token", secrets: [given.token, "a2V5"] }],
  [
    "a client certificate",
    user({ token: undefined, ...certificate }),
    { login: "client certificate", secrets: ["a2V5"] },
  ],
  [
    "a password",
    user({ token: undefined, username: "istio", password: "pass" }),
    { login: "password", secrets: ["pass"] },
  ],
  ["OIDC", user({ token: undefined, "auth-provider": { name: "oidc" } }), { login: "OIDC", secrets: [] }],
  ["the system's CAs", cluster({ "certificate-authority-data": undefined }), { ca: "" }],
  ["no look at the certificate", cluster({ "insecure-skip-tls-verify": true }), { insecure: true }],
])("with %s istiod takes it", (_, text, expected) => {
  expect(parseRemoteKubeconfig(text)).toMatchObject({ ...expected, problems: [], refusals: [] });
});

test.each<[string, string, string[]]>([
  ["no YAML", "{token: x", ["The kubeconfig is not YAML."]],
  ["no object", "text", ["The kubeconfig's current-context is missing or names no context in it."]],
  [
    "no current-context",
    kubeconfig((it) => void delete it["current-context"]),
    ["The kubeconfig's current-context is missing or names no context in it."],
  ],
  [
    "a context that is not there",
    kubeconfig((it) => void Object.assign(it, { "current-context": "x" })),
    ["The kubeconfig's current-context is missing or names no context in it."],
  ],
  ["no cluster", kubeconfig((it) => void Object.assign(it, { clusters: [] })), ["The kubeconfig names no API server."]],
  [
    "a CA that is none",
    cluster({ "certificate-authority-data": btoa("x") }),
    ["What the kubeconfig has for its CA is no certificate."],
  ],
  [
    "a CA in a file",
    cluster({ "certificate-authority": "/ca" }),
    ["The kubeconfig names its CA by a file, which istiod does not have."],
  ],
  ["an exec plugin", user({ exec: {} }), ["The kubeconfig runs a command to log in (exec), which istiod refuses."]],
  [
    "an auth provider",
    user({ "auth-provider": { name: "gcp" } }),
    ["The kubeconfig logs in by an auth provider, which istiod refuses."],
  ],
  [
    "a token in a file",
    user({ token: undefined, tokenFile: "/t" }),
    ["The kubeconfig names a file (tokenFile), which istiod refuses."],
  ],
  [
    "a key in a file",
    user({ "client-key": "/k" }),
    ["The kubeconfig names a file (client-key), which istiod refuses."],
  ],
  [
    "a certificate in a file",
    user({ "client-certificate": "/c" }),
    ["The kubeconfig names a file (client-certificate), which istiod refuses."],
  ],
  ["nothing to log in with", user({ token: undefined }), ["The kubeconfig holds nothing to log in with."]],
  [
    "half a certificate",
    user({ token: undefined, "client-key-data": "a2V5" }),
    ["The kubeconfig holds nothing to log in with."],
  ],
])("with %s istiod cannot use it", (_, text, problems) => {
  expect(unfit(parseRemoteKubeconfig(text))).toEqual(problems);
});

const other = (fields: object) =>
  kubeconfig((it) => it.users.push({ name: "admin", user: { token: "of-admin", ...fields } }));

test("istiod looks at users that are not used, too, and what is secret of them is withheld", () => {
  const read = parseRemoteKubeconfig(other({ exec: { command: "aws" }, tokenFile: "/t" }));
  expect(read.secrets).toEqual([given.token, "of-admin"]);
  expect(unfit(read)).toEqual([
    'The kubeconfig runs a command to log in (exec) in a user that it does not use, "admin", which istiod refuses.',
    'The kubeconfig names a file (tokenFile) in a user that it does not use, "admin", which istiod refuses.',
  ]);
});

test.each<[string, string, string, string]>([
  ["a command", user({ token: undefined, exec: { command: "aws" } }), "exec", "command"],
  ["an auth provider", user({ token: undefined, "auth-provider": { name: "gcp" } }), "gcp", "command"],
  ["a token in a file", user({ token: undefined, tokenFile: "/t" }), "tokenFile", "file"],
])("%s is fit for use where istiod is told so", (_, text, option, login) => {
  const read = parseRemoteKubeconfig(text);
  expect([unfit(read, new Set([option])), read.login]).toEqual([[], login]);
  expect(unfit(read, new Set(["openstack"]))).toHaveLength(1);
});
