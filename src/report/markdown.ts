import type { CheckId } from "../mesh/catalogue.ts";
import { rootCauses } from "../mesh/causes.ts";
import { MARKS, PHASES } from "../mesh/phases.ts";
import type { Check, Report } from "../mesh/report.ts";
import { count } from "../mesh/words.ts";
import { planned } from "./changes.ts";
import { details } from "./details.ts";
import { duration, headline } from "./headline.ts";
import { matrix, topology } from "./pairs.ts";
import { services } from "./services.ts";
import { escaped, folded, prose, Room, table } from "./text.ts";
import { leftObjects } from "./uninstallation.ts";
import { documentationOf, places, whereabouts } from "./words.ts";

/** Bytes of each part's rows. Together with those of the other parts they are less than GitHub's 1 MiB. */
const WRONG_BYTES = 200_000;
const WARNING_BYTES = 50_000;
const CLUSTER_BYTES = 100_000;
const TIMING_BYTES = 50_000;

/**
 * The report as GitHub-flavoured Markdown, what is wrong first.
 * @param documentation base URL of the documentation, to which the checks' IDs are then linked
 */
export function toMarkdown(report: Report, documentation?: string): string {
  return `${[
    headline(report),
    problems(report, documentation),
    warnings(report),
    report.command === "plan" ? planned(report) : "",
    clusters(report),
    leftObjects(report),
    matrix(report),
    services(report),
    topology(report),
    timings(report),
    details(report),
  ]
    .filter((part) => part !== "")
    .join("\n\n")}\n`;
}

/** A summary for inputs that cannot be used: what is wrong with them, all of it. */
export function inputProblemsToMarkdown(problems: readonly string[]): string {
  const list = problems.map((problem) => `- ${prose(problem)}`).join("\n");
  return `## ❌ The inputs cannot be used\n\n${list}\n\nNothing was changed.\n`;
}

function problems(report: Report, documentation: string | undefined): string {
  const causes = rootCauses(report.checks);
  if (causes.length === 0) return "";
  const header = ["", "Where", "Why", "What to do next"];
  const rows = table(header, causes, new Room(WRONG_BYTES), ({ check, subjects, explains }) => [
    MARKS[check.verdict],
    `**${escaped(whereabouts(subjects, check))}**<br>${idOf(check.id, documentation)}`,
    `${prose(check.cause ?? "")}${explains.length > 0 ? `<br>↳ explains ${count(explains.length, "other check")}` : ""}`,
    prose(check.hint ?? "") || "–",
  ]);
  const wrong = causes.some(({ check }) => check.verdict === "failed");
  return `### ${wrong ? "What is wrong" : "What could not be checked"}\n\n${rows}`;
}

/** A check's ID, linked to its documentation where that is known. */
function idOf(id: CheckId, documentation: string | undefined): string {
  return documentation ? `[\`${id}\`](${documentationOf(id, documentation)})` : `<code>${id}</code>`;
}

/** The same warning of several clusters is one. */
function warnings(report: Report): string {
  const ofChecks = Map.groupBy(
    report.checks.filter(({ warning }) => warning !== undefined),
    ({ warning }) => warning as string,
  );
  const told = (text: string, checks: readonly Check[]) =>
    `**${escaped(places(checks.map(({ subject }) => subject)))}**: ${prose(text)}`;
  const all = [
    // Where there is nothing to read, the list's mark would make a heading of the line before.
    ...[...new Set(report.warnings)].map(prose).filter((text) => text.trim() !== ""),
    ...[...ofChecks].map(([text, checks]) => told(text, checks)),
  ];
  const room = new Room(WARNING_BYTES);
  const shown = all.filter((text) => room.take(text));
  const left = all.length - shown.length;
  const lines = left > 0 ? [...shown, `${count(left, "more warning")} in the JSON report.`] : shown;
  if (lines.length === 0) return "";
  return `> [!WARNING]\n${lines.map((line) => (lines.length > 1 ? `> - ${line}` : `> ${line}`)).join("\n")}`;
}

function clusters(report: Report): string {
  const header = ["", "Cluster", "Network", "Kubernetes", "Istio", "East-west gateway", "API server for the others"];
  const rows = table(header, report.clusters, new Room(CLUSTER_BYTES), (cluster) => [
    state(report, cluster.name),
    `**${escaped(cluster.name)}**`,
    escaped(cluster.network),
    escaped(cluster.kubernetesVersion ?? "–"),
    escaped(cluster.istioVersion ?? "–"),
    cluster.gatewayAddresses.map(escaped).join("<br>") || "–",
    escaped(cluster.apiServer ?? "–"),
  ]);
  return `### Clusters\n\n${rows}`;
}

/** How it is with a cluster alone: what it has to do with others is in the matrix. */
function state({ checks }: Report, cluster: string): string {
  const own = checks.filter(({ subject }) => "cluster" in subject && subject.cluster === cluster);
  const named = checks.filter(({ clusters }) => clusters?.includes(cluster));
  const worst = (["failed", "unknown"] as const).find((bad) =>
    [...own, ...named].some(({ verdict }) => verdict === bad),
  );
  if (worst) return MARKS[worst];
  // A step that was skipped was not reached; what is only looked at may just not apply.
  const isStep = ({ category }: Check) => ["install", "rotate", "uninstall"].includes(category);
  const steps = own.filter(isStep);
  const looks = own.filter((check) => !isStep(check) && check.category !== "preflight");
  const skipped = ({ verdict }: Check) => verdict === "skipped";
  return MARKS[steps.some(skipped) || (looks.length > 0 && looks.every(skipped)) ? "skipped" : "passed"];
}

function timings(report: Report): string {
  // Beyond that the columns have no room beside each other.
  const names = report.clusters.length <= 8 ? report.clusters.map(({ name }) => name) : [];
  const header = ["Phase", ...names.map(escaped), "All"];
  const rows = table(header, report.phases, new Room(TIMING_BYTES), ({ phase, seconds, clusters }) => [
    PHASES[phase],
    ...names.map((cluster) => (clusters[cluster] === undefined ? "–" : `${clusters[cluster].toFixed(1)} s`)),
    `**${seconds.toFixed(1)} s**`,
  ]);
  return folded(`Time per phase (${duration(report.seconds)} in all, for the clusters go side by side)`, rows);
}
