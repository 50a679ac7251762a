import { describe, expect, test } from "vitest";
import { decideHub, type HubQuestion, hubIn, hubOf, isRetired, retirement } from "../../src/mesh/images.ts";

test.each([
  ["gcr.io/istio-release/pilot:1.26.3", "gcr.io/istio-release", true],
  ["registry.istio.io/release/proxyv2@sha256:01", "registry.istio.io/release", true],
  ["docker.io/istio/pilot:1.31.3", "docker.io/istio", false],
  ["registry.example:5000/gcr.io/istio-release/pilot:1", "registry.example:5000/gcr.io/istio-release", false],
  ["pilot:1.31.3", undefined, false],
  [undefined, undefined, false],
])("the hub of %s is %s", (image, hub, retired) => {
  expect(hubOf(image)).toBe(hub);
  expect(isRetired(hub)).toBe(retired);
});

test("the day is said as it is before and after it", () => {
  expect(retirement(new Date("2026-12-31T23:59:59Z"))).toBe(
    "is switched off in December 2026 and gone from 2027-01-01 on",
  );
  expect(retirement(new Date("2027-01-01T00:00:00Z"))).toBe(
    "was switched off in December 2026 and is gone since 2027-01-01",
  );
});

test.each([
  [{ global: { hub: "a" } }, "a"],
  [{ global: { hub: "" } }, undefined],
  [{ global: "x" }, undefined],
  [undefined, undefined],
])("what %j names", (values, hub) => expect(hubIn(values)).toBe(hub));

describe("where the images are to come from", () => {
  const fresh: HubQuestion = { wanted: "auto", given: undefined, applied: undefined, same: false, would: undefined };
  const GCR = "gcr.io/istio-release";
  const LASTS = "docker.io/istio";
  const MINE = "registry.example/istio";
  test.each<[string, Partial<HubQuestion>, string | undefined, RegExp]>([
    ["a name is for all", { wanted: MINE, applied: GCR, would: GCR, same: true }, MINE, /as `image-hub` says/],
    [
      "new, from a registry that goes",
      { would: GCR },
      LASTS,
      /would come from gcr\.io\/istio-release, which .* docker\.io\/istio is set/,
    ],
    [
      "new, from one that stays",
      { would: "quay.io/vendor" },
      undefined,
      /come from quay\.io\/vendor, as the installer/,
    ],
    ["new, from where nobody knows", {}, undefined, /is not known before/],
    ["new, by an operator that is not there yet", { fallback: LASTS }, LASTS, /has those of every version/],
    ["new, by one that is known to have what goes", { fallback: LASTS, would: GCR }, LASTS, /is set in its place/],
    ["the user's own word", { given: MINE, would: GCR }, undefined, /as the values say\.$/],
    [
      "there already, from what goes: nothing is rolled",
      { same: true, would: GCR },
      undefined,
      /as they do|where they do now/,
    ],
    [
      "there already, by an earlier run's word",
      { same: true, applied: LASTS, would: GCR },
      LASTS,
      /come from docker\.io\/istio, as they do now/,
    ],
    [
      "there already, without a resource that would say",
      { same: true, running: MINE, would: GCR },
      MINE,
      /as they do now/,
    ],
    ["an upgrade, from what goes", { applied: GCR, would: MINE }, LASTS, /is set in its place/],
    ["an upgrade, with pins to what goes", { would: "registry.istio.io/release" }, LASTS, /is set in its place/],
    [
      "an upgrade, of a registry of one's own",
      { applied: MINE, would: GCR },
      MINE,
      /as the resource that is there says/,
    ],
    [
      "the plugin goes with the mesh's own registry",
      { would: GCR, instead: MINE },
      MINE,
      /registry\.example\/istio is set/,
    ],
  ])("%s", (_, question, hub, evidence) => {
    const decided = decideHub({ ...fresh, ...question }, new Date("2026-12-01T00:00:00Z"));
    expect(decided.hub).toBe(hub);
    expect(decided.evidence).toMatch(evidence);
    expect(decided.warning).toBeUndefined();
  });

  test("a word of the user's that names what goes is kept, and warned of", () => {
    const decided = decideHub({ ...fresh, given: GCR });
    expect(decided).not.toHaveProperty("hub");
    expect(decided.warning).toMatch(
      /^The values name gcr\.io\/istio-release, which .*; docker\.io\/istio has the same images\.$/,
    );
  });
});
