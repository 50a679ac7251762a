import { envOf, isOn } from "../facts/config.ts";
import { revisionOf as revisionOfPod } from "../facts/proxies.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { listed } from "../mesh/words.ts";
import { revisionOf } from "./istiod.ts";

/** Which Gateways an istiod takes at all. */
export interface Taking {
  /** Those of the istiods that there are, the mesh's own first. */
  readonly revisions: readonly string[];
  /** Whether it looks at a namespace. */
  looksAt(namespace: string): boolean;
  /** Whether a Gateway is for the pods of its own namespace alone. */
  readonly scoped: boolean;
}

/** The variable by which it is so (pilot/pkg/features). */
const SCOPED = "PILOT_SCOPE_GATEWAY_TO_NAMESPACE";

/** How a cluster's istiods take Gateways. @param looksAt see `Taking` */
export function takingOf(
  istiod: Deployment | undefined,
  istiods: readonly Deployment[],
  looksAt: Taking["looksAt"],
): Taking {
  const own = istiod ? [istiod] : [];
  const revisions = [...new Set([...own, ...istiods].map(revisionOf))];
  return { revisions, looksAt, scoped: isOn(envOf(istiod, SCOPED)) };
}

/**
 * Why the istiod of a gateway's proxies does not take a Gateway, in words; `undefined`: it does. It reads those without a revision
 * and those of its own, which may be called by a tag (pkg/config/model.go), and of the namespaces that it looks at
 * (pilot/pkg/config/kube/crdclient).
 */
export function ignored(
  { metadata }: Pick<KubernetesObject, "metadata">,
  { service, pods }: { readonly service: KubernetesObject; readonly pods: readonly Pod[] },
  { revisions, looksAt, scoped }: Taking,
): string | undefined {
  const injectedBy = pods.map((pod) => revisionOfPod(pod.metadata)).find((each) => revisions.includes(each));
  const own = injectedBy ?? revisions[0];
  const revision = metadata.labels?.[REVISION];
  const { namespace = "" } = metadata;
  if (revision !== undefined && revision !== own && revisions.includes(revision))
    return `is labelled ${REVISION}=${revision}, and the gateway's pods are of revision ${own}`;
  // Where the gateway itself is hidden, that is told.
  if (namespace !== service.metadata.namespace && !looksAt(namespace))
    return `is in namespace ${namespace}, which the discoverySelectors of the mesh configuration do not select`;
  if (scoped && namespace !== service.metadata.namespace)
    return `is in another namespace than the gateway, and each is for its own namespace alone (${SCOPED}=true)`;
  return undefined;
}

const REVISION = "istio.io/rev";

/** What is to be said of Gateways whose revision is no istiod's: it may be a tag, which only newer versions take. */
export function perhapsIgnored(
  exposures: readonly { readonly name: string; readonly metadata: KubernetesObject["metadata"] }[],
  { revisions }: Taking,
): string | undefined {
  const strange = exposures.flatMap(({ name, metadata }) => {
    const revision = metadata.labels?.[REVISION];
    return revision === undefined || revisions.includes(revision) ? [] : [`${name} (${revision})`];
  });
  if (strange.length === 0) return undefined;
  return `${listed(strange)} ${strange.length === 1 ? "is" : "are"} labelled ${REVISION} for what is no istiod's revision here: unless it is a tag of one, istiod does not take ${strange.length === 1 ? "it" : "them"}.`;
}
