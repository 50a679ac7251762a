import { rm } from "node:fs/promises";
import { getState } from "@actions/core";
import { FOLDER_STATE, HOLDER_STATE, PROBE_STATE } from "./state.ts";
import { warned } from "./warned.ts";

/** Removes what a run may have left behind, killed or not. Never fails the job. */
export async function post(): Promise<void> {
  await warned("The probe's namespace could not be removed", () => removeProbes(getState(PROBE_STATE)));
  await warned("The clusters' Leases could not be given back", () => release(getState(HOLDER_STATE)));
  await warned("The temporary folder could not be removed", () => removeFolder(getState(FOLDER_STATE)));
}

async function removeFolder(folder: string): Promise<void> {
  if (folder) await rm(folder, { recursive: true, force: true });
}

/** Empty where the run has given them back itself. */
async function release(holder: string): Promise<void> {
  if (!holder) return;
  const cleanup = await import("./cleanup.ts");
  await cleanup.releaseLeases(holder);
}

/** @param namespaces those that the run could not remove itself, with spaces in between */
async function removeProbes(namespaces: string): Promise<void> {
  if (!namespaces) return;
  // Seldom is there one, and all that speaks to clusters comes with it.
  const cleanup = await import("./cleanup.ts");
  await Promise.all(namespaces.split(" ").map(cleanup.removeProbes));
}
