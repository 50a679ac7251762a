import * as core from "@actions/core";
import { connect, retriesOnly } from "../cluster/client.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { Deadline } from "../cluster/deadline.ts";
import { Failure } from "../mesh/failure.ts";
import { releaseFor } from "../steps/lock.ts";
import { removeProbe } from "../steps/probe.ts";
import { readAccess } from "./inputs.ts";
import { tellRetry } from "./log.ts";
import { mask } from "./masking.ts";
import { warned } from "./warned.ts";

/** Milliseconds for all clusters together, which are cleaned up side by side. */
const WITHIN = 60_000;

/** Looks for a probe in every cluster, and removes what is left of it. */
export function removeProbes(namespace: string): Promise<void> {
  return inEach(
    (name) => `The probe's namespace ${namespace} could not be removed from ${name}`,
    (cluster) => removeProbe(cluster, namespace),
  );
}

/** Gives back the Leases that a run that was killed holds still. */
export function releaseLeases(holder: string): Promise<void> {
  return inEach(
    (name) => `This run's Lease could not be given back in ${name}`,
    (cluster) => releaseFor(cluster, holder),
  );
}

/**
 * Does the work in each cluster by itself: one whose kubeconfig is gone by now keeps no other from it. The inputs are given
 * to the post step, too, so that no credentials have to be kept for it.
 */
async function inEach(failure: (name: string) => string, work: (cluster: Cluster) => Promise<void>): Promise<void> {
  const source = { get: (name: string) => core.getInput(name), env: (name: string) => process.env[name] };
  const { clusters, problems } = readAccess({ ...source, machine: process.env }, mask);
  const deadline = new Deadline(WITHIN);
  const watcher = retriesOnly(tellRetry);
  await Promise.all(
    clusters.map(({ name, kubeconfig }) =>
      warned(failure(name), async () => {
        if (!kubeconfig) throw new Failure(problems.join(" "));
        const cluster = connect(name, kubeconfig, deadline, watcher);
        await work(cluster).finally(() => cluster.close());
      }),
    ),
  );
}
