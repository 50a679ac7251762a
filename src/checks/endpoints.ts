import { DEBUG_SWITCH, DebugClosed } from "../facts/debug.ts";
import type { Offer } from "../facts/endpoints.ts";
import type { Failure } from "../mesh/failure.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { defectOf } from "../mesh/versions.ts";
import { count, listed } from "../mesh/words.ts";
import type { Comparison, Difference } from "./comparison.ts";
import { failed, passed, skipped, unknown } from "./finding.ts";
import type { Service } from "./gateway-service.ts";
import { istiodVersion } from "./istiod.ts";
import type { Observation } from "./observation.ts";

/** The observer's view of a target: of each replica the comparison, or why there is none. */
export interface EndpointsView {
  readonly observer: Observation;
  readonly target: Observation;
  /** Of the target. */
  readonly offer: Offer;
  readonly replicas: readonly (Comparison | { readonly pod: string; readonly problem: Failure })[];
  /** Whether requests are sent, which show what cannot be read. */
  readonly traffic: boolean;
}

/** Whether every replica of istiod holds what the other cluster has. */
export function endpointsAreHeld(mesh: MeshSpec, view: EndpointsView): Finding {
  const { observer, target, replicas } = view;
  const name = target.spec.name;
  if (replicas.length === 0) return unknown("No pod of istiod runs that could be asked.", "");
  const seen = replicas.filter((each) => "differences" in each);
  const different = seen.filter(({ differences }) => differences.length > 0);
  if (different.length > 0) return differ(mesh, view, different);
  const [unseen] = replicas.filter((each) => "problem" in each);
  if (unseen) return notAsked(view, unseen);
  const [first] = seen as [Comparison];
  const hidden = hiddenByAmbient(view);
  const reading = readingOf(seen);
  if (hidden) return { ...hidden, readings: [reading] };
  const pods = seen.map(({ pod }) => pod).join(", ");
  const ways = first.gateways.map(({ address, port, network }) => `${address}:${port} of ${network}`);
  const gateways =
    ways.length === 0 ? "no gateway" : `${ways.length === 1 ? "the gateway" : "the gateways"} ${listed(ways)}`;
  const finding = passed(
    `${pods} ${seen.length === 1 ? "holds" : "hold"} what ${name} has: ${count(first.endpoints, "endpoint")} of ${count(first.services, "Service")}, and ${gateways}.`,
    reading,
  );
  const warning = ambientWarning(observer, view);
  return { ...finding, ...(warning ? { warning } : {}) };
}

function readingOf(seen: readonly Comparison[]) {
  return {
    source: "/debug/endpointShardz and /debug/networkz against EndpointSlices and Services",
    values: Object.fromEntries(
      seen.map(({ pod, services, endpoints, held, gateways, differences }) => {
        const of = (...kinds: Difference["kind"][]) => differences.filter(({ kind }) => kinds.includes(kind));
        const numbers = {
          services,
          endpoints,
          held,
          missing: of("missing").length,
          gone: of("gone").length,
          gateways: gateways.map(({ address, port }) => `${address}:${port}`),
        };
        return [pod, numbers];
      }),
    ),
  };
}

function notAsked({ observer, target, traffic }: EndpointsView, unseen: { pod: string; problem: Failure }): Finding {
  const name = target.spec.name;
  if (unseen.problem instanceof DebugClosed) {
    const cause = `What istiod of ${observer.spec.name} holds of ${name} cannot be compared with what ${name} has: its debug interface is closed (${DEBUG_SWITCH}).`;
    return traffic
      ? skipped(`${cause} Whether it holds it is seen by the requests alone.`)
      : unknown(cause, "Send requests, by the input `traffic`, or open it: ENABLE_DEBUG_ON_HTTP=true on istiod.");
  }
  return unknown(
    `${unseen.pod} could not be asked what it holds of ${name}: ${unseen.problem.message}`,
    unseen.problem.hint ?? "The kubeconfig's user needs `get` and `create` on pods/exec there.",
  );
}

function differ({ namespace }: MeshSpec, view: EndpointsView, different: readonly Comparison[]): Finding {
  const { observer, target } = view;
  const name = target.spec.name;
  const reading = readingOf(different);
  const [first] = different as [Comparison];
  const of = (...kinds: Difference["kind"][]) =>
    first.differences.filter(({ kind }) => kinds.includes(kind)).map(({ what }) => what);
  const pods = different.map(({ pod }) => pod).join(", ");
  const does = different.length === 1 ? "does" : "do";
  const here = `In ${observer.spec.name}: kubectl -n ${namespace}`;
  const restart = `${here} rollout restart deployment -l app=istiod`;
  const version = istiodVersion(observer.istiod(), observer.istios());
  const known = defectOf(version, "remote-secret-change");
  const defect = known
    ? ` Istio ${version} forgets a cluster whose remote secret is changed; ${known.fixed[0]} and later do not.`
    : "";
  const [missing, gone] = [of("missing"), of("gone")];
  const [gateways, goneGateways] = [of("gateway"), of("gone-gateway")];

  if (missing.length > 0 && first.held === 0)
    return failed(
      `${pods} ${does} not hold any of the ${count(first.endpoints, "endpoint")} of ${count(first.services, "Service")} that ${name} has (${listed(missing.map(serviceOf))}): requests to them stay in ${observer.spec.name} or fail, whatever istiod says of ${name}.${defect}`,
      `Restart istiod, which reads all anew. ${restart}`,
      reading,
    );
  if (missing.length > 0 || gone.length > 0) {
    const parts = [
      ...(missing.length > 0 ? [`${count(missing.length, "endpoint")} missing (${listed(missing)})`] : []),
      ...(gone.length > 0
        ? [`${count(gone.length, "endpoint")} held that ${gone.length === 1 ? "is" : "are"} no more (${listed(gone)})`]
        : []),
    ];
    return failed(
      `${pods} ${does} not follow what ${name} has: of ${count(first.endpoints, "endpoint")} of ${count(first.services, "Service")}, ${parts.join(", ")}. Requests to them fail.${defect}`,
      `Does istiod still reach ${name}'s API server? ${here} logs -l app=istiod --tail=-1 | grep ${name}. Once it does, restart it: ${restart.replace(`${here} `, "")}`,
      reading,
    );
  }
  const hidden = of("hidden-gateway");
  if (hidden.length > 0)
    return failed(
      `${pods} ${does} not look at the namespace of ${name}'s gateway (${listed(hidden)}): discoverySelectors of ${observer.spec.name}'s mesh configuration do not select it, so there is no way into that network.`,
      `In ${name}: label the gateway's namespace so that they select it. See them: ${here} get configmaps -o yaml | grep -A5 discoverySelectors`,
      reading,
    );
  const [networkWithout] = of("no-gateway");
  if (networkWithout !== undefined)
    return failed(
      `${pods} ${does} not know a gateway of ${networkWithout}: ${observer.spec.name}'s proxies are given the pods' own addresses in ${name}, which they cannot reach.`,
      `In ${name}: has the gateway's Service the network's label and an address? Of a NodePort istiod takes the addresses of type ExternalIP of the nodes that its annotation selects: kubectl get service -A -l ${NETWORK_LABEL}; kubectl get nodes -o wide`,
      reading,
    );
  const unresolved = of("unresolved");
  if (unresolved.length > 0)
    return failed(
      `${pods} ${does} not hold ${name}'s gateway ${listed(unresolved)}: its name does not resolve where istiod runs.`,
      `Does the name exist in ${observer.spec.name}'s DNS? istiod asks again after 30 seconds, and resolves names only with RESOLVE_HOSTNAME_GATEWAYS=true, which is the default.`,
      reading,
    );
  const parts = [
    ...(gateways.length > 0 ? [`${listed(gateways)} missing`] : []),
    ...(goneGateways.length > 0 ? [`${listed(goneGateways)} held, though no Service has that address any more`] : []),
  ];
  return failed(
    `${pods} ${does} not hold ${name}'s gateways as they are: ${parts.join(", ")}.${defect}`,
    `Restart istiod, which reads all anew. ${restart}`,
    reading,
  );
}

const AMBIENT = "AMBIENT_ENABLE_MULTI_NETWORK";
const GLOBAL = "istio.io/global";
const HBONE_PORT = 15008;

function isAmbient({ istiod }: Observation): boolean {
  const env = istiod()?.spec.template.spec.containers[0]?.env ?? [];
  return env.some(({ name, value }) => name === AMBIENT && value === "true");
}

/** With that switch istiod keeps from all proxies, sidecars too, the others' endpoints of what is not global. */
function hiddenByAmbient({ observer, target, offer }: EndpointsView): Finding | undefined {
  if (!isAmbient(observer) || [...offer.services.values()].some(isGlobal)) return undefined;
  const gateways = ([...offer.services.values()] as Service[]).filter(
    ({ metadata }) => metadata.labels?.[NETWORK_LABEL],
  );
  if (gateways.some(({ spec }) => spec?.ports?.some(({ port }) => port === HBONE_PORT))) return undefined;
  return failed(
    `istiod of ${observer.spec.name} runs with ${AMBIENT}=true, so it hides from its proxies the endpoints of ${target.spec.name} of every Service that is not labelled ${GLOBAL}=true, and none is.`,
    `In a mesh of sidecars leave it out (Helm value pilot.env.${AMBIENT}); else label the Services that others call: kubectl label service NAME ${GLOBAL}=true`,
  );
}

function ambientWarning(observer: Observation, { offer, target }: EndpointsView): string | undefined {
  if (!isAmbient(observer)) return undefined;
  const hidden = [...offer.endpoints.keys()].filter((name) => !isGlobal(offer.services.get(name)));
  return `istiod of ${observer.spec.name} runs with ${AMBIENT}=true: ${count(hidden.length, "Service")} of ${target.spec.name} not labelled ${GLOBAL}=true ${hidden.length === 1 ? "is" : "are"} ${target.spec.name}'s alone.`;
}

function isGlobal(service: KubernetesObject | undefined): boolean {
  return service?.metadata.labels?.[GLOBAL] === "true";
}

const serviceOf = (what: string) => what.slice(0, what.indexOf(" "));
