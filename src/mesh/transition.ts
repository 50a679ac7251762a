import type { Installer } from "./spec.ts";

/** Installed where no control plane runs and no version was asked for. */
export const DEFAULT_ISTIO_VERSION = "1.26.3";

/** The mesh's own control plane in a cluster, as it was found. */
export interface FoundControlPlane {
  readonly cluster: string;
  /** Whether there is an istiod. */
  readonly runs: boolean;
  /** What istiod runs, `X.Y.Z` and perhaps a suffix; `undefined`: that could not be told. */
  readonly version: string | undefined;
  /** What it was installed as, without a `v`: of its `Istio` resource, or of its charts; perhaps `X.Y-latest`. */
  readonly declared: string | undefined;
  /** Whether a new version comes beside the old one (RevisionBased), and not in its place. */
  readonly byRevision: boolean;
}

export interface Refusal {
  readonly clusters: readonly string[];
  /** What would happen, in a sentence. */
  readonly refused: string;
  /** The safe way, and the input that says "all the same", where there is one. */
  readonly hint: string;
}

/** What becomes of one cluster's control plane. */
export interface Transition {
  readonly cluster: string;
  /** `left`: it is somebody else's. `skip`: more than one minor up in place. `unknown`: what runs could not be told. */
  readonly what: "fresh" | "same" | "patch" | "minor-up" | "downgrade" | "skip" | "unknown" | "left";
  readonly from: string | undefined;
  /** What runs afterwards; `undefined` of what is somebody else's and does not tell. */
  readonly to: string | undefined;
  /** What its `Istio` resource says then: `to`, or the name of the line that it follows and that has led to it. */
  readonly writes: string;
  /** `wave`: one cluster after another, each when the one before it is done. */
  readonly course: "go" | "wave" | "refused";
}

export interface Upgrade {
  /** Of the mesh, `X.Y.Z`. */
  readonly version: string;
  /** Why this version, in a sentence, where it was not asked for. */
  readonly chosen: string | undefined;
  readonly transitions: readonly Transition[];
  /** What stands in the way, each once. */
  readonly refusals: readonly Refusal[];
}

interface Version {
  readonly major: number;
  readonly minor: number;
  /** `undefined` of a name that stands for the newest of a line, such as `1.30-latest`. */
  readonly patch: number | undefined;
}

function parse(version: string | undefined): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])/.exec(version ?? "") ?? [];
  if (major === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: patch === undefined ? undefined : Number(patch) };
}

/** So many minors is another major version. */
const MAJOR = 1000;

/** A version with its patch, as it is; `undefined` of every other. */
const whole = (version: string | undefined) => (parse(version)?.patch === undefined ? undefined : version);

/** How many minors up from one version to another: negative downwards; `undefined` where that cannot be told. */
export function minorsUp(from: string | undefined, to: string | undefined): number | undefined {
  const [a, b] = [parse(from), parse(to)];
  if (!a || !b) return undefined;
  return a.major === b.major ? b.minor - a.minor : (b.major - a.major) * MAJOR;
}

/** Negative where the first is older; builds of one patch, which differ by their suffix, are equal. Both must be whole. */
function compare(first: string, second: string): number {
  return -(minorsUp(first, second) ?? 0) || (parse(first)?.patch ?? 0) - (parse(second)?.patch ?? 0);
}

/** Whether two versions of one patch are the same but for a vendor's suffix. Releases and what came before them are not. */
function isBuildOf(first: string, second: string): boolean {
  const suffixes = [first, second].map((version) => /-(.*)/.exec(version)?.[1] ?? "");
  return first === second || (suffixes.includes("") && !suffixes.some((suffix) => /^(alpha|beta|rc)/.test(suffix)));
}

type Change = Exclude<Transition["what"], "fresh" | "left">;

/** What going from one version to another is. @param byRevision two minors up are supported then, as Istio's canary upgrade is */
export function changeOf(from: string | undefined, to: string, byRevision: boolean): Change {
  const up = minorsUp(from, to);
  if (up === undefined) return "unknown";
  if (up < 0) return "downgrade";
  if (up > 0) return up <= (byRevision ? 2 : 1) ? "minor-up" : "skip";
  if (!whole(from) || !whole(to)) return "unknown";
  const patches = compare(from as string, to);
  if (patches === 0) return isBuildOf(from as string, to) ? "same" : "patch";
  return patches < 0 ? "patch" : "downgrade";
}

/**
 * What becomes of the control planes, known before anything is written. Sources of the rules: Istio's supported releases (a
 * proxy may be a minor older than its istiod, and never newer; in place one minor at a time; by revisions two).
 * @param asked the version that was asked for, `X.Y.Z`
 * @param missing clusters that could not be looked at
 */
export function upgrade(
  { installer, asked, mayDowngrade }: { installer: Installer; asked: string | undefined; mayDowngrade: boolean },
  found: readonly FoundControlPlane[],
  missing: readonly string[],
): Upgrade {
  const installed = found.filter(({ runs, declared }) => runs || declared !== undefined);
  const newest = installed
    .flatMap((each) => at(each) ?? each.declared ?? [])
    .toSorted(compare)
    .at(-1);
  const version = asked ?? newest ?? DEFAULT_ISTIO_VERSION;
  const transitions = found.map((each) => transition(each, version, asked === undefined, installer, mayDowngrade));
  const refused = transitions.filter(({ course }) => course === "refused");
  const alike = Map.groupBy(refused, ({ what, from }) => `${what} ${from}`);
  const unseen = installer === "existing" ? undefined : unseenInTheWay(transitions, asked, newest, missing);
  return {
    version,
    chosen: asked === undefined ? chosen(version, newest, installed) : undefined,
    transitions,
    refusals: [...[...alike.values()].map(refusal), ...(unseen ? [unseen] : [])],
  };
}

/** The version that a control plane is at, or on its way to, where it is known whole. */
function at({ version, declared }: FoundControlPlane): string | undefined {
  return whole(declared) ?? whole(version);
}

function chosen(version: string, newest: string | undefined, installed: readonly FoundControlPlane[]): string {
  if (newest === undefined) {
    const why = installed.length === 0 ? "no control plane runs" : "what runs does not tell its version";
    return `\`istio-version\` is not set and ${why}: it is ${version}.`;
  }
  const differ = installed.some((each) => compare(at(each) ?? newest, newest) !== 0);
  return `\`istio-version\` is not set: it is ${version}, ${differ ? "the newest that runs" : "which runs"}.`;
}

function transition(
  found: FoundControlPlane,
  to: string,
  byDefault: boolean,
  installer: Installer,
  mayDowngrade: boolean,
): Transition {
  const { cluster, runs, declared, byRevision } = found;
  const from = runs ? (found.version ?? declared) : undefined;
  const of = (what: Transition["what"], course: Transition["course"], more: Partial<Transition> = {}): Transition => ({
    cluster,
    what,
    from,
    to,
    writes: to,
    course,
    ...more,
  });
  if (installer === "existing") return of("left", "go", { to: from });
  if (!runs) return of("fresh", "go");
  // A resource that names a line is left to name it, unless a version was asked for.
  const follows = byDefault && declared !== undefined && !whole(declared) && minorsUp(declared, to) === 0;
  const change = changeOf(from, to, byRevision);
  if (follows) return of("same", "go", { to: whole(from) ?? to, writes: declared });
  // Nothing is asked of it that it was not asked before, whatever image the values name. One on its way is waited for.
  if (declared === to) return change === "minor-up" ? of(change, "wave") : of("same", "go");
  if (change === "same") return of(change, "go");
  if (change === "patch" || change === "minor-up") return of(change, "wave");
  // A step back, or what may be one, of a minor at most: it can be said to be wanted.
  const back = change !== "skip" && (minorsUp(from, to) ?? -2) >= -1;
  return of(change, back && mayDowngrade ? "wave" : "refused");
}

/** Why these, which are alike, may not be. */
function refusal(alike: readonly Transition[]): Refusal {
  const { what, from, to = "" } = alike[0] as Transition;
  const clusters = alike.map(({ cluster }) => cluster);
  const list = clusters.join(", ");
  const run = clusters.length === 1 ? "runs" : "run";
  const minors = minorsUp(from, to);
  if (minors === undefined) {
    return {
      clusters,
      refused: `Which Istio runs in ${list} cannot be told, nor whether ${to} would be a step up or down: neither the tag of istiod's image, nor its Istio resource, nor the label of its charts says.`,
      hint: "Give istiod an image whose tag says its version, or use `installer: existing`, which changes no control plane.",
    };
  }
  if (what !== "skip" && minors >= -1) {
    const why =
      what === "unknown"
        ? `some patch of Istio ${lineOf(from)}, perhaps a newer one than ${to}`
        : minors === 0
          ? `Istio ${from}: ${to} is an older patch, without what was mended since`
          : `Istio ${from}: with ${to}, istiod would be older than the proxies that run, which Istio does not support`;
    return {
      clusters,
      refused: `${list} ${run} ${why}.`,
      hint: "Leave `istio-version` out, and what runs stays, or set it to what runs. To go back all the same, one cluster after another, set `allow-downgrade: true`, and restart the workloads afterwards.",
    };
  }
  const far = Math.abs(minors) < MAJOR ? `${Math.abs(minors)} minor versions` : "a major version";
  return {
    clusters,
    refused: `${list} ${run} Istio ${from}, ${far} ${minors > 0 ? "before" : "after"} ${to}: the proxies that run there are served by an istiod of their own minor version or of the next, and by no other.`,
    hint: `Go by way of ${ladder(from as string, to)}, a run for each, and restart the workloads in between. Where others of the mesh are there already, set \`spec.version\` of that cluster's Istio resource by hand; where nothing uses its control plane yet, remove it first.`,
  };
}

/** `1.30` of `1.30.3`. */
export const lineOf = (version = "") => version.split(".").slice(0, 2).join(".").replace(/-.*/, "");

/** The minors between two versions, and the last one: `1.30, then 1.31.0`. */
function ladder(from: string, to: string): string {
  const minors = minorsUp(from, to) ?? 0;
  const first = parse(from) as Version;
  const steps = Math.abs(minors) < MAJOR ? Math.abs(minors) - 1 : 0;
  const between = Array.from(
    { length: steps },
    (_, i) => `${first.major}.${first.minor + Math.sign(minors) * (i + 1)}`,
  );
  return [...between, to].join(", then ");
}

/** What of the clusters that could not be looked at stands in the way. */
function unseenInTheWay(
  transitions: readonly Transition[],
  asked: string | undefined,
  newest: string | undefined,
  missing: readonly string[],
): Refusal | undefined {
  if (missing.length === 0) return undefined;
  const list = missing.join(" and ");
  if (asked === undefined && newest === undefined) {
    return {
      clusters: missing,
      refused: `\`istio-version\` is not set, and which Istio runs in ${list} is not known: it cannot be reached.`,
      hint: "Set `istio-version`, or run again once it can be reached.",
    };
  }
  const moved = transitions.find(({ from, to, course }) => course === "wave" && minorsUp(from, to) !== 0);
  if (!moved) return undefined;
  return {
    clusters: missing,
    refused: `${moved.cluster} would go from Istio ${moved.from} to ${moved.to} while it is not known what runs in ${list}, which cannot be reached; the control planes of a mesh are a minor version apart at most.`,
    hint: "Run again once it can be reached, or take it off the list. With `istio-version` left out, the run goes on without it and changes no version.",
  };
}

/** What becomes of the control planes, in a sentence or two. */
export function upgradeEvidence({ version, chosen, transitions }: Upgrade): string {
  const of = (...kinds: Transition["what"][]) => transitions.filter(({ what }) => kinds.includes(what));
  const names = (some: readonly Transition[]) => some.map(({ cluster }) => cluster).join(", ");
  const [fresh, same, left] = [of("fresh"), of("same"), of("left")];
  const moved = transitions.filter(({ course }) => course === "wave");
  const one = moved.length > 1 ? ", one after the other" : "";
  const parts = [
    ...(same.length > 0 ? [`runs in ${names(same)} already`] : []),
    ...(fresh.length > 0 ? [`is new in ${names(fresh)}`] : []),
    ...[...Map.groupBy(moved, ({ from }) => from)].map(
      ([from, some]) => `takes the place of ${from ?? "what runs"} in ${names(some)}`,
    ),
  ];
  const what = parts.length > 0 ? `Istio ${version} ${parts.join("; it ")}${one}.` : "";
  const others = left.length > 0 ? `The control planes of ${names(left)} are left as they are.` : "";
  return [chosen, what, others].filter((each) => each).join(" ");
}
