import { clip } from "../cluster/errors.ts";
import type { GatewayView } from "../facts/gateway-view.ts";
import type { RootPolicies } from "../facts/policies.ts";
import type { Upstream } from "../facts/upstreams.ts";
import { probeName } from "../mesh/objects/probe.ts";
import type { Teller } from "../mesh/objects/probe-filter.ts";
import type { TrafficPair } from "../mesh/spec.ts";

/** One request from the source's probe, and what came back. */
export interface Call {
  /** `undefined`: the API server could not hand the request to the probe; `body` says why. */
  readonly status: number | undefined;
  readonly body: string;
  /** The caller's certificate as the target's sidecar saw it (x-forwarded-client-cert). */
  readonly client?: string;
  /** Milliseconds from the source's probe to the answer, both sidecars and gateways in between. */
  readonly milliseconds?: number;
  /** What the Envoy says that answered in the target's place; absent where none did, or it was not given to say it. */
  readonly refusal?: Refusal;
}

/** Why an Envoy answers in the application's place, as its access log would have it. */
export interface Refusal {
  readonly by: Teller;
  /** `UF`, `UH`, … */
  readonly flags: readonly string[];
  /** `upstream_reset_before_response_started{remote_connection_failure}` */
  readonly details: string;
  /** What the transport to the upstream failed by; empty where it does not say. */
  readonly reason: string;
  /** The address that it was about; empty where there was none. */
  readonly upstream: string;
}

/** An address that the source's proxy has for the target's probe. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What came of a source's requests. */
export interface Tries {
  /** Until the first good one, or until patience ran out: the last. */
  readonly first: Call;
  /** How often it was tried, and for how long in seconds, until then. */
  readonly tries: number;
  readonly seconds: number;
  /** After a good one: more, each on a connection of its own. */
  readonly more: readonly Call[];
}

export interface Attempt extends Tries {
  readonly pair: TrafficPair;
  readonly namespace: string;
  readonly trustDomain: string;
  /** In words where they could not be had. */
  readonly endpoints: readonly Endpoint[] | string;
  /** By which the source's proxy knows the target's probe; absent where it was told of no such Service. */
  readonly host?: string;
  /** Of the target's gateway. */
  readonly gateway: readonly string[];
  /** Those of them, with the port, that are the source's own gateway's, too. */
  readonly shared?: readonly string[];
  /** The network that the target is in. */
  readonly targetNetwork?: string;
  /** Whether the two are in one network, and go directly. */
  readonly oneNetwork?: boolean;
  /** The control planes' namespace, for the commands in hints. */
  readonly istioNamespace: string;
}

/** What is looked into where not all is well. What could not be read is absent. */
export interface Circumstances {
  /** How the source's connections have gone, by address. */
  readonly addresses?: readonly Pick<Upstream, "address" | "made" | "failed">[] | undefined;
  /** What the pods of the target's gateway say. */
  readonly gateways?: readonly GatewayView[];
  /** What holds for all workloads of either cluster. */
  readonly policies?: ReadonlyMap<string, RootPolicies>;
  /** By cluster, the NetworkPolicies that somebody made for the probe's namespace. */
  readonly walls?: ReadonlyMap<string, readonly string[]>;
}

/** Whether a call was answered by the target; and if it is told to whom, to the source. */
export function isAnswer(
  { pair, namespace, trustDomain }: Pick<Attempt, "pair" | "namespace" | "trustDomain">,
  call: Call,
): boolean {
  const seen = identities(call.client);
  return (
    isFrom(pair.target, call) && (seen.length === 0 || seen.includes(identityOf(pair.source, namespace, trustDomain)))
  );
}

/** Whether it is the target's answer, whomever it saw. */
export function isFrom(target: string, { status, body }: Call): boolean {
  return status === 200 && body.trim() === target;
}

/** Whether something is to be looked into, to say why. */
export function isTroubled(attempt: Attempt): boolean {
  const { first, more, pair } = attempt;
  return !isAnswer(attempt, first) || asked(more).some((call) => !isFrom(pair.target, call));
}

/** Those that the API server handed on. */
export function asked(calls: readonly Call[]): readonly Call[] {
  return calls.filter(({ status }) => status !== undefined);
}

/** The SPIFFE identity of a cluster's probe. */
export function identityOf(cluster: string, namespace: string, trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${probeName(cluster)}`;
}

/** The callers' identities in an x-forwarded-client-cert header. */
export function identities(header = ""): string[] {
  return [...header.matchAll(/(?:^|[;,])URI=([^;,]*)/g)].map(([, uri]) => uri as string);
}

/** An answer in words. */
export function told({ status, body, refusal }: Call): string {
  const text = clip(body, 300).replace(/[.\s]+$/, "");
  const flags = refusal ? [refusal.flags.join(","), clip(refusal.details, 200)].filter(Boolean).join(" ") : "";
  return `${status === undefined ? "no answer" : `HTTP ${status}`}${text ? `: ${text}` : ""}${flags ? ` (${flags})` : ""}.`;
}

/** Whether a pod of a gateway did not answer, whatever it was asked. */
export const isSilent = ({ silent }: GatewayView) => silent !== undefined;
/** That in words. */
export const silence = ({ silent }: GatewayView) => `does not answer its own node either, for ${silent} s: it is stuck`;
