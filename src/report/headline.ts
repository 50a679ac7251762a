import { CHECKS } from "../mesh/catalogue.ts";
import { type RootCause, rootCauses } from "../mesh/causes.ts";
import type { Report } from "../mesh/report.ts";
import { span } from "../mesh/token.ts";
import { count, listed } from "../mesh/words.ts";
import { changed, changeSentence } from "./changes.ts";
import { requestsOf, synced } from "./pairs.ts";
import { escaped } from "./text.ts";
import { uninstallationHeadline } from "./uninstallation.ts";
import { endedEarly, goneOnWithout, whereabouts } from "./words.ts";

/** Of what could not be checked, so much is told in the headline. */
const MOST_NAMED = 3;

/** The verdict in one line, and what it rests on in a few sentences. */
export function headline(report: Report): string {
  const { title, sentences } =
    report.command === "uninstall"
      ? uninstallationHeadline(report)
      : report.command === "plan"
        ? plan(report)
        : VERDICTS[report.result](report);
  const told = [...sentences, ...changes(report), tokens(report), `${duration(report.seconds)}.`].filter(
    (sentence) => sentence !== "",
  );
  return `## ${title}\n\n${told.join(" ")}`;
}

/** For people: `12.3 s`, `3 min 20 s`. */
export function duration(seconds: number): string {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

interface Verdict {
  readonly title: string;
  readonly sentences: readonly string[];
}

const VERDICTS: Readonly<Record<Report["result"], (report: Report) => Verdict>> = { passed, failed, incomplete };

function passed(report: Report): Verdict {
  if (report.nextRunAfter) return underWay(report, report.nextRunAfter);
  if (report.command === "rotate") return rotated(report);
  const waiting = report.clusters.filter(({ waits }) => waits).map(({ name }) => name);
  if (waiting.length > 0) {
    return {
      title: `⏳ ${escaped(listed(waiting))} ${waiting.length === 1 ? "is" : "are"} on the way into ${mesh(report)}`,
      sentences: [
        "What runs there is served as before. Restart its gateways and workloads, then run `install` again, which goes on from here.",
      ],
    };
  }
  const clusters = `${report.clusters.length} clusters`;
  if (requestsOf(report).sent) {
    return { title: `✅ ${clusters} are one ${mesh(report)}`, sentences: [requests(report)] };
  }
  const pairs = `${synced(report).size} of ${pairCount(report)} ordered pairs`;
  return {
    title: `✅ ${clusters} are set up as one ${mesh(report)}; no requests were sent`,
    sentences: [
      `Every istiod has read every other cluster (${pairs}), every east-west gateway is up.`,
      "Whether workloads answer each other was not tried.",
    ],
  };
}

/** What was begun, and goes on with a later run. */
function underWay(report: Report, after: string): Verdict {
  const said = report.checks.find(({ id }) => id === "install.root-change")?.evidence ?? "";
  const sent = requestsOf(report).sent ? requests(report) : "";
  return {
    title: `⏳ The change of the root of ${mesh(report)} is under way; run again after ${after}`,
    sentences: [escaped(said), sent],
  };
}

function rotated(report: Report): Verdict {
  const pairs = `${synced(report).size} of ${pairCount(report)} ordered pairs`;
  return {
    title: `✅ The tokens that the clusters of ${mesh(report)} read each other by are new`,
    sentences: [`Every istiod is known to use them (${pairs}), and the older ones are retired.`, requests(report)],
  };
}

function failed(report: Report): Verdict {
  const { sent, failed, unknown } = requestsOf(report);
  const causes = rootCauses(report.checks);
  const wrong = causes.filter(({ check }) => check.verdict === "failed");
  const works = sent
    ? failed + unknown === 0
    : report.checks.every(({ category, verdict }) => verdict !== "failed" || category === "leftover");
  const without = goneOnWithout(report);
  const missing = new Set(report.clusters.flatMap(({ name, unreachable }) => (unreachable ? name : [])));
  const ofThem = wrong.every(({ subjects }) =>
    subjects.every((each) => Object.values(each).some((name) => missing.has(name))),
  );
  const explains = wrong.reduce((sum, cause) => sum + cause.explains.length, 0);
  const also = causes.length - wrong.length;
  const unfinished = report.command === "rotate" && !sent;
  return {
    title: unfinished
      ? `❌ The rotation of the tokens in ${mesh(report)} is not finished`
      : without && ofThem
        ? `❌ Mesh ${escaped(report.mesh.id)} is not whole: ${escaped(listed([...missing]))} could not be reached`
        : works
          ? `❌ Something is wrong with ${mesh(report)}`
          : `❌ The clusters are not one ${mesh(report)}`,
    sentences: [
      `${count(wrong.length, "root cause")}${
        explains > 0 ? ` ${wrong.length === 1 ? "explains" : "explain"} ${count(explains, "other check")}` : ""
      }.`,
      escaped(without),
      unfinished ? "No token is deleted before every istiod that reads by it has a new one." : "",
      also > 0 ? `${count(also, "thing")} could not be checked.` : "",
      requests(report),
    ],
  };
}

function incomplete(report: Report): Verdict {
  const causes = rootCauses(report.checks);
  const name = ({ check, subjects }: RootCause) =>
    `${escaped(whereabouts(subjects, check))} (“${CHECKS[check.id].title}”)`;
  const more = causes.length > MOST_NAMED ? `, and ${causes.length - MOST_NAMED} more` : "";
  return {
    title: `❔ Not all of ${mesh(report)} could be checked`,
    sentences: [
      `Could not be checked: ${causes.slice(0, MOST_NAMED).map(name).join(", ")}${more}.`,
      "Nothing that could be checked failed.",
      requests(report),
    ],
  };
}

function plan(report: Report): Verdict {
  const wrong = rootCauses(report.checks).filter(({ check }) => check.verdict === "failed");
  if (wrong.length > 0) {
    const known = report.checks.some(({ category, verdict }) => category === "plan" && verdict !== "skipped");
    const missing = report.clusters.filter(({ unreachable }) => unreachable).map(({ name }) => name);
    return {
      title: `❌ \`install\` would not get through in ${mesh(report)}`,
      sentences: [
        `${count(wrong.length, "root cause")}.`,
        missing.length > 0 ? `Not known of ${escaped(listed(missing))}, which cannot be reached.` : "",
        known ? `Of what could be planned: ${changeSentence(report, escaped)}` : "",
        "Nothing was changed.",
      ],
    };
  }
  const what = report.changed ? count(changed(report.changes).length, "object") : "nothing";
  const open = report.checks.filter(({ verdict }) => verdict === "unknown").length;
  const mark = open > 0 ? "❔" : report.changed ? "📝" : "✅";
  return {
    title: `${mark} \`install\` would change ${what} in ${mesh(report)}`,
    sentences: [
      report.changed ? changeSentence(report, escaped) : "",
      open > 0 ? `${count(open, "thing")} could not be checked, so there may be more.` : "",
      "Nothing was changed.",
    ],
  };
}

/** How many pairs get through, and how fast. */
function requests(report: Report): string {
  const { sent, passed, failed, unknown, latency } = requestsOf(report);
  if (!sent) return "No requests between workloads were sent.";
  const pairs = pairCount(report);
  const answered = "answered each other's requests through the east-west gateways";
  const fast = latency ? ` (p50 ${milliseconds(latency.p50)}, worst p99 ${milliseconds(latency.p99)})` : "";
  if (passed === pairs) return `All ${pairs} ordered pairs ${answered}${fast}.`;
  const not = [
    failed > 0 ? `${failed} of ${pairs} ordered pairs do not get through` : "",
    unknown > 0 ? `${unknown} of ${pairs} ordered pairs could not be checked` : "",
  ].filter((part) => part !== "");
  return not.length > 0 ? `${not.join(", ")}.` : `${passed} of ${pairs} ordered pairs ${answered}${fast}.`;
}

/** A verification changes nothing that would be worth a word. */
function changes(report: Report): string[] {
  const { command, changed: any, changes, result } = report;
  if (command !== "install" && command !== "rotate") return [];
  const writes = changed(changes).length;
  if (result === "passed") return [any ? `${count(writes, "object")} changed.` : "Nothing had to be changed."];
  if (endedEarly(report)) return ["Nothing was changed."];
  return [any ? `${count(writes, "object")} changed; a new run goes on from here.` : "Nothing had to be changed."];
}

/** When somebody has to have renewed the tokens. */
function tokens({ tokensExpireAt, startedAt }: Report): string {
  if (!tokensExpireAt) return "";
  const left = Date.parse(tokensExpireAt) - Date.parse(startedAt);
  return left > 0
    ? `The first of the tokens that istiods read by expires in ${span(left)}, at ${tokensExpireAt}.`
    : `A token that an istiod reads by expired at ${tokensExpireAt}.`;
}

function mesh(report: Report): string {
  return `mesh ${escaped(report.mesh.id)}`;
}

function pairCount({ clusters }: Report): number {
  return clusters.length * (clusters.length - 1);
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
