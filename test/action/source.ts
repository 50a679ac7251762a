import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type Inputs, readInputs } from "../../src/action/inputs.ts";
import type { InputError } from "../../src/action/messages.ts";
import type { InputSource } from "../../src/action/source.ts";

interface ActionYaml {
  inputs: Record<string, { description: string; default?: string }>;
  outputs: Record<string, { description: string }>;
}

/** The public interface as it is published. */
export const action = parse(readFileSync(new URL("../../action.yml", import.meta.url), "utf8")) as ActionYaml;

/** Inputs as the runner gives them: action.yml's defaults, trimmed as the toolkit does; what action.yml lacks is a defect. */
export function source(given: Record<string, string>, env: Record<string, string> = {}): InputSource {
  for (const name of Object.keys(given)) {
    if (!action.inputs[name]) throw new Error(`action.yml has no input ${name}`);
  }
  return {
    get(name) {
      const input = action.inputs[name];
      if (!input) throw new Error(`the code reads ${name}, which action.yml lacks`);
      return (given[name] ?? input.default ?? "").trim();
    },
    env: (name) => env[name],
    machine: env,
  };
}

export async function read(
  given: Record<string, string>,
  env: Record<string, string> = {},
): Promise<Inputs & { masked: string[] }> {
  const masked: string[] = [];
  const inputs = await readInputs(source(given, env), (secret) => masked.push(secret));
  return { ...inputs, masked };
}

/** The problems that the inputs are refused with. */
export async function problems(
  given: Record<string, string>,
  env: Record<string, string> = {},
): Promise<readonly string[]> {
  const error = await read(given, env).then(
    () => undefined,
    (error: unknown) => error as InputError,
  );
  if (!error) return [];
  if (!error.problems) throw error;
  return error.problems;
}

/** A secret that must never be seen. */
export const CANARY = "canary-5e1f7c93";

interface Parts {
  server?: string;
  user?: Record<string, unknown>;
  cluster?: Record<string, unknown>;
  context?: string;
}

/** A kubeconfig as JSON, which is YAML too. */
export function kubeconfig({ server, user, cluster, context = "prod" }: Parts = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": context,
    contexts: [
      { name: context, context: { cluster: "c", user: "u" } },
      { name: "other", context: { cluster: "c", user: "u" } },
      { name: "half", context: { cluster: "none", user: "u" } },
      { name: "nobody", context: { cluster: "c", user: "none" } },
    ],
    clusters: [{ name: "c", cluster: { server: server ?? "https://10.0.0.1:6443", ...cluster } }],
    users: [{ name: "u", user: user ?? { token: `${CANARY}-token` } }],
  });
}

/** Two clusters as most users give them. */
export const good = {
  "cluster1-kubeconfig": kubeconfig({ server: "https://10.0.0.1:6443" }),
  "cluster2-kubeconfig": kubeconfig({ server: "https://10.0.0.2:6443" }),
};
