import { failed, passed, unknown } from "../checks/finding.ts";
import { podTrouble, proxyImage } from "../checks/pods.ts";
import { type Attempt, type Call, type Endpoint, isAnswer } from "../checks/traffic.ts";
import type { Cluster, ProxyAnswer } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import type { Patience } from "../cluster/retry.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject, ObjectRef } from "../mesh/objects/object.ts";
import {
  CALLER_PORT,
  CLIENT_HEADER,
  callPath,
  endpointsPath,
  PROBE_POD,
  type ProbeSpec,
  probeNamespace,
  probeObjects,
  probePod,
} from "../mesh/objects/probe.ts";
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
 * @param patience how long a webhook is waited for that cannot be called: none answers in the moment after its rollout
 */
export function startProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  member: Member,
  injecting: Promise<Injection>,
  patience: Patience,
): StartingProbe {
  const created = injecting.then((injection) => createProbe(mesh, probe, member, injection, patience));
  const ready = created
    .then((made) => ("verdict" in made ? made : untilReady(probe, member, made)))
    .catch((error: unknown) => notStarted(mesh, error));
  created.catch(() => {});
  return { created, ready };
}

interface Made {
  readonly image: string;
  readonly revision: string;
}

async function createProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  { spec, cluster }: Member,
  { revision, namespace: systemNamespace }: Injection,
  patience: Patience,
): Promise<Made | Finding> {
  await create(cluster, probeNamespace(mesh, probe, revision), patience);
  await Promise.all(probeObjects(mesh, probe, spec.name).map((object) => create(cluster, object, patience)));
  // OpenShift chooses the user, from a range that it notes on every namespace.
  const uid = systemNamespace?.metadata.annotations?.["openshift.io/sa.scc.uid-range"] ? undefined : UID;
  const injected = await cluster.dryRun(probePod(mesh, probe, spec.name, undefined, uid), patience);
  const image = proxyImage(injected as unknown as Pod);
  if (!image) {
    return failed(
      `Injection is off: a pod in a namespace labelled istio.io/rev=${revision} gets no sidecar.`,
      "Look at the webhook, and at the values sidecarInjectorWebhook and global.proxy.autoInject: kubectl get mutatingwebhookconfigurations",
      readingOf(probe, revision, image),
    );
  }
  await create(cluster, probePod(mesh, probe, spec.name, image, uid), patience);
  return { image, revision };
}

const readingOf = ({ namespace }: ProbeSpec, revision: string, image: string | undefined) => ({
  source: `Pod ${namespace}/${PROBE_POD}`,
  values: { revision, image },
});

async function untilReady(probe: ProbeSpec, { cluster }: Member, { image, revision }: Made): Promise<Finding> {
  const { namespace } = probe;
  const pods = { apiVersion: "v1", kind: "Pod", namespace, fieldSelector: `metadata.name=${PROBE_POD}` };
  const start = performance.now();
  await cluster.waitFor(`the probe's pod ${namespace}/${PROBE_POD} to be ready`, { pods }, (found) => {
    const pod = found.pods[0] as unknown as Pod | undefined;
    // It was there: somebody has removed it, or it goes with the run.
    if (!pod) throw new Failure("The probe's pod is gone.");
    const trouble = podTrouble(pod);
    if (!trouble) return { done: undefined };
    if (performance.now() - start > START)
      throw new Failure(`The probe is not ready after ${START / 1000} s: ${trouble}.`);
    return { seen: trouble };
  });
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return passed(
    `The probe runs with ${image}, injected by revision ${revision}; it was ready after ${seconds} s.`,
    readingOf(probe, revision, image),
  );
}

/** What went wrong with a probe's start, as a finding. */
function notStarted(mesh: MeshSpec, error: unknown): Finding {
  if (!(error instanceof Failure)) throw error;
  // What may not be done says nothing of the mesh.
  if (error instanceof ApiError && (error.status === 403 || error.status === 401))
    return unknown(error.message, error.hint ?? "");
  const injection = error instanceof ApiError && error.webhook?.name.endsWith("sidecar-injector.istio.io");
  return failed(
    error.message,
    injection
      ? `istiod injects the sidecars: is it ready? kubectl -n ${mesh.namespace} get pods -l app=istiod`
      : (error.hint ?? `kubectl -n ${mesh.namespace} get events`),
  );
}

/** Calls of one pair: ten, but in a large mesh no more than about a hundred from each cluster, and never less than three. */
export function callsPerPair(clusters: number): number {
  return Math.max(3, Math.min(10, Math.floor(100 / (clusters - 1))));
}

/**
 * Sends requests from one probe to another, until one is answered or the patience (milliseconds) is used up.
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
      const call = await ask(cluster, namespace, pair.target);
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
  const more: Call[] = [];
  if (answered(first)) for (let i = 1; i < calls; i++) more.push(await ask(cluster, namespace, pair.target));
  const endpoints = await endpointsOf(cluster, namespace, pair.target);
  return { pair, namespace, ...context, first, tries, seconds, more, endpoints };
}

/** Envoy says who it is; what the API server answers in its place says nothing of the mesh. */
const isEnvoys = ({ headers }: ProxyAnswer) => headers.server === "envoy";
const podOf = (namespace: string): ObjectRef => ({ apiVersion: "v1", kind: "Pod", namespace, name: PROBE_POD });

async function ask(cluster: Cluster, namespace: string, target: string): Promise<Call> {
  try {
    const answer = await cluster.proxy(podOf(namespace), CALLER_PORT, callPath(target), isEnvoys);
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
      endpoints?: {
        lb_endpoints?: { endpoint?: { address?: { socket_address?: { address: string; port_value: number } } } }[];
      }[];
    };
  }[];
}

/** What the source's sidecar has for the target's probe. */
async function endpointsOf(cluster: Cluster, namespace: string, target: string): Promise<Endpoint[] | string> {
  try {
    const { status, body } = await cluster.proxy(
      podOf(namespace),
      CALLER_PORT,
      endpointsPath(namespace, target),
      isEnvoys,
    );
    if (status !== 200) return `its sidecar answered HTTP ${status}`;
    const { configs = [] } = JSON.parse(body) as ConfigDump;
    return configs
      .flatMap(({ endpoint_config }) => endpoint_config?.endpoints ?? [])
      .flatMap(({ lb_endpoints = [] }) => lb_endpoints)
      .flatMap(({ endpoint }) => endpoint?.address?.socket_address ?? [])
      .map(({ address, port_value }) => ({ address, port: port_value }));
  } catch (error) {
    return error instanceof Failure ? error.message : "its sidecar's answer cannot be read";
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
async function create(cluster: Cluster, object: KubernetesObject, patience: Patience): Promise<void> {
  try {
    await cluster.create(object, patience);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  }
}
