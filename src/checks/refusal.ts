import { isIP } from "node:net";
import { clip } from "../cluster/errors.ts";
import type { RootPolicies } from "../facts/policies.ts";
import { ANSWER_PORT, PROBE_NAMESPACES, probeName } from "../mesh/objects/probe.ts";
import type { Finding } from "../mesh/report.ts";
import { count, listed } from "../mesh/words.ts";
import {
  type Attempt,
  type Call,
  type Circumstances,
  identities,
  identityOf,
  isSilent,
  silence,
  told,
} from "./attempt.ts";
import { failed, passed, unknown } from "./finding.ts";
import { authorizing, hiddenBy, plainBy, type Route, refusing, ruleFor, tlsOf } from "./policies.ts";
import { routingOf } from "./routing.ts";
import { policyIn, type Why, whyRefused } from "./why.ts";

/** Why a request was not answered as it should be, from the answer and from all that was looked into. */
export function refusal(attempt: Attempt, circumstances: Circumstances): Finding {
  const { pair, namespace, trustDomain, first, endpoints, host, gateway, shared = [] } = attempt;
  const { seconds, istioNamespace } = attempt;
  const { source, target } = pair;
  const { status, body } = first;
  if (status === undefined) return notHandedOn(source, first);
  if (isOfTarget(attempt, circumstances)) return forbidden(attempt, circumstances);
  const sent = elsewhere(attempt, circumstances);
  if (sent) return sent;
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
    return failed(
      `${target} answered ${source}, but saw it as ${identities(first.client).join(", ")} instead of ${identityOf(source, namespace, trustDomain)}.`,
      "Look for a PeerAuthentication or DestinationRule that turns mTLS off: kubectl get peerauthentications,destinationrules -A",
    );
  }
  const why = whyOf(first, circumstances, host);
  if (why === "forbidden" || status === 403) return forbidden(attempt, circumstances);
  const policy = policyAgainst(attempt, circumstances);
  if (policy) return policy;
  if (list && list.length === 0 && host === undefined) {
    return failed(
      `${source}'s proxies are not told of a Service in another namespace than their own, or not of this one: they do not know ${probeName(target)}.${namespace} at all.`,
      `Look for a Sidecar that holds for all workloads, for defaultServiceExportTo in the mesh configuration, and at what istiod says: kubectl get sidecars.networking.istio.io -A; kubectl -n ${istioNamespace} logs -l app=istiod`,
    );
  }
  if (list && list.length === 0) {
    return failed(
      `${source}'s proxies have no endpoint in ${target}: its istiod has not read ${target}, or not lately.`,
      `${remotes}; and if that says synced: kubectl -n ${istioNamespace} rollout restart deployment -l app=istiod`,
    );
  }
  const walled = [source, target].filter((cluster) => (circumstances.walls?.get(cluster)?.length ?? 0) > 0);
  if (walled.length > 0) {
    const list = walled.map((cluster) => `${listed(circumstances.walls?.get(cluster) ?? [])} in ${cluster}`);
    return unknown(
      `The probe's namespace was given NetworkPolicies by a rule of the cluster's own (${list.join("; ")}), and ${source}'s request was not answered: that may be for their sake, and says nothing of the mesh. ${told(first)}`,
      `Have whoever owns that rule leave out namespaces labelled ${PROBE_NAMESPACES}, or set by the input \`probe\` what it goes by.`,
    );
  }
  if (why === "unresolved")
    return failed(
      `The name ${probeName(target)}.${namespace}.svc, of a Service that ${source} has, does not resolve in its pods. ${told(first)}`,
      `Does ${source}'s cluster DNS answer? kubectl -n kube-system get pods -l k8s-app=kube-dns`,
    );
  if (why === "aborted")
    return failed(
      `A VirtualService in ${source} aborts the request (fault.abort). ${told(first)}`,
      "Which one holds for all hosts? kubectl get virtualservices.networking.istio.io -A",
    );
  if (attempt.oneNetwork && why === "untrusted") return untrusted(attempt, circumstances);
  if (attempt.oneNetwork) {
    return failed(
      `${target}'s pods, ${addresses ?? "whose addresses were not told"}, do not take connections from ${source}'s, though both are in one network: ${told(first)}`,
      `Are pods of one cluster routed to those of the other, and let through on every port (routes, firewall, NetworkPolicy)? If not, they are not in one network: give each cluster a network of its own.`,
    );
  }
  if (list?.every(({ port }) => port === ANSWER_PORT)) {
    const names = gateway.filter((address) => isIP(address) === 0);
    if (names.length > 0 && names.length === gateway.length) {
      return failed(
        `${source}'s proxies were given the pods' own addresses in ${target} (${addresses}) instead of its gateway: the name ${names.join(", ")} of the gateway does not resolve where ${source}'s istiod runs.`,
        `Does ${source}'s DNS know it? kubectl -n ${istioNamespace} logs -l app=istiod --tail=-1 | grep -i resolve. istiod asks again after 30 seconds, and resolves names only with RESOLVE_HOSTNAME_GATEWAYS=true, which is the default.`,
      );
    }
    return failed(
      `${source}'s proxies were given the pods' own addresses in ${target} (${addresses}) instead of its gateway: ${source}'s istiod knows no gateway for ${target}'s network.`,
      `In ${target}: kubectl get service -A -l topology.istio.io/network --show-labels (it needs the network's label and an address).`,
    );
  }
  if (shared.length > 0) {
    const [one, other] = [source, target].sort();
    return failed(
      `The gateways of ${one} and ${other} have one address, ${listed(shared)}: requests from the one to the other end at a gateway that does not know what they ask for.`,
      "Give each gateway an address of its own: the load balancers of the two clusters seem to give away the same range.",
    );
  }
  if (why === "untrusted") return untrusted(attempt, circumstances);
  if (why === "plain")
    return failed(
      `What answers at ${addresses ?? "the address of the gateway"} speaks no TLS, so it is not the east-west gateway of ${target}, or not as it is to be. ${told(first)}`,
      `Does its load balancer hand TCP 15443 on as it comes (no HTTP, no TLS of its own), and does a Gateway with AUTO_PASSTHROUGH serve the port? In ${target}: kubectl get service -A -l topology.istio.io/network -o yaml`,
    );
  if (why === "empty")
    return failed(
      `${source}'s proxy takes what it has of ${target} (${addresses ?? "its endpoints"}) for unhealthy, as it does for a while after errors. ${told(first)}`,
      `${remotes}; istioctl proxy-config endpoints deployment/DEPLOYMENT -n NAMESPACE, of one that calls, has the reason in STATUS and OUTLIER CHECK.`,
    );
  const views = (circumstances.gateways ?? []).filter(({ problem }) => !problem);
  const ports = new Set((list ?? []).map(({ port }) => port));
  const refused = views.flatMap((view) => view.refused);
  if (why === "unheard" || why === "late") {
    const where = gateway.length > 0 ? gateway.join(", ") : (addresses ?? "its gateway");
    const silent = (circumstances.gateways ?? []).filter(isSilent);
    const mute = silent.length > 0 ? ` ${listed(silent.map((each) => `Its pod ${each.pod} ${silence(each)}`))}.` : "";
    return failed(
      `The gateway of ${target} at ${addresses ?? where} does not take connections: ${told(first)}${mute}`,
      `Allow TCP 15443 to ${where} (firewall, security group, NetworkPolicy) and see that the gateway's pods are ready. From a node of another cluster: nc -vz ${list?.[0]?.address ?? where} ${list?.[0]?.port ?? 15443}`,
    );
  }
  if (why === "closed") {
    const behind = host ? behindGateway(attempt, views, nameAt(host)) : undefined;
    if (behind) return behind;
    const sni = host && nameAt(host);
    const ignorant = sni && views.length > 0 && views.every(({ names }) => !names.has(sni));
    const hosts = new Set(views.flatMap(({ names }) => [...names])).size;
    const why = ignorant
      ? `it hands on ${hosts === 0 ? "nothing" : `${count(hosts, "name")}, and not ${host}`}`
      : "it does not expose the service, or has no endpoint for it";
    const own = refused.length > 0 ? ` It has refused what istiod gave it: ${clip(refused[0] ?? "", 200)}.` : "";
    return failed(
      `The gateway of ${target} at ${addresses ?? "its address"} takes the connection and closes it: ${why}.${own} ${told(first)}`,
      `Does a Gateway with AUTO_PASSTHROUGH, port ${[...ports][0] ?? 15443} and *.local select it? kubectl get gateways.networking.istio.io -A -o yaml`,
    );
  }
  return failed(
    `${source}'s requests are not answered by ${target}, for ${Math.round(seconds)} s. ${told(first)}`,
    `${remotes}; istioctl proxy-config endpoints deployment/DEPLOYMENT -n NAMESPACE, of one that calls.`,
  );
}

/** As what a gateway knows the probe by its host. */
const nameAt = (host: string) => `outbound_.${ANSWER_PORT}_._.${host}`;

/**
 * Why the source's request was refused. Envoy's words do not tell one that closes what it takes from one that is not there:
 * then it goes by what the gateway says of itself.
 */
function whyOf(call: Call, { gateways = [] }: Circumstances, host: string | undefined): Why | undefined {
  const why = whyRefused(call);
  const isUnsure = !call.refusal && why === "closed" && /connection failure$/.test(call.body.trim());
  if (!isUnsure || !host) return why;
  const answering = gateways.filter(({ problem }) => !problem);
  return answering.length > 0 && answering.every(({ names }) => names.has(nameAt(host))) ? "unheard" : why;
}

/** What is wrong behind a gateway that knows the name it is asked for, by its own connections. */
function behindGateway(
  { pair: { source, target }, first }: Attempt,
  views: Circumstances["gateways"],
  sni: string,
): Finding | undefined {
  const knowing = (views ?? []).filter(({ names }) => names.has(sni));
  if (knowing.length === 0 || knowing.length < (views ?? []).length) return undefined;
  const endpoints = knowing.flatMap((view) => view.endpoints.get(sni) ?? []);
  if (endpoints.length === 0)
    return failed(
      `The gateway of ${target} takes ${source}'s connection, knows what it asks for, and has no endpoint for it: istiod of ${target} gives it none. ${told(first)}`,
      `In ${target}: istioctl proxy-config endpoints POD.NAMESPACE, of the gateway's; does a PeerAuthentication or DestinationRule turn mTLS off there, or ISTIO_META_REQUESTED_NETWORK_VIEW leave its own network out?`,
    );
  const failing = endpoints.filter(({ failed: lost }) => lost > 0);
  if (failing.length === 0) return undefined;
  const how = failing.map(({ address, made, failed: lost }) => `${lost} of ${made} connections to ${address} failed`);
  return failed(
    `The gateway of ${target} takes ${source}'s connection, and does not get through to the pod behind it: ${listed(how)}. ${told(first)}`,
    `Does a NetworkPolicy or a firewall between the nodes of ${target} stand between its gateway and pods? kubectl get networkpolicies -A`,
  );
}

/** That a request did not even come to the source's probe. */
export function notHandedOn(source: string, { body }: Call): Finding {
  return unknown(
    `The probe in ${source} could not be asked through its API server: ${clip(body, 300)}`,
    "The kubeconfig's user needs `get` on pods/proxy, and the API server must reach pods; where it reaches their kubelets alone, `get` and `create` on pods/exec, too.",
  );
}

/** Which side does not accept the other's certificate, by OpenSSL's words for its own refusal and for an alert. */
function untrusted({ pair, first, namespace, host, istioNamespace }: Attempt, { policies }: Circumstances): Finding {
  const { source, target } = pair;
  const body = `${first.body} ${first.refusal?.reason ?? ""} ${first.refusal?.details ?? ""}`;
  const of = policies?.get(source);
  const rule =
    of && host
      ? ruleFor(of.policies, {
          host,
          namespace,
          caller: namespace,
          rootNamespace: of.namespace,
          exports: of.defaultExportTo ?? {},
        })
      : undefined;
  const wanted = rule?.spec?.trafficPolicy?.tls?.subjectAltNames ?? [];
  if (of && rule && wanted.length > 0 && !/ALERT/i.test(body))
    return failed(
      `DestinationRule ${of.namespace}/${rule.metadata.name} in ${source} wants ${listed(wanted)} in the certificates of ${rule.spec?.host}, and those of ${target} have their own names. ${told(first)}`,
      `Take subjectAltNames out of it, Istio knows them by itself: kubectl -n ${of.namespace} edit destinationrules.networking.istio.io ${rule.metadata.name}`,
    );
  const who = /ALERT/i.test(body)
    ? `${target} does not accept ${source}'s certificate`
    : /SAN|subject alt/i.test(body)
      ? `${source} does not take the one that answers in ${target} for the probe, by its certificate`
      : `${source} does not accept ${target}'s certificate`;
  return failed(
    `The certificates are not accepted on the way from ${source} to ${target}: ${who}. ${told(first)}`,
    `Compare the roots in effect: kubectl -n ${istioNamespace} get configmap istio-ca-root-cert -o jsonpath='{.data.root-cert\\.pem}' | openssl x509 -noout -fingerprint -sha256`,
  );
}

/** The target's own proxy has refused it: all the way there is proved, and that somebody does not want it. */
function forbidden({ pair, namespace, first, endpoints, oneNetwork }: Attempt, { policies }: Circumstances): Finding {
  const { source, target } = pair;
  const through = typeof endpoints === "string" ? [] : endpoints;
  if (through.length === 0 || (!oneNetwork && through.some(({ port }) => port === ANSWER_PORT))) {
    return failed(
      `${target} refuses ${source}'s request: ${clip(first.body, 200)}.`,
      `${policyIn(first) ? `AuthorizationPolicy ${policyIn(first)}` : "An AuthorizationPolicy with action DENY or CUSTOM"} is in the way: kubectl get authorizationpolicies -A`,
    );
  }
  const of = policies?.get(target);
  const exactly = policyIn(first);
  const denying = of ? refusing(authorizing(of.policies, { namespace, rootNamespace: of.namespace }, [])) : [];
  const limited = first.status === 429;
  const who = limited
    ? "A limit of requests"
    : exactly
      ? `AuthorizationPolicy ${exactly}`
      : denying.length > 0
        ? `AuthorizationPolicy ${listed(denying.map(({ metadata, spec }) => `${of?.namespace}/${metadata.name} (${spec?.action})`))}`
        : "a policy";
  return {
    ...passed(
      `${source}'s request came through ${through.map(({ address, port }) => `${address}:${port}`).join(", ")} to ${target}'s own proxy, which refused it: ${clip(first.body || `HTTP ${first.status}`, 100)}.`,
    ),
    warning: `${who} of ${target} refuses what the probe in ${source} asks, so only the way to it is proved. Whether your workloads are let in is up to that${limited ? "." : " policy: kubectl get authorizationpolicies -A"}`,
  };
}

/**
 * Whether the target's own proxy refused it, which proves the way to it: by its own word, such as a limit of requests (429), or
 * as one that sends all who are not logged in to a login, by a policy that asks somebody else (CUSTOM).
 */
function isOfTarget({ pair, namespace, first }: Attempt, { policies }: Circumstances): boolean {
  const { status = 0, refusal } = first;
  if (refusal?.by === "target") return status < 500;
  const of = policies?.get(pair.target);
  const deciding = of ? authorizing(of.policies, { namespace, rootNamespace: of.namespace }, []) : [];
  return (
    refusal === undefined &&
    [301, 302, 303, 307, 308, 401].includes(status) &&
    deciding.some(({ spec }) => spec?.action === "CUSTOM")
  );
}

/** A VirtualService for all Services, by which what is asked for does not get to the target. */
function elsewhere({ pair, namespace, host }: Attempt, { policies }: Circumstances): Finding | undefined {
  const { source, target } = pair;
  const of = policies?.get(source);
  const name = host ?? `${probeName(target)}.${namespace}.svc.cluster.local`;
  const route = of && {
    host: name,
    namespace,
    caller: namespace,
    rootNamespace: of.namespace,
    exports: of.defaultExportTo ?? {},
  };
  const routing = of && routingOf(of.policies, route as Route, ANSWER_PORT);
  if (!of || !routing) return undefined;
  const { policy, kind, to } = routing;
  const does = {
    aborts: "aborts every request (fault.abort)",
    answers: "has proxies answer, or redirect, every request themselves",
    elsewhere: `sends every request to ${listed(to)}`,
    subsets: `sends every request to ${listed(to)} of what is asked for`,
    some: `sends some requests another way${to.length > 0 ? ` (${listed(to)})` : ""}`,
  }[kind];
  return failed(
    `VirtualService ${of.namespace}/${policy.metadata.name} in ${source} is for ${listed(policy.spec?.hosts ?? [])} and ${does}, so ${source}'s request does not get to ${target}.`,
    `Have it hold for the hosts that it is meant for: kubectl -n ${of.namespace} edit virtualservices.networking.istio.io ${policy.metadata.name}`,
  );
}

/** What of the mesh's own rules for all workloads leaves no way between networks; told alike for each pair that it concerns. */
function policyAgainst(
  { pair, namespace, host, oneNetwork, targetNetwork }: Attempt,
  { policies }: Circumstances,
): Finding | undefined {
  const { source, target } = pair;
  const name = host ?? `${probeName(target)}.${namespace}.svc.cluster.local`;
  // The probe's own namespace is new, and has no such rules.
  const routeIn = (of: RootPolicies): Route => ({
    host: name,
    namespace,
    caller: namespace,
    rootNamespace: of.namespace,
    exports: of.defaultExportTo ?? {},
  });
  // In one network they go without mTLS, too.
  for (const cluster of oneNetwork ? [] : [source, target]) {
    const of = policies?.get(cluster);
    const plain = of && plainBy(of.policies, routeIn(of), ANSWER_PORT, []);
    if (!plain) continue;
    const { policy, mode } = plain;
    const ref = `${of.namespace}/${policy.metadata.name}`;
    if (policy.kind === "DestinationRule")
      return failed(
        `DestinationRule ${ref} in ${cluster} sets tls.mode ${mode} for ${policy.spec?.host}: between networks there is no way but by mTLS between proxies, so what it holds for is not reached.`,
        `Take tls out of it, or have it hold for hosts outside of the mesh alone: kubectl -n ${of.namespace} edit destinationrules.networking.istio.io ${policy.metadata.name}`,
      );
    return failed(
      `PeerAuthentication ${ref} in ${cluster} turns mTLS off for all workloads: between networks there is no way but by mTLS between proxies.`,
      `Set its mode to PERMISSIVE or STRICT: kubectl -n ${of.namespace} edit peerauthentications ${policy.metadata.name}`,
    );
  }
  const of = policies?.get(source);
  if (of?.autoMtls === false && !oneNetwork && !tlsOf(of.policies, routeIn(of), ANSWER_PORT)) {
    return failed(
      `The mesh configuration of ${source} turns automatic mTLS off (enableAutoMtls: false), and no DestinationRule of ${of.namespace} asks for mTLS: between networks there is no way but by mTLS between proxies.`,
      `Leave enableAutoMtls out, or apply a DestinationRule for *.local with tls.mode ISTIO_MUTUAL: kubectl -n ${of.namespace} get destinationrules`,
    );
  }
  const view = of?.networkView?.split(",");
  if (of && view && targetNetwork !== undefined && !view.includes(targetNetwork)) {
    return failed(
      `The mesh configuration of ${source} has all proxies be told of ${listed(view)} alone (ISTIO_META_REQUESTED_NETWORK_VIEW in defaultConfig.proxyMetadata), and so of nothing in ${targetNetwork}.`,
      "Take it out of the mesh configuration: it is for east-west gateways, by their own environment.",
    );
  }
  const hiding = of && host === undefined && hiddenBy(of.policies, routeIn(of));
  if (of && hiding) {
    return failed(
      `Sidecar ${of.namespace}/${hiding.metadata.name} in ${source} hides other namespaces' Services from all workloads (egress hosts ${listed(hiding.spec?.egress?.flatMap(({ hosts = [] }) => hosts) ?? [])}), so they do not know those of other clusters either.`,
      `Add the hosts that workloads call in other clusters, */* for all: kubectl -n ${of.namespace} edit sidecars.networking.istio.io ${hiding.metadata.name}`,
    );
  }
  return undefined;
}
