import { expect, test } from "vitest";
import { nothingLeft } from "../../src/checks/leftovers.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { meshSpec } from "../commands/mesh.ts";

const NOW = new Date("2026-01-01T12:00:00Z");
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000).toISOString();

const probe = (metadata: object, conditions: object[] = []) =>
  ({
    probeNamespaces: () => [{ metadata: { name: "istio-mesh-probe-1", ...metadata }, status: { conditions } }],
    serviceAccounts: () => [],
    bindings: () => [],
    readerTokens: () => [],
  }) as unknown as Observation;
const annotations = (minutes: number) => ({ annotations: { "istio-mesh-action/expires": ago(minutes) } });

test.each([
  ["that is in use", probe(annotations(-30)), "passed", undefined],
  ["whose run was killed", probe(annotations(1)), "failed", /istio-mesh-probe-1, of a probe whose run was killed/],
  ["that is just going", probe({ ...annotations(1), deletionTimestamp: ago(1) }), "passed", undefined],
  [
    "that does not come to its end",
    probe({ ...annotations(1), deletionTimestamp: ago(10) }, [
      { type: "NamespaceContentRemaining", status: "False", message: "all is gone" },
      { type: "NamespaceDeletionDiscoveryFailure", status: "True", message: "metrics.k8s.io/v1beta1: stale" },
    ]),
    "passed",
    /does not come to its end: istio-mesh-probe-1 \(metrics\.k8s\.io\/v1beta1: stale\)/,
  ],
])("a probe's namespace %s", (_, seen, verdict, told) => {
  const finding = nothingLeft(meshSpec(2), seen, [], NOW);
  expect(finding.verdict).toBe(verdict);
  if (told) expect(finding.cause ?? finding.warning).toMatch(told);
  else expect(finding.warning).toBeUndefined();
});
