import { rootCauses } from "../mesh/causes.ts";
import type { Left, Report } from "../mesh/report.ts";
import { count, listed } from "../mesh/words.ts";
import { escaped, prose, Room, table } from "./text.ts";

const LEFT_BYTES = 100_000;

/** What an uninstallation came to, and what it did, in words for one line of the log or the summary's headline. */
export function uninstallation(report: Report): { readonly end: string; readonly done: string } {
  const { clusters, checks, changes, left, mesh, result } = report;
  const removed = changes.filter(({ action }) => action === "deleted").length;
  const done = [
    removed > 0 ? `${count(removed, "object")} removed` : "nothing was removed",
    ...(left.length > 0 ? [`${left.length} left`] : []),
  ].join(", ");
  if (result !== "passed") return { end: `Not all of mesh ${mesh.id} could be removed`, done };
  const there = count(clusters.length, "cluster");
  if (checks.some(({ id }) => id === "uninstall.control-plane"))
    return {
      end: `${left.some(isControlPlane) ? "This action's part of mesh" : "Mesh"} ${mesh.id} is gone from ${there}`,
      done,
    };
  // Remote secrets that are not ours link the clusters as well as ours did.
  const linked = checks.some(({ id, warning }) => id === "uninstall.remote-secrets" && warning !== undefined);
  if (linked) return { end: `This action's links are gone from ${there}, and others are left`, done };
  return { end: `${there} ${clusters.length === 1 ? "is" : "are"} no longer linked`, done };
}

function isControlPlane({ kind }: Left): boolean {
  return kind === "Istio";
}

/** The headline's title and sentences. */
export function uninstallationHeadline(report: Report): { title: string; sentences: string[] } {
  const { end, done } = uninstallation(report);
  const sentence = `${done.charAt(0).toUpperCase()}${done.slice(1)}.`;
  if (report.result === "passed") return { title: `✅ ${escaped(end)}`, sentences: [sentence] };
  const causes = rootCauses(report.checks).length;
  const missing = report.clusters.filter(({ unreachable }) => unreachable).map(({ name }) => name);
  return {
    title: `❌ ${escaped(end)}`,
    sentences: [
      missing.length > 0 ? `${escaped(listed(missing))} could not be reached.` : "",
      `${count(causes, "root cause")}.`,
      sentence,
      "A new run goes on from here.",
    ],
  };
}

/** What was left on the clusters, each with why. */
export function leftObjects({ left }: Report): string {
  if (left.length === 0) return "";
  const rows = table(["Cluster", "Kind", "Object", "Why"], left, new Room(LEFT_BYTES), (object: Left) => [
    escaped(object.cluster),
    escaped(object.kind),
    escaped(object.namespace ? `${object.namespace}/${object.name}` : object.name),
    prose(object.why),
  ]);
  return `### Left because it is not this action's\n\n${rows}`;
}
