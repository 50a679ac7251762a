import { type Dispatcher, WebSocket } from "undici";
import type { ExecResult } from "./cluster.ts";
import { clip, statusIn } from "./errors.ts";
import { plain } from "./headers.ts";

/** How a command in a container ended, or why it did not run to its end. */
export type Executed =
  | { readonly result: ExecResult }
  /** `status`: what was answered instead of a WebSocket; absent where nothing was, or the connection broke. */
  | { readonly problem: string; readonly status?: number; readonly headers: Readonly<Record<string, string>> };

/**
 * Kubernetes' exec protocol over a WebSocket: a message's first byte is its stream; stream 3 carries the end.
 * @param url of the API server, `ws` or `wss`
 */
export function execute(
  url: string,
  headers: Readonly<Record<string, string | string[]>>,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Executed> {
  const refusal = new Refusal();
  const socket = new WebSocket(url, {
    protocols: ["v5.channel.k8s.io", "v4.channel.k8s.io"],
    dispatcher: refusal.of(withHeaders(dispatcher, headers)),
  });
  socket.binaryType = "arraybuffer";
  const output = ["", "", "", ""];
  const decoders = output.map(() => new TextDecoder());
  return new Promise((resolve) => {
    const abort = () => fail("no answer in time");
    const over = (end: Executed) => {
      signal.removeEventListener("abort", abort);
      resolve(end);
    };
    const fail = (why: string) => {
      const { status, answer } = refusal;
      over(
        status === undefined ? { problem: why, headers: {} } : { problem: `HTTP ${status}`, status, headers: answer },
      );
      socket.close();
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
    });
    socket.addEventListener("error", ({ message }) =>
      fail(opened ? "the connection broke" : clip(message || "the connection was refused")),
    );
    socket.addEventListener("message", ({ data }) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      const stream = bytes[0] ?? 0;
      if (stream < output.length) output[stream] += decoders[stream]?.decode(bytes.subarray(1), { stream: true }) ?? "";
    });
    socket.addEventListener("close", () => {
      const [, stdout = "", stderr = "", end = ""] = output;
      if (!end) return fail("the connection ended before the command did");
      const status = statusIn(end);
      const code = status.details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
      if (status.status !== "Success" && code === undefined) {
        return over({
          problem: clip(status.message ?? "how it ended cannot be read"),
          status: status.code ?? 400,
          headers: {},
        });
      }
      over({ result: { exitCode: Number(code ?? 0), stdout, stderr } });
    });
  });
}

/** A WebSocket's own headers have one value each; ours may have several (the groups of a user that is acted as). */
function withHeaders(dispatcher: Dispatcher, headers: Readonly<Record<string, string | string[]>>): Dispatcher {
  return dispatcher.compose(
    (dispatch) => (options, handler) =>
      dispatch({ ...options, headers: { ...(options.headers as Record<string, string>), ...headers } }, handler),
  );
}

/** What was answered instead of a WebSocket, of which undici's own says nothing. */
class Refusal {
  status: number | undefined;
  answer: Readonly<Record<string, string>> = {};

  of(dispatcher: Dispatcher): Dispatcher {
    const noting = (handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler =>
      new Proxy(handler, {
        get: (target, name) => {
          const value = Reflect.get(target, name, target);
          if (typeof value !== "function") return value;
          return (...args: unknown[]) => {
            if (name === "onResponseStart")
              this.#note(args[1] as number, args[2] as Dispatcher.ResponseData["headers"]);
            return value.apply(target, args);
          };
        },
      });
    return dispatcher.compose((dispatch) => (options, handler) => dispatch(options, noting(handler)));
  }

  #note(status: number, headers: Dispatcher.ResponseData["headers"]): void {
    this.status = status;
    this.answer = plain(headers);
  }
}
