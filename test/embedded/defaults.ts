import { clone } from "./clone.ts";
import type { Json } from "./kube.ts";
import type { Resource } from "./resources.ts";

/** What the API server gives out of its own: addresses, ports. */
export interface Allocator {
  clusterIp(): string;
  nodePort(): number;
}

export function allocator(): Allocator {
  let addresses = 10;
  let ports = 30_000;
  return {
    clusterIp: () => {
      addresses++;
      return `10.96.${addresses >> 8}.${addresses & 255}`;
    },
    nodePort: () => ports++,
  };
}

/** Fills in what was left out, as the API server does for the kinds that it knows. Changes the object. */
export function setDefaults(resource: Resource, object: Json, live: Json | undefined, allocate: Allocator): void {
  if (resource.schema) {
    schemaDefaults(resource.schema, object);
    return;
  }
  const { spec, metadata } = object;
  switch (resource.kind) {
    case "Namespace":
      metadata.labels = { ...metadata.labels, "kubernetes.io/metadata.name": metadata.name };
      object.spec = { finalizers: ["kubernetes"], ...spec };
      object.status = { phase: "Active", ...object.status };
      break;
    case "Secret":
      foldStringData(object);
      object.type ??= "Opaque";
      break;
    case "Service":
      object.spec = service(spec ?? {}, live?.spec, allocate);
      object.status ??= { loadBalancer: {} };
      break;
    case "Pod":
      object.spec = {
        enableServiceLinks: true,
        ...podSpec({ serviceAccountName: "default", ...spec }),
      };
      object.status = { phase: "Pending", qosClass: "BestEffort", ...object.status };
      break;
    case "Deployment":
      object.spec = deployment(spec ?? {});
      object.status ??= {};
      break;
    case "ReplicaSet":
      object.spec = { replicas: 1, ...spec, ...(spec?.template ? { template: podTemplate(spec.template) } : {}) };
      object.status ??= { replicas: 0 };
      break;
    case "HorizontalPodAutoscaler":
      object.spec = { minReplicas: 1, ...spec };
      object.status ??= { desiredReplicas: 0, currentMetrics: null };
      break;
    case "PodDisruptionBudget":
      object.status ??= { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 };
      break;
    case "RoleBinding":
    case "ClusterRoleBinding":
      if (object.roleRef)
        object.roleRef = { ...object.roleRef, apiGroup: object.roleRef.apiGroup || "rbac.authorization.k8s.io" };
      object.subjects = object.subjects?.map((subject: Json) =>
        subject.kind === "ServiceAccount" ? subject : { apiGroup: "rbac.authorization.k8s.io", ...subject },
      );
      if (!object.subjects) delete object.subjects;
      break;
    case "CustomResourceDefinition":
      if (!spec?.names) break;
      object.spec = { conversion: { strategy: "None" }, ...spec };
      object.spec.names = {
        listKind: `${spec.names.kind}List`,
        singular: spec.names.kind?.toLowerCase(),
        ...spec.names,
      };
      break;
    case "MutatingWebhookConfiguration":
    case "ValidatingWebhookConfiguration":
      object.webhooks = object.webhooks?.map((webhook: Json) => ({
        failurePolicy: "Fail",
        matchPolicy: "Equivalent",
        namespaceSelector: {},
        objectSelector: {},
        ...(resource.kind.startsWith("M") ? { reinvocationPolicy: "Never" } : {}),
        timeoutSeconds: 10,
        ...webhook,
      }));
      if (!object.webhooks) delete object.webhooks;
      break;
    default:
  }
}

/** Secrets are read without `stringData`, which is only there to be written. */
export function foldStringData(secret: Json): void {
  if (!secret.stringData) return;
  const encoded = Object.entries(secret.stringData).map(([key, text]) => [
    key,
    Buffer.from(String(text)).toString("base64"),
  ]);
  secret.data = { ...secret.data, ...Object.fromEntries(encoded) };
  delete secret.stringData;
}

function service(spec: Json, live: Json, allocate: Allocator): Json {
  const type = spec.type ?? "ClusterIP";
  if (type === "ExternalName") return { sessionAffinity: "None", ...spec };
  const exposed = type === "NodePort" || type === "LoadBalancer";
  const clusterIP = spec.clusterIP || live?.clusterIP || allocate.clusterIp();
  const livePort = ({ port, protocol = "TCP" }: Json) =>
    live?.ports?.find((other: Json) => other.port === port && other.protocol === protocol);
  const result: Json = {
    sessionAffinity: "None",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    internalTrafficPolicy: "Cluster",
    ...(exposed ? { externalTrafficPolicy: "Cluster" } : {}),
    ...(type === "LoadBalancer" ? { allocateLoadBalancerNodePorts: true } : {}),
    ...spec,
    type,
    clusterIP,
    clusterIPs: [clusterIP],
    ...(spec.ports
      ? {
          ports: spec.ports.map((port: Json) => {
            const filled: Json = { protocol: "TCP", targetPort: port.port, ...port };
            const { nodePort: _, ...rest } = filled;
            if (!exposed) return rest;
            return { ...rest, nodePort: port.nodePort || livePort(port)?.nodePort || allocate.nodePort() };
          }),
        }
      : {}),
  };
  // What only the type that it was had.
  if (!exposed) delete result.externalTrafficPolicy;
  if (type !== "LoadBalancer") delete result.allocateLoadBalancerNodePorts;
  return result;
}

function deployment(spec: Json): Json {
  const { strategy } = spec;
  const recreate = strategy?.type === "Recreate";
  return {
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    ...spec,
    strategy: {
      type: "RollingUpdate",
      ...strategy,
      ...(recreate ? {} : { rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%", ...strategy?.rollingUpdate } }),
    },
    ...(spec.template ? { template: podTemplate(spec.template) } : {}),
  };
}

function podTemplate(template: Json): Json {
  return { ...template, ...(template.spec ? { spec: podSpec(template.spec) } : {}) };
}

function podSpec(spec: Json): Json {
  const containers = (name: "containers" | "initContainers") =>
    spec[name] ? { [name]: spec[name].map(container) } : {};
  return {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    securityContext: {},
    schedulerName: "default-scheduler",
    ...(spec.serviceAccountName ? { serviceAccount: spec.serviceAccountName } : {}),
    ...spec,
    ...containers("containers"),
    ...containers("initContainers"),
    ...(spec.volumes ? { volumes: spec.volumes.map(volume) } : {}),
  };
}

function container(one: Json): Json {
  const latest = !/[:@][^/]+$/.test(one.image ?? "") || /:latest$/.test(one.image ?? "");
  return {
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: latest ? "Always" : "IfNotPresent",
    resources: {},
    ...one,
    ...(one.ports ? { ports: one.ports.map((port: Json) => ({ protocol: "TCP", ...port })) } : {}),
  };
}

function volume(one: Json): Json {
  const filled = { ...one };
  for (const source of ["secret", "configMap"]) {
    if (filled[source]) filled[source] = { defaultMode: 420, ...filled[source] };
  }
  return filled;
}

/** The `default`s of a custom resource's schema; and what the schema does not know is dropped. */
function schemaDefaults(schema: Json, value: Json): void {
  const walk = (types: Json, object: Json, top: boolean) => {
    if (Array.isArray(object)) for (const item of object) walk(types?.items, item, false);
    if (typeof object !== "object" || object === null || Array.isArray(object) || !types) return;
    const properties = types.properties ?? {};
    for (const [name, inner] of Object.entries<Json>(properties)) {
      if (object[name] === undefined && inner.default !== undefined) object[name] = clone(inner.default);
    }
    for (const [name, inner] of Object.entries(object)) {
      if (top && ["apiVersion", "kind", "metadata"].includes(name)) continue;
      const type =
        properties[name] ?? (typeof types.additionalProperties === "object" ? types.additionalProperties : undefined);
      if (type) walk(type, inner, false);
      // A schema without any properties stands for one that nobody wrote out.
      else if (types.properties && !types.additionalProperties && !types["x-kubernetes-preserve-unknown-fields"]) {
        delete object[name];
      }
    }
  };
  walk(schema, value, true);
}
