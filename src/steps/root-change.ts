// Leads a mesh that runs from one root of trust to another, as far as that can be done now.
import { ISTIOD } from "../checks/istiod.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { Failure } from "../mesh/failure.ts";
import { isOver, nextLook, PHASE_WORDS, type RootMove, rootMoves } from "../mesh/root-change.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { restartLate } from "./late-workloads.ts";
import { act } from "./root-serve.ts";
import { type ChangeTimes, type Seen, TIMES, View } from "./root-view.ts";
import type { Run } from "./run.ts";

/** How a change ended, for this run. */
export type RootChange = { readonly over: true } | { readonly over: false; readonly next: Date };

export interface ChangeTools {
  /** Milliseconds until the run's deadline. */
  readonly left: () => number;
  readonly times?: Partial<ChangeTimes> | undefined;
}

/** What a run keeps of its time for what comes after a wait. Milliseconds. */
const RESERVE = 90_000;
/** What a move takes beside, so that it is only begun where it can be brought to its end. Milliseconds. */
const MOVE = 30_000;
/** How often it is looked at proxies again. Milliseconds. */
const AGAIN = 10_000;
/** When it is looked again where nothing says until when to wait. Milliseconds. */
const LATER = 15 * 60_000;
/** Makes the moves that may be made now, in all clusters, until the change is over or has to wait for longer. */
export function changeRoot(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  root: RootCa,
  tools: ChangeTools,
): Promise<RootChange> {
  const times = { ...TIMES, ...tools.times };
  return run.step<RootChange>("install.root-change", {}, [], async (step) => {
    const [fresh] = readableIn(root.certificate);
    if (!fresh) throw new Error("the provided root cannot be read");
    const views = members.map((member) => new View(mesh, member, fresh, times));
    /** Until when pods are waited for that take the place of others. */
    let rollouts = 0;
    const restarted = async (seen: readonly Seen[]): Promise<boolean> => {
      const namespaces = mesh.trust.restart ?? [];
      const counts = await Promise.all(
        views.map((view, i) => {
          const { phase, served, proxies = [] } = seen[i] as Seen;
          const late = proxies.filter(({ trusts, renewed }) => (phase === 1 ? trusts : renewed) !== true);
          const names = late.map(({ name }) => name);
          return served ? named(view.member, restartLate(step, view, namespaces, names, served)) : 0;
        }),
      );
      return counts.some((count) => count > 0);
    };
    for (;;) {
      const seen = await Promise.all(views.map((view) => named(view.member, view.look())));
      const moves = rootMoves(seen, new Date(), times.kubelet);
      const told = standingOf(seen, fresh);
      if (isOver(moves)) return { value: { over: true }, evidence: told };
      const of = (does: RootMove["does"]) => views.filter((_, i) => moves[i]?.does === does);
      const together = [...of("trust"), ...of("serve")];
      // What may cut connections, were it wrong, is done in one cluster after the other.
      const next = together.length > 0 ? together : [...of("sign"), ...of("forget")].slice(0, 1);
      if (next.length > 0 && tools.left() < times.reload + MOVE) {
        const evidence = `${told} There is too little of the run's time left for the next move; the next run goes on from here.`;
        return { value: { over: false, next: new Date() }, evidence };
      }
      if (next.length > 0) {
        // What signs in another cluster may be trusted here, too.
        const old = [...new Set(views.flatMap((view) => view.old))];
        await Promise.all(
          next.map((view) => {
            const move = moves[views.indexOf(view)] as RootMove;
            return named(view.member, act(step, view, move.does, root, old));
          }),
        );
        continue;
      }
      if (await restarted(seen)) {
        rollouts = performance.now() + times.waited;
        continue;
      }
      const until = nextLook(moves);
      const waits = moves.flatMap((move) => (move.does === "wait" && move.until ? [move.for] : []));
      const what = waits[0] ?? moves.flatMap((move) => (move.does === "wait" ? [move.for] : []))[0] ?? "";
      const wait = (until?.getTime() ?? Number.POSITIVE_INFINITY) - Date.now();
      const isSoon = wait < times.waited || performance.now() < rollouts;
      if (isSoon && Math.min(wait, AGAIN) < tools.left() - RESERVE) {
        await pause(views[0] as View, what, Math.min(Math.max(wait, 1000), AGAIN));
        continue;
      }
      const at = new Date(Math.ceil((until?.getTime() ?? Date.now() + LATER) / 1000) * 1000);
      const evidence = `${told} It waits for ${what}. The next run goes on from here, after ${at.toISOString()}.`;
      return { value: { over: false, next: at }, evidence };
    }
  });
}

const MEANS: Readonly<Record<"trust" | "serve" | "sign" | "forget", string>> = {
  trust: "It would hold the old root and the new one.",
  serve: "It is as it is wanted; istiod would be seen to, until it goes by it.",
  sign: "It would hold an intermediate of the new root, which istiod takes up by itself.",
  forget: "It would hold the new root alone.",
};

/** Says, for each cluster, what the next move of a change of the root would be. Nothing is written. */
export async function planRootChange(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  root: RootCa,
): Promise<void> {
  const [fresh] = readableIn(root.certificate);
  if (!fresh) return;
  const looks = members.map((member) => new View(mesh, member, fresh, TIMES));
  const all = Promise.all(looks.map((view) => named(view.member, view.look())));
  all.catch(() => {}); // told by each step
  await Promise.allSettled(
    looks.map(({ member }, i) =>
      run.step("plan.objects", { cluster: member.spec.name }, [], async (step) => {
        const seen = await all;
        const move = rootMoves(seen, new Date())[i] as RootMove;
        const stands = standingOf([seen[i] as Seen], fresh);
        if (move.does === "nothing") return { value: undefined, evidence: stands };
        if (move.does === "wait") return { value: undefined, evidence: `${stands} It would wait for ${move.for}.` };
        const secret = { apiVersion: "v1", kind: "Secret", namespace: mesh.namespace, name: "cacerts" };
        const isThere = (await member.cluster.get(secret)) !== undefined;
        step.would(member.cluster, { ...secret, action: isThere ? "updated" : "created", note: MEANS[move.does] });
        if (move.does !== "sign") {
          const query = { apiVersion: "apps/v1", kind: "Deployment", namespace: mesh.namespace, labelSelector: ISTIOD };
          for (const { metadata } of await member.cluster.list(query)) {
            const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: mesh.namespace, name: metadata.name };
            step.would(member.cluster, { ...ref, action: "updated", note: "It would be restarted." });
          }
        }
        return { value: undefined, evidence: `${stands} ${MEANS[move.does]}` };
      }),
    ),
  );
}

/** Where each cluster stands, in words. */
function standingOf(seen: readonly Seen[], fresh: { fingerprint256: string }) {
  const byPhase = [...Map.groupBy(seen, ({ phase }) => phase ?? 0)].sort(([a], [b]) => a - b);
  const words = byPhase.map(([phase, of]) => {
    const where = of.map(({ cluster }) => cluster).join(", ");
    return phase === 3 ? `${where}: ${PHASE_WORDS[3]}` : `${where}: phase ${phase} of 3, ${PHASE_WORDS[phase]}`;
  });
  const sha256 = fresh.fingerprint256.replaceAll(":", "").toLowerCase();
  return `The change to the root with SHA-256 ${sha256}: ${words.join("; ")}.`;
}

/** What goes wrong is told with the cluster's name: the step is of all of them. */
async function named<T>({ spec }: Member, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Failure) || error.message.includes(spec.name)) throw error;
    throw new Failure(`${spec.name}: ${error.message}`, error.hint, { cause: error });
  }
}

/** Waits, and says for what. */
async function pause({ member }: View, what: string, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  await member.cluster.poll(
    what,
    async (): Promise<Look<void>> =>
      performance.now() >= end ? { done: undefined } : { seen: "not all of them have" },
  );
}
