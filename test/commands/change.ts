// What is done to a mesh of embedded clusters, and undone.

import { setTimeout as delay } from "node:timers/promises";
import { distorted } from "../embedded/cluster.ts";
import { isReady } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { NAMESPACE } from "./mesh.ts";

/** Mends what was changed. */
export type Mend = () => void | Promise<void>;

/** An object, in the control planes' namespace where no other is named; an empty one is for what has none. */
export function object(
  kube: Kube,
  apiVersion: string,
  kind: string,
  name: string,
  namespace: string | undefined = NAMESPACE,
): Json {
  return kube.get({ apiVersion, kind, name, ...(namespace ? { namespace } : {}) });
}

/** Puts a changed object in an object's place; undone by putting back the first. */
export function changed(kube: Kube, found: Json, change: (object: Json) => void): Mend {
  const copy = structuredClone(found);
  change(copy);
  kube.put(copy);
  return () => {
    kube.put(structuredClone(found));
  };
}

export function removed(kube: Kube, found: Json): Mend {
  const { apiVersion, kind, metadata } = found;
  kube.delete({
    apiVersion,
    kind,
    name: metadata.name,
    ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
  });
  return () => {
    const { uid: _, resourceVersion: __, ...rest } = metadata;
    kube.put({ ...found, metadata: rest });
  };
}

/** Puts an object that is not there. */
export function added(kube: Kube, object: Json): Mend {
  const { apiVersion, kind, metadata } = kube.put(object);
  const { name, namespace } = metadata;
  return () => {
    kube.delete({ apiVersion, kind, name, ...(namespace ? { namespace } : {}) });
  };
}

/** A cluster's istiod tells something else than what is so. */
export function tells(kube: Kube, path: string, change: (answer: Json) => void): Mend {
  distorted.set(kube, (asked, answer) => {
    if (asked === path) change(answer);
    return answer;
  });
  return () => {
    distorted.delete(kube);
  };
}

/** Other Helm values of a cluster's `Istio`, and all that the operator makes of them. */
export async function valued(kube: Kube, change: (values: Json) => void): Promise<() => Promise<void>> {
  const mend = changed(kube, istioOf(kube), ({ spec }) => change(spec.values));
  await rolledOut(kube);
  return async () => {
    mend();
    await rolledOut(kube);
  };
}

const istioOf = (kube: Kube): Json => object(kube, "sailoperator.io/v1", "Istio", "default", "");

/** Until the operator has done what its `Istio` says, and no other istiod runs than that. */
async function rolledOut(kube: Kube): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const { metadata, spec, status } = istioOf(kube);
    const { namespace } = spec;
    const istiod = object(kube, "apps/v1", "Deployment", "istiod", namespace);
    const pods = kube
      .list("v1", "Pod", namespace)
      .filter((pod) => pod.metadata.labels?.app === "istiod" && pod.metadata.labels["istio.io/rev"] === "default");
    const known = status?.observedGeneration === metadata.generation && status.state === "Healthy";
    const { observedGeneration, updatedReplicas } = istiod.status;
    const done = observedGeneration === istiod.metadata.generation && updatedReplicas === pods.length;
    if (known && done && pods.every(isReady)) return;
    await delay(2);
  }
  throw new Error("the control plane is not rolled out");
}
