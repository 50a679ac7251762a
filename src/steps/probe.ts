import pLimit from "p-limit";
import { type Attempt, type Call, isAnswer } from "../checks/attempt.ts";
import { failed, passed, unknown } from "../checks/finding.ts";
import { cannotPull, podTrouble, proxyImage, refuserIn } from "../checks/pods.ts";
import type { Cluster, ProxyAnswer } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import type { Patience } from "../cluster/retry.ts";
import { type Connections, connectionsIn } from "../facts/gateway-view.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject, ObjectRef } from "../mesh/objects/object.ts";
import {
  CALLER_PORT,
  CLIENT_HEADER,
  callPath,
  clustersPath,
  connectPath,
  endpointsPath,
  PROBE_NAMESPACES,
  PROBE_POD,
  type ProbeSpec,
  probeConfig,
  probeName,
  probeNamespace,
  probeObjects,
  probePod,
  probeServices,
} from "../mesh/objects/probe.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Finding } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec, TrafficPair } from "../mesh/spec.ts";

/** How long a probe's pod may take to be ready. Milliseconds. */
const START = 90_000;
/** Not the proxies' own user (1337), whose traffic the sidecar leaves alone. */
const UID = 1000;

/** By which control plane a probe is injected. */
export interface Injection {
  readonly revision: string;
  /** The control planes' namespace, as it is in the cluster. */
  readonly namespace: KubernetesObject | undefined;
}

/** A probe that is being started. */
export interface StartingProbe {
  /** Settled once nothing more will be created. */
  readonly created: Promise<unknown>;
  /** Whether it runs, or why not. */
  readonly ready: Promise<Finding>;
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
  const created = Promise.all([injecting, labelling]).then(([injection, labels]) =>
    createProbe(mesh, probe, member, injection, labels, patience),
  );
  const ready = created
    .then((made) => ("verdict" in made ? made : untilReady(probe, member, made)))
    .catch((error: unknown) => notStarted(mesh, error));
  created.catch(() => {});
  return { created, ready };
}

interface Made {
  readonly image: string;
  readonly revision: string;
  /** Secrets that the image is pulled by, which could not be given to the probe, and why. */
  readonly withoutSecrets: readonly string[];
}

async function createProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  { spec, cluster }: Member,
  { revision, namespace: systemNamespace }: Injection,
  labels: Readonly<Record<string, string>> | undefined,
  patience: Patience,
): Promise<Made | Finding> {
  if (!labels) {
    return unknown(
      `No probe can be started that all control planes look at: no labels of a namespace of its own fit their discoverySelectors and its revision ${revision}.`,
      `Let the mesh configuration select what is labelled ${PROBE_NAMESPACES}, too: kubectl -n ${mesh.namespace} get configmaps -o yaml | grep -A8 discoverySelectors`,
    );
  }
  const made = <T extends KubernetesObject>(object: T) => create<T>(cluster, object, patience);
  await made(probeNamespace(mesh, probe, labels));
  // OpenShift chooses the user, from a range that it notes on every namespace.
  const uid = systemNamespace?.metadata.annotations?.["openshift.io/sa.scc.uid-range"] ? undefined : UID;
  const configured = Promise.all(probeServices(mesh, probe).map(made)).then((services) =>
    made(probeConfig(mesh, probe, spec.name, services.some(isIpv6))),
  );
  const [injected] = await Promise.all([
    // The pod's account has to be there, even to be tried.
    Promise.all(probeObjects(mesh, probe, spec.name).map(made)).then(() =>
      cluster.dryRun<KubernetesObject & Pod>(probePod(mesh, probe, spec.name, undefined, uid), patience),
    ),
    configured,
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
  await made(probePod(mesh, probe, spec.name, image, uid));
  return { image, revision, withoutSecrets: withoutSecrets.flatMap((why) => why ?? []) };
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
  { image, revision, withoutSecrets }: Made,
): Promise<Finding> {
  const { namespace } = probe;
  const pods = { apiVersion: "v1", kind: "Pod", namespace, fieldSelector: `metadata.name=${PROBE_POD}` };
  const start = performance.now();
  const unpulled = await cluster.waitFor(`the probe's pod ${namespace}/${PROBE_POD} to be ready`, { pods }, (found) => {
    const pod = found.pods[0] as unknown as Pod | undefined;
    // It was there: somebody has removed it, or it goes with the run.
    if (!pod) throw new Failure("The probe's pod is gone.");
    const trouble = podTrouble(pod);
    if (!trouble) return { done: undefined };
    if (withoutSecrets.length > 0 && cannotPull(pod)) return { done: trouble };
    if (performance.now() - start > START)
      throw new Failure(`The probe is not ready after ${START / 1000} s: ${trouble}.`);
    return { seen: trouble };
  });
  if (unpulled) {
    return unknown(
      `The probe's image cannot be pulled, for its namespace lacks what it is pulled by: ${withoutSecrets.join("; ")}. ${unpulled}`,
      "The kubeconfig's user needs `create` on secrets, to give it to the probe, or the nodes their own login to the registry.",
      readingOf(probe, revision, image),
    );
  }
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return passed(
    `The probe runs with ${image}, injected by revision ${revision}; it was ready after ${seconds} s.`,
    readingOf(probe, revision, image),
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

/** How likely it may be that one of a gateway's pods, or of its addresses, is met by no connection. */
const MISSED = 0.01;
const MOST_CONNECTIONS = 40;
/** How many are under way at once: through a gateway that is frozen each takes its whole time. */
const AT_ONCE = 8;

/**
 * Requests of one pair: ten, but in a large mesh no more than about a hundred from each cluster, and never less than three;
 * and so many that each of several ways is most likely met.
 * @param ways how many pods, or addresses, the target's gateway has
 */
export function callsPerPair(clusters: number, ways = 1): number {
  const usual = Math.max(3, Math.min(10, Math.floor(100 / (clusters - 1))));
  const enough = ways > 1 ? Math.ceil(Math.log(MISSED / ways) / Math.log(1 - 1 / ways)) : 1;
  return Math.max(usual, Math.min(MOST_CONNECTIONS, enough));
}

/**
 * Sends requests from one probe to another, until one is answered or the patience (milliseconds) is used up; then some more,
 * each on a connection of its own, which no proxy keeps or tries again.
 * @param calls how many are sent in all, where the first good one is the first
 */
export async function tryPair(
  probe: ProbeSpec,
  pair: TrafficPair,
  source: Member,
  context: Pick<Attempt, "trustDomain" | "gateway" | "istioNamespace">,
  patience: number,
  calls: number,
): Promise<Attempt> {
  const { cluster } = source;
  const { namespace } = probe;
  const answered = (call: Call) => isAnswer({ pair, namespace, trustDomain: context.trustDomain }, call);
  const start = performance.now();
  let tries = 0;
  let first: Call | undefined;
  const what = `${pair.target} to answer ${pair.source}`;
  try {
    first = await cluster.poll(what, async () => {
      tries++;
      const call = await ask(cluster, namespace, callPath(probe, pair.target));
      const late = performance.now() - start > patience;
      return answered(call) || late
        ? { done: call }
        : { seen: `HTTP ${call.status ?? "–"}: ${call.body.slice(0, 200)}` };
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    first = { status: undefined, body: error.message };
  }
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  const limit = pLimit(AT_ONCE);
  const [more, endpoints] = await Promise.all([
    Promise.all(
      Array.from({ length: answered(first) ? calls - 1 : 0 }, () =>
        limit(() => ask(cluster, namespace, connectPath(probe, pair.target))),
      ),
    ),
    endpointsOf(cluster, probe, pair.target),
  ]);
  return { pair, namespace, ...context, first, tries, seconds, more, ...endpoints };
}

/** How the connections of a source's probe to a target's have gone, by address; `undefined` where that was not told. */
export async function connectionsOf(
  probe: ProbeSpec,
  { cluster }: Member,
  target: string,
): Promise<Connections[] | undefined> {
  try {
    const { status, body } = await cluster.proxy(podOf(probe.namespace), CALLER_PORT, clustersPath(probe), isEnvoys);
    const host = `||${probeName(target)}.${probe.namespace}.`;
    return status === 200 ? connectionsIn(body, (name) => name.includes(host)) : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** Envoy says who it is; what the API server answers in its place says nothing of the mesh. */
const isEnvoys = ({ headers }: ProxyAnswer) => headers.server === "envoy";
const podOf = (namespace: string): ObjectRef => ({ apiVersion: "v1", kind: "Pod", namespace, name: PROBE_POD });

async function ask(cluster: Cluster, namespace: string, path: string): Promise<Call> {
  try {
    const answer = await cluster.proxy(podOf(namespace), CALLER_PORT, path, isEnvoys);
    const { status, headers, body } = answer;
    if (!isEnvoys(answer)) return { status: undefined, body: messageOf(body) };
    const time = Number(headers["x-envoy-upstream-service-time"]);
    const client = headers[CLIENT_HEADER];
    return { status, body, ...(Number.isFinite(time) ? { milliseconds: time } : {}), ...(client ? { client } : {}) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { status: undefined, body: error.message };
  }
}

/** The message of a Kubernetes status, or the text as it is. */
function messageOf(body: string): string {
  try {
    return (JSON.parse(body) as { message?: string }).message ?? body;
  } catch {
    return body;
  }
}

interface ConfigDump {
  configs?: {
    endpoint_config?: {
      cluster_name?: string;
      endpoints?: {
        lb_endpoints?: { endpoint?: { address?: { socket_address?: { address: string; port_value: number } } } }[];
      }[];
    };
  }[];
}

/** What the source's sidecar has for the target's probe, and by which host name it knows that. */
async function endpointsOf(
  cluster: Cluster,
  probe: ProbeSpec,
  target: string,
): Promise<Pick<Attempt, "endpoints" | "host">> {
  const path = endpointsPath(probe, target);
  try {
    const { status, body } = await cluster.proxy(podOf(probe.namespace), CALLER_PORT, path, isEnvoys);
    if (status !== 200) return { endpoints: `its sidecar answered HTTP ${status}` };
    const { configs = [] } = JSON.parse(body) as ConfigDump;
    const found = configs.flatMap(({ endpoint_config }) => endpoint_config ?? []);
    const host = found[0]?.cluster_name?.split("|").at(-1);
    const endpoints = found
      .flatMap(({ endpoints = [] }) => endpoints)
      .flatMap(({ lb_endpoints = [] }) => lb_endpoints)
      .flatMap(({ endpoint }) => endpoint?.address?.socket_address ?? [])
      .map(({ address, port_value }) => ({ address, port: port_value }));
    return { endpoints, ...(host ? { host } : {}) };
  } catch (error) {
    return { endpoints: error instanceof Failure ? error.message : "its sidecar's answer cannot be read" };
  }
}

/**
 * Removes a probe: its pod goes at once, and its namespace is asked to. Nobody waits for that, for Kubernetes leaves a
 * namespace alone for five seconds before it empties it.
 * @param uid only that very namespace
 */
export async function removeProbe(cluster: Cluster, namespace: string, uid?: string): Promise<void> {
  const ref = { apiVersion: "v1", kind: "Namespace", name: namespace };
  await Promise.all([cluster.delete(podOf(namespace)), cluster.delete(ref, uid)]);
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
