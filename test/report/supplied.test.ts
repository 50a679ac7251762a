import { marked } from "marked";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { inputProblemsToMarkdown, toMarkdown } from "../../src/report/markdown.ts";
import { escaped } from "../../src/report/text.ts";
import { allTables, decoded, elements, headings, picture, table, tables, unfolded } from "./reading.ts";
import { allFailed, failedInPreflight, failedMidway, healthy, passed, planned, report, unlinked } from "./sample.ts";

/** What a cluster might say. Each would change what is shown, were it not escaped. */
const HOSTILE: Readonly<Record<string, string>> = {
  pipes: "a | b || c \\| d",
  backticks: "`code` ```fence``` `` two `` un`even",
  script: "<script>alert(1)</script><img src=x onerror=alert(1)>",
  details: "</details></td></table></summary><details open>",
  comment: "<!-- all of the rest",
  entity: "&lt;b&gt; &amp;amp; &#124;",
  mentions: "@octocat (@github/security) me@example.com #1 octocat/repo#12",
  links:
    "[x](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example> https://evil.example www.evil.example ftp://evil.example",
  reference: "[x][y]\n\n[y]: https://evil.example",
  lines: "one\ntwo\r\n\r\nthree\u2028four\u0000five\tsix",
  heading: "\n# All is well\n\n---\n> quote\n- item\n1. item\n",
  setext: "text\n===\ntext\n---",
  emphasis: "**bold** __bold__ *i* _i_ ~~s~~ ~s~",
  maths: "$x$ $$y$$ $`z`$",
  mermaid: '"]) --> x; end\n  click c0 href "https://evil.example"\n%%{init: {}}%%\n```\n\n# out of the picture',
  commands: "\n::error::x\n##[add-mask]x",
  alert: "\n\n> [!CAUTION]\n> Not from the action",
  bidirectional: "\u202egnp.exe",
  long: "long | `x` <b> ".repeat(5_000),
};
const EVERYTHING = Object.entries(HOSTILE)
  .filter(([name]) => name !== "long")
  .map(([, text]) => text)
  .join(" ");

const SAMPLES: [string, (options?: { supplied?: string }) => Report][] = [
  ["passed", (options) => passed(options)],
  ["failed in the preflight", (options) => failedInPreflight(options)],
  ["failed midway", (options) => failedMidway({ clusters: 3, ...options })],
  ["all failed", (options) => allFailed(options)],
  [
    "incomplete",
    (options) => report({ ...options, ends: (id) => (id === "install.synced" ? { verdict: "unknown" } : undefined) }),
  ],
  ["verified", (options) => healthy(options)],
  ["taken apart", (options) => unlinked(options)],
  ["planned", (options) => planned(options)],
  ["all failed in the verification", (options) => allFailed({ command: "verify", clusters: 3, ...options })],
];

describe("what clusters supplied", () => {
  test.each(
    SAMPLES.flatMap(([name, sample]) =>
      Object.keys(HOSTILE)
        .filter((kind) => kind !== "long")
        .map((kind) => [name, kind, sample] as const),
    ),
  )("changes nothing but text: %s, %s", (_, kind, sample) => {
    const supplied = HOSTILE[kind] as string;
    // The warning block is part of both.
    const usual = { ...sample(), warnings: ["A warning."] };
    const hostile = toMarkdown(sample({ supplied }));
    // The action's own names are code; what was said by a cluster never becomes an element.
    const structure = (markdown: string) => elements(markdown).filter((element) => !/^<\/?code>$|^<br>$/.test(element));
    // Backticks in our messages become code, in pairs.
    expect(structure(hostile)).toEqual(structure(toMarkdown(usual)));
    expect(elements(hostile).filter((element) => element.startsWith("<code")).length).toBe(
      elements(hostile).filter((element) => element === "</code>").length,
    );
  });

  test.each(SAMPLES)("keeps every row in its columns: %s", (_, sample) => {
    for (const markdown of [toMarkdown(sample()), toMarkdown(sample({ supplied: EVERYTHING }))]) {
      const lines = markdown.split("\n").filter((line) => line.startsWith("|"));
      expect(lines.length).toBeGreaterThan(6);
      let columns = 0;
      markdown.split("\n").forEach((line, i, all) => {
        if (!line.startsWith("|")) return;
        if (!all[i - 1]?.startsWith("|")) columns = line.split("|").length;
        expect(line.split("|").length).toBe(columns);
      });
      for (const { header, rows } of tables(markdown)) {
        for (const row of rows) expect(row).toHaveLength(header.length);
      }
    }
  });

  test.each(Object.entries(HOSTILE))("keeps the picture's syntax whatever a cluster says: %s", (_, supplied) => {
    const lines = (sample: Report) => picture(toMarkdown(sample))?.split("\n") ?? [];
    const [usual, hostile] = [lines(passed()), lines(passed({ supplied }))];
    // Nothing but what is between a node's quotes differs.
    const frame = (line: string) => line.replace(/"[^"]*"/, '""');
    expect(hostile.map(frame)).toEqual(usual.map(frame));
    for (const line of hostile) expect(line).not.toMatch(/[`;%]|<(?!br\/>|-->)/);
  });

  test("mentions, links and references nobody", () => {
    const html = marked.parse(toMarkdown(failedMidway({ clusters: 3, supplied: EVERYTHING }))) as string;
    expect(html).not.toMatch(/<a |<img|<script/);
    // GitHub makes mentions and references of the text as it is read, but not in blocks of code.
    const text = decoded(html.replace(/<pre>.*?<\/pre>/gs, ""));
    expect(text).toContain("octocat");
    expect(text).not.toMatch(/@[a-z0-9]/i);
    expect(text).not.toMatch(/#\d/);
  });

  test.each(Object.values(HOSTILE))("is still what the reader sees: %j", (text) => {
    const seen = decoded(marked.parse(`| a |\n| --- |\n| ${escaped(text)} |`) as string).replaceAll("\u200b", "");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are shown as a space
    const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
    expect(seen).toContain(plain.slice(0, 1_000).trim());
  });

  test("no line of it begins a command of the runner", () => {
    expect(toMarkdown(passed({ supplied: EVERYTHING }))).not.toMatch(/^\s*::/m);
  });
});

describe("inputs that cannot be used", () => {
  test("are told all, after the verdict", () => {
    const markdown = inputProblemsToMarkdown(["`a` is empty; expected `x`.", "`b` is bad."]);
    expect(headings(markdown)).toEqual(["❌ The inputs cannot be used"]);
    const items = (marked.parse(markdown) as string).match(/<li>.*?<\/li>/g) ?? [];
    expect(items.map((item) => decoded(item).replace(/ +/g, " ").trim())).toEqual([
      "a is empty; expected x .",
      "b is bad.",
    ]);
    expect(markdown).toContain("Nothing was changed.");
  });

  test.each(Object.entries(HOSTILE))("change nothing but text: %s", (_, text) => {
    const structure = (problem: string) =>
      elements(inputProblemsToMarkdown([problem])).filter((element) => !/^<\/?code>$/.test(element));
    expect(structure(`is ${text}`)).toEqual(structure("is bad"));
  });
});

describe("the size", () => {
  const MIB = 1024 * 1024;
  const long = (HOSTILE.long as string).slice(0, 1_600);
  const full = { command: "install", traffic: true } as const;
  test.each<[string, (clusters: number) => Report]>([
    ["all passed", (clusters) => passed({ ...full, clusters })],
    ["everything failed", (clusters) => allFailed({ ...full, clusters })],
    ["everything failed, at length", (clusters) => allFailed({ ...full, clusters, supplied: long })],
    ["everything passed, at length", (clusters) => passed({ ...full, clusters, supplied: long })],
    ["everything failed, escaped", (clusters) => allFailed({ ...full, clusters, supplied: "<|`@#".repeat(500) })],
    [
      "everything failed, in every script",
      (clusters) => allFailed({ ...full, clusters, supplied: "漢字|🎉".repeat(500) }),
    ],
    ["each failed in its own way", (clusters) => differently(clusters)],
    ["planned, each otherwise", (clusters) => plannedDifferently(clusters)],
  ])("of 20 and of 64 clusters is below the platform's limit: %s", (_, sample) => {
    for (const clusters of [20, 64]) {
      const found = sample(clusters);
      const markdown = toMarkdown(found, "https://github.com/acme/mesh/blob/v1");
      expect(Buffer.byteLength(markdown)).toBeLessThan(MIB);
      if (found.result === "failed") expect(/^### (.*)$/m.exec(markdown)?.[1]).toBe("What is wrong");
    }
  });

  /** Every check failed, with a long cause, warning and hint of its own that has to be escaped. */
  function differently(clusters: number): Report {
    let n = 0;
    const text = (what: string) => `${what} ${n++} <b>|\`@x\`| ${"long & <wide> ".repeat(40)}`;
    const ends = () => ({ verdict: "failed" as const, cause: text("Cause"), hint: text("Do"), warning: text("Mind") });
    const sample = report({ ...full, clusters, ends });
    return { ...sample, checks: sample.checks.map(({ because: _, ...check }) => check) };
  }

  /** Every cluster would change in its own way, and much, and every check failed at length. */
  function plannedDifferently(clusters: number): Report {
    const sample = planned({ clusters, supplied: "long | <wide> `x`".repeat(50), ends: () => ({ verdict: "failed" }) });
    const changes = sample.changes.map((change, i) => ({
      ...change,
      name: `${change.name}${i}`,
      diff: Array.from({ length: 100 }, (_, n) => ({ path: `spec.values.field${i}.${n}`, after: change.name })),
    }));
    return { ...sample, changes };
  }

  test("what has no room is counted", () => {
    const sample = differently(20);
    const rows = table(toMarkdown(sample), "", "Where");
    const more = Number(/^… (\d+) more in the JSON report$/.exec(rows.at(-1)?.[1] ?? "")?.[1]);
    expect(rows.length - 1 + more).toBe(sample.checks.length);
    expect(more).toBeGreaterThan(0);
  });

  test("everything that 20 clusters passed has room", () => {
    const sample = passed({ clusters: 20, ...full });
    const markdown = toMarkdown(sample);
    expect(allTables(markdown, "", "Check").flat()).toHaveLength(sample.checks.length);
    expect(Buffer.byteLength(unfolded(markdown))).toBeLessThan(20_000);
  });
});
