import { type Inventory, ownCniNamespace, takeInventory } from "../checks/inventory.ts";
import * as checks from "../checks/preflight.ts";
import { noReaders } from "../checks/readers.ts";
import type { AnyCall } from "../checks/remote-access.ts";
import { contentsRight, giveBackRights, type Right } from "../checks/rights.ts";
import type { Member } from "../cluster/member.ts";
import { cniNamespaceName } from "../mesh/objects/cni.ts";
import { type CheckRef, clustersOf } from "../mesh/report.ts";
import type { MeshSpec, UninstallScope } from "../mesh/spec.ts";
import { toOutcome } from "./preflight.ts";
import { type Run, reached } from "./run.ts";

/** What an uninstallation is told, and asks by. */
export interface UninstallTools {
  /** Clusters outside the list that are no more, by what the user says. */
  readonly gone: readonly string[];
  readonly call: AnyCall;
}

/** The steps of `takeStock`, for the run's plan. */
export function planStock(mesh: MeshSpec): CheckRef[] {
  const ids = ["preflight.api", "preflight.rights", "preflight.read", "preflight.readers"] as const;
  return mesh.clusters.flatMap(({ name }) => ids.map((id): CheckRef => ({ id, subject: { cluster: name } })));
}

/**
 * Looks at what there is in every cluster, all at once, and changes nothing. A cluster that cannot be read does not keep
 * the others from being taken apart, for it may never come back; a right that is missing does, for it can be granted.
 * @returns what was found, by cluster, or `undefined` where a right is missing, or a cluster would still be read
 */
export async function takeStock(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  scope: UninstallScope,
  rights: readonly Right[],
  { gone, call }: UninstallTools,
  first: (member: Member) => Promise<void>,
): Promise<ReadonlyMap<Member, Inventory> | undefined> {
  const found = await Promise.all(members.map((member) => look(run, mesh, member, scope, rights, first)));
  if (found.includes("refused")) return undefined;
  const stock = new Map(members.flatMap((member, i) => (found[i] ? [[member, found[i] as Inventory] as const] : [])));
  const byName = new Map([...stock].map(([{ spec }, inventory]) => [spec.name, inventory]));
  const unread = [...stock.keys()].map(({ spec: { name } }) =>
    reached(
      run.step("preflight.readers", { cluster: name }, [], async () => ({
        ...toOutcome(await noReaders(mesh, name, byName, gone, call)),
        value: true,
      })),
    ),
  );
  return (await Promise.all(unread)).every(Boolean) ? stock : undefined;
}

async function look(
  run: Run,
  mesh: MeshSpec,
  member: Member,
  scope: UninstallScope,
  wanted: readonly Right[],
  first: (member: Member) => Promise<void>,
): Promise<Inventory | "refused" | undefined> {
  const { spec, cluster } = member;
  const subject = { cluster: spec.name };
  const api = run.step("preflight.api", subject, [], async () => {
    const value = await cluster.version();
    await first(member);
    return { value, evidence: `Kubernetes ${value} answers at ${cluster.server}.` };
  });
  // Read beside the check of rights, but told after it: what may not be read is said once, as a right that is missing.
  const reading = api.then(() => takeInventory(mesh, scope, member));
  reading.catch(() => {});
  const rights = run.step("preflight.rights", subject, [api], async () => {
    // Where the plugin's namespace is not ours, nobody looks into it.
    const cni = scope === "all" && (await ownCniNamespace(mesh, cluster));
    const adopted = (await reading.catch(() => undefined))?.adopted ?? [];
    const more = [
      ...(cni ? [contentsRight(cniNamespaceName(mesh))] : []),
      ...(adopted.length > 0 ? giveBackRights() : []),
    ];
    const finding = await checks.checkRights([...wanted, ...more], member);
    return { ...toOutcome(finding), value: true };
  });
  const read = run.step("preflight.read", subject, [rights], async () => {
    const value = await reading;
    const { found, strangers } = value;
    // The namespace is looked at when it is its turn.
    const number = [...found].filter(([id]) => id !== "uninstall.namespace").flatMap(([, objects]) => objects).length;
    return {
      value,
      evidence: `Of what was found ${number} are this action's and go, ${strangers.length} are like them and stay.`,
    };
  });
  const version = await reached(api);
  if (version) run.clusterReport(spec.name).kubernetesVersion = version;
  const allowed = await reached(rights);
  const inventory = await reached(read);
  if (inventory) {
    for (const { ref, why } of inventory.strangers) run.leave("preflight", spec.name, ref, why);
    return inventory;
  }
  run.skipRest("The cluster could not be read.", (planned) => clustersOf(planned.subject).includes(spec.name));
  return version && !allowed ? "refused" : undefined;
}
