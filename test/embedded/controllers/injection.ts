import { clone } from "../clone.ts";
import type { Json, Kube } from "../kube.ts";
import { forbidden, StatusError } from "../status.ts";
import { hasLabels, isReady, on } from "./support.ts";
import { selects } from "./webhook.ts";

export interface InjectionOptions {
  /** Milliseconds from istiod's being ready until its webhook is called. */
  readonly injectAfterMs?: number;
  /** So many pods that want injection are created without it, though istiod is ready. */
  readonly webhookLateBy?: number;
  /** As `global.proxy.autoInject: disabled`: only pods that ask for it themselves, by their own label, are injected. */
  readonly off?: boolean;
}

/** What admission does to pods in one cluster. */
export interface Injection {
  /** See `InjectionOptions`; may be changed at any time. */
  off: boolean;
  /** For pods of controllers: a pod that the webhook misses, for no istiod answers, keeps the image `auto`. */
  inject(pod: Json): Json;
  /** For pods of clients: as the API server, it refuses what a webhook that does not answer should have seen. */
  admit(pod: Json, options: { readonly dryRun: boolean }): Json;
}

const INJECT = "sidecar.istio.io/inject";
const NETWORK = "topology.istio.io/network";

/** istiod's webhook, as the API server calls it when a pod is created. */
export function injection(kube: Kube, options: InjectionOptions = {}): Injection {
  const readySince = new Map<string, number>();
  let missed = options.webhookLateBy ?? 0;
  on(kube, "v1", "Pod", ({ type, object }) => {
    const { uid } = object.metadata;
    if (type === "DELETED" || !isReady(object)) readySince.delete(uid);
    else if (!readySince.has(uid)) readySince.set(uid, performance.now());
  });

  /** @param unanswered what becomes of a pod whose webhook no istiod answers */
  const called = (pod: Json, unanswered: (webhook: Json) => Json, dryRun: boolean): Json => {
    const webhook = webhookFor(kube, pod);
    if (!webhook) return pod;
    const istiod = behind(kube, webhook);
    if (!istiod) return unanswered(webhook);
    if (!wanted(pod, injecting.off)) return pod;
    const since = readySince.get(istiod.metadata.uid) ?? performance.now();
    if (performance.now() - since < (options.injectAfterMs ?? 0)) return pod;
    if (missed > 0) {
      if (!dryRun) missed--;
      return pod;
    }
    return injected(kube, pod, istiod);
  };

  const injecting: Injection = {
    off: options.off ?? false,
    inject: (pod) => called(pod, () => pod, false),
    admit: (pod, { dryRun }) => {
      checkAccount(kube, pod);
      return called(
        pod,
        (webhook) => {
          throw refusal(kube, webhook);
        },
        dryRun,
      );
    },
  };
  return injecting;
}

/** The webhook that is called for a pod. Their selectors see to it that there is one at most. */
function webhookFor(kube: Kube, { metadata }: Json): Json | undefined {
  const namespace = kube.get({ apiVersion: "v1", kind: "Namespace", name: metadata.namespace });
  return kube
    .list("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration")
    .flatMap(({ webhooks }) => webhooks ?? [])
    .filter(({ name }) => name.endsWith(".sidecar-injector.istio.io"))
    .find(
      ({ namespaceSelector, objectSelector }) =>
        selects(namespaceSelector, namespace?.metadata.labels) && selects(objectSelector, metadata.labels),
    );
}

function serviceOf(kube: Kube, { clientConfig }: Json): Json | undefined {
  const { namespace, name } = clientConfig.service;
  return kube.get({ apiVersion: "v1", kind: "Service", namespace, name });
}

/** The istiod that answers a webhook. */
function behind(kube: Kube, webhook: Json): Json | undefined {
  const service = serviceOf(kube, webhook);
  if (!service) return undefined;
  return kube
    .list("v1", "Pod", service.metadata.namespace)
    .find((pod) => isReady(pod) && hasLabels(pod, service.spec.selector));
}

/** istiod's own decision, when it is asked. */
function wanted({ metadata, spec }: Json, off: boolean): boolean {
  if (spec.hostNetwork) return false;
  const said = metadata.labels?.[INJECT] ?? metadata.annotations?.[INJECT];
  return said === undefined ? !off : said !== "false";
}

function refusal(kube: Kube, webhook: Json): StatusError {
  const { name, clientConfig, timeoutSeconds } = webhook;
  const { name: service, namespace, path, port } = clientConfig.service;
  const url = `https://${service}.${namespace}.svc:${port}${path}?timeout=${timeoutSeconds}s`;
  const found = serviceOf(kube, webhook);
  const why = found
    ? `Post "${url}": dial tcp ${found.spec.clusterIP}:${port}: connect: connection refused`
    : `Post "${url}": service "${service}" not found`;
  return new StatusError(
    500,
    "InternalError",
    `Internal error occurred: failed calling webhook "${name}": failed to call webhook: ${why}`,
    { causes: [{ message: `failed calling webhook "${name}": failed to call webhook: ${why}` }] },
  );
}

/** The API server's own part: no pod without its account. */
function checkAccount(kube: Kube, { metadata, spec }: Json): void {
  const { namespace } = metadata;
  const name = spec.serviceAccountName;
  if (kube.get({ apiVersion: "v1", kind: "ServiceAccount", namespace, name })) return;
  const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
  throw forbidden({ group: "", plural: "pods" }, metadata.name, why);
}

/** The pod with what istiod adds: a proxy's image for a gateway, a sidecar for all others. */
function injected(kube: Kube, pod: Json, istiod: Json): Json {
  const revision = istiod.metadata.labels?.["istio.io/rev"] ?? "default";
  const image = istiod.spec.containers[0].image.replace(/\/pilot([:@])/, "/proxyv2$1");
  const { network, multiCluster, meshID } = valuesOf(kube, istiod.metadata.namespace, revision).global ?? {};
  const service = `istiod${revision === "default" ? "" : `-${revision}`}`;
  const env = [
    { name: "CA_ADDR", value: `${service}.${istiod.metadata.namespace}.svc:15012` },
    { name: "ISTIO_META_MESH_ID", value: meshID ?? "cluster.local" },
    { name: "ISTIO_META_CLUSTER_ID", value: multiCluster?.clusterName ?? "Kubernetes" },
    ...(network ? [{ name: "ISTIO_META_NETWORK", value: network }] : []),
  ];
  const result = clone(pod);
  const { metadata, spec } = result;
  const gateway = metadata.annotations?.["inject.istio.io/templates"] === "gateway";
  const template = gateway || spec.containers.some((each: Json) => each.image === "auto") ? "gateway" : "sidecar";
  const status =
    template === "gateway"
      ? { initContainers: null, containers: ["istio-proxy"], revision }
      : { initContainers: ["istio-init", "istio-proxy"], containers: null, revision };
  metadata.annotations = {
    ...metadata.annotations,
    "istio.io/rev": revision,
    "sidecar.istio.io/status": JSON.stringify(status),
  };
  const app = metadata.labels?.["app.kubernetes.io/name"] ?? metadata.labels?.app ?? metadata.name;
  metadata.labels = {
    "security.istio.io/tlsMode": "istio",
    "service.istio.io/canonical-name": app,
    "service.istio.io/canonical-revision": "latest",
    ...(network ? { [NETWORK]: network } : {}),
    ...metadata.labels,
  };
  spec.volumes = [
    ...(spec.volumes ?? []),
    { name: "istiod-ca-cert", configMap: { name: "istio-ca-root-cert", defaultMode: 420 } },
  ];
  if (template === "gateway") {
    for (const container of spec.containers) {
      if (container.image === "auto") Object.assign(container, { image, env: [...(container.env ?? []), ...env] });
    }
    return result;
  }
  spec.initContainers = [
    ...(spec.initContainers ?? []),
    {
      name: "istio-init",
      image,
      args: ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"],
    },
    {
      name: "istio-proxy",
      image,
      restartPolicy: "Always",
      args: ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
      env,
      ports: [{ name: "http-envoy-prom", containerPort: 15090 }],
    },
  ];
  return result;
}

/** The Helm values that an istiod injects by. */
function valuesOf(kube: Kube, namespace: string, revision: string): Json {
  const name = `istio-sidecar-injector${revision === "default" ? "" : `-${revision}`}`;
  const config = kube.get({ apiVersion: "v1", kind: "ConfigMap", namespace, name });
  return JSON.parse(config?.data?.values ?? "{}");
}
