// The polyfill has to be there before @peculiar/x509 is loaded: its dependency injection needs it.
import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** The certificates of a PEM bundle, each with its armour. */
export function certificatesIn(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

/** The certificate, or `undefined` where it cannot be read. */
export function parse(block: string): X509Certificate | undefined {
  try {
    return new X509Certificate(block);
  } catch {
    return undefined;
  }
}

/** Whether it is a root: its own issuer, by name and by signature. */
export function selfSigned(cert: X509Certificate): boolean {
  return cert.subject === cert.issuer && signedBy(cert, cert);
}

/** Whether the signature is by the issuer's key; names are not looked at. */
export function signedBy(cert: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return cert.verify(issuer.publicKey);
  } catch {
    // Key and signature of different kinds.
    return false;
  }
}

/** What its extensions allow it: to be a CA, how long a chain below it, to sign, for which uses. */
export function constraints(cert: X509Certificate): {
  ca: boolean;
  pathLength: number | undefined;
  signs: boolean;
  eku: string[];
} {
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

/** Why it is not valid at that time, or `undefined` where it is. */
export function expiry(cert: X509Certificate, now: Date): string | undefined {
  if (cert.validToDate < now) return `expired on ${cert.validToDate.toISOString()}`;
  if (cert.validFromDate > now) return `is not valid before ${cert.validFromDate.toISOString()}`;
  return undefined;
}
