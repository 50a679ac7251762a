import { parse } from "yaml";
import { ANSWER_PORT, CALLER_PORT, CLIENT_HEADER } from "../../../src/mesh/objects/probe.ts";
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
    if (!routesOf(config, "call").some(({ match }) => match.path === request.path)) {
      return { status: 404, headers: ENVOY, body: "" };
    }
    if (asked === "endpoints") return dump(kube, istiods, pod, request);
    if (asked === "clusters" || !service) return { status: 200, headers: ENVOY, body: "" };
    const [endpoint] = await endpoints(istiods, pod, service);
    return endpoint ? call(kube, pod, endpoint) : unavailable("no healthy upstream");
  });
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
  const text = name && kube.get({ apiVersion: "v1", kind: "ConfigMap", namespace, name })?.data?.["envoy.yaml"];
  if (!text) return undefined;
  if (!parsed.has(text)) parsed.set(text, parse(text));
  return parsed.get(text);
}

async function endpoints(istiods: Istiods, pod: Json, service: string): Promise<Endpoint[]> {
  const revision = pod.metadata.annotations?.["istio.io/rev"] ?? "default";
  const all = (await istiods.known(revision)) ?? [];
  const [own] = all;
  if (!own) return [];
  const { namespace } = pod.metadata;
  return endpointsFor(all, { namespace, name: service, port: ANSWER_PORT }, networkOf(own, pod));
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
    const refusal = gateway && refusedAtGateway(there, gateway.service, known.neighbour.blocked());
    if (refusal) return unavailable(refusal);
  }
  const root = (where: Kube, { metadata: { namespace } }: Json) =>
    where.get({ apiVersion: "v1", kind: "ConfigMap", namespace, name: "istio-ca-root-cert" })?.data?.["root-cert.pem"];
  if (root(kube, source) !== root(there, pod)) {
    return unavailable(
      `${RESET} reset reason: ${FAILURE} TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed:TLS_error_end`,
    );
  }
  const [route] = routesOf(configOf(there, pod), "answer") as [Json];
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
        hosts.some((host: string) => /^(\*|\*\.local)$/.test(host)),
    );
  return exposed ? undefined : `${RESET} reset reason: connection termination`;
}
