import { MARKS, type Verdict } from "../mesh/phases.ts";
import { type Check, clustersOf, type Report } from "../mesh/report.ts";
import { escaped, Room, table } from "./text.ts";

/** Above this the picture is a tangle that shows nothing. */
const MOST_DRAWN = 6;
/** Above this the matrix has numbers for its columns. */
const MOST_NAMED = 8;
const MATRIX_BYTES = 100_000;

/** From the worst on. What did not apply is no worse than what passed, but shown where it is all that there is. */
const WORST: readonly Verdict[] = ["failed", "unknown", "skipped"];

/** Ordered pairs, as `from to`, with the worst of what was found of each. */
type Pairs = ReadonlyMap<string, Verdict>;

/** What came of the requests between workloads. */
export interface Requests {
  /** Whether there were any. */
  readonly sent: boolean;
  readonly passed: number;
  readonly failed: number;
  readonly unknown: number;
  /** Milliseconds: the median of the pairs' medians, and the worst of their 99th percentiles. */
  readonly latency?: { readonly p50: number; readonly p99: number };
}

/** What came of the requests between workloads. */
export function requestsOf(report: Report): Requests {
  const checks = report.checks.filter(({ id }) => id === "pair.request");
  const number = (verdict: Verdict) => checks.filter((check) => check.verdict === verdict).length;
  const latency = latencyOf(checks);
  return {
    sent: report.traffic && checks.some(({ verdict }) => verdict !== "skipped"),
    passed: number("passed"),
    failed: number("failed"),
    unknown: number("unknown"),
    ...(latency ? { latency } : {}),
  };
}

function latencyOf(checks: readonly Check[]): Requests["latency"] {
  const values = checks
    .filter(({ verdict }) => verdict === "passed")
    .flatMap(({ readings }) => readings.filter(({ source }) => source.startsWith("requests")))
    .map(({ values }) => values);
  const numbers = (name: string) =>
    values.flatMap((each) => (typeof each[name] === "number" ? [each[name]] : [])).sort((a, b) => a - b);
  const [p50, p99] = [numbers("p50"), numbers("p99").at(-1)];
  const median = p50[Math.floor((p50.length - 1) / 2)];
  return median === undefined || p99 === undefined ? undefined : { p50: median, p99 };
}

/** That an istiod was seen to have read another cluster. */
const SYNCED: readonly string[] = ["install.synced", "rotate.adopted", "remote.synced"];

/** The ordered pairs in which the first cluster's istiod reports the second one synced. */
export function synced(report: Report): ReadonlySet<string> {
  const found = verdicts(report.checks.filter(({ id }) => SYNCED.includes(id)));
  return new Set([...found].filter(([, verdict]) => verdict === "passed").map(([pair]) => pair));
}

/** Who gets through to whom; where no requests were sent, who reads whom. */
export function matrix(report: Report): string {
  const requests = verdicts(report.checks.filter(({ id }) => id === "pair.request"));
  if (known(requests)) {
    const explanation = "The row's workload asks the column's, through the column's east-west gateway.";
    return `### Requests\n\n${explanation}\n\n${grid(report, requests, "calls →")}`;
  }
  const remotes = verdicts(
    report.checks.filter(
      ({ id }) => /^(install\.remote-secret|rotate\.remote-secret|remote\..*)$/.test(id) || SYNCED.includes(id),
    ),
  );
  if (!known(remotes)) return "";
  const explanation = "The row's istiod holds a remote secret for the column's cluster and reports it synced.";
  return `### Remote secrets\n\n${explanation}\n\n${grid(report, remotes, "reads →")}`;
}

function grid(report: Report, pairs: Pairs, corner: string): string {
  const names = report.clusters.map(({ name }) => name);
  // More columns than that have room beside each other by their number only.
  const numbered = names.length > MOST_NAMED;
  const columns = names.map((name, i) => (numbered ? String(i + 1) : escaped(name)));
  const cell = (from: string, to: string) => {
    if (from === to) return "·";
    const verdict = pairs.get(`${from} ${to}`) ?? "skipped";
    return verdict === "failed" ? `**${MARKS.failed}**` : MARKS[verdict];
  };
  return table([corner, ...columns], [...names.entries()], new Room(MATRIX_BYTES), ([i, from]) => [
    `${numbered ? `${i + 1} ` : ""}**${escaped(from)}**`,
    ...names.map((to) => cell(from, to)),
  ]);
}

function verdicts(checks: readonly Check[]): Pairs {
  const found = new Map<string, Verdict[]>();
  for (const { subject, verdict } of checks) {
    const [from, to] = clustersOf(subject);
    if (to === undefined) continue;
    const key = `${from} ${to}`;
    found.set(key, [...(found.get(key) ?? []), verdict]);
  }
  return new Map([...found].map(([pair, seen]) => [pair, WORST.find((each) => seen.includes(each)) ?? "passed"]));
}

function known(pairs: Pairs): boolean {
  return [...pairs.values()].some((verdict) => verdict !== "skipped");
}

/** The mesh as a picture: a line stands for what was seen. */
export function topology(report: Report): string {
  if (
    report.clusters.length > MOST_DRAWN ||
    report.clusters.every(({ gatewayAddresses }) => gatewayAddresses.length === 0)
  )
    return "";
  // Mermaid has a syntax of its own, so only what cannot be part of it is let through.
  const plain = (text: string) => text.replace(/[^A-Za-z0-9.:-]/g, "");
  const nodes = report.clusters.map(({ name, network, istioVersion, gatewayAddresses }, i) =>
    [
      `  subgraph c${i}["${plain(name)} · ${plain(network)}"]`,
      `    i${i}["istiod ${istioVersion === undefined ? "not seen" : plain(istioVersion)}"]`,
      `    g${i}(["east-west gateway<br/>${gatewayAddresses.map(plain).join("<br/>") || "no address seen"}"])`,
      "  end",
    ].join("\n"),
  );
  const reaches = ways(report);
  const edges = report.clusters.flatMap((a, i) =>
    report.clusters.slice(i + 1).flatMap((b, j) => {
      const [there, back] = [reaches(a.name, b.name), reaches(b.name, a.name)];
      const [first, second] = there ? [i, i + 1 + j] : [i + 1 + j, i];
      const arrow = there && back ? "<-->" : "-->";
      return there || back ? [`  g${first} ${arrow}|mTLS 15443| g${second}`] : [];
    }),
  );
  return `### Mesh\n\n\`\`\`mermaid\nflowchart LR\n${[...nodes, ...edges].join("\n")}\n\`\`\``;
}

/** Whether there is a way between two clusters: a request got through or, where none was sent, both are seen ready for it. */
function ways(report: Report): (from: string, to: string) => boolean {
  if (requestsOf(report).sent) {
    const requests = verdicts(report.checks.filter(({ id }) => id === "pair.request"));
    return (from, to) => requests.get(`${from} ${to}`) === "passed";
  }
  const read = synced(report);
  const up = new Set(
    report.checks.flatMap(({ id, subject, verdict }) =>
      (id === "install.gateway-address" || id === "gateway.address") && verdict === "passed" && "cluster" in subject
        ? [subject.cluster]
        : [],
    ),
  );
  return (a, b) => up.has(a) && up.has(b) && read.has(`${a} ${b}`) && read.has(`${b} ${a}`);
}
