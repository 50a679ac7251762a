import { readFile } from "node:fs/promises";

/** Words that run a command and write its CPU time, with that of all its children, to a file: the shell's own `time`. */
export function measured(file: string): string[] {
  return ["bash", "-c", 'exec 3>&2; TIMEFORMAT="%U %S"; { time "$@" 2>&3; } 2>"$0"', file];
}

/** User and system time that `measured` has written. */
export async function cpuSeconds(file: string): Promise<number> {
  const [user = 0, system = 0] = (await readFile(file, "utf8")).trim().split(/\s+/).slice(-2).map(Number);
  return user + system;
}

/** CPU time of the whole machine since its start, but for idling; `undefined` where there is no /proc/stat. */
export async function machineCpuSeconds(): Promise<number | undefined> {
  const stat = await readFile("/proc/stat", "utf8").catch(() => undefined);
  if (stat === undefined) return undefined;
  // In hundredths of a second: user, nice, system, idle, iowait, irq, softirq, steal.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = stat
    .split("\n")[0]!
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / 100;
}
