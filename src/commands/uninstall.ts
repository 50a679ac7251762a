import { uninstallRights } from "../checks/rights.ts";
import type { Member } from "../cluster/member.ts";
import { type Removal, takenDown } from "../mesh/pieces.ts";
import type { CheckRef } from "../mesh/report.ts";
import type { MeshSpec, UninstallScope } from "../mesh/spec.ts";
import { LOCK_CHECK, type Lock } from "../steps/lock.ts";
import { takeDown } from "../steps/removal.ts";
import type { Run } from "../steps/run.ts";
import { planStock, takeStock, type UninstallTools } from "../steps/stock.ts";

/**
 * Takes apart what `install` made, and nothing else: the table of pieces, backwards. No cluster stops being reachable before
 * all others have stopped reading it; beyond that, none waits for another.
 * @param scope `mesh`: the links between the clusters; `all`: the control planes and all else of ours, too
 */
export async function uninstall(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  scope: UninstallScope,
  lock: Lock,
  tools: UninstallTools,
): Promise<void> {
  run.plan(...planUninstall(mesh, scope));
  const stock = await lock.after(run, members, planStock(mesh), () =>
    takeStock(run, mesh, members, scope, uninstallRights(mesh, scope), tools, (member) => lock.look(member)),
  );
  if (!stock) return run.skipRest("The preflight found what must be mended first. Nothing was removed.");

  const taken = new Map<Removal, ReadonlyMap<Member, Promise<string | undefined>>>();
  for (const { id, after, afterAll } of takenDown(scope)) {
    // One that has gone out of reach meanwhile holds up nobody but itself.
    const everywhere = afterAll.flatMap((before) =>
      [...(taken.get(before) ?? [])].map(([{ spec }, done]) =>
        done.catch((error: unknown) => {
          if (!run.unreachable.includes(spec.name)) throw error;
          return undefined;
        }),
      ),
    );
    for (const each of everywhere) each.catch(() => {}); // told by the step itself
    const begin = (member: Member) =>
      after.map((before) => taken.get(before)?.get(member) as Promise<string | undefined>);
    taken.set(
      id,
      new Map(
        [...stock].map(([member, found]) => [
          member,
          takeDown(run, id, mesh, member, found, [...begin(member), ...everywhere]),
        ]),
      ),
    );
  }
  await Promise.allSettled([...taken.values()].flatMap((perCluster) => [...perCluster.values()]));
}

function planUninstall(mesh: MeshSpec, scope: UninstallScope): CheckRef[] {
  const ids = takenDown(scope).map(({ id }) => id);
  return [
    ...planStock(mesh),
    LOCK_CHECK,
    ...mesh.clusters.flatMap(({ name }) => ids.map((id): CheckRef => ({ id, subject: { cluster: name } }))),
  ];
}
