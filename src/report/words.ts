import type { CheckId } from "../mesh/catalogue.ts";
import { type Check, clustersOf, type Report, type Subject, subjectName } from "../mesh/report.ts";
import { count, listed } from "../mesh/words.ts";

/** Where something was found, compactly: pairs with one end in common are told by it. */
export function places(subjects: readonly Subject[]): string {
  const pairs = subjects.map(clustersOf);
  const [firsts, seconds] = [0, 1].map((end) => pairs.map((pair) => pair[end] ?? ""));
  if (!firsts || !seconds || pairs.some((pair) => pair.length !== 2)) return listed(subjects.map(subjectName));
  const one = (ends: readonly string[]) => new Set(ends).size === 1;
  if (one(firsts) || one(seconds)) return `${listed(firsts)} → ${listed(seconds)}`;
  return listed(subjects.map(subjectName));
}

/** Where a root cause is: its subjects and, of a check about the mesh, the clusters that it names. */
export function whereabouts(subjects: readonly Subject[], { subject, clusters = [] }: Check): string {
  const ofMesh = clustersOf(subject).length === 0;
  return ofMesh && clusters.length > 0 ? `${places(subjects)} (${listed(clusters)})` : places(subjects);
}

/** ` in cluster1`, after the name of a check; of one about the mesh there is nothing to add. */
export function inWhat(subject: Subject): string {
  return clustersOf(subject).length === 0 ? "" : ` in ${subjectName(subject)}`;
}

/** Whether nothing was begun, for the preflight found what must be mended first. */
export function endedEarly({ checks }: Report): boolean {
  return checks.every(({ phase, verdict }) => phase === "preflight" || verdict === "skipped");
}

/** Where an installation went on without clusters: which those are, and what was done for the others. Else nothing. */
export function goneOnWithout(report: Report): string {
  const missing = report.clusters.filter(({ unreachable }) => unreachable).map(({ name }) => name);
  if (missing.length === 0 || endedEarly(report) || report.command === "plan") return "";
  const done = report.clusters.filter(({ unreachable }) => !unreachable).map(({ name }) => servedAs(report, name));
  return `${listed(missing)} could not be reached. Without ${missing.length === 1 ? "it" : "them"}: ${listed(done)}.`;
}

function servedAs({ checks, changes, clusters }: Report, name: string): string {
  const missing = new Set(clusters.flatMap((each) => (each.unreachable ? each.name : [])));
  const own = checks.filter(({ category, subject }) => {
    const [first, second = ""] = clustersOf(subject);
    return category === "install" && first === name && !missing.has(second);
  });
  const writes = changes.filter(({ cluster, action }) => cluster === name && action !== "unchanged").length;
  const changed = writes > 0 ? `${count(writes, "object")} changed` : "nothing changed";
  return `${name} is ${own.every(({ verdict }) => verdict === "passed") ? "done" : "not done"} (${changed})`;
}

/** The address of what the documentation says about a check. */
export function documentationOf(id: CheckId, documentation: string): string {
  // A branch's name may hold what ends a link in Markdown.
  const base = encodeURI(documentation).replace(/[()]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
  // As GitHub makes an anchor of a heading.
  return `${base}/docs/CHECKS.md#${id.replaceAll(".", "")}`;
}
