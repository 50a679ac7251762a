import { expect, test } from "vitest";
import { writtenAt } from "../../src/mesh/written.ts";

const entry = (time: string | undefined, fieldsV1: unknown) => ({
  manager: "m",
  operation: "Update",
  fieldsV1,
  ...(time ? { time } : {}),
});
const DATA = { "f:data": { "f:root": {} } };

test.each<[string, unknown[], string | undefined]>([
  ["nobody's", [], undefined],
  ["another field's", [entry("2026-11-03T00:00:00Z", { "f:metadata": {} })], undefined],
  ["without a time", [entry(undefined, DATA)], undefined],
  ["whose", [entry("2026-11-02T00:00:00Z", DATA)], "2026-11-02T00:00:00.000Z"],
  [
    "the last of several",
    [entry("2026-11-04T00:00:00Z", DATA), entry("2026-11-02T00:00:00Z", DATA)],
    "2026-11-04T00:00:00.000Z",
  ],
])("a write that is %s", (_, managedFields, wanted) => {
  expect(writtenAt({ name: "n", managedFields: managedFields as never }, ["data"])?.toISOString()).toBe(wanted);
});
