import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import pLimit from "p-limit";
import { type Dispatcher, request } from "undici";
import { Failure } from "../mesh/failure.ts";
import { withhold } from "../mesh/redact.ts";
import type { ExecResult } from "./cluster.ts";
import { type Deadline, heeding, within } from "./deadline.ts";
import {
  ApiError,
  isOverrun,
  isTransient,
  isUntyped,
  type Status,
  statusIn,
  unreachable,
  webhookIn,
} from "./errors.ts";
import { type Executed, execute } from "./exec.ts";
import { plain, retryAfter } from "./headers.ts";
import {
  type OnRetry,
  PATIENCE,
  PATIENCE_AT_FIRST,
  PATIENCE_PASSED_ON,
  type Patience,
  retrying,
  TRIED_AGAIN,
  type Try,
} from "./retry.ts";
import { withholdContents } from "./secrets.ts";

/** Requests to one API server under way at once; watches are not counted. */
const CONCURRENCY = 8;
/** The same to all of them together: more keep the runner busy without being answered any sooner. */
const ALL = pLimit(128);
/** An API server answers within this; a watch may be silent for longer. Milliseconds. */
const REQUEST_TIMEOUT = 20_000;
/** A streamed answer may be silent for this long. Milliseconds. */
const SILENCE = 60_000;
/** Credentials are asked for again after this, for exec plugins hand out short-lived ones. Milliseconds. */
const CREDENTIALS_AGE = 60_000;

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** What the text says, where it calls itself JSON. */
  readonly value?: unknown;
}

interface Credentials {
  readonly headers: Record<string, string>;
  readonly dispatcher: Dispatcher | undefined;
}

interface Options {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** What counts as an answer here, where it is tried again otherwise. */
  readonly final?: (response: Response) => boolean;
  /** The API server hands on what somebody else says, who may be down for long: it is not insisted on. */
  readonly passedOn?: boolean;
  /** How long a webhook is waited for that cannot be called, where not as long as the API server itself. */
  readonly webhooks?: Patience | undefined;
}

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
    return this.#limit(() => this.#retrying(what, options, () => ALL(() => this.#once(method, path, options))));
  }

  /** As `send`, with the answer read as JSON; an error status is thrown as `ApiError`. */
  async json<T>(what: string, method: Dispatcher.HttpMethod, path: string, options: Options = {}): Promise<T> {
    // Before anything is answered: it may be quoted in what is wrong with it.
    withholdContents(options.body);
    const response = await this.send(what, method, path, options);
    if (response.status >= 400) throw apiError(what, response);
    if (response.value === undefined) {
      throw new Failure(
        `Could not ${what}: ${this.server} answers, but not as an API server does.`,
        "Check `server` in the kubeconfig: a proxy or a login page seems to be in between.",
      );
    }
    withholdContents(response.value);
    return response.value as T;
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
      bodyTimeout: SILENCE,
    });
    if (response.statusCode >= 400) {
      const text = await response.body.text();
      throw apiError(what, { status: response.statusCode, headers: plain(response.headers), text });
    }
    let rest = "";
    for await (const chunk of response.body.setEncoding("utf8")) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      yield* lines.filter((line) => line.length > 0);
    }
  }

  /** Runs a command in a container. What broke off is run again. @param longest milliseconds that it may take */
  async exec(what: string, path: string, longest = REQUEST_TIMEOUT): Promise<ExecResult> {
    const attempt = async (tries: number): Promise<Try<ExecResult>> => {
      const { headers, dispatcher } = await this.#authenticate();
      this.requests++;
      const url = this.server.replace(/^http/, "ws") + path;
      const executed = await within(longest, this.#deadline.signal, (signal) =>
        execute(url, headers, dispatcher, signal),
      );
      if ("result" in executed) return { done: executed.result };
      return this.#notExecuted(what, executed, tries);
    };
    return retrying(what, this.#rule(true), attempt);
  }

  #notExecuted(what: string, executed: Exclude<Executed, { result: ExecResult }>, tries: number): Try<never> {
    const { problem, status, headers } = executed;
    const end = (): never => {
      const hint = "The kubeconfig's user needs `get` and `create` on pods/exec there.";
      throw new Failure(`Could not ${what}: ${problem}.`, hint);
    };
    if (this.#deadline.passed) throw this.#late(what, "");
    const expired = status === 401 && tries === 1;
    if (expired) this.#credentials = undefined;
    if (status !== undefined && !TRIED_AGAIN.has(status) && !expired) return end();
    return { problem, after: retryAfter(headers["retry-after"]), end };
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
      const value = String(response.headers["content-type"]).includes("json") ? whole(text) : undefined;
      return { status: response.statusCode, headers: plain(response.headers), text, value };
    });
  }

  #rule(passedOn: boolean | undefined) {
    const patience = () => (!this.#answered ? PATIENCE_AT_FIRST : passedOn ? PATIENCE_PASSED_ON : PATIENCE);
    return { deadline: this.#deadline, patience, onRetry: this.#onRetry };
  }

  /** The attempts of a request, as `retry.ts` has it. */
  #retrying(what: string, { final, passedOn, webhooks }: Options, attempt: () => Promise<Response>): Promise<Response> {
    let problem = "";
    return retrying(what, this.#rule(passedOn), async (tries): Promise<Try<Response>> => {
      try {
        const response = await attempt();
        const { status, headers } = response;
        const first = !this.#answered;
        this.#answered = true;
        const said = statusOf(response);
        if (status === 401 && tries === 1 && !first) this.#credentials = undefined;
        else if (final?.(response) || isUntyped(said) || !(TRIED_AGAIN.has(status) || isOverrun(status, said))) {
          return { done: response };
        }
        const webhook = webhookIn(said);
        problem = webhook ? `the webhook ${webhook.name} cannot be called` : `HTTP ${status}`;
        const patience = webhook && webhooks;
        return { problem, after: retryAfter(headers["retry-after"]), patience, end: () => response };
      } catch (error) {
        if (error instanceof Failure) throw error;
        if (this.#deadline.passed && aborted(error)) throw this.#late(what, problem);
        const failure = unreachable(this.server, error);
        if (!isTransient(error)) throw failure;
        problem = failure.message;
        const end = () => {
          throw failure;
        };
        return { problem, end };
      }
    });
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
    for (const value of Object.values(headers)) withhold(String(value).replace(/^\w+ +/, ""));
    if (dispatcher) this.#dispatchers.add(dispatcher);
    // A pool whose credentials ran out finishes what it has under way.
    if (known?.dispatcher) void known.dispatcher.close().catch(() => {});
    return { headers, dispatcher };
  }
}

function aborted(error: unknown): boolean {
  return error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
}

/** A JSON answer that was cut off counts as no answer. The parser's own message could quote a Secret. */
function whole(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("its answer was cut off");
  }
}

/** What an error status says. */
export function apiError(what: string, response: Response): ApiError {
  return new ApiError(what, response.status, statusOf(response), retryAfter(response.headers["retry-after"]));
}

/** What is no error need not be read twice. */
function statusOf({ status, text }: Response): Status {
  return status < 400 ? {} : statusIn(text);
}
