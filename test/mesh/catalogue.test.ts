import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CATEGORIES, CHECKS, type CheckId } from "../../src/mesh/catalogue.ts";
import { PHASES } from "../../src/mesh/phases.ts";
import { documentationOf } from "../../src/report/words.ts";

const ids = Object.keys(CHECKS) as CheckId[];

/** The documentation's sections: the heading of the category, the check's heading, and the text. */
function sections() {
  const text = readFileSync(join(import.meta.dirname, "../../docs/CHECKS.md"), "utf8");
  return text
    .split(/^## /m)
    .slice(1)
    .flatMap((part) => {
      const [category = "", ...checks] = part.split(/^### /m);
      return checks.map((check) => {
        const [heading = "", ...lines] = check.split("\n");
        return { category: category.split("\n")[0], heading, lines: lines.filter((line) => line !== "") };
      });
    });
}

/** As GitHub makes the anchor of a heading. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
}

describe("the catalogue", () => {
  test.each(ids)("%s is in a category and a phase, and has a title", (id) => {
    const { category, phase, title } = CHECKS[id];
    expect(Object.keys(CATEGORIES)).toContain(category);
    expect(Object.keys(PHASES)).toContain(phase);
    expect(title).toMatch(/^[A-Za-z].*[^.]$/);
  });

  test("no two checks of a category have one title", () => {
    const titles = ids.map((id) => `${CHECKS[id].category}: ${CHECKS[id].title}`);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe("the documentation", () => {
  test("has a section for every check, in the catalogue's order, and none for others", () => {
    const documented = sections().map(({ heading }) => heading);
    expect(documented).toEqual(ids.toSorted((a, b) => order(a) - order(b)).map((id) => `\`${id}\``));
  });

  test("has them by category", () => {
    for (const { category, heading } of sections()) {
      expect([heading, category]).toEqual([heading, CATEGORIES[CHECKS[heading.slice(1, -1) as CheckId].category]]);
    }
  });

  test("says of each how it can fail, in a few lines", () => {
    for (const { heading, lines } of sections()) {
      expect(lines.join("\n"), heading).toMatch(/^Fails? /m);
      expect(lines.length, heading).toBeGreaterThanOrEqual(3);
      expect(lines.length, heading).toBeLessThanOrEqual(8);
    }
  });

  test("is what the reports link to, and no two checks have one anchor", () => {
    const anchors = sections().map(({ heading }) => slug(heading));
    expect(new Set(anchors).size).toBe(anchors.length);
    const links = sections().map(({ heading }) =>
      documentationOf(heading.slice(1, -1) as CheckId, "https://x.example"),
    );
    expect(links).toEqual(anchors.map((anchor) => `https://x.example/docs/CHECKS.md#${anchor}`));
  });
});

/** Of the catalogue's categories, in their order; within one that of the checks. */
function order(id: CheckId): number {
  return Object.keys(CATEGORIES).indexOf(CHECKS[id].category) * 1_000 + ids.indexOf(id);
}
