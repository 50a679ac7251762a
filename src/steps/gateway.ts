import { addressEvidence, addressesOf, isByNodes, type Service, withoutAddress } from "../checks/gateway-service.ts";
import { notLookedAt, readGateways } from "../checks/gateways.ts";
import { cannotPull, isActive, rolledOut } from "../checks/pods.ts";
import type { Cluster, Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { injectorValues } from "../facts/config.ts";
import { readMeshConfig } from "../facts/mesh-config.ts";
import { Failure } from "../mesh/failure.ts";
import { fields } from "../mesh/fields.ts";
import { pullPolicy } from "../mesh/images.ts";
import { OPENSHIFT_API } from "../mesh/objects/cni.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { GATEWAY_NAME, type GatewayObjects, gateway } from "../mesh/objects/gateway.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { hasOtherNetworks, type MeshSpec } from "../mesh/spec.ts";
import { parseYaml } from "../mesh/yaml.ts";
import type { ControlPlane } from "./control-plane.ts";
import { Refusals } from "./refused.ts";
import type { Needs, Run } from "./run.ts";
import type { Step } from "./step.ts";
import { noOtherRoot } from "./trust.ts";

/** Asks for the gateway's Service before istiod is there: a cloud takes its time to give it an address. */
export function requestGatewayAddress(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  needs: Needs,
): Promise<void> {
  return run.step("install.gateway-service", { cluster: spec.name }, needs, async (step) => {
    // Nothing of these depends on the revision or the version.
    const { early } = gateway(mesh, spec, "default");
    await Promise.all(early.map((object) => step.apply(cluster, object)));
    return { value: undefined, evidence: `Service ${mesh.namespace}/${GATEWAY_NAME} asks for an address.` };
  });
}

/**
 * Runs the gateway. Not before istiod is ready, whose webhook makes the pods proxies.
 * @param version what istiod runs, where that is known
 * @param newRoot SHA-256 of the mesh's root of trust where istiod is new; empty where it is known to be told already
 */
export function runGateway(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
  version: string | undefined,
  newRoot: Promise<string>,
  needs: Needs,
): Promise<void> {
  return run.step("install.gateway-available", { cluster: spec.name }, [controlPlane, ...needs], async (step) => {
    const { revision } = await controlPlane;
    await noOtherRoot(mesh, cluster, await newRoot);
    const { late } = await gatewayObjects(mesh, { spec, cluster }, revision, version);
    const applied = await Promise.all(late.map((object) => step.apply(cluster, object)));
    const isOurs = applied.some(({ object, left }) => object.kind === "Deployment" && !left);
    const inNamespace = { namespace: mesh.namespace };
    const outdated = new OutdatedPods(step, cluster);
    const refusals = new Refusals(step, cluster);
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
        const pods = (seen.pods as unknown as Pod[]).filter(isActive);
        if (isOurs) await outdated.replace(pods.filter(isOfGateway));
        const deployment = seen.deployment[0] as Deployment | undefined;
        await refusals.look(deployment, pods);
        return rolledOut(deployment, pods);
      },
    );
    return {
      value: undefined,
      evidence: `${replicas} gateway pod${replicas === 1 ? " is" : "s are"} ready and injected.`,
    };
  });
}

/** The gateway's objects, as the platform and the control plane that is there have them. @param version see `gateway` */
export async function gatewayObjects(
  mesh: MeshSpec,
  { spec, cluster }: Pick<Member, "spec" | "cluster">,
  revision: string,
  version: string | undefined,
): Promise<GatewayObjects> {
  const [openShift, values] = await Promise.all([
    cluster.serves(OPENSHIFT_API),
    injectorValues(cluster, mesh.namespace, revision),
  ]);
  const parsed = parseYaml(values ?? "");
  const injected = "value" in parsed ? fields(parsed.value) : {};
  return gateway(mesh, spec, revision, version, openShift, pullPolicy(spec.values, injected));
}

/**
 * Waits until the network's gateway, ours or the cluster's own, has an address.
 * @param revision of the control plane, which finds the cluster's own gateway
 * @param labelled the namespace with its network label, where that had to wait for it
 */
export function gatewayAddress(
  run: Run,
  mesh: MeshSpec,
  member: Member,
  revision: Promise<string>,
  needs: Needs,
  labelled: KubernetesObject | undefined,
): Promise<void> {
  const { spec, cluster } = member;
  return run.step("install.gateway-address", { cluster: spec.name }, needs, async (step) => {
    if (!mesh.gateway.install && !hasOtherNetworks(mesh, spec.network)) {
      if (labelled) await step.apply(cluster, labelled);
      return { value: undefined, evidence: `All clusters are in network ${spec.network}: no gateway is needed.` };
    }
    const addresses = mesh.gateway.install
      ? await addressOfOurs(mesh, member)
      : await addressOfOwn(mesh, member, await revision);
    run.clusterReport(spec.name).gatewayAddresses = addresses ?? [];
    if (labelled) await step.apply(cluster, labelled);
    const elsewhere = `There is no gateway of its own: network ${spec.network} is reached by that of another cluster in it.`;
    return { value: undefined, evidence: addresses ? addressEvidence(addresses) : elsewhere };
  });
}

const ADDRESS = "the gateway's Service to get an address";

function addressOfOurs({ namespace }: MeshSpec, { cluster }: Member): Promise<string[]> {
  const services = { apiVersion: "v1", kind: "Service", namespace, fieldSelector: `metadata.name=${GATEWAY_NAME}` };
  return cluster.waitFor(ADDRESS, { services }, (seen) => addressed(seen.services as Service[]));
}

/**
 * Looks for it where istiod does: in any namespace, by the network's label, or by the mesh configuration.
 * @returns `undefined` where the cluster has none, and another one of its network may
 */
async function addressOfOwn(
  { namespace, clusters }: MeshSpec,
  { spec, cluster }: Member,
  revision: string,
): Promise<string[] | undefined> {
  const isShared = clusters.some(({ name, network }) => name !== spec.name && network === spec.network);
  const config = await readMeshConfig(cluster, namespace, revision);
  const services = { apiVersion: "v1", kind: "Service", labelSelector: NETWORK_LABEL };
  return cluster.waitFor(ADDRESS, { services }, async (): Promise<Look<string[] | undefined>> => {
    const found = await readGateways(cluster, spec, config);
    const [hidden] = found.hidden;
    if (hidden) {
      const { cause, hint } = notLookedAt(hidden, spec.network, namespace);
      throw new Failure(cause, hint);
    }
    if (found.services.length === 0 && found.addresses.length > 0) return { done: [...found.addresses] };
    if (found.services.length === 0 && isShared) return { done: undefined };
    return addressed(found.services);
  });
}

/** How long a pod that replaces one without an image may be without one, in milliseconds, and how often that is tried. */
const IMAGE_PATIENCE = 30_000;
const IMAGE_TRIES = 3;

/**
 * Pods that will never run as they are, for only new ones are injected: those that were made before istiod's webhook
 * served, which keep the placeholder image, and those of an earlier run that cannot pull an image which may be another by
 * now. istiod takes up to a minute to notice that: its configuration is a volume.
 */
class OutdatedPods {
  readonly #step: Step;
  readonly #cluster: Cluster;
  readonly #replaced = new Set<string>();
  /** Since when pods have been seen without an image, by UID. */
  readonly #withoutImage = new Map<string, number>();
  #tries: number | undefined;

  constructor(step: Step, cluster: Cluster) {
    this.#step = step;
    this.#cluster = cluster;
  }

  async replace(pods: readonly Pod[]): Promise<void> {
    for (const pod of pods.filter(isUninjected)) await this.#replace(pod, "was made before injection served");
    const now = performance.now();
    const stuck = pods.filter(cannotPull).map((pod) => ({ pod, since: this.#since(pod, now) }));
    // What this run has made itself has the image that it is to have.
    const first = this.#tries === undefined;
    this.#tries ??= stuck.length > 0 ? IMAGE_TRIES : 0;
    const due = stuck.filter(({ since }) => first || now - since >= IMAGE_PATIENCE);
    if (due.length === 0 || this.#tries-- <= 0) return;
    for (const { pod } of due) await this.#replace(pod, "cannot pull its image");
  }

  #since({ metadata: { uid = "" } }: Pod, now: number): number {
    const since = this.#withoutImage.get(uid) ?? now;
    this.#withoutImage.set(uid, since);
    return since;
  }

  async #replace(pod: Pod, why: string): Promise<void> {
    const { uid = "", name } = pod.metadata;
    if (this.#replaced.has(uid)) return;
    this.#replaced.add(uid);
    this.#step.say(`Pod ${name} ${why}; it is replaced.`);
    await this.#step.replacePod(this.#cluster, pod);
  }
}

/** Whether a pod is the gateway's Deployment's: its ReplicaSets have its name and their pods' hash. */
export function isOfGateway({ metadata: { ownerReferences = [], labels = {} } }: Pod): boolean {
  const name = `${GATEWAY_NAME}-${labels["pod-template-hash"]}`;
  return ownerReferences.some((owner) => owner.kind === "ReplicaSet" && owner.name === name);
}

/** Whether a gateway's pod has the placeholder image still. */
export function isUninjected({ spec }: Pod): boolean {
  return spec?.containers.some(({ image }) => image === "auto") ?? false;
}

/** IPs and host names of the network's gateway; none of one whose addresses are its nodes'. */
export function addressed(services: readonly Service[]): Look<string[]> {
  const [service] = services;
  if (!service) return { seen: `there is no Service with the label ${NETWORK_LABEL} of this network` };
  const addresses = addressesOf(services);
  if (addresses.length > 0 || services.some(isByNodes)) return { done: addresses };
  const { cause, hint } = withoutAddress(service);
  return { seen: `Service ${service.metadata.name} ${cause}`, hint };
}
