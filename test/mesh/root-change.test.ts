import { describe, expect, it, test } from "vitest";
import {
  type ClusterRoots,
  isOver,
  KUBELET,
  nextLook,
  type ProxyTrust,
  phaseOf,
  renewalOf,
  rootMoves,
} from "../../src/mesh/root-change.ts";

const NOW = new Date("2026-11-30T12:00:00Z");
const at = (seconds: number) => new Date(NOW.getTime() + seconds * 1000);
const EARLIER = at(-3600);

/** A cluster in a phase, all of whose istiods serve it, and whose proxies are done unless said otherwise. */
function cluster(name: string, phase: 0 | 1 | 2 | 3, more: Partial<ClusterRoots> = {}): ClusterRoots {
  return {
    cluster: name,
    holds: { fresh: phase > 0, others: phase < 3 },
    signsFresh: phase >= 2,
    served: EARLIER,
    proxies: [proxy(true)],
    ...more,
  };
}
const proxy = (done: boolean | undefined, by: Date | undefined = undefined): ProxyTrust => ({
  name: "apps/web",
  trusts: done,
  renewed: done,
  by,
});
const moves = (...clusters: ClusterRoots[]) => rootMoves(clusters, NOW).map(({ does }) => does);

test.each([
  ["the old root alone", { fresh: false, others: true }, false, 0],
  ["both, the old one signs", { fresh: true, others: true }, false, 1],
  ["both, the new one signs", { fresh: true, others: true }, true, 2],
  ["the new root alone", { fresh: true, others: false }, true, 3],
  ["signs by what it does not hold", { fresh: false, others: true }, true, undefined],
  ["holds what does not sign", { fresh: true, others: false }, false, undefined],
] as const)("the phase of a Secret: %s", (_, holds, signsFresh, phase) => {
  expect(phaseOf({ holds, signsFresh })).toBe(phase);
});

describe("the next move", () => {
  test.each<[string, ClusterRoots[], string[]]>([
    ["begins in all clusters at once", [cluster("a", 0), cluster("b", 0)], ["trust", "trust"]],
    ["of one that is behind", [cluster("a", 1), cluster("b", 0)], ["wait", "trust"]],
    ["is to serve what was written", [cluster("a", 1, { served: undefined }), cluster("b", 1)], ["serve", "wait"]],
    ["signs once all trust", [cluster("a", 1), cluster("b", 1)], ["sign", "sign"]],
    ["not while a proxy does not", [cluster("a", 1), cluster("b", 1, { proxies: [proxy(false)] })], ["wait", "wait"]],
    [
      "not while one is not known",
      [cluster("a", 1, { proxies: [proxy(undefined)] }), cluster("b", 1)],
      ["wait", "wait"],
    ],
    ["not while kubelets may be late", [cluster("a", 1, { served: at(-10) }), cluster("b", 1)], ["wait", "wait"]],
    ["one signs, the other may", [cluster("a", 2), cluster("b", 1)], ["wait", "sign"]],
    ["one has just begun to sign", [cluster("a", 2, { served: NOW }), cluster("b", 1)], ["wait", "sign"]],
    [
      "one signs, and its proxies do not say any more whether they trust",
      [cluster("a", 2, { proxies: [proxy(undefined)] }), cluster("b", 1)],
      ["wait", "sign"],
    ],
    [
      "one signs too early",
      [cluster("a", 2, { proxies: [{ ...proxy(true), trusts: false }] }), cluster("b", 1)],
      ["wait", "wait"],
    ],
    ["one signs, and does not serve it", [cluster("a", 2, { served: undefined }), cluster("b", 1)], ["serve", "wait"]],
    ["forgets once all have certificates", [cluster("a", 2), cluster("b", 2)], ["forget", "forget"]],
    [
      "not while a proxy has an old one",
      [cluster("a", 2, { proxies: [proxy(false)] }), cluster("b", 2)],
      ["wait", "wait"],
    ],
    ["one has forgotten", [cluster("a", 3), cluster("b", 2)], ["nothing", "forget"]],
    ["is none in the end", [cluster("a", 3), cluster("b", 3)], ["nothing", "nothing"]],
    ["serves the last write, too", [cluster("a", 3, { served: undefined }), cluster("b", 3)], ["serve", "nothing"]],
    ["begins beside one that is done", [cluster("a", 3), cluster("b", 0)], ["nothing", "trust"]],
  ])("%s", (_, clusters, expected) => {
    expect(moves(...clusters)).toEqual(expected);
  });

  it("says what it waits for, and until when", () => {
    const waiting = rootMoves(
      [cluster("a", 1, { proxies: [proxy(false, at(60)), proxy(false, at(90))] }), cluster("b", 1)],
      NOW,
    );
    expect(waiting[0]).toMatchObject({ for: expect.stringMatching(/learn of the new root.*apps\/web.*in a/) });
    expect(nextLook(waiting)).toEqual(at(90));
    const kubelets = rootMoves([cluster("a", 1, { served: NOW })], NOW);
    expect(nextLook(kubelets)).toEqual(new Date(NOW.getTime() + KUBELET));
  });

  it("does not know until when where a proxy does not say", () => {
    expect(nextLook(rootMoves([cluster("a", 1, { proxies: [proxy(false)] })], NOW))).toBeUndefined();
  });
});

test("a certificate is renewed by a little more than half of its time, which is counted from when it was issued", () => {
  const issued = new Date("2026-11-30T00:00:00Z");
  const leaf = {
    validFromDate: new Date(issued.getTime() - 120_000),
    validToDate: new Date(issued.getTime() + 86_400_000),
  };
  expect(renewalOf(leaf).getTime() - issued.getTime()).toBe(86_400_000 * 0.51 + 10_000);
});

/** Clusters whose istiods and proxies do what they do, in an order that chance picks. */
class Model {
  readonly #random: () => number;
  readonly clusters: {
    secret: Secret;
    served: boolean;
    replicas: Secret[];
    proxies: { roots: ReadonlySet<string>; leaf: string }[];
  }[];

  constructor(random: () => number, olds: readonly string[]) {
    this.#random = random;
    this.clusters = olds.map((old) => {
      const secret = { roots: new Set(olds), signer: old };
      const proxies = Array.from({ length: 3 }, () => ({ roots: secret.roots, leaf: old }));
      return { secret, served: true, replicas: [secret, secret], proxies };
    });
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }

  /** Something that happens by itself: a replica starts, or takes a new intermediate up; a proxy renews, or is another. */
  happen(): void {
    const each = this.#pick(this.clusters);
    const which = Math.floor(this.#random() * each.replicas.length);
    const what = this.#random();
    if (what < 0.3) {
      each.replicas[which] = each.secret;
    } else if (what < 0.5) {
      const replica = each.replicas[which] as Secret;
      const same =
        replica.roots.size === each.secret.roots.size &&
        [...replica.roots].every((root) => each.secret.roots.has(root));
      if (same) each.replicas[which] = each.secret;
    } else {
      const { roots, signer } = this.#pick(each.replicas);
      each.proxies[Math.floor(this.#random() * each.proxies.length)] = { roots, leaf: signer };
    }
  }

  seen(fresh: string): ClusterRoots[] {
    return this.clusters.map(({ secret, served, proxies }, i) => ({
      cluster: `c${i}`,
      holds: { fresh: secret.roots.has(fresh), others: [...secret.roots].some((root) => root !== fresh) },
      signsFresh: secret.signer === fresh,
      served: served ? EARLIER : undefined,
      proxies: proxies.map(({ roots, leaf }, n) => ({
        name: `p${n}`,
        trusts: roots.has(fresh),
        renewed: leaf === fresh,
        by: undefined,
      })),
    }));
  }

  /** A run does some of what may be done, and is cut off anywhere. @returns whether nothing is left */
  run(fresh: string): boolean {
    const next = rootMoves(this.seen(fresh), NOW);
    next.forEach(({ does }, i) => {
      const each = this.clusters[i] as Model["clusters"][number];
      const { roots, signer } = each.secret;
      if (this.#random() < 0.3) return;
      if (does === "trust") each.secret = { roots: new Set([...roots, fresh]), signer };
      if (does === "sign") each.secret = { roots, signer: fresh };
      if (does === "forget") each.secret = { roots: new Set([fresh]), signer };
      if (does === "trust" || does === "sign" || does === "forget") each.served = false;
      if (does !== "serve") return;
      each.replicas = each.replicas.map((replica) => (this.#random() < 0.7 ? each.secret : replica));
      each.served = each.replicas.every((replica) => replica === each.secret);
    });
    return isOver(next);
  }

  /** What has to hold at any time. */
  broken(): string | undefined {
    const leaves = new Set(this.clusters.flatMap(({ proxies }) => proxies.map(({ leaf }) => leaf)));
    for (const [i, { proxies }] of this.clusters.entries())
      for (const { roots } of proxies)
        for (const leaf of leaves) if (!roots.has(leaf)) return `c${i} trusts ${[...roots]} and is shown ${leaf}`;
    return undefined;
  }
}
interface Secret {
  readonly roots: ReadonlySet<string>;
  readonly signer: string;
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe("whatever happens in between, and wherever runs are cut off", () => {
  test.each([
    ["one root", ["A", "A"]],
    ["a root each, trusted by all", ["A", "B", "C"]],
    ["one is done already", ["A", "A", "P"]],
  ])("every proxy trusts what it is shown, and the change comes to its end: %s", (_, olds) => {
    for (let seed = 1; seed <= 300; seed++) {
      const model = new Model(seeded(seed), olds);
      let over = false;
      for (let turn = 0; turn < 600 && !over; turn++) {
        if (turn % 4 === 0) over = model.run("P");
        else model.happen();
        expect(model.broken(), `seed ${seed}, turn ${turn}`).toBeUndefined();
        const phases = model.seen("P").map((each) => phaseOf(each) ?? -1);
        if (!olds.includes("P")) expect(Math.max(...phases) - Math.min(...phases)).toBeLessThanOrEqual(1);
      }
      expect(over, `seed ${seed}`).toBe(true);
    }
  });
});
