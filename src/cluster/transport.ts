import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import pLimit from "p-limit";
import { type Dispatcher, request, WebSocket } from "undici";
import { Failure } from "../mesh/failure.ts";
import type { ExecResult } from "./cluster.ts";
import { type Deadline, sleep } from "./deadline.ts";
import { ApiError, clip, isTransient, type Status, unreachable } from "./errors.ts";

/** Requests to one API server under way at once; watches are not counted. */
const CONCURRENCY = 8;
/** The same to all of them together: more keep the runner busy without being answered any sooner. */
const ALL = pLimit(128);
/** An API server answers within this; a watch may be silent for longer. Milliseconds. */
const REQUEST_TIMEOUT = 20_000;
/** How long a watch is held before it is asked for anew; a connection that died silently is noticed by then. */
export const WATCH_SECONDS = 45;
/** Credentials are asked for again after this, for exec plugins hand out short-lived ones. Milliseconds. */
const CREDENTIALS_AGE = 60_000;
/** How long a cluster that was never reached is tried, and how long one that was. Milliseconds. */
const PATIENCE_AT_FIRST = 15_000;
const PATIENCE = 120_000;
const RETRIED_STATUS = new Set([429, 500, 502, 503, 504]);

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

interface Credentials {
  readonly headers: Record<string, string>;
  readonly dispatcher: Dispatcher | undefined;
}

interface Options {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** The first answer counts, whatever its status. */
  readonly once?: boolean;
  /** What counts as an answer here, where it is tried again otherwise. */
  readonly final?: (response: Response) => boolean;
}

/** Says that a request is tried again, and why. */
export type OnRetry = (message: string) => void;

/** Requests to one API server: authentication, connections, deadline and retries; nothing of what is asked for. */
export class Transport {
  readonly server: string;
  readonly #config: KubeConfig;
  readonly #deadline: Deadline;
  readonly #onRetry: OnRetry;
  readonly #limit = pLimit(CONCURRENCY);
  readonly #dispatchers = new Set<Dispatcher>();
  #credentials: Promise<Credentials> | undefined;
  /** When the credentials were asked for. */
  #asked = 0;
  #answered = false;
  requests = 0;

  constructor(config: KubeConfig, server: string, deadline: Deadline, onRetry: OnRetry) {
    this.#config = config;
    this.server = server.replace(/\/+$/, "");
    this.#deadline = deadline;
    this.#onRetry = onRetry;
  }

  /** @param what names the request in messages, e.g. `apply Secret istio-system/cacerts` */
  async send(what: string, method: Dispatcher.HttpMethod, path: string, options: Options = {}): Promise<Response> {
    const final = options.once ? () => true : (options.final ?? (() => false));
    return this.#limit(() => this.#retrying(what, () => ALL(() => this.#once(method, path, options)), final));
  }

  /** As `send`, with the answer read as JSON; an error status is thrown as `ApiError`. */
  async json<T>(what: string, method: Dispatcher.HttpMethod, path: string, options: Options = {}): Promise<T> {
    const response = await this.send(what, method, path, options);
    if (response.status >= 400) throw apiError(what, response);
    try {
      return JSON.parse(response.text) as T;
    } catch {
      throw new Failure(
        `Could not ${what}: ${this.server} answers, but not as an API server does.`,
        "Check `server` in the kubeconfig: a proxy or a login page seems to be in between.",
      );
    }
  }

  /** The lines of a streamed answer until it ends, breaks, or the signal aborts. */
  async *lines(what: string, path: string, signal: AbortSignal): AsyncGenerator<string> {
    const { headers, dispatcher } = await this.#authenticate();
    this.requests++;
    const response = await request(this.server + path, {
      headers: { ...headers, accept: "application/json" },
      ...(dispatcher ? { dispatcher } : {}),
      signal: AbortSignal.any([signal, this.#deadline.signal]),
      headersTimeout: REQUEST_TIMEOUT,
      bodyTimeout: (WATCH_SECONDS + 15) * 1000,
    });
    if (response.statusCode >= 400) {
      throw apiError(what, { status: response.statusCode, headers: {}, text: await response.body.text() });
    }
    let rest = "";
    for await (const chunk of response.body.setEncoding("utf8")) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      yield* lines.filter((line) => line.length > 0);
    }
  }

  /** Kubernetes' exec protocol over a WebSocket: a message's first byte is its stream; stream 3 carries the end. */
  async exec(what: string, path: string): Promise<ExecResult> {
    const { headers, dispatcher } = await this.#authenticate();
    this.requests++;
    const socket = new WebSocket(this.server.replace(/^http/, "ws") + path, {
      protocols: ["v5.channel.k8s.io", "v4.channel.k8s.io"],
      headers,
      ...(dispatcher ? { dispatcher } : {}),
    });
    socket.binaryType = "arraybuffer";
    const output = ["", "", "", ""];
    const decoders = output.map(() => new TextDecoder());
    const signal = AbortSignal.any([AbortSignal.timeout(REQUEST_TIMEOUT), this.#deadline.signal]);
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        reject(
          new Failure(
            `Could not ${what}: ${why}.`,
            "The kubeconfig's user needs `get` and `create` on pods/exec there.",
          ),
        );
        socket.close();
      };
      signal.addEventListener("abort", () => fail("no answer in time"), { once: true });
      socket.addEventListener("error", (event) => fail(clip(event.message || "the connection was refused")));
      socket.addEventListener("message", ({ data }) => {
        const bytes = new Uint8Array(data as ArrayBuffer);
        const stream = bytes[0] ?? 0;
        if (stream < output.length)
          output[stream] += decoders[stream]?.decode(bytes.subarray(1), { stream: true }) ?? "";
      });
      socket.addEventListener("close", () => {
        const [, stdout = "", stderr = "", end = ""] = output;
        if (!end) return fail("the connection ended before the command did");
        const status = JSON.parse(end) as Status & { status?: string };
        const code = status.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
        if (status.status !== "Success" && code === undefined)
          return fail(clip(status.message ?? "it could not be run"));
        resolve({ exitCode: Number(code ?? 0), stdout, stderr });
      });
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers].map((dispatcher) => dispatcher.destroy()));
  }

  async #once(method: Dispatcher.HttpMethod, path: string, { body, contentType, accept }: Options): Promise<Response> {
    const { headers, dispatcher } = await this.#authenticate();
    this.requests++;
    return within(REQUEST_TIMEOUT, this.#deadline.signal, async (signal) => {
      const sent = request(this.server + path, {
        method,
        headers: {
          ...headers,
          accept: accept ?? "application/json",
          ...(body === undefined ? {} : { "content-type": contentType ?? "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(dispatcher ? { dispatcher } : {}),
        signal,
      });
      const response = await heeding(sent, signal);
      const text = await response.body.text();
      return {
        status: response.statusCode,
        headers: Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)])),
        text: parseable(text, response.headers["content-type"]),
      };
    });
  }

  /**
   * The one place for retries. Every request of ours may be repeated: reads, reviews, server-side apply, and deletes.
   * Tried again: no or half an answer, 429 and 5xx, with growing pauses or as long as Retry-After says, within the
   * patience and the deadline; and once where credentials may have run out.
   */
  async #retrying(
    what: string,
    attempt: () => Promise<Response>,
    final: (response: Response) => boolean,
  ): Promise<Response> {
    const started = performance.now();
    let problem = "";
    for (let tries = 1; ; tries++) {
      let pause = Math.min(5_000, 100 * 2 ** tries) * (0.5 + Math.random() / 2);
      const left = () =>
        Math.min(
          this.#deadline.remaining(),
          started + (this.#answered ? PATIENCE : PATIENCE_AT_FIRST) - performance.now(),
        );
      try {
        const response = await attempt();
        const first = !this.#answered;
        this.#answered = true;
        if (response.status === 401 && tries === 1 && !first) this.#credentials = undefined;
        else if (final(response) || !RETRIED_STATUS.has(response.status)) return response;
        const retryAfter = Number(response.headers["retry-after"]);
        if (retryAfter > 0) pause = retryAfter * 1000;
        if (pause >= left()) return response;
        problem = `HTTP ${response.status}`;
      } catch (error) {
        if (error instanceof Failure) throw error;
        if (this.#deadline.passed && aborted(error)) throw this.#late(what, problem);
        const failure = unreachable(this.server, error);
        if (!isTransient(error) || pause >= left()) throw failure;
        problem = failure.message;
      }
      this.#onRetry(`${what}: try ${tries + 1} in ${(pause / 1000).toFixed(1)} s: ${problem}`);
      await sleep(pause, this.#deadline.signal);
    }
  }

  /** @param problem why an earlier try failed, if there was one */
  #late(what: string, problem: string): Failure {
    const last = problem ? ` Last problem: ${problem}` : "";
    return this.#deadline.cancelled
      ? new Failure(`Could not ${what}: the run was cancelled.`, "A new run goes on from here.")
      : new Failure(
          `Could not ${what} before the run's deadline of ${this.#deadline.seconds} s.${last}`,
          "If it is only slow, raise the input `timeout`; a new run goes on from here.",
        );
  }

  /** Requests that begin together share one set of credentials: nothing is awaited before it is put in its place. */
  #authenticate(): Promise<Credentials> {
    if (!this.#credentials || performance.now() - this.#asked > CREDENTIALS_AGE) {
      this.#asked = performance.now();
      const made = this.#newCredentials(this.#credentials);
      this.#credentials = made;
      made.catch(() => {
        if (this.#credentials === made) this.#credentials = undefined;
      });
    }
    return this.#credentials;
  }

  async #newCredentials(before: Promise<Credentials> | undefined): Promise<Credentials> {
    const known = await before?.catch(() => undefined);
    const headers: Record<string, string> = {};
    let dispatcher: Dispatcher | undefined;
    try {
      // The client library makes a connection pool per request; ours is kept, so that connections live on.
      await this.#config.applySecurityAuthentication({
        setHeaderParam: (name: string, value: string) => {
          headers[name] = value;
        },
        setDispatcher: (made: Dispatcher) => {
          dispatcher = made;
        },
      } as never);
    } catch (error) {
      throw new Failure(
        `The kubeconfig's credentials for ${this.server} could not be had: ${error instanceof Error ? error.name : "error"} from its authentication plugin.`,
        "Run the plugin by hand on this runner (kubectl does) and see what it says.",
        { cause: error },
      );
    }
    if (dispatcher) this.#dispatchers.add(dispatcher);
    // A pool whose credentials ran out finishes what it has under way.
    if (known?.dispatcher) void known.dispatcher.close().catch(() => {});
    return { headers, dispatcher };
  }
}

/**
 * Does the work with a signal that aborts after a while, or with another one. Nothing of it is left behind: a signal of
 * `AbortSignal.timeout` would be kept for all of its time, whenever the work was done.
 */
async function within<T>(
  milliseconds: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort(outer.reason);
  const late = () => new DOMException("The operation was aborted due to timeout", "TimeoutError");
  const timer = setTimeout(() => controller.abort(late()), milliseconds);
  outer.addEventListener("abort", abort);
  if (outer.aborted) abort();
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", abort);
  }
}

/** What comes of the work, or at once the signal's reason: undici heeds a signal only when it is connected. */
async function heeding<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  const over = Promise.withResolvers<never>();
  const abort = () => over.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function aborted(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

/** A JSON answer that was cut off counts as no answer. The parser's own message could quote a Secret. */
function parseable(text: string, contentType: string | string[] | undefined): string {
  if (!String(contentType).includes("json")) return text;
  try {
    JSON.parse(text);
  } catch {
    throw new Error("its answer was cut off");
  }
  return text;
}

/** What an error status says. */
export function apiError(what: string, response: Response): ApiError {
  let body: Status = {};
  try {
    body = JSON.parse(response.text) as Status;
  } catch {
    // Proxies and unserved paths answer in plain text or HTML, of which the status is enough.
  }
  return new ApiError(what, response.status, body);
}
