import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { accessSync, constants, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename, delimiter, join, resolve } from "node:path";
import { Failure } from "../mesh/failure.ts";
import { redact } from "../mesh/redact.ts";

/**
 * The environment for a child that reads a kubeconfig: all that a credential plugin may need (cloud settings, proxies, PATH),
 * but not the action's inputs, the job's tokens, nor the variables that hold kubeconfigs.
 * @param secretNames names of the variables that hold kubeconfigs
 */
export function childEnvironment(
  env: NodeJS.ProcessEnv = process.env,
  secretNames: Iterable<string> = [],
): Record<string, string> {
  // Windows does not tell capital letters from small ones.
  const secret = new Set(["GITHUB_TOKEN", ...[...secretNames].map((name) => name.toUpperCase())]);
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => {
      const name = pair[0].toUpperCase();
      return pair[1] !== undefined && !/^(INPUT|ACTIONS)_/.test(name) && !secret.has(name);
    }),
  );
}

/**
 * Does the work with a file that a child is to read: private to this user, and gone when the work is over.
 * @param directory where it is kept meanwhile, private, too
 * @param name for a reader of the child's messages
 */
export async function withPrivateFile<T>(
  directory: string,
  name: string,
  text: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(directory, `${name}-${randomUUID()}.json`);
  try {
    await writeFile(file, text, { mode: 0o600, flag: "wx" });
    return await work(file);
  } finally {
    await rm(file, { force: true });
  }
}

/** Path of a program that is on the PATH, or `undefined`. */
export function onPath(name: string): string | undefined {
  const file = process.platform === "win32" ? `${name}.exe` : name;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders
    .map((folder) => resolve(folder, file))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
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

/**
 * Runs a program to its end, whatever its exit code; throws a `Failure` where it could not be run, or not in time. Node's own
 * execFile, not @actions/exec: that one cannot end a child at the deadline (a credential plugin that waits for a browser waits
 * for ever), and prints the command line unless told otherwise.
 */
export function runProgram(path: string, args: readonly string[], call: Call): Promise<Ended> {
  const { env, signal } = call;
  const name = basename(path).replace(/\.(exe|cmd)$/, "");
  return new Promise((resolve, reject) => {
    const child = execFile(
      path,
      args,
      { env: { ...env }, windowsHide: true, maxBuffer: 16 * 1024 * 1024, ...(signal ? { signal } : {}) },
      (error, stdout, stderr) => {
        if (!error) return resolve({ code: 0, stdout, stderr });
        if (typeof error.code === "number") return resolve({ code: error.code, stdout, stderr });
        // The error itself is left out of the cause: it carries the output.
        if (signal?.aborted)
          return reject(new Failure(`${name} did not finish ${call.what} in time.${quoted(stderr)}`, call.late));
        const why = error.code ?? (error.signal ? `ended by ${error.signal}` : "unknown error");
        reject(new Failure(`${name} could not be run at ${path}: ${why}.${quoted(stderr)}`, call.broken));
      },
    );
    // Nobody answers a question that a credential plugin may ask; a child that is gone already cannot take this.
    child.stdin?.on("error", () => {});
    child.stdin?.end();
  });
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

function quoted(output: string): string {
  const text = message(output);
  return text && ` It said: ${text}`;
}
