import { expect, test } from "vitest";
import { type LabelSelector, labelsFor } from "../../src/mesh/label-selector.ts";

const own = { app: "probe", "kubernetes.io/metadata.name": "probe-1" };
const labels = (matchLabels: Record<string, string>): LabelSelector => ({ matchLabels });
const expression = (key: string, operator: string, ...values: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }],
});

test.each<[string, LabelSelector[][], Record<string, string> | undefined]>([
  ["nobody who selects", [[], []], {}],
  ["one who takes what is there", [[labels({ app: "probe" }), labels({ mesh: "in" })]], {}],
  ["one who asks for a label", [[labels({ mesh: "in" })]], { mesh: "in" }],
  ["one who asks for one of several", [[labels({ app: "other" }), labels({ mesh: "in" })]], { mesh: "in" }],
  ["two who ask for different ones", [[labels({ mesh: "in" })], [labels({ team: "a" })]], { mesh: "in", team: "a" }],
  ["expressions", [[expression("mesh", "In", "a", "b")], [expression("team", "Exists")]], { mesh: "a", team: "true" }],
  [
    "one who forbids what the other asks for first",
    [[labels({ mesh: "in" }), labels({ mesh: "too" })], [expression("mesh", "NotIn", "in")]],
    { mesh: "too" },
  ],
  ["one who wants a namespace by its name", [[expression("kubernetes.io/metadata.name", "In", "apps")]], undefined],
  ["one who wants what the other forbids", [[labels({ mesh: "in" })], [expression("mesh", "DoesNotExist")]], undefined],
])("labels for %s", (_, parties, more) => {
  expect(labelsFor(parties, own)).toEqual(more && { ...own, ...more });
});
