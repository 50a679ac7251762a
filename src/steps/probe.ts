import { failed, passed, unknown } from "../checks/finding.ts";
import type { Observation } from "../checks/observation.ts";
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
/** How long a removed namespace is waited for. Milliseconds. */
const REMOVAL = 30_000;
/** Not the proxies' own user (1337), whose traffic the sidecar leaves alone. */
const UID = 1000;

/**
 * Starts a cluster's probe, and finds whether it runs. Its objects are no changes: they are gone afterwards.
 * @param patience how long a webhook is waited for that cannot be called: none answers in the moment after its rollout
 */
async function startProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  { spec, cluster }: Member,
  seen: Observation,
  patience: Patience,
): Promise<Finding> {
  const { namespace } = probe;
  const revision = seen.revision();
  await create(cluster, probeNamespace(mesh, probe, revision), patience);
  await Promise.all(probeObjects(mesh, probe, spec.name).map((object) => create(cluster, object, patience)));
  // OpenShift chooses the user, from a range that it notes on every namespace.
  const uid = seen.namespace()?.metadata.annotations?.["openshift.io/sa.scc.uid-range"] ? undefined : UID;
  const injected = await cluster.dryRun(probePod(mesh, probe, spec.name, undefined, uid), patience);
  const image = proxyImage(injected as unknown as Pod);
  const reading = { source: `Pod ${namespace}/${PROBE_POD}`, values: { revision, image } };
  if (!image) {
    return failed(
      `Injection is off: a pod in a namespace labelled istio.io/rev=${revision} gets no sidecar.`,
      "Look at the webhook, and at the values sidecarInjectorWebhook and global.proxy.autoInject: kubectl get mutatingwebhookconfigurations",
      reading,
    );
  }
  await create(cluster, probePod(mesh, probe, spec.name, image, uid), patience);
  const pods = { apiVersion: "v1", kind: "Pod", namespace, fieldSelector: `metadata.name=${PROBE_POD}` };
  const start = performance.now();
  await cluster.waitFor(`the probe's pod ${namespace}/${PROBE_POD} to be ready`, { pods }, (found) => {
    const pod = found.pods[0] as unknown as Pod | undefined;
    const trouble = pod ? podTrouble(pod) : "there is no such pod any more";
    if (!trouble) return { done: undefined };
    if (performance.now() - start > START)
      throw new Failure(`The probe is not ready after ${START / 1000} s: ${trouble}.`);
    return { seen: trouble };
  });
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  return passed(
    `The probe runs with ${image}, injected by revision ${revision}; it was ready after ${seconds} s.`,
    reading,
  );
}

/** As `startProbe`, with what went wrong as a finding. */
export async function tryProbe(
  mesh: MeshSpec,
  probe: ProbeSpec,
  member: Member,
  seen: Observation,
  patience: Patience,
): Promise<Finding> {
  if (!seen.answered) return unknown(`No probe was started: ${member.spec.name} did not answer.`, "");
  try {
    return await startProbe(mesh, probe, member, seen, patience);
  } catch (error) {
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
 * Removes a probe. Kubernetes leaves a namespace alone for five seconds before it empties it; by then the pod, which is
 * asked to go at the same time, is gone, and need not be waited for once more.
 * @param patient whether to wait until all is gone
 */
export async function removeProbe(cluster: Cluster, namespace: string, patient: boolean): Promise<void> {
  const ref = { apiVersion: "v1", kind: "Namespace", name: namespace };
  const [there] = await Promise.all([cluster.delete(ref), cluster.delete(podOf(namespace))]);
  if (!there || !patient) return;
  const start = performance.now();
  const namespaces = { apiVersion: "v1", kind: "Namespace", fieldSelector: `metadata.name=${namespace}` };
  await cluster.waitFor(`the probe's namespace ${namespace} to go`, { namespaces }, (found) => {
    if (found.namespaces.length === 0) return { done: undefined };
    if (performance.now() - start > REMOVAL) throw new Failure(`It is still terminating after ${REMOVAL / 1000} s.`);
    return { seen: "it is terminating" };
  });
}

/** Creates what is this run's alone: if it is there already, an earlier try of the same request came through. */
async function create(cluster: Cluster, object: KubernetesObject, patience: Patience): Promise<void> {
  try {
    await cluster.create(object, patience);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
  }
}
