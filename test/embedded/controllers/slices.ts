import type { Json, Kube } from "../kube.ts";
import { ensure, hasLabels, isReady, on } from "./support.ts";

const NAME = "kubernetes.io/service-name";

/** Kubernetes' own part: the EndpointSlices of Services that select pods, one each. */
export function slices(kube: Kube): void {
  on(kube, "v1", "Service", ({ type, object }) => {
    const { namespace, name } = object.metadata;
    if (type === "DELETED") kube.delete(refOf(namespace, name));
    else look(kube, object);
  });
  on(kube, "v1", "Pod", ({ object }) => {
    for (const service of kube.list("v1", "Service", object.metadata.namespace))
      if (service.spec.selector && hasLabels(object, service.spec.selector)) look(kube, service);
  });
}

const refOf = (namespace: string, name: string) => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  namespace,
  name: `${name}-slice`,
});

function look(kube: Kube, { metadata, spec }: Json): void {
  if (!spec.selector) return;
  const { namespace, name, uid } = metadata;
  const pods = kube
    .list("v1", "Pod", namespace)
    .filter((pod) => pod.status?.podIP && !pod.metadata.deletionTimestamp && hasLabels(pod, spec.selector));
  const ref = refOf(namespace, name);
  if (pods.length === 0 && !kube.get(ref)) return;
  const { apiVersion, kind } = ref;
  ensure(kube, {
    apiVersion,
    kind,
    metadata: {
      namespace,
      name: ref.name,
      labels: { [NAME]: name },
      ownerReferences: [{ apiVersion: "v1", kind: "Service", name, uid, controller: true }],
    },
    addressType: "IPv4",
    endpoints: pods.map((pod) => ({
      addresses: [pod.status.podIP],
      conditions: { ready: isReady(pod), serving: isReady(pod), terminating: false },
      targetRef: { kind: "Pod", namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    })),
    ports: (spec.ports ?? []).map(({ name = "", port, targetPort, protocol = "TCP" }: Json) => ({
      name,
      port: Number(targetPort ?? port) || port,
      protocol,
    })),
  });
}

/** What istiod makes of them, as `/debug/endpointShardz` has it: by host name, namespace, and provider with cluster. */
export function shardz(all: readonly { readonly id: string; readonly kube: Kube }[]): Json {
  const shards: Json = {};
  for (const { id, kube } of all) {
    for (const { metadata, endpoints, ports } of kube.list("discovery.k8s.io/v1", "EndpointSlice")) {
      const { namespace, labels } = metadata;
      const service = labels?.[NAME];
      if (!service) continue;
      const host = `${service}.${namespace}.svc.cluster.local`;
      shards[host] ??= {};
      shards[host][namespace] ??= { Shards: {}, ServiceAccounts: {} };
      const of = shards[host][namespace].Shards;
      of[`Kubernetes/${id}`] ??= [];
      for (const { addresses, conditions, targetRef } of endpoints ?? []) {
        const pod = targetRef && kube.get({ apiVersion: "v1", kind: "Pod", namespace, name: targetRef.name });
        const podLabels = pod?.metadata.labels ?? {};
        for (const { name, port } of ports ?? []) {
          of[`Kubernetes/${id}`].push({
            Labels: podLabels,
            Addresses: addresses,
            ServicePortName: name,
            EndpointPort: port,
            Network: "",
            Locality: { Label: "", ClusterID: id },
            TLSMode: podLabels["security.istio.io/tlsMode"] ?? "",
            HealthStatus: conditions.ready ? 1 : 2,
            NodeName: targetRef ? "node1" : "",
          });
        }
      }
    }
  }
  return shards;
}
