import type { X509Certificate } from "node:crypto";
import { expiry, signedBy } from "./pem.ts";

/** What issues certificates. */
export interface Issuer {
  /** Its own. */
  readonly certificate: X509Certificate;
  /** What goes out beside the certificates that it issues, for peers to build a chain of. */
  readonly chain: readonly X509Certificate[];
}

/** Whether two certificates stand for one authority, by name and key: to who verifies, a root that was renewed is the same. */
export function sameAuthority(one: X509Certificate, other: X509Certificate): boolean {
  return one.raw.equals(other.raw) || (one.subject === other.subject && one.publicKey.equals(other.publicKey));
}

/**
 * The chain from the issuer up to one of the certificates that are trusted, both ends included; `undefined` where none leads
 * there. As Envoy and Go build it: any trusted certificate ends a chain, be it a root or not, and wherever it stands in its
 * bundle.
 * @param now for a chain of which all are valid at that time; absent: of any
 */
export function chainTo(
  trusted: readonly X509Certificate[],
  { certificate, chain }: Issuer,
  now?: Date,
): X509Certificate[] | undefined {
  const isValid = (cert: X509Certificate) => now === undefined || expiry(cert, now) === undefined;
  const anchors = trusted.filter(isValid);
  const links = chain.filter(isValid);
  const climb = (cert: X509Certificate, below: readonly X509Certificate[]): X509Certificate[] | undefined => {
    const itself = anchors.find((anchor) => sameAuthority(anchor, cert));
    if (itself) return [itself];
    const issued = (issuer: X509Certificate) => cert.checkIssued(issuer) && signedBy(cert, issuer);
    const anchor = anchors.find(issued);
    if (anchor) return [cert, anchor];
    for (const next of links) {
      if (below.some((each) => sameAuthority(each, next)) || !issued(next)) continue;
      const path = climb(next, [...below, next]);
      if (path) return [cert, ...path];
    }
    return undefined;
  };
  return isValid(certificate) ? climb(certificate, [certificate]) : undefined;
}
