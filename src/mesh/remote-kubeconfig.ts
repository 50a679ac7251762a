import { stringify } from "yaml";
import { type Fields, fields } from "./fields.ts";
import { quoted } from "./quoted.ts";
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
  /** Why nobody could use it; never holds a part of a secret. */
  readonly problems: readonly string[];
  /** What istiod refuses in it unless it is told not to: it looks at every user, used or not. */
  readonly refusals: readonly Refusal[];
}

export interface Refusal {
  /** By what name it can be allowed, in `INSECURE_OPTIONS`. */
  readonly option: string;
  readonly why: string;
}

/** The variable by which istiod is told what it need not refuse, a list. */
export const INSECURE_OPTIONS = "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS";

/** Why istiod could not use it. Empty: it is fit for use. @param allowed by `INSECURE_OPTIONS` */
export function unfit(
  { problems, refusals }: Pick<RemoteKubeconfig, "problems" | "refusals">,
  allowed: ReadonlySet<string> = new Set(),
): string[] {
  return [...problems, ...refusals.flatMap(({ option, why }) => (allowed.has(option) ? [] : why))];
}

export type Login = "token" | "client certificate" | "password" | "OIDC" | "command" | "file";

/** Ways to name a file, and by what name istiod takes them: the file would have to be in its container. */
const FILES = { tokenFile: "tokenFile", "client-certificate": "clientCertificate", "client-key": "clientKey" } as const;

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
  const none = { server: "", ca: "", token: "", login: undefined, secrets: [], insecure: false, refusals: [] };
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
  const login = loginOf(user ?? {});
  const users = (Array.isArray(config.users) ? config.users : []).map(fields);
  const refusals = users.flatMap((each) =>
    refusalsOf(
      fields(each.user),
      each.name === context.user ? "" : ` in a user that it does not use, ${quoted(string(each.name))}`,
    ),
  );
  if (!login && problems.length === 0) problems.push("The kubeconfig holds nothing to log in with.");
  const tlsServerName = string(cluster?.["tls-server-name"]);
  return {
    server,
    ca,
    token,
    ...(tlsServerName ? { tlsServerName } : {}),
    login,
    secrets: users
      .map((each) => fields(each.user))
      .flatMap((each) => [each.token, each.password, each["client-key-data"]].map(string))
      .filter((secret) => secret !== ""),
    insecure: cluster?.["insecure-skip-tls-verify"] === true,
    problems,
    refusals,
  };
}

/** What istiod does not take of a user. @param where what to say of where it is */
function refusalsOf(user: Fields, where: string): Refusal[] {
  const provider = string(fields(user["auth-provider"]).name);
  const files = Object.entries(FILES).filter(([name]) => string(user[name]));
  return [
    ...(user.exec
      ? [{ option: "exec", why: `The kubeconfig runs a command to log in (exec)${where}, which istiod refuses.` }]
      : []),
    ...(user["auth-provider"] && provider !== "oidc"
      ? [{ option: provider, why: `The kubeconfig logs in by an auth provider${where}, which istiod refuses.` }]
      : []),
    ...files.map(([name, option]) => ({
      option,
      why: `The kubeconfig names a file (${name})${where}, which istiod refuses.`,
    })),
  ];
}

/** As client-go goes by it: a token counts beside a certificate. */
function loginOf(user: Fields): Login | undefined {
  if (string(user.token)) return "token";
  if (string(user["client-certificate-data"]) && string(user["client-key-data"])) return "client certificate";
  if (string(user.username) && string(user.password)) return "password";
  if (fields(user["auth-provider"]).name === "oidc") return "OIDC";
  if (user.exec || user["auth-provider"]) return "command";
  const file = (name: keyof typeof FILES) => string(user[name]) || string(user[`${name}-data`]);
  return string(user.tokenFile) || (file("client-certificate") && file("client-key")) ? "file" : undefined;
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
