import { type CniPlan, cniDemanded, cniInTheWay } from "../checks/cni.ts";
import type { Cluster, Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { CNI_NAME, cniNamespace, cniNamespaceName, ISTIO_CNI, istioCni } from "../mesh/objects/cni.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { ClusterSpec, MeshSpec, SettledMesh } from "../mesh/spec.ts";
import { type ControlPlane, healthy, STALE } from "./control-plane.ts";
import type { Needs, Run } from "./run.ts";
import type { Step } from "./step.ts";

/** What is to be applied for the CNI plugin, the resource last; nothing where it is not needed, or somebody else's. */
export async function cniObjects(
  mesh: SettledMesh,
  spec: ClusterSpec,
  cluster: Cluster,
  { needed, found, ours }: Omit<CniPlan, "why">,
): Promise<KubernetesObject[]> {
  if (!needed || (found && !ours)) return [];
  const namespace = cniNamespace(mesh);
  return [...((await cluster.get(refOf(namespace))) ? [] : [namespace]), istioCni(mesh, spec)];
}

/**
 * Ensures the CNI plugin where it is needed: at once where the values ask for it or it was made before, side by side with the
 * control plane; else where the operator asks for it, once it has reconciled. One of somebody else, which is healthy and of a
 * fitting version, stays as it is.
 * @returns what later steps wait for
 */
export function ensureCni(
  run: Run,
  mesh: SettledMesh,
  member: Member,
  plan: CniPlan,
  controlPlane: Promise<ControlPlane>,
  needs: Needs,
): Promise<void> {
  const make = (demand: Promise<Demand>) => makeCni(run, mesh, member, plan, demand, needs);
  const ensured = plan.needed
    ? make(Promise.resolve(plan))
    : controlPlane.then(async () => {
        const demand = demandIn(mesh, member.cluster);
        // That it cannot be learned is the step's own failure.
        const known = await demand.catch(() => undefined);
        if (known?.needed !== false) await make(demand);
      });
  // As of a step: its end is noted already.
  ensured.catch(() => {});
  return ensured;
}

type Demand = Pick<CniPlan, "needed" | "why">;

async function makeCni(
  run: Run,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  plan: CniPlan,
  demand: Promise<Demand>,
  needs: Needs,
): Promise<void> {
  const subject = { cluster: spec.name };
  // Planned only now: whether it is needed is not known before.
  run.plan({ id: "install.cni", subject });
  await run.step("install.cni", subject, needs, async (step) => {
    const { needed, why } = await demand;
    const trouble = cniInTheWay({ ...plan, needed }, mesh.istioVersion);
    if (trouble) throw new Failure(trouble.cause ?? "", trouble.hint);
    const objects = await cniObjects(mesh, spec, cluster, { ...plan, needed });
    if (objects.length === 0) {
      return { value: undefined, evidence: `IstioCNI ${CNI_NAME} is somebody else's and healthy; it stays as it is.` };
    }
    await applyAndWait(mesh, cluster, step, objects);
    return { value: undefined, evidence: `IstioCNI ${CNI_NAME} is Healthy; it is needed, for ${why}.` };
  });
}

async function demandIn({ istioResource }: MeshSpec, cluster: Cluster): Promise<Demand> {
  const query = { ...ISTIO, fieldSelector: `metadata.name=${istioResource}` };
  const needed = await cluster.waitFor(
    `the operator to say what Istio ${istioResource} depends on`,
    { istio: query },
    (seen): Look<boolean> => {
      const demanded = cniDemanded(seen.istio[0] as IstioResource | undefined);
      return demanded === undefined ? { seen: "it has not said" } : { done: demanded };
    },
  );
  return { needed, why: "the operator asks for it" };
}

async function applyAndWait(mesh: MeshSpec, cluster: Cluster, step: Step, objects: readonly KubernetesObject[]) {
  let generation = 1;
  let same = true;
  for (const each of objects) {
    const { object, action } = await step.apply(cluster, each);
    generation = object.metadata.generation ?? 1;
    same = action === "unchanged";
  }
  const applied = performance.now();
  const query = { ...ISTIO_CNI, fieldSelector: `metadata.name=${CNI_NAME}` };
  await cluster.waitFor(`IstioCNI ${CNI_NAME} to be healthy`, { cni: query }, (seen) =>
    healthy(seen.cni[0] as IstioResource | undefined, generation, same && performance.now() - applied < STALE),
  );
  // Healthy compares the pods that are ready with those that there are, whichever version they are of.
  const daemons = { apiVersion: "apps/v1", kind: "DaemonSet", namespace: cniNamespaceName(mesh) };
  await cluster.waitFor(
    `the CNI plugin's DaemonSet to be rolled out`,
    { daemons: { ...daemons, labelSelector: "k8s-app=istio-cni-node" } },
    (seen) => rolledOutEverywhere(seen.daemons as DaemonSet[]),
  );
}

interface DaemonSet extends KubernetesObject {
  status?: {
    observedGeneration?: number;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberAvailable?: number;
  };
}

/** Whether every node that is to have one has an available pod of the latest version. */
export function rolledOutEverywhere(daemons: readonly DaemonSet[]): Look<undefined> {
  for (const { metadata, status } of daemons) {
    const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled = 0, numberAvailable = 0 } = status ?? {};
    if (status?.observedGeneration !== metadata.generation)
      return { seen: `${metadata.name} is about to be rolled out` };
    if (updatedNumberScheduled < wanted || numberAvailable < wanted) {
      const seen = `of ${wanted} pods of ${metadata.name} ${updatedNumberScheduled} are of this version and ${numberAvailable} available`;
      return {
        seen,
        hint: `kubectl -n ${metadata.namespace} describe daemonset ${metadata.name}; a node without it starts no new pod that works`,
      };
    }
  }
  return { done: undefined };
}
