import { envOf, isOn } from "../facts/config.ts";
import { clusterDomainOf } from "../facts/identity.ts";
import { hubOf, isRetired, LASTING_HUB, retirement } from "../mesh/images.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { compareVersions, versionSkew } from "../mesh/versions.ts";
import { waitsToJoin } from "./adoption.ts";
import { cniIsHealthy } from "./cni.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import { differencesOf, imprecise, inWords } from "./identity.ts";
import { istiodVersion, noIstiod, revisionOf } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { proxyImage, refusedPods, serves, unfinished, whyNot } from "./pods.ts";

/** The checks of one control plane. */
export function controlPlaneChecks(mesh: MeshSpec): Judgements<Observation> {
  return {
    "control-plane.istiod": (seen) => istiodIsReady(mesh, seen),
    "control-plane.istio": (seen) => istioIsHealthy(mesh, seen),
    "control-plane.cni": cniIsThere,
    "control-plane.identity": (seen) => identityIsTheMeshs(mesh, seen),
    "control-plane.network": (seen) => namespaceHasNetwork(mesh, seen),
    "control-plane.images": (seen) => imagesStay(seen),
  };
}

function istiodIsReady(mesh: MeshSpec, seen: Observation): Finding {
  const { namespace } = mesh;
  const revision = seen.revision();
  const pods = seen.istiodPods();
  const look = `kubectl -n ${namespace} describe deployment,pod -l app=istiod`;
  if (!seen.istiod()) {
    const { cause, hint } = noIstiod(mesh, revision, seen.istiods());
    return failed(cause, hint);
  }
  const told: string[] = [];
  const warnings: string[] = [];
  const readings: Reading[] = [];
  for (const deployment of seen.inUse()) {
    const own = revisionOf(deployment);
    const { name } = deployment.metadata;
    const { replicas, readyReplicas = 0 } = deployment.status ?? {};
    const image = deployment.spec.template.spec.containers[0]?.image ?? "";
    readings.push({
      source: `Deployment ${namespace}/${name}`,
      values: { revision: own, image, wanted: deployment.spec.replicas ?? 1, ready: readyReplicas },
    });
    if (deployment.spec.replicas === 0) {
      const scale = `kubectl -n ${namespace} scale deployment ${name} --replicas=1`;
      return failed(`istiod (Deployment ${name}) is scaled to zero.`, scale, ...readings);
    }
    const running = pods.filter(({ metadata }) => (metadata.labels?.["istio.io/rev"] ?? "default") === own);
    const trouble = whyNot(deployment, running);
    if (trouble !== undefined && !running.some(serves))
      return failed(
        `istiod (Deployment ${name}) is not ready: ${trouble}.`,
        refusedPods(deployment)?.hint ?? look,
        ...readings,
      );
    const half = unfinished(deployment, running);
    if (half) warnings.push(`istiod serves, but ${half}.`);
    told.push(`istiod ${name} is ready: ${readyReplicas} of ${replicas} pods, ${image}.`);
  }
  warnings.push(...hangingOnOthers(seen));
  return { ...passed(told.join(" "), ...readings), ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}) };
}

/** Which workloads are not on the mesh's revision, where there are several. */
function hangingOnOthers(seen: Observation): string[] {
  const revision = seen.revision();
  const workloads = readable(seen.workloads);
  const others = seen
    .inUse()
    .map(revisionOf)
    .filter((each) => each !== revision);
  if (others.length === 0) return [];
  const list = others.map((each) => {
    const count = workloads?.get(each);
    if (count === undefined) return `which workloads are on revision ${each} could not be read`;
    return `${count} workload${count === 1 ? " is" : "s are"} on revision ${each}`;
  });
  return [
    `The mesh's revision is ${revision}, and ${list.join(", ")}. Their istiods were looked at, too; they move when their namespaces are relabelled and the workloads restarted.`,
  ];
}

/** What the operator says unless each of istiod's pods is ready. */
const NOT_ALL_READY = "IstiodNotReady";

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
  if (state === NOT_ALL_READY && (readable(seen.istiodPods) ?? []).some(serves)) {
    return {
      ...passed(`${name} is as it is to be, but for some of istiod's pods.`, reading),
      warning: `${name} is ${state}${bad?.message ? `: ${bad.message}` : ""}. One that serves is enough.`,
    };
  }
  if (state !== "Healthy") {
    return failed(`${name} is ${state ?? "without a state"}${bad?.message ? `: ${bad.message}` : ""}.`, look, reading);
  }
  return passed(`${name} is Healthy as it is now, generation ${generation}.`, reading);
}

function cniIsThere(seen: Observation): Finding {
  if (seen.istios().length === 0) return skipped("The Sail Operator does not own the control plane.");
  return cniIsHealthy(seen.cni(), istiodVersion(seen.istiod(), seen.istios()));
}

/** Where the images of what runs come from. That they are on their nodes already says nothing of the next node. */
export function imagesStay({ istiod, gateways }: Pick<Observation, "istiod" | "gateways">, now = new Date()): Finding {
  const images = [
    ...(istiod()?.spec.template.spec.containers.map(({ image }) => image) ?? []),
    ...gateways().pods.map(proxyImage),
  ].filter((image) => image !== undefined);
  const hubs = [...new Set(images.flatMap((image) => hubOf(image) ?? []))];
  if (hubs.length === 0) return unknown("There is neither an istiod nor a gateway whose image could be read.", "");
  const reading = { source: "images of istiod and the gateways", values: { hubs } };
  const going = hubs.filter(isRetired);
  const evidence = `The images come from ${hubs.join(", ")}.`;
  if (going.length === 0) return passed(evidence, reading);
  const warning = `Images come from ${going.join(", ")}, which ${retirement(now)}: a pod that starts on a node without the image, be it istiod's, a gateway's or that of any workload with a sidecar, cannot be pulled from there then. \`image-hub: ${LASTING_HUB}\` takes them from where they stay, and restarts istiod and the gateways; an upgrade does so by itself, and \`plan\` shows it beforehand. Pods with a sidecar get it when they are restarted.`;
  return { ...passed(evidence, reading), warning };
}

function identityIsTheMeshs(mesh: MeshSpec, { spec, istiod, identities, namespace }: Observation): Finding {
  if (!istiod()) return unknown("There is no istiod whose identity could be read.", "");
  const label = namespace()?.metadata.labels?.[NETWORK_LABEL];
  const all = [...identities()];
  const readings = all.map(([revision, { meshId, clusterName, network, trustDomain }]) => ({
    source: `istiod of revision ${revision} and its ConfigMaps in ${mesh.namespace}`,
    values: { meshId, clusterName, network, trustDomain },
  }));
  for (const [revision, identity] of all) {
    // Where another network is the namespace's, the check of its label says so, and it alone.
    const network = identity.network ?? (label === undefined ? undefined : spec.network);
    const different = differencesOf(mesh, spec, { ...identity, network }, undefined);
    if (different.length > 0) {
      return failed(
        `istiod${all.length > 1 ? ` of revision ${revision}` : ""} runs with ${inWords(different)}.`,
        "Give this action the names that istiod runs with. Another name or network for a control plane that runs takes a restart of all its workloads; `install` says how.",
        ...readings,
      );
    }
  }
  const warning = all.map(([, identity]) => imprecise(identity, label)).find((note) => note !== undefined);
  const { clusterName, network = label, meshId } = (all[0] as (typeof all)[0])[1];
  return {
    ...passed(`istiod runs as ${clusterName} in ${network}, mesh ${meshId ?? "(no ID)"}.`, ...readings),
    ...(warning ? { warning } : {}),
  };
}

/** Whether the mesh configuration has the cluster in its network, which counts where no label says another. */
function isNamed({ spec, meshConfig }: Observation): boolean {
  const gateways = readable(meshConfig)?.networkGateways ?? [];
  return gateways.some(({ network, registries }) => network === spec.network && registries.includes(spec.name));
}

function namespaceHasNetwork({ namespace }: MeshSpec, seen: Observation): Finding {
  const found = seen.namespace();
  if (!found) return failed(`There is no namespace ${namespace}.`, "Set `istio-namespace`, or install Istio first.");
  const { network } = seen.spec;
  const label = found.metadata.labels?.[NETWORK_LABEL];
  const reading = { source: describe(refOf(found)), values: { [NETWORK_LABEL]: label } };
  if (label === network) return passed(`Namespace ${namespace} is labelled ${label}.`, reading);
  if (label === undefined && isNamed(seen)) {
    const evidence = `Namespace ${namespace} names no network; that of the cluster is ${network} by the mesh configuration.`;
    return passed(evidence, reading);
  }
  const command = `kubectl label namespace ${namespace} ${NETWORK_LABEL}=${network}`;
  if (waitsToJoin(seen)) {
    const evidence = `Namespace ${namespace} names no network: proxies that have none are to be restarted before it does.`;
    return passed(evidence, reading);
  }
  if (label === undefined) {
    return {
      ...passed(
        `Namespace ${namespace} names no network; proxies have it from the Helm value global.network.`,
        reading,
      ),
      warning: `Namespace ${namespace} has no network label, so istiod takes pods without a sidecar for those of no network. To give them ${network}: ${command}`,
    };
  }
  return failed(
    `Namespace ${namespace} is labelled network ${label} instead of ${network}: istiod takes the pods that have no sidecar for another network's.`,
    `${command} --overwrite`,
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

/** From which version on istiod takes a remote cluster's trust domain from that cluster's own mesh configuration. */
const KNOWS_REMOTE_DOMAINS = "1.29.0";

/** The trust domains whose identities the proxies of a cluster take, and whether they take any. */
function domainsKnown({ istiod, istios, identity }: Observation) {
  const { trustDomain, trustDomainAliases, caCertificates } = identity();
  const own = [trustDomain, ...trustDomainAliases];
  // Before that, who calls looks for the own trust domain and its aliases on the other end's certificate, and for no other.
  const knowsOthers = compareVersions(istiodVersion(istiod(), istios()) ?? "0.0.0", KNOWS_REMOTE_DOMAINS) >= 0;
  return {
    any: knowsOthers && isOn(envOf(istiod(), "PILOT_SKIP_VALIDATE_TRUST_DOMAIN")),
    known: knowsOthers ? [...own, ...caCertificates.flatMap(({ trustDomains }) => trustDomains)] : own,
  };
}

/**
 * Whether all clusters accept each other's identities: those of their own trust domain, and of its aliases. A proxy looks
 * at both ends of a connection by its own mesh configuration (trustDomainAliases, pkg/spiffe; what comes in also by the trust
 * domains in caCertificates, pilot/pkg/networking/plugin/authn).
 */
export function trustDomainsGoTogether(all: readonly Observation[]): Finding {
  const clusters = all.map((seen) => ({ name: seen.spec.name, ...seen.identity(), ...domainsKnown(seen) }));
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
    unknown: each.any ? [] : [...byDomain.keys()].filter((domain) => !each.known.includes(domain)),
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

/**
 * Whether all clusters have one domain. An istiod gives the Services of every cluster its own, and a gateway knows them only by
 * that of its own istiod.
 */
export function clusterDomainsGoTogether(all: readonly Observation[]): Finding {
  const clusters = all.map(({ spec, istiod }) => ({ name: spec.name, domain: clusterDomainOf(istiod()) }));
  const byDomain = Map.groupBy(clusters, ({ domain }) => domain);
  const reading = {
    source: "istiod's argument --domain",
    values: Object.fromEntries(clusters.map(({ name, domain }) => [name, domain])),
  };
  if (byDomain.size === 1) return passed(`The cluster domain is ${[...byDomain.keys()][0]} everywhere.`, reading);
  const list = [...byDomain].map(([domain, same]) => `${domain} in ${same.map(({ name }) => name).join(", ")}`);
  return {
    ...failed(
      `The control planes have different cluster domains: ${list.join("; ")}. A workload asks the other cluster's gateway for a Service by its own domain's name, which the gateway does not know.`,
      "Set the Helm value global.proxy.clusterDomain to one value everywhere.",
      reading,
    ),
    clusters: clusters.map(({ name }) => name),
  };
}
