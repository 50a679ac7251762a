import known from "./versions/known.json" with { type: "json" };

/** Patches by their minor: `{ "1.30": [0, 1] }`. */
export type Patches = Readonly<Record<string, readonly number[] | undefined>>;

/** A release of the Sail Operator. */
export interface OperatorRelease {
  readonly version: string;
  readonly installs: Patches;
  /** In its CRD's list, and refused. */
  readonly endOfLife: Patches;
  /** From where its chart pins the images; absent: not known. */
  readonly hub?: string;
}

/** A minor of Istio. */
export interface IstioLine {
  readonly minor: string;
  /** The oldest and the newest minor of Kubernetes that it is supported on. */
  readonly kubernetes: readonly [string, string];
  /** The day of its end, `YYYY-MM-DD`; absent where none is known. */
  readonly end?: string;
}

/** What is known to be wrong with released versions of Istio. */
export type DefectId = "remote-secret-change";
export interface Defect {
  readonly id: DefectId;
  readonly versions: Patches;
  /** The first releases without it. */
  readonly fixed: readonly string[];
  readonly what: string;
  /** What this action does about it. */
  readonly does: string;
}

// scripts/versions.ts makes the file.
const OPERATORS = known.operators as readonly OperatorRelease[];
const LINES = known.istio as unknown as readonly IstioLine[];
const DEFECTS = known.defects as unknown as readonly Defect[];

interface Parts {
  readonly minor: string;
  readonly patch: number;
}

/** Minor and patch of `X.Y.Z`, with or without a `v` and whatever follows it; `undefined` of anything else. */
function parts(version: string): Parts | undefined {
  const [, minor, patch] = /^v?(\d+\.\d+)\.(\d+)(?![.\d])/.exec(version) ?? [];
  return minor ? { minor, patch: Number(patch) } : undefined;
}

function includes(patches: Patches, version: string): boolean {
  const of = parts(version);
  return of !== undefined && (patches[of.minor]?.includes(of.patch) ?? false);
}

/** Negative where `a` is the older one, by minor and patch. */
export function compareVersions(a: string, b: string): number {
  return a.replace(/^v/, "").localeCompare(b.replace(/^v/, ""), "en", { numeric: true });
}

/** The release of this very version, `X.Y.Z`; `undefined` where it is not known. A vendor's, with a suffix, is none of them. */
export function operatorRelease(version: string): OperatorRelease | undefined {
  return OPERATORS.find((each) => each.version === version);
}

/** Whether a release installs an Istio version; its name may be one that stands for the newest of a line. */
export function installs({ installs }: OperatorRelease, istioVersion: string): boolean {
  const [, line] = /^v?(\d+\.\d+)-latest$/.exec(istioVersion) ?? [];
  return line ? installs[line] !== undefined : includes(installs, plainVersion(istioVersion) ?? "");
}

/** Whether a release lists an Istio version, and refuses it as end-of-life. */
export function isEndOfLife({ endOfLife }: OperatorRelease, istioVersion: string): boolean {
  return includes(endOfLife, istioVersion);
}

/** What a release installs, for people: `1.29.0 to 1.29.10, 1.30.0 to 1.30.7`. */
export function installsText({ installs }: OperatorRelease): string {
  return Object.entries(installs)
    .flatMap(([minor, patches = []]) => {
      const [first, last] = [patches.at(0), patches.at(-1)];
      return first === undefined
        ? []
        : [first === last ? `${minor}.${first}` : `${minor}.${first} to ${minor}.${last}`];
    })
    .join(", ");
}

/** The known releases that install an Istio version, the newest last. */
function releasesFor(istioVersion: string): OperatorRelease[] {
  return OPERATORS.filter((each) => installs(each, istioVersion));
}

/** Those releases, for people: `1.26.3 to 1.28.3`; `undefined` where there is none. */
export function operatorsFor(istioVersion: string): string | undefined {
  const versions = releasesFor(istioVersion).map(({ version }) => version);
  return versions.length > 1 ? `${versions[0]} to ${versions.at(-1)}` : versions[0];
}

/**
 * The operator's release to install for an Istio version: the newest known one that installs it. `undefined` where none is
 * known: operators and Istio are not numbered alike, so there is nothing to guess.
 */
export function operatorFor(istioVersion: string): string | undefined {
  return releasesFor(istioVersion).at(-1)?.version;
}

/** The newest known release of the operator. */
export function newestOperator(): string {
  return OPERATORS.at(-1)?.version ?? "";
}

/**
 * The version of a Sail Operator by its image: what the tag begins with, `1.28.3-asm-r0` of a vendor's; `undefined` where
 * the tag is none.
 */
export function operatorVersion(image: string): string | undefined {
  return /:v?(\d+\.\d+\.\d+[^@/]*)(?:@[^/]*)?$/.exec(image)?.[1];
}

/** Whether the image is upstream's own operator, or a copy of it under its name: then the known releases speak of it. */
export function isUpstreamOperator(image: string): boolean {
  return /(^|\/)sail-operator:[^/]*$/.test(image);
}

/** What is known of the line that a version belongs to; `undefined` of one that is not known. */
export function istioLine(version: string): IstioLine | undefined {
  const [, minor] = /^v?(\d+\.\d+)[.-]/.exec(version) ?? [];
  return LINES.find((each) => each.minor === minor);
}

/** The known defect that a version of Istio has, a vendor's build of it, too; `undefined` where it has none of that kind. */
export function defectOf(version: string | undefined, id: DefectId): Defect | undefined {
  return DEFECTS.find((each) => each.id === id && version !== undefined && includes(each.versions, version));
}

/** The version in an image's tag, `X.Y.Z` and what follows it but the variant; `undefined` where the tag is none. */
export function versionOf(image: string): string | undefined {
  return /:v?(\d+\.\d+\.\d+[^@]*?)(-distroless|-debug)?(@|$)/.exec(image)?.[1];
}

/** A version without its `v`; `undefined` where it is no `X.Y.Z`, such as a name that stands for the newest of a line. */
export function plainVersion(version: string | undefined): string | undefined {
  return /^v?(\d+\.\d+\.\d+.*)$/.exec(version ?? "")?.[1];
}

function minor(version: string): number | undefined {
  const match = /^v?1\.(\d+)\./.exec(version);
  return match ? Number(match[1]) : undefined;
}

/** How many minors the versions are apart; `undefined` where they cannot be compared. */
export function versionSkew(versions: readonly string[]): number | undefined {
  const minors = versions.map(minor);
  return minors.every((each) => each !== undefined) ? Math.max(...minors) - Math.min(...minors) : undefined;
}
