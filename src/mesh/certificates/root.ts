import { createPrivateKey, type KeyObject, webcrypto, type X509Certificate } from "node:crypto";
import { Failure } from "../failure.ts";
import { certificatesIn, expiry, parse, selfSigned } from "./pem.ts";

/** Envoy refuses RSA keys below this. */
const MIN_RSA_BITS = 2048;

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
  await checkRoot(cert, now);

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

async function checkRoot(cert: X509Certificate, now: Date): Promise<void> {
  const name = "The root CA certificate (ca-root-cert)";
  // Few runs are given a root, and the library that reads extensions is large.
  const { constraints } = await import("./constraints.ts");
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
