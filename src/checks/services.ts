import type { HeldEndpoint, Offer } from "../facts/endpoints.ts";
import type { ProxyView } from "../facts/proxy-view.ts";
import { Failure } from "../mesh/failure.ts";
import { isSelected } from "../mesh/label-selector.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import { listed } from "../mesh/words.ts";
import type { Comparison } from "./comparison.ts";
import { failed, passed, unknown } from "./finding.ts";
import { readable } from "./part.ts";
import { hiddenBy, plainBy } from "./policies.ts";
import { hintFor, misrouted, refusal, rerouted, sentPlain, warningOf, wordsOf } from "./service-policies.ts";
import {
  configOf,
  type Of,
  policiesOf,
  portsIn,
  routeIn,
  type ServiceView,
  type Trouble,
  targetOf,
} from "./service-view.ts";
import { differenceOf, EXPORT_TO, exportOf, localRule, portsOf } from "./visibility.ts";

/**
 * Whether callers in a cluster reach a Service wherever it has endpoints: by what the clusters have, by what istiod holds of
 * them, and by what it gives a proxy that runs; where something is in the way, which object it is.
 */
export function serviceIsReached(view: ServiceView): Finding {
  const { service, observer, offers } = view;
  const name = `${service.namespace}/${service.name}`;
  const known: Of<Offer> = new Map(
    [...offers].flatMap(([cluster, offer]) => {
      const value = readable(offer);
      return value ? [[cluster, value] as const] : [];
    }),
  );
  const unread = [...offers.keys()].filter((cluster) => !known.has(cluster));
  const services: Of<KubernetesObject> = new Map(
    [...known].flatMap(([cluster, { services }]) => {
      const found = services.get(name);
      return found ? [[cluster, found] as const] : [];
    }),
  );
  const ready = new Map([...known].map(([cluster, { endpoints }]) => [cluster, endpoints.get(name)?.ready.size ?? 0]));
  const reading = { source: `Services ${name} and their EndpointSlices`, values: { ready: Object.fromEntries(ready) } };
  const wrong = ({ cause = "", hint = "", clusters }: Trouble): Finding => ({
    ...failed(cause, hint, reading),
    ...(clusters ? { clusters } : {}),
  });

  const trouble =
    unfit(view, services, unread) ??
    unready(name, services, ready, unread) ??
    misrouted(view) ??
    [...ready]
      .filter(([target, number]) => target !== observer && number > 0)
      .map(([target]) => unreached(view, target, known, services))
      .find((found) => found !== undefined);
  if (trouble) return wrong(trouble);
  if (unread.length > 0) {
    // What the others' cause explains is theirs.
    const cause = `What ${listed(unread)} ${unread.length === 1 ? "has" : "have"} of ${name} could not be read.`;
    return { ...unknown(cause, "Look at the check that says why.", reading), clusters: unread };
  }
  const others = [...ready]
    .filter(([cluster, number]) => cluster !== observer && number > 0)
    .map(([cluster]) => cluster);
  const asked = others.length === 0 ? undefined : notAsked(view, others);
  if (asked) return { ...asked, readings: [reading] };

  const numbers = [...ready].filter(([, number]) => number > 0).map(([cluster, number]) => `${number} in ${cluster}`);
  const proxy = readable(view.proxy);
  const way = !proxy
    ? others.length > 0
      ? ` istiod of ${observer} holds them; no workload with a sidecar runs there that could show more.`
      : ""
    : ` A proxy that runs in ${observer}, ${proxy.proxy}, has them all.`;
  const warning = [warningOf(view, others) ?? [], rerouted(view, others) ?? []].flat().join(" ");
  return {
    ...passed(`Endpoints that are ready: ${listed(numbers)}.${way}`, reading),
    ...(warning ? { warning } : {}),
  };
}

/** What is wrong with the Service as such, in whichever cluster. */
function unfit(view: ServiceView, services: Of<KubernetesObject>, unread: readonly string[]): Trouble | undefined {
  const { service, observer } = view;
  const name = `${service.namespace}/${service.name}`;
  if (services.size === 0) {
    if (unread.length > 0) return undefined;
    return {
      cause: `No cluster has a Service ${name}.`,
      hint: "Is its name right in the input `services`? kubectl get services -A",
    };
  }
  const [[first, example]] = services as unknown as [[string, KubernetesObject]];
  for (const [cluster, each] of services) {
    const ports = portsOf(each);
    if (service.port !== undefined && !ports.some(({ port }) => port === service.port)) {
      return {
        cause: `Service ${name} of ${cluster} has no port ${service.port}: it has ${listed(ports.map(({ port }) => String(port)))}.`,
        hint: `In ${cluster}: kubectl -n ${service.namespace} get service ${service.name}`,
      };
    }
    const difference = differenceOf(service.port, portsOf(example), ports);
    if (difference) {
      return {
        cause: `Service ${name} is another in ${cluster} than in ${first}: ${difference}. Of Services of one name Istio takes them for one.`,
        hint: `Make their ports the same. In both: kubectl -n ${service.namespace} get service ${service.name} -o yaml`,
      };
    }
  }
  const byProxies = String(readable(() => configOf(view, observer))?.proxyMetadata.ISTIO_META_DNS_CAPTURE) === "true";
  if (!services.has(observer) && !unread.includes(observer) && !byProxies) {
    return {
      cause: `${observer} has no Service ${name}, so its name does not resolve there; ${listed([...services.keys()])} ${services.size === 1 ? "has" : "have"} it.`,
      hint: `Make it there, too, it needs no pods. In ${first}: kubectl -n ${service.namespace} get service ${service.name} -o yaml. Or have the proxies answer for it: meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE: "true"`,
    };
  }
  return undefined;
}

function unready(
  name: string,
  services: Of<KubernetesObject>,
  ready: Of<number>,
  unread: readonly string[],
): Trouble | undefined {
  if (unread.length > 0 || [...ready.values()].some((number) => number > 0)) return undefined;
  const [namespace, service] = name.split("/");
  return {
    cause: `No endpoint of Service ${name} is ready, in no cluster.`,
    hint: `In ${listed([...services.keys()])}: kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${service}`,
  };
}

/** What keeps the observer's callers from the target's endpoints. */
function unreached(
  view: ServiceView,
  target: string,
  known: Of<Offer>,
  services: Of<KubernetesObject>,
): Trouble | undefined {
  const { service, observer } = view;
  const name = `${service.namespace}/${service.name}`;
  const there = services.get(target) as KubernetesObject;
  const config = readable(() => configOf(view, observer));
  const here = `In ${observer}: kubectl`;

  const exported = exportOf(there, config);
  if (exported.includes("~"))
    return {
      cause: `Service ${name} of ${target} is exported to nobody (${EXPORT_TO}: "~").`,
      hint: `In ${target}: kubectl -n ${service.namespace} annotate service ${service.name} ${EXPORT_TO}-`,
    };
  const labels = known.get(target)?.namespaces.get(service.namespace);
  if (!isSelected(config?.discoverySelectors ?? [], labels))
    return {
      cause: `istiod of ${observer} does not look at namespace ${service.namespace} of ${target}: its discoverySelectors do not select it.`,
      hint: `Label the namespace there so that they do. See them. ${here} get configmaps -n ${view.istioNamespace} -o yaml | grep -A5 discoverySelectors`,
    };
  const local = config ? localRule(service, config) : undefined;
  if (local)
    return {
      cause: `istiod of ${observer} keeps the endpoints of ${name} in their clusters: ${local}.`,
      hint: "To have them shared: meshConfig.serviceSettings with its host, and settings.clusterLocal: false.",
    };
  if ((there.spec as { clusterIP?: string } | undefined)?.clusterIP === "None")
    return {
      cause: `Service ${name} is headless: a caller in ${observer} gets the addresses of its own cluster's pods, and there is no way through the gateway to those of ${target}.`,
      hint: "Make a Service with a cluster IP for the same pods, and let the other clusters call that.",
    };

  const held = view.held(target);
  const replicas = held.filter((each) => "named" in each);
  const without = replicas.filter(({ differences }) =>
    differences.some(({ kind, what }) => kind === "missing" && what.startsWith(`${name} `)),
  );
  if (without.length > 0)
    return {
      cause: `${listed(without.map(({ pod }) => pod))} of ${observer} ${without.length === 1 ? "does" : "do"} not hold the endpoints of ${name} in ${target}.`,
      hint: `${here} -n ${view.istioNamespace} rollout restart deployment -l app=istiod`,
      clusters: [target],
    };
  const endpoints: readonly HeldEndpoint[] = replicas[0]?.named.get(name) ?? [];
  const crosses = view.networks.get(target) !== view.networks.get(observer);
  if (crosses && endpoints.length > 0 && endpoints.every(({ takesMtls }) => !takesMtls))
    return {
      cause: `No pod of ${name} in ${target} has a sidecar that takes mutual TLS, by which alone a gateway lets requests through.`,
      hint: `Label its namespace for injection and restart it. In ${target}: kubectl label namespace ${service.namespace} istio-injection=enabled; kubectl -n ${service.namespace} rollout restart deployment`,
    };

  const proxy = readable(view.proxy);
  const refused =
    refusal(view, target, endpoints) ??
    // What a proxy has is seen; where none runs, what its cluster's policies make of it.
    (crosses ? sentPlain(view, [target, ...(proxy ? [] : [observer])], there, endpoints) : undefined);
  if (refused) return refused;
  if (!proxy || replicas.length === 0) return undefined;
  return unseenByProxy(view, target, there, proxy, replicas, known.get(target) as Offer, crosses);
}

/** What a proxy that runs lacks of what its istiod holds. */
function unseenByProxy(
  view: ServiceView,
  target: string,
  there: KubernetesObject,
  proxy: ProxyView,
  replicas: readonly Comparison[],
  offer: Offer,
  crosses: boolean,
): Trouble | undefined {
  const { service, observer } = view;
  const name = `${service.namespace}/${service.name}`;
  const ways = crosses
    ? replicas.flatMap(({ gateways }) => gateways.map(({ address, port }) => `${address}:${port}`))
    : [...(offer.endpoints.get(name)?.ready ?? [])];
  const policies = policiesOf(view, observer);
  const route = routeIn(view, observer, proxy.namespace);
  const endpoints = (replicas[0]?.named.get(name) ?? []).map(({ labels }) => labels);
  for (const port of portsIn(view, there)) {
    const has = proxy.endpoints.get(`${name}:${port}`);
    if (has?.some((address) => ways.includes(address))) continue;
    const them = `${name}:${port}`;
    if (has === undefined) {
      const sidecar = hiddenBy(policies, route);
      const exported = exportOf(
        there,
        readable(() => configOf(view, observer)),
      );
      const hidden =
        exported.length > 0 && !exported.includes("*") && !exported.includes(proxy.namespace)
          ? `it is exported to ${listed(exported)} alone`
          : sidecar
            ? `${describe(refOf(sidecar))} decides what it is given`
            : undefined;
      return {
        cause: `The proxy ${proxy.proxy} of ${observer} does not know ${them}${hidden ? `: ${hidden}` : ""}.`,
        hint: hidden
          ? `In ${observer}: istioctl proxy-config clusters ${proxy.proxy} --fqdn ${service.name}.${service.namespace}`
          : `Is it connected and in sync? In ${observer}: istioctl proxy-status ${proxy.proxy}`,
      };
    }
    const plain = crosses
      ? plainBy(policies, route, port, endpoints, { target: targetOf(there, port) ?? 0 })
      : undefined;
    if (plain)
      return {
        cause: `The proxy ${proxy.proxy} of ${observer} has no endpoint of ${them} in ${target}: ${wordsOf(plain)}.`,
        hint: hintFor(plain, observer),
      };
    return {
      cause: `The proxy ${proxy.proxy} of ${observer} has no endpoint of ${them} in ${target}, though istiod holds them: it has ${has.length === 0 ? "none at all" : listed(has)}.`,
      hint: `In ${observer}: istioctl proxy-config endpoints ${proxy.proxy} --cluster "outbound|${port}||${service.name}.${service.namespace}.svc.cluster.local"`,
      clusters: [target],
    };
  }
  return undefined;
}

/** What is not known, though nothing was seen to be wrong. */
function notAsked(view: ServiceView, others: readonly string[]): Finding | undefined {
  const name = `${view.service.namespace}/${view.service.name}`;
  for (const target of others) {
    const held = view.held(target);
    const [problem] = held.filter((each) => "problem" in each);
    if (held.length === 0 || problem)
      return {
        ...unknown(
          `What istiod of ${view.observer} holds of ${name} in ${target} is not known: ${problem ? problem.problem.message : "no pod of istiod runs"}.`.replace(
            /\.\.$/,
            ".",
          ),
          problem?.problem.hint ?? "Look at the check that says why.",
        ),
        clusters: [target],
      };
  }
  try {
    view.proxy();
    configOf(view, view.observer);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return unknown(
      `What a proxy of ${view.observer} is given of ${name} is not known: ${error.message}`,
      error.hint ?? "",
    );
  }
  return undefined;
}
