import { Cluster, type KubernetesObject } from "../e2e/cluster.ts";

/** What one cluster took for itself, in seconds, by the times that its own objects bear. */
export interface OwnTime {
  /** From the Istio resource's creation until the operator had reconciled it and every pod of istiod was ready. */
  readonly controlPlane: number;
  /** From the gateway Deployment's creation until every pod of it was ready and its Service had an address. */
  readonly gateway: number;
}

/** What is meant by it, for whoever reads the figures. */
export const OWN_TIME = `A cluster's own time is what nobody outside can make shorter: from the creation of its Istio resource until the operator's
condition Reconciled and the condition Ready of istiod's pods, and from the creation of the gateway's Deployment until the
condition Ready of its pods and the address of its Service. What lies between the two, before and after them is overhead:
start, preflight, certificates, remote secrets, the reading of the other clusters. Kubernetes' times are full seconds, so a
sum of the two may be off by a second or so.`;

/** Reads what a cluster that was just installed took for itself. */
export async function ownTime(kubeconfig: string): Promise<OwnTime> {
  const cluster = new Cluster(0, kubeconfig);
  const gatewayName = "istio-eastwestgateway";
  const [istio, istiods, deployment, gateways, service] = await Promise.all([
    cluster.get("istios.sailoperator.io", "default"),
    cluster.list("pods", "-n", "istio-system", "-l", "app=istiod"),
    cluster.get("deployment", gatewayName),
    cluster.list("pods", "-n", "istio-system", "-l", `app=${gatewayName}`),
    cluster.get("service", gatewayName, "istio-system", "--show-managed-fields"),
  ]);
  const reconciled = since(istio, "Reconciled");
  const addressed = service.metadata.managedFields?.find(
    ({ subresource }: KubernetesObject) => subresource === "status",
  )?.time;
  return {
    controlPlane: seconds(istio.metadata.creationTimestamp, reconciled, ...istiods.map(ready)),
    gateway: seconds(deployment.metadata.creationTimestamp, addressed, ...gateways.map(ready)),
  };
}

const ready = (pod: KubernetesObject) => since(pod, "Ready");

/** Since when a condition is true. */
function since({ status }: KubernetesObject, type: string): string | undefined {
  return status.conditions?.find((each: KubernetesObject) => each.type === type && each.status === "True")
    ?.lastTransitionTime;
}

/** To the latest of the ends that are known. */
function seconds(begin: string, ...ends: readonly (string | undefined)[]): number {
  const times = ends.flatMap((end) => (end ? Date.parse(end) : []));
  return (Math.max(...times) - Date.parse(begin)) / 1000;
}
