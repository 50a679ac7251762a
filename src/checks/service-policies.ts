import type { HeldEndpoint } from "../facts/endpoints.ts";
import type { Policies, Policy } from "../facts/policies.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { serviceName } from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import { type Part, readable } from "./part.ts";
import { authorizing, closedBy, type Plain, plainBy, tlsOf } from "./policies.ts";
import { isOfSubset, type Routing, routingOf, subsetOf } from "./routing.ts";
import {
  configOf,
  heldOf,
  policiesOf,
  portsIn,
  routeIn,
  type ServiceView,
  type Trouble,
  targetOf,
} from "./service-view.ts";

// What Istio's own policies do to those who call a Service.

/** A policy by which what is sent to a Service is not the mutual TLS that alone crosses networks. */
export function sentPlain(
  view: ServiceView,
  clusters: readonly string[],
  there: KubernetesObject,
  endpoints: readonly HeldEndpoint[],
): Trouble | undefined {
  const labels = endpoints.map((each) => each.labels);
  for (const cluster of clusters) {
    for (const port of portsIn(view, there)) {
      // There it is the gateway that calls; here any workload.
      const route = routeIn(view, cluster, cluster === view.observer ? "" : view.istioNamespace);
      const plain = plainBy(policiesOf(view, cluster), route, port, labels, { target: targetOf(there, port) ?? 0 });
      if (plain)
        return {
          cause: `Port ${port} of ${view.service.namespace}/${view.service.name} is not reached between networks: in ${cluster} ${wordsOf(plain)}.`,
          hint: hintFor(plain, cluster),
        };
    }
  }
  return undefined;
}

export function wordsOf({ policy, mode }: Plain): string {
  const ref = describe(refOf(policy));
  return policy.kind === "DestinationRule"
    ? `${ref} has TLS mode ${mode}, and a gateway lets through only ISTIO_MUTUAL`
    : `${ref} switches mutual TLS off, by which alone a gateway lets requests through`;
}

export function hintFor({ policy: { kind, metadata } }: Plain, cluster: string): string {
  const edit = `In ${cluster}: kubectl -n ${metadata.namespace} edit ${kind.toLowerCase()}s ${metadata.name}`;
  return kind === "DestinationRule" ? `Take the TLS mode out, Istio finds it by itself. ${edit}` : edit;
}

/** A policy of the target that lets nobody in. */
export function refusal(view: ServiceView, target: string, endpoints: readonly HeldEndpoint[]): Trouble | undefined {
  const closed = closedBy(decidingIn(view, target, endpoints));
  if (!closed) return undefined;
  return {
    cause: `${describe(refOf(closed))} of ${target} lets nobody in to ${serviceName(view.service)}.`,
    hint: `In ${target}: kubectl -n ${closed.metadata.namespace} get authorizationpolicies ${closed.metadata.name} -o yaml`,
  };
}

/** The target's policies that decide who may call the Service. */
function decidingIn(view: ServiceView, target: string, endpoints: readonly HeldEndpoint[]): Policy[] {
  const labels = endpoints.map((each) => each.labels);
  return authorizing(policiesOf(view, target), routeIn(view, target, ""), labels);
}

/** The VirtualService by which callers in the observer are sent another way, by port. */
function routings(view: ServiceView, caller: string): { readonly port: number; readonly routing: Routing }[] {
  const object = [...view.offers.values()]
    .map((offer) => readable(offer)?.services.get(`${view.service.namespace}/${view.service.name}`))
    .find((found) => found !== undefined);
  const policies = policiesOf(view, view.observer);
  const route = routeIn(view, view.observer, caller);
  return (object ? portsIn(view, object) : []).flatMap((port) => {
    const routing = routingOf(policies, route, port);
    return routing ? [{ port, routing }] : [];
  });
}

/** Who calls, where policies go by that: a proxy that runs, else somebody of the Service's own namespace. */
const callerIn = (view: ServiceView) => readable(view.proxy)?.namespace ?? view.service.namespace;

/** A VirtualService by which nobody in the observer gets to any endpoint of the Service. */
export function misrouted(view: ServiceView): Trouble | undefined {
  const { observer, service } = view;
  const policies = policiesOf(view, observer);
  const route = routeIn(view, observer, callerIn(view));
  for (const { port, routing } of routings(view, callerIn(view))) {
    const { policy, kind, to } = routing;
    const name = `${service.namespace}/${service.name}:${port}`;
    const hint = `In ${observer}: kubectl -n ${policy.metadata.namespace} edit virtualservices.networking.istio.io ${policy.metadata.name}`;
    if (kind === "aborts")
      return {
        cause: `${describe(refOf(policy))} of ${observer} aborts every request to ${name} (fault.abort).`,
        hint,
      };
    const missing = kind === "subsets" ? to.filter((subset) => !subsetOf(policies, route, subset)) : [];
    if (missing.length > 0 && missing.length === to.length)
      return {
        cause: `${describe(refOf(policy))} of ${observer} sends every request to ${name} to ${listed(missing.map((each) => `subset ${each}`))}, which no DestinationRule there has for ${route.host}.`,
        hint,
      };
    const tls = kind === "subsets" ? tlsOf(policies, route, port, to[0]) : undefined;
    const crosses = [...view.networks].some(([, network]) => network !== view.networks.get(observer));
    if (tls && tls.mode !== "ISTIO_MUTUAL" && to.length === 1 && crosses)
      return {
        cause: `Port ${port} of ${service.namespace}/${service.name} is not reached between networks: in ${observer} ${wordsOf(tls)}, for subset ${to[0]}, to which ${describe(refOf(policy))} sends all.`,
        hint: hintFor(tls, observer),
      };
  }
  return undefined;
}

/** Where the requests go instead that a VirtualService sends another way, which its owner may well mean. */
export function rerouted(view: ServiceView, others: readonly string[]): string | undefined {
  const { observer } = view;
  const policies = policiesOf(view, observer);
  const route = routeIn(view, observer, callerIn(view));
  const lines = routings(view, callerIn(view)).flatMap(({ port, routing: { policy, kind, to } }) => {
    const who = `${describe(refOf(policy))} of ${observer}`;
    if (kind === "answers") return `${who} has proxies answer, or redirect, what is for port ${port} themselves`;
    if (kind === "elsewhere") return `${who} sends all that is for port ${port} to ${listed(to)}`;
    if (kind === "some")
      return `${who} sends some of what is for port ${port} another way${to.length > 0 ? ` (${listed(to)})` : ""}`;
    const without = others.filter((target) => {
      const endpoints = heldOf(view, target);
      return endpoints.length > 0 && !endpoints.some(({ labels }) => isOfSubset(policies, route, to, labels));
    });
    if (without.length === 0) return [];
    return `${who} sends all that is for port ${port} to ${listed(to.map((each) => `subset ${each}`))}, of which no endpoint in ${listed(without)} is`;
  });
  if (lines.length === 0) return undefined;
  return `${listed([...new Set(lines)])}: callers in ${observer} do not get to all of these endpoints.`;
}

/** What the policies leave open. */
export function warningOf(view: ServiceView, others: readonly string[]): string | undefined {
  const { policies, service } = view;
  // Of a mesh configuration that is not known, which namespace's policies are for all is not either.
  const unread = others.filter(
    (target) => !readable(policies.get(target) ?? none) || !readable(() => configOf(view, target)),
  );
  if (unread.length > 0)
    return `The policies of ${listed(unread)} could not be read: whether one of them refuses callers of ${serviceName(service)} is not known.`;
  const deciding = others.flatMap((target) =>
    decidingIn(view, target, heldOf(view, target)).map((policy) => `${describe(refOf(policy))} of ${target}`),
  );
  if (deciding.length === 0) return undefined;
  return `${listed(deciding)} ${deciding.length === 1 ? "decides" : "decide"} who may call ${serviceName(service)}: whether other clusters' callers may, a request alone shows.`;
}

const none: Part<Policies> = () => [];
