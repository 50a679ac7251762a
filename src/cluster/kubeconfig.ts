import { X509Certificate } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { parseDocument } from "yaml";

/** A kubeconfig that was read and reduced to one context. It is a secret. */
export interface Kubeconfig {
  readonly config: KubeConfig;
  readonly context: string;
  readonly server: string;
  readonly tlsServerName: string | undefined;
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
  cluster?: Record<string, unknown>;
  user?: Record<string, unknown>;
  context?: Record<string, unknown>;
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/**
 * Reads a kubeconfig, plain or base64, as far as that needs no cluster: its form, its context, the server's URL, the
 * client certificate's validity, the files and the plugin that it names.
 * @param wanted the context's name; default is the kubeconfig's `current-context`
 */
export function readKubeconfig(content: string, wanted?: string, now = new Date()): Kubeconfig | Problem {
  const parsed = parseKubeconfig(content);
  if ("problem" in parsed) return parsed;
  const document = parsed.value;

  const list = (key: string): Entry[] => {
    const entries = document[key];
    return Array.isArray(entries) ? (entries as Entry[]).filter((entry) => entry && typeof entry === "object") : [];
  };
  const named = (key: string, name: unknown) => list(key).find((entry) => entry.name === name);
  const names = (key: string) =>
    list(key)
      .map((entry) => String(entry.name))
      .join(", ") || "none";

  const context = wanted || text(document["current-context"]);
  if (!context) return { problem: `has no current-context; name one of its contexts: ${names("contexts")}` };
  const contextEntry = named("contexts", context)?.context;
  if (!contextEntry) return { problem: `has no context "${context}"; its contexts are: ${names("contexts")}` };
  const cluster = named("clusters", contextEntry.cluster)?.cluster;
  if (!cluster) return { problem: `context "${context}" names a cluster that the kubeconfig does not hold` };
  const user = named("users", contextEntry.user)?.user;
  if (!user) return { problem: `context "${context}" names a user that the kubeconfig does not hold` };

  const server = text(cluster.server);
  if (!server || !URL.canParse(server)) return { problem: `context "${context}": the cluster's server is not a URL` };
  if (!/^https:$/.test(new URL(server).protocol)) {
    return {
      problem: `context "${context}": the server's URL must begin with https://, found ${new URL(server).protocol}//`,
    };
  }
  for (const problem of [fileProblem(cluster), fileProblem(user), credentialProblem(user, now), pluginProblem(user)]) {
    if (problem) return { problem: `context "${context}": ${problem}` };
  }

  const reduced = JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": context,
    contexts: [{ name: context, context: { ...contextEntry, cluster: "cluster", user: "user" } }],
    clusters: [{ name: "cluster", cluster }],
    users: [{ name: "user", user }],
  });
  const config = new KubeConfig();
  config.loadFromString(reduced);
  return {
    config,
    context,
    server: server.replace(/\/+$/, ""),
    tlsServerName: text(cluster["tls-server-name"]),
    text: reduced,
    secrets: secretsOf(user),
  };
}

function parseKubeconfig(content: string): { value: Record<string, unknown> } | Problem {
  if (content.trim() === "") return { problem: "is empty" };
  // No line of a kubeconfig is without a colon; base64 has none.
  const plain = content.includes(":") ? content : Buffer.from(content, "base64").toString("utf8");
  let value: unknown;
  try {
    const document = parseDocument(plain, { prettyErrors: false });
    const [error] = document.errors;
    if (error) {
      // The parser's message may quote what it read, so only the place is told.
      const line = plain.slice(0, error.pos[0]).split("\n").length;
      return { problem: `is not valid YAML (line ${line}: ${error.code})` };
    }
    value = document.toJS({ maxAliasCount: 20 });
  } catch {
    return { problem: "is not valid YAML" };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problem: "is neither a kubeconfig (a YAML mapping) nor the base64 of one" };
  }
  const config = value as Record<string, unknown>;
  if (!Array.isArray(config.clusters) || !Array.isArray(config.contexts)) {
    return { problem: "is not a kubeconfig: it has no lists `clusters` and `contexts`" };
  }
  return { value: config };
}

function fileProblem(entry: Record<string, unknown>): string | undefined {
  for (const key of ["certificate-authority", "client-certificate", "client-key", "tokenFile", "token-file"]) {
    const path = text(entry[key]);
    if (path && !existsSync(path)) {
      return `${key} names a file that this runner does not have; embed the data (kubectl config view --raw --flatten --minify)`;
    }
  }
  return undefined;
}

function credentialProblem(user: Record<string, unknown>, now: Date): string | undefined {
  const data = text(user["client-certificate-data"]);
  const path = text(user["client-certificate"]);
  if (!data && !path) return undefined;
  if (!text(user["client-key-data"]) && !text(user["client-key"])) return "has a client certificate without its key";
  try {
    const certificate = new X509Certificate(data ? Buffer.from(data, "base64") : readFileSync(path as string));
    if (new Date(certificate.validTo) < now) {
      return `the client certificate expired on ${new Date(certificate.validTo).toISOString()}; make a new kubeconfig`;
    }
    if (new Date(certificate.validFrom) > now) {
      return `the client certificate is not valid before ${new Date(certificate.validFrom).toISOString()}; check the runner's clock`;
    }
  } catch {
    return "the client certificate is not a PEM certificate";
  }
  return undefined;
}

function pluginProblem(user: Record<string, unknown>): string | undefined {
  const command = text((user.exec as Record<string, unknown> | undefined)?.command);
  if (!command || isExecutable(command)) return undefined;
  return `its credentials come from the program "${command}", which is not on this runner's PATH; install it in a step before this one`;
}

function isExecutable(command: string): boolean {
  const suffixes = process.platform === "win32" ? ["", ...(process.env.PATHEXT ?? ".EXE;.CMD").split(";")] : [""];
  const folders = /[\\/]/.test(command) ? [""] : (process.env.PATH ?? "").split(delimiter);
  return folders.some((folder) =>
    suffixes.some((suffix) => {
      try {
        const path = isAbsolute(command) || folder === "" ? resolve(command + suffix) : join(folder, command + suffix);
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    }),
  );
}

/** The values to mask: credentials themselves, and a key's lines, for a log may show them one by one. */
function secretsOf(user: Record<string, unknown>): string[] {
  const found: string[] = [];
  const collect = (value: unknown, name: string) => {
    if (Array.isArray(value)) for (const item of value) collect(item, name);
    else if (typeof value === "object" && value !== null) {
      const { name: variable, value: content } = value as Record<string, unknown>;
      // An exec plugin's environment is a list of {name, value}.
      if (typeof variable === "string" && content !== undefined) collect(content, variable);
      else for (const [key, inner] of Object.entries(value)) collect(inner, key);
    } else if (typeof value === "string" && /token|password|secret|key/i.test(name)) {
      found.push(value);
      if (name.endsWith("key-data")) found.push(...bodyLines(Buffer.from(value, "base64").toString("utf8")));
    }
  };
  for (const key of ["token", "password", "client-key-data", "auth-provider", "exec"]) collect(user[key], key);
  return found;
}

/** The lines of a PEM that are worth masking: not its armour, nor a last line short enough to occur by chance. */
export function bodyLines(pem: string): string[] {
  return pem
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.length >= 16 && !line.startsWith("-----"));
}

/** Whether the URL's host is the machine itself, which is somewhere else for everybody else. */
export function isLoopback(server: string): boolean {
  const host = new URL(server).hostname.replace(/^\[|\]$/g, "");
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host.startsWith("127.") ||
    host === "::1" ||
    host === "0.0.0.0" ||
    host === "::"
  );
}
