import { createHash, randomBytes } from "node:crypto";
import { clone } from "../clone.ts";
import type { Json, Kube, Ref } from "../kube.ts";
import { ensure, ensureStatus, isReady, now, on, refOf } from "./support.ts";

export interface DeploymentOptions {
  /** What admission makes of a pod before it is created. */
  readonly admit?: (pod: Json) => Json;
}

const HASH = "pod-template-hash";
/** On a namespace: why its pods are refused. */
export const REFUSE = "embedded/refuses-pods";

/** Pods for Deployments, whose ReplicaSets are there by name alone; autoscalers see to their least number. */
export function deployments(kube: Kube, { admit = (pod) => pod }: DeploymentOptions = {}): void {
  const look = (ref: Ref) => reconcile(kube, ref, admit);
  on(kube, "apps/v1", "Deployment", ({ type, object }) => {
    if (type === "DELETED") return;
    scale(kube, object);
    look(refOf(object));
  });
  on(kube, "v1", "Pod", ({ object }) => {
    const owner = object.metadata.ownerReferences?.find(({ kind }: Json) => kind === "ReplicaSet");
    const name = owner?.name.replace(/-[^-]*$/, "");
    if (name) look({ ...DEPLOYMENT, namespace: object.metadata.namespace, name });
  });
  on(kube, "autoscaling/v2", "HorizontalPodAutoscaler", ({ object }) => {
    const { namespace } = object.metadata;
    const target = kube.get({ ...DEPLOYMENT, namespace, name: object.spec.scaleTargetRef.name });
    if (target) scale(kube, target);
  });
}

const DEPLOYMENT = { apiVersion: "apps/v1", kind: "Deployment" } as const;

function scale(kube: Kube, deployment: Json): void {
  const { namespace, name } = deployment.metadata;
  const autoscalers = kube.list("autoscaling/v2", "HorizontalPodAutoscaler", namespace);
  const least = autoscalers.find(({ spec }) => spec.scaleTargetRef.name === name)?.spec.minReplicas ?? 0;
  if ((deployment.spec.replicas ?? 1) < least)
    ensure(kube, { ...DEPLOYMENT, metadata: { namespace, name }, spec: { replicas: least } });
}

function reconcile(kube: Kube, ref: Ref, admit: (pod: Json) => Json): void {
  const deployment = kube.get(ref);
  if (!deployment || deployment.metadata.deletionTimestamp) return;
  const { namespace, uid } = deployment.metadata;
  const { template, replicas = 1 } = deployment.spec;
  const hash = createHash("sha256")
    .update(JSON.stringify(sorted(template)))
    .digest("hex")
    .slice(0, 10);
  const owned = () =>
    kube
      .list("v1", "Pod", namespace)
      .filter(({ metadata }) => !metadata.deletionTimestamp && metadata.ownerReferences?.[0]?.uid === uid);
  const isCurrent = (pod: Json) => pod.metadata.labels[HASH] === hash;

  // Of one that is paused nothing is rolled out, whatever its template has become.
  const { paused = false } = deployment.spec;
  const current = paused ? owned() : owned().filter(isCurrent);
  const refusal = kube.get({ apiVersion: "v1", kind: "Namespace", name: namespace })?.metadata.annotations?.[REFUSE];
  for (let count = current.length; count < replicas && !refusal && !paused; count++)
    kube.put(admit(podOf(deployment, hash)));
  const rolledOut = current.length >= replicas && current.every(isReady);
  // As a rolling update does: what runs stays until its replacement is ready.
  const surplus = [
    ...current.slice(replicas),
    ...(rolledOut && !paused ? owned().filter((pod) => !isCurrent(pod)) : []),
  ];
  for (const pod of surplus) kube.delete(refOf(pod));

  const pods = owned();
  const ready = pods.filter(isReady).length;
  const latest = kube.get(ref);
  if (!latest) return;
  const conditions = [
    condition(latest, "Available", ready >= replicas, "MinimumReplicas"),
    condition(latest, "Progressing", true, "NewReplicaSet"),
    ...(refusal && current.length < replicas
      ? [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: refusal }]
      : []),
  ];
  ensureStatus(kube, latest, {
    observedGeneration: latest.metadata.generation,
    replicas: pods.length,
    updatedReplicas: pods.filter(isCurrent).length,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: Math.max(0, replicas - ready),
    conditions,
  });
}

/** With its keys in order, for a write may put the same ones in another. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

function condition(deployment: Json, type: string, holds: boolean, reason: string): Json {
  const status = holds ? "True" : "False";
  const before = deployment.status?.conditions?.find((each: Json) => each.type === type);
  return before?.status === status
    ? before
    : { type, status, reason: `${reason}${holds ? "Available" : "Unavailable"}`, lastTransitionTime: now() };
}

function podOf(deployment: Json, hash: string): Json {
  const { name, namespace, uid } = deployment.metadata;
  const { metadata, spec } = clone(deployment.spec.template);
  const suffix = randomBytes(4).toString("hex").slice(0, 5);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata,
      name: `${name}-${hash}-${suffix}`,
      namespace,
      labels: { ...metadata?.labels, [HASH]: hash },
      // The ReplicaSet's name, but the Deployment's UID, with which it goes.
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `${name}-${hash}`,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec,
    status: { phase: "Pending" },
  };
}
