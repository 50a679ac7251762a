import pLimit from "p-limit";
import { type Dispatcher, request } from "undici";
import { Failure } from "../mesh/failure.ts";
import type { ExecResult } from "./cluster.ts";
import { type Deadline, heeding, within } from "./deadline.ts";
import {
  ApiError,
  GATEWAY_STATUS,
  isOverrun,
  isTransient,
  isUntyped,
  type Status,
  slowWrite,
  statusIn,
  unreachable,
  webhookIn,
} from "./errors.ts";
import { type Executed, execute } from "./exec.ts";
import { plain, retryAfter } from "./headers.ts";
import type { Access, Login } from "./login.ts";
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
/** A write waits for admission webhooks, each of which may take up to 30 s. Milliseconds. */
const WRITE_TIMEOUT = 35_000;
/** A streamed answer may be silent for this long. Milliseconds. */
const SILENCE = 60_000;

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** What the text says, where it calls itself JSON. */
  readonly value?: unknown;
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

/** Requests to one API server: connections, deadline and retries; nothing of what is asked for. */
export class Transport {
  readonly #cluster: string;
  readonly server: string;
  readonly #login: Login;
  readonly #deadline: Deadline;
  readonly #onRetry: OnRetry;
  readonly #limit = pLimit(CONCURRENCY);
  #answered = false;
  requests = 0;

  /** @param cluster its name, for errors */
  constructor(cluster: string, login: Login, deadline: Deadline, onRetry: OnRetry) {
    this.#cluster = cluster;
    this.#login = login;
    this.server = login.server;
    this.#deadline = deadline;
    this.#onRetry = onRetry;
  }

  /** @param what names the request in messages, e.g. `apply Secret istio-system/cacerts` */
  async send(what: string, method: Dispatcher.HttpMethod, path: string, options: Options = {}): Promise<Response> {
    let by: Access;
    const once = () =>
      ALL(async () => {
        by = await this.#login.access();
        return this.#once(by, method, path, options);
      });
    return this.#limit(() => this.#retrying(what, method, options, once, () => this.#login.refused(by)));
  }

  /** As `send`, with the answer read as JSON; an error status is thrown as `ApiError`. */
  async json<T>(what: string, method: Dispatcher.HttpMethod, path: string, options: Options = {}): Promise<T> {
    // Before anything is answered: it may be quoted in what is wrong with it.
    withholdContents(options.body);
    const response = await this.send(what, method, path, options);
    if (response.status >= 400) throw await this.refusal(what, response);
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
    const { headers, dispatcher } = await this.#login.access();
    this.requests++;
    const response = await request(this.server + path, {
      headers: { ...headers, accept: "application/json" },
      dispatcher,
      signal: AbortSignal.any([signal, this.#deadline.signal]),
      headersTimeout: REQUEST_TIMEOUT,
      bodyTimeout: SILENCE,
    });
    if (response.statusCode >= 400) {
      const text = await response.body.text();
      throw await this.refusal(what, { status: response.statusCode, headers: plain(response.headers), text });
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
      const access = await this.#login.access();
      this.requests++;
      const url = this.server.replace(/^http/, "ws") + path;
      const executed = await within(longest, this.#deadline.signal, (signal) =>
        execute(url, access.headers, access.dispatcher, signal),
      );
      if ("result" in executed) return { done: executed.result };
      return this.#notExecuted(what, executed, tries, () => this.#login.refused(access));
    };
    return retrying(what, this.#rule(true), attempt);
  }

  async #notExecuted(
    what: string,
    executed: Exclude<Executed, { result: ExecResult }>,
    tries: number,
    refused: () => Promise<void>,
  ): Promise<Try<never>> {
    const { problem, status, headers } = executed;
    const end = (): never => {
      const hint = "The kubeconfig's user needs `get` and `create` on pods/exec there.";
      throw new Failure(`Could not ${what}: ${problem}.`, hint);
    };
    if (this.#deadline.passed) throw this.#late(what, "");
    const expired = status === 401 && tries === 1;
    if (expired) await refused();
    if (status !== undefined && !TRIED_AGAIN.has(status) && !expired) return end();
    return { problem, after: retryAfter(headers["retry-after"]), end };
  }

  /** What an error status says. An extension API may be down behind an API server that is not. */
  async refusal(what: string, response: Response): Promise<ApiError> {
    const { status, headers } = response;
    const down = GATEWAY_STATUS.has(status) && !(await this.#answers()) ? this.#cluster : undefined;
    return new ApiError(what, status, statusOf(response), retryAfter(headers["retry-after"]), down);
  }

  async close(): Promise<void> {
    await this.#login.close();
  }

  async #once(
    { headers, dispatcher }: Access,
    method: Dispatcher.HttpMethod,
    path: string,
    { body, contentType, accept }: Options,
  ): Promise<Response> {
    this.requests++;
    return within(timeoutOf(method), this.#deadline.signal, async (signal) => {
      const sent = request(this.server + path, {
        method,
        headers: {
          ...headers,
          accept: accept ?? "application/json",
          ...(body === undefined ? {} : { "content-type": contentType ?? "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        dispatcher,
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
  #retrying(
    what: string,
    method: Dispatcher.HttpMethod,
    { final, passedOn, webhooks }: Options,
    attempt: () => Promise<Response>,
    refused: () => Promise<void>,
  ): Promise<Response> {
    let problem = "";
    return retrying(what, this.#rule(passedOn), async (tries): Promise<Try<Response>> => {
      try {
        const response = await attempt();
        const { status, headers } = response;
        const first = !this.#answered;
        this.#answered = true;
        const said = statusOf(response);
        const isFinal = final?.(response) === true;
        // Who hands on what an application says was let in.
        if (status === 401 && tries === 1 && !first && !isFinal) await refused();
        else if (isFinal || isUntyped(said) || !(TRIED_AGAIN.has(status) || isOverrun(status, said))) {
          return { done: response };
        }
        const webhook = webhookIn(said);
        problem = webhook ? `the webhook ${webhook.name} cannot be called` : `HTTP ${status}`;
        const patience = webhook && webhooks;
        return { problem, after: retryAfter(headers["retry-after"]), patience, end: () => response };
      } catch (error) {
        if (error instanceof Failure) throw error;
        if (this.#deadline.passed && aborted(error)) throw this.#late(what, problem);
        const failure = unreachable(this.#cluster, this.server, error, this.#login.proxy?.told);
        if (!isTransient(error)) throw failure;
        const slow = method !== "GET" && error instanceof Error && error.name === "TimeoutError";
        problem = slow ? `no answer within ${WRITE_TIMEOUT / 1000} s` : failure.message;
        const end = async () => {
          throw slow && (await this.#answers()) ? slowWrite(this.#cluster, what, WRITE_TIMEOUT / 1000) : failure;
        };
        return { problem, end };
      }
    });
  }

  /** Whether the API server answers what needs nobody else. */
  async #answers(): Promise<boolean> {
    try {
      return (await this.#once(await this.#login.access(), "GET", "/version", {})).status < 500;
    } catch {
      return false;
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

function timeoutOf(method: Dispatcher.HttpMethod): number {
  return method === "GET" ? REQUEST_TIMEOUT : WRITE_TIMEOUT;
}

/** What is no error need not be read twice. */
function statusOf({ status, text }: Response): Status {
  return status < 400 ? {} : statusIn(text);
}
