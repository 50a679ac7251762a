// The whole life of a mesh by users that have, for each command, the rights that docs/SECURITY.md gives it, and no other.
// On clusters without a control plane; comes after the uninstallation.
import { afterAll, expect, it } from "vitest";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { removeRestricted, restrictedKubeconfig } from "./restricted.ts";
import { listed, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));

/** A run by a user with the rights of these sections. */
async function run(section: string, inputs: Record<string, string>): Promise<RunResult> {
  const restricted = await all((cluster) => restrictedKubeconfig(cluster, section));
  const list = listed(clusters, (_, i) => ({ "kubeconfig-env": `RESTRICTED_${i}` }));
  const env = Object.fromEntries(restricted.map((text, i) => [`RESTRICTED_${i}`, text]));
  const result = await runOn(clusters, { clusters: list, ...inputs }, { env });
  await all((cluster) => removeRestricted(cluster, section));
  return result;
}

// It is nobody's: the uninstallation leaves it, with what istiod has left in it.
afterAll(() => all((cluster) => cluster.kubectl(["delete", "namespace", "istio-system", "--ignore-not-found"])));

it.each([
  { section: "install", command: "install", changed: "true" },
  { section: "rotate", command: "rotate", changed: "true" },
  { section: "uninstall", command: "uninstall", changed: "true" },
  { section: "uninstall-all", command: "uninstall", "uninstall-scope": "all", changed: "true" },
])("$command is done with the documented rights: $section", async ({ section, changed, ...inputs }) => {
  // The roles are in it.
  if (section === "install") await all((cluster) => cluster.kubectl(["create", "namespace", "istio-system"]));
  const result = await run(section, inputs);
  const told = result.report?.checks.flatMap(({ id, verdict, cause }) =>
    verdict === "failed" || verdict === "unknown" ? `${id}: ${cause}` : [],
  );
  expect(told, logOf(result)).toEqual([]);
  expect([result.exitCode, result.outputs.result, result.outputs.changed]).toEqual([0, "passed", changed]);
});
