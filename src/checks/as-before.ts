import type { Held, Offer } from "../facts/endpoints.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { count } from "../mesh/words.ts";

/** What a replica of istiod no longer holds of a cluster, of what some replica held of it before. */
export interface Less {
  /** Addresses, by `namespace/name` of their Service. */
  readonly endpoints: ReadonlyMap<string, readonly string[]>;
  /** Whether it held a way into that cluster's network, and holds none. */
  readonly gateways: boolean;
}

/** `undefined` where it holds all of it. @param before what the replicas held then */
export function lessOf(target: string, before: readonly Held[], now: Held): Less | undefined {
  const endpoints = new Map<string, string[]>();
  const held = now.endpoints.get(target);
  for (const replica of before)
    for (const [service, addresses] of replica.endpoints.get(target) ?? []) {
      const missing = [...addresses.keys()].filter((address) => !held?.get(service)?.has(address));
      if (missing.length > 0) endpoints.set(service, [...new Set([...(endpoints.get(service) ?? []), ...missing])]);
    }
  const has = ({ gateways }: Held) => gateways.some(({ cluster }) => cluster === target);
  const gateways = before.some(has) && !has(now);
  return endpoints.size > 0 || gateways ? { endpoints, gateways } : undefined;
}

/** Of what is no longer held, what the cluster still has, in words; `undefined` where it is gone there, too. */
export function lostOf({ endpoints, gateways }: Less, { endpoints: offered, services }: Offer): string | undefined {
  const still = [...endpoints].flatMap(([service, addresses]) => {
    const left = addresses.filter((address) => offered.get(service)?.ready.has(address));
    return left.length > 0 ? [{ service, left }] : [];
  });
  const isGateway = ({ metadata }: { metadata: { labels?: Record<string, string> } }) =>
    metadata.labels?.[NETWORK_LABEL];
  const number = still.reduce((sum, { left }) => sum + left.length, 0);
  const parts = [
    ...(number > 0
      ? [
          `${count(number, "endpoint")} of ${still[0]?.service}${still.length > 1 ? ` and ${count(still.length - 1, "other Service")}` : ""}`,
        ]
      : []),
    ...(gateways && [...services.values()].some(isGateway) ? ["its gateways"] : []),
  ];
  return parts.length > 0 ? parts.join(", ") : undefined;
}
