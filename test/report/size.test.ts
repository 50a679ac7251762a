import { marked } from "marked";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { inputProblemsToMarkdown, toMarkdown } from "../../src/report/markdown.ts";
import { allTables, decoded, headings, table, unfolded } from "./reading.ts";
import { allFailed, passed, planned, report } from "./sample.ts";

test("inputs that cannot be used are told all, after the verdict", () => {
  const markdown = inputProblemsToMarkdown(["`a` is empty; expected `x`.", "`b` is bad."]);
  expect(headings(markdown)).toEqual(["❌ The inputs cannot be used"]);
  const items = (marked.parse(markdown) as string).match(/<li>.*?<\/li>/g) ?? [];
  expect(items.map((item) => decoded(item).replace(/ +/g, " ").trim())).toEqual([
    "a is empty; expected x .",
    "b is bad.",
  ]);
  expect(markdown).toContain("Nothing was changed.");
});

describe("the size", () => {
  const MIB = 1024 * 1024;
  const long = "long | `x` <b> ".repeat(120);
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
  ])("is below the platform's limit, with more than there is room for: %s", (_, sample) => {
    const found = sample(48);
    const markdown = toMarkdown(found, "https://github.com/acme/mesh/blob/v1");
    expect(Buffer.byteLength(markdown)).toBeLessThan(MIB);
    if (found.result === "failed") expect(/^### (.*)$/m.exec(markdown)?.[1]).toBe("What is wrong");
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

  test("everything that 18 clusters passed has room", () => {
    const sample = passed({ clusters: 18, ...full });
    const markdown = toMarkdown(sample);
    expect(allTables(markdown, "", "Check").flat()).toHaveLength(sample.checks.length);
    expect(Buffer.byteLength(unfolded(markdown))).toBeLessThan(20_000);
  });
});
