import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Authority } from "../../src/mesh/authority.ts";
import { info } from "../../src/mesh/certificates/pem.ts";
import type { TrustMode } from "../../src/mesh/spec.ts";
import {
  decideTrust,
  needsEveryCluster,
  type TrustPlan,
  type TrustProblem,
  type TrustState,
} from "../../src/mesh/trust.ts";
import { certificate, now } from "./certificate.ts";

const root = async (name: string) => new X509Certificate((await certificate({ name })).pem);
const [A, B, C] = (await Promise.all(["A", "B", "C"].map(root))) as [X509Certificate, X509Certificate, X509Certificate];
const sum = (cert: X509Certificate) => info(cert).sha256;
/** What signs by the root itself, which is all that it trusts, or one of what is. */
const by = (signer: X509Certificate, ...trusted: X509Certificate[]): Authority => ({
  issuer: { certificate: signer, chain: [] },
  trusted: trusted.length > 0 ? trusted : [signer],
});

type Parts = Omit<TrustState, "cluster">;
const fresh: Parts = { controlPlane: false };
const cacerts = (signer: X509Certificate, ours = false): Parts => ({
  controlPlane: false,
  cacerts: { authority: by(signer), problems: [], ours },
});
const ours = (signer: X509Certificate) => cacerts(signer, true);
/** A control plane that runs on its `cacerts`. */
const live = (signer: X509Certificate, mine = false, trusted = [signer]): Parts => ({
  cacerts: { authority: by(signer, ...trusted), problems: [], ours: mine },
  controlPlane: true,
  inEffect: trusted,
});
const rotating = (signer: X509Certificate, ...trusted: X509Certificate[]) => live(signer, false, trusted);
const selfSigned = (signer: X509Certificate): Parts => ({
  controlPlane: true,
  selfSigned: by(signer),
  inEffect: [signer],
});
/** Whose certificates another CA than istiod signs. */
const elsewhere = (...trusted: X509Certificate[]): Parts => ({
  controlPlane: true,
  running: true,
  otherCa: "ENABLE_CA_SERVER=false",
  inEffect: trusted,
});
/** What an uninstalled control plane leaves behind. */
const leftover = (signer: X509Certificate): Parts => ({ selfSigned: by(signer), controlPlane: false });
/** An `Istio` resource whose istiod has not started yet. */
const starting: Parts = { controlPlane: true };
/** An istiod whose root cannot be read, for another CA signs, or it has just started. */
const hidden: Parts = { controlPlane: true, running: true };

const clusters = (...parts: Parts[]): TrustState[] => parts.map((part, i) => ({ cluster: `c${i + 1}`, ...part }));

function plan(mode: TrustMode, provided: X509Certificate | undefined, ...parts: Parts[]): TrustPlan {
  const decision = decideTrust(mode, provided, clusters(...parts), "istio-system", now);
  if ("problems" in decision) throw new Error(decision.problems.map(({ cause }) => cause).join("\n"));
  return decision;
}

function problems(mode: TrustMode, provided: X509Certificate | undefined, ...parts: Parts[]): readonly TrustProblem[] {
  const decision = decideTrust(mode, provided, clusters(...parts), "istio-system", now);
  if (!("problems" in decision)) throw new Error(`unexpected plan: ${JSON.stringify(decision)}`);
  expect(decision.problems.every(({ hint }) => hint)).toBe(true);
  return decision.problems;
}

const existing = { source: "existing", rootSha256: sum(A), issueFor: [], keepFor: ["c1", "c2"] };
const generated = { source: "generated", issueFor: ["c1", "c2"], keepFor: [] };
const provided = (issueFor: string[], keepFor: string[]) => ({
  source: "provided",
  rootSha256: sum(A),
  issueFor,
  keepFor,
});

describe("plans", () => {
  test.each<[string, TrustMode, X509Certificate | undefined, Parts[], object]>([
    ["existing: one root in effect", "existing", undefined, [live(A), live(A)], existing],
    ["existing: cacerts without a control plane", "existing", undefined, [live(A), cacerts(A)], existing],
    [
      "existing: cacerts, istiod not started yet",
      "existing",
      undefined,
      [{ ...cacerts(A), controlPlane: true }, live(A)],
      existing,
    ],
    [
      "existing: a root that only the ConfigMap shows",
      "existing",
      undefined,
      [{ controlPlane: true, inEffect: [A] }, live(A)],
      existing,
    ],
    ["existing: a copied istio-ca-secret", "existing", undefined, [selfSigned(A), leftover(A)], existing],
    ["provided: fresh", "provided", A, [fresh, fresh], provided(["c1", "c2"], [])],
    ["provided: one has it", "provided", A, [live(A), fresh], provided(["c2"], ["c1"])],
    ["provided: all have it", "provided", A, [live(A), cacerts(A)], provided([], ["c1", "c2"])],
    ["provided: Istio resource, no istiod yet", "provided", A, [starting, fresh], provided(["c1", "c2"], [])],
    ["provided: a control plane that is gone", "provided", A, [leftover(B), fresh], provided(["c1", "c2"], [])],
    ["generate: fresh", "generate", undefined, [fresh, fresh], generated],
    ["generate: a re-run", "generate", undefined, [live(A, true), live(A, true)], existing],
    ["generate: interrupted", "generate", undefined, [ours(A), fresh], generated],
    ["generate: interrupted twice", "generate", undefined, [ours(A), ours(B)], generated],
    ["generate: all written, no control plane yet", "generate", undefined, [ours(A), ours(A)], existing],
    ["generate: a control plane that is gone", "generate", undefined, [leftover(A), leftover(B)], generated],
    ["auto: all have one", "auto", undefined, [live(A), live(A)], existing],
    ["auto: all have the one given", "auto", A, [live(A), live(A)], existing],
    ["auto: some have the one given", "auto", A, [live(A), fresh], provided(["c2"], ["c1"])],
    ["auto: none has one, one given", "auto", A, [fresh, fresh], provided(["c1", "c2"], [])],
    ["auto: none has one", "auto", undefined, [fresh, fresh], generated],
    ["auto: interrupted", "auto", undefined, [ours(A), fresh], generated],
    ["auto: interrupted twice", "auto", undefined, [ours(A), ours(B)], generated],
    ["auto: all written, no control plane yet", "auto", undefined, [ours(A), ours(A)], existing],
    ["auto: control planes that are gone", "auto", undefined, [leftover(A), leftover(B)], generated],
  ])("%s", (_, mode, root, parts, wanted) => {
    const { warning, ...rest } = plan(mode, root, ...parts);
    expect(rest).toEqual(wanted);
    if (rest.source === "generated")
      expect(warning).toMatch(/its key is not kept.*no cluster can be added later.*ca: provided/);
    else expect(warning).toBeUndefined();
  });

  test("auto says so when the root given is not the one in effect", () => {
    const { warning, ...rest } = plan("auto", A, live(B), live(B));
    expect(rest).toEqual({ ...existing, rootSha256: sum(B) });
    expect(warning).toMatch(`SHA-256 ${sum(B)}`);
    expect(warning).toMatch(`SHA-256 ${sum(A)}`);
  });
});

describe("in the middle of a change of the root", () => {
  const told = /by several roots, and each trusts those of the others/;
  test.each<[string, TrustMode, X509Certificate | undefined, Parts[], object | RegExp, RegExp?]>([
    ["both in every bundle, in any order", "auto", undefined, [rotating(A, A, B), rotating(A, B, A)], existing],
    ["the old one out of one bundle", "existing", undefined, [rotating(A, A, B), rotating(A, A)], existing],
    ["a signer of each", "auto", undefined, [rotating(A, A, B), rotating(B, B, A)], existing, told],
    ["the new one out of no bundle yet", "auto", undefined, [rotating(A, A, B), rotating(A, A, C)], existing],
    [
      "the new one given, and trusted by all",
      "provided",
      B,
      [rotating(A, A, B), rotating(A, B, A)],
      { ...existing, source: "provided" },
    ],
    [
      "the new one given, and not trusted by all",
      "provided",
      B,
      [rotating(A, A, B), live(A)],
      /is not the one in ca-root-cert/,
    ],
    [
      "the new one given, and a cluster that joins",
      "provided",
      B,
      [rotating(A, A, B), fresh],
      /is not the one in ca-root-cert/,
    ],
    [
      "a cluster that joins once all sign by the new one",
      "provided",
      B,
      [rotating(B, A, B), fresh],
      { source: "provided", rootSha256: sum(B), issueFor: ["c2"], keepFor: ["c1"] },
    ],
    [
      "a signer that is not trusted elsewhere",
      "auto",
      undefined,
      [rotating(B, A, B), live(A)],
      new RegExp(`everywhere: that of c1 \\(SHA-256 ${sum(B)}\\) in c2\\.$`),
    ],
    [
      "another CA, with one bundle",
      "existing",
      undefined,
      [elsewhere(B, A), elsewhere(A, B)],
      { ...existing, rootSha256: sum(B) },
    ],
    [
      "another CA, with other roots",
      "existing",
      undefined,
      [elsewhere(A), elsewhere(B)],
      /do not trust the same roots/,
    ],
    [
      "another CA, with more in one bundle",
      "existing",
      undefined,
      [elsewhere(A, B), elsewhere(A)],
      existing,
      /which of its roots is signed is not known/,
    ],
  ])("%s", (_, mode, provided, parts, wanted, warned) => {
    if (wanted instanceof RegExp) {
      expect(problems(mode, provided, ...parts)[0]?.cause).toMatch(wanted);
      return;
    }
    const { warning, ...rest } = plan(mode, provided, ...parts);
    expect(rest).toEqual(wanted);
    if (warned) expect(warning).toMatch(warned);
    else expect(warning).toBeUndefined();
  });

  test("roots of others count where proxies take them, and are named where they do not", () => {
    const more = { added: [B], idle: [] };
    expect(
      plan("existing", undefined, { ...live(A), more }, { ...live(B), more: { added: [A], idle: [] } }).warning,
    ).toMatch(told);
    const idle = { added: [], idle: [B] };
    const [problem] = problems(
      "existing",
      undefined,
      { ...live(A), more: idle },
      { ...live(B), more: { added: [A], idle: [] } },
    );
    expect(problem?.cause).toMatch(
      /In c1 it is in meshConfig\.caCertificates, which only counts with ISTIO_MULTIROOT_MESH=true/,
    );
  });
});

describe("problems", () => {
  test.each<[string, TrustMode, X509Certificate | undefined, Parts[], [string | undefined, RegExp][]]>([
    ["existing: one has none", "existing", undefined, [live(A), fresh], [["c2", /no root of trust yet/]]],
    [
      "existing: none has one",
      "existing",
      undefined,
      [fresh, starting],
      [
        ["c1", /no root of trust yet/],
        ["c2", /no root of trust yet/],
      ],
    ],
    [
      "existing: two roots",
      "existing",
      undefined,
      [live(A), live(B), live(A)],
      [
        [
          undefined,
          new RegExp(
            `: that of c1, c3 \\(SHA-256 ${sum(A)}\\) in c2; that of c2 \\(SHA-256 ${sum(B)}\\) in c1, c3\\.$`,
          ),
        ],
      ],
    ],
    [
      "existing: self-signed",
      "existing",
      undefined,
      [selfSigned(A), selfSigned(B)],
      [[undefined, /\. In c1, c2 istiod made it for itself\.$/]],
    ],
    ["provided: not given", "provided", undefined, [fresh, fresh], [[undefined, /none was given/]]],
    [
      "provided: another in effect",
      "provided",
      A,
      [live(A), live(B)],
      [["c2", new RegExp(`SHA-256 ${sum(B)}\\) is not the one in ca-root-cert \\(SHA-256 ${sum(A)}\\)`)]],
    ],
    ["provided: self-signed", "provided", A, [selfSigned(B), fresh], [["c1", /made by istiod itself/]]],
    ["provided: ours, but another", "provided", A, [ours(B), fresh], [["c1", /is not the one in ca-root-cert/]]],
    ["generate: one has one", "generate", undefined, [live(A, true), fresh], [["c2", /its key was not kept/]]],
    [
      "generate: interrupted, but a control plane exists",
      "generate",
      undefined,
      [ours(A), starting],
      [["c2", new RegExp(`c1 \\(SHA-256 ${sum(A)}\\)`)]],
    ],
    ["generate: not ours", "generate", undefined, [cacerts(A), fresh], [["c2", /its key was not kept/]]],
    [
      "generate: two roots",
      "generate",
      undefined,
      [live(A, true), ours(B)],
      [[undefined, /do not trust the same roots/]],
    ],
    ["auto: one has one", "auto", undefined, [live(A), fresh], [["c2", /has no root of trust, while others have one/]]],
    ["auto: two roots", "auto", undefined, [live(A), live(B)], [[undefined, /do not trust the same roots/]]],
    [
      "auto: two roots that are not ours, nothing running",
      "auto",
      undefined,
      [cacerts(A), cacerts(B)],
      [[undefined, /do not trust the same roots/]],
    ],
    [
      "auto: self-signed",
      "auto",
      undefined,
      [selfSigned(A), selfSigned(B)],
      [[undefined, /istiod made it for itself/]],
    ],
    ["auto: one self-signed", "auto", undefined, [selfSigned(A), fresh], [["c2", /while others have one/]]],
    [
      "auto: some have another than the one given",
      "auto",
      A,
      [live(B), fresh],
      [["c1", /is not the one in ca-root-cert/]],
    ],
    [
      "auto: interrupted before, and a root is given now",
      "auto",
      A,
      [ours(A), ours(B)],
      [["c2", /is not the one in ca-root-cert/]],
    ],
  ])("%s", (_, mode, root, parts, wanted) => {
    const found = problems(mode, root, ...parts);
    expect(found.map(({ cluster }) => cluster)).toEqual(wanted.map(([cluster]) => cluster));
    for (const [i, [, cause]] of wanted.entries()) expect(found[i]?.cause).toMatch(cause);
  });

  test.each<[TrustMode, X509Certificate | undefined, Parts]>([
    ["existing", undefined, live(A)],
    ["provided", A, fresh],
    ["generate", undefined, fresh],
    ["auto", undefined, fresh],
    ["auto", A, live(A)],
    ["auto", undefined, hidden],
  ])("%s: nothing is issued beside a control plane whose root cannot be read", (mode, root, other) => {
    const found = problems(mode, root, hidden, other);
    expect(found.map(({ cluster }) => cluster)).toEqual(other === hidden ? ["c1", "c2"] : ["c1"]);
    expect(found[0]?.cause).toMatch(/^An istiod runs, and its root of trust cannot be read/);
  });

  const planned: Parts = { controlPlane: false, otherCa: "ENABLE_CA_SERVER=false" };
  test.each<[TrustMode, X509Certificate | undefined]>([
    ["existing", undefined],
    ["provided", A],
    ["generate", undefined],
    ["auto", undefined],
    ["auto", A],
  ])("%s: nor where another CA is to sign, and its root cannot be read", (mode, root) => {
    const found = problems(mode, root, planned, planned);
    expect(found.map(({ cluster }) => cluster)).toEqual(["c1", "c2"]);
    expect(found[0]?.cause).toMatch(
      /^Another CA is to sign there \(ENABLE_CA_SERVER=false\), and its root cannot be read/,
    );
  });

  test("another CA that is to sign, and has written its root, is taken as it is", () => {
    const signed = { ...planned, inEffect: [A] };
    expect(plan("auto", undefined, signed, signed)).toMatchObject({ source: "existing", issueFor: [] });
  });

  const late: Parts = { ...live(A), inEffect: [B] };
  test.each<TrustMode>(["existing", "provided", "generate", "auto"])(
    "%s: cacerts added after istiod started",
    (mode) => {
      const [problem, ...others] = problems(mode, A, late, live(B));
      expect(others).toEqual([]);
      expect(problem?.cluster).toBe("c1");
      expect(problem?.cause).toMatch(new RegExp(`${sum(A)}.*${sum(B)}.*after istiod started`));
      expect(problem?.hint).toContain("kubectl -n istio-system rollout restart deployment -l app=istiod");
    },
  );

  test.each<TrustMode>(["existing", "provided", "generate", "auto"])("%s: cacerts that cannot be used", (mode) => {
    const broken: Parts = {
      controlPlane: false,
      cacerts: { problems: ["ca-key.pem is missing.", "It expired."], ours: false },
    };
    expect(problems(mode, A, broken, fresh).map(({ cluster, cause }) => [cluster, cause])).toEqual([
      ["c1", "The Secret istio-system/cacerts cannot be used: ca-key.pem is missing."],
      ["c1", "The Secret istio-system/cacerts cannot be used: It expired."],
    ]);
  });

  test("a refusal shows the steps of a safe change, in the mesh's namespace", () => {
    const hintFor = (...parts: Parts[]) => {
      const decision = decideTrust("provided", A, clusters(...parts), "mesh", now);
      return "problems" in decision ? decision.problems[0]?.hint : undefined;
    };
    expect(hintFor(live(B))).toMatch(
      /`trust-transition: true`.*1\. Every cluster's Secret mesh\/cacerts holds both roots.*12 h 15 min.*2\. .*3\. .*taken out/,
    );
    expect(hintFor(selfSigned(B))).toBe(hintFor(live(B)));
    expect(hintFor(cacerts(B))).toContain("kubectl -n mesh delete secret cacerts");
  });
});

describe("a plan needs every cluster of the mesh", () => {
  test.each<[string, boolean, TrustMode, X509Certificate | undefined, Parts[]]>([
    ["where a root is generated", true, "auto", undefined, [fresh, fresh]],
    ["where one was, and no control plane relies on it yet", true, "auto", undefined, [ours(A), ours(A)]],
    ["not once a control plane does", false, "auto", undefined, [live(A, true), ours(A)]],
    ["not with a root that is provided", false, "provided", A, [fresh, fresh]],
    ["not with one that was", false, "auto", A, [ours(A), ours(A)]],
    ["not with somebody else's", false, "existing", undefined, [cacerts(A), cacerts(A)]],
  ])("%s", (_, expected, mode, root, parts) => {
    expect(needsEveryCluster(plan(mode, root, ...parts), root, clusters(...parts))).toBe(expected);
  });
});
