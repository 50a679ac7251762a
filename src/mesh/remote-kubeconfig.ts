import { stringify } from "yaml";
import { type Fields, fields } from "./fields.ts";
import { parseYaml } from "./yaml.ts";

/** What a remote secret's kubeconfig says, as istiod reads it. */
export interface RemoteKubeconfig {
  /** The API server's URL; empty where there is none. */
  readonly server: string;
  /** The CA's certificates, PEM; empty where there are none, and the system's are meant. */
  readonly ca: string;
  /** A secret. Empty where there is none. */
  readonly token: string;
  readonly tlsServerName?: string;
  /** What istiod logs in with; `undefined` where there is nothing. */
  readonly login: Login | undefined;
  /** All in it that must not be shown. */
  readonly secrets: readonly string[];
  /** Whether whoever answers at the server's address is taken for it. */
  readonly insecure: boolean;
  /** Why istiod would refuse it, or could not use it; never holds a part of a secret. Empty: it is fit for use. */
  readonly problems: readonly string[];
}

export type Login = "token" | "client certificate" | "password" | "OIDC";

/** Ways to name a file: istiod refuses them, for the file would not be in its container (pkg/kube/util.go). */
const FILES = ["tokenFile", "client-certificate", "client-key"] as const;

/** By their text: a target's is the same in all observers, and each is asked about several times. */
const read = new Map<string, RemoteKubeconfig>();

/**
 * Reads the kubeconfig in a remote secret by its current context. Never throws: what is wrong is in `problems`. The rules
 * are istiod's (`sanitizeKubeConfig` in Istio's pkg/kube/util.go).
 */
export function parseRemoteKubeconfig(text: string): RemoteKubeconfig {
  const known = read.get(text) ?? parsed(text);
  read.set(text, known);
  return known;
}

function parsed(text: string): RemoteKubeconfig {
  const none = { server: "", ca: "", token: "", login: undefined, secrets: [], insecure: false };
  const parsed = parseYaml(text);
  if ("problem" in parsed) return { ...none, problems: ["The kubeconfig is not YAML."] };
  const config = fields(parsed.value);
  const current = config["current-context"];
  const context = entry(config.contexts, current, "context");
  if (!context)
    return { ...none, problems: ["The kubeconfig's current-context is missing or names no context in it."] };
  const cluster = entry(config.clusters, context.cluster, "cluster");
  const user = entry(config.users, context.user, "user");
  const problems: string[] = [];

  const server = string(cluster?.server);
  if (!server) problems.push("The kubeconfig names no API server.");
  const ca = decoded(string(cluster?.["certificate-authority-data"]));
  if (cluster?.["certificate-authority"])
    problems.push("The kubeconfig names its CA by a file, which istiod does not have.");
  else if (ca && !ca.includes("-----BEGIN CERTIFICATE-----"))
    problems.push("What the kubeconfig has for its CA is no certificate.");

  const token = string(user?.token);
  if (user?.exec) problems.push("The kubeconfig runs a command to log in (exec), which istiod refuses.");
  const provider = fields(user?.["auth-provider"]).name;
  if (user?.["auth-provider"] && provider !== "oidc")
    problems.push("The kubeconfig logs in by an auth provider, which istiod refuses.");
  for (const name of FILES)
    if (user?.[name]) problems.push(`The kubeconfig names a file (${name}), which istiod refuses.`);
  const login = loginOf(user ?? {});
  if (!login && problems.length === 0) problems.push("The kubeconfig holds nothing to log in with.");
  const tlsServerName = string(cluster?.["tls-server-name"]);
  return {
    server,
    ca,
    token,
    ...(tlsServerName ? { tlsServerName } : {}),
    login,
    secrets: [token, string(user?.password), string(user?.["client-key-data"])].filter((secret) => secret !== ""),
    insecure: cluster?.["insecure-skip-tls-verify"] === true,
    problems,
  };
}

/** As client-go goes by it: a token counts beside a certificate. */
function loginOf(user: Fields): Login | undefined {
  if (string(user.token)) return "token";
  if (string(user["client-certificate-data"]) && string(user["client-key-data"])) return "client certificate";
  if (string(user.username) && string(user.password)) return "password";
  return fields(user["auth-provider"]).name === "oidc" ? "OIDC" : undefined;
}

/**
 * The kubeconfig that a remote secret holds, as `istioctl create-remote-secret` writes it, for a token that is at hand
 * already: istioctl would look for one by itself.
 */
export function remoteKubeconfig(
  name: string,
  { server, ca, token, tlsServerName }: Pick<RemoteKubeconfig, "server" | "ca" | "token" | "tlsServerName">,
): string {
  const cluster = {
    "certificate-authority-data": Buffer.from(ca, "utf8").toString("base64"),
    server,
    ...(tlsServerName ? { "tls-server-name": tlsServerName } : {}),
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
    users: [{ name, user: { token } }],
  };
  return stringify(config, { lineWidth: 0 });
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function decoded(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}

function entry(list: unknown, name: unknown, kind: string): Fields | undefined {
  const found = Array.isArray(list) && name ? list.map(fields).find((item) => item.name === name) : undefined;
  return found && fields(found[kind]);
}
