import type { Cluster, Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { installs, operatorsFor, operatorVersion, within } from "../mesh/versions.ts";
import { type Pod, troubleOf } from "./pods.ts";
import { missingRights } from "./rights.ts";
import type { Deployment } from "./survey.ts";

const passed = (evidence: string): Finding => ({ verdict: "passed", evidence });
const failed = (evidence: string, cause: string, hint: string): Finding => ({
  verdict: "failed",
  evidence,
  cause,
  hint,
});

interface Crd extends KubernetesObject {
  spec: { versions: { name: string; served: boolean; schema?: { openAPIV3Schema?: Schema } }[] };
}
interface Schema {
  properties?: Record<string, Schema>;
  enum?: string[];
}

/** How long an operator that is not available yet is waited for, in milliseconds. */
const PATIENCE = 60_000;

async function available(cluster: Cluster, operator: Deployment | undefined): Promise<Probe<true>> {
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

/** The Sail Operator as it is on a cluster. */
export interface FoundOperator {
  /** Whether the CRD of `Istio` is there, and whether in the version that we use. */
  readonly crd: "served" | "older" | "missing";
  /** What the CRD offers as `spec.version`, each with its `v`; `undefined` where it does not say. */
  readonly offers: readonly string[] | undefined;
  readonly deployment: Deployment | undefined;
  /** `X.Y.Z`, by its image's tag. */
  readonly version: string | undefined;
}

/** The operator's Deployment, which its chart, over the versions, and OLM's bundle label differently. */
async function operatorDeployment(cluster: Cluster): Promise<Deployment | undefined> {
  const names = "in (sail-operator,servicemesh-operator3)";
  const found = await Promise.all(
    [`app.kubernetes.io/name ${names}`, `control-plane ${names}`].map((labelSelector) =>
      cluster.list<Deployment>({ apiVersion: "apps/v1", kind: "Deployment", labelSelector }),
    ),
  );
  return found.flat()[0];
}

/** What there is of the operator on a cluster. */
export async function findOperator(cluster: Cluster): Promise<FoundOperator> {
  const [crd, deployment] = await Promise.all([
    cluster.get<Crd>({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      name: "istios.sailoperator.io",
    }),
    operatorDeployment(cluster),
  ]);
  const served = crd?.spec.versions.find((version) => version.name === "v1" && version.served);
  const images = deployment?.spec.template.spec.containers.map(({ image }) => image ?? "") ?? [];
  return {
    crd: served ? "served" : crd ? "older" : "missing",
    offers: served?.schema?.openAPIV3Schema?.properties?.spec?.properties?.version?.enum,
    deployment,
    version: images.map(operatorVersion).find((version) => version !== undefined),
  };
}

/** Whether this operator, by what its CRD offers and by its own version, installs the wanted Istio. */
export function operatorInstalls(mesh: MeshSpec, { crd, offers, deployment, version }: FoundOperator): Finding {
  const definition = "CustomResourceDefinition istios.sailoperator.io";
  if (crd !== "served") {
    return failed(
      definition,
      `The Sail Operator is not installed: sailoperator.io/v1 Istio is not served${crd === "older" ? " (an older version is)" : ""}.`,
      "Set `install-operator: true`, or install it with Helm (chart sail-operator). Without an operator use `installer: istioctl`, and `installer: existing` for control planes that are there already.",
    );
  }
  const wanted = `v${mesh.istioVersion}`;
  const range = version === undefined ? undefined : installs(version);
  const able = operatorsFor(mesh.istioVersion);
  const upgrade = able ? `Sail Operator ${able} installs ${wanted}` : "";
  // What the list still has, but the operator refuses, is no choice.
  const choice = offers?.filter((each) => !range || within(range, each));
  if (offers && !offers.includes(wanted)) {
    return failed(
      `${definition}, spec.version`,
      `The Sail Operator${version ? ` ${version}` : ""} does not know Istio ${wanted}. It offers: ${choice?.join(", ")}.`,
      `Choose one of these as \`istio-version\`, or change the operator together with its CRDs (Helm leaves CRDs as they are)${upgrade ? `: ${upgrade}` : ""}.`,
    );
  }
  if (range?.known && !within(range, mesh.istioVersion)) {
    return failed(
      `image of Deployment ${deployment?.metadata.namespace}/${deployment?.metadata.name}`,
      `Sail Operator ${version} installs Istio 1.${range.oldest} to 1.${range.newest}, not ${mesh.istioVersion}, which is in its CRD's list but end-of-life.`,
      `Choose ${choice?.length ? `one of these as \`istio-version\`: ${choice.join(", ")}` : "another `istio-version`"}${upgrade ? `; or another operator: ${upgrade}` : ""}.`,
    );
  }
  const listed = offers ? `its CRD offers Istio ${wanted}` : "its CRD does not say which versions it offers";
  if (range?.known) return passed(`Sail Operator ${version} installs Istio ${wanted}: ${listed}.`);
  const doubt =
    version === undefined || !range
      ? "The operator's image does not tell its version, so only the CRD was asked"
      : within(range, mesh.istioVersion)
        ? `Operator ${version} is newer than this action knows, so only the CRD was asked`
        : `Operator ${version} is newer than this action knows; one of its age may refuse Istio older than 1.${range.oldest} as end-of-life`;
  return passed(`The Sail Operator should install Istio ${wanted}: ${listed}. ${doubt}.`);
}

/** Whether this run is to install the operator: it was asked to, and there is none. */
export function isToInstall({ operator }: MeshSpec, found: FoundOperator): boolean {
  return operator !== undefined && found.deployment === undefined;
}

/** Whether the Sail Operator is there, running, and able to install the wanted version; or may be installed. */
export async function checkOperator(mesh: MeshSpec, { cluster }: Member, found: FoundOperator): Promise<Finding> {
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
      cause: "No Deployment of the Sail Operator was found by its labels; whether it works is seen when it reconciles.",
    };
  }
  try {
    // One that was installed a moment ago is about to come up.
    await operatorAvailable(cluster, found.deployment);
    return able;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { namespace, name } = found.deployment.metadata;
    return failed(`Deployment ${namespace}/${name}`, error.message, error.hint ?? "");
  }
}

/** Waits for the Sail Operator; throws a `Failure` where it does not become available. One that is not found may be right. */
export async function operatorAvailable(cluster: Cluster, found?: Deployment): Promise<void> {
  const operator = found ?? (await operatorDeployment(cluster));
  if (!operator) return;
  const { namespace, name } = operator.metadata;
  const what = `the Sail Operator (Deployment ${namespace}/${name}) to be available`;
  try {
    await cluster.poll(what, async () => available(cluster, await operatorDeployment(cluster)), PATIENCE);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(`The Sail Operator is not available. ${error.message}`, error.hint);
  }
}

/** The operator's chart grants the operator nearly everything, and nobody may grant what they do not have. */
async function mayInstall({ operator, istioVersion }: MeshSpec, cluster: Cluster): Promise<Finding> {
  const missing = await missingRights(cluster, [{ group: "*", resource: "*", verbs: ["*"] }]);
  return missing.length === 0
    ? passed(
        `There is no Sail Operator; ${operator?.version} will be installed, which installs Istio v${istioVersion}.`,
      )
    : failed(
        "SelfSubjectAccessReview",
        "The kubeconfig's user may not install the Sail Operator: that takes an administrator of the cluster.",
        "Use a kubeconfig that is bound to cluster-admin, or install the operator beforehand.",
      );
}

/** Waits until an operator that was installed serves its CRD and is available. */
export function operatorReady(cluster: Cluster): Promise<FoundOperator> {
  return cluster.poll("the Sail Operator to be available", async (): Promise<Probe<FoundOperator>> => {
    const found = await findOperator(cluster);
    if (found.crd !== "served") return { seen: "the CRD of Istio is not served yet" };
    const ready = await available(cluster, found.deployment);
    return "done" in ready ? { done: found } : ready;
  });
}
