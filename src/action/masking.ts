import { setSecret } from "@actions/core";
import { secretLines, withhold } from "../mesh/redact.ts";

/**
 * The one place where secrets are registered with the runner, which hides them wherever they are printed. It does so line by
 * line: a PEM's armour would hide every other PEM's, so it is left out. That is a net: what is told goes without them.
 */
export function mask(secret: string): void {
  withhold(secret);
  for (const line of secretLines(secret)) setSecret(line);
}
