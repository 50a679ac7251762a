import type { Cluster } from "../cluster/cluster.ts";
import { groupResource } from "../cluster/resources.ts";
import { POLICIES } from "../facts/policies.ts";
import { ROOT_CONFIG_MAP } from "../facts/trust.ts";
import { cniNamespaceName } from "../mesh/objects/cni.ts";
import { LEASE } from "../mesh/objects/lease.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { appliedKinds, foundKinds } from "../mesh/pieces.ts";
import type { Installer, MeshSpec, UninstallScope } from "../mesh/spec.ts";

export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verbs: readonly string[];
  /** Of objects of these names alone. */
  readonly names?: readonly string[];
  /** Absent: cluster-wide. */
  readonly namespace?: string;
}

const READ = ["get"];
const WATCH = ["get", "list", "watch"];
// Server-side apply of a new object is a patch that the API server also checks as a create.
const APPLY = ["get", "create", "patch"];
// So that no other run writes meanwhile.
const LOCK = ["get", "create", "patch"];

const right = (apiVersion: string, kind: string, verbs: readonly string[], where?: string): Right => ({
  ...groupResource({ apiVersion, kind }),
  verbs,
  ...(where ? { namespace: where } : {}),
});
const podLog = (where?: string): Right => ({
  group: "",
  resource: "pods",
  subresource: "log",
  verbs: ["get"],
  ...(where ? { namespace: where } : {}),
});
// Which of the two verbs an exec over a WebSocket takes depends on the Kubernetes version.
const exec = (namespace?: string): Right => ({
  group: "",
  resource: "pods",
  subresource: "exec",
  verbs: ["get", "create"],
  ...(namespace ? { namespace } : {}),
});
const tokenRequest = (namespace: string): Right => ({
  group: "",
  resource: "serviceaccounts",
  subresource: "token",
  verbs: ["create"],
  namespace,
});
const RBAC = "rbac.authorization.k8s.io/v1";

/**
 * What `install` needs from the API server, exactly: the source of the preflight check and of the documented role.
 * @param prune whether remote secrets for clusters that have left are removed
 */
export function installRights(mesh: MeshSpec, prune = false): Right[] {
  const { namespace } = mesh;
  return merged([
    ...appliedKinds(mesh).map(({ apiVersion, kind, clusterScoped }) =>
      right(apiVersion, kind, APPLY, clusterScoped ? undefined : namespace),
    ),
    right("v1", "Secret", ["list"], namespace),
    right("v1", "ConfigMap", READ, namespace),
    right("v1", "Service", WATCH, namespace),
    right("v1", "Pod", [...WATCH, "delete"], namespace),
    podLog(namespace),
    exec(namespace),
    // istiod may have to be restarted.
    right("apps/v1", "Deployment", [...WATCH, "patch"], namespace),
    right(RBAC, "ClusterRole", READ),
    right("discovery.k8s.io/v1", "EndpointSlice", READ, "default"),
    // What exposes services already may be anywhere, as gateways of the clusters' own may.
    right("networking.istio.io/v1", "Gateway", ["list"]),
    right("gateway.networking.k8s.io/v1", "Gateway", ["list"]),
    ...(mesh.gateway.install
      ? []
      : [right("v1", "Service", WATCH), right("v1", "Pod", ["list"]), right("apps/v1", "Deployment", ["list"])]),
    right("authentication.k8s.io/v1", "TokenReview", ["create"]),
    right(LEASE.apiVersion, LEASE.kind, LOCK, LEASE.namespace),
    ...(mesh.tokenTtl === undefined ? [] : [tokenRequest(namespace)]),
    ...OF_INSTALLER[mesh.installer](namespace),
    ...(mesh.exposed?.length === 0 ? [right("networking.istio.io/v1", "Gateway", ["delete"], namespace)] : []),
    // Which of them more than one cluster has is told before the first reads the second.
    right("v1", "Service", ["list"]),
    // Who runs under the old name is counted.
    ...(mesh.adopt ? [right("v1", "Pod", ["list"])] : []),
    ...(prune ? pruneRights(mesh) : []),
    ...(mesh.trust.transition ? ROOT_CHANGE : []),
    ...(mesh.trust.restart ?? []).flatMap((each) =>
      ["Deployment", "StatefulSet", "DaemonSet"].map((kind) => right("apps/v1", kind, ["list", "patch"], each)),
    ),
  ]);
}

/** What a change of the root needs beside: every proxy is asked what it trusts, and every namespace looked at. */
export const ROOT_CHANGE: readonly Right[] = [
  right("v1", "Pod", ["list"]),
  exec(),
  right("v1", "ConfigMap", ["list"]),
  right("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", ["list"]),
];

/** What it takes to give back an `Istio` that was adopted. */
export function giveBackRights(): Right[] {
  return [right("sailoperator.io/v1", "Istio", ["patch"]), right("v1", "Pod", ["list"])];
}

/** What `prune` needs beside. */
export function pruneRights({ namespace }: MeshSpec): Right[] {
  return [right("v1", "Secret", ["delete"], namespace)];
}

/** Beside what is applied. */
const OF_INSTALLER: Readonly<Record<Installer, (namespace: string) => Right[]>> = {
  sail: () => [
    right("sailoperator.io/v1", "Istio", WATCH),
    right("sailoperator.io/v1", "IstioRevision", ["list", "watch"]),
    right("sailoperator.io/v1", "IstioCNI", READ),
    right("apiextensions.k8s.io/v1", "CustomResourceDefinition", READ),
    // The operator's, wherever it is.
    right("apps/v1", "Deployment", ["list"]),
    right("coordination.k8s.io/v1", "Lease", ["list"]),
  ],
  // istiod's own rights are among what istioctl makes: nobody may grant what they do not have, unless they may escalate.
  istioctl: (namespace) => [
    right("sailoperator.io/v1", "Istio", ["list"]),
    right(RBAC, "ClusterRole", ["escalate", "bind"]),
    right(RBAC, "Role", ["escalate", "bind"], namespace),
  ],
  existing: () => [right("sailoperator.io/v1", "Istio", ["list"])],
};

/** What the CNI plugin needs beside the others, where it is installed. */
export function cniRights(mesh: MeshSpec): Right[] {
  return [
    right("sailoperator.io/v1", "IstioCNI", [...WATCH, "create", "patch"]),
    right("apps/v1", "DaemonSet", ["list", "watch"], cniNamespaceName(mesh)),
  ];
}

/** What `rotate` needs. The Deployments are those of istiod, which may have to be restarted. */
export function rotateRights({ namespace, tokenTtl }: MeshSpec): Right[] {
  return [
    right("v1", "Namespace", READ),
    right("v1", "Secret", [...APPLY, "list", "delete"], namespace),
    right("v1", "ConfigMap", READ, namespace),
    right("v1", "Pod", ["list", "watch"], namespace),
    podLog(namespace),
    exec(namespace),
    right("apps/v1", "Deployment", [...WATCH, "patch"], namespace),
    right(RBAC, "ClusterRole", READ),
    right("discovery.k8s.io/v1", "EndpointSlice", READ, "default"),
    right("sailoperator.io/v1", "Istio", ["list"]),
    right("authentication.k8s.io/v1", "TokenReview", ["create"]),
    right(LEASE.apiVersion, LEASE.kind, LOCK, LEASE.namespace),
    ...(tokenTtl === undefined ? [] : [tokenRequest(namespace)]),
  ];
}

/**
 * What a verification needs.
 * @param traffic with the probe, whose namespace is new each time
 * @param services with Services of the user's, which policies may hide
 */
export function verifyRights({ namespace }: MeshSpec, traffic: boolean, services = false): Right[] {
  return [
    right("v1", "Namespace", ["get", "list", ...(traffic ? ["watch", "create", "delete"] : [])]),
    right("v1", "Secret", ["get", "list"], namespace),
    right("v1", "ConfigMap", READ, namespace),
    // Each namespace's, by which its pods trust istiod.
    { ...right("v1", "ConfigMap", ["list"]), names: [ROOT_CONFIG_MAP] },
    right("v1", "ServiceAccount", ["list"], namespace),
    exec(namespace),
    // Gateways may be anywhere.
    right("v1", "Service", ["list"]),
    right("v1", "Pod", ["list", ...(traffic ? ["watch", "create", "delete"] : [])]),
    right("apps/v1", "Deployment", ["list"]),
    right("networking.istio.io/v1", "Gateway", ["list"]),
    right("gateway.networking.k8s.io/v1", "Gateway", ["list"]),
    right("sailoperator.io/v1", "Istio", ["list"]),
    right(RBAC, "ClusterRoleBinding", ["list"]),
    // Which pods were to be injected, and by whom.
    right("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", ["list"]),
    right("authentication.k8s.io/v1", "TokenReview", ["create"]),
    right("authorization.k8s.io/v1", "SubjectAccessReview", ["create"]),
    // What the clusters offer each other is held against what istiod has.
    right("discovery.k8s.io/v1", "EndpointSlice", ["get", "list"]),
    ...(services ? POLICIES.map(({ apiVersion, kind }) => right(apiVersion, kind, ["list"])) : []),
    ...(traffic
      ? [
          right("v1", "ServiceAccount", ["create"]),
          right("v1", "ConfigMap", ["create"]),
          right("v1", "Service", ["create"]),
          right("security.istio.io/v1", "AuthorizationPolicy", ["create"]),
          { group: "", resource: "pods", subresource: "proxy", verbs: ["get"] },
          // Why requests fail, where they do.
          ...POLICIES.map(({ apiVersion, kind }) => right(apiVersion, kind, ["list"], namespace)),
        ]
      : []),
  ];
}

/** What the diagnostics can use beside what a verification needs. Without, they say what they could not read. */
export function diagnosticsRights({ namespace }: MeshSpec): Right[] {
  return [
    right("v1", "Event", ["list"], namespace),
    // The operator has a namespace of its own.
    podLog(),
    // In the probe's namespace: by it the probe's proxies tell by response flags why a request failed. Else their words are read.
    right("networking.istio.io/v1alpha3", "EnvoyFilter", ["create"]),
  ];
}

/** What `uninstall` needs. */
export function uninstallRights({ namespace }: MeshSpec, scope: UninstallScope): Right[] {
  const remove = ["get", "list", "watch", "delete"];
  return [
    ...foundKinds(scope).map(({ apiVersion, kind, clusterScoped }) =>
      right(apiVersion, kind, remove, clusterScoped ? undefined : namespace),
    ),
    right(LEASE.apiVersion, LEASE.kind, [...LOCK, ...(scope === "all" ? ["delete"] : [])], LEASE.namespace),
    // Of probes. The patch gives the network's label back, where the namespace is somebody else's.
    right("v1", "Namespace", [...remove, ...(scope === "all" ? ["patch"] : [])]),
    ...(scope === "all"
      ? [
          right("v1", "Pod", ["list", "watch"], namespace),
          right("sailoperator.io/v1", "IstioRevision", ["list", "watch"]),
          right("apps/v1", "Deployment", ["list"]),
          right("coordination.k8s.io/v1", "Lease", ["list"]),
          contentsRight(namespace),
        ]
      : []),
  ];
}

/** To see that a namespace holds nothing of anybody else's: it takes along whatever is in it. */
export function contentsRight(namespace: string): Right {
  return { group: "*", resource: "*", verbs: ["list"], namespace };
}

/** The same rights with each resource once. */
export function merged(rights: readonly Right[]): Right[] {
  const groups = Map.groupBy(rights, ({ verbs: _, ...where }) => JSON.stringify(Object.entries(where).sort()));
  return [...groups.values()].map((same) => ({
    ...(same[0] as Right),
    verbs: [...new Set(same.flatMap(({ verbs }) => verbs))],
  }));
}

/** The rights that the kubeconfig's user lacks, as `patch secrets in istio-system`; one request where it may do all. */
export async function missingRights(cluster: Cluster, rights: readonly Right[]): Promise<string[]> {
  if (await allowed(cluster, { group: "*", resource: "*", verb: "*" })) return [];
  const wanted = rights.flatMap(({ verbs, names = [], ...rest }) => {
    const each = names.length > 0 ? names.map((name) => ({ ...rest, name })) : [rest];
    return verbs.flatMap((verb) => each.map((which) => ({ ...which, verb })));
  });
  const answers = await Promise.all(wanted.map((attributes) => allowed(cluster, attributes)));
  return wanted
    .filter((_, i) => !answers[i])
    .map(({ verb, group, resource, subresource, namespace, ...which }) => {
      const kind = `${resource}${group ? `.${group}` : ""}${subresource ? `/${subresource}` : ""}`;
      const name = "name" in which ? `${kind} named ${which.name}` : kind;
      return `${verb} ${name}${namespace ? ` in ${namespace}` : ""}`;
    });
}

/** Whether somebody may do something in a cluster. @param who the user and its groups; absent: who is logged in */
export async function allowed(
  cluster: Cluster,
  resourceAttributes: Readonly<Record<string, string>>,
  who?: { readonly user: string; readonly groups: readonly string[] },
): Promise<boolean> {
  const review = await cluster.create<KubernetesObject & { status?: { allowed?: boolean } }>({
    apiVersion: "authorization.k8s.io/v1",
    kind: who ? "SubjectAccessReview" : "SelfSubjectAccessReview",
    metadata: { name: "" },
    spec: { ...who, resourceAttributes },
  });
  return review.status?.allowed === true;
}
