import { failed, passed } from "../checks/finding.ts";
import type { Survey } from "../checks/survey.ts";
import { foundControlPlane } from "../checks/version.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec, OperatorSpec, SettledMesh } from "../mesh/spec.ts";
import { type Transition, type Upgrade, upgrade, upgradeEvidence } from "../mesh/transition.ts";
import { operatorFor } from "../mesh/versions.ts";
import type { Run } from "./run.ts";

/** Decides on the version and what becomes of each control plane; what stands in the way is noted. */
export function settleVersion(
  run: Run,
  asked: MeshSpec,
  surveys: ReadonlyMap<string, Survey>,
): { mesh: SettledMesh; transitions: ReadonlyMap<string, Transition> } {
  const { installer, istioVersion, allowDowngrade = false } = asked;
  const missing = asked.clusters.map(({ name }) => name).filter((name) => !surveys.has(name));
  const found = [...surveys].map(([name, survey]) => foundControlPlane(asked, name, survey));
  const decided = upgrade({ installer, asked: istioVersion, mayDowngrade: allowDowngrade }, found, missing);
  if (surveys.size > 0) run.judge("preflight.version", {}, versionFinding(decided));
  const { version, transitions } = decided;
  const { operator, ...rest } = asked;
  return {
    mesh: { ...rest, istioVersion: version, ...(operator ? { operator: settledOperator(operator, version) } : {}) },
    transitions: new Map(transitions.map((each) => [each.cluster, each])),
  };
}

function versionFinding(decided: Upgrade): Finding {
  const { refusals } = decided;
  if (refusals.length === 0) return passed(upgradeEvidence(decided));
  return {
    ...failed(
      refusals.map(({ refused }) => refused).join(" "),
      [...new Set(refusals.map(({ hint }) => hint))].join(" "),
    ),
    clusters: [...new Set(refusals.flatMap(({ clusters }) => clusters))],
  };
}

/** Its version is empty where none is known that installs the mesh's Istio: the check of the operator refuses that. */
function settledOperator({ version, chart }: OperatorSpec, istioVersion: string): Required<OperatorSpec> {
  const of = version ?? operatorFor(istioVersion) ?? "";
  return { version: of, chart: chart.replaceAll("<version>", of) };
}
