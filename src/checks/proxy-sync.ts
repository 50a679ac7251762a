import { clip } from "../cluster/errors.ts";
import { type Connection, KINDS, type Kind } from "../facts/connections.ts";
import { DEBUG_SWITCH, DebugClosed } from "../facts/debug.ts";
import type { Sample } from "../facts/workloads.ts";
import { qualifiedName } from "../mesh/objects/object.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count } from "../mesh/words.ts";
import { failed, judged, passed, skipped } from "./finding.ts";
import { gatewayChecks } from "./gateway.ts";
import type { Observation } from "./observation.ts";
import { type Part, readable } from "./part.ts";
import { isActive, serves } from "./pods.ts";
import {
  idOf,
  isLeft,
  isOfItsCluster,
  isOne,
  isWorkload,
  joined,
  namedBy,
  type Problem,
  proxiesOf,
  these,
} from "./proxies.ts";

/** Something that is wrong with a proxy at a look. Only what is so at several is told. */
export interface Trouble {
  /** `shop/web-1` */
  readonly name: string;
  /** Refused what was sent; has not taken what was sent; is connected to no istiod. */
  readonly what: "rejected" | "behind" | "absent";
  readonly kind?: Kind;
  /** What it took last. */
  readonly acked?: string | undefined;
  /** Its own words. */
  readonly why?: string;
  /** Whether its pod is ready, as far as there is one. */
  readonly ready: boolean;
}

/** What is wrong with the proxies at one look. @param istiods the pods of the istiods in use, of which those that serve were asked */
export function troublesOf(
  mesh: Pick<MeshSpec, "namespace">,
  seen: Observation,
  sample: Sample,
  connections: readonly Connection[],
  istiods: readonly Pod[],
): Trouble[] {
  const ready = new Map(sample.workloads.map((each) => [idOf(each), each.ready]));
  // After it has connected anew, an old connection may still be there.
  const byProxy = Map.groupBy(
    connections.filter(isWorkload),
    ({ proxy, clusterName = "" }) => `${clusterName} ${proxy}`,
  );
  const told = [...byProxy.values()].flatMap((own) => {
    const each = own.map((connection) => troublesIn(connection, ready.get(connection.proxy) ?? false));
    return each.some(({ length }) => length === 0) ? [] : (each[0] ?? []);
  });
  // One that serves no more may have kept its connections.
  const isKnown = istiods.filter((pod) => isActive(pod) && pod.status?.phase === "Running").every(serves);
  const absent = proxiesOf(mesh, seen, sample, connections).filter(
    (each) => isKnown && each.ready && each.connected === false && isOfItsCluster(each) && !isLeft(seen, each),
  );
  return [...told, ...absent.map(({ name }): Trouble => ({ name, what: "absent", ready: true }))];
}

function troublesIn(connection: Connection, ready: boolean): Trouble[] {
  const name = namedBy(connection);
  return [...connection.resources].flatMap(([kind, { sent, acked, rejected }]): Trouble[] => {
    if (rejected) return [{ name, what: "rejected", kind, why: clip(rejected, 200), ready }];
    return sent === acked ? [] : [{ name, what: "behind", kind, acked, ready }];
  });
}

/** Those that were there before: a proxy that goes on taking what it is sent is not behind, however much that is. */
export function stillSo(before: readonly Trouble[], now: readonly Trouble[]): Trouble[] {
  const key = ({ name, what, kind, acked }: Trouble) => JSON.stringify([name, what, kind, acked]);
  const known = new Set(before.map(key));
  return now.filter((each) => known.has(key(each)));
}

/** What every proxy asks for as long as it runs; of all else it may have dropped what was still on its way. */
const ALWAYS: readonly (Kind | undefined)[] = ["clusters", "listeners", "endpoints"];

/**
 * Whether the proxies take what istiod sends them.
 * @param lasting what was wrong with proxies and stayed so
 * @param traffic whether requests were sent, which tell of a gateway that hangs
 */
export function takeTheirConfiguration(
  mesh: MeshSpec,
  seen: Observation,
  lasting: Part<readonly Trouble[]>,
  traffic: boolean,
): Finding {
  let connections: readonly Connection[];
  let troubles: readonly Trouble[];
  try {
    connections = seen.connections().filter(isWorkload);
    const told = toldElsewhere(mesh, seen, traffic);
    troubles = lasting().filter((each) => !told(each));
  } catch (error) {
    if (!(error instanceof DebugClosed)) throw error;
    return skipped(
      `What the proxies took of their configuration cannot be seen: istiod's debug interface is closed (${DEBUG_SWITCH}).`,
    );
  }
  const of = (...wanted: Trouble["what"][]) => troubles.filter(({ what }) => wanted.includes(what));
  const number = new Set(connections.map(({ proxy }) => proxy)).size;
  const names = (some: readonly Trouble[]) => some.map(({ name }) => name);
  const reading: Reading = {
    source: "/debug/syncz of each replica of istiod, at several looks",
    values: {
      connected: number,
      rejecting: new Set(names(of("rejected"))).size,
      behind: new Set(names(of("behind"))).size,
      absent: of("absent").length,
    },
  };
  const rejected = [...Map.groupBy(of("rejected"), ({ kind, why }) => JSON.stringify([kind, why])).values()].map(
    (same): Problem => ({
      cause: `${these(names(same))} reject${isOne(names(same)) ? "s" : ""} the ${same[0]?.kind} that istiod sends, and keep${isOne(names(same)) ? "s" : ""} older ones: ${same[0]?.why}`,
      hint: "What is rejected is mostly made of configuration of your own, EnvoyFilters first: kubectl get envoyfilters.networking.istio.io -A; istioctl analyze -A",
    }),
  );
  const behind = of("behind").filter(({ kind, ready }) => ready && ALWAYS.includes(kind));
  const absent = of("absent");
  const problems: Problem[] = [
    ...rejected,
    ...(behind.length > 0
      ? [
          {
            cause: `${these(names(behind))} do${isOne(names(behind)) ? "es" : ""} not take the ${KINDS.filter((kind) => behind.some((each) => each.kind === kind)).join(", ")} that istiod sends: calls go by older ones.`,
            hint: hang(names(behind)),
          },
        ]
      : []),
    ...(absent.length > 0
      ? [
          {
            cause: `${these(names(absent))} ${isOne(names(absent)) ? "is" : "are"} connected to no istiod: they keep the configuration that they have, and their certificates end within a day.`,
            hint: hang(names(absent)),
          },
        ]
      : []),
  ];
  if (problems.length > 0) return failed(...joined(problems), reading);
  if (number === 0) return passed("No proxy is connected to istiod yet.", reading);
  const some = of("behind");
  const evidence = `${count(number, "connected proxy").replace(/proxys$/, "proxies")} took what istiod sent.`;
  if (some.length === 0) return passed(evidence, reading);
  const warning = `${these(names(some))} ${isOne(names(some)) ? "has" : "have"} not taken all that istiod sent; ${isOne(names(some)) ? "its pod is" : "their pods are"} not known to be ready, or asked for it no more.`;
  return { ...passed(evidence, reading), warning };
}

/** What of the gateways between the networks is another check's: one cause is one finding. */
function toldElsewhere(mesh: MeshSpec, seen: Observation, traffic: boolean): (trouble: Trouble) => boolean {
  const gateways = readable(seen.gateways)?.pods.map(qualifiedName) ?? [];
  const exposure = gatewayChecks(mesh)["gateway.exposure"];
  const exposed = !exposure || judged(() => exposure(seen)).verdict !== "failed";
  // They reject what is made of two Gateways that do not go together.
  return ({ name, what }) => gateways.includes(name) && (what === "rejected" ? !exposed : traffic);
}

function hang([name = ""]: readonly string[]): string {
  const [namespace, pod] = name.split("/");
  return `What hinders it? kubectl -n ${namespace} logs ${pod} -c istio-proxy --tail 50; is it short of CPU, and does a NetworkPolicy let it reach istiod's port 15012?`;
}
