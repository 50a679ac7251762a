import type { Interference, Json, LoggedRequest } from "../embedded/kube.ts";
import { isOfCollection, isStored, isWatch } from "./requests.ts";

/** The deadline passes while the request is under way; its answer comes when the run is over. */
export const LATE = "an answer after the deadline";

export interface Kind {
  readonly name: string;
  applies(request: Pick<LoggedRequest, "method" | "path">): boolean;
  readonly fault: Interference;
  /** Whether the run is to say that it tried again. */
  readonly transient: boolean;
}

const status = (code: number, reason: string, message: string): Json => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  reason,
  message,
  code,
});
const expired = status(410, "Expired", "too old resource version: 1 (2)");
const overrun = status(
  409,
  "Conflict",
  'Operation cannot be fulfilled on objects "x": the object has been modified; please apply your changes to the latest version and try again',
);
const all = () => true;

export const KINDS: readonly Kind[] = [
  {
    name: "429 with Retry-After",
    applies: all,
    fault: { status: 429, headers: { "retry-after": "1" } },
    transient: true,
  },
  { name: "500", applies: all, fault: { status: 500 }, transient: true },
  { name: "503", applies: all, fault: { status: 503 }, transient: true },
  { name: "connection reset", applies: all, fault: { destroy: true }, transient: true },
  {
    name: "a response cut in half",
    applies: (request) => !isWatch(request),
    fault: { truncate: true },
    transient: true,
  },
  {
    name: "a watch cut in half",
    applies: isWatch,
    fault: { status: 200, body: '{"type":"MODIFIED","object":{"kind":"Pod","metadata":{"name":"x"}}}\n', half: true },
    transient: true,
  },
  { name: "a watch closed early", applies: isWatch, fault: { status: 200, body: "" }, transient: true },
  { name: "410 Gone", applies: isOfCollection, fault: { status: 410, body: expired }, transient: false },
  {
    name: "410 Gone as a watch's event",
    applies: isWatch,
    fault: { status: 200, body: `${JSON.stringify({ type: "ERROR", object: expired })}\n` },
    transient: true,
  },
  { name: "409 conflict", applies: isStored, fault: { status: 409, body: overrun }, transient: true },
  { name: LATE, applies: all, fault: undefined, transient: false },
];
