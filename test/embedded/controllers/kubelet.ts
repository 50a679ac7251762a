import type { Json, Kube } from "../kube.ts";
import { after, later, now, on } from "./support.ts";

export interface KubeletOptions {
  /** Milliseconds from a pod's creation to its being ready, or to the first failed pull. */
  readonly delayMs?: number;
  /** Images that no registry has; `auto` is always one of them. */
  readonly missingImages?: readonly string[];
}

/** Runs pods: ready, or stuck where an image cannot be pulled. */
export function kubelet(kube: Kube, { delayMs, missingImages = [] }: KubeletOptions = {}): void {
  const missing = new Set(["auto", ...missingImages]);
  const started = new Set<string>();
  let lastAddress = 1;
  on(kube, "v1", "Pod", ({ type, object }) => {
    const { uid } = object.metadata;
    if (type === "DELETED") {
      started.delete(uid);
      return;
    }
    const over = ["Failed", "Succeeded"].includes(object.status?.phase);
    if (started.has(uid) || over) return;
    started.add(uid);
    const podIP = `10.244.${lastAddress >> 8}.${lastAddress++ & 255}`;
    const report = (status: (pod: Json) => Json) => {
      const { namespace, name } = object.metadata;
      const ref = { apiVersion: "v1", kind: "Pod", namespace, name };
      const pod = kube.get(ref);
      if (pod?.metadata.uid === uid) kube.patchStatus(ref, status(pod));
    };
    const stuck = [...(object.spec.initContainers ?? []), ...object.spec.containers].some(({ image }: Json) =>
      missing.has(image),
    );
    if (delayMs && !object.status?.phase) report((pod) => waiting(pod, () => ({ reason: "ContainerCreating" })));
    after(delayMs, () => {
      if (!stuck) return report((pod) => running(pod, podIP));
      report((pod) =>
        waiting(pod, (image) => (missing.has(image) ? pullError(image) : { reason: "ContainerCreating" })),
      );
      later(300, () =>
        report((pod) =>
          waiting(pod, (image) => (missing.has(image) ? backOff(image) : { reason: "ContainerCreating" })),
        ),
      );
    });
  });
}

const pullError = (image: string) => ({
  reason: "ErrImagePull",
  message: `failed to pull and unpack image "${image}": failed to resolve reference "${image}": not found`,
});

const backOff = (image: string) => ({ reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"` });

function conditions(ready: boolean): Json[] {
  const status = ready ? "True" : "False";
  const lastTransitionTime = now();
  return [
    { type: "PodScheduled", status: "True", lastTransitionTime },
    { type: "Initialized", status: "True", lastTransitionTime },
    { type: "ContainersReady", status, lastTransitionTime },
    { type: "Ready", status, lastTransitionTime },
  ];
}

function running(pod: Json, podIP: string): Json {
  return {
    phase: "Running",
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: now(),
    conditions: conditions(true),
    ...initStatuses(pod, (one) => (one.restartPolicy === "Always" ? up(one) : ended(one))),
    containerStatuses: pod.spec.containers.map(up),
  };
}

function initStatuses({ spec }: Json, status: (container: Json) => Json): Json {
  return spec.initContainers?.length ? { initContainerStatuses: spec.initContainers.map(status) } : {};
}

const up = ({ name, image }: Json) => ({
  name,
  image,
  imageID: `${image}@sha256:0`,
  ready: true,
  started: true,
  restartCount: 0,
  state: { running: { startedAt: now() } },
});

const ended = (container: Json) => ({
  ...up(container),
  started: false,
  state: { terminated: { exitCode: 0, reason: "Completed", startedAt: now(), finishedAt: now() } },
});

function waiting(pod: Json, why: (image: string) => Json): Json {
  const status = ({ name, image }: Json) => ({
    name,
    image,
    imageID: "",
    ready: false,
    started: false,
    restartCount: 0,
    state: { waiting: why(image) },
  });
  return {
    phase: "Pending",
    startTime: now(),
    conditions: conditions(false),
    ...initStatuses(pod, status),
    containerStatuses: pod.spec.containers.map(status),
  };
}
