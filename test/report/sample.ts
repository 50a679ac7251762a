import type { Action, Check, ClusterReport, Phase, Report, Subject, Verdict } from "../../src/mesh/report.ts";
import { orderedPairs } from "../../src/mesh/spec.ts";

/** How the checks of a phase of one kind end. */
type Ends = (id: string, subject: Subject) => Partial<Check> & { verdict: Verdict };

export interface Options {
  clusters?: number;
  /** `undefined`: passed. */
  ends?: (id: string, subject: Subject) => ReturnType<Ends> | undefined;
  /** Stands for every string that a cluster can supply, of every kind. */
  supplied?: string;
  action?: Action;
}

const PER_CLUSTER: readonly [id: string, phase: Phase][] = [
  ["preflight.api", "preflight"],
  ["preflight.rights", "preflight"],
  ["preflight.operator", "preflight"],
  ["install.trust", "trust"],
  ["install.reconciled", "controlPlane"],
  ["install.healthy", "controlPlane"],
  ["install.gateway-service", "gateway"],
  ["install.gateway-available", "gateway"],
  ["install.gateway-address", "gateway"],
  ["install.exposure", "gateway"],
  ["install.reader", "remoteAccess"],
];

/** A report as a run makes it. */
export function report({ clusters: count = 2, ends, supplied, action = "created" }: Options = {}): Report {
  const names = Array.from({ length: count }, (_, i) => `cluster${i + 1}`);
  const check = (id: string, phase: Phase, subject: Subject): Check => {
    const end = ends?.(id, subject) ?? { verdict: "passed" as const };
    const said = supplied ?? `The ${id} is as it should be.`;
    return {
      id,
      phase,
      subject,
      evidence: end.verdict === "passed" ? said : "",
      ...(end.verdict === "passed" ? {} : { cause: said, hint: `Look at \`${id}\`.` }),
      ...end,
    };
  };
  const checks = [
    check("preflight.distinct", "preflight", {}),
    ...PER_CLUSTER.flatMap(([id, phase]) => names.map((cluster) => check(id, phase, { cluster }))),
    ...orderedPairs(names).flatMap((pair) => [
      check("install.remote-secret", "remoteAccess", pair),
      check("install.synced", "confirmation", pair),
    ]),
  ];
  const passed = (id: string, cluster: string) =>
    checks.some(
      (each) =>
        each.id === id && "cluster" in each.subject && each.subject.cluster === cluster && each.verdict === "passed",
    );
  const failed = checks.some(({ verdict }) => verdict === "failed");
  const early = checks.every(({ phase, verdict }) => phase === "preflight" || verdict === "skipped");
  return {
    schemaVersion: 1,
    command: "install",
    result: failed ? "failed" : checks.some(({ verdict }) => verdict === "unknown") ? "incomplete" : "passed",
    changed: !early && action !== "unchanged",
    mesh: { id: "mesh1", istioVersion: "1.26.3", namespace: "istio-system" },
    clusters: names.map((name, i): ClusterReport => {
      const report: ClusterReport = {
        name,
        network: `network${i + 1}`,
        gatewayAddresses: passed("install.gateway-address", name) ? [supplied ?? `192.0.2.${i + 1}`] : [],
        requests: 42 + i,
      };
      if (passed("preflight.api", name)) {
        report.kubernetesVersion = supplied ?? "v1.33.1";
        report.apiServer = supplied ?? `https://10.0.0.${i + 1}:6443`;
      }
      if (passed("install.healthy", name)) report.istioVersion = supplied ?? "1.26.3";
      return report;
    }),
    checks,
    warnings: supplied ? [supplied] : [],
    changes: early
      ? []
      : names.flatMap((cluster) => [
          { cluster, apiVersion: "v1", kind: "Namespace", name: supplied ?? "istio-system", action },
          {
            cluster,
            apiVersion: "v1",
            kind: supplied ?? "Secret",
            namespace: "istio-system",
            name: supplied ?? "cacerts",
            action,
          },
        ]),
    phases: [
      { phase: "preflight", seconds: 1.234, clusters: Object.fromEntries(names.map((name) => [name, 1.1])) },
      ...(early
        ? []
        : [{ phase: "trust" as const, seconds: 2, clusters: Object.fromEntries(names.map((name) => [name, 2])) }]),
    ],
    startedAt: "2026-11-20T12:00:00.000Z",
    seconds: 12.345,
  };
}

const skipped = (cause: string) => ({ verdict: "skipped" as const, evidence: "", cause });

export const passed = (options: Options = {}): Report => report(options);

/** One cluster lacks rights, so nothing was begun. */
export const failedInPreflight = (options: Options = {}): Report =>
  report({
    ...options,
    ends: (id, subject) => {
      if (id === "preflight.rights" && "cluster" in subject && subject.cluster === "cluster2") {
        return { verdict: "failed", cause: "The user may not: patch secrets in istio-system.", hint: "Bind the role." };
      }
      return id.startsWith("preflight.") ? undefined : skipped("The preflight found what must be mended first.");
    },
  });

/** The gateway of one cluster gets no address, and another cluster cannot be read from it. */
export const failedMidway = (options: Options = {}): Report =>
  report({
    ...options,
    ends: (id, subject) => {
      if (id === "install.gateway-address" && "cluster" in subject && subject.cluster === "cluster2") {
        return {
          verdict: "failed",
          cause: "The Service has no address.",
          hint: "Is there a load balancer controller?",
        };
      }
      if (!("observer" in subject) || subject.observer !== "cluster2") return undefined;
      if (id === "install.remote-secret" && subject.target === "cluster3") return { verdict: "failed", cause: "Not allowed." };
      if (id === "install.synced" && subject.target === "cluster3") return skipped("Not reached.");
      return undefined;
    },
  });

/** Everything failed. */
export const allFailed = (options: Options = {}): Report => report({ ...options, ends: () => ({ verdict: "failed" }) });
