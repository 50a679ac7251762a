import { readFile } from "node:fs/promises";
import type { Dispatcher } from "undici";
import { Failure } from "../mesh/failure.ts";
import { type Fields, text } from "../mesh/fields.ts";
import { withhold } from "../mesh/redact.ts";
import { tokenClaims } from "../mesh/token.ts";
import type { Deadline } from "./deadline.ts";
import { clip } from "./errors.ts";
import type { Kubeconfig } from "./kubeconfig.ts";
import { runPlugin } from "./plugin.ts";
import { type ProxyServer, proxyFor } from "./proxy.ts";
import { connections, type Tls } from "./tunnel.ts";

/** What a request is sent with. */
export interface Access {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly dispatcher: Dispatcher;
}

/** Who we are to an API server; all of it is secret but `expires`. */
interface Credentials {
  readonly token?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** When others are to be asked for; absent: when these are refused. */
  readonly expires?: Date | undefined;
}

const decoded = (data: unknown) => (text(data) ? Buffer.from(String(data), "base64").toString("utf8") : undefined);

/** Others are asked for so long before credentials end: clocks differ, and a request takes a moment. Milliseconds. */
const MARGIN = 10_000;
/** A token in a file is written anew by whoever keeps it. Milliseconds. */
const FILE_AGE = 60_000;

/** The login to one API server by a kubeconfig: the one place where credentials come from, for our requests and for programs. */
export class Login {
  readonly #kubeconfig: Kubeconfig;
  readonly #deadline: Deadline;
  readonly #env: NodeJS.ProcessEnv;
  readonly #dispatchers = new Map<string, Dispatcher>();
  #tls: Promise<Tls> | undefined;
  #credentials: Promise<Credentials> | undefined;
  #access: Promise<Access> | undefined;

  constructor(kubeconfig: Kubeconfig, deadline: Deadline, env = process.env) {
    this.#kubeconfig = kubeconfig;
    this.#deadline = deadline;
    this.#env = env;
  }

  get server(): string {
    return this.#kubeconfig.server;
  }

  /** The proxy that requests go by, if any; throws a `Failure` where it cannot be used. */
  get proxy(): ProxyServer | undefined {
    return proxyFor(this.server, text(this.#kubeconfig.cluster["proxy-url"]), this.#env);
  }

  /** What to send a request with. Requests that begin together share one login. */
  async access(): Promise<Access> {
    // What was just given is used, whatever it says of its end: clocks may differ.
    const before = this.#credentials;
    const { expires } = (await before?.catch(() => undefined)) ?? {};
    if (expires && expires.getTime() - MARGIN <= Date.now() && this.#credentials === before) this.#forget();
    this.#access ??= this.#accessBy(this.#current());
    return this.#access;
  }

  /** The API server did not take them: the next request logs in anew, unless another one has done so already. */
  async refused(access: Access): Promise<void> {
    if ((await this.#access?.catch(() => undefined)) === access) this.#forget();
  }

  /**
   * A kubeconfig with the credentials of this login, for a program that is to be given no other. It is a secret.
   * @param lasting milliseconds for which the program needs it
   */
  async kubeconfig(lasting: number): Promise<string> {
    const { expires } = await this.#current();
    if (expires && expires.getTime() - Date.now() < lasting) this.#forget();
    const { token, cert, key } = await this.#current();
    const { ca } = await this.#trust();
    const { context, cluster, user } = this.#kubeconfig;
    const encoded = (pem: string | undefined) => pem && Buffer.from(pem).toString("base64");
    const kept = (from: Fields, ...names: string[]) =>
      Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": context,
      contexts: [{ name: context, context: { cluster: "cluster", user: "user" } }],
      clusters: [
        {
          name: "cluster",
          cluster: {
            server: this.server,
            ...kept(cluster, "tls-server-name", "insecure-skip-tls-verify"),
            "certificate-authority-data": encoded(ca),
            "proxy-url": this.proxy?.url.href,
          },
        },
      ],
      users: [
        {
          name: "user",
          user: {
            ...kept(user, "username", "password", "as", "as-uid", "as-groups", "as-user-extra"),
            token,
            "client-certificate-data": encoded(cert),
            "client-key-data": encoded(key),
          },
        },
      ],
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.destroy()));
  }

  #forget(): void {
    this.#credentials = undefined;
    this.#access = undefined;
  }

  /** Nothing is awaited before it is put in its place; what could not be had is asked for again. */
  #current(): Promise<Credentials> {
    if (!this.#credentials) {
      const made = this.#ask();
      this.#credentials = made;
      made.catch(() => {
        if (this.#credentials === made) this.#forget();
      });
    }
    return this.#credentials;
  }

  async #accessBy(credentials: Promise<Credentials>): Promise<Access> {
    const { token, cert, key } = await credentials;
    const { username, password } = this.#kubeconfig.user;
    const headers: Record<string, string | string[]> = impersonation(this.#kubeconfig.user);
    if (token) headers.authorization = `Bearer ${token}`;
    else if (text(username)) {
      headers.authorization = `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`;
      withhold(headers.authorization.slice("Basic ".length));
    }
    return { headers, dispatcher: this.#dispatcherFor({ ...(await this.#trust()), cert, key }) };
  }

  /** Connections belong to a client certificate; another token goes by the same ones. */
  #dispatcherFor(tls: Tls): Dispatcher {
    const known = this.#dispatchers.get(tls.cert ?? "");
    if (known) return known;
    const made = connections(tls, this.proxy);
    this.#dispatchers.set(tls.cert ?? "", made);
    return made;
  }

  #trust(): Promise<Tls> {
    this.#tls ??= (async () => {
      const { cluster, tlsServerName } = this.#kubeconfig;
      return {
        ca: decoded(cluster["certificate-authority-data"]) ?? (await file(cluster["certificate-authority"])),
        servername: tlsServerName,
        ...(cluster["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {}),
      };
    })();
    return this.#tls;
  }

  /** A token goes before a plugin, as client-go has it. */
  async #ask(): Promise<Credentials> {
    const { user } = this.#kubeconfig;
    const cert = decoded(user["client-certificate-data"]) ?? (await file(user["client-certificate"]));
    const key = decoded(user["client-key-data"]) ?? (await file(user["client-key"]));
    const path = text(user.tokenFile);
    if (path) {
      const token = (await file(path))?.trim();
      if (token) withhold(token);
      return { cert, key, token: token || text(user.token), expires: new Date(Date.now() + FILE_AGE + MARGIN) };
    }
    if (text(user.token)) return { cert, key, token: text(user.token) };
    if (user.exec) return { cert, key, ...(await this.#runPlugin(user.exec as Fields)) };
    if (user["auth-provider"]) return { cert, key, ...oidc(user["auth-provider"] as Fields, this.server) };
    return { cert, key };
  }

  async #runPlugin(exec: Fields): Promise<Credentials> {
    const { cluster } = this.#kubeconfig;
    const { ca } = await this.#trust();
    const extensions = (Array.isArray(cluster.extensions) ? cluster.extensions : []) as Fields[];
    const own = extensions.find(({ name }) => name === "client.authentication.k8s.io/exec")?.extension;
    const told = {
      server: cluster.server,
      ...(this.#kubeconfig.tlsServerName ? { "tls-server-name": this.#kubeconfig.tlsServerName } : {}),
      ...(cluster["insecure-skip-tls-verify"] === true ? { "insecure-skip-tls-verify": true } : {}),
      ...(ca ? { "certificate-authority-data": Buffer.from(ca).toString("base64") } : {}),
      ...(text(cluster["proxy-url"]) ? { "proxy-url": cluster["proxy-url"] } : {}),
      ...(own === undefined ? {} : { config: own }),
    };
    try {
      return await runPlugin(exec, told, this.#deadline.signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new Failure(`Could not log in to ${this.server}: ${error.message}`, error.hint, { cause: error });
    }
  }
}

async function file(path: unknown): Promise<string | undefined> {
  if (!text(path)) return undefined;
  try {
    return await readFile(String(path), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure(
      `The kubeconfig names the file ${clip(String(path), 200)}, which cannot be read (${code}).`,
      "Write it before this step and leave it there, or give the data itself (kubectl config view --raw --flatten --minify).",
    );
  }
}

/** Headers by which the user acts as another one. */
function impersonation(user: Fields): Record<string, string | string[]> {
  if (!text(user.as)) return {};
  const extra = Object.entries((user["as-user-extra"] ?? {}) as Record<string, unknown>);
  const list = (value: unknown) => (Array.isArray(value) ? value : [value]).map(String);
  return {
    "impersonate-user": String(user.as),
    ...(text(user["as-uid"]) ? { "impersonate-uid": String(user["as-uid"]) } : {}),
    ...(user["as-groups"] ? { "impersonate-group": list(user["as-groups"]) } : {}),
    ...Object.fromEntries(
      extra.map(([key, values]) => [`impersonate-extra-${encodeURIComponent(key.toLowerCase())}`, list(values)]),
    ),
  };
}

/** The ID token that kubectl's own OIDC login has kept; it is not renewed, for the kubeconfig could not keep the new one. */
function oidc(provider: Fields, server: string): Credentials {
  const token = text((provider.config as Fields | undefined)?.["id-token"]);
  const expires = tokenClaims(token ?? "").expires;
  if (!token || (expires && expires.getTime() <= Date.now())) {
    throw new Failure(
      `Could not log in to ${server}: the kubeconfig's ID token (auth-provider oidc) ${token ? `expired at ${expires?.toISOString()}` : "is missing"}.`,
      "Log in by a plugin instead, such as kubelogin (`kubectl oidc-login`), or give a token of a service account.",
    );
  }
  return { token };
}
