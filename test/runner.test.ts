import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leftOut } from "./left-out.ts";
import { type LogLine, parseCommand, parseFileCommand, type RunOptions, type RunResult, runAction } from "./runner.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "runner-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs two small programs in the places of dist/main and dist/post. */
async function run(main: string, post = "", options: Partial<RunOptions> = {}): Promise<RunResult> {
  const imports = "import fs from 'node:fs';\nimport path from 'node:path';\n";
  const [entry, postEntry] = [join(folder, "main.mjs"), join(folder, "post.mjs")];
  await writeFile(entry, imports + main);
  await writeFile(postEntry, imports + post);
  return runAction({ inputs: {}, entry, post: postEntry, ...options });
}

describe("what the program is given", () => {
  it("is every input of action.yml: the given ones, defaults for the others, and nothing where there is no default", async () => {
    const result = await run("console.log(JSON.stringify(process.env))", "", {
      inputs: { "cluster1-name": "east" },
    });
    const env = JSON.parse(result.stdout);
    expect(env).toMatchObject({
      "INPUT_CLUSTER1-NAME": "east",
      "INPUT_CLUSTER2-NAME": "cluster2",
      "INPUT_ISTIO-VERSION": "",
      "INPUT_MESH-ID": "mesh1",
      "INPUT_CLUSTER1-KUBECONFIG": "",
    });
  });

  it("is a clean environment, and what `env` adds", async () => {
    process.env.OF_THIS_PROCESS = "must not be seen";
    const result = await run("console.log(JSON.stringify(process.env))", "", { env: { EAST: "kubeconfig" } });
    delete process.env.OF_THIS_PROCESS;
    const env = JSON.parse(result.stdout);
    expect(env).not.toHaveProperty("OF_THIS_PROCESS");
    expect(env).toMatchObject({ EAST: "kubeconfig", GITHUB_ACTIONS: "true", PATH: process.env.PATH });
  });

  it("is never an input that action.yml does not know", async () => {
    await expect(run("", "", { inputs: { clusterl: "x" } })).rejects.toThrow("action.yml has no input clusterl");
  });
});

describe("what the program says", () => {
  it("through files: outputs, state and the summary", async () => {
    const result = await run(`
      fs.appendFileSync(process.env.GITHUB_OUTPUT, "result=passed\\nclusters<<END\\n[\\n]\\nEND\\n");
      fs.appendFileSync(process.env.GITHUB_STATE, "folder<<END\\n/tmp/x\\nEND\\n");
      fs.appendFileSync(process.env.GITHUB_STEP_SUMMARY, "# Mesh\\n");
    `);
    expect(result.outputs).toEqual({ result: "passed", clusters: "[\n]" });
    expect(result.state).toEqual({ folder: "/tmp/x" });
    expect(result.summary).toBe("# Mesh\n");
  });

  it("through workflow commands, on either stream", async () => {
    const seen: LogLine[] = [];
    const result = await run(
      `
      console.log("::group::Preflight");
      console.log("looking");
      console.log("::endgroup::");
      console.log("::error title=cluster1%2C gateway::no address%0Asecond line: 100%25");
      console.error("::warning::on stderr");
    `,
      "",
      { onLine: (line) => seen.push(line) },
    );
    expect(result.groups).toEqual(["Preflight"]);
    expect(result.annotations).toEqual(
      expect.arrayContaining([
        { level: "error", title: "cluster1, gateway", message: "no address\nsecond line: 100%" },
        { level: "warning", message: "on stderr" },
      ]),
    );
    expect(seen).toEqual(result.log);
    expect(seen).toContainEqual({ kind: "text", text: "looking" });
  });

  it("is masked in the log from the mask's line on, each line of the mask too, the longest mask first", async () => {
    const result = await run(`
      console.log("::add-mask::abc");
      console.log("::add-mask::abcdef%0Asecond");
      console.log("abcdef abc second");
      console.log("::error title=abc::abcdef");
    `);
    expect(result.masks).toEqual(expect.arrayContaining(["abc", "abcdef", "second"]));
    expect(result.log.map((line) => line.text)).toEqual(["*** *** ***", "***"]);
    expect(result.annotations).toEqual([{ level: "error", title: "***", message: "***" }]);
    expect(result.stdout).toContain("abcdef abc second");
  });

  it("is not obeyed between stop-commands and its end", async () => {
    const result = await run(`console.log("::stop-commands::word\\n::error::no\\n::word::\\n::error::yes")`);
    expect(result.annotations).toEqual([{ level: "error", message: "yes" }]);
  });

  it("through the JSON report that an output names", async () => {
    const result = await run(`
      const report = path.join(process.env.RUNNER_TEMP, "report.json");
      fs.writeFileSync(report, JSON.stringify({ schemaVersion: 1 }));
      fs.appendFileSync(process.env.GITHUB_OUTPUT, "report=" + report + "\\n");
    `);
    expect(result.report).toEqual({ schemaVersion: 1 });
  });
});

// Windows has no modes of this kind, and its processes are ended, not asked.
const posix = process.platform !== "win32";
const unasked = leftOut("a cancellation by a signal, which Windows does not have", !posix);

describe("the post step", () => {
  it("gets the main step's state and inputs, and what it leaves is told", async () => {
    const result = await run(
      `
      const file = path.join(process.env.RUNNER_TEMP, "kubeconfig");
      fs.writeFileSync(file, "secret", { mode: 0o600 });
      fs.writeFileSync(path.join(process.env.RUNNER_TEMP, "kept"), "harmless", { mode: 0o600 });
      fs.appendFileSync(process.env.GITHUB_STATE, "file=" + file + "\\n");
    `,
      `
      fs.rmSync(process.env.STATE_file);
      console.log("post", process.env.INPUT_COMMAND);
    `,
    );
    expect(result.postStdout).toBe("post install\n");
    expect(result.postExitCode).toBe(0);
    const mode = posix ? 0o600 : expect.any(Number);
    expect(result.left).toEqual([{ path: "kept", mode, size: 8, content: "harmless" }]);
  });

  it("runs after a failure too", async () => {
    const result = await run("process.exit(1)", "console.log('post')");
    expect(result).toMatchObject({ exitCode: 1, postExitCode: 0, postStdout: "post\n" });
  });
});

describe("a run", () => {
  it.skipIf(unasked)("that is cancelled is asked to stop with SIGINT, and post still runs", async () => {
    const cancel = new AbortController();
    const result = await run(
      "process.on('SIGINT', () => { console.log('stopping'); process.exit(130); });" +
        "setInterval(() => {}, 1000); console.log('ready');",
      "console.log('post')",
      { cancel: cancel.signal, onLine: (line) => line.text === "ready" && cancel.abort() },
    );
    expect(result).toMatchObject({ exitCode: 130, timedOut: false, postStdout: "post\n" });
    expect(result.stdout).toBe("ready\nstopping\n");
  });

  it("that is past its time is ended", async () => {
    const result = await run("setInterval(() => {}, 1000)", "console.log('post')", { timeoutMs: 200 });
    expect(result).toMatchObject({ exitCode: null, timedOut: true, postStdout: "post\n" });
  });

  it("leaves nothing behind, unless it is told to keep its folder", async () => {
    const program = "console.log(process.env.RUNNER_TEMP); fs.writeFileSync(process.env.GITHUB_STEP_SUMMARY, 'kept')";
    const { stdout } = await run(program);
    await expect(readFile(stdout.trim())).rejects.toMatchObject({ code: "ENOENT" });
    const keep = join(folder, "keep");
    await run(program, "", { keep });
    await expect(readFile(join(keep, "commands", "main_github_step_summary"), "utf8")).resolves.toBe("kept");
  });
});

it.each([
  ["plain text", undefined],
  ["::ffff:10.0.0.1", undefined],
  ["::error::a::b", { name: "error", properties: {}, message: "a::b" }],
  ["::error file=a=b,title=x y::m", { name: "error", properties: { file: "a=b", title: "x y" }, message: "m" }],
])("parses %j as a command or not", (line, command) => {
  expect(parseCommand(line)).toEqual(command);
});

it.each([
  ["a=1\nb=x=y\n", { a: "1", b: "x=y" }],
  ["a<<E\r\nline 1\r\n\r\nline=3\r\nE\r\n", { a: "line 1\n\nline=3" }],
  ["a=x<<y\n", { a: "x<<y" }],
  ["a<<E\nE\n", { a: "" }],
])("reads the file command %j", (text, values) => {
  expect(parseFileCommand(text)).toEqual(values);
});

it("refuses a file command that the runner would refuse", () => {
  expect(() => parseFileCommand("nonsense\n")).toThrow("Neither name=value");
  expect(() => parseFileCommand("a<<E\nvalue\n")).toThrow("E is missing");
});
