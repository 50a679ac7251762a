import { warning } from "@actions/core";
import { printable } from "./messages.ts";

/** Does the work; where it fails, that is a warning, and no more. */
export async function warned(failure: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    warning(printable(`${failure}: ${error instanceof Error ? error.message : String(error)}`));
  }
}
