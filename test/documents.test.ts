// Every command, snippet and link of the documentation, as far as it can be held without a cluster.
import { execFileSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { marked, type Token, type Tokens } from "marked";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { CHECKS, type CheckId } from "../src/mesh/catalogue.ts";
import { leftOut } from "./left-out.ts";
import { actionProblems, type Step, type Workflow } from "./workflow.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8").replaceAll("\r\n", "\n");
const files = globSync(["*.md", "docs/*.md", "examples/*.md"], { cwd: root })
  .map((path) => path.replaceAll("\\", "/"))
  .sort();

const tokens = new Map(
  files.map((path) => {
    const found: Token[] = [];
    marked.walkTokens(marked.lexer(read(path)), (token) => {
      found.push(token);
    });
    return [path, found] as const;
  }),
);
const of = <T extends Token>(path: string, type: T["type"]) =>
  (tokens.get(path) ?? []).filter((token): token is T => token.type === type);
const blocks = (path: string, language: string) =>
  of<Tokens.Code>(path, "code").flatMap(({ lang, text }) => (lang === language ? [text] : []));

/** As GitHub makes the anchor of a heading. */
const slug = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
const anchors = (path: string) => of<Tokens.Heading>(path, "heading").map(({ text }) => slug(text.replaceAll("`", "")));

test("there is documentation", () => {
  expect(files).toEqual(expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/CHECKS.md"]));
  expect(files.flatMap((path) => blocks(path, "console")).length).toBeGreaterThanOrEqual(4);
});

test("the README is for somebody with five minutes, and for the Marketplace's limit", () => {
  expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(150);
  const { description } = parse(read("action.yml")) as { description: string };
  expect(description.length).toBeLessThan(125);
});

test("the reference has every input once, in a group", () => {
  const names = (path: string) =>
    of<Tokens.Table>(path, "table").flatMap(({ rows }) => rows.map(([name]) => name?.text));
  const action = parse(read("action.yml")) as { inputs: object; outputs: object };
  const expected = [...Object.keys(action.inputs), ...Object.keys(action.outputs)].map((name) => `\`${name}\``);
  expect(names("docs/REFERENCE.md")).toEqual(expected);
});

describe.each(files)("%s", (path) => {
  test("has no language of a snippet that nothing looks at", () => {
    const known = ["yaml", "console", "mermaid", ""];
    expect(of<Tokens.Code>(path, "code").filter(({ lang = "" }) => !known.includes(lang))).toEqual([]);
  });

  test("has links that lead somewhere", () => {
    const links = [...of<Tokens.Link>(path, "link"), ...of<Tokens.Image>(path, "image")].map(({ href }) => href);
    const broken = links.filter((href) => {
      if (/^https:\/\//.test(href)) return !URL.canParse(href);
      const [file = "", anchor] = href.split("#");
      const target = file === "" ? path : join(dirname(path), file).replaceAll("\\", "/");
      if (!existsSync(join(root, target))) return true;
      return anchor !== undefined && !anchors(target).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("has YAML that is what it seems", () => {
    for (const text of blocks(path, "yaml")) expect(yamlProblems(text), text).toEqual([]);
  });

  test("has commands that exist", () => {
    const lines = blocks(path, "console").flatMap((text) => text.split("\n"));
    const inline = of<Tokens.Codespan>(path, "codespan")
      .map(({ text }) => text.replaceAll("\n", " "))
      .filter((text) => /^(kubectl|istioctl|npm|helm|gh|kind|nc|openssl) \S/.test(text));
    expect([...lines, ...inline].flatMap(commandProblems)).toEqual([]);
  });
});

const manifest = v.object({ apiVersion: v.string(), kind: v.string(), metadata: v.object({ name: v.string() }) });
const gateway = v.strictObject({
  service: v.strictObject({
    loadBalancerClass: v.optional(v.string()),
    annotations: v.record(v.string(), v.string()),
  }),
});

/** A snippet is a workflow, steps of one, objects of Kubernetes, or the value of the input `gateway`. */
function yamlProblems(text: string): string[] {
  const documents = parseAllDocuments(text);
  const errors = documents.flatMap((document) => document.errors.map(({ message }) => message));
  if (errors.length > 0) return errors;
  return documents.flatMap((document) => {
    const value = document.toJS();
    if (Array.isArray(value)) return actionProblems({ jobs: { snippet: { steps: value as Step[] } } });
    if ("jobs" in value) {
      const workflow = value as Workflow;
      const problems = Object.values(workflow.jobs).flatMap(({ steps = [] }) =>
        steps.filter(({ run }) => run?.includes("${{")).map(({ run }) => `an expression in a script: ${run}`),
      );
      if (workflow.permissions === undefined) problems.push("a workflow without permissions");
      return [...actionProblems(workflow), ...problems];
    }
    if (v.is(manifest, value) || ("gateway" in value && v.is(gateway, value.gateway))) return [];
    return ["neither a workflow, nor an object, nor the input gateway"];
  });
}

const scripts = Object.keys(JSON.parse(read("package.json")).scripts);
const VERBS: Readonly<Record<string, readonly string[]>> = {
  kubectl: [
    "annotate",
    "apply",
    "auth",
    "config",
    "delete",
    "describe",
    "explain",
    "get",
    "label",
    "logs",
    "patch",
    "rollout",
    "scale",
    "version",
  ],
  istioctl: [
    "analyze",
    "create-remote-secret",
    "install",
    "manifest",
    "proxy-config",
    "proxy-status",
    "remote-clusters",
    "version",
  ],
  npm: ["ci", "test", "run", "version"],
  openssl: ["x509"],
  gh: ["attestation"],
  helm: ["install", "status", "upgrade"],
  kind: ["load"],
};
/** Flags that come before a verb, with a value of their own. */
const VALUES = ["--context", "--kubeconfig", "-n", "--namespace"];

/** What is wrong with a line for a shell: a program or a verb that does not exist. */
function commandProblems(line: string): string[] {
  const text = line.replace(/(^|\s)#.*$/, "").trim();
  if (text === "") return [];
  return text
    .split(/\s*(?:&&|\|\||\||;)\s*/)
    .map((part) => part.replace(/^([A-Z0-9_]+=('[^']*'|"[^"]*"|\S*)\s+)+/, ""))
    .flatMap((command) => {
      const [program = "", ...words] = command.split(/\s+/);
      if (["grep", "nc"].includes(program)) return [];
      const verbs = VERBS[program];
      if (!verbs) return [`${line}: no program that is known: ${program}`];
      let at = 0;
      while (words[at]?.startsWith("-")) at += VALUES.includes(words[at] as string) ? 2 : 1;
      const verb = words[at] ?? "";
      if (!verbs.includes(verb)) return [`${line}: ${program} has no ${verb}`];
      if (program === "npm" && verb === "run" && !scripts.includes(words[at + 1] ?? ""))
        return [`${line}: package.json has no script ${words[at + 1]}`];
      return [];
    });
}

const windows = leftOut("the syntax of the documented commands, which takes bash", process.platform === "win32");
test.skipIf(windows)("the commands can be read by a shell", () => {
  const all = files.flatMap((path) => [
    ...blocks(path, "console"),
    ...of<Tokens.Codespan>(path, "codespan").flatMap(({ text }) =>
      /^(kubectl|istioctl) \S/.test(text) ? [text.replaceAll("\n", " ")] : [],
    ),
  ]);
  expect(all.length).toBeGreaterThan(30);
  execFileSync("bash", ["-n"], { input: all.join("\n"), stdio: ["pipe", "ignore", "pipe"] });
});

describe("troubleshooting", () => {
  const text = read("docs/TROUBLESHOOTING.md");
  const rows = of<Tokens.Table>("docs/TROUBLESHOOTING.md", "table").flatMap((table) => table.rows);
  const named = [...text.matchAll(/\[`([\w.-]+)`\]\(CHECKS\.md#([\w-]+)\)/g)];

  test("has a check, or a reason why none finds it, in every row", () => {
    expect(rows.length).toBeGreaterThan(15);
    for (const row of rows) {
      expect(row.map((cell) => cell.text.trim() !== "")).toEqual([true, true, true, true]);
      expect(row[2]?.text).toMatch(/CHECKS\.md#|^the inputs/);
    }
  });

  test("names checks that exist, by their own anchors", () => {
    for (const [, id = "", anchor] of named) expect([id, slug(id)]).toEqual([id in CHECKS && id, anchor]);
  });

  test("leads to every check that can fail on a mesh that was well once", () => {
    const ids = (Object.keys(CHECKS) as CheckId[]).filter((id) =>
      ["trust", "gateway", "remote", "traffic"].includes(CHECKS[id].category),
    );
    const missing = ids.filter((id) => !named.some(([, name]) => name === id));
    expect(missing).toEqual([]);
  });
});
