import { type Exposed, exposureHosts, servicesAreExposed } from "../checks/exposure.ts";
import type { IstioGateway, KubernetesGateway } from "../checks/gateway-resource.ts";
import { mtlsPort } from "../checks/gateway-service.ts";
import { type Gateways, namespacesOf, readGateways, whereIstiodLooks } from "../checks/gateways.ts";
import type { Survey } from "../checks/survey.ts";
import { type Taking, takingOf } from "../checks/taking.ts";
import type { Member } from "../cluster/member.ts";
import { clusterDomainOf } from "../facts/identity.ts";
import { readMeshConfig } from "../facts/mesh-config.ts";
import { isOurs, type Owner, ownerOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { fields, text } from "../mesh/fields.ts";
import { matches } from "../mesh/label-selector.ts";
import { type ExposureOf, exposure } from "../mesh/objects/exposure.ts";
import { GATEWAY_SELECTOR, gateway } from "../mesh/objects/gateway.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { ClusterSpec, ExposedSpec, MeshSpec } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import type { Needs, Run } from "./run.ts";

/** What is to be applied so that the cluster's services are exposed, if anything is, and what there is to say of it. */
export interface ExposurePlan {
  readonly object?: IstioGateway;
  /** Ours, which is to go. */
  readonly gone?: IstioGateway;
  readonly evidence: string;
}

/** Exposes the cluster's services through the gateway. Needs istiod, whose webhook looks at the object. */
export function exposeServices(
  run: Run,
  mesh: MeshSpec,
  member: Member,
  survey: Survey,
  revision: Promise<string>,
  needs: Needs,
): Promise<void> {
  return run.step("install.exposure", { cluster: member.spec.name }, needs, async (step) => {
    const { object, gone, evidence } = await planExposure(mesh, member, survey, await revision);
    if (gone) await step.delete(member.cluster, gone);
    if (object) await step.apply(member.cluster, object);
    return { value: undefined, evidence };
  });
}

/**
 * Whether a Gateway of ours is needed, and which: none where what others made does the job. It throws a `Failure` where one
 * of ours and one of theirs would let the same names in, for then the gateway lets nobody in.
 */
export async function planExposure(
  mesh: MeshSpec,
  member: Member,
  survey: Survey,
  revision: string,
): Promise<ExposurePlan> {
  const { spec, cluster } = member;
  const domain = clusterDomain(spec, survey);
  // Those of all namespaces: any of them may select the gateway's pods.
  const config = await readMeshConfig(cluster, mesh.namespace, revision);
  const [gateways, exposures, kubernetesGateways] = await Promise.all([
    mesh.gateway.install ? gatewaysToBe(mesh, spec) : readGateways(cluster, spec, config),
    cluster.list<IstioGateway>({ apiVersion: "networking.istio.io/v1", kind: "Gateway" }),
    cluster.list<KubernetesGateway>({ apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway" }),
  ]);
  const namespaces = [mesh.namespace, ...namespacesOf([...exposures, ...kubernetesGateways])];
  const looksAt = await whereIstiodLooks(cluster, config.discoverySelectors, namespaces);
  const taking = takingOf(survey.controlPlanes.istiod, survey.istiods, looksAt);
  return decideExposure(mesh, ownerOf(mesh, survey.uid), domain, gateways, { exposures, kubernetesGateways, taking });
}

/** See `planExposure`. */
export function decideExposure(
  mesh: Pick<MeshSpec, "id" | "namespace" | "exposed">,
  owner: Owner,
  domain: string,
  gateways: Gateways,
  {
    exposures,
    kubernetesGateways,
    taking,
  }: {
    readonly exposures: readonly IstioGateway[];
    readonly kubernetesGateways: readonly KubernetesGateway[];
    readonly taking: Taking;
  },
): ExposurePlan {
  const judge = (all: readonly IstioGateway[]) =>
    servicesAreExposed({
      exposures: () => all,
      kubernetesGateways: () => kubernetesGateways,
      gateways: () => gateways,
      clusterDomain: () => domain,
      taking: () => taking,
    } satisfies Exposed);
  if (mesh.exposed?.length === 0) {
    const name = describe(refOf(exposure(mesh)));
    const there = exposures.find((each) => describe(refOf(each)) === name && isOurs(owner, each));
    const byOthers = judge(exposures.filter((each) => each !== there));
    const evidence = byOthers.verdict === "passed" ? `${NONE} Somebody else's does: ${byOthers.evidence}` : NONE;
    return { ...(there ? { gone: there } : {}), evidence };
  }
  if (gateways.services.length === 0)
    return { evidence: "There is no gateway of this network in the cluster that services could be exposed through." };
  const hosts = mesh.exposed?.map((each) => hostOf(each, domain)) ?? [exposureHosts(domain)];
  const object = exposure(mesh, hosts, whereIn(gateways)) as IstioGateway;
  const there = exposures.find((each) => describe(refOf(each)) === describe(refOf(object)));
  const ours = there && isOurs(owner, there);
  const theirs = exposures.filter((each) => each !== there || !ours);
  const byOthers = judge(theirs);
  if (byOthers.verdict === "passed" && !ours) return { evidence: byOthers.evidence };
  const together = judge([
    ...theirs.filter((each) => each !== there),
    { ...object, metadata: { ...there?.metadata, ...object.metadata } },
  ]);
  if (together.verdict === "failed") throw new Failure(together.cause ?? "", together.hint);
  const port = object.spec.servers?.[0]?.port?.number;
  return { object, evidence: `Gateway ${object.metadata.name} exposes ${listed(hosts)} on ${port}, AUTO_PASSTHROUGH.` };
}

const NONE = "`exposure: none`: no Gateway of this action's lets other networks in.";

/** By what a gateway knows a Service, or all of a namespace. */
function hostOf({ namespace, name = "*" }: ExposedSpec, domain: string): string {
  return `${name}.${namespace}.svc.${domain}`;
}

/** The gateway that this run makes, as it will be. */
function gatewaysToBe(mesh: MeshSpec, spec: ClusterSpec): Gateways {
  const { early, late } = gateway(mesh, spec, "default");
  return {
    services: early.filter(({ kind }) => kind === "Service"),
    deployments: late.filter(({ kind }) => kind === "Deployment") as unknown as Deployment[],
    pods: [],
    others: [],
    hidden: [],
    idle: [],
    addresses: [],
  };
}

/** By what a Gateway selects the pods of all the gateways that there are, and on which port. */
function whereIn({ services, pods }: Gateways): ExposureOf {
  const ports = [...new Set(services.map(mtlsPort))];
  const labels = [
    ...services.map(({ spec }) => spec?.selector ?? {}),
    ...pods.map(({ metadata }) => metadata.labels ?? {}),
  ];
  const [first = {}, ...others] = labels;
  const common = Object.entries(first).filter(([key, value]) => others.every((each) => each[key] === value));
  const selector = labels.every((each) => matches(GATEWAY_SELECTOR, each))
    ? GATEWAY_SELECTOR
    : Object.fromEntries(common);
  const [port] = ports;
  if (port === undefined || ports.length > 1 || Object.keys(selector).length === 0) {
    const names = listed(services.map((each) => `${each.metadata.namespace}/${each.metadata.name}`));
    throw new Failure(
      `The gateways ${names} have no label in common, or not one port: no one Gateway can expose the services through all of them.`,
      "Apply a Gateway of networking.istio.io for each of them: TLS, AUTO_PASSTHROUGH, as Istio's expose-services has it. It is left as it is then.",
    );
  }
  return { selector, port };
}

/** The domain that the host names of the cluster's Services have, once the control plane is as it is to be. */
export function clusterDomain({ values }: ClusterSpec, { controlPlanes }: Survey): string {
  const given = text(fields(fields(fields(values).global).proxy).clusterDomain);
  return given ?? clusterDomainOf(controlPlanes.istiod);
}
