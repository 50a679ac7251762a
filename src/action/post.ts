import { rm } from "node:fs/promises";
import * as core from "@actions/core";
import { FOLDER_STATE } from "./state.ts";

/** Removes what a run may have left behind, killed or not. Never fails the job. */
export async function post(): Promise<void> {
  const folder = core.getState(FOLDER_STATE);
  if (!folder) return;
  try {
    await rm(folder, { recursive: true, force: true });
  } catch (error) {
    core.warning(`The temporary folder could not be removed: ${(error as NodeJS.ErrnoException).code}`);
  }
}
