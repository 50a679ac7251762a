import type { Policies, Policy, PortPolicies, TrafficPolicy } from "../facts/policies.ts";
import { matches } from "../mesh/label-selector.ts";

// What Istio's own policies do to requests, each rule once: for the probes' requests and for the user's own Services.

/** Who calls what: a policy holds for some callers, or some hosts, only. */
export interface Route {
  /** The whole name of the Service that is called. */
  readonly host: string;
  /** Its namespace, the caller's, and that whose policies are the mesh's. */
  readonly namespace: string;
  readonly caller: string;
  readonly rootNamespace: string;
  /** To whom policies of a kind are exported that do not say so themselves, by the mesh configuration; none: to all. */
  readonly exports?: Readonly<Record<string, readonly string[]>>;
}

/**
 * The DestinationRule that a proxy goes by (pilot/pkg/model/push_context.go, destinationRule): of the caller's namespace, else
 * of the Service's, else of the mesh's; of those there, the one whose host says most.
 */
export function ruleFor(policies: Policies, route: Route): Policy | undefined {
  const { host, namespace, caller, rootNamespace } = route;
  for (const where of new Set([caller, namespace, rootNamespace])) {
    const [best] = policies
      .filter(
        (policy) =>
          policy.kind === "DestinationRule" &&
          policy.metadata.namespace === where &&
          isSeen(policy, route) &&
          isHost(ruleHost(policy, host), host),
      )
      .toSorted((a, b) => ruleHost(b, host).length - ruleHost(a, host).length);
    if (best) return best;
  }
  return undefined;
}

/** Whether a rule is for callers of a namespace; one that does not say is for all, or for whom the mesh says. */
export function isSeen({ kind, metadata, spec }: Policy, { caller, exports = {} }: Route): boolean {
  const own = spec?.exportTo ?? [];
  const to = own.length > 0 ? own : (exports[kind] ?? []);
  return to.length === 0 || to.some((each) => each === "*" || (each === "." ? metadata.namespace : each) === caller);
}

/**
 * A host that a policy names; a name without a dot is of the policy's own namespace (pkg/config/model ResolveShortNameToFQDN).
 * @param like the whole name of a Service of the cluster
 */
export function hostOf(host: string, { namespace }: Policy["metadata"], like: string): string {
  const domain = like.slice(like.indexOf(".svc."));
  return host === "*" || host.includes(".") ? host : `${host}.${namespace}${domain}`;
}

const ruleHost = ({ metadata, spec }: Policy, like: string) => hostOf(spec?.host ?? "", metadata, like);

/** Whether a host is that of a pattern, `*` at whose beginning stands for anything. */
export function isHost(pattern: string, host: string): boolean {
  return pattern.startsWith("*") ? host.endsWith(pattern.slice(1)) : pattern === host;
}

/** What of a rule is for a port: what it says of that, or of all. */
export function settingOf<K extends keyof TrafficPolicy>(
  { spec }: Policy,
  port: number,
  key: K,
): TrafficPolicy[K] | undefined {
  const { portLevelSettings = [], ...all } = spec?.trafficPolicy ?? {};
  // Where a port has settings of its own, the others' do not hold for it.
  const own = portLevelSettings.find((each) => each.port?.number === port);
  return own ? own[key] : all[key];
}

export type Labels = Readonly<Record<string, string>>;

/** A policy by which a Service's endpoints take, or are sent, no mutual TLS. */
export interface Plain {
  readonly policy: Policy;
  /** That of a DestinationRule's TLS, or `DISABLE`. */
  readonly mode: string;
}

/**
 * The DestinationRule that says by which TLS a port is called, and what it says; `undefined`: none does.
 * @param subset of the Service, where that is called: what is said of it comes before what is said of all
 */
export function tlsOf(policies: Policies, route: Route, port: number, subset?: string): Plain | undefined {
  const rule = ruleFor(policies, route);
  const modeIn = ({ tls, portLevelSettings = [] }: PortPolicies = {}) =>
    // Of TLS alone a port that says nothing takes what is said of all.
    portLevelSettings.find((each) => each.port?.number === port && each.tls)?.tls?.mode ?? tls?.mode;
  const own = rule?.spec?.subsets?.find(({ name }) => name !== undefined && name === subset);
  const mode = modeIn(own?.trafficPolicy) ?? modeIn(rule?.spec?.trafficPolicy);
  return rule && mode ? { policy: rule, mode } : undefined;
}

/**
 * What of a cluster's policies has its proxies send something else than mutual TLS between sidecars, so that they, and its
 * gateway, leave out the endpoints of other networks, and its gateway those of its own (pilot/pkg/xds/endpoints,
 * mtls_checker.go and ep_filters.go): a DestinationRule decides where it has a mode, else the endpoints' PeerAuthentication.
 * @param endpoints their pods' labels; it is said of all of them
 * @param target the port of the pods, where that is known and another
 * @param subset that of the Service which is called
 */
export function plainBy(
  policies: Policies,
  route: Route,
  port: number,
  endpoints: readonly Labels[],
  { target = port, subset }: { readonly target?: number | undefined; readonly subset?: string | undefined } = {},
): Plain | undefined {
  const said = tlsOf(policies, route, port, subset);
  if (said) return said.mode === "ISTIO_MUTUAL" ? undefined : said;
  const deciding = (endpoints.length > 0 ? endpoints : [undefined]).map((labels) =>
    peerOf(policies, route, labels, target),
  );
  const [first] = deciding;
  return first && deciding.every((each) => each?.mode === "DISABLE") ? { ...first, mode: "DISABLE" } : undefined;
}

/**
 * The PeerAuthentication that decides for a port of pods, and what it says: one for these pods, and there what is said of the
 * port; else for their namespace, else for the mesh; of several the oldest (pilot/pkg/model/authentication.go, and
 * security/authn ComposePeerAuthentication).
 */
function peerOf(
  policies: Policies,
  { namespace, rootNamespace }: Route,
  labels: Labels | undefined,
  port: number,
): Plain | undefined {
  const all = policies
    .filter(({ kind }) => kind === "PeerAuthentication")
    .toSorted((a, b) => ageOf(a).localeCompare(ageOf(b)));
  const isSaid = (mode: string | undefined) => mode !== undefined && mode !== "UNSET";
  const modeOf = (policy: Policy | undefined) => policy?.spec?.mtls?.mode;
  // Of the root namespace's none is for some pods alone.
  const own = all.find(
    (policy) =>
      policy.metadata.namespace === namespace &&
      namespace !== rootNamespace &&
      labels &&
      hasSelector(policy) &&
      selects(policy, labels),
  );
  // Without a selector it says nothing of single ports.
  const ofPort = own?.spec?.portLevelMtls?.[port]?.mode;
  if (own && isSaid(ofPort)) return { policy: own, mode: ofPort as string };
  const forAll = all.filter((policy) => !hasSelector(policy));
  const policy = [
    own,
    forAll.find(({ metadata }) => metadata.namespace === namespace),
    forAll.find(({ metadata }) => metadata.namespace === rootNamespace),
  ].find((each) => isSaid(modeOf(each)));
  return policy && { policy, mode: modeOf(policy) as string };
}

const ageOf = ({ metadata }: Policy) => metadata.creationTimestamp ?? "";
const hasSelector = ({ spec }: Policy) => Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
const selects = ({ spec }: Policy, labels: Labels) => matches(spec?.selector?.matchLabels ?? {}, labels);

/** The AuthorizationPolicies that decide who may call all of these endpoints. @param endpoints their pods' labels */
export function authorizing(
  policies: Policies,
  { namespace, rootNamespace }: Pick<Route, "namespace" | "rootNamespace">,
  endpoints: readonly Labels[],
): Policy[] {
  return policies.filter(
    (policy) =>
      policy.kind === "AuthorizationPolicy" &&
      [namespace, rootNamespace].includes(policy.metadata.namespace ?? "") &&
      policy.spec?.action !== "AUDIT" &&
      // Those are for a gateway or a waypoint.
      !policy.spec?.targetRef &&
      !policy.spec?.targetRefs?.length &&
      (!hasSelector(policy) || (endpoints.length > 0 && endpoints.every((labels) => selects(policy, labels)))),
  );
}

const actionOf = ({ spec }: Policy) => spec?.action ?? "ALLOW";
const rulesOf = ({ spec }: Policy) => spec?.rules ?? [];

/** Of policies that decide, the one by which nobody is let in, whoever it is; `undefined`: there is none. */
export function closedBy(deciding: readonly Policy[]): Policy | undefined {
  const isForAll = (rule: unknown) => Object.keys((rule ?? {}) as object).length === 0;
  const denying = deciding.find((policy) => actionOf(policy) === "DENY" && rulesOf(policy).some(isForAll));
  if (denying) return denying;
  const allowing = deciding.filter((policy) => actionOf(policy) === "ALLOW");
  // Another one may let in whom it names.
  return allowing.every((policy) => rulesOf(policy).length === 0) ? allowing[0] : undefined;
}

/** Of policies that decide, those that may refuse a caller whom another one lets in. */
export function refusing(deciding: readonly Policy[]): Policy[] {
  return deciding.filter(
    (policy) => actionOf(policy) === "CUSTOM" || (actionOf(policy) === "DENY" && rulesOf(policy).length > 0),
  );
}

/**
 * The Sidecar by which proxies are not told of a Service: that of the caller's namespace, else the mesh's; else one for some
 * workloads of the caller's namespace, of which the caller may be one.
 */
export function hiddenBy(policies: Policies, route: Route): Policy | undefined {
  const all = policies.filter(({ kind }) => kind === "Sidecar");
  const forAll = all.filter(({ spec }) => !spec?.workloadSelector);
  const of = (sidecars: readonly Policy[], namespace: string) =>
    sidecars.filter(({ metadata }) => metadata.namespace === namespace);
  const [deciding] = [...of(forAll, route.caller), ...of(forAll, route.rootNamespace)];
  const some = of(all, route.caller).filter(({ spec }) => spec?.workloadSelector);
  return [...(deciding ? [deciding] : []), ...some].find((sidecar) => hides(sidecar, route));
}

function hides({ spec }: Policy, { host, namespace, caller }: Route): boolean {
  // Where nothing is said proxies are told of everything.
  const hosts = (spec?.egress ?? []).flatMap((each) => each.hosts ?? []);
  return (
    hosts.length > 0 &&
    !hosts.some((each) => {
      const [where = "", ...rest] = each.split("/");
      return (where === "*" || (where === "." ? caller : where) === namespace) && isHost(rest.join("/"), host);
    })
  );
}
