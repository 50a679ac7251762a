import { isToInstall } from "../checks/operator.ts";
import type { Survey } from "../checks/survey.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { RELEASE } from "../helm/helm.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import { waiting } from "../mesh/adoption.ts";
import type { CaCerts } from "../mesh/certificates/issue.ts";
import { type Owner, ownerOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { inOrder, istio, namespace } from "../mesh/objects/control-plane.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { chartReaderRole, READER } from "../mesh/objects/reader.ts";
import { cacerts } from "../mesh/objects/secrets.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import type { TrustPlan } from "../mesh/trust.ts";
import { cniObjects } from "./cni.ts";
import { expectedRevision, manifest } from "./control-plane.ts";
import { planExposure } from "./exposure.ts";
import { gatewayObjects } from "./gateway.ts";
import { type Coming, readerObjects } from "./reader.ts";
import { changeOf, type ObjectChange } from "./step.ts";
import { InTheWay, Same, tryCreate, type Written, write } from "./write.ts";

/** Stands, in a dry run, for what is made by `install` itself. */
export const NOT_MADE = "not made yet";
const CA_FILES: CaCerts = {
  "ca-cert.pem": NOT_MADE,
  "ca-key.pem": NOT_MADE,
  "root-cert.pem": NOT_MADE,
  "cert-chain.pem": NOT_MADE,
};

/** What is known of a cluster before anything is written, and what is to be done there. */
export interface Intent {
  readonly survey: Survey;
  readonly trust: TrustPlan;
  readonly transition: Transition;
  readonly istioctl: Istioctl | undefined;
}

/** Tries all that `install` applies to a cluster, its remote secrets apart. */
export async function tryInstall(
  trial: Trial,
  mesh: SettledMesh,
  member: Member,
  { survey, trust, transition, istioctl }: Intent,
): Promise<void> {
  const { spec, cluster } = member;
  const waits = survey.adoption?.record.waits;
  if (!waits) trial.apply(namespace(mesh, spec));
  else if (survey.adoption?.byNames) trial.apply(waiting(namespace(mesh, spec)));
  if (trust.issueFor.includes(spec.name)) {
    const root = trust.source === "generated" ? "a root that is generated then" : "the root that is provided";
    const note = `\`install\` issues an intermediate of ${root}.`;
    const secret = cacerts(mesh, { ...CA_FILES });
    // One that an interrupted run has left is replaced as it was read, which is no apply.
    if (survey.trust.cacerts?.ours) trial.add(Promise.resolve([{ ...refOf(secret), action: "updated", note }]));
    else trial.create(secret, note);
  }
  if (survey.operator && isToInstall(mesh, survey.operator)) trial.add(Promise.resolve([operatorOf(mesh)]));
  const { revision, coming } = await tryControlPlane(trial, mesh, member, survey, transition, istioctl);
  for (const object of await cniObjects(mesh, spec, cluster, survey.cni)) trial.apply(object);

  if (waits) return;
  if (mesh.gateway.install) {
    const { early, late } = await gatewayObjects(mesh, member, revision, transition.to);
    for (const object of [...early, ...late]) trial.apply(object);
  }
  const exposing = planExposure(mesh, member, survey, revision);
  // Told at the end, among all else that stands in the way.
  trial.add(exposing.then(() => []));
  const exposure = await exposing.catch(() => undefined);
  if (exposure?.object) trial.apply(exposure.object);
  if (exposure?.gone) {
    const note = "`exposure: none`";
    trial.add(Promise.resolve([{ ...refOf(exposure.gone), action: "deleted", note }]));
  }

  const reader = await readerObjects(mesh, cluster, survey, revision, coming);
  if (reader.account) trial.apply(reader.account);
  if (reader.binding) trial.apply(reader.binding);
  if (reader.token)
    trial.apply(
      reader.token,
      survey.readerToken || mesh.tokenTtl !== undefined ? undefined : "Kubernetes fills it with a token.",
    );
}

/** Tries the control plane, and says what it brings. */
async function tryControlPlane(
  trial: Trial,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  survey: Survey,
  { writes }: Transition,
  istioctl: Istioctl | undefined,
): Promise<{ revision: string; coming: Coming }> {
  switch (mesh.installer) {
    case "sail": {
      const { revision, upcoming } = await trial
        .apply(istio(mesh, spec, writes, survey.adoption) as IstioResource)
        .then(
          (applied) => expectedRevision(mesh, applied),
          () => ({ revision: mesh.istioResource, upcoming: true }), // what was refused is told at the end
        );
      // The chart with the reader's account is part of the revision `default` alone.
      return { revision, coming: { account: upcoming && revision === "default", role: upcoming } };
    }
    case "istioctl": {
      const objects = (await istioctl?.manifests(mesh, spec)) ?? [];
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

/** What came of a trial. */
export interface Tried {
  readonly changes: readonly ObjectChange[];
  /** How many objects the API server was asked about. */
  readonly tried: number;
  /** Whether some of it could not be tried, for want of its namespace. */
  readonly untried: boolean;
  /** What is somebody else's and does the job. */
  readonly left: readonly KubernetesObject[];
  /** What is there as it is wanted. */
  readonly same: Same;
  readonly inTheWay: readonly InTheWay[];
  /** What else was refused. */
  readonly refused: readonly unknown[];
}

export const UNTRIED = "Its namespace is not there yet, so what goes into it was not tried.";

/** Tries what would be applied to a cluster, all at once, and tells of it in the order in which it was given. */
export class Trial {
  readonly #cluster: Cluster;
  readonly #owner: Owner;
  readonly #left: KubernetesObject[] = [];
  readonly #namespace: KubernetesObject | undefined;
  readonly #changes: Promise<readonly ObjectChange[]>[] = [];
  readonly #same: Same = new Same();
  #tried = 0;
  #untried = false;

  constructor(mesh: MeshSpec, cluster: Cluster, { uid, namespace }: Survey) {
    this.#cluster = cluster;
    this.#owner = ownerOf(mesh, uid);
    this.#namespace = namespace;
  }

  /** @param note what of it is not known beforehand */
  apply<T extends KubernetesObject>(object: T, note?: string): Promise<Written<T>> {
    return this.#tell(
      object,
      this.#asIf(object, async () => {
        const written = await write(this.#cluster, this.#owner, object, true);
        this.#same.note(object, written);
        return written;
      }),
      note,
    );
  }

  /** Of what is made once, and never applied: where another run was faster, that is looked at when it is to be made. */
  create(object: KubernetesObject, note: string): void {
    const tried = this.#asIf(object, () => tryCreate(this.#cluster, this.#owner, object));
    this.#tell(object, tried, note);
  }

  #tell<T extends KubernetesObject>(object: T, tried: Promise<Written<T>>, note?: string): Promise<Written<T>> {
    this.add(
      tried.then((written) => {
        if (written.left) this.#left.push(written.object);
        const change = changeOf(object, written);
        const notes = [change.action === "unchanged" ? undefined : note, change.note].filter(
          (each) => each !== undefined,
        );
        return [{ ...change, ...(notes.length > 0 ? { note: notes.join(" ") } : {}) }];
      }),
    );
    return tried;
  }

  add(changes: Promise<readonly ObjectChange[]>): void {
    changes.catch(() => {}); // told at the end
    this.#changes.push(changes);
  }

  /** All that would become, and what was refused, together. */
  async end(): Promise<Tried> {
    const ended = await Promise.allSettled(this.#changes);
    const changes = ended.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    const refused = ended.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    return {
      changes,
      tried: this.#tried,
      untried: this.#untried,
      left: this.#left,
      same: this.#same,
      inTheWay: refused.filter((each) => each instanceof InTheWay),
      refused: refused.filter((each) => !(each instanceof InTheWay)),
    };
  }

  /** What comes of an object, unless nothing can be asked of it yet. */
  async #asIf<T extends KubernetesObject>(object: T, ask: () => Promise<Written<T>>): Promise<Written<T>> {
    const into = this.#namespace;
    // Of a namespace that is on its way out that alone is told, and not of each object that it does not take.
    if (object.metadata.namespace && (!into || into.metadata.deletionTimestamp)) {
      this.#untried = true;
      return { object, action: "created" };
    }
    this.#tried++;
    return ask();
  }
}

/** Failures in one; anything else as it is. */
export function together(refused: readonly unknown[]): unknown {
  const failures = refused.filter((each) => each instanceof Failure);
  const [first] = failures;
  if (!first || failures.length < refused.length) return refused.find((each) => !(each instanceof Failure));
  if (failures.length === 1) return first;
  const hints = new Set(failures.flatMap(({ hint }) => hint ?? []));
  return new Failure(failures.map(({ message }) => message).join("; "), [...hints].join(" "));
}
