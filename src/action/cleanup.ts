import * as core from "@actions/core";
import { connect, retriesOnly } from "../cluster/client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { Deadline } from "../cluster/deadline.ts";
import type { Kubeconfig } from "../cluster/kubeconfig.ts";
import { releaseFor } from "../steps/lock.ts";
import { removeProbe } from "../steps/probe.ts";
import { readInputs } from "./inputs.ts";
import { tellRetry } from "./log.ts";
import { mask } from "./masking.ts";
import { warned } from "./warned.ts";

/** Milliseconds for all clusters together, which are cleaned up side by side. */
const WITHIN = 60_000;

/** Removes a probe's namespace from every cluster. */
export function removeProbes(namespace: string): Promise<void> {
  return inEach(
    (name) => `The probe's namespace ${namespace} could not be removed from ${name}`,
    (cluster) => removeProbe(cluster, namespace, true),
  );
}

/** Gives back the Leases that a run that was killed holds still. */
export function releaseLeases(holder: string): Promise<void> {
  return inEach(
    (name) => `This run's Lease could not be given back in ${name}`,
    (cluster) => releaseFor(cluster, holder),
  );
}

/** The inputs are given to the post step, too, so that no credentials have to be kept for it. */
async function inEach(failure: (name: string) => string, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const source = { get: (name: string) => core.getInput(name), env: (name: string) => process.env[name] };
  const inputs = await readInputs({ ...source, machine: process.env }, mask);
  const deadline = new Deadline(WITHIN);
  const watcher = retriesOnly(tellRetry);
  await Promise.all(
    inputs.mesh.clusters.map(async ({ name }) => {
      const cluster = connect(name, inputs.kubeconfigs.get(name) as Kubeconfig, deadline, watcher);
      await warned(failure(name), () => work(cluster));
      await cluster.close();
    }),
  );
}
