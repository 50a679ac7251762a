// Makes src/mesh/versions/known.json from where it is decided: the Sail Operator's version list at each of its releases, and
// Istio's table of supported releases. What neither says, the known defects and the registries, stays as it is in the file.
//
//   node scripts/versions.ts           writes the file, and says on standard output what has changed
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const FILE = join(import.meta.dirname, "../src/mesh/versions/known.json");
const OPERATOR = "istio-ecosystem/sail-operator";
const RELEASES = `https://api.github.com/repos/${OPERATOR}/releases?per_page=100`;
const raw = (repository: string, ref: string, path: string) =>
  `https://raw.githubusercontent.com/${repository}/${ref}/${path}`;

/** Older operators install nothing that this action can be asked for. */
const OLDEST = 26;

/** Patches by their minor: `{ "1.30": [0, 1] }`. */
export type Patches = Readonly<Record<string, readonly number[]>>;

export interface Operator {
  readonly version: string;
  readonly installs: Patches;
  /** In its CRD's list, and refused. */
  readonly endOfLife: Patches;
  /** From where its chart pins the images; absent where it pins none, or not all alike. */
  readonly hub?: string;
  /** It could not be read, but is told: its list is what release notes say. */
  readonly told?: true;
}

export interface Line {
  readonly minor: string;
  /** The oldest and the newest minor of Kubernetes that it is supported on. */
  readonly kubernetes: readonly [string, string];
  /** The day of its end, `YYYY-MM-DD`; absent where none is known. */
  readonly end?: string;
}

export interface Known {
  readonly operators: readonly Operator[];
  readonly istio: readonly Line[];
  readonly [rest: string]: unknown;
}

interface Listed {
  readonly name: string;
  readonly ref?: string;
  readonly eol?: boolean;
}

/** What a release of the operator installs, by its `pkg/istioversion/versions.yaml`, and what its chart pins. Names that stand for others are left out. */
export function operatorOf(version: string, yaml: string, chartValues = ""): Operator {
  const { versions } = parse(yaml) as { versions: Listed[] };
  const patches = (wanted: boolean): Patches => {
    const found = versions.flatMap(({ name, ref, eol = false }) => {
      const [, minor, patch] = /^v(\d+\.\d+)\.(\d+)$/.exec(name) ?? [];
      return minor && ref === undefined && eol !== wanted ? [[minor, Number(patch)] as const] : [];
    });
    const minors = Map.groupBy(found, ([minor]) => minor);
    return Object.fromEntries(
      [...minors].toSorted(([a], [b]) => compare(a, b)).map(([minor, all]) => [minor, sorted(all.map(([, p]) => p))]),
    );
  };
  const pinned = chartValues.matchAll(/^\s*images\.v\d+_\d+_\d+\.istiod: "?(\S+)\/[^/\s]+$/gm);
  const hubs = new Set([...pinned].map(([, hub]) => hub as string));
  const [hub] = hubs;
  return { version, installs: patches(true), endOfLife: patches(false), ...(hub && hubs.size === 1 ? { hub } : {}) };
}

interface Supported {
  readonly version: string;
  readonly supported: string;
  readonly eolDate?: string;
  readonly k8sVersions?: readonly string[];
}

/** The lines of Istio, by its `data/compatibility/supportStatus.yml`. A day that is only expected is none. */
export function linesOf(yaml: string): Line[] {
  return (parse(yaml) as Supported[])
    .filter(({ version }) => /^1\.\d+$/.test(version) && minorOf(version) >= OLDEST - 2)
    .map(({ version, supported, eolDate = "", k8sVersions = [] }) => {
      const versions = k8sVersions.toSorted(compare);
      const day = /^no/i.test(supported) ? dayOf(eolDate) : undefined;
      return {
        minor: version,
        kubernetes: [versions.at(0) ?? "", versions.at(-1) ?? ""] as const,
        ...(day ? { end: day } : {}),
      };
    })
    .toSorted((a, b) => compare(a.minor, b.minor));
}

/** `Jun 25, 2024` as `2024-06-25`; nothing of `~Jan 2025 (Expected)`. */
export function dayOf(text: string): string | undefined {
  const [, month = "", day = "", year] = /^([A-Z][a-z]{2})[a-z]* (\d+), (\d{4})$/.exec(text.trim()) ?? [];
  const names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const number = names.indexOf(month) + 1;
  return year && number ? `${year}-${String(number).padStart(2, "0")}-${day.padStart(2, "0")}` : undefined;
}

/** The file's content with what was read in the place of what was known of the same releases. Nothing known is dropped. */
export function merged(known: Known, operators: readonly Operator[], lines: readonly Line[]): Known {
  const both = <T>(old: readonly T[], read: readonly T[], key: (each: T) => string) =>
    [...new Map([...old, ...read].map((each) => [key(each), each])).values()].toSorted((a, b) =>
      compare(key(a), key(b)),
    );
  return {
    ...known,
    operators: both(known.operators, operators, ({ version }) => version),
    istio: both(known.istio, lines, ({ minor }) => minor),
  };
}

/** What there is to say of the change, a line each. */
export function told(before: Known, after: Known): string[] {
  const differing = <T>(old: readonly T[], now: readonly T[], name: (each: T) => string) =>
    now
      .filter((each) => JSON.stringify(each) !== JSON.stringify(old.find((other) => name(other) === name(each))))
      .map(name);
  return [
    ...differing(before.operators, after.operators, ({ version }) => `Sail Operator ${version}`),
    ...differing(before.istio, after.istio, ({ minor }) => `Istio ${minor}`),
  ];
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

function sorted(numbers: readonly number[]): number[] {
  return numbers.toSorted((a, b) => a - b);
}

function minorOf(version: string): number {
  return Number(version.split(".")[1]);
}

async function text(url: string): Promise<string> {
  const response = await fetch(url, { headers: { accept: "*/*" }, signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response.text();
}

async function main(): Promise<void> {
  const known = JSON.parse(readFileSync(FILE, "utf8")) as Known;
  const releases = JSON.parse(await text(RELEASES)) as { tag_name: string; prerelease: boolean; draft: boolean }[];
  const tags = releases
    .filter(({ tag_name, prerelease, draft }) => /^1\.\d+\.\d+$/.test(tag_name) && !prerelease && !draft)
    .map(({ tag_name }) => tag_name)
    .filter((tag) => minorOf(tag) >= OLDEST);
  const operators = await Promise.all(
    tags.map(async (tag) => {
      const paths = ["pkg/istioversion/versions.yaml", "chart/values.yaml"];
      const [versions = "", chart = ""] = await Promise.all(paths.map((path) => text(raw(OPERATOR, tag, path))));
      return operatorOf(tag, versions, chart);
    }),
  );
  const lines = linesOf(await text(raw("istio/istio.io", "master", "data/compatibility/supportStatus.yml")));
  const next = merged(known, operators, lines);
  writeFileSync(FILE, `${JSON.stringify(next, null, 2)}\n`);
  for (const line of told(known, next)) console.log(line);
}

if (import.meta.main) await main();
