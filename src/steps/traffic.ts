import { randomBytes } from "node:crypto";
import { skipped, unknown } from "../checks/finding.ts";
import { addressesOf } from "../checks/gateway-service.ts";
import type { Observation } from "../checks/observation.ts";
import { readable } from "../checks/part.ts";
import { judgePair } from "../checks/traffic.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { PROBE_PREFIX, type ProbeSpec } from "../mesh/objects/probe.ts";
import type { Finding } from "../mesh/report.ts";
import { type MeshSpec, orderedPairs, type TrafficPair } from "../mesh/spec.ts";
import { callsPerPair, type Injection, removeProbe, type StartingProbe, startProbe, tryPair } from "./probe.ts";
import type { Run } from "./run.ts";

export interface TrafficTools {
  /** Whether requests are sent. Without, no probe is started. */
  readonly traffic: boolean;
  /** How long a pair is tried, in milliseconds; default: 30 s, or 10 s where something is known to be wrong already. */
  readonly patience?: number;
  /** Told before a probe's namespace exists, and with `undefined` once it is asked to go everywhere. */
  probing(namespace: string | undefined): void;
  /** A connection to clean up by, which outlives the run's deadline. */
  lastly(member: Member): { readonly cluster: Cluster };
  /** Whether the run's deadline has passed, or it was cancelled: then `lastly` gives a connection of its own. */
  isOver(): boolean;
}

/** How long a pair is tried: endpoints take a moment to get from cluster to cluster. Milliseconds. */
const PATIENCE = 30_000;
/** The same where something is known to be wrong already. */
const PATIENCE_IN_TROUBLE = 10_000;
/** After this nobody needs a probe's namespace any more, whatever became of its run. Milliseconds. */
const LIFETIME = 3_600_000;

/** A run's probes, one in each cluster. Whoever starts one sees to it that all are removed, whatever happens. */
export class Probes {
  readonly #run: Run;
  readonly #mesh: MeshSpec;
  readonly #tools: TrafficTools;
  readonly #probe: ProbeSpec = {
    namespace: `${PROBE_PREFIX}${randomBytes(4).toString("hex")}`,
    expires: new Date(Date.now() + LIFETIME),
  };
  readonly #started = new Map<string, StartingProbe & { member: Member }>();

  #over = false;

  constructor(run: Run, mesh: MeshSpec, tools: TrafficTools) {
    this.#run = run;
    this.#mesh = mesh;
    this.#tools = tools;
  }

  #patience = () => this.#tools.patience ?? (this.#run.troubled ? PATIENCE_IN_TROUBLE : PATIENCE);

  /** Starts a cluster's probe, unless it is started already. @param injecting what it is injected by, once that is known */
  start(member: Member, injecting: Promise<Injection>): void {
    const { name } = member.spec;
    if (!this.#tools.traffic || this.#over || this.#started.has(name)) return;
    if (this.#started.size === 0) this.#tools.probing(this.#probe.namespace);
    const { created, ready } = startProbe(this.#mesh, this.#probe, member, injecting, this.#patience);
    const timed = this.#run.timed("traffic", { cluster: name }, () => ready);
    // Its end is looked at when requests are sent.
    timed.catch(() => {});
    this.#started.set(name, { member, created, ready: timed });
  }

  /** Has each cluster's probe call all others, and notes what each check finds. */
  async sendTraffic(members: readonly Member[], seenOf: (member: Member) => Promise<Observation>): Promise<void> {
    const [run, tools] = [this.#run, this.#tools];
    const pairs = orderedPairs(members.map(({ spec }) => spec.name)).map(
      ({ observer, target }): TrafficPair => ({ source: observer, target }),
    );
    if (!tools.traffic) {
      const none = skipped("No request was sent, for `traffic` is false.");
      for (const { spec } of members) run.judge("traffic.probe", { cluster: spec.name }, none);
      for (const pair of pairs) run.judge("pair.request", pair, none);
      return;
    }
    const calls = callsPerPair(members.length);
    const up = new Map(
      members.map((member) => [
        member.spec.name,
        (async () => {
          const { name } = member.spec;
          // By then the probe of a cluster that answers is begun.
          const seen = await seenOf(member);
          const ready = this.#started.get(name)?.ready;
          const finding = ready ? await ready : unknown(`No probe was started: ${name} did not answer.`, "");
          run.judge("traffic.probe", { cluster: name }, finding);
          return finding.verdict === "passed" ? seen : undefined;
        })(),
      ]),
    );
    const settled = await Promise.allSettled(
      pairs.map(async (pair) => {
        const source = members.find(({ spec }) => spec.name === pair.source) as Member;
        const [from, to] = await Promise.all([up.get(pair.source), up.get(pair.target)]);
        const finding = await run.timed("traffic", pair, () =>
          request(this.#mesh, this.#patience(), calls, this.#probe, pair, source, from, to),
        );
        run.judge("pair.request", pair, finding);
      }),
    );
    for (const each of settled) if (each.status === "rejected") throw each.reason;
  }

  /** Asks the probes that were started to go; none is started any more. */
  async remove(): Promise<void> {
    this.#over = true;
    if (this.#started.size === 0) return;
    const { namespace } = this.#probe;
    const asked = await Promise.all(
      [...this.#started.values()].map(async ({ member, created }) => {
        try {
          // Of one that is still being started no part may come after this.
          await created.catch(() => {});
          await this.#removeFrom(member);
          return true;
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#run.warn(
            `The probe's namespace ${namespace} could not be removed from ${member.spec.name}: ${error.message} kubectl delete namespace ${namespace}`,
          );
          return false;
        }
      }),
    );
    this.#started.clear();
    // Where it was not asked to go the post step tries again.
    if (asked.every(Boolean)) this.#tools.probing(undefined);
  }

  async #removeFrom(member: Member): Promise<void> {
    const { cluster } = this.#tools.lastly(member);
    const { namespace } = this.#probe;
    if (cluster !== member.cluster) return removeProbe(cluster, namespace).finally(() => cluster.close());
    try {
      await removeProbe(cluster, namespace);
    } catch (error) {
      // The run may have come to its deadline, or been cancelled, over this: then it is done by what outlives it.
      if (!(error instanceof Failure) || !this.#tools.isOver()) throw error;
      await this.#removeFrom(member);
    }
  }
}

async function request(
  mesh: MeshSpec,
  patience: number,
  calls: number,
  probe: ProbeSpec,
  pair: TrafficPair,
  source: Member,
  from: Observation | undefined,
  to: Observation | undefined,
): Promise<Finding> {
  const missing = [...(from ? [] : [pair.source]), ...(to ? [] : [pair.target])];
  if (!from || !to) return unknown(`No request was sent: no probe runs in ${missing.join(" and ")}.`, "");
  const context = {
    trustDomain: readable(from.identity)?.trustDomain ?? "cluster.local",
    gateway: addressesOf(readable(to.gateways)?.services ?? []),
    istioNamespace: mesh.namespace,
  };
  return judgePair(await tryPair(probe, pair, source, context, patience, calls));
}
