import { CHECKS, type CheckId } from "./catalogue.ts";
import { type Check, type CheckRef, clustersOf, type ServiceSubject, type Subject } from "./report.ts";

type OfCluster = { readonly cluster: string };
type OfRemote = { readonly observer: string; readonly target: string };
type OfTraffic = { readonly source: string; readonly target: string };

const of = (cluster: string, ...ids: CheckId[]): CheckRef[] => ids.map((id) => ({ id, subject: { cluster } }));
const ofMesh = (id: CheckId): CheckRef[] => [{ id, subject: {} }];
const ofRemote = ({ observer, target }: OfRemote, ...ids: CheckId[]): CheckRef[] =>
  ids.map((id) => ({ id, subject: { observer, target } }));

const unreachable = ({ cluster }: OfCluster) => of(cluster, "cluster.api");
const withoutIstiod = ({ cluster }: OfCluster) => of(cluster, "cluster.api", "control-plane.istiod");
const withoutSidecars = (subject: OfCluster) => [
  ...withoutIstiod(subject),
  ...of(subject.cluster, "control-plane.cni"),
];
const withoutSecret = (pair: OfRemote) => [
  ...of(pair.observer, "cluster.api"),
  ...ofRemote(pair, "remote.secret"),
  ...of(pair.target, "cluster.api"),
];

/** Where an installation finds that a cluster cannot be reached, in its order. */
const PREFLIGHT = (Object.keys(CHECKS) as CheckId[]).filter((id) => CHECKS[id].category === "preflight");
const STEPS = (Object.keys(CHECKS) as CheckId[]).filter((id) => CHECKS[id].category === "install");

/** Of what an installation wants to know of all clusters: those that could not be reached. */
function whereLeftOut(_: Subject, { verdict, clusters = [] }: Check): CheckRef[] {
  return verdict === "unknown" ? clusters.flatMap((cluster) => of(cluster, ...PREFLIGHT)) : [];
}

/** Of a comparison: the clusters that could not be read for it. */
function whereNotSeen(_: Subject, { verdict, clusters = [] }: Check): CheckRef[] {
  if (verdict !== "unknown") return [];
  return clusters.flatMap((cluster) => [...withoutIstiod({ cluster }), ...of(cluster, "control-plane.identity")]);
}

/** For each check the others that, where they did not pass, are why this one did not. The likeliest comes first. */
const CAUSES: { readonly [id in CheckId]?: (subject: never, check: Check) => readonly CheckRef[] } = {
  "preflight.distinct": whereLeftOut,
  "preflight.version": whereLeftOut,
  "preflight.trust": whereLeftOut,
  "install.trust": unreachable,
  "install.reconciled": unreachable,
  "install.istiod": unreachable,
  "install.healthy": ({ cluster }: OfCluster) => of(cluster, "cluster.api", "install.istiod"),
  "install.gateway-service": unreachable,
  "install.gateway-available": unreachable,
  "install.gateway-address": unreachable,
  "install.exposure": unreachable,
  "install.reader": unreachable,
  "install.remote-secret": ({ observer }: OfRemote) => of(observer, "cluster.api"),
  "install.synced": ({ observer }: OfRemote) => of(observer, "cluster.api"),
  "install.strangers": unreachable,
  "cluster.api": ({ cluster }: OfCluster) => of(cluster, ...PREFLIGHT),
  "cluster.distinct": whereNotSeen,
  "control-plane.versions": whereNotSeen,
  "control-plane.trust-domain": whereNotSeen,
  "control-plane.cluster-domain": whereNotSeen,
  "trust.same-root": whereNotSeen,
  "control-plane.istiod": unreachable,
  "control-plane.istio": withoutIstiod,
  "control-plane.cni": unreachable,
  "control-plane.identity": withoutIstiod,
  "control-plane.network": unreachable,
  "control-plane.images": withoutIstiod,
  "trust.cacerts": unreachable,
  "trust.in-effect": (subject: OfCluster) => [...withoutIstiod(subject), ...of(subject.cluster, "trust.cacerts")],
  "trust.root": withoutIstiod,
  "trust.namespaces": (subject: OfCluster) => [
    ...withoutIstiod(subject),
    ...of(subject.cluster, "trust.root", "trust.in-effect", "trust.cacerts"),
  ],
  "gateway.deployment": withoutSidecars,
  "gateway.address": unreachable,
  "gateway.exposure": unreachable,
  "gateway.network": unreachable,
  "gateway.version": (subject: OfCluster) => [...withoutIstiod(subject), ...of(subject.cluster, "gateway.deployment")],
  // For a cluster that could not be reached none was made.
  "remote.secret": ({ observer, target }: OfRemote) => [
    ...of(observer, "cluster.api"),
    ...of(target, ...PREFLIGHT, ...STEPS),
  ],
  "remote.kubeconfig": withoutSecret,
  "remote.token": withoutSecret,
  "remote.reader": unreachable,
  "remote.strangers": ({ cluster }: OfCluster) => of(cluster, "cluster.api", "install.strangers"),
  "remote.synced": (pair: OfRemote) => [
    ...of(pair.observer, "cluster.api", "control-plane.istiod"),
    ...ofRemote(pair, "remote.secret", "remote.kubeconfig", "remote.token"),
    ...of(pair.target, "remote.reader", "cluster.api"),
  ],
  "remote.endpoints": (pair: OfRemote, { verdict }: Check) => [
    ...of(pair.observer, "cluster.api", "control-plane.istiod"),
    // By its mesh configuration it is known what is meant to differ.
    ...(verdict === "unknown" ? of(pair.observer, "control-plane.identity") : []),
    ...ofRemote(pair, "remote.secret", "remote.kubeconfig", "remote.token"),
    ...of(pair.target, "remote.reader", "cluster.api"),
    ...ofRemote(pair, "remote.synced"),
    // istiod keeps the last address of a gateway's Service that has none any more.
    ...of(pair.target, "gateway.address", "gateway.network"),
  ],
  "service.reached": ({ cluster }: ServiceSubject, { clusters = [] }: Check) => [
    ...of(cluster, "cluster.api", "control-plane.istiod"),
    // What is known of no Service of another cluster is not for this one's sake.
    ...clusters.flatMap((target) => [
      ...of(target, "cluster.api"),
      ...ofRemote({ observer: cluster, target }, "remote.secret", "remote.kubeconfig", "remote.token"),
      ...of(target, "remote.reader"),
      ...ofRemote({ observer: cluster, target }, "remote.synced"),
      ...of(target, "gateway.address", "gateway.network"),
      ...ofRemote({ observer: cluster, target }, "remote.endpoints"),
    ]),
  ],
  "service.answered": (subject: ServiceSubject, { clusters = [] }: Check) => [
    ...of(subject.cluster, "cluster.api", "control-plane.istiod", "traffic.probe"),
    { id: "service.reached", subject },
    ...clusters.map((target): CheckRef => ({ id: "pair.request", subject: { source: subject.cluster, target } })),
  ],
  "workloads.identity": (subject: OfCluster) => [
    ...withoutIstiod(subject),
    ...of(subject.cluster, "control-plane.identity"),
  ],
  "workloads.root": (subject: OfCluster) => [
    ...withoutIstiod(subject),
    ...ofMesh("trust.same-root"),
    ...of(subject.cluster, "trust.root", "trust.in-effect", "trust.cacerts"),
  ],
  "workloads.synced": withoutIstiod,
  "workloads.version": withoutIstiod,
  "workloads.injected": withoutIstiod,
  "leftover.objects": unreachable,
  "traffic.probe": withoutSidecars,
  "pair.request": ({ source, target }: OfTraffic) => [
    ...of(source, "cluster.api"),
    ...of(target, "cluster.api"),
    ...of(source, "control-plane.istiod"),
    ...of(target, "control-plane.istiod"),
    ...of(source, "traffic.probe"),
    ...of(target, "traffic.probe"),
    ...ofMesh("trust.same-root"),
    ...of(source, "trust.root", "trust.in-effect", "trust.cacerts"),
    ...of(target, "trust.root", "trust.in-effect", "trust.cacerts"),
    ...ofMesh("control-plane.trust-domain"),
    ...ofMesh("control-plane.cluster-domain"),
    ...ofRemote({ observer: source, target }, "remote.secret", "remote.kubeconfig", "remote.token"),
    ...of(target, "remote.reader"),
    ...ofRemote({ observer: source, target }, "remote.synced"),
    ...of(target, "gateway.deployment", "gateway.address", "gateway.exposure", "gateway.network"),
    ...ofRemote({ observer: source, target }, "remote.endpoints"),
    ...of(target, "control-plane.network", "control-plane.identity"),
    ...of(source, "control-plane.network", "control-plane.identity"),
  ],
};

/**
 * Points every check that did not pass to the one that explains it, if there is one: a dead gateway is one finding, not
 * one for each pair that needs it.
 */
export function explained(checks: readonly Check[]): Check[] {
  const bad = new Map(checks.filter(unexplained).map((check) => [keyOf(check), check]));
  const rootOf = (check: Check, way: readonly string[] = []): Check => {
    const causes = CAUSES[check.id]?.(check.subject as never, check) ?? [];
    const cause = causes
      .map((ref) => bad.get(keyOf(ref)))
      .find((found) => found && !way.includes(keyOf(found)) && accountsFor(found, check));
    return cause ? rootOf(cause, [...way, keyOf(check)]) : check;
  };
  const roots = new Map(checks.map((check) => [check, unexplained(check) ? rootOf(check) : check]));
  // What could not be looked at in a cluster for one and the same reason is told once, by the first that says so.
  const first = new Map<string, Check>();
  for (const [check, root] of roots)
    if (root === check && check.verdict === "unknown" && !first.has(reasonOf(check))) first.set(reasonOf(check), check);
  return checks.map((check) => {
    const root = roots.get(check) as Check;
    const same = root.verdict === "unknown" ? first.get(reasonOf(root)) : undefined;
    const told = same && same.id !== root.id ? same : root;
    return told === check ? check : { ...check, because: { id: told.id, subject: told.subject } };
  });
}

function reasonOf({ subject, cause }: Check): string {
  return JSON.stringify([clustersOf(subject)[0], cause]);
}

/** What is wrong once: the same thing in several places is one, and what it explains is not told beside it. */
export interface RootCause {
  /** The first of those that found it; `verdict`, `cause` and `hint` are those of all. */
  readonly check: Check;
  readonly subjects: readonly Subject[];
  /** The checks that did not pass because of it. */
  readonly explains: readonly Check[];
}

/** The root causes in a report, those that failed first, then those that explain most. */
export function rootCauses(checks: readonly Check[]): RootCause[] {
  const groups = Map.groupBy(
    checks.filter((check) => unexplained(check) && !check.because),
    ({ id, verdict, cause, hint }) => JSON.stringify([id, verdict, cause, hint]),
  );
  const dependents = Map.groupBy(
    checks.filter(({ because }) => because),
    ({ because }) => keyOf(because as CheckRef),
  );
  const weight = ({ check, explains }: RootCause) => (check.verdict === "failed" ? 1_000_000 : 0) + explains.length;
  return [...groups.values()]
    .map((same) => ({
      check: same[0] as Check,
      subjects: same.map(({ subject }) => subject),
      explains: same.flatMap((each) => dependents.get(keyOf(each)) ?? []),
    }))
    .sort((a, b) => weight(b) - weight(a));
}

function unexplained({ verdict }: Check): boolean {
  return verdict === "failed" || verdict === "unknown";
}

/**
 * What could not be looked at explains no failure. And a finding about the mesh as a whole explains only what has to do
 * with the clusters that it names.
 */
function accountsFor(cause: Check, { verdict, subject }: Check): boolean {
  if (cause.verdict === "unknown" && verdict === "failed") return false;
  const { clusters } = cause;
  return (
    clusters === undefined ||
    clustersOf(subject).length === 0 ||
    clustersOf(subject).some((cluster) => clusters.includes(cluster))
  );
}

function keyOf({ id, subject }: CheckRef): string {
  return JSON.stringify([id, subject]);
}
