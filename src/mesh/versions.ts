interface Operator {
  /** Its newest known release. */
  readonly release: string;
  /** The Istio minors, 1.x, that it installs. Its CRD lists older ones, too, which it refuses as end-of-life. */
  readonly oldest: number;
  readonly newest: number;
}

// The Sail Operators by their minor, 1.x. From the operator's own version lists and release notes; a new line goes here.
const OPERATORS: Readonly<Record<number, Operator>> = {
  26: { release: "1.26.3", oldest: 24, newest: 26 },
  27: { release: "1.27.3", oldest: 24, newest: 27 },
  28: { release: "1.28.3", oldest: 26, newest: 28 },
  29: { release: "1.29.2", oldest: 27, newest: 29 },
  30: { release: "1.30.3", oldest: 28, newest: 30 },
};
const NEWEST_OPERATOR = Math.max(...Object.keys(OPERATORS).map(Number));

function minor(version: string): number | undefined {
  const match = /^v?1\.(\d+)\./.exec(version);
  return match ? Number(match[1]) : undefined;
}

/** The Istio minors that an operator installs. `known`: from the table; else by the rule that its newest lines keep to. */
export interface Installs {
  readonly oldest: number;
  readonly newest: number;
  readonly known: boolean;
}

/** What an operator of this version installs; `undefined` where its version says nothing. */
export function installs(operator: string): Installs | undefined {
  const of = minor(operator);
  if (of === undefined) return undefined;
  const known = OPERATORS[of];
  if (known) return { oldest: known.oldest, newest: known.newest, known: true };
  return of > NEWEST_OPERATOR ? { oldest: of - 2, newest: of, known: false } : undefined;
}

/** Whether the Istio version is of these minors; one whose minor cannot be told is. */
export function within({ oldest, newest }: Installs, istioVersion: string): boolean {
  const wanted = minor(istioVersion);
  return wanted === undefined || (wanted >= oldest && wanted <= newest);
}

/** The version of a Sail Operator, `X.Y.Z`, by its image; `undefined` where the tag does not say. */
export function operatorVersion(image: string): string | undefined {
  return /sail-operator[^:@]*:v?(1\.\d+\.\d+[^@]*)/.exec(image)?.[1];
}

/** The known operators that install an Istio version, e.g. `1.26 to 1.28`; `undefined` where there is none. */
export function operatorsFor(istioVersion: string): string | undefined {
  const wanted = minor(istioVersion);
  if (wanted === undefined) return undefined;
  const fitting = Object.entries(OPERATORS)
    .filter(([, { oldest, newest }]) => wanted >= oldest && wanted <= newest)
    .map(([of]) => `1.${of}`);
  return fitting.length > 1 ? `${fitting[0]} to ${fitting.at(-1)}` : fitting[0];
}

/**
 * The operator's release to install for an Istio version: the newest known one that installs it. For an Istio newer than
 * the table the release of the same version, for the two are numbered alike; `undefined` for one that is too old.
 */
export function operatorFor(istioVersion: string): string | undefined {
  const wanted = minor(istioVersion);
  if (wanted === undefined) return undefined;
  const fitting = Object.values(OPERATORS)
    .filter(({ release, oldest, newest }) => {
      // An operator does not know a patch that came out after it.
      const patches = minor(release) !== wanted || patchOf(release) >= patchOf(istioVersion);
      return wanted >= oldest && wanted <= newest && patches;
    })
    .map(({ release }) => release);
  return fitting.at(-1) ?? (OPERATORS[wanted] || wanted > NEWEST_OPERATOR ? istioVersion : undefined);
}

function patchOf(version: string): number {
  return Number(/^v?\d+\.\d+\.(\d+)/.exec(version)?.[1]);
}

/** The version in an image's tag, `X.Y.Z` and what follows it but the variant; `undefined` where the tag is none. */
export function versionOf(image: string): string | undefined {
  return /:v?(\d+\.\d+\.\d+[^@]*?)(-distroless|-debug)?(@|$)/.exec(image)?.[1];
}

/** A version without its `v`; `undefined` where it is no `X.Y.Z`, such as a name that stands for the newest of a line. */
export function plainVersion(version: string | undefined): string | undefined {
  return /^v?(\d+\.\d+\.\d+.*)$/.exec(version ?? "")?.[1];
}

/** How many minors the versions are apart; `undefined` where they cannot be compared. */
export function versionSkew(versions: readonly string[]): number | undefined {
  const minors = versions.map(minor);
  return minors.every((each) => each !== undefined) ? Math.max(...minors) - Math.min(...minors) : undefined;
}
