import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { setOutputs } from "../../src/action/outputs.ts";
import type { Report } from "../../src/mesh/report.ts";
import { allFailed, deadGateway, failedInPreflight, passed, unreachable } from "../report/sample.ts";
import { action } from "./source.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "outputs-"));
  const file = join(folder, "output");
  writeFileSync(file, "");
  vi.stubEnv("GITHUB_OUTPUT", file);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** The outputs as the runner reads them: `name<<delimiter`, value, `delimiter`. */
function outputs(report: Report): Record<string, string> {
  setOutputs(report, { report: "/tmp/report.json", junit: "/tmp/junit.xml" });
  const text = readFileSync(join(folder, "output"), "utf8");
  return Object.fromEntries(
    [...text.matchAll(/^([\w-]+)<<(\S+)\n([\s\S]*?)\n\2$/gm)].map(([, name = "", , value = ""]) => [name, value]),
  );
}

test.each([
  ["passed", passed()],
  ["failed in the preflight", failedInPreflight()],
  ["all failed", allFailed()],
])("are those of action.yml: %s", (_, report) => {
  expect(Object.keys(outputs(report)).toSorted()).toEqual(Object.keys(action.outputs).toSorted());
});

test("say what was seen", () => {
  const { clusters, "gateway-addresses": addresses, ...rest } = outputs(passed());
  expect(rest).toEqual({
    result: "passed",
    changed: "true",
    "istio-version": "1.26.3",
    "checks-passed": "27",
    "checks-failed": "0",
    "checks-unknown": "0",
    "next-run-after": "",
    report: "/tmp/report.json",
    junit: "/tmp/junit.xml",
    diagnostics: "",
    duration: "12.3",
  });
  expect(JSON.parse(clusters as string)).toEqual([
    { name: "cluster1", network: "network1", kubernetesVersion: "v1.33.1", istioVersion: "1.26.3" },
    { name: "cluster2", network: "network2", kubernetesVersion: "v1.33.1", istioVersion: "1.26.3" },
  ]);
  expect(JSON.parse(addresses as string)).toEqual({ cluster1: ["192.0.2.1"], cluster2: ["192.0.2.2"] });
});

test.each<[string, Report, number[]]>([
  ["passed", passed(), [27, 0, 0]],
  ["a dead gateway", deadGateway(), [119, 3, 0]],
  ["an unreachable cluster", unreachable(), [68, 0, 54]],
  ["failed in the preflight", failedInPreflight(), [6, 1, 0]],
])("count the checks: %s", (_, sample, numbers) => {
  const found = outputs(sample);
  expect(["passed", "failed", "unknown"].map((verdict) => Number(found[`checks-${verdict}`]))).toEqual(numbers);
});

test("say nothing that was not seen", () => {
  const { clusters, "gateway-addresses": addresses, result, changed } = outputs(failedInPreflight());
  expect({ result, changed }).toEqual({ result: "failed", changed: "false" });
  expect(JSON.parse(clusters as string)).toEqual([
    { name: "cluster1", network: "network1", kubernetesVersion: "v1.33.1" },
    { name: "cluster2", network: "network2", kubernetesVersion: "v1.33.1" },
  ]);
  expect(JSON.parse(addresses as string)).toEqual({ cluster1: [], cluster2: [] });
});

test("are below the platform's limit for 64 clusters", () => {
  expect(JSON.stringify(outputs(passed({ clusters: 64 }))).length).toBeLessThan(100_000);
});

test("are one value each, whatever a cluster said", () => {
  const found = outputs(passed({ supplied: "x\nghadelimiter\nresult<<EOF\nfailed\nEOF" }));
  expect(Object.keys(found)).toHaveLength(Object.keys(action.outputs).length);
  expect(found.result).toBe("passed");
});
