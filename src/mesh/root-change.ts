// The change of a mesh's root of trust while it runs: where it stands, and what may be done next. What is seen decides, so a run
// that was cut off is gone on with by looking. What has to hold at any time, for all clusters: each proxy trusts the root of
// each certificate that some proxy shows. So
// - to trust one root more is always safe (phase 1);
// - a cluster may sign by the new root only once every proxy of every cluster trusts it (phase 2);
// - the old root may be taken out only once nothing signs by it, and no proxy shows a certificate of it (phase 3).
import { listed } from "./words.ts";

/** How far a cluster is: the old root alone; both are trusted, the old one signs; both, the new one signs; the new one alone. */
export type RootPhase = 0 | 1 | 2 | 3;

export const PHASE_WORDS: Readonly<Record<RootPhase, string>> = {
  0: "the old root alone is trusted",
  1: "both roots are trusted, and the old one signs",
  2: "both roots are trusted, and the new one signs",
  3: "the new root alone is trusted, and signs",
};

/** A proxy, as far as it takes part: those of gateways between the networks pass on what they cannot read, and do not. */
export interface ProxyTrust {
  /** `namespace/pod` */
  readonly name: string;
  /** Whether it trusts the new root. `undefined`: not known. */
  readonly trusts: boolean | undefined;
  /** Whether its own certificate is of the new root. `undefined`: not known. */
  readonly renewed: boolean | undefined;
  /** When it will have asked for a certificate anew, and learned of the roots by that. `undefined`: not known. */
  readonly by: Date | undefined;
}

export interface ClusterRoots {
  readonly cluster: string;
  /** By its Secret: whether the new root is among those that are trusted, and whether others are. */
  readonly holds: { readonly fresh: boolean; readonly others: boolean };
  /** By its Secret: whether what signs is of the new root. */
  readonly signsFresh: boolean;
  /** Since when every replica of istiod serves what the Secret holds; `undefined`: not all do, or that is not known. */
  readonly served: Date | undefined;
  readonly proxies: readonly ProxyTrust[];
}

/** How far a cluster is by what its Secret holds; `undefined`: what signs there is not trusted there. */
export function phaseOf({ holds, signsFresh }: Pick<ClusterRoots, "holds" | "signsFresh">): RootPhase | undefined {
  if (signsFresh) return holds.fresh ? (holds.others ? 2 : 3) : undefined;
  return holds.others ? (holds.fresh ? 1 : 0) : undefined;
}

/**
 * What may be done in a cluster now. `trust`: the new root is added to those that are trusted. `serve`: what the Secret holds is
 * brought into effect. `sign`: the new root signs. `forget`: all others are taken out.
 */
export type RootMove =
  | { readonly cluster: string; readonly does: "trust" | "serve" | "sign" | "forget" | "nothing" }
  | { readonly cluster: string; readonly does: "wait"; readonly for: string; readonly until: Date | undefined };

/**
 * How long a kubelet may take to bring the ConfigMap with the roots into a pod, by which its proxy knows istiod: its own sync of
 * a minute and a half at most, and some (pkg/kubelet, syncFrequency and podWorkers' jitter). Milliseconds.
 */
export const KUBELET = 100_000;

/** What may be done in each cluster, in their order. @param kubelet see `KUBELET` */
export function rootMoves(clusters: readonly ClusterRoots[], now: Date, kubelet = KUBELET): RootMove[] {
  return clusters.map((each): RootMove => {
    const { cluster } = each;
    const phase = phaseOf(each);
    if (phase === undefined) return { cluster, does: "nothing" };
    if (!each.served) return { cluster, does: "serve" };
    if (phase === 0) return { cluster, does: "trust" };
    if (phase === 3) return { cluster, does: "nothing" };
    const waits = waiting(clusters, phase, now, kubelet);
    return waits ? { cluster, does: "wait", ...waits } : { cluster, does: phase === 1 ? "sign" : "forget" };
  });
}

/** Whether nothing is left to be done. */
export function isOver(moves: readonly RootMove[]): boolean {
  return moves.every(({ does }) => does === "nothing");
}

/** What keeps clusters of this phase from the next one: other clusters, and proxies in all of them. */
function waiting(
  clusters: readonly ClusterRoots[],
  phase: 1 | 2,
  now: Date,
  kubelet: number,
): { for: string; until: Date | undefined } | undefined {
  const behind = clusters.filter((each) => (phaseOf(each) ?? 0) < phase || !each.served);
  if (behind.length > 0)
    return { for: `${listed(behind.map(({ cluster }) => cluster))} to come as far`, until: undefined };
  const late = clusters.flatMap((each) => {
    // Where the next phase has begun, all were known to be done: what does not say any more does not count against it.
    const isPast = phaseOf(each) !== phase;
    const isLate = ({ trusts, renewed }: ProxyTrust) => {
      const done = phase === 1 ? trusts : renewed;
      return isPast ? done === false : done !== true;
    };
    return each.proxies.filter(isLate).map((proxy) => ({ cluster: each.cluster, proxy }));
  });
  if (late.length > 0) {
    const times = late.map(({ proxy }) => proxy.by);
    const until = times.every((by) => by !== undefined)
      ? new Date(Math.max(...times.map((by) => (by as Date).getTime())))
      : undefined;
    const where = [...Map.groupBy(late, ({ cluster }) => cluster)].map(([cluster, of]) => {
      const names = of.slice(0, 3).map(({ proxy }) => proxy.name);
      return `${names.join(", ")}${of.length > names.length ? ` and ${of.length - names.length} more` : ""} in ${cluster}`;
    });
    const what = phase === 1 ? "learn of the new root" : "get certificates of the new root";
    return { for: `proxies to ${what}, which they do when they renew their certificates: ${where.join("; ")}`, until };
  }
  if (phase === 2) return undefined;
  const last = Math.max(
    ...clusters.filter((each) => phaseOf(each) === 1).map(({ served }) => (served as Date).getTime()),
  );
  const until = new Date(last + kubelet);
  return until > now
    ? { for: "kubelets to bring the new root into all pods, by which proxies know istiod", until }
    : undefined;
}

/** When it is worth to look again; `undefined`: nothing is waited for, or until when is not known. */
export function nextLook(moves: readonly RootMove[]): Date | undefined {
  const times = moves.flatMap((move) => (move.does === "wait" && move.until ? [move.until.getTime()] : []));
  return times.length > 0 ? new Date(Math.max(...times)) : undefined;
}

/** A workload's certificate as istiod issues it where nobody says otherwise (security/pkg/pki/ca). Milliseconds. */
export const DEFAULT_TTL = 24 * 3_600_000;
/** What istiod sets the beginning of a certificate back by, for clocks that are behind (security/pkg/pki/util). Milliseconds. */
const BACKDATED = 120_000;

/**
 * When a proxy will have renewed a certificate: at half of its time, give or take a hundredth of it
 * (security/pkg/nodeagent/cache, rotateTime), and a moment.
 * @param ttl how long certificates are good for, in milliseconds
 * @param issued at the latest
 */
export function renewedBy(issued: Date, ttl: number): Date {
  return new Date(issued.getTime() + ttl * 0.51 + 10_000);
}

/** The same of a certificate that was seen. */
export function renewalOf({ validFromDate, validToDate }: { validFromDate: Date; validToDate: Date }): Date {
  const issued = new Date(validFromDate.getTime() + BACKDATED);
  return renewedBy(issued, validToDate.getTime() - issued.getTime());
}
