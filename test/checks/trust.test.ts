import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Observation } from "../../src/checks/observation.ts";
import { sameRoot, trustChecks } from "../../src/checks/trust.ts";
import { type Bundle, otherCa, plannedCa, readBundle } from "../../src/facts/trust.ts";
import { info } from "../../src/mesh/certificates/pem.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { KubernetesObject, ObjectRef } from "../../src/mesh/objects/object.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import type { Finding } from "../../src/mesh/report.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import { type Authority, at, certificate, now } from "../mesh/certificate.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

const mesh = meshOf(["a", "b", "c"]);

/** Old and new root of a change, the old one renewed, the new one when it was past its end, and another that is. */
const roots: Record<"old" | "new" | "renewed" | "stale" | "late", Authority> = {} as never;
/** By the root's name, an intermediate; and one of the new root's that goes out with the old root's word for it. */
const signers: Record<string, { readonly authority: Authority; readonly chain: string }> = {};

beforeAll(async () => {
  roots.old = await certificate({ name: "Old" });
  roots.new = await certificate({ name: "New" });
  roots.stale = await certificate({ name: "New", keysOf: roots.new, notBefore: at(-9), notAfter: at(-1) });
  roots.renewed = await certificate({ name: "Old", keysOf: roots.old, notAfter: at(3000) });
  roots.late = await certificate({ name: "Late", notBefore: at(-9), notAfter: at(-1) });
  for (const [name, issuer] of Object.entries(roots)) {
    const authority = await certificate({ name: `CA of ${name}`, issuer });
    signers[name] = { authority, chain: authority.pem };
  }
  const cross = await certificate({ name: "New", keysOf: roots.new, issuer: roots.old });
  signers.crossed = { authority: signers.new!.authority, chain: signers.new!.authority.pem + cross.pem };
});

type Root = keyof typeof roots;
const pems = (names: readonly Root[]) => names.map((name) => roots[name].pem).join("");
const encoded = (text: string) => Buffer.from(text).toString("base64");
const sum = (name: Root) => info(new X509Certificate(roots[name].pem)).sha256;

function cacerts(signer: string, bundle: readonly Root[]): Secret {
  const { authority, chain } = signers[signer]!;
  const files = {
    "ca-cert.pem": authority.pem,
    "ca-key.pem": authority.key.export({ type: "pkcs8", format: "pem" }) as string,
    "cert-chain.pem": chain,
    "root-cert.pem": pems(bundle),
  };
  const data = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encoded(text)]));
  return { apiVersion: "v1", kind: "Secret", metadata: { name: "cacerts" }, data };
}

interface Ca {
  /** By which root it signs, and what is in its Secret's bundle. */
  readonly secret?: readonly [signer: string, ...bundle: Root[]];
  /** Who signed itself. */
  readonly self?: Root;
  readonly effect: readonly Root[];
  readonly added?: readonly Root[];
  readonly idle?: readonly Root[];
  readonly env?: Record<string, string>;
  /** What replicas sign by that run since before the Secret was written: by the end of that, or their own root. */
  readonly signing?: readonly (Date | undefined)[];
  /** Since when it is there, in minutes. */
  readonly written?: number;
  /** Of the workloads that run, whether they have their certificates from SPIRE. */
  readonly spire?: readonly boolean[];
}

const istiod = (env: Record<string, string> = {}) =>
  ({
    metadata: { name: "istiod" },
    spec: {
      template: {
        spec: {
          containers: [{ name: "discovery", env: Object.entries(env).map(([name, value]) => ({ name, value })) }],
        },
      },
    },
  }) as unknown as Deployment;

function seen(
  name: string,
  { secret, self, effect, added = [], idle = [], env, signing = [], written, spire }: Ca,
): Observation {
  const bundle: Bundle = {
    source: "ConfigMap c",
    pem: pems(effect),
    since: undefined,
    added: pems(added),
    idle: pems(idle),
  };
  const kept = { data: { "ca-cert.pem": encoded(self ? roots[self].pem : "") } };
  return {
    spec: { name },
    istiod: () => istiod(env),
    identity: () => ({}),
    sample: () => ({ workloads: (spire ?? []).map((bySpire) => ({ proxy: { role: "sidecar", bySpire } })) }),
    bundle: () => bundle,
    cacerts: () => (secret ? writtenBefore(cacerts(secret[0], secret.slice(1) as Root[]), written) : undefined),
    signers: () => signing.map((chainEnds, i) => ({ pod: `istiod-${i}`, chainEnds, rootEnds: at(365) })),
    selfSigned: () => (self ? kept : undefined),
  } as unknown as Observation;
}

function writtenBefore(secret: Secret, minutes: number | undefined): Secret {
  if (minutes === undefined) return secret;
  const time = new Date(now.getTime() - minutes * 60_000).toISOString();
  const managedFields = [{ manager: "kubectl", operation: "Update" as const, time, fieldsV1: { "f:data": {} } }];
  return { ...secret, metadata: { ...secret.metadata, managedFields } };
}

/** Signs by the first, and trusts these; what is in the Secret is in effect. */
const plugged = (signer: string, ...effect: Root[]): Ca => ({ secret: [signer, ...effect], effect });

const told = ({ verdict, cause, evidence, warning }: Finding) =>
  [verdict, cause ?? evidence, ...(warning ? [`warned: ${warning}`] : [])].join(" | ");

describe("what signs in each cluster is trusted in every other", () => {
  test.each<[string, Ca[], string]>([
    ["one root", [plugged("old", "old"), plugged("old", "old")], "passed | All clusters trust the root"],
    ["bundles in another order", [plugged("old", "old", "new"), plugged("old", "new", "old")], "passed | All"],
    ["both roots beside the old one", [plugged("old", "old", "new"), plugged("old", "old")], "passed | All"],
    ["both roots beside the new one", [plugged("new", "old", "new"), plugged("new", "new")], "passed | All"],
    [
      "a signer of each",
      [plugged("old", "old", "new"), plugged("new", "old", "new")],
      "passed | Every cluster trusts what signs in the others. | warned: The clusters sign by several roots",
    ],
    ["a renewed root beside the one that it was", [plugged("old", "old"), plugged("renewed", "renewed")], "passed | "],
    ["a chain by way of the other root", [plugged("crossed", "new", "old"), plugged("old", "old")], "passed | "],
    [
      "roots that istiods made, trusted by hand",
      [
        { self: "old", effect: ["old"], added: ["new"] },
        { self: "new", effect: ["new"], added: ["old"] },
      ],
      "passed | ",
    ],
    [
      "another CA, with one set of roots",
      [
        { effect: ["old", "new"], env: { EXTERNAL_CA: "x" } },
        { effect: ["new", "old"], env: { EXTERNAL_CA: "x" } },
      ],
      "passed | All clusters trust the same roots.",
    ],
  ])("%s", (_, cas, wanted) => {
    const finding = sameRoot(
      mesh,
      cas.map((ca, i) => seen("abc"[i]!, ca)),
      now,
    );
    expect(told(finding)).toContain(wanted);
  });

  test.each<[string, Ca[], string[], RegExp]>([
    [
      "the new root signs before all trust it",
      [plugged("new", "old", "new"), plugged("old", "old")],
      ["a", "b"],
      /everywhere: that of a \(SHA-256 \w+\) in b\.$/,
    ],
    [
      "the first roots of the bundles are the same",
      [plugged("new", "old", "new"), plugged("old", "old"), plugged("old", "old")],
      ["a"],
      /that of a \(SHA-256 \w+\) in b, c\.$/,
    ],
    [
      "two roots of istiods' own",
      [
        { self: "old", effect: ["old"] },
        { self: "new", effect: ["new"] },
      ],
      ["a", "b"],
      /that of a .* in b; that of b .* in a\.$/,
    ],
    [
      "roots of others that are not switched on",
      [
        { self: "old", effect: ["old"], idle: ["new"] },
        { self: "new", effect: ["new"], added: ["old"] },
      ],
      ["a", "b"],
      /that of b .* in a\. In a it is in meshConfig\.caCertificates, which only counts with/,
    ],
    [
      "only a copy of it that is past its end",
      [plugged("new", "new", "old"), { secret: ["old", "old"], effect: ["stale", "old"] }],
      ["a", "b"],
      /everywhere: that of a \(SHA-256 \w+\) in b, where the copy of it is past its end\.$/,
    ],
    [
      "another CA, with other roots",
      [{ effect: ["old"], env: { ENABLE_CA_SERVER: "false" } }, plugged("new", "new")],
      ["a", "b"],
      /that of a .* in b; that of b .* in a/,
    ],
  ])("red: %s", (_, cas, clusters, wanted) => {
    const finding = sameRoot(
      mesh,
      cas.map((ca, i) => seen("abc"[i]!, ca)),
      now,
    );
    expect(finding).toMatchObject({
      verdict: "failed",
      clusters,
      cause: expect.stringMatching(/^The clusters do not trust the same roots/),
    });
    expect(finding.cause).toMatch(wanted);
  });

  test.each<[string, Ca, string]>([
    ["and does so by one that all trust", { ...plugged("old", "old"), signing: [at(20)] }, "passed"],
    [
      "and by which of the roots of its bundle it does is not known",
      { ...plugged("new", "old", "new"), signing: [at(20)] },
      "unknown",
    ],
  ])("an istiod that has not taken up its Secret is not taken for one that has, %s", (_, ca, verdict) => {
    const finding = sameRoot(mesh, [seen("a", ca), seen("b", plugged("old", "old"))], now);
    expect([finding.verdict, finding.cause ?? ""]).toEqual([
      verdict,
      verdict === "unknown" ? expect.stringMatching(/^By which of its roots is signed is not known.*of a .* in b/) : "",
    ]);
  });

  test.each<[readonly boolean[], string]>([
    [[true, true], "skipped"],
    [[false, false, true], "failed"],
  ])("istiods' own roots are no matter where SPIRE signs for the workloads: %j", (spire, verdict) => {
    const cas: Ca[] = [
      { self: "old", effect: ["old"], spire },
      { self: "new", effect: ["new"], spire },
    ];
    const all = cas.map((ca, i) => seen("ab"[i]!, ca));
    expect(sameRoot(mesh, all, now).verdict).toBe(verdict);
  });

  test("which of another CA's roots signs is not known", () => {
    const cas: Ca[] = [{ effect: ["old", "new"], env: { EXTERNAL_CA: "x" } }, plugged("old", "old")];
    expect(
      sameRoot(
        mesh,
        cas.map((ca, i) => seen("ab"[i]!, ca)),
        now,
      ).verdict,
    ).toBe("unknown");
  });
});

describe("one cluster's CA", () => {
  const checks = trustChecks(mesh, now);
  const judge = (id: "trust.cacerts" | "trust.in-effect" | "trust.root", ca: Ca) => told(checks[id]!(seen("a", ca)));

  test.each<[string, Ca, string | RegExp]>([
    ["in effect", plugged("old", "old"), /^passed \| The root in cacerts is the one that workloads get\.$/],
    ["in effect, in another order", { secret: ["old", "new", "old"], effect: ["old", "new"] }, /get\.$/],
    [
      "with a root that istiod has not taken up",
      { secret: ["old", "old", "new"], effect: ["old"] },
      /^passed .* warned: .*do not trust "CN=New" \(SHA-256 \w+\) yet\. kubectl/,
    ],
    [
      "without a root that is in effect still",
      { secret: ["new", "new"], effect: ["old", "new"] },
      /^passed .* warned: .*they still trust "CN=Old"/,
    ],
    [
      "of a root that is not in effect",
      { secret: ["new", "old", "new"], effect: ["old"] },
      /^failed .*is not the one in effect/,
    ],
    [
      "beside another CA",
      { ...plugged("old", "new"), env: { ENABLE_CA_SERVER: "false" } },
      /^skipped \| Another CA signs, not istiod: ENABLE_CA_SERVER=false/,
    ],
    ["that a replica has taken up", { ...plugged("old", "old"), signing: [at(365)] }, /^passed \| [^|]*$/],
    [
      "with a new intermediate that a replica has not taken up, in time to do so",
      { ...plugged("old", "old"), signing: [at(365), at(20)], written: 1 },
      /^passed .* warned: Not every istiod signs by .*written 2026-11-20 11:59 UTC, but istiod-1 by one that is valid until 2026-12-10\. It takes .* by itself/,
    ],
    [
      "with a new intermediate that no replica has taken up",
      { ...plugged("old", "old"), signing: [at(20)], written: 90 },
      /^passed .* warned: .*istiod-0 by one that is valid until 2026-12-10\. It will at its next restart/,
    ],
    [
      "of the root that istiod made itself, which signs by that still",
      { ...plugged("old", "old"), signing: [undefined], written: 90 },
      /^passed .* warned: .*istiod-0 by a root that it made itself/,
    ],
    [
      "in place of one that is past its end and signs still",
      { ...plugged("old", "old"), signing: [at(-1)], written: 90 },
      /^failed \| istiod-0 signs by a CA that is past its end, 2026-11-19, and has not taken up/,
    ],
  ])("cacerts: %s", (_, ca, wanted) => {
    expect(judge("trust.in-effect", ca)).toMatch(wanted);
  });

  test.each<[string, Ca, string | RegExp]>([
    ["valid", plugged("old", "old"), /^passed \| The root in effect has SHA-256 \w+ and is valid until .*\.$/],
    ["renewed", { secret: ["old", "old"], effect: ["old", "renewed"] }, /^passed \| [^|]*valid until 2035[^|]*$/],
    [
      "beside one that is past its end",
      plugged("old", "late", "old"),
      /^passed .* warned: .*still holds "CN=Late" .*to be taken out/,
    ],
    ["past its end", plugged("late", "late", "old"), /^failed .*The root of trust "CN=Late" is past its end/],
    [
      "another CA's, one of two past its end",
      { effect: ["late", "old"], env: { EXTERNAL_CA: "x" } },
      /^passed .* warned/,
    ],
  ])("the root: %s", (_, ca, wanted) => {
    expect(judge("trust.root", ca)).toMatch(wanted);
  });

  test("what replicas of before the last change sign by may not be told", () => {
    const signers = () => {
      throw new Failure("it could not be asked (forbidden)", "ask for exec");
    };
    expect(checks["trust.in-effect"]!({ ...seen("a", plugged("old", "old")), signers })).toMatchObject({
      verdict: "unknown",
      cause: expect.stringMatching(/^Whether every istiod has taken up .* is not known: it could not be asked/),
      hint: "ask for exec",
    });
  });

  test("its sums are data", () => {
    const [reading] = checks["trust.in-effect"]!(seen("a", plugged("old", "old", "new"))).readings ?? [];
    expect(reading?.values).toEqual({ cacerts: [sum("old"), sum("new")], inEffect: [sum("old"), sum("new")] });
  });
});

describe("where proxies learn the roots", () => {
  const read = (env: Record<string, string>, takes = false) =>
    readBundle(
      clusterOf("c", {
        get: async <T extends KubernetesObject>({ apiVersion, kind, name }: ObjectRef) =>
          (kind === "ClusterTrustBundle"
            ? apiVersion.endsWith("v1alpha1") && { metadata: {}, spec: { trustBundle: `of ${name}` } }
            : {
                metadata: {
                  managedFields: [
                    { time: "2026-11-03T00:00:00Z", fieldsV1: { "f:metadata": {} } },
                    { time: "2026-11-02T00:00:00Z", fieldsV1: { "f:data": { ".": {}, "f:root-cert.pem": {} } } },
                  ],
                },
                data: { "root-cert.pem": `of ${name}` },
              }) as unknown as T,
      }),
      "istio-system",
      istiod(env),
      {
        caCertificates: [
          { pem: "P", trustDomains: [] },
          { pem: undefined, trustDomains: [] },
        ],
        takesCaCertificates: takes,
      },
    );

  test.each<[string, Record<string, string>, boolean, Partial<Bundle>]>([
    [
      "usually",
      {},
      true,
      {
        source: "ConfigMap istio-system/istio-ca-root-cert",
        pem: "of istio-ca-root-cert",
        since: new Date("2026-11-02"),
        added: "",
        idle: "P",
      },
    ],
    [
      "in a ConfigMap by another name",
      { PILOT_CA_CERT_CONFIGMAP: "roots" },
      false,
      { source: "ConfigMap istio-system/roots", pem: "of roots" },
    ],
    [
      "in the cluster's bundle",
      { ENABLE_CLUSTER_TRUST_BUNDLE_API: "true" },
      false,
      { pem: "of istio.io:istiod-ca:root-cert" },
    ],
    ["with those of others", { ISTIO_MULTIROOT_MESH: "true" }, true, { added: "P", idle: "" }],
    ["with those of others, which proxies do not take", { ISTIO_MULTIROOT_MESH: "1" }, false, { added: "", idle: "P" }],
  ])("%s", async (_, env, takes, wanted) => {
    expect(await read(env, takes)).toMatchObject(wanted);
  });

  test.each<[string, Record<string, string>, string | undefined, string | undefined]>([
    ["istiod", {}, undefined, undefined],
    ["istiod, by its address", {}, "istiod-canary.istio-system.svc:15012", undefined],
    [
      "another by its address",
      {},
      "cert-manager-istio-csr.cert-manager.svc:443",
      "global.caAddress cert-manager-istio-csr.cert-manager.svc:443",
    ],
    ["another, for istiod is none", { ENABLE_CA_SERVER: "false" }, undefined, "ENABLE_CA_SERVER=false"],
    [
      "another, that istiod asks",
      { EXTERNAL_CA: "ISTIOD_RA_KUBERNETES_API" },
      undefined,
      "EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API",
    ],
  ])("who signs: %s", (_, env, caAddress, wanted) => {
    expect(otherCa(istiod(env), "istio-system", caAddress)).toBe(wanted);
    expect(plannedCa({ pilot: { env }, global: { caAddress } }, "istio-system")).toBe(wanted);
  });
});
