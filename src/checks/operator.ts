import type { Cluster, Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import { installs, installsText, isEndOfLife, operatorRelease, operatorsFor } from "../mesh/versions.ts";
import { failedAt, passed } from "./finding.ts";
import { type FoundOperator, findOperator, hasOperator, operatorDeployment } from "./found-operator.ts";
import { troubleOf } from "./pods.ts";
import { missingRights } from "./rights.ts";

/** How long an operator that is not available yet is waited for, in milliseconds. */
const PATIENCE = 60_000;

async function available(cluster: Cluster, operator: Deployment | undefined): Promise<Look<true>> {
  if ((operator?.status?.availableReplicas ?? 0) > 0) return { done: true };
  const condition = operator?.status?.conditions?.find(({ type }) => type === "Available");
  const said = condition?.message ?? "no pod is available";
  if (!operator) return { seen: said };
  const { namespace, name } = operator.metadata;
  const look = `kubectl -n ${namespace} describe deployment ${name}; kubectl -n ${namespace} get pods`;
  const trouble = troubleOf(await podsOf(cluster, operator));
  return { seen: trouble?.seen ?? said, hint: trouble?.hint ?? look };
}

/** None where they may not be read: that is no right that the run needs. */
async function podsOf(cluster: Cluster, { metadata: { namespace }, spec }: Deployment): Promise<Pod[]> {
  const labels = Object.entries(spec.selector?.matchLabels ?? {}).map((label) => label.join("="));
  if (!namespace || labels.length === 0) return [];
  const query = { apiVersion: "v1", kind: "Pod", namespace, labelSelector: labels.join() };
  try {
    return await cluster.list<Pod & KubernetesObject>(query);
  } catch (error) {
    if (error instanceof Failure) return [];
    throw error;
  }
}

/** Whether this operator, by what its CRD offers and by its own version, installs the wanted Istio. */
export function operatorInstalls(
  mesh: SettledMesh,
  { crd, offers, deployment, version, release }: FoundOperator,
): Finding {
  const definition = "CustomResourceDefinition istios.sailoperator.io";
  if (crd !== "served") {
    return failedAt(
      definition,
      `The Sail Operator is not installed: sailoperator.io/v1 Istio is not served${crd === "older" ? " (an older version is)" : ""}.`,
      "Set `install-operator: true`, or install it with Helm (chart sail-operator). Without an operator use `installer: istioctl`, and `installer: existing` for control planes that are there already.",
    );
  }
  const wanted = `v${mesh.istioVersion}`;
  const able = operatorsFor(mesh.istioVersion);
  const upgrade = able ? `Sail Operator ${able} installs ${wanted}` : "";
  // What the list still has, but the operator refuses, is no choice.
  const choice = offers?.filter((each) => !release || installs(release, each));
  if (offers && !offers.includes(wanted)) {
    return failedAt(
      `${definition}, spec.version`,
      `The Sail Operator${version ? ` ${version}` : ""} does not know Istio ${wanted}. It offers: ${choice?.join(", ")}.`,
      `Choose one of these as \`istio-version\`, or change the operator together with its CRDs (Helm leaves CRDs as they are)${upgrade ? `: ${upgrade}` : ""}.`,
    );
  }
  if (release && !installs(release, mesh.istioVersion)) {
    const listedThough = !offers
      ? ""
      : isEndOfLife(release, mesh.istioVersion)
        ? ", which is in its CRD's list but end-of-life"
        : "; its CRDs, which list it, are another release's";
    return failedAt(
      `image of Deployment ${deployment?.metadata.namespace}/${deployment?.metadata.name}`,
      `Sail Operator ${version} installs Istio ${installsText(release)}, not ${mesh.istioVersion}${listedThough}.`,
      `Choose ${choice?.length ? `one of these as \`istio-version\`: ${choice.join(", ")}` : "another `istio-version`"}${upgrade ? `; or another operator: ${upgrade}` : ""}.`,
    );
  }
  const listed = offers ? `its CRD offers Istio ${wanted}` : "its CRD does not say which versions it offers";
  if (release) return passed(`Sail Operator ${version} installs Istio ${wanted}: ${listed}.`);
  const doubt =
    version === undefined
      ? "The operator's image does not tell its version"
      : `Operator ${version} is not one that this action knows`;
  return passed(
    `The Sail Operator should install Istio ${wanted}: ${listed}. ${doubt}, so only the CRD was asked: one that is end-of-life for it is told when it reconciles.`,
  );
}

/** Whether this run is to install the operator: it was asked to, and there is none. */
export function isToInstall({ operator }: MeshSpec, found: FoundOperator): boolean {
  return operator !== undefined && !hasOperator(found);
}

/** Whether the Sail Operator is there, running, and able to install the wanted version; or may be installed. */
export async function checkOperator(mesh: SettledMesh, { cluster }: Member, found: FoundOperator): Promise<Finding> {
  const installing = isToInstall(mesh, found);
  if (installing && found.crd === "missing") return mayInstall(mesh, cluster);
  // CRDs outlive their operator, and Helm leaves them as they are: they must fit the one to come.
  const able = operatorInstalls(mesh, found);
  if (able.verdict !== "passed") return able;
  if (installing) return mayInstall(mesh, cluster);
  if (!found.deployment) {
    return {
      ...able,
      verdict: "skipped",
      cause: found.holder
        ? `The Deployment of the Sail Operator that leads as ${found.holder} could not be told; whether it works is seen when it reconciles.`
        : "No Sail Operator was found, by its Lease or its labels; whether it works is seen when it reconciles.",
    };
  }
  try {
    // One that was installed a moment ago is about to come up.
    await operatorAvailable(cluster, found.deployment);
    return able;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { namespace, name } = found.deployment.metadata;
    return failedAt(`Deployment ${namespace}/${name}`, error.message, error.hint ?? "");
  }
}

/** Waits for the Sail Operator; throws a `Failure` where it does not become available. One that is not found may be right. */
export async function operatorAvailable(cluster: Cluster, found?: Deployment): Promise<void> {
  const operator = found ?? (await operatorDeployment(cluster)).deployment;
  if (!operator) return;
  const { namespace, name } = operator.metadata;
  const what = `the Sail Operator (Deployment ${namespace}/${name}) to be available`;
  const query = { apiVersion: "apps/v1", kind: "Deployment", fieldSelector: `metadata.name=${name}` };
  const now = async () => (await cluster.list<Deployment>({ ...query, ...(namespace ? { namespace } : {}) }))[0];
  try {
    await cluster.poll(what, async () => available(cluster, await now()), PATIENCE);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(`The Sail Operator is not available. ${error.message}`, error.hint);
  }
}

/** The operator's chart grants the operator nearly everything, and nobody may grant what they do not have. */
async function mayInstall({ operator, istioVersion }: SettledMesh, cluster: Cluster): Promise<Finding> {
  const version = operator?.version ?? "";
  const release = operatorRelease(version);
  if (!version || (release && !installs(release, istioVersion))) {
    const able = operatorsFor(istioVersion);
    return failedAt(
      "the known releases of the Sail Operator",
      release
        ? `There is no Sail Operator, and ${version} of \`operator-version\` installs Istio ${installsText(release)}, not ${istioVersion}.`
        : `There is no Sail Operator, and none is known that installs Istio ${istioVersion}.`,
      able
        ? `Set \`operator-version\` to one that does: ${able}.`
        : "Set `operator-version` to one that does, see https://github.com/istio-ecosystem/sail-operator/releases; or install it beforehand.",
    );
  }
  const missing = await missingRights(cluster, [{ group: "*", resource: "*", verbs: ["*"] }]);
  return missing.length === 0
    ? passed(`There is no Sail Operator; ${version} will be installed, which installs Istio v${istioVersion}.`)
    : failedAt(
        "SelfSubjectAccessReview",
        "The kubeconfig's user may not install the Sail Operator: that takes an administrator of the cluster.",
        "Use a kubeconfig that is bound to cluster-admin, or install the operator beforehand.",
      );
}

/** Waits until an operator that was installed serves its CRD and is available. */
export function operatorReady(cluster: Cluster): Promise<FoundOperator> {
  return cluster.poll("the Sail Operator to be available", async (): Promise<Look<FoundOperator>> => {
    const found = await findOperator(cluster);
    if (found.crd !== "served") return { seen: "the CRD of Istio is not served yet" };
    const ready = await available(cluster, found.deployment);
    return "done" in ready ? { done: found } : ready;
  });
}
