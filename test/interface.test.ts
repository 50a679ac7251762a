import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compare, fields, type Interface, isMajor, MANIFEST, readInterface } from "../scripts/interface.ts";

const now = readInterface();

describe("what users build on", () => {
  const committed: Interface = JSON.parse(readFileSync(join(import.meta.dirname, "..", MANIFEST), "utf8"));

  test("is all there, or there is a new major version", () => {
    const { broken } = compare(committed, now);
    if (!isMajor(committed.version, now.version)) expect(broken).toEqual([]);
  });

  test("is all in the manifest; `npm run docs` adds what is new", () => {
    expect({ ...now, version: committed.version }).toEqual(committed);
  });

  test("was read from all of its sources", () => {
    expect(now.inputs).toMatchObject({ command: "install", "istio-version": "", "cluster1-kubeconfig": "" });
    expect(now.outputs).toContain("gateway-addresses");
    expect(now.checks).toMatchObject({ "pair.request": "traffic" });
    expect(now.report).toMatchObject({ schemaVersion: "1", "checks[].id": "check ID", "mesh.rootSha256": "string ?" });
  });
});

describe("a promise", () => {
  const promised: Interface = {
    version: "1.0.0",
    inputs: { command: "install", timeout: "" },
    outputs: ["result"],
    checks: { "cluster.api": "cluster" },
    report: { result: '"failed" | "passed"', seconds: "number", cause: "string ?", schemaVersion: "1" },
  };

  test.each<[string, Partial<Interface>, string]>([
    ["an input that is gone", { inputs: { command: "install" } }, "the input timeout is gone"],
    [
      "another default",
      { inputs: { command: "verify", timeout: "" } },
      'the input command was "install" and is "verify"',
    ],
    ["a default where there was none", { inputs: { command: "install", timeout: "5m" } }, "the input timeout was"],
    ["an output that is gone", { outputs: [] }, "the output result is gone"],
    ["a check that is gone", { checks: {} }, "the check cluster.api is gone"],
    ["a check in another category", { checks: { "cluster.api": "trust" } }, "the check cluster.api was"],
    [
      "a field that is gone",
      { report: { ...promised.report, seconds: undefined as never } },
      "the report's field seconds is gone",
    ],
    [
      "a field of another type",
      { report: { ...promised.report, seconds: "string" } },
      "the report's field seconds was",
    ],
    [
      "a field that may be missing",
      { report: { ...promised.report, seconds: "number ?" } },
      "the report's field seconds was",
    ],
    ["a value that is gone", { report: { ...promised.report, result: '"passed"' } }, "the report's field result was"],
    [
      "another schema version",
      { report: { ...promised.report, schemaVersion: "2" } },
      "the report's field schemaVersion was",
    ],
  ])("is broken by %s", (_, change, message) => {
    const { broken } = compare(promised, { ...promised, ...change });
    expect(broken).toEqual([expect.stringContaining(message)]);
  });

  test.each<[string, Partial<Interface>]>([
    ["an input", { inputs: { ...promised.inputs, more: "" } }],
    ["an output", { outputs: ["result", "more"] }],
    ["a check", { checks: { ...promised.checks, more: "cluster" } }],
    ["a field", { report: { ...promised.report, more: "string" } }],
    ["a value", { report: { ...promised.report, result: '"failed" | "more" | "passed"' } }],
    ["certainty", { report: { ...promised.report, cause: "string" } }],
  ])("is kept where %s is added", (_, change) => {
    const { broken, added } = compare(promised, { ...promised, ...change });
    expect(broken).toEqual([]);
    expect(added).toHaveLength(1);
  });
});

test("the fields of a schema are found wherever they are", () => {
  const schema = {
    required: ["list"],
    properties: { list: { type: "array", items: { $ref: "#/$defs/item" } }, map: { additionalProperties: {} } },
    $defs: { item: { type: "object", oneOf: [{ properties: { a: { enum: ["x", "y"] } } }, {}] } },
  };
  expect(fields(schema)).toEqual({
    list: "array",
    "list[]": "object",
    "list[].a": '"x" | "y" ?',
    map: "any ?",
    "map.*": "any",
  });
});

test.each([
  ["1.2.3", "2.0.0", true],
  ["1.2.3", "1.3.0", false],
  ["1.2.3", "1.2.3", false],
  ["9.9.0", "10.0.0", true],
])("from %s to %s promises may be broken: %s", (before, after, major) => {
  expect(isMajor(before, after)).toBe(major);
});
