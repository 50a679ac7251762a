// What the repository itself has to be: its checks, its releases, and what watches over its packages.
import { execFile } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { leftOut } from "./left-out.ts";
import { steps, type Workflow } from "./workflow.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
const workflowFiles = globSync(".github/workflows/*.yml", { cwd: root });
const workflow = (name: string) => parse(read(`.github/workflows/${name}.yml`)) as Workflow;

test("Node's own version is one", () => {
  const { optionalDependencies, devDependencies } = JSON.parse(read("package.json"));
  const [major] = read(".node-version").split(".");
  expect(optionalDependencies.node).toBe(read(".node-version").trim());
  expect(devDependencies["@types/node"]).toMatch(new RegExp(`^${major}\\.`));
  expect(parse(read("action.yml")).runs.using).toBe(`node${major}`);
  const told = workflowFiles
    .flatMap((path) => steps(parse(read(path)) as Workflow))
    .filter(({ uses }) => uses?.startsWith("actions/setup-node@"));
  expect(new Set(told.map((step) => step.with?.["node-version-file"]))).toEqual(new Set([".node-version"]));
  expect(told.map((step) => step.with?.["node-version"])).toEqual(told.map(() => undefined));
});

test.each(["ci", "integration"])("one check of %s is that all others passed", (name) => {
  const { jobs } = workflow(name);
  const gate = name === "ci" ? "all-green" : name;
  const others = Object.keys(jobs).filter((job) => job !== gate);
  expect([jobs[gate]?.needs].flat().sort()).toEqual(others.sort());
  expect(jobs[gate]?.if).toBe("always()");
});

describe("the integration on kind", () => {
  /** What Istio supports, by its minor: Kubernetes 1.x to 1.y. From its supportStatus.yml. */
  const SUPPORTED: Readonly<Record<string, readonly [number, number]>> = {
    "1.26": [29, 33],
    "1.29": [31, 35],
    "1.30": [32, 36],
    "1.31": [32, 36],
  };
  const { jobs } = workflow("integration") as unknown as {
    jobs: {
      kind: { strategy: { matrix: { include: { istio: string; node: string; operator: string; helm: string }[] } } };
    };
  };
  const rows = jobs.kind.strategy.matrix.include;

  test.each(rows)("runs Istio $istio by $operator on a Kubernetes that it supports, pinned", ({ istio, node }) => {
    const [, minor] = /^kindest\/node:v1\.(\d+)\.\d+@sha256:[0-9a-f]{64}$/.exec(node) ?? [];
    const [oldest, newest] = SUPPORTED[istio.replace(/\.\d+$/, "")] ?? [0, 0];
    expect(Number(minor)).toBeGreaterThanOrEqual(oldest);
    expect(Number(minor)).toBeLessThanOrEqual(newest);
  });

  test("is run with both Helms, and on the procedure's version", () => {
    expect(new Set(rows.map(({ helm }) => helm.split(".")[0]))).toEqual(new Set(["v3", "v4"]));
    expect(rows.map(({ istio }) => istio)).toContain("1.26.3");
  });

  test("is run with no image that is not pinned", () => {
    const files = [...workflowFiles, ".github/scripts/kind.sh", "test/demo/kind.ts"];
    const images = files.flatMap((path) => read(path).match(/kindest\/node:[^\s"}]+/g) ?? []);
    expect(images.filter((image) => !/@sha256:[0-9a-f]{64}$/.test(image))).toEqual([]);
    expect(images.length).toBeGreaterThan(6);
  });
});

test("Dependabot looks into every folder that has a workflow or an action", () => {
  const { updates } = parse(read(".github/dependabot.yml")) as { updates: Record<string, unknown>[] };
  const actions = updates.find((each) => each["package-ecosystem"] === "github-actions");
  const files = globSync(["examples/*.yml", "test/act/*.yml"], { cwd: root });
  const folders = new Set(files.map((path) => `/${dirname(path).replaceAll("\\", "/")}`));
  // `/` stands for .github/workflows and action.yml.
  expect(actions?.directories).toEqual(["/", ...[...folders].sort()]);
});

test("there is a way to report a vulnerability, and a form that asks for what is needed", () => {
  expect(read("SECURITY.md")).toMatch(/Report a vulnerability/);
  expect(existsSync(join(root, ".github/CODEOWNERS"))).toBe(true);
  const form = parse(read(".github/ISSUE_TEMPLATE/problem.yml")) as { body: { id?: string; validations?: object }[] };
  const required = form.body.filter(({ validations }) => validations).map(({ id }) => id);
  expect(required).toEqual(expect.arrayContaining(["version", "inputs", "report"]));
});

test("the newest version that is told of is package.json's", () => {
  const [, version] = /^## (\S+?),? /m.exec(`${read("CHANGELOG.md")} `) ?? [];
  expect(version).toBe(JSON.parse(read("package.json")).version);
});

const elsewhere = leftOut("a release by its script, which takes Linux and its bash", process.platform !== "linux");
describe.skipIf(elsewhere)("a release", () => {
  /** Calls of a `gh` that knows of these releases and tags, and fails at the one that begins so. */
  async function release(
    tag: string,
    given: { published?: string[]; draft?: boolean; tags?: string[]; fails?: string },
  ) {
    const folder = mkdtempSync(join(tmpdir(), "release-"));
    try {
      const { published = [], draft, tags = [], fails = "none" } = given;
      const view = draft === undefined ? (published.includes(tag) ? "echo false" : "exit 1") : `echo ${draft}`;
      const gh = `#!/bin/sh
case "$*" in
  "release list "*) printf '%s\\n' ${published.join(" ")} ;;
  "release view "*) ${view} ;;
  "api repos/o/n/git/ref/tags/"*) case " ${tags.join(" ")} " in *" \${2##*/} "*) ;; *) exit 1 ;; esac ;;
  *) echo "$*" >> "${join(folder, "calls")}"; case "$*" in "${fails}"*) exit 1 ;; esac ;;
esac
`;
      writeFileSync(join(folder, "gh"), gh, { mode: 0o755 });
      writeFileSync(join(folder, "calls"), "");
      const env = { GH_REPO: "o/n", PATH: `${folder}${delimiter}${process.env.PATH}` };
      const code = await promisify(execFile)("bash", [join(root, ".github/scripts/release.sh"), tag, "abc"], {
        env,
      }).then(
        () => 0,
        (error: { code: number }) => error.code,
      );
      return { code, calls: readFileSync(join(folder, "calls"), "utf8").split("\n").filter(Boolean) };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  const create = (tag: string, since = "") =>
    `release create ${tag} --draft --verify-tag --title ${tag} --generate-notes${since && ` --notes-start-tag ${since}`}`;
  const publish = (tag: string, latest: boolean) => `release edit ${tag} --draft=false --latest=${latest}`;
  const move = (major: string) =>
    `api --method PATCH repos/o/n/git/refs/tags/${major} -f sha=abc -F force=true --silent`;
  const make = (major: string) => `api --method POST repos/o/n/git/refs -f ref=refs/tags/${major} -f sha=abc --silent`;

  test.each([
    ["the first one", "v1.0.0", {}, [create("v1.0.0"), publish("v1.0.0", true), make("v1")]],
    [
      "the next one",
      "v1.10.0",
      { published: ["v1.9.0"], tags: ["v1"] },
      [create("v1.10.0", "v1.9.0"), publish("v1.10.0", true), move("v1")],
    ],
    [
      "a patch of an older minor line",
      "v1.9.1",
      { published: ["v1.10.0", "v1.9.0"], tags: ["v1"] },
      [create("v1.9.1", "v1.9.0"), publish("v1.9.1", false)],
    ],
    [
      "a patch of an older major line",
      "v1.10.1",
      { published: ["v2.0.0", "v1.10.0"], tags: ["v1", "v2"] },
      [create("v1.10.1", "v1.10.0"), publish("v1.10.1", false), move("v1")],
    ],
    ["again after the draft was made", "v1.0.0", { draft: true }, [publish("v1.0.0", true), make("v1")]],
    ["again after it was published", "v1.0.0", { published: ["v1.0.0"] }, [make("v1")]],
    ["again after all of it", "v1.0.0", { published: ["v1.0.0"], tags: ["v1"] }, [move("v1")]],
  ])("%s", async (_, tag, given, calls) => {
    expect(await release(tag, given)).toEqual({ code: 0, calls });
  });

  test.each(["release create", "release edit", "api --method"])("fails where `%s` does", async (fails) => {
    expect((await release("v1.0.0", { fails })).code).not.toBe(0);
  });
});
