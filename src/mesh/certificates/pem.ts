import { X509Certificate } from "node:crypto";
import { Failure } from "../failure.ts";

export interface RootInfo {
  /** SHA-256 of the certificate's DER, lower-case hexadecimal, as `openssl x509 -fingerprint -sha256` has it. */
  readonly sha256: string;
  /** E.g. `O=Istio, CN=Root CA`. */
  readonly subject: string;
  readonly notAfter: Date;
}

/** The root of a PEM bundle: its first self-signed certificate, else its last one. Throws a `Failure` if it holds none. */
export function inspectRoot(bundle: string): RootInfo {
  const certs = readableIn(bundle);
  const root = certs.find(selfSigned) ?? certs.at(-1);
  if (!root) throw new Failure("The bundle of root certificates holds no certificate that can be read.");
  return info(root);
}

/** What a certificate is known by. */
export function info(cert: X509Certificate): RootInfo {
  return {
    sha256: cert.fingerprint256.replaceAll(":", "").toLowerCase(),
    subject: subjectOf(cert),
    notAfter: cert.validToDate,
  };
}

/** A certificate may have no subject at all; Node then gives `undefined`, whatever its types say. */
export function subjectOf(cert: X509Certificate): string {
  return ((cert.subject as string | undefined) ?? "").split("\n").join(", ");
}

/** The certificates of a PEM bundle, each with its armour. */
export function certificatesIn(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

/** Those of them that can be read. */
export function readableIn(bundle: string): X509Certificate[] {
  return certificatesIn(bundle).flatMap((block) => parse(block) ?? []);
}

/** By their PEM: every cluster of a mesh has the same root, and shows it in several places. */
const known = new Map<string, X509Certificate | undefined>();

/** The certificate, or `undefined` where it cannot be read. */
export function parse(block: string): X509Certificate | undefined {
  if (!known.has(block)) known.set(block, read(block));
  return known.get(block);
}

function read(block: string): X509Certificate | undefined {
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

/** Why it is not valid at that time, or `undefined` where it is. */
export function expiry(cert: X509Certificate, now: Date): string | undefined {
  if (cert.validToDate < now) return `expired on ${cert.validToDate.toISOString()}`;
  if (cert.validFromDate > now) return `is not valid before ${cert.validFromDate.toISOString()}`;
  return undefined;
}
