import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { CLUSTER_READER, chartReaderRole, READER, readerAccount, readerBinding } from "../mesh/objects/reader.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Run } from "./run.ts";

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
  return run.step("remote.reader", { cluster: spec.name }, [controlPlane], async (step) => {
    const { revision } = await controlPlane;
    const account = readerAccount(mesh);
    const { name, namespace = "" } = account.metadata;
    const existing = await cluster.get({ apiVersion: "v1", kind: "ServiceAccount", namespace, name });
    if (!existing) await step.apply(cluster, account);

    const bind = async (role: string) => {
      await step.apply(cluster, readerBinding(mesh, role));
      return { value: undefined, evidence: `${READER} is bound to ClusterRole ${role}.` };
    };
    if (mesh.readerRole !== "auto") return bind(mesh.readerRole);
    if (survey.hasClusterReader) return bind(CLUSTER_READER);

    const role = chartReaderRole(mesh, revision);
    const rbac = "rbac.authorization.k8s.io/v1";
    const [binding, clusterRole] = await Promise.all([
      cluster.get<Binding>({ apiVersion: rbac, kind: "ClusterRoleBinding", name: role }),
      cluster.get({ apiVersion: rbac, kind: "ClusterRole", name: role }),
    ]);
    if (!clusterRole) {
      throw new Failure(
        `There is no role for ${READER}: neither ClusterRole ${CLUSTER_READER} nor Istio's own ${role} exists.`,
        "Name a ClusterRole that may read the cluster in the input `reader-role`, or set the Helm value global.enableReaderRBAC.",
      );
    }
    if (binding?.subjects?.some((subject) => subject.name === READER && subject.namespace === mesh.namespace)) {
      return { value: undefined, evidence: `Istio's own binding ${role} covers ${READER}.` };
    }
    return bind(role);
  });
}
