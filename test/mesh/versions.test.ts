import { describe, expect, test } from "vitest";
import { operatorRefuses } from "../../src/mesh/versions.ts";

const image = (version: string) => `quay.io/sail-dev/sail-operator:${version}`;

// Which operator installs which Istio: from the operator's release notes.
const INSTALLS: [operator: string, istio: string[], not: string[]][] = [
  ["1.26.3", ["1.24.0", "1.25.2", "1.26.3"], ["1.23.6", "1.27.0"]],
  ["1.27.3", ["1.24.0", "1.27.3"], ["1.23.6", "1.28.0"]],
  ["1.28.3", ["1.26.3", "1.28.3"], ["1.25.2", "1.29.0"]],
  ["1.29.2", ["1.27.3", "1.29.2"], ["1.26.3", "1.30.0"]],
  ["1.30.3", ["1.28.0", "1.29.6", "1.30.3"], ["1.26.3", "1.27.3", "1.31.0"]],
];

describe.each(INSTALLS)("operator %s", (operator, installs, not) => {
  test.each(installs)("installs %s", (version) => {
    expect(operatorRefuses(image(operator), version)).toBeUndefined();
  });
  test.each(not)("does not install %s, and says what it does", (version) => {
    const [oldest, newest] = [installs[0], installs.at(-1)].map((each) => each?.split(".").slice(0, 2).join("."));
    expect(operatorRefuses(image(operator), version)).toBe(
      `Sail Operator ${operator} installs Istio ${oldest} to ${newest}, not ${version}`,
    );
  });
});

test.each([
  ["registry.example:5000/mirror/sail-operator:v1.30.3", true],
  ["quay.io/sail-dev/sail-operator:1.30.3@sha256:0123", true],
  ["registry.redhat.io/openshift-service-mesh/istio-sail-operator-rhel9:1.30.3", true],
  // Nothing is said of what is not known.
  ["quay.io/sail-dev/sail-operator@sha256:0123", false],
  ["quay.io/sail-dev/sail-operator:latest", false],
  ["quay.io/sail-dev/sail-operator:1.31.0", false],
  ["quay.io/sail-dev/sail-operator", false],
  ["", false],
])("%s refuses 1.26.3: %s", (of, refuses) => {
  expect(operatorRefuses(of, "1.26.3") !== undefined).toBe(refuses);
});

test("an Istio of another kind is left to the operator", () => {
  expect(operatorRefuses(image("1.30.3"), "2.0.0")).toBeUndefined();
});
