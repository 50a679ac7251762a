import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { body, page } from "./html.ts";
import { logPrinter } from "./log.ts";
import { type Style, terminal, width } from "./terminal.ts";

const plain: Style = (_, text) => text;

describe("the page", () => {
  it("draws Mermaid from its source, escaped", () => {
    expect(body('```mermaid\nflowchart LR\n  a["<b>"] --> c\n```')).toBe(
      '<pre class="mermaid">flowchart LR\n  a[&quot;&lt;b&gt;&quot;] --&gt; c</pre>\n',
    );
  });

  it("folds what the summary folds, and shows other tags as text", () => {
    expect(body("<details><summary>More</summary>\n\ntext\n\n</details>")).toContain(
      "<details><summary>More</summary>",
    );
    expect(body("<script>alert(1)</script>")).not.toContain("<script>");
    expect(body('a <img src=x onerror="alert(1)"> b')).not.toContain("<img");
    expect(page("<i>", "")).toContain("<title>&lt;i&gt;</title>");
  });

  it("shows an alert as GitHub does", () => {
    expect(body("> [!WARNING]\n> Not for production.")).toBe(
      '<blockquote class="warning">\n<p class="alert">Warning</p><p>Not for production.</p>\n</blockquote>\n',
    );
  });
});

describe("the terminal", () => {
  it("aligns tables, whatever is in their cells", () => {
    const table =
      "| Cluster | | s |\n| :-- | :-: | --: |\n| `east` | ✅ | 1.5 |\n| a \\| b<br>second | – | &lt;x&gt; |\n";
    expect(terminal(table, plain)).toBe(
      [
        "┌─────────┬────┬─────┐",
        "│ Cluster │    │   s │",
        "├─────────┼────┼─────┤",
        "│ east    │ ✅ │ 1.5 │",
        "│ a | b   │ –  │ <x> │",
        "│ second  │    │     │",
        "└─────────┴────┴─────┘",
        "",
      ].join("\n"),
    );
  });

  it("reads as text: headings, lists, code, folded parts, alerts", () => {
    const markdown = [
      "# Mesh **mesh1**",
      "> [!WARNING]\n> Careful.",
      "1. one\n2. two\n   - nested",
      "<details><summary>More</summary>\n\ninside\n\n</details>",
      "```sh\nkubectl get x\n```",
      "```mermaid\nflowchart LR\n```",
      "[docs](https://example.com)",
    ].join("\n\n");
    expect(terminal(markdown, plain)).toBe(
      [
        "Mesh mesh1\n",
        "│ Warning\n│ Careful.\n",
        "1. one\n2. two\n   • nested\n",
        "▸ More\n",
        "    kubectl get x\n",
        "[a diagram: see the page]\n",
        "docs (https://example.com)\n",
      ].join("\n"),
    );
  });

  it("wraps what is too wide for it", () => {
    const table = `| Where | Why |\n| --- | --- |\n| east | ${"the connection was refused ".repeat(2)}|\n`;
    expect(terminal(table, plain, 34)).toBe(
      [
        "┌───────┬────────────────────────┐",
        "│ Where │ Why                    │",
        "├───────┼────────────────────────┤",
        "│ east  │ the connection was     │",
        "│       │ refused the connection │",
        "│       │ was refused            │",
        "└───────┴────────────────────────┘",
        "",
      ].join("\n"),
    );
  });

  it.each([
    ["abc", 3],
    ["✅ ok", 5],
    ["⚠️", 2],
    ["\u001b[1mbold\u001b[22m", 4],
    ["网络", 4],
  ])("knows the columns of %j", (text, columns) => {
    expect(width(text)).toBe(columns);
  });
});

it("draws the log in its groups", () => {
  const lines: string[] = [];
  const print = logPrinter((line) => lines.push(stripVTControlCharacters(line)));
  print({ kind: "group", text: "Preflight" });
  print({ kind: "text", text: "east: answers" });
  print({ kind: "endgroup", text: "" });
  print({ kind: "error", title: "east", text: "no address\nnext: look" });
  print({ kind: "debug", text: "not shown" });
  expect(lines.map((line) => line.replace(/^ +\d+\.\d s/, " 0.0 s"))).toEqual([
    " 0.0 s  ▾ Preflight",
    " 0.0 s    east: answers",
    " 0.0 s  ✗ east: no address",
    "           next: look",
  ]);
});
