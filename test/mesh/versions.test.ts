import { describe, expect, test } from "vitest";
import { installs, operatorFor, operatorsFor, operatorVersion, within } from "../../src/mesh/versions.ts";

// Which operator installs which Istio: from the operator's release notes.
const INSTALLS: [operator: string, istio: string[], not: string[]][] = [
  ["1.26.3", ["1.24.0", "1.25.2", "1.26.3"], ["1.23.6", "1.27.0"]],
  ["1.27.3", ["1.24.0", "1.27.3"], ["1.23.6", "1.28.0"]],
  ["1.28.3", ["1.26.3", "1.28.3"], ["1.25.2", "1.29.0"]],
  ["1.29.2", ["1.27.3", "1.29.2"], ["1.26.3", "1.30.0"]],
  ["1.30.3", ["1.28.0", "1.29.6", "1.30.3"], ["1.26.3", "1.27.3", "1.31.0"]],
];

describe.each(INSTALLS)("operator %s", (operator, wanted, not) => {
  const range = installs(operator) as NonNullable<ReturnType<typeof installs>>;
  test("is known", () => expect(range.known).toBe(true));
  test.each(wanted)("installs %s", (version) => expect(within(range, version)).toBe(true));
  test.each(not)("does not install %s", (version) => expect(within(range, version)).toBe(false));
});

test("of an operator newer than the table the rule of thumb is said, and that it is one", () => {
  expect(installs("1.33.0")).toEqual({ oldest: 31, newest: 33, known: false });
});

test.each(["1.20.0", "2.0.0", "latest"])("nothing is said of operator %s", (version) => {
  expect(installs(version)).toBeUndefined();
});

test("an Istio of another kind is left to the operator", () => {
  expect(within({ oldest: 28, newest: 30, known: true }, "2.0.0")).toBe(true);
});

test.each([
  ["quay.io/sail-dev/sail-operator:1.30.3", "1.30.3"],
  ["registry.example:5000/mirror/sail-operator:v1.30.3", "1.30.3"],
  ["quay.io/sail-dev/sail-operator:1.30.3@sha256:0123", "1.30.3"],
  ["registry.redhat.io/openshift-service-mesh/istio-sail-operator-rhel9:1.30.3", "1.30.3"],
  ["quay.io/sail-dev/sail-operator@sha256:0123", undefined],
  ["quay.io/sail-dev/sail-operator:latest", undefined],
  ["quay.io/sail-dev/sail-operator", undefined],
  ["gcr.io/kubebuilder/kube-rbac-proxy:1.26.3", undefined],
  ["lab.local/pause:1", undefined],
  ["", undefined],
])("the version of %j is %s", (image, version) => {
  expect(operatorVersion(image)).toBe(version);
});

test.each([
  ["1.24.6", "1.26 to 1.27"],
  ["1.26.3", "1.26 to 1.28"],
  ["1.30.3", "1.30"],
  ["1.23.6", undefined],
  ["1.31.0", undefined],
  ["2.0.0", undefined],
])("%s is installed by operators %s", (istio, operators) => {
  expect(operatorsFor(istio)).toBe(operators);
});

test.each([
  ["1.24.6", "1.27.3"],
  ["1.26.3", "1.28.3"],
  ["1.27.3", "1.29.2"],
  ["1.28.10", "1.30.3"],
  ["1.29.6", "1.30.3"],
  ["1.30.3", "1.30.3"],
  // Newer than the newest known release: the operator of the same number.
  ["1.30.4", "1.30.4"],
  ["1.32.0", "1.32.0"],
  ["1.23.6", undefined],
])("to install %s, operator %s is taken", (istio, operator) => {
  expect(operatorFor(istio)).toBe(operator);
});
