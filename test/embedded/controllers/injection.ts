import type { Json, Kube } from "../kube.ts";
import { hasLabels, isReady, on } from "./support.ts";

export interface InjectionOptions {
  /** Milliseconds from istiod's being ready until its webhook is called. */
  readonly injectAfterMs?: number;
  /** So many pods that want injection are created without it, though istiod is ready. */
  readonly webhookLateBy?: number;
}

/** istiod's webhook, as the API server calls it when a pod is created: a pod that it misses keeps the image `auto`. */
export function injection(kube: Kube, options: InjectionOptions = {}): (pod: Json) => Json {
  const readySince = new Map<string, number>();
  let missed = options.webhookLateBy ?? 0;
  on(kube, "v1", "Pod", ({ type, object }) => {
    const { uid } = object.metadata;
    if (type === "DELETED" || !isReady(object)) readySince.delete(uid);
    else if (!readySince.has(uid)) readySince.set(uid, performance.now());
  });

  return (pod) => {
    const { labels, annotations } = pod.metadata;
    if (![labels, annotations].some((each) => each?.["sidecar.istio.io/inject"] === "true")) return pod;
    const revision = labels?.["istio.io/rev"] ?? "default";
    const istiod = kube
      .list("v1", "Pod")
      .find((each) => isReady(each) && hasLabels(each, { app: "istiod", "istio.io/rev": revision }));
    if (!istiod) return pod;
    const since = readySince.get(istiod.metadata.uid) ?? performance.now();
    if (performance.now() - since < (options.injectAfterMs ?? 0)) return pod;
    if (missed > 0) {
      missed--;
      return pod;
    }
    const version = /:([^:@]+)$/.exec(istiod.spec.containers[0].image)?.[1] ?? "latest";
    const injected = structuredClone(pod);
    injected.metadata.annotations = { ...annotations, "sidecar.istio.io/status": JSON.stringify({ revision }) };
    for (const container of injected.spec.containers) {
      if (container.image === "auto") container.image = `gcr.io/istio-release/proxyv2:${version}`;
    }
    return injected;
  };
}
