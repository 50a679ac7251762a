import { describe, expect, test } from "vitest";
import { CHECKS, type CheckId } from "../../src/mesh/catalogue.ts";
import { explained, rootCauses } from "../../src/mesh/causes.ts";
import type { Verdict } from "../../src/mesh/phases.ts";
import type { Check, CheckRef, Subject } from "../../src/mesh/report.ts";

/** A check that did not pass, unless told otherwise. */
function check(id: CheckId, subject: Subject, more: Partial<Check> = {}): Check {
  const { category, phase } = CHECKS[id];
  return { id, category, phase, subject, verdict: "failed", evidence: "", readings: [], cause: `${id}.`, ...more };
}

const A = { cluster: "a" };
const B = { cluster: "b" };
const C = { cluster: "c" };
const MESH = {};
/** `a` reads `b`; `a` calls `b`. */
const READS = { observer: "a", target: "b" };
const CALLS = { source: "a", target: "b" };

/** What a check points to, among others. */
function because(of: Check, ...others: Check[]): CheckRef | undefined {
  return explained([...others, of]).at(-1)?.because;
}

describe("a request that is not answered is explained by", () => {
  test.each<[string, CheckId, Subject]>([
    ["the target's gateway that does not run", "gateway.deployment", B],
    ["the target's gateway without an address", "gateway.address", B],
    ["services that the target does not expose", "gateway.exposure", B],
    ["the target's gateway with another network's label", "gateway.network", B],
    ["the source's istiod", "control-plane.istiod", A],
    ["the target's istiod", "control-plane.istiod", B],
    ["the source's API server", "cluster.api", A],
    ["the target's API server", "cluster.api", B],
    ["the source's probe", "traffic.probe", A],
    ["the target's probe", "traffic.probe", B],
    ["different roots", "trust.same-root", MESH],
    ["different trust domains", "control-plane.trust-domain", MESH],
    ["different cluster domains", "control-plane.cluster-domain", MESH],
    ["the source's root", "trust.root", A],
    ["the target's CA that is not in effect", "trust.in-effect", B],
    ["no remote secret for the target", "remote.secret", READS],
    ["a remote secret that leads elsewhere", "remote.kubeconfig", READS],
    ["a token that the target refuses", "remote.token", READS],
    ["a target that may not be read", "remote.reader", B],
    ["a target that was not read", "remote.synced", READS],
    ["the source's identity", "control-plane.identity", A],
    ["the target's network label", "control-plane.network", B],
  ])("%s", (_, id, subject) => {
    expect(because(check("pair.request", CALLS), check(id, subject))).toEqual({ id, subject });
  });
});

describe("it is not explained by", () => {
  test.each<[string, Check]>([
    ["a gateway that is not on its way", check("gateway.deployment", A)],
    ["what is wrong in a third cluster", check("control-plane.istiod", C)],
    ["the way back", check("remote.secret", { observer: "b", target: "a" })],
    ["the way back's requests", check("pair.request", { source: "b", target: "a" })],
    ["what passed", check("gateway.deployment", B, { verdict: "passed" })],
    ["what was skipped", check("gateway.deployment", B, { verdict: "skipped" })],
    ["what could not be looked at", check("gateway.deployment", B, { verdict: "unknown" })],
    ["a root that differs elsewhere", check("trust.same-root", MESH, { clusters: ["c"] })],
    ["what is left over", check("leftover.objects", B)],
    ["a stranger's remote secret", check("remote.strangers", A)],
  ])("%s", (_, other) => {
    expect(because(check("pair.request", CALLS), other)).toBeUndefined();
  });
});

describe("an explanation", () => {
  test.each<[string, Check[], CheckRef]>([
    [
      "is the root of a chain",
      [check("gateway.deployment", B), check("control-plane.istiod", B), check("cluster.api", B)],
      { id: "cluster.api", subject: B },
    ],
    [
      "is the likeliest of several",
      [check("gateway.exposure", B), check("trust.same-root", MESH)],
      { id: "trust.same-root", subject: MESH },
    ],
    [
      "is the gateway whose last address istiod still holds",
      [check("remote.endpoints", { observer: "a", target: "b" }), check("gateway.address", B)],
      { id: "gateway.address", subject: B },
    ],
    [
      "about the mesh is one where it names a cluster on the way",
      [check("trust.same-root", MESH, { clusters: ["b"] })],
      { id: "trust.same-root", subject: MESH },
    ],
  ])("%s", (_, others, ref) => {
    expect(because(check("pair.request", CALLS), ...others)).toEqual(ref);
  });

  test.each<[Verdict, Verdict, boolean]>([
    ["failed", "failed", true],
    ["failed", "unknown", false],
    ["unknown", "failed", true],
    ["unknown", "unknown", true],
    ["passed", "failed", false],
    ["skipped", "failed", false],
  ])("of a check that is %s by one that is %s: %s", (verdict, cause, is) => {
    const found = because(
      check("gateway.deployment", B, { verdict }),
      check("control-plane.istiod", B, { verdict: cause }),
    );
    expect(found !== undefined).toBe(is);
  });

  test.each<[CheckId]>([
    ["trust.same-root"],
    ["control-plane.versions"],
    ["control-plane.trust-domain"],
    ["control-plane.cluster-domain"],
  ])("of a comparison that could not be made is the cluster that could not be read: %s", (id) => {
    const silent = check("cluster.api", B);
    const more = { verdict: "unknown", clusters: ["b"] } as const;
    expect(because(check(id, MESH, more), silent)).toEqual({ id: "cluster.api", subject: B });
    // What differs, differs all the same.
    expect(because(check(id, MESH, { clusters: ["b"] }), silent)).toBeUndefined();
  });

  test("does not go round in a circle, whatever fails", () => {
    const names = ["a", "b", "c"];
    const pairs = names.flatMap((one) => names.filter((other) => other !== one).map((other) => [one, other] as const));
    const subjects: Subject[] = [
      MESH,
      ...names.map((cluster) => ({ cluster })),
      ...pairs.flatMap(([one, other]) => [
        { observer: one, target: other },
        { source: one, target: other },
      ]),
    ];
    const subjectsOf = (id: CheckId) => {
      const keys =
        id === "pair.request"
          ? "source,target"
          : /^remote\.(secret|kubeconfig|token|synced)$/.test(id)
            ? "observer,target"
            : /same-root|versions|-domain|distinct/.test(id)
              ? ""
              : "cluster";
      return subjects.filter((subject) => Object.keys(subject).join() === keys);
    };
    const ids = (Object.keys(CHECKS) as CheckId[]).filter((id) => !/^(install|preflight)\./.test(id));
    const all = explained(ids.flatMap((id) => subjectsOf(id).map((subject) => check(id, subject))));
    const roots = all.filter((each) => !each.because);
    const isRoot = ({ id, subject }: CheckRef) =>
      roots.some((root) => root.id === id && JSON.stringify(root.subject) === JSON.stringify(subject));
    for (const each of all) if (each.because) expect(isRoot(each.because)).toBe(true);
    expect(roots.filter(({ id }) => id === "cluster.api")).toHaveLength(3);
  });

  test("changes nothing else, and no order", () => {
    const checks = [check("pair.request", CALLS), check("gateway.address", B, { verdict: "passed" })];
    expect(explained(checks)).toEqual(checks);
  });
});

describe("an installation that goes on without a cluster", () => {
  const api = check("preflight.api", B);
  test.each<[string, Check]>([
    ["what is not known of all", check("preflight.distinct", MESH, { verdict: "unknown", clusters: ["b"] })],
    ["a root that is not generated", check("preflight.trust", MESH, { verdict: "unknown", clusters: ["b"] })],
    ["its verification", check("cluster.api", B)],
    ["that there is no remote secret for it", check("remote.secret", READS)],
  ])("has one root cause, which explains %s", (_, of) => {
    expect(because(of, api)).toEqual({ id: "preflight.api", subject: B });
  });

  test("that fell silent midway has it in the verification", () => {
    const [step, observer] = [check("install.istiod", B), check("install.synced", { observer: "b", target: "a" })];
    const all = explained([check("cluster.api", B), step, observer, check("remote.secret", READS)]);
    expect(all.slice(1).map((each) => each.because)).toEqual(Array(3).fill({ id: "cluster.api", subject: B }));
  });

  test("does not blame it for what is wrong elsewhere", () => {
    expect(because(check("install.istiod", A), api)).toBeUndefined();
    expect(because(check("preflight.trust", MESH), api)).toBeUndefined();
  });
});

test("a control plane that is not healthy for istiod is not ready is one finding", () => {
  expect(because(check("install.healthy", A), check("install.istiod", A))).toEqual({
    id: "install.istiod",
    subject: A,
  });
  expect(because(check("install.healthy", A), check("install.istiod", B))).toBeUndefined();
});

test("what an installation found left over is not told again by its verification", () => {
  expect(because(check("remote.strangers", A), check("install.strangers", A))).toEqual({
    id: "install.strangers",
    subject: A,
  });
});

describe("root causes", () => {
  const told = (...checks: Check[]) =>
    rootCauses(explained(checks)).map(({ check, subjects, explains }) => [check.id, subjects, explains.length]);

  test("are what nothing explains, with what they explain", () => {
    const calls = ["a", "c"].map((source) => check("pair.request", { source, target: "b" }));
    expect(told(...calls, check("gateway.deployment", B))).toEqual([["gateway.deployment", [B], 2]]);
  });

  test("are one where the same is wrong in several places", () => {
    expect(told(...[A, B, C].map((subject) => check("gateway.exposure", subject)))).toEqual([
      ["gateway.exposure", [A, B, C], 0],
    ]);
  });

  test.each<[string, Partial<Check>]>([
    ["cause", { cause: "Another." }],
    ["hint", { hint: "Another." }],
    ["verdict", { verdict: "unknown" }],
  ])("are two where they differ in their %s", (_, more) => {
    expect(told(check("gateway.exposure", A), check("gateway.exposure", B, more))).toHaveLength(2);
  });

  test("of several places count together what they explain", () => {
    const calls = [CALLS, { source: "b", target: "a" }].map((subject) => check("pair.request", subject));
    expect(told(check("gateway.deployment", A), check("gateway.deployment", B), ...calls)).toEqual([
      ["gateway.deployment", [A, B], 2],
    ]);
  });

  test("that failed come first, then those that explain most", () => {
    const order = told(
      check("cluster.api", C, { verdict: "unknown" }),
      check("gateway.deployment", C, { verdict: "unknown" }),
      check("leftover.objects", A),
      check("gateway.address", B),
      check("pair.request", CALLS),
    );
    expect(order).toEqual([
      ["gateway.address", [B], 1],
      ["leftover.objects", [A], 0],
      ["cluster.api", [C], 1],
    ]);
  });

  test("that kept several checks of a cluster from being made are told once for each cluster", () => {
    const hidden = { verdict: "unknown", cause: "It may not be read." } as const;
    const of = (subject: Subject) => [
      check("control-plane.identity", subject, hidden),
      check("gateway.address", subject, hidden),
    ];
    const order = told(
      ...of(A),
      ...of(B),
      check("gateway.exposure", A, { ...hidden, verdict: "failed" }),
      check("gateway.network", A, { ...hidden, cause: "Another." }),
    );
    expect(order).toEqual([
      ["gateway.exposure", [A], 0],
      ["control-plane.identity", [A, B], 2],
      ["gateway.network", [A], 0],
    ]);
  });

  test("are none where all passed or was skipped", () => {
    expect(
      told(check("gateway.address", A, { verdict: "passed" }), check("trust.cacerts", A, { verdict: "skipped" })),
    ).toEqual([]);
  });
});
