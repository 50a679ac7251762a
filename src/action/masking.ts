import { setSecret } from "@actions/core";

/** Shorter ones occur by chance all over a log. */
const SHORTEST = 8;

/**
 * The one place where secrets are registered with the runner, which hides them wherever they are printed. It does so line by
 * line: a PEM's armour would hide every other PEM's, so it is left out.
 */
export function mask(secret: string): void {
  for (const line of secret.split(/[\r\n]+/)) {
    const value = line.trim();
    if (value.length >= SHORTEST && !/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(value)) setSecret(value);
  }
}
