// The polyfill has to be there before @peculiar/x509 is loaded: its dependency injection needs it.
import "reflect-metadata";
import { createPrivateKey, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { Failure } from "./failure.ts";

/** Istio's own tooling (tools/certs/common.mk): RSA 4096, SHA-256, 3650 days, for roots and intermediates alike. */
const RSA_BITS = 4096;
const DAYS = 3650;
/** Clusters whose clocks are a little behind must not find a new certificate "not yet valid". */
const CLOCK_SKEW_MS = 5 * 60_000;
/** Envoy refuses RSA keys below this. */
const MIN_RSA_BITS = 2048;

const CA_KEY_USAGE =
  x509.KeyUsageFlags.digitalSignature |
  x509.KeyUsageFlags.nonRepudiation |
  x509.KeyUsageFlags.keyEncipherment |
  x509.KeyUsageFlags.keyCertSign;

/** WebCrypto's hash for each curve, by OpenSSL's name of the curve; others cannot sign here. */
const CURVES: Readonly<Record<string, { namedCurve: string; hash: string }>> = {
  prime256v1: { namedCurve: "P-256", hash: "SHA-256" },
  secp384r1: { namedCurve: "P-384", hash: "SHA-384" },
  secp521r1: { namedCurve: "P-521", hash: "SHA-512" },
};

/** A root certificate authority that can issue intermediates. The key stays in memory and cannot be exported. */
export interface RootCa {
  /** PEM, one certificate. */
  readonly certificate: string;
  readonly key: webcrypto.CryptoKey;
  /** What the signature needs beside the key. */
  readonly signature: webcrypto.EcdsaParams;
}

/** The data of the Secret `cacerts`, PEM as plain text, under the names that istiod reads (security/pkg/pki/ca/ca.go). */
export interface CaCerts {
  readonly "ca-cert.pem": string;
  readonly "ca-key.pem": string;
  readonly "root-cert.pem": string;
  readonly "cert-chain.pem": string;
}

export interface RootInfo {
  /** SHA-256 of the certificate's DER, lower-case hexadecimal, as `openssl x509 -fingerprint -sha256` has it. */
  readonly sha256: string;
  /** E.g. `O=Istio, CN=Root CA`. */
  readonly subject: string;
  readonly notAfter: Date;
}

export interface CaCertsInspection {
  /** The first root of the bundle; absent where there is none that can be read. */
  readonly root?: RootInfo;
  /** All roots of the bundle: more than one while a root is being rotated. */
  readonly roots: readonly RootInfo[];
  /** The root that the issuing certificate's chain ends in; absent where it ends in none. */
  readonly anchor?: RootInfo;
  /** The certificate that istiod issues with. */
  readonly issuer?: { readonly subject: string; readonly notAfter: Date };
  /** istiod made it for itself (`USE_CACERTS_FOR_SELF_SIGNED_CA`): a self-signed root under the name `cacerts`. */
  readonly istioGenerated: boolean;
  /** Each in one sentence, without key material. Empty: istiod can issue from it and peers can verify what it issues. */
  readonly problems: readonly string[];
}

/** Makes a self-signed root as Istio's own tooling does: `O=Istio,CN=Root CA`, RSA 4096, 3650 days. */
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
 * Reads the root that a user hands in: one PEM certificate and its key, RSA (PKCS#1, PKCS#8) or EC (SEC1, PKCS#8).
 * Throws a `Failure` that says which of the two is wrong and how; it never holds a part of the key.
 */
export async function loadRoot(certPem: string, keyPem: string, now = new Date()): Promise<RootCa> {
  refuseEscapedBreaks("The root CA certificate (ca-root-cert)", certPem);
  const blocks = certificatesIn(certPem);
  if (blocks.length === 0) throw notPem("The root CA certificate (ca-root-cert)", "CERTIFICATE", certPem);
  if (blocks.length > 1)
    throw new Failure(
      `The root CA certificate (ca-root-cert) holds ${blocks.length} certificates, but exactly one is expected.`,
      "Give the root alone, without the certificates that it issued or that precede it in a chain.",
    );
  const cert = parse(blocks[0]!);
  if (!cert)
    throw new Failure(
      "The root CA certificate (ca-root-cert) is PEM, but what it holds is not an X.509 certificate.",
      "It was probably cut or changed on its way; `openssl x509 -in FILE -noout -text` must print it.",
    );
  checkRoot(cert, now);

  const key = privateKey(keyPem);
  const { algorithm, signature } = signing(key);
  if (!cert.checkPrivateKey(key))
    throw new Failure(
      "The root CA key (ca-root-key) does not belong to the root CA certificate (ca-root-cert).",
      "Give the certificate and the key of one and the same root.",
    );
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  return {
    certificate: `${cert.toString().trim()}\n`,
    key: await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]),
    signature,
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

/** The root of a PEM bundle: its first self-signed certificate, else its last one. Throws a `Failure` if it holds none. */
export function inspectRoot(bundle: string): RootInfo {
  const certs = certificatesIn(bundle).flatMap((block) => parse(block) ?? []);
  const root = certs.find(selfSigned) ?? certs.at(-1);
  if (!root) throw new Failure("The bundle of root certificates holds no certificate that can be read.");
  return info(root);
}

/** Whether two PEM bundles have the same root, as `inspectRoot` sees it. Throws a `Failure` if one holds none. */
export function sameRoot(a: string, b: string): boolean {
  return inspectRoot(a).sha256 === inspectRoot(b).sha256;
}

/**
 * Examines a Secret `cacerts` by the rules that istiod applies at start (pilot/pkg/bootstrap/istio_ca.go and
 * security/pkg/pki/util/keycertbundle.go), and by what its peers need. Never throws: what is wrong is in `problems`.
 * @param data the Secret's `data` as the API gives it: values in base64
 */
export function inspectCaCerts(data: Readonly<Record<string, string>>, now = new Date()): CaCertsInspection {
  const problems: string[] = [];
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  // istiod takes the names of kubernetes.io/tls as soon as there is a tls.crt, whatever else is there.
  const names =
    data["tls.crt"] === undefined
      ? { cert: "ca-cert.pem", key: "ca-key.pem", root: "root-cert.pem", chain: ["cert-chain.pem"] }
      : { cert: "tls.crt", key: "tls.key", root: "ca.crt", chain: ["tls.crt", "ca.crt"] };
  const missing = [...new Set([names.cert, names.key, names.root, ...names.chain])].filter(
    (name) => data[name] === undefined,
  );
  if (missing.length > 0)
    problems.push(`${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing: istiod does not start with it.`);

  const read = (name: string): X509Certificate[] => {
    const blocks = certificatesIn(text(name)).map(parse);
    if (blocks.includes(undefined)) problems.push(`${name} holds something that is not a certificate.`);
    return blocks.filter((cert) => cert !== undefined);
  };
  const files = new Map([...new Set([names.cert, names.root, ...names.chain])].map((name) => [name, read(name)]));
  for (const name of [names.cert, names.root])
    if (data[name] !== undefined && files.get(name)?.length === 0) problems.push(`${name} holds no PEM certificate.`);
  const cert = files.get(names.cert)?.[0];
  const roots = files.get(names.root) ?? [];
  // Its own signing certificate is a root where istiod signed itself; its chain is empty then.
  const chain = names.chain.flatMap((name) => files.get(name) ?? []);
  let anchor: X509Certificate | undefined;

  if (cert && roots.length > 0) {
    const path = pathToRoot(cert, chain, roots);
    anchor = path?.at(-1);
    if (!path) problems.push(`${names.cert} does not chain to a root in ${names.root}.`);
    else problems.push(...path.flatMap((link, below) => linkProblems(link, below, now)));
    if (!same(cert, chain) && !same(cert, roots))
      problems.push(
        `${names.chain.join(", ")} does not hold ${names.cert}: peers cannot verify the workloads' certificates.`,
      );
  } else if (cert) problems.push(...linkProblems(cert, 0, now));

  if (data[names.key] !== undefined) {
    try {
      const key = createPrivateKey(text(names.key));
      if (cert && !cert.checkPrivateKey(key)) problems.push(`${names.key} does not belong to ${names.cert}.`);
    } catch {
      // The library's message may quote what it read, so it is left out.
      problems.push(`${names.key} is not a PEM private key that can be read without a password.`);
    }
  }
  const root = roots.find(selfSigned) ?? roots.at(-1);
  return {
    ...(root ? { root: info(root) } : {}),
    roots: roots.map(info),
    ...(anchor ? { anchor: info(anchor) } : {}),
    ...(cert ? { issuer: { subject: subjectOf(cert), notAfter: cert.validToDate } } : {}),
    istioGenerated: data["istio-generated"] !== undefined,
    problems,
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
function validity(now: Date, issuer?: x509.X509Certificate): { notBefore: Date; notAfter: Date } {
  const second = Math.floor(now.getTime() / 1000) * 1000;
  return {
    notBefore: new Date(Math.max(second - CLOCK_SKEW_MS, issuer?.notBefore.getTime() ?? 0)),
    notAfter: new Date(Math.min(second + DAYS * 86_400_000, issuer?.notAfter.getTime() ?? Number.POSITIVE_INFINITY)),
  };
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem").trim()}\n`;
}

function certificatesIn(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

function parse(block: string): X509Certificate | undefined {
  try {
    return new X509Certificate(block);
  } catch {
    return undefined;
  }
}

function info(cert: X509Certificate): RootInfo {
  return {
    sha256: cert.fingerprint256.replaceAll(":", "").toLowerCase(),
    subject: subjectOf(cert),
    notAfter: cert.validToDate,
  };
}

/** A certificate may have no subject at all; Node then gives `undefined`, whatever its types say. */
function subjectOf(cert: X509Certificate): string {
  return ((cert.subject as string | undefined) ?? "").split("\n").join(", ");
}

function selfSigned(cert: X509Certificate): boolean {
  return cert.subject === cert.issuer && signedBy(cert, cert);
}

function signedBy(cert: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return cert.verify(issuer.publicKey);
  } catch {
    // Key and signature of different kinds.
    return false;
  }
}

function same(cert: X509Certificate, others: readonly X509Certificate[]): boolean {
  return others.some((other) => other.raw.equals(cert.raw));
}

function constraints(cert: X509Certificate): {
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

/** From `cert` up to one of the roots, both ends included; `undefined` where no path leads there. */
function pathToRoot(
  cert: X509Certificate,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  seen: readonly X509Certificate[] = [],
): X509Certificate[] | undefined {
  if (same(cert, roots)) return [cert];
  const issued = (issuer: X509Certificate) => cert.checkIssued(issuer) && signedBy(cert, issuer);
  const root = roots.find(issued);
  if (root) return [cert, root];
  const visited = [...seen, cert];
  for (const next of chain) {
    if (same(next, visited) || !issued(next)) continue;
    const path = pathToRoot(next, chain, roots, visited);
    if (path) return [cert, ...path];
  }
  return undefined;
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";

/** What is wrong with one certificate of a chain. @param below how many intermediates follow it downwards */
function linkProblems(cert: X509Certificate, below: number, now: Date): string[] {
  const name = `The certificate "${subjectOf(cert)}"`;
  const { ca, pathLength, signs, eku } = constraints(cert);
  const problems: string[] = [];
  const validity = expiry(cert, now);
  if (validity) problems.push(`${name} ${validity}.`);
  if (!ca || !signs) problems.push(`${name} may not issue certificates (basicConstraints CA, keyUsage keyCertSign).`);
  else if (pathLength !== undefined && pathLength < below)
    problems.push(`${name} allows ${pathLength} intermediates below it (pathlen), but there are ${below}.`);
  // Go verifies the chain for server authentication when nothing else is asked for, and so istiod does.
  if (eku.length > 0 && !eku.includes(SERVER_AUTH) && !eku.includes(ANY_EXTENDED_KEY_USAGE))
    problems.push(`${name} is limited to other uses than server authentication (extendedKeyUsage).`);
  return problems;
}

function expiry(cert: X509Certificate, now: Date): string | undefined {
  if (cert.validToDate < now) return `expired on ${cert.validToDate.toISOString()}`;
  if (cert.validFromDate > now) return `is not valid before ${cert.validFromDate.toISOString()}`;
  return undefined;
}

function checkRoot(cert: X509Certificate, now: Date): void {
  const name = "The root CA certificate (ca-root-cert)";
  const { ca, pathLength, signs } = constraints(cert);
  if (!ca)
    throw new Failure(
      `${name} is not that of a certificate authority: its basicConstraints do not say CA:TRUE.`,
      "Give the certificate of a root CA, not that of a server or client.",
    );
  if (!signs)
    throw new Failure(
      `${name} may not sign certificates: its keyUsage lacks keyCertSign.`,
      "Give a root CA whose keyUsage holds keyCertSign.",
    );
  if (pathLength === 0)
    throw new Failure(
      `${name} may not issue intermediates: its basicConstraints say pathlen:0.`,
      "Every cluster gets an intermediate of its own, so the root needs pathlen:1 or more, or no limit.",
    );
  if (!selfSigned(cert))
    throw new Failure(
      `${name} is not a root: it was issued by "${((cert.issuer as string | undefined) ?? "").split("\n").join(", ")}".`,
      "Give the self-signed root, or make every cluster's `cacerts` with your own tooling and use `ca: existing`.",
    );
  const validity = expiry(cert, now);
  if (validity)
    throw new Failure(`${name} ${validity}.`, "Give a root CA that is valid now; check the runner's clock.");
}

function privateKey(keyPem: string): KeyObject {
  const name = "The root CA key (ca-root-key)";
  refuseEscapedBreaks(name, keyPem);
  const kinds = [...keyPem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((match) => match[1]!);
  const encrypted = new Failure(
    `${name} is encrypted with a password.`,
    "Decrypt it, e.g. by `openssl pkey -in FILE`, and keep the result in a GitHub secret.",
  );
  if (kinds.includes("ENCRYPTED PRIVATE KEY") || /Proc-Type:\s*4,\s*ENCRYPTED/.test(keyPem)) throw encrypted;
  // `openssl ecparam -genkey` writes a block of parameters before the key; it is passed over.
  const keys = keyPem.match(/-----BEGIN (RSA |EC )?PRIVATE KEY-----[^-]*-----END (RSA |EC )?PRIVATE KEY-----/g) ?? [];
  if (keys.length === 0) throw notPem(name, "PRIVATE KEY", keyPem);
  if (keys.length > 1)
    throw new Failure(
      `${name} holds ${keys.length} private keys, but exactly one is expected.`,
      "Give the root's key alone.",
    );
  try {
    return createPrivateKey(keys[0]!);
  } catch {
    // OpenSSL's error is left out, cause and all: nothing that was read from a key may get into a message.
    throw new Failure(
      `${name} is PEM, but what it holds is not a private key.`,
      "It was probably cut or changed on its way; `openssl pkey -in FILE -noout` must accept it.",
    );
  }
}

function signing(key: KeyObject): {
  algorithm: webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams;
  signature: webcrypto.EcdsaParams;
} {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa") {
    if ((modulusLength ?? 0) < MIN_RSA_BITS)
      throw new Failure(
        `The root CA key (ca-root-key) has ${modulusLength} bits, but proxies accept RSA keys from ${MIN_RSA_BITS} bits only.`,
        "Give a root with a longer key, or one with an EC key.",
      );
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return { algorithm, signature: algorithm };
  }
  const curve = key.asymmetricKeyType === "ec" ? CURVES[namedCurve ?? ""] : undefined;
  if (!curve)
    throw new Failure(
      `The root CA key (ca-root-key) is of a kind that is not supported: ${[key.asymmetricKeyType, namedCurve].filter(Boolean).join(" ")}.`,
      "Give a root with an RSA key, or an EC key on P-256, P-384 or P-521.",
    );
  return {
    algorithm: { name: "ECDSA", namedCurve: curve.namedCurve },
    signature: { name: "ECDSA", hash: curve.hash },
  };
}

/** A secret pasted out of JSON or a shell variable keeps its line breaks as two characters each. */
function refuseEscapedBreaks(name: string, text: string): void {
  if (/-----BEGIN [A-Z0-9 ]+-----\\n/.test(text))
    throw new Failure(
      `${name} is not PEM: its line breaks are written as the two characters \\n.`,
      "Store it in the secret with real line breaks.",
    );
}

/** What was found instead of a block of the wanted kind: the kinds of the blocks only, never what they hold. */
function notPem(name: string, wanted: string, text: string): Failure {
  const kinds = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((match) => match[1]!);
  if (text.trim() === "")
    return new Failure(`${name} is empty.`, "A secret is not available to a pull request from a fork.");
  if (kinds.length > 0 && !kinds.some((kind) => kind.endsWith(wanted)))
    return new Failure(
      `${name} holds ${kinds.join(", ")} where ${wanted} is expected.`,
      "Were the two inputs mixed up?",
    );
  if (kinds.length > 0)
    return new Failure(
      `${name} is not complete PEM: no whole block BEGIN … END ${wanted} is in it.`,
      "It was probably cut on its way.",
    );
  return new Failure(
    `${name} is not PEM: there is no line -----BEGIN ${wanted}----- in it.`,
    "Give the content of the PEM file, not its path, and not in base64.",
  );
}
