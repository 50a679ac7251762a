import { type ChildProcess, spawn } from "node:child_process";
import { basename } from "node:path";
import { Failure } from "../mesh/failure.ts";
import { holdsSecret, redact } from "../mesh/redact.ts";
import { launchOf } from "./program.ts";

/** Variables that speak for the job or for a whole login, and those of the action's own inputs. */
const WITHHELD = /^(INPUT_.*|ACTIONS_.*|GITHUB_TOKEN|GH_TOKEN|HELM_KUBE.*|KUBECONFIG)$/;
/** What a cloud's plugin proves the job's identity by, to log in without a stored secret. */
const IDENTITY = /^ACTIONS_ID_TOKEN_REQUEST_(URL|TOKEN)$/;
/** May name a password of theirs, and is needed all the same. */
const PROXIES = /^(HTTPS?|NO|ALL)_PROXY$/;

/**
 * The environment of a child: settings of clouds, proxies, PATH, but neither the action's inputs nor the job's tokens nor
 * what holds a credential of a kubeconfig.
 * @param secretNames names of variables that hold kubeconfigs
 */
export function childEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  secretNames: Iterable<string> = [],
): Record<string, string> {
  return chosen(env, secretNames, (name) => !WITHHELD.test(name));
}

/** The same for a credential plugin, which may ask GitHub for a token of the job's identity, and read KUBECONFIG. */
export function pluginEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return chosen(env, [], (name) => name === "KUBECONFIG" || IDENTITY.test(name) || !WITHHELD.test(name));
}

function chosen(env: NodeJS.ProcessEnv, secretNames: Iterable<string>, wanted: (name: string) => boolean) {
  // Windows does not tell capital letters from small ones.
  const secret = new Set([...secretNames].map((name) => name.toUpperCase()));
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => {
      const name = pair[0].toUpperCase();
      if (pair[1] === undefined || secret.has(name) || !wanted(name)) return false;
      return PROXIES.test(name) || !holdsSecret(pair[1]);
    }),
  );
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Call {
  /** The child's environment as a whole. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** What it is to make, for messages. */
  readonly what: string;
  /** What to do where it did not end in time, and where it could not be run. */
  readonly late: string;
  readonly broken: string;
}

/** How long a child may take to end when it is told to. Milliseconds. */
const GRACE = 2_000;
/** More than this of output is nothing that anybody waits for. Characters. */
const MOST_OUTPUT = 16 * 1024 * 1024;

/**
 * Runs a program to its end, whatever its exit code; throws a `Failure` where it could not be run, or not in time. It has no
 * terminal and nothing on stdin, for nobody is there to answer it; at the deadline it is ended with all that it has started.
 */
export function runProgram(path: string, args: readonly string[], call: Call): Promise<Ended> {
  const { env, signal } = call;
  const name = basename(path.replaceAll("\\", "/")).replace(/\.(exe|cmd|bat)$/i, "");
  return new Promise((resolve, reject) => {
    const output = { stdout: "", stderr: "" };
    const broken = (why: string) =>
      reject(new Failure(`${name} could not be run at ${path}: ${why}.${quoted(output.stderr)}`, call.broken));
    let child: ChildProcess;
    try {
      const { file, args: words, windowsVerbatimArguments } = launchOf(path, args);
      // A group of its own, so that it can be ended as a whole.
      const detached = process.platform !== "win32";
      const stdio: ["ignore", "pipe", "pipe"] = ["ignore", "pipe", "pipe"];
      child = spawn(file, words, { env: { ...env }, stdio, detached, windowsHide: true, windowsVerbatimArguments });
    } catch (error) {
      return error instanceof Failure
        ? reject(error)
        : broken((error as NodeJS.ErrnoException).code ?? "unknown error");
    }
    let killing: NodeJS.Timeout | undefined;
    const end = () => {
      if (killing) return;
      stop(child, "SIGTERM");
      killing = setTimeout(() => {
        stop(child, "SIGKILL");
        // Whoever has left its group may hold them for ever.
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, GRACE);
    };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream]?.setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text;
        if (output[stream].length > MOST_OUTPUT) end();
      });
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
    const over = () => {
      clearTimeout(killing);
      signal?.removeEventListener("abort", end);
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      over();
      broken(error.code ?? "unknown error");
    });
    child.on("close", (code, endedBy) => {
      over();
      const { stdout, stderr } = output;
      if (signal?.aborted && killing)
        reject(new Failure(`${name} did not finish ${call.what} in time.${quoted(stderr)}`, call.late));
      else if (killing) broken("it printed without end");
      else if (code !== null) resolve({ code, stdout, stderr });
      else broken(endedBy ? `ended by ${endedBy}` : "unknown error");
    });
  });
}

/** Ends a child and all that it has started. One that is gone is what is wanted. */
function stop({ pid }: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  if (process.platform === "win32") {
    spawn("taskkill", ["/pid", String(pid), "/t", "/f"], { stdio: "ignore", windowsHide: true }).on("error", () => {});
    return;
  }
  try {
    process.kill(-pid, signal);
  } catch {}
}

const MAX_MESSAGE = 600;

/** A program's message, in one line: what it repeats left out, tokens and keys removed. */
export function message(output: string): string {
  const lines = redact(output)
    .split("\n")
    .map((line) => line.trim().replace(/^(error|Error): /, ""))
    .filter((line) => line !== "");
  const text = [...new Set(lines)].join("; ");
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}

/** What a program said, as a sentence of its own for the end of a message; empty where it said nothing. */
export function quoted(output: string): string {
  const text = message(output);
  return text && ` It said: ${text}`;
}
