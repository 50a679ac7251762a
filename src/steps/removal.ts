import { foreignContents, goingRevisions, type Inventory, terminating } from "../checks/inventory.ts";
import { operatorAvailable } from "../checks/operator.ts";
import type { Cluster, ListQuery } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, ISTIO_REVISION } from "../mesh/objects/control-plane.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER, notOurs } from "../mesh/objects/ownership.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Needs, Run, Step } from "./run.ts";

/** How long what is on its way to go is waited for before it counts as somebody's. Milliseconds. */
const SETTLING = 30_000;

/** Removes some of what was found, and waits until it is gone. */
export function removeObjects(
  run: Run,
  id: CheckId,
  { spec, cluster }: Member,
  objects: readonly KubernetesObject[],
  needs: Needs,
): Promise<void> {
  return run.step(id, { cluster: spec.name }, needs, async (step) => {
    await removeAll(step, cluster, objects);
    return { value: undefined, evidence: gone(objects) };
  });
}

/** Removes the remote secrets that are ours, and warns of those that are not: istiod goes on reading what they name. */
export function removeRemoteSecrets(
  run: Run,
  { spec, cluster }: Member,
  { remoteSecrets, foreignRemoteSecrets }: Inventory,
): Promise<void> {
  return run.step("uninstall.remote-secrets", { cluster: spec.name }, [], async (step) => {
    await removeAll(step, cluster, remoteSecrets);
    const end = { value: undefined, evidence: gone(remoteSecrets) };
    if (foreignRemoteSecrets.length === 0) return end;
    const list = foreignRemoteSecrets.map(
      ({ metadata, data }) => `Secret ${metadata.name} (for ${Object.keys(data ?? {}).join(", ") || "nothing"})`,
    );
    return {
      ...end,
      warning: `Not this action's, and left: ${list.join(", ")}. istiod goes on reading what it names.`,
    };
  });
}

/** As `removeObjects`, with the pods of the gateway, which go a little later. */
export function removeGateway(
  run: Run,
  { namespace }: MeshSpec,
  { spec, cluster }: Member,
  objects: readonly KubernetesObject[],
  needs: Needs,
): Promise<void> {
  return run.step("uninstall.gateway", { cluster: spec.name }, needs, async (step) => {
    const selectors = objects.flatMap((object) => (object.kind === "Deployment" ? selectorOf(object) : []));
    const pods = (labelSelector: string) => cluster.list({ apiVersion: "v1", kind: "Pod", namespace, labelSelector });
    const running = (await Promise.all(selectors.map(pods)))
      .flat()
      .filter(({ metadata }) => (metadata.ownerReferences ?? []).length > 0);
    await removeAll(step, cluster, objects);
    if (running.length > 0) await untilGone(cluster, "the gateway's pods", running);
    return { value: undefined, evidence: gone(objects) };
  });
}

/**
 * Removes the `Istio` resource and waits until the operator has taken its control plane down. Without the operator nothing
 * is removed: its finalizer would stay for ever, and taken off by hand it would leave istiod behind.
 */
export function removeControlPlane(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  istios: readonly KubernetesObject[],
  needs: Needs,
): Promise<void> {
  return run.step("uninstall.control-plane", { cluster: spec.name }, needs, async (step) => {
    if (mesh.installer === "existing") {
      return { value: undefined, evidence: "`installer: existing` leaves the control plane alone." };
    }
    const uids = new Set(istios.map(({ metadata }) => metadata.uid));
    const [before, revisions] = await Promise.all([cluster.list(ISTIO), cluster.list(ISTIO_REVISION)]);
    const going = goingRevisions(mesh, uids, before, revisions);
    if (istios.length + going.length === 0) {
      return { value: undefined, evidence: "There is no Istio resource of this action's." };
    }
    await operatorAvailable(cluster);
    for (const istio of istios) await remove(step, cluster, istio);
    try {
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
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new Failure(
        error.message,
        "See whether the Sail Operator runs, and its log: kubectl get deployments -A -l app.kubernetes.io/name=sail-operator. Do not take the finalizer off: the operator then leaves istiod behind. A new run goes on from here.",
      );
    }
    const names = [...istios, ...going].map((object) => describe(refOf(object)));
    return { value: undefined, evidence: `Gone: ${[...new Set(names)].join(", ")}.` };
  });
}

/** Removes the namespace, if it is ours and holds nothing of anybody else's; else leaves it, and says what is in it. */
export function removeNamespace(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  { namespace, shared }: Inventory,
  needs: Needs,
): Promise<void> {
  return run.step("uninstall.namespace", { cluster: spec.name }, needs, async (step) => {
    const evidence = (text: string) => ({ value: undefined, evidence: text });
    if (!namespace) return evidence(`There is no namespace ${mesh.namespace}.`);
    const leave = (object: KubernetesObject, why: string) => run.leave("removal", spec.name, refOf(object), why);
    const name = describe(refOf(namespace));
    const foreign = notOurs(mesh, namespace);
    if (foreign) {
      if (!shared) await giveBack(step, cluster, namespace);
      leave(namespace, foreign);
      return evidence(`${name} is not this action's and stays.`);
    }
    // One that is going already takes along what is in it, whatever that is.
    const inside = namespace.metadata.deletionTimestamp ? [] : await settled(mesh, cluster);
    if (inside.length > 0) {
      const it = inside.length === 1 ? "an object that is" : `${inside.length} objects that are`;
      for (const object of inside) leave(object, notOurs(mesh, object) ?? "");
      leave(namespace, `It holds ${it} not this action's.`);
      return evidence(`${name} stays, for it holds ${it} not this action's.`);
    }
    await removeAll(step, cluster, [namespace]);
    return evidence(gone([namespace]));
  });
}

/** Takes away what is ours of somebody else's namespace: the network's label, by its field manager. */
async function giveBack(step: Step, cluster: Cluster, { metadata }: KubernetesObject): Promise<void> {
  const { name, uid, managedFields = [] } = metadata;
  if (!managedFields.some(({ manager, operation }) => manager === MANAGER && operation === "Apply")) return;
  // To apply nothing is to give up all fields. The UID keeps it from being made anew.
  await step.apply(cluster, { apiVersion: "v1", kind: "Namespace", metadata: { name, ...(uid ? { uid } : {}) } });
}

/** What in the namespace is somebody else's, once all that follows its owner is gone. */
async function settled(mesh: MeshSpec, cluster: Cluster): Promise<KubernetesObject[]> {
  const start = performance.now();
  return cluster.poll(`what is left in namespace ${mesh.namespace} to go with its owners`, async () => {
    const { foreign, passing } = foreignContents(mesh, await cluster.contents(mesh.namespace));
    if (passing.length === 0 || performance.now() - start > SETTLING) return { done: [...foreign, ...passing] };
    return { seen: passing.map(terminating).join("; ") };
  });
}

/** Deletes these very objects, and waits until they are gone. */
async function removeAll(step: Step, cluster: Cluster, objects: readonly KubernetesObject[]): Promise<void> {
  if (objects.length === 0) return;
  await Promise.all(objects.map((object) => remove(step, cluster, object)));
  const [first] = objects as [KubernetesObject];
  const what = objects.length === 1 ? describe(refOf(first)) : `${objects.length} objects`;
  await untilGone(cluster, what, objects);
}

async function remove(step: Step, cluster: Cluster, object: KubernetesObject): Promise<void> {
  // What is being deleted already is only waited for.
  if (!object.metadata.deletionTimestamp) await step.delete(cluster, refOf(object), object.metadata.uid);
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

function selectorOf({ spec }: KubernetesObject): string {
  const labels = (spec as { selector?: { matchLabels?: Record<string, string> } }).selector?.matchLabels ?? {};
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

function gone(objects: readonly KubernetesObject[]): string {
  if (objects.length === 0) return "There was nothing of it.";
  return `Gone: ${objects.map((object) => describe(refOf(object))).join(", ")}.`;
}
