import { type MeshSpec, serviceName } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";
import {
  ANSWER_PORT,
  CALLER_PORT,
  CLIENT_HEADER,
  CONNECTION_PORT,
  callPath,
  clustersPath,
  connectPath,
  ENVOY,
  PROBE_POD,
  type ProbeSpec,
  probeName,
  RESOURCE,
  type ServiceCall,
  servicePath,
} from "./probe.ts";
import { telling } from "./probe-filter.ts";

/** How long an answer may take. Seconds. */
export const ANSWERED_WITHIN = 5;

/**
 * The probe's configuration.
 * @param services what of the user's it calls
 * @param ipv6 whether pods have IPv6 addresses first, or alone
 */
export function probeConfig(
  mesh: MeshSpec,
  probe: ProbeSpec,
  cluster: string,
  services: readonly ServiceCall[],
  ipv6: boolean,
): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: PROBE_POD, namespace: probe.namespace, labels: ownership(mesh, "probe") },
    // Of many clusters it is long, and each has one: no byte for the eye.
    data: { [ENVOY]: JSON.stringify(envoyConfig(mesh, probe, cluster, services, ipv6)) },
  };
}

/** Envoy's static configuration: listeners that answer, and one that calls the other probes through the sidecar. */
function envoyConfig(
  mesh: MeshSpec,
  probe: ProbeSpec,
  cluster: string,
  services: readonly ServiceCall[],
  ipv6: boolean,
) {
  const targets = mesh.clusters.map(({ name }) => name);
  const { key, namespace } = probe;
  const any = ipv6 ? "::" : "0.0.0.0";
  const answer = {
    // Else the header in which the sidecar names the caller is dropped.
    forward_client_cert_details: "ALWAYS_FORWARD_ONLY",
    routes: [
      {
        match: { prefix: "/" },
        direct_response: { status: 200, body: { inline_string: cluster } },
        response_headers_to_add: [header(CLIENT_HEADER, "%REQ(x-forwarded-client-cert)%")],
      },
    ],
  };
  const call = (path: string, to: string, prefix_rewrite = "/") => ({
    match: { path: `/${path}` },
    route: { cluster: to, auto_host_rewrite: true, prefix_rewrite, timeout: `${ANSWERED_WITHIN}s` },
  });
  const sidecar = (prefix_rewrite: string) => ({
    cluster: "sidecar",
    prefix_rewrite,
    timeout: "5s",
    // It listens on one of the two.
    retry_policy: { retry_on: "connect-failure", num_retries: 2 },
  });
  const calls = [
    ...targets.flatMap((target) => [
      call(callPath(probe, target), probeName(target)),
      call(connectPath(probe, target), connectionTo(target)),
    ]),
    ...services.map(({ service }) => ({
      ...call(servicePath(probe, service), serviceName(service), pathOf(service)),
      // It is asked as by any workload: these are the API server's.
      request_headers_to_remove: ["x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto"],
      // Nobody follows it.
      response_headers_to_remove: ["location"],
    })),
    {
      match: {
        path: `/${key}/endpoints`,
        // Of all that the sidecar could tell, only the endpoints are let out.
        query_parameters: [{ name: "resource", string_match: { exact: RESOURCE } }],
      },
      route: sidecar("/config_dump"),
    },
    { match: { path: `/${clustersPath(probe)}` }, route: sidecar("/clusters") },
  ];
  return {
    static_resources: {
      listeners: [
        listener("answer", any, ANSWER_PORT, answer),
        listener("connection", any, CONNECTION_PORT, answer),
        listener("call", any, CALLER_PORT, { routes: calls, local_reply_config: telling("probe") }),
      ],
      clusters: [
        ...targets.flatMap((target) => {
          const host = `${probeName(target)}.${namespace}.svc`;
          return [
            upstream(probeName(target), "STRICT_DNS", [[host, ANSWER_PORT]]),
            { ...upstream(connectionTo(target), "STRICT_DNS", [[host, CONNECTION_PORT]]), ...ONE_REQUEST_EACH },
          ];
        }),
        ...services.map(({ service, port }) => ({
          ...upstream(serviceName(service), "STRICT_DNS", [[`${service.name}.${service.namespace}.svc`, port]]),
          ...ONE_REQUEST_EACH,
        })),
        upstream("sidecar", "STATIC", [
          ["127.0.0.1", 15000],
          ["::1", 15000],
        ]),
      ],
    },
  };
}

/** The path without its query, which comes with each request. */
const pathOf = ({ request }: ServiceCall["service"]) => request.replace(/\?.*$/, "");

const connectionTo = (target: string) => `${probeName(target)}-connection`;

/** Each request on a connection of its own, which the sidecar hands on as it is. */
const ONE_REQUEST_EACH = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      common_http_protocol_options: { max_requests_per_connection: 1 },
      explicit_http_config: { http_protocol_options: {} },
    },
  },
};

function header(key: string, value: string) {
  return { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD", keep_empty_value: true };
}

function listener(
  name: string,
  address: string,
  port: number,
  { routes, ...options }: { routes: unknown[]; [option: string]: unknown },
) {
  const type = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
  return {
    name,
    address: socketAddress(address, port),
    filter_chains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: name,
              ...options,
              route_config: { virtual_hosts: [{ name, domains: ["*"], routes }] },
              http_filters: [{ name: "envoy.filters.http.router", typed_config: { "@type": type } }],
            },
          },
        ],
      },
    ],
  };
}

function upstream(name: string, type: string, hosts: readonly (readonly [host: string, port: number])[]) {
  return {
    name,
    type,
    connect_timeout: "5s",
    // The Service is new, and the proxy, which may be asked for names, just starts.
    ...(type === "STRICT_DNS" ? { dns_failure_refresh_rate: { base_interval: "0.2s", max_interval: "1s" } } : {}),
    load_assignment: {
      cluster_name: name,
      endpoints: [
        { lb_endpoints: hosts.map(([host, port]) => ({ endpoint: { address: socketAddress(host, port) } })) },
      ],
    },
  };
}

function socketAddress(address: string, port_value: number) {
  // On both families where it is IPv6's.
  return { socket_address: { address, port_value, ...(address === "::" ? { ipv4_compat: true } : {}) } };
}
