import { setSecret } from "@actions/core";

/** Shorter ones occur by chance all over a log. */
const SHORTEST = 8;

/** The one place where secrets are registered with the runner, which hides them wherever they are printed. */
export function mask(secret: string): void {
  const value = secret.trim();
  if (value.length >= SHORTEST) setSecret(value);
}
