import { clusterCa, type Survey } from "../checks/survey.ts";
import type { Cluster, Look } from "../cluster/cluster.ts";
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
import type { Run } from "./run.ts";
import type { Step } from "./step.ts";

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
    const { revision } = await controlPlane;
    const { account, binding, token, role } = await readerObjects(mesh, cluster, survey, revision, NOTHING_COMES);
    if (account) await step.apply(cluster, account);
    const [secret] = await Promise.all([
      ensureToken(step, mesh, cluster, survey, token),
      binding && step.apply(cluster, binding),
    ]);
    return { value: secret, evidence: `${READER} has a token and is bound to ClusterRole ${role}.` };
  });
}

/** What the reader needs of us; each is absent where it is there already, and not ours. */
export interface ReaderObjects {
  readonly account?: KubernetesObject;
  readonly role: string;
  readonly binding?: KubernetesObject;
  readonly token?: Secret;
}

/** What the control plane's charts, which are still to be installed, bring themselves. */
export interface Coming {
  readonly account: boolean;
  readonly role: boolean;
}

const NOTHING_COMES: Coming = { account: false, role: false };

/** What is to be applied for the reader, by what is there and what is coming. */
export async function readerObjects(
  mesh: MeshSpec,
  cluster: Cluster,
  survey: Survey,
  revision: string,
  coming: Coming,
): Promise<ReaderObjects> {
  const account = readerAccount(mesh);
  const token = tokenToApply(mesh, survey);
  const [there, bound] = await Promise.all([
    cluster.get(refOf(account)),
    roleAndBinding(mesh, cluster, revision, survey.hasClusterReader, coming),
  ]);
  return {
    ...(there || coming.account ? {} : { account }),
    ...bound,
    ...(token ? { token } : {}),
  };
}

async function roleAndBinding(
  mesh: MeshSpec,
  cluster: Cluster,
  revision: string,
  hasClusterReader: boolean,
  coming: Coming,
): Promise<Pick<ReaderObjects, "role" | "binding">> {
  const wanted = mesh.readerRole !== "auto" ? mesh.readerRole : hasClusterReader ? CLUSTER_READER : undefined;
  if (wanted) return { role: wanted, binding: readerBinding(mesh, wanted) };
  const chart = chartReaderRole(mesh, revision);
  if (coming.role) return { role: chart };
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
  return { role: chart, ...(bound ? {} : { binding: readerBinding(mesh, chart) }) };
}

/** The token's Secret as it is to be applied; `undefined` where there is one that does as it is. */
function tokenToApply(mesh: MeshSpec, { readerToken: current, readerTokens: tokens }: Survey): Secret | undefined {
  if (!current) return readerToken(mesh, nextGeneration(tokens));
  // Tokens that expire are made for a Secret of ours whatever it holds itself, and it cannot become of another type.
  const stays = !tokens.ours.includes(current) || current.type !== readerToken(mesh).type;
  return stays ? undefined : readerToken(mesh, generationOf(current));
}

/** The token's Secret once tokens can be had of it. @param token as it is to be applied, if it is */
async function ensureToken(
  step: Step,
  mesh: MeshSpec,
  cluster: Cluster,
  { readerToken: current, readerTokens: tokens }: Survey,
  token: Secret | undefined,
): Promise<Secret> {
  if (token) return applyToken(step, mesh, cluster, token);
  const there = current as Secret;
  return tokens.ours.includes(there) ? there : filled(mesh, cluster, there);
}

/** Writes the Secret of a generation, and waits until tokens can be had of it. */
export function makeReaderToken(step: Step, mesh: MeshSpec, cluster: Cluster, generation: number): Promise<Secret> {
  return applyToken(step, mesh, cluster, readerToken(mesh, generation));
}

async function applyToken(step: Step, mesh: MeshSpec, cluster: Cluster, token: Secret): Promise<Secret> {
  const { object } = await step.apply(cluster, token);
  return filled(mesh, cluster, object);
}

/** The Secret once Kubernetes has filled it. One that tokens are only bound to stays empty. */
async function filled(mesh: MeshSpec, cluster: Cluster, secret: Secret): Promise<Secret> {
  if (mesh.tokenTtl !== undefined) return secret;
  const what = `Kubernetes to fill the Secret ${secret.metadata.name}`;
  return cluster.poll(what, async (): Promise<Look<Secret>> => {
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
