import { stringify } from "yaml";
import type { Json } from "../kube.ts";
import { merge } from "./support.ts";
import { injectionWebhooks } from "./webhook.ts";

export interface Release {
  readonly revision: string;
  readonly namespace: string;
  /** Without a leading `v`. */
  readonly version: string;
  readonly values: Json;
}

export const READER = "istio-reader-service-account";

const suffixOf = (revision: string) => (revision === "default" ? "" : `-${revision}`);

export const istiodName = (revision: string): string => `istiod${suffixOf(revision)}`;

/** The base chart's reader account. */
export function baseChart({ namespace }: Release): Json[] {
  const labels = { app: "istio-reader", release: "default-base", "app.kubernetes.io/managed-by": "Helm" };
  return [{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: READER, namespace, labels } }];
}

/** As much of the istiod chart as others look at. */
export function istiodChart({ revision, namespace, version, values }: Release): Json[] {
  const suffix = suffixOf(revision);
  const common = {
    app: "istiod",
    istio: "pilot",
    "istio.io/rev": revision,
    release: `${revision}-istiod`,
    "app.kubernetes.io/managed-by": "Helm",
  };
  const global = {
    istioNamespace: namespace,
    hub: "gcr.io/istio-release",
    tag: version,
    ...values.global,
  };
  const args = [
    ...(global.proxy?.clusterDomain ? ["--domain", global.proxy.clusterDomain] : []),
    ...(values.pilot?.extraContainerArgs ?? []),
  ];
  const namespaced = (name: string) => ({ name, namespace, labels: common });
  const rbac = "rbac.authorization.k8s.io";
  const role = `istio-reader-clusterrole${suffix}-${namespace}`;
  const rules = [
    {
      apiGroups: [
        "config.istio.io",
        "security.istio.io",
        "networking.istio.io",
        "authentication.istio.io",
        "rbac.istio.io",
        "telemetry.istio.io",
        "extensions.istio.io",
      ],
      resources: ["*"],
      verbs: ["get", "list", "watch"],
    },
    {
      apiGroups: [""],
      resources: [
        "endpoints",
        "pods",
        "services",
        "nodes",
        "replicationcontrollers",
        "namespaces",
        "secrets",
        "configmaps",
      ],
      verbs: ["get", "list", "watch"],
    },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["get", "list", "watch"] },
    { apiGroups: ["apiextensions.k8s.io"], resources: ["customresourcedefinitions"], verbs: ["get", "list", "watch"] },
    { apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get", "list", "watch"] },
    { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
    { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
  ];
  const reading =
    global.enableReaderRBAC === false
      ? []
      : [
          { apiVersion: `${rbac}/v1`, kind: "ClusterRole", metadata: { name: role, labels: common }, rules },
          {
            apiVersion: `${rbac}/v1`,
            kind: "ClusterRoleBinding",
            metadata: { name: role, labels: common },
            roleRef: { apiGroup: rbac, kind: "ClusterRole", name: role },
            subjects: [{ kind: "ServiceAccount", name: READER, namespace }],
          },
        ];
  const env = {
    REVISION: revision,
    PILOT_CERT_PROVIDER: "istiod",
    POD_NAMESPACE: namespace,
    CLUSTER_ID: global.multiCluster?.clusterName ?? "Kubernetes",
    ...values.pilot?.env,
  };
  return [
    ...reading,
    { apiVersion: "v1", kind: "ServiceAccount", metadata: namespaced(istiodName(revision)) },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: namespaced(`istio${suffix}`),
      data: {
        mesh: meshConfig(values, global),
        ...(global.meshNetworks ? { meshNetworks: stringify({ networks: global.meshNetworks }) } : {}),
      },
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: namespaced(`istio-sidecar-injector${suffix}`),
      data: { values: JSON.stringify(merge(values, { global, ...(suffix ? { revision } : {}) }), null, 2), config: "" },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: namespaced(istiodName(revision)),
      spec: {
        type: "ClusterIP",
        selector: { app: "istiod", "istio.io/rev": revision },
        ports: [
          { name: "https-dns", port: 15012, protocol: "TCP", targetPort: 15012 },
          { name: "https-webhook", port: 443, protocol: "TCP", targetPort: 15017 },
        ],
      },
    },
    injectionWebhooks(revision, namespace, istiodName(revision), common),
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: namespaced(istiodName(revision)),
      spec: {
        replicas: values.pilot?.replicaCount ?? 1,
        selector: { matchLabels: { app: "istiod", "istio.io/rev": revision } },
        template: {
          metadata: { labels: { ...common, "sidecar.istio.io/inject": "false" } },
          spec: {
            serviceAccountName: istiodName(revision),
            containers: [
              {
                name: "discovery",
                image: `${global.hub}/pilot:${global.tag}`,
                ...(args.length > 0 ? { args: ["discovery", ...args] } : {}),
                env: Object.entries(env).map(([name, value]) => ({ name, value })),
              },
            ],
          },
        },
      },
    },
  ];
}

function meshConfig(values: Json, global: Json): string {
  return stringify(
    merge(
      {
        defaultConfig: { meshId: global.meshID ?? "" },
        trustDomain: "cluster.local",
        rootNamespace: global.istioNamespace,
      },
      values.meshConfig ?? {},
    ),
  );
}
