// The polyfill has to be there before @peculiar/x509 is loaded: its dependency injection needs it.
import "reflect-metadata";
import type { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";

export interface Constraints {
  readonly ca: boolean;
  readonly pathLength: number | undefined;
  readonly signs: boolean;
  readonly eku: readonly string[];
}

/** Each is asked for again and again, by every rule about every cluster that shows it. */
const known = new WeakMap<X509Certificate, Constraints>();

/** What its extensions allow it: to be a CA, how long a chain below it, to sign, for which uses. */
export function constraints(cert: X509Certificate): Constraints {
  const found = known.get(cert) ?? read(cert);
  known.set(cert, found);
  return found;
}

function read(cert: X509Certificate): Constraints {
  const parsed = new x509.X509Certificate(cert.raw);
  const basic = parsed.getExtension(x509.BasicConstraintsExtension);
  const usage = parsed.getExtension(x509.KeyUsagesExtension);
  const extended = parsed.getExtension(x509.ExtendedKeyUsageExtension);
  return {
    ca: basic?.ca ?? false,
    pathLength: basic?.pathLength,
    // No key usage at all means any usage.
    signs: usage === null || (usage.usages & x509.KeyUsageFlags.keyCertSign) !== 0,
    eku: extended?.usages.map(String) ?? [],
  };
}

/** The identifiers of a certificate's own key and of its issuer's, in hexadecimal; `undefined` where it does not have them. */
export function keyIds(cert: X509Certificate): { own: string | undefined; issuer: string | undefined } {
  const parsed = new x509.X509Certificate(cert.raw);
  return {
    own: parsed.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    issuer: parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId,
  };
}
