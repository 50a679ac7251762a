import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { isAbsolute, resolve } from "node:path";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { type Fields, text } from "../mesh/fields.ts";
import { quoted } from "../mesh/quoted.ts";
import { parseYaml } from "../mesh/yaml.ts";
import { clip } from "./errors.ts";
import { findProgram } from "./program.ts";
import { proxyProblem } from "./proxy.ts";

/** A kubeconfig that was read and reduced to one context. It is a secret. */
export interface Kubeconfig {
  readonly context: string;
  readonly server: string;
  readonly tlsServerName: string | undefined;
  /** The context's cluster and user as they are given, files by their whole paths. */
  readonly cluster: Fields;
  readonly user: Fields;
  /** The same as JSON, which every reader of kubeconfigs takes; only the context's own cluster and user are in it. */
  readonly text: string;
  /** Every string in it that must never be shown. */
  readonly secrets: readonly string[];
}

interface Problem {
  /** What was found and what is expected, without anything secret. */
  readonly problem: string;
}

interface Entry {
  name?: unknown;
  cluster?: Fields;
  user?: Fields;
  context?: Fields;
}

export interface ReadOptions {
  readonly now?: Date;
  /** Where relative paths in it begin: the folder of its file. Absent: it was no file. */
  readonly folder?: string | undefined;
  /** It was read from a cluster: nothing of this machine is run or read for it. */
  readonly foreign?: boolean;
}

const LONGEST_NAME = 100;
const named = (name: string) => quoted(name, LONGEST_NAME);

/**
 * Reads a kubeconfig, plain or base64, as far as that needs no cluster: its form, its context, the server's URL, the
 * client certificate's validity, the files and the plugin that it names.
 * @param wanted the context's name; default is the kubeconfig's `current-context`
 */
export function readKubeconfig(
  content: string,
  wanted?: string,
  { now = new Date(), folder, foreign = false }: ReadOptions = {},
): Kubeconfig | Problem {
  const parsed = parseKubeconfig(content);
  if ("problem" in parsed) return parsed;
  const document = parsed.value;

  const list = (key: string): Entry[] => {
    const entries = document[key];
    return Array.isArray(entries) ? (entries as Entry[]).filter((entry) => entry && typeof entry === "object") : [];
  };
  const entryNamed = (key: string, name: unknown) => list(key).find((entry) => entry.name === name);
  const names = (key: string) =>
    list(key)
      .flatMap((entry) => (text(entry.name) ? named(entry.name as string) : []))
      .join(", ") || "none";

  const context = wanted || text(document["current-context"]);
  if (!context)
    return { problem: `has no current-context; expected the name of one of its contexts: ${names("contexts")}` };
  const contextEntry = entryNamed("contexts", context)?.context;
  if (!contextEntry) return { problem: `has no context ${named(context)}; expected one of: ${names("contexts")}` };
  const of = `in its context ${named(context)}`;
  const foundCluster = entryNamed("clusters", contextEntry.cluster)?.cluster;
  if (!foundCluster) return { problem: `names ${of} a cluster that it does not hold` };
  const foundUser = entryNamed("users", contextEntry.user)?.user;
  if (!foundUser) return { problem: `names ${of} a user that it does not hold` };
  const cluster = resolved(foundCluster, folder);
  const user = resolved(foundUser, folder);

  const server = text(cluster.server);
  if (!server || !URL.canParse(server)) return { problem: `has ${of} a server that is no URL; expected an https URL` };
  const { protocol, username, password } = new URL(server);
  if (protocol !== "https:") return { problem: `has ${of} a server with ${protocol}//; expected an https URL` };
  if (username || password) return { problem: `has ${of} a server URL with a user or password; expected one without` };
  const problems = [
    foreign ? foreignProblem({ ...cluster, ...user }) : undefined,
    fileProblem(cluster),
    fileProblem(user),
    credentialProblem(user, now),
    pluginProblem(user),
    impersonationProblem(user),
    proxyUrlProblem(cluster),
  ];
  for (const problem of problems) {
    if (problem) return { problem: `has ${of} ${problem}` };
  }

  const reduced = JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": context,
    contexts: [{ name: context, context: { ...contextEntry, cluster: "cluster", user: "user" } }],
    clusters: [{ name: "cluster", cluster }],
    users: [{ name: "user", user }],
  });
  try {
    // What the client library does not take is no kubeconfig; how we log in by one is ours (login.ts).
    new KubeConfig().loadFromString(reduced);
  } catch {
    return { problem: `has ${of} entries that cannot be used; expected a kubeconfig as kubectl writes it` };
  }
  return {
    context,
    server: server.replace(/\/+$/, ""),
    tlsServerName: text(cluster["tls-server-name"]),
    cluster,
    user,
    text: reduced,
    secrets: [...credentialsIn(user), ...proxyPassword(cluster)],
  };
}

function parseKubeconfig(content: string): { value: Record<string, unknown> } | Problem {
  if (content.trim() === "") return { problem: "is empty; expected the content of a kubeconfig" };
  // No line of a kubeconfig is without a colon; base64 has none.
  const plain = content.includes(":") ? content : Buffer.from(content, "base64").toString("utf8");
  const parsed = parseYaml(plain);
  if ("problem" in parsed) return { problem: `${parsed.problem}; expected a kubeconfig, plain or base64` };
  const { value } = parsed;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: "is no YAML mapping; expected a kubeconfig, plain or base64" };
  }
  const config = value as Record<string, unknown>;
  if (!Array.isArray(config.clusters) || !Array.isArray(config.contexts)) {
    return { problem: "has no lists `clusters` and `contexts`; expected a kubeconfig, plain or base64" };
  }
  return { value: config };
}

const FILES = ["certificate-authority", "client-certificate", "client-key", "tokenFile"] as const;

/** Its relative paths as whole ones, as kubectl reads them: also a plugin's, where that is no name to look for on the PATH. */
export function resolved(entry: Fields, folder: string | undefined): Fields {
  if (folder === undefined) return entry;
  const exec = entry.exec as Fields | undefined;
  const command = text(exec?.command);
  return {
    ...entry,
    ...Object.fromEntries(
      FILES.flatMap((key) => (text(entry[key]) ? [[key, resolve(folder, String(entry[key]))]] : [])),
    ),
    ...(command && /[\\/]/.test(command) ? { exec: { ...exec, command: resolve(folder, command) } } : {}),
  };
}

function foreignProblem(entry: Fields): string | undefined {
  if (entry.exec) return "a login by a program, which is not run for a kubeconfig that a cluster holds";
  const file = FILES.find((key) => text(entry[key]));
  return file && `a ${file} file, which is not read for a kubeconfig that a cluster holds`;
}

function fileProblem(entry: Fields): string | undefined {
  for (const key of FILES) {
    const path = text(entry[key]);
    // Where a relative path begins is lost once the kubeconfig is a secret's content.
    if (path && !(isAbsolute(path) && existsSync(path))) {
      return `a ${key} file that this runner does not have; expected the data itself (kubectl config view --raw --flatten --minify)`;
    }
  }
  return undefined;
}

function credentialProblem(user: Fields, now: Date): string | undefined {
  const data = text(user["client-certificate-data"]);
  const path = text(user["client-certificate"]);
  if (!data && !path) return undefined;
  if (!text(user["client-key-data"]) && !text(user["client-key"]))
    return "a client certificate without its key; expected both";
  try {
    const certificate = new X509Certificate(data ? Buffer.from(data, "base64") : readFileSync(path as string));
    if (new Date(certificate.validTo) < now) {
      return `a client certificate that expired on ${date(certificate.validTo)}; make a new kubeconfig`;
    }
    if (new Date(certificate.validFrom) > now) {
      return `a client certificate that is not valid before ${date(certificate.validFrom)}; check the runner's clock`;
    }
  } catch {
    return "a client certificate that cannot be read; expected a PEM certificate, in base64 where it is embedded";
  }
  return undefined;
}

function pluginProblem(user: Fields): string | undefined {
  const provider = text((user["auth-provider"] as Fields | undefined)?.name);
  if (provider && provider !== "oidc") {
    return `a login by the auth provider ${named(provider)}, which kubectl has given up; expected a plugin (kubelogin, gke-gcloud-auth-plugin)`;
  }
  const exec = user.exec as Fields | undefined;
  const command = text(exec?.command);
  if (!command) return exec ? "a login by a plugin without a command; expected `exec` with `command`" : undefined;
  if (exec?.interactiveMode === "Always") {
    return `a login by the program ${named(command)} that wants a terminal (\`interactiveMode: Always\`), which no runner has; expected one that logs in by itself`;
  }
  if (findProgram(command)) return undefined;
  const hint = text(exec?.installHint);
  return `a login by the program ${named(command)}, which is not on this runner's PATH; install it in a step before this one${hint ? `. The kubeconfig says: ${clip(hint, 200).replace(/\.$/, "")}` : ""}`;
}

/** As kubectl: groups and the rest belong to a user that is acted as. */
function impersonationProblem(user: Fields): string | undefined {
  if (text(user.as)) return undefined;
  const lonely = ["as-uid", "as-groups", "as-user-extra"].find((key) => user[key] !== undefined && user[key] !== null);
  return lonely && `\`${lonely}\` without \`as\`; expected the user to act as beside it`;
}

function proxyUrlProblem(cluster: Fields): string | undefined {
  const url = text(cluster["proxy-url"]);
  const problem = url && proxyProblem(url);
  return problem ? `a proxy-url ${problem}` : undefined;
}

/** As it stands in the URL, and as it reads. */
function proxyPassword(cluster: Fields): string[] {
  const url = text(cluster["proxy-url"]);
  const password = url && URL.canParse(url) ? new URL(url).password : "";
  if (!password) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}

function date(text: string): string {
  return new Date(text).toISOString().slice(0, 19).replace("T", " ").concat(" UTC");
}

/** What of a kubeconfig's user is secret: the credentials themselves, a key as it is given and as it reads. */
export function credentialsIn(user: unknown): string[] {
  if (typeof user !== "object" || user === null) return [];
  const found: string[] = [];
  const collect = (value: unknown, name: string) => {
    if (Array.isArray(value))
      for (const [i, item] of value.entries()) collect(item, flagOf(item, value[i - 1]) ?? name);
    else if (typeof value === "object" && value !== null) {
      const { name: variable, value: content } = value as Record<string, unknown>;
      // An exec plugin's environment is a list of {name, value}.
      if (typeof variable === "string" && content !== undefined) collect(content, variable);
      else for (const [key, inner] of Object.entries(value)) collect(inner, key);
    } else if (/token|password|secret|key/i.test(name) && (typeof value === "string" || typeof value === "number")) {
      // Of an argument only the value, without its flag.
      const secret = String(value).replace(/^--?[\w-]+=/, "");
      found.push(secret);
      if (name.endsWith("key-data")) found.push(Buffer.from(secret, "base64").toString("utf8"));
    }
  };
  for (const key of ["token", "password", "client-key-data", "auth-provider", "exec"])
    collect((user as Record<string, unknown>)[key], key);
  return found;
}

/** The flag that an exec plugin's argument belongs to: `--client-secret=x`, or `--client-secret` and then `x`. */
function flagOf(argument: unknown, before: unknown): string | undefined {
  if (typeof argument !== "string") return undefined;
  if (argument.startsWith("-")) return /^(--?[\w-]+)=/.exec(argument)?.[1];
  return typeof before === "string" && /^--?[\w-]+$/.test(before) ? before : undefined;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("0.0.0.0");
LOOPBACK.addAddress("::1", "ipv6");
LOOPBACK.addAddress("::", "ipv6");

/** The URL's host, without what a URL puts around it. */
const hostOf = (server: string) => new URL(server).hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
const isIn = (list: BlockList, host: string) => list.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");

/** Whether the URL's host is the machine itself, which is somewhere else for everybody else. */
export function isLoopback(server: string): boolean {
  const host = hostOf(server);
  return isIP(host) === 0 ? /(^|\.)localhost$/.test(host) : isIn(LOOPBACK, host);
}

/** What each network has for itself: RFC 1918, 3927, 4193, 4291 and 6598. */
const PRIVATE = new BlockList();
PRIVATE.addSubnet("10.0.0.0", 8);
PRIVATE.addSubnet("100.64.0.0", 10);
PRIVATE.addSubnet("169.254.0.0", 16);
PRIVATE.addSubnet("172.16.0.0", 12);
PRIVATE.addSubnet("192.168.0.0", 16);
PRIVATE.addSubnet("fc00::", 7, "ipv6");
PRIVATE.addSubnet("fe80::", 10, "ipv6");

/** Whether the URL's host is an address that is another machine's in another network. */
export function isPrivate(server: string): boolean {
  const host = hostOf(server);
  return isIP(host) !== 0 && isIn(PRIVATE, host);
}
