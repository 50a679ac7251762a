import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./runner.ts";

const dist = join(ROOT, "dist");
const files = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));
const megabytes = (file: string) => statSync(join(dist, file)).size / 1e6;

test("dist is small, and what is loaded for both steps is nearly nothing", () => {
  expect(files.reduce((sum, file) => sum + megabytes(file), 0)).toBeLessThan(3.5);
  for (const file of ["index.js", "main/index.js", "post/index.js"]) expect(megabytes(file)).toBeLessThan(0.05);
});

// A string of theirs that is in no other package.
test.each([
  ["the library for certificates", "Reflect.decorate"],
  ["what downloads programs", "Unexpected HTTP response"],
])("%s is there, and comes when it is asked for", (_, text) => {
  const found = files.filter((file) => readFileSync(join(dist, file), "utf8").includes(text));
  expect(found).not.toEqual([]);
  // Where the commands are, which every run loads.
  const always = files.filter((file) =>
    readFileSync(join(dist, file), "utf8").includes("The preflight found what must be"),
  );
  expect(always).toHaveLength(1);
  expect(found).not.toContain(always[0]);
});
