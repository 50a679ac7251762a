import { portToCall } from "../checks/answers.ts";
import { failed, passed, unknown } from "../checks/finding.ts";
import { type Part, part, readable } from "../checks/part.ts";
import { cannotPull, isUnscheduled, podTrouble, proxyImage, refuserIn } from "../checks/pods.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import type { Patience } from "../cluster/retry.ts";
import { readNetworkPolicies } from "../facts/policies.ts";
import { isBySpire, readSpire } from "../facts/spire.ts";
import { isProven, ownerOf, proven } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import {
  PROBE_NAMESPACES,
  PROBE_POD,
  type ProbeSpec,
  probeNamespace,
  probeObjects,
  probePod,
  probeServices,
  type ServiceCall,
} from "../mesh/objects/probe.ts";
import { probeConfig } from "../mesh/objects/probe-config.ts";
import { probeFilter } from "../mesh/objects/probe-filter.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Finding } from "../mesh/report.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { type MeshSpec, serviceName } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";

/** How long a probe's pod may take to be ready. Milliseconds. */
const START = 90_000;
/** Not the proxies' own user (1337), whose traffic the sidecar leaves alone. */
const UID = 1000;

/** By which control plane a probe is injected. */
export interface Injection {
  readonly revision: string;
  /** That control plane's Deployment, where it is at hand: it may go by a mesh configuration beside its own. */
  readonly istiod?: Deployment | undefined;
  /** The control planes' namespace, as it is in the cluster. */
  readonly namespace: KubernetesObject | undefined;
}

/** By a control plane of this revision. Reads its namespace. */
export async function injectionFor({ namespace }: MeshSpec, { cluster }: Member, revision: string): Promise<Injection> {
  return { revision, namespace: await cluster.get({ apiVersion: "v1", kind: "Namespace", name: namespace }) };
}

/** A probe that is being started. */
export interface StartingProbe {
  /** Settled once nothing more will be created. */
  readonly created: Promise<unknown>;
  /** Whether it runs, or why not. */
  readonly ready: Promise<Finding>;
  /** By its name, each of the user's Services that it is to call, and by which port, or why it cannot. */
  readonly calls: Promise<ReadonlyMap<string, Part<ServiceCall>>>;
}

/**
 * Starts a cluster's probe. Its objects are no changes: they are gone afterwards.
 * @param injecting what it is injected by, once that is known
 * @param labelling the labels of its namespace, or none where there are none with which all control planes look at it
 * @param patience how long a webhook is waited for that cannot be called: none answers in the moment after its rollout
 */
export function startProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  member: Member,
  injecting: Promise<Injection>,
  labelling: Promise<Readonly<Record<string, string>> | undefined>,
  patience: Patience,
): StartingProbe {
  const calls = callsOf(probe, member.cluster);
  const asked = Promise.all([injecting, labelling]);
  const created = asked.then(([injection, labels]) =>
    createProbe(mesh, probe, member, injection, labels, calls, patience),
  );
  const ready = asked.then(
    () =>
      created
        .then((made) => ("verdict" in made ? made : untilReady(probe, member, made)))
        .catch((error: unknown) => notStarted(mesh, error)),
    // What a probe has to be like was not told: nothing was tried.
    (error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      return unknown(error.message, error.hint ?? "");
    },
  );
  created.catch(() => {});
  calls.catch(() => {});
  return { created, ready, calls };
}

interface Made {
  readonly image: string;
  readonly revision: string;
  /** Secrets that the image is pulled by, which could not be given to the probe, and why. */
  readonly withoutSecrets: readonly string[];
  /** Its certificate is to come from SPIRE. */
  readonly bySpire: boolean;
}

async function createProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  { spec, cluster }: Member,
  { revision, namespace: systemNamespace }: Injection,
  labels: Readonly<Record<string, string>> | undefined,
  calls: StartingProbe["calls"],
  patience: Patience,
): Promise<Made | Finding> {
  if (!labels) {
    return unknown(
      `No probe can be started that all control planes look at: no labels of a namespace of its own fit their discoverySelectors and its revision ${revision}.`,
      `Let the mesh configuration select what is labelled ${PROBE_NAMESPACES}, too: kubectl -n ${mesh.namespace} get configmaps -o yaml | grep -A8 discoverySelectors`,
    );
  }
  const made = <T extends KubernetesObject>(object: T) => create<T>(cluster, object, patience);
  // Where that cannot be read, injection is as it is.
  const marking = part(readSpire(cluster, mesh.namespace, revision)).then(readable);
  await made(proven(ownerOf(mesh, await cluster.uid()), probeNamespace(mesh, probe, labels)));
  // OpenShift chooses the user, from a range that it notes on every namespace.
  const uid = systemNamespace?.metadata.annotations?.["openshift.io/sa.scc.uid-range"] ? undefined : UID;
  // It is not needed for that: where it may not be made, or is not known, what Envoy says in words has to do.
  const telling = part(made(probeFilter(mesh, probe)));
  const configured = Promise.all([calls, ...probeServices(mesh, probe).map(made)]).then(([those, ...services]) => {
    const called = [...those.values()].flatMap((call) => readable(call) ?? []);
    const ipv6 = services.some(isIpv6);
    return made(probeConfig(mesh, probe, spec.name, called, ipv6)).then(() => ipv6);
  });
  const [injected, mark, ipv6] = await Promise.all([
    // The pod's account has to be there, even to be tried.
    Promise.all([marking, ...probeObjects(mesh, probe, spec.name).map(made)]).then(([mark]) =>
      cluster.dryRun<KubernetesObject & Pod>(
        probePod(mesh, probe, spec.name, undefined, uid, false, false, mark),
        patience,
      ),
    ),
    marking,
    configured,
    telling,
  ]);
  const image = proxyImage(injected);
  if (!image) {
    return failed(
      `Injection is off: a pod in a namespace labelled istio.io/rev=${revision} gets no sidecar.`,
      "Look at the webhook, and at the values sidecarInjectorWebhook and global.proxy.autoInject: kubectl get mutatingwebhookconfigurations",
      readingOf(probe, revision, image),
    );
  }
  const names = injected.spec?.imagePullSecrets?.map(({ name }) => name) ?? [];
  const withoutSecrets = await Promise.all(names.map((name) => copySecret(cluster, mesh.namespace, probe, name)));
  await made(probePod(mesh, probe, spec.name, image, uid, waitsForItself(injected), ipv6, mark));
  return {
    image,
    revision,
    withoutSecrets: withoutSecrets.flatMap((why) => why ?? []),
    bySpire: isBySpire(injected),
  };
}

/** The ports by which a cluster's probe calls the user's Services: by what these are there. */
async function callsOf({ services }: ProbeSpec, cluster: Cluster): Promise<ReadonlyMap<string, Part<ServiceCall>>> {
  const called = services.flatMap(({ request, ...service }) =>
    request === undefined ? [] : [{ ...service, request }],
  );
  const calls = called.map(async (service) => {
    const { namespace, name } = service;
    const ref = { apiVersion: "v1", kind: "Service", namespace, fieldSelector: `metadata.name=${name}` };
    const reading = cluster.list(ref).then(([found]) => ({ service, port: portToCall(service, cluster.name, found) }));
    return [serviceName(service), await part(reading)] as const;
  });
  return new Map(await Promise.all(calls));
}

/** Whether a proxy's container does not start until the proxy is well (holdApplicationUntilProxyStarts). */
function waitsForItself({ spec }: Pod): boolean {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return containers.some(({ lifecycle }) => lifecycle?.postStart !== undefined);
}

const isIpv6 = (service: KubernetesObject) =>
  (service as { spec?: { ipFamilies?: string[] } }).spec?.ipFamilies?.[0] === "IPv6";

/** Gives the probe's namespace a Secret of the control planes', by which images are pulled. @returns why it could not */
async function copySecret(
  cluster: Cluster,
  from: string,
  { namespace }: ProbeSpec,
  name: string,
): Promise<string | undefined> {
  const ref = { apiVersion: "v1", kind: "Secret", name };
  try {
    const found = await cluster.get<Secret & { type?: string }>({ ...ref, namespace: from });
    if (!found) return `Secret ${name} is not in ${from}`;
    const { type, data } = found;
    await create(cluster, { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, type, data } as Secret);
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

const readingOf = ({ namespace }: ProbeSpec, revision: string, image: string | undefined) => ({
  source: `Pod ${namespace}/${PROBE_POD}`,
  values: { revision, image },
});

async function untilReady(
  probe: ProbeSpec,
  { cluster }: Member,
  { image, revision, withoutSecrets, bySpire }: Made,
): Promise<Finding> {
  const { namespace } = probe;
  const pods = { apiVersion: "v1", kind: "Pod", namespace, fieldSelector: `metadata.name=${PROBE_POD}` };
  const start = performance.now();
  const stuck = await cluster.waitFor(`the probe's pod ${namespace}/${PROBE_POD} to be ready`, { pods }, (found) => {
    const pod = found.pods[0] as unknown as Pod | undefined;
    // It was there: somebody has removed it, or it goes with the run.
    if (!pod) throw new Failure("The probe's pod is gone.");
    const trouble = podTrouble(pod);
    if (!trouble) return { done: undefined };
    const late = performance.now() - start > START;
    return late || (withoutSecrets.length > 0 && cannotPull(pod)) ? { done: { pod, trouble } } : { seen: trouble };
  });
  const reading = readingOf(probe, revision, image);
  if (stuck) {
    const { pod, trouble } = stuck;
    if (withoutSecrets.length > 0 && cannotPull(pod))
      return unknown(
        `The probe's image cannot be pulled, for its namespace lacks what it is pulled by: ${withoutSecrets.join("; ")}. ${trouble}`,
        "The kubeconfig's user needs `create` on secrets, to give it to the probe, or the nodes their own login to the registry.",
        reading,
      );
    if (isUnscheduled(pod))
      return unknown(
        `No node takes the probe, which says nothing of the mesh: ${trouble}.`,
        "It asks for little, and tolerates no taints: it needs a node with room that takes any pod.",
        reading,
      );
    if (bySpire)
      return unknown(
        `The probe is to have its certificate from SPIRE, as the workloads here do, and is not ready after ${START / 1000} s, as one is not for which SPIRE has no entry; that says nothing of the mesh. ${trouble}.`,
        `Have SPIRE issue to pods in namespaces labelled ${PROBE_NAMESPACES} (ClusterSPIFFEID), or set by the input \`probe\` the labels that its entries go by.`,
        reading,
      );
    const walls = readable(await part(readNetworkPolicies(cluster, namespace))) ?? [];
    if (walls.length > 0)
      return unknown(
        `The probe is not ready after ${START / 1000} s, and its namespace was given NetworkPolicies by a rule of the cluster's own (${listed(walls)}): that may be for their sake, and says nothing of the mesh. ${trouble}.`,
        `Have whoever owns that rule leave out namespaces labelled ${PROBE_NAMESPACES}, or set by the input \`probe\` what it goes by.`,
        reading,
      );
    throw new Failure(`The probe is not ready after ${START / 1000} s: ${trouble}.`);
  }
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return passed(
    `The probe runs with ${image}, injected by revision ${revision}; it was ready after ${seconds} s.`,
    reading,
  );
}

/** What went wrong with a probe's start, as a finding. */
function notStarted(mesh: MeshSpec, error: unknown): Finding {
  if (!(error instanceof Failure)) throw error;
  if (error instanceof ApiError) {
    // What a policy of the platform's refuses says nothing of the mesh, nor does what may not be done.
    const policy = refuserIn(error.message);
    if (policy) {
      return unknown(
        `No probe was started, for the cluster's own rules refuse it: ${error.message}`,
        `Set what ${policy} asks for by the input \`probe\` (labels, annotations), or have whoever owns it let namespaces labelled ${PROBE_NAMESPACES} pass.`,
      );
    }
    if (error.status === 403 || error.status === 401) return unknown(error.message, error.hint ?? "");
  }
  const injection = error instanceof ApiError && error.webhook?.name.endsWith("sidecar-injector.istio.io");
  return failed(
    error.message,
    injection
      ? `istiod injects the sidecars: is it ready? kubectl -n ${mesh.namespace} get pods -l app=istiod`
      : (error.hint ?? `kubectl -n ${mesh.namespace} get events`),
  );
}

/**
 * Removes a probe: its pod goes at once, and its namespace is asked to. Nobody waits for that, for Kubernetes leaves a
 * namespace alone for five seconds before it empties it.
 * @param uid only that very namespace; only one that this action made in any case
 */
export async function removeProbe(cluster: Cluster, namespace: string, uid?: string): Promise<void> {
  const ref = { apiVersion: "v1", kind: "Namespace", name: namespace };
  const pods = { apiVersion: "v1", kind: "Pod", namespace, fieldSelector: `metadata.name=${PROBE_POD}` };
  const [own, found, running] = await Promise.all([cluster.uid(), cluster.get(ref), cluster.list(pods)]);
  if (!found || !isProven(own, found) || (uid && uid !== found.metadata.uid)) return;
  await Promise.all([found, ...running].map((each) => cluster.delete(refOf(each), each.metadata.uid ?? "")));
}

/** Creates what is this run's alone: if it is there already, an earlier try of the same request came through. */
async function create<T extends KubernetesObject>(cluster: Cluster, object: T, patience?: Patience): Promise<T> {
  try {
    return await cluster.create<T>(object, patience);
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return object;
    throw error;
  }
}
