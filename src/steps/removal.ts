import { foreignContents, goingRevisions, type Inventory, terminating } from "../checks/inventory.ts";
import { ISTIOD } from "../checks/istiod.ts";
import { operatorAvailable } from "../checks/operator.ts";
import { isActive } from "../checks/pods.ts";
import type { Cluster, ListQuery, Look } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { notOurs, type Owner } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, ISTIO_REVISION, inOrder } from "../mesh/objects/control-plane.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import type { Removal } from "../mesh/pieces.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import { giveBackIstio } from "./adoption.ts";
import type { Run } from "./run.ts";
import type { Step } from "./step.ts";

/** How long what is on its way to go is waited for before it counts as somebody's. Milliseconds. */
const SETTLING = 30_000;

/** What a step has to do with. */
interface Task {
  readonly run: Run;
  readonly step: Step;
  readonly mesh: MeshSpec;
  readonly cluster: Cluster;
  readonly inventory: Inventory;
  /** What is to go. */
  readonly objects: readonly KubernetesObject[];
}

interface End {
  readonly evidence: string;
  readonly warning?: string;
  /** Why something of it stays, in a sentence: what it stands on stays, too. */
  readonly stays?: string | undefined;
}

/** What takes more than to delete the objects and to wait until they are gone. */
const OWN_WAY: Partial<Record<Removal, (task: Task) => Promise<End>>> = {
  "uninstall.remote-secrets": removeRemoteSecrets,
  "uninstall.control-plane": removeControlPlane,
  "uninstall.cni": removeCni,
  "uninstall.namespace": removeNamespace,
};

/**
 * Takes down what of a cluster one step is for, unless what stands on it stays.
 * @param standing the steps before: why what they are for stays, if it does
 * @returns why it stays; `undefined` where it is gone
 */
export function takeDown(
  run: Run,
  id: Removal,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  inventory: Inventory,
  standing: readonly Promise<string | undefined>[],
): Promise<string | undefined> {
  return run.step(id, { cluster: spec.name }, standing, async (step) => {
    const objects = inventory.found.get(id) ?? [];
    const why = (await Promise.all(standing)).find((each) => each !== undefined);
    if (why) {
      for (const object of objects) run.leave("removal", spec.name, refOf(object), why);
      return { value: why, evidence: objects.length > 0 ? `${named(objects)} stays: ${why}` : why };
    }
    const task = { run, step, mesh, cluster, inventory, objects };
    const { stays, ...told } = await (OWN_WAY[id] ?? removeObjects)(task);
    return { value: stays, ...told };
  });
}

async function removeObjects({ step, cluster, objects }: Task): Promise<End> {
  await removeAll(step, cluster, objects);
  return { evidence: gone(objects) };
}

/** Removes the remote secrets that are ours, and warns of those that are not: istiod goes on reading what they name. */
async function removeRemoteSecrets(task: Task): Promise<End> {
  const end = await removeObjects(task);
  const { foreignRemoteSecrets } = task.inventory;
  if (foreignRemoteSecrets.length === 0) return end;
  const list = foreignRemoteSecrets.map(
    ({ metadata, data }) => `Secret ${metadata.name} (for ${Object.keys(data ?? {}).join(", ") || "nothing"})`,
  );
  return {
    ...end,
    warning: `Not this action's, and left: ${list.join(", ")}. istiod goes on reading what it names.`,
  };
}

/**
 * Removes the control plane: an `Istio` resource, until the operator has taken down what it made of it, or what istioctl
 * made. Without the operator its resource is not removed: its finalizer would stay for ever, and taken off by hand it would
 * leave istiod behind. Another control plane in the namespace, whoever's, stands on the same.
 */
async function removeControlPlane({ step, mesh, cluster, objects, inventory }: Task): Promise<End> {
  const { adopted, owner } = inventory;
  if (adopted.length > 0) {
    const given = await Promise.all(adopted.map((istio) => giveBackIstio(step, mesh, cluster, istio)));
    // It had no network either, and no gateway of ours is left by which one would count.
    for (const each of inventory.found.get("uninstall.namespace") ?? [])
      if (notOurs(owner, each) && !inventory.shared) await giveBack(step, cluster, each);
    const warnings = given.flatMap(({ warning }) => warning ?? []);
    return {
      evidence: given.map(({ evidence }) => evidence).join(" "),
      ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}),
      stays: await stillRuns(mesh, cluster),
    };
  }
  const istios = objects.filter(({ kind }) => kind === ISTIO.kind);
  const manifests = objects.filter(({ kind }) => kind !== ISTIO.kind);
  if (mesh.installer === "existing") {
    const evidence = "`installer: existing` leaves the control plane alone.";
    return { evidence, stays: await stillRuns(mesh, cluster) };
  }
  const uids = new Set(istios.map(({ metadata }) => metadata.uid));
  const [before, revisions] = await Promise.all([cluster.list(ISTIO), cluster.list(ISTIO_REVISION)]);
  const going = goingRevisions(mesh, uids, before, revisions);
  if (istios.length + going.length > 0) {
    await byOperator(cluster, async () => {
      for (const istio of istios) await remove(step, cluster, istio);
      await cluster.waitFor(
        "the Sail Operator to remove the control plane",
        { istios: ISTIO, revisions: ISTIO_REVISION },
        (seen) => {
          const left = [
            ...seen.istios.filter(({ metadata }) => uids.has(metadata.uid)),
            ...goingRevisions(mesh, uids, seen.istios, seen.revisions),
          ];
          if (left.length === 0) return { done: undefined };
          return { seen: `${left.map(terminating).join("; ")}; is the Sail Operator running?` };
        },
      );
    });
  }
  // What asks istiod goes with it, and before what it runs by.
  for (const group of inOrder(manifests).reverse()) await removeAll(step, cluster, group);
  return { evidence: gone([...istios, ...going, ...manifests]), stays: await stillRuns(mesh, cluster) };
}

/** How long pods of an istiod that is gone are waited for before they count as running. Milliseconds. */
const ENDING = 30_000;

/**
 * What of a control plane is there, looked at afresh: an istiod of whichever revision and whoever's, or an `Istio` for the
 * namespace. It stands on what is left.
 * @returns why what it stands on stays, in a sentence; `undefined` where nothing is there
 */
async function stillRuns({ namespace }: MeshSpec, cluster: Cluster): Promise<string | undefined> {
  const start = performance.now();
  const istiods = { namespace, labelSelector: ISTIOD };
  return cluster.poll(
    `the control plane's pods in ${namespace} to end`,
    async (): Promise<Look<string | undefined>> => {
      const [istios, deployments, pods] = await Promise.all([
        cluster.list<IstioResource>(ISTIO),
        cluster.list({ apiVersion: "apps/v1", kind: "Deployment", ...istiods }),
        cluster.list({ apiVersion: "v1", kind: "Pod", ...istiods }),
      ]);
      const there = [...istios.filter(({ spec }) => spec.namespace === namespace), ...deployments];
      const running = (pods as unknown as Pod[]).filter(isActive);
      // Those of a Deployment that is gone follow it.
      if (there.length === 0 && running.length > 0 && performance.now() - start < ENDING)
        return {
          seen: `${listed(running.map(({ metadata }) => metadata.name))} ${running.length > 1 ? "run" : "runs"} still`,
        };
      const names = there.length > 0 ? there.map((each) => describe(refOf(each))) : running.map(nameOfPod);
      if (names.length === 0) return { done: undefined };
      return { done: `${listed(names)} ${new Set(names).size > 1 ? "are" : "is"} there still, and ${STANDS}.` };
    },
  );
}

const STANDS = "reads its CA, its network and the others' access from what is here";
const nameOfPod = ({ metadata }: Pod) => `Pod ${metadata.namespace}/${metadata.name}`;

/** Removes the CNI plugin and its namespace, if they are ours and no other control plane is there that may use them. */
async function removeCni({ run, step, cluster, inventory, objects }: Task): Promise<End> {
  if (objects.length === 0) return { evidence: gone([]) };
  const [istios, istiods] = await Promise.all([
    cluster.list(ISTIO),
    cluster.list({ apiVersion: "apps/v1", kind: "Deployment", labelSelector: ISTIOD }),
  ]);
  const others = (istios.length > 0 ? istios : istiods).map((each) => describe(refOf(each)));
  if (others.length > 0) {
    const why = `${others.join(", ")} may use it.`;
    for (const object of objects) run.leave("removal", cluster.name, refOf(object), why);
    return { evidence: `The CNI plugin stays: ${why}`, stays: why };
  }
  const cnis = objects.filter(({ kind }) => kind !== "Namespace");
  if (cnis.length > 0) await byOperator(cluster, () => removeAll(step, cluster, cnis));
  const ends = [gone(cnis)];
  for (const namespace of objects.filter(({ kind }) => kind === "Namespace"))
    ends.push(await removeIfOurs(run, step, inventory.owner, cluster, namespace));
  return { evidence: ends.join(" ") };
}

/** Removes the namespace, if it is ours and holds nothing of anybody else's; else leaves it, and says what is in it. */
async function removeNamespace({ run, step, mesh, cluster, inventory, objects }: Task): Promise<End> {
  const [namespace] = objects;
  if (!namespace) return { evidence: `There is no namespace ${mesh.namespace}.` };
  const { owner, shared } = inventory;
  if (notOurs(owner, namespace) && !shared) await giveBack(step, cluster, namespace);
  return { evidence: await removeIfOurs(run, step, owner, cluster, namespace) };
}

/** @returns what became of it, in a sentence */
async function removeIfOurs(
  run: Run,
  step: Step,
  owner: Owner,
  cluster: Cluster,
  namespace: KubernetesObject,
): Promise<string> {
  const leave = (object: KubernetesObject, why: string) => run.leave("removal", cluster.name, refOf(object), why);
  const name = describe(refOf(namespace));
  const foreign = notOurs(owner, namespace);
  if (foreign) {
    leave(namespace, foreign);
    return `${name} is not this action's and stays.`;
  }
  // One that is going already takes along what is in it, whatever that is.
  const inside = namespace.metadata.deletionTimestamp ? [] : await settled(owner, cluster, namespace.metadata.name);
  if (inside.length > 0) {
    const it = inside.length === 1 ? "an object that is" : `${inside.length} objects that are`;
    for (const object of inside) leave(object, notOurs(owner, object) ?? "");
    leave(namespace, `It holds ${it} not this action's.`);
    return `${name} stays, for it holds ${it} not this action's.`;
  }
  await removeAll(step, cluster, [namespace]);
  return gone([namespace]);
}

/** What only the operator can finish: it is begun where the operator is there to. */
async function byOperator(cluster: Cluster, work: () => Promise<void>): Promise<void> {
  await operatorAvailable(cluster);
  try {
    await work();
  } catch (error) {
    // What the API server says has a hint of its own.
    if (!(error instanceof Failure) || error instanceof ApiError) throw error;
    throw new Failure(
      error.message,
      "See whether the Sail Operator runs, and its log: kubectl get deployments -A -l app.kubernetes.io/name=sail-operator. Do not take the finalizer off: the operator then leaves behind what it installed. A new run goes on from here.",
    );
  }
}

/** Takes away what is ours of somebody else's namespace: the network's label, by its field manager. */
async function giveBack(step: Step, cluster: Cluster, namespace: KubernetesObject): Promise<void> {
  const { managedFields = [] } = namespace.metadata;
  if (managedFields.some(({ manager, operation }) => manager === MANAGER && operation === "Apply"))
    await step.giveBack(cluster, namespace);
}

/** What in the namespace is somebody else's, once all that follows its owner is gone. */
async function settled(owner: Owner, cluster: Cluster, namespace: string): Promise<KubernetesObject[]> {
  const start = performance.now();
  return cluster.poll(`what is left in namespace ${namespace} to go with its owners`, async () => {
    const { foreign, passing } = foreignContents(owner, await cluster.contents(namespace));
    if (passing.length === 0 || performance.now() - start > SETTLING) return { done: [...foreign, ...passing] };
    return { seen: passing.map(terminating).join("; ") };
  });
}

/** Deletes these very objects, and waits until they are gone, with the pods of Deployments, which go a little later. */
async function removeAll(step: Step, cluster: Cluster, objects: readonly KubernetesObject[]): Promise<void> {
  if (objects.length === 0) return;
  const pods = (await Promise.all(objects.map((object) => podsOf(cluster, object)))).flat();
  await Promise.all(objects.map((object) => remove(step, cluster, object)));
  const [first] = objects as [KubernetesObject];
  const what = objects.length === 1 ? describe(refOf(first)) : `${objects.length} objects`;
  await untilGone(cluster, what, objects);
  if (pods.length > 0) await untilGone(cluster, "their pods", pods);
}

/** A Deployment's pods. */
async function podsOf(cluster: Cluster, { kind, metadata, spec }: KubernetesObject): Promise<KubernetesObject[]> {
  if (kind !== "Deployment") return [];
  const { namespace = "" } = metadata;
  const labels = (spec as { selector?: { matchLabels?: Record<string, string> } }).selector?.matchLabels ?? {};
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const found = await cluster.list({ apiVersion: "v1", kind: "Pod", namespace, labelSelector });
  return found.filter(({ metadata }) => (metadata.ownerReferences ?? []).length > 0);
}

async function remove(step: Step, cluster: Cluster, object: KubernetesObject): Promise<void> {
  // What is being deleted already is only waited for.
  if (!object.metadata.deletionTimestamp) await step.delete(cluster, object);
}

async function untilGone(cluster: Cluster, what: string, objects: readonly KubernetesObject[]): Promise<void> {
  const uids = new Set(objects.map(({ metadata }) => metadata.uid));
  const queries = new Map<string, ListQuery>();
  for (const { apiVersion, kind, metadata } of objects) {
    const { namespace } = metadata;
    // Pods have their Deployment's labels, not ours.
    const labelSelector = kind === "Pod" ? {} : { labelSelector: `${MANAGED_BY}=${MANAGER}` };
    queries.set(`${apiVersion}/${kind}`, { apiVersion, kind, ...(namespace ? { namespace } : {}), ...labelSelector });
  }
  await cluster.waitFor(`${what} to be gone`, Object.fromEntries(queries), (seen) => {
    const left = Object.values(seen)
      .flat()
      .filter(({ metadata }) => uids.has(metadata.uid));
    return left.length === 0 ? { done: undefined } : { seen: left.map(terminating).join("; ") };
  });
}

const named = (objects: readonly KubernetesObject[]) => objects.map((object) => describe(refOf(object))).join(", ");

function gone(objects: readonly KubernetesObject[]): string {
  if (objects.length === 0) return "There was nothing of it.";
  return `Gone: ${named(objects)}.`;
}
