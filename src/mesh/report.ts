import type { Category, CheckId } from "./catalogue.ts";
import type { ObjectRef } from "./objects/object.ts";
import type { Phase, Verdict } from "./phases.ts";
import type { RemotePair, TrafficPair } from "./spec.ts";

/** Version of the published report; a field's removal or change of meaning raises it. */
export const SCHEMA_VERSION = 1;

/** `incomplete`: nothing failed, but something could not be checked. */
export type Result = "passed" | "failed" | "incomplete";

/** A Service as it is seen from a cluster. */
export interface ServiceSubject {
  readonly cluster: string;
  /** `namespace/name`, or `namespace/name:port`. */
  readonly service: string;
}

/**
 * What a check looks at: one cluster, a Service seen from one, an ordered pair (who reads whom, or who calls whom), or
 * (nothing of these) the mesh.
 */
export type Subject = { readonly cluster: string } | ServiceSubject | RemotePair | TrafficPair | Record<string, never>;

/** The clusters that a subject names, in its order. */
export function clustersOf(subject: Subject): string[] {
  return Object.entries(subject).flatMap(([key, name]) => (key === "service" ? [] : [name as string]));
}

/** A name for people: `cluster1`, `cluster1 → cluster2` for who reads or calls whom, `apps/web seen from cluster1`. */
export function subjectName(subject: Subject): string {
  if ("service" in subject) return `${subject.service} seen from ${subject.cluster}`;
  return clustersOf(subject).join(" → ") || "mesh";
}

export interface CheckRef {
  readonly id: CheckId;
  readonly subject: Subject;
}

/** Something that was read. */
export interface Reading {
  /** Where, e.g. `Secret istio-system/cacerts`. */
  readonly source: string;
  /** What. Holds no secret. */
  readonly values: { readonly [name: string]: unknown };
}

export interface Check extends CheckRef {
  readonly category: Category;
  readonly phase: Phase;
  readonly verdict: Verdict;
  /** What was seen, in a sentence or two. */
  readonly evidence: string;
  /** What was read, as data. */
  readonly readings: readonly Reading[];
  /** Passed, but not for long, or not as it should be: in one sentence. */
  readonly warning?: string;
  /** Why it is not passed, in one sentence. Present whenever the verdict is not `passed`. */
  readonly cause?: string;
  /** What to do next. */
  readonly hint?: string;
  /** Of a check about the mesh: the clusters in which something is wrong. */
  readonly clusters?: readonly string[];
  /** The check that explains why this one did not pass. */
  readonly because?: CheckRef;
}

/** What looking gave. */
export type Finding = Pick<Check, "verdict" | "evidence" | "warning" | "cause" | "hint" | "clusters"> &
  Partial<Pick<Check, "readings">>;

export type Action = "created" | "updated" | "unchanged" | "deleted";

/** A field that differs. */
export interface FieldChange {
  /** Such as `spec.template.spec.containers[name="istio-proxy"].resources`. */
  readonly path: string;
  /** Absent: it was not there. Of a Secret's values only that they differ. */
  readonly before?: unknown;
  /** Absent: it is not there any more. */
  readonly after?: unknown;
}

/** What became of an object or, in a plan, what would become of it. */
export interface Change extends ObjectRef {
  readonly cluster: string;
  readonly action: Action;
  /** Of an object that is created: all that is set. */
  readonly diff?: readonly FieldChange[];
  /** What is not known beforehand, or why the object is deleted. */
  readonly note?: string;
}

/** An object that an uninstallation came upon and did not touch. */
export interface Left extends ObjectRef {
  readonly cluster: string;
  /** Why, in a sentence. */
  readonly why: string;
}

export interface ClusterReport {
  readonly name: string;
  readonly network: string;
  /** The API server as the other clusters reach it. */
  apiServer?: string;
  kubernetesVersion?: string;
  istioVersion?: string;
  /** IPs or hostnames of the east-west gateway. */
  gatewayAddresses: string[];
  /** Requests sent to this cluster's API server. */
  requests: number;
  /** Its API server could not be reached, or not any more, and an installation went on without it. */
  unreachable?: true;
  /** It has the mesh's names and is not joined before its workloads have been restarted. */
  waits?: true;
}

export interface PhaseReport {
  readonly phase: Phase;
  /** Seconds from the phase's first start to its last end, over all clusters. */
  readonly seconds: number;
  /** Seconds per cluster, for phases that clusters go through one by one. */
  readonly clusters: Readonly<Record<string, number>>;
}

export interface Report {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly command: string;
  readonly result: Result;
  /** Of a plan: whether `install` would change something. */
  readonly changed: boolean;
  readonly mesh: {
    readonly id: string;
    readonly istioVersion: string;
    readonly namespace: string;
    readonly rootSha256?: string;
  };
  readonly clusters: readonly ClusterReport[];
  readonly checks: readonly Check[];
  readonly warnings: readonly string[];
  readonly changes: readonly Change[];
  /** What was left on the clusters, for it is not ours. */
  readonly left: readonly Left[];
  readonly phases: readonly PhaseReport[];
  /** Whether requests were sent between workloads; without, nothing is known of the way between the gateways. */
  readonly traffic: boolean;
  /** When the first of the tokens in remote secrets expires, RFC 3339; absent where none does, or none was looked at. */
  readonly tokensExpireAt?: string;
  /** When the next run goes on with what this one has begun, RFC 3339; absent where nothing is under way. */
  readonly nextRunAfter?: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
}
