import { marked, type Token, type Tokens } from "marked";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { escaped, inputProblemsToMarkdown, toMarkdown } from "../../src/report/markdown.ts";
import { allFailed, failedInPreflight, failedMidway, passed, report } from "./sample.ts";

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

function tokens(markdown: string): Token[] {
  const found: Token[] = [];
  marked.walkTokens(marked.lexer(markdown), (token) => {
    found.push(token);
  });
  return found;
}

const tables = (markdown: string) => tokens(markdown).filter((token): token is Tokens.Table => token.type === "table");
const headings = (markdown: string) =>
  tokens(markdown).flatMap((token) => (token.type === "heading" ? [(token as Tokens.Heading).text] : []));

function decoded(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

/** The HTML's elements, opened and closed, in their order. */
const elements = (markdown: string) => (marked.parse(markdown) as string).match(/<[^>]*>/g) ?? [];

/** A table's cells as text, by its first header cells. */
function table(markdown: string, ...header: string[]): string[][] {
  const found = tables(markdown).find((each) => header.every((text, i) => each.header[i]?.text === text));
  if (!found) throw new Error(`there is no table ${header.join(", ")}`);
  return found.rows.map((row) => row.map(({ text }) => decoded(text).replaceAll("**", "").replace(/ +/g, " ").trim()));
}

/** The part of the Markdown before the first fold. */
const unfolded = (markdown: string) => markdown.split("<details>")[0] ?? "";

const SAMPLES: [string, (options?: { supplied?: string }) => Report][] = [
  ["passed", (options) => passed(options)],
  ["failed in the preflight", (options) => failedInPreflight(options)],
  ["failed midway", (options) => failedMidway({ clusters: 3, ...options })],
  ["all failed", (options) => allFailed(options)],
  [
    "incomplete",
    (options) => report({ ...options, ends: (id) => (id === "install.synced" ? { verdict: "unknown" } : undefined) }),
  ],
];

describe("what comes first", () => {
  test.each<[string, Report, RegExp]>([
    ["passed", passed(), /^## ✅ 2 clusters are one mesh mesh1$/],
    ["passed, 20 clusters", passed({ clusters: 20 }), /^## ✅ 20 clusters are one mesh mesh1$/],
    ["failed in the preflight", failedInPreflight(), /^## ❌ The clusters are not one mesh mesh1$/],
    ["failed midway", failedMidway({ clusters: 3 }), /^## ❌ The clusters are not one mesh mesh1$/],
    ["incomplete", SAMPLES[4]![1](), /^## ❔ Not all of mesh mesh1 could be checked$/],
  ])("the verdict: %s", (_, sample, line) => {
    expect(toMarkdown(sample).split("\n")[0]).toMatch(line);
  });

  test.each<[string, Report, string]>([
    ["what was seen and done", passed(), "(2 of 2 ordered pairs), every east-west gateway is up; 4 objects changed."],
    ["that nothing was done", passed({ action: "unchanged" }), "nothing had to be changed."],
    ["that nothing was begun", failedInPreflight(), "1 check failed before anything was changed."],
    [
      "how far it came",
      failedMidway({ clusters: 3 }),
      "2 checks failed; 6 objects changed, and a new run goes on from here.",
    ],
  ])("then %s", (_, sample, text) => {
    expect(toMarkdown(sample).split("\n")[2]).toContain(text);
  });

  test("what is wrong, before the rest", () => {
    const markdown = toMarkdown({ ...failedMidway({ clusters: 3 }), warnings: ["Mind this."] });
    expect(headings(markdown).slice(1, 3)).toEqual(["What is wrong", "Clusters"]);
    expect(markdown.indexOf("What is wrong")).toBeLessThan(markdown.indexOf("Mind this."));
    expect(markdown.indexOf("Mind this.")).toBeLessThan(markdown.indexOf("### Clusters"));
    expect(table(markdown, "", "Where")).toEqual([
      ["✗", "cluster2 gateway.address", "The Service has no address.", "Is there a load balancer controller?"],
      ["✗", "cluster2 → cluster3 remote.secret", "Not allowed.", "Look at remote.secret ."],
    ]);
  });

  test("nothing is wrong where all passed", () => {
    expect(headings(toMarkdown(passed()))).not.toContain("What is wrong");
  });

  test("what was only skipped is not said to be wrong", () => {
    expect(table(toMarkdown(failedInPreflight()), "", "Where")).toHaveLength(1);
  });

  test("what could not be checked is", () => {
    expect(table(toMarkdown(SAMPLES[4]![1]()), "", "Where").map(([mark]) => mark)).toEqual(["?", "?"]);
  });
});

describe("the clusters", () => {
  test("a row each, with what is known of it", () => {
    expect(table(toMarkdown(failedMidway({ clusters: 3 })), "", "Cluster")).toEqual([
      ["✓", "cluster1", "network1", "v1.33.1", "1.26.3", "192.0.2.1", "https://10.0.0.1:6443"],
      ["✗", "cluster2", "network2", "v1.33.1", "1.26.3", "–", "https://10.0.0.2:6443"],
      ["✓", "cluster3", "network3", "v1.33.1", "1.26.3", "192.0.2.3", "https://10.0.0.3:6443"],
    ]);
  });

  test("one that was not begun is not said to be good", () => {
    expect(table(toMarkdown(failedInPreflight()), "", "Cluster").map(([mark]) => mark)).toEqual(["–", "✗"]);
  });
});

describe("the remote secrets", () => {
  test("the row reads the column; the worst of a pair's checks is shown", () => {
    expect(table(toMarkdown(failedMidway({ clusters: 4 })), "reads →")).toEqual([
      ["cluster1", "·", "✓", "✓", "✓"],
      ["cluster2", "✓", "·", "✗", "✓"],
      ["cluster3", "✓", "✓", "·", "✓"],
      ["cluster4", "✓", "✓", "✓", "·"],
    ]);
  });

  test("what could not be checked or was not reached is marked so", () => {
    const sample = report({
      clusters: 3,
      ends: (id, subject) =>
        id === "install.synced" && "observer" in subject && subject.observer === "cluster1"
          ? { verdict: subject.target === "cluster2" ? "unknown" : "skipped", cause: "Not reached." }
          : undefined,
    });
    expect(table(toMarkdown(sample), "reads →")[0]).toEqual(["cluster1", "·", "?", "–"]);
  });

  test("are left out where nothing was begun", () => {
    expect(headings(toMarkdown(failedInPreflight()))).not.toContain("Remote secrets");
  });
});

describe("the picture", () => {
  const picture = (sample: Report) =>
    tokens(toMarkdown(sample)).find((token) => token.type === "code" && (token as Tokens.Code).lang === "mermaid") as
      | Tokens.Code
      | undefined;

  test("has every cluster, and a line between those that were seen to read each other", () => {
    const text = picture(failedMidway({ clusters: 3 }))?.text ?? "";
    expect(text.match(/subgraph/g)).toHaveLength(3);
    expect(text).toContain("192.0.2.1");
    expect(text.match(/<-->/g)).toHaveLength(1);
    expect(picture(passed({ clusters: 3 }))?.text.match(/<-->/g)).toHaveLength(3);
  });

  test("is left out where it would show nothing, or only a tangle", () => {
    expect(picture(failedInPreflight())).toBeUndefined();
    expect(picture(passed({ clusters: 20 }))).toBeUndefined();
  });

  test.each(Object.entries(HOSTILE))("keeps its syntax whatever a cluster says: %s", (_, supplied) => {
    const lines = (sample: Report) => picture(sample)?.text.split("\n") ?? [];
    const [usual, hostile] = [lines(passed()), lines(passed({ supplied }))];
    // Nothing but what is between a node's quotes differs.
    const frame = (line: string) => line.replace(/"[^"]*"/, '""');
    expect(hostile.map(frame)).toEqual(usual.map(frame));
    for (const line of hostile) expect(line).not.toMatch(/[`;%]|<(?!br\/>|-->)/);
  });
});

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

  test("mentions, links and references nobody", () => {
    const html = marked.parse(toMarkdown(failedMidway({ clusters: 3, supplied: EVERYTHING }))) as string;
    expect(html).not.toMatch(/<a |<img|<script/);
    // GitHub makes mentions and references of the text as it is read.
    const text = decoded(html);
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
  test.each<[string, Report]>([
    ["all passed", passed({ clusters: 64 })],
    ["everything failed", allFailed({ clusters: 64 })],
    ["everything failed, at length", allFailed({ clusters: 64, supplied: HOSTILE.long as string })],
    ["everything passed, at length", passed({ clusters: 64, supplied: HOSTILE.long as string })],
    ["everything failed, in every script", allFailed({ clusters: 64, supplied: "漢字|🎉".repeat(2_000) })],
  ])("of 64 clusters is below the platform's limit: %s", (_, sample) => {
    expect(Buffer.byteLength(toMarkdown(sample))).toBeLessThan(MIB);
  });

  test("what has no room is counted", () => {
    const sample = allFailed({ clusters: 64 });
    const rows = table(toMarkdown(sample), "", "Where");
    const more = Number(/^… (\d+) more in the JSON report$/.exec(rows.at(-1)?.[1] ?? "")?.[1]);
    expect(rows.length - 1 + more).toBe(sample.checks.length);
    expect(more).toBeGreaterThan(0);
  });

  test("everything that 20 clusters passed has room", () => {
    const sample = passed({ clusters: 20 });
    const markdown = toMarkdown(sample);
    expect(table(markdown, "", "Check")).toHaveLength(sample.checks.length);
    expect(Buffer.byteLength(unfolded(markdown))).toBeLessThan(20_000);
  });
});
