import { isToInstall } from "../checks/operator.ts";
import { isActive } from "../checks/pods.ts";
import type { Survey } from "../checks/survey.ts";
import type { Applied, Cluster } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { RELEASE } from "../helm/helm.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import type { CaCerts } from "../mesh/certificates/issue.ts";
import { differences } from "../mesh/diff.ts";
import { Failure } from "../mesh/failure.ts";
import { inOrder, istio, mergeValues } from "../mesh/objects/control-plane.ts";
import { exposure } from "../mesh/objects/exposure.ts";
import { GATEWAY_NAME } from "../mesh/objects/gateway.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { chartReaderRole, READER } from "../mesh/objects/reader.ts";
import { cacerts, remoteSecret } from "../mesh/objects/secrets.ts";
import type { Action } from "../mesh/report.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import type { TrustPlan } from "../mesh/trust.ts";
import { cniObjects } from "./cni.ts";
import { expectedRevision, manifest } from "./control-plane.ts";
import { gatewayObjects, isUninjected } from "./gateway.ts";
import { type Coming, readerObjects } from "./reader.ts";
import { isUpToDate, strangersOf } from "./remote-access.ts";
import { changeOf, type ObjectChange, type Outcome, type Run, type Step } from "./run.ts";
import { trustNamespace } from "./trust.ts";

/** Stands, in a dry run, for what is made by `install` itself. */
const NOT_MADE = "not made yet";
const CA_FILES: CaCerts = {
  "ca-cert.pem": NOT_MADE,
  "ca-key.pem": NOT_MADE,
  "root-cert.pem": NOT_MADE,
  "cert-chain.pem": NOT_MADE,
};

/** Says what `install` would do to a cluster's objects, its remote secrets apart. */
export function planObjects(
  run: Run,
  mesh: SettledMesh,
  member: Member,
  survey: Survey,
  trust: TrustPlan,
  transition: Transition,
  istioctl: Istioctl,
): Promise<void> {
  const { spec, cluster } = member;
  return run.step("plan.objects", { cluster: spec.name }, [], async (step) => {
    const trial = new Trial(cluster, survey);
    trial.apply(trustNamespace(mesh, spec, survey.namespace));
    if (trust.issueFor.includes(spec.name)) {
      const root = trust.source === "generated" ? "a root that is generated then" : "the root that is provided";
      trial.apply(cacerts(mesh, { ...CA_FILES }), `\`install\` issues an intermediate of ${root}.`);
    }
    if (survey.operator && isToInstall(mesh, survey.operator)) trial.add(Promise.resolve([operatorOf(mesh)]));
    const { revision, coming } = await planControlPlane(trial, mesh, member, survey, transition, istioctl);
    for (const object of await cniObjects(mesh, spec, cluster, survey.cni)) trial.apply(object);

    if (mesh.gateway.install) {
      const { early, binding, late } = await gatewayObjects(mesh, member, revision, transition.to);
      for (const object of [...early, binding, ...late]) trial.apply(object);
      trial.add(uninjectedPods(mesh, cluster));
    }
    trial.apply(exposure(mesh));

    const reader = await readerObjects(mesh, cluster, survey, revision, coming);
    if (reader.account) trial.apply(reader.account);
    if (reader.binding) trial.apply(reader.binding);
    if (reader.token)
      trial.apply(
        reader.token,
        survey.readerToken || mesh.tokenTtl !== undefined ? undefined : "Kubernetes fills it with a token.",
      );
    return trial.end(step, "Nothing would be applied.");
  });
}

/** Tries the control plane, and says what it brings. */
async function planControlPlane(
  trial: Trial,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  survey: Survey,
  { writes }: Transition,
  istioctl: Istioctl,
): Promise<{ revision: string; coming: Coming }> {
  switch (mesh.installer) {
    case "sail": {
      const { revision, upcoming } = await trial.apply(istio(mesh, spec, writes) as IstioResource).then(
        (applied) => expectedRevision(mesh, applied),
        () => ({ revision: mesh.istioResource, upcoming: true }), // what was refused is told at the end
      );
      // The chart with the reader's account is part of the revision `default` alone.
      return { revision, coming: { account: upcoming && revision === "default", role: upcoming } };
    }
    case "istioctl": {
      const objects = await istioctl.manifests(mesh, spec);
      for (const object of inOrder(objects).flat()) trial.apply(await manifest(mesh, cluster, object));
      const revision = mesh.istioResource;
      const brings = (kind: string, name: string) =>
        objects.some((object) => object.kind === kind && object.metadata.name === name);
      const role = brings("ClusterRoleBinding", chartReaderRole(mesh, revision));
      return { revision, coming: { account: brings("ServiceAccount", READER), role } };
    }
    case "existing":
      return { revision: survey.controlPlanes.revision, coming: { account: false, role: false } };
  }
}

/** The operator's Deployment, which stands for all that Helm installs. */
function operatorOf({ operator }: MeshSpec): ObjectChange {
  const note = `Helm installs the Sail Operator ${operator?.version}, with its CRDs and rights.`;
  return { apiVersion: "apps/v1", kind: "Deployment", namespace: RELEASE, name: RELEASE, action: "created", note };
}

/** Says which remote secrets `install` would give an observer. */
export function planRemoteSecrets(
  run: Run,
  mesh: MeshSpec,
  observer: Member,
  targets: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  prune: boolean,
): Promise<void> {
  const survey = (member: Member) => surveys.get(member.spec.name) as Survey;
  return run.step("plan.remote-secrets", { cluster: observer.spec.name }, [], async (step) => {
    const trial = new Trial(observer.cluster, survey(observer));
    for (const target of targets) {
      if (await isUpToDate(mesh, survey(observer), survey(target), target)) continue;
      const note = `It is made with a token of ${target.spec.name}'s reader.`;
      trial.apply(remoteSecret(mesh, target.spec.name, NOT_MADE), note);
    }
    const { remoteSecrets } = survey(observer);
    const { removed, left } = strangersOf(mesh, observer.spec.name, remoteSecrets, prune);
    const gone = removed.map(({ secret, clusters }): ObjectChange => {
      const note = `${clusters.join(", ")} is not in the list of clusters.`;
      return { ...refOf(secret), action: "deleted", note };
    });
    trial.add(Promise.resolve(gone));
    if (left) trial.add(Promise.reject(left));
    return trial.end(step, "Every remote secret is current.");
  });
}

/** The gateway's pods that `install` would delete, so that new ones are injected. */
async function uninjectedPods({ namespace }: MeshSpec, cluster: Cluster): Promise<ObjectChange[]> {
  const kind = { apiVersion: "v1", kind: "Pod", namespace };
  const pods = (await cluster.list({ ...kind, labelSelector: `app=${GATEWAY_NAME}` })) as unknown as Pod[];
  const note = "It was made before injection served, and keeps its placeholder image.";
  return pods
    .filter((pod) => isActive(pod) && isUninjected(pod))
    .map(({ metadata }) => ({ ...kind, name: metadata.name, action: "deleted", note }));
}

/** Tries what would be applied to a cluster, all at once, and tells of it in the order in which it was given. */
class Trial {
  readonly #cluster: Cluster;
  readonly #namespace: KubernetesObject | undefined;
  readonly #changes: Promise<readonly ObjectChange[]>[] = [];
  #untried = false;

  constructor(cluster: Cluster, { namespace }: Survey) {
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  /** @param note what of it is not known beforehand */
  apply<T extends KubernetesObject>(object: T, note?: string): Promise<Applied<T>> {
    const tried = this.#try(object);
    this.add(
      tried.then(({ reason, ...applied }) => {
        const change = changeOf(object, applied);
        const notes = [note, reason].filter((each) => each !== undefined && change.action !== "unchanged");
        return [{ ...change, ...(notes.length > 0 ? { note: notes.join(" ") } : {}) }];
      }),
    );
    return tried;
  }

  add(changes: Promise<readonly ObjectChange[]>): void {
    changes.catch(() => {}); // told at the end
    this.#changes.push(changes);
  }

  /** Notes all that would become; throws what was refused. @param none the evidence where nothing was tried */
  async end(step: Step, none: string): Promise<Outcome<void>> {
    const ended = await Promise.allSettled(this.#changes);
    const changes = ended.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    for (const change of changes) step.would(this.#cluster, change);
    const refused = ended.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    if (refused.length > 0) throw together(refused);
    const untried = this.#untried ? " Its namespace is not there yet, so what goes into it was not tried." : "";
    const evidence = changes.length > 0 ? summary(changes.map(({ action }) => action)) : none;
    return { value: undefined, evidence: `${evidence}${untried}` };
  }

  async #try<T extends KubernetesObject>(object: T): Promise<Applied<T> & { reason?: string }> {
    if (object.metadata.namespace && !this.#namespace) {
      this.#untried = true;
      return { object, action: "created" };
    }
    try {
      return await this.#cluster.tryApply(object);
    } catch (error) {
      const reason = untriable(error);
      if (reason === undefined) throw error;
      const before = await this.#cluster.get<T>(refOf(object));
      if (!before) return { object, action: "created", reason };
      const after = mergeValues(before, object) as T;
      const action = differences(before, after).length === 0 ? "unchanged" : "updated";
      return { object: after, before, action, reason };
    }
  }
}

/** Why a dry run says nothing about the real one; `undefined` where it does. */
function untriable(error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const { status, message, webhook } = error;
  // Its kind is not served yet, or what it refers to does not exist before the real one.
  if (status === 404) return "It could not be tried: what it needs is not there yet.";
  if (webhook) return `It could not be tried: the webhook ${webhook.name} cannot be called.`;
  if (status === 400 && /support dry.?run/.test(message))
    return "It could not be tried: a webhook for it does not take dry runs.";
  return undefined;
}

function together(refused: readonly unknown[]): unknown {
  const failures = refused.filter((each) => each instanceof Failure);
  const [first] = failures;
  if (!first || failures.length < refused.length) return refused.find((each) => !(each instanceof Failure));
  if (failures.length === 1) return first;
  const hints = new Set(failures.flatMap(({ hint }) => hint ?? []));
  return new Failure(failures.map(({ message }) => message).join("; "), [...hints].join(" "));
}

function summary(actions: readonly Action[]): string {
  const number = (action: Action) => actions.filter((each) => each === action).length;
  const would = (["created", "updated", "deleted"] as const)
    .filter((action) => number(action) > 0)
    .map((action) => `${number(action)} would be ${action}`);
  const same = number("unchanged");
  if (would.length === 0) return `All ${same} objects are as they should be.`;
  return `${would.join(", ")}${same > 0 ? `; ${same} are as they should be` : ""}.`;
}
