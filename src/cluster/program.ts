import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { Failure } from "../mesh/failure.ts";

/** The machine that programs run on: this one, unless a test says otherwise. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: NodeJS.ProcessEnv;
}

const here: Machine = { platform: process.platform, env: process.env };

/**
 * Path of a program as a shell would find it, or `undefined`: by its path, or on the PATH; on Windows with the endings of
 * PATHEXT, where `az` is `az.cmd`.
 */
export function findProgram(command: string, { platform, env }: Machine = here): string | undefined {
  const windows = platform === "win32";
  const folders = /[\\/]/.test(command) ? [""] : variable(env, "PATH", windows).split(windows ? ";" : ":");
  const endings = windows ? endingsOf(command, variable(env, "PATHEXT", true) || ".COM;.EXE;.BAT;.CMD") : [""];
  return folders
    .filter((folder, index) => folder !== "" || (index === 0 && folders.length === 1))
    .flatMap((folder) =>
      endings.map((ending) => {
        const file = command + ending;
        return isAbsolute(file) || folder === "" ? resolve(file) : join(resolve(folder), file);
      }),
    )
    .find(isProgram);
}

/** A name that has one of the endings already is taken as it is first; one without is no program on Windows. */
function endingsOf(command: string, pathext: string): string[] {
  const endings = pathext.split(";").filter((ending) => ending !== "");
  const complete = endings.some((ending) => command.toLowerCase().endsWith(ending.toLowerCase()));
  return [...(complete ? [""] : []), ...endings.flatMap((ending) => [ending, ending.toLowerCase()])];
}

function variable(env: NodeJS.ProcessEnv, name: string, windows: boolean): string {
  // Windows does not tell capital letters from small ones, and calls it `Path`.
  const found = Object.entries(env).find(([key]) => (windows ? key.toUpperCase() : key) === name);
  return found?.[1] ?? "";
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** What is handed to `spawn`. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  readonly windowsVerbatimArguments: boolean;
}

/**
 * How a program is started. A batch file is no program of its own on Windows: Node refuses it without a shell, since quotes
 * in its arguments could run anything (CVE-2024-27980). So it is given to cmd.exe with each word in quotes, and words that
 * quotes do not make harmless are refused.
 */
export function launchOf(path: string, args: readonly string[], { platform, env }: Machine = here): Launch {
  if (platform !== "win32" || !/\.(cmd|bat)$/i.test(path)) return { file: path, args, windowsVerbatimArguments: false };
  const words = [path, ...args];
  if (words.some((word) => /["%!\r\n\0]/.test(word))) {
    throw new Failure(
      `${path} is a batch file, and one of its arguments has a character that cmd.exe would not take as it is (one of " % ! or a line break).`,
      "Give that argument in another way (most plugins read the environment, too), or name a program that is an .exe.",
    );
  }
  // A backslash before the closing quote would escape it for the program behind the batch file.
  const line = words.map((word) => `"${word.replace(/\\+$/, "$&$&")}"`).join(" ");
  const shell = variable(env, "COMSPEC", true) || "cmd.exe";
  return { file: shell, args: ["/d", "/v:off", "/s", "/c", `"${line}"`], windowsVerbatimArguments: true };
}
