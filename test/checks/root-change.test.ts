import { beforeAll, describe, expect, test } from "vitest";
import {
  annotationOf,
  digestOf,
  filesOf,
  notedPhase,
  noteOn,
  obstacles,
  secretRoots,
  standing,
} from "../../src/checks/root-change.ts";
import { keyIds } from "../../src/mesh/certificates/constraints.ts";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { info, parse } from "../../src/mesh/certificates/pem.ts";
import type { RootCa } from "../../src/mesh/certificates/root.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import { encode } from "../embedded/controllers/support.ts";
import { type Authority, certificate } from "../mesh/certificate.ts";

const secretOf = (files: Readonly<Record<string, string>>, metadata: object = {}, name = "cacerts"): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "istio-system", ...metadata },
  data: Object.fromEntries(Object.entries(files).map(([key, text]) => [key, encode(text)])),
});
const pem = (...certificates: string[]) => certificates.map((each) => `${each.trim()}\n`).join("");
const cert = (text: string) => parse(text) as NonNullable<ReturnType<typeof parse>>;

let old: RootCa;
let fresh: RootCa;
let other: Authority;
let plain: Authority;
let below: Authority;
let ours: Awaited<ReturnType<typeof issueIntermediate>>;
let coming: typeof ours;

beforeAll(async () => {
  [old, fresh, other, plain] = await Promise.all([
    generateRoot(),
    generateRoot(),
    certificate({ name: "Other" }),
    certificate({ name: "Root CA" }),
  ]);
  below = await certificate({ name: "Below", issuer: plain, pathLength: 0 });
  [ours, coming] = (await Promise.all([old, fresh].map((root) => issueIntermediate(root, "east", "istio-system")))) as [
    typeof ours,
    typeof ours,
  ];
});

describe("where a Secret stands on the way to a root", () => {
  const phase = (files: Readonly<Record<string, string>>) => {
    const seen = secretRoots(secretOf(files), undefined);
    return seen && standing(seen, cert(fresh.certificate)).phase;
  };
  test("by what is in it alone", () => {
    const both = pem(old.certificate, fresh.certificate);
    expect(phase({ ...ours })).toBe(0);
    expect(phase({ ...ours, "root-cert.pem": both })).toBe(1);
    expect(phase({ ...coming })).toBe(3);
    expect(phase({ ...ours, "root-cert.pem": fresh.certificate })).toBeUndefined();
  });

  test("roots that nothing was ever signed by here stay: they may be another mesh's", () => {
    expect(phase({ ...coming, "root-cert.pem": pem(fresh.certificate, old.certificate, other.pem) })).toBe(3);
  });

  test("and which root is to go, by what is noted, as long as the Secret is as it was written", () => {
    const files = { ...coming, "root-cert.pem": pem(old.certificate, fresh.certificate, other.pem) };
    const [to, gone] = [info(cert(fresh.certificate)).sha256, info(cert(old.certificate)).sha256];
    const digest = digestOf(filesOf(secretOf(files)));
    const annotations = annotationOf({ to, from: [gone], wrote: "sign", digest });
    expect(notedPhase(secretOf(files, { annotations }))).toEqual({ phase: 2, to });
    const changed = { ...files, "root-cert.pem": pem(fresh.certificate, old.certificate) };
    expect(noteOn(secretOf(changed, { annotations }))).toBeUndefined();
  });

  test("of the root that istiod made itself", () => {
    const own = secretOf({ "ca-cert.pem": other.pem, "ca-key.pem": "x" }, {}, "istio-ca-secret");
    const seen = secretRoots(undefined, own);
    expect(seen && [seen.plugged, standing(seen, cert(fresh.certificate)).phase]).toEqual([false, 0]);
  });
});

describe("what keeps a root from being changed", () => {
  const found = (secret: Secret) =>
    obstacles(secretRoots(secret, undefined), cert(fresh.certificate), "istio-system", keyIds).join(" ");
  const named = () => ({ ...ours });

  test("nothing does, though our roots have one name: their intermediates name the key", () => {
    expect(found(secretOf(named()))).toBe("");
  });

  test("roots of one name without key identifiers", async () => {
    // Our roots' whole name, and a certificate below that does not name its issuer's key.
    const twin = cert(plain.pem);
    const key = String(below.key.export({ type: "pkcs8", format: "pem" }));
    const files = {
      "ca-cert.pem": below.pem,
      "ca-key.pem": key,
      "cert-chain.pem": below.pem,
      "root-cert.pem": plain.pem,
    };
    const rival = cert((await certificate({ name: "Root CA" })).pem);
    const seen = secretRoots(secretOf(files), undefined);
    expect(twin.subject).toBe(rival.subject);
    expect(obstacles(seen, rival, "istio-system", keyIds).join()).toMatch(/have one name, "CN=Root CA".*"CN=Below"/);
    expect(obstacles(seen, cert(other.pem), "istio-system", keyIds)).toEqual([]);
  });

  test.each<[string, object, RegExp]>([
    ["cert-manager", { annotations: { "cert-manager.io/certificate-name": "ca" } }, /kept by cert-manager/],
    ["Flux", { labels: { "kustomize.toolkit.fluxcd.io/name": "mesh" } }, /kept by Flux/],
    ["an owner", { ownerReferences: [{ kind: "ExternalSecret", name: "ca" }] }, /kept by ExternalSecret/],
  ])("%s", (_, metadata, why) => {
    expect(found(secretOf(named(), metadata))).toMatch(why);
  });

  test("a form, or a list, that is not ours to change", () => {
    const { "ca-cert.pem": crt, "ca-key.pem": key } = ours;
    expect(found(secretOf({ "tls.crt": crt, "tls.key": key, "ca.crt": old.certificate }))).toMatch(/tls\.crt/);
    expect(found(secretOf({ ...named(), "ca-crl.pem": "x" }))).toMatch(/ca-crl\.pem/);
  });
});
