import { matches } from "../mesh/label-selector.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import type { Finding } from "../mesh/report.ts";
import { listed } from "../mesh/words.ts";
import { failed, passed } from "./finding.ts";
import {
  AUTO_PASSTHROUGH,
  configuring,
  type Exposure,
  type IstioGateway,
  istioExposure,
  type KubernetesGateway,
  kubernetesExposure,
  type Server,
  type Way,
} from "./gateway-resource.ts";
import { mtlsPort, type Service, selectsPods, targetPort } from "./gateway-service.ts";
import type { Gateways } from "./gateways.ts";
import { type Part, readable } from "./part.ts";
import { ignored, perhapsIgnored, type Taking } from "./taking.ts";

/** What of a cluster its exposure is judged by. */
export interface Exposed {
  readonly exposures: Part<readonly IstioGateway[]>;
  readonly kubernetesGateways: Part<readonly KubernetesGateway[]>;
  readonly gateways: Part<Gateways>;
  /** What the host names of Services end with. */
  readonly clusterDomain: Part<string>;
  readonly taking: Part<Taking>;
}

/**
 * Whether the other networks are let in, by Gateways of Istio's API or of Kubernetes': on the port that their traffic arrives
 * at, to Services, whichever those are. Of several on one port it is judged what istiod makes of them.
 */
export function servicesAreExposed({
  exposures,
  kubernetesGateways,
  gateways,
  clusterDomain,
  taking,
}: Exposed): Finding {
  const found = gateways();
  const ways = waysOf(found);
  const judge = (all: readonly Exposure[]) => judgeAll(all, ways, clusterDomain(), taking());
  const ofIstio = exposures().map(istioExposure);
  const others = readable(kubernetesGateways);
  if (others) return judge([...ofIstio, ...configuring(others).map(kubernetesExposure)]);
  const finding = judge(ofIstio);
  if (finding.verdict !== "passed") kubernetesGateways();
  return finding;
}

/** Where not all Services are exposed: the hosts that are. `undefined`: all are, or none. */
export function exposedHosts({
  exposures,
  kubernetesGateways,
  gateways,
  clusterDomain,
  taking,
}: Exposed): string[] | undefined {
  const all = [
    ...exposures().map(istioExposure),
    ...configuring(readable(kubernetesGateways) ?? []).map(kubernetesExposure),
  ];
  const domain = clusterDomain();
  const kinds = waysOf(gateways()).flatMap((way) => kindsOf(way, all));
  const hosts = kinds.flatMap((way) => passing(takenAmong(all, way, taking()), way).flatMap((each) => each.hosts));
  const narrow = [...new Set(hosts.filter((host) => isWithin(host, domain)))];
  return hosts.some((host) => coversAll(host, domain)) || narrow.length === 0 ? undefined : narrow;
}

/** The ways in; where there is none, one that might be. */
function waysOf({ services, deployments, pods }: Gateways): Way[] {
  const none: Service = { apiVersion: "v1", kind: "Service", metadata: { name: "" } };
  const leading = services.filter(selectsPods);
  return (leading.length > 0 ? leading : [none]).map((service) => {
    const selector = service.spec?.selector ?? {};
    const own = (each: { metadata: { namespace?: string }; labels: Readonly<Record<string, string>> }) =>
      each.metadata.namespace === service.metadata.namespace && matches(selector, each.labels);
    const running = pods.filter(({ metadata }) => own({ metadata, labels: metadata.labels ?? {} }));
    const coming = deployments.flatMap(({ metadata, spec }) => {
      const labels = spec.template.metadata?.labels ?? {};
      return own({ metadata, labels }) ? [labels] : [];
    });
    const labels = [...running.map(({ metadata }) => metadata.labels ?? {}), ...coming];
    const number = mtlsPort(service);
    return {
      service,
      // Pods may be missing, and the Gateway be right all the same.
      labels: labels.length > 0 ? labels : [selector],
      pods: running,
      port: targetPort(service, number, running) ?? number,
    };
  });
}

/** A way by its pods, those together that the same Gateways select: each proxy has what is for it. */
function kindsOf(way: Way, exposures: readonly Exposure[]): Way[] {
  const single = way.pods.map((pod): Way => ({ ...way, pods: [pod], labels: [pod.metadata.labels ?? {}] }));
  const kinds = Map.groupBy(single, (one) =>
    exposures
      .filter((each) => each.selects(one))
      .map(({ name }) => name)
      .join(),
  );
  if (kinds.size < 2) return [way];
  const merged = (same: readonly Way[], of: "pods" | "labels") => same.flatMap((one) => [...one[of]]) as never[];
  return [...kinds.values()].map((same) => ({
    ...way,
    pods: merged(same, "pods"),
    labels: merged(same, "labels"),
    partly: true,
  }));
}

/** Those that istiod takes for the proxies of a way. */
function takenAmong(exposures: readonly Exposure[], way: Way, taking: Taking): Exposure[] {
  return exposures.filter((each) => each.selects(way) && ignored(each, way, taking) === undefined);
}

function judgeAll(exposures: readonly Exposure[], ways: readonly Way[], domain: string, taking: Taking): Finding {
  const selecting = exposures.filter((each) => ways.some((way) => each.selects(way)));
  const reading = {
    source: "Gateways that configure the east-west gateway",
    values: Object.fromEntries(selecting.map(({ name, servers }) => [name, servers])),
  };
  const findings = ways
    .flatMap((way) => kindsOf(way, exposures))
    .map((way) => judgeWay(exposures, way, domain, taking));
  const bad = findings.find(({ verdict }) => verdict !== "passed");
  const evidence = [...new Set(findings.map((finding) => finding.evidence))].join(" ");
  const warning = bad ? undefined : perhapsIgnored(selecting, taking);
  return { ...(bad ?? passed(evidence)), ...(warning ? { warning } : {}), readings: [reading] };
}

function judgeWay(exposures: readonly Exposure[], way: Way, domain: string, taking: Taking): Finding {
  const selecting = takenAmong(exposures, way, taking);
  if (selecting.length === 0) {
    const [idle] = exposures.filter((each) => each.selects(way) && opens(each, way));
    if (idle)
      return failed(
        `${idle.name} exposes services, but istiod does not take it for the east-west gateway: it ${ignored(idle, way, taking)}.`,
        `Make one that it takes, by the command \`install\` or as Istio's expose-services Gateway, in namespace ${way.service.metadata.namespace}.`,
      );
    const strangers = exposures.filter(
      ({ ofService, servers }) => !ofService && servers.some(({ tls }) => tls?.mode === AUTO_PASSTHROUGH),
    );
    const names = strangers.map(({ name }) => name).join(", ");
    const pods = way.partly ? `pods ${listed(way.pods.map(({ metadata }) => metadata.name))}` : "pods";
    return failed(
      strangers.length > 0
        ? `${names} exposes services, but its selector does not match the east-west gateway's ${pods}.`
        : "No Gateway exposes the services: the east-west gateway lets nobody in.",
      `Run the command \`install\`, or apply Istio's expose-services Gateway (port 15443, AUTO_PASSTHROUGH, ${exposureHosts(domain)}).`,
    );
  }
  const open = passing(selecting, way);
  const conflict = conflictAmong(open);
  if (conflict) return conflicting(conflict, way);
  const useful = open.filter(({ hosts }) => hosts.some((host) => coversAll(host, domain) || isWithin(host, domain)));
  if (useful.length === 0) return useless(selecting, way, domain);
  const names = [...new Set(useful.map(({ exposure }) => exposure.name))];
  const does = names.length === 1 ? "exposes" : "expose";
  const hosts = [...new Set(useful.flatMap((each) => each.hosts))];
  const all = hosts.find((host) => coversAll(host, domain));
  if (all) return passed(`${listed(names)} ${does} ${all} on ${way.port}, ${AUTO_PASSTHROUGH}.`);
  const narrow = hosts.filter((host) => isWithin(host, domain));
  return passed(
    `${listed(names)} ${does} ${listed(narrow)} on ${way.port}, ${AUTO_PASSTHROUGH}: of this cluster the other networks reach ${listed(narrow.map((host) => reached(host, domain)))}, and nothing else.`,
  );
}

/** The hosts by which all Services are exposed: those of Istio's own page, where the cluster's domain lets them mean that. */
export function exposureHosts(clusterDomain: string): string {
  return `.svc.${clusterDomain}`.endsWith(".local") ? "*.local" : `*.svc.${clusterDomain}`;
}

const opens = (exposure: Exposure, way: Way) =>
  exposure.servers.some((each) => each.tls?.mode === AUTO_PASSTHROUGH && portOf(each, exposure, way) === way.port);

/** A server that istiod listens by, on the port that the traffic arrives at. */
interface Open {
  readonly exposure: Exposure;
  readonly server: Server;
  /** Without the namespaces that they may be bound to. */
  readonly hosts: readonly string[];
}

/**
 * The servers that let mTLS pass through at the way's port, as istiod merges all those that it finds for the pods
 * (pilot/pkg/model/gateway.go): the eldest first; of two with the same host the later one is left out, and where plain text
 * came first, all that are encrypted are.
 */
function passing(exposures: readonly Exposure[], way: Way): Open[] {
  const known = new Map<string, string>();
  let plain: string | undefined;
  let first = true;
  const open: Open[] = [];
  for (const exposure of exposures.filter((each) => each.selects(way)).toSorted(byAge)) {
    for (const server of exposure.servers) {
      if (portOf(server, exposure, way) !== way.port || isInside(server)) continue;
      const { bind = "", tls, hosts = [] } = server;
      const scoped = hosts.map((host) => inScope(host, exposure.metadata.namespace ?? ""));
      if (tls) {
        if (scoped.some((host) => known.get(host) === bind)) continue;
        for (const host of scoped) known.set(host, bind);
      }
      if (first && !tls) plain = bind;
      first = false;
      if (tls?.mode !== AUTO_PASSTHROUGH || !isTls(server) || plain === bind) continue;
      open.push({ exposure, server, hosts: scoped.map((host) => host.slice(host.indexOf("/") + 1)) });
    }
  }
  return open;
}

function byAge(a: Exposure, b: Exposure): number {
  const key = ({ metadata }: Exposure) =>
    [metadata.creationTimestamp ?? "", metadata.name, metadata.namespace].join(" ");
  return key(a) < key(b) ? -1 : 1;
}

/** The pods' port that a server listens on: that of a Service's port of its number, else the number itself. */
function portOf({ port }: Server, { ofService }: Exposure, { service, pods }: Way): number | undefined {
  const number = port?.number ?? 0;
  return targetPort(service, number, pods) ?? (ofService && service.spec?.ports ? undefined : number);
}

function inScope(host: string, namespace: string): string {
  if (host.startsWith("./")) return `${namespace}/${host.slice(2)}`;
  return host.startsWith("*/") ? host.slice(2) : host;
}

/** Whether it listens where nobody from outside of the pod comes. */
const isInside = ({ bind = "" }: Server) => /^(127\.|localhost$|::1$|unix:)/.test(bind);

const isTls = ({ port }: Server) => port?.protocol === "TLS" || port?.protocol === "HTTPS";

/** Two servers for one host: each has a filter chain for the same names, and Envoy refuses the listener as a whole. */
function conflictAmong(open: readonly Open[]): readonly [Open, Open] | undefined {
  for (const [i, one] of open.entries())
    for (const other of open.slice(i + 1))
      if (
        (one.server.bind ?? "") === (other.server.bind ?? "") &&
        one.hosts.some((host) => other.hosts.some((each) => isSubset(host, each) || isSubset(each, host)))
      )
        return [one, other];
  return undefined;
}

/** Whether a host, which may be a pattern itself, is one of those that a pattern means (pkg/config/host). */
function isSubset(host: string, pattern: string): boolean {
  if (!pattern.startsWith("*")) return host === pattern;
  return host.replace(/^\*/, "").endsWith(pattern.slice(1));
}

function conflicting([one, other]: readonly [Open, Open], { port }: Way): Finding {
  const told = ({ exposure, hosts }: Open) => `${exposure.name} (${listed(hosts)})`;
  const dispensable = [one, other].find(({ exposure }) => exposure.metadata.labels?.[MANAGED_BY] === MANAGER) ?? other;
  return failed(
    `${told(one)} and ${told(other)} let the same names in on port ${port} of the same pods: the gateway's proxy refuses the whole listener, and new pods do not become ready.`,
    `One of them is enough. To delete ${dispensable.exposure.name}: ${commandOn("delete", dispensable.exposure)}`,
  );
}

/** Why none of those that configure the gateway lets anybody in to a Service. */
function useless(selecting: readonly Exposure[], way: Way, domain: string): Finding {
  const problems = selecting.map((exposure) => ({ exposure, problem: problemOf(exposure, way, domain) }));
  const [first] = problems as [(typeof problems)[number]];
  return failed(
    `The services are not exposed: ${problems.map(({ exposure, problem }) => `${exposure.name} ${problem}`).join("; ")}.`,
    `${commandOn("edit", first.exposure)}, or run the command \`install\`.`,
  );
}

function commandOn(verb: string, { kind, metadata }: Exposure): string {
  return `kubectl -n ${metadata.namespace} ${verb} ${kind} ${metadata.name}`;
}

function problemOf(exposure: Exposure, way: Way, domain: string): string {
  if (exposure.servers.length === 0) return "has no server";
  const problems = exposure.servers.map((server) => {
    const { port, tls, hosts = [] } = server;
    return [
      portOf(server, exposure, way) === way.port ? [] : `listens on port ${port?.number} instead of ${way.port}`,
      isInside(server) ? `is bound to ${server.bind}` : [],
      isTls(server) ? [] : `has protocol ${port?.protocol} instead of TLS`,
      tls?.mode === AUTO_PASSTHROUGH ? [] : `has TLS mode ${tls?.mode ?? "(none)"} instead of ${AUTO_PASSTHROUGH}`,
      hosts
        .map((host) => host.slice(host.indexOf("/") + 1))
        .some((host) => coversAll(host, domain) || isWithin(host, domain))
        ? []
        : `has hosts ${hosts.join(", ")} instead of ${exposureHosts(domain)}`,
    ].flat();
  });
  // The one that is nearest to what it should be is most likely the one that was meant.
  const nearest = problems.sort((a, b) => a.length - b.length)[0] as string[];
  return nearest.length > 0 ? nearest.join(" and ") : "comes after another one that has the port, or its hosts";
}

/** Whether a pattern means the Services of all namespaces. */
function coversAll(pattern: string, domain: string): boolean {
  return pattern.startsWith("*") && `.svc.${domain}`.endsWith(pattern.slice(1));
}

/** Whether a host, or pattern, is of some Services alone. */
function isWithin(host: string, domain: string): boolean {
  return host.endsWith(`.svc.${domain}`) && !coversAll(host, domain);
}

/** Whom a host within the domain means. */
function reached(host: string, domain: string): string {
  const rest = host.slice(0, -`.svc.${domain}`.length);
  return rest.startsWith("*.") ? `namespace ${rest.slice(2)}` : `Service ${rest.split(".").toReversed().join("/")}`;
}
