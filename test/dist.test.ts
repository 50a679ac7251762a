import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./runner.ts";

const dist = join(ROOT, "dist");
const sizeOf = (files: Iterable<string>) =>
  [...files].reduce((sum, file) => sum + statSync(join(dist, file)).size, 0) / 1e6;

/** The files that are loaded with an entry, before it does anything. */
function loadedWith(entry: string, known = new Set<string>()): Set<string> {
  if (known.has(entry)) return known;
  known.add(entry);
  const text = readFileSync(join(dist, entry), "utf8");
  for (const [, file] of text.matchAll(/(?:\bfrom|\bimport)"\.\/([\w-]+\.js)"/g)) loadedWith(file as string, known);
  return known;
}

test("dist is small", () => {
  expect(sizeOf(readdirSync(dist))).toBeLessThan(3);
  expect(sizeOf(loadedWith("main.js"))).toBeLessThan(2);
  expect(sizeOf(loadedWith("post.js"))).toBeLessThan(0.1);
});

// A string of theirs that is in no other package.
test.each([
  ["the library for certificates", "Reflect.decorate"],
  ["what downloads programs", "Unexpected HTTP response"],
])("%s is there, and comes when it is asked for", (_, text) => {
  const files = readdirSync(dist).filter((file) => readFileSync(join(dist, file), "utf8").includes(text));
  expect(files).not.toEqual([]);
  expect(files.filter((file) => loadedWith("main.js").has(file))).toEqual([]);
});
