import * as core from "@actions/core";
import { connect, retriesOnly } from "../cluster/client.ts";
import { Deadline } from "../cluster/deadline.ts";
import type { Kubeconfig } from "../cluster/kubeconfig.ts";
import { removeProbe } from "../steps/probe.ts";
import { readInputs } from "./inputs.ts";
import { tellRetry } from "./log.ts";
import { mask } from "./masking.ts";
import { warned } from "./warned.ts";

/** Milliseconds for all clusters together, which are cleaned up side by side. */
const WITHIN = 60_000;

/**
 * Removes a probe's namespace from every cluster. The inputs are given to the post step, too, so that no credentials have
 * to be kept for it.
 */
export async function removeProbes(namespace: string): Promise<void> {
  const inputs = await readInputs({ get: (name) => core.getInput(name), env: (name) => process.env[name] }, mask);
  const deadline = new Deadline(WITHIN);
  const watcher = retriesOnly(tellRetry);
  await Promise.all(
    inputs.mesh.clusters.map(async ({ name }) => {
      const cluster = connect(name, inputs.kubeconfigs.get(name) as Kubeconfig, deadline, watcher);
      const failure = `The probe's namespace ${namespace} could not be removed from ${name}`;
      await warned(failure, () => removeProbe(cluster, namespace, true));
      await cluster.close();
    }),
  );
}
