import pLimit from "p-limit";
import { type Attempt, type Call, isAnswer, type Refusal } from "../checks/attempt.ts";
import type { Cluster, ProxyAnswer } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { answerIn } from "../facts/agent.ts";
import { type Upstream, upstreamsIn } from "../facts/upstreams.ts";
import { Failure } from "../mesh/failure.ts";
import {
  CALLER_PORT,
  CLIENT_HEADER,
  callPath,
  clustersPath,
  connectPath,
  endpointsPath,
  INSIDE_PORT,
  type ProbeSpec,
  probeName,
  probeRef,
} from "../mesh/objects/probe.ts";
import { REFUSAL, type Teller } from "../mesh/objects/probe-filter.ts";
import type { TrafficPair } from "../mesh/spec.ts";

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
  return Math.max(usual, Math.min(MOST_CONNECTIONS, callsForAll(ways)));
}

/** How many connections meet each of several ways most likely, where they are spread evenly. */
export function callsForAll(ways: number): number {
  return ways > 1 ? Math.ceil(Math.log(MISSED / ways) / Math.log(1 - 1 / ways)) : 1;
}

/**
 * Sends requests from one probe to another, until one is answered or the patience (milliseconds) is used up; then some more,
 * each on a connection of its own, which no proxy keeps or tries again.
 * @param calls how many are sent in all, where the first good one is the first
 * @param endpoints of the source's sidecar
 */
export async function tryPair(
  probe: ProbeSpec,
  pair: TrafficPair,
  source: Member,
  context: Pick<Attempt, "trustDomain" | "gateway" | "oneNetwork" | "istioNamespace">,
  patience: number,
  calls: number,
  endpoints: EndpointsNow,
): Promise<Attempt> {
  const { namespace } = probe;
  const answered = (call: Call) => isAnswer({ pair, namespace, trustDomain: context.trustDomain }, call);
  const what = `${pair.target} to answer ${pair.source}`;
  const { first, tries, seconds } = await untilAnswered(
    probe,
    source,
    what,
    callPath(probe, pair.target),
    patience,
    answered,
  );
  const limit = pLimit(AT_ONCE);
  const [more, known] = await Promise.all([
    Promise.all(
      Array.from({ length: answered(first) ? calls - 1 : 0 }, () =>
        limit(() => ask(probe, source, connectPath(probe, pair.target))),
      ),
    ),
    endpoints(),
  ]);
  const of =
    typeof known === "string" ? { endpoints: known } : (known.get(probeName(pair.target)) ?? { endpoints: [] });
  return { pair, namespace, ...context, first, tries, seconds, more, ...of };
}

/** Sends a probe's requests until one is answered as it should be, or the patience (milliseconds) is used up: the last one. */
export async function untilAnswered(
  probe: ProbeSpec,
  source: Member,
  what: string,
  path: string,
  patience: number,
  isGood: (call: Call) => boolean,
): Promise<Pick<Attempt, "first" | "tries" | "seconds">> {
  const start = performance.now();
  let tries = 0;
  let first: Call;
  try {
    first = await source.cluster.poll(what, async () => {
      tries++;
      const call = await ask(probe, source, path);
      const late = performance.now() - start > patience;
      return isGood(call) || late ? { done: call } : { seen: `HTTP ${call.status ?? "–"}: ${call.body.slice(0, 200)}` };
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    first = { status: undefined, body: error.message };
  }
  return { first, tries, seconds: Math.round((performance.now() - start) / 100) / 10 };
}

/** One request of a probe. */
export async function ask({ namespace }: ProbeSpec, { cluster }: Member, path: string): Promise<Call> {
  return toCall(await askProbe(cluster, namespace, path));
}

/** How the connections of a source's probe to a target's have gone, by address; `undefined` where that was not told. */
export async function connectionsOf(probe: ProbeSpec, source: Member, target: string): Promise<Upstream[] | undefined> {
  const { status, body } = await ask(probe, source, clustersPath(probe));
  const host = `||${probeName(target)}.${probe.namespace}.`;
  return status === 200 ? (upstreamsIn(body, (name) => name.includes(host)) ?? []) : undefined;
}

/**
 * Envoy says who it is; what the API server answers in its place says nothing of the mesh, not even where an Envoy stands
 * before that.
 */
const isEnvoys = ({ headers, body }: ProxyAnswer) =>
  headers.server === "envoy" && !/^\s*\{\s*"kind"\s*:\s*"Status"/.test(body);

/** What a probe answered; without a status, why it could not be asked. */
type Answer = Omit<ProxyAnswer, "status"> & { readonly status: number | undefined };

/** Where the API server does not reach pods, but their kubelets: by cluster, once that was seen. */
const FROM_WITHIN = new WeakSet<Cluster>();

/**
 * Asks a probe through the API server, or, where that does not reach pods, from within it: that takes `get` and `create` on
 * pods/exec there.
 */
async function askProbe(cluster: Cluster, namespace: string, path: string): Promise<Answer> {
  if (FROM_WITHIN.has(cluster)) return askWithin(cluster, namespace, path);
  const answer = await askThrough(cluster, namespace, path);
  if (answer.status !== undefined) return answer;
  const within = await askWithin(cluster, namespace, path);
  if (within.status === undefined) return answer;
  FROM_WITHIN.add(cluster);
  return within;
}

async function askThrough(cluster: Cluster, namespace: string, path: string): Promise<Answer> {
  try {
    const answer = await cluster.proxy(probeRef(namespace), CALLER_PORT, path, isEnvoys);
    return isEnvoys(answer) ? answer : { ...answer, status: undefined, body: messageOf(answer.body) };
  } catch (error) {
    if (error instanceof Failure) return { status: undefined, headers: {}, body: error.message };
    throw error;
  }
}

/** By the proxy's own agent, which prints an answer's body, and of one that is no success the status and the body. */
async function askWithin(cluster: Cluster, namespace: string, path: string): Promise<Answer> {
  const command = ["pilot-agent", "request", "--debug-port", String(INSIDE_PORT), "GET", path];
  try {
    const { exitCode, stdout, stderr } = await cluster.exec(probeRef(namespace), "istio-proxy", command);
    if (exitCode === 0) return { status: 200, headers: {}, body: answerIn(stdout) };
    const [, status, body = ""] = /received unsuccessful status code (\d+): (.*)/s.exec(stderr) ?? [];
    return status ? { status: Number(status), headers: {}, body } : { status: undefined, headers: {}, body: stderr };
  } catch (error) {
    if (error instanceof Failure) return { status: undefined, headers: {}, body: error.message };
    throw error;
  }
}

function toCall({ status, headers, body }: Answer): Call {
  const time = Number(headers["x-envoy-upstream-service-time"]);
  const client = headers[CLIENT_HEADER];
  const refusal = refusalIn(headers);
  return {
    status,
    body,
    ...(Number.isFinite(time) ? { milliseconds: time } : {}),
    ...(client ? { client } : {}),
    ...(refusal ? { refusal } : {}),
  };
}

/** What the first Envoy on the way says that refused the request; those before it only hand that on. */
function refusalIn(headers: Answer["headers"]): Refusal | undefined {
  // A hyphen stands for nothing.
  const told = (name: string) => (headers[name] ?? "").replace(/^-$/, "");
  const by = TELLERS.find((each) => each === headers[REFUSAL.by]);
  if (!by) return undefined;
  return {
    by,
    flags: told(REFUSAL.flags).split(",").filter(Boolean),
    details: told(REFUSAL.details),
    reason: told(REFUSAL.reason),
    upstream: told(REFUSAL.upstream),
  };
}

const TELLERS: readonly Teller[] = ["probe", "sidecar", "target"];

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

/** What a sidecar has for the probe of a cluster, and by which host name it knows that. */
type Known = Pick<Attempt, "endpoints" | "host">;

/** By the probes' names, what a sidecar has now for each; in words where that could not be had. */
export type EndpointsNow = () => Promise<ReadonlyMap<string, Known> | string>;

/**
 * What a source's sidecar has for the probes. Those that ask while an answer is under way share the next one, which none of
 * them has asked for too late: in a large mesh many do.
 */
export function endpointsOf(probe: ProbeSpec, { cluster }: Member): EndpointsNow {
  let before: Promise<unknown> = Promise.resolve();
  let next: ReturnType<EndpointsNow> | undefined;
  return () => {
    next ??= before.then(() => {
      next = undefined;
      const reading = readEndpoints(cluster, probe);
      before = reading.catch(() => {});
      return reading;
    });
    return next;
  };
}

async function readEndpoints(cluster: Cluster, probe: ProbeSpec): ReturnType<EndpointsNow> {
  const { status, body } = await askProbe(cluster, probe.namespace, endpointsPath(probe));
  if (status !== 200) return status ? `its sidecar answered HTTP ${status}` : body;
  try {
    const { configs = [] } = JSON.parse(body) as ConfigDump;
    const found = configs.flatMap(({ endpoint_config }) => endpoint_config ?? []);
    const hostOf = ({ cluster_name = "" }: (typeof found)[number]) => cluster_name.split("|").at(-1) ?? "";
    return new Map(
      [...Map.groupBy(found, (each) => hostOf(each).split(".")[0] ?? "")].map(([name, same]): [string, Known] => {
        const host = same[0] && hostOf(same[0]);
        const endpoints = same
          .flatMap(({ endpoints = [] }) => endpoints)
          .flatMap(({ lb_endpoints = [] }) => lb_endpoints)
          .flatMap(({ endpoint }) => endpoint?.address?.socket_address ?? [])
          .map(({ address, port_value }) => ({ address, port: port_value }));
        return [name, { endpoints, ...(host ? { host } : {}) }];
      }),
    );
  } catch {
    return "its sidecar's answer cannot be read";
  }
}
