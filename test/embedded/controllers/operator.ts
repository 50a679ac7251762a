import type { Json, Kube, LoggedRequest } from "../kube.ts";
import { baseChart, istiodChart, istiodName, READER, type Release } from "./chart.ts";
import { definitions } from "./crds.ts";
import { after, ensure, ensureStatus, later, now, on, refOf } from "./support.ts";

export interface OperatorOptions {
  /** Istio versions that it installs, without a leading `v`. */
  readonly versions?: readonly string[];
  /** Versions that are in the CRD's enum, yet refused, as newer operators do. */
  readonly endOfLife?: readonly string[];
  /** Milliseconds from a change to its reconciliation. */
  readonly slowMs?: number;
  /**
   * Milliseconds until Helm has changed a control plane that is there. The `Istio` resource is called healthy before, as the
   * real operator does, by what its revision said of what was before.
   */
  readonly slowHelmMs?: number;
  /** It reconciles nothing before somebody watches the `Istio` resources, if anybody does: whoever installs has to wait. */
  readonly whenWatched?: boolean;
  /** It is installed and available, and does nothing. */
  readonly neverReconcile?: boolean;
  /** Its own version, the image's tag. */
  readonly version?: string;
  /** Who ships it. Default: upstream's chart, without its pins. */
  readonly shipped?: Shipped;
  /** It asks for the CNI plugin, as a vendor's does whose defaults have it enabled. */
  readonly demandsCni?: boolean;
  /** From where it has the images of the versions that it installs, by its pod's annotations; none: its charts' own. */
  readonly pins?: string;
}

/** How an operator is laid out on a cluster. */
export interface Shipped {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
}

/** As they come: from upstream's chart, Alauda's and Red Hat's catalogs, and a build that nobody has heard of. */
export const SHIPPED = {
  upstream: {
    namespace: "sail-operator",
    name: "sail-operator",
    labels: { "app.kubernetes.io/name": "sail-operator" },
    image: "quay.io/sail-dev/sail-operator:1.28.3",
  },
  alauda: {
    namespace: "sail-operator",
    name: "servicemesh-operator2",
    labels: { "olm.owner": "servicemesh-operator2.v2.0.0" },
    image: "registry.alauda.cn:60070/asm/sail-operator:1.28.3-asm-r0",
  },
  redHat: {
    namespace: "openshift-operators",
    name: "servicemesh-operator3",
    labels: { "olm.owner": "servicemeshoperator3.v3.1.0" },
    image: "registry.redhat.io/openshift-service-mesh/istio-sail-rhel9-operator@sha256:0123",
  },
  unknown: {
    namespace: "platform",
    name: "mesh-controller",
    labels: { team: "platform" },
    image: "registry.example/platform/mesh-controller:2024-05",
  },
} as const satisfies Record<string, Shipped>;

const API = "sailoperator.io/v1";
/** How often it looks whether somebody watches, and for how long. Milliseconds. */
const LOOK = 5;
const UNWATCHED = 30_000;
const FINALIZER = "sailoperator.io/sail-operator";

export const VERSIONS = ["1.26.3", "1.25.3"];
export const END_OF_LIFE = ["1.24.6"];

/** The Sail Operator, as it is seen from outside: its conditions, reasons and order of events; the charts are sketches. */
export function operator(kube: Kube, options: OperatorOptions = {}): void {
  const { versions = VERSIONS, endOfLife = END_OF_LIFE } = options;
  for (const definition of definitions([...versions, ...endOfLife])) ensure(kube, definition);
  const image = `quay.io/sail-dev/sail-operator:${options.version ?? "1.26.3"}`;
  for (const object of own(options.shipped ?? { ...SHIPPED.upstream, image }, versions, options.pins))
    ensure(kube, object);
  if (options.neverReconcile) return;

  const pending = new Set<string>();
  let watched = !options.whenWatched;
  const isWatch = ({ path }: LoggedRequest) => path.includes("/istios?") && path.includes("watch=true");
  const begin = (work: () => void, tries = 0): void => {
    watched ||= tries * LOOK >= UNWATCHED || kube.requests.some(isWatch);
    if (watched) after(options.slowMs, work);
    else later(LOOK, () => begin(work, tries + 1));
  };
  const look = (name: string) => {
    if (pending.has(name)) return;
    pending.add(name);
    begin(() => {
      pending.delete(name);
      const istio = kube.get({ apiVersion: API, kind: "Istio", name });
      if (istio && !istio.metadata.deletionTimestamp) reconcile(kube, istio, endOfLife, options);
    });
  };
  on(kube, API, "Istio", ({ type, object }) => {
    // A status is what this very operator wrote.
    if (type !== "DELETED" && object.status?.observedGeneration !== object.metadata.generation)
      look(object.metadata.name);
  });
  on(kube, API, "IstioRevision", ({ type, object }) => {
    if (type !== "DELETED" && object.metadata.deletionTimestamp) finalize(kube, object);
  });
  const lookAtCni = () => {
    const cni = kube.get({ apiVersion: API, kind: "IstioCNI", name: "default" });
    if (cni && !cni.metadata.deletionTimestamp) reportCni(kube, cni);
  };
  on(kube, API, "IstioCNI", ({ object }) => {
    if (object.status?.observedGeneration !== object.metadata.generation) after(options.slowMs, lookAtCni);
  });
  on(kube, "v1", "Namespace", lookAtCni);
  on(kube, API, "IstioCNI", () => {
    for (const istio of kube.list(API, "Istio")) look(istio.metadata.name);
  });
  // What the resources of a namespace depend on, and what it installed for them.
  const lookIn = (namespace: string) => {
    for (const istio of kube.list(API, "Istio")) if (istio.spec.namespace === namespace) look(istio.metadata.name);
  };
  on(kube, "v1", "Namespace", ({ object }) => lookIn(object.metadata.name));
  on(kube, "apps/v1", "Deployment", ({ object }) => lookIn(object.metadata.namespace));
  on(kube, "v1", "ServiceAccount", ({ object }) => {
    if (object.metadata.name === READER) lookIn(object.metadata.namespace);
  });
}

function own(
  { namespace, name, labels, image }: Shipped,
  versions: readonly string[],
  pins: string | undefined,
): Json[] {
  const pods = { "control-plane": `${name}-pods` };
  const annotations = Object.fromEntries(
    versions.flatMap((version) =>
      Object.entries({ istiod: "pilot", proxy: "proxyv2", cni: "install-cni" }).map(([component, repository]) => [
        `images.v${version.replaceAll(".", "_")}.${component}`,
        `${pins}/${repository}:${version}`,
      ]),
    ),
  );
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace, labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: pods },
        template: {
          metadata: { labels: pods, ...(pins ? { annotations } : {}) },
          spec: { containers: [{ name: "manager", image }] },
        },
      },
    },
    {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "sail-operator-lock", namespace },
      spec: {
        holderIdentity: `${name}-6d8f9c7b5-x2x4z_11111111-2222-3333-4444-555555555555`,
        leaseDurationSeconds: 15,
        renewTime: new Date().toISOString().replace("Z", "000Z"),
      },
    },
  ];
}

/** The plugin's pods are taken for granted; its namespace is not. */
function reportCni(kube: Kube, cni: Json): void {
  const { namespace } = cni.spec;
  const missing = !kube.get({ apiVersion: "v1", kind: "Namespace", name: namespace });
  const message = `validation error: namespace "${namespace}" doesn't exist`;
  const status = {
    observedGeneration: cni.metadata.generation,
    state: missing ? "ReconcileError" : "Healthy",
    conditions: [
      {
        type: "Reconciled",
        status: missing ? "False" : "True",
        ...(missing ? { reason: "ReconcileError", message } : {}),
      },
      { type: "Ready", status: missing ? "False" : "True" },
    ],
  };
  if (JSON.stringify(status) !== JSON.stringify(cni.status)) kube.patchStatus(refOf(cni), status);
}

function reconcile(
  kube: Kube,
  istio: Json,
  endOfLife: readonly string[],
  { slowHelmMs, demandsCni = false }: OperatorOptions,
): void {
  const { name, uid } = istio.metadata;
  const { namespace, version, values = {}, updateStrategy } = istio.spec;
  const inPlace = (updateStrategy?.type ?? "InPlace") === "InPlace";
  const revision = inPlace ? name : `${name}-${version.replaceAll(".", "-")}`;
  const release: Release = { revision, namespace, version: version.replace(/^v/, ""), values };

  let error: string | undefined;
  if (endOfLife.includes(release.version)) {
    error = `version "${version}" is end-of-life and cannot be installed; use a supported version`;
  } else if (!kube.get({ apiVersion: "v1", kind: "Namespace", name: namespace })) {
    error = `validation error: namespace "${namespace}" doesn't exist`;
  } else {
    const withBase = revision === "default";
    error = withBase ? foreignReader(kube, namespace) : undefined;
    const owner = { apiVersion: API, kind: "Istio", name, uid, controller: true, blockOwnerDeletion: true };
    ensure(kube, {
      apiVersion: API,
      kind: "IstioRevision",
      metadata: { name: revision, finalizers: [FINALIZER], ownerReferences: [owner] },
      spec: { namespace, version, values },
    });
    const ref = { apiVersion: API, kind: "IstioRevision", name: revision };
    const upgrade = () => {
      for (const object of [...(withBase && !error ? baseChart(release) : []), ...istiodChart(release)])
        ensure(kube, object);
      const made = kube.get(ref);
      if (!made || made.metadata.deletionTimestamp) return;
      const conditions = [{ type: "Reconciled", status: error ? "False" : "True", reason: "ReconcileError" }];
      ensureStatus(kube, made, { observedGeneration: made.metadata.generation, conditions });
    };
    const istiod = kube.get({ apiVersion: "apps/v1", kind: "Deployment", namespace, name: istiodName(revision) });
    if (slowHelmMs && istiod) later(slowHelmMs, upgrade);
    else upgrade();
  }
  report(kube, istio, error, revision, cniTrouble(kube, values, demandsCni));
}

/** What the operator says of the CNI plugin, where it takes it to be needed: as the values say, else on OpenShift. */
function cniTrouble(kube: Kube, values: Json, demandsCni: boolean): [reason: string, message: string] | undefined {
  const openShift = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    name: "clusterversions.config.openshift.io",
  };
  if (!(values.pilot?.cni?.enabled ?? (demandsCni || kube.get(openShift) !== undefined))) return undefined;
  const cni = kube.get({ apiVersion: API, kind: "IstioCNI", name: "default" });
  if (!cni) return ["IstioCNINotFound", "IstioCNI resource does not exist"];
  if (cni.status?.state === "Healthy") return undefined;
  return ["IstioCNINotHealthy", "IstioCNI resource status indicates that the component is not healthy"];
}

/** The operator installs with Helm, which refuses an object that someone else made before it. */
function foreignReader(kube: Kube, namespace: string): string | undefined {
  const account = kube.get({ apiVersion: "v1", kind: "ServiceAccount", namespace, name: READER });
  if (!account || account.metadata.labels?.["app.kubernetes.io/managed-by"] === "Helm") return undefined;
  return (
    'error reconciling resource: failed to install/update Helm chart "base": failed to install helm chart base: ' +
    `Unable to continue with install: ServiceAccount "${READER}" in namespace "${namespace}" exists and cannot be ` +
    "imported into the current release: invalid ownership metadata; label validation error: missing key " +
    '"app.kubernetes.io/managed-by": must be set to "Helm"'
  );
}

function report(
  kube: Kube,
  istio: Json,
  error: string | undefined,
  revision: string,
  [cniReason, cniMessage]: [reason?: string, message?: string] = [],
): void {
  const { namespace } = istio.spec;
  const istiod = kube.get({ apiVersion: "apps/v1", kind: "Deployment", namespace, name: istiodName(revision) });
  const fresh = istiod?.status?.observedGeneration === istiod?.metadata.generation;
  // As with the real one, Ready speaks of istiod alone: it can be True beside a ReconcileError.
  const ready = istiod && fresh && istiod.status?.readyReplicas === (istiod.spec.replicas ?? 1);
  const old: Json[] = istio.status?.conditions ?? [];
  const condition = (type: string, reason: string, message: string | undefined): Json => {
    const status = message === undefined ? "True" : "False";
    const before = old.find((each) => each.type === type && each.status === status);
    const lastTransitionTime = before?.lastTransitionTime ?? now();
    return { type, status, lastTransitionTime, ...(message === undefined ? {} : { reason, message }) };
  };
  const conditions = [
    condition("Reconciled", "ReconcileError", error),
    condition("Ready", "IstiodNotReady", ready ? undefined : "not all istiod pods are ready"),
    condition("DependenciesHealthy", cniReason ?? "", cniMessage),
  ];
  const bad = conditions.find(({ status }) => status !== "True");
  const status = {
    observedGeneration: istio.metadata.generation,
    state: bad?.reason ?? "Healthy",
    activeRevisionName: revision,
    conditions,
    revisions: { total: error === undefined ? 1 : 0, ready: bad ? 0 : 1, inUse: 0 },
  };
  if (JSON.stringify(status) !== JSON.stringify(istio.status)) kube.patchStatus(refOf(istio), status);
}

/** Takes away what the charts made; the namespace, its secrets and the gateways are not the operator's. */
function finalize(kube: Kube, revision: Json): void {
  const { namespace, version, values } = revision.spec;
  const release: Release = { revision: revision.metadata.name, namespace, version: version.replace(/^v/, ""), values };
  const withBase = release.revision === "default" && !foreignReader(kube, namespace);
  for (const object of [...(withBase ? baseChart(release) : []), ...istiodChart(release)]) kube.delete(refOf(object));
  const current = kube.get(refOf(revision));
  if (current) kube.put({ ...current, metadata: { ...current.metadata, finalizers: [] } });
}
