import { describe, expect, test } from "vitest";
import { earlyWarning, lifetime, span, tokenClaims } from "../../src/mesh/token.ts";

const token = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("a token's claims", () => {
  test("of one that expires and is bound to a Secret", () => {
    const claims = tokenClaims(token({ iat: 1_000, exp: 4_600, "kubernetes.io": { secret: { name: "s", uid: "u" } } }));
    expect(claims).toEqual({ issued: new Date(1_000_000), expires: new Date(4_600_000), boundTo: "u" });
    expect(lifetime(claims)).toBe(HOUR);
  });

  test.each(["", "x", "a.b.c", token({}), token(null), token({ exp: "soon", "kubernetes.io": "x" })])(
    "none of %j",
    (text) => {
      expect(tokenClaims(text)).toEqual({});
      expect(lifetime(tokenClaims(text))).toBeUndefined();
    },
  );
});

test.each([
  ["a third of a short life", { issued: new Date(0), expires: new Date(HOUR) }, 20 * MINUTE],
  ["a week of a long one", { issued: new Date(0), expires: new Date(365 * DAY) }, 7 * DAY],
  ["a week where it is not known since when it lives", { expires: new Date(HOUR) }, 7 * DAY],
])("is warned of: %s", (_, claims, early) => {
  expect(earlyWarning(claims)).toBe(early);
});

test.each([
  [-1, "0 minutes"],
  [59_999, "0 minutes"],
  [MINUTE, "1 minute"],
  [119 * MINUTE, "119 minutes"],
  [2 * HOUR, "2 hours"],
  [47 * HOUR, "47 hours"],
  [2 * DAY, "2 days"],
  [30 * DAY + HOUR, "30 days"],
])("%i ms are %s", (milliseconds, text) => {
  expect(span(milliseconds)).toBe(text);
});
