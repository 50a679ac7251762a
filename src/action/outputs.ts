import { setOutput } from "@actions/core";
import type { Report } from "../mesh/report.ts";

/** Sets the outputs that action.yml promises. */
export function setOutputs(report: Report, reportPath: string): void {
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
    report: reportPath,
    duration: report.seconds.toFixed(1),
  };
  for (const [name, value] of Object.entries(outputs)) setOutput(name, value);
}
