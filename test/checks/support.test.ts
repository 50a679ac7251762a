import { expect, test } from "vitest";
import { versionsAreSupported } from "../../src/checks/support.ts";
import type { IstioResource } from "../../src/mesh/shapes/istio.ts";

const istio = (version: string) => ({ metadata: { name: "default" }, spec: { version } }) as IstioResource;

test.each<[string, string, string, string[], RegExp | undefined]>([
  ["all is well", "1.31.3", "v1.33.1", ["v1.31.3"], undefined],
  ["vendors' suffixes", "1.29.10", "v1.35.0-eks-1234567", [], undefined],
  ["a line that is not known here", "1.99.0", "v1.20.0", [], undefined],
  ["a line that came to its end", "1.26.3", "v1.31.0", [], /^Istio 1\.26 came to its end on 2025-12-22: [^.]*\.$/],
  ["a line whose end is to come", "1.28.3", "v1.31.0", [], undefined],
  ["Kubernetes that is too old", "1.31.3", "v1.31.9", [], /^Kubernetes v1\.31\.9 is not among .*1\.32 to 1\.36\.$/],
  ["Kubernetes that is too new", "1.29.10", "v1.36.0", [], /^Kubernetes v1\.36\.0 is not among .*1\.31 to 1\.35\.$/],
  [
    "a defect",
    "1.30.3",
    "v1.33.0",
    [],
    /^Istio 1\.30\.3 has a known defect: .*without it: 1\.30\.4, 1\.31\.0 and later\.$/,
  ],
  [
    "an alias",
    "1.31.3",
    "v1.33.0",
    ["v1.30-latest"],
    /version v1\.30-latest, .* an upgrade of the operator is an upgrade of Istio/,
  ],
  ["all at once", "1.26.3", "v1.36.0", ["v1.26-latest"], /came to its end.*is not among.*stands for/],
])("%s", (_, version, kubernetes, istios, warning) => {
  const before = new Date("2026-06-30T00:00:00Z");
  const found = versionsAreSupported(version, kubernetes, { istios: istios.map(istio) }, before);
  expect(found.verdict).toBe("passed");
  if (warning) expect(found.warning).toMatch(warning);
  else expect(found).not.toHaveProperty("warning");
});
