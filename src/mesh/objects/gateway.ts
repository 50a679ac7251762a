import { pullPolicy } from "../images.ts";
import type { ClusterSpec, MeshSpec } from "../spec.ts";
import { NETWORK_LABEL } from "./control-plane.ts";
import type { KubernetesObject } from "./object.ts";
import { COMPONENT, MANAGED_BY, ownership, PART_OF } from "./ownership.ts";

export const GATEWAY_NAME = "istio-eastwestgateway";
/** On the gateway's pods: the Istio version that they were made for. They are made anew for another one. */
export const VERSION_ANNOTATION = "istio-mesh-action/istio-version";
/** By this label the exposure selects the gateway's pods. */
export const GATEWAY_SELECTOR = { istio: "eastwestgateway" } as const;

const SERVICE_ACCOUNT = "istio-eastwestgateway-service-account";

/** What the gateway's pods are selected and injected by: nobody else may set it on them. */
export const OWN_POD_LABELS: readonly string[] = [
  "app",
  "istio",
  NETWORK_LABEL,
  "istio.io/rev",
  "sidecar.istio.io/inject",
];
export const OWN_POD_ANNOTATIONS: readonly string[] = ["inject.istio.io/templates", "sidecar.istio.io/inject"];

/** On a gateway's Service: another port for its own. */
export const GATEWAY_PORT_LABEL = "networking.istio.io/gatewayPort";

/** The same of its Service, by which istiod and `uninstall` find it. */
export const OWN_SERVICE_LABELS: readonly string[] = [
  ...OWN_POD_LABELS,
  GATEWAY_PORT_LABEL,
  MANAGED_BY,
  PART_OF,
  COMPONENT,
];

/** Where traffic between networks arrives: SNI-routed mTLS. */
export const MTLS_PORT = 15443;

/** On a gateway's Service of type NodePort: the nodes whose addresses are the gateway's. */
export const NODE_SELECTOR = "traffic.istio.io/nodeSelector";

/** The gateway's objects; `early` may exist before istiod does, `late` needs istiod's injection webhook. */
export interface GatewayObjects {
  readonly early: KubernetesObject[];
  readonly late: KubernetesObject[];
}

/**
 * A pod that ends goes on serving while it has connections, and takes new ones for as long as load balancers may send them; by
 * itself it would cut them all after five seconds (pilot-agent, pkg/envoy/agent.go). What passes through it is encrypted, so
 * it can ask nobody to leave: connections that clients keep are cut at the end of the grace. Seconds, each less than the next:
 * Envoy takes new connections for 45 (`drainDuration`).
 */
const DRAIN = 10;
const GRACE = 60;

/** The user of Istio's proxy images. */
const PROXY_USER = 1337;

/** What the gateway's objects are made by. */
interface Context {
  readonly mesh: MeshSpec;
  readonly cluster: ClusterSpec;
  readonly revision: string;
  readonly version: string | undefined;
  readonly openShift: boolean;
  readonly imagePullPolicy: string | undefined;
}

/**
 * An east-west gateway for the cluster's network.
 * @param revision the control plane's revision; pods must ask for any other than `default` themselves
 * @param version the control plane's version, whose proxies the pods are; `undefined` where it is not known
 * @param openShift whether the platform chooses the pods' user itself, and lets no other one be named
 * @param imagePullPolicy the mesh's, where the cluster's values alone do not say
 */
export function gateway(
  mesh: MeshSpec,
  cluster: ClusterSpec,
  revision: string,
  version?: string,
  openShift = false,
  imagePullPolicy = pullPolicy(cluster.values),
): GatewayObjects {
  const context = { mesh, cluster, revision, version, openShift, imagePullPolicy };
  const serviceAccount = { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(context, SERVICE_ACCOUNT) };
  return {
    // A cloud takes its time to give a load balancer an address: the sooner it is asked for, the better.
    early: [serviceAccount, service(context)],
    late: [deployment(context), disruptionBudget(context), autoscaler(context)],
  };
}

const selectorOf = ({ cluster }: Context) => ({
  app: GATEWAY_NAME,
  ...GATEWAY_SELECTOR,
  [NETWORK_LABEL]: cluster.network,
});

function metadata(context: Context, name = GATEWAY_NAME) {
  const { mesh } = context;
  return {
    name,
    namespace: mesh.namespace,
    labels: { ...ownership(mesh, "east-west-gateway"), ...selectorOf(context) },
  };
}

function service(context: Context): KubernetesObject {
  const { service } = context.mesh.gateway;
  const own = metadata(context);
  const port = (name: string, number: number) => ({ name, port: number, targetPort: number, protocol: "TCP" });
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      ...own,
      labels: { ...service.labels, ...own.labels },
      ...(Object.keys(service.annotations).length > 0 ? { annotations: { ...service.annotations } } : {}),
    },
    spec: {
      type: service.type,
      ...(service.loadBalancerClass ? { loadBalancerClass: service.loadBalancerClass } : {}),
      selector: selectorOf(context),
      ports: [
        port("status-port", 15021),
        port("tls", MTLS_PORT),
        port("tls-istiod", 15012),
        port("tls-webhook", 15017),
      ],
    },
  };
}

function deployment(context: Context): KubernetesObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(context),
    spec: {
      selector: { matchLabels: selectorOf(context) },
      // No pod goes before another one is ready in its place.
      strategy: { rollingUpdate: { maxSurge: "100%", maxUnavailable: 0 } },
      template: { metadata: podMetadata(context), spec: podSpec(context) },
    },
  };
}

function podMetadata(context: Context) {
  const { mesh, revision, version } = context;
  const { podLabels, podAnnotations } = mesh.gateway;
  return {
    annotations: {
      "inject.istio.io/templates": "gateway",
      "sidecar.istio.io/inject": "true",
      "prometheus.io/port": "15020",
      "prometheus.io/scrape": "true",
      "prometheus.io/path": "/stats/prometheus",
      // Only a new pod gets another proxy: an upgrade is a change here, which `plan` shows, too.
      ...(version ? { [VERSION_ANNOTATION]: version } : {}),
      ...podAnnotations,
    },
    labels: {
      ...podLabels,
      ...selectorOf(context),
      "sidecar.istio.io/inject": "true",
      ...(revision === "default" ? {} : { "istio.io/rev": revision }),
    },
  };
}

function podSpec(context: Context) {
  const { nodeSelector, tolerations, affinity, topologySpreadConstraints, securityContext } = context.mesh.gateway;
  return {
    serviceAccountName: SERVICE_ACCOUNT,
    terminationGracePeriodSeconds: GRACE,
    // What PodSecurity `restricted` asks for beside the container's own.
    securityContext: {
      runAsNonRoot: true,
      ...(context.openShift ? {} : { runAsUser: PROXY_USER, runAsGroup: PROXY_USER }),
      seccompProfile: { type: "RuntimeDefault" },
      ...securityContext,
    },
    ...(nodeSelector ? { nodeSelector } : {}),
    ...(tolerations ? { tolerations } : {}),
    ...(affinity ? { affinity } : {}),
    ...(topologySpreadConstraints ? { topologySpreadConstraints } : {}),
    containers: [container(context)],
  };
}

function container({ mesh, cluster, imagePullPolicy }: Context) {
  const port = (number: number, name?: string) => ({
    containerPort: number,
    protocol: "TCP",
    ...(name ? { name } : {}),
  });
  return {
    name: "istio-proxy",
    // The injection webhook puts the mesh's proxy image in its place.
    image: "auto",
    // Kubernetes takes an image without a tag for one to be pulled always, and injection keeps that.
    imagePullPolicy,
    env: [
      { name: "ISTIO_META_REQUESTED_NETWORK_VIEW", value: cluster.network },
      { name: "ISTIO_META_UNPRIVILEGED_POD", value: "true" },
      { name: "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", value: "true" },
      { name: "MINIMUM_DRAIN_DURATION", value: `${DRAIN}s` },
    ],
    ports: [port(15021), port(MTLS_PORT), port(15012), port(15017), port(15090, "http-envoy-prom")],
    // The readiness probe that injection adds asks every 15 seconds, so a gateway that is up after two would be waited for until
    // then; readiness is looked at as soon as a startup probe has passed.
    startupProbe: {
      httpGet: { path: "/healthz/ready", port: 15021 },
      periodSeconds: 1,
      timeoutSeconds: 3,
      failureThreshold: 600,
    },
    resources: mesh.gateway.resources ?? {
      requests: { cpu: "100m", memory: "128Mi" },
      limits: { cpu: "2", memory: "1Gi" },
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      privileged: false,
      readOnlyRootFilesystem: true,
    },
  };
}

function disruptionBudget(context: Context): KubernetesObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadata(context),
    spec: { minAvailable: 1, selector: { matchLabels: selectorOf(context) } },
  };
}

function autoscaler(context: Context): KubernetesObject {
  const { replicas } = context.mesh.gateway;
  return {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: metadata(context),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: GATEWAY_NAME },
      minReplicas: replicas,
      maxReplicas: Math.max(5, replicas),
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
      ],
    },
  };
}
