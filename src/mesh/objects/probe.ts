import { createHash } from "node:crypto";
import { type LabelSelector, labelsFor } from "../label-selector.ts";
import { type MeshSpec, type ServiceSpec, serviceName } from "../spec.ts";
import { labelFor } from "./names.ts";
import type { KubernetesObject, ObjectRef } from "./object.ts";
import { MANAGED_BY, MANAGER, ownership } from "./ownership.ts";

/** The probe's pod, in every cluster. */
export const PROBE_POD = "probe";

export function probeRef(namespace: string): ObjectRef {
  return { apiVersion: "v1", kind: "Pod", namespace, name: PROBE_POD };
}

/** Where a probe answers requests from the mesh. No gateway listens on this port. */
export const ANSWER_PORT = 8080;
/** Where it answers what comes without HTTP as far as the mesh knows: each connection of its own, from end to end. */
export const CONNECTION_PORT = 8082;
/** Where it takes ours, through the API server: left out of the mesh, so that STRICT mTLS does not refuse them. */
export const CALLER_PORT = 8081;
/**
 * The same from within the pod, for those who come by `pilot-agent request`: of the ports that it asks, the one of the proxy's
 * own status, which this pod does without.
 */
export const INSIDE_PORT = 15020;
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
  /** What the probes' callers know, and nobody else in the cluster: without it a probe sends nothing, and tells nothing. */
  readonly key: string;
  /** The user's Services; those with a `request` are called. */
  readonly services: readonly ServiceSpec[];
}

/** Service, and service account, of one cluster's probe. */
export function probeName(cluster: string): string {
  return labelFor("probe-", cluster);
}

/** Path at the caller's port that asks for an HTTP request to a cluster's probe, which the proxies may try again. */
export function callPath({ key }: ProbeSpec, target: string): string {
  return `${key}/to/${probeName(target)}`;
}

/** The same for a connection of its own to it: no proxy keeps it for the next request, and none tries it again. */
export function connectPath({ key }: ProbeSpec, target: string): string {
  return `${key}/connect/${probeName(target)}`;
}

/** Path at the caller's port for what the sidecar knows of the endpoints of all clusters' probes. */
export function endpointsPath({ key, namespace }: ProbeSpec): string {
  const name = `outbound\\|${ANSWER_PORT}\\|.*\\|[^.]*\\.${namespace}\\.`;
  const query = new URLSearchParams({ include_eds: "", resource: RESOURCE, name_regex: `${name}.*` });
  return `${key}/endpoints?${query}`;
}

/** The same for how its connections to all that it knows have gone, a line for each number. */
export function clustersPath({ key }: ProbeSpec): string {
  return `${key}/clusters`;
}

/**
 * The same for a request to a Service of the user's. Who is asked is told this path (x-envoy-original-path, and the API
 * server's x-forwarded-uri), so it has a key of its own, which is good for nothing else.
 */
export function servicePath({ key }: ProbeSpec, service: ServiceSpec): string {
  const name = serviceName(service);
  return `${createHash("sha256").update(`${key} ${name}`).digest("hex").slice(0, key.length)}/service/${name}`;
}

/** A Service of the user's that a probe calls. */
export interface ServiceCall {
  readonly service: ServiceSpec & { readonly request: string };
  readonly port: number;
}

/** The file of the configuration. */
export const ENVOY = "envoy.json";
/** Of all that the sidecar could tell of its configuration, what is let out. */
export const RESOURCE = "dynamic_endpoint_configs";

/** The labels that a probe's namespace has whatever the mesh asks for. The revision is the one that injects, `default` included. */
function namespaceLabels(mesh: MeshSpec, revision: string): Record<string, string> {
  return {
    ...mesh.probe?.labels,
    ...ownership(mesh, "probe"),
    "istio.io/rev": revision,
    // The sidecar's init container needs NET_ADMIN wherever Istio's CNI plugin does not do its work.
    "pod-security.kubernetes.io/enforce": "privileged",
  };
}

/**
 * The labels of a probe's namespace with which every control plane looks at it; `undefined` where there are none such.
 * @param discovery the discoverySelectors of each
 */
export function discoverableLabels(
  mesh: MeshSpec,
  { namespace }: ProbeSpec,
  revision: string,
  discovery: readonly (readonly LabelSelector[])[],
): Record<string, string> | undefined {
  // Kubernetes' own, on every namespace.
  const own = { ...namespaceLabels(mesh, revision), "kubernetes.io/metadata.name": namespace };
  return labelsFor(discovery, own);
}

/** The probe's namespace. @param labels as `discoverableLabels` gives them */
export function probeNamespace(
  mesh: MeshSpec,
  { namespace, expires }: ProbeSpec,
  labels: Readonly<Record<string, string>>,
): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: namespace,
      labels,
      annotations: { ...mesh.probe?.annotations, [EXPIRES]: expires.toISOString() },
    },
  };
}

/** What is in the probe's namespace beside its pod, but for the Services and the configuration. */
export function probeObjects(mesh: MeshSpec, { namespace }: ProbeSpec, cluster: string): KubernetesObject[] {
  const metadata = (name: string) => ({ name, namespace, labels: ownership(mesh, "probe") });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(probeName(cluster)) },
    // A mesh whose default is to deny would refuse the probes' requests, which says nothing about the way.
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: metadata(PROBE_POD),
      spec: { action: "ALLOW", rules: [{ from: [{ source: { namespaces: [namespace] } }] }] },
    },
  ];
}

/** The Services by which each cluster's probe is called. */
export function probeServices(mesh: MeshSpec, { namespace }: ProbeSpec): KubernetesObject[] {
  return mesh.clusters.map(({ name }) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name: probeName(name),
      namespace,
      labels: ownership(mesh, "probe"),
      // The mesh's default may be to keep Services in their own namespaces, where the gateway is not.
      annotations: { "networking.istio.io/exportTo": "*" },
    },
    spec: {
      // It exists in all clusters and selects nothing but this one's probe, so that an answer proves the way there.
      selector: selector(name),
      ports: [
        { name: "http", port: ANSWER_PORT, targetPort: ANSWER_PORT },
        { name: "tcp", port: CONNECTION_PORT, targetPort: CONNECTION_PORT },
      ],
    },
  }));
}

function selector(cluster: string): Record<string, string> {
  return { "app.kubernetes.io/name": PROBE_POD, [`${MANAGER}/cluster`]: cluster };
}

interface Mark {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * The probe itself: Envoy, from the image that the sidecar has, so that no other image is needed.
 * @param image `undefined` to ask, by a dry run, which image injection adds
 * @param uid the user to run as; `undefined` where the platform chooses one (OpenShift)
 * @param watched whether the kubelet looks whether the proxy is well, as it does in other pods. Requests tell it sooner; but
 * where the proxy's container waits for that itself, it would wait for ever
 * @param ipv6 whether pods have IPv6 addresses first, or alone
 * @param mark labels and annotations that workloads here have, so that their proxies get certificates
 */
export function probePod(
  mesh: MeshSpec,
  { namespace }: ProbeSpec,
  cluster: string,
  image: string | undefined,
  uid: number | undefined,
  watched: boolean,
  ipv6: boolean,
  mark: Mark = {},
): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: PROBE_POD,
      namespace,
      labels: { ...mark.labels, ...mesh.probe?.labels, ...ownership(mesh, "probe"), ...selector(cluster) },
      annotations: {
        // Whatever workloads of the mesh are told of their callers, this one is told as whom it was called.
        "proxy.istio.io/config": JSON.stringify({ proxyHeaders: { forwardedClientCert: "APPEND_FORWARD" } }),
        ...mark.annotations,
        ...mesh.probe?.annotations,
        ...(watched ? {} : { "status.sidecar.istio.io/port": "0" }),
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
          args: [
            "-c",
            `/etc/probe/${ENVOY}`,
            // In a pod whose proxy is watched its port is taken. Envoy adds to the lists of the file what these hold.
            ...(watched ? [] : ["--config-yaml", JSON.stringify(inside(ipv6 ? "::1" : "127.0.0.1"))]),
            "--use-dynamic-base-id",
            "--concurrency",
            "1",
            "-l",
            "warning",
          ],
          ports: [ANSWER_PORT, CONNECTION_PORT, CALLER_PORT].map((containerPort) => ({ containerPort })),
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

/** The listener at the port inside, which hands on to the caller's. */
function inside(loopback: string) {
  const socket_address = (port_value: number) => ({ socket_address: { address: loopback, port_value } });
  const type = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
  const name = "inside";
  const tcp = {
    name: "envoy.filters.network.tcp_proxy",
    typed_config: { "@type": type, stat_prefix: name, cluster: name },
  };
  const lb_endpoints = [{ endpoint: { address: socket_address(CALLER_PORT) } }];
  return {
    static_resources: {
      listeners: [{ name, address: socket_address(INSIDE_PORT), filter_chains: [{ filters: [tcp] }] }],
      clusters: [{ name, type: "STATIC", load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints }] } }],
    },
  };
}
