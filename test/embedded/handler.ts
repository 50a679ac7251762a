import type { IncomingMessage, ServerResponse } from "node:http";
import { parse } from "yaml";
import type { Authenticator, Authorizer, User } from "./auth.ts";
import { discovery } from "./discovery.ts";
import type { Json, LogRequest } from "./kube.ts";
import { jsonPatch, mergePatch, strategicPatch } from "./patch.ts";
import { type ProxyHandler, proxy } from "./proxy.ts";
import type { Registry, WriteOptions } from "./registry.ts";
import { apiVersionOf, REVIEWS, type Resource } from "./resources.ts";
import { review, serviceAccountToken } from "./reviews.ts";
import { matcher } from "./selectors.ts";
import { shapeOf } from "./shape.ts";
import { badRequest, invalid, StatusError } from "./status.ts";
import { watch } from "./watch.ts";

/** What a request's path and query say. */
export interface Target {
  readonly path: string;
  readonly parameters: URLSearchParams;
  readonly group?: string;
  readonly version?: string;
  readonly plural?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  /** What follows the subresource, with its leading slash. */
  readonly tail: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Api {
  readonly registry: Registry;
  readonly who: Authenticator;
  readonly may: Authorizer;
  /** What containers have logged. */
  readonly log: (request: LogRequest) => string;
  /** What pods answer. */
  readonly proxy: ProxyHandler;
}

const NOT_SERVED: Answer = { status: 404, body: "404 page not found\n" };

export function parseTarget(url: string): Target {
  const { pathname, searchParams: parameters } = new URL(url, "https://localhost");
  const path = decodeURIComponent(pathname);
  const parts = pathname.split("/").slice(1).map(decodeURIComponent);
  const core = parts[0] === "api";
  if (!core && parts[0] !== "apis") return { path, parameters, tail: "" };
  const [group = "", version = "", ...rest] = core ? ["", ...parts.slice(1)] : parts.slice(1);
  // A namespace is itself a resource, and what follows its name is in it, unless that is a subresource.
  const within = rest[0] === "namespaces" && rest.length > 2 && !["status", "finalize"].includes(rest[2] ?? "");
  const [plural, name, subresource, ...tail] = within ? rest.slice(2) : rest;
  const namespace = within ? rest[1] : undefined;
  if (!plural) return { path, parameters, tail: "" };
  return {
    path,
    parameters,
    group,
    version,
    plural,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(subresource ? { subresource } : {}),
    tail: tail.map((part) => `/${part}`).join(""),
  };
}

/** The verb that access is granted by. */
export function verbOf(method: string, { name, parameters }: Target): string {
  switch (method) {
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return name ? "delete" : "deletecollection";
    default:
      return isWatch(parameters) ? "watch" : name ? "get" : "list";
  }
}

const isWatch = (parameters: URLSearchParams) => ["true", "1"].includes(parameters.get("watch") ?? "");

/** @throws StatusError 403 */
export function authorize({ may }: Api, user: User, method: string, target: Target): void {
  const { group, plural, namespace, name, subresource, path } = target;
  if (plural === undefined) {
    may.check(user, { verb: method.toLowerCase(), path });
    return;
  }
  // Who asks for objects of one name is asked about those.
  const only = /(?:^|,)metadata\.name=([^,]+)/.exec(target.parameters.get("fieldSelector") ?? "")?.[1] ?? "";
  // A namespace is in itself, for bindings in it.
  const where = namespace ?? (plural === "namespaces" && group === "" ? name : undefined);
  may.check(user, {
    verb: verbOf(method, target),
    group: group ?? "",
    resource: plural,
    ...(where ? { namespace: where } : {}),
    ...(name || only ? { name: name || only } : {}),
    ...(subresource ? { subresource } : {}),
  });
}

/** Answers a request that may be made; `undefined` where the answer is a stream that goes on. */
export async function handle(
  api: Api,
  user: User,
  target: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer | undefined> {
  const { path, group = "", version = "", plural, name } = target;
  const method = request.method ?? "GET";
  if (plural === undefined) {
    if (method !== "GET") return NOT_SERVED;
    if (path === "/version" || path === "/version/") return { status: 200, body: VERSION };
    if (/^\/(readyz|livez|healthz)(\/|$)/.test(path)) return { status: 200, body: "ok" };
    const body = discovery(path, api.registry.store.resources);
    return body ? { status: 200, body } : NOT_SERVED;
  }
  const virtual = REVIEWS.find((r) => r.plural === plural && r.group === group && r.version === version);
  if (virtual && method === "POST") {
    const object = checked(virtual, target, await readBody(request));
    return { status: 201, body: review(virtual.kind, object, user, api.who, api.may) };
  }
  const resource = api.registry.store.resources.byPlural(group, version, plural);
  if (!resource || (target.namespace && !resource.namespaced)) return NOT_SERVED;
  if (resource.namespaced && !target.namespace && (name || method === "POST")) {
    // What is in a namespace is only listed without one.
    if (name) return NOT_SERVED;
    throw badRequest("an empty namespace may not be set during creation");
  }
  if (resource.kind === "Pod" && target.subresource === "proxy") {
    request.resume();
    return proxy(api.registry, resource, target, method, api.proxy);
  }
  if (resource.kind === "Pod" && target.subresource === "log" && method === "GET") {
    return { status: 200, body: log(api, resource, target) };
  }
  if (method === "GET" || method === "HEAD") return read(api, resource, target, request, response);
  return write(api, user, resource, target, method, request);
}

function read(
  { registry }: Api,
  resource: Resource,
  { namespace, name, subresource, parameters }: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Answer | undefined {
  if (name && !isWatch(parameters)) {
    if (subresource && !(subresource === "status" && resource.status)) throw unknownSubresource();
    return { status: 200, body: registry.get(resource, namespace ?? "", name) };
  }
  const matches = matcher(parameters.get("labelSelector"), parameters.get("fieldSelector"));
  if (isWatch(parameters)) {
    watch(registry.store, { resource, namespace, name, matches, parameters }, request, response);
    return undefined;
  }
  const all = registry.store.list(resource, namespace).filter(matches);
  const items = all.slice(0, Number(parameters.get("limit") ?? 0) || all.length);
  const apiVersion = apiVersionOf(resource);
  // Items of the built-in kinds come without the kind that the list names once.
  const plain = resource.schema ? items : items.map(({ apiVersion: _, kind: __, ...item }) => item);
  const metadata = { resourceVersion: String(registry.store.revision) };
  return { status: 200, body: { kind: `${resource.kind}List`, apiVersion, metadata, items: plain } };
}

function log({ registry, log }: Api, resource: Resource, { namespace = "", name = "", parameters }: Target): string {
  const { spec } = registry.get(resource, namespace, name);
  const since = parameters.get("sinceTime");
  return log({
    namespace,
    pod: name,
    container: parameters.get("container") ?? spec.containers[0]?.name ?? "",
    ...(since ? { since: new Date(since) } : {}),
  });
}

async function write(
  api: Api,
  user: User,
  resource: Resource,
  target: Target,
  method: string,
  request: IncomingMessage,
): Promise<Answer> {
  const { registry, may } = api;
  const { namespace = "", name = "", subresource, parameters } = target;
  const dryRun = parameters.get("dryRun") === "All";
  const options: WriteOptions = {
    manager: parameters.get("fieldManager") || (request.headers["user-agent"] ?? "unknown").split("/")[0] || "unknown",
    dryRun,
    ...(subresource ? { subresource } : {}),
  };
  const body = await readBody(request);
  if (subresource === "token" && resource.kind === "ServiceAccount" && method === "POST") {
    return { status: 201, body: tokenRequest(api, resource, namespace, name, body) };
  }
  if (subresource && !(subresource === "status" && resource.status)) throw unknownSubresource();
  switch (method) {
    case "POST": {
      if (name) throw methodNotAllowed();
      const object = checked(resource, target, body);
      may.checkEscalation(user, resource, inNamespace(object, namespace), undefined);
      return { status: 201, body: registry.create(resource, namespace, object, options) };
    }
    case "PUT": {
      if (!name) throw methodNotAllowed();
      const object = checked(resource, target, body);
      const live = registry.store.get(resource, namespace, name);
      if (live) may.checkEscalation(user, resource, inNamespace(object, namespace), live);
      // A custom resource can only be replaced by one who says what it was.
      if (live && resource.schema && !object.metadata?.resourceVersion) {
        throw invalid(resource, name, [
          {
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update",
            field: "metadata.resourceVersion",
          },
        ]);
      }
      return { status: 200, body: registry.update(resource, namespace, name, () => object, options) };
    }
    case "PATCH":
      if (!name) throw methodNotAllowed();
      return patch(api, user, resource, target, request.headers["content-type"] ?? "", body, options);
    case "DELETE":
      if (!name) return deleteCollection(api, resource, target, body);
      return { status: 200, body: deleted(api, resource, namespace, name, body ?? {}, parameters) };
    default:
      throw methodNotAllowed();
  }
}

function patch(
  { registry, may }: Api,
  user: User,
  resource: Resource,
  target: Target,
  contentType: string,
  body: Json,
  options: WriteOptions,
): Answer {
  const { namespace = "", name = "", parameters } = target;
  const live = registry.store.get(resource, namespace, name);
  const type = contentType.split(";")[0]?.trim();
  if (type === "application/apply-patch+yaml") {
    const config = checked(resource, target, body);
    if (!parameters.get("fieldManager")) {
      throw invalid({ group: "meta.k8s.io", kind: "PatchOptions" }, "", [
        { reason: "FieldValueRequired", message: "Required value: is required for apply patch", field: "fieldManager" },
      ]);
    }
    if (config.metadata?.managedFields) throw badRequest("metadata.managedFields must be nil");
    // To apply what is not there is to create it.
    if (!live) {
      const where = namespace ? { namespace } : {};
      may.check(user, { verb: "create", group: resource.group, resource: resource.plural, name, ...where });
    }
    may.checkEscalation(user, resource, inNamespace(config, namespace), live);
    const force = parameters.get("force") === "true";
    const applied = registry.apply(resource, namespace, name, config, { ...options, force });
    return { status: live ? 200 : 201, body: applied };
  }
  const shape = shapeOf(resource);
  const change = (object: Json): Json => {
    if (type === "application/json-patch+json") return jsonPatch(object, body);
    if (type === "application/merge-patch+json") return mergePatch(object, body);
    if (type === "application/strategic-merge-patch+json" && !resource.schema)
      return strategicPatch(object, body, shape);
    throw new StatusError(415, "UnsupportedMediaType", "the body of the request was in an unknown format");
  };
  const checkedChange = (object: Json): Json => {
    const next = change(object);
    may.checkEscalation(user, resource, next, object);
    return next;
  };
  return { status: 200, body: registry.update(resource, namespace, name, checkedChange, options) };
}

/** Kinds whose deletion is answered with the object that is gone; that of all others with a Status. */
const RETURNED = new Set(["Pod", "Service", "ServiceAccount"]);

function deleted(
  { registry }: Api,
  resource: Resource,
  namespace: string,
  name: string,
  body: Json,
  parameters: URLSearchParams,
): Json {
  const dryRun = parameters.get("dryRun") === "All" || body.dryRun?.includes("All") === true;
  const propagationPolicy = body.propagationPolicy ?? parameters.get("propagationPolicy") ?? "Background";
  const { object, gone } = registry.delete(resource, namespace, name, { ...body, propagationPolicy, dryRun });
  if (!gone || RETURNED.has(resource.kind)) return object;
  const { group, plural } = resource;
  const details = { name, ...(group ? { group } : {}), kind: plural, uid: object.metadata.uid };
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
}

function deleteCollection(
  { registry }: Api,
  resource: Resource,
  { namespace, parameters }: Target,
  body: Json,
): Answer {
  const matches = matcher(parameters.get("labelSelector"), parameters.get("fieldSelector"));
  const items = registry.store.list(resource, namespace).filter(matches);
  const dryRun = parameters.get("dryRun") === "All";
  for (const { metadata } of items)
    registry.delete(resource, metadata.namespace ?? "", metadata.name, { ...body, dryRun });
  const metadata = { resourceVersion: String(registry.store.revision) };
  return { status: 200, body: { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items } };
}

const SHORTEST = 600;

function tokenRequest({ registry, who }: Api, resource: Resource, namespace: string, name: string, body: Json): Json {
  const account = registry.get(resource, namespace, name);
  const { expirationSeconds: seconds = 3600, boundObjectRef: bound } = body?.spec ?? {};
  if (seconds < SHORTEST) {
    throw invalid({ group: "authentication.k8s.io", kind: "TokenRequest" }, "", [
      {
        reason: "FieldValueInvalid",
        message: `Invalid value: ${seconds}: may not specify a duration less than 10 minutes`,
        field: "spec.expirationSeconds",
      },
    ]);
  }
  const user = `system:serviceaccount:${namespace}:${name}`;
  // Of what a token can be bound to, only a Secret is ever asked for here.
  const secrets = registry.store.resources.byKind("v1", "Secret") as Resource;
  const secret = bound && registry.get(secrets, namespace, bound.name);
  if (bound?.uid && bound.uid !== secret.metadata.uid) {
    const message = `the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`;
    throw new StatusError(409, "Conflict", message, {});
  }
  const reference = ({ metadata }: Json) => ({ name: metadata.name, uid: metadata.uid });
  const expires = new Date(Date.now() + seconds * 1000);
  const token = serviceAccountToken(namespace, name, expires, {
    serviceaccount: reference(account),
    ...(secret ? { secret: reference(secret) } : {}),
  });
  who.setToken(token, user);
  if (secret) {
    const stop = registry.store.listen(({ type, object }) => {
      if (type !== "DELETED" || object.metadata.uid !== secret.metadata.uid) return;
      who.setToken(token, undefined);
      stop();
    });
  }
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: null },
    spec: { audiences: ["https://kubernetes.default.svc"], ...body?.spec, expirationSeconds: seconds },
    status: { token, expirationTimestamp: `${expires.toISOString().slice(0, 19)}Z` },
  };
}

/** The body as an object of the kind and place that the path names. */
function checked(resource: Resource, { namespace, name }: Target, body: Json): Json {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw badRequest("the object provided is unrecognized");
  const apiVersion = apiVersionOf(resource);
  if ((body.kind && body.kind !== resource.kind) || (body.apiVersion && body.apiVersion !== apiVersion)) {
    throw badRequest(
      `${body.kind} in version "${body.apiVersion}" cannot be handled as a ${resource.kind}: the object provided does not match the expected kind ${apiVersion}, Kind=${resource.kind}`,
    );
  }
  const { metadata = {} } = body;
  if (name && metadata.name && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  if (namespace && metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request (${metadata.namespace} != ${namespace})`,
    );
  }
  return { ...body, metadata };
}

const inNamespace = (object: Json, namespace: string): Json => ({
  ...object,
  metadata: { ...object.metadata, ...(namespace ? { namespace } : {}) },
});

const unknownSubresource = () =>
  new StatusError(404, "NotFound", "the server could not find the requested resource", {});
const methodNotAllowed = () =>
  new StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

async function readBody(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  if (text === "") return undefined;
  const type = request.headers["content-type"] ?? "application/json";
  if (type.includes("protobuf") || type.includes("cbor")) {
    throw new StatusError(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml",
    );
  }
  try {
    return type.includes("yaml") && !/^\s*[{[]/.test(text) ? parse(text) : JSON.parse(text);
  } catch {
    throw badRequest("the body of the request could not be parsed");
  }
}

const VERSION = {
  major: "1",
  minor: "33",
  gitVersion: "v1.33.0",
  gitCommit: "embedded",
  gitTreeState: "clean",
  goVersion: "none",
  compiler: "none",
  platform: "linux/amd64",
};
