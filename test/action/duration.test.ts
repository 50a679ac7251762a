import { expect, test } from "vitest";
import { parseDuration } from "../../src/action/duration.ts";

test.each<[string, number | undefined]>([
  ["90s", 90_000],
  ["10m", 600_000],
  ["1h", 3_600_000],
  ["1h30m", 5_400_000],
  ["1h0m5s", 3_605_000],
  ["1m90s", 150_000],
  // The runner's longest job is 5 days; Node's timers end after 24.
  ["500h", 1_800_000_000],
  ["600h", undefined],
  ["", undefined],
  ["10", undefined],
  ["0s", undefined],
  ["m", undefined],
  ["-10m", undefined],
  ["1.5h", undefined],
  ["10 m", undefined],
  ["10min", undefined],
  ["10M", undefined],
  ["30m1h", undefined],
  ["1d", undefined],
  ["500ms", undefined],
  ["١٠m", undefined],
])("%j is %s ms", (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});
