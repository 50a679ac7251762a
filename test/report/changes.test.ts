import { describe, expect, test } from "vitest";
import type { Change } from "../../src/mesh/report.ts";
import { changeSentence } from "../../src/report/changes.ts";
import { toMarkdown } from "../../src/report/markdown.ts";
import { headings, table, tokens } from "./reading.ts";
import { passed, planned, report } from "./sample.ts";

/** The blocks of changed fields, and what is said above each. */
const blocks = (markdown: string) =>
  tokens(markdown).flatMap((token) => (token.type === "code" && token.lang === "diff" ? [token.text as string] : []));

describe("a plan", () => {
  const markdown = toMarkdown(planned({ clusters: 3 }));

  test("tells each object once, what may hurt first, after the headline", () => {
    expect(headings(markdown).slice(1, 3)).toEqual(["What would change", "Clusters"]);
    expect(table(markdown, "Would be")).toEqual([
      ["deleted", "Pod", "istio-system/gateway-1", "cluster1, cluster2, cluster3", ""],
      [
        "updated",
        "Deployment",
        "istio-system/istio-eastwestgateway",
        "cluster1, cluster2, cluster3",
        "The webhook for it does not answer.",
      ],
      ["updated", "Secret", "istio-system/istio-remote-secret-east", "cluster1", ""],
      ["created", "Secret", "istio-system/istio-remote-secret-east", "cluster2, cluster3", ""],
    ]);
  });

  test("tells the fields, once for all clusters in which they are the same", () => {
    expect(blocks(markdown).map((block) => block.split("\n"))).toEqual([
      [
        "@@ updated Deployment istio-system/istio-eastwestgateway in cluster1, cluster2, cluster3 @@",
        '- spec.template.spec.containers: ["old"]',
        '+ spec.template.spec.containers: ["new"]',
        '- metadata.labels["a.b/c"]: "gone"',
        "@@ updated Secret istio-system/istio-remote-secret-east in cluster1 @@",
        '! data["east"]: differs; a Secret\'s values are not shown',
        "@@ created Secret istio-system/istio-remote-secret-east in cluster2, cluster3 @@",
        '+ data["east"]: (secret)',
      ],
    ]);
  });

  test("of much says how much more there is", () => {
    const diff = Array.from({ length: 10_000 }, (_, i) => ({ path: `spec.values.field${i}`, after: "x".repeat(40) }));
    const sample = planned();
    const markdown = toMarkdown({ ...sample, changes: [{ ...(sample.changes[0] as Change), diff }] });
    const lines = blocks(markdown)[0]?.split("\n") ?? [];
    expect(lines.length).toBeGreaterThan(1_000);
    expect(lines.at(-1)).toBe(`# ${10_001 - lines.length + 1} more lines are in the JSON report`);
  });

  test("without a change has no section for them", () => {
    expect(toMarkdown(report({ command: "plan", action: "unchanged" }))).not.toContain("### What would change");
  });
});

test("what an install changed is told the same way, folded", () => {
  const change: Change = { ...(planned().changes[0] as Change), cluster: "cluster1" };
  const markdown = toMarkdown({ ...passed(), changes: [change] });
  expect(markdown).toContain("<summary>1 change</summary>");
  expect(table(markdown, "", "Kind").map((row) => row.slice(0, 4))).toEqual([
    ["updated", "Deployment", "istio-system/istio-eastwestgateway", "cluster1"],
  ]);
  expect(blocks(markdown)).toHaveLength(1);
});

test.each([
  [
    "2 objects would be deleted in cluster1, cluster2; 3 objects would be updated in cluster1, cluster2; 1 object would be created in cluster2.",
    planned(),
  ],
  ["No object would be changed.", report({ command: "plan", action: "unchanged" })],
  ["4 objects created in cluster1, cluster2.", passed()],
])("in a sentence: %s", (sentence, sample) => {
  expect(changeSentence(sample)).toBe(sentence);
});
