import { clusterCa, type Survey } from "../checks/survey.ts";
import type { Cluster, Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import {
  CLUSTER_READER,
  chartReaderRole,
  generationOf,
  nextGeneration,
  READER,
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

/** What the others read a cluster by. */
export interface Credentials {
  /** A secret. */
  readonly token: string;
  /** PEM. */
  readonly ca: string;
  /** Absent: never. */
  readonly expires?: Date;
}

/**
 * Ensures the reader account and its role, and the Secret that its tokens stand and fall with, which is the step's value. Only after the operator has reconciled, for Helm refuses an account that it
 * did not make; and one that exists is left as it is, for it is the chart's.
 */
export function ensureReader(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
  survey: Survey,
): Promise<Secret> {
  return run.step("install.reader", { cluster: spec.name }, [controlPlane], async (step) => {
    const account = readerAccount(mesh);
    const existing = await cluster.get(refOf(account));
    if (!existing) await step.apply(cluster, account);
    const { revision } = await controlPlane;
    const [role, secret] = await Promise.all([
      bindRole(step, mesh, cluster, revision, survey.hasClusterReader),
      ensureToken(step, mesh, cluster, survey),
    ]);
    return { value: secret, evidence: `${READER} has a token and is bound to ClusterRole ${role}.` };
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

/** The token's Secret, which is made unless there is one. */
async function ensureToken(step: Step, mesh: MeshSpec, cluster: Cluster, survey: Survey): Promise<Secret> {
  const { readerToken: current, readerTokens: tokens } = survey;
  if (current && !tokens.ours.includes(current)) return filled(mesh, cluster, current);
  // Tokens that expire are made for a Secret of ours whatever it holds itself, and it cannot become of another type.
  if (current && current.type !== readerToken(mesh).type) return current;
  return makeReaderToken(step, mesh, cluster, current ? generationOf(current) : nextGeneration(tokens));
}

/** Writes the Secret of a generation, and waits until tokens can be had of it. */
export async function makeReaderToken(
  step: Step,
  mesh: MeshSpec,
  cluster: Cluster,
  generation: number,
): Promise<Secret> {
  const { object } = await step.apply(cluster, readerToken(mesh, generation));
  return filled(mesh, cluster, object);
}

/** The Secret once Kubernetes has filled it. One that tokens are only bound to stays empty. */
async function filled(mesh: MeshSpec, cluster: Cluster, secret: Secret): Promise<Secret> {
  if (mesh.tokenTtl !== undefined) return secret;
  const what = `Kubernetes to fill the Secret ${secret.metadata.name}`;
  return cluster.poll(what, async (): Promise<Probe<Secret>> => {
    const now = await cluster.get<Secret>(refOf(secret));
    if (now && secretText(now, "token") && secretText(now, "ca.crt")) return { done: now };
    return { seen: now ? "the Secret has no token yet; does the token controller run?" : "the Secret is gone" };
  });
}

/** The token in the Secret or, with `tokenTtl`, a new one that is bound to it. */
export async function credentials(mesh: MeshSpec, cluster: Cluster, secret: Secret): Promise<Credentials> {
  if (mesh.tokenTtl === undefined) {
    return { token: secretText(secret, "token") ?? "", ca: secretText(secret, "ca.crt") ?? "" };
  }
  const { name, uid } = secret.metadata;
  const [made, ca] = await Promise.all([
    cluster.requestToken(refOf(readerAccount(mesh)), {
      expirationSeconds: mesh.tokenTtl,
      boundObjectRef: { apiVersion: "v1", kind: "Secret", name, ...(uid ? { uid } : {}) },
    }),
    clusterCa(cluster, mesh),
  ]);
  if (!ca) {
    throw new Failure(
      `There is no ConfigMap ${mesh.namespace}/kube-root-ca.crt with the API server's CA, which a remote secret needs.`,
      "The kube-controller-manager makes it in every namespace; look at its log. Or leave the input `token-ttl` out.",
    );
  }
  return { ...made, ca };
}
