import { deployments } from "./controllers/deployments.ts";
import { type InjectionOptions, injection } from "./controllers/injection.ts";
import { type IstiodOptions, istiod } from "./controllers/istiod.ts";
import { type KubeletOptions, kubelet } from "./controllers/kubelet.ts";
import { type LoadBalancerOptions, loadBalancer } from "./controllers/loadbalancer.ts";
import { type OperatorOptions, operator } from "./controllers/operator.ts";
import { probes } from "./controllers/probes.ts";
import { slices } from "./controllers/slices.ts";
import { ensure } from "./controllers/support.ts";
import { tokens } from "./controllers/tokens.ts";
import type { Json, Kube } from "./kube.ts";
import { dial, join, neighbourAt } from "./network.ts";
import { startKube } from "./server.ts";

export interface ClusterOptions {
  readonly kube?: Parameters<typeof startKube>[0];
  /** `false`: there is none. */
  readonly operator?: OperatorOptions | false;
  readonly kubelet?: KubeletOptions;
  readonly injection?: InjectionOptions;
  readonly loadBalancer?: LoadBalancerOptions;
  readonly istiod?: Pick<IstiodOptions, "deaf" | "forgetful" | "timeout" | "election">;
  /** Whether the address in the EndpointSlice default/kubernetes leads to the API server. Default: it does. */
  readonly reachable?: boolean;
}

/** The clusters whose gateways cannot be reached; may be changed at any time. */
export const blocked = new Set<Kube>();
/** Those whose pods the others reach directly; the same. */
export const routed = new Set<Kube>();
/** What istiod's debug interface says instead of what is so, by its path, such as `endpointShardz`; the same. */
export const distorted = new Map<Kube, (path: string, answer: Json) => Json>();
let clusters = 0;

/** A whole embedded cluster: an API server and all that acts on it. */
export async function startCluster(options: ClusterOptions = {}): Promise<Kube> {
  const kube = await startKube(options.kube ?? {});
  const number = ++clusters;
  const address = `10.200.${number >> 8}.${number & 255}`;
  const leave = join(
    { kube, blocked: () => blocked.has(kube), routed: () => routed.has(kube) },
    options.reachable === false ? undefined : `https://${address}:6443`,
  );
  const stop = kube.stop.bind(kube);
  kube.stop = async () => {
    leave();
    await stop();
  };

  tokens(kube);
  kubelet(kube, options.kubelet);
  const injecting = injection(kube, options.injection);
  kube.onAdmit(injecting.admit);
  deployments(kube, { admit: injecting.inject });
  loadBalancer(kube, options.loadBalancer ?? { ingress: { ip: `172.18.${number >> 8}.${number & 255}` } });
  slices(kube);
  const distort = (path: string, answer: Json) => distorted.get(kube)?.(path, answer) ?? answer;
  probes(kube, istiod(kube, { dial, neighbourAt, distort, ...options.istiod }));

  // Where a kubeconfig names a loopback address, this is what the other clusters are given.
  ensure(kube, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: "default", name: "kubernetes", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: "https", port: 6443, protocol: "TCP" }],
  });
  if (options.operator !== false) operator(kube, options.operator);
  return kube;
}

/** Several at once, with the same options or each with its own. */
export function startClusters(
  count: number,
  options: ClusterOptions | ((index: number) => ClusterOptions) = {},
): Promise<Kube[]> {
  const of = typeof options === "function" ? options : () => options;
  return Promise.all(Array.from({ length: count }, (_, index) => startCluster(of(index))));
}
