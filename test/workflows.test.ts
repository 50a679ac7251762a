// What can be held of the workflows and examples without a network; scripts/lint-workflows.sh does the rest.
import { execFile, execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { actionProblems, type Step, type Workflow } from "./workflow.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
const files = globSync([".github/workflows/*.yml", "examples/*.yml", "test/act/*.yml"], { cwd: root })
  .map((path) => path.replaceAll("\\", "/"))
  .sort();
const workflows = files.map((path) => [path, parse(read(path)) as Workflow] as const);
const steps = (workflow: Workflow): Step[] => Object.values(workflow.jobs).flatMap((job) => job.steps ?? []);

test("there are workflows and examples", () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

describe.each(workflows)("%s", (path, workflow) => {
  test("pins what is not ours to a commit, and says to which version", () => {
    const used = read(path).match(/^\s*(- )?uses: .*$/gm) ?? [];
    const wrong = used.filter((line) => !/uses: (\.\/\S*|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/.test(line));
    expect(wrong).toEqual([]);
    expect(used.length).toBeGreaterThan(0);
  });

  test("gives its jobs nothing but to read, unless they say why they need more", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
  });

  test("has no expression in a script", () => {
    expect(steps(workflow).filter(({ run }) => run?.includes("${{"))).toEqual([]);
  });

  test("has a name for people, and an end to each job", () => {
    expect(workflow.name).toMatch(/^[a-z][a-z -]+$/);
    for (const [name, job] of Object.entries(workflow.jobs))
      if (job.steps) expect(job["timeout-minutes"], name).toBeGreaterThan(0);
  });

  test("uses the action with inputs and outputs that it has", () => {
    expect(actionProblems(workflow)).toEqual([]);
  });

  test("gives kubeconfigs and keys from secrets only", () => {
    for (const { with: inputs = {}, env = {} } of steps(workflow)) {
      for (const [name, value] of Object.entries({ ...inputs, ...env })) {
        if (/kubeconfig$|root-key$/i.test(name)) expect(value, name).toMatch(/^\$\{\{ secrets\.[\w-]+ \}\}$/);
      }
    }
  });
});

test("one commit is one version of an action, everywhere", () => {
  const pins = files.flatMap((path) => [...read(path).matchAll(/uses: ([\w-]+\/[\w-]+)\S*@([0-9a-f]{40}) # (\S+)/g)]);
  const versions = new Map<string, Set<string>>();
  for (const [, name = "", commit, version] of pins)
    versions.set(name, (versions.get(name) ?? new Set()).add(`${commit} ${version}`));
  expect([...versions].filter(([, seen]) => seen.size > 1)).toEqual([]);
  expect(versions.size).toBeGreaterThanOrEqual(5);
});

test("a release attests every file that a runner loads", () => {
  const release = parse(read(".github/workflows/release.yml")) as Workflow;
  const attest = steps(release).find(({ uses }) => uses?.startsWith("actions/attest-build-provenance@"));
  const listed = (patterns: string[]) => globSync(patterns, { cwd: root }).sort();
  const loaded = listed(["dist/**/*.js", "dist/**/*.json"]);
  expect(listed(`${attest?.with?.["subject-path"]}`.trim().split(/\s+/))).toEqual(loaded);
  expect(loaded.length).toBeGreaterThan(2);
});

test("the workflow that is called and the example that is copied write one issue in one way", () => {
  const script = (path: string) => {
    const workflow = parse(read(path)) as Workflow;
    return workflow.jobs.issue?.steps?.[0]?.run;
  };
  expect(script(".github/workflows/verify.yml")).toBe(script("examples/scheduled-verification.yml"));
});

const bash = process.platform !== "win32" && available("bash") && available("jq");
if (!bash) console.log("skipped: the scripts of the verification, which take bash and jq");

describe.skipIf(!bash)("the issue about a mesh that is not verified", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "issue-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const verify = parse(read(".github/workflows/verify.yml")) as Workflow;

  /** Runs the script with a `gh` that says what it was called with, and knows of these open issues. */
  async function run(open: readonly object[], env: Record<string, string>): Promise<{ calls: string[]; body: string }> {
    const gh = `#!/bin/sh
if [ "$1 $2" = "issue list" ]; then
  for last; do :; done
  jq --raw-output "$last" "$OPEN"
else
  echo "$*" >> "$CALLS"
fi
`;
    const paths = { OPEN: join(folder, "open.json"), CALLS: join(folder, "calls") };
    writeFileSync(join(folder, "gh"), gh, { mode: 0o755 });
    writeFileSync(paths.OPEN, JSON.stringify(open));
    writeFileSync(paths.CALLS, "");
    const issue = verify.jobs.issue?.steps?.[0]?.run ?? "";
    await promisify(execFile)("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", issue], {
      cwd: folder,
      env: {
        ...paths,
        LABEL: "mesh",
        TITLE: "Mesh m is not verified",
        RUN: "https://example.com/run/1",
        ...env,
        PATH: `${folder}${delimiter}${process.env.PATH}`,
      },
    });
    const calls = readFileSync(paths.CALLS, "utf8").split("\n").filter(Boolean);
    const bodies = globSync("body.md", { cwd: folder }).map((path) => readFileSync(join(folder, path), "utf8"));
    return { calls, body: bodies.join("") };
  }

  const ours = { number: 7, title: "Mesh m is not verified" };
  const other = { number: 5, title: "Mesh other is not verified" };

  const passed = { VERIFIED: "success", RESULT: "passed" };
  const failed = { VERIFIED: "failure", RESULT: "failed" };

  test("is opened at the first failure", async () => {
    const { calls, body } = await run([other], {
      ...failed,
      FINDINGS: "failed: gateway.address west\n",
    });
    expect(calls).toEqual([
      expect.stringMatching(/^label create mesh --force /),
      "issue create --title Mesh m is not verified --label mesh --body-file body.md",
    ]);
    expect(body).toContain("~~~text\nfailed: gateway.address west\n~~~");
    expect(body).toContain("(https://example.com/run/1)");
  });

  test("is kept current while it lasts", async () => {
    const { calls } = await run([other, ours], { ...failed, FINDINGS: "failed: x" });
    expect(calls).toEqual(["issue edit 7 --body-file body.md"]);
  });

  test("is closed by the first run that passes", async () => {
    const { calls } = await run([other, ours], { ...passed, FINDINGS: "" });
    expect(calls).toEqual(["issue close 7 --comment The mesh was verified again: https://example.com/run/1"]);
  });

  test("is not there while all is well", async () => {
    expect(await run([other], { ...passed, FINDINGS: "" })).toEqual({ calls: [], body: "" });
  });

  test.each([
    ["opened where a failure does not fail the step", [other], "failed", /^issue create /],
    ["kept where a failure does not fail the step", [other, ours], "failed", /^issue edit 7 /],
    ["neither opened nor closed by what `fail-on` lets pass", [other, ours], "incomplete", undefined],
  ])("is %s", async (_, open, RESULT, call) => {
    const { calls } = await run(open, { VERIFIED: "success", RESULT, FINDINGS: "" });
    expect(calls.filter((each) => each.startsWith("issue "))).toEqual(call ? [expect.stringMatching(call)] : []);
  });

  test("says so where there is no report, and does not let findings out of their block", async () => {
    expect((await run([], { VERIFIED: "failure", RESULT: "", FINDINGS: "" })).body).toContain("No report was made");
    const { body } = await run([], { ...failed, FINDINGS: "a\n~~~\n@everyone $(id) `id`" });
    expect(body.match(/^~~~/gm)).toHaveLength(2);
    expect(body).toContain("@everyone $(id) `id`");
  });

  test("tells the root causes of a report", async () => {
    const findings = verify.jobs.verify?.steps?.find(({ id }) => id === "findings")?.run ?? "";
    const check = (verdict: string, more: object) => ({
      id: "pair.request",
      subject: { source: "east", target: "west" },
      verdict,
      evidence: "seen",
      ...more,
    });
    const report = {
      checks: [
        check("failed", { cause: "No answer.", hint: "Look." }),
        check("failed", { cause: "A consequence.", because: { id: "x" } }),
        check("unknown", { subject: {}, cause: "Not looked at." }),
        check("passed", {}),
      ],
    };
    const [REPORT, GITHUB_OUTPUT] = [join(folder, "report.json"), join(folder, "output")];
    writeFileSync(REPORT, JSON.stringify(report));
    await promisify(execFile)("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", findings], {
      env: { REPORT, GITHUB_OUTPUT, PATH: process.env.PATH },
    });
    const written = readFileSync(GITHUB_OUTPUT, "utf8").split("\n").slice(1, -2).join("\n");
    expect(written.trim()).toBe(
      "failed: pair.request east → west\n  No answer.\n  next: Look.\n\n" +
        "unknown: pair.request \n  Not looked at.\n  next: see the summary",
    );
  });
});

function available(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
