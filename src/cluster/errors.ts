import { Failure } from "../mesh/failure.ts";
import { fields } from "../mesh/fields.ts";
import { redact } from "../mesh/redact.ts";
import { ProxyError } from "./tunnel.ts";

/** The body that the Kubernetes API answers an error with. */
export interface Status {
  status?: string;
  reason?: string;
  message?: string;
  code?: number;
  details?: { causes: { reason?: string; message?: string; field?: string }[] };
}

/**
 * What of an answer is such a body. Proxies and unserved paths answer in plain text or HTML, or in JSON of their own, of
 * which the HTTP status is enough.
 */
export function statusIn(text: string): Status {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return {};
  }
  const { details, code, ...rest } = fields(body);
  const { causes } = fields(details);
  return {
    ...texts(rest),
    ...(typeof code === "number" ? { code } : {}),
    ...(Array.isArray(causes) ? { details: { causes: causes.map((cause) => texts(fields(cause))) } } : {}),
  };
}

function texts(fields: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, string] => typeof field[1] === "string"),
  );
}

/** A webhook that the API server could not call, and why. */
export interface Webhook {
  readonly name: string;
  readonly reason: string;
  /** `NAMESPACE/NAME` of the Service that it is called at, where it is one. */
  readonly service?: string | undefined;
}

/** The webhook that could not be called, where that is what a status says (apiserver, pkg/admission/plugin/webhook/errors). */
export function webhookIn({ message = "" }: Status): Webhook | undefined {
  const found = /failed calling webhook "([^"]+)"(?:: (?:failed to call webhook: )?(.*))?/s.exec(message);
  if (!found) return undefined;
  const [, name = "", reason = ""] = found;
  const [, service, namespace] = /https:\/\/([a-z0-9-]+)\.([a-z0-9-]+)\.svc[:/]/.exec(reason) ?? [];
  return { name, reason: clip(reason, 300), service: service && `${namespace}/${service}` };
}

/**
 * Whether a status says that the object has a field that its kind does not have, or of another type. The API server
 * answers a server-side apply of such a one with 500, as if another try could help (structured-merge-diff, typed).
 */
export function isUntyped({ message = "" }: Status): boolean {
  return message.includes("failed to create typed patch object");
}

/** The API server answered, and said no. */
export class ApiError extends Failure {
  readonly status: number;
  readonly reason: string;
  /** Other field managers that own what we wanted to set, where that is the matter. */
  readonly conflicts: readonly { manager: string; field: string }[];
  /** Milliseconds after which it asks to come back. */
  readonly after: number | undefined;
  /** The webhook that could not be called, where that is the matter. */
  readonly webhook: Webhook | undefined;
  /** The cluster whose API server is down: something else answered in its place, also when it was asked for its version. */
  readonly down: string | undefined;

  constructor(what: string, status: number, body: Status, after?: number, down?: string) {
    const conflicts = (body.details?.causes ?? [])
      .filter((cause) => cause.reason === "FieldManagerConflict")
      .map((cause) => ({ manager: /"([^"]*)"/.exec(cause.message ?? "")?.[1] ?? "?", field: cause.field ?? "?" }));
    const reason = clip(body.reason ?? "", 100) || `HTTP ${status}`;
    const webhook = webhookIn(body);
    const wrong = isUntyped(body) ? wrongFields(body) : undefined;
    super(
      conflicts.length > 0
        ? `Could not ${what}: somebody else set it differently: ${clip(conflicts.map((c) => `${c.field} (by ${c.manager})`).join(", "))}`
        : webhook
          ? `Could not ${what}: the webhook ${webhook.name} cannot be called: ${webhook.reason || "no reason is given"}`
          : `Could not ${what}: ${wrong ?? `${reason}${body.message ? `: ${clip(body.message)}` : ""}`}`,
      wrong ? WRONG_FIELD : webhook ? hintForWebhook(webhook) : hintFor(status, conflicts.length > 0),
    );
    this.name = "ApiError";
    this.status = status;
    this.reason = reason;
    this.conflicts = conflicts;
    this.after = after;
    this.webhook = webhook;
    this.down = down;
  }
}

/** The paths of the fields, with what is wrong with each: `.spec.values.x: field not declared in schema`. */
function wrongFields({ message = "" }: Status): string {
  const [, list = ""] = /failed to create typed patch object \([^)]*\): (.*)/s.exec(message) ?? [];
  const fields = list
    .replace(/^errors:/, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return clip(fields.join("; ") || message);
}

const WRONG_FIELD =
  "Correct the field where it comes from, mostly the input `values`: a typo, or a field that this version does not have. The names are those of the Helm values.";

function hintForWebhook({ name, service }: Webhook): string {
  const [namespace, of] = service?.split("/") ?? [];
  return of
    ? `Are the pods of its Service ready, and may the API server reach them? kubectl -n ${namespace} get pods; kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${of}`
    : `Look at it: kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations -o yaml, and there for ${name}.`;
}

/** Whether a write met another one: with the object as it is now, the same write can succeed. */
export function isOverrun(status: number, { reason, message = "" }: Status): boolean {
  return status === 409 && reason === "Conflict" && message.includes("the object has been modified");
}

/** Whether the object is another one than the one that was meant, by its UID. */
export function isReplaced({ status, message }: ApiError): boolean {
  return status === 409 && /precondition/i.test(message);
}

function hintFor(status: number, conflict: boolean): string {
  if (conflict) {
    return "Nothing was overwritten. Set the same value in this action's inputs, or have the other manager give the field up.";
  }
  if (status === 401) return "The credentials in the kubeconfig are not accepted; renew them.";
  if (status === 403) return "Grant the kubeconfig's user this right; docs/SECURITY.md has the list.";
  return "A new run goes on from here. If it fails again, look at that object and its events in the cluster.";
}

/** Keeps a message that a cluster supplied to one line of readable length, without what looks like a secret. */
export function clip(text: string, length = 600): string {
  const line = redact(text).replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)} …` : line;
}

interface Cause {
  code?: string;
  message?: string;
  cause?: unknown;
}

/** The innermost code and message of a transport error: undici and fetch wrap what happened in `cause`. */
export function rootCause(error: unknown): { code: string; message: string } {
  let current = error as Cause;
  while (current?.cause instanceof Error) current = current.cause as Cause;
  // Several addresses tried at once fail with an aggregate without a message of its own.
  const first = (current as { errors?: Cause[] })?.errors?.[0];
  if (first && !current.message) current = first;
  // An aborted request has a number for a code, which says nothing to anybody.
  const code = typeof current?.code === "string" ? current.code : "";
  return { code, message: clip(String(current?.message ?? error), 200) };
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|ERR_TLS|ERR_SSL|EPROTO|HPE_INVALID/;

/** Whether another try could help: not where a certificate is wrong or the name does not exist. */
export function isTransient(error: unknown): boolean {
  const { code } = rootCause(error);
  const proxy = proxyErrorIn(error);
  if (proxy) return proxy.transient;
  return !CERTIFICATE.test(code) && code !== "ENOTFOUND" && code !== "ERR_INVALID_URL";
}

function proxyErrorIn(error: unknown): ProxyError | undefined {
  let current = error;
  while (current instanceof Error && !(current instanceof ProxyError)) current = current.cause;
  return current instanceof ProxyError ? current : undefined;
}

/** Nobody answers at the API server's address. */
export class Unreachable extends Failure {
  readonly cluster: string;

  constructor(cluster: string, message: string, hint: string, options?: ErrorOptions) {
    super(message, hint, options);
    this.cluster = cluster;
  }
}

/** Somebody answers at the API server's address, with a certificate that the kubeconfig does not make good. */
export class Distrusted extends Failure {}

/** What a load balancer answers in the place of an API server that is down; and an API server, for an extension API. */
export const GATEWAY_STATUS: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * The cluster that could not be reached, whichever step asked it: a matter of the moment, unlike what it answers, or a wrong
 * certificate. `undefined` where the error is of another kind.
 */
export function unreachableCluster(error: unknown): string | undefined {
  if (error instanceof Unreachable) return error.cluster;
  return error instanceof ApiError ? error.down : undefined;
}

/** A write had no answer in its time, from an API server that answers otherwise. */
export function slowWrite(cluster: string, what: string, seconds: number): Failure {
  return new Failure(
    `Could not ${what}: ${cluster || "the API server"} gave no answer within ${seconds} s, but answers reads: an admission webhook is slow, or cannot be reached.`,
    "`kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations` lists them: look at the pods behind those that are called for this kind. A new run goes on from here.",
  );
}

/**
 * A transport error as the user should read it.
 * @param proxy by which the API server was asked, for messages
 */
export function unreachable(cluster: string, server: string, error: unknown, proxy?: string): Failure {
  const { code, message } = rootCause(error);
  const why = code ? `${code}: ${message}` : message;
  if (proxyErrorIn(error)) {
    return new Unreachable(
      cluster,
      `The API server at ${server} cannot be reached: the proxy ${proxy} does not lead there (${why}).`,
      "Check that this runner may use the proxy, and the proxy the API server. An API server that needs none belongs into NO_PROXY.",
      { cause: error },
    );
  }
  const by = proxy ? `, asked by way of the proxy ${proxy}` : "";
  const told = (what: string) => `The API server at ${server}${by} cannot be reached: ${what} (${why}).`;
  if (CERTIFICATE.test(code)) {
    const hint = "Check certificate-authority-data, server and tls-server-name in the kubeconfig.";
    return new Distrusted(told("its certificate was not accepted"), hint, { cause: error });
  }
  const [what, hint] =
    code === "ENOTFOUND"
      ? ["its host name does not resolve", "Check `server` in the kubeconfig, and the runner's DNS."]
      : code === "ECONNREFUSED"
        ? [
            "the connection was refused",
            "Check that the API server runs and that `server` in the kubeconfig has the right port.",
          ]
        : ["no answer", "Check that this runner may reach the API server: firewall, private endpoint, proxy."];
  return new Unreachable(cluster, told(what), hint, { cause: error });
}

/** What was answered, or `undefined` where the API server says that there is no such thing. */
export async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
