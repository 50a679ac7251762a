// Before @peculiar/x509, as in constraints.ts.
import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const DAY = 86_400_000;
/** When the certificates are in the middle of their terms. */
export const now = new Date("2026-11-20T12:00:00Z");
/** @param days after that */
export const at = (days: number) => new Date(now.getTime() + days * DAY);

export interface Authority {
  pem: string;
  key: KeyObject;
  keys: webcrypto.CryptoKeyPair;
  crypto: webcrypto.CryptoKey;
  cert: x509.X509Certificate;
}

export interface Wanted {
  name?: string;
  issuer?: Authority;
  /** Whose key it is for; default: one of its own. */
  keysOf?: Authority;
  ca?: boolean | undefined;
  pathLength?: number;
  usages?: number;
  extendedUsages?: string[];
  notBefore?: Date;
  notAfter?: Date;
}

async function newKeys(algorithm: webcrypto.EcKeyGenParams): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** Any certificate, good or bad, with a P-256 key. */
export async function certificate(wanted: Wanted = {}): Promise<Authority> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = wanted.keysOf?.keys ?? (await newKeys(algorithm));
  const name = `CN=${wanted.name ?? "Test Root"}`;
  const extensions: x509.Extension[] = [];
  if (!("ca" in wanted) || wanted.ca !== undefined)
    extensions.push(new x509.BasicConstraintsExtension(wanted.ca ?? true, wanted.pathLength, true));
  if (wanted.usages !== undefined) extensions.push(new x509.KeyUsagesExtension(wanted.usages, true));
  if (wanted.extendedUsages) extensions.push(new x509.ExtendedKeyUsageExtension(wanted.extendedUsages));
  const cert = await x509.X509CertificateGenerator.create({
    subject: name,
    issuer: wanted.issuer?.cert.subjectName ?? name,
    notBefore: wanted.notBefore ?? at(-1),
    notAfter: wanted.notAfter ?? at(365),
    publicKey: keys.publicKey,
    signingKey: wanted.issuer?.crypto ?? keys.privateKey,
    signingAlgorithm: algorithm,
    extensions,
  });
  const pem = `${cert.toString("pem")}\n`;
  return { pem, key: KeyObject.from(keys.privateKey), keys, crypto: keys.privateKey, cert };
}
