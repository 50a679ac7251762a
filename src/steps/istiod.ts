import { ISTIOD, istiodVersion, revisionOf } from "../checks/istiod.ts";
import { rolledOut } from "../checks/pods.ts";
import type { ListQuery, Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { ISTIO_REVISION } from "../mesh/objects/control-plane.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { changeOf } from "../mesh/transition.ts";
import { plainVersion } from "../mesh/versions.ts";
import { type ControlPlane, istiodSelector } from "./control-plane.ts";
import { Refusals } from "./refused.ts";
import type { Run } from "./run.ts";

/**
 * Waits until istiod is what was asked for, and every replica ready: from then on its webhooks serve and it reads other
 * clusters. That the `Istio` resource was reconciled does not say so: the operator says that once it has changed the
 * IstioRevision, before Helm has changed istiod.
 */
export function istiodReady(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
): Promise<void> {
  return run.step("install.istiod", { cluster: spec.name }, [controlPlane], async (step) => {
    const { revision, generation, version } = await controlPlane;
    const refusals = new Refusals(step, cluster);
    const ofRevision = { ...ISTIO_REVISION, fieldSelector: `metadata.name=${revision}` };
    const operated: Record<string, ListQuery> = generation === undefined ? {} : { revisions: ofRevision };
    const inNamespace = { namespace: mesh.namespace };
    const { image, replicas, runs } = await cluster.waitFor(
      `istiod of revision ${revision} to be ready`,
      {
        ...operated,
        deployments: { apiVersion: "apps/v1", kind: "Deployment", ...inNamespace, labelSelector: ISTIOD },
        pods: { apiVersion: "v1", kind: "Pod", ...inNamespace, labelSelector: istiodSelector(revision) },
      },
      async (seen) => {
        const deployment = (seen.deployments as Deployment[]).find((each) => revisionOf(each) === revision);
        const pods = seen.pods as unknown as Pod[];
        const revisions = (seen as Record<string, unknown[]>).revisions as IstioResource[] | undefined;
        await refusals.look(deployment, pods);
        return istiodDone({ revision: revisions && { found: revisions[0] }, deployment, pods }, version);
      },
    );
    if (runs) run.clusterReport(spec.name).istioVersion = runs;
    return { value: undefined, evidence: `istiod is ready: ${replicas} of ${replicas} pods, ${image}.` };
  });
}

interface SeenIstiod {
  /** What the operator has made of the `Istio` resource; absent where there is no operator. */
  readonly revision: { readonly found: IstioResource | undefined } | undefined;
  readonly deployment: Deployment | undefined;
  readonly pods: readonly Pod[];
}

/**
 * Image, replicas and version of an istiod that is wholly what was asked for; else why it is not.
 * @param version what it is to run, where that is new: then nothing of the old one may be left
 */
export function istiodDone(
  { revision, deployment, pods }: SeenIstiod,
  version: string | undefined,
): Look<{ image: string; replicas: number; runs: string | undefined }> {
  const trouble = revision && revisionTrouble(revision.found, version);
  if (trouble) return { seen: trouble };
  const runs = istiodVersion(deployment, []);
  if (version && runs && changeOf(runs, version, false) !== "same") {
    return { seen: `istiod's Deployment is of ${runs} still` };
  }
  const ready = rolledOut(deployment, pods);
  if ("seen" in ready) return ready;
  const old = version && pods.find(({ metadata }) => metadata.deletionTimestamp);
  if (old) return { seen: `pod ${old.metadata.name}, which is replaced, has not ended` };
  return { done: { ...ready.done, runs } };
}

/** Why the operator is not done with a revision. One that has no status is told by its Deployment alone. */
function revisionTrouble(found: IstioResource | undefined, version: string | undefined): string | undefined {
  if (!found) return "there is no IstioRevision yet";
  const { metadata, spec, status } = found;
  const of = plainVersion(spec.version);
  if (version && of && of !== version) return `IstioRevision ${metadata.name} is of ${of} still`;
  if (!status) return undefined;
  if (status.observedGeneration !== metadata.generation) {
    return `the operator has not seen the latest change of IstioRevision ${metadata.name}`;
  }
  const condition = status.conditions?.find(({ type }) => type === "Reconciled");
  if (!condition || condition.status === "True") return undefined;
  return `IstioRevision ${metadata.name}: ${condition.reason}${condition.message ? `: ${condition.message}` : ""}`;
}
