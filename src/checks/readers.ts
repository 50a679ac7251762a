// Who reads a cluster that is to be taken out of a mesh.
import type { Cluster } from "../cluster/cluster.ts";
import { REMOTE_SECRET_LABEL, remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import type { Removal } from "../mesh/pieces.ts";
import { parseRemoteKubeconfig } from "../mesh/remote-kubeconfig.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import { failed, passed } from "./finding.ts";
import type { Inventory } from "./inventory.ts";
import type { AnyCall } from "./remote-access.ts";

/** The clusters that another one's istiod reads, by the remote secrets that it holds. */
async function readBy(cluster: Cluster, namespace: string): Promise<{ readonly reads: readonly string[] }> {
  const labelSelector = `${REMOTE_SECRET_LABEL}=true`;
  const secrets = await cluster.list<Secret>({ apiVersion: "v1", kind: "Secret", namespace, labelSelector });
  return { reads: secrets.flatMap(keysOf) };
}

/** What is known of a cluster that may read another one. */
interface Candidate {
  readonly name: string;
  /** Whether it reads that one, or why that is not known. */
  readonly reads: boolean | { readonly problem: string };
}

const secretsOf = ({ found, foreignRemoteSecrets }: Inventory) =>
  [...(found.get("uninstall.remote-secrets") ?? []), ...foreignRemoteSecrets] as readonly Secret[];

/** The steps that take down what a cluster is read and reached by. */
const READ_BY: readonly Removal[] = [
  "uninstall.access",
  "uninstall.exposure",
  "uninstall.gateway",
  "uninstall.control-plane",
  "uninstall.rest",
];

const keysOf = ({ data }: Secret) => Object.keys(data ?? {});

/**
 * Whether anybody goes on reading a cluster after what is removed is gone: its istiod would go on sending it requests. Those
 * on the list are looked at directly. Whoever this cluster reads reads it, too, as a rule: they are asked by its own remote
 * secrets.
 * @param gone clusters that are no more, by what the user says
 */
export async function noReaders(
  mesh: MeshSpec,
  name: string,
  stock: ReadonlyMap<string, Inventory>,
  gone: readonly string[],
  call: AnyCall,
): Promise<Finding> {
  const ofMesh = mesh.clusters.map((cluster) => cluster.name);
  const { found } = stock.get(name) as Inventory;
  if (READ_BY.every((id) => (found.get(id) ?? []).length === 0))
    return passed(`Nothing is removed by which ${name} is read.`);
  const staying = [...stock].flatMap(([observer, { foreignRemoteSecrets }]) =>
    observer === name
      ? []
      : foreignRemoteSecrets.filter((secret) => keysOf(secret).includes(name)).map((secret) => ({ observer, secret })),
  );
  if (staying.length > 0) return foreignReaders(mesh, name, staying);
  const entries = secretsOf(stock.get(name) as Inventory).flatMap((secret) =>
    keysOf(secret).map((key) => [key, secretText(secret, key) ?? ""] as const),
  );
  const outside = [...new Map(entries.filter(([key]) => !ofMesh.includes(key) && !gone.includes(key)))];
  const candidates = await Promise.all(
    outside.map(async ([candidate, kubeconfig]): Promise<Candidate> => {
      const { problems } = parseRemoteKubeconfig(kubeconfig);
      if (problems.length > 0) return { name: candidate, reads: { problem: problems.join(" ") } };
      const seen = await call(kubeconfig, (cluster) => readBy(cluster, mesh.namespace));
      return { name: candidate, reads: "problem" in seen ? seen : seen.reads.includes(name) };
    }),
  );
  return outsideReaders(
    mesh,
    name,
    candidates,
    gone.filter((each) => entries.some(([key]) => key === each)),
  );
}

function foreignReaders(
  { namespace }: MeshSpec,
  name: string,
  staying: readonly { readonly observer: string; readonly secret: Secret }[],
): Finding {
  const list = staying.map(({ observer, secret }) => `${observer}, by Secret ${secret.metadata.name}`);
  const commands = staying.map(
    ({ observer, secret }) => `in ${observer}: kubectl -n ${namespace} delete secret ${secret.metadata.name}`,
  );
  return failed(
    `${name} would still be read, for the remote secret is not this action's and stays: ${list.join("; ")}.`,
    `Delete it first, ${commands.join("; ")}`,
  );
}

function outsideReaders(
  mesh: MeshSpec,
  name: string,
  candidates: readonly Candidate[],
  gone: readonly string[],
): Finding {
  const names = (all: readonly Candidate[]) => listed(all.map((each) => each.name));
  const readers = candidates.filter(({ reads }) => reads === true);
  const unasked = candidates.filter(({ reads }) => typeof reads === "object");
  // A mesh of two has no list without one of them.
  const order =
    candidates.length === 1 && mesh.clusters.length === 1
      ? `Unlink the two first, by \`uninstall\` with \`uninstall-scope: mesh\` and both on the list; then \`uninstall\` ${name} alone.`
      : `Take ${name} out in the right order: run \`install\` with \`prune: true\` on the list without ${name}, then \`uninstall\` with ${name} alone.`;
  const noMore = (all: readonly Candidate[]) =>
    `If ${names(all)} ${all.length > 1 ? "are" : "is"} gone for good, say so: \`gone-clusters: ${all.map((each) => each.name).join(", ")}\`.`;
  if (readers.length > 0) {
    return failed(
      `${names(readers)}, not on the list, ${readers.length > 1 ? "read" : "reads"} ${name}, and would go on sending requests to it.`,
      `${order} ${noMore(readers)}`,
    );
  }
  if (unasked.length > 0) {
    const why = unasked.map(({ name, reads }) => `${name}: ${typeof reads === "object" ? reads.problem : ""}`);
    return failed(
      `${name} is linked with ${names(unasked)}, not on the list, and whether ${unasked.length > 1 ? "they still read" : "it still reads"} it could not be looked at from here. ${why.join(" ")}`,
      `${order} Where \`kubectl -n ${mesh.namespace} get secret ${remoteSecretName(name)}\` finds nothing any more, or the cluster is no more, say so: \`gone-clusters: ${unasked.map((each) => each.name).join(", ")}\`.`,
    );
  }
  const asked =
    candidates.length > 0
      ? ` ${names(candidates)}, not on the list, ${candidates.length > 1 ? "read" : "reads"} it no more.`
      : "";
  const told = gone.length > 0 ? ` Gone for good, as the inputs say: ${listed(gone)}.` : "";
  return passed(`Nobody reads ${name} when what is removed is gone.${asked}${told}`);
}
