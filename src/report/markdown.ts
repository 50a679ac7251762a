import { MARKS, PHASES, type Report, type Subject, type Verdict } from "../mesh/report.ts";

/** Above this the picture is a tangle that shows nothing. */
const MOST_DRAWN = 6;

/** Characters of one text, and bytes of the rows of one table: GitHub drops a summary of over 1 MiB whole. */
const LONGEST_TEXT = 1_500;
const LARGEST_TABLE = 200_000;

/** Text from outside, safe in a table's cell: no markup, no line break, no mention, no HTML. */
export function escaped(text: string): string {
  return (
    (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)} …` : text)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
      .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
      .replace(/&/g, "&amp;")
      .replace(/</g, "&lt;")
      .replace(/>/g, "&gt;")
      .replace(/[\\`*_[\]|~#!$]/g, (character) => `&#${character.charCodeAt(0)};`)
      // An invisible break keeps GitHub from making links, mentions and references of what a cluster said.
      .replace(/@/g, "&#64;&#8203;")
      .replace(/&#35;(?=\d)/g, "&#35;&#8203;")
      .replace(/:\/\//g, ":&#47;&#47;")
      .replace(/www\./gi, (www) => `${www.slice(0, 3)}&#46;`)
  );
}

/** A message of ours, in which only `code` and what was quoted from outside has meaning: kept readable, made safe. */
function prose(text: string): string {
  return (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)} …` : text)
    .split(/(`[^`]*`)/)
    .map((part) => (/^`[^`]+`$/.test(part) ? `<code>${escaped(part.slice(1, -1))}</code>` : escaped(part)))
    .join("");
}

/** The report as GitHub-flavoured Markdown, what is wrong first. */
export function toMarkdown(report: Report): string {
  return `${[
    headline(report),
    problems(report),
    warnings(report),
    clusters(report),
    matrix(report),
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

function headline(report: Report): string {
  const count = report.clusters.length;
  const pairs = count * (count - 1);
  const synced = report.checks.filter(({ id, verdict }) => id === "install.synced" && verdict === "passed").length;
  const writes = report.changes.filter(({ action }) => action !== "unchanged").length;
  const changed = report.changed ? `${writes} object${writes === 1 ? "" : "s"} changed` : "nothing had to be changed";
  const mesh = `mesh ${escaped(report.mesh.id)}`;
  if (report.result === "passed") {
    return `## ✅ ${count} clusters are one ${mesh}\n\nEvery istiod has read every other cluster (${synced} of ${pairs} ordered pairs), every east-west gateway is up; ${changed}. Requests between workloads were not tried. ${duration(report.seconds)}.`;
  }
  const failed = report.checks.filter(({ verdict }) => verdict === "failed");
  if (report.result === "failed") {
    const before = failed.every(({ phase }) => phase === "preflight");
    return `## ❌ The clusters are not one ${mesh}\n\n${failed.length} check${failed.length === 1 ? "" : "s"} failed${before ? " before anything was changed" : `; ${changed}, and a new run goes on from here`}. ${duration(report.seconds)}.`;
  }
  return `## ❔ Not all of ${mesh} could be checked\n\n${duration(report.seconds)}.`;
}

function warnings(report: Report): string {
  return report.warnings.map((text) => `> [!WARNING]\n> ${prose(text)}`).join("\n\n");
}

function problems(report: Report): string {
  const list = report.checks.filter(({ verdict }) => verdict === "failed" || verdict === "unknown");
  if (list.length === 0) return "";
  const rows = table(["", "Where", "Why", "What to do next"], list, ({ id, subject, verdict, cause, hint }) => [
    MARKS[verdict],
    `${name(subject)}<br><code>${id}</code>`,
    prose(cause ?? ""),
    prose(hint ?? ""),
  ]);
  return `### What is wrong\n\n${rows}`;
}

function clusters(report: Report): string {
  // Of the cluster alone: what it has to do with others is in the matrix.
  const state = (cluster: string) => {
    const own = report.checks.filter(({ subject }) => "cluster" in subject && subject.cluster === cluster);
    const worst = (["failed", "unknown", "skipped"] as const).find((verdict) =>
      own.some((check) => check.verdict === verdict),
    );
    return MARKS[worst ?? "passed"];
  };
  const header = ["", "Cluster", "Network", "Kubernetes", "Istio", "East-west gateway", "API server for the others"];
  const rows = table(header, report.clusters, (cluster) => [
    state(cluster.name),
    `**${escaped(cluster.name)}**`,
    escaped(cluster.network),
    escaped(cluster.kubernetesVersion ?? "–"),
    escaped(cluster.istioVersion ?? "–"),
    cluster.gatewayAddresses.map(escaped).join("<br>") || "–",
    escaped(cluster.apiServer ?? "–"),
  ]);
  return `### Clusters\n\n${rows}`;
}

/** Who reads whom: the row's istiod holds a remote secret for the column's cluster, and has read it. */
function matrix(report: Report): string {
  const verdicts = new Map<string, Verdict[]>();
  for (const { id, subject, verdict } of report.checks) {
    if (!("observer" in subject) || !id.startsWith("remote.")) continue;
    const key = `${subject.observer} ${subject.target}`;
    verdicts.set(key, [...(verdicts.get(key) ?? []), verdict]);
  }
  if (
    verdicts.size === 0 ||
    report.checks.every(({ phase, verdict }) => phase === "preflight" || verdict === "skipped")
  )
    return "";
  const names = report.clusters.map((cluster) => cluster.name);
  const cell = (observer: string, target: string) => {
    const seen = verdicts.get(`${observer} ${target}`) ?? [];
    const worst = (["failed", "unknown", "skipped"] as const).find((verdict) => seen.includes(verdict));
    return observer === target ? "·" : MARKS[worst ?? (seen.length > 0 ? "passed" : "skipped")];
  };
  const rows = table(["reads →", ...names.map(escaped)], names, (observer) => [
    `**${escaped(observer)}**`,
    ...names.map((target) => cell(observer, target)),
  ]);
  return `### Remote secrets\n\nThe row's istiod holds a remote secret for the column's cluster and reports it synced.\n\n${rows}`;
}

function topology(report: Report): string {
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
      `    i${i}["istiod ${plain(istioVersion ?? "not ready")}"]`,
      `    g${i}(["east-west gateway<br/>${gatewayAddresses.map(plain).join("<br/>") || "no address"}"])`,
      "  end",
    ].join("\n"),
  );
  // A line stands for what was seen: two gateways that are up, and two istiods that have read each other.
  const seen = (id: string, subject: (subject: Subject) => boolean) =>
    report.checks.some((check) => check.id === id && check.verdict === "passed" && subject(check.subject));
  const reads = (observer: string, target: string) =>
    seen(
      "install.synced",
      (subject) => "observer" in subject && subject.observer === observer && subject.target === target,
    );
  const linked = (a: string, b: string) =>
    [a, b].every((name) =>
      seen("install.gateway-address", (subject) => "cluster" in subject && subject.cluster === name),
    ) &&
    reads(a, b) &&
    reads(b, a);
  const edges = report.clusters.flatMap((a, i) =>
    report.clusters
      .slice(i + 1)
      .flatMap((b, j) => (linked(a.name, b.name) ? [`  g${i} <-->|mTLS 15443| g${i + 1 + j}`] : [])),
  );
  return `### Mesh\n\n\`\`\`mermaid\nflowchart LR\n${[...nodes, ...edges].join("\n")}\n\`\`\``;
}

function timings(report: Report): string {
  // Beyond that the columns have no room beside each other.
  const names = report.clusters.length <= 8 ? report.clusters.map(({ name }) => name) : [];
  const rows = table(["Phase", ...names.map(escaped), "All"], report.phases, ({ phase, seconds, clusters }) => [
    PHASES[phase],
    ...names.map((cluster) => (clusters[cluster] === undefined ? "–" : seconds_(clusters[cluster]))),
    `**${seconds_(seconds)}**`,
  ]);
  return folded(`Time per phase (${duration(report.seconds)} in all, for the clusters go side by side)`, rows);
}

function details(report: Report): string {
  const checks = table(["", "Check", "Where", "Seen"], report.checks, ({ id, subject, verdict, evidence, cause }) => [
    MARKS[verdict],
    `<code>${id}</code>`,
    name(subject),
    prose(cause ?? evidence),
  ]);
  const made = report.changes.filter(({ action }) => action !== "unchanged");
  const changes = table(
    ["Cluster", "", "Kind", "Object"],
    made,
    ({ cluster, action, kind, namespace, name: object }) => [
      escaped(cluster),
      action,
      escaped(kind),
      escaped(namespace ? `${namespace}/${object}` : object),
    ],
  );
  const requests = report.clusters.map(({ name: cluster, requests: sent }) => `${escaped(cluster)} ${sent}`).join(", ");
  return [
    folded(`All checks (${report.checks.length})`, checks),
    ...(made.length > 0 ? [folded(`Changes (${made.length})`, changes)] : []),
    `API requests: ${requests}.`,
  ].join("\n\n");
}

function folded(summary: string, body: string): string {
  return `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

/** As many rows as a table may have; the JSON report has every one. */
function table<T>(header: readonly string[], items: readonly T[], cells: (item: T) => readonly string[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const lines = [line(header), line(header.map(() => "---"))];
  let room = LARGEST_TABLE;
  for (const [i, item] of items.entries()) {
    const row = line(cells(item));
    room -= Buffer.byteLength(row);
    if (room < 0) {
      const more = `… ${items.length - i} more in the JSON report`;
      return [...lines, line(header.map((_, column) => (column === 1 ? more : "")))].join("\n");
    }
    lines.push(row);
  }
  return lines.join("\n");
}

function name(subject: Subject): string {
  if ("cluster" in subject) return escaped(String(subject.cluster));
  return "observer" in subject ? `${escaped(String(subject.observer))} → ${escaped(String(subject.target))}` : "mesh";
}

function seconds_(value: number): string {
  return `${value.toFixed(1)} s`;
}

function duration(seconds: number): string {
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
