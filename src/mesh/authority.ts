// Who accepts whose certificates. Roots are sets: what signs in one cluster is looked for among all that another one trusts.
import type { X509Certificate } from "node:crypto";
import { chainTo, type Issuer, sameAuthority } from "./certificates/chain.ts";
import { info, selfSigned } from "./certificates/pem.ts";

/** The CA of a cluster's mesh. */
export interface Authority {
  /** What signs its workloads' certificates; `undefined`: one of what is trusted does, and which is not known. */
  readonly issuer: Issuer | undefined;
  /** What its proxies trust, in any order. */
  readonly trusted: readonly X509Certificate[];
  /** What they would trust beside, were `meshConfig.caCertificates` switched on. */
  readonly idle?: readonly X509Certificate[];
}

/**
 * What is trusted, and that one of the issuers which is accepted by it: another one was put there after istiod started, and
 * does not sign yet.
 */
export function authorityOf(
  trusted: readonly X509Certificate[],
  issuers: readonly (Issuer | undefined)[],
  idle: readonly X509Certificate[] = [],
): Authority {
  const issuer = issuers.find((each) => each && chainTo(trusted, each));
  return { issuer, trusted, ...(idle.length > 0 ? { idle } : {}) };
}

/** What signs in a cluster, and a cluster that does not accept it. */
export interface Distrust {
  readonly signer: string;
  readonly refusedBy: string;
  /** `expired`: it has the signer's root, but not one that is valid still. `unknown`: it has some of what may be the signer. */
  readonly why: "stranger" | "expired" | "unknown";
}

/** The certificate of what a cluster trusts that its own issuer's chain ends in; where that is not known, its first root. */
export function anchorOf({ issuer, trusted }: Authority): X509Certificate | undefined {
  const chain = issuer && chainTo(trusted, issuer);
  return chain?.at(-1) ?? trusted.find(selfSigned) ?? trusted.at(-1);
}

/**
 * Which clusters do not accept what signs in which others. An issuer that its own cluster does not accept any more is not
 * held against the others for that: it is told there.
 */
export function distrust(authorities: ReadonlyMap<string, Authority>, now: Date): Distrust[] {
  // Most clusters trust the same: to verify each one's issuer once by that is enough.
  const trusting = [...authorities].map(
    ([refusedBy, { trusted }]) => [refusedBy, trusted, trusted.map((each) => each.fingerprint256).join()] as const,
  );
  return [...authorities].flatMap(([signer, one]) => {
    const known = new Map<string, Distrust["why"] | undefined>();
    return trusting.flatMap(([refusedBy, trusted, same]) => {
      if (signer === refusedBy) return [];
      if (!known.has(same)) known.set(same, whyRefused(one, trusted, now));
      const why = known.get(same);
      return why ? [{ signer, refusedBy, why }] : [];
    });
  });
}

function whyRefused(
  { issuer, trusted: own }: Authority,
  trusted: readonly X509Certificate[],
  now: Date,
): Distrust["why"] | undefined {
  if (issuer) {
    if (chainTo(trusted, issuer, now)) return undefined;
    if (!chainTo(trusted, issuer)) return "stranger";
    return chainTo(own, issuer, now) ? "expired" : undefined;
  }
  const known = own.filter((each) => trusted.some((other) => sameAuthority(each, other)));
  if (known.length === own.length) return undefined;
  return known.length > 0 ? "unknown" : "stranger";
}

/** The SHA-256 of each cluster's root, as `anchorOf` has it. */
export function rootSums(authorities: ReadonlyMap<string, Authority>): Map<string, string> {
  return new Map(
    [...authorities].flatMap(([cluster, authority]) => {
      const anchor = anchorOf(authority);
      return anchor ? [[cluster, info(anchor).sha256] as const] : [];
    }),
  );
}

/** `that of b (SHA-256 …) in a, c`, for each root that is not trusted somewhere, and the clusters where something is wrong. */
export function untrusted(
  authorities: ReadonlyMap<string, Authority>,
  found: readonly Distrust[],
): { readonly list: string; readonly note: string; readonly clusters: readonly string[] } {
  const sums = rootSums(authorities);
  const sum = (signer: string) => sums.get(signer) ?? "";
  const list = [...Map.groupBy(found, ({ signer }) => sum(signer))].map(([sha256, same]) => {
    const signers = [...new Set(same.map(({ signer }) => signer))];
    const places = [...new Set(same.map(({ refusedBy }) => refusedBy))];
    const late = same.every(({ why }) => why === "expired") ? ", where the copy of it is past its end" : "";
    return `that of ${signers.join(", ")} (SHA-256 ${sha256}) in ${places.join(", ")}${late}`;
  });
  const held = found.filter(({ signer, refusedBy }) => {
    const [issuer, idle] = [authorities.get(signer)?.issuer, authorities.get(refusedBy)?.idle];
    return issuer && idle && chainTo(idle, issuer);
  });
  const isInvolved = (each: string) => found.some(({ signer, refusedBy }) => each === signer || each === refusedBy);
  const involved = [...authorities.keys()].filter(isInvolved);
  // Where most have one root it is the others that are wrong.
  const [first, second] = [...Map.groupBy(sums.keys(), sum)].map(([, of]) => of).sort((a, b) => b.length - a.length);
  const most = first && first.length > (second?.length ?? 0) ? first : [];
  const few = involved.filter((each) => !most.includes(each));
  const explains = found.every(({ signer, refusedBy }) => few.includes(signer) || few.includes(refusedBy));
  const note =
    held.length > 0
      ? ` In ${[...new Set(held.map(({ refusedBy }) => refusedBy))].join(", ")} it is in meshConfig.caCertificates, which only counts with ISTIO_MULTIROOT_MESH=true on istiod and PROXY_CONFIG_XDS_AGENT=true in meshConfig.defaultConfig.proxyMetadata.`
      : "";
  return { list: list.join("; "), note, clusters: explains ? few : involved };
}
