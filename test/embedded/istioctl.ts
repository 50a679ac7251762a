// A stand-in for istioctl, as far as the action uses it. As a module it writes the program; as a program it is that.
import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";

/** Its calls, a line of arguments each, are kept in this file beside it. */
export const CALLS = "istioctl-calls";

/** Writes an executable istioctl into the folder and gives its path. */
export async function fakeIstioctl(folder: string, version = "1.26.3"): Promise<string> {
  await mkdir(folder, { recursive: true });
  const program = [process.execPath, fileURLToPath(import.meta.url), version, join(folder, CALLS)];
  if (process.platform === "win32") {
    const path = join(folder, "istioctl.cmd");
    await writeFile(path, `@${program.map((word) => `"${word}"`).join(" ")} %*\r\n`);
    return path;
  }
  const path = join(folder, "istioctl");
  const words = program.map(quoted).join(" ");
  // Half of its time is the loading of its modules, if they are not kept compiled.
  const cache = `NODE_COMPILE_CACHE='${join(tmpdir(), "node-compile-cache")}'`;
  // What every run asks for is answered without them.
  const answer = `echo "$*" >>${quoted(join(folder, CALLS))}; echo ${quoted(version)}; exit`;
  const script = `#!/bin/sh\nif [ "$1" = version ]; then ${answer}; fi\n${cache} exec ${words} "$@"\n`;
  await writeFile(path, script, { mode: 0o755 });
  return path;
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

const READER = "istio-reader-service-account";

/** What goes wrong in a way that istioctl has a message for. */
export class Problem extends Error {}

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind
type Json = any;

async function main([version = "", calls = "", ...args]: string[]): Promise<void> {
  appendFileSync(calls, `${args.join(" ")}\n`);
  const [command, ...rest] = args;
  const flags = flagsOf(rest);
  if (command === "version") console.log(version);
  else if (command === "create-remote-secret") {
    process.stdout.write(await createRemoteSecret(flags, readFileSync(flags.get("kubeconfig") ?? "", "utf8")));
  } else if (command === "manifest") {
    process.stdout.write(await generate(readFileSync(flags.get("filename") ?? "", "utf8"), version));
  } else throw new Problem(`unknown command "${command}" for "istioctl"`);
}

export function flagsOf(args: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    args.flatMap((arg): [string, string][] => {
      const [, name, value = ""] = /^--?([^=]+)=?(.*)$/s.exec(arg) ?? [];
      return name === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * What `manifest generate` prints. What it takes is loaded where it is asked for: the other commands are called more often.
 * @param asked the text of the file that the flag names
 */
export async function generate(asked: string, version: string): Promise<string> {
  const [{ baseChart, istiodChart }, { istioDefinitions }] = await Promise.all([
    import("./controllers/chart.ts"),
    import("./controllers/crds.ts"),
  ]);
  const { spec } = JSON.parse(asked);
  if (typeof spec.values.pilot?.env === "string") throw new Problem("could not unmarshal: bad StructValue");
  const { namespace, revision = "default", values } = spec;
  const release = { revision, namespace, version, values };
  const validator = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name: `istio-validator-${namespace}`, labels: { app: "istiod" } },
    webhooks: [
      {
        name: "rev.validation.istio.io",
        admissionReviewVersions: ["v1"],
        clientConfig: { service: { name: "istiod", namespace, path: "/validate" } },
        failurePolicy: "Ignore",
        sideEffects: "None",
      },
    ],
  };
  return [...istioDefinitions(), ...baseChart(release), ...istiodChart(release), validator]
    .map((object) => `${stringify(object)}\n---\n`)
    .join("");
}

/** What `create-remote-secret` prints. @param kubeconfigText the text of the file that the flag names @param dial where a server really listens */
export async function createRemoteSecret(
  flags: ReadonlyMap<string, string>,
  kubeconfigText: string,
  dial = (server: string) => server,
): Promise<string> {
  const api = connect(kubeconfigText, flags.get("context"), dial);
  const namespace = flags.get("namespace") ?? "istio-system";
  const account = flags.get("service-account") ?? READER;
  const name = flags.get("name") ?? (await api("GET", "/api/v1/namespaces/kube-system")).metadata.uid;
  const server = flags.get("server") ?? api.server;
  // On stdout, as istioctl's log is.
  const log = /^https:\/\/(127\.|localhost)/.test(server)
    ? `${new Date().toISOString()}\twarn\t${server} is a local address\n`
    : "";

  const inNamespace = `/api/v1/namespaces/${namespace}`;
  const found = await api("GET", `${inNamespace}/serviceaccounts/${account}`).catch((error: Error) => error);
  if (found instanceof Error)
    throw new Problem(`failed retrieving service account ${namespace}/${account}: ${found.message}`);
  const { token, ca } = await tokenOf(api, inNamespace, account, flags.get("secret-name"));
  const tlsServerName = flags.get("tls-server-name");
  const kubeconfig = {
    apiVersion: "v1",
    clusters: [
      {
        cluster: {
          "certificate-authority-data": ca,
          server,
          ...(tlsServerName ? { "tls-server-name": tlsServerName } : {}),
        },
        name,
      },
    ],
    contexts: [{ context: { cluster: name, user: name }, name }],
    "current-context": name,
    kind: "Config",
    preferences: {},
    users: [{ name, user: { token: Buffer.from(token, "base64").toString() } }],
  };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      annotations: { "networking.istio.io/cluster": name },
      creationTimestamp: null,
      labels: { "istio/multiCluster": "true" },
      name: `istio-remote-secret-${name}`,
      namespace,
    },
    stringData: { [name]: stringify(kubeconfig, { lineWidth: 0 }) },
  };
  return `${log}# This file is autogenerated, do not edit.\n${stringify(secret, { lineWidth: 0 })}---\n`;
}

/** From the named token Secret of the account, from any, or from a new one. Base64, as it is there. */
async function tokenOf(
  api: Api,
  inNamespace: string,
  account: string,
  named: string | undefined,
): Promise<{ token: string; ca: string }> {
  const { items } = await api("GET", `${inNamespace}/secrets`);
  const annotation = "kubernetes.io/service-account.name";
  const type = "kubernetes.io/service-account-token";
  const has = (secret: Json) => secret.type === type && secret.metadata.annotations?.[annotation] === account;
  const name = `${account}-istio-remote-secret-token`;
  const existing =
    items.find((secret: Json) => has(secret) && secret.metadata.name === (named ?? secret.metadata.name)) ??
    (await api("POST", `${inNamespace}/secrets`, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name, annotations: { [annotation]: account } },
      type,
    }));
  for (let tries = 0; tries < 50; tries++) {
    const { data } = await api("GET", `${inNamespace}/secrets/${existing.metadata.name}`);
    if (data?.token && data["ca.crt"]) return { token: data.token, ca: data["ca.crt"] };
    await delay(100);
  }
  throw new Problem(`no "token" data found in Secret ${existing.metadata.name}`);
}

interface Api {
  (method: string, path: string, body?: Json): Promise<Json>;
  readonly server: string;
}

/** The API server of a kubeconfig's context, with its credentials. */
function connect(text: string, wanted: string | undefined, dial: (server: string) => string): Api {
  const config = parse(text);
  const contextName = wanted ?? config["current-context"];
  const context = config.contexts.find(({ name }: Json) => name === contextName)?.context;
  if (!context) throw new Problem(`context "${contextName}" does not exist`);
  const { cluster } = config.clusters.find(({ name }: Json) => name === context.cluster);
  const { user } = config.users.find(({ name }: Json) => name === context.user);
  const decode = (data: string | undefined) => data && Buffer.from(data, "base64").toString();
  const options = {
    ca: decode(cluster["certificate-authority-data"]),
    cert: decode(user["client-certificate-data"]),
    key: decode(user["client-key-data"]),
    ...(cluster["tls-server-name"] ? { servername: cluster["tls-server-name"] } : {}),
  };
  const token = user.token ?? (user.exec && pluginToken(user.exec));
  const headers = {
    accept: "application/json",
    "content-type": "application/json",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  };
  const url = dial(cluster.server);
  const request = url.startsWith("http:") ? requestPlain : requestSecure;
  const call = (method: string, path: string, body?: Json): Promise<Json> =>
    new Promise((resolve, reject) => {
      const sent = request(`${url}${path}`, { ...options, method, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", (error) => reject(new Problem(`unexpected EOF (${error.message})`)));
        response.on("end", () => {
          const answer = JSON.parse(text);
          if ((response.statusCode ?? 500) < 400) resolve(answer);
          else reject(new Problem(answer.message));
        });
      });
      sent.on("error", (error) => reject(new Problem(`Get "${cluster.server}${path}": ${error.message}`)));
      sent.end(body && JSON.stringify(body));
    });
  return Object.assign(call, { server: cluster.server as string });
}

/** The token that a credential plugin gives. */
function pluginToken({ command, args = [], env = [] }: Json): string {
  const variables = Object.fromEntries(env.map(({ name, value }: Json) => [name, value]));
  const told = execFileSync(command, args, { env: { ...process.env, ...variables }, encoding: "utf8" });
  return JSON.parse(told).status.token;
}

if (import.meta.main) {
  await main(process.argv.slice(2)).catch((error: unknown) => {
    console.error(`Error: ${error instanceof Problem ? error.message : (error as Error).stack}`);
    process.exitCode = 1;
  });
}
