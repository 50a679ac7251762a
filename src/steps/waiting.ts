// Clusters that have the mesh's names, and are not joined before their workloads have its network.
import { CHECKS, type CheckId } from "../mesh/catalogue.ts";
import { clustersOf } from "../mesh/report.ts";
import type { Run } from "./run.ts";

/** The steps by which a cluster is joined. */
const JOINING: ReadonlySet<CheckId> = new Set<CheckId>([
  "install.gateway-address",
  "install.exposure",
  "install.gateway-service",
  "install.gateway-available",
  "install.reader",
  "install.remote-secret",
  "install.synced",
]);
const JOINED = ["gateway", "remote", "service"];

/** Notes that a cluster waits: what makes it, and shows it to be, a part of the mesh need not be there. */
export function excuseWaiting(run: Run, name: string): void {
  run.clusterReport(name).waits = true;
  run.excuse(
    `${name} is not joined yet: there are pods whose proxies have no network, and are to be restarted first.`,
    ({ id, subject }) =>
      clustersOf(subject).includes(name) &&
      (JOINING.has(id) || id === "pair.request" || (JOINED.includes(CHECKS[id].category) && id !== "remote.strangers")),
  );
}

/** Leaves out, of clusters that wait, all by which they would be joined. */
export function leaveOut(run: Run, names: readonly string[]): void {
  for (const name of names) excuseWaiting(run, name);
  run.skipRest("", ({ id, subject }) => JOINING.has(id) && clustersOf(subject).some((each) => names.includes(each)));
}
