import { constants } from "node:crypto";
import { createServer as createPlain, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { stringify } from "yaml";
import { Authenticator, Authorizer, type User } from "./auth.ts";
import { certificates } from "./certificates.ts";
import { type ExecHandler, exec } from "./exec.ts";
import { type Answer, type Api, authorize, handle, parseTarget } from "./handler.ts";
import type { ExecRequest, Interference, Json, Kube, LoggedRequest, Ref } from "./kube.ts";
import { preexisting } from "./preexisting.ts";
import type { ProxyHandler } from "./proxy.ts";
import { Registry } from "./registry.ts";
import type { Resource } from "./resources.ts";
import { notFound, StatusError } from "./status.ts";
import type { Change } from "./store.ts";

const ADMIN_TOKEN = "embedded-admin-token";
/** Whose writes those from inside are: what happens in a cluster by itself is its controllers' doing. */
const INSIDE = "kube-controller-manager";

export interface KubeOptions {
  /** Names the cluster in kubeconfigs. */
  readonly name?: string;
  /** Without TLS, and so with tokens alone: a connection takes longer to be made safe than a request to be answered. */
  readonly plain?: boolean;
  /** How long every request takes, as over a network. */
  readonly latencyMs?: number;
  /** Where it listens; default: 127.0.0.1. */
  readonly host?: string;
}

/** An address of this machine that is not loopback's, if it has one: what others are given need not lead to themselves then. */
export function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

/** Starts a Kubernetes API in this process, on a free port of this machine. */
export async function startKube(options: KubeOptions = {}): Promise<Kube> {
  const { name = "embedded", latencyMs = 0, plain = false, host = "127.0.0.1" } = options;
  const { ca, server: pair, admin } = await certificates(ownAddress());
  const registry = new Registry();
  const who = new Authenticator();
  const requests: LoggedRequest[] = [];
  let proxyHandler: ProxyHandler = () => undefined;
  let logHandler: Api["log"] = () => "";
  const api: Api = {
    registry,
    who,
    may: new Authorizer(registry),
    proxy: (request) => proxyHandler(request),
    log: (request) => logHandler(request),
  };
  let interceptor: Parameters<Kube["intercept"]>[0];
  let execHandler: ExecHandler = () => ({ exitCode: 0, stdout: "", stderr: "" });
  who.setToken(ADMIN_TOKEN, "kubernetes-admin");

  /** The part that all requests go through: who is it, what do tests do to it, and may it be. */
  const admit = async (request: IncomingMessage): Promise<{ user: User; log: LoggedRequest; what: Interference }> => {
    const log: LoggedRequest = { method: request.method ?? "GET", path: request.url ?? "/", user: "", status: 0 };
    let user: User | undefined;
    let problem: unknown;
    try {
      user = who.authenticate(request.socket as TLSSocket, request.headers.authorization);
      if (user.name === "kubernetes-admin") user = { name: user.name, groups: ["system:masters", ...user.groups] };
    } catch (error) {
      problem = error;
    }
    const logged = { ...log, user: user?.name ?? "" };
    requests.push(logged);
    if (latencyMs > 0) await pause(latencyMs);
    const what = await interceptor?.(logged, requests.length);
    if (what && "delayMs" in what) await pause(what.delayMs);
    if (what === undefined || !("status" in what || "destroy" in what)) {
      if (!user) {
        logged.status = 401;
        throw problem;
      }
    }
    return { user: user ?? { name: "", groups: [] }, log: logged, what };
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let log: LoggedRequest | undefined;
    let truncate = false;
    let late: Promise<unknown> | undefined;
    const reply = ({ status, body }: Answer, headers: Readonly<Record<string, string>> = {}) => {
      if (log) log.status = status;
      const text = typeof body === "string" ? body : body === undefined ? "" : JSON.stringify(body);
      const type = typeof body === "string" ? "text/plain; charset=utf-8" : "application/json";
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text), ...headers });
      if (!truncate) response.end(text);
      // Half of an answer, then the connection breaks.
      else response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
    };
    try {
      const admitted = await admit(request);
      const { user, what } = admitted;
      log = admitted.log;
      if (what && "destroy" in what) {
        request.socket.destroy();
        return;
      }
      if (what && "status" in what) {
        request.resume();
        truncate = what.half === true;
        return reply({ status: what.status, body: what.body ?? status(what.status) }, what.headers);
      }
      truncate = what !== undefined && "truncate" in what;
      if (what && "answerAfter" in what) late = what.answerAfter;
      const target = parseTarget(request.url ?? "/");
      authorize(api, user, request.method ?? "GET", target);
      const answer = await handle(api, user, target, request, response);
      await late;
      if (response.destroyed) return;
      if (answer) reply(answer, answer.headers);
      else log.status = 200;
    } catch (error) {
      if (response.headersSent || request.socket.destroyed) return void response.destroy();
      request.resume();
      reply(answerTo(error));
    }
  };

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on("error", () => {});
    let log: LoggedRequest | undefined;
    try {
      const admitted = await admit(request);
      log = admitted.log;
      const { user, what } = admitted;
      if (what && "destroy" in what) return void socket.destroy();
      if (what && "status" in what)
        return refuse(socket, { status: what.status, body: what.body ?? status(what.status) }, log, what.headers);
      const target = parseTarget(request.url ?? "/");
      authorize(api, user, "GET", target);
      const { namespace = "", name = "", subresource, plural, parameters } = target;
      const pods = registry.store.resources.byKind("v1", "Pod") as Resource;
      if (plural !== "pods" || subresource !== "exec")
        throw new StatusError(404, "NotFound", "the server could not find the requested resource", {});
      const pod = registry.store.get(pods, namespace, name);
      if (!pod) throw notFound(pods, name);
      const wanted: ExecRequest = {
        namespace,
        pod: name,
        container: parameters.get("container") ?? pod.spec.containers[0]?.name ?? "",
        command: parameters.getAll("command"),
      };
      log.status = 101;
      const late = what && "answerAfter" in what ? what.answerAfter : undefined;
      const half = what !== undefined && "truncate" in what;
      exec(request, socket, head, execHandler, wanted, { late, half });
    } catch (error) {
      refuse(socket, answerTo(error), log);
    }
  };

  const keepAliveTimeout = 60_000;
  const server = plain
    ? createPlain({ keepAliveTimeout })
    : createSecure({
        key: pair.key,
        cert: pair.cert,
        ca,
        requestCert: true,
        rejectUnauthorized: false,
        // A resumed session would come without the client's certificate.
        secureOptions: constants.SSL_OP_NO_TICKET,
        keepAliveTimeout,
      });
  const connections = new Set<Duplex>();
  server.on(plain ? "connection" : "secureConnection", (socket) => {
    connections.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => connections.delete(socket));
  });
  server.on("request", (request, response) => void serve(request, response));
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  const url = `https://${host}:${(server.address() as AddressInfo).port}`;
  for (const object of preexisting()) put(registry, object, "kube-apiserver");

  return {
    server: url,
    listening: plain ? url.replace("https:", "http:") : url,
    ca,
    requests,
    kubeconfig: ({ auth = plain ? "token" : "certificate", server = url, token = ADMIN_TOKEN } = {}) => {
      const data = (pem: string) => Buffer.from(pem).toString("base64");
      return stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": name,
        contexts: [{ name, context: { cluster: name, user: "admin" } }],
        clusters: [{ name, cluster: { server, "certificate-authority-data": data(ca) } }],
        users: [
          {
            name: "admin",
            user:
              auth === "token"
                ? { token }
                : { "client-certificate-data": data(admin.cert), "client-key-data": data(admin.key) },
          },
        ],
      });
    },
    get: (ref) => registry.store.get(kindOf(registry, ref), placeOf(registry, ref), ref.name),
    list: (apiVersion, kind, namespace) => registry.store.list(kindOf(registry, { apiVersion, kind }), namespace),
    put: (object) => put(registry, object, INSIDE),
    patchStatus: (ref, status) =>
      registry.update(
        kindOf(registry, ref),
        placeOf(registry, ref),
        ref.name,
        (live) => ({ ...live, status: mergeStatus(live.status, status) }),
        { manager: INSIDE, subresource: "status" },
      ),
    delete: (ref) => {
      try {
        registry.delete(kindOf(registry, ref), placeOf(registry, ref), ref.name);
        return true;
      } catch (error) {
        if (error instanceof StatusError && error.code === 404) return false;
        throw error;
      }
    },
    subscribe: (listener) => {
      let listening = true;
      const tell = (type: Change["type"], object: Json) =>
        queueMicrotask(() => {
          if (listening) listener({ type, object });
        });
      for (const [, object] of registry.store.everything()) tell("ADDED", object);
      const stop = registry.store.listen(({ type, object }) => tell(type, object));
      return () => {
        listening = false;
        stop();
      };
    },
    setToken: (token, user) => who.setToken(token, user),
    userOf: (token) => who.userOf(token),
    onExec: (handler) => {
      execHandler = handler;
    },
    onLog: (handler) => {
      logHandler = handler;
    },
    onProxy: (handler) => {
      proxyHandler = handler;
    },
    onAdmit: (handler) => {
      registry.admit = handler;
    },
    intercept: (fn) => {
      interceptor = fn;
    },
    stop: async () => {
      registry.stop();
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of connections) connection.destroy();
      server.closeAllConnections();
      await closed;
    },
  };
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function kindOf(registry: Registry, { apiVersion, kind }: { apiVersion: string; kind: string }): Resource {
  const found = registry.store.resources.byKind(apiVersion, kind);
  if (!found) throw new Error(`${apiVersion} ${kind} is not served`);
  return found;
}

function placeOf(registry: Registry, ref: Ref): string {
  return kindOf(registry, ref).namespaced ? (ref.namespace ?? "default") : "";
}

function put(registry: Registry, object: Json, manager: string): Json {
  return registry.put(kindOf(registry, object), object, manager);
}

function mergeStatus(base: Json, over: Json): Json {
  const isMapping = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isMapping(base) || !isMapping(over)) return over;
  const merged = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (value === null || value === undefined) delete merged[name];
    else merged[name] = mergeStatus(base[name], value);
  }
  return merged;
}

function answerTo(error: unknown): Answer {
  if (error instanceof StatusError) return { status: error.code, body: error.body };
  const message = `Internal error occurred: ${error instanceof Error ? (error.stack ?? error.message) : error}`;
  return { status: 500, body: new StatusError(500, "InternalError", message).body };
}

/** The body of an error that a test asked for without one. */
function status(code: number): Json {
  return code < 400 ? undefined : new StatusError(code, REASONS[code] ?? "", `the server answered ${code}`).body;
}

const REASONS: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** Answers a request for a WebSocket with an error instead. */
function refuse(
  socket: Duplex,
  { status, body }: Answer,
  log: LoggedRequest | undefined,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (log) log.status = status;
  const text = JSON.stringify(body ?? {});
  const all = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    connection: "close",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} Error\r\n${lines.join("")}\r\n${text}`);
}
