import { readFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import type { Fields } from "../mesh/fields.ts";
import { quoted } from "../mesh/quoted.ts";
import { parseYaml } from "../mesh/yaml.ts";
import { resolved } from "./kubeconfig.ts";

/** The kubeconfig that kubectl would use on this machine. It is a secret. */
export interface MachineKubeconfig {
  readonly content: string;
  /** Where it comes from, for messages. */
  readonly from: string;
}

const LISTS = { contexts: "context", clusters: "cluster", users: "user" } as const;
const list = (value: unknown): Fields[] =>
  Array.isArray(value) ? value.filter((entry): entry is Fields => typeof entry === "object" && entry !== null) : [];

/**
 * Reads the files that KUBECONFIG names, else `~/.kube/config`, and merges them as kubectl does: of two entries with one name
 * the first file's counts, and paths begin at the folder of the file that they stand in. A file that is not there is none.
 * `undefined`: there is none at all.
 */
export function machineKubeconfig(
  env: NodeJS.ProcessEnv,
): MachineKubeconfig | { readonly problem: string } | undefined {
  const home = env.HOME || env.USERPROFILE;
  const named = (env.KUBECONFIG ?? "").split(delimiter).filter((path) => path !== "");
  const paths = named.length > 0 ? named : home ? [join(home, ".kube", "config")] : [];
  const merged: { -readonly [key in keyof typeof LISTS]: Fields[] } = { contexts: [], clusters: [], users: [] };
  let current: unknown;
  const read: string[] = [];
  for (const path of paths.map((each) => resolve(each))) {
    const text = contentOf(path);
    if (text === undefined) continue;
    const parsed: { value: unknown } | { problem: string } = typeof text === "string" ? parseYaml(text) : text;
    if ("problem" in parsed) return { problem: `the file ${quoted(path, 200)} of this runner ${parsed.problem}` };
    // An empty file is a kubeconfig without entries.
    const config = (typeof parsed.value === "object" && parsed.value !== null ? parsed.value : {}) as Fields;
    for (const key of Object.keys(LISTS) as (keyof typeof LISTS)[]) {
      const known = new Set(merged[key].map(({ name }) => name));
      const own = list(config[key]).filter(({ name }) => !known.has(name));
      merged[key].push(...own.map((entry) => absolute(entry, LISTS[key], dirname(path))));
    }
    current ??= config["current-context"] || undefined;
    read.push(path);
  }
  if (read.length === 0) return undefined;
  const from = `${named.length > 0 ? "KUBECONFIG" : "~/.kube/config"} (${read.map((path) => quoted(path, 200)).join(", ")})`;
  const config = { apiVersion: "v1", kind: "Config", ...merged, ...(current ? { "current-context": current } : {}) };
  return { content: JSON.stringify(config), from };
}

/** Its text; `undefined` where there is no such file. */
function contentOf(path: string): string | { readonly problem: string } | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? undefined : { problem: `cannot be read (${code})` };
  }
}

function absolute(entry: Fields, key: string, folder: string): Fields {
  const inner = entry[key];
  return typeof inner === "object" && inner !== null ? { ...entry, [key]: resolved(inner as Fields, folder) } : entry;
}
