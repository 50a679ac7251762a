const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** Node's timers end there, which no job reaches either. Milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Milliseconds of a duration as Go and Kubernetes write it (`90s`, `10m`, `1h30m`); `undefined` for anything else.
 * @param longest in milliseconds
 */
export function parseDuration(text: string, longest = LONGEST_TIMER): number | undefined {
  if (!/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) || text === "") return undefined;
  let milliseconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([hms])/g))
    milliseconds += Number(amount) * (UNITS[unit as string] ?? 0);
  return milliseconds > 0 && milliseconds <= longest ? milliseconds : undefined;
}
