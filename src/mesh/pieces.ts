// What a mesh is made of, each kind of thing once. By this table what `install` wants is claimed and allowed, and what it
// made is found again and taken down.
import { ADOPTED } from "./adoption.ts";
import type { CheckId } from "./catalogue.ts";
import type { KubernetesObject } from "./objects/object.ts";
import { COMPONENT } from "./objects/ownership.ts";
import type { Installer, MeshSpec, UninstallScope } from "./spec.ts";

/**
 * What we may do with an object that is wanted. `own`: it has to be ours. `suffices`: anybody's will do that does the job.
 * `share`: it is anybody's, and these fields of it are ours, which are given back.
 */
export type Claim = "own" | "suffices" | "share";

/** A kind of object that a piece is made of. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly clusterScoped?: true;
  /** Who makes it; absent: this action, whoever installs the control planes. */
  readonly by?: Exclude<Installer, "existing">;
  /** Where it differs from the piece's. */
  readonly claim?: Claim;
  /** Only some of Istio's versions have it, so that nobody has to be allowed it beforehand. */
  readonly rare?: true;
  /** It carries no labels of ours and is never removed: with a CRD would go every object of it, whoever's. */
  readonly unlabelled?: true;
}

/** A step that takes down. */
export type Removal = Extract<CheckId, `uninstall.${string}`>;

export interface Piece {
  /** Value of the label `app.kubernetes.io/component` on its objects. */
  readonly component: string;
  readonly kinds: readonly Kind[];
  readonly claim: Claim;
  /** Nothing in it is anybody else's, whoever has written into it: it is made anew as a whole. */
  readonly whole?: true;
  /** What of its own cluster it does not work without: it goes before that, and while it stays, that stays. */
  readonly standsOn: readonly PieceId[];
  /** What of the clusters that it leads to it does not work without. */
  readonly standsOnPeers?: readonly PieceId[];
  /** It links the clusters: it goes where only the mesh is taken apart, too. */
  readonly link?: true;
  readonly removal: Removal;
}

export type PieceId =
  | "namespace"
  | "trust"
  | "account"
  | "cni-namespace"
  | "cni"
  | "control-plane"
  | "gateway"
  | "exposure"
  | "access"
  | "remote-secret"
  | "probe";

const RBAC = "rbac.authorization.k8s.io/v1";
const ADMISSION = "admissionregistration.k8s.io/v1";
const NAMESPACE: Kind = { apiVersion: "v1", kind: "Namespace", clusterScoped: true };
const SECRET: Kind = { apiVersion: "v1", kind: "Secret" };
const ACCOUNT: Kind = { apiVersion: "v1", kind: "ServiceAccount" };
const BINDING: Kind = { apiVersion: RBAC, kind: "ClusterRoleBinding", clusterScoped: true };
/** What runs behind a Service. */
const SERVER: readonly Kind[] = [
  { apiVersion: "v1", kind: "Service" },
  { apiVersion: "apps/v1", kind: "Deployment" },
  { apiVersion: "policy/v1", kind: "PodDisruptionBudget" },
  { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" },
];

/** What istioctl makes of the values, in one version of Istio or another. */
const MANIFESTS: readonly Kind[] = [
  {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    claim: "share",
    unlabelled: true,
  } as const,
  { apiVersion: "v1", kind: "ConfigMap" },
  ACCOUNT,
  ...SERVER,
  { apiVersion: RBAC, kind: "Role" },
  { apiVersion: RBAC, kind: "RoleBinding" },
  { apiVersion: RBAC, kind: "ClusterRole", clusterScoped: true } as const,
  BINDING,
  { apiVersion: ADMISSION, kind: "MutatingWebhookConfiguration", clusterScoped: true } as const,
  { apiVersion: ADMISSION, kind: "ValidatingWebhookConfiguration", clusterScoped: true } as const,
  { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", rare: true } as const,
  { apiVersion: ADMISSION, kind: "ValidatingAdmissionPolicy", clusterScoped: true, rare: true } as const,
  { apiVersion: ADMISSION, kind: "ValidatingAdmissionPolicyBinding", clusterScoped: true, rare: true } as const,
].map((kind) => ({ ...kind, by: "istioctl" }));

/** Each stands on some of those before it. */
export const PIECES: Readonly<Record<PieceId, Piece>> = {
  namespace: {
    component: "control-plane",
    kinds: [NAMESPACE],
    claim: "share",
    standsOn: [],
    removal: "uninstall.namespace",
  },
  // The CA, as the Secret `cacerts`.
  trust: {
    component: "trust",
    kinds: [SECRET],
    claim: "suffices",
    standsOn: ["namespace"],
    removal: "uninstall.rest",
  },
  // The reader's account. The chart of a control plane brings one, too.
  account: {
    component: "reader",
    kinds: [ACCOUNT],
    claim: "suffices",
    standsOn: ["namespace"],
    removal: "uninstall.rest",
  },
  "cni-namespace": {
    component: "cni",
    kinds: [NAMESPACE],
    claim: "share",
    standsOn: [],
    removal: "uninstall.cni",
  },
  cni: {
    component: "cni",
    kinds: [{ apiVersion: "sailoperator.io/v1", kind: "IstioCNI", clusterScoped: true, by: "sail" }],
    claim: "suffices",
    standsOn: ["cni-namespace"],
    removal: "uninstall.cni",
  },
  "control-plane": {
    component: "control-plane",
    kinds: [{ apiVersion: "sailoperator.io/v1", kind: "Istio", clusterScoped: true, by: "sail" }, ...MANIFESTS],
    claim: "suffices",
    standsOn: ["namespace", "trust", "account", "cni"],
    removal: "uninstall.control-plane",
  },
  gateway: {
    component: "east-west-gateway",
    kinds: [ACCOUNT, ...SERVER],
    claim: "suffices",
    standsOn: ["control-plane"],
    removal: "uninstall.gateway",
  },
  exposure: {
    component: "exposure",
    kinds: [{ apiVersion: "networking.istio.io/v1", kind: "Gateway" }],
    claim: "suffices",
    standsOn: ["gateway"],
    link: true,
    removal: "uninstall.exposure",
  },
  // What the others read the cluster by. A token goes with its Secret, so the Secret must be ours to delete.
  access: {
    component: "reader",
    kinds: [{ ...SECRET, claim: "own" }, BINDING],
    claim: "suffices",
    standsOn: ["account"],
    link: true,
    removal: "uninstall.access",
  },
  // It is what one logs in with, made anew with each token, and what an edit has broken there is mended by that.
  "remote-secret": {
    component: "remote-secret",
    kinds: [SECRET],
    claim: "suffices",
    whole: true,
    standsOn: ["namespace"],
    standsOnPeers: ["access", "exposure"],
    link: true,
    removal: "uninstall.remote-secrets",
  },
  // A namespace takes along what is in it.
  probe: {
    component: "probe",
    kinds: [NAMESPACE],
    claim: "own",
    standsOn: [],
    link: true,
    removal: "uninstall.probes",
  },
};

const IDS = Object.keys(PIECES) as PieceId[];

/** Which piece an object is of, by its kind and the label of its component; `undefined`: of none that is made today. */
export function pieceOf({ kind, metadata }: KubernetesObject): PieceId | undefined {
  const component = metadata.labels?.[COMPONENT];
  return IDS.find((id) =>
    PIECES[id].kinds.some((each) => each.kind === kind && (each.unlabelled || PIECES[id].component === component)),
  );
}

/** The claim on an object that is wanted. */
export function claimOn(object: KubernetesObject): Claim {
  // Of a control plane that is adopted.
  if (object.metadata.annotations?.[ADOPTED] !== undefined) return "share";
  const id = pieceOf(object);
  if (!id) return "suffices";
  const { kinds, claim } = PIECES[id];
  return kinds.find(({ kind }) => kind === object.kind)?.claim ?? claim;
}

/** Whether nothing in an object of ours is anybody else's. */
export function isWhole(object: KubernetesObject): boolean {
  const id = pieceOf(object);
  return id !== undefined && PIECES[id].whole === true;
}

/** The kinds that `install` applies for a mesh, each once. The CNI plugin is asked for by some only. */
export function appliedKinds({ installer, gateway }: Pick<MeshSpec, "installer" | "gateway">): Kind[] {
  const made = IDS.filter((id) => id !== "probe" && id !== "cni" && (id !== "gateway" || gateway.install));
  const kinds = made
    .flatMap((id) => PIECES[id].kinds)
    .filter(({ by, rare }) => !rare && (by ?? installer) === installer);
  return once(kinds);
}

/** The kinds by which what is ours is found again, but for namespaces, which are found by their names. */
export function foundKinds(scope: UninstallScope): Kind[] {
  const kinds = within(scope).flatMap((id) => PIECES[id].kinds);
  return once(kinds.filter(({ kind, unlabelled }) => kind !== NAMESPACE.kind && !unlabelled));
}

const once = (kinds: readonly Kind[]) => [
  ...new Map(kinds.map((each) => [`${each.apiVersion} ${each.kind}`, each])).values(),
];
const within = (scope: UninstallScope) => IDS.filter((id) => scope === "all" || PIECES[id].link);

/** The step that takes down an object of ours; what is of no piece any more goes with the rest. */
export function removalOf(object: KubernetesObject): Removal {
  const id = pieceOf(object);
  return id ? PIECES[id].removal : "uninstall.rest";
}

/** A step that takes down, and what has to be done before. */
export interface Taking {
  readonly id: Removal;
  /** In the same cluster: what stands on it. */
  readonly after: readonly Removal[];
  /** In every cluster: what leads to it. */
  readonly afterAll: readonly Removal[];
}

/** The steps that take a mesh down, each after those that it waits for: the table, backwards. */
export function takenDown(scope: UninstallScope): Taking[] {
  const ids = within(scope).reverse();
  const standing = (removal: Removal, by: "standsOn" | "standsOnPeers") => [
    ...new Set(
      ids
        .filter((id) => PIECES[id].removal !== removal && PIECES[id][by]?.some((on) => PIECES[on].removal === removal))
        .map((id) => PIECES[id].removal),
    ),
  ];
  return [...new Set(ids.map((id) => PIECES[id].removal))].map((id) => ({
    id,
    after: standing(id, "standsOn"),
    afterAll: standing(id, "standsOnPeers"),
  }));
}
