import { marked, type Tokens } from "marked";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { toMarkdown } from "../../src/report/markdown.ts";
import { allTables, decoded, headings, picture, table, tables, tokens } from "./reading.ts";
import {
  deadGateway,
  failedInPreflight,
  failedMidway,
  healthy,
  otherRoot,
  passed,
  report,
  twoCauses,
  unreachable,
} from "./sample.ts";

describe("what is wrong", () => {
  test.each<[string, Report, string[][]]>([
    [
      "what a dead gateway explains is not told beside it",
      deadGateway(),
      [["✗", "cluster2 gateway.deployment", expect.stringContaining("↳ explains 2 other checks"), expect.anything()]],
    ],
    [
      "a finding about the mesh names its clusters",
      otherRoot(),
      [["✗", "mesh (cluster3) trust.same-root", expect.stringContaining("explains 4 other checks"), expect.anything()]],
    ],
    [
      "what explains most is first",
      twoCauses(),
      [
        ["✗", "cluster9 remote.reader", expect.stringContaining("explains 38 other checks"), expect.anything()],
        ["✗", "cluster4 gateway.address", expect.stringContaining("explains 19 other checks"), expect.anything()],
      ],
    ],
    [
      "the same in many places is one",
      report({
        command: "verify",
        clusters: 20,
        ends: (id) => (id === "gateway.exposure" ? { verdict: "failed", cause: "Not exposed.", hint: "" } : undefined),
      }),
      [["✗", "cluster1, cluster2, cluster3 and 17 more gateway.exposure", "Not exposed.", "–"]],
    ],
    [
      "what failed comes before what could not be checked",
      report({
        command: "verify",
        ends: (id) => {
          if (id === "leftover.objects") return { verdict: "unknown", cause: "Not read.", hint: "Look." };
          return id === "remote.strangers" ? { verdict: "failed", cause: "One.", hint: "Delete it." } : undefined;
        },
      }),
      [
        ["✗", "cluster1, cluster2 remote.strangers", "One.", "Delete it."],
        ["?", "cluster1, cluster2 leftover.objects", "Not read.", "Look."],
      ],
    ],
  ])("%s", (_, sample, rows) => {
    expect(table(toMarkdown(sample), "", "Where")).toEqual(rows);
  });

  test("where nothing failed it is what could not be checked", () => {
    const markdown = toMarkdown(unreachable());
    expect(headings(markdown)[1]).toBe("What could not be checked");
    expect(table(markdown, "", "Where").map(([mark, where]) => [mark, where])).toEqual([["?", "cluster2 cluster.api"]]);
  });

  test("is linked to the documentation where that is known", () => {
    const documentation = "https://github.com/acme/mesh/blob/fix(1)";
    const links = (markdown: string) => tokens(markdown).filter(({ type }) => type === "link") as Tokens.Link[];
    expect(links(toMarkdown(deadGateway()))).toEqual([]);
    const [link] = links(toMarkdown(deadGateway(), documentation));
    expect(link).toMatchObject({
      text: "`gateway.deployment`",
      href: "https://github.com/acme/mesh/blob/fix%281%29/docs/CHECKS.md#gatewaydeployment",
    });
  });

  test("is what explains another, in the list of all checks", () => {
    const rows = allTables(toMarkdown(deadGateway()), "", "Check").flat();
    expect(rows.filter(([mark]) => mark === "✗").map(([, id, where, seen]) => [id, where, seen])).toEqual([
      ["gateway.deployment", "cluster2", expect.stringMatching(/^Deployment/)],
      ["pair.request", "cluster1 → cluster2", expect.stringMatching(/↳ because of gateway.deployment in cluster2$/)],
      ["pair.request", "cluster3 → cluster2", expect.stringMatching(/↳ because of gateway.deployment in cluster2$/)],
    ]);
  });
});

describe("warnings", () => {
  const quotes = (markdown: string) =>
    (marked.parse(markdown) as string).match(/<blockquote>[\s\S]*?<\/blockquote>/g)?.map(decoded) ?? [];

  test("of several checks with one text are one, with where", () => {
    expect(quotes(toMarkdown(healthy())).map((text) => text.replace(/\s+/g, " ").trim())).toEqual([
      "[!WARNING] cluster1, cluster2 : The intermediate CA expires in 12 days, on 2026-12-02.",
    ]);
  });

  test("are a list where there are several, each once", () => {
    const markdown = toMarkdown({
      ...healthy(),
      warnings: ["Mind this.", "- And `that`.", "Mind this.", "      Indented."],
    });
    expect(quotes(markdown)).toHaveLength(1);
    const items = (marked.parse(markdown) as string).match(/<li>.*?<\/li>/g) ?? [];
    expect(items.map((item) => decoded(item).replace(/ +/g, " ").trim())).toEqual([
      "Mind this.",
      "- And that .",
      "Indented.",
      expect.stringContaining("The intermediate CA expires"),
    ]);
  });

  test("that have no room are counted", () => {
    const warnings = Array.from({ length: 1_000 }, (_, i) => `${i} ${"long ".repeat(100)}`);
    const markdown = toMarkdown({ ...healthy({ ends: () => undefined }), warnings });
    const items = (marked.parse(markdown) as string).match(/<li>.*?<\/li>/g) ?? [];
    const more = Number(/^(\d+) more warnings/.exec(decoded(items.at(-1) ?? "").trim())?.[1]);
    // Those of the checks are told too.
    expect(items.length - 1 + more).toBe(1_001);
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

  test.each<[string, Report, string[]]>([
    ["what does not apply is no blemish", healthy(), ["✓", "✓", "✓"]],
    ["a finding about the mesh is one of the clusters that it names", otherRoot(), ["✓", "✓", "✗"]],
    ["what is between clusters is not theirs", deadGateway(), ["✓", "✗", "✓"]],
    ["what could not be read is marked so", unreachable(), ["✓", "?", "✓"]],
    [
      "what was not looked at is not said to be good",
      report({ command: "verify", ends: () => ({ verdict: "skipped", cause: "It was not reached." }) }),
      ["–", "–"],
    ],
  ])("%s", (_, sample, marks) => {
    expect(table(toMarkdown(sample), "", "Cluster").map(([mark]) => mark)).toEqual(marks);
  });

  test("one that was not begun is not said to be good", () => {
    expect(table(toMarkdown(failedInPreflight()), "", "Cluster").map(([mark]) => mark)).toEqual(["–", "✗"]);
  });
});

describe("the requests", () => {
  test("the row calls the column", () => {
    expect(table(toMarkdown(deadGateway()), "calls →")).toEqual([
      ["cluster1", "·", "✗", "✓"],
      ["cluster2", "✓", "·", "✓"],
      ["cluster3", "✓", "✗", "·"],
    ]);
    expect(table(toMarkdown(unreachable()), "calls →")[0]).toEqual(["cluster1", "·", "?", "✓"]);
  });

  test("are the only matrix, where there are any", () => {
    expect(headings(toMarkdown(passed({ traffic: true })))).not.toContain("Remote secrets");
    expect(headings(toMarkdown(passed()))).not.toContain("Requests");
    const unsent = report({
      command: "verify",
      ends: (id) => (id === "pair.request" ? { verdict: "skipped", cause: "Not asked for." } : undefined),
    });
    expect(headings(toMarkdown(unsent))).toContain("Remote secrets");
    expect(headings(toMarkdown(unsent))).not.toContain("Requests");
  });

  test("of many clusters have numbers for columns", () => {
    const markdown = toMarkdown(twoCauses());
    const matrix = tables(markdown).find(({ header }) => header[0]?.text === "calls →");
    expect(matrix?.header.slice(1).map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, i) => `${i + 1}`));
    expect(table(markdown, "calls →")[1]?.slice(0, 6)).toEqual(["2 cluster2", "✓", "·", "✓", "✗", "✓"]);
  });
});

describe("the Services", () => {
  test("say from where each is reached, and which clusters' endpoints answered", () => {
    const asked = (answered: object) => [
      { source: "requests", values: { answered, having: ["cluster1", "cluster2"] } },
    ];
    const sample = report({
      command: "verify",
      ends: (id, subject) => {
        if (id !== "service.answered") return undefined;
        return "cluster" in subject && subject.cluster === "cluster1"
          ? { verdict: "passed", readings: asked({ cluster1: 9 }) }
          : { verdict: "failed", cause: "It is not answered.", hint: "Look.", readings: asked({}) };
      },
    });
    expect(table(toMarkdown(sample), "from →")).toEqual([
      ["apps/web:80", "✓", "✓"],
      ["apps/web:80 answered", "✓ cluster1; not cluster2", "✗ not cluster1, cluster2"],
    ]);
    expect(table(toMarkdown(passed({ traffic: true })), "from →")[1]).toEqual([
      "apps/web:80 answered",
      ...["✓ cluster1, cluster2", "✓ cluster1, cluster2"],
    ]);
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
  test("has every cluster, and without requests a line between those that were seen to read each other", () => {
    const text = picture(toMarkdown(failedMidway({ clusters: 3 }))) ?? "";
    expect(text.match(/subgraph/g)).toHaveLength(3);
    expect(text).toContain("192.0.2.1");
    expect(text.match(/<-->/g)).toHaveLength(1);
    expect(picture(toMarkdown(passed({ clusters: 3 })))?.match(/<-->/g)).toHaveLength(3);
  });

  test("has a line only where requests got through, one way or both", () => {
    const text = picture(toMarkdown(deadGateway())) ?? "";
    expect(text.match(/g\d (<-->|-->)\|.*/g)).toEqual([
      "g1 -->|mTLS 15443| g0",
      "g0 <-->|mTLS 15443| g2",
      "g1 -->|mTLS 15443| g2",
    ]);
    expect(picture(toMarkdown(healthy()))?.match(/<-->/g)).toHaveLength(3);
  });

  test("is left out where it would show nothing, or only a tangle", () => {
    expect(picture(toMarkdown(failedInPreflight()))).toBeUndefined();
    expect(picture(toMarkdown(passed({ clusters: 20 })))).toBeUndefined();
  });
});
