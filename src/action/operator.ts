import type { Installer, OperatorSpec } from "../mesh/spec.ts";
import { installs, installsText, operatorFor, operatorRelease, operatorsFor } from "../mesh/versions.ts";
import { type ReportProblem, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";

/** A full version, with or without a leading `v`; the first group is without. */
export const VERSION = /^v?(\d+\.\d+\.\d+(-[0-9A-Za-z][0-9A-Za-z.-]*)?)$/;

/** The operator that `install-operator` is to install. @param istioVersion `undefined` where what runs decides on it */
export function readOperator(
  source: InputSource,
  installer: Installer,
  istioVersion: string | undefined,
  report: ReportProblem,
  mask: (secret: string) => void,
): OperatorSpec | undefined {
  if (installer !== "sail") {
    report("install-operator", `is true, but \`installer: ${installer}\` uses no operator; leave it out`);
  }
  const given = source.get("operator-version");
  const version = given ? VERSION.exec(given)?.[1] : istioVersion && operatorFor(istioVersion);
  if (given && !version) report("operator-version", `is ${shown(given)}; expected a full version such as 1.28.3`);
  if (!given && !version && istioVersion) {
    report(
      "operator-version",
      `is empty, and no Sail Operator is known that installs Istio ${istioVersion}; name one that does, see https://github.com/istio-ecosystem/sail-operator/releases`,
    );
  }
  const release = version ? operatorRelease(version) : undefined;
  if (release && istioVersion && !installs(release, istioVersion)) {
    const able = operatorsFor(istioVersion);
    report(
      "operator-version",
      `is ${shown(release.version)}, which installs Istio ${installsText(release)}, not ${istioVersion}${able ? `; ${able.includes(" ") ? `operators ${able} do` : `operator ${able} does`}` : ""}`,
    );
  }
  const chart = source.get("operator-chart");
  if (chart.startsWith("-")) report("operator-chart", `is ${shown(chart)}; expected a path, a URL or a chart's name`);
  if (URL.canParse(chart)) {
    const { username, password } = new URL(chart);
    mask(password);
    if (username || password)
      report(
        "operator-chart",
        "holds a user or password, which a command line would show; log in with Helm beforehand",
      );
  }
  return { ...(version ? { version } : {}), chart };
}
