// The CA of an istiod, and the certificates that proxies have of it.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { ExecResponse, Json, Kube } from "../kube.ts";
import { decode, isReady, on } from "./support.ts";

/** What an istiod signs by and tells proxies to trust, PEM. */
export interface Ca {
  readonly roots: string;
  readonly cert: string;
  readonly key: string;
  readonly chain: string;
  /** From `cacerts`, and not of its own making. */
  readonly plugged: boolean;
}

/** The CA in a Secret. */
export function caIn({ data = {} }: Json, plugged: boolean): Ca {
  const file = (name: string) => decode(data[name]) ?? "";
  if (data["tls.crt"])
    return { roots: file("ca.crt"), cert: file("tls.crt"), key: file("tls.key"), chain: file("tls.crt"), plugged };
  const cert = file("ca-cert.pem");
  const roots = file("root-cert.pem") || cert;
  return { roots, cert, key: file("ca-key.pem"), chain: plugged ? file("cert-chain.pem") : "", plugged };
}

const DAY = 86_400_000;

/** Has the proxies of a cluster renew their certificates; may be called at any time. */
export const renew = new Map<Kube, () => void>();

/**
 * Proxies take a certificate, and the roots with it, when they come up, and when they renew it.
 * @param current the CA of the istiod that they ask
 */
export function proxyCertificates(
  kube: Kube,
  current: () => Promise<Ca | undefined>,
): (pod: Json) => Promise<ExecResponse> {
  const held = new Map<string, { ca: Promise<Ca | undefined>; issued: number }>();
  on(kube, "v1", "Pod", ({ type, object }) => {
    const { uid } = object.metadata;
    if (type === "DELETED") held.delete(uid);
    else if (isReady(object) && !held.has(uid)) held.set(uid, { ca: current(), issued: Date.now() });
  });
  renew.set(kube, () => {
    for (const uid of held.keys()) held.set(uid, { ca: current(), issued: Date.now() });
  });
  return async ({ metadata }) => {
    const { ca, issued = 0 } = held.get(metadata.uid) ?? {};
    const has = await ca;
    if (!has) return { exitCode: 1, stdout: "", stderr: "no connection\n" };
    const leaf = await leafOf(has, issued);
    const bytes = (text: string) => ({ inline_bytes: Buffer.from(text).toString("base64") });
    const secrets = [
      { name: "default", secret: { tls_certificate: { certificate_chain: bytes(leaf + has.chain + has.roots) } } },
      { name: "ROOTCA", secret: { validation_context: { trusted_ca: bytes(has.roots) } } },
    ];
    const dump = { configs: [{ dynamic_active_secrets: secrets }] };
    return { exitCode: 0, stdout: `warn\tOS CA Cert could not be found\n${JSON.stringify(dump, null, 1)}`, stderr: "" };
  };
}

async function leafOf({ cert, key }: Ca, issued: number): Promise<string> {
  x509.cryptoProvider.set(webcrypto as never);
  const issuer = new x509.X509Certificate(cert);
  const isRsa = issuer.publicKey.algorithm.name.startsWith("RSA");
  const algorithm = isRsa
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const pkcs8 = x509.PemConverter.decodeFirst(key);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  const ecdsa = { name: "ECDSA", namedCurve: "P-256" };
  const keys = (await webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const leaf = await x509.X509CertificateGenerator.create({
    subject: "",
    issuer: issuer.subjectName,
    notBefore: new Date(issued - 120_000),
    notAfter: new Date(issued + DAY),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
  });
  return `${leaf.toString("pem")}\n`;
}
