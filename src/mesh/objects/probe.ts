import { stringify } from "yaml";
import type { MeshSpec } from "../spec.ts";
import { labelFor } from "./names.ts";
import type { KubernetesObject } from "./object.ts";
import { MANAGED_BY, MANAGER, ownership } from "./ownership.ts";

/** The probe's pod, in every cluster. */
export const PROBE_POD = "probe";
/** Where a probe answers requests from the mesh. No gateway listens on this port. */
export const ANSWER_PORT = 8080;
/** Where it takes ours, through the API server: left out of the mesh, so that STRICT mTLS does not refuse them. */
export const CALLER_PORT = 8081;
/** Response header with the caller's certificates, as the answering probe's sidecar saw them. */
export const CLIENT_HEADER = "x-probe-client";
/** Annotation of the probe's namespace: RFC 3339, after which no run needs it any more. */
export const EXPIRES = `${MANAGER}/expires`;
/** Selects the namespaces of probes, of whatever mesh. */
export const PROBE_NAMESPACES = `${MANAGED_BY}=${MANAGER},app.kubernetes.io/component=probe`;
/** What the names of those namespaces begin with. */
export const PROBE_PREFIX = "istio-mesh-probe-";

export interface ProbeSpec {
  readonly namespace: string;
  /** When the namespace may be removed by others. */
  readonly expires: Date;
}

/** Service, and service account, of one cluster's probe. */
export function probeName(cluster: string): string {
  return labelFor("probe-", cluster);
}

/** Path at the caller's port that asks for a request to a cluster's probe. */
export function callPath(target: string): string {
  return `to/${probeName(target)}`;
}

/** Path at the caller's port for what the sidecar knows of the endpoints of a cluster's probe. */
export function endpointsPath(namespace: string, target: string): string {
  const name = `outbound\\|${ANSWER_PORT}\\|.*\\|${probeName(target)}\\.${namespace}\\.`;
  const query = new URLSearchParams({ include_eds: "", resource: RESOURCE, name_regex: `${name}.*` });
  return `endpoints?${query}`;
}

const RESOURCE = "dynamic_endpoint_configs";

/** The probe's namespace. The label chooses the revision that injects, `default` included. */
export function probeNamespace(mesh: MeshSpec, { namespace, expires }: ProbeSpec, revision: string): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: namespace,
      labels: {
        ...ownership(mesh, "probe"),
        "istio.io/rev": revision,
        // The sidecar's init container needs NET_ADMIN wherever Istio's CNI plugin does not do its work.
        "pod-security.kubernetes.io/enforce": "privileged",
      },
      annotations: { [EXPIRES]: expires.toISOString() },
    },
  };
}

/** What the probe's pod needs before it starts. */
export function probeObjects(mesh: MeshSpec, { namespace }: ProbeSpec, cluster: string): KubernetesObject[] {
  const metadata = (name: string) => ({ name, namespace, labels: ownership(mesh, "probe") });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(probeName(cluster)) },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: metadata(PROBE_POD),
      data: { "envoy.yaml": stringify(envoyConfig(mesh, namespace, cluster), { aliasDuplicateObjects: false }) },
    },
    // A mesh whose default is to deny would refuse the probes' requests, which says nothing about the way.
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: metadata(PROBE_POD),
      spec: { action: "ALLOW", rules: [{ from: [{ source: { namespaces: [namespace] } }] }] },
    },
    ...mesh.clusters.map(({ name }) => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata(probeName(name)),
      spec: {
        // It exists in all clusters and selects nothing but this one's probe, so that an answer proves the way there.
        selector: selector(name),
        ports: [{ name: "http", port: ANSWER_PORT, targetPort: ANSWER_PORT }],
      },
    })),
  ];
}

function selector(cluster: string): Record<string, string> {
  return { "app.kubernetes.io/name": PROBE_POD, [`${MANAGER}/cluster`]: cluster };
}

/**
 * The probe itself: Envoy, from the image that the sidecar has, so that no other image is needed.
 * @param image `undefined` to ask, by a dry run, which image injection adds
 * @param uid the user to run as; `undefined` where the platform chooses one (OpenShift)
 */
export function probePod(
  mesh: MeshSpec,
  { namespace }: ProbeSpec,
  cluster: string,
  image: string | undefined,
  uid: number | undefined,
): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: PROBE_POD,
      namespace,
      labels: { ...ownership(mesh, "probe"), ...selector(cluster) },
      annotations: {
        "traffic.sidecar.istio.io/excludeInboundPorts": String(CALLER_PORT),
        // It is small and short-lived; the usual request would not fit on a full node.
        "sidecar.istio.io/proxyCPU": "10m",
        "sidecar.istio.io/proxyMemory": "64Mi",
      },
    },
    spec: {
      serviceAccountName: probeName(cluster),
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: PROBE_POD,
          image: image ?? "placeholder.invalid/probe",
          command: ["/usr/local/bin/envoy"],
          args: ["-c", "/etc/probe/envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"],
          ports: [{ containerPort: ANSWER_PORT }, { containerPort: CALLER_PORT }],
          resources: { requests: { cpu: "10m", memory: "32Mi" } },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ["ALL"] },
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            seccompProfile: { type: "RuntimeDefault" },
            // Not the proxies' own user: what that one sends is not captured.
            ...(uid === undefined ? {} : { runAsUser: uid }),
          },
          volumeMounts: [{ name: "config", mountPath: "/etc/probe", readOnly: true }],
        },
      ],
      volumes: [{ name: "config", configMap: { name: PROBE_POD } }],
    },
  };
}

/** Envoy's static configuration: one listener that answers, one that calls the other probes through the sidecar. */
function envoyConfig(mesh: MeshSpec, namespace: string, cluster: string) {
  const targets = mesh.clusters.map(({ name }) => name);
  return {
    static_resources: {
      listeners: [
        listener("answer", ANSWER_PORT, {
          // Else the header in which the sidecar names the caller is dropped.
          forward_client_cert_details: "ALWAYS_FORWARD_ONLY",
          routes: [
            {
              match: { prefix: "/" },
              direct_response: { status: 200, body: { inline_string: cluster } },
              response_headers_to_add: [header(CLIENT_HEADER, "%REQ(x-forwarded-client-cert)%")],
            },
          ],
        }),
        listener("call", CALLER_PORT, {
          routes: [
            ...targets.map((target) => ({
              match: { path: `/${callPath(target)}` },
              route: { cluster: probeName(target), auto_host_rewrite: true, prefix_rewrite: "/", timeout: "5s" },
            })),
            {
              match: {
                path: "/endpoints",
                // Of all that the sidecar could tell, only the endpoints are let out.
                query_parameters: [{ name: "resource", string_match: { exact: RESOURCE } }],
              },
              route: { cluster: "sidecar", prefix_rewrite: "/config_dump", timeout: "5s" },
            },
          ],
        }),
      ],
      clusters: [
        ...targets.map((target) =>
          upstream(probeName(target), "STRICT_DNS", `${probeName(target)}.${namespace}.svc`, ANSWER_PORT),
        ),
        upstream("sidecar", "STATIC", "127.0.0.1", 15000),
      ],
    },
  };
}

function header(key: string, value: string) {
  return { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD", keep_empty_value: true };
}

function listener(
  name: string,
  port: number,
  { routes, ...options }: { routes: unknown[]; [option: string]: unknown },
) {
  const type = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
  return {
    name,
    address: socketAddress("0.0.0.0", port),
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

function upstream(name: string, type: string, host: string, port: number) {
  return {
    name,
    type,
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(host, port) } }] }],
    },
  };
}

function socketAddress(address: string, port_value: number) {
  return { socket_address: { address, port_value } };
}
