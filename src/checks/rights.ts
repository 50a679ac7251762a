import type { Cluster } from "../cluster/cluster.ts";
import { groupResource } from "../cluster/resources.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { MeshSpec } from "../mesh/spec.ts";

export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verbs: readonly string[];
  /** Absent: cluster-wide. */
  readonly namespace?: string;
}

const READ = ["get"];
const WATCH = ["get", "list", "watch"];
// Server-side apply of a new object is a patch that the API server also checks as a create.
const APPLY = ["get", "create", "patch"];

/** What `install` needs from the API server, exactly: the source of the preflight check and of the documented role. */
export function installRights(mesh: MeshSpec): Right[] {
  const { namespace } = mesh;
  const right = (apiVersion: string, kind: string, verbs: readonly string[], where?: string): Right => ({
    ...groupResource({ apiVersion, kind }),
    verbs,
    ...(where ? { namespace: where } : {}),
  });
  const rbac = "rbac.authorization.k8s.io/v1";
  return [
    right("v1", "Namespace", APPLY),
    // The watch is for the gateway's Role, which grants it: nobody may grant what they do not have.
    right("v1", "Secret", [...APPLY, "list", ...(mesh.gateway.install ? ["watch"] : [])], namespace),
    right("v1", "ConfigMap", READ, namespace),
    right("v1", "ServiceAccount", APPLY, namespace),
    right("v1", "Service", [...APPLY, "list", "watch"], namespace),
    right("v1", "Pod", [...WATCH, "delete"], namespace),
    // Which of the two verbs an exec over a WebSocket takes depends on the Kubernetes version.
    { group: "", resource: "pods", subresource: "exec", verbs: ["get", "create"], namespace },
    right("apps/v1", "Deployment", [...APPLY, "list", "watch"], namespace),
    right(rbac, "ClusterRole", READ),
    right(rbac, "ClusterRoleBinding", APPLY),
    right("discovery.k8s.io/v1", "EndpointSlice", READ, "default"),
    right("networking.istio.io/v1", "Gateway", APPLY, namespace),
    ...(mesh.gateway.install
      ? [
          right("policy/v1", "PodDisruptionBudget", APPLY, namespace),
          right("autoscaling/v2", "HorizontalPodAutoscaler", APPLY, namespace),
          right(rbac, "Role", APPLY, namespace),
          right(rbac, "RoleBinding", APPLY, namespace),
        ]
      : []),
    ...(mesh.installer === "sail"
      ? [
          right("sailoperator.io/v1", "Istio", [...WATCH, "create", "patch"]),
          right("apiextensions.k8s.io/v1", "CustomResourceDefinition", READ),
          right("apps/v1", "Deployment", ["list"]),
        ]
      : [right("sailoperator.io/v1", "Istio", ["list"])]),
  ];
}

/** The rights that the kubeconfig's user lacks, as `patch secrets in istio-system`; one request where it may do all. */
export async function missingRights(cluster: Cluster, rights: readonly Right[]): Promise<string[]> {
  if (await allowed(cluster, { group: "*", resource: "*", verb: "*" })) return [];
  const wanted = rights.flatMap(({ verbs, ...rest }) => verbs.map((verb) => ({ ...rest, verb })));
  const answers = await Promise.all(wanted.map((attributes) => allowed(cluster, attributes)));
  return wanted
    .filter((_, i) => !answers[i])
    .map(({ verb, group, resource, subresource, namespace }) => {
      const name = `${resource}${group ? `.${group}` : ""}${subresource ? `/${subresource}` : ""}`;
      return `${verb} ${name}${namespace ? ` in ${namespace}` : ""}`;
    });
}

async function allowed(cluster: Cluster, resourceAttributes: Record<string, string>): Promise<boolean> {
  const review = await cluster.create<KubernetesObject & { status?: { allowed?: boolean } }>({
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    metadata: { name: "" },
    spec: { resourceAttributes },
  });
  return review.status?.allowed === true;
}
