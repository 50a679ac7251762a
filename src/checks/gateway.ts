import { isIP } from "node:net";
import { isLoopback } from "../cluster/kubeconfig.ts";
import { clusterDomainOf } from "../facts/identity.ts";
import { matches } from "../mesh/label-selector.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { qualifiedName } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { hasOtherNetworks, type MeshSpec } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import { type Exposed, servicesAreExposed } from "./exposure.ts";
import { failed, type Judgement, type Judgements, passed, skipped } from "./finding.ts";
import {
  addressEvidence,
  addressesOf,
  isByNodes,
  mtlsPort,
  type Service,
  selectsPods,
  takesMtls,
  targetPort,
  withoutAddress,
} from "./gateway-service.ts";
import { gatewayGoesWithIstiod } from "./gateway-version.ts";
import { type Gateways, notLookedAt } from "./gateways.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { proxyImage, refusedPods, serves, troubleOf, unfinished, whyNot } from "./pods.ts";

/**
 * The checks of one cluster's way in. A mesh in one network needs none.
 * @param peers the other clusters of its network: where it has no gateway of its own, istiod takes theirs (`selectNetworkGateways`)
 */
export function gatewayChecks(mesh: MeshSpec, peers: readonly Observation[] = []): Judgements<Observation> {
  const asked =
    (judge: Judgement<Observation>): Judgement<Observation> =>
    (seen) =>
      notNeeded(mesh, seen, peers) ?? judge(seen);
  const ofPods = (judge: Judgement<Observation>) => asked((seen) => withoutPods(seen) ?? judge(seen));
  return {
    "gateway.deployment": ofPods((seen) => gatewayRuns(mesh, seen)),
    "gateway.address": (seen) => namedAddress(mesh, seen) ?? asked(gatewayHasAddress)(seen),
    "gateway.exposure": ofPods((seen) => asAsked(mesh, servicesAreExposed(exposedOf(seen)))),
    "gateway.network": asked((seen) => gatewayHasNetwork(mesh, seen)),
    "gateway.version": ofPods(gatewayGoesWithIstiod),
  };
}

/** Where nobody is to be let in, that nobody is is no fault. */
function asAsked({ exposed }: MeshSpec, finding: Finding): Finding {
  return exposed?.length === 0 && finding.verdict === "failed"
    ? skipped("`exposure: none` lets other networks in to no Service.")
    : finding;
}

/** Why no gateway of the cluster's own is asked for; `undefined`: it is. */
function notNeeded(
  mesh: MeshSpec,
  { spec, gateways }: Observation,
  peers: readonly Observation[],
): Finding | undefined {
  const { name, network } = spec;
  if (!hasOtherNetworks(mesh, network))
    return skipped(
      `All clusters are in network ${network} and reach each other's pods directly: no gateway is needed.`,
    );
  const { services, addresses } = gateways();
  if (services.length > 0) return undefined;
  if (addresses.length > 0)
    return skipped(
      `The mesh configuration names ${listed(addresses)}: what is behind that is not known to this cluster.`,
    );
  const having = peers.filter((each) => (readable(each.gateways)?.services.length ?? 0) > 0);
  if (having.length === 0) return undefined;
  const names = listed(having.map((each) => each.spec.name));
  return skipped(`${name} has no gateway of its own: its network ${network} is reached by that of ${names}.`);
}

/** That the gateway's Services are made to lead to what is no pod of the cluster; `undefined`: they lead to pods. */
function withoutPods({ gateways }: Observation): Finding | undefined {
  const { services } = gateways();
  if (services.length === 0 || services.some(selectsPods)) return undefined;
  return skipped(
    `The east-west gateway's Service ${listed(services.map(qualifiedName))} selects no pods: what is behind it is not known to this cluster.`,
  );
}

/** What of a cluster its exposure is judged by. */
export function exposedOf({ exposures, kubernetesGateways, gateways, istiod, taking }: Observation): Exposed {
  return { exposures, kubernetesGateways, gateways, clusterDomain: () => clusterDomainOf(istiod()), taking };
}

function none({ spec, gateways }: Observation): Finding {
  return failed(
    `There is no east-west gateway: no Service is labelled ${NETWORK_LABEL}=${spec.network}.${ofOthers(gateways().others)}`,
    "Run the command `install`, or label the Service of the gateway that is there.",
  );
}

/** Gateways that are there and are not this network's, in a sentence of its own. */
function ofOthers(others: readonly Service[]): string {
  if (others.length === 0) return "";
  const list = others.map((each) => `${qualifiedName(each)} of ${each.metadata.labels?.[NETWORK_LABEL]}`);
  return ` Of other networks, and not looked at: ${listed(list)}.`;
}

function gatewayRuns({ namespace }: MeshSpec, seen: Observation): Finding {
  const { services, pods, others } = seen.gateways();
  if (services.length === 0) return none(seen);
  const reading = {
    source: `pods behind Service ${services.map(qualifiedName).join(", ")}`,
    values: Object.fromEntries(
      pods.map((pod) => [pod.metadata.name, { phase: pod.status?.phase, proxy: proxyImage(pod) }]),
    ),
  };
  const ways = services.filter(selectsPods).map((service) => behind(service, seen.gateways()));
  const parked = ways.find(({ deployments }) => deployments.length > 0 && deployments.every(isAtZero));
  if (parked && parked.pods.length === 0) {
    const [{ metadata }] = parked.deployments as [Deployment];
    const scale = `kubectl -n ${metadata.namespace} scale deployment ${metadata.name} --replicas=1`;
    return failed(
      `The east-west gateway (Deployment ${qualifiedName({ metadata })}) is scaled to zero.`,
      scale,
      reading,
    );
  }
  const bare = pods.filter((pod) => !proxyImage(pod));
  if (bare.length > 0) {
    const list = bare.map(({ metadata }) => metadata.name);
    return failed(
      `Of the east-west gateway's pods ${list.join(", ")} ${list.length === 1 ? "is" : "are"} not injected: made before istiod's webhook served, or in a namespace without injection.`,
      `kubectl -n ${bare[0]?.metadata.namespace ?? namespace} delete pod ${list.join(" ")}`,
      reading,
    );
  }
  const workloads = pods.filter(isSidecar);
  if (workloads.length > 0) {
    const list = workloads.map(({ metadata }) => metadata.name);
    return failed(
      `The east-west gateway's pods ${listed(list)} have a workload's sidecar for a gateway's proxy: no Gateway configures it.`,
      "Annotate the pod template of the gateway's Deployment with inject.istio.io/templates: gateway, so that its pods are made anew.",
      reading,
    );
  }
  const astray = ways.find(
    ({ service, pods: own }) => takesMtls(service) && own.some(serves) && leadsNowhere(service, own),
  );
  if (astray) {
    const { name, namespace: where } = astray.service.metadata;
    return failed(
      `The east-west gateway's Service ${qualifiedName(astray.service)} leads from port ${mtlsPort(astray.service)} to a port of its pods by a name that none of them has.`,
      `Name the port's number: kubectl -n ${where} edit service ${name}`,
      reading,
    );
  }
  for (const way of ways) {
    if (way.pods.some(serves)) continue;
    const [deployment] = way.deployments.filter((each) => !isAtZero(each));
    if (deployment) {
      const where = deployment.metadata.namespace;
      const look = `kubectl -n ${where} describe deployment,pod -l app=${deployment.spec.template.metadata?.labels?.app ?? deployment.metadata.name}`;
      return failed(
        `The east-west gateway (Deployment ${qualifiedName(deployment)}) is not available: ${whyNot(deployment, ownPods(deployment, way.pods))}.`,
        refusedPods(deployment)?.hint ?? look,
        reading,
      );
    }
    const trouble = troubleOf(way.pods);
    if (trouble) {
      const [{ metadata }] = way.pods as [Pod];
      return failed(
        `The east-west gateway is not available: ${trouble.seen}.`,
        trouble.hint ?? `kubectl -n ${metadata.namespace} describe pod ${metadata.name}`,
        reading,
      );
    }
    return failed(
      `No pod is behind the east-west gateway's Service ${qualifiedName(way.service)}.`,
      `Compare the Service's selector with the gateway's labels: kubectl -n ${way.service.metadata.namespace} get service,pod --show-labels`,
      reading,
    );
  }
  const serving = pods.filter(serves).length;
  const some = serving === pods.length ? `${serving}` : `${serving} of ${pods.length}`;
  const finding = passed(
    `${some} gateway pod${pods.length === 1 ? " is" : "s are"} ready and injected.${ofOthers(others)}`,
    reading,
  );
  const half = [...new Set(ways.flatMap(halfDone))];
  return half.length === 0 ? finding : { ...finding, warning: `The east-west gateway serves, but ${half.join("; ")}.` };
}

/** What a Service of the gateway leads to. */
function behind(service: Service, { deployments, pods }: Gateways) {
  const isIts = (namespace: string | undefined, labels: Readonly<Record<string, string>> | undefined) =>
    namespace === service.metadata.namespace && matches(service.spec?.selector ?? {}, labels);
  return {
    service,
    deployments: deployments.filter(({ metadata, spec }) => isIts(metadata.namespace, spec.template.metadata?.labels)),
    pods: pods.filter(({ metadata }) => isIts(metadata.namespace, metadata.labels)),
  };
}

/** Whether the port for mTLS is one of the pods' by a name that they do not know. */
function leadsNowhere(service: Service, pods: readonly Pod[]): boolean {
  const number = mtlsPort(service);
  const isThere = service.spec?.ports?.some(({ port }) => port === number);
  return isThere === true && targetPort(service, number, pods) === undefined;
}

/** Whether injection took a pod for a workload, by the role that it gave to its proxy. */
function isSidecar({ spec }: Pod): boolean {
  const proxy = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name }) => name === "istio-proxy",
  );
  return proxy?.args?.[0] === "proxy" && proxy.args[1] === "sidecar";
}

const isAtZero = ({ spec }: Deployment) => spec.replicas === 0;
/** What is not as it is to be where pods serve all the same. */
function halfDone({ deployments, pods }: ReturnType<typeof behind>): string[] {
  const rollouts = deployments.flatMap((each) => (isAtZero(each) ? [] : (unfinished(each, ownPods(each, pods)) ?? [])));
  const troubles = rollouts.length === 0 ? troubleOf(pods) : undefined;
  return troubles ? [troubles.seen] : rollouts;
}

function ownPods({ spec }: Deployment, pods: readonly Pod[]): Pod[] {
  return pods.filter(({ metadata }) => matches(spec.template.metadata?.labels ?? {}, metadata.labels));
}

/** That the mesh configuration names the network's gateways, where it does, and the cluster has none of its own. */
function namedAddress(mesh: MeshSpec, { spec, gateways }: Observation): Finding | undefined {
  if (!hasOtherNetworks(mesh, spec.network)) return undefined;
  const { services, addresses } = gateways();
  if (services.length > 0 || addresses.length === 0) return undefined;
  return passed(`${addressEvidence(addresses)} The mesh configuration names it.`);
}

function gatewayHasAddress(seen: Observation): Finding {
  const { services, addresses, idle } = seen.gateways();
  if (services.length === 0) return none(seen);
  const values = Object.fromEntries(services.map((each) => [qualifiedName(each), addressesOf([each])]));
  const reading = { source: "status.loadBalancer and externalIPs of the gateway's Service", values };
  const deaf = services.find((each) => !takesMtls(each));
  if (deaf) {
    const { name, namespace } = deaf.metadata;
    return failed(
      `The east-west gateway's Service ${qualifiedName(deaf)} has no port ${mtlsPort(deaf)} of TCP: istiod does not take it for a gateway.`,
      `Add the port: kubectl -n ${namespace} edit service ${name}`,
      reading,
    );
  }
  const without = services.find((each) => addressesOf([each]).length === 0 && !isByNodes(each));
  if (without) {
    const { cause, hint } = withoutAddress(without);
    return failed(
      `The east-west gateway's Service ${qualifiedName(without)} ${cause}: the other clusters are told the pods' own addresses instead, which they cannot reach.`,
      hint,
      reading,
    );
  }
  const own = addressesOf(services).filter((each) => isLoopback(urlOf(each)));
  if (own.length > 0) {
    return failed(
      `The east-west gateway's address ${listed(own)} is a loopback address: whoever calls it calls itself.`,
      `Have the load balancer give it one that the other clusters reach: kubectl -n ${services[0]?.metadata.namespace} describe service ${services[0]?.metadata.name}`,
      reading,
    );
  }
  const finding = passed(addressEvidence([...addressesOf(services), ...addresses]), reading);
  if (idle.length === 0) return finding;
  const others = idle.map((each) => `Service ${qualifiedName(each)} ${withoutAddress(each).cause}`);
  return {
    ...finding,
    warning: `Of the network's gateways not all are ways in: ${listed(others)}. istiod leaves ${idle.length === 1 ? "it" : "them"} aside.`,
  };
}

const urlOf = (address: string) => `https://${isIP(address) === 6 ? `[${address}]` : address}`;

/** The networks whose endpoints alone istiod tells a proxy of (pilot/pkg/model/proxy_view.go). */
const NETWORK_VIEW = "ISTIO_META_REQUESTED_NETWORK_VIEW";

function viewOf({ spec }: Pod): string | undefined {
  const proxy = spec?.containers.find(({ name }) => name === "istio-proxy");
  return proxy?.env?.find(({ name }) => name === NETWORK_VIEW)?.value;
}

function gatewayHasNetwork({ namespace }: MeshSpec, seen: Observation): Finding {
  const { network } = seen.spec;
  const { services, pods, hidden } = seen.gateways();
  if (services.length === 0) return none(seen);
  const labelled = [
    ...services.map((each) => ({
      name: `Service ${qualifiedName(each)}`,
      label: each.metadata.labels?.[NETWORK_LABEL],
    })),
    ...pods.map(({ metadata }) => ({ name: `pod ${metadata.name}`, label: metadata.labels?.[NETWORK_LABEL] })),
  ];
  const reading = {
    source: `labels ${NETWORK_LABEL}`,
    values: Object.fromEntries(labelled.map(({ name, label }) => [name, label])),
  };
  // The Service's label makes it a gateway; a pod without one has the network that its proxy was injected with.
  const wrong = labelled.filter(
    ({ name, label }) => label !== network && (label !== undefined || !name.startsWith("pod ")),
  );
  if (wrong.length === 0 && hidden.length > 0) {
    const { cause, hint } = notLookedAt(hidden[0] as Service, network, namespace);
    return failed(cause, hint, reading);
  }
  const blind = pods.flatMap((pod) => {
    const view = viewOf(pod);
    return view && !view.split(",").includes(network) ? [{ pod, view }] : [];
  });
  if (wrong.length === 0 && blind.length > 0) {
    const list = blind.map(({ pod, view }) => `${pod.metadata.name} has ${NETWORK_VIEW}=${view}`);
    return failed(
      `The east-west gateway hands on nothing of ${network}, for it is told of other networks alone: ${listed(list)}.`,
      `Set ${NETWORK_VIEW} to ${network} in the gateway's Deployment, or take it out.`,
      reading,
    );
  }
  if (wrong.length === 0) return passed(`The gateway's Service and pods are labelled ${network}.`, reading);
  return failed(
    `The east-west gateway is not labelled for ${network}: ${wrong.map(({ name, label }) => `${name} has ${label ?? "no label"}`).join(", ")}. istiod takes it for another network's gateway.`,
    `Set the label ${NETWORK_LABEL}=${network} on the gateway's Service and in its Deployment's pod template.`,
    reading,
  );
}
