import { setOutput } from "@actions/core";
import type { Verdict } from "../mesh/phases.ts";
import type { Report } from "../mesh/report.ts";

/** Paths of what was written of a run. */
export interface Files {
  /** The JSON report. */
  readonly report: string;
  /** The same as JUnit XML. */
  readonly junit: string;
  /** An archive with what helps to understand the clusters, where it was gathered. */
  readonly diagnostics?: string;
}

/** Sets the outputs that action.yml promises. */
export function setOutputs(report: Report, files: Files): void {
  const number = (verdict: Verdict) => String(report.checks.filter((check) => check.verdict === verdict).length);
  const outputs: Record<string, string> = {
    result: report.result,
    changed: String(report.changed),
    "istio-version": report.mesh.istioVersion,
    clusters: JSON.stringify(
      report.clusters.map(({ name, network, kubernetesVersion, istioVersion }) => ({
        name,
        network,
        kubernetesVersion,
        istioVersion,
      })),
    ),
    "gateway-addresses": JSON.stringify(
      Object.fromEntries(report.clusters.map(({ name, gatewayAddresses }) => [name, gatewayAddresses])),
    ),
    "checks-passed": number("passed"),
    "checks-failed": number("failed"),
    "checks-unknown": number("unknown"),
    "next-run-after": report.nextRunAfter ?? "",
    report: files.report,
    junit: files.junit,
    diagnostics: files.diagnostics ?? "",
    duration: report.seconds.toFixed(1),
  };
  for (const [name, value] of Object.entries(outputs)) setOutput(name, value);
}
