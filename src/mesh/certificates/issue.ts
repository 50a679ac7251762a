// The polyfill has to be there before @peculiar/x509 is loaded: its dependency injection needs it.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { RSA_BITS } from "./key-size.ts";
import type { RootCa } from "./root.ts";

const DAYS = 3650;
/** Clusters whose clocks are a little behind must not find a new certificate "not yet valid". */
const CLOCK_SKEW_MS = 5 * 60_000;

const CA_KEY_USAGE =
  x509.KeyUsageFlags.digitalSignature |
  x509.KeyUsageFlags.nonRepudiation |
  x509.KeyUsageFlags.keyEncipherment |
  x509.KeyUsageFlags.keyCertSign;

/** The data of the Secret `cacerts`, PEM as plain text, under the names that istiod reads (security/pkg/pki/ca/ca.go). */
export interface CaCerts {
  readonly "ca-cert.pem": string;
  readonly "ca-key.pem": string;
  readonly "root-cert.pem": string;
  readonly "cert-chain.pem": string;
}

/** Makes a self-signed root as Istio's own tooling does, but for the length of the key: `O=Istio,CN=Root CA`, 3650 days. */
export async function generateRoot(now = new Date()): Promise<RootCa> {
  const keys = (await webcrypto.subtle.generateKey(rsa(), false, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const subject: x509.JsonName = [{ O: ["Istio"] }, { CN: ["Root CA"] }];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: subject,
    ...validity(now),
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: rsa(),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(CA_KEY_USAGE, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: pem(certificate),
    key: keys.privateKey,
    signature: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  };
}

/**
 * Issues a cluster's intermediate and returns the data of its Secret `cacerts`: subject, extensions and term of Istio's
 * tools/certs/common.mk, the term cut to the root's own. The key is generated on the thread pool, so that the clusters'
 * calls run side by side.
 */
export async function issueIntermediate(
  rootCa: RootCa | Promise<RootCa>,
  clusterName: string,
  namespace: string,
  now = new Date(),
): Promise<CaCerts> {
  const [root, keys] = await Promise.all([
    rootCa,
    webcrypto.subtle.generateKey(rsa(), true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>,
  ]);
  const issuer = new x509.X509Certificate(root.certificate);
  const rootKeyId = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: ["Istio"] }, { CN: ["Intermediate CA"] }, { L: [clusterName] }],
    // The name as the root spells it, byte for byte: chains are built by comparing encodings.
    issuer: issuer.subjectName,
    ...validity(now, issuer),
    publicKey: keys.publicKey,
    signingKey: root.key,
    signingAlgorithm: root.signature,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(CA_KEY_USAGE, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: `istiod.${namespace}.svc` }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      // A root's own key identifier need not be the usual hash of its key, so it is taken over as it stands.
      rootKeyId
        ? new x509.AuthorityKeyIdentifierExtension(rootKeyId)
        : await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  const intermediate = pem(certificate);
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    "ca-cert.pem": intermediate,
    // PKCS#8: what `openssl genrsa` writes since OpenSSL 3, and istiod reads (security/pkg/pki/util/crypto.go).
    "ca-key.pem": `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
    "root-cert.pem": root.certificate,
    "cert-chain.pem": intermediate + root.certificate,
  };
}

function rsa(): webcrypto.RsaHashedKeyGenParams {
  return {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: RSA_BITS,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
}

/** 127 random bits, positive and without a leading zero byte, as RFC 5280 (4.1.2.2) wants a serial number. */
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

/** The term of a new certificate, within its issuer's own; whole seconds, as certificates have them. */
export function validity(now: Date, issuer?: x509.X509Certificate): { notBefore: Date; notAfter: Date } {
  const second = Math.floor(now.getTime() / 1000) * 1000;
  return {
    notBefore: new Date(Math.max(second - CLOCK_SKEW_MS, issuer?.notBefore.getTime() ?? 0)),
    notAfter: new Date(Math.min(second + DAYS * 86_400_000, issuer?.notAfter.getTime() ?? Number.POSITIVE_INFINITY)),
  };
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}
