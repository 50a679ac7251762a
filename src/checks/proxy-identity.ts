import { text } from "../mesh/fields.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import { hasOtherNetworks, type MeshSpec } from "../mesh/spec.ts";
import { count } from "../mesh/words.ts";
import { waitsToJoin } from "./adoption.ts";
import { failed, passed, unknown } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import {
  isLeft,
  isOfItsCluster,
  joined,
  looked,
  type Problem,
  proxiesOf,
  restart,
  type SeenProxy,
  these,
} from "./proxies.ts";

/** Whether the proxies have the names of the istiods that they are connected to, else of those that injected them. */
export function haveNamesOfIstiod(mesh: MeshSpec, seen: Observation): Finding {
  if (seen.istiods().length === 0) return unknown("There is no istiod whose names proxies could have.", "");
  const sample = seen.sample();
  const connections = readable(seen.connections);
  // Without them a proxy's names alone say enough.
  const all = proxiesOf(mesh, seen, sample, connections);
  seen.identities();
  const reading: Reading = {
    source: "pods' istio-proxy containers, and istiod's own names",
    values: {
      proxies: all.length,
      ...(sample.part ? { looked: sample.part } : {}),
      names: Object.fromEntries(
        [...Map.groupBy(all, ({ proxy }) => `${proxy.clusterName} in ${proxy.network ?? "no network"}`)].map(
          ([names, some]) => [names, some.length],
        ),
      ),
    },
  };
  const left = all.filter((each) => isLeft(seen, each));
  const rest = all.filter((each) => !left.includes(each));
  const renamed = rest.filter((each) => !isOfItsCluster(each));
  const refused = renamed.filter(({ connected }) => connected !== true);
  const moved = rest.filter((each) => !refused.includes(each) && networkOf(seen, each) !== each.proxy.network);
  const crossing = hasOtherNetworks(mesh, seen.spec.network) && !waitsToJoin(seen);
  const problems = [
    ...grouped(refused, ({ proxy, identity }) => [proxy.clusterName, identity?.clusterName], whenRenamed),
    ...(crossing ? grouped(moved, (each) => [each.proxy.network, networkOf(seen, each)], whenMoved) : []),
    ...(connections ? grouped(left, ({ proxy }) => [proxy.revision], whenLeft(mesh)) : []),
  ];
  if (problems.length > 0) return failed(...joined(problems), reading);
  if (all.length === 0) return passed("No pod that was looked at has a proxy of this mesh yet.", reading);
  const warnings = [
    ...(connections ? [] : grouped(left, ({ proxy }) => [proxy.revision], whenLeft(mesh))),
    ...grouped(
      renamed.filter((each) => !refused.includes(each)),
      ({ proxy, identity }) => [proxy.clusterName, identity?.clusterName],
      whenTakenAllTheSame,
    ),
    ...(crossing
      ? []
      : grouped(
          moved,
          (each) => [each.proxy.network, networkOf(seen, each)],
          waitsToJoin(seen) ? whenToMove : whenMoved,
        )),
    ...grouped(
      rest.filter(
        (each) => isOfItsCluster(each) && each.identity && each.identity.clusterName !== each.proxy.clusterName,
      ),
      ({ proxy, identity }) => [proxy.clusterName, identity?.clusterName],
      whenServedByAlias,
    ),
    ...grouped(
      rest.filter((each) => each.connected && isOfAnotherMesh(each)),
      ({ proxy, identity }) => [proxy.meshId, identity?.meshId ?? identity?.trustDomain],
      whenOfAnotherMesh,
    ),
  ].map(({ cause }) => cause);
  const namespaces = new Set(all.map(({ proxy }) => proxy.namespace)).size;
  const evidence = `${these(all.map(({ name }) => name))} in ${count(namespaces, "namespace")} have the names of their istiod.${looked(sample)}`;
  return { ...passed(evidence, reading), ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}) };
}

/**
 * The network that a proxy should be of. Of gateways that is their own, as their labels say; nor is it a question where the
 * owner has set it, or the control plane has none.
 */
function networkOf(seen: Observation, { proxy, identity }: SeenProxy): string | undefined {
  const set = readable(seen.meshConfig)?.proxyMetadata.ISTIO_META_NETWORK;
  if (!identity || proxy.role !== "sidecar" || proxy.ownNetwork) return proxy.network;
  // Of those that are given none, the check of the control plane's identity says so.
  const label = proxy.network && readable(seen.namespace)?.metadata.labels?.[NETWORK_LABEL];
  return text(set) ?? identity.network ?? label ?? proxy.network;
}

/** Where istiod is given no mesh ID, it injects the trust domain for it. */
const isOfAnotherMesh = ({ proxy, identity }: SeenProxy) =>
  proxy.meshId !== undefined && identity && ![identity.meshId, identity.trustDomain].includes(proxy.meshId);

function whenRenamed(names: readonly string[], [old = "", now = ""]: Is): Problem {
  return {
    cause: `${these(names)} of cluster name ${old} under an istiod of ${now}: it refuses them, so they get neither configuration nor new certificates.`,
    hint: `A pod gets istiod's names when it is made anew: ${restart(names)}. Until then istiod takes those of ${old} with the Helm value pilot.extraContainerArgs: ["--clusterAliases=${old}=${now}"].`,
  };
}

function whenTakenAllTheSame(names: readonly string[], [old = "", now = ""]: Is): Problem {
  const cause = `${these(names)} of cluster name ${old} under an istiod of ${now}, which took them all the same: a certificate it would refuse them. ${restart(names)}`;
  return { cause, hint: "" };
}

function whenServedByAlias(names: readonly string[], [old = "", now = ""]: Is): Problem {
  const cause = `${these(names)} of cluster name ${old}, by which istiod of ${now} takes them still (--clusterAliases). To be made anew: ${restart(names)}`;
  return { cause, hint: "" };
}

function whenToMove(names: readonly string[]): Problem {
  return {
    cause: `${these(names)} of no network yet: the cluster is joined once they are made anew. ${restart(names)}`,
    hint: "",
  };
}

function whenMoved(names: readonly string[], [old, now = ""]: Is): Problem {
  const what = old
    ? `of network ${old} under an istiod of ${now}: they are reached by ${old}'s gateways, if there are any, and take the pods of ${now} for another network's.`
    : `of no network under an istiod of ${now}: they call the other clusters' pods past the gateways.`;
  return {
    cause: `${these(names)} ${what}`,
    hint: `A pod gets istiod's network when it is made anew: ${restart(names)}`,
  };
}

const whenLeft =
  ({ namespace }: Pick<MeshSpec, "namespace">) =>
  (names: readonly string[], [revision = ""]: Is): Problem => ({
    cause: `${these(names)} injected by revision ${revision}, of which there is no istiod in ${namespace} any more: they get neither configuration nor new certificates.`,
    hint: `Have their namespaces' label istio.io/rev name a revision or tag that is there, and make them anew: ${restart(names)}`,
  });

function whenOfAnotherMesh(names: readonly string[], [old = "", now = ""]: Is): Problem {
  const cause = `${these(names)} of mesh ID ${old} under an istiod of ${now}: telemetry counts them to two meshes until they are made anew.`;
  return { cause, hint: "" };
}

type Is = readonly (string | undefined)[];

/** A problem for each that has the same cause. */
function grouped(
  proxies: readonly SeenProxy[],
  by: (proxy: SeenProxy) => Is,
  tell: (names: readonly string[], is: Is) => Problem,
): Problem[] {
  const groups = Map.groupBy(proxies, (each) => JSON.stringify(by(each)));
  return [...groups.values()].map((same) =>
    tell(
      same.map(({ name }) => name),
      by(same[0] as SeenProxy),
    ),
  );
}
