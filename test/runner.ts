// Runs the action as a GitHub runner does: the inputs as INPUT_* variables in an environment of its own, the file
// commands as files, the workflow commands read from the log, and the post step with the main step's saved state.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { Report } from "../src/mesh/report.ts";

export interface RunOptions {
  /** By their names in action.yml; all others get action.yml's defaults. */
  readonly inputs: Readonly<Record<string, string>>;
  /** What a workflow's `env:` would add; nothing but PATH and HOME is handed on from this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Paths from the repository's root; default: action.yml's `runs.main` and `runs.post`. */
  readonly entry?: string;
  readonly post?: string;
  /** A folder to work in and to leave behind, instead of a temporary one. */
  readonly keep?: string;
  /** A tool cache to share between runs, as a self-hosted runner does; default: an empty one. */
  readonly toolCache?: string;
  readonly timeoutMs?: number;
  /** Cancels the run as the button on GitHub's page does. */
  readonly cancel?: AbortSignal;
  /** Ends the main step by a signal, as the machine does that it runs on. The post step follows all the same. */
  readonly kill?: { readonly signal: NodeJS.Signals; readonly when: AbortSignal };
  /** Each line of the log as a person would see it: masks applied, commands taken apart. */
  readonly onLine?: (line: LogLine) => void;
  /** Words put before `node dist/main/index.js`, e.g. a program that measures it. A cancellation reaches only that program. */
  readonly prefix?: readonly string[];
}

export type LogKind = "text" | "group" | "endgroup" | "debug" | Annotation["level"];

export interface LogLine {
  readonly kind: LogKind;
  readonly text: string;
  readonly title?: string;
}

export interface Annotation {
  readonly level: "error" | "warning" | "notice";
  readonly title?: string;
  readonly message: string;
}

export interface LeftFile {
  /** From RUNNER_TEMP. */
  readonly path: string;
  readonly mode: number;
  readonly size: number;
  /** Of a file of more than 1 MiB: nothing, for it is a program or an archive. */
  readonly content: string;
}

export interface RunResult {
  /** `null`: ended by a signal. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  /** Of the main step alone. */
  readonly seconds: number;
  /** As the main step wrote them, masks not applied; `::add-mask::` lines included. */
  readonly stdout: string;
  readonly stderr: string;
  /** What the runner's page would show of both steps. */
  readonly log: readonly LogLine[];
  readonly outputs: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, string>>;
  /** The Markdown of the job summary. */
  readonly summary: string;
  readonly annotations: readonly Annotation[];
  readonly groups: readonly string[];
  readonly masks: readonly string[];
  readonly postExitCode: number | null;
  readonly postStdout: string;
  readonly postStderr: string;
  /** What is still in RUNNER_TEMP after the post step. */
  readonly left: readonly LeftFile[];
  /** The file that the output `report` names. */
  readonly report?: Report;
}

interface ActionFile {
  readonly inputs: Readonly<Record<string, { readonly default?: unknown }>>;
  readonly runs: { readonly main: string; readonly post?: string };
}

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export async function runAction(options: RunOptions): Promise<RunResult> {
  const action: ActionFile = parse(await readFile(join(ROOT, "action.yml"), "utf8"));
  const unknown = Object.keys(options.inputs).filter((name) => !(name in action.inputs));
  if (unknown.length > 0) throw new Error(`action.yml has no input ${unknown.join(", ")}`);

  // A real path, for the program may resolve its own: macOS's temporary folder is a link.
  const folder = options.keep ?? (await realpath(await mkdtemp(join(tmpdir(), "runner-"))));
  try {
    const main = options.entry ?? action.runs.main;
    const post = options.post ?? action.runs.post;
    const paths = await makeFolders(folder, options.toolCache);
    const environment = { ...runnerEnvironment(paths), ...inputVariables(action, options.inputs), ...options.env };
    const log = new Log(options.onLine);

    const mainFiles = await makeFileCommands(paths.commands, "main");
    const mainStep = await step({ ...environment, ...mainFiles }, main, log, options);
    const outputs = parseFileCommand(await readFile(mainFiles.GITHUB_OUTPUT, "utf8"));
    const state = parseFileCommand(await readFile(mainFiles.GITHUB_STATE, "utf8"));
    const report = await readReport(outputs.report);

    let postStep: Step | undefined;
    if (post !== undefined) {
      const files = await makeFileCommands(paths.commands, "post");
      const saved = Object.fromEntries(Object.entries(state).map(([name, value]) => [`STATE_${name}`, value]));
      postStep = await step({ ...environment, ...files, ...saved }, post, log, { timeoutMs: 60_000 });
    }

    return {
      exitCode: mainStep.exitCode,
      timedOut: mainStep.timedOut,
      seconds: mainStep.seconds,
      stdout: mainStep.stdout,
      stderr: mainStep.stderr,
      log: log.lines,
      outputs,
      state,
      summary: await readFile(mainFiles.GITHUB_STEP_SUMMARY, "utf8"),
      annotations: log.annotations,
      groups: log.lines.filter((line) => line.kind === "group").map((line) => line.text),
      masks: log.masks,
      postExitCode: postStep === undefined ? 0 : postStep.exitCode,
      postStdout: postStep?.stdout ?? "",
      postStderr: postStep?.stderr ?? "",
      left: await readTree(paths.temp),
      ...(report && { report }),
    };
  } finally {
    if (options.keep === undefined) await rm(folder, { recursive: true, force: true });
  }
}

interface Paths {
  readonly temp: string;
  readonly toolCache: string;
  readonly workspace: string;
  readonly commands: string;
}

async function makeFolders(folder: string, toolCache: string | undefined): Promise<Paths> {
  const paths = {
    temp: join(folder, "temp"),
    toolCache: toolCache ?? join(folder, "tools"),
    workspace: join(folder, "workspace"),
    commands: join(folder, "commands"),
  };
  for (const path of Object.values(paths)) await mkdir(path, { recursive: true });
  return paths;
}

function runnerEnvironment(paths: Paths): Record<string, string> {
  const os = { linux: "Linux", darwin: "macOS", win32: "Windows" }[process.platform as string] ?? "Linux";
  return {
    PATH: process.env.PATH ?? "",
    HOME: homedir(),
    ...(process.platform === "win32" ? windowsEnvironment() : {}),
    CI: "true",
    GITHUB_ACTIONS: "true",
    GITHUB_ACTION: "__self",
    GITHUB_ACTOR: "octocat",
    GITHUB_API_URL: "https://api.github.com",
    GITHUB_EVENT_NAME: "workflow_dispatch",
    GITHUB_JOB: "mesh",
    GITHUB_REF: "refs/heads/main",
    GITHUB_REPOSITORY: "octocat/mesh",
    GITHUB_RUN_ATTEMPT: "1",
    GITHUB_RUN_ID: "1",
    GITHUB_RUN_NUMBER: "1",
    GITHUB_SERVER_URL: "https://github.com",
    GITHUB_SHA: "0000000000000000000000000000000000000000",
    GITHUB_WORKFLOW: "mesh",
    GITHUB_WORKSPACE: paths.workspace,
    RUNNER_ARCH: process.arch.toUpperCase(),
    RUNNER_ENVIRONMENT: "self-hosted",
    RUNNER_NAME: "harness",
    RUNNER_OS: os,
    RUNNER_TEMP: paths.temp,
    RUNNER_TOOL_CACHE: paths.toolCache,
  };
}

/** Without these no program starts there, or none finds its folders. */
function windowsEnvironment(): Record<string, string> {
  const names = ["SystemRoot", "ComSpec", "PATHEXT", "TEMP", "TMP", "USERPROFILE"];
  return Object.fromEntries(names.map((name) => [name, process.env[name] ?? ""]));
}

/** The runner upper-cases a name and replaces its spaces; dashes stay. An input without a default is set to nothing. */
function inputVariables(action: ActionFile, inputs: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(action.inputs).map(([name, input]) => [
      `INPUT_${name.replaceAll(" ", "_").toUpperCase()}`,
      inputs[name] ?? (input.default === undefined ? "" : String(input.default)),
    ]),
  );
}

const FILE_COMMANDS = ["GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH"] as const;

async function makeFileCommands(folder: string, step: string): Promise<Record<(typeof FILE_COMMANDS)[number], string>> {
  const entries = FILE_COMMANDS.map((name) => [name, join(folder, `${step}_${name.toLowerCase()}`)] as const);
  for (const [, path] of entries) await writeFile(path, "");
  return Object.fromEntries(entries) as Record<(typeof FILE_COMMANDS)[number], string>;
}

interface Step {
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  readonly seconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where tests run without clusters that are real, nothing that is run by them speaks to more than this machine. */
const LOOPBACK_ONLY = new URL("loopback-only.mjs", import.meta.url).href;

async function step(
  env: Record<string, string>,
  entry: string,
  log: Log,
  { timeoutMs, cancel, kill, prefix = [] }: Pick<RunOptions, "timeoutMs" | "cancel" | "kill" | "prefix">,
): Promise<Step> {
  const only = process.env.LOOPBACK_ONLY ? ["--import", LOOPBACK_ONLY] : [];
  const [command = "", ...args] = [...prefix, process.execPath, ...only, resolve(ROOT, entry)];
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const abort = AbortSignal.any([cancel, timeout].filter((signal) => signal !== undefined));

  const started = performance.now();
  const child = spawn(command, args, { cwd: env.GITHUB_WORKSPACE, env, stdio: ["ignore", "pipe", "pipe"] });
  const cancelled = () => cancelAsRunnerDoes(child);
  abort.addEventListener("abort", cancelled);
  if (abort.aborted) cancelled();
  const killed = () => child.kill(kill?.signal);
  kill?.when.addEventListener("abort", killed);

  const read = async (stream: NodeJS.ReadableStream): Promise<string> => {
    const lines: string[] = [];
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      lines.push(`${line}\n`);
      log.take(line);
    }
    return lines.join("");
  };
  try {
    const ended = new Promise<number | null>((onCode, onError) => child.on("close", onCode).on("error", onError));
    const [exitCode, stdout, stderr] = await Promise.all([ended, read(child.stdout), read(child.stderr)]);
    const seconds = (performance.now() - started) / 1000;
    return { exitCode, timedOut: timeout?.aborted === true, seconds, stdout, stderr };
  } finally {
    abort.removeEventListener("abort", cancelled);
    kill?.when.removeEventListener("abort", killed);
  }
}

/** The runner asks twice, and gives the process these times to answer. */
function cancelAsRunnerDoes(child: ChildProcess): void {
  child.kill("SIGINT");
  const timers = [setTimeout(() => child.kill("SIGTERM"), 7500), setTimeout(() => child.kill("SIGKILL"), 10_000)];
  child.once("exit", () => timers.forEach(clearTimeout));
}

/** The log's two jobs: take workflow commands apart, and mask what was asked to be masked from that line on. */
class Log {
  readonly lines: LogLine[] = [];
  readonly annotations: Annotation[] = [];
  readonly masks: string[] = [];
  readonly #onLine: ((line: LogLine) => void) | undefined;
  /** The word that ends `::stop-commands::`. */
  #stopped: string | undefined;

  constructor(onLine: ((line: LogLine) => void) | undefined) {
    this.#onLine = onLine;
  }

  take(line: string): void {
    const command = parseCommand(line);
    if (this.#stopped !== undefined) {
      if (command?.name === this.#stopped) this.#stopped = undefined;
      else this.#show("text", line);
      return;
    }
    switch (command?.name) {
      case "add-mask":
        this.#mask(command.message);
        return;
      case "stop-commands":
        this.#stopped = command.message;
        return;
      case "group":
      case "endgroup":
      case "debug":
        this.#show(command.name, command.message);
        return;
      case "error":
      case "warning":
      case "notice": {
        const message = this.#masked(command.message);
        const title = command.properties.title && this.#masked(command.properties.title);
        this.annotations.push({ level: command.name, message, ...(title && { title }) });
        this.#show(command.name, command.message, title);
        return;
      }
      default:
        this.#show("text", line);
    }
  }

  /** As the runner does: the value as a whole, and each of its lines. */
  #mask(value: string): void {
    for (const part of new Set([value, ...value.split(/[\r\n]+/)]))
      if (part.trim() !== "" && !this.masks.includes(part)) this.masks.push(part);
    // A mask may be a part of another: the longer one is to be applied first, or its rest would show.
    this.masks.sort((a, b) => b.length - a.length);
  }

  #masked(text: string): string {
    return this.masks.reduce((masked, mask) => masked.replaceAll(mask, "***"), text);
  }

  #show(kind: LogKind, text: string, title?: string): void {
    const line: LogLine = { kind, text: this.#masked(text), ...(title && { title }) };
    this.lines.push(line);
    this.#onLine?.(line);
  }
}

interface Command {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly message: string;
}

/** `::name key=value,key=value::message`. */
export function parseCommand(line: string): Command | undefined {
  const match = /^\s*::([^\s:]+)(?:\s+(.*?))?::(.*)$/s.exec(line);
  if (!match) return undefined;
  const [, name = "", list = "", message = ""] = match;
  const properties = list
    .split(",")
    .map((pair) => pair.trim().split(/=(.*)/s))
    .filter(([key]) => key)
    .map(([key = "", value = ""]) => [key, unescapeCommand(value)]);
  return { name, properties: Object.fromEntries(properties), message: unescapeCommand(message) };
}

function unescapeCommand(text: string): string {
  const characters: Record<string, string> = { "%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%" };
  return text.replaceAll(/%(?:0D|0A|3A|2C|25)/gi, (code) => characters[code.toUpperCase()]!);
}

/** `name=value` lines and `name<<delimiter` blocks; anything else is an error, as it is to the runner. */
export function parseFileCommand(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  const lines = text.split(/\r?\n/);
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    if (line === "") continue;
    const block = /^([^=]*?)<<(.+)$/.exec(line);
    const pair = /^([^=]+)=(.*)$/s.exec(line);
    if (block?.[1]) {
      const end = lines.indexOf(block[2]!);
      if (end < 0) throw new Error(`The value of ${block[1]} has no end: ${block[2]} is missing.`);
      values[block[1]] = lines
        .splice(0, end + 1)
        .slice(0, -1)
        .join("\n");
    } else if (pair) values[pair[1]!] = pair[2]!;
    else throw new Error(`Neither name=value nor name<<delimiter: ${line}`);
  }
  return values;
}

async function readReport(path: string | undefined): Promise<Report | undefined> {
  if (!path) return undefined;
  return JSON.parse(await readFile(path, "utf8"));
}

async function readTree(folder: string): Promise<LeftFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    files.sort().map(async (file) => {
      const { mode, size } = await stat(file);
      const content = size > 1024 * 1024 ? "" : await readFile(file, "latin1");
      return { path: relative(folder, file), mode: mode & 0o777, size, content };
    }),
  );
}
