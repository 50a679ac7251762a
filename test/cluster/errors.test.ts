import { describe, expect, test } from "vitest";
import { ApiError, isUnreachable, unreachable } from "../../src/cluster/errors.ts";

const broken = (code: string) => unreachable("https://10.0.0.1:6443", Object.assign(new Error("It broke."), { code }));

describe("a cluster cannot be reached", () => {
  test.each([
    ["where the connection is refused", broken("ECONNREFUSED"), true],
    ["where nobody answers", broken("UND_ERR_CONNECT_TIMEOUT"), true],
    ["where its name does not resolve", broken("ENOTFOUND"), true],
    ["where a load balancer answers in its place", new ApiError("read it", 503, {}), true],
    ["but for a wrong certificate, which will not mend itself", broken("ERR_TLS_CERT_ALTNAME_INVALID"), false],
    ["but not where it answers: who asks is not known", new ApiError("read it", 401, {}), false],
    ["but not where it answers: it has an error", new ApiError("read it", 500, {}), false],
    ["but not by a defect of ours", new TypeError("undefined"), false],
  ])("%s", (_, error, expected) => {
    expect(isUnreachable(error)).toBe(expected);
  });
});
