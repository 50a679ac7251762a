import { isOurs, type Owner, ownerOf } from "../mesh/claim.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { failed, passed } from "./finding.ts";
import type { Observation } from "./observation.ts";

/** A remote secret for a cluster that is not in the list. One for the cluster that holds it istiod ignores. */
export interface Stranger {
  readonly secret: Secret;
  readonly clusters: readonly string[];
  /** This action made it for this mesh, and it holds nothing else: it may be removed. */
  readonly ours: boolean;
}

/** The strangers among a cluster's remote secrets. That a cluster cannot be reached makes it none: the list counts. */
export function strangersAmong(
  owner: Owner,
  mesh: MeshSpec,
  name: string,
  remoteSecrets: readonly Secret[],
): Stranger[] {
  const members = mesh.clusters.map((cluster) => cluster.name);
  return remoteSecrets.flatMap((secret): Stranger | [] => {
    const keys = Object.keys(secret.data ?? {});
    const clusters = keys.filter((key) => key !== name && !members.includes(key));
    if (clusters.length === 0) return [];
    const ours = clusters.length === keys.length;
    return { secret, clusters, ours: ours && isOurs(owner, secret) };
  });
}

/** What is to be said of a cluster's strangers, of which there is one at least. */
export function strangersLeft({ namespace }: MeshSpec, strangers: readonly Stranger[]): Finding {
  const told = strangers.flatMap(({ secret, clusters }) =>
    clusters.map((each) => `${secret.metadata.name} for ${each}`),
  );
  const others = strangers.filter(({ ours }) => !ours).map(({ secret }) => secret.metadata.name);
  const ways = [
    ...(others.length < strangers.length ? ["run `install` with `prune: true`"] : []),
    ...(others.length > 0 ? [`kubectl -n ${namespace} delete secret ${others.join(" ")}`] : []),
  ];
  return failed(
    `There is a remote secret for a cluster that is not in the list: ${told.join("; ")}. istiod goes on reading it.`,
    `If it has left the mesh: ${ways.join("; and ")}; else add it to the input \`clusters\`.`,
  );
}

/** Whether all remote secrets are for clusters of the mesh. */
export function noStrangers(
  mesh: MeshSpec,
  { spec, uid, remoteSecrets }: Pick<Observation, "spec" | "uid" | "remoteSecrets">,
): Finding {
  const secrets = remoteSecrets();
  const entries = secrets.flatMap(({ metadata, data }) => Object.keys(data ?? {}).map((key) => [key, metadata.name]));
  const reading = {
    source: `Secrets labelled istio/multiCluster=true in ${mesh.namespace}`,
    values: Object.fromEntries(entries),
  };
  const strangers = strangersAmong(ownerOf(mesh, uid()), mesh, spec.name, secrets);
  const finding =
    strangers.length === 0
      ? passed("Every remote secret is for a cluster of this mesh.")
      : strangersLeft(mesh, strangers);
  return { ...finding, readings: [reading] };
}
