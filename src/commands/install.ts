import { revisionOf } from "../checks/istiod.ts";
import { installRights, merged, verifyRights } from "../checks/rights.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import type { Helm } from "../helm/helm.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type MeshSpec, orderedPairs, type SettledMesh } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import type { TrustPlan } from "../mesh/trust.ts";
import { AsBefore } from "../steps/as-before.ts";
import { ensureCni } from "../steps/cni.ts";
import {
  applyControlPlane,
  type ControlPlane,
  controlPlaneHealthy,
  existingControlPlane,
  installControlPlane,
  istiodSelector,
} from "../steps/control-plane.ts";
import { exposeServices } from "../steps/exposure.ts";
import { gatewayAddress, requestGatewayAddress, runGateway } from "../steps/gateway.ts";
import { istiodReady } from "../steps/istiod.ts";
import { LOCK_CHECK } from "../steps/lock.ts";
import { ensureOperator } from "../steps/operator.ts";
import { planPreflight, preflight, type Ready } from "../steps/preflight.ts";
import { injectionFor } from "../steps/probe.ts";
import { ensureReader } from "../steps/reader.ts";
import { leaveNoStrangers, shareRemoteSecret } from "../steps/remote-access.ts";
import { type Run, reached } from "../steps/run.ts";
import { Steady } from "../steps/steady.ts";
import { confirmRead } from "../steps/synced.ts";
import { Probes } from "../steps/traffic.ts";
import { beginIssuing, establishTrust, type Issuing, laterNetwork } from "../steps/trust.ts";
import { Upgrade } from "../steps/upgrade.ts";
import { leaveOut } from "../steps/waiting.ts";
import { ROOT_CHANGE, rootChanged } from "./root-change.ts";
import type { WritingTools } from "./tools.ts";
import { planVerify, verify } from "./verify.ts";

export interface Tools extends WritingTools {
  readonly istioctl: Istioctl;
  readonly helm: Helm;
  /** The root CA that the user provided. */
  readonly root: RootCa | undefined;
}

/**
 * Makes the clusters one mesh. Nothing is changed before all of them passed the preflight; after that every step begins as
 * soon as the steps that it needs are done, no matter how far the other clusters are. A cluster that cannot be reached is
 * left out: the others are served, and a run in which it is back completes the mesh. Only clusters whose running Istio becomes
 * another wait for each other: one after another, each done as a whole before the next begins.
 */
export async function install(run: Run, asked: MeshSpec, members: readonly Member[], tools: Tools): Promise<void> {
  const probes = tools.verification && new Probes(run, asked, tools.verification);
  // A verification of its own has probes of what runs then.
  const steady = tools.verification?.traffic ? new Steady(run, asked, tools.verification) : undefined;
  try {
    await installed(run, asked, members, tools, probes, steady);
  } finally {
    await Promise.all([probes?.remove(), steady?.end()]);
  }
}

async function installed(
  run: Run,
  asked: MeshSpec,
  members: readonly Member[],
  tools: Tools,
  probes: Probes | undefined,
  steady: Steady | undefined,
): Promise<void> {
  run.plan(
    ...planPreflight(asked),
    LOCK_CHECK,
    ...(asked.trust.transition ? [ROOT_CHANGE] : []),
    ...planInstall(asked),
    ...(tools.verification ? planVerify(asked, tools.verification.services) : []),
  );

  const rights = merged([
    ...installRights(asked, tools.prune),
    ...(tools.verification
      ? verifyRights(asked, tools.verification.traffic, tools.verification.services.length > 0)
      : []),
  ]);
  const begin = (plan: TrustPlan) => beginIssuing(asked, plan, tools.root);
  const first = (member: Member) => tools.lock.look(member);
  const look = () => preflight(run, asked, members, { ...tools, rights, dryRun: true, begin, first });
  const ready = await tools.lock.after(run, members, planPreflight(asked), look);
  if (!ready) return run.skipRest("The preflight found what must be mended first. Nothing was changed.");
  if (asked.trust.transition) {
    const over = await rootChanged(run, ready, members, tools);
    if (!over) return;
    if (ready.trust.change) {
      run.again(planPreflight(asked));
      const again = await look();
      if (!again) return run.skipRest("The root is changed; the preflight found what must be mended before the rest.");
      return joined(run, again, members, tools, probes, steady);
    }
  }
  return joined(run, ready, members, tools, probes, steady);
}

/** Joins the clusters, whose trust is decided on. */
async function joined(
  run: Run,
  ready: Ready<Issuing>,
  members: readonly Member[],
  tools: Tools,
  probes: Probes | undefined,
  steady: Steady | undefined,
): Promise<void> {
  const { mesh, served, surveys, transitions, trust, begun: issuing } = ready;
  const survey = (member: Member) => surveys.get(member.spec.name) as Survey;
  const transition = (member: Member) => transitions.get(member.spec.name) as Transition;
  const perCluster = <T>(begin: (member: Member) => T) => inEach(served, begin);

  if (trust.warning) run.warn(trust.warning);
  issuing.rootSha256.then(
    (sha256) => run.trusts(sha256),
    () => {}, // a root that cannot be made fails the steps that write what it was to issue
  );
  const asBefore = perCluster((observer) => new AsBefore(mesh.namespace, observer, served));
  const upgrade = new Upgrade(run, mesh, served, { surveys, transitions, asBefore, steady, patience: tools.patience });
  const trusted = perCluster((member) =>
    establishTrust(run, mesh, member, survey(member), issuing, upgrade.before(member)),
  );

  // The key of a generated root is gone with this run: were a control plane started before every cluster has its part of
  // it, an interrupted run could never be completed.
  const othersTrusted = trust.source === "generated" ? served.map(trusted) : [];
  const operator = perCluster((member) => {
    const found = survey(member).operator;
    return mesh.operator && found ? [ensureOperator(run, mesh, member, tools.helm, found)] : [];
  });
  const controlPlane = perCluster((member) => {
    const needs = [trusted(member), ...operator(member), ...othersTrusted];
    switch (mesh.installer) {
      case "sail":
        return installControlPlane(run, mesh, member, transition(member), survey(member).adoption, needs);
      case "istioctl":
        return applyControlPlane(run, mesh, member, transition(member), tools.istioctl, needs);
      case "existing":
        return existingControlPlane(run, member, survey(member).controlPlanes, needs);
    }
  });
  const istiod = perCluster((member) => istiodReady(run, mesh, member, controlPlane(member)));
  const proxies = perCluster((member) => upgrade.proxies(member, istiod(member)));
  const cni = perCluster((member) => {
    // The plugin goes with its own minor of istiod and with the next one: it follows.
    const needs = upgrade.has(member) ? proxies(member) : [trusted(member), ...operator(member)];
    if (mesh.installer !== "sail") return [];
    return [ensureCni(run, mesh, member, survey(member).cni, controlPlane(member), needs)];
  });
  const healthy = perCluster((member) =>
    mesh.installer === "sail" ? [controlPlaneHealthy(run, mesh, member, controlPlane(member))] : [],
  );

  // One whose proxies have no network yet gets its names, and nothing by which traffic would move.
  const joining = served.filter((member) => !survey(member).adoption?.record.waits);
  const waiting = served.filter((member) => !joining.includes(member));
  leaveOut(
    run,
    waiting.map(({ spec }) => spec.name),
  );
  const ofJoining = <T>(begin: (member: Member) => readonly Promise<T>[]) =>
    perCluster((member) => (joining.includes(member) ? begin(member) : []));

  const gateways = ofJoining((member) =>
    gatewaySteps(run, mesh, member, survey(member), issuing, {
      version: transition(member).to,
      trusted: trusted(member),
      controlPlane: controlPlane(member),
      istiod: istiod(member),
      early: [...proxies(member), ...cni(member)],
    }),
  );
  // What proves the mesh at the end starts beside the gateways.
  for (const member of joining) {
    reached(Promise.all([controlPlane(member), istiod(member), ...cni(member)])).then(
      (ready) => ready && probes?.start(member, injectionFor(mesh, member, ready[0].revision)),
    );
  }
  for (const member of served.filter((each) => upgrade.has(each)))
    upgrade.end(member, controlPlane(member), [...healthy(member), ...cni(member), ...gateways(member)]);

  const reader = ofJoining((member) => [ensureReader(run, mesh, member, controlPlane(member), survey(member))]);
  const secretsFor = inEach(joining, (target) => {
    const observers = joining.filter((member) => member !== target);
    const [read] = reader(target) as [ReturnType<typeof ensureReader>];
    const { istioctl, call } = tools;
    return shareRemoteSecret(run, mesh, target, observers, surveys, istioctl, read, call, trusted, asBefore);
  });
  const confirmed = ofJoining((observer) => {
    const targets = joining.filter((member) => member !== observer).map(({ spec }) => spec.name);
    const target = (name: string) => joining.find(({ spec }) => spec.name === name) as Member;
    const secrets = new Map(targets.map((name) => [name, secretsFor(target(name)).get(observer.spec.name)!]));
    // An older revision that workloads hang on serves them by what it has read, too.
    const older = survey(observer).controlPlanes.inUse.map(revisionOf);
    const istiods = async () => istiodSelector(...new Set([(await controlPlane(observer)).revision, ...older]));
    const needs = [controlPlane(observer), istiod(observer)];
    const before = asBefore(observer);
    return confirmRead(run, "install.synced", mesh, observer, istiods, secrets, needs, tools.patience, before);
  });

  const done = (member: Member): Promise<unknown>[] => [
    ...[reader, healthy, cni, gateways, confirmed].flatMap((of): readonly Promise<unknown>[] => of(member)),
  ];
  await Promise.allSettled(served.flatMap(done));
  await upgrade.tell();
  await steady?.end();
  const whole = run.complete;

  // A cluster that has left goes last: where something is amiss, nothing more is taken away.
  await Promise.allSettled(
    served.map((member) =>
      leaveNoStrangers(run, mesh, member, survey(member), tools.prune, done(member), asBefore(member), tools.patience),
    ),
  );
  if (!tools.verification) return;
  if (!whole) return run.skipRest("Not looked at, for the installation did not come to its end.");
  await verify(run, mesh, members, tools.verification, probes);
}

/** Begins something for each member, and gives what was begun for one. */
function inEach<T>(members: readonly Member[], begin: (member: Member) => T): (member: Member) => T {
  const begun = new Map(members.map((member) => [member, begin(member)]));
  return (member) => begun.get(member) as T;
}

/** What of a cluster the gateway waits for. */
interface BeforeGateway {
  /** What istiod runs then, as far as it is known. */
  readonly version: string | undefined;
  readonly trusted: Promise<void>;
  readonly controlPlane: Promise<ControlPlane>;
  readonly istiod: Promise<void>;
  /** What else comes before its pods are made. */
  readonly early: readonly Promise<unknown>[];
}

/** The steps by which a cluster's services are reached: of a gateway of our own, or of that which is there. */
function gatewaySteps(
  run: Run,
  mesh: SettledMesh,
  member: Member,
  survey: Survey,
  issuing: Issuing,
  { version, trusted, controlPlane, istiod, early }: BeforeGateway,
): Promise<unknown>[] {
  const revision = controlPlane.then((known) => known.revision);
  revision.catch(() => {}); // told by the step itself
  const later = laterNetwork(mesh, member.spec, survey);
  if (!mesh.gateway.install) {
    const address = gatewayAddress(run, mesh, member, revision, [trusted, controlPlane], later);
    // Through what, is known of a gateway of the cluster's own once that is there.
    return [address, exposeServices(run, mesh, member, survey, revision, [istiod, address])];
  }
  const requested = requestGatewayAddress(run, mesh, member, [trusted]);
  const root = survey.trust.inEffect ? Promise.resolve("") : issuing.rootSha256;
  return [
    gatewayAddress(run, mesh, member, revision, [trusted, requested], later),
    exposeServices(run, mesh, member, survey, revision, [istiod]),
    runGateway(run, mesh, member, controlPlane, version, root, [istiod, ...early, requested]),
  ];
}

/** The steps after the preflight, for the run's plan. */
function planInstall(mesh: MeshSpec): CheckRef[] {
  const perCluster: CheckId[] = [
    "install.trust",
    ...(mesh.operator ? (["install.operator"] as const) : []),
    "install.reconciled",
    "install.istiod",
    ...(mesh.installer === "sail" ? (["install.healthy"] as const) : []),
    "install.gateway-address",
    "install.exposure",
    ...(mesh.gateway.install ? (["install.gateway-service", "install.gateway-available"] as const) : []),
    "install.reader",
    "install.strangers",
  ];
  const names = mesh.clusters.map(({ name }) => name);
  return [
    ...names.flatMap((cluster) => perCluster.map((id) => ({ id, subject: { cluster } }))),
    ...orderedPairs(names).flatMap((subject): CheckRef[] => [
      { id: "install.remote-secret", subject },
      { id: "install.synced", subject },
    ]),
  ];
}
