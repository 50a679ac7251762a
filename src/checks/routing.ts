import type { HttpRoute, Policies, Policy, RouteDestination } from "../facts/policies.ts";
import { matches } from "../mesh/label-selector.ts";
import { hostOf, isHost, isSeen, type Labels, type Route } from "./policies.ts";

/** What a VirtualService makes of the requests to a port of a Service. */
export interface Routing {
  readonly policy: Policy;
  /**
   * `aborts`: no request of all gets anywhere. `answers`: proxies answer, or redirect, all by themselves. `elsewhere`: all go to
   * other hosts. `subsets`: all go to these subsets of the Service. `some`: some of them go another way than usual.
   */
  readonly kind: "aborts" | "answers" | "elsewhere" | "subsets" | "some";
  /** The other hosts, or the subsets. */
  readonly to: readonly string[];
}

/**
 * By which VirtualService the proxies of a caller's namespace route what is for a port of a Service, where it is another way
 * than to its endpoints (pilot/pkg/networking/core/route): of those for the host the closest one, of those the oldest.
 */
export function routingOf(policies: Policies, route: Route, port: number): Routing | undefined {
  const hostIn = (policy: Policy) =>
    (policy.spec?.hosts ?? [])
      .map((host) => hostOf(host, policy.metadata, route.host))
      .filter((host) => isHost(host, route.host))
      .sort((a, b) => b.length - a.length)[0];
  const [policy] = policies
    .filter(
      (each) =>
        each.kind === "VirtualService" &&
        // One that is for gateways alone is none for workloads.
        (each.spec?.gateways ?? ["mesh"]).includes("mesh") &&
        isSeen(each, route) &&
        hostIn(each) !== undefined,
    )
    .toSorted(
      (a, b) =>
        (hostIn(b)?.length ?? 0) - (hostIn(a)?.length ?? 0) ||
        (a.metadata.creationTimestamp ?? "").localeCompare(b.metadata.creationTimestamp ?? ""),
    );
  if (!policy) return undefined;
  // Where it says nothing of HTTP it is for what is none.
  const all = policy.spec?.http?.length ? policy.spec.http : (policy.spec?.tcp ?? []);
  const routes = all.filter((each) => mayMatch(each, route, port));
  const last = routes.findIndex((each) => isForAll(each, port));
  const deciding = last < 0 ? routes : routes.slice(0, last + 1);
  const effects = deciding.map((each) => effectOf(each, policy, route));
  const [only] = effects;
  if (only && effects.length === 1 && last === 0)
    return only.kind === "usual" ? undefined : ({ policy, ...only } as Routing);
  return effects.some(({ kind }) => kind !== "usual") || (routes.length > 0 && last < 0)
    ? { policy, kind: "some", to: [...new Set(effects.flatMap(({ to }) => to))] }
    : undefined;
}

/** Whether there are requests of the caller's to the port that a route is for. */
function mayMatch({ match = [] }: HttpRoute, { caller }: Route, port: number): boolean {
  return (
    match.length === 0 ||
    match.some(
      (each) =>
        (each.port === undefined || each.port === port) &&
        (each.sourceNamespace === undefined || each.sourceNamespace === caller) &&
        (each.gateways === undefined || each.gateways.includes("mesh")),
    )
  );
}

/** Whether it is for all of those requests. */
function isForAll({ match = [] }: HttpRoute, port: number): boolean {
  return (
    match.length === 0 ||
    match.some(({ port: own, sourceNamespace: _, gateways: __, name: ___, uri, ...others }) => {
      const every = uri === undefined || (uri as { prefix?: string }).prefix === "/";
      return (own === undefined || own === port) && every && Object.keys(others).length === 0;
    })
  );
}

type Effect = { readonly kind: Routing["kind"] | "usual"; readonly to: readonly string[] };

function effectOf(
  { fault, redirect, directResponse, delegate, route: to = [] }: HttpRoute,
  policy: Policy,
  route: Route,
): Effect {
  const { value = fault?.abort?.percent ?? 0 } = fault?.abort?.percentage ?? {};
  if (fault?.abort && value >= 100) return { kind: "aborts", to: [] };
  if (redirect || directResponse) return { kind: "answers", to: [] };
  if (delegate) return { kind: "some", to: [] };
  const taking = to.filter(({ weight }) => weight !== 0 || to.length === 1);
  const isOwn = ({ destination }: RouteDestination) =>
    hostOf(destination?.host ?? "", policy.metadata, route.host) === route.host;
  const others = taking.filter((each) => !isOwn(each)).map(({ destination }) => destination?.host ?? "");
  if (others.length > 0) return { kind: others.length === taking.length ? "elsewhere" : "some", to: others };
  const subsets = taking.flatMap(({ destination }) => destination?.subset ?? []);
  if (subsets.length > 0 && subsets.length === taking.length) return { kind: "subsets", to: subsets };
  return { kind: value > 0 || subsets.length > 0 ? "some" : "usual", to: subsets };
}

/** A subset of a Service, by any DestinationRule for it that callers see (those of one host are merged); `undefined`: none has it. */
export function subsetOf(policies: Policies, route: Route, name: string) {
  return policies
    .filter((policy) => policy.kind === "DestinationRule" && isSeen(policy, route))
    .filter(({ metadata, spec }) => isHost(hostOf(spec?.host ?? "", metadata, route.host), route.host))
    .flatMap(({ spec }) => spec?.subsets ?? [])
    .find((subset) => subset.name === name);
}

/** Whether an endpoint, by its labels, is of one of these subsets. */
export function isOfSubset(policies: Policies, route: Route, names: readonly string[], labels: Labels): boolean {
  return names.some((name) => {
    const subset = subsetOf(policies, route, name);
    return subset !== undefined && matches(subset.labels ?? {}, labels);
  });
}
