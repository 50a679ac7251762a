// Keys of 3072 bits take up to a second each; here all are one of 2048, made once. Preloaded into each process of a run.
import { webcrypto } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FILE = join(tmpdir(), `fault-runs-key-${process.getuid?.() ?? 0}.json`);
const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const generateKey = webcrypto.subtle.generateKey.bind(webcrypto.subtle) as (...args: unknown[]) => Promise<unknown>;
let pair: Promise<webcrypto.CryptoKeyPair> | undefined;

async function load(): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  if (!existsSync(FILE)) {
    const options = { ...ALGORITHM, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
    const made = (await generateKey(options, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
    const [privateKey, publicKey] = await Promise.all(
      [made.privateKey, made.publicKey].map((key) => subtle.exportKey("jwk", key)),
    );
    const own = `${FILE}-${process.pid}`;
    writeFileSync(own, JSON.stringify({ privateKey, publicKey }), { mode: 0o600 });
    renameSync(own, FILE);
  }
  const kept = JSON.parse(readFileSync(FILE, "utf8"));
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey("jwk", kept.privateKey, ALGORITHM, true, ["sign"]),
    subtle.importKey("jwk", kept.publicKey, ALGORITHM, true, ["verify"]),
  ]);
  return { privateKey, publicKey };
}

webcrypto.subtle.generateKey = ((algorithm: { modulusLength?: number }, ...rest: unknown[]) => {
  if (!algorithm.modulusLength) return generateKey(algorithm, ...rest);
  pair ??= load();
  return pair;
}) as never;
