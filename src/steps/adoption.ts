// What is given back of a control plane that was adopted.
import { part, readable } from "../checks/part.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { readProxies } from "../facts/proxies.ts";
import { type AdoptionRecord, adoptionRecord, givingBack } from "../mesh/adoption.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { healthy } from "./control-plane.ts";
import type { Step } from "./step.ts";

/**
 * Gives an `Istio` of somebody else's back as it was. While proxies say the mesh's name for the cluster, or that is not known,
 * istiod goes on serving it.
 * @returns what became of it, and what is left to be done
 */
export async function giveBackIstio(
  step: Step,
  { namespace }: Pick<MeshSpec, "namespace">,
  cluster: Cluster,
  istio: IstioResource,
): Promise<{ readonly evidence: string; readonly warning?: string }> {
  const record = adoptionRecord(istio) as AdoptionRecord;
  const proxies = readable(await part(readProxies(cluster)));
  const under = proxies?.filter(
    ({ controlPlane = namespace, clusterName }) => controlPlane === namespace && clusterName === record.as,
  );
  const giving = givingBack(istio, record, under === undefined || under.length > 0);
  const { generation = 1 } = (await step.restore(cluster, istio, giving)).metadata;
  const name = describe(refOf(istio));
  await cluster.waitFor(
    `${name} to be healthy`,
    { istio: { ...ISTIO, fieldSelector: `metadata.name=${istio.metadata.name}` } },
    (seen) => healthy(seen.istio[0] as IstioResource | undefined, generation),
  );
  if (!giving.serves) return { evidence: `${name} is as it was before it was adopted.` };
  const which = under
    ? `${count(under.length, "pod")} of ${cluster.name} in ${listed(under.map((each) => each.namespace))}`
    : `Some pods of ${cluster.name}, which could not be read,`;
  return {
    evidence: `${name} has its former names, and serves ${record.as} still.`,
    warning: `${which} may still run as ${record.as}, by which istiod serves them (--clusterAliases): restart gateways and workloads, then run \`uninstall\` again, which takes that back, too.`,
  };
}
