import { CHECKS, type CheckId } from "../../src/mesh/catalogue.ts";
import { explained } from "../../src/mesh/causes.ts";
import { HIDDEN } from "../../src/mesh/diff.ts";
import type { Phase, Verdict } from "../../src/mesh/phases.ts";
import type { Action, Change, Check, ClusterReport, Reading, Report, Subject } from "../../src/mesh/report.ts";
import { orderedPairs } from "../../src/mesh/spec.ts";

type End = Partial<Check> & { verdict: Verdict };

export interface Options {
  command?: "install" | "verify" | "plan" | "rotate" | "uninstall";
  clusters?: number;
  /** Whether the mesh is verified, requests between workloads included. As `verify` does, unless told otherwise. */
  traffic?: boolean;
  /** How a check ends; `undefined`: passed. */
  ends?: (id: CheckId, subject: Subject) => End | undefined;
  /** Stands for every string that a cluster can supply, of every kind. */
  supplied?: string;
  action?: Action;
  /** The clusters that an installation went on without. */
  unreachable?: readonly string[];
  /** Of an uninstallation: its scope is `all`. */
  wholly?: boolean;
}

const PREFLIGHT: readonly CheckId[] = ["preflight.api", "preflight.rights", "preflight.operator"];
const PLANNED: readonly CheckId[] = ["plan.objects", "plan.remote-secrets"];
const INSTALLED: readonly CheckId[] = [
  ...PREFLIGHT,
  "install.trust",
  "install.reconciled",
  "install.healthy",
  "install.gateway-service",
  "install.gateway-available",
  "install.gateway-address",
  "install.exposure",
  "install.reader",
];
const UNINSTALLED: readonly CheckId[] = [
  "preflight.api",
  "preflight.rights",
  "preflight.read",
  "uninstall.remote-secrets",
  "uninstall.exposure",
  "uninstall.access",
  "uninstall.probes",
];
const WHOLLY: readonly CheckId[] = [
  "uninstall.gateway",
  "uninstall.control-plane",
  "uninstall.cni",
  "uninstall.rest",
  "uninstall.namespace",
];
const OF_MESH: readonly CheckId[] = [
  "cluster.distinct",
  "control-plane.versions",
  "control-plane.trust-domain",
  "control-plane.cluster-domain",
  "trust.same-root",
];
const OF_REMOTES: readonly CheckId[] = [
  "remote.secret",
  "remote.kubeconfig",
  "remote.token",
  "remote.synced",
  "remote.endpoints",
];
const OF_CLUSTERS = (Object.keys(CHECKS) as CheckId[]).filter(
  (id) =>
    ["verification", "traffic"].includes(CHECKS[id].phase) &&
    ![...OF_MESH, ...OF_REMOTES, "pair.request", "service.reached", "service.answered"].includes(id),
);

function subjectsOf(
  names: readonly string[],
  command: string,
  verified: boolean,
  wholly: boolean,
): [CheckId, Subject][] {
  const perCluster = (ids: readonly CheckId[]) =>
    ids.flatMap((id) => names.map((cluster): [CheckId, Subject] => [id, { cluster }]));
  const pairs = orderedPairs(names);
  const perPair = (ids: readonly CheckId[]) => pairs.flatMap((pair) => ids.map((id): [CheckId, Subject] => [id, pair]));
  const installed: [CheckId, Subject][] = [
    ["preflight.distinct", {}],
    ...perCluster(INSTALLED),
    ...perPair(["install.remote-secret", "install.synced"]),
  ];
  const rotated: [CheckId, Subject][] = [
    ...perCluster(["preflight.api", "rotate.token", "rotate.retired"]),
    ...perPair(["rotate.remote-secret", "rotate.adopted"]),
  ];
  const services = names.flatMap((cluster): [CheckId, Subject][] => {
    const subject = { cluster, service: "apps/web:80" };
    return [
      ["service.reached", subject],
      ["service.answered", subject],
    ];
  });
  const requests = pairs.map((pair): [CheckId, Subject] => [
    "pair.request",
    { source: pair.observer, target: pair.target },
  ]);
  if (command === "plan") return [["preflight.distinct", {}], ...perCluster([...PREFLIGHT, ...PLANNED])];
  return [
    ...(command === "install" ? installed : []),
    ...(command === "rotate" ? rotated : []),
    ...(command === "uninstall" ? perCluster([...UNINSTALLED, ...(wholly ? WHOLLY : [])]) : []),
    ...(verified ? [...perCluster(OF_CLUSTERS), ...OF_MESH.map((id): [CheckId, Subject] => [id, {}])] : []),
    ...(verified ? [...perPair(OF_REMOTES), ...requests, ...services] : []),
  ];
}

/** A report as a run makes it. */
export function report({ clusters: count = 2, ends, supplied, action = "created", ...more }: Options = {}): Report {
  const { unreachable = [] } = more;
  const { command = "install", traffic = command === "verify" } = more;
  const names = Array.from({ length: count }, (_, i) => `cluster${i + 1}`);
  let requests = 0;
  const readingsOf = (id: CheckId): Reading[] => {
    if (id === "pair.request") return [latency(requests++)];
    return id === "service.answered" ? [answers(names)] : [];
  };
  const check = ([id, subject]: [CheckId, Subject]): Check => {
    const end = ends?.(id, subject) ?? { verdict: "passed" as const };
    const { title, ...known } = CHECKS[id];
    const passed = end.verdict === "passed";
    return {
      id,
      category: known.category,
      phase: known.phase,
      subject,
      readings: passed ? readingsOf(id) : [],
      evidence: passed ? (supplied ?? `${title}.`) : "",
      ...(passed ? {} : { cause: supplied ?? `Not so: ${title}.` }),
      ...(passed || end.verdict === "skipped" ? {} : { hint: supplied ?? `Look at \`${id}\`.` }),
      ...end,
    };
  };
  const checks = explained(subjectsOf(names, command, traffic, more.wholly ?? false).map(check));
  const passed = (ids: readonly CheckId[], cluster: string) =>
    checks.some(
      ({ id, subject, verdict }) =>
        ids.includes(id) && "cluster" in subject && subject.cluster === cluster && verdict === "passed",
    );
  const failed = checks.some(({ verdict }) => verdict === "failed");
  const early = checks.every(({ phase, verdict }) => phase === "preflight" || verdict === "skipped");
  const changing = command !== "verify" && !early;
  const seconds = (value: number) => Object.fromEntries(names.map((name) => [name, value]));
  const spent = (phase: Phase, value: number) => ({ phase, seconds: value + 0.134, clusters: seconds(value) });
  return {
    schemaVersion: 1,
    command,
    result: failed ? "failed" : checks.some(({ verdict }) => verdict === "unknown") ? "incomplete" : "passed",
    changed: changing && action !== "unchanged",
    mesh: { id: "mesh1", istioVersion: "1.26.3", namespace: "istio-system" },
    clusters: names.map((name, i): ClusterReport => {
      const addressed = passed(["install.gateway-address", "gateway.address"], name);
      return {
        name,
        network: `network${i + 1}`,
        gatewayAddresses: addressed ? [supplied ?? `192.0.2.${i + 1}`] : [],
        requests: 42 + i,
        ...(unreachable.includes(name) ? { unreachable: true as const } : {}),
        ...(passed(["preflight.api", "cluster.api"], name)
          ? { kubernetesVersion: supplied ?? "v1.33.1", apiServer: supplied ?? `https://10.0.0.${i + 1}:6443` }
          : {}),
        ...(passed(["install.healthy", "control-plane.istiod"], name) ? { istioVersion: supplied ?? "1.26.3" } : {}),
      };
    }),
    checks,
    warnings: supplied ? [supplied] : [],
    left: [],
    changes: changing
      ? names.filter((name) => !unreachable.includes(name)).flatMap((name) => changesOf(name, action, supplied))
      : [],
    phases: [
      ...(command === "verify" ? [] : [spent("preflight", 1.1)]),
      ...(changing ? [spent(command === "plan" ? "plan" : "trust", 2)] : []),
      ...(traffic ? [spent("verification", 0.9), spent("traffic", 4.2)] : []),
    ],
    traffic,
    startedAt: "2026-11-20T12:00:00.000Z",
    seconds: 12.345,
  };
}

/** What a passed `pair.request` read: the fastest 2 ms and 8 ms, others a little slower. */
function latency(i: number) {
  return { source: "requests, 10 of them", values: { p50: 2 + (i % 3) / 10, p99: 8 + (i % 5) } };
}

/** What a passed `service.answered` read: each cluster's endpoints answered. */
function answers(names: readonly string[]): Reading {
  const answered = Object.fromEntries(names.map((name) => [name, 5]));
  return { source: "requests from a probe", values: { statuses: { 200: 10 }, answered, having: names } };
}

function changesOf(cluster: string, action: Action, supplied?: string) {
  const name = supplied ?? "cacerts";
  return [
    { cluster, apiVersion: "v1", kind: "Namespace", name: supplied ?? "istio-system", action },
    { cluster, apiVersion: "v1", kind: supplied ?? "Secret", namespace: "istio-system", name, action },
  ];
}

const skipped = (cause: string) => ({ verdict: "skipped" as const, evidence: "", cause });
const failed = (cause: string, hint: string) => ({ verdict: "failed" as const, evidence: "", cause, hint });
const unknown = (cause: string) => ({ verdict: "unknown" as const, evidence: "", cause });
const isOf = (subject: Subject, cluster: string) => "cluster" in subject && subject.cluster === cluster;
const calls = (subject: Subject, target: string) => "source" in subject && subject.target === target;
const reads = (subject: Subject, observer: string) => "observer" in subject && subject.observer === observer;
const concerns = (subject: Subject, cluster: string) => Object.values(subject).includes(cluster);

export const passed = (options: Options = {}): Report => report(options);

/** One cluster lacks rights, so nothing was begun. */
export const failedInPreflight = (options: Options = {}): Report =>
  report({
    ...options,
    ends: (id, subject) => {
      if (id === "preflight.rights" && isOf(subject, "cluster2")) {
        return failed("The user may not: patch secrets in istio-system.", "Bind the role.");
      }
      return id.startsWith("preflight.") ? undefined : skipped("The preflight found what must be mended first.");
    },
  });

/** The gateway of one cluster gets no address, and another cluster cannot be read from it. */
export const failedMidway = (options: Options = {}): Report =>
  report({
    ...options,
    ends: (id, subject) => {
      if (id === "install.gateway-address" && isOf(subject, "cluster2")) {
        return failed("The Service has no address.", "Is there a load balancer controller?");
      }
      if (!("observer" in subject) || subject.observer !== "cluster2" || subject.target !== "cluster3")
        return undefined;
      if (id === "install.remote-secret") return { verdict: "failed", cause: "Not allowed." };
      return id === "install.synced" ? skipped("Not reached.") : undefined;
    },
  });

/** Everything failed. */
export const allFailed = (options: Options = {}): Report => report({ ...options, ends: () => ({ verdict: "failed" }) });

/** All is well, and some of it not for long. */
export const healthy = (options: Options = {}): Report =>
  report({
    command: "verify",
    clusters: 3,
    ...options,
    ends: (id, subject) => {
      if (id === "control-plane.istio" && isOf(subject, "cluster1")) {
        return skipped("The Sail Operator does not own this control plane.");
      }
      return id === "trust.cacerts" && !isOf(subject, "cluster3")
        ? { verdict: "passed", warning: "The intermediate CA expires in 12 days, on 2026-12-02." }
        : undefined;
    },
  });

/** The gateway's pod of the second cluster does not run: whoever calls that cluster gets no answer. */
export const deadGateway = (options: Options = {}): Report =>
  report({
    command: "verify",
    clusters: 3,
    ...options,
    ends: (id, subject) => {
      if (id === "gateway.deployment" && isOf(subject, "cluster2")) {
        return failed(
          'Deployment istio-system/istio-eastwestgateway has 0 of 1 pods available: pod istio-eastwestgateway-7d9c: ImagePullBackOff: Back-off pulling image "auto".',
          "Mend what its pods say: `kubectl -n istio-system describe pods -l istio=eastwestgateway`.",
        );
      }
      return id === "pair.request" && calls(subject, "cluster2")
        ? failed("No request was answered: upstream connect error, connection refused.", "Look at the gateway.")
        : undefined;
    },
  });

/** The API server of the second cluster does not answer, so nothing is known of it. */
export const unreachable = (options: Options = {}): Report =>
  report({
    command: "verify",
    clusters: 3,
    ...options,
    ends: (id, subject) => {
      if (id === "cluster.api" && isOf(subject, "cluster2")) {
        return {
          ...unknown("https://10.0.0.2:6443 does not answer: connect ETIMEDOUT."),
          hint: "Is the API server up, and may the runner reach it?",
        };
      }
      // The others' secrets for it can be read without it.
      const seen = id === "remote.secret" && concerns(subject, "cluster2") && !reads(subject, "cluster2");
      if (seen) return undefined;
      if (OF_MESH.includes(id)) return { ...unknown("cluster2 could not be read."), clusters: ["cluster2"] };
      return concerns(subject, "cluster2") ? unknown("cluster2 could not be read.") : undefined;
    },
  });

/** The installation went on without the third cluster. */
export const withoutOne = (options: Options = {}): Report =>
  report({
    clusters: 3,
    traffic: true,
    unreachable: ["cluster3"],
    ...options,
    ends: (id, subject) => {
      const own = options.ends?.(id, subject);
      if (own) return own;
      if (id === "preflight.api" && isOf(subject, "cluster3")) {
        return failed("The API server at https://10.0.0.3:6443 cannot be reached.", "Check that it runs.");
      }
      if (id === "preflight.distinct" || OF_MESH.includes(id)) {
        return { ...unknown("cluster3 could not be read."), clusters: ["cluster3"] };
      }
      if (!concerns(subject, "cluster3")) return undefined;
      if (id === "cluster.api") return failed("It was not asked again.", "Run again.");
      return CHECKS[id].phase === "verification" || CHECKS[id].phase === "traffic"
        ? unknown("cluster3 could not be read.")
        : skipped("Not reached.");
    },
  });

/** The third cluster has a root of its own. */
export const otherRoot = (options: Options = {}): Report =>
  report({
    command: "verify",
    clusters: 3,
    ...options,
    ends: (id, subject) => {
      if (id === "trust.same-root") {
        const roots = [
          ["cluster1", "1a2b3c"],
          ["cluster2", "1a2b3c"],
          ["cluster3", "9f8e7d"],
        ];
        return {
          ...failed(
            "cluster3 trusts another root (9f8e7d…) than cluster1 and cluster2 (1a2b3c…).",
            "Give every cluster an intermediate CA of one root in the Secret `cacerts`, then restart istiod and the workloads.",
          ),
          clusters: ["cluster3"],
          readings: roots.map(([cluster, sha256]) => ({
            source: `ConfigMap istio-system/istio-ca-root-cert of ${cluster}`,
            values: { sha256 },
          })),
        };
      }
      return id === "pair.request" && concerns(subject, "cluster3")
        ? failed("No request was answered: TLS error: CERTIFICATE_VERIFY_FAILED.", "Compare the roots.")
        : undefined;
    },
  });

/** Of twenty clusters the fourth has no gateway's address, and the ninth's reader account may not read. */
export const twoCauses = (options: Options = {}): Report =>
  report({
    command: "verify",
    clusters: 20,
    ...options,
    ends: (id, subject) => {
      if (id === "gateway.address" && isOf(subject, "cluster4")) {
        return failed("Service istio-eastwestgateway has no address.", "Is there a load balancer controller?");
      }
      if (id === "remote.reader" && isOf(subject, "cluster9")) {
        return failed(
          "istio-reader-service-account may not list endpointslices.",
          "Bind ClusterRole istio-reader-clusterrole-istio-system to it.",
        );
      }
      const unread = (id === "remote.synced" && concerns(subject, "cluster9")) || calls(subject, "cluster9");
      if (unread && "target" in subject && subject.target === "cluster9") {
        return failed("cluster9 is not read: timeout.", "Look at istiod's log.");
      }
      return calls(subject, "cluster4") ? failed("No request was answered: 503 no healthy upstream.", "") : undefined;
    },
  });

/** The links are gone; one cluster has a remote secret that somebody made by hand. */
export const unlinked = (options: Options = {}): Report => {
  const sample = report({ command: "uninstall", action: "deleted", ...options });
  const secret = { apiVersion: "v1", kind: "Secret", namespace: "istio-system", name: options.supplied ?? "by-hand" };
  const why = "It has no label app.kubernetes.io/managed-by=istio-mesh-action: this action did not make it.";
  return { ...sample, left: [{ cluster: "cluster1", ...secret, why }] };
};

/** A plan of a change of values in one cluster, and of a cluster that is new to the mesh. */
export const planned = ({ supplied, clusters = 2, ...more }: Options = {}): Report => {
  const sample = report({ command: "plan", clusters, action: "unchanged", ...more, ...(supplied ? { supplied } : {}) });
  const gateway = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace: "istio-system",
    name: "istio-eastwestgateway",
  };
  const text = (usual: string) => supplied ?? usual;
  return {
    ...sample,
    changed: true,
    changes: sample.clusters.flatMap(({ name: cluster }, i): Change[] => [
      {
        cluster,
        ...gateway,
        action: "updated",
        diff: [
          { path: text("spec.template.spec.containers"), before: [text("old")], after: [text("new")] },
          { path: `metadata.labels["${text("a.b/c")}"]`, before: text("gone") },
        ],
        note: text("The webhook for it does not answer."),
      },
      {
        cluster,
        apiVersion: "v1",
        kind: "Secret",
        namespace: "istio-system",
        name: text("istio-remote-secret-east"),
        action: i === 0 ? "updated" : "created",
        diff: [{ path: `data["${text("east")}"]`, ...(i === 0 ? { before: HIDDEN } : {}), after: HIDDEN }],
      },
      { cluster, apiVersion: "v1", kind: "Pod", namespace: "istio-system", name: text("gateway-1"), action: "deleted" },
    ]),
  };
};
