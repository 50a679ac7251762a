import { ANSWER_PORT, CALLER_PORT, CLIENT_HEADER, ENVOY as CONFIG } from "../../../src/mesh/objects/probe.ts";
import { REFUSAL } from "../../../src/mesh/objects/probe-filter.ts";
import type { Json, Kube, ProxyRequest, ProxyResponse } from "../kube.ts";
import { type Endpoint, endpointsFor, networkOf } from "./endpoints.ts";
import type { Istiods } from "./istiod.ts";
import { hasLabels, isReady } from "./support.ts";

const RESET = "upstream connect error or disconnect/reset before headers.";
const FAILURE = "remote connection failure, transport failure reason:";
const ENVOY = { server: "envoy" };

const unavailable = (body: string): ProxyResponse => ({ status: 503, headers: ENVOY, body });

/** What the verification's probe answers: requests go the way that the objects of both clusters make for them. */
export function probes(kube: Kube, istiods: Istiods): void {
  kube.onProxy(async (request): Promise<ProxyResponse | undefined> => {
    const pod = kube.get({ apiVersion: "v1", kind: "Pod", namespace: request.namespace, name: request.pod });
    const config = request.port === CALLER_PORT ? configOf(kube, pod) : undefined;
    if (!config) return undefined;
    const [, , asked, service] = request.path.split("/");
    const route = routesOf(config, "call").find(({ match }) => match.path === request.path);
    if (!route) return { status: 404, headers: ENVOY, body: "" };
    if (asked === "endpoints") return dump(kube, istiods, pod, request);
    if (asked === "clusters") return { status: 200, headers: ENVOY, body: await clusters(istiods, pod, config) };
    if (asked === "service") return callService(kube, istiods, pod, calledBy(config, route.route.cluster));
    if (!service) return { status: 200, headers: ENVOY, body: "" };
    const [endpoint] = await endpoints(istiods, pod, service);
    return telling(kube, pod, endpoint ? call(kube, pod, endpoint) : unavailable("no healthy upstream"));
  });
}

/** What Envoy's access log has of a refusal, by its words (seen of Envoy 1.40). */
const FLAGS: readonly (readonly [RegExp, flags: string, details: string, reason: string])[] = [
  [/^no healthy upstream/, "UH", "no_healthy_upstream", "-"],
  [
    /delayed connect error: (.*)/,
    "UF,URX",
    "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error}",
    "delayed connect error",
  ],
  [/connection timeout/, "UF,URX", "upstream_reset_before_response_started{connection_timeout}", "-"],
  [
    /CERTIFICATE_VERIFY_FAILED/,
    "UF,URX",
    "upstream_reset_before_response_started{remote_connection_failure|TLS_error:CERTIFICATE_VERIFY_FAILED}",
    "TLS_error:CERTIFICATE_VERIFY_FAILED",
  ],
  [
    /connection termination/,
    "UF,URX",
    "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer:TLS_error_end}",
    "-",
  ],
];

/** The same with what the probe's EnvoyFilter has the sidecar say beside. */
function telling(kube: Kube, { metadata: { namespace } }: Json, answer: ProxyResponse): ProxyResponse {
  const [, flags, details, reason] = FLAGS.find(([words]) => words.test(answer.body)) ?? [];
  const told = kube.list("networking.istio.io/v1alpha3", "EnvoyFilter", namespace).length > 0;
  if (answer.status < 400 || !told || !flags) return answer;
  const headers = {
    [REFUSAL.by]: "sidecar",
    [REFUSAL.flags]: flags,
    [REFUSAL.details]: details ?? "-",
    [REFUSAL.reason]: reason ?? "-",
    [REFUSAL.upstream]: "-",
  };
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

interface Called {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** The Service that one of a probe's clusters leads to. */
function calledBy(config: Json, cluster: string): Called {
  const { load_assignment } = config.static_resources.clusters.find(({ name }: Json) => name === cluster);
  const { address, port_value } = load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address;
  const [name, namespace] = address.split(".");
  return { namespace, name, port: port_value };
}

/** What a probe's sidecar has counted, by the pod's UID and by `cluster::address`. */
const counted = new Map<string, Map<string, { requests: number; good: number; errors: number; failed: number }>>();

function counters(pod: Json) {
  const { uid } = pod.metadata;
  const known = counted.get(uid) ?? new Map();
  counted.set(uid, known);
  return known;
}

const clusterOf = ({ namespace, name, port }: Called) => `outbound|${port}||${name}.${namespace}.svc.cluster.local`;

/** A request to a Service of the user's: to each of its endpoints in turn, and to the next ones where it fails. */
async function callService(kube: Kube, istiods: Istiods, pod: Json, called: Called): Promise<ProxyResponse> {
  const { namespace, name } = called;
  // Its name does not resolve.
  if (!kube.get({ apiVersion: "v1", kind: "Service", namespace, name })) return unavailable("no healthy upstream");
  const all = await known(istiods, pod, called);
  const numbers = counters(pod);
  let last = unavailable("no healthy upstream");
  for (let i = 0; i < Math.min(3, all.length); i++) {
    const turn = [...numbers.values()].reduce((n, { requests }) => n + requests, 0);
    const endpoint = all[turn % all.length] as Endpoint;
    const key = `${clusterOf(called)}::${endpoint.address}:${endpoint.port}`;
    const of = numbers.get(key) ?? { requests: 0, good: 0, errors: 0, failed: 0 };
    numbers.set(key, of);
    last = call(kube, pod, endpoint);
    of.requests++;
    if (last.status < 500) of.good++;
    else of.errors++;
    if (/connection timeout|delayed connect/.test(last.body)) of.failed++;
    if (last.status !== 503 || !last.body.startsWith(RESET)) return last;
  }
  return last;
}

/** The sidecar's `/clusters`, of the Services that the probe calls. */
async function clusters(istiods: Istiods, pod: Json, config: Json): Promise<string> {
  const called = routesOf(config, "call")
    .filter(({ match }) => match.path?.includes("/service/"))
    .map(({ route }) => calledBy(config, route.cluster));
  const numbers = counters(pod);
  const told = await Promise.all(
    called.map(async (each) => {
      const cluster = clusterOf(each);
      const of = (await known(istiods, pod, each)).flatMap(({ address, port }) => {
        const key = `${cluster}::${address}:${port}`;
        const { requests = 0, good = 0, errors = 0, failed = 0 } = numbers.get(key) ?? {};
        return Object.entries({
          cx_connect_fail: failed,
          cx_total: requests,
          rq_error: errors,
          rq_success: good,
          rq_total: requests,
          health_flags: "healthy",
          weight: 1,
          priority: 0,
        }).map(([name, value]) => `${key}::${name}::${value}`);
      });
      return [`${cluster}::added_via_api::true`, ...of];
    }),
  );
  return told.flat().join("\n");
}

function routesOf(config: Json, listener: string): Json[] {
  const { filter_chains } = config.static_resources.listeners.find(({ name }: Json) => name === listener);
  return filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes;
}

/** Configurations by their text: every request asks for two of them. */
const parsed = new Map<string, Json>();

/** The probe's configuration; `undefined` where the pod is none. */
function configOf(kube: Kube, pod: Json): Json | undefined {
  const name = pod?.spec.volumes?.find(({ configMap }: Json) => configMap)?.configMap.name;
  const { namespace } = pod?.metadata ?? {};
  const text = name && kube.get({ apiVersion: "v1", kind: "ConfigMap", namespace, name })?.data?.[CONFIG];
  if (!text) return undefined;
  if (!parsed.has(text)) parsed.set(text, JSON.parse(text));
  return parsed.get(text);
}

function endpoints(istiods: Istiods, pod: Json, name: string): Promise<Endpoint[]> {
  return known(istiods, pod, { namespace: pod.metadata.namespace, name, port: ANSWER_PORT });
}

/** What the sidecar is given for a Service. */
async function known(istiods: Istiods, pod: Json, called: Called): Promise<Endpoint[]> {
  const revision = pod.metadata.annotations?.["istio.io/rev"] ?? "default";
  const all = (await istiods.known(revision)) ?? [];
  const [own] = all;
  if (!own) return [];
  return endpointsFor(all, called, networkOf(own, pod));
}

/** The sidecar's own view, as its admin port gives it. */
async function dump(kube: Kube, istiods: Istiods, pod: Json, { query }: ProxyRequest): Promise<ProxyResponse> {
  const { namespace } = pod.metadata;
  const pattern = new RegExp(`^(?:${query.get("name_regex") ?? ".*"})$`);
  const configs = await Promise.all(
    kube.list("v1", "Service", namespace).map(async ({ metadata: { name } }) => {
      const cluster = `outbound|${ANSWER_PORT}||${name}.${namespace}.svc.cluster.local`;
      if (!pattern.test(cluster)) return [];
      const lb_endpoints = (await endpoints(istiods, pod, name)).map(({ address, port, known }) => ({
        endpoint: { address: { socket_address: { address, port_value: port } } },
        health_status: "HEALTHY",
        metadata: { filter_metadata: { istio: { workload: `;;;;${known.id}` } } },
      }));
      const some = lb_endpoints.length > 0 ? { endpoints: [{ locality: {}, lb_endpoints }] } : {};
      const type = "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump.DynamicEndpointConfig";
      return [{ "@type": type, endpoint_config: { cluster_name: cluster, ...some } }];
    }),
  );
  return { status: 200, headers: ENVOY, body: JSON.stringify({ configs: configs.flat() }) };
}

/** A request to an endpoint, through the gateway that it names. */
function call(kube: Kube, source: Json, { known, pod, gateway }: Endpoint): ProxyResponse {
  const there = known.neighbour.kube;
  if (there !== kube) {
    // Pod networks are not routed between clusters, unless they are meant to be.
    if (!gateway && !known.neighbour.routed()) return unavailable(`${RESET} reset reason: connection timeout`);
    // What is this cluster's own comes first: an address that two clusters have leads to the own gateway.
    const own = gateway && kube.list("v1", "Service").find((service) => hasAddress(service, gateway.address));
    const refusal = own
      ? `${RESET} reset reason: connection termination`
      : gateway && refusedAtGateway(gateway.known.neighbour.kube, gateway.service, gateway.known.neighbour.blocked());
    if (refusal) return unavailable(refusal);
  }
  const root = (where: Kube, { metadata: { namespace } }: Json) =>
    where.get({ apiVersion: "v1", kind: "ConfigMap", namespace, name: "istio-ca-root-cert" })?.data?.["root-cert.pem"];
  if (root(kube, source) !== root(there, pod)) {
    return unavailable(
      `${RESET} reset reason: ${FAILURE} TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed:TLS_error_end`,
    );
  }
  const config = configOf(there, pod);
  // An application of the user's; a test may have it answer otherwise.
  if (!config) return { status: 200, headers: ENVOY, body: "hello", ...answerOf(pod) };
  const [route] = routesOf(config, "answer") as [Json];
  const identity = ({ metadata, spec }: Json) =>
    `spiffe://cluster.local/ns/${metadata.namespace}/sa/${spec.serviceAccountName}`;
  return {
    status: 200,
    headers: {
      ...ENVOY,
      "x-envoy-upstream-service-time": "2",
      [CLIENT_HEADER]: `By=${identity(pod)};Hash=0;Subject="";URI=${identity(source)}`,
    },
    body: route.direct_response.body.inline_string,
  };
}

/** Annotation of a pod: what its application answers, as `status body`. */
export const ANSWERS = "test/answers";

function answerOf({ metadata }: Json): { status?: number; body?: string } {
  const [, status, body] = /^(\d+) (.*)$/.exec(metadata.annotations?.[ANSWERS] ?? "") ?? [];
  return status ? { status: Number(status), body: body ?? "" } : {};
}

function hasAddress({ status }: Json, address: string): boolean {
  const ingress: Json[] = status?.loadBalancer?.ingress ?? [];
  return ingress.some(({ ip, hostname }) => address === (ip ?? hostname));
}

/** Envoy's text where the way ends at the gateway; `undefined` where it lets the request through. */
function refusedAtGateway(kube: Kube, service: Json, blocked: boolean): string | undefined {
  const refused = (why: string) =>
    `${RESET} retried and the latest reset reason: ${FAILURE} delayed connect error: ${why}`;
  if (blocked) return refused("Connection timed out");
  const pods = kube
    .list("v1", "Pod", service.metadata.namespace)
    .filter((pod) => isReady(pod) && hasLabels(pod, service.spec.selector));
  if (pods.length === 0) return refused("Connection refused");
  const exposed = kube
    .list("networking.istio.io/v1", "Gateway")
    .filter(({ spec }) => pods.some((pod) => hasLabels(pod, spec.selector ?? {})))
    .flatMap(({ spec }) => spec.servers ?? [])
    .some(
      ({ port, tls, hosts }: Json) =>
        port.number === 15443 &&
        tls?.mode === "AUTO_PASSTHROUGH" &&
        hosts.some((host: string) => /^([^/]+\/)?(\*|\*\.local)$/.test(host)),
    );
  return exposed ? undefined : `${RESET} reset reason: connection termination`;
}
