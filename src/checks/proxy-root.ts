import { sameAuthority } from "../mesh/certificates/chain.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import { qualifiedName } from "../mesh/objects/object.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count } from "../mesh/words.ts";
import { failed, passed, skipped } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { type Part, readable } from "./part.ts";
import { isOne, looked, proxiesOf, restart, type SeenProxy, these } from "./proxies.ts";
import { noteOn } from "./root-change.ts";
import { selfSignedCa } from "./survey.ts";

const MINUTE = 60_000;
/**
 * A proxy's certificate is for a day, and is renewed, and the roots with it, when half of it is over, give or take a hundredth
 * (security/pkg/nodeagent/cache, rotateTime). Milliseconds after it was issued.
 */
const RENEWED = { soonest: (11 * 60 + 45) * MINUTE, latest: (12 * 60 + 15) * MINUTE };

/** The proxies that came up before the root in effect was written, and may not have learned of it since. */
function olderThanRoot(mesh: MeshSpec, seen: Observation, now: Date): SeenProxy[] {
  const { since } = seen.bundle();
  if (!since || now >= knownBy(since)) return [];
  return withProxies(mesh, seen).filter(({ proxy }) => (proxy.started ?? now) < since);
}

/** By when every proxy has renewed its certificate. */
const knownBy = (since: Date) => new Date(since.getTime() + RENEWED.latest);

/** Those that run, but for gateways between the networks, which do not look into what they pass on. */
function withProxies(mesh: MeshSpec, seen: Observation): SeenProxy[] {
  const gateways = readable(seen.gateways)?.pods.map(qualifiedName) ?? [];
  return proxiesOf(mesh, seen, seen.sample(), readable(seen.connections)).filter(
    // What is SPIRE's comes without istiod.
    ({ name, proxy }) => proxy.started && !proxy.bySpire && !gateways.includes(name),
  );
}

/** Whether the root that istiod had made itself is to be looked at, for proxies may still hold it. */
export function mayHoldIstiodsOwn(mesh: MeshSpec, seen: Observation, now: Date): boolean {
  const older = readable(() => olderThanRoot(mesh, seen, now)) ?? [];
  return older.some((each) => isBeforeCacerts(seen, each));
}

/**
 * Whether a proxy came up when there was no Secret `cacerts`, so istiod signed by a root of its own. A change of the root that was led
 * began by putting just that root there, and went on only once the proxies had said that they had the new one.
 */
function isBeforeCacerts({ cacerts }: Observation, { proxy }: SeenProxy): boolean {
  if (noteOn(readable(cacerts))) return false;
  const { creationTimestamp } = readable(cacerts)?.metadata ?? {};
  return creationTimestamp !== undefined && proxy.started !== undefined && proxy.started < new Date(creationTimestamp);
}

/**
 * Whether the proxies have the root in effect: they take what istiod has when they come up, and when they renew their certificates.
 * @param istiodsOwn the Secret of the root that istiod made itself, where it is looked at
 * @param now what their ages are reckoned by
 */
export function trustTheRoot(
  mesh: MeshSpec,
  seen: Observation,
  istiodsOwn: Part<Secret | undefined>,
  now: Date,
): Finding {
  const { source, pem, since } = seen.bundle();
  const roots = readableIn(pem ?? "");
  if (roots.length === 0 || !since) return skipped(`Since when its root is in effect cannot be told by ${source}.`);
  const all = withProxies(mesh, seen);
  const older = olderThanRoot(mesh, seen, now);
  const own = selfSignedCa(readable(istiodsOwn))?.issuer?.certificate;
  // Which root was there before is not known otherwise: it may have had the key of the one in effect.
  const surely = older.filter(
    (each) =>
      own !== undefined &&
      !roots.some((root) => sameAuthority(root, own)) &&
      isBeforeCacerts(seen, each) &&
      !each.proxy.ownRenewal &&
      now.getTime() - (each.proxy.started ?? now).getTime() < RENEWED.soonest,
  );
  const reading: Reading = {
    source: `${source}, and since when proxies run`,
    values: { written: since.toISOString(), proxies: all.length, older: older.length, surely: surely.length },
  };
  const names = (some: readonly SeenProxy[]) => some.map(({ name }) => name);
  const renewed = `${knownBy(since).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (surely.length > 0)
    return failed(
      `${these(names(surely))} started before there was a Secret cacerts, and hold${isOne(names(surely)) ? "s" : ""} certificates of the root that istiod had made itself: calls between them and pods of after the change fail until they renew them.`,
      `Make them anew: ${restart(names(surely))}. By themselves all have done so by ${renewed}.`,
      reading,
    );
  const evidence =
    all.length === 0
      ? "No workload that was looked at has a proxy of this mesh yet."
      : `${count(all.length - older.length, "proxy").replace(/proxys$/, "proxies")} took the root in effect, written ${since.toISOString()}.${looked(seen.sample())}`;
  if (older.length === 0) return passed(evidence, reading);
  const wholly = older.every(({ proxy }) => roots.every(({ validFromDate }) => (proxy.started ?? now) < validFromDate));
  const what = wholly
    ? "It was made since then: if not from the key of the one before, calls between them and pods of after the change fail until they"
    : "What is new in it they learn when they";
  const warning = `${these(names(older))} run${isOne(names(older)) ? "s" : ""} since before the root in effect was last written. ${what} renew their certificates, by ${renewed}, or are made anew: ${restart(names(older))}`;
  return { ...passed(evidence, reading), warning };
}
