// What Istio's own tools make of a mesh, to compare with what a verification says.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import type { Cluster } from "./cluster.ts";

const run = promisify(execFile);

/** What each of them says, a line each, in an order of its own. */
export interface Views {
  /** `istioctl remote-clusters`, asked of every cluster. */
  readonly remoteClusters: readonly string[];
  /** `istioctl analyze --all-namespaces` over all clusters. */
  readonly analyze: readonly string[];
}

export async function istioctlViews(istioctl: string, clusters: readonly Cluster[]): Promise<Views> {
  const folder = await mkdtemp(join(tmpdir(), "views-"));
  try {
    const kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, await merged(clusters), { mode: 0o600 });
    const ask = async (...args: string[]) => {
      const call = run(istioctl, [...args, "--kubeconfig", kubeconfig], { timeout: 60_000 });
      const { stdout, stderr } = await call.catch((error) => error as { stdout: string; stderr: string });
      return lines(`${stdout}\n${stderr}`);
    };
    const contexts = clusters.map(({ name }) => name);
    const [own = "", ...others] = contexts;
    const [analyze, ...remotes] = await Promise.all([
      ask("analyze", "--all-namespaces", "--context", own, ...others.map((name) => `--remote-contexts=${name}`)),
      ...contexts.map((name) => ask("remote-clusters", "--context", name)),
    ]);
    return { analyze, remoteClusters: remotes.flatMap((said, i) => said.map((line) => `${contexts[i]}: ${line}`)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is said now that was not said before, or no longer. */
export function difference(before: readonly string[], now: readonly string[]): string[] {
  return [...now.filter((line) => !before.includes(line)), ...before.filter((line) => !now.includes(line))];
}

/**
 * Without what differs from one call to the next: the names of pods, times, the widths of columns, and by which of the
 * clusters analyze tells what is between them.
 */
function lines(text: string): string[] {
  const words = text
    .replace(/\S+T\S+Z\s/g, "")
    .replace(/\b([a-z-]+?)-[a-z0-9]{6,10}-[a-z0-9]{5}\b/g, "$1")
    .replace(/\d+(\.\d+)?m?s\b/g, "")
    .replace(/^(\w+) \[(IST\d+)\] (?:\[[^\]]*\] )?\(([^)]*)\).*$/gm, "$1 $2 $3");
  const all = words.split("\n").map((line) => line.trim().split(/\s+/).join(" "));
  return [...new Set(all)].filter((line) => line !== "").sort();
}

/** One kubeconfig of all, whose contexts have the clusters' names. Their own names may be the same everywhere. */
async function merged(clusters: readonly Cluster[]): Promise<string> {
  const parts = await Promise.all(
    clusters.map(async ({ name, kubeconfigPath }) => {
      const config = parse(await readFile(kubeconfigPath, "utf8"));
      const named = (list: { name: string }[], wanted: string) => ({
        ...list.find((each) => each.name === wanted),
        name,
      });
      const { context } = config.contexts.find((each: { name: string }) => each.name === config["current-context"]);
      return { cluster: named(config.clusters, context.cluster), user: named(config.users, context.user), name };
    }),
  );
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: parts.map(({ cluster }) => cluster),
    users: parts.map(({ user }) => user),
    contexts: parts.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    "current-context": parts[0]?.name,
  });
}
