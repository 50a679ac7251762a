import { type CniPlan, isOurCni } from "../checks/cni.ts";
import type { IstioResource } from "../checks/survey.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { CNI_NAME, cniNamespace, ISTIO_CNI, istioCni } from "../mesh/objects/cni.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import type { SettledMesh } from "../mesh/spec.ts";
import { healthy, STALE } from "./control-plane.ts";
import type { Needs, Run } from "./run.ts";

/** What is to be applied for the CNI plugin, the resource last; nothing where it is not needed, or somebody else's. */
export async function cniObjects(
  mesh: SettledMesh,
  cluster: Cluster,
  { needed, found }: Pick<CniPlan, "needed" | "found">,
): Promise<KubernetesObject[]> {
  if (!needed || (found && !isOurCni(found))) return [];
  const namespace = cniNamespace(mesh);
  return [...((await cluster.get(refOf(namespace))) ? [] : [namespace]), istioCni(mesh)];
}

/**
 * Ensures the CNI plugin where it is needed, side by side with the control plane. One of somebody else, which the preflight
 * found healthy and of a fitting version, stays as it is.
 * @returns what later steps wait for: nothing, where it is not needed
 */
export function ensureCni(
  run: Run,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  { needed, why, found }: CniPlan,
  needs: Needs,
): Promise<void>[] {
  const subject = { cluster: spec.name };
  if (!needed) return [];
  // Planned only now: whether it is needed is not known before the cluster was looked at.
  run.plan({ id: "install.cni", subject });
  const ensured = run.step("install.cni", subject, needs, async (step) => {
    const objects = await cniObjects(mesh, cluster, { needed, found });
    if (objects.length === 0) {
      return { value: undefined, evidence: `IstioCNI ${CNI_NAME} is somebody else's and healthy; it stays as it is.` };
    }
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
    return { value: undefined, evidence: `IstioCNI ${CNI_NAME} is Healthy; it is needed, for ${why}.` };
  });
  return [ensured];
}
