import { clip } from "../cluster/errors.ts";
import { ANSWER_PORT, CLIENT_HEADER, probeName } from "../mesh/objects/probe.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { TrafficPair } from "../mesh/spec.ts";
import { failed, passed, unknown } from "./finding.ts";

/** One request from the source's probe, and what came back. */
export interface Call {
  /** `undefined`: the API server could not hand the request to the probe; `body` says why. */
  readonly status: number | undefined;
  readonly body: string;
  /** The caller's certificate as the target's sidecar saw it (x-forwarded-client-cert). */
  readonly client?: string;
  /** Milliseconds from the source's probe to the answer, both sidecars and gateways in between. */
  readonly milliseconds?: number;
}

/** An address that the source's proxy has for the target's probe. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface Attempt {
  readonly pair: TrafficPair;
  readonly namespace: string;
  readonly trustDomain: string;
  /** Calls until the first good one, or until patience ran out: the last. */
  readonly first: Call;
  /** How often it was tried, and for how long in seconds, until then. */
  readonly tries: number;
  readonly seconds: number;
  /** After a good one: as many more. */
  readonly more: readonly Call[];
  /** In words where they could not be had. */
  readonly endpoints: readonly Endpoint[] | string;
  /** Of the target's gateway. */
  readonly gateway: readonly string[];
  /** The control planes' namespace, for the commands in hints. */
  readonly istioNamespace: string;
}

/** Whether a call was answered by the target, to the source. */
export function isAnswer(
  { pair, namespace, trustDomain }: Pick<Attempt, "pair" | "namespace" | "trustDomain">,
  call: Call,
): boolean {
  return (
    call.status === 200 &&
    call.body.trim() === pair.target &&
    identities(call.client).includes(identityOf(pair.source, namespace, trustDomain))
  );
}

/** The SPIFFE identity of a cluster's probe. */
export function identityOf(cluster: string, namespace: string, trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${probeName(cluster)}`;
}

/** The callers' identities in an x-forwarded-client-cert header. */
function identities(header = ""): string[] {
  return [...header.matchAll(/(?:^|[;,])URI=([^;,]*)/g)].map(([, uri]) => uri as string);
}

/** What an attempt proves of a pair. */
export function judgePair(attempt: Attempt): Finding {
  const { pair, first, more, endpoints } = attempt;
  const { source, target } = pair;
  const through = typeof endpoints === "string" ? [] : endpoints;
  const way: Reading = {
    source: `endpoints of ${probeName(target)} in ${source}'s proxy`,
    values: {
      endpoints: typeof endpoints === "string" ? endpoints : through.map(({ address, port }) => `${address}:${port}`),
    },
  };
  if (!isAnswer(attempt, first)) return withReadings(refusal(attempt), way, answerReading(first));
  const calls = [first, ...more];
  const good = calls.filter((call) => isAnswer(attempt, call));
  const times = good.flatMap(({ milliseconds }) => milliseconds ?? []).sort((a, b) => a - b);
  const p50 = percentile(times, 50);
  const p99 = percentile(times, 99);
  const requests: Reading = {
    source: `requests from ${source}'s probe`,
    values: { answered: good.length, of: calls.length, p50, p99, untilFirst: attempt.seconds, tries: attempt.tries },
  };
  const identity: Reading = {
    source: `${target}'s sidecar, ${CLIENT_HEADER}`,
    values: { identity: identities(first.client)[0] },
  };
  if (good.length < calls.length) {
    const bad = calls.find((call) => !isAnswer(attempt, call)) as Call;
    return failed(
      `Only ${good.length} of ${calls.length} requests from ${source} were answered by ${target}. One of the others: ${told(bad)}`,
      `Look at the gateway's pods in ${target} (restarts, several replicas of which one is broken) and at the network between the clusters.`,
      way,
      requests,
      answerReading(bad),
    );
  }
  const direct = through.filter(({ port }) => port === ANSWER_PORT);
  if (direct.length > 0) {
    return failed(
      `${target} answers ${source}, but past the gateways: ${source}'s proxies use the pods' own addresses there (${direct.map(({ address }) => address).join(", ")}).`,
      "Either the clusters share a network, and need no gateways, or the network labels are wrong: kubectl get service,pod -A -l topology.istio.io/network --show-labels",
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
  const gateways = through.map(({ address, port }) => `${address}:${port}`).join(", ");
  return passed(
    `${good.length} of ${calls.length} requests answered by ${target} through ${gateways}, p50 ${p50} ms, p99 ${p99} ms; it saw ${identities(first.client)[0]}.`,
    way,
    requests,
    identity,
  );
}

/** Why a request was not answered as it should be, from the answer and the endpoints that the source's proxy has. */
function refusal(attempt: Attempt): Finding {
  const { pair, namespace, trustDomain, first, endpoints, gateway, seconds, istioNamespace } = attempt;
  const { source, target } = pair;
  const { status, body } = first;
  if (status === undefined) {
    return unknown(
      `The probe in ${source} could not be asked through its API server: ${clip(body, 300)}`,
      "The kubeconfig's user needs `get` on pods/proxy, and the API server must reach its nodes.",
    );
  }
  const list = typeof endpoints === "string" ? undefined : endpoints;
  const addresses = list?.map(({ address, port }) => `${address}:${port}`).join(", ");
  const remotes = `In ${source}: istioctl remote-clusters -i ${istioNamespace}`;
  if (status === 200 && body.trim() !== target) {
    return failed(
      `${body.trim() || "Somebody else"} answered ${source} in place of ${target}.`,
      "Two clusters seem to run under one name; compare their global.multiCluster.clusterName.",
    );
  }
  if (status === 200) {
    const seen = identities(first.client);
    return failed(
      seen.length === 0
        ? `${target} answered ${source}, but saw no certificate: the request was not mTLS.`
        : `${target} answered ${source}, but saw it as ${seen.join(", ")} instead of ${identityOf(source, namespace, trustDomain)}.`,
      "Look for a PeerAuthentication or DestinationRule that turns mTLS off: kubectl get peerauthentications,destinationrules -A",
    );
  }
  if (status === 403) {
    return failed(
      `${target} refuses ${source}'s request: ${clip(body, 200)}.`,
      "An AuthorizationPolicy with action DENY or CUSTOM is in the way: kubectl get authorizationpolicies -A",
    );
  }
  if (list && list.length === 0) {
    return failed(
      `${source} knows no endpoint in ${target}: its istiod has not read ${target}, or not lately.`,
      `${remotes}; and if that says synced: kubectl -n ${istioNamespace} rollout restart deployment -l app=istiod`,
    );
  }
  if (list?.every(({ port }) => port === ANSWER_PORT)) {
    return failed(
      `${source}'s proxies were given the pods' own addresses in ${target} (${addresses}) instead of its gateway: ${source}'s istiod knows no gateway for ${target}'s network.`,
      `In ${target}: kubectl get service -A -l topology.istio.io/network --show-labels (it needs the network's label and an address).`,
    );
  }
  if (/CERTIFICATE_VERIFY_FAILED|TLS_error|certificate/i.test(body)) {
    return failed(
      `The certificates are not accepted on the way from ${source} to ${target}: ${told(first)}`,
      `Compare the roots in effect: kubectl -n ${istioNamespace} get configmap istio-ca-root-cert -o jsonpath='{.data.root-cert\\.pem}' | openssl x509 -noout -fingerprint -sha256`,
    );
  }
  if (
    /connection refused|connection failure|connection timeout|timed out|timeout|delayed connect|no route/i.test(body) ||
    status === 504
  ) {
    const where = gateway.length > 0 ? gateway.join(", ") : (addresses ?? "its gateway");
    return failed(
      `The gateway of ${target} at ${addresses ?? where} does not take connections: ${told(first)}`,
      `Allow TCP 15443 to ${where} (firewall, security group, NetworkPolicy) and see that the gateway's pods are ready. From a node of another cluster: nc -vz ${list?.[0]?.address ?? where} ${list?.[0]?.port ?? 15443}`,
    );
  }
  if (/connection termination|reset|disconnect/i.test(body)) {
    return failed(
      `The gateway of ${target} at ${addresses ?? "its address"} takes the connection and closes it: it does not expose the service. ${told(first)}`,
      `Does a Gateway with AUTO_PASSTHROUGH, port 15443 and *.local select it? kubectl get gateways.networking.istio.io -A -o yaml`,
    );
  }
  return failed(
    `${source}'s requests are not answered by ${target}, for ${Math.round(seconds)} s. ${told(first)}`,
    `${remotes}; istioctl proxy-config endpoints deployment/DEPLOYMENT -n NAMESPACE, of one that calls.`,
  );
}

/** An answer in words. */
function told({ status, body }: Call): string {
  const text = clip(body, 300).replace(/[.\s]+$/, "");
  return `${status === undefined ? "no answer" : `HTTP ${status}`}${text ? `: ${text}` : ""}.`;
}

function answerReading({ status, body, client }: Call): Reading {
  return { source: "the last answer", values: { status, body: clip(body, 600), ...(client ? { client } : {}) } };
}

function withReadings(finding: Finding, ...readings: Reading[]): Finding {
  return { ...finding, readings: [...readings, ...(finding.readings ?? [])] };
}

/** By the nearest-rank method; 0 of nothing. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
}
