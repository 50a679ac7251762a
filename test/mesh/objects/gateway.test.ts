import { describe, expect, test } from "vitest";
import { exposure } from "../../../src/mesh/objects/exposure.ts";
import { gateway } from "../../../src/mesh/objects/gateway.ts";
import type { KubernetesObject } from "../../../src/mesh/objects/object.ts";
import type { ClusterSpec, GatewaySpec, Values } from "../../../src/mesh/spec.ts";
import { meshOf } from "../../steps/support.ts";

const usual: GatewaySpec = { install: true, replicas: 1, service: { type: "LoadBalancer", annotations: {} } };
const mesh = meshOf(["a"]);
const cluster: ClusterSpec = { name: "a", network: "network1", values: {} };

function objects(options: Partial<GatewaySpec> = {}, revision = "default", of = cluster) {
  const { early, late } = gateway({ ...mesh, gateway: { ...usual, ...options } }, of, revision);
  return [...early, ...late];
}

// biome-ignore lint/suspicious/noExplicitAny: tests read all sorts of fields
function one(kind: string, all: KubernetesObject[] = objects()): any {
  const found = all.filter((object) => object.kind === kind);
  expect(found).toHaveLength(1);
  return found[0];
}

// The manifest that the procedure applies with kubectl (lab procedure, step 5), for network1.
const selector = { app: "istio-eastwestgateway", istio: "eastwestgateway", "topology.istio.io/network": "network1" };
const metadata = (name: string) => ({
  name,
  namespace: "istio-system",
  labels: {
    ...selector,
    "app.kubernetes.io/managed-by": "istio-mesh-action",
    "app.kubernetes.io/part-of": "mesh1",
    "app.kubernetes.io/component": "east-west-gateway",
  },
});

describe("the objects are those of the procedure, but for the right to read Secrets, which passing mTLS through does not take", () => {
  test.each<[string, object]>([
    [
      "ServiceAccount",
      { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata("istio-eastwestgateway-service-account") },
    ],
    [
      "Service",
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: metadata("istio-eastwestgateway"),
        spec: {
          type: "LoadBalancer",
          selector,
          ports: [
            { name: "status-port", port: 15021, targetPort: 15021, protocol: "TCP" },
            { name: "tls", port: 15443, targetPort: 15443, protocol: "TCP" },
            { name: "tls-istiod", port: 15012, targetPort: 15012, protocol: "TCP" },
            { name: "tls-webhook", port: 15017, targetPort: 15017, protocol: "TCP" },
          ],
        },
      },
    ],
    [
      "PodDisruptionBudget",
      {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: metadata("istio-eastwestgateway"),
        spec: { minAvailable: 1, selector: { matchLabels: selector } },
      },
    ],
    [
      "HorizontalPodAutoscaler",
      {
        apiVersion: "autoscaling/v2",
        kind: "HorizontalPodAutoscaler",
        metadata: metadata("istio-eastwestgateway"),
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "istio-eastwestgateway" },
          minReplicas: 1,
          maxReplicas: 5,
          metrics: [
            { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
          ],
        },
      },
    ],
  ])("%s", (kind, expected) => {
    expect(one(kind)).toEqual(expected);
  });

  test("Deployment", () => {
    const { apiVersion, metadata: of, spec } = one("Deployment");
    expect([apiVersion, of]).toEqual(["apps/v1", metadata("istio-eastwestgateway")]);
    expect(spec.selector).toEqual({ matchLabels: selector });
    expect(spec.strategy).toEqual({ rollingUpdate: { maxSurge: "100%", maxUnavailable: 0 } });
    // The autoscaler's, so that an apply never scales down.
    expect(spec).not.toHaveProperty("replicas");
    expect(spec.template.metadata).toEqual({
      labels: { ...selector, "sidecar.istio.io/inject": "true" },
      annotations: expect.objectContaining({
        "inject.istio.io/templates": "gateway",
        "sidecar.istio.io/inject": "true",
      }),
    });
    expect(spec.template.spec).toEqual({
      serviceAccountName: "istio-eastwestgateway-service-account",
      terminationGracePeriodSeconds: 60,
      // Not the procedure's: with the container's own, what PodSecurity `restricted` asks for.
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1337,
        runAsGroup: 1337,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "istio-proxy",
          image: "auto",
          // Not the procedure's: it would be pulled always, and kind's loaded images are nowhere to be pulled from.
          imagePullPolicy: "IfNotPresent",
          env: [
            { name: "ISTIO_META_REQUESTED_NETWORK_VIEW", value: "network1" },
            { name: "ISTIO_META_UNPRIVILEGED_POD", value: "true" },
            // Not the procedure's: all connections would be cut five seconds after the pod was asked to end.
            { name: "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", value: "true" },
            { name: "MINIMUM_DRAIN_DURATION", value: "10s" },
          ],
          ports: [
            { containerPort: 15021, protocol: "TCP" },
            { containerPort: 15443, protocol: "TCP" },
            { containerPort: 15012, protocol: "TCP" },
            { containerPort: 15017, protocol: "TCP" },
            { containerPort: 15090, protocol: "TCP", name: "http-envoy-prom" },
          ],
          // Not the procedure's: injection's readiness probe alone would be asked every 15 seconds.
          startupProbe: {
            httpGet: { path: "/healthz/ready", port: 15021 },
            periodSeconds: 1,
            timeoutSeconds: 3,
            failureThreshold: 600,
          },
          resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2", memory: "1Gi" } },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ["ALL"] },
            privileged: false,
            readOnlyRootFilesystem: true,
          },
        },
      ],
    });
  });

  test("and no more", () => {
    expect(
      objects()
        .map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "ServiceAccount"]);
  });
});

describe("what the options change", () => {
  test.each<[string, Values, string]>([
    ["nothing", {}, "IfNotPresent"],
    ["the mesh's policy", { imagePullPolicy: "Never", tag: "latest" }, "Never"],
    ["a policy that is empty, as in the chart", { imagePullPolicy: "", tag: "1.30.7" }, "IfNotPresent"],
    ["a tag that moves", { tag: "latest" }, "Always"],
  ])("the images' pull policy, by the values that say %s", (_, global, policy) => {
    const [container] = one("Deployment", objects({}, "default", { ...cluster, values: { global } })).spec.template.spec
      .containers;
    expect(container.imagePullPolicy).toBe(policy);
  });

  test("the pods' place, labels and security context: theirs beside ours, which stay", () => {
    const service = { type: "LoadBalancer", annotations: {}, labels: { cost: "a" } } as const;
    expect(one("Service", objects({ service })).metadata.labels).toEqual({
      ...one("Service").metadata.labels,
      cost: "a",
    });
    const usualTemplate = one("Deployment").spec.template;
    const pods = {
      nodeSelector: { role: "edge" },
      tolerations: [{ key: "edge", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [{ maxSkew: 1 }],
      securityContext: { sysctls: [] },
    };
    const { spec } = one("Deployment", objects({ ...pods, podLabels: { team: "a" }, podAnnotations: { note: "b" } }));
    expect(spec.template).toEqual({
      metadata: {
        labels: { ...usualTemplate.metadata.labels, team: "a" },
        annotations: { ...usualTemplate.metadata.annotations, note: "b" },
      },
      spec: {
        ...usualTemplate.spec,
        ...pods,
        securityContext: { ...usualTemplate.spec.securityContext, sysctls: [] },
      },
    });
    expect(spec.selector).toEqual({ matchLabels: selector });
  });

  test("another network: its name, and nothing else", () => {
    const other = objects({}, "default", { ...cluster, name: "b", network: "network2" });
    expect(JSON.parse(JSON.stringify(other).replaceAll("network2", "network1"))).toEqual(objects());
    expect(JSON.stringify(other)).not.toContain("network1");
  });

  test("another revision: the pods ask for it, and nothing else changes", () => {
    const labels = (revision: string) => one("Deployment", objects({}, revision)).spec.template.metadata.labels;
    expect(labels("canary")).toEqual({ ...labels("default"), "istio.io/rev": "canary" });
    expect(labels("default")).not.toHaveProperty("istio.io/rev");
    // A selector cannot be changed, so the revision is no part of it.
    expect(one("Deployment", objects({}, "canary")).spec.selector).toEqual({ matchLabels: selector });
    const rest = (all: KubernetesObject[]) => all.filter(({ kind }) => kind !== "Deployment");
    expect(rest(objects({}, "canary"))).toEqual(rest(objects()));
  });

  test("another namespace: all of it", () => {
    const { early, late } = gateway({ ...mesh, namespace: "mesh" }, cluster, "default");
    for (const object of [...early, ...late]) expect(object.metadata.namespace).toBe("mesh");
  });

  test("the Service", () => {
    const service = {
      type: "NodePort",
      annotations: { "traffic.istio.io/nodeSelector": "{}" },
      loadBalancerClass: "internal",
    } as const;
    expect(one("Service", objects({ service }))).toMatchObject({
      metadata: { annotations: { "traffic.istio.io/nodeSelector": "{}" } },
      spec: { type: "NodePort", loadBalancerClass: "internal" },
    });
    expect(one("Service").metadata).not.toHaveProperty("annotations");
    expect(one("Service").spec).not.toHaveProperty("loadBalancerClass");
  });

  test.each<[number, number, number]>([
    [1, 1, 5],
    [3, 3, 5],
    [8, 8, 8],
  ])("%i replicas: from %i to %i", (replicas, least, most) => {
    expect(one("HorizontalPodAutoscaler", objects({ replicas })).spec).toMatchObject({
      minReplicas: least,
      maxReplicas: most,
    });
  });

  test("resources stand instead of the usual ones", () => {
    const resources = { requests: { cpu: "1" } };
    expect(one("Deployment", objects({ resources })).spec.template.spec.containers[0].resources).toEqual(resources);
  });
});

describe("the order", () => {
  test("OpenShift chooses the user", () => {
    const deployment = gateway(mesh, cluster, "default", "1.30.0", true).late.find(({ kind }) => kind === "Deployment");
    expect(deployment?.spec).toMatchObject({
      template: { spec: { securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } } } },
    });
    expect(JSON.stringify(deployment)).not.toContain("1337");
  });

  test("what needs istiod's webhook comes late", () => {
    const { early, late } = gateway(mesh, cluster, "default");
    expect(early.map(({ kind }) => kind)).toEqual(["ServiceAccount", "Service"]);
    expect(late.map(({ kind }) => kind)).toContain("Deployment");
  });

  test("what comes early does not depend on the revision", () => {
    expect(gateway(mesh, cluster, "canary").early).toEqual(gateway(mesh, cluster, "default").early);
  });
});

test("the exposure is that of the procedure", () => {
  expect(exposure(mesh)).toEqual({
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: {
      name: "cross-network-gateway",
      namespace: "istio-system",
      labels: {
        "app.kubernetes.io/managed-by": "istio-mesh-action",
        "app.kubernetes.io/part-of": "mesh1",
        "app.kubernetes.io/component": "exposure",
      },
    },
    spec: {
      selector: { istio: "eastwestgateway" },
      servers: [
        {
          port: { number: 15443, name: "tls", protocol: "TLS" },
          tls: { mode: "AUTO_PASSTHROUGH" },
          hosts: ["*.local"],
        },
      ],
    },
  });
  // It selects the pods of our gateway.
  expect(one("Deployment").spec.template.metadata.labels).toMatchObject({ istio: "eastwestgateway" });
});
