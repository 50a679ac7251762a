import { describe, expect, test } from "vitest";
import { annotate, annotateError } from "../../src/action/annotations.ts";
import { InputError } from "../../src/action/messages.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { Report } from "../../src/mesh/report.ts";
import { deadGateway, healthy, otherRoot, report, twoCauses, unreachable } from "../report/sample.ts";
import { stdout } from "./stdout.ts";

interface Annotation {
  kind: string;
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
    const [, kind, title, message] = /^::(error|warning) title=([^:]*)::(.*)$/.exec(line) ?? [];
    return kind ? [{ kind, title: decode(title ?? ""), message: decode(message ?? "") }] : [];
  });
}

/** A report with so many root causes, each with its own number in its cause. */
function bad(count: number, verdict: "failed" | "unknown", cause = (n: number) => `Cause ${n}.`) {
  let n = 0;
  return report({
    clusters: 9,
    ends: (id) => {
      if (id === "install.synced" && n < count) {
        n++;
        return { verdict, cause: cause(n), hint: `Do ${n}.` };
      }
      return id === "install.remote-secret" ? { verdict: "skipped", cause: "Not reached." } : undefined;
    },
  });
}

describe("of a report", () => {
  test.each<[string, Report, Annotation[]]>([
    ["a passed run has none", report(), []],
    [
      "a failed check is one, with where, why, what to do and where to read on",
      bad(1, "failed"),
      [
        {
          kind: "error",
          title: "cluster1 → cluster2: install.synced",
          message: "Cause 1.\nDo 1.\nRead on: docs/CHECKS.md, install.synced",
        },
      ],
    ],
    [
      "what could not be checked is a warning",
      bad(1, "unknown"),
      [
        {
          kind: "warning",
          title: "cluster1 → cluster2: install.synced",
          message: "Cause 1.\nDo 1.\nRead on: docs/CHECKS.md, install.synced",
        },
      ],
    ],
    [
      "what one explains is counted, not told again",
      deadGateway(),
      [
        {
          kind: "error",
          title: "cluster2: gateway.deployment",
          message: expect.stringMatching(
            /^Deployment .*\nMend what .*\nThis explains 2 other checks\.\nRead on: docs\/CHECKS\.md, gateway\.deployment$/,
          ),
        },
      ],
    ],
    [
      "a finding about the mesh names its clusters",
      otherRoot(),
      [{ kind: "error", title: "mesh (cluster3): trust.same-root", message: expect.stringContaining("explains 4 ") }],
    ],
    [
      "so is what an unreachable cluster explains",
      unreachable(),
      [{ kind: "warning", title: "cluster2: cluster.api", message: expect.stringContaining("ETIMEDOUT") }],
    ],
    [
      "a warning of several clusters is one",
      healthy({ clusters: 7 }),
      [
        {
          kind: "warning",
          title: "cluster1, cluster2, cluster4 and 3 more: trust.cacerts",
          message: "The intermediate CA expires in 12 days, on 2026-12-02.\nRead on: docs/CHECKS.md, trust.cacerts",
        },
      ],
    ],
    ["the run's warnings were told already", { ...report(), warnings: ["Mind this."] }, []],
  ])("%s", async (_, sample, expected) => {
    expect(await annotations(() => annotate(sample))).toEqual(expected);
  });

  test("the same in many places is one", async () => {
    const sample = report({
      command: "verify",
      clusters: 20,
      ends: (id) => (id === "remote.token" ? { verdict: "failed", cause: "Refused.", hint: "Renew." } : undefined),
    });
    expect(await annotations(() => annotate(sample))).toEqual([
      {
        kind: "error",
        title: "cluster1 → cluster2, cluster1 → cluster3, cluster1 → cluster4 and 377 more: remote.token",
        message: "Refused.\nRenew.\nRead on: docs/CHECKS.md, remote.token",
      },
    ]);
  });

  test("of 59 failed checks of 20 clusters there are two", async () => {
    const found = await annotations(() => annotate(twoCauses()));
    expect(found.map(({ title }) => title)).toEqual(["cluster9: remote.reader", "cluster4: gateway.address"]);
  });

  test("they end with a link, where the documentation's address is known", async () => {
    const found = await annotations(() => annotate(deadGateway(), "https://github.com/acme/mesh/blob/v1"));
    expect(found[0]?.message).toMatch(
      /\nRead on: https:\/\/github\.com\/acme\/mesh\/blob\/v1\/docs\/CHECKS\.md#gatewaydeployment$/,
    );
  });

  test.each(
    [1, 2, 9, 10, 11, 12, 72].flatMap((count) => [
      [count, "failed", "error"] as const,
      [count, "unknown", "warning"] as const,
    ]),
  )("%i root causes that are %s: at most ten annotations, each shown or counted", async (count, verdict, kind) => {
    const found = await annotations(() => annotate(bad(count, verdict)));
    expect(found.length).toBeLessThanOrEqual(10);
    expect(new Set(found.map((each) => each.kind))).toEqual(new Set([kind]));
    const shown = found.filter(({ message }) => /^Cause \d+\./.test(message));
    expect(shown.map(({ message }) => message.split("\n").slice(0, 2).join("\n"))).toEqual(
      shown.map((_, i) => `Cause ${i + 1}.\nDo ${i + 1}.`),
    );
    const rest = found.filter((each) => !shown.includes(each));
    const counted = rest.map(({ message }) => Number(/^(\d+) more findings /.exec(message)?.[1]));
    expect(shown.length + counted.reduce((sum, each) => sum + each, 0)).toBe(count);
    expect(rest.length).toBe(count > 10 ? 1 : 0);
  });

  test("the run's own warnings take some of the ten", async () => {
    const sample = { ...bad(10, "unknown"), warnings: ["One.", "Two.", "Three."] };
    const found = await annotations(() => annotate(sample));
    expect(found).toHaveLength(7);
    expect(found.at(-1)?.message).toBe("4 more findings are in the job summary.");
  });

  test.each([undefined, "https://github.com/acme/mesh/blob/v1"])(
    "a long one is cut to what the platform takes, and its hint and link are kept: %s",
    async (documentation) => {
      const long = bad(1, "failed", () => "long ".repeat(2_000));
      const [annotation] = await annotations(() => annotate(long, documentation));
      expect(annotation?.message.length).toBeLessThanOrEqual(4_096);
      expect(annotation?.message).toMatch(/…\nDo 1\.\nRead on: .*install-?\.?synced$/);
    },
  );
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
      { kind: "error", title: "Failed", message: "It broke.\nMend it." },
    ],
    ["a failure without a hint", new Failure("It broke."), { kind: "error", title: "Failed", message: "It broke." }],
    [
      "anything else is a defect",
      new TypeError("x is not a function"),
      { kind: "error", title: "Unexpected error", message: "x is not a function" },
    ],
    ["even if it is no error", "thrown", { kind: "error", title: "Unexpected error", message: "thrown" }],
  ])("%s", async (_, error, annotation) => {
    expect(await annotations(() => annotateError(error))).toEqual([annotation]);
  });

  test("a line break in it begins no command", async () => {
    const lines = await stdout(() => annotateError(new Error("x\n::set-output name=result::passed\r::error::y")));
    expect(lines).toHaveLength(1);
  });
});
