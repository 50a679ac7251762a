import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import { base64, selfSigned } from "./certificates.ts";

export interface Received {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly body: string;
}

export type Handler = (request: Received, response: ServerResponse, raw: IncomingMessage) => void | Promise<void>;

/** A hand-made HTTPS server that answers as a test says. */
export interface Server {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** TCP connections so far. */
  readonly connections: number;
  /** Answers from here on; forgets what was received. */
  answer(handler: Handler): void;
  kubeconfig(parts?: { user?: object; cluster?: object }): Kubeconfig;
  close(): Promise<void>;
}

export const TOKEN = "canary-token-5e1f7c93";

export async function serve(): Promise<Server> {
  const { certificate, key } = await selfSigned({ names: ["api.example"] });
  let handler: Handler = (_, response) => json(response, 200, {});
  let connections = 0;
  const received: Received[] = [];
  const server = createServer({ cert: certificate, key }, async (raw, response) => {
    let body = "";
    for await (const chunk of raw.setEncoding("utf8")) body += chunk;
    const { method = "", url = "", headers } = raw;
    const request = {
      method,
      path: url,
      authorization: headers.authorization,
      contentType: headers["content-type"],
      body,
    };
    received.push(request);
    await handler(request, response, raw);
  });
  server.on("secureConnection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  return {
    url,
    port,
    received,
    get connections() {
      return connections;
    },
    answer(next) {
      handler = next;
      received.length = 0;
      connections = 0;
    },
    kubeconfig({ user, cluster } = {}) {
      const read = readKubeconfig(
        JSON.stringify({
          "current-context": "x",
          contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
          clusters: [
            { name: "c", cluster: { server: url, "certificate-authority-data": base64(certificate), ...cluster } },
          ],
          users: [{ name: "u", user: user ?? { token: TOKEN } }],
        }),
      );
      if ("problem" in read) throw new Error(read.problem);
      return read;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** As the API server says no. */
export function refuse(response: ServerResponse, status: number, reason: string, message = `it is ${reason}`): void {
  json(response, status, { kind: "Status", status: "Failure", reason, message, code: status });
}

/** Answers in turn; the last one stays. */
export function inTurn(...handlers: Handler[]): Handler {
  let turn = 0;
  return (...args) => handlers[Math.min(turn++, handlers.length - 1)]?.(...args);
}
