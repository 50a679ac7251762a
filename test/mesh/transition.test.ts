import { describe, expect, test } from "vitest";
import { changeOf, type FoundControlPlane, minorsUp, type Transition, upgrade } from "../../src/mesh/transition.ts";

/** A control plane as the Sail Operator installs it; `undefined`: there is none. */
function found(version: string | undefined, more: Partial<FoundControlPlane> = {}): Omit<FoundControlPlane, "cluster"> {
  return { runs: version !== undefined, version, declared: version, byRevision: false, ...more };
}

interface Question {
  readonly asked?: string;
  readonly installer?: "sail" | "istioctl" | "existing";
  readonly mayDowngrade?: boolean;
  readonly missing?: readonly string[];
}

function ask(clusters: readonly Omit<FoundControlPlane, "cluster">[], question: Question = {}) {
  const { asked, installer = "sail", mayDowngrade = false, missing = [] } = question;
  const named = clusters.map((each, i) => ({ ...each, cluster: `c${i + 1}` }));
  return upgrade({ installer, asked, mayDowngrade }, named, missing);
}

const brief = ({ what, course }: Transition) => `${what} ${course}`;
const told = (...question: Parameters<typeof ask>) => {
  const { version, transitions } = ask(...question);
  return [version, ...transitions.map(brief)];
};

describe("from a version to another", () => {
  test.each<[string | undefined, string, string]>([
    ["1.31.0", "1.31.0", "same"],
    ["1.31.0-lab", "1.31.0-lab", "same"],
    // A vendor's build of the very version; but a release is not what came before it.
    ["1.28.3-asm-r0", "1.28.3", "same"],
    ["1.30.0-rc.1", "1.30.0", "patch"],
    ["1.28.3-asm-r0", "1.28.3-asm-r2", "patch"],
    ["1.30.0", "1.30.3", "patch"],
    ["1.9.9", "1.10.0", "minor-up"],
    ["1.31.0-lab", "1.32.0-lab", "minor-up"],
    ["1.28.3-asm-r0", "1.29.1", "minor-up"],
    ["1.30.3", "1.30.2", "downgrade"],
    ["1.32.0", "1.31.9", "downgrade"],
    ["1.32.0", "1.26.3", "downgrade"],
    ["1.29.2", "1.31.0", "skip"],
    ["1.31.0", "2.0.0", "skip"],
    ["2.0.0", "1.31.0", "downgrade"],
    // A line is known by its minor, not by its patch.
    ["1.30-latest", "1.30.3", "unknown"],
    ["1.30-latest", "1.31.0", "minor-up"],
    ["1.31-alpha.0123abcd", "1.31.0", "unknown"],
    ["latest", "1.31.0", "unknown"],
    ["master-2026", "1.31.0", "unknown"],
    [undefined, "1.31.0", "unknown"],
  ])("%s to %s is %s", (from, to, what) => {
    expect(changeOf(from, to, false)).toBe(what);
  });

  test("two minors up are a step where the new control plane comes beside the old one", () => {
    expect([changeOf("1.29.0", "1.31.0", true), changeOf("1.28.0", "1.31.0", true)]).toEqual(["minor-up", "skip"]);
  });

  test.each([
    ["1.30.1", "1.32.0", 2],
    ["1.32.0", "v1.31-latest", -1],
    ["latest", "1.31.0", undefined],
  ])("minors from %s to %s: %s", (from, to, minors) => {
    expect(minorsUp(from, to)).toBe(minors);
  });
});

describe("a mesh", () => {
  test.each<[string, Parameters<typeof ask>, string[]]>([
    ["that is new gets the usual version", [[found(undefined), found(undefined)]], ["1.26.3", "fresh go", "fresh go"]],
    ["that is new gets the version asked for", [[found(undefined)], { asked: "1.30.3" }], ["1.30.3", "fresh go"]],
    ["keeps what runs", [[found("1.32.0-lab"), found("1.32.0-lab")]], ["1.32.0-lab", "same go", "same go"]],
    ["gives a cluster that joins what runs", [[found("1.32.0"), found(undefined)]], ["1.32.0", "same go", "fresh go"]],
    [
      "goes up cluster by cluster, and those that join at once",
      [[found("1.31.0"), found(undefined), found("1.31.0")], { asked: "1.32.0" }],
      ["1.32.0", "minor-up wave", "fresh go", "minor-up wave"],
    ],
    [
      "goes up by a patch in the same way",
      [[found("1.31.0"), found("1.31.0")], { asked: "1.31.4" }],
      ["1.31.4", "patch wave", "patch wave"],
    ],
    [
      "goes on where an upgrade was interrupted",
      [[found("1.32.0"), found("1.31.0"), found("1.31.0")], { asked: "1.32.0" }],
      ["1.32.0", "same go", "minor-up wave", "minor-up wave"],
    ],
    [
      "goes on to the newest that runs, unless asked otherwise",
      [[found("1.31.0"), found("1.32.0")]],
      ["1.32.0", "minor-up wave", "same go"],
    ],
    [
      "waits for a control plane that is on its way",
      [[found("1.31.0", { declared: "1.32.0" }), found("1.31.0")]],
      ["1.32.0", "minor-up wave", "minor-up wave"],
    ],
    [
      "is not downgraded",
      [[found("1.32.0"), found("1.32.0")], { asked: "1.31.0" }],
      ["1.31.0", "downgrade refused", "downgrade refused"],
    ],
    [
      "is downgraded cluster by cluster where that is wanted",
      [[found("1.32.0"), found("1.32.0")], { asked: "1.31.0", mayDowngrade: true }],
      ["1.31.0", "downgrade wave", "downgrade wave"],
    ],
    [
      "is not downgraded by two minors whatever is wanted",
      [[found("1.32.0")], { asked: "1.30.0", mayDowngrade: true }],
      ["1.30.0", "downgrade refused"],
    ],
    [
      "does not skip a minor, whatever is wanted",
      [[found("1.29.0"), found("1.31.0")], { asked: "1.31.0", mayDowngrade: true }],
      ["1.31.0", "skip refused", "same go"],
    ],
    [
      "skips one by revisions",
      [[found("1.29.0", { byRevision: true })], { asked: "1.31.0" }],
      ["1.31.0", "minor-up wave"],
    ],
    [
      "whose version cannot be told stays as it is",
      [[found("latest", { declared: undefined })], { asked: "1.31.0" }],
      ["1.31.0", "unknown refused"],
    ],
    [
      "whose patch cannot be told can be said to be wanted at another",
      [[found(undefined, { runs: true, declared: "1.31-latest" })], { asked: "1.31.0", mayDowngrade: true }],
      ["1.31.0", "unknown wave"],
    ],
    [
      "that follows a line goes on with it",
      [[found("1.31.2", { declared: "1.31-latest" }), found(undefined)]],
      ["1.31.2", "same go", "fresh go"],
    ],
    [
      "that follows a line whose patch is not told goes on with it, too",
      [[found(undefined, { runs: true, declared: "1.31-latest" }), found(undefined)]],
      ["1.31-latest", "same go", "fresh go"],
    ],
    [
      "whose values name another image is asked nothing new",
      [[found("1.26.4", { declared: "1.26.3" })], { asked: "1.26.3" }],
      ["1.26.3", "same go"],
    ],
    [
      "that never came up can have any version",
      [[found(undefined, { declared: "1.26.3" })], { asked: "1.30.3" }],
      ["1.30.3", "fresh go"],
    ],
    [
      "of others is left alone",
      [[found("1.32.0"), found("latest", { declared: undefined })], { asked: "1.30.0", installer: "existing" }],
      ["1.30.0", "left go", "left go"],
    ],
  ])("%s", (_, question, expected) => {
    expect(told(...question)).toEqual(expected);
  });

  test("says why it has the version that nobody asked for", () => {
    const chosen = (...clusters: Omit<FoundControlPlane, "cluster">[]) => ask(clusters).chosen;
    expect(chosen(found(undefined))).toBe("`istio-version` is not set and no control plane runs: it is 1.26.3.");
    expect(chosen(found("1.32.0"), found(undefined))).toBe("`istio-version` is not set: it is 1.32.0, which runs.");
    expect(chosen(found("1.32.0"), found("1.31.0"))).toBe(
      "`istio-version` is not set: it is 1.32.0, the newest that runs.",
    );
    expect(ask([found("1.32.0")], { asked: "1.32.0" }).chosen).toBeUndefined();
  });

  test("writes the name of the line that a resource follows, unless a version was asked for", () => {
    const follows = found("1.31.2", { declared: "1.31-latest" });
    const writes = (...question: Parameters<typeof ask>) => ask(...question).transitions.map((each) => each.writes);
    expect(writes([follows, found(undefined)])).toEqual(["1.31-latest", "1.31.2"]);
    expect(writes([follows], { asked: "1.31.2" })).toEqual(["1.31.2"]);
    expect(writes([follows, found("1.32.0")])).toEqual(["1.32.0", "1.32.0"]);
  });
});

describe("a refusal", () => {
  const refused = (...question: Parameters<typeof ask>) => ask(...question).refusals;

  test("of a downgrade names the clusters once, what would be, and both ways out", () => {
    const [only, ...more] = refused([found("1.32.0"), found("1.32.0")], { asked: "1.31.0" });
    expect(more).toEqual([]);
    expect(only?.clusters).toEqual(["c1", "c2"]);
    expect(only?.refused).toMatch(/^c1, c2 run Istio 1\.32\.0: with 1\.31\.0, istiod would be older than the proxies/);
    expect(only?.hint).toMatch(/Leave `istio-version` out.*`allow-downgrade: true`/);
  });

  test("of a patch back says what is lost", () => {
    const [only] = refused([found("1.30.3")], { asked: "1.30.1" });
    expect(only?.refused).toBe("c1 runs Istio 1.30.3: 1.30.1 is an older patch, without what was mended since.");
  });

  test.each([
    ["1.28.0", "1.31.0", "3 minor versions before 1.31.0", "Go by way of 1.29, then 1.30, then 1.31.0, a run for each"],
    ["1.32.0", "1.30.0", "2 minor versions after 1.30.0", "Go by way of 1.31, then 1.30.0, a run for each"],
    ["1.32.0", "2.0.0", "a major version before 2.0.0", "Go by way of 2.0.0, a run for each"],
  ])("of going from %s to %s has the ladder, and no input for it", (from, to, far, ladder) => {
    const [only] = refused([found(from)], { asked: to, mayDowngrade: true });
    expect(only?.refused).toContain(far);
    expect(only?.hint).toContain(ladder);
    expect(only?.hint).not.toContain("allow-downgrade");
  });

  test("of what cannot be told says where it was looked for", () => {
    const [only] = refused([found("nightly", { declared: undefined })], { asked: "1.31.0", mayDowngrade: true });
    expect(only?.refused).toMatch(/^Which Istio runs in c1 cannot be told.*tag of istiod's image.*label of its charts/);
  });

  test("tells of different versions each", () => {
    expect(refused([found("1.32.0"), found("1.33.0")], { asked: "1.31.0" }).map(({ clusters }) => clusters)).toEqual([
      ["c1"],
      ["c2"],
    ]);
  });

  test("of another minor while a cluster cannot be looked at; a patch, or none at all, is no matter", () => {
    const missing = ["c9"];
    const [only] = refused([found("1.31.0")], { asked: "1.32.0", missing });
    expect(only?.refused).toMatch(/^c1 would go from Istio 1\.31\.0 to 1\.32\.0 while it is not known what runs in c9/);
    expect(refused([found("1.31.0")], { asked: "1.31.2", missing })).toEqual([]);
    expect(refused([found("1.31.0")], { missing })).toEqual([]);
    expect(refused([found(undefined)], { asked: "1.31.0", missing })).toEqual([]);
  });

  test("of the usual version where one that cannot be looked at may have another", () => {
    expect(refused([found(undefined)], { missing: ["c9"] })[0]?.hint).toMatch(/^Set `istio-version`/);
    expect(refused([found(undefined)], { missing: ["c9"], installer: "existing" })).toEqual([]);
  });
});
