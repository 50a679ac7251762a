import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { connect, isIP, type Socket } from "node:net";
import { createSecureContext, getCACertificates } from "node:tls";
import { Agent, buildConnector, type Dispatcher } from "undici";
import type { ProxyServer } from "./proxy.ts";

/** How the API server's certificate is checked, and what it is shown. */
export interface Tls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean;
}

/** The proxy does not lead to the API server: it cannot be reached itself, or says no. */
export class ProxyError extends Error {
  readonly code: string;
  /** Whether another try could help. */
  readonly transient: boolean;

  constructor(message: string, code = "", transient = true) {
    super(message);
    this.code = code;
    this.transient = transient;
  }
}

/** Milliseconds until a proxy must have led to the API server. */
const WITHIN = 10_000;
/** Shorter than load balancers keep an idle connection. Milliseconds. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/** Connections to an API server, which live on between requests. */
export function connections({ ca, cert, key, ...tls }: Tls, proxy: ProxyServer | undefined): Dispatcher {
  const given = <T extends object>(fields: T) =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  // One for all connections: each of its own would be a tenth of a megabyte, and its making as long as a request's.
  const options = { ...given(tls), ...KEEP_ALIVE, secureContext: createSecureContext(given({ ca, cert, key })) };
  if (!proxy) return new Agent({ connect: options });
  const secure = buildConnector({ ...options, allowH2: false });
  return new Agent({
    connect: (target, callback) => {
      const port = Number(target.port || 443);
      tunnel(proxy.url, target.hostname.replace(/^\[|\]$/g, ""), port, ca).then(
        (httpSocket) => secure({ ...target, httpSocket } as buildConnector.Options, callback),
        (error: Error) => callback(error, null),
      );
    },
  });
}

/** A connection to a host by way of a proxy, which sees names and ports alone. */
async function tunnel(proxy: URL, host: string, port: number, ca: string | undefined): Promise<Socket> {
  const [username, password] = [proxy.username, proxy.password].map(decodeURIComponent) as [string, string];
  const login = username || password ? { username, password } : undefined;
  try {
    return await (proxy.protocol.startsWith("socks")
      ? bySocks(proxy, host, port, login)
      : byConnect(proxy, host, port, login, ca));
  } catch (error) {
    if (error instanceof ProxyError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ProxyError(message, code, code !== "ENOTFOUND" && !/CERT|SELF_SIGNED|ERR_TLS|ERR_SSL/.test(code ?? ""));
  }
}

type Login = { username: string; password: string } | undefined;
const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, "");

function byConnect(proxy: URL, host: string, port: number, login: Login, ca: string | undefined): Promise<Socket> {
  const https = proxy.protocol === "https:";
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const authorization = login && Buffer.from(`${login.username}:${login.password}`).toString("base64");
  return new Promise((resolve, reject) => {
    const sent = (https ? requestHttps : requestHttp)({
      method: "CONNECT",
      host: hostOf(proxy),
      port: proxy.port || (https ? 443 : 80),
      path: target,
      agent: false,
      timeout: WITHIN,
      headers: { host: target, ...(authorization ? { "proxy-authorization": `Basic ${authorization}` } : {}) },
      // Else the name in the header is looked for in the proxy's certificate.
      ...(https && isIP(hostOf(proxy)) === 0 ? { servername: hostOf(proxy) } : {}),
      // The CA of a kubeconfig may be the proxy's, too.
      ...(https && ca ? { ca: [...getCACertificates("default"), ca] } : {}),
    });
    sent.on("connect", (response, socket) => {
      const { statusCode: status = 0, statusMessage } = response;
      // The time was for the proxy's answer.
      socket.setTimeout(0);
      if (status >= 200 && status < 300) return resolve(socket as Socket);
      socket.destroy();
      const text = `it answers ${status}${statusMessage ? ` ${statusMessage}` : ""}`;
      reject(new ProxyError(text, "", status >= 500 || status === 429));
    });
    sent.on("timeout", () => sent.destroy(new ProxyError(`no answer within ${WITHIN / 1000} s`)));
    sent.on("error", reject);
    sent.end();
  });
}

const SOCKS_REFUSALS = new Map([
  [1, "general failure"],
  [2, "not allowed by its rules"],
  [3, "network unreachable"],
  [4, "host unreachable"],
  [5, "connection refused"],
  [6, "TTL expired"],
]);

/** SOCKS 5 (RFC 1928, RFC 1929). The proxy resolves the name, as client-go leaves it to it. */
async function bySocks(proxy: URL, host: string, port: number, login: Login): Promise<Socket> {
  const socket = connect({ host: hostOf(proxy), port: Number(proxy.port || 1080) });
  socket.setTimeout(WITHIN, () => socket.destroy(new ProxyError(`no answer within ${WITHIN / 1000} s`)));
  const read = reader(socket);
  const sized = (text: string) => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);
  try {
    socket.write(Buffer.of(5, 1, login ? 2 : 0));
    const [version, method] = await read(2);
    if (version !== 5) throw new ProxyError("it is no SOCKS 5 proxy", "", false);
    if (method === 0xff) throw new ProxyError(login ? "it takes no password" : "it wants a login", "", false);
    if (method === 2 && login) {
      socket.write(Buffer.concat([Buffer.of(1), sized(login.username), sized(login.password)]));
      const [, refused] = await read(2);
      if (refused !== 0) throw new ProxyError("it does not accept the login", "", false);
    }
    socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3), sized(host), Buffer.of(port >> 8, port & 0xff)]));
    const [, status = 1, , kind] = await read(4);
    if (status !== 0)
      throw new ProxyError(`it says: ${SOCKS_REFUSALS.get(status) ?? `error ${status}`}`, "", status !== 2);
    await read((kind === 1 ? 4 : kind === 4 ? 16 : ((await read(1))[0] ?? 0)) + 2);
    socket.setTimeout(0);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads so many bytes from a socket, and not one more. */
function reader(socket: Socket): (size: number) => Promise<Buffer> {
  let failed: Error | undefined;
  let wake: () => void = () => {};
  socket.on("error", (error) => {
    failed = error;
    wake();
  });
  socket.on("end", () => {
    failed ??= new ProxyError("it closed the connection");
    wake();
  });
  socket.on("readable", () => wake());
  return async (size) => {
    for (;;) {
      const bytes = size === 0 ? Buffer.alloc(0) : (socket.read(size) as Buffer | null);
      if (bytes && bytes.length === size) return bytes;
      if (failed) throw failed;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}
