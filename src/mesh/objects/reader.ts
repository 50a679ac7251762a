import { isOurs, type Owner } from "../claim.ts";
import type { MeshSpec } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";
import type { Secret } from "./secrets.ts";

/** The service account that the other clusters' istiods read this cluster with. */
export const READER = "istio-reader-service-account";

/** Secret in which istioctl keeps the reader's token. */
export const READER_TOKEN = `${READER}-istio-remote-secret-token`;

/** Type of a Secret that Kubernetes fills with a token that does not expire. */
export const TOKEN_TYPE = "kubernetes.io/service-account-token";
const ACCOUNT = "kubernetes.io/service-account.name";

/** The role that OpenShift and Alauda have for reading a whole cluster; vanilla Kubernetes does not. */
export const CLUSTER_READER = "cluster-reader";

/** Name of the reader role, and of its binding, that istiod's chart makes. */
export function chartReaderRole(mesh: MeshSpec, revision: string): string {
  return `istio-reader-clusterrole${revision === "default" ? "" : `-${revision}`}-${mesh.namespace}`;
}

export function readerAccount(mesh: MeshSpec): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: READER, namespace: mesh.namespace, labels: ownership(mesh, "reader") },
  };
}

/**
 * The Secret that the reader's tokens of one generation stand and fall with. Without `tokenTtl` Kubernetes fills it with a
 * token that does not expire. With it, it is empty: tokens of the TokenRequest API are bound to it, so that its deletion
 * ends them, which nothing else does before their time.
 * @param generation each rotation's is one more; the first has the name that istioctl would give it
 */
export function readerToken(mesh: MeshSpec, generation = 1): Secret {
  const metadata = {
    name: generation === 1 ? READER_TOKEN : `${READER_TOKEN}-${generation}`,
    namespace: mesh.namespace,
    labels: ownership(mesh, "reader"),
  };
  return mesh.tokenTtl === undefined
    ? {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { ...metadata, annotations: { [ACCOUNT]: READER } },
        type: TOKEN_TYPE,
      }
    : { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque" };
}

/** The Secrets that tokens of the reader stand and fall with. */
export interface ReaderTokens {
  /** Those that this action made, the newest last. */
  readonly ours: readonly Secret[];
  /** Those of istioctl, and of anybody else. */
  readonly others: readonly Secret[];
  /** Those whose names are taken, by whatever Secret. */
  readonly generations: readonly number[];
}

/** Picks the reader's out of any Secrets of the control planes' namespace. */
export function readerTokens(owner: Owner, secrets: readonly Secret[]): ReaderTokens {
  const isGeneration = (secret: Secret) => isOurs(owner, secret) && generationOf(secret) > 0;
  const found = [...new Map(secrets.map((secret) => [secret.metadata.name, secret])).values()];
  const ours = found.filter(isGeneration).sort((a, b) => generationOf(a) - generationOf(b));
  const others = found.filter(
    (each) => !isGeneration(each) && each.type === TOKEN_TYPE && each.metadata.annotations?.[ACCOUNT] === READER,
  );
  return { ours, others, generations: found.map(generationOf) };
}

/**
 * The Secret that remote secrets are to be made from: the newest of ours, else istioctl's, else any. Tokens that expire can
 * only be revoked by a Secret of ours.
 */
export function currentReaderToken(mesh: Pick<MeshSpec, "tokenTtl">, tokens: ReaderTokens): Secret | undefined {
  const { ours, others } = tokens;
  if (mesh.tokenTtl !== undefined) return ours.at(-1);
  const filled = ours.findLast(({ type }) => type === TOKEN_TYPE);
  return filled ?? others.find(({ metadata }) => metadata.name === READER_TOKEN) ?? others[0];
}

/** Which generation a Secret is by its name; 0: none. */
export function generationOf({ metadata: { name } }: Secret): number {
  if (name === READER_TOKEN) return 1;
  return name.startsWith(`${READER_TOKEN}-`) ? Number(/^[1-9]\d*$/.exec(name.slice(READER_TOKEN.length + 1)) ?? 0) : 0;
}

/** A generation that no Secret has. */
export function nextGeneration({ generations }: Pick<ReaderTokens, "generations">): number {
  return Math.max(0, ...generations) + 1;
}

/** Binds a ClusterRole to the reader account. The role is part of the name, for a binding's role cannot be changed. */
export function readerBinding(mesh: MeshSpec, role: string): KubernetesObject {
  const suffix = mesh.namespace === "istio-system" ? "" : `-${mesh.namespace}`;
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: `${role}-istio-reader-sa${suffix}`, labels: ownership(mesh, "reader") },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: [{ kind: "ServiceAccount", name: READER, namespace: mesh.namespace }],
  };
}
