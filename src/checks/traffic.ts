import { clip } from "../cluster/errors.ts";
import type { GatewayView } from "../facts/gateway-view.ts";
import { ANSWER_PORT, CLIENT_HEADER, probeName } from "../mesh/objects/probe.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import {
  type Attempt,
  asked,
  type Call,
  type Circumstances,
  identities,
  isAnswer,
  isFrom,
  isSilent,
  silence,
  told,
} from "./attempt.ts";
import { failed, passed, unknown } from "./finding.ts";
import { refusal } from "./refusal.ts";

/** What an attempt proves of a pair. */
export function judgePair(attempt: Attempt, circumstances: Circumstances = {}): Finding {
  const { pair, first, more, endpoints } = attempt;
  const { source, target } = pair;
  const through = typeof endpoints === "string" ? [] : endpoints;
  const way: Reading = {
    source: `endpoints of ${probeName(target)} in ${source}'s proxy`,
    values: {
      endpoints: typeof endpoints === "string" ? endpoints : through.map(({ address, port }) => `${address}:${port}`),
    },
  };
  const looked = readingsOf(attempt, circumstances);
  if (!isAnswer(attempt, first))
    return withReadings(refusal(attempt, circumstances), way, answerReading(first), ...looked);
  const calls = [first, ...asked(more)];
  const good = calls.filter((call) => isFrom(target, call));
  const times = good.flatMap(({ milliseconds }) => milliseconds ?? []).sort((a, b) => a - b);
  const p50 = percentile(times, 50);
  const p99 = percentile(times, 99);
  const requests: Reading = {
    source: `requests from ${source}'s probe`,
    values: { answered: good.length, of: calls.length, p50, p99, untilFirst: attempt.seconds, tries: attempt.tries },
  };
  const [seenAs] = identities(first.client);
  const identity: Reading = { source: `${target}'s sidecar, ${CLIENT_HEADER}`, values: { identity: seenAs } };
  if (good.length < calls.length) {
    const bad = calls.find((call) => !isFrom(target, call)) as Call;
    const culprits = culpritsIn(circumstances);
    return failed(
      `Only ${good.length} of ${calls.length} connections from ${source} were answered by ${target}${culprits.length > 0 ? `: ${culprits.map(({ told }) => told).join("; ")}` : ""}. One of the others: ${told(bad)}`,
      culprits[0]?.hint(target) ??
        `Look at the gateway's pods in ${target} (restarts, several replicas of which one is broken) and at the network between the clusters.`,
      way,
      requests,
      answerReading(bad),
      ...looked,
    );
  }
  const direct = through.filter(({ port }) => port === ANSWER_PORT);
  if (direct.length > 0 && !attempt.oneNetwork) {
    return failed(
      `${target} answers ${source}, but past the gateways: ${source}'s proxies use the pods' own addresses there (${direct.map(({ address }) => address).join(", ")}).`,
      "Either the clusters share a network, which the inputs then have to say, or the network labels are wrong: kubectl get service,pod -A -l topology.istio.io/network --show-labels",
      way,
      requests,
      identity,
    );
  }
  if (through.length === 0) {
    const why = typeof endpoints === "string" ? endpoints : `${source}'s proxy has no endpoint there any more`;
    return unknown(
      `${target} answers ${source}, but whether through the gateway could not be seen: ${why}.`,
      "Run it again; if it stays so, please report it.",
      requests,
      identity,
    );
  }
  const met = circumstances.addresses
    ?.filter(({ made }) => made > 0)
    .map(({ address, made }) => `${address} (${made})`);
  const gateways = met?.length ? met.join(", ") : through.map(({ address, port }) => `${address}:${port}`).join(", ");
  // A gateway hands on nothing but mTLS between proxies, whatever the target tells of it.
  const whom = seenAs ? `it saw ${seenAs}` : "as whom it was called was not seen, for its proxy does not tell that";
  const finding = passed(
    `${good.length} of ${calls.length} requests answered by ${target} ${direct.length > 0 ? "directly, in one network, at" : "through"} ${gateways}, p50 ${p50} ms, p99 ${p99} ms; ${whom}.`,
    way,
    requests,
    identity,
    ...looked,
  );
  const [unasked, ...others] = more.filter(({ status }) => status === undefined);
  if (unasked) {
    const warning = `Of ${more.length + 1} connections from ${source} to ${target} ${others.length + 1} could not be asked for, so fewer ways through its gateway were tried: ${unasked.body}`;
    return { ...finding, warning };
  }
  if (seenAs || direct.length === 0) return finding;
  return {
    ...finding,
    warning: `${target} was called by ${source} in one network and saw no certificate of its caller: whether by mTLS is not known. A DestinationRule or PeerAuthentication may turn it off: kubectl get destinationrules,peerauthentications -A`,
  };
}

interface Culprit {
  readonly told: string;
  hint(target: string): string;
}

/** What of the gateway is not as the rest of it, by its pods' own word and by how connections to its addresses went. */
function culpritsIn({ gateways = [], addresses = [] }: Circumstances): Culprit[] {
  const on = ({ pod, node }: GatewayView) => `its gateway's pod ${pod}${node ? ` on node ${node}` : ""}`;
  const look =
    ({ pod }: GatewayView) =>
    (target: string) =>
      `In ${target}: kubectl get pod -A --field-selector metadata.name=${pod} -o wide. If its proxy is stuck, delete the pod: its Deployment makes another one.`;
  const answering = gateways.filter(({ problem }) => !problem);
  const silent = gateways.filter(isSilent);
  if (silent.length > 0) return silent.map((each) => ({ told: `${on(each)} ${silence(each)}`, hint: look(each) }));
  const idle = answering.some(({ connections }) => connections > 0)
    ? answering.filter(({ connections }) => connections === 0)
    : [];
  if (idle.length > 0) return idle.map((each) => ({ told: `${on(each)} has handed on none`, hint: look(each) }));
  const failing = addresses.length > 1 ? addresses.filter(({ failed }) => failed > 0) : [];
  return failing.map(({ address, made, failed: lost }) => ({
    told: `${lost} of ${made} to ${address} failed`,
    hint: (target) =>
      `Who is behind ${address} in ${target}, and is it reached on every port? nc -vz ${address.replace(/:(\d+)$/, " $1")}`,
  }));
}

function readingsOf({ pair }: Attempt, { addresses = [], gateways = [] }: Circumstances): Reading[] {
  const of = (source: string, entries: readonly (readonly [string, string])[]): Reading[] =>
    entries.length > 0 ? [{ source, values: Object.fromEntries(entries) }] : [];
  return [
    ...of(
      `connections of ${pair.source}'s proxy`,
      addresses.map(({ address, made, failed: lost }) => [address, `${made}, of which ${lost} failed`]),
    ),
    ...of(
      `${pair.target}'s gateway`,
      gateways.map(({ pod, problem, ports, connections }) => [
        pod,
        problem ? clip(problem, 200) : `listens on ${ports.join(", ")}; handed on ${connections}`,
      ]),
    ),
  ];
}

function answerReading({ status, body, client, refusal }: Call): Reading {
  const envoys = refusal ? { ...refusal, reason: clip(refusal.reason, 300), details: clip(refusal.details, 300) } : {};
  const values = { status, body: clip(body, 600), ...(client ? { client } : {}), ...envoys };
  return { source: "the last answer", values };
}

function withReadings(finding: Finding, ...readings: Reading[]): Finding {
  return { ...finding, readings: [...readings, ...(finding.readings ?? [])] };
}

/** By the nearest-rank method; 0 of nothing. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
}
