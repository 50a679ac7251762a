import type { RemotePair } from "./spec.ts";

/** Version of the published report; a field's removal or change of meaning raises it. */
export const SCHEMA_VERSION = 1;

/** `unknown`: could not be checked. `skipped`: did not apply, or something before it failed. Both say why in `cause`. */
export type Verdict = "passed" | "failed" | "unknown" | "skipped";

/** `incomplete`: nothing failed, but something could not be checked. */
export type Result = "passed" | "failed" | "incomplete";

export const PHASES = {
  preflight: "Preflight",
  trust: "Trust",
  controlPlane: "Control planes",
  gateway: "East-west gateways",
  remoteAccess: "Remote access",
  confirmation: "Confirmation",
} as const;
export type Phase = keyof typeof PHASES;

/** What a check looks at: one cluster, an ordered pair, or (neither) the mesh. */
export type Subject = { readonly cluster: string } | RemotePair | Record<string, never>;

export interface Check {
  /** Stable, e.g. `preflight.operator`. */
  readonly id: string;
  readonly phase: Phase;
  readonly subject: Subject;
  readonly verdict: Verdict;
  /** What was read, in a sentence or two. */
  readonly evidence: string;
  /** Why it is not passed, in one sentence. Present whenever the verdict is not `passed`. */
  readonly cause?: string;
  /** What to do next. */
  readonly hint?: string;
}

export type Action = "created" | "updated" | "unchanged" | "deleted";

export interface Change {
  readonly cluster: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly action: Action;
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
  readonly phases: readonly PhaseReport[];
  /** RFC 3339. */
  readonly startedAt: string;
  readonly seconds: number;
}
