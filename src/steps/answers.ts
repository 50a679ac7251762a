import pLimit from "p-limit";
import { type Asked, refusedBy } from "../checks/answers.ts";
import type { Member } from "../cluster/member.ts";
import { since, type Upstream, upstreamsIn } from "../facts/upstreams.ts";
import { clustersPath, type ProbeSpec, type ServiceCall, servicePath } from "../mesh/objects/probe.ts";
import { serviceName } from "../mesh/spec.ts";
import { ask, callsForAll, untilAnswered } from "./requests.ts";

/** How many requests a cluster's probe sends to the user's Services in all, beside three to each. */
const IN_ALL = 400;
const MOST = 40;
/** How many are under way at once. */
const AT_ONCE = 8;

/**
 * Requests to one Service: ten, and so many that each cluster's endpoints are most likely met, but in all no more than some
 * hundred from each cluster, and never less than three.
 */
export function callsPerService(services: number, clusters: number): number {
  const enough = Math.max(10, Math.min(MOST, callsForAll(clusters)));
  return Math.max(3, Math.min(enough, Math.floor(IN_ALL / Math.max(1, services))));
}

/**
 * Calls Services from one cluster's probe: each until it is answered or the patience (milliseconds) is used up, then some more
 * times, each on a connection of its own to the probe's proxy, which keeps those that it makes itself, as it does for any
 * workload; and sees by that proxy which endpoints were asked.
 * @param calls how many are sent to each after that
 * @returns by the Service's name
 */
export async function callServices(
  probe: ProbeSpec,
  source: Member,
  services: readonly ServiceCall[],
  patience: number,
  calls: number,
): Promise<ReadonlyMap<string, Asked>> {
  if (services.length === 0) return new Map();
  const path = ({ service }: ServiceCall) =>
    `${servicePath(probe, service)}${/\?.*$/.exec(service.request)?.[0] ?? ""}`;
  const begun = await Promise.all(
    services.map(async (call) => {
      const what = `${serviceName(call.service)} to answer ${source.spec.name}`;
      const isGood = (answer: Asked["first"]) => answer.status !== undefined && !refusedBy(answer);
      return { call, ...(await untilAnswered(probe, source, what, path(call), patience, isGood)) };
    }),
  );
  // What was tried until then, while things were still on their way, does not count.
  const before = await look(probe, source);
  const limit = pLimit(AT_ONCE);
  const asked = await Promise.all(
    begun.map(async ({ call, ...begin }) => {
      const { status } = begin.first;
      const number = status === undefined || refusedBy(begin.first) ? 0 : calls;
      const again = () => limit(() => ask(probe, source, path(call)));
      return { call, ...begin, more: await Promise.all(Array.from({ length: number }, again)) };
    }),
  );
  const after = await look(probe, source);
  return new Map(
    asked.map(({ call, ...rest }) => {
      const upstreams = numbersOf(call, rest.more.length > 0 ? before : "", after);
      return [serviceName(call.service), { ...rest, port: call.port, upstreams }];
    }),
  );
}

/** What the source's sidecar says of its clusters; as a `problem` where it does not. */
async function look(probe: ProbeSpec, source: Member): Promise<string | { readonly problem: string }> {
  const { status, body } = await ask(probe, source, clustersPath(probe));
  if (status === 200) return body;
  return { problem: status === undefined ? body : `its proxy answered HTTP ${status}` };
}

function numbersOf(
  { service: { namespace, name }, port }: ServiceCall,
  before: string | { problem: string },
  after: string | { problem: string },
): Asked["upstreams"] {
  if (typeof before !== "string") return before;
  if (typeof after !== "string") return after;
  // Those of its subsets, too; the cluster's domain may be any.
  const own = new RegExp(`^outbound\\|${port}\\|[^|]*\\|${name}\\.${namespace}\\.svc\\.`);
  const of = (text: string): Upstream[] | undefined => upstreamsIn(text, (cluster) => own.test(cluster));
  const now = of(after);
  return now && since(of(before) ?? [], now);
}
