import { expect, test } from "vitest";
import type { Subject } from "../../src/mesh/report.ts";
import { places } from "../../src/report/words.ts";

const clusters = (...names: string[]): Subject[] => names.map((cluster) => ({ cluster }));
const calls = (...pairs: [source: string, target: string][]): Subject[] =>
  pairs.map(([source, target]) => ({ source, target }));
const reads = (...pairs: [observer: string, target: string][]): Subject[] =>
  pairs.map(([observer, target]) => ({ observer, target }));

test.each<[string, Subject[], string]>([
  ["a cluster", clusters("a"), "a"],
  ["some clusters", clusters("a", "b", "c", "d"), "a, b, c, d"],
  ["many clusters", clusters("a", "b", "c", "d", "e"), "a, b, c and 2 more"],
  ["the mesh", [{}], "mesh"],
  ["a pair", reads(["a", "b"]), "a → b"],
  ["pairs to one", calls(["a", "c"], ["b", "c"]), "a, b → c"],
  ["pairs from one", reads(["a", "b"], ["a", "c"]), "a → b, c"],
  ["many pairs to one", calls(["a", "z"], ["b", "z"], ["c", "z"], ["d", "z"], ["e", "z"]), "a, b, c and 2 more → z"],
  ["other pairs", reads(["a", "b"], ["b", "a"]), "a → b, b → a"],
  ["there and back, of three", calls(["a", "b"], ["c", "b"], ["b", "a"]), "a → b, c → b, b → a"],
  ["a cluster beside a pair", [...clusters("a"), ...reads(["a", "b"])], "a, a → b"],
])("places are told compactly: %s", (_, subjects, expected) => {
  expect(places(subjects)).toBe(expected);
});
