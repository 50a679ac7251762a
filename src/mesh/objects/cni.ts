import { fields } from "../fields.ts";
import type { ClusterSpec, MeshSpec, SettledMesh, Values } from "../spec.ts";
import { mergeValues } from "./control-plane.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

export const ISTIO_CNI = { apiVersion: "sailoperator.io/v1", kind: "IstioCNI" } as const;

/** The only name that the operator takes: a cluster has one CNI plugin. */
export const CNI_NAME = "default";
/** Where the plugin's DaemonSet goes; the operator does not make it. */
export const cniNamespaceName = ({ cni }: Pick<MeshSpec, "cni">): string => cni?.namespace ?? "istio-cni";

/** Served on OpenShift, and nowhere else; the operator tells the platform by it, too. */
export const OPENSHIFT_API = "config.openshift.io/v1";

/** Whether the values say that the CNI plugin sets up the pods' networks; `undefined`: they do not say. */
export function cniAsked(values: Values | undefined): boolean | undefined {
  const { pilot, global, platform } = fields(values);
  const { enabled } = fields(fields(pilot).cni);
  if (typeof enabled === "boolean") return enabled;
  return platform === "openshift" || fields(global).platform === "openshift" ? true : undefined;
}

export function cniNamespace(mesh: MeshSpec): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: cniNamespaceName(mesh), labels: ownership(mesh, "cni") },
  };
}

/** The Sail Operator's `IstioCNI` resource, in the control plane's version. */
export function istioCni(mesh: SettledMesh, { cniHub }: Pick<ClusterSpec, "cniHub">): KubernetesObject {
  const values = mergeValues(mesh.cni?.values ?? {}, cniHub ? { global: { hub: cniHub } } : {});
  return {
    ...ISTIO_CNI,
    metadata: { name: CNI_NAME, labels: ownership(mesh, "cni") },
    spec: {
      version: `v${mesh.istioVersion}`,
      namespace: cniNamespaceName(mesh),
      ...(Object.keys(values).length > 0 ? { values } : {}),
    },
  };
}
