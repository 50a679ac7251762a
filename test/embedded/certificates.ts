// The polyfill has to be there before @peculiar/x509 is loaded: its dependency injection needs it.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate and its private key, PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** PEM of the authority that signs the others. */
  readonly ca: string;
  readonly server: Pair;
  /** Client certificate of `kubernetes-admin`, group `system:masters`. */
  readonly admin: Pair;
}

let made: Promise<Certificates> | undefined;

/**
 * One authority per process: keys take longer to make than all the rest of a server's start.
 * @param address of this machine, beside loopback's
 */
export function certificates(address: string | undefined): Promise<Certificates> {
  made ??= make(address);
  return made;
}

async function make(address: string | undefined): Promise<Certificates> {
  x509.cryptoProvider.set(webcrypto as never);
  const authority = await keys();
  const issuer: x509.JsonName = [{ CN: ["kubernetes"] }];
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: issuer,
    serialNumber: "01",
    ...validity(),
    keys: authority,
    signingAlgorithm: ECDSA,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
    ],
  });
  const issue = async (serialNumber: string, subject: x509.JsonName, extensions: x509.Extension[]): Promise<Pair> => {
    const { publicKey, privateKey } = await keys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber,
      subject,
      issuer,
      ...validity(),
      publicKey,
      signingKey: authority.privateKey,
      signingAlgorithm: ECDSA,
      extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true), ...extensions],
    });
    const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", privateKey);
    return { cert: certificate.toString("pem"), key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
  };
  const [server, admin] = await Promise.all([
    issue(
      "02",
      [{ CN: ["kube-apiserver"] }],
      [
        new x509.SubjectAlternativeNameExtension([
          ...["127.0.0.1", ...(address ? [address] : [])].map((value) => ({ type: "ip" as const, value })),
          { type: "dns", value: "localhost" },
        ]),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ],
    ),
    issue(
      "03",
      [{ O: ["system:masters"] }, { CN: ["kubernetes-admin"] }],
      [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    ),
  ]);
  return { ca: ca.toString("pem"), server, admin };
}

async function keys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ECDSA, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** From a little ago, for clocks that differ, for a year. */
function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 300_000), notAfter: new Date(now + 365 * 86_400_000) };
}
