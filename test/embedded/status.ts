import type { Json } from "./kube.ts";
import type { Resource } from "./resources.ts";

/** An error as the API server answers it. */
export class StatusError extends Error {
  readonly code: number;
  readonly body: Json;

  constructor(code: number, reason: string, message: string, details?: Json) {
    super(message);
    this.name = "StatusError";
    this.code = code;
    this.body = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message,
      reason,
      ...(details ? { details } : {}),
      code,
    };
  }
}

/** `deployments.apps`, as messages name a resource. */
export function groupResource({ group, plural }: { group: string; plural: string }): string {
  return group ? `${plural}.${group}` : plural;
}

function detailsOf({ group, plural }: { group: string; plural: string }, name?: string): Json {
  return { ...(name ? { name } : {}), ...(group ? { group } : {}), kind: plural };
}

export function notFound(resource: { group: string; plural: string }, name: string): StatusError {
  return new StatusError(404, "NotFound", `${groupResource(resource)} "${name}" not found`, detailsOf(resource, name));
}

export function alreadyExists(resource: Resource, name: string): StatusError {
  return new StatusError(
    409,
    "AlreadyExists",
    `${groupResource(resource)} "${name}" already exists`,
    detailsOf(resource, name),
  );
}

/** A conflict other than one of server-side apply. */
export function conflict(resource: { group: string; plural: string }, name: string, why?: string): StatusError {
  const message = why ?? "the object has been modified; please apply your changes to the latest version and try again";
  return new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${groupResource(resource)} "${name}": ${message}`,
    detailsOf(resource, name),
  );
}

export interface Cause {
  readonly reason: "FieldValueInvalid" | "FieldValueRequired" | "FieldValueNotSupported" | "FieldValueForbidden";
  readonly message: string;
  readonly field: string;
}

export function invalid({ group, kind }: { group: string; kind: string }, name: string, causes: Cause[]): StatusError {
  const lines = causes.map(({ field, message }) => `${field}: ${message}`);
  return new StatusError(
    422,
    "Invalid",
    `${group ? `${kind}.${group}` : kind} "${name}" is invalid: ${lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`}`,
    { name, ...(group ? { group } : {}), kind, causes },
  );
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, "BadRequest", message);
}

export function forbidden(resource: { group: string; plural: string }, name: string, why: string): StatusError {
  return new StatusError(
    403,
    "Forbidden",
    `${groupResource(resource)}${name ? ` "${name}"` : ""} is forbidden: ${why}`,
    detailsOf(resource, name),
  );
}
