import type { Inventory } from "../checks/inventory.ts";
import { uninstallRights } from "../checks/rights.ts";
import type { Member } from "../cluster/member.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import type { CheckRef } from "../mesh/report.ts";
import type { MeshSpec, UninstallScope } from "../mesh/spec.ts";
import { planStock, takeStock, type UninstallTools } from "../steps/inventory.ts";
import { LOCK_CHECK, type Lock } from "../steps/lock.ts";
import {
  removeCni,
  removeControlPlane,
  removeNamespace,
  removeObjects,
  removeRemoteSecrets,
  removeRest,
} from "../steps/removal.ts";
import type { Run } from "../steps/run.ts";

/**
 * Takes apart what `install` made, and nothing else. No cluster stops being reachable before all others have stopped
 * reading it; beyond that, none waits for another.
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
  const reached = [...stock.keys()];
  const perCluster = <T>(begin: (member: Member, found: Inventory) => Promise<T>) => {
    const begun = new Map([...stock].map(([member, found]) => [member, begin(member, found)]));
    return (member: Member) => begun.get(member) as Promise<T>;
  };

  const probes = perCluster((member, { probes }) => removeObjects(run, "uninstall.probes", member, probes, []));
  const unlinked = perCluster((member, found) => removeRemoteSecrets(run, member, found));
  // One that has gone out of reach meanwhile holds up nobody.
  const allUnlinked = reached.map((member) =>
    unlinked(member).catch((error: unknown) => {
      if (!run.unreachable.includes(member.spec.name)) throw error;
    }),
  );
  for (const each of allUnlinked) each.catch(() => {});
  const access = perCluster((member, { access }) =>
    removeObjects(run, "uninstall.access", member, access, allUnlinked),
  );
  const exposure = perCluster((member, { exposures }) =>
    removeObjects(run, "uninstall.exposure", member, exposures, allUnlinked),
  );
  const ends = [probes, access, exposure];

  if (scope === "all") {
    const gateway = perCluster((member, { gateway }) =>
      removeObjects(run, "uninstall.gateway", member, gateway, [exposure(member)]),
    );
    const controlPlane = perCluster((member, found) => removeControlPlane(run, mesh, member, found, [gateway(member)]));
    const cni = perCluster((member, found) => removeCni(run, member, found, [controlPlane(member)]));
    // istiod reads its CA from what is among this: it goes after it, and only with it.
    const rest = perCluster((member, found) =>
      removeRest(run, mesh, member, found, [controlPlane(member), access(member)]),
    );
    const namespace = perCluster((member, found) => removeNamespace(run, mesh, member, found, rest(member)));
    ends.push(cni, namespace);
  }
  await Promise.allSettled(ends.flatMap((end) => reached.map(end)));
}

function planUninstall(mesh: MeshSpec, scope: UninstallScope): CheckRef[] {
  const ids: readonly CheckId[] = [
    "uninstall.remote-secrets",
    "uninstall.exposure",
    "uninstall.access",
    "uninstall.probes",
    ...(scope === "all"
      ? ([
          "uninstall.gateway",
          "uninstall.control-plane",
          "uninstall.cni",
          "uninstall.rest",
          "uninstall.namespace",
        ] as const)
      : []),
  ];
  return [
    ...planStock(mesh),
    LOCK_CHECK,
    ...mesh.clusters.flatMap(({ name }) => ids.map((id): CheckRef => ({ id, subject: { cluster: name } }))),
  ];
}
