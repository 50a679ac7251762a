import type { Survey } from "../checks/survey.ts";
import type { Cluster, Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import {
  CLUSTER_READER,
  chartReaderRole,
  READER,
  READER_TOKEN,
  readerAccount,
  readerBinding,
  readerToken,
} from "../mesh/objects/reader.ts";
import { type Secret, secretText } from "../mesh/objects/secrets.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Run, Step } from "./run.ts";

interface Binding extends KubernetesObject {
  subjects?: { kind: string; name: string; namespace?: string }[];
}

/**
 * Ensures the reader account and its role. Only after the operator has reconciled, for Helm refuses an account that it
 * did not make; and one that exists is left as it is, for it is the chart's.
 */
export function ensureReader(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
  survey: Survey,
): Promise<void> {
  return run.step("install.reader", { cluster: spec.name }, [controlPlane], async (step) => {
    const account = readerAccount(mesh);
    const existing = await cluster.get(refOf(account));
    if (!existing) await step.apply(cluster, account);
    const { revision } = await controlPlane;
    const [role] = await Promise.all([
      bindRole(step, mesh, cluster, revision, survey.hasClusterReader),
      ensureToken(step, mesh, cluster, survey.readerToken),
    ]);
    return { value: undefined, evidence: `${READER} has a token and is bound to ClusterRole ${role}.` };
  });
}

/** Sees to it that the reader is bound to a role, and gives the role's name. */
async function bindRole(
  step: Step,
  mesh: MeshSpec,
  cluster: Cluster,
  revision: string,
  hasClusterReader: boolean,
): Promise<string> {
  const wanted = mesh.readerRole !== "auto" ? mesh.readerRole : hasClusterReader ? CLUSTER_READER : undefined;
  if (wanted) {
    await step.apply(cluster, readerBinding(mesh, wanted));
    return wanted;
  }
  const chart = chartReaderRole(mesh, revision);
  const rbac = "rbac.authorization.k8s.io/v1";
  const [role, binding] = await Promise.all([
    cluster.get({ apiVersion: rbac, kind: "ClusterRole", name: chart }),
    cluster.get<Binding>({ apiVersion: rbac, kind: "ClusterRoleBinding", name: chart }),
  ]);
  if (!role) {
    throw new Failure(
      `There is no role for ${READER}: neither ClusterRole ${CLUSTER_READER} nor Istio's own ${chart} exists.`,
      "Name a ClusterRole that may read the cluster in the input `reader-role`, or set the Helm value global.enableReaderRBAC.",
    );
  }
  const bound = binding?.subjects?.some(({ name, namespace }) => name === READER && namespace === mesh.namespace);
  if (!bound) await step.apply(cluster, readerBinding(mesh, chart));
  return chart;
}

/** Makes the token's Secret, unless istioctl made one on another occasion, and waits until Kubernetes has filled it. */
async function ensureToken(step: Step, mesh: MeshSpec, cluster: Cluster, existing: Secret | undefined): Promise<void> {
  const secret = readerToken(mesh);
  if (!existing || existing.metadata.labels?.[MANAGED_BY] === MANAGER) await step.apply(cluster, secret);
  await cluster.poll(`Kubernetes to fill the Secret ${READER_TOKEN}`, async (): Promise<Probe<undefined>> => {
    const now = await cluster.get<Secret>(refOf(secret));
    if (secretText(now, "token") && secretText(now, "ca.crt")) return { done: undefined };
    return { seen: now ? "the Secret has no token yet; does the token controller run?" : "the Secret is gone" };
  });
}
