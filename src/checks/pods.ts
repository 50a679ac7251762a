import type { Look } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import { qualifiedName } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { ContainerStatus, Pod } from "../mesh/shapes/pod.ts";

/** Init containers first: while one of them waits, the others only say PodInitializing. */
const statusesOf = ({ status }: Pod): ContainerStatus[] => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
];

/**
 * Whether a pod is one that its owner counts (IsPodActive of Kubernetes' controllers): neither on its way out nor over, as
 * an evicted one is, which stays until somebody removes it.
 */
export function isActive({ metadata, status }: Pod): boolean {
  return !metadata.deletionTimestamp && status?.phase !== "Failed" && status?.phase !== "Succeeded";
}

/** Why a pod is not ready, in its own words, or `undefined` where it is. */
export function podTrouble(pod: Pod): string | undefined {
  const waiting = statusesOf(pod).find(({ state }) => state?.waiting)?.state?.waiting;
  if (waiting) return `pod ${pod.metadata.name}: ${waiting.reason}${waiting.message ? `: ${waiting.message}` : ""}`;
  const conditions = pod.status?.conditions ?? [];
  if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return undefined;
  const unscheduled = conditions.find(({ type, status }) => type === "PodScheduled" && status !== "True");
  const phase = `${pod.status?.phase ?? "Pending"}, not ready`;
  return `pod ${pod.metadata.name}: ${unscheduled?.message ?? silentNode(pod)?.trouble ?? phase}`;
}

/** Whether no node takes a pod, by the scheduler's word. */
export function isUnscheduled({ status }: Pod): boolean {
  return status?.conditions?.some((each) => each.type === "PodScheduled" && each.status === "False") ?? false;
}

/** The node of a pod that is not ready, where all speaks for the node's being what is not. */
function silentNode({ spec, status }: Pod): { node: string; trouble: string } | undefined {
  const node = spec?.nodeName;
  if (!node) return undefined;
  if (!status?.startTime) return { node, trouble: `node ${node} has not taken it up` };
  // The kubelet lets the one follow the other; of a node that falls silent, the control plane turns Ready alone.
  const is = (wanted: string) => status.conditions?.find(({ type }) => type === wanted)?.status;
  const alone = is("ContainersReady") === "True" && is("Ready") !== "True" && !spec?.readinessGates?.length;
  return alone ? { node, trouble: `its containers were ready when node ${node} was last heard of` } : undefined;
}

/** Whether a container of the pod waits for an image that cannot be pulled, by the kubelet's own reasons. */
export function cannotPull(pod: Pod): boolean {
  return statusesOf(pod).some(({ state }) =>
    /^(ErrImagePull|ImagePullBackOff|InvalidImageName)$/.test(state?.waiting?.reason ?? ""),
  );
}

/** The proxy that injection adds, as a sidecar of its own kind or as a container; `undefined` where there is none. */
export function proxyImage(pod: Pod): string | undefined {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const image = containers.find(({ name }) => name === "istio-proxy")?.image;
  // What a gateway's manifest says until injection fills it in.
  return image === "auto" ? undefined : image;
}

/** Image and number of pods of a Deployment that is wholly rolled out and available; else why it is not. */
export function rolledOut(
  deployment: Deployment | undefined,
  pods: readonly Pod[],
): Look<{ image: string; replicas: number }> {
  const status = deployment?.status;
  const current = status?.observedGeneration === deployment?.metadata.generation;
  const wanted = status?.replicas ?? 0;
  const available = status?.availableReplicas ?? 0;
  if (deployment && current && wanted > 0 && available >= wanted && status?.updatedReplicas === wanted) {
    return { done: { image: deployment.spec.template.spec.containers[0]?.image ?? "", replicas: available } };
  }
  const refused = deployment && refusedPods(deployment);
  // What may be mended by another pod's end, as a quota is, is not over with the first refusal; but no pod will come of itself.
  if (refused && !pods.some(isActive)) return refused;
  const trouble = troubleOf(pods);
  if (trouble && refused) return { seen: `${trouble.seen}; ${refused.seen}`, hint: trouble.hint ?? refused.hint };
  return trouble ?? refused ?? { seen: `${available} of ${wanted || "?"} pods are available` };
}

/** Whether a pod takes requests. */
export function serves(pod: Pod): boolean {
  return isActive(pod) && podTrouble(pod) === undefined;
}

/** Why a Deployment is not wholly rolled out and available; `undefined`: it is. @param pods its own */
export function whyNot(deployment: Deployment, pods: readonly Pod[]): string | undefined {
  const ready = rolledOut(deployment, pods);
  return "seen" in ready ? ready.seen : undefined;
}

/** The same of one that serves all the same, in a part of a sentence that names it. */
export function unfinished(deployment: Deployment, pods: readonly Pod[]): string | undefined {
  const trouble = whyNot(deployment, pods);
  if (trouble === undefined) return undefined;
  const { spec, status } = deployment;
  const { replicas = 0, availableReplicas = 0, updatedReplicas = 0 } = status ?? {};
  const name = `Deployment ${qualifiedName(deployment)}`;
  if (updatedReplicas < replicas && availableReplicas >= replicas)
    return `the rollout of ${name} ${spec.paused ? "is paused" : "is not over"}: ${updatedReplicas} of ${replicas} pods are as it has them now`;
  return `of ${name} ${availableReplicas} of ${spec.replicas ?? 1} pods are available: ${trouble}`;
}

/** A Deployment's word that its pods are refused: the condition that its ReplicaSet gives it (apps/v1, ReplicaFailure). */
export interface Refused {
  readonly seen: string;
  readonly hint: string;
  /** By the API server's own rules, where asking again says the same: quotas and limits, PodSecurity, a policy. */
  readonly forbidden: boolean;
}

/** Why no pods are made for a Deployment, and what to do; `undefined` where nobody refuses them. */
export function refusedPods({ metadata, status }: Deployment): Refused | undefined {
  const failure = status?.conditions?.find((each) => each.type === "ReplicaFailure" && each.status === "True");
  if (!failure) return undefined;
  const message = clip(failure.message ?? "no reason is given", 400);
  const { namespace = "default" } = metadata;
  const [, hint = `Look: kubectl -n ${namespace} describe replicaset; kubectl -n ${namespace} get events`] =
    REFUSALS.map(([pattern, told]) => [pattern.test(message), told(namespace)] as const).find(([fits]) => fits) ?? [];
  const forbidden = /\bis forbidden\b|denied the request/.test(message);
  return { seen: `its pods are refused: ${message.replace(/\.$/, "")}`, hint, forbidden };
}

/** What to do about a refusal, by the words of who refuses. */
const REFUSALS: readonly (readonly [RegExp, (namespace: string) => string])[] = [
  [
    /exceeded quota|must specify|failed quota/,
    (namespace) =>
      `Raise the quota, or ask for less by the inputs: kubectl -n ${namespace} describe resourcequota,limitrange`,
  ],
  [
    /(?:maximum|minimum) (?:cpu|memory|\S+) usage|limit to request ratio/,
    (namespace) => `Have the resources fit the LimitRange: kubectl -n ${namespace} describe limitrange`,
  ],
  [
    /violates PodSecurity/,
    (namespace) =>
      `The namespace asks for more than the pod has: kubectl get namespace ${namespace} --show-labels. Lower its label pod-security.kubernetes.io/enforce, or use the CNI plugin and set what the message names by \`values\`.`,
  ],
  [
    /failed calling webhook/,
    (namespace) =>
      `Are the webhook's pods ready, and may the API server reach them? kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations; kubectl -n ${namespace} get pods`,
  ],
  [
    /admission webhook "[^"]*" denied|ValidatingAdmissionPolicy/,
    () => "Have whoever owns that policy let the pod pass, or set what it asks for by the inputs.",
  ],
];

/** Who refuses an object by a rule of the platform's own, in words; `undefined` where it is another matter, as rights are. */
export function refuserIn(message: string): string | undefined {
  // Istio's own say something of the mesh.
  if (/webhook "[^"]*\.istio\.io"/.test(message)) return undefined;
  const found = REFUSERS.map(([pattern, kind]) => [pattern.exec(message)?.[1], kind] as const).find(([name]) => name);
  return found && `${found[1]} ${found[0]}`;
}

/** By the API server's words, with the name in them. */
const REFUSERS: readonly (readonly [RegExp, string])[] = [
  [/admission webhook "([^"]+)" denied/, "the webhook"],
  [/ValidatingAdmissionPolicy '([^']+)'/, "the ValidatingAdmissionPolicy"],
  [/(?:exceeded|failed) quota: ([^\s:,]+)/, "the ResourceQuota"],
  [/violates (PodSecurity "[^"]+")/, "the level"],
  [/((?:maximum|minimum) \S+ usage per \S+|limit to request ratio)/, "the LimitRange's"],
  [/unable to validate against any (security context constraint)/, "every"],
];

/** Why active pods are not ready, and what to do where waiting does not help; `undefined` where all of them are. */
export function troubleOf(pods: readonly Pod[]): { seen: string; hint: string | undefined } | undefined {
  const active = pods.filter(isActive);
  const troubles = active.flatMap((pod) => podTrouble(pod) ?? []);
  const hint = active.map(podHint).find((found) => found !== undefined);
  return troubles.length > 0 ? { seen: troubles.join("; "), hint } : undefined;
}

/** What to do about a pod that will not become ready by waiting, by the kubelet's and the scheduler's own reasons. */
function podHint(pod: Pod): string | undefined {
  const { name, namespace = "default" } = pod.metadata;
  const look = `kubectl -n ${namespace} describe pod ${name}`;
  if (cannotPull(pod)) return `Is there such an image, and may the nodes pull it? Look: ${look}`;
  const crashing = statusesOf(pod).find(({ state }) => state?.waiting?.reason === "CrashLoopBackOff");
  if (crashing) return `See why it ends: kubectl -n ${namespace} logs ${name} -c ${crashing.name} --previous`;
  const conditions = pod.status?.conditions ?? [];
  const unscheduled = conditions.some(({ type, status }) => type === "PodScheduled" && status === "False");
  if (unscheduled) return `Is there a node with room for it? Look: ${look}`;
  const silent = silentNode(pod);
  return silent && `Is the node ready? Look: kubectl describe node ${silent.node}`;
}
