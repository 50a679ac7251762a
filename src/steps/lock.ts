import type { Cluster, Look } from "../cluster/cluster.ts";
import { ApiError, Unreachable } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { LEASE, type Lease, lease } from "../mesh/objects/lease.ts";
import { describe } from "../mesh/objects/object.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type Run, reached } from "./run.ts";

/** After so long without a renewal a Lease is anybody's: its holder was killed. Milliseconds. */
export const LEASE_DURATION = 45_000;

/** What a run was seen to hold, or to have left, and since when it has been so by our own clock. */
interface Seen {
  readonly uid: string;
  readonly lease: Lease | undefined;
  readonly at: number;
}

interface Held {
  readonly member: Member;
  lease: Lease;
  /** When it was last seen to be ours. */
  at: number;
  renewing?: Promise<void> | undefined;
  lost?: string;
}

export interface LockOptions {
  /** Who holds, for people: the run's URL, or the host and the process. No two runs have the same. */
  readonly holder: string;
  /** Milliseconds. */
  readonly duration?: number;
  /** A connection to release by, which outlives the run's deadline. */
  lastly(member: Member): { readonly cluster: Cluster };
}

/** The check of `after`, for the run's plan. */
export const LOCK_CHECK: CheckRef = { id: "preflight.lease", subject: {} };

/**
 * One run at a time: a Lease in each cluster, held while a run writes. Whether a holder lives is seen by its renewals alone,
 * as client-go's leader election does: clocks of two machines are never compared.
 */
export class Lock {
  readonly #holder: string;
  readonly #duration: number;
  readonly #lastly: LockOptions["lastly"];
  readonly #seen = new Map<Member, Seen>();
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ holder, duration = LEASE_DURATION, lastly }: LockOptions) {
    this.#holder = holder;
    this.#duration = duration;
    this.#lastly = lastly;
  }

  /** To be called before a cluster is read: notes who holds it, and what was read is good as long as that is so. */
  async look(member: Member): Promise<void> {
    const { cluster } = member;
    const [found, uid] = await Promise.all([cluster.get<Lease>(LEASE), cluster.uid()]).catch((error: unknown) => {
      // A right that is missing is told by the check of rights.
      if (error instanceof ApiError && error.status === 403) return [undefined, undefined] as const;
      throw error;
    });
    if (uid) this.#note(member, uid, found);
  }

  /**
   * Looks, and takes the Leases of all clusters that can be reached. Looks again where another run held one meanwhile: what
   * was read while it wrote is not so any more, be it what stands in the way.
   * @param checks those of the look, for the run's plan
   */
  async after<T>(
    run: Run,
    members: readonly Member[],
    checks: readonly CheckRef[],
    look: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const first = await look();
    if (!first && ![...this.#seen.values()].some(({ lease }) => this.#isOthers(lease))) return undefined;
    const held = members.filter((member) => this.#seen.has(member) && !run.unreachable.includes(member.spec.name));
    const taken = await reached(
      run.step("preflight.lease", {}, [], async () => {
        const others = await this.#take(held);
        const where = held.map(({ spec }) => spec.name).join(", ");
        const waited = others.length > 0 ? ` It waited for ${[...new Set(others)].join(", ")}.` : "";
        return { value: others, evidence: `This run holds ${describe(LEASE)} in ${where}.${waited}` };
      }),
    );
    if (!taken) return undefined;
    run.guard = (cluster) => this.#guard(cluster);
    if (taken.length === 0) return first;
    run.again(checks);
    return look();
  }

  #note(member: Member, uid: string, lease: Lease | undefined): Seen {
    const before = this.#seen.get(member);
    const same = before && before.lease?.metadata.resourceVersion === lease?.metadata.resourceVersion;
    const seen = same ? before : { uid, lease, at: performance.now() };
    this.#seen.set(member, seen);
    return seen;
  }

  #isOthers(lease: Lease | undefined): lease is Lease {
    const { holderIdentity } = lease?.spec ?? {};
    return holderIdentity !== undefined && holderIdentity !== "" && holderIdentity !== this.#holder;
  }

  /**
   * All at once, where nobody else holds one. Else in the order of the clusters' UIDs, which is the same for every run: who
   * waits for one holds none behind it, so that no two wait for each other.
   * @returns who was in between
   */
  async #take(members: readonly Member[]): Promise<string[]> {
    const uid = (member: Member) => this.#seen.get(member)?.uid ?? "";
    const inOrder = members.toSorted((a, b) => (uid(a) < uid(b) ? -1 : 1));
    const tried = await Promise.all(
      inOrder.map((member) => {
        const seen = this.#seen.get(member) as Seen;
        return this.#isOthers(seen.lease) ? false : this.#write(member, seen.lease);
      }),
    );
    this.#timer ??= setInterval(() => void this.#renewAll(), this.#duration / 4).unref();
    const first = tried.indexOf(false);
    if (first < 0) return [];
    await Promise.all(inOrder.slice(first).map((member) => this.#release(member.spec.name, false)));
    const others: string[] = [];
    for (const member of inOrder.slice(first)) others.push(...(await this.#wait(member, uid(member))));
    return others.length > 0 ? others : ["another run"];
  }

  /** Waits until the cluster is nobody else's, and takes it. @returns who held it */
  #wait(member: Member, uid: string): Promise<string[]> {
    const { cluster } = member;
    const others = new Set<string>();
    return cluster.poll(`another run to be done with ${cluster.name}`, async (): Promise<Look<string[]>> => {
      const { lease, at } = this.#note(member, uid, await cluster.get<Lease>(LEASE));
      if (this.#isOthers(lease)) {
        const { holderIdentity = "", acquireTime = "", leaseDurationSeconds = 0 } = lease.spec;
        others.add(holderIdentity);
        if (performance.now() - at < leaseDurationSeconds * 1000) {
          return {
            seen: `${describe(LEASE)} is held by ${holderIdentity}, since ${acquireTime.slice(0, 19)}Z`,
            hint: `Let that run end, and run again. If there is no such run any more, the Lease is taken over ${leaseDurationSeconds} s after its last renewal; or: kubectl -n ${LEASE.namespace} delete lease ${LEASE.name}`,
          };
        }
      }
      return (await this.#write(member, lease)) ? { done: [...others] } : { seen: "another run was faster" };
    });
  }

  /** Writes our name into a Lease that is as it was seen. @returns whether it was so still */
  async #write(member: Member, found: Lease | undefined): Promise<boolean> {
    const { cluster, spec } = member;
    const object = lease(this.#holder, this.#duration, found);
    try {
      const written = found ? await cluster.update<Lease>(object) : await cluster.create<Lease>(object);
      this.#held.set(spec.name, { member, lease: written, at: performance.now() });
      return true;
    } catch (error) {
      if (!(error instanceof ApiError && (error.status === 409 || error.status === 404))) throw named(error, spec.name);
      // Where the answer to our own write was lost, it is ours.
      const now = await cluster.get<Lease>(LEASE);
      if (now?.spec.holderIdentity !== this.#holder) return false;
      this.#held.set(spec.name, { member, lease: now, at: performance.now() });
      return true;
    }
  }

  async #renewAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#renew(held)));
  }

  /** One that cannot be renewed for now may be the next time; one that is somebody else's is lost. */
  #renew(held: Held): Promise<void> {
    held.renewing ??= (async () => {
      const { cluster, spec } = held.member;
      try {
        const { renewTime } = lease(this.#holder, this.#duration, held.lease).spec;
        held.lease = await cluster.update<Lease>(
          strip({ ...held.lease, spec: { ...held.lease.spec, renewTime } as never }),
        );
        held.at = performance.now();
      } catch (error) {
        if (!(error instanceof ApiError && (error.status === 409 || error.status === 404))) return;
        const now = await cluster.get<Lease>(LEASE).catch(() => undefined);
        if (now?.spec.holderIdentity === this.#holder) {
          held.lease = now;
          held.at = performance.now();
        } else if (this.#held.get(spec.name) === held) {
          held.lost = now?.spec.holderIdentity || "nobody";
        }
      } finally {
        held.renewing = undefined;
      }
    })();
    return held.renewing;
  }

  /** Called before each write: throws a `Failure` where another run may be writing by now. */
  async #guard(cluster: string): Promise<void> {
    const held = this.#held.get(cluster);
    if (!held) return;
    // Where nothing was heard for so long, somebody else may have taken it.
    if (!held.lost && performance.now() - held.at > this.#duration) await this.#renew(held);
    if (held.lost || performance.now() - held.at > this.#duration) {
      throw new Failure(
        `This run has lost ${describe(LEASE)} in ${cluster}${held.lost ? `: it is held by ${held.lost}` : ", which it could not renew"}. It writes nothing more there.`,
        "Another run goes on with these clusters, as it seems. Let it end, and run this one again.",
      );
    }
  }

  /**
   * Gives back what is held. Never throws: what cannot be given back runs out.
   * @param remove leaves no Lease behind
   * @returns whether all was given back
   */
  async release(remove = false): Promise<boolean> {
    clearInterval(this.#timer);
    const released = await Promise.allSettled([...this.#held.keys()].map((name) => this.#release(name, remove)));
    return released.every(({ status }) => status === "fulfilled");
  }

  async #release(name: string, remove: boolean): Promise<void> {
    const held = this.#held.get(name);
    if (!held) return;
    this.#held.delete(name);
    await held.renewing;
    if (held.lost) return;
    const { cluster } = this.#lastly(held.member);
    try {
      if (remove) await cluster.delete(LEASE, held.lease.metadata.uid ?? "");
      else await cluster.update(strip({ ...held.lease, spec: { ...held.lease.spec, holderIdentity: "" } }));
    } finally {
      if (cluster !== held.member.cluster) await cluster.close();
    }
  }
}

/** With the cluster's name, where the error does not tell of a cluster by itself: the step is of all clusters. */
function named(error: unknown, cluster: string): unknown {
  if (!(error instanceof Failure) || error instanceof ApiError || error instanceof Unreachable) return error;
  return new Failure(`${cluster}: ${error.message}`, error.hint, { cause: error });
}

/** What is sent of an object that was read: not the API server's own notes of who wrote what. */
function strip({ metadata: { name, namespace, uid, resourceVersion }, ...rest }: Lease): Lease {
  return { ...rest, metadata: { name, ...{ namespace, uid, resourceVersion } } } as Lease;
}

/** Releases what a run that was killed holds still: its post step's. */
export async function releaseFor(cluster: Cluster, holder: string): Promise<void> {
  const found = await cluster.get<Lease>(LEASE);
  if (found?.spec.holderIdentity !== holder) return;
  await cluster.update(strip({ ...found, spec: { ...found.spec, holderIdentity: "" } }));
}
