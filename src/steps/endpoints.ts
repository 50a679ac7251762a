import { type Comparison, compare, type Difference } from "../checks/comparison.ts";
import { endpointsAreHeld } from "../checks/endpoints.ts";
import { judged } from "../checks/finding.ts";
import { namesOfRunning, speaking } from "../checks/istiod.ts";
import type { Observation } from "../checks/observation.ts";
import { type Part, part, readable, unanswered } from "../checks/part.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type Offer, readHeld, readOffer } from "../facts/endpoints.ts";
import { Failure } from "../mesh/failure.ts";
import { type MeshSpec, orderedPairs, type RemotePair, shareNetwork } from "../mesh/spec.ts";
import type { Run } from "./run.ts";

/** Things move, and an istiod needs a moment to see it: a difference counts that is there so long. Milliseconds. */
const LASTING = 6_000;
/** istiod asks for a name that did not resolve again after half a minute. Milliseconds. */
const RESOLVED = 32_000;
/** Between looks, as a part of the time that a difference is to last. */
const PAUSE = 1 / 4;

type Of<T> = ReadonlyMap<string, T>;
/** By replica: what was compared, or why it could not be. */
type Compared = Of<Comparison | { readonly pod: string; readonly problem: Failure }>;

/** What the istiods hold of the other clusters, and what those have. */
export interface Comparisons {
  readonly offers: Of<Part<Offer>>;
  /** @returns by replica; throws the `Failure` that says why there is no comparison */
  of(pair: RemotePair): Compared;
}

const keyOf = ({ observer, target }: RemotePair) => `${observer} ${target}`;

/**
 * Compares what every replica of istiod holds of every other cluster with what that has, at the same time. What differs is
 * looked at again, and counts if it is so each time. Of what is read, which may be much, only the differences are kept.
 * @param named Services, as `namespace/name`, of which what is held is kept
 * @param lasting how long a difference must last, in milliseconds, where not the usual time
 */
export async function compareEndpoints(
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: (member: Member) => Promise<Observation>,
  named: readonly string[] = [],
  lasting = LASTING,
): Promise<Comparisons> {
  const byName = new Map(members.map((member) => [member.spec.name, member]));
  const member = (name: string) => byName.get(name) as Member;
  const names = [...byName.keys()];
  const seen = new Map(await Promise.all(members.map(async (each) => [each.spec.name, await seenOf(each)] as const)));
  const seenIn = (name: string) => seen.get(name) as Observation;
  const offers = new Map<string, Part<Offer>>();
  const found = new Map<string, Map<string, Comparison | { pod: string; problem: Failure }>>();
  /** Reads what these pairs are compared by. */
  const look = async (pairs: readonly RemotePair[]): Promise<void> => {
    const [observers, targets] = [
      new Set(pairs.map(({ observer }) => observer)),
      new Set(pairs.map(({ target }) => target)),
    ];
    for (const [name, offer] of await each([...targets], (name) =>
      seenIn(name).answeredAt ? part(readOffer(member(name).cluster)) : unanswered(name),
    ))
      offers.set(name, offer);
    await Promise.all(
      [...observers].map(async (observer) => {
        const its = pairs.filter((pair) => pair.observer === observer);
        const pods = namesOfRunning(speaking(readable(seenIn(observer).istiodPods) ?? []));
        await Promise.all(
          pods.map(async (pod) => {
            const held = await part(readHeld(member(observer).cluster, mesh.namespace, pod));
            for (const pair of its)
              note(pair, pod, () => {
                const rules = {
                  selectors: seenIn(observer).meshConfig().discoverySelectors,
                  kubernetesGateways: readable(seenIn(pair.target).kubernetesGateways) ?? [],
                  network: shareNetwork(mesh, pair.observer, pair.target)
                    ? undefined
                    : seenIn(pair.target).spec.network,
                  named,
                };
                return compare(pair.target, (offers.get(pair.target) as Part<Offer>)(), held(), rules);
              });
          }),
        );
      }),
    );
  };
  const note = (pair: RemotePair, pod: string, make: () => Comparison) => {
    const of = found.get(keyOf(pair)) ?? new Map();
    found.set(keyOf(pair), of);
    const before = of.get(pod);
    try {
      of.set(pod, lasted(before, make()));
    } catch (problem) {
      if (!(problem instanceof Failure)) throw problem;
      // What was seen once and cannot be looked at again is not known to last.
      of.set(pod, { pod, problem });
    }
  };
  const differing = (pairs: readonly RemotePair[]) =>
    pairs.filter((pair) => [...(found.get(keyOf(pair))?.values() ?? [])].some((one) => differencesOf(one).length > 0));

  const since = performance.now();
  let pairs = orderedPairs(names);
  await look(pairs);
  pairs = differing(pairs);
  let looked = performance.now();
  const [some] = members;
  if (pairs.length > 0 && some) {
    await some.cluster.poll("istiod to hold what the other clusters have", async (): Promise<Look<void>> => {
      const [pair] = pairs;
      const seenNow = { seen: `${pair?.observer} differs from what ${pair?.target} has` };
      if (performance.now() - looked < lasting * PAUSE) return seenNow;
      await look(pairs);
      looked = performance.now();
      pairs = differing(pairs);
      const names = pairs.every((one) => onlyUnresolved([...(found.get(keyOf(one))?.values() ?? [])]));
      const enough = names ? Math.max(lasting, lasting === LASTING ? RESOLVED : 0) : lasting;
      return pairs.length === 0 || looked - since >= enough ? { done: undefined } : seenNow;
    });
  }
  return {
    offers,
    of: (pair) => {
      // Which replicas there are must be known.
      seenIn(pair.observer).istiodPods();
      return found.get(keyOf(pair)) ?? new Map();
    },
  };
}

/** Notes of every ordered pair whether the observer's istiods hold what the target has. */
export async function judgeEndpoints(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: (member: Member) => Promise<Observation>,
  comparing: Promise<Part<Comparisons>>,
  traffic: boolean,
): Promise<void> {
  const seen = new Map(await Promise.all(members.map(async (each) => [each.spec.name, await seenOf(each)] as const)));
  const compared = await comparing;
  for (const pair of orderedPairs([...seen.keys()])) {
    const [observer, target] = [seen.get(pair.observer), seen.get(pair.target)] as [Observation, Observation];
    const finding = judged(() => {
      const comparisons = compared();
      const replicas = [...comparisons.of(pair).values()];
      const offer = (comparisons.offers.get(pair.target) as Part<Offer>)();
      return endpointsAreHeld(mesh, { observer, target, offer, replicas, traffic });
    });
    run.judge("remote.endpoints", pair, finding);
  }
}

/** A comparison with only those of its differences that were there before. */
function lasted(before: Comparison | { problem: Failure } | undefined, now: Comparison): Comparison {
  if (!before || "problem" in before) return now;
  const known = new Set(differencesOf(before).map(textOf));
  return { ...now, differences: now.differences.filter((each) => known.has(textOf(each))) };
}

const textOf = ({ kind, what }: Difference) => `${kind} ${what}`;

function differencesOf(one: Comparison | { problem: Failure }): readonly Difference[] {
  return "differences" in one ? one.differences : [];
}

function onlyUnresolved(all: readonly (Comparison | { problem: Failure })[]): boolean {
  return all.flatMap(differencesOf).every(({ kind }) => kind === "unresolved");
}

async function each<T>(names: readonly string[], read: (name: string) => T | Promise<T>): Promise<Map<string, T>> {
  return new Map(await Promise.all(names.map(async (name) => [name, await read(name)] as const)));
}
