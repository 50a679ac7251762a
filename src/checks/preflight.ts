import type { Member } from "../cluster/member.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import { remoteSecretName } from "../mesh/objects/secrets.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { cniInTheWay } from "./cni.ts";
import { revisionOf } from "./istiod.ts";
import { missingRights, type Right } from "./rights.ts";
import type { Deployment, IstioResource, Survey } from "./survey.ts";

const passed = (evidence: string): Finding => ({ verdict: "passed", evidence });
const failed = (evidence: string, cause: string, hint: string): Finding => ({
  verdict: "failed",
  evidence,
  cause,
  hint,
});

/** Whether the kubeconfig's user may do all that the run needs. */
export async function checkRights(rights: readonly Right[], { cluster }: Member): Promise<Finding> {
  const missing = await missingRights(cluster, rights);
  if (missing.length === 0) return passed("The kubeconfig's user has every right that the run needs.");
  return failed(
    "SelfSubjectAccessReview",
    `The kubeconfig's user may not: ${missing.join("; ")}.`,
    "Bind the role in docs/SECURITY.md to that user, or use a kubeconfig of an administrator.",
  );
}

const IDENTITY: readonly {
  what: string;
  read: (global: Record<string, unknown>) => unknown;
  of: "id" | "name" | "network";
}[] = [
  { what: "mesh ID", read: (global) => global.meshID, of: "id" },
  { what: "network", read: (global) => global.network, of: "network" },
  {
    what: "cluster name",
    read: (global) => (global.multiCluster as Record<string, unknown> | undefined)?.clusterName,
    of: "name",
  },
];

/** Whether the control planes that are there already are, or may become, the ones that the mesh needs. */
export async function checkControlPlane(mesh: MeshSpec, member: Member, survey: Survey): Promise<Finding> {
  const wanted = { id: mesh.id, name: member.spec.name, network: member.spec.network };
  const differences = (global: Record<string, unknown>) =>
    IDENTITY.flatMap(({ what, read, of }) => {
      const value = read(global);
      return value === undefined || value === wanted[of] ? [] : [`${what} ${String(value)} instead of ${wanted[of]}`];
    });
  for (const istio of survey.istios) {
    const different = differences(istio.spec.values?.global ?? {});
    if (different.length > 0) {
      return failed(
        `Istio ${istio.metadata.name}, spec.values.global`,
        `There is an Istio ${istio.metadata.name} for namespace ${mesh.namespace} already, with ${different.join(", ")}.`,
        "Give this action the same names, or remove that Istio resource first.",
      );
    }
  }
  if (mesh.installer === "existing") return checkExisting(mesh, member, survey, differences);
  if (mesh.installer === "istioctl") return checkForIstioctl(mesh, member, survey, differences);
  const elsewhere = await otherNamespace(mesh, member);
  if (elsewhere) {
    return failed(
      `Istio ${mesh.istioResource}, spec.namespace`,
      `The Istio ${mesh.istioResource} that exists is for namespace ${elsewhere}, which cannot be changed.`,
      "Set `istio-namespace` to it, or choose another `istio-resource`.",
    );
  }
  const [foreign] = survey.istiods;
  if (foreign && survey.istios.length === 0) {
    return failed(
      `Deployment ${mesh.namespace}/${foreign.metadata.name}`,
      `There is an istiod (Deployment ${foreign.metadata.name}) without an Istio resource: ${installerOf(foreign)} installed it, not the Sail Operator.`,
      isOurs(foreign)
        ? "Stay with `installer: istioctl`, or remove that control plane first."
        : "Use `installer: existing` to connect it as it is, or remove it first.",
    );
  }
  const cni = cniInTheWay(survey.cni, mesh.istioVersion);
  if (cni) return cni;
  return passed(
    survey.istios.length === 0
      ? "There is no other control plane in the namespace."
      : `The Istio resource ${survey.istios.map((istio) => istio.metadata.name).join(", ")} has the mesh's identity.`,
  );
}

async function otherNamespace(mesh: MeshSpec, { cluster }: Member): Promise<string | undefined> {
  const istio = await cluster.get<IstioResource>({
    apiVersion: "sailoperator.io/v1",
    kind: "Istio",
    name: mesh.istioResource,
  });
  return istio && istio.spec.namespace !== mesh.namespace ? istio.spec.namespace : undefined;
}

const isOurs = ({ metadata }: Deployment) => metadata.labels?.[MANAGED_BY] === MANAGER;

/** Who installed an istiod, by the marks that each leaves on it. */
function installerOf(istiod: Deployment): string {
  const { labels = {}, annotations = {} } = istiod.metadata;
  const release = annotations["meta.helm.sh/release-name"];
  if (isOurs(istiod)) return "this action with `installer: istioctl`";
  if (release) return `Helm (release ${release})`;
  return labels["operator.istio.io/managed"] ? "`istioctl install`" : "something else";
}

/** An istiod that somebody else installed is not taken over, and one of ours keeps its identity. */
async function checkForIstioctl(
  mesh: MeshSpec,
  member: Member,
  survey: Survey,
  differences: (global: Record<string, unknown>) => string[],
): Promise<Finding> {
  const [istio] = survey.istios;
  if (istio) {
    return failed(
      `Istio ${istio.metadata.name}, spec.namespace`,
      `The Sail Operator owns the control plane in ${mesh.namespace}, by the Istio resource ${istio.metadata.name}.`,
      `Use \`installer: sail\`, or remove it first: kubectl delete istios.sailoperator.io ${istio.metadata.name}`,
    );
  }
  const foreign = survey.istiods.find((istiod) => !isOurs(istiod));
  if (foreign) {
    const { name } = foreign.metadata;
    return failed(
      `Deployment ${mesh.namespace}/${name}`,
      `There is an istiod (Deployment ${name}) that ${installerOf(foreign)} installed; it is not taken over.`,
      "Use `installer: existing` to connect it as it is, or remove it first.",
    );
  }
  const [istiod] = survey.istiods;
  return istiod
    ? hasIdentity(mesh, member, istiod, differences)
    : passed("There is no other control plane in the namespace.");
}

/** An istiod that is only connected must have the identity already, for nobody is going to change it. */
async function checkExisting(
  mesh: MeshSpec,
  member: Member,
  survey: Survey,
  differences: (global: Record<string, unknown>) => string[],
): Promise<Finding> {
  const [istiod] = survey.istiods;
  if (!istiod) {
    return failed(
      `Deployments of ${mesh.namespace}`,
      `There is no istiod in namespace ${mesh.namespace}, and \`installer: existing\` installs none.`,
      "Install Istio first, set `istio-namespace`, or use `installer: sail` or `istioctl`.",
    );
  }
  return hasIdentity(mesh, member, istiod, differences);
}

async function hasIdentity(
  mesh: MeshSpec,
  { cluster, spec }: Member,
  istiod: Deployment,
  differences: (global: Record<string, unknown>) => string[],
): Promise<Finding> {
  const revision = revisionOf(istiod);
  const injector = await cluster.get<KubernetesObject & { data?: Record<string, string> }>({
    apiVersion: "v1",
    kind: "ConfigMap",
    namespace: mesh.namespace,
    name: `istio-sidecar-injector${revision === "default" ? "" : `-${revision}`}`,
  });
  let global: Record<string, unknown> = {};
  try {
    global = (JSON.parse(injector?.data?.values ?? "{}") as { global?: Record<string, unknown> }).global ?? {};
  } catch {
    // Values that are not JSON say nothing; the cluster ID below still does.
  }
  const id = istiod.spec.template.spec.containers[0]?.env?.find(({ name }) => name === "CLUSTER_ID")?.value;
  const different = [
    ...differences({ ...global, multiCluster: undefined }),
    ...(id !== undefined && id !== spec.name ? [`cluster name ${id} instead of ${spec.name}`] : []),
  ];
  return different.length === 0
    ? passed(`istiod ${istiod.metadata.name} has the mesh's identity.`)
    : failed(
        `Deployment ${istiod.metadata.name} and the sidecar injector's values`,
        `istiod runs with ${different.join(", ")}; with that no other cluster will accept it.`,
        "Give this action the names that istiod runs with, or change istiod's Helm values.",
      );
}

/** Whether a secret that is not by our name registers one of the mesh's clusters already: istiod then refuses the second. */
export function checkRemoteSecrets(mesh: MeshSpec, { spec }: Member, survey: Survey): Finding {
  const others = mesh.clusters.map(({ name }) => name).filter((name) => name !== spec.name);
  const duplicates = survey.remoteSecrets.flatMap((secret) =>
    Object.keys(secret.data ?? {})
      .filter((key) => key === spec.name || (others.includes(key) && secret.metadata.name !== remoteSecretName(key)))
      .map((key) => ({ key, secret: secret.metadata.name })),
  );
  if (duplicates.length === 0) return passed("No remote secret is in the way.");
  const list = duplicates.map(({ key, secret }) =>
    key === spec.name
      ? `${secret} is for ${key}, which is this cluster itself`
      : `${secret} is for ${key} under another name`,
  );
  return failed(
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
    : failed(
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
  return failed(
    "UID of the namespace kube-system",
    `${same.map(([uid, clusters]) => `${clusters.map(([name]) => name).join(" and ")} are the same cluster (its kube-system has UID ${uid})`).join("; ")}.`,
    "Check which kubeconfig, or which context, belongs to which cluster.",
  );
}
