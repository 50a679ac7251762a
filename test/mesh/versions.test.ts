import { describe, expect, test } from "vitest";
import { dayOf, type Known, linesOf, merged, operatorOf, told } from "../../scripts/versions.ts";
import known from "../../src/mesh/versions/known.json" with { type: "json" };
import {
  compareVersions,
  defectOf,
  installs,
  installsText,
  istioLine,
  isUpstreamOperator,
  newestOperator,
  operatorFor,
  operatorRelease,
  operatorsFor,
  operatorVersion,
} from "../../src/mesh/versions.ts";

// Which operator installs which Istio: from the operator's version list at its tags.
const INSTALLS: [operator: string, istio: string[], not: string[]][] = [
  ["1.26.3", ["1.24.0", "1.25.2", "1.26.3"], ["1.23.6", "1.26.4", "1.27.0"]],
  ["1.27.3", ["1.24.0", "1.27.3"], ["1.23.6", "1.27.4", "1.28.0"]],
  ["1.28.3", ["1.26.3", "1.28.3", "v1.26.8"], ["1.25.2", "1.28.4", "1.29.0"]],
  ["1.29.2", ["1.27.3", "1.29.2"], ["1.26.3", "1.30.0"]],
  ["1.30.0", ["1.28.7", "1.29.3", "1.30.0"], ["1.30.1", "1.29.4"]],
  ["1.30.3", ["1.28.10", "1.29.6", "1.30.3", "v1.30-latest"], ["1.26.3", "1.27.3", "1.30.4", "v1.26-latest"]],
  ["1.31.2", ["1.29.10", "1.30.7", "1.31.3"], ["1.28.10", "1.31.4", "1.32.0"]],
];

describe.each(INSTALLS)("operator %s", (operator, wanted, not) => {
  const release = operatorRelease(operator) as NonNullable<ReturnType<typeof operatorRelease>>;
  test.each(wanted)("installs %s", (version) => expect(installs(release, version)).toBe(true));
  test.each(not)("does not install %s", (version) => expect(installs(release, version)).toBe(false));
});

test.each(["1.30.1", "1.30.7", "1.31.3", "1.20.0", "2.0.0", "1.28.3-asm-r0", "latest"])(
  "there is no release %s of upstream's operator",
  (version) => expect(operatorRelease(version)).toBeUndefined(),
);

test("what a release installs is told by its lines", () => {
  expect(installsText(operatorRelease("1.30.0")!)).toBe("1.28.0 to 1.28.7, 1.29.0 to 1.29.3, 1.30.0");
});

test.each([
  ["quay.io/sail-dev/sail-operator:1.30.3", "1.30.3", true],
  ["registry.example:5000/mirror/sail-operator:v1.30.3", "1.30.3", true],
  ["quay.io/sail-dev/sail-operator:1.30.3@sha256:0123", "1.30.3", true],
  ["registry.redhat.io/openshift-service-mesh/istio-sail-operator-rhel9:1.30.3", "1.30.3", false],
  ["registry.alauda.cn:60070/asm/sail-operator:1.28.3-asm-r0", "1.28.3-asm-r0", true],
  ["registry.example:5000/servicemesh-operator2", undefined, false],
  ["registry.redhat.io/openshift-service-mesh/istio-rhel9-operator@sha256:0123", undefined, false],
  ["quay.io/sail-dev/sail-operator@sha256:0123", undefined, false],
  ["quay.io/sail-dev/sail-operator:latest", undefined, true],
  ["quay.io/sail-dev/sail-operator", undefined, false],
  ["", undefined, false],
])("the version of %j is %s", (image, version, upstream) => {
  expect(operatorVersion(image)).toBe(version);
  expect(isUpstreamOperator(image)).toBe(upstream);
});

test.each([
  ["1.24.6", "1.26.0 to 1.27.3"],
  ["1.26.3", "1.26.3 to 1.28.3"],
  ["1.28.10", "1.30.3"],
  ["1.23.6", undefined],
  ["1.31.4", undefined],
  ["2.0.0", undefined],
])("%s is installed by operators %s", (istio, operators) => {
  expect(operatorsFor(istio)).toBe(operators);
});

test.each([
  ["1.24.6", "1.27.3"],
  ["1.26.3", "1.28.3"],
  ["1.27.3", "1.29.2"],
  ["1.28.10", "1.30.3"],
  ["1.29.6", "1.31.2"],
  ["1.29.10", "1.31.2"],
  ["1.30.3", "1.31.2"],
  ["1.30.7", "1.31.2"],
  ["1.31.3", "1.31.2"],
  // Nothing is made up: there may never be an operator of that number.
  ["1.30.8", undefined],
  ["1.32.0", undefined],
  ["1.23.6", undefined],
])("to install %s, operator %s is taken", (istio, operator) => {
  expect(operatorFor(istio)).toBe(operator);
});

test.each([
  ["1.30.0", true],
  ["v1.30.3", true],
  ["1.30.3-asm-r1", true],
  ["1.30.4", false],
  ["1.30.10", false],
  ["1.29.3", false],
  ["1.31.0", false],
  ["v1.30-latest", false],
  [undefined, false],
])("of %s, that a changed remote secret loses endpoints is known: %s", (version, has) => {
  expect(defectOf(version, "remote-secret-change") !== undefined).toBe(has);
});

test.each([
  ["1.26.3", "2025-12-22"],
  ["v1.28-latest", "2026-07-01"],
  ["1.31.3", undefined],
  ["1.99.0", undefined],
])("the line of %s ends on %s", (version, end) => expect(istioLine(version)?.end).toBe(end));

describe("the data", () => {
  const minorsOf = (patches: object) => Object.keys(patches);
  test("has the shape that is read, in order", () => {
    const versions = known.operators.map(({ version }) => version);
    expect(versions).toEqual([...new Set(versions)].toSorted(compareVersions));
    for (const { version, installs, endOfLife } of known.operators) {
      expect(version).toMatch(/^1\.\d+\.\d+$/);
      expect(minorsOf(installs).length, version).toBeGreaterThan(0);
      for (const patches of [...Object.values(installs), ...Object.values(endOfLife)]) {
        expect(patches, version).toEqual([...new Set(patches)].toSorted((a, b) => a - b));
        expect(patches.length, version).toBeGreaterThan(0);
      }
      // No version is both.
      expect(minorsOf(installs).filter((minor) => minorsOf(endOfLife).includes(minor))).toEqual([]);
    }
    for (const { minor, kubernetes, ...rest } of known.istio) {
      for (const version of [minor, ...kubernetes]) expect(version).toMatch(/^1\.\d+$/);
      if ("end" in rest && rest.end !== undefined) expect(rest.end).toMatch(/^20\d\d-[01]\d-[0-3]\d$/);
    }
    for (const { id, versions, fixed } of known.defects) {
      for (const [minor, patches] of Object.entries(versions))
        for (const patch of patches) expect(fixed, id).not.toContain(`${minor}.${patch}`);
    }
  });

  test("the newest operator is not older than the newest line of Istio, and knows it", () => {
    const newest = known.istio.at(-1)?.minor ?? "";
    expect(compareVersions(newestOperator(), `${newest}.0`)).toBeGreaterThanOrEqual(0);
    expect(Object.keys(known.operators.at(-1)?.installs ?? {})).toContain(newest);
  });

  test("every line that a known operator installs is known", () => {
    const lines = known.istio.map(({ minor }) => minor);
    for (const { installs } of known.operators) expect(lines).toEqual(expect.arrayContaining(minorsOf(installs)));
  });
});

describe("the script that makes the data", () => {
  test("reads the operator's list: what is end-of-life apart, names that stand for others not at all", () => {
    const yaml = `versions:
  - { name: v1.31-latest, ref: v1.31.1 }
  - { name: v1.31.1, version: 1.31.1, charts: [x] }
  - { name: v1.31.0-beta.1, version: 1.31.0-beta.1 }
  - { name: v1.30.10, version: 1.30.10 }
  - { name: v1.30.9, version: 1.30.9 }
  - { name: v1.29-latest, ref: v1.29.2, eol: true }
  - { name: v1.29.2, eol: true }
  - { name: master, version: master }`;
    const pins = "images.v1_31_1.istiod: hub/istio/pilot:1.31.1\n    images.v1_30_9.istiod: hub/istio/pilot:1.30.9\n";
    expect(operatorOf("1.31.1", yaml, pins).hub).toBe("hub/istio");
    expect(operatorOf("1.31.1", yaml, `${pins}images.v1_30_10.istiod: other/pilot:1.30.10\n`)).not.toHaveProperty(
      "hub",
    );
    expect(operatorOf("1.31.1", yaml)).toEqual({
      version: "1.31.1",
      installs: { "1.30": [9, 10], "1.31": [1] },
      endOfLife: { "1.29": [2] },
    });
  });

  test("reads Istio's table: an end that is only expected is none", () => {
    const yaml = `
- { version: master, supported: "No, development only", k8sVersions: ["1.33"] }
- { version: "1.31", supported: "Yes", eolDate: "~Feb 2027 (Expected)", k8sVersions: ["1.32", "1.33", "1.36"] }
- { version: "1.28", supported: "No", eolDate: "July 1, 2026", k8sVersions: ["1.34", "1.30"] }
- { version: "1.10", supported: "No", eolDate: "Jan 7, 2022", k8sVersions: ["1.18"] }`;
    expect(linesOf(yaml)).toEqual([
      { minor: "1.28", kubernetes: ["1.30", "1.34"], end: "2026-07-01" },
      { minor: "1.31", kubernetes: ["1.32", "1.36"] },
    ]);
  });

  test.each([
    ["Jun 25, 2024", "2024-06-25"],
    ["November 7, 2024", "2024-11-07"],
    ["Sept 5, 2023", "2023-09-05"],
    ["~Jan 2025 (Expected)", undefined],
    ["", undefined],
  ])("%j is the day %s", (text, day) => expect(dayOf(text)).toBe(day));

  test("what was read takes the place of what was known of it, nothing else goes, and the change is told", () => {
    const before = {
      ...known,
      operators: [{ version: "1.31.2", told: true, installs: { "1.31": [0] }, endOfLife: {} }],
      istio: [{ minor: "1.31", kubernetes: ["1.32", "1.36"] }],
    } as Known;
    const read = { version: "1.31.2", installs: { "1.31": [0, 1] }, endOfLife: {} };
    const more = { version: "1.31.10", installs: { "1.31": [0, 1] }, endOfLife: {} };
    const after = merged(before, [more, read], [{ minor: "1.32", kubernetes: ["1.33", "1.37"] }]);
    expect(after.operators).toEqual([read, more]);
    expect(after.istio).toHaveLength(2);
    expect(after.defects).toBe(known.defects);
    expect(told(before, after)).toEqual(["Sail Operator 1.31.2", "Sail Operator 1.31.10", "Istio 1.32"]);
    expect(told(after, after)).toEqual([]);
  });
});
