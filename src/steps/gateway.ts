import { addressesOf } from "../checks/gateway.ts";
import { type Pod, rolledOut } from "../checks/pods.ts";
import type { Deployment } from "../checks/survey.ts";
import type { Cluster, ListQuery, Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { exposure } from "../mesh/objects/exposure.ts";
import { GATEWAY_NAME, GATEWAY_SELECTOR, gateway } from "../mesh/objects/gateway.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Needs, Run, Step } from "./run.ts";

interface Service extends KubernetesObject {
  spec?: { type?: string };
  status?: { loadBalancer?: { ingress?: { ip?: string; hostname?: string }[] } };
}

/** Asks for the gateway's Service before istiod is there: a cloud takes its time to give it an address. */
export function requestGatewayAddress(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  needs: Needs,
): Promise<void> {
  return run.step("install.gateway-service", { cluster: spec.name }, needs, async (step) => {
    // Nothing of these depends on the revision, which is not known yet.
    const { early, binding } = gateway(mesh, spec, "default");
    await Promise.all(early.map((object) => step.apply(cluster, object)));
    await step.apply(cluster, binding);
    return { value: undefined, evidence: `Service ${mesh.namespace}/${GATEWAY_NAME} asks for an address.` };
  });
}

/** Runs the gateway. Not before istiod is ready, whose webhook makes the pods proxies. */
export function runGateway(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
  needs: Needs,
): Promise<void> {
  return run.step("install.gateway-available", { cluster: spec.name }, [controlPlane, ...needs], async (step) => {
    const { revision } = await controlPlane;
    await Promise.all(gateway(mesh, spec, revision).late.map((object) => step.apply(cluster, object)));
    const inNamespace = { namespace: mesh.namespace };
    const replaced = new Set<string>();
    const { replicas } = await cluster.waitFor(
      `the gateway Deployment ${mesh.namespace}/${GATEWAY_NAME} to be available`,
      {
        deployment: {
          apiVersion: "apps/v1",
          kind: "Deployment",
          ...inNamespace,
          fieldSelector: `metadata.name=${GATEWAY_NAME}`,
        },
        pods: { apiVersion: "v1", kind: "Pod", ...inNamespace, labelSelector: `app=${GATEWAY_NAME}` },
      },
      async (seen) => {
        const pods = (seen.pods as unknown as Pod[]).filter((pod) => !pod.metadata.deletionTimestamp);
        await replaceUninjected(step, cluster, pods, replaced);
        return rolledOut(seen.deployment[0] as Deployment | undefined, pods);
      },
    );
    return {
      value: undefined,
      evidence: `${replicas} gateway pod${replicas === 1 ? " is" : "s are"} ready and injected.`,
    };
  });
}

/** Waits until the network's gateway, ours or the cluster's own, has an address. */
export function gatewayAddress(run: Run, mesh: MeshSpec, { spec, cluster }: Member, needs: Needs): Promise<void> {
  return run.step("install.gateway-address", { cluster: spec.name }, needs, async () => {
    const services: ListQuery = {
      apiVersion: "v1",
      kind: "Service",
      namespace: mesh.namespace,
      labelSelector: `istio=${GATEWAY_SELECTOR.istio},${NETWORK_LABEL}=${spec.network}`,
    };
    const addresses = await cluster.waitFor("the gateway's Service to get an address", { services }, (seen) =>
      addressed(seen.services as Service[]),
    );
    run.clusterReport(spec.name).gatewayAddresses = addresses;
    const list = addresses.join(", ");
    return {
      value: undefined,
      evidence: list ? `The gateway's address is ${list}.` : "The gateway is a NodePort Service.",
    };
  });
}

/** Exposes the cluster's services through the gateway. Needs istiod, whose webhook looks at the object. */
export function exposeServices(run: Run, mesh: MeshSpec, { spec, cluster }: Member, needs: Needs): Promise<void> {
  return run.step("install.exposure", { cluster: spec.name }, needs, async (step) => {
    await step.apply(cluster, exposure(mesh));
    return { value: undefined, evidence: "Gateway cross-network-gateway exposes *.local on 15443, AUTO_PASSTHROUGH." };
  });
}

/**
 * Pods that were made before istiod's webhook served keep the placeholder image for ever: only new ones are injected.
 */
async function replaceUninjected(
  step: Step,
  cluster: Cluster,
  pods: readonly Pod[],
  replaced: Set<string>,
): Promise<void> {
  for (const pod of pods.filter(isUninjected)) {
    const { uid = "", namespace = "", name } = pod.metadata;
    if (replaced.has(uid)) continue;
    replaced.add(uid);
    step.say(`Pod ${name} was made before injection served; it is replaced.`);
    await step.delete(cluster, { apiVersion: "v1", kind: "Pod", namespace, name }, uid);
  }
}

/** Whether a gateway's pod has the placeholder image still. */
export function isUninjected({ spec }: Pod): boolean {
  return spec?.containers.some(({ image }) => image === "auto") ?? false;
}

/** IPs and host names of the network's gateway. A NodePort Service has none of its own: istiod takes the nodes'. */
export function addressed(services: readonly Service[]): Probe<string[]> {
  if (services.length === 0) return { seen: "there is no Service with the network's labels" };
  const addresses = addressesOf(services);
  if (addresses.length > 0 || services.some(({ spec }) => spec?.type === "NodePort")) return { done: addresses };
  const names = services.map(({ metadata }) => metadata.name).join(", ");
  return { seen: `Service ${names} has no address yet; is there a load balancer controller?` };
}
