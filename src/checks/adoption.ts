// A control plane that lives alone, on its way into the mesh.
import type { Cluster } from "../cluster/cluster.ts";
import { aliasesIn, type Identity } from "../facts/identity.ts";
import { readProxies } from "../facts/proxies.ts";
import { ADOPTED, type Adoption, adopting, adoptionRecord, aliasArgument, isWaiting } from "../mesh/adoption.ts";
import { isOurs, ownerOf } from "../mesh/claim.ts";
import { fields } from "../mesh/fields.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import { type ClusterSpec, hasOtherNetworks, type MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { failed, passed } from "./finding.ts";
import { type Difference, differencesOf } from "./identity.ts";
import { type ControlPlanes, revisionOf } from "./istiod.ts";
import { type Part, part, readable } from "./part.ts";

/** What is known of a control plane that may live alone. */
export interface Lone {
  readonly istios: readonly IstioResource[];
  readonly controlPlanes: ControlPlanes;
  /** By revision. */
  readonly identities: ReadonlyMap<string, Part<Identity>>;
  readonly namespace: KubernetesObject | undefined;
  readonly remoteSecrets: readonly KubernetesObject[];
}

/**
 * How a control plane goes on into the mesh: by an adoption that was asked for, or begun; else by waiting for proxies that have
 * no network yet. Reads the pods of all namespaces then.
 * @param uid of the cluster's `kube-system`
 */
export async function adoptionOf(
  mesh: MeshSpec,
  member: { readonly spec: ClusterSpec; readonly cluster: Cluster },
  uid: string,
  lone: Lone,
): Promise<Adoption | undefined> {
  return (await ofIstio(mesh, member, uid, lone)) ?? (await ofNames(mesh, member, lone));
}

/** The proxies of the mesh's control planes; `undefined`: they could not be read. */
async function proxiesIn(cluster: Cluster, { namespace }: MeshSpec) {
  const known = readable(await part(readProxies(cluster)));
  return known?.filter(({ controlPlane = namespace }) => controlPlane === namespace);
}

/** Of a control plane that has the mesh's names already, whoever gave it those, in a cluster that nobody is joined with. */
async function ofNames(
  mesh: MeshSpec,
  { spec, cluster }: { readonly spec: ClusterSpec; readonly cluster: Cluster },
  { controlPlanes, identities, namespace, remoteSecrets }: Lone,
): Promise<Adoption | undefined> {
  const [istiod, another] = controlPlanes.inUse;
  const label = namespace?.metadata.labels?.[NETWORK_LABEL];
  if (!istiod || another || label !== undefined || remoteSecrets.length > 0) return undefined;
  if (!hasOtherNetworks(mesh, spec.network)) return undefined;
  const identity = readable(identities.get(revisionOf(istiod)) ?? (() => undefined));
  if (!identity || differencesOf(mesh, spec, identity, label).length > 0) return undefined;
  const proxies = await proxiesIn(cluster, mesh);
  // Of a cluster where they may not be read, nothing was known before either.
  if (!proxies) return undefined;
  const [old = spec.name] = identity.clusterAliases;
  const record = { name: old, as: spec.name, former: [] };
  const metadata = { name: "", annotations: { [ADOPTED]: JSON.stringify(record) } };
  const istio = { apiVersion: "", kind: "", metadata, spec: {} };
  const adoption = adopting({ istio, name: spec.name, runs: identity, label, args: undefined, ours: false, proxies });
  return adoption.record.waits ? { ...adoption, args: undefined, byNames: true } : undefined;
}

async function ofIstio(
  mesh: MeshSpec,
  { spec, cluster }: { readonly spec: ClusterSpec; readonly cluster: Cluster },
  uid: string,
  lone: Lone,
): Promise<Adoption | undefined> {
  const istio = lone.istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  const [istiod, another] = lone.controlPlanes.inUse;
  if (mesh.installer !== "sail" || !istio || !istiod || another) return undefined;
  const record = adoptionRecord(istio);
  const begun = record !== undefined && !record.leaves;
  if (!mesh.adopt && !begun) return undefined;
  const identity = readable(lone.identities.get(revisionOf(istiod)) ?? (() => undefined));
  // On a copy, or one that was taken back, the record alone is no word for it.
  if (!identity || (!mesh.adopt && identity.clusterName !== spec.name)) return undefined;
  const label = lone.namespace?.metadata.labels?.[NETWORK_LABEL];
  const different = differencesOf(mesh, spec, identity, label);
  if (different.length === 0 && !record) return undefined;
  if (!isAdoptable(different, lone.remoteSecrets.length > 0)) return undefined;
  const proxies = await proxiesIn(cluster, mesh);
  const ours = isOurs(ownerOf(mesh, uid), istio);
  const args = fields(fields(spec.values).pilot).extraContainerArgs;
  const adoption = adopting({
    istio,
    name: spec.name,
    runs: identity,
    label,
    args: Array.isArray(args) ? args.map(String) : undefined,
    ours,
    proxies,
  });
  // What is this action's own needs no record of how it was before.
  return ours && adoption.alias === undefined && !adoption.record.waits ? undefined : adoption;
}

/** Whether the control plane can take the mesh's identity beside what runs: not one that has another network or mesh already. */
export function isAdoptable(different: readonly Difference[], flat: boolean): boolean {
  return different.every(
    ({ what, is }) => what === "cluster name" || (what === "network" && is === undefined && !flat),
  );
}

function becoming({ id }: MeshSpec, { name, network }: ClusterSpec, identity: Identity): string[] {
  const all = [
    ["cluster name (global.multiCluster.clusterName)", identity.clusterName, name],
    ["network (global.network)", identity.network, network],
    ["mesh ID (global.meshID)", identity.meshId, id],
  ] as const;
  return all.flatMap(([what, is, wanted]) => (is === wanted ? [] : `${what} ${is ?? "none"} → ${wanted}`));
}

/** What somebody else's values have to say for the same, to paste: YAML in a line. */
export function valuesToSet({ id }: MeshSpec, { name, network }: ClusterSpec, { clusterName }: Identity): string {
  const alias = clusterName === name ? "" : `, pilot: { extraContainerArgs: ["${aliasArgument(clusterName, name)}"] }`;
  return `{ global: { meshID: ${id}, network: ${network}, multiCluster: { clusterName: ${name} } }${alias} }`;
}

/** What adopting a control plane would do to it, in words. */
export function adoptionPlan(mesh: MeshSpec, spec: ClusterSpec, identity: Identity): string {
  const old = identity.clusterName;
  const served =
    old === spec.name
      ? []
      : [`further argument (pilot.extraContainerArgs) ${aliasArgument(old, spec.name)} for the time being`];
  return [...becoming(mesh, spec, identity), ...served].join(", ");
}

/** What an adoption does, as a finding of the preflight. */
export function adoptionFinding(mesh: MeshSpec, spec: ClusterSpec, identity: Identity, adoption: Adoption): Finding {
  const { alias, args = [] } = adoption;
  const aliases = aliasesIn(args, spec.name);
  if (aliases.length > 1) {
    return failed(
      `istiod takes one other name for a cluster, and its arguments give ${spec.name} ${listed(aliases)}: it would not start.`,
      `Restart what still runs as ${aliases.filter((each) => each !== alias).join(", ")}, and take that alias out of pilot.extraContainerArgs.`,
    );
  }
  const becomes = becoming(mesh, spec, identity);
  const names =
    becomes.length > 0 ? `istiod takes the mesh's names: ${becomes.join(", ")}.` : "istiod has the mesh's names.";
  const served = alias === undefined ? "" : ` Proxies that run as ${alias} are served as before (--clusterAliases).`;
  const warning = leftToRestart(spec, adoption);
  return { ...passed(`${names}${served}`), ...(warning ? { warning } : {}) };
}

/** Which workloads are to be made anew, and what comes then; `undefined` where none are. */
export function leftToRestart({ name }: Pick<ClusterSpec, "name">, adoption: Adoption): string | undefined {
  const { left, alias, record } = adoption;
  const then = record.waits
    ? "it is joined by the next run after that; until then it takes no part in traffic between clusters."
    : `the next run after that takes the old name back.`;
  const state = [...(alias === undefined ? [] : [`as ${alias}`]), ...(record.waits ? ["without a network"] : [])].join(
    " and ",
  );
  if (!left) {
    return `Which pods of ${name} still run ${state} could not be read (it takes the right to list pods): restart all gateways and workloads; ${then}`;
  }
  if (left.size === 0) return undefined;
  const namespaces = [...left.keys()];
  const number = [...left.values()].reduce((sum, each) => sum + each, 0);
  const commands = namespaces.slice(0, 3).map((each) => `kubectl -n ${each} rollout restart deployment`);
  return `${count(number, "pod")} of ${name} in ${listed(namespaces)} still ${number === 1 ? "runs" : "run"} ${state}. Restart them (${commands.join("; ")}); ${then}`;
}

/** Whether a cluster has the mesh's names and is not joined: its workloads have no network yet. */
export function waitsToJoin({
  istios,
  namespace,
}: {
  readonly istios: Part<readonly IstioResource[]>;
  readonly namespace: Part<KubernetesObject | undefined>;
}): boolean {
  const label = readable(namespace)?.metadata.labels?.[NETWORK_LABEL];
  if (label !== undefined) return false;
  const own = readable(namespace);
  return (own && isWaiting(own)) || (readable(istios) ?? []).some((istio) => adoptionRecord(istio)?.waits === true);
}
