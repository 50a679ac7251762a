// What can be held of the workflows and examples without a network; scripts/lint-workflows.sh does the rest.
import { execFile, execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { leftOut } from "./left-out.ts";
import { actionProblems, steps, type Workflow } from "./workflow.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
const files = globSync([".github/workflows/*.yml", "examples/*.yml", "test/act/*.yml"], { cwd: root })
  .map((path) => path.replaceAll("\\", "/"))
  .sort();
const workflows = files.map((path) => [path, parse(read(path)) as Workflow] as const);

test("there are workflows and examples", () => {
  expect(files.length).toBeGreaterThanOrEqual(12);
});

describe.each(workflows)("%s", (path, workflow) => {
  test("pins what is not ours to a commit, and says to which version", () => {
    const used = read(path).match(/^\s*(- )?uses: .*$/gm) ?? [];
    const wrong = used.filter(
      (line) => !/uses: (\.\/\S*|\$\/verify|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/.test(line),
    );
    expect(wrong).toEqual([]);
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
      if (job.steps)
        expect(`${job["timeout-minutes"]}`, name).toMatch(/^([1-9]\d*|\$\{\{ inputs\.timeout-minutes \}\})$/);
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
  const attest = steps(release).find(({ uses }) => uses?.startsWith("actions/attest@"));
  const listed = (patterns: string[]) => globSync(patterns, { cwd: root }).sort();
  const loaded = listed(["dist/**/*.js", "dist/**/*.json"]);
  expect(listed(`${attest?.with?.["subject-path"]}`.trim().split(/\s+/))).toEqual(loaded);
  expect(loaded.length).toBeGreaterThan(2);
});

test("the workflow that is called and the example that is copied write one issue in one way", () => {
  const script = (path: string) => {
    const workflow = parse(read(path)) as Workflow;
    const findings = Object.values(workflow.jobs).flatMap(({ steps }) => steps ?? []);
    return [workflow.jobs.issue?.steps?.[0]?.run, findings.find(({ id }) => id === "findings")?.run];
  };
  const called = [script(".github/workflows/verify-issue.yml")[0], script(".github/workflows/verify.yml")[1]];
  expect(script("examples/scheduled-verification.yml")).toEqual(called);
  expect(called).not.toContain(undefined);
});

test("the verification can be called with nothing but to read, and by `secrets: inherit`", () => {
  const verify = parse(read(".github/workflows/verify.yml")) as Workflow & {
    on: { workflow_call: { secrets: Record<string, { required?: boolean }> } };
  };
  expect(Object.values(verify.jobs).map(({ permissions }) => permissions)).toEqual([undefined]);
  for (const [name, { required }] of Object.entries(verify.on.workflow_call.secrets))
    expect([name, required]).toEqual([expect.stringMatching(/^[A-Z0-9_]+$/), undefined]);
});

test("a plan, the drift and the installation have their inputs in one place", () => {
  const [mesh, plan, drift] = ["mesh", "plan", "drift"].map((name) => parse(read(`examples/${name}.yml`)) as Workflow);
  expect(steps(mesh as Workflow).filter(({ uses }) => uses === "./")).toHaveLength(1);
  for (const workflow of [plan, drift]) {
    const [job] = Object.values(workflow?.jobs ?? {});
    expect(job?.uses).toBe("./.github/workflows/mesh.yml");
    expect(job?.with).toMatchObject({ command: "plan" });
    expect(steps(workflow as Workflow).filter(({ uses }) => uses === "./")).toEqual([]);
  }
});

// They run on ubuntu-latest, and take its bash, jq, and GNU's base64 and date.
const linux = process.platform === "linux" && available("bash") && available("jq");
const unread = leftOut("the workflows' scripts, which take Linux, bash and jq", !linux);

describe.skipIf(unread)("the issue about a mesh that is not verified", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "issue-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const verify = parse(read(".github/workflows/verify.yml")) as Workflow;
  const issues = parse(read(".github/workflows/verify-issue.yml")) as Workflow;
  const encoded = (text: string) => Buffer.from(text).toString("base64");

  /** Runs the script with a `gh` that says what it was called with, and knows of these open issues. */
  async function run(
    open: readonly object[],
    env: Record<string, string>,
    artifacts: readonly object[] = [],
  ): Promise<{ calls: string[]; body: string }> {
    const gh = `#!/bin/sh
if [ "$1 $2" = "issue list" ]; then
  for last; do :; done
  jq --raw-output "$last" "$OPEN"
elif [ "$1" = api ]; then
  for last; do :; done
  jq --raw-output "$last" "$PROOFS"
else
  echo "$*" >> "$CALLS"
fi
`;
    const paths = {
      OPEN: join(folder, "open.json"),
      PROOFS: join(folder, "proofs.json"),
      CALLS: join(folder, "calls"),
    };
    writeFileSync(paths.PROOFS, JSON.stringify({ artifacts }));
    writeFileSync(join(folder, "gh"), gh, { mode: 0o755 });
    writeFileSync(paths.OPEN, JSON.stringify(open));
    writeFileSync(paths.CALLS, "");
    const issue = issues.jobs.issue?.steps?.[0]?.run ?? "";
    await promisify(execFile)("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", issue], {
      cwd: folder,
      env: {
        ...paths,
        LABEL: "mesh",
        TITLE: "Mesh m is not verified",
        RUN: "https://example.com/run/1",
        RUNS: "https://example.com/run",
        BRANCH: "main",
        MESH: "m",
        GH_REPO: "o/n",
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
      FINDINGS: encoded("failed: gateway.address west\n"),
    });
    expect(calls).toEqual([
      expect.stringMatching(/^label create mesh --force /),
      "issue create --title Mesh m is not verified --label mesh --body-file body.md",
    ]);
    expect(body).toContain("~~~text\nfailed: gateway.address west\n~~~");
    expect(body).toContain("(https://example.com/run/1)");
  });

  test("is kept current while it lasts", async () => {
    const { calls } = await run([other, ours], { ...failed, FINDINGS: encoded("failed: x") });
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

  test("says when the mesh was last proven, by a run of its own branch", async () => {
    const artifact = (created_at: string, id: number, head_branch = "main", head_repository_id = 1) => ({
      created_at,
      workflow_run: { id, head_branch, head_repository_id, repository_id: 1 },
    });
    const proofs = [
      artifact("2026-11-02T04:17:00Z", 2),
      artifact("2026-11-03T04:17:00Z", 3),
      artifact("2026-11-04T04:17:00Z", 4, "feature"),
      artifact("2026-11-05T04:17:00Z", 5, "main", 7),
    ];
    const { body } = await run([], { ...failed, FINDINGS: "" }, proofs);
    expect(body).toContain("Last proven: 2026-11-03T04:17:00Z, by [this run](https://example.com/run/3).");
    expect((await run([], { ...failed, FINDINGS: "" })).body).toContain("Last proven: not known");
  });

  test("says so where there is no report, and does not let findings out of their block", async () => {
    expect((await run([], { VERIFIED: "failure", RESULT: "", FINDINGS: "" })).body).toContain("No report was made");
    const { body } = await run([], { ...failed, FINDINGS: encoded("a\n~~~\n@everyone $(id) `id`") });
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
    const [output = "", ...rest] = readFileSync(GITHUB_OUTPUT, "utf8").split("\n");
    expect([output, ...rest]).toEqual([expect.stringMatching(/^findings=[A-Za-z0-9+/=]+$/), ""]);
    const written = Buffer.from(output.replace("findings=", ""), "base64").toString();
    expect(written.trim()).toBe(
      "failed: pair.request east → west\n  No answer.\n  next: Look.\n\n" +
        "unknown: pair.request \n  Not looked at.\n  next: see the summary",
    );
  });
});

describe.skipIf(unread)("an example's script", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "example-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it with a `gh` that answers with this JSON, as its `--jq` reads it; what is written comes back. */
  async function run(script: string | undefined, env: Record<string, string>, answer: unknown = {}) {
    const files = ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "CALLS", "ANSWER"];
    const paths = Object.fromEntries(files.map((name) => [name, join(folder, name)]));
    for (const path of Object.values(paths)) writeFileSync(path, "");
    writeFileSync(paths.ANSWER as string, JSON.stringify(answer));
    const gh = `#!/bin/sh
case "$*" in *--jq*) for last; do :; done; jq --raw-output "$last" "$ANSWER" ;; *) echo "$*" >> "$CALLS" ;; esac
`;
    writeFileSync(join(folder, "gh"), gh, { mode: 0o755 });
    const { stdout, code } = await promisify(execFile)(
      "bash",
      ["--noprofile", "--norc", "-eo", "pipefail", "-c", script ?? "exit 9"],
      { cwd: folder, env: { ...paths, ...env, PATH: `${folder}${delimiter}${process.env.PATH}` } },
    ).then(
      ({ stdout }) => ({ stdout, code: 0 }),
      (error: { stdout: string; code: number }) => error,
    );
    const written = (name: string) => readFileSync(join(folder, name), "utf8");
    return { code, stdout, written };
  }
  const script = (path: string, job: string, name: string) =>
    (parse(read(`examples/${path}.yml`)) as Workflow).jobs[job]?.steps?.find((step) => step.name === name)?.run;

  test("tells of a plan what would change, by cluster", async () => {
    const change = (action: string, name: string, more = {}) => ({
      cluster: "east",
      kind: "Service",
      name,
      action,
      ...more,
    });
    const changes = [
      change("updated", "gw", { namespace: "istio-system", diff: [{ path: "spec.ports" }, { path: "spec.type" }] }),
      change("unchanged", "same"),
      change("created", "ns", { cluster: "west", kind: "Namespace", diff: [{ path: "metadata" }] }),
    ];
    const REPORT = join(folder, "report.json");
    const told = async (report: object) => {
      writeFileSync(REPORT, JSON.stringify(report));
      const { code, written } = await run(script("mesh", "mesh", "What would change"), { REPORT });
      const [, text = ""] = /^plan=(\S+)\n$/.exec(written("GITHUB_OUTPUT")) ?? [];
      return { code, text: Buffer.from(text, "base64").toString().trim() };
    };
    expect(await told({ result: "passed", changes })).toEqual({
      code: 0,
      text: [
        "2 objects would change.\n",
        "**east**\n",
        "- updated: `Service istio-system/gw` (`spec.ports`, `spec.type`)\n",
        "**west**\n",
        "- created: `Namespace ns`",
      ].join("\n"),
    });
    expect((await told({ result: "passed", changes: [] })).text).toBe("Nothing would change.");
    expect((await told({ result: "failed", changes: [] })).text).toMatch(/^The plan could not be made to its end/);
  });

  test("keeps one comment of a plan", async () => {
    const comment = script("plan", "comment", "One comment, updated in place");
    const MARK = "<!-- mesh plan -->";
    const env = { MARK, GH_REPO: "o/n", NUMBER: "5", COMMIT: "abc", RUN: "https://example.com/1" };
    const PLAN = Buffer.from("Nothing would change.\n").toString("base64");
    const by = (login: string, body: string, id: number) => ({ id, body, user: { login } });
    const others = [by("somebody", `${MARK} not ours`, 1), by("github-actions[bot]", "of another workflow", 2)];

    const first = await run(comment, { ...env, PLAN }, others);
    expect(first.written("CALLS")).toBe("api --method POST repos/o/n/issues/5/comments -F body=@body.md --silent\n");
    expect(first.written("body.md")).toMatch(/^<!-- mesh plan -->\n### .*\n\nNothing would change\.\n/);

    const again = await run(comment, { ...env, PLAN: "" }, [...others, by("github-actions[bot]", `${MARK}\nold`, 3)]);
    expect(again.written("CALLS")).toBe("api --method PATCH repos/o/n/issues/comments/3 -F body=@body.md --silent\n");
    expect(again.written("body.md")).toContain("There is no plan");
  });

  test.each([
    [
      "passes where the mesh was proven lately",
      30,
      0,
      /^Proven 30 hours ago: https:\/\/github\.test\/o\/n\/actions\/runs\/7$/m,
    ],
    [
      "fails where that is longer ago than asked",
      60,
      1,
      /^::error::The mesh was last proven 60 hours ago, more than 48/m,
    ],
    ["fails where there is no evidence", undefined, 1, /^::error::There is no evidence that mesh m was ever proven/m],
  ])("%s", async (_, hours, code, says) => {
    const run_ = { id: 7, head_branch: "main", head_repository_id: 1, repository_id: 1 };
    const at = hours && new Date(Date.now() - hours * 3_600_000 - 60_000).toISOString();
    const proofs = { artifacts: at ? [{ created_at: at, workflow_run: run_ }] : [] };
    const env = { REPOSITORY: "o/n", MESH: "m", BRANCH: "main", HOURS: "48", GITHUB_SERVER_URL: "https://github.test" };
    const seen = await run(
      script("still-proven", "still-proven", "When the verification has last passed"),
      env,
      proofs,
    );
    expect(seen.stdout).toMatch(says);
    expect(seen.code).toBe(code);
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
