import { describe, expect, test } from "vitest";
import { annotate, annotateError } from "../../src/action/annotations.ts";
import { InputError } from "../../src/action/inputs.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { report } from "../report/sample.ts";
import { stdout } from "./stdout.ts";

interface Annotation {
  title: string;
  message: string;
}

/** Annotations as the runner reads them. */
async function annotations(act: () => void): Promise<Annotation[]> {
  const decode = (text: string) =>
    text
      .replaceAll("%0D", "\r")
      .replaceAll("%0A", "\n")
      .replaceAll("%3A", ":")
      .replaceAll("%2C", ",")
      .replaceAll("%25", "%");
  return (await stdout(act)).flatMap((line) => {
    const match = /^::(\w+) title=([^:]*)::(.*)$/.exec(line);
    if (!match) return [];
    expect(match[1]).toBe("error");
    return [{ title: decode(match[2] ?? ""), message: decode(match[3] ?? "") }];
  });
}

/** A report with so many failed checks of the pairs, each with its own number in its cause. */
function failing(count: number, cause = (n: number) => `Cause ${n}.`) {
  let n = 0;
  return report({
    clusters: 9,
    ends: (id) => {
      if (id === "install.synced" && n < count) {
        n++;
        return { verdict: "failed", cause: cause(n), hint: `Do ${n}.` };
      }
      return id === "install.remote-secret" ? { verdict: "skipped", cause: "Not reached." } : undefined;
    },
  });
}

describe("of a report", () => {
  test("a passed run has none", async () => {
    expect(await annotations(() => annotate(report()))).toEqual([]);
  });

  test("a failed check is one, with where, why and what to do", async () => {
    expect(await annotations(() => annotate(failing(1)))).toEqual([
      { title: "cluster1 → cluster2: remote.synced", message: "Cause 1.\nDo 1." },
    ]);
  });

  test.each([1, 2, 9, 10, 11, 12, 72])("%i failed checks: at most ten, each shown or counted", async (count) => {
    const found = await annotations(() => annotate(failing(count)));
    expect(found.length).toBeLessThanOrEqual(10);
    const shown = found.filter(({ message }) => /^Cause \d+\./.test(message));
    expect(shown.map(({ message }) => message)).toEqual(shown.map((_, i) => `Cause ${i + 1}.\nDo ${i + 1}.`));
    const rest = found.filter((each) => !shown.includes(each));
    const counted = rest.map(({ message }) => Number(/^(\d+) more checks failed; /.exec(message)?.[1]));
    expect(shown.length + counted.reduce((sum, each) => sum + each, 0)).toBe(count);
    expect(rest.length).toBe(count > 10 ? 1 : 0);
  });

  test("a long one is cut to what the platform takes, and its hint is kept", async () => {
    const [annotation] = await annotations(() => annotate(failing(1, () => "long ".repeat(2_000))));
    expect(annotation?.message.length).toBeLessThanOrEqual(4_096);
    expect(annotation?.message).toMatch(/…\nDo 1\.$/);
  });
});

describe("of an error", () => {
  test.each([1, 2, 10, 11, 40, 500])(
    "%i problems with the inputs: at most ten, each shown or counted",
    async (count) => {
      const problems = Array.from({ length: count }, (_, i) => `\`input${i}\` is bad${", very bad".repeat(8)}.`);
      const found = await annotations(() => annotateError(new InputError(problems)));
      expect(found.length).toBeLessThanOrEqual(10);
      for (const { message } of found) expect(message.length).toBeLessThanOrEqual(4_096);
      const lines = found.flatMap(({ message }) => message.split("\n"));
      const more = Number(/^(\d+) more problems/.exec(lines.at(-1) ?? "")?.[1] ?? 0);
      const shown = more > 0 ? lines.slice(0, -1) : lines;
      expect(shown).toEqual(problems.slice(0, shown.length));
      expect(shown.length + more).toBe(count);
    },
  );

  test("what was found before anything was begun says that nothing was changed", async () => {
    expect(await stdout(() => annotateError(new InputError(["`x` is bad."])))).toContain("Nothing was changed.");
  });

  test.each<[string, unknown, Annotation]>([
    [
      "a failure tells what to do",
      new Failure("It broke.", "Mend it."),
      { title: "Failed", message: "It broke.\nMend it." },
    ],
    ["a failure without a hint", new Failure("It broke."), { title: "Failed", message: "It broke." }],
    [
      "anything else is a defect",
      new TypeError("x is not a function"),
      { title: "Unexpected error", message: "x is not a function" },
    ],
    ["even if it is no error", "thrown", { title: "Unexpected error", message: "thrown" }],
  ])("%s", async (_, error, annotation) => {
    expect(await annotations(() => annotateError(error))).toEqual([annotation]);
  });

  test("a line break in it begins no command", async () => {
    const lines = await stdout(() => annotateError(new Error("x\n::set-output name=result::passed\r::error::y")));
    expect(lines).toHaveLength(1);
  });
});
