import type { MeshSpec } from "../spec.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";
import { PROBE_POD, type ProbeSpec } from "./probe.ts";

/** Response headers by which an Envoy tells why it answers in the application's place: who it is, and what its access log would say. */
export const REFUSAL = {
  by: "x-probe-refused-by",
  flags: "x-probe-flags",
  details: "x-probe-details",
  reason: "x-probe-reason",
  upstream: "x-probe-upstream",
} as const;

/** Of the Envoys on a request's way: the probe's own, the sidecar that sends, and the one that takes. */
export type Teller = "probe" | "sidecar" | "target";

/** What has an Envoy put those headers into answers that it gives in the application's place, and into no others (`local_reply_config`). */
export function telling(teller: Teller) {
  const header = (key: string, value: string) => ({
    header: { key, value },
    append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
  });
  return {
    mappers: [
      {
        filter: {
          status_code_filter: {
            comparison: { op: "GE", value: { default_value: 400, runtime_key: "probe.refused_from" } },
          },
        },
        headers_to_add: [
          header(REFUSAL.by, teller),
          header(REFUSAL.flags, "%RESPONSE_FLAGS%"),
          header(REFUSAL.details, "%RESPONSE_CODE_DETAILS%"),
          header(REFUSAL.reason, "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
          header(REFUSAL.upstream, "%UPSTREAM_HOST%"),
        ],
      },
    ],
  };
}

/** Has the sidecars of the probe's namespace tell so, and no others. Where it may not be made their words have to do. */
export function probeFilter(mesh: MeshSpec, { namespace }: ProbeSpec): KubernetesObject {
  const type = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
  const patch = (context: string, teller: Teller) => ({
    applyTo: "NETWORK_FILTER",
    match: {
      context,
      listener: { filterChain: { filter: { name: "envoy.filters.network.http_connection_manager" } } },
    },
    patch: {
      operation: "MERGE",
      value: { typed_config: { "@type": `type.googleapis.com/${type}`, local_reply_config: telling(teller) } },
    },
  });
  return {
    apiVersion: "networking.istio.io/v1alpha3",
    kind: "EnvoyFilter",
    metadata: { name: PROBE_POD, namespace, labels: ownership(mesh, "probe") },
    spec: { configPatches: [patch("SIDECAR_OUTBOUND", "sidecar"), patch("SIDECAR_INBOUND", "target")] },
  };
}
