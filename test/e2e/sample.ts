import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, KubernetesObject } from "./cluster.ts";

export const NAMESPACE = "sample";
export const PORT = 5000;

/**
 * In every cluster: a server that answers with its cluster's name, a client, the Service `helloworld` that any server
 * may answer, and for each cluster a Service `only-<cluster>` that selects nothing but that cluster's server. An answer
 * through the last is proof: a local endpoint cannot give it.
 */
export function sampleObjects(
  cluster: Cluster,
  all: readonly Cluster[],
  image: string,
  injection: Readonly<Record<string, string>> = { "istio-injection": "enabled" },
): KubernetesObject[] {
  const service = (name: string, selector: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: NAMESPACE, labels: { app: name } },
    spec: { selector, ports: [{ name: "http", port: PORT }] },
  });
  const deployment = (name: string, labels: Record<string, string>, container: KubernetesObject) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: NAMESPACE },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, ...labels } },
        // What is asked to go has nothing to finish.
        spec: { terminationGracePeriodSeconds: 1, containers: [{ image, ...container }] },
      },
    },
  });
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: { ...injection } } },
    service("helloworld", { app: "helloworld" }),
    ...all.map(({ name }) => service(`only-${name}`, { app: "helloworld", version: name })),
    deployment(
      "helloworld",
      { version: cluster.name },
      {
        name: "helloworld",
        env: [{ name: "VERSION", value: cluster.name }],
        ports: [{ containerPort: PORT }],
        readinessProbe: { httpGet: { path: "/", port: PORT }, periodSeconds: 1 },
      },
    ),
    deployment("client", {}, { name: "client", command: ["sleep", "86400"] }),
  ];
}

/** @param injection the namespace's labels by which its pods get a sidecar */
export async function deploySample(
  cluster: Cluster,
  all: readonly Cluster[],
  image: string,
  injection?: Readonly<Record<string, string>>,
): Promise<void> {
  await cluster.apply(sampleObjects(cluster, all, image, injection));
  for (const name of ["helloworld", "client"]) {
    await cluster.kubectl(["rollout", "status", `deployment/${name}`, "-n", NAMESPACE, "--timeout=180s"], {
      timeoutMs: 200_000,
    });
  }
}

export async function removeSample(cluster: Cluster): Promise<void> {
  await cluster.kubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s"], {
    timeoutMs: 200_000,
  });
}

export interface Answers {
  /** How often each cluster's server answered. */
  readonly from: ReadonlyMap<string, number>;
  readonly calls: number;
  /** The last thing that was not an answer. */
  readonly lastError?: string;
}

/** Calls a Service from a cluster's client until every wanted cluster has answered, or time or tries are used up. */
export async function call(source: Cluster, service: string, wanted: readonly string[]): Promise<Answers> {
  const [client] = await source.list(
    "pods",
    "-n",
    NAMESPACE,
    "-l",
    "app=client",
    "--field-selector=status.phase=Running",
  );
  const url = `http://${service}.${NAMESPACE}:${PORT}/`;
  const deadline = Date.now() + 120_000;
  const from = new Map<string, number>();
  let calls = 0;
  let lastError: string | undefined;
  while (calls < 200 && Date.now() < deadline && wanted.some((name) => !from.has(name))) {
    // An answer from one of several is no reason to wait; a failure is: the endpoints are on their way.
    if (lastError !== undefined && from.size === 0) await delay(500);
    calls++;
    const output = await source.exec(NAMESPACE, client.metadata.name, "client", "/sample", "get", url);
    const answer = /^200 hello from (\S+)\s*$/.exec(output)?.[1];
    if (answer === undefined) lastError = output.trim();
    else from.set(answer, (from.get(answer) ?? 0) + 1);
  }
  return { from, calls, ...(lastError !== undefined && { lastError }) };
}
