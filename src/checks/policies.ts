import type { Policies, Policy, TrafficPolicy } from "../facts/policies.ts";

/** Who calls what: a policy holds for some callers, or some hosts, only. */
export interface Route {
  /** The whole name of the Service that is called. */
  readonly host: string;
  /** Its namespace, the caller's, and that whose policies are the mesh's. */
  readonly namespace: string;
  readonly caller: string;
  readonly rootNamespace: string;
}

/**
 * The DestinationRule that a proxy goes by (pilot/pkg/model/push_context.go, destinationRule): of the caller's namespace, else
 * of the Service's, else of the mesh's; of those there, the one whose host says most.
 */
export function ruleFor(policies: Policies, { host, namespace, caller, rootNamespace }: Route): Policy | undefined {
  for (const where of new Set([caller, namespace, rootNamespace])) {
    const [best] = policies
      .filter(
        (policy) =>
          policy.kind === "DestinationRule" &&
          policy.metadata.namespace === where &&
          isSeenFrom(policy, caller) &&
          isHost(hostOf(policy, host), host),
      )
      .toSorted((a, b) => hostOf(b, host).length - hostOf(a, host).length);
    if (best) return best;
  }
  return undefined;
}

/** Whether a rule is for callers of a namespace; one that does not say is for all. */
function isSeenFrom({ metadata, spec }: Policy, caller: string): boolean {
  const to = spec?.exportTo ?? [];
  return to.length === 0 || to.some((each) => each === "*" || (each === "." ? metadata.namespace : each) === caller);
}

/** A rule's host; a name without a dot is of the rule's own namespace (pkg/config/model ResolveShortNameToFQDN). */
function hostOf({ metadata, spec }: Policy, like: string): string {
  const host = spec?.host ?? "";
  const domain = like.slice(like.indexOf(".svc."));
  return host === "*" || host.includes(".") ? host : `${host}.${metadata.namespace}${domain}`;
}

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
