import { clip } from "../cluster/errors.ts";
import type { Upstream } from "../facts/upstreams.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { ANSWERED_WITHIN } from "../mesh/objects/probe-config.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import { type ServiceSpec, serviceName } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { type Call, asked as handedOn, type Tries, told } from "./attempt.ts";
import { failed, passed, skipped, unknown } from "./finding.ts";
import { notHandedOn } from "./refusal.ts";
import { percentile } from "./traffic.ts";
import { isTcp, portsOf, protocolOf } from "./visibility.ts";
import { policyIn, whyRefused } from "./why.ts";

/** What came of a cluster's requests to a Service of the user's. */
export interface Asked extends Tries {
  readonly port: number;
  /**
   * What the probe's own proxy has for the port, and what came of it in `more`, or of all where nothing was answered;
   * `undefined` where it does not know the Service.
   */
  readonly upstreams: readonly Upstream[] | undefined | { readonly problem: string };
}

/** What there is to see of the requests from one cluster. */
export interface AnswersView {
  readonly service: ServiceSpec;
  readonly source: string;
  readonly asked: Asked;
  /** The clusters whose endpoints may be behind an address of the source's proxies, as `address:port`. */
  readonly places: ReadonlyMap<string, readonly string[]>;
  /** The clusters that have endpoints that are ready. */
  readonly having: readonly string[];
  /** The rule by which the source's proxies may prefer some endpoints to others; `undefined`: there is none. */
  readonly preference: string | undefined;
  /** The namespaces that alone the Service is exported to; none: it is exported to all, or that is not known. */
  readonly exported: readonly string[];
  /** AuthorizationPolicies that decide who may call its endpoints, with their clusters, as far as they could be read. */
  readonly deciding: readonly string[];
}

/** Protocols of ports, by Istio's names, that are encrypted by the application itself. */
const ENCRYPTED = /^(https|tls)$/i;

/**
 * The port by which a Service is called: the one that was asked for, else the first that Istio takes for HTTP, else the first
 * of TCP. @param found the Service as it is in the cluster. Throws a `Failure` where there is none for a request of plain HTTP
 */
export function portToCall(service: ServiceSpec, cluster: string, found: KubernetesObject | undefined): number {
  const name = serviceName(service);
  const ports = (found ? portsOf(found) : []).filter(isTcp);
  const plain = ports.filter((port) => !ENCRYPTED.test(protocolOf(port)));
  if (service.port !== undefined) {
    const own = ports.find(({ port }) => port === service.port);
    // Where it is not, proxies may know it all the same.
    if (!own || plain.includes(own)) return service.port;
  } else {
    if (!found)
      throw new Failure(
        `No request was sent: ${cluster} has no Service ${name} that would say which port to call.`,
        "Name the port in the input `services`: namespace/name:port.",
      );
    const port = plain.find((each) => /^(http|http2|grpc-web)$/i.test(protocolOf(each))) ?? plain[0];
    if (port) return port.port;
  }
  throw new Failure(
    `No request was sent: ${name} of ${cluster} speaks TLS of its own there, by its port's name or appProtocol, and the probe plain HTTP.`,
    "Name a port of plain HTTP in the input `services`, or leave `request` out.",
  );
}

/** Envoy's own words for a request that it could not have answered, and its response flag. */
const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/^no healthy upstream/, "UH"],
  [/^fault filter abort/, "FI"],
  [/^upstream request timeout|^stream timeout/, "UT"],
  [/^upstream connect error.*overflow/s, "UO"],
  [/^upstream connect error.*connection termination/s, "UC"],
  [/^upstream connect error.*remote reset/s, "UR"],
  [/^upstream connect error.*local reset/s, "LR"],
  [/^upstream connect error.*protocol error/s, "UPE"],
  [/^upstream connect error/, "UF"],
];

/** The response flag of an answer that an Envoy gave in the application's place; `undefined` of one of the application's own. */
export function refusedBy({ status, body, refusal }: Call): string | undefined {
  if (status === undefined || status < 500) return undefined;
  // Of several the last word is what it came to; that it was tried before says less.
  if (refusal?.flags.length) return refusal.flags.find((flag) => flag !== "URX") ?? refusal.flags[0];
  return REFUSALS.find(([words]) => words.test(body.trim()))?.[1];
}

/** Whether a sidecar refused it by a policy. */
const isForbidden = (call: Call) =>
  call.status === 403 && (call.refusal ? whyRefused(call) === "forbidden" : call.body.trim() === "RBAC: access denied");

function policyOf(calls: readonly Call[]): string {
  const names = new Set(calls.flatMap((call) => policyIn(call) ?? []));
  return names.size > 0 ? `AuthorizationPolicy ${listed([...names])}` : "A policy";
}

/** Whether requests from a cluster to a Service are answered, whatever the application says, and by which clusters' endpoints. */
export function serviceIsAnswered(view: AnswersView): Finding {
  const { service, source, asked } = view;
  const name = `${service.namespace}/${service.name}:${asked.port}`;
  // The first one only shows that the others are worth it.
  const more = handedOn(asked.more);
  const calls = more.length > 0 ? more : [asked.first];
  const { status } = asked.first;
  if (status === undefined) return notHandedOn(source, asked.first);
  const bad = calls.filter((call) => refusedBy(call) !== undefined);
  const { upstreams } = asked;
  if (upstreams === undefined && view.exported.length > 0)
    return skipped(
      `${name} is exported to ${listed(view.exported)} alone. The probe is in a namespace of its own, which is not among them, so what answers it says nothing.`,
    );
  if (upstreams === undefined)
    return unknown(
      `The probe's own proxy in ${source} does not know ${name}: what answers it (HTTP ${status}) is asked past the mesh.`,
      `Is it exported to all namespaces? kubectl -n ${service.namespace} get service ${service.name} -o yaml; kubectl get sidecars.networking.istio.io -A`,
      readingOf(view, calls, new Map()),
    );
  const seen = "problem" in upstreams ? undefined : tally(view, upstreams, calls);
  const answered = new Map((seen ?? []).filter(({ good }) => good > 0).map(({ who, good }) => [who, good]));
  const reading = readingOf(view, calls, answered);
  const [worst] = bad;
  if (worst) return { ...unanswered(view, calls.length - bad.length, calls.length, worst, seen), readings: [reading] };
  // Asked again elsewhere by the proxy, so that no caller notices; but nobody there answers.
  const dead = (seen ?? []).filter(({ good, bad }) => good === 0 && bad > 0);
  if (dead.length > 0)
    return {
      ...failed(
        `Of ${name}, what is in ${listed(dead.map(({ who }) => who))} does not answer ${source}: ${count(sum(dead, "bad"), "try").replace("trys", "tries")} at ${listed(dead.flatMap(({ addresses }) => addresses))} failed. Others answered in its place, as the proxy tries again.`,
        "Look at the check of the requests to that cluster, and at its pods: kubectl get pods -A",
        reading,
      ),
      clusters: dead.flatMap(({ clusters }) => clusters),
    };
  return answers(view, name, calls, seen, reading);
}

/** What all answered. */
function answers(
  view: AnswersView,
  name: string,
  calls: readonly Call[],
  seen: readonly Place[] | undefined,
  reading: Reading,
): Finding {
  const { service, source, asked } = view;
  const counts = [...statusesOf(calls)];
  const statuses = listed(
    counts.map(([status, number]) => `${counts.length > 1 ? `${number} by ` : ""}HTTP ${status}`),
  );
  const line = `${calls.length} of ${calls.length} requests from ${source} to ${pathOf(service)} of ${name} were answered (${statuses})`;
  const by = (seen ?? []).filter(({ good }) => good > 0);
  const warnings: string[] = [];
  if (calls.some(isForbidden))
    warnings.push(
      `${policyOf(calls)} refuses the probe (RBAC: access denied). Whether your workloads are let in is up to it: kubectl get authorizationpolicies -A`,
    );
  const errors = calls.filter(({ status = 0 }) => status >= 500);
  if (errors.length > 0)
    warnings.push(`${errors.length} of ${calls.length} answers are errors of the application itself.`);
  if (!seen) {
    const { problem } = asked.upstreams as { problem: string };
    warnings.push(`By which clusters' endpoints was not seen: ${clip(problem, 200)}`);
  } else if (by.length === 0) {
    const why = `no endpoint of ${name} itself was asked: is there a VirtualService that answers, or sends it elsewhere? kubectl get virtualservices.networking.istio.io -A`;
    // So answers a proxy that has no route for the path.
    if (calls.every(({ status }) => status === 404))
      return unknown(
        `${name} answers ${source} by HTTP 404, and ${why.replace(/\? .*/, "?")}`,
        why.replace(/.*\? /, ""),
        reading,
      );
    warnings.push(`By whom was not seen: ${why}`);
  }
  const failing = by.filter(({ bad }) => bad > 0);
  if (failing.length > 0)
    warnings.push(
      `${sum(failing, "bad")} more failed${whereOf(failing)}, and the proxy tried again: see whether one of the pods there is broken.`,
    );
  const missing = by.length === 0 ? [] : unseen(view, seen ?? []);
  const lacking = missing.filter(({ place, why }) => !place && !why);
  if (lacking.length > 0) {
    const clusters = lacking.map(({ cluster }) => cluster);
    return {
      ...failed(
        `${line}, but the probe's proxy in ${source} has no endpoint of it in ${listed(clusters)}.`,
        `In ${source}: istioctl proxy-config endpoints deployment/DEPLOYMENT -n NAMESPACE --cluster "outbound|${asked.port}||${service.name}.${service.namespace}.svc.cluster.local", of one that calls.`,
        reading,
      ),
      clusters,
    };
  }
  const preferred = missing.filter(({ why }) => why !== undefined);
  const odd = missing.filter(({ why }) => why === undefined);
  if (odd.length > 0)
    warnings.push(
      `None of them was answered by ${listed(odd.map(({ cluster }) => cluster))}, though ${source}'s proxy has endpoints there, and no rule was found by which it prefers others.`,
    );
  const shares = by.map(({ who, good }) => `${good} by ${who}`);
  const rest = preferred.map(({ cluster, why }) => ` ${cluster} was not seen to be asked: ${why}.`);
  return {
    ...passed(`${line}${shares.length > 0 ? `: ${shares.join(", ")}` : ""}.${rest.join("")}`, reading),
    ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}),
  };
}

/** Why not all was answered, by Envoy's words and by which addresses its connections failed at. */
function unanswered(
  { service, source, asked, having, deciding }: AnswersView,
  good: number,
  all: number,
  call: Call,
  seen: readonly Place[] | undefined,
): Finding {
  const name = `${service.namespace}/${service.name}:${asked.port}`;
  const flag = refusedBy(call) as string;
  const lead =
    good > 0
      ? `Only ${good} of ${all} requests from ${source} to ${name} were answered`
      : `${source}'s requests to ${name} are not answered, for ${Math.round(asked.seconds)} s`;
  const say = (why: string, hint: string, clusters?: readonly string[]): Finding => ({
    ...failed(`${lead}: ${why}. Envoy says ${flag}: ${told(call)}`, hint),
    ...(clusters ? { clusters } : {}),
  });
  const proxy = `In ${source}: istioctl proxy-config endpoints deployment/DEPLOYMENT -n NAMESPACE, of one that calls.`;
  const elsewhere = having.filter((cluster) => cluster !== source);
  const places = seen ?? [];
  if (flag === "UH") {
    if (seen?.length === 0) return say("the proxy has no endpoint of it", proxy, elsewhere);
    const ill = places.filter(({ ill }) => ill);
    if (seen && ill.length === places.length)
      return say(
        `the proxy takes all its endpoints for unhealthy (${listed(ill.flatMap(({ ill }) => ill ?? []))})`,
        proxy,
      );
    if (seen && places.every(({ good, bad }) => good + bad === 0))
      return say(
        `its name, ${service.name}.${service.namespace}.svc, does not resolve there`,
        `In ${source}: kubectl -n ${service.namespace} get service ${service.name}`,
      );
  }
  if (flag === "UT")
    return say(
      `there was no answer within ${ANSWERED_WITHIN} s`,
      `Does it take its time, or is it stuck? kubectl -n ${service.namespace} get pods`,
    );
  if (flag === "FI")
    return say(
      "a VirtualService aborts them (fault.abort)",
      `In ${source}: kubectl get virtualservices.networking.istio.io -A`,
    );
  if (flag === "NR" || flag === "NC")
    return say(
      flag === "NC" ? "they are routed to a subset that no DestinationRule has" : "no route is for them",
      `In ${source}: kubectl get virtualservices.networking.istio.io,destinationrules.networking.istio.io -A`,
    );
  if (whyRefused(call) === "untrusted")
    return say(
      `the two sides do not accept each other's certificates${whereOf(places.filter(({ bad }) => bad > 0))}`,
      "Do all pods have certificates of the root that is in use? Those that run since before a change of it are to be restarted.",
      clustersIn(places),
    );
  const unconnected = places.filter(({ unconnected }) => unconnected > 0);
  if (unconnected.length > 0)
    return say(
      `connections fail${whereOf(unconnected)}`,
      "Are the pods, or the gateway of that cluster, ready, and reached on that port?",
      clustersIn(unconnected),
    );
  if (deciding.length > 0 && places.every(({ isHttp }) => !isHttp))
    // Where Istio sees no HTTP, a policy's refusal is a connection that is closed.
    return unknown(
      `${lead}: connections are closed, as a policy does it on a port that is not of HTTP, and ${listed(deciding)} ${deciding.length === 1 ? "decides" : "decide"} who may call it. Whether your workloads may is up to that.`,
      "Leave `request` out for this Service, or let the probe in: its namespaces begin with istio-mesh-probe-.",
    );
  const failing = places.filter(({ bad }) => bad > 0);
  return say(
    `the connection is taken, and what is behind it does not answer${whereOf(failing)}`,
    `Does the application listen on the port that the Service sends to, and does the other cluster's gateway expose its namespace? kubectl -n ${service.namespace} get pods,endpointslices; kubectl get gateways.networking.istio.io -A`,
    failing.length > 0 ? clustersIn(failing) : undefined,
  );
}

/** What came of the requests to those of a proxy's addresses behind which the same clusters' endpoints are. */
interface Place {
  readonly clusters: readonly string[];
  /** In words: `cluster1`, `cluster2 or cluster3`. */
  readonly who: string;
  readonly addresses: readonly string[];
  readonly good: number;
  readonly bad: number;
  /** Of these, connections that did not come about. */
  readonly unconnected: number;
  /** Whether answers were counted, or connections alone. */
  readonly isHttp: boolean;
  /** By which most of its addresses are chosen. */
  readonly priority: number;
  readonly weight: number;
  /** What the proxy holds against all of them; `undefined` where not against all. */
  readonly ill: string | undefined;
}

function tally({ places }: AnswersView, upstreams: readonly Upstream[], calls: readonly Call[]): Place[] {
  // What the application itself calls an error was answered all the same.
  const own = calls.some((call) => (call.status ?? 0) >= 500 && !refusedBy(call));
  const groups = Map.groupBy(upstreams, ({ address }) => wordsOf(places.get(plain(address)) ?? [], address));
  return [...groups].map(([who, its]) => {
    const results = its.map(({ requests, good, errors, failed: unconnected }) => {
      // Of plain TCP only connections are counted.
      if (good + errors === 0) return { good: Math.max(0, requests - unconnected), bad: unconnected, unconnected };
      return { good: good + (own ? errors : 0), bad: own ? unconnected : Math.max(errors, unconnected), unconnected };
    });
    return {
      clusters: places.get(plain(its[0]?.address ?? "")) ?? [],
      who,
      addresses: its.map(({ address }) => address),
      good: sum(results, "good"),
      bad: sum(results, "bad"),
      isHttp: its.some(({ good, errors }) => good + errors > 0),
      unconnected: sum(results, "unconnected"),
      priority: Math.min(...its.map(({ priority }) => priority)),
      weight: sum(its, "weight"),
      ill: its.every(({ health }) => health !== "healthy") ? listed(its.map(({ health }) => health)) : undefined,
    };
  });
}

/** Clusters that have endpoints and of which none was seen to answer: where they are, and why that is to be so. */
function unseen({ having, preference }: AnswersView, seen: readonly Place[]) {
  const asked = seen.filter(({ good }) => good > 0);
  const first = Math.min(...asked.map(({ priority }) => priority));
  const total = sum(
    seen.filter(({ priority }) => priority === first),
    "weight",
  );
  const requests = sum(asked, "good");
  const others = seen.filter(({ clusters }) => clusters.length === 0).flatMap(({ addresses }) => addresses);
  const strangers = others.length > 0 ? `it may be what is at ${listed(others)}` : undefined;
  return having
    .filter((cluster) => !asked.some(({ clusters }) => clusters.includes(cluster)))
    .map((cluster) => {
      const place = seen.find(({ clusters }) => clusters.includes(cluster));
      return { cluster, place, why: place ? whyNot(place) : strangers };
    });

  function whyNot({ priority, weight, ill }: Place): string | undefined {
    if (ill) return `the proxy takes its endpoints for unhealthy (${ill})`;
    if (priority > first) return "the proxy prefers endpoints that are nearer";
    if (preference) return preference;
    return total > 0 && (1 - weight / total) ** requests > BY_CHANCE
      ? `it has ${weight} of ${total} shares, and none of ${count(requests, "request")} came there`
      : undefined;
  }
}

/** How likely it may be that a cluster is passed over by mere chance, and nothing is said of it. */
const BY_CHANCE = 0.001;

const plain = (address: string) => address.replace(/[[\]]/g, "");
const wordsOf = (clusters: readonly string[], address: string) => clusters.join(" or ") || address;
const clustersIn = (places: readonly Place[]) => [...new Set(places.flatMap(({ clusters }) => clusters))];
const pathOf = ({ request = "/" }: ServiceSpec) => request.replace(/\?.*$/, "");

function whereOf(places: readonly Place[]): string {
  if (places.length === 0) return "";
  return ` at ${listed(places.flatMap(({ addresses, who }) => addresses.map((address) => `${address} (${who})`)))}`;
}

function sum<K extends string>(all: readonly { readonly [key in K]: number }[], key: K): number {
  return all.reduce((n, each) => n + each[key], 0);
}

function statusesOf(calls: readonly Call[]): Map<number, number> {
  const groups = Map.groupBy(calls, ({ status }) => status ?? 0);
  return new Map([...groups].map(([status, its]) => [status, its.length] as const).sort(([a], [b]) => a - b));
}

function readingOf(
  { source, service, having }: AnswersView,
  calls: readonly Call[],
  answered: Map<string, number>,
): Reading {
  const times = calls.flatMap(({ milliseconds }) => milliseconds ?? []).sort((a, b) => a - b);
  return {
    source: `requests from ${source}'s probe to ${serviceName(service)}`,
    values: {
      statuses: Object.fromEntries(statusesOf(calls)),
      answered: Object.fromEntries(answered),
      having,
      p50: percentile(times, 50),
      p99: percentile(times, 99),
    },
  };
}
