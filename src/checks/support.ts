import type { Finding } from "../mesh/report.ts";
import { compareVersions, defectOf, istioLine } from "../mesh/versions.ts";
import { passed } from "./finding.ts";
import type { Survey } from "./survey.ts";

/** A name that stands for the newest patch of a line, as the operator's CRD offers it. */
const ALIAS = /^v?\d+\.\d+-latest$|^master$/;

/**
 * What is to be said of the versions before anything is changed: none of it stands in the way, for what is not supported may
 * well work, and whoever runs it may have a vendor's word for it.
 * @param kubernetes the API server's `gitVersion`
 */
export function versionsAreSupported(
  istioVersion: string,
  kubernetes: string,
  { istios }: Pick<Survey, "istios">,
  now = new Date(),
): Finding {
  const line = istioLine(istioVersion);
  const [, minor] = /^v?(\d+\.\d+)/.exec(kubernetes) ?? [];
  const warnings: string[] = [];
  if (line?.end && new Date(line.end) <= now) {
    warnings.push(
      `Istio ${line.minor} came to its end on ${line.end}: nothing is mended in it any more, nor is what attackers know of.`,
    );
  }
  if (line && minor) {
    const [oldest, newest] = line.kubernetes;
    if (compareVersions(minor, oldest) < 0 || compareVersions(minor, newest) > 0) {
      warnings.push(
        `Kubernetes ${kubernetes} is not among those that Istio ${line.minor} is supported on, ${oldest} to ${newest}.`,
      );
    }
  }
  const defect = defectOf(istioVersion, "remote-secret-change");
  if (defect) {
    warnings.push(
      `Istio ${istioVersion} has a known defect: ${defect.what}. Here ${defect.does}; versions without it: ${defect.fixed.join(", ")} and later.`,
    );
  }
  for (const { metadata, spec } of istios) {
    if (spec.version && ALIAS.test(spec.version)) {
      warnings.push(
        `Istio ${metadata.name} has the version ${spec.version}, which stands for whatever its operator has: an upgrade of the operator is an upgrade of Istio, in every cluster at once. This action gives it the version v${istioVersion}.`,
      );
    }
  }
  const known = line
    ? `Istio ${istioVersion} on Kubernetes ${kubernetes}`
    : `Istio ${istioVersion}, of a line that is not known here, on Kubernetes ${kubernetes}`;
  const reading = { source: "versions", values: { istio: istioVersion, kubernetes, end: line?.end } };
  return { ...passed(`${known}.`, reading), ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}) };
}
