import { describe, expect, test } from "vitest";
import type { TrustMode } from "../../src/mesh/spec.ts";
import {
  decideTrust,
  needsEveryCluster,
  type TrustPlan,
  type TrustProblem,
  type TrustState,
} from "../../src/mesh/trust.ts";

const A = "a".repeat(64);
const B = "b".repeat(64);
const given = { sha256: A };

type Parts = Omit<TrustState, "cluster">;
const fresh: Parts = { controlPlane: false };
const cacerts = (rootSha256: string, ours = false): Parts => ({
  controlPlane: false,
  cacerts: { rootSha256, problems: [], ours },
});
const ours = (rootSha256: string) => cacerts(rootSha256, true);
/** A control plane that runs on its `cacerts`. */
const live = (rootSha256: string, mine = false): Parts => ({
  ...cacerts(rootSha256, mine),
  controlPlane: true,
  inEffect: { rootSha256 },
});
const selfSigned = (rootSha256: string): Parts => ({
  controlPlane: true,
  selfSigned: { rootSha256 },
  inEffect: { rootSha256 },
});
/** What an uninstalled control plane leaves behind. */
const leftover = (rootSha256: string): Parts => ({ ...selfSigned(rootSha256), controlPlane: false });
/** An `Istio` resource whose istiod has not started yet. */
const starting: Parts = { controlPlane: true };
/** An istiod whose root cannot be read, for another CA signs, or it has just started. */
const hidden: Parts = { controlPlane: true, running: true };

const clusters = (...parts: Parts[]): TrustState[] => parts.map((part, i) => ({ cluster: `c${i + 1}`, ...part }));

function plan(mode: TrustMode, provided: typeof given | undefined, ...parts: Parts[]): TrustPlan {
  const decision = decideTrust(mode, provided, clusters(...parts), "istio-system");
  if ("problems" in decision) throw new Error(decision.problems.map(({ cause }) => cause).join("\n"));
  return decision;
}

function problems(mode: TrustMode, provided: typeof given | undefined, ...parts: Parts[]): readonly TrustProblem[] {
  const decision = decideTrust(mode, provided, clusters(...parts), "istio-system");
  if (!("problems" in decision)) throw new Error(`unexpected plan: ${JSON.stringify(decision)}`);
  expect(decision.problems.every(({ hint }) => hint)).toBe(true);
  return decision.problems;
}

const existing = { source: "existing", rootSha256: A, issueFor: [], keepFor: ["c1", "c2"] };
const generated = { source: "generated", issueFor: ["c1", "c2"], keepFor: [] };
const provided = (issueFor: string[], keepFor: string[]) => ({ source: "provided", rootSha256: A, issueFor, keepFor });

describe("plans", () => {
  test.each<[string, TrustMode, typeof given | undefined, Parts[], object]>([
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
      [{ controlPlane: true, inEffect: { rootSha256: A } }, live(A)],
      existing,
    ],
    ["existing: a copied istio-ca-secret", "existing", undefined, [selfSigned(A), leftover(A)], existing],
    ["provided: fresh", "provided", given, [fresh, fresh], provided(["c1", "c2"], [])],
    ["provided: one has it", "provided", given, [live(A), fresh], provided(["c2"], ["c1"])],
    ["provided: all have it", "provided", given, [live(A), cacerts(A)], provided([], ["c1", "c2"])],
    ["provided: Istio resource, no istiod yet", "provided", given, [starting, fresh], provided(["c1", "c2"], [])],
    ["provided: a control plane that is gone", "provided", given, [leftover(B), fresh], provided(["c1", "c2"], [])],
    ["generate: fresh", "generate", undefined, [fresh, fresh], generated],
    ["generate: a re-run", "generate", undefined, [live(A, true), live(A, true)], existing],
    ["generate: interrupted", "generate", undefined, [ours(A), fresh], generated],
    ["generate: interrupted twice", "generate", undefined, [ours(A), ours(B)], generated],
    ["generate: all written, no control plane yet", "generate", undefined, [ours(A), ours(A)], existing],
    ["generate: a control plane that is gone", "generate", undefined, [leftover(A), leftover(B)], generated],
    ["auto: all have one", "auto", undefined, [live(A), live(A)], existing],
    ["auto: all have the one given", "auto", given, [live(A), live(A)], existing],
    ["auto: some have the one given", "auto", given, [live(A), fresh], provided(["c2"], ["c1"])],
    ["auto: none has one, one given", "auto", given, [fresh, fresh], provided(["c1", "c2"], [])],
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
    const { warning, ...rest } = plan("auto", given, live(B), live(B));
    expect(rest).toEqual({ ...existing, rootSha256: B });
    expect(warning).toMatch(`SHA-256 ${B}`);
    expect(warning).toMatch(`SHA-256 ${A}`);
  });
});

describe("problems", () => {
  test.each<[string, TrustMode, typeof given | undefined, Parts[], [string | undefined, RegExp][]]>([
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
      [[undefined, new RegExp(`c1, c3: SHA-256 ${A}; c2: SHA-256 ${B}\\.`)]],
    ],
    [
      "existing: self-signed",
      "existing",
      undefined,
      [selfSigned(A), selfSigned(B)],
      [[undefined, new RegExp(`c1: SHA-256 ${A} \\(made by istiod itself\\); c2: SHA-256 ${B} \\(made`)]],
    ],
    ["provided: not given", "provided", undefined, [fresh, fresh], [[undefined, /none was given/]]],
    [
      "provided: another in effect",
      "provided",
      given,
      [live(A), live(B)],
      [["c2", new RegExp(`SHA-256 ${B}\\) is not the one in ca-root-cert \\(SHA-256 ${A}\\)`)]],
    ],
    ["provided: self-signed", "provided", given, [selfSigned(B), fresh], [["c1", /made by istiod itself/]]],
    ["provided: ours, but another", "provided", given, [ours(B), fresh], [["c1", /is not the one in ca-root-cert/]]],
    ["generate: one has one", "generate", undefined, [live(A, true), fresh], [["c2", /its key was not kept/]]],
    [
      "generate: interrupted, but a control plane exists",
      "generate",
      undefined,
      [ours(A), starting],
      [["c2", new RegExp(`c1 \\(SHA-256 ${A}\\)`)]],
    ],
    ["generate: not ours", "generate", undefined, [cacerts(A), fresh], [["c2", /its key was not kept/]]],
    [
      "generate: two roots",
      "generate",
      undefined,
      [live(A, true), ours(B)],
      [[undefined, /do not have the same root/]],
    ],
    ["auto: one has one", "auto", undefined, [live(A), fresh], [["c2", /has no root of trust, while others have one/]]],
    ["auto: two roots", "auto", undefined, [live(A), live(B)], [[undefined, /do not have the same root/]]],
    [
      "auto: two roots that are not ours, nothing running",
      "auto",
      undefined,
      [cacerts(A), cacerts(B)],
      [[undefined, /do not have the same root/]],
    ],
    ["auto: self-signed", "auto", undefined, [selfSigned(A), selfSigned(B)], [[undefined, /made by istiod itself/]]],
    ["auto: one self-signed", "auto", undefined, [selfSigned(A), fresh], [["c2", /while others have one/]]],
    [
      "auto: some have another than the one given",
      "auto",
      given,
      [live(B), fresh],
      [["c1", /is not the one in ca-root-cert/]],
    ],
    [
      "auto: interrupted before, and a root is given now",
      "auto",
      given,
      [ours(A), ours(B)],
      [["c2", /is not the one in ca-root-cert/]],
    ],
  ])("%s", (_, mode, root, parts, wanted) => {
    const found = problems(mode, root, ...parts);
    expect(found.map(({ cluster }) => cluster)).toEqual(wanted.map(([cluster]) => cluster));
    for (const [i, [, cause]] of wanted.entries()) expect(found[i]?.cause).toMatch(cause);
  });

  test.each<[TrustMode, typeof given | undefined, Parts]>([
    ["existing", undefined, live(A)],
    ["provided", given, fresh],
    ["generate", undefined, fresh],
    ["auto", undefined, fresh],
    ["auto", given, live(A)],
    ["auto", undefined, hidden],
  ])("%s: nothing is issued beside a control plane whose root cannot be read", (mode, root, other) => {
    const found = problems(mode, root, hidden, other);
    expect(found.map(({ cluster }) => cluster)).toEqual(other === hidden ? ["c1", "c2"] : ["c1"]);
    expect(found[0]?.cause).toMatch(/^An istiod runs, and its root of trust cannot be read/);
  });

  const late: Parts = { ...live(A), inEffect: { rootSha256: B } };
  test.each<TrustMode>(["existing", "provided", "generate", "auto"])(
    "%s: cacerts added after istiod started",
    (mode) => {
      const [problem, ...others] = problems(mode, given, late, live(B));
      expect(others).toEqual([]);
      expect(problem?.cluster).toBe("c1");
      expect(problem?.cause).toMatch(new RegExp(`${A}.*${B}.*after istiod started`));
      expect(problem?.hint).toContain("kubectl -n istio-system rollout restart deployment -l app=istiod");
    },
  );

  test.each<TrustMode>(["existing", "provided", "generate", "auto"])("%s: cacerts that cannot be used", (mode) => {
    const broken: Parts = {
      controlPlane: false,
      cacerts: { problems: ["ca-key.pem is missing.", "It expired."], ours: false },
    };
    expect(problems(mode, given, broken, fresh).map(({ cluster, cause }) => [cluster, cause])).toEqual([
      ["c1", "The Secret istio-system/cacerts cannot be used: ca-key.pem is missing."],
      ["c1", "The Secret istio-system/cacerts cannot be used: It expired."],
    ]);
  });

  test("a refusal shows the steps of a safe change, in the mesh's namespace", () => {
    const hintFor = (...parts: Parts[]) => {
      const decision = decideTrust("provided", given, clusters(...parts), "mesh");
      return "problems" in decision ? decision.problems[0]?.hint : undefined;
    };
    expect(hintFor(live(B))).toMatch(
      /1\. in every cluster's Secret mesh\/cacerts.*the new one together in root-cert\.pem.*2\. .*3\. /,
    );
    expect(hintFor(live(B))).not.toContain("istio-ca-secret");
    expect(hintFor(selfSigned(B))).toContain("istio-ca-secret");
    expect(hintFor(cacerts(B))).toContain("kubectl -n mesh delete secret cacerts");
  });
});

describe("a plan needs every cluster of the mesh", () => {
  test.each<[string, boolean, TrustMode, typeof given | undefined, Parts[]]>([
    ["where a root is generated", true, "auto", undefined, [fresh, fresh]],
    ["where one was, and no control plane relies on it yet", true, "auto", undefined, [ours(A), ours(A)]],
    ["not once a control plane does", false, "auto", undefined, [live(A, true), ours(A)]],
    ["not with a root that is provided", false, "provided", given, [fresh, fresh]],
    ["not with one that was", false, "auto", given, [ours(A), ours(A)]],
    ["not with somebody else's", false, "existing", undefined, [cacerts(A), cacerts(A)]],
  ])("%s", (_, expected, mode, root, parts) => {
    expect(needsEveryCluster(plan(mode, root, ...parts), root, clusters(...parts))).toBe(expected);
  });
});
