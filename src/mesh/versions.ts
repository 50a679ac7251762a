// Which Istio minors each Sail Operator minor installs: 1.x of both. From the operator's own version lists; see the
// operator's release notes when adding a line.
const INSTALLS: Readonly<Record<number, readonly [oldest: number, newest: number]>> = {
  26: [24, 26],
  27: [24, 27],
  28: [26, 28],
  29: [27, 29],
  30: [28, 30],
};

function minor(version: string): number | undefined {
  const match = /^v?1\.(\d+)\./.exec(version);
  return match ? Number(match[1]) : undefined;
}

/**
 * Why a Sail Operator cannot install an Istio version, or `undefined` where it can or the operator's version says nothing.
 * The operator's CRD still lists versions that it refuses as end-of-life, so the list alone is not enough.
 * @param image the operator's image, e.g. `quay.io/sail-dev/sail-operator:1.30.3`
 */
export function operatorRefuses(image: string, istioVersion: string): string | undefined {
  const tag = /sail-operator[^:@]*:(v?1\.\d+\.\d+)/.exec(image)?.[1];
  const range = tag === undefined ? undefined : INSTALLS[minor(tag) ?? -1];
  const wanted = minor(istioVersion);
  if (!range || wanted === undefined || (wanted >= range[0] && wanted <= range[1])) return undefined;
  return `Sail Operator ${tag} installs Istio 1.${range[0]} to 1.${range[1]}, not ${istioVersion}`;
}

/** The version in an image's tag, `X.Y.Z` and what follows it; `undefined` where the tag is none. */
export function versionOf(image: string): string | undefined {
  return /:v?(\d+\.\d+\.\d+[^@]*)/.exec(image)?.[1];
}

/** How many minors the versions are apart; `undefined` where they cannot be compared. */
export function versionSkew(versions: readonly string[]): number | undefined {
  const minors = versions.map(minor);
  return minors.every((each) => each !== undefined) ? Math.max(...minors) - Math.min(...minors) : undefined;
}
