import type { Member } from "../cluster/member.ts";
import { remoteSecretName } from "../mesh/objects/secrets.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { failedAt, passed } from "./finding.ts";
import { missingRights, type Right } from "./rights.ts";
import type { Survey } from "./survey.ts";

/** Whether the kubeconfig's user may do all that the run needs. */
export async function checkRights(rights: readonly Right[], { cluster }: Member): Promise<Finding> {
  const missing = await missingRights(cluster, rights);
  if (missing.length === 0) return passed("The kubeconfig's user has every right that the run needs.");
  return failedAt(
    "SelfSubjectAccessReview",
    `The kubeconfig's user may not: ${missing.join("; ")}.`,
    "Bind the role in docs/SECURITY.md to that user, or use a kubeconfig of an administrator.",
  );
}

/** Whether a secret that is not by our name registers one of the mesh's clusters already: istiod then refuses the second. */
export function checkRemoteSecrets(mesh: MeshSpec, { spec }: Member, survey: Survey): Finding {
  const others = mesh.clusters.map(({ name }) => name).filter((name) => name !== spec.name);
  const duplicates = survey.remoteSecrets.flatMap((secret) =>
    Object.keys(secret.data ?? {})
      .filter((key) => others.includes(key) && secret.metadata.name !== remoteSecretName(key))
      .map((key) => ({ key, secret: secret.metadata.name })),
  );
  if (duplicates.length === 0) return passed("No remote secret is in the way.");
  const list = duplicates.map(({ key, secret }) => `${secret} is for ${key} under another name`);
  return failedAt(
    "Secrets labelled istio/multiCluster=true",
    `A remote secret is in the way, for istiod takes a cluster once only: ${list.join("; ")}.`,
    duplicates.map(({ secret }) => `kubectl -n ${mesh.namespace} delete secret ${secret}`).join("; "),
  );
}

/** Whether the ClusterRole that the user named for the reader exists: a binding to a missing one grants nothing. */
export async function checkReaderRole(mesh: MeshSpec, { cluster }: Member): Promise<Finding> {
  if (mesh.readerRole === "auto") return passed("The reader's role is chosen by what the cluster has.");
  const role = await cluster.get({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    name: mesh.readerRole,
  });
  return role
    ? passed(`ClusterRole ${mesh.readerRole} exists.`)
    : failedAt(
        `ClusterRole ${mesh.readerRole}`,
        `The ClusterRole ${mesh.readerRole} does not exist; a binding to it would grant nothing.`,
        "Correct the input `reader-role`, or leave it at `auto`.",
      );
}

/** Whether the kubeconfigs lead to different clusters. @param uids of each cluster's kube-system */
export function distinct(uids: ReadonlyMap<string, string>): Finding {
  const byUid = Map.groupBy([...uids], ([, uid]) => uid);
  const same = [...byUid].filter(([, clusters]) => clusters.length > 1);
  if (same.length === 0) return passed("The kubeconfigs lead to different clusters.");
  return failedAt(
    "UID of the namespace kube-system",
    `${same.map(([uid, clusters]) => `${clusters.map(([name]) => name).join(" and ")} are the same cluster (its kube-system has UID ${uid})`).join("; ")}.`,
    "Check which kubeconfig, or which context, belongs to which cluster.",
  );
}
