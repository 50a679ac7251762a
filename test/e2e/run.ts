// Runs of the action on the clusters under test.
import { stringify } from "yaml";
import { type RunOptions, type RunResult, runAction } from "../runner.ts";
import type { Cluster } from "./cluster.ts";
import { settings } from "./settings.ts";

const { istioVersion, istioctlMirror } = settings();

/** The input `clusters`. @param kubeconfig how each one's kubeconfig is given; default: by its file */
export function listed(
  clusters: readonly Cluster[],
  kubeconfig: (cluster: Cluster, index: number) => object = ({ kubeconfigPath }) => ({
    "kubeconfig-file": kubeconfigPath,
  }),
): string {
  return stringify(
    clusters.map((cluster, i) => ({ name: cluster.name, network: cluster.network, ...kubeconfig(cluster, i) })),
  );
}

/** A run on these clusters with the Istio version that is tested; the inputs may say otherwise. */
export function runOn(
  clusters: readonly Cluster[],
  inputs: Readonly<Record<string, string>> = {},
  options: Omit<RunOptions, "inputs"> = {},
): Promise<RunResult> {
  const mirror = istioctlMirror ? { "istioctl-mirror": istioctlMirror } : {};
  const usual = { clusters: listed(clusters), "istio-version": istioVersion, ...mirror };
  return runAction({ timeoutMs: 12 * 60_000, ...options, inputs: { ...usual, ...inputs } });
}

/** Runs it until it passes, or until the deadline, by Date.now(): the last one. */
export async function untilPassed(run: () => Promise<RunResult>, deadline: number): Promise<RunResult> {
  let result: RunResult;
  do result = await run();
  while (result.exitCode !== 0 && Date.now() < deadline);
  return result;
}

export const logOf = ({ log }: RunResult): string => log.map(({ text }) => text).join("\n");

/** What is to be seen of a failure, for a reader who has nothing else. */
export const explain = (result: RunResult): string =>
  `exit code ${result.exitCode}\n${logOf(result)}\n${result.summary}`;
