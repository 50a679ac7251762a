const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000 };

/** Milliseconds of a duration as Go and Kubernetes write it (`90s`, `10m`, `1h30m`); `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+h)?(\d+m)?(\d+s)?$/.test(text) || text === "") return undefined;
  let milliseconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([hms])/g))
    milliseconds += Number(amount) * (UNITS[unit as string] ?? 0);
  // Node's timers end at 2^31 milliseconds, which no job reaches either.
  return milliseconds > 0 && milliseconds < 2 ** 31 ? milliseconds : undefined;
}
