import { createHash } from "node:crypto";
import type { Cluster, ListQuery } from "../cluster/cluster.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import { GATEWAY_SELECTOR } from "../mesh/objects/gateway.ts";
import type { KubernetesObject, ObjectRef } from "../mesh/objects/object.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import { redact, withoutSecrets } from "../mesh/redact.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { ISTIOD, istiodViews } from "./istiod.ts";

/** Something about a cluster that helps to understand it. */
export interface Exhibit {
  readonly path: string;
  readonly text: string;
}

export interface Diagnostics {
  readonly exhibits: readonly Exhibit[];
  /** What could not be read, and why; or what there was no room for. */
  readonly missing: readonly { readonly path: string; readonly why: string }[];
}

/** Of one exhibit, in characters; of a log the end is kept. */
const LONGEST = 200_000;
const LOG_LINES = 400;
const EVENTS = 300;
/** Pods of a kind whose log is read. */
const PODS = 3;
export const OPERATOR_SELECTOR = "app.kubernetes.io/name in (sail-operator,servicemesh-operator3)";

// biome-ignore lint/suspicious/noExplicitAny: whatever an API server has
type Json = any;

/** A whitelist: `true` copies what is no object, a mapping goes on below, `[…]` goes on in each item of a list. */
type Shape = true | readonly [Shape] | { readonly [field: string]: Shape };

const CONDITIONS: Shape = [{ type: true, status: true, reason: true, message: true, lastTransitionTime: true }];
const STATE: Shape = {
  waiting: { reason: true, message: true },
  running: { startedAt: true },
  terminated: { reason: true, exitCode: true, message: true, finishedAt: true },
};
const CONTAINER_STATUS: Shape = [
  { name: true, ready: true, restartCount: true, image: true, state: STATE, lastState: STATE },
];
const NETWORK = "topology.istio.io/network";
const METADATA: Shape = {
  name: true,
  namespace: true,
  generation: true,
  creationTimestamp: true,
  deletionTimestamp: true,
  // No annotations: one of them may hold an object as it was applied, and no labels but those that Istio looks at.
  labels: {
    app: true,
    istio: true,
    "istio.io/rev": true,
    "istio-injection": true,
    "istio/multiCluster": true,
    [NETWORK]: true,
    "app.kubernetes.io/managed-by": true,
    "app.kubernetes.io/name": true,
  },
};

/** What of each kind gets out. A field that is not named here does not. */
const SHAPES: Readonly<Record<string, Shape>> = {
  Namespace: { metadata: METADATA, status: { phase: true } },
  Istio: {
    metadata: METADATA,
    spec: {
      version: true,
      namespace: true,
      profile: true,
      updateStrategy: { type: true },
      values: { global: { meshID: true, network: true, multiCluster: { clusterName: true } } },
    },
    status: { state: true, observedGeneration: true, activeRevisionName: true, conditions: CONDITIONS },
  },
  Deployment: {
    metadata: METADATA,
    spec: { replicas: true, template: { spec: { containers: [{ name: true, image: true }] } } },
    status: {
      observedGeneration: true,
      replicas: true,
      readyReplicas: true,
      updatedReplicas: true,
      availableReplicas: true,
      conditions: CONDITIONS,
    },
  },
  Pod: {
    metadata: METADATA,
    spec: { nodeName: true, containers: [{ name: true, image: true }], initContainers: [{ name: true, image: true }] },
    status: {
      phase: true,
      podIP: true,
      startTime: true,
      conditions: CONDITIONS,
      containerStatuses: CONTAINER_STATUS,
      initContainerStatuses: CONTAINER_STATUS,
    },
  },
  Service: {
    metadata: METADATA,
    spec: {
      type: true,
      loadBalancerClass: true,
      externalTrafficPolicy: true,
      selector: { app: true, istio: true },
      ports: [{ name: true, port: true, protocol: true, nodePort: true }],
    },
    status: { loadBalancer: { ingress: [{ ip: true, hostname: true }] }, conditions: CONDITIONS },
  },
  Gateway: {
    metadata: METADATA,
    spec: {
      selector: { app: true, istio: true },
      servers: [{ port: { number: true, name: true, protocol: true }, tls: { mode: true }, hosts: [true] }],
    },
  },
  KubernetesGateway: {
    metadata: METADATA,
    spec: {
      gatewayClassName: true,
      addresses: [{ type: true, value: true }],
      listeners: [
        {
          port: true,
          protocol: true,
          hostname: true,
          tls: { mode: true, options: { "gateway.istio.io/listener-protocol": true } },
        },
      ],
    },
    status: { addresses: [{ type: true, value: true }], conditions: CONDITIONS },
  },
  Event: {
    type: true,
    reason: true,
    message: true,
    count: true,
    lastTimestamp: true,
    involvedObject: { kind: true, namespace: true, name: true },
  },
};

/** The parts of a value that the shape names, with what looks like a secret taken out of every text. */
export function shaped(value: Json, shape: Shape): Json {
  if (value === undefined || value === null) return undefined;
  if (shape === true) return typeof value === "object" ? undefined : typeof value === "string" ? redact(value) : value;
  if (Array.isArray(shape)) return Array.isArray(value) ? value.map((item) => shaped(item, shape[0])) : undefined;
  const entries = Object.entries(shape as Record<string, Shape>).map(([field, below]) => [
    field,
    Object.hasOwn(value, field) ? shaped(value[field], below) : undefined,
  ]);
  return Object.fromEntries(entries.filter(([, part]) => part !== undefined));
}

/** Of a Secret its name and type, and of each entry the size; of a certificate, which is public, also the SHA-256. */
function secretShape({ metadata, type, data = {} }: Secret): Json {
  const entries = Object.entries(data).map(([key, value]) => {
    const content = Buffer.from(value, "base64");
    const known = ["ca-cert.pem", "root-cert.pem", "cert-chain.pem", "ca.crt"].includes(key);
    return [
      key,
      { bytes: content.length, ...(known ? { sha256: createHash("sha256").update(content).digest("hex") } : {}) },
    ];
  });
  return { metadata: shaped(metadata, METADATA), type, data: Object.fromEntries(entries) };
}

/**
 * Reads what helps to understand a cluster, all at once, and as much of it as can be had: whatever fails is told in its place.
 * @param room characters that all of it may take; the most telling comes first
 */
export async function diagnose(mesh: MeshSpec, cluster: Cluster, room: number): Promise<Diagnostics> {
  const { namespace } = mesh;
  const list = async (kind: string, query: ListQuery): Promise<string> =>
    json((await cluster.list<KubernetesObject>(query)).map((object) => shaped(object, SHAPES[kind] as Shape)));
  const pods = (labelSelector: string, where?: string) =>
    cluster.list<Pod & KubernetesObject>({
      apiVersion: "v1",
      kind: "Pod",
      ...(where ? { namespace: where } : {}),
      labelSelector,
    });
  const istiods = pods(ISTIOD, namespace);
  const gateways = pods(`istio=${GATEWAY_SELECTOR.istio}`, namespace);
  const operators = pods(OPERATOR_SELECTOR);
  for (const each of [istiods, gateways, operators]) each.catch(() => {});

  const sources: Record<string, () => Promise<string | Exhibit[]>> = {
    "version.txt": () => cluster.version(),
    "istios.json": () => list("Istio", ISTIO),
    "operator.json": () =>
      list("Deployment", { apiVersion: "apps/v1", kind: "Deployment", labelSelector: OPERATOR_SELECTOR }),
    "namespace.json": async () =>
      json(
        shaped(await cluster.get({ apiVersion: "v1", kind: "Namespace", name: namespace }), SHAPES.Namespace as Shape),
      ),
    "deployments.json": () => list("Deployment", { apiVersion: "apps/v1", kind: "Deployment", namespace }),
    "pods.json": () => list("Pod", { apiVersion: "v1", kind: "Pod", namespace }),
    "services.json": () => list("Service", { apiVersion: "v1", kind: "Service", namespace }),
    "gateways.json": () => list("Gateway", { apiVersion: "networking.istio.io/v1", kind: "Gateway" }),
    "kubernetes-gateways.json": () =>
      list("KubernetesGateway", { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway" }),
    "secrets.json": async () => {
      const secrets = await cluster.list<Secret>({ apiVersion: "v1", kind: "Secret", namespace });
      return json(secrets.map(secretShape));
    },
    "clusterz.json": async () => json(await istiodViews(cluster, namespace, await istiods)),
    "events.json": async () => {
      const events = await cluster.list<KubernetesObject & { lastTimestamp?: string }>({
        apiVersion: "v1",
        kind: "Event",
        namespace,
      });
      const last = events.sort((a, b) => (a.lastTimestamp ?? "").localeCompare(b.lastTimestamp ?? "")).slice(-EVENTS);
      return json(last.map((event) => shaped(event, SHAPES.Event as Shape)));
    },
    "logs/istiod": async () => logs(await istiods, "discovery"),
    "proxies/gateway": async () => each(await gateways, proxy, "proxies"),
    "logs/gateway": async () => logs(await gateways, "istio-proxy"),
    "logs/operator": async () => logs(await operators),
  };
  const each = async (
    found: readonly (Pod & KubernetesObject)[],
    read: (pod: ObjectRef) => Promise<string>,
    folder: string,
  ): Promise<Exhibit[]> =>
    Promise.all(
      found.slice(0, PODS).map(async ({ metadata }) => {
        const pod = { apiVersion: "v1", kind: "Pod", namespace: metadata.namespace ?? namespace, name: metadata.name };
        return { path: `${folder}/${metadata.name}.txt`, text: await read(pod) };
      }),
    );
  const logs = (found: readonly (Pod & KubernetesObject)[], container?: string) =>
    each(
      found,
      async (pod) => {
        const first = found.find(({ metadata }) => metadata.name === pod.name)?.spec?.containers[0]?.name ?? "";
        return redact(await cluster.logs(pod, container ?? first, { lastLines: LOG_LINES }));
      },
      "logs",
    );
  const proxy = async (pod: ObjectRef) => {
    const { stdout, stderr } = await cluster.exec(pod, "istio-proxy", ["pilot-agent", "request", "GET", "clusters"]);
    // Of each endpoint of another cluster where it is, and how it is.
    const lines = stdout
      .split("\n")
      .filter((line) => /^outbound_?\S*::\S+::(health_flags|cx_active|rq_error)::/.test(line));
    return redact(lines.length > 0 ? lines.join("\n") : stderr);
  };

  const read = await Promise.all(
    Object.entries(sources).map(async ([path, source]) => {
      try {
        const found = await source();
        const exhibits = typeof found === "string" ? [{ path, text: found }] : found;
        // Before it is cut, for the rest of a secret is one, too.
        return { exhibits: exhibits.map(({ path, text }) => ({ path, text: withoutSecrets(text) })), missing: [] };
      } catch (error) {
        return {
          exhibits: [],
          missing: [{ path, why: redact(error instanceof Error ? error.message : String(error)) }],
        };
      }
    }),
  );
  return bounded(read, room);
}

/** As much as there is room for, in its order. */
function bounded(read: readonly Diagnostics[], room: number): Diagnostics {
  const exhibits: Exhibit[] = [];
  const missing = read.flatMap((part) => [...part.missing]);
  let left = room;
  for (const { path, text } of read.flatMap((part) => part.exhibits)) {
    const kept = clipped(path, text);
    if (kept.length > left)
      missing.push({ path, why: `It is ${kept.length} characters long, and there was no room for it.` });
    else {
      exhibits.push({ path, text: kept });
      left -= kept.length;
    }
  }
  return { exhibits, missing };
}

/** Of a log the end, of all else the beginning. */
function clipped(path: string, text: string): string {
  if (text.length <= LONGEST) return text;
  const note = `[${text.length - LONGEST} characters left out]`;
  return path.startsWith("logs/") ? `${note}\n${text.slice(-LONGEST)}` : `${text.slice(0, LONGEST)}\n${note}\n`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2) ?? "null"}\n`;
}
