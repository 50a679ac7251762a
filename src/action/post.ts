import { rm } from "node:fs/promises";
import * as core from "@actions/core";
import { connect } from "../cluster/client.ts";
import { Deadline } from "../cluster/deadline.ts";
import type { Kubeconfig } from "../cluster/kubeconfig.ts";
import { removeProbe } from "../steps/probe.ts";
import { readInputs } from "./inputs.ts";
import { oneLine } from "./log.ts";
import { mask } from "./masking.ts";
import { printable } from "./messages.ts";
import { FOLDER_STATE, PROBE_STATE } from "./state.ts";

/** Milliseconds for all clusters together, which are cleaned up side by side. */
const WITHIN = 60_000;

/** Removes what a run may have left behind, killed or not. Never fails the job. */
export async function post(): Promise<void> {
  await warned("The probe's namespace could not be removed", () => removeProbes(core.getState(PROBE_STATE)));
  await warned("The temporary folder could not be removed", () => removeFolder(core.getState(FOLDER_STATE)));
}

async function removeFolder(folder: string): Promise<void> {
  if (folder) await rm(folder, { recursive: true, force: true });
}

/** The inputs are given to the post step, too, so that no credentials have to be kept for it. */
async function removeProbes(namespace: string): Promise<void> {
  if (!namespace) return;
  const inputs = await readInputs({ get: (name) => core.getInput(name), env: (name) => process.env[name] }, mask);
  const deadline = new Deadline(WITHIN);
  const watcher = {
    waiting() {},
    waited() {},
    retrying: (cluster: string, text: string) => core.info(oneLine(`${cluster}: ${text}`)),
  };
  await Promise.all(
    inputs.mesh.clusters.map(async ({ name }) => {
      const cluster = connect(name, inputs.kubeconfigs.get(name) as Kubeconfig, deadline, watcher);
      const failure = `The probe's namespace ${namespace} could not be removed from ${name}`;
      await warned(failure, () => removeProbe(cluster, namespace, true));
      await cluster.close();
    }),
  );
}

async function warned(failure: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    core.warning(printable(`${failure}: ${error instanceof Error ? error.message : String(error)}`));
  }
}
