import { likelyNeedsCni } from "../checks/cni.ts";
import { unknown } from "../checks/finding.ts";
import type { FoundOperator } from "../checks/found-operator.ts";
import { checkOperator, isToInstall } from "../checks/operator.ts";
import * as checks from "../checks/preflight.ts";
import { checkControlPlane } from "../checks/present.ts";
import { cniRights, type Right } from "../checks/rights.ts";
import { SharedServices } from "../checks/shared-services.ts";
import { versionsAreSupported } from "../checks/support.ts";
import { type Survey, survey as surveyCluster } from "../checks/survey.ts";
import { foundControlPlane } from "../checks/version.ts";
import type { Member } from "../cluster/member.ts";
import type { Helm } from "../helm/helm.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import { type Category, CHECKS } from "../mesh/catalogue.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { Failure } from "../mesh/failure.ts";
import { type CheckRef, clustersOf, type Finding, subjectName } from "../mesh/report.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import { decideTrust, needsEveryCluster, type TrustDecision, type TrustPlan } from "../mesh/trust.ts";
import { withImages } from "./images.ts";
import { tryWrites } from "./rehearsal.ts";
import { isCurrent } from "./remote-access.ts";
import { decideRootChange } from "./root-plan.ts";
import { type Outcome, type Run, reached } from "./run.ts";
import { settleVersion } from "./version.ts";

export interface Ready<Begun> {
  /** With the version that was settled on. */
  readonly mesh: SettledMesh;
  /** The clusters that can be reached: what follows is done for them. */
  readonly served: readonly Member[]; // with the hub of their images in their values
  /** Of those clusters. */
  readonly surveys: ReadonlyMap<string, Survey>;
  /** What becomes of their control planes. */
  readonly transitions: ReadonlyMap<string, Transition>;
  readonly trust: TrustPlan;
  /** What was begun as soon as the trust plan was known. */
  readonly begun: Begun;
}

export interface PreflightTools<Begun> {
  /** `undefined`: nothing that the run does takes it. */
  readonly istioctl: Istioctl | undefined;
  readonly helm: Helm | undefined;
  readonly root: RootCa | undefined;
  readonly rights: readonly Right[];
  /** Whether what is to be written is tried. */
  readonly dryRun: boolean;
  /** Done before a cluster is read. */
  first?(member: Member): Promise<void>;
  /** Begins what the trust plan asks for, while other things are still looked at. */
  begin(plan: TrustPlan): Begun;
}

const MESH = {};
const CLUSTER_CHECKS = [
  "api",
  "rights",
  "read",
  "support",
  "control-plane",
  "remote-secrets",
  "reader-role",
  "operator",
  "images",
  "ownership",
  "dry-run",
] as const;
export type ClusterCheck = (typeof CLUSTER_CHECKS)[number];
/** Of what is tried. A plan tells it with what would become. */
const TRIED: readonly ClusterCheck[] = ["ownership", "dry-run"];
/** What is looked at further in a cluster that was read. */
export type Looks = (member: Member, survey: Survey) => Partial<Record<ClusterCheck, () => Finding | Promise<Finding>>>;

/** The preflight's steps, for the run's plan. @param tools which of them the run may need */
export function planPreflight(mesh: MeshSpec, tools = { istioctl: true, helm: true, dryRun: true }): CheckRef[] {
  const checks = installChecks(mesh).filter((id) => tools.dryRun || !TRIED.includes(id));
  return [
    ...planned(mesh, checks),
    { id: "preflight.version", subject: MESH },
    { id: "preflight.trust", subject: MESH },
    ...(tools.istioctl ? [{ id: "preflight.istioctl", subject: MESH } as const] : []),
    ...(mesh.operator && tools.helm ? [{ id: "preflight.helm", subject: MESH } as const] : []),
  ];
}

function installChecks({ installer }: MeshSpec): readonly ClusterCheck[] {
  return CLUSTER_CHECKS.filter(
    (id) =>
      (id !== "operator" || installer === "sail") && (!["images", "support"].includes(id) || installer !== "existing"),
  );
}

function installLooks(run: Run, mesh: SettledMesh, shared: SharedServices): Looks {
  const kubernetes = ({ spec }: Member) => run.clusterReport(spec.name).kubernetesVersion ?? "";
  return (member, survey) => ({
    ...(mesh.installer === "existing"
      ? {}
      : { support: () => versionsAreSupported(mesh.istioVersion, kubernetes(member), survey) }),
    "control-plane": () => checkControlPlane(mesh, member, survey),
    "remote-secrets": () => shared.beside(checks.checkRemoteSecrets(mesh, member, survey), member),
    "reader-role": () => checks.checkReaderRole(mesh, member),
    ...(mesh.installer === "sail"
      ? { operator: () => checkOperator(mesh, member, survey.operator as FoundOperator) }
      : {}),
  });
}

/** These checks of each cluster, for the run's plan. */
export function planned(mesh: MeshSpec, ids: readonly ClusterCheck[]): CheckRef[] {
  return [
    ...mesh.clusters.flatMap(({ name }) =>
      ids.map((id): CheckRef => ({ id: `preflight.${id}`, subject: { cluster: name } })),
    ),
    { id: "preflight.distinct", subject: MESH },
  ];
}

/**
 * Looks at every cluster, all at once, and changes nothing. All findings are noted together. Clusters that cannot be
 * reached are left out: their steps are noted as skipped, and they do not keep the others from being served.
 * @returns what was read, or `undefined` where something stands in the way
 */
export async function preflight<Begun>(
  run: Run,
  asked: MeshSpec,
  members: readonly Member[],
  { istioctl, helm, root, rights, dryRun, begin, first }: PreflightTools<Begun>,
): Promise<Ready<Begun> | undefined> {
  const read = await Promise.all(members.map((member) => look(run, asked, member, rights, first)));
  const surveys = new Map(members.flatMap(({ spec }, i) => (read[i] ? [[spec.name, read[i]] as const] : [])));
  const { mesh, transitions } = settleVersion(run, asked, surveys);
  // A cluster that was not joined yet will need istioctl: it is fetched while the clusters are looked at further.
  const secrets = [...surveys.values()].some(({ remoteSecrets }) => remoteSecrets.length < members.length - 1);
  if (run.complete && (mesh.installer === "istioctl" || (mesh.tokenTtl === undefined && secrets)))
    istioctl?.ready(mesh).catch(() => {});
  const looks = installLooks(run, mesh, new SharedServices(mesh, members, surveys));
  await Promise.all(members.map((member, i) => read[i] && lookFurther(run, member, looks(member, read[i]))));
  const { unreachable } = run;
  const served = members.filter(({ spec }, i) => read[i] && !unreachable.includes(spec.name));
  const distinct = await tellDistinct(run, members, surveys);
  if (served.length === 0 || served.length + unreachable.length < members.length) return undefined;
  if (distinct.verdict === "passed" && surveys.size < members.length) {
    const cause = `It could not be looked at in ${unreachable.join(", ")}; the others are different clusters.`;
    run.judge("preflight.distinct", MESH, { ...unknown(cause, ""), clusters: unreachable });
  }
  const [trust] = await Promise.all([
    planTrust(run, mesh, served, surveys, root, begin),
    istioctl && reached(run.step("preflight.istioctl", MESH, [], () => haveIstioctl(mesh, served, surveys, istioctl))),
    mesh.operator &&
      helm &&
      reached(run.step("preflight.helm", MESH, [], () => haveHelm(mesh, [...surveys.values()], helm))),
  ]);
  if (!run.complete || !trust) return undefined;
  for (const name of unreachable) {
    const cause = `Not reached: ${name} cannot be reached, and the run goes on without it.`;
    run.say("preflight", { cluster: name }, "The run goes on without it.");
    const left = (planned: CheckRef) =>
      ["preflight.images", "preflight.ownership", "preflight.dry-run"].includes(planned.id) ||
      isOf(planned, "install") ||
      isOf(planned, "plan");
    run.skipRest(cause, (planned) => left(planned) && clustersOf(planned.subject).includes(name));
  }
  const imaged = await withImages(run, mesh, served, surveys, istioctl);
  if (imaged.length < served.length) return undefined;
  if (dryRun) {
    const tried = imaged.map((member) => {
      const survey = surveys.get(member.spec.name) as Survey;
      const transition = transitions.get(member.spec.name) as Transition;
      const others = imaged.filter((each) => each !== member);
      return tryWrites(run, mesh, member, { survey, trust: trust.trust, transition, istioctl }, surveys, others);
    });
    if ((await Promise.all(tried)).includes(false)) return undefined;
  }
  return { mesh, served: imaged, surveys, transitions, ...trust };
}

/** Decides on the root of trust and begins what it takes; `undefined` where that cannot be. */
async function planTrust<Begun>(
  run: Run,
  mesh: MeshSpec,
  served: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  root: RootCa | undefined,
  begin: (plan: TrustPlan) => Begun,
): Promise<Pick<Ready<Begun>, "trust" | "begun"> | undefined> {
  const [provided] = readableIn(root?.certificate ?? "");
  const states = served.map(({ spec }) => (surveys.get(spec.name) as Survey).trust);
  // For control planes of somebody else's nothing is ever issued.
  const mode = mesh.installer === "existing" ? "existing" : mesh.trust.mode;
  const change = root && (await decideRootChange(mesh, served, surveys, root, run.unreachable));
  const decision = change ?? decideTrust(mode, provided, states, mesh.namespace);
  const missing = run.unreachable;
  if (missing.length > 0 && "source" in decision && needsEveryCluster(decision, provided, states)) {
    const cause = `A generated root of trust takes every cluster to be reached, for its key is not kept; ${missing.join(", ")} cannot be.`;
    const hint = "Run again once it can be, or use `ca: provided`, with which a cluster can join at any time.";
    run.judge("preflight.trust", MESH, { ...unknown(cause, hint), clusters: missing });
    return undefined;
  }
  return reached(
    run.step("preflight.trust", MESH, [], async () => {
      const { value, evidence } = trustPlan(decision);
      return { value: { trust: value, begun: begin(value) }, evidence };
    }),
  );
}

/** Two that are the same are told even where a third could not be read; that all differ is only known of all. */
export async function tellDistinct(
  run: Run,
  members: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
): Promise<Finding> {
  const distinct = checks.distinct(new Map([...surveys].map(([name, { uid }]) => [name, uid])));
  if (surveys.size === members.length || distinct.verdict === "failed")
    await reached(run.step("preflight.distinct", MESH, [], async () => toOutcome(distinct)));
  return distinct;
}

async function haveIstioctl(
  mesh: SettledMesh,
  members: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  istioctl: Istioctl,
): Promise<Outcome<void>> {
  if (mesh.installer === "istioctl") {
    // Made before anything is changed: values that istioctl refuses are told now.
    const made = members.map(({ spec }) => istioctl.manifests(mesh, spec));
    // All end before the first failure, in the clusters' order, is told.
    await Promise.allSettled(made);
    for (const each of made) await each;
    return outcome(`istioctl is at ${await istioctl.ready(mesh)} and takes the values.`);
  }
  if (mesh.tokenTtl !== undefined) {
    return outcome("istioctl is not needed: remote secrets are made from tokens of the TokenRequest API.");
  }
  const of = (member: Member) => surveys.get(member.spec.name) as Survey;
  const current = members.every((target) =>
    members.every((observer) => observer === target || isCurrent(mesh, of(observer), of(target), target)),
  );
  return outcome(
    current
      ? "Every remote secret is current; istioctl is not needed."
      : `istioctl is at ${await istioctl.ready(mesh)}.`,
  );
}

async function haveHelm(mesh: MeshSpec, surveys: readonly Survey[], helm: Helm): Promise<Outcome<void>> {
  const needed = surveys.some(({ operator }) => operator && isToInstall(mesh, operator));
  return outcome(
    needed ? `Helm is at ${await helm.ready()}.` : "The Sail Operator is in every cluster; Helm is not needed.",
  );
}

/** Reads a cluster; `undefined` where it cannot be read. @param first done before it is read */
export async function look(
  run: Run,
  mesh: MeshSpec,
  member: Member,
  wanted: readonly Right[],
  first: (member: Member) => Promise<void> = async () => {},
): Promise<Survey | undefined> {
  const { name } = member.spec;
  const subject = { cluster: name };
  const api = run.step("preflight.api", subject, [], async () => {
    const value = await member.cluster.version();
    await first(member);
    return { value, evidence: `Kubernetes ${value} answers at ${member.cluster.server}.` };
  });
  // Read beside the check of rights, but told after it: what may not be read is said once, as a right that is missing.
  const reading = api.then(() => surveyCluster(mesh, member));
  reading.catch(() => {});
  const rights = run.step("preflight.rights", subject, [api], async () => {
    const cni = mesh.installer === "sail" && (await likelyNeedsCni(member));
    return toOutcome(await checks.checkRights(cni ? [...wanted, ...cniRights(mesh)] : wanted, member));
  });
  const survey = await reached(
    run.step("preflight.read", subject, [rights], async () => {
      const value = await reading;
      return { value, evidence: `What is there was read; its kube-system has UID ${value.uid}.` };
    }),
  );
  if (!survey) {
    const own = subjectName(subject);
    run.skipRest(
      "The cluster could not be read.",
      (planned) => isOf(planned, "preflight") && subjectName(planned.subject) === own,
    );
    return undefined;
  }
  const report = run.clusterReport(name);
  report.kubernetesVersion = await api;
  report.apiServer = survey.apiServer.url;
  const { version } = foundControlPlane(mesh, name, survey);
  if (version) report.istioVersion = version;
  if (survey.apiServer.source !== "the kubeconfig") {
    run.say(
      "preflight",
      subject,
      `The other clusters are given ${survey.apiServer.url}: from ${survey.apiServer.source}.`,
    );
  }
  return survey;
}

/** Takes the further looks at a cluster that could be read. */
export async function lookFurther(run: Run, { spec }: Member, looks: ReturnType<Looks>): Promise<void> {
  const further = Object.entries(looks) as [ClusterCheck, () => Finding | Promise<Finding>][];
  const take = (id: ClusterCheck, finding: () => Finding | Promise<Finding>) =>
    run.step(`preflight.${id}`, { cluster: spec.name }, [], async () => toOutcome(await finding()));
  await Promise.allSettled(further.map(([id, finding]) => take(id, finding)));
}

function trustPlan(decision: TrustDecision): Outcome<TrustPlan> {
  if ("problems" in decision) {
    throw new Failure(
      decision.problems.map(({ cluster, cause }) => (cluster ? `${cluster}: ${cause}` : cause)).join(" "),
      [...new Set(decision.problems.map(({ hint }) => hint))].join(" "),
    );
  }
  const sum = decision.rootSha256 ? ` with SHA-256 ${decision.rootSha256}` : "";
  const source = {
    existing: "one that all clusters trust",
    provided: "the one provided",
    generated: "one that is generated",
  };
  return { value: decision, evidence: `The root of trust is ${source[decision.source]}${sum}.` };
}

function isOf({ id }: CheckRef, category: Category): boolean {
  return CHECKS[id].category === category;
}

function outcome(evidence: string): Outcome<void> {
  return { value: undefined, evidence };
}

/** A finding as a step's end. */
export function toOutcome({ verdict, evidence, cause = "", hint, warning }: Finding): Outcome<void> {
  if (verdict === "failed") throw new Failure(cause, hint);
  return { ...outcome(cause ? `${evidence} ${cause}` : evidence), ...(warning ? { warning } : {}) };
}
