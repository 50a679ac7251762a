// Before @peculiar/x509, as in constraints.ts.
import "reflect-metadata";
import { execFileSync, spawnSync } from "node:child_process";
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { inspectCaCerts } from "../../src/mesh/certificates/inspect.ts";
import { type CaCerts, generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { info, inspectRoot } from "../../src/mesh/certificates/pem.ts";
import { loadRoot, type RootCa } from "../../src/mesh/certificates/root.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { keySize } from "../key-size.ts";
import { leftOut } from "../left-out.ts";
import { type Authority, at, certificate, now, type Wanted } from "./certificate.ts";

const pkcs8 = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }) as string;
const secret = (files: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString("base64")]));

let generated: RootCa;
let issued: CaCerts;
let short: Authority;
let fromShort: CaCerts;

beforeAll(async () => {
  keySize.bits = (await vi.importActual<{ RSA_BITS: number }>("../../src/mesh/certificates/key-size.ts")).RSA_BITS;
  short = await certificate({ name: "Short", notAfter: at(100), notBefore: at(-0.001) });
  const [root, second] = await Promise.all([
    generateRoot(now),
    loadRoot(short.pem, pkcs8(short.key), now).then((ca) => issueIntermediate(ca, "west", "mesh", now)),
  ]);
  generated = root;
  fromShort = second;
  issued = await issueIntermediate(generated, "east", "istio-system", now);
}, 60_000);

describe("a generated root", () => {
  test("is what Istio's own tooling makes", () => {
    const cert = new X509Certificate(generated.certificate);
    expect(cert.subject).toBe("O=Istio\nCN=Root CA");
    expect(cert.verify(cert.publicKey)).toBe(true);
    expect(cert.ca).toBe(true);
    expect(cert.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
    expect(cert.validToDate).toEqual(at(3650));
    expect(cert.validFromDate).toEqual(new Date(now.getTime() - 300_000));
    const parsed = new x509.X509Certificate(generated.certificate);
    expect(parsed.signatureAlgorithm).toMatchObject({ name: "RSASSA-PKCS1-v1_5", hash: { name: "SHA-256" } });
    expect(parsed.getExtension(x509.BasicConstraintsExtension)).toMatchObject({ ca: true, critical: true });
    expect(parsed.getExtension(x509.BasicConstraintsExtension)?.pathLength).toBeUndefined();
  });

  test("keeps its key to itself", async () => {
    expect(generated.key.extractable).toBe(false);
    await expect(webcrypto.subtle.exportKey("pkcs8", generated.key)).rejects.toThrow();
    expect(JSON.stringify(generated)).not.toContain("PRIVATE");
  });
});

describe("an issued intermediate", () => {
  test("is what Istio's own tooling makes, and chains to the root", () => {
    const root = new X509Certificate(generated.certificate);
    const cert = new X509Certificate(issued["ca-cert.pem"]);
    expect(cert.checkIssued(root)).toBe(true);
    expect(cert.verify(root.publicKey)).toBe(true);
    expect(cert.subject).toBe("O=Istio\nCN=Intermediate CA\nL=east");
    expect(cert.subjectAltName).toBe("DNS:istiod.istio-system.svc");
    expect(cert.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
    expect(cert.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    const parsed = new x509.X509Certificate(issued["ca-cert.pem"]);
    expect(parsed.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
      ca: true,
      pathLength: 0,
      critical: true,
    });
    expect(parsed.getExtension(x509.KeyUsagesExtension)).toMatchObject({
      critical: true,
      usages:
        x509.KeyUsageFlags.digitalSignature |
        x509.KeyUsageFlags.nonRepudiation |
        x509.KeyUsageFlags.keyEncipherment |
        x509.KeyUsageFlags.keyCertSign,
    });
    const rootKeyId = new x509.X509Certificate(generated.certificate).getExtension(
      x509.SubjectKeyIdentifierExtension,
    )?.keyId;
    expect(rootKeyId).toMatch(/^[0-9a-f]{40}$/);
    expect(parsed.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(rootKeyId);
    expect(parsed.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId).not.toBe(rootKeyId);
  });

  test("comes with its key, the root, and the chain of both", () => {
    const key = createPrivateKey(issued["ca-key.pem"]);
    expect(new X509Certificate(issued["ca-cert.pem"]).checkPrivateKey(key)).toBe(true);
    expect(issued["ca-key.pem"]).toMatch(
      /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PRIVATE KEY-----\n$/,
    );
    expect(issued["root-cert.pem"]).toBe(generated.certificate);
    expect(issued["cert-chain.pem"]).toBe(issued["ca-cert.pem"] + generated.certificate);
  });

  test("takes its namespace and the root's own term and kind of key", () => {
    const root = new X509Certificate(short.pem);
    const cert = new X509Certificate(fromShort["ca-cert.pem"]);
    expect(cert.validToDate).toEqual(root.validToDate);
    expect(cert.validFromDate).toEqual(root.validFromDate);
    expect(cert.subjectAltName).toBe("DNS:istiod.mesh.svc");
    expect(cert.verify(root.publicKey)).toBe(true);
    expect(new x509.X509Certificate(cert.raw).signatureAlgorithm).toMatchObject({
      name: "ECDSA",
      hash: { name: "SHA-256" },
    });
  });

  const openssl = spawnSync("openssl", ["version"]).status === 0;
  const without = leftOut("the check by openssl, which is not on the PATH", !openssl);
  test.skipIf(without)("satisfies openssl", () => {
    const dir = mkdtempSync(join(tmpdir(), "certificates-"));
    try {
      for (const [name, certs] of Object.entries({ rsa: issued, ec: fromShort })) {
        const at = (file: keyof CaCerts) => join(dir, `${name}-${file}`);
        for (const [file, text] of Object.entries(certs)) writeFileSync(at(file as keyof CaCerts), text);
        const time = String(now.getTime() / 1000);
        const args = ["verify", "-x509_strict", "-attime", time, "-CAfile", at("root-cert.pem"), at("ca-cert.pem")];
        // -x509_strict wants a subject key identifier in every CA, and the EC root of this test has none.
        const out = execFileSync("openssl", name === "ec" ? args.filter((arg) => arg !== "-x509_strict") : args, {
          encoding: "utf8",
        });
        expect(out).toContain(": OK");
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("reading a root", () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });

  test.each([
    ["EC, PKCS#8", (key: KeyObject) => pkcs8(key)],
    ["EC, SEC1", (key: KeyObject) => key.export({ type: "sec1", format: "pem" }) as string],
    [
      "EC after its parameters",
      (key: KeyObject) =>
        `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${key.export({ type: "sec1", format: "pem" })}`,
    ],
    ["line breaks of Windows", (key: KeyObject) => pkcs8(key).replaceAll("\n", "\r\n")],
    ["text around it", (key: KeyObject) => `Bag Attributes\n    friendlyName: root\n\n${pkcs8(key)}\n`],
  ])("takes a key as %s", async (_, encode) => {
    const root = await certificate();
    const loaded = await loadRoot(
      `subject=CN = Test Root\n${root.pem.replaceAll("\n", "\r\n")}`,
      encode(root.key),
      now,
    );
    expect(inspectRoot(loaded.certificate)).toEqual(inspectRoot(root.pem));
    expect(loaded.key.extractable).toBe(false);
  });

  test.each(["pkcs1", "pkcs8"] as const)("takes an RSA key as %s", async (type) => {
    const subtle = webcrypto.subtle;
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    const der = (key: KeyObject, kind: "pkcs8" | "spki") =>
      key.export({ type: kind, format: "der" } as never) as unknown as Buffer;
    const cert = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=Big",
      notBefore: at(-1),
      notAfter: at(10),
      keys: {
        privateKey: await subtle.importKey("pkcs8", der(rsa.privateKey, "pkcs8"), algorithm, false, ["sign"]),
        publicKey: await subtle.importKey("spki", der(rsa.publicKey, "spki"), algorithm, true, ["verify"]),
      },
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 1, true)],
    });
    const loaded = await loadRoot(cert.toString("pem"), rsa.privateKey.export({ type, format: "pem" }) as string, now);
    expect(loaded.key.algorithm).toMatchObject({ name: "RSASSA-PKCS1-v1_5" });
  });

  const encrypted = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  }).privateKey;
  const legacy = rsa.privateKey.export({
    type: "pkcs1",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  }) as string;

  interface Bad {
    root?: Wanted;
    cert?: (pem: string) => string | Promise<string>;
    key?: (pem: string) => string;
    says: RegExp;
  }
  test.each<[string, Bad]>([
    ["an empty certificate", { cert: () => " \n", says: /certificate \(ca-root-cert\) is empty/ }],
    ["a path instead of a certificate", { cert: () => "/etc/root.pem", says: /no line -----BEGIN CERTIFICATE-----/ }],
    ["a cut certificate", { cert: (pem) => pem.slice(0, 200), says: /not complete PEM/ }],
    ["a certificate with a hole", { cert: (pem) => pem.replace(/\n.{64}\n/, "\n"), says: /not an X.509 certificate/ }],
    [
      "line breaks written as two characters",
      { cert: (pem) => pem.replaceAll("\n", "\\n"), says: /ca-root-cert.*two characters/ },
    ],
    [
      "a key in the certificate's place",
      { cert: () => pkcs8(rsa.privateKey), says: /ca-root-cert\) holds PRIVATE KEY where CERTIFICATE/ },
    ],
    ["two certificates", { cert: async (pem) => pem + (await certificate()).pem, says: /holds 2 certificates/ }],
    ["a server's certificate", { root: { ca: false }, says: /basicConstraints do not say CA:TRUE/ }],
    ["no basicConstraints", { root: { ca: undefined }, says: /basicConstraints do not say CA:TRUE/ }],
    ["a CA that may not sign", { root: { usages: x509.KeyUsageFlags.cRLSign }, says: /lacks keyCertSign/ }],
    ["pathlen 0", { root: { pathLength: 0 }, says: /pathlen:0/ }],
    ["an expired one", { root: { notBefore: at(-9), notAfter: at(-1) }, says: /expired on 2026-11-19T12:00:00/ }],
    [
      "one of the future",
      { root: { notBefore: at(1), notAfter: at(2) }, says: /not valid before 2026-11-21T12:00:00/ },
    ],
    ["an empty key", { key: () => "", says: /key \(ca-root-key\) is empty/ }],
    ["a key that is not PEM", { key: () => "aGVsbG8=", says: /ca-root-key.*no line -----BEGIN PRIVATE KEY-----/ }],
    [
      "a key with two-character line breaks",
      { key: (pem) => pem.replaceAll("\n", "\\n"), says: /ca-root-key.*two characters/ },
    ],
    [
      "a certificate in the key's place",
      { key: () => short.pem, says: /ca-root-key\) holds CERTIFICATE where PRIVATE KEY/ },
    ],
    ["two keys", { key: (pem) => pem + pem, says: /holds 2 private keys/ }],
    ["a damaged key", { key: (pem) => pem.replace(/\n.{20}/, "\n"), says: /not a private key/ }],
    ["an encrypted key", { key: () => encrypted, says: /encrypted with a password/ }],
    ["an encrypted key of the old form", { key: () => legacy, says: /encrypted with a password/ }],
    ["another root's key", { key: () => pkcs8(rsa.privateKey), says: /does not belong to/ }],
    [
      "a short RSA key",
      { key: () => pkcs8(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey), says: /1024 bits/ },
    ],
    [
      "a key of another kind",
      { key: () => pkcs8(generateKeyPairSync("ed25519").privateKey), says: /not supported: ed25519/ },
    ],
    [
      "another curve",
      { key: () => pkcs8(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey), says: /ec secp256k1/ },
    ],
  ])("refuses %s", async (_, { root, cert, key, says }) => {
    const given = await certificate(root);
    const certPem = (await cert?.(given.pem)) ?? given.pem;
    const keyPem = key?.(pkcs8(given.key)) ?? pkcs8(given.key);
    const failure = await loadRoot(certPem, keyPem, now).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Failure);
    const { message, hint, cause } = failure as Failure;
    expect(message).toMatch(says);
    expect(hint).toBeTruthy();
    expect(cause).toBeUndefined();
    // Nothing of a key's body, however long the message.
    for (const line of keyPem.split(/\n|\\n/).filter((line) => line.length >= 8 && !line.startsWith("-----")))
      expect(`${message} ${hint}`).not.toContain(line);
  });

  test("refuses an intermediate", async () => {
    const intermediate = await certificate({ name: "Sub", issuer: await certificate({ name: "Corp" }) });
    await expect(loadRoot(intermediate.pem, pkcs8(intermediate.key), now)).rejects.toThrow('issued by "CN=Corp"');
  });
});

describe("the root of a bundle", () => {
  test("is told by the sum of its DER", () => {
    const { sha256, subject, notAfter } = inspectRoot(generated.certificate);
    expect(sha256).toBe(createHash("sha256").update(new X509Certificate(generated.certificate).raw).digest("hex"));
    expect(subject).toBe("O=Istio, CN=Root CA");
    expect(notAfter).toEqual(at(3650));
  });

  test("is the first that signed itself, else the last", async () => {
    const corp = await certificate({ name: "Corp" });
    const sub = await certificate({ name: "Sub", issuer: corp });
    const leaf = await certificate({ name: "Leaf", issuer: sub });
    expect(inspectRoot(issued["cert-chain.pem"]).subject).toBe("O=Istio, CN=Root CA");
    expect(inspectRoot(corp.pem + generated.certificate).subject).toBe("CN=Corp");
    expect(inspectRoot(leaf.pem + sub.pem).subject).toBe("CN=Sub");
    expect(() => inspectRoot("nothing")).toThrow(Failure);
    expect(inspectRoot(issued["cert-chain.pem"])).toEqual(inspectRoot(generated.certificate));
    // The same name, another key.
    expect(inspectRoot((await certificate()).pem).sha256).not.toBe(inspectRoot((await certificate()).pem).sha256);
  });
});

describe("inspecting cacerts", () => {
  const inspect = (files: Record<string, string>, when = now) => inspectCaCerts(secret(files), when);

  test("finds nothing wrong with what was issued", () => {
    expect(inspect({ ...issued })).toMatchObject({
      istioGenerated: false,
      problems: [],
    });
    const { anchor, issuer } = inspect({ ...issued });
    expect(anchor && info(anchor)).toEqual(inspectRoot(generated.certificate));
    expect(issuer && info(issuer.certificate)).toMatchObject({
      subject: "O=Istio, CN=Intermediate CA, L=east",
      notAfter: at(3650),
    });
    expect(inspect({ ...fromShort }).problems).toEqual([]);
  });

  test("knows the names of kubernetes.io/tls, and prefers them as istiod does", () => {
    const files = {
      "tls.crt": issued["ca-cert.pem"],
      "tls.key": issued["ca-key.pem"],
      "ca.crt": issued["root-cert.pem"],
    };
    expect(inspect(files).problems).toEqual([]);
    expect(inspect({ ...fromShort, ...files }).issuer?.certificate.subject).toContain("L=east");
  });

  test("takes what istiod made for itself, with an empty chain", async () => {
    const self = await certificate({ name: "" });
    const files = {
      "ca-cert.pem": self.pem,
      "ca-key.pem": pkcs8(self.key),
      "root-cert.pem": self.pem,
      "cert-chain.pem": "",
      "istio-generated": "",
    };
    const { istioGenerated, problems, anchor } = inspect(files);
    expect({ istioGenerated, problems }).toEqual({ istioGenerated: true, problems: [] });
    expect(anchor && info(anchor)).toEqual(inspectRoot(self.pem));
  });

  test("follows a longer chain, and a bundle with old and new roots", async () => {
    const root = await certificate({ name: "R", pathLength: 2 });
    const middle = await certificate({ name: "M", issuer: root });
    const cert = await certificate({ name: "C", issuer: middle, pathLength: 0 });
    const found = inspect({
      "ca-cert.pem": cert.pem,
      "ca-key.pem": pkcs8(cert.key),
      "root-cert.pem": short.pem + root.pem,
      "cert-chain.pem": cert.pem + middle.pem,
    });
    expect(found.problems).toEqual([]);
    expect(found.roots.map(({ subject }) => subject)).toEqual(["CN=Short", "CN=R"]);
    expect(found.anchor?.subject).toBe("CN=R");
  });

  test("takes that copy of a renewed root that is valid, and no notice of others that are not", async () => {
    const old = await certificate({ name: "R", notBefore: at(-10), notAfter: at(-1) });
    const renewed = await certificate({ name: "R", keysOf: old });
    const other = await certificate({ name: "Other", notBefore: at(-10), notAfter: at(-1) });
    const cert = await certificate({ name: "C", issuer: old });
    const files = (bundle: string) => ({
      "ca-cert.pem": cert.pem,
      "ca-key.pem": pkcs8(cert.key),
      "root-cert.pem": bundle,
      "cert-chain.pem": cert.pem,
    });
    expect(inspect(files(other.pem + old.pem + renewed.pem)).problems).toEqual([]);
    expect(inspect(files(old.pem + other.pem)).problems).toEqual([expect.stringMatching(/"CN=R" expired/)]);
  });

  const without = (name: keyof CaCerts) => {
    const { [name]: _, ...rest } = issued;
    return rest;
  };
  test.each<[string, () => Record<string, string> | Promise<Record<string, string>>, RegExp[], Date?]>([
    ["nothing", () => ({}), [/^ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem are missing/]],
    ["no root", () => without("root-cert.pem"), [/^root-cert.pem is missing/]],
    ["an empty root", () => ({ ...issued, "root-cert.pem": "" }), [/^root-cert.pem holds no PEM certificate/]],
    ["another root", () => ({ ...issued, "root-cert.pem": short.pem }), [/does not chain to a root in root-cert.pem/]],
    [
      "a root of the same name",
      async () => {
        const cert = await certificate({ name: "C", issuer: await certificate() });
        return {
          "ca-cert.pem": cert.pem,
          "ca-key.pem": pkcs8(cert.key),
          "root-cert.pem": (await certificate()).pem,
          "cert-chain.pem": cert.pem,
        };
      },
      [/does not chain to a root/],
    ],
    [
      "another key",
      () => ({ ...issued, "ca-key.pem": pkcs8(short.key) }),
      [/^ca-key.pem does not belong to ca-cert.pem/],
    ],
    ["no key", () => ({ ...issued, "ca-key.pem": "x" }), [/^ca-key.pem is not a PEM private key/]],
    [
      "a chain without the intermediate",
      () => ({ ...issued, "cert-chain.pem": generated.certificate }),
      [/peers cannot verify/],
    ],
    [
      "rubbish in the chain",
      () => ({ ...issued, "cert-chain.pem": issued["cert-chain.pem"].replace("MII", "AAA") }),
      [/not a certificate/, /peers cannot verify/],
    ],
    ["an expired intermediate and root", () => ({ ...fromShort }), [/L=west" expired/, /CN=Short" expired/], at(101)],
    [
      "a leaf that is no CA",
      async () => {
        const root = await certificate();
        const leaf = await certificate({ name: "L", issuer: root, ca: false });
        return {
          "ca-cert.pem": leaf.pem,
          "ca-key.pem": pkcs8(leaf.key),
          "root-cert.pem": root.pem,
          "cert-chain.pem": leaf.pem,
        };
      },
      [/"CN=L" may not issue certificates/],
    ],
    [
      "a root that allows no intermediate",
      async () => {
        const root = await certificate({ pathLength: 0 });
        const middle = await certificate({ name: "M", issuer: root });
        const cert = await certificate({ name: "C", issuer: middle });
        return {
          "ca-cert.pem": cert.pem,
          "ca-key.pem": pkcs8(cert.key),
          "root-cert.pem": root.pem,
          "cert-chain.pem": cert.pem + middle.pem,
        };
      },
      [/allows 0 intermediates below it/],
    ],
    [
      "an intermediate for clients only",
      async () => {
        const root = await certificate();
        const cert = await certificate({ name: "C", issuer: root, extendedUsages: ["1.3.6.1.5.5.7.3.2"] });
        return {
          "ca-cert.pem": cert.pem,
          "ca-key.pem": pkcs8(cert.key),
          "root-cert.pem": root.pem,
          "cert-chain.pem": cert.pem,
        };
      },
      [/extendedKeyUsage/],
    ],
  ])("says what is wrong with %s", async (_, files, says, when) => {
    const { problems } = inspect(await files(), when);
    expect(problems).toHaveLength(says.length);
    for (const pattern of says) expect(problems).toContainEqual(expect.stringMatching(pattern));
    expect(problems.join()).not.toContain("PRIVATE KEY");
  });
});
