import { clusterDomainOf } from "../facts/identity.ts";
import { matches } from "../mesh/label-selector.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { Finding } from "../mesh/report.ts";
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
  takesMtls,
  withoutAddress,
} from "./gateway-service.ts";
import { gatewayGoesWithIstiod } from "./gateway-version.ts";
import { notLookedAt } from "./gateways.ts";
import type { Observation } from "./observation.ts";
import { proxyImage, refusedPods, rolledOut } from "./pods.ts";

/** The checks of one cluster's way in. A mesh in one network needs none. */
export function gatewayChecks(mesh: MeshSpec): Judgements<Observation> {
  const asked =
    (judge: Judgement<Observation>): Judgement<Observation> =>
    (seen) =>
      hasOtherNetworks(mesh, seen.spec.network)
        ? judge(seen)
        : skipped(
            `All clusters are in network ${seen.spec.network} and reach each other's pods directly: no gateway is needed.`,
          );
  return {
    "gateway.deployment": asked((seen) => gatewayRuns(mesh, seen)),
    "gateway.address": asked((seen) => gatewayHasAddress(seen)),
    "gateway.exposure": asked(gatewayExposes),
    "gateway.network": asked((seen) => gatewayHasNetwork(mesh, seen)),
    "gateway.version": asked(gatewayGoesWithIstiod),
  };
}

/** What of a cluster its exposure is judged by. */
export function exposedOf({ exposures, kubernetesGateways, gateways, istiod }: Observation): Exposed {
  return { exposures, kubernetesGateways, gateways, clusterDomain: () => clusterDomainOf(istiod()) };
}

const named = ({ metadata }: { metadata: { namespace?: string; name: string } }) =>
  `${metadata.namespace}/${metadata.name}`;

function none({ spec, gateways }: Observation): Finding {
  const { addresses, others } = gateways();
  if (addresses.length > 0)
    return skipped(
      `The mesh configuration names ${listed(addresses)}: what is behind that is not known to this cluster.`,
    );
  return failed(
    `There is no east-west gateway: no Service is labelled ${NETWORK_LABEL}=${spec.network}.${ofOthers(others)}`,
    "Run the command `install`, or label the Service of the gateway that is there.",
  );
}

/** Gateways that are there and are not this network's, in a sentence of its own. */
function ofOthers(others: readonly Service[]): string {
  if (others.length === 0) return "";
  const list = others.map((each) => `${named(each)} of ${each.metadata.labels?.[NETWORK_LABEL]}`);
  return ` Of other networks, and not looked at: ${listed(list)}.`;
}

function gatewayRuns({ namespace }: MeshSpec, seen: Observation): Finding {
  const { services, deployments, pods } = seen.gateways();
  if (services.length === 0) return none(seen);
  const reading = {
    source: `pods behind Service ${services.map(named).join(", ")}`,
    values: Object.fromEntries(
      pods.map((pod) => [pod.metadata.name, { phase: pod.status?.phase, proxy: proxyImage(pod) }]),
    ),
  };
  for (const deployment of deployments) {
    const name = named(deployment);
    const [where] = name.split("/");
    if (deployment.spec.replicas === 0) {
      const scale = `kubectl -n ${where} scale deployment ${deployment.metadata.name} --replicas=1`;
      return failed(`The east-west gateway (Deployment ${name}) is scaled to zero.`, scale, reading);
    }
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
  for (const deployment of deployments) {
    const own = pods.filter((pod) => matches(deployment.spec.template.metadata?.labels ?? {}, pod.metadata.labels));
    const ready = rolledOut(deployment, own);
    if ("seen" in ready) {
      const where = deployment.metadata.namespace;
      const look = `kubectl -n ${where} describe deployment,pod -l app=${deployment.spec.template.metadata?.labels?.app ?? deployment.metadata.name}`;
      return failed(
        `The east-west gateway (Deployment ${named(deployment)}) is not available: ${ready.seen}.`,
        refusedPods(deployment)?.hint ?? look,
        reading,
      );
    }
  }
  if (pods.length === 0) {
    return failed(
      `No pod is behind the east-west gateway's Service ${services.map(named).join(", ")}.`,
      `Compare the Service's selector with the gateway's labels: kubectl -n ${namespace} get service,pod --show-labels`,
      reading,
    );
  }
  const ready = `${pods.length} gateway pod${pods.length === 1 ? " is" : "s are"} ready and injected.`;
  return passed(`${ready}${ofOthers(seen.gateways().others)}`, reading);
}

function gatewayExposes(seen: Observation): Finding {
  const { services, addresses } = seen.gateways();
  return services.length === 0 && addresses.length > 0 ? none(seen) : servicesAreExposed(exposedOf(seen));
}

function gatewayHasAddress(seen: Observation): Finding {
  const { services } = seen.gateways();
  const { addresses } = seen.gateways();
  if (services.length === 0)
    return addresses.length > 0 ? passed(`${addressEvidence(addresses)} The mesh configuration names it.`) : none(seen);
  const values = Object.fromEntries(services.map((each) => [named(each), addressesOf([each])]));
  const reading = { source: "status.loadBalancer and externalIPs of the gateway's Service", values };
  const deaf = services.find((each) => !takesMtls(each));
  if (deaf) {
    const { name, namespace } = deaf.metadata;
    return failed(
      `The east-west gateway's Service ${named(deaf)} has no port ${mtlsPort(deaf)}: istiod does not take it for a gateway.`,
      `Add the port: kubectl -n ${namespace} edit service ${name}`,
      reading,
    );
  }
  const without = services.find((each) => addressesOf([each]).length === 0 && !isByNodes(each));
  if (without) {
    const { cause, hint } = withoutAddress(without);
    return failed(
      `The east-west gateway's Service ${named(without)} ${cause}: the other clusters are told the pods' own addresses instead, which they cannot reach.`,
      hint,
      reading,
    );
  }
  return passed(addressEvidence([...addressesOf(services), ...addresses]), reading);
}

function gatewayHasNetwork({ namespace }: MeshSpec, seen: Observation): Finding {
  const { network } = seen.spec;
  const { services, pods, hidden } = seen.gateways();
  if (services.length === 0) return none(seen);
  const labelled = [
    ...services.map((each) => ({ name: `Service ${named(each)}`, label: each.metadata.labels?.[NETWORK_LABEL] })),
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
  if (wrong.length === 0) return passed(`The gateway's Service and pods are labelled ${network}.`, reading);
  return failed(
    `The east-west gateway is not labelled for ${network}: ${wrong.map(({ name, label }) => `${name} has ${label ?? "no label"}`).join(", ")}. istiod takes it for another network's gateway.`,
    `Set the label ${NETWORK_LABEL}=${network} on the gateway's Service and in its Deployment's pod template.`,
    reading,
  );
}
