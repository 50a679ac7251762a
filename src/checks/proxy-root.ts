import { readableIn } from "../mesh/certificates/pem.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count } from "../mesh/words.ts";
import { failed, passed, skipped } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { isOne, looked, proxiesOf, restart, type SeenProxy, these } from "./proxies.ts";

const MINUTE = 60_000;
/**
 * A proxy's certificate is for a day, and is renewed, and the roots with it, when half of it is over, give or take a hundredth
 * (security/pkg/nodeagent/cache, rotateTime). Milliseconds after it was issued.
 */
const RENEWED = { soonest: (11 * 60 + 45) * MINUTE, latest: (12 * 60 + 15) * MINUTE };

/**
 * Whether the proxies have the root in effect: they take what istiod has when they come up, and when they renew their certificates.
 * @param now what their ages are reckoned by
 */
export function trustTheRoot(mesh: MeshSpec, seen: Observation, now: Date): Finding {
  const { source, pem, since } = seen.bundle();
  const roots = readableIn(pem ?? "");
  if (roots.length === 0 || !since) return skipped(`Since when its root is in effect cannot be told by ${source}.`);
  const sample = seen.sample();
  const gateways = readable(seen.gateways)?.pods.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`) ?? [];
  const all = proxiesOf(mesh, seen, sample, readable(seen.connections)).filter(
    ({ name, proxy }) => proxy.started && !gateways.includes(name),
  );
  const known = new Date(since.getTime() + RENEWED.latest);
  const started = ({ proxy }: SeenProxy) => proxy.started ?? now;
  const older = now < known ? all.filter((each) => started(each) < since) : [];
  const surely = older.filter(
    (each) =>
      !each.proxy.ownRenewal &&
      now.getTime() - started(each).getTime() < RENEWED.soonest &&
      roots.every(({ validFromDate }) => started(each) < validFromDate),
  );
  const reading: Reading = {
    source: `${source}, and since when proxies run`,
    values: { written: since.toISOString(), proxies: all.length, older: older.length, surely: surely.length },
  };
  const names = (some: readonly SeenProxy[]) => some.map(({ name }) => name);
  const renewed = `${known.toISOString().slice(0, 16).replace("T", " ")} UTC`;
  if (surely.length > 0)
    return failed(
      `${these(names(surely))} started before the root in effect was made, and hold certificates of another one: calls between them and pods of after the change fail until they renew them.`,
      `Make them anew: ${restart(names(surely))}. By themselves all have done so by ${renewed}.`,
      reading,
    );
  const evidence =
    all.length === 0
      ? "No workload that was looked at has a proxy of this mesh yet."
      : `${count(all.length - older.length, "proxy").replace(/proxys$/, "proxies")} took the root in effect, written ${since.toISOString()}.${looked(sample)}`;
  if (older.length === 0) return passed(evidence, reading);
  const warning = `${these(names(older))} run${isOne(names(older)) ? "s" : ""} since before the root in effect was last written. What is new in it they learn when they renew their certificates, by ${renewed}, or when they are made anew: ${restart(names(older))}`;
  return { ...passed(evidence, reading), warning };
}
