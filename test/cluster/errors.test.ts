import { describe, expect, test } from "vitest";
import { ApiError, unreachable, unreachableCluster } from "../../src/cluster/errors.ts";

const broken = (code: string) =>
  unreachable("east", "https://10.0.0.1:6443", Object.assign(new Error("It broke."), { code }));

describe("what the API server says is told in few words", () => {
  const schema = "failed to create typed patch object (/default; sailoperator.io/v1, Kind=Istio):";
  const gone = 'Post "https://istiod.istio-b.svc:443/inject?timeout=10s": no endpoints available for service "istiod"';
  const called = `Internal error occurred: failed calling webhook "rev.istio.io": failed to call webhook: ${gone}`;
  test.each([
    [
      "a field that there is not",
      `${schema} .spec.values.meshConfig.accesslogfile: field not declared in schema`,
      "Could not apply it: .spec.values.meshConfig.accesslogfile: field not declared in schema",
      /`values`/,
    ],
    [
      "several of them",
      `${schema} errors:\n  .spec.a: field not declared in schema\n  .spec.b: expected string, got &value.valueUnstructured{}`,
      "Could not apply it: .spec.a: field not declared in schema; .spec.b: expected string, got &value.valueUnstructured{}",
      /`values`/,
    ],
    [
      "a webhook that cannot be called",
      called,
      `Could not apply it: the webhook rev.istio.io cannot be called: ${gone}`,
      /kubectl -n istio-b get endpointslices -l kubernetes\.io\/service-name=istiod/,
    ],
    [
      "a webhook at a URL, which says nothing",
      'Internal error occurred: failed calling webhook "x.example.com"',
      "Could not apply it: the webhook x.example.com cannot be called: no reason is given",
      /webhookconfigurations/,
    ],
  ])("%s", (_, message, told, hint) => {
    const error = new ApiError("apply it", 500, { reason: "InternalError", message });
    expect(error.message).toBe(told);
    expect(error.hint).toMatch(hint);
  });
});

describe("a cluster cannot be reached", () => {
  test.each([
    ["where the connection is refused", broken("ECONNREFUSED"), true],
    ["where nobody answers", broken("UND_ERR_CONNECT_TIMEOUT"), true],
    ["where its name does not resolve", broken("ENOTFOUND"), true],
    ["where a load balancer answers in its place", new ApiError("read it", 503, {}, undefined, "east"), true],
    ["but for a wrong certificate, which will not mend itself", broken("ERR_TLS_CERT_ALTNAME_INVALID"), false],
    ["but not where it answers: who asks is not known", new ApiError("read it", 401, {}), false],
    ["but not where it answers: it has an error", new ApiError("read it", 500, {}), false],
    ["but not where an extension API is down behind it", new ApiError("read it", 503, {}), false],
    ["but not by a defect of ours", new TypeError("undefined"), false],
  ])("%s", (_, error, expected) => {
    expect(unreachableCluster(error)).toBe(expected ? "east" : undefined);
  });
});
