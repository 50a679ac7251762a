import { expect, test } from "vitest";
import { toJson } from "../../src/report/json.ts";
import { allFailed, failedInPreflight, failedMidway, passed } from "./sample.ts";

test.each([
  ["passed", passed()],
  ["failed in the preflight", failedInPreflight()],
  ["failed midway", failedMidway({ clusters: 3 })],
  ["hostile", passed({ supplied: '"\u2028\\u0000</script>\n' })],
  ["64 clusters", allFailed({ clusters: 64 })],
])("the JSON report is the report: %s", (_, report) => {
  const text = toJson(report);
  expect(JSON.parse(text)).toEqual(report);
  expect(text.endsWith("}\n")).toBe(true);
});
