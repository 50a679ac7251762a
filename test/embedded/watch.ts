import type { IncomingMessage, ServerResponse } from "node:http";
import type { Json } from "./kube.ts";
import { apiVersionOf, type Resource, storageKey } from "./resources.ts";
import type { Matcher } from "./selectors.ts";
import { StatusError } from "./status.ts";
import { as, type Change, type Store } from "./store.ts";

export interface WatchQuery {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly matches: Matcher;
  readonly parameters: URLSearchParams;
}

/** Streams changes, one event in a line, until the client goes or the time that it asked for is over. */
export function watch(store: Store, query: WatchQuery, request: IncomingMessage, response: ServerResponse): void {
  const { resource, namespace, name, matches, parameters } = query;
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const send = (type: string, object: Json) => response.write(`${JSON.stringify({ type, object })}\n`);
  const selected = (object: Json | undefined) =>
    object !== undefined &&
    (!namespace || object.metadata.namespace === namespace) &&
    (!name || object.metadata.name === name) &&
    matches(object);

  // An object that begins or ceases to match is, to the watcher, one that comes or goes.
  const key = storageKey(resource);
  const tell = ({ key: changed, type, object, previous }: Change) => {
    if (changed !== key) return;
    const before = selected(previous);
    const now = type !== "DELETED" && selected(object);
    if (now) send(before ? "MODIFIED" : "ADDED", as(resource, object));
    else if (before)
      send(
        "DELETED",
        as(
          resource,
          type === "DELETED"
            ? object
            : { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } },
        ),
      );
  };
  const bookmark = (annotations?: Json) =>
    send("BOOKMARK", {
      kind: resource.kind,
      apiVersion: apiVersionOf(resource),
      metadata: {
        resourceVersion: String(store.revision),
        creationTimestamp: null,
        ...(annotations ? { annotations } : {}),
      },
    });

  const from = parameters.get("resourceVersion") ?? "";
  const initial = parameters.get("sendInitialEvents") === "true";
  if (initial || from === "" || from === "0") {
    for (const object of store.list(resource, namespace)) if (selected(object)) send("ADDED", object);
    if (initial) bookmark({ "k8s.io/initial-events-end": "true" });
  } else {
    const missed = store.since(Number(from));
    if (!missed) {
      const expired = new StatusError(410, "Expired", `too old resource version: ${from} (${store.revision})`);
      send("ERROR", expired.body);
      response.end();
      return;
    }
    for (const change of missed) tell(change);
  }

  const end = () => {
    clearTimeout(timer);
    clearInterval(bookmarks);
    stopListening();
    if (!response.writableEnded) response.end();
  };
  const stopListening = store.listen(tell);
  const timer = setTimeout(end, 1000 * (Number(parameters.get("timeoutSeconds")) || 1800));
  const bookmarks =
    parameters.get("allowWatchBookmarks") === "true" ? setInterval(() => bookmark(), 10_000) : undefined;
  request.on("close", end);
  response.on("close", end);
}
