import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { ListQuery } from "./cluster.ts";
import { ApiError, rootCause, type Status } from "./errors.ts";
import { listPath } from "./resources.ts";
import { withholdContents } from "./secrets.ts";
import type { Transport } from "./transport.ts";

/** How long a watch is held before it is asked for anew; a connection that died silently is noticed by then. */
const WATCH_SECONDS = 45;

export interface Event {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubernetesObject;
}

/** A watch ended before its time, and is to be begun anew by a list, whose own errors tell what the matter is. */
export interface Broken {
  readonly problem: string;
  /** Milliseconds after which it was asked to come back. */
  readonly after?: number | undefined;
}

/** The events of a watch. Throws only what another one would not mend. */
export async function* watch(
  transport: Transport,
  query: ListQuery,
  resourceVersion: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Event, Broken | undefined> {
  const what = `watch ${query.kind}s`;
  const parameters = { watch: "true", timeoutSeconds: String(WATCH_SECONDS), resourceVersion: resourceVersion ?? "" };
  const started = performance.now();
  try {
    for await (const line of transport.lines(what, listPath(query, parameters), signal)) {
      const event = JSON.parse(line) as
        | Event
        | { type: "BOOKMARK"; object?: unknown }
        | { type: "ERROR"; object: Status };
      withholdContents(event.object);
      if (event.type === "ERROR") return { problem: `${what}: ${reasonOf(event.object)}` };
      if (event.type !== "BOOKMARK") yield event;
    }
  } catch (error) {
    if (error instanceof ApiError && error.status !== 403) {
      return { problem: `${what}: HTTP ${error.status}`, after: error.after };
    }
    if (error instanceof Failure) throw error;
    // Its own message quotes the line.
    if (error instanceof SyntaxError) return { problem: `${what}: it broke off within an event` };
    return { problem: `${what}: ${rootCause(error).message}` };
  }
  const seconds = (performance.now() - started) / 1000;
  return seconds < WATCH_SECONDS / 2 ? { problem: `${what}: it ended after ${seconds.toFixed(1)} s` } : undefined;
}

function reasonOf({ code, reason }: Status): string {
  return `HTTP ${code ?? "error"}${reason ? ` ${reason}` : ""}`;
}
