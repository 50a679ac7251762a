// The clusters of the scale benchmark, in a process of their own, so that what is measured of the action's is the action's.
// Started by scale.ts: `clusters.ts COUNT LATENCY_MS SERVICES ENDPOINTS`.
import { CALLER_PORT, CLIENT_HEADER, probeName } from "../../src/mesh/objects/probe.ts";
import { startClusters } from "../embedded/cluster.ts";
import type { Kube } from "../embedded/kube.ts";
import { ownAddress } from "../embedded/server.ts";

/** What scale.ts asks for. */
export type Question = "figures" | "stop";

export interface Ready {
  readonly kubeconfigs: readonly string[];
}

/** Since the last time that they were asked for. */
export interface Figures {
  /** User and system time of this process, seconds. */
  readonly cpuSeconds: number;
  /** Requests of each API server by whoever is no service account: the action, and the istioctl that it calls. */
  readonly requests: readonly number[];
}

const nameOf = (index: number) => `cluster${index + 1}`;

/**
 * The probes' answers, in place of the stand-in that looks at every cluster's objects for each of them: with N clusters and
 * N² pairs it would be the benchmark's work, not the action's, that is measured.
 */
function answerProbes(kube: Kube): void {
  const headers = { server: "envoy", "x-envoy-upstream-service-time": "2" };
  const targets = new Map(kubes.map((target, index) => [probeName(nameOf(index)), { target, name: nameOf(index) }]));
  const own = probeName(nameOf(kubes.indexOf(kube)));
  kube.onProxy(({ namespace, port, path: whole }) => {
    if (port !== CALLER_PORT) return undefined;
    const path = whole.replace(/^\/[0-9a-f]+/, "");
    if (path === "/endpoints") {
      const found = [...targets].flatMap(([name, { target }]) => endpointOf(`${name}.${namespace}.svc`, target));
      return { status: 200, headers, body: JSON.stringify({ configs: found }) };
    }
    const found = targets.get(/(probe-[^/]+)/.exec(path)?.[1] ?? "");
    if (!found) return { status: 404, headers, body: "" };
    const client = `URI=spiffe://cluster.local/ns/${namespace}/sa/${own}`;
    return { status: 200, headers: { ...headers, [CLIENT_HEADER]: client }, body: found.name };
  });
}

function endpointOf(host: string, target: Kube) {
  const service = { apiVersion: "v1", kind: "Service", namespace: "istio-system", name: "istio-eastwestgateway" };
  const address = target.get(service)?.status?.loadBalancer?.ingress[0].ip;
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: 15443 } } } }] }];
  return address ? [{ endpoint_config: { cluster_name: `outbound|8080||${host}.cluster.local`, endpoints } }] : [];
}

const [count, latencyMs, services = 0, endpoints = 0] = process.argv.slice(2).map(Number);
// What the other clusters are given is tried from the runner before it is handed out, and leads there, as for most users.
const host = ownAddress();
const kubes = await startClusters(count ?? 2, (index) => ({
  kube: { name: nameOf(index), latencyMs: latencyMs ?? 40, ...(host ? { host } : {}) },
  // With many of them on one machine a reading takes its time.
  istiod: { timeout: 60_000 },
}));
for (const kube of kubes) answerProbes(kube);
for (const kube of kubes) putServices(kube);

/** What the workloads of a cluster have, whichever pods are behind it. */
function putServices(kube: Kube): void {
  const namespace = "shop";
  if (services === 0) return;
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const ports = [{ name: "http", port: 80, protocol: "TCP" }];
  for (let i = 0; i < services; i++) {
    const name = `service-${i}`;
    kube.put({ apiVersion: "v1", kind: "Service", metadata: { name, namespace }, spec: { ports } });
    const own = Array.from({ length: Math.ceil((endpoints - i) / services) }, (_, n) => i + n * services);
    kube.put({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: own.map((each) => ({
        addresses: [`10.244.${each >> 8}.${each & 255}`],
        conditions: { ready: true, serving: true, terminating: false },
      })),
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    });
  }
}

let before = process.cpuUsage();
const figures = (): Figures => {
  const { user, system } = process.cpuUsage(before);
  before = process.cpuUsage();
  const requests = kubes.map((kube) => kube.requests.filter((each) => !each.user.startsWith("system:service")).length);
  for (const kube of kubes) kube.requests.length = 0;
  return { cpuSeconds: (user + system) / 1e6, requests };
};
process.on("message", (question: Question) => {
  if (question === "figures") process.send?.(figures());
  else process.disconnect();
});
process.on("disconnect", () => process.exit());
figures();
const ready: Ready = { kubeconfigs: kubes.map((kube) => kube.kubeconfig()) };
process.send?.(ready);
