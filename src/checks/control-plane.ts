import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { versionSkew } from "../mesh/versions.ts";
import { cniIsHealthy } from "./cni.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import { istiodVersion } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { rolledOut } from "./pods.ts";

/** The checks of one control plane. */
export function controlPlaneChecks(mesh: MeshSpec): Judgements<Observation> {
  return {
    "control-plane.istiod": (seen) => istiodIsReady(mesh, seen),
    "control-plane.istio": (seen) => istioIsHealthy(mesh, seen),
    "control-plane.cni": (seen) => cniIsThere(mesh, seen),
    "control-plane.identity": (seen) => identityIsTheMeshs(mesh, seen),
    "control-plane.network": (seen) => namespaceHasNetwork(mesh, seen),
  };
}

function istiodIsReady({ namespace }: MeshSpec, seen: Observation): Finding {
  const deployment = seen.istiod();
  const pods = seen.istiodPods();
  const look = `kubectl -n ${namespace} describe deployment,pod -l app=istiod`;
  if (!deployment) return failed(`There is no istiod of revision ${seen.revision()} in namespace ${namespace}.`, look);
  const { name } = deployment.metadata;
  const { replicas, readyReplicas = 0 } = deployment.status ?? {};
  const image = deployment.spec.template.spec.containers[0]?.image ?? "";
  const reading = {
    source: `Deployment ${namespace}/${name}`,
    values: { revision: seen.revision(), image, wanted: deployment.spec.replicas ?? 1, ready: readyReplicas },
  };
  if (deployment.spec.replicas === 0) {
    const scale = `kubectl -n ${namespace} scale deployment ${name} --replicas=1`;
    return failed(`istiod (Deployment ${name}) is scaled to zero.`, scale, reading);
  }
  const ready = rolledOut(deployment, pods);
  if ("seen" in ready)
    return failed(`istiod (Deployment ${name}) is not ready as a whole: ${ready.seen}.`, look, reading);
  return passed(`istiod ${name} is ready: ${readyReplicas} of ${replicas} pods, ${image}.`, reading);
}

function istioIsHealthy(mesh: MeshSpec, seen: Observation): Finding {
  const istios = seen.istios();
  const istio = istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  const found = istios.map(({ metadata }) => metadata.name);
  if (!istio) {
    const others = found.length > 0 ? ` (there is: ${found.join(", ")})` : "";
    return skipped(`There is no Istio resource ${mesh.istioResource} for ${mesh.namespace}${others}.`);
  }
  const { generation } = istio.metadata;
  const { observedGeneration, state, conditions = [] } = istio.status ?? {};
  const name = `Istio ${istio.metadata.name}`;
  const reading = { source: name, values: { generation, observedGeneration, state, version: istio.spec.version } };
  const look = `kubectl get istios.sailoperator.io ${istio.metadata.name} -o yaml, and the operator's log`;
  if (observedGeneration !== generation) {
    const told = observedGeneration === undefined ? "has no status" : `is at generation ${generation}`;
    return failed(
      `${name} ${told}, but the operator has seen ${observedGeneration ?? "none"}: it does not keep up.`,
      look,
      reading,
    );
  }
  const bad = conditions.find(({ status }) => status !== "True");
  if (state !== "Healthy") {
    return failed(`${name} is ${state ?? "without a state"}${bad?.message ? `: ${bad.message}` : ""}.`, look, reading);
  }
  return passed(`${name} is Healthy as it is now, generation ${generation}.`, reading);
}

function cniIsThere({ istioVersion }: MeshSpec, seen: Observation): Finding {
  if (seen.istios().length === 0) return skipped("The Sail Operator does not own the control plane.");
  return cniIsHealthy(seen.cni(), istiodVersion(seen.istiod(), seen.istios()) ?? istioVersion);
}

function identityIsTheMeshs({ id, namespace }: MeshSpec, { spec, istiod, identity }: Observation): Finding {
  if (!istiod()) return unknown("There is no istiod whose identity could be read.", "");
  const { meshId, clusterName, network, trustDomain } = identity();
  const reading = {
    source: `istiod and its ConfigMaps in ${namespace}`,
    values: { meshId, clusterName, network, trustDomain },
  };
  const different = [
    { what: "mesh ID", is: meshId, wanted: id },
    { what: "cluster name", is: clusterName, wanted: spec.name },
    { what: "network", is: network, wanted: spec.network },
  ].filter(({ is, wanted }) => is !== wanted);
  if (different.length > 0) {
    const list = different.map(({ what, is, wanted }) => `${what} ${is ?? "(none)"} instead of ${wanted}`).join(", ");
    return failed(
      `istiod runs with ${list}.`,
      "Set the Helm values global.meshID, global.network and global.multiCluster.clusterName, or give this action the names that istiod runs with.",
      reading,
    );
  }
  return passed(`istiod runs as ${clusterName} in ${network}, mesh ${meshId}.`, reading);
}

function namespaceHasNetwork({ namespace }: MeshSpec, seen: Observation): Finding {
  const found = seen.namespace();
  if (!found) return failed(`There is no namespace ${namespace}.`, "Set `istio-namespace`, or install Istio first.");
  const label = found.metadata.labels?.[NETWORK_LABEL];
  const reading = { source: describe(refOf(found)), values: { [NETWORK_LABEL]: label } };
  if (label === seen.spec.network) return passed(`Namespace ${namespace} is labelled ${label}.`, reading);
  return failed(
    `Namespace ${namespace} ${label === undefined ? "has no network label" : `is labelled network ${label}`} instead of ${seen.spec.network}: istiod takes the pods that have no sidecar for another network's.`,
    `kubectl label namespace ${namespace} ${NETWORK_LABEL}=${seen.spec.network} --overwrite`,
    reading,
  );
}

/** Whether the control planes' versions go together. Of Istio's minors, neighbours do. */
export function versionsGoTogether(all: readonly Observation[]): Finding {
  const versions = all.flatMap(({ spec, istiod, istios }) => {
    const version = istiodVersion(istiod(), istios());
    return version ? [{ cluster: spec.name, version }] : [];
  });
  const reading = {
    source: "image of each istiod, its Istio resource or its charts' label",
    values: Object.fromEntries(versions.map(({ cluster, version }) => [cluster, version])),
  };
  if (versions.length < all.length) {
    const without = all
      .map(({ spec }) => spec.name)
      .filter((name) => !versions.some(({ cluster }) => cluster === name));
    return {
      ...unknown(
        `The version of istiod could not be told in ${without.join(", ")}: its image's tag does not say.`,
        "",
        reading,
      ),
      clusters: without,
    };
  }
  const byVersion = Map.groupBy(versions, ({ version }) => version);
  const list = [...byVersion]
    .map(([version, same]) => `${version} in ${same.map(({ cluster }) => cluster).join(", ")}`)
    .join("; ");
  if (byVersion.size === 1) return passed(`All control planes run Istio ${[...byVersion.keys()][0]}.`, reading);
  const skew = versionSkew([...byVersion.keys()]);
  if (skew === undefined || skew <= 1) {
    return {
      ...passed(`Control planes run ${list}.`, reading),
      warning: `The control planes' versions differ: ${list}.`,
    };
  }
  return failed(
    `The control planes are ${skew} minor versions apart: ${list}.`,
    "Upgrade the older ones, a minor version at a time: Istio supports neighbouring versions only.",
    reading,
  );
}

/**
 * Whether all clusters accept each other's identities: those of their own trust domain, and of its aliases. A proxy looks
 * at both ends of a connection by its own mesh configuration (trustDomainAliases, pkg/spiffe).
 */
export function trustDomainsGoTogether(all: readonly Observation[]): Finding {
  const clusters = all.map(({ spec, identity }) => ({ name: spec.name, ...identity() }));
  const byDomain = Map.groupBy(clusters, ({ trustDomain }) => trustDomain);
  const list = [...byDomain].map(([domain, same]) => `${domain} in ${same.map(({ name }) => name).join(", ")}`);
  const reading = {
    source: "ConfigMap istio, trustDomain and trustDomainAliases",
    values: Object.fromEntries(
      clusters.map(({ name, trustDomain, trustDomainAliases }) => [name, [trustDomain, ...trustDomainAliases]]),
    ),
  };
  if (byDomain.size === 1) return passed(`The trust domain is ${[...byDomain.keys()][0]} everywhere.`, reading);
  const strangers = clusters.map((each) => ({
    ...each,
    unknown: [...byDomain.keys()].filter((domain) => ![each.trustDomain, ...each.trustDomainAliases].includes(domain)),
  }));
  const refusing = strangers.filter(({ unknown }) => unknown.length > 0);
  if (refusing.length === 0)
    return passed(`The trust domains differ, and are aliases of each other everywhere: ${list.join("; ")}.`, reading);
  const missing = refusing.map((each) => `${each.name} does not know ${each.unknown.join(", ")}`);
  return {
    ...failed(
      `The clusters have different trust domains: ${list.join("; ")}. By its own and its aliases, ${missing.join("; ")}.`,
      "Set the Helm value meshConfig.trustDomain to one value everywhere, or name the others in meshConfig.trustDomainAliases.",
      reading,
    ),
    clusters: refusing.map(({ name }) => name),
  };
}
