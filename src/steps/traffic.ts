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
import { callsPerPair, removeProbe, tryPair, tryProbe } from "./probe.ts";
import type { Run } from "./run.ts";

export interface TrafficTools {
  readonly traffic: boolean;
  /** How long a pair is tried, in milliseconds; default: 30 s, or 10 s where something is known to be wrong already. */
  readonly patience?: number;
  probing(namespace: string | undefined): void;
  lastly(member: Member): { readonly cluster: Cluster; readonly patient: boolean };
  isOver(): boolean;
}

/** How long a pair is tried: endpoints take a moment to get from cluster to cluster. Milliseconds. */
const PATIENCE = 30_000;
/** The same where something is known to be wrong already. */
const PATIENCE_IN_TROUBLE = 10_000;
/** After this nobody needs a probe's namespace any more, whatever became of its run. Milliseconds. */
const LIFETIME = 3_600_000;

/** Runs a probe in every cluster and has each call all others; removes the probes, whatever happens. */
export async function sendTraffic(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: (member: Member) => Promise<Observation>,
  tools: TrafficTools,
): Promise<void> {
  const pairs = orderedPairs(members.map(({ spec }) => spec.name)).map(
    ({ observer, target }): TrafficPair => ({ source: observer, target }),
  );
  if (!tools.traffic) {
    const none = skipped("No request was sent, for `traffic` is false.");
    for (const { spec } of members) run.judge("traffic.probe", { cluster: spec.name }, none);
    for (const pair of pairs) run.judge("pair.request", pair, none);
    return;
  }
  const probe: ProbeSpec = {
    namespace: `${PROBE_PREFIX}${randomBytes(4).toString("hex")}`,
    expires: new Date(Date.now() + LIFETIME),
  };
  const patience = () => tools.patience ?? (run.troubled ? PATIENCE_IN_TROUBLE : PATIENCE);
  const calls = callsPerPair(members.length);
  const begun: Member[] = [];
  try {
    const up = new Map(
      members.map((member) => [
        member.spec.name,
        (async () => {
          const seen = await seenOf(member);
          if (seen.answered) {
            if (begun.length === 0) tools.probing(probe.namespace);
            begun.push(member);
          }
          const finding = await run.timed("traffic", { cluster: member.spec.name }, () =>
            tryProbe(mesh, probe, member, seen, patience),
          );
          run.judge("traffic.probe", { cluster: member.spec.name }, finding);
          return finding.verdict === "passed" ? seen : undefined;
        })(),
      ]),
    );
    const settled = await Promise.allSettled(
      pairs.map(async (pair) => {
        const source = members.find(({ spec }) => spec.name === pair.source) as Member;
        const [from, to] = await Promise.all([up.get(pair.source), up.get(pair.target)]);
        const finding = await run.timed("traffic", pair, () =>
          request(mesh, patience(), calls, probe, pair, source, from, to),
        );
        run.judge("pair.request", pair, finding);
      }),
    );
    for (const each of settled) if (each.status === "rejected") throw each.reason;
  } finally {
    await remove(run, begun, probe.namespace, tools);
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

async function remove(run: Run, members: readonly Member[], namespace: string, tools: TrafficTools): Promise<void> {
  const gone = await Promise.all(
    members.map(async (member) => {
      try {
        return await removeFrom(member, namespace, tools);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        run.warn(
          `The probe's namespace ${namespace} could not be removed from ${member.spec.name}: ${error.message} kubectl delete namespace ${namespace}`,
        );
        return false;
      }
    }),
  );
  // Where it was not seen to be gone the post step tries again.
  if (gone.every(Boolean)) tools.probing(undefined);
}

/** @returns whether it was seen to be gone */
async function removeFrom(member: Member, namespace: string, tools: TrafficTools): Promise<boolean> {
  const { cluster, patient } = tools.lastly(member);
  if (cluster !== member.cluster) {
    return removeProbe(cluster, namespace, patient)
      .then(() => patient)
      .finally(() => cluster.close());
  }
  try {
    await removeProbe(cluster, namespace, patient);
    return patient;
  } catch (error) {
    // The run may have come to its deadline, or been cancelled, over this: then it is done by what outlives it.
    if (!(error instanceof Failure) || !tools.isOver()) throw error;
    return removeFrom(member, namespace, tools);
  }
}
