import { aliasesIn, DEFAULT_CLUSTER_NAME, type Identity } from "../facts/identity.ts";
import type { MeshProxy } from "../facts/proxies.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { ClusterSpec, MeshSpec, Values } from "../mesh/spec.ts";
import { type Part, readable } from "./part.ts";

export interface Difference {
  readonly what: "cluster name" | "network" | "mesh ID";
  /** `undefined`: none is set. */
  readonly is: string | undefined;
  readonly wanted: string;
}

/**
 * In what a control plane that runs is another than the mesh's. As Istio takes them: a network that no value names is the
 * namespace's, and a mesh ID that is not set is no other one.
 * @param label the network by the namespace's label
 */
export function differencesOf(
  { id }: Pick<MeshSpec, "id">,
  { name, network }: Pick<ClusterSpec, "name" | "network">,
  identity: Pick<Identity, "clusterName" | "network" | "meshId">,
  label: string | undefined,
): Difference[] {
  // Both count: the one for proxies, the other for pods without.
  const networks = [identity.network, label].filter((each) => each !== undefined);
  const strange = networks.find((each) => each !== network) ?? networks[0];
  const all: Difference[] = [
    { what: "cluster name", is: identity.clusterName, wanted: name },
    { what: "network", is: strange, wanted: network },
    { what: "mesh ID", is: identity.meshId ?? id, wanted: id },
  ];
  return all.filter(({ is, wanted }) => is !== wanted);
}

/** What is not as it should be about an identity that is the mesh's all the same. */
export function imprecise({ meshId, network, trustDomain }: Identity, label: string | undefined): string | undefined {
  const notes = [
    ...(meshId === undefined
      ? [
          `No mesh ID is set (Helm value global.meshID): proxies give the trust domain ${trustDomain} for it in telemetry.`,
        ]
      : []),
    ...(network === undefined && label !== undefined
      ? [
          `The network is set by the namespace's label ${NETWORK_LABEL} alone: proxies that are injected without the Helm value global.network, or that label, call other clusters' pods past the gateways.`,
        ]
      : []),
  ];
  return notes.length > 0 ? notes.join(" ") : undefined;
}

/** In a sentence's words: `cluster name Kubernetes instead of east`. */
export function inWords(different: readonly Difference[]): string {
  return different.map(({ what, is, wanted }) => `${what} ${is ?? "(none)"} instead of ${wanted}`).join(", ");
}

/** Whether a control plane with these values would go on serving the proxies that have another cluster's name. */
export function keepsServing(values: Values, old: string, name: string): boolean {
  const args = (values.pilot as { extraContainerArgs?: unknown } | undefined)?.extraContainerArgs;
  return Array.isArray(args) && aliasesIn(args.map(String), name).includes(old);
}

/**
 * What the running proxies would come to if the control plane became what was asked for, where it is another.
 * @param proxies those that run
 * @param flat whether other clusters are read already, by remote secrets
 * @param changeable whether this action installs the control plane
 */
export function consequences(
  different: readonly Difference[],
  proxies: Part<readonly MeshProxy[]>,
  { flat, changeable }: { readonly flat: boolean; readonly changeable: boolean },
): string {
  const of = (what: Difference["what"]) => different.find((each) => each.what === what);
  const [renamed, moved, other] = [of("cluster name"), of("network"), of("mesh ID")];
  return [
    ...(renamed ? [whenRenamed(renamed, proxies, changeable)] : []),
    ...(moved
      ? [whenMoved(moved, renamed ? "they" : counted(proxies, ({ network }) => network !== moved.wanted), flat)]
      : []),
    ...(other && !renamed && !moved
      ? [`As ${other.wanted}, its proxies would be counted to two meshes until each is restarted.`]
      : []),
  ].join(" ");
}

function whenRenamed({ is, wanted }: Difference, proxies: Part<readonly MeshProxy[]>, changeable: boolean): string {
  const those = counted(proxies, ({ clusterName }) => clusterName !== wanted);
  if (!changeable) return `The other clusters would know it as ${wanted}, which its istiod does not, nor do ${those}.`;
  return `As ${wanted}, istiod would refuse ${those}: \`client claims to be in cluster "${is}"\`. Their certificates, which end within a day, could not be renewed, and then nobody would reach them any more.`;
}

/** @param those the proxies that it concerns */
function whenMoved({ is, wanted }: Difference, those: string, flat: boolean): string {
  if (is === undefined && flat) {
    return `It reads other clusters by remote secrets and no network is set: that is a mesh on one flat network. In ${wanted}, its clusters would at once send all calls between them to gateways that are not there yet.`;
  }
  if (is === undefined) {
    return `In ${wanted}, ${those} would still have no network, and call the other clusters' pods past the gateways, where they do not answer.`;
  }
  return `In ${wanted}, ${those} would keep network ${is}, for which there would be no gateway any more.`;
}

/** `the 12 proxies that run (in namespaces shop and sample)` */
function counted(proxies: Part<readonly MeshProxy[]>, affected: (proxy: MeshProxy) => boolean): string {
  const known = readable(proxies);
  if (!known) return "the proxies that run (they could not be counted)";
  const those = known.filter(affected);
  if (those.length === 0) return "every proxy that was injected so far (none runs now)";
  const namespaces = [...new Set(those.map(({ namespace }) => namespace))].sort();
  const shown = namespaces.slice(0, 5).join(", ");
  const more = namespaces.length > 5 ? ` and ${namespaces.length - 5} more` : "";
  return `${those.length === 1 ? "the one proxy that runs" : `the ${those.length} proxies that run`} (in namespace${namespaces.length === 1 ? "" : "s"} ${shown}${more})`;
}

/**
 * The ways on that take nothing from the workloads.
 * @param circumstances as for `consequences`
 * @param adoption what adopting the control plane would do to it, in words, where that can be
 * @param values what its owner can set to the same end, where it is not this action that may
 */
export function safeWay(
  different: readonly Difference[],
  {
    flat,
    changeable,
    adoption,
    values,
  }: {
    readonly flat: boolean;
    readonly changeable: boolean;
    readonly adoption?: string | undefined;
    readonly values?: string | undefined;
  },
): string {
  const inputs = { "cluster name": "the cluster's `name`", network: "its `network`", "mesh ID": "`mesh-id`" };
  const given = different.filter(({ is }) => is !== undefined);
  const same = given.map(({ what, is }) => `${inputs[what]} to ${is}`).join(", ");
  const renamed = different.find(({ what }) => what === "cluster name");
  const joins = different.find(({ what, is }) => what === "network" && is === undefined);
  const ways: string[] = [];
  if (given.length > 0) ways.push(`Give this action the names that istiod runs with: set ${same}.`);
  if (adoption !== undefined) {
    ways.push(
      `Or set \`adopt: true\`, by which this action leads it into the mesh: ${adoption}. What runs is served as before until you have restarted it; the run after that joins the cluster.`,
    );
    return ways.join(" ");
  }
  if (values !== undefined) {
    ways.push(
      `Or have whoever writes its Helm values add these, which serve what runs under both names, and run again: ${values}. Then restart gateways and workloads: until none is without a network a run says which are left, and the cluster is joined by the run after that.`,
    );
    return ways.join(" ");
  }
  if (renamed?.is === DEFAULT_CLUSTER_NAME) ways.push(`Only one cluster of a mesh can be called ${renamed.is}.`);
  if (renamed) {
    const set = changeable ? "add to `values`" : "set the Helm values global.multiCluster.clusterName and";
    ways.push(
      `To rename the cluster without an outage, have istiod serve both names: ${set} pilot.extraContainerArgs: ["--clusterAliases=${renamed.is}=${renamed.wanted}"]; take it out once all gateways and workloads have been restarted.`,
    );
  }
  if (joins && flat) {
    ways.push(
      "Leave it as it is: on one network nothing needs a gateway, and this action makes meshes of several. Its clusters can take networks only once each has a gateway with an address that exposes its services.",
    );
  } else if (joins) {
    ways.push(
      `To give it a network, set the Helm value global.network to ${joins.wanted} in the control plane as it is, restart gateways and workloads, and run again.`,
    );
  }
  return ways.join(" ");
}
