import { expect, test } from "vitest";
import { refuserIn } from "../../src/checks/pods.ts";

test.each([
  ['admission webhook "validate.kyverno.svc-fail" denied the request: labels', "the webhook validate.kyverno.svc-fail"],
  [
    `namespaces "x" is forbidden: ValidatingAdmissionPolicy 'owners.example.com' with binding 'owners' denied request: owner`,
    "the ValidatingAdmissionPolicy owners.example.com",
  ],
  ['pods "probe" is forbidden: exceeded quota: small, requested: pods=1', "the ResourceQuota small"],
  [
    'pods "probe" is forbidden: violates PodSecurity "restricted:latest": x',
    'the level PodSecurity "restricted:latest"',
  ],
  ['pods "probe" is forbidden: maximum cpu usage per Pod is 1m', "the LimitRange's maximum cpu usage per Pod"],
  // What is no rule of the platform's.
  ['namespaces is forbidden: User "ci" cannot create resource "namespaces" in API group ""', undefined],
  ['admission webhook "rev.validation.istio.io" denied the request: bad', undefined],
  ['failed calling webhook "validate.kyverno.svc-fail": timeout', undefined],
])("%s is refused by whom", (message, refuser) => {
  expect(refuserIn(message)).toBe(refuser);
});
