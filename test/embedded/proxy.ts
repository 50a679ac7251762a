import type { Answer, Target } from "./handler.ts";
import type { Json, ProxyRequest, ProxyResponse } from "./kube.ts";
import type { Registry } from "./registry.ts";
import type { Resource } from "./resources.ts";
import { StatusError } from "./status.ts";

export type ProxyHandler = (request: ProxyRequest) => Promise<ProxyResponse | undefined> | ProxyResponse | undefined;

/** Answers `pods/proxy`: what the pod says, or that nobody listens there. */
export async function proxy(
  registry: Registry,
  resource: Resource,
  { namespace = "", name = "", tail, parameters }: Target,
  method: string,
  handler: ProxyHandler,
): Promise<Answer> {
  const [podName, wanted] = address(name);
  const pod = registry.get(resource, namespace, podName);
  const port = Number(wanted ?? pod.spec.containers[0]?.ports?.[0]?.containerPort ?? 80);
  const request = { method, namespace, pod: podName, port, path: tail || "/", query: parameters };
  const answer = runs(pod) ? await handler(request) : undefined;
  if (answer) return answer;
  const why = `dial tcp ${pod.status?.podIP ?? ""}:${port}: connect: connection refused`;
  throw new StatusError(503, "ServiceUnavailable", `error trying to reach service: ${why}`);
}

/** `pod`, `pod:port` or `scheme:pod:port`. */
function address(name: string): [pod: string, port?: string] {
  const parts = name.split(":");
  const [pod = "", port] = parts.length > 2 ? parts.slice(1) : parts;
  return port ? [pod, port] : [pod];
}

function runs({ status, metadata }: Json): boolean {
  return status?.phase === "Running" && !metadata.deletionTimestamp;
}
