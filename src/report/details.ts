import { CATEGORIES, type Category } from "../mesh/catalogue.ts";
import { MARKS, type Verdict } from "../mesh/phases.ts";
import { type Check, type Report, subjectName } from "../mesh/report.ts";
import { made } from "./changes.ts";
import { escaped, folded, prose, Room, table } from "./text.ts";
import { inWhat } from "./words.ts";

const CHECK_BYTES = 400_000;

/** Every check, every change and the number of API requests: what is looked up, not read. */
export function details(report: Report): string {
  const requests = report.clusters.map(({ name, requests: sent }) => `${escaped(name)} ${sent}`).join(", ");
  return [allChecks(report), made(report), `API requests: ${requests}.`].filter((part) => part !== "").join("\n\n");
}

function allChecks({ checks }: Report): string {
  const room = new Room(CHECK_BYTES);
  const groups = (Object.keys(CATEGORIES) as Category[])
    .map((category) => {
      const of = checks.filter((check) => check.category === category);
      const [passed, others] = [of.filter(isPassed), of.filter((check) => !isPassed(check))];
      return { category, passed, others };
    })
    .filter(({ passed, others }) => passed.length + others.length > 0);
  const rows = (some: readonly Check[]) =>
    table(["", "Check", "Where", "Seen"], some, room, (check) => [
      MARKS[check.verdict],
      `<code>${check.id}</code>`,
      escaped(subjectName(check.subject)),
      seen(check),
    ]);
  // What did not pass takes its room first.
  const open = new Map(groups.map(({ category, others }) => [category, others.length > 0 ? rows(others) : ""]));
  const parts = groups.map(({ category, passed, others }) => {
    const title = `<b>${CATEGORIES[category]}</b>`;
    if (others.length === 0) return folded(`${title}: ${tally(passed)}`, rows(passed));
    return [
      `${title}: ${tally(others)}`,
      open.get(category),
      ...(passed.length > 0 ? [folded(tally(passed), rows(passed))] : []),
    ].join("\n\n");
  });
  return folded(`All checks (${tally(checks)})`, parts.join("\n\n"));
}

function seen({ cause, evidence, warning, because }: Check): string {
  return [
    prose(cause ?? evidence),
    warning ? `⚠️ ${prose(warning)}` : "",
    because ? `↳ because of <code>${because.id}</code>${escaped(inWhat(because.subject))}` : "",
  ]
    .filter((part) => part !== "")
    .join("<br>");
}

/** `3 failed, 12 passed`. */
function tally(checks: readonly Check[]): string {
  return (["failed", "unknown", "skipped", "passed"] as const)
    .map((verdict) => ({ verdict, number: checks.filter((check) => check.verdict === verdict).length }))
    .filter(({ number }) => number > 0)
    .map(({ verdict, number }) => `${number} ${WORDS[verdict]}`)
    .join(", ");
}

const WORDS: Readonly<Record<Verdict, string>> = {
  failed: "failed",
  unknown: "could not be checked",
  skipped: "skipped",
  passed: "passed",
};

function isPassed({ verdict }: Check): boolean {
  return verdict === "passed";
}
