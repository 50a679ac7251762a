import { Agent, request } from "undici";
import { parse } from "yaml";
import type { Json } from "./kube.ts";

/** How an API server is reached, by a client certificate or a token. PEM. */
export interface Access {
  readonly server: string;
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

export interface Reply {
  readonly status: number;
  readonly body: Json;
}

/** Bare requests: nothing here shares code with what it judges, nor with the action's own client. */
export class Client {
  readonly #server: string;
  readonly #headers: Record<string, string>;
  readonly #agent: Agent;
  readonly #anonymous: Agent;

  constructor({ server, ca, cert, key, token }: Access) {
    this.#server = server.replace(/\/$/, "");
    this.#headers = token ? { authorization: `Bearer ${token}` } : {};
    this.#agent = new Agent({ connect: { ca, ...(cert && key ? { cert, key } : {}) } });
    this.#anonymous = new Agent({ connect: { ca } });
  }

  /** `headers` with an `authorization` of their own go without the client certificate. */
  async call(
    method: string,
    path: string,
    body?: Json,
    type = "application/json",
    headers?: Record<string, string>,
  ): Promise<Reply> {
    const response = await request(this.#server + path, {
      method: method as "GET",
      dispatcher: headers?.authorization ? this.#anonymous : this.#agent,
      headers: { ...(body === undefined ? {} : { "content-type": type }), ...this.#headers, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const json = String(response.headers["content-type"]).includes("json");
    return { status: response.statusCode, body: json ? JSON.parse(text) : text };
  }

  /** The body of an answer that has to be a good one. */
  async ok(method: string, path: string, body?: Json, type?: string): Promise<Json> {
    const { status, body: answer } = await this.call(method, path, body, type);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /** The events until they are enough, or the watch ends. */
  async watch(path: string, enough: (events: Json[]) => boolean): Promise<Json[]> {
    const over = new AbortController();
    const events: Json[] = [];
    const response = await request(this.#server + path, {
      dispatcher: this.#agent,
      headers: this.#headers,
      signal: over.signal,
    });
    let rest = "";
    try {
      for await (const chunk of response.body.setEncoding("utf8")) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        events.push(...lines.filter(Boolean).map((line) => JSON.parse(line)));
        if (enough(events)) break;
      }
    } finally {
      over.abort();
    }
    return events;
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#anonymous.destroy()]);
  }
}

/** The access that a kubeconfig gives which holds one cluster, one user, and everything that they need. */
export function access(kubeconfig: string): Access {
  const { clusters, users } = parse(kubeconfig);
  const { cluster } = clusters[0];
  const { user } = users[0];
  const pem = (data: string) => Buffer.from(data, "base64").toString("utf8");
  return {
    server: cluster.server,
    ca: pem(cluster["certificate-authority-data"]),
    ...(user.token
      ? { token: user.token }
      : { cert: pem(user["client-certificate-data"]), key: pem(user["client-key-data"]) }),
  };
}
