import { childEnvironment, message, runProgram } from "../cluster/child.ts";
import type { Member } from "../cluster/member.ts";
import { findProgram } from "../cluster/program.ts";
import { Failure } from "../mesh/failure.ts";
import type { OperatorSpec } from "../mesh/spec.ts";
import { ensureTool, type ToolOptions } from "../tools/download.ts";
import { withPrivateFile } from "../tools/private-file.ts";
import { HELM, HELM_VERSION } from "./release.ts";

/** Release and namespace of the operator, as its own documentation has them. */
export const RELEASE = "sail-operator";

/** Helm: the one on the PATH, else one that is downloaded when it is first needed. */
export interface Helm {
  /** Path of the program; throws a `Failure` where it cannot be had. */
  ready(): Promise<string>;
  /** Installs the Sail Operator and waits until it is available; throws a `Failure` with Helm's own message. */
  installOperator(operator: Required<OperatorSpec>, target: Member): Promise<void>;
}

export type HelmOptions = Omit<ToolOptions, "version" | "path">;

/**
 * @param directory where a kubeconfig is kept while Helm reads it; private to this user, and emptied after the run
 * @param kubeconfigVariables environment variables that hold kubeconfigs, which no child is given
 */
export function helmFor(options: HelmOptions, directory: string, kubeconfigVariables: readonly string[]): Helm {
  const { deadline } = options;
  let path: Promise<string> | undefined;
  const ready = () => {
    const found = findProgram("helm");
    path ??= found ? Promise.resolve(found) : ensureTool(HELM, { ...options, version: HELM_VERSION });
    return path;
  };
  return {
    ready,
    async installOperator(operator, { spec, cluster, kubeconfig }) {
      const helm = await ready();
      const credentials = await cluster.kubeconfig(deadline.remaining());
      await withPrivateFile(directory, spec.name, credentials, async (kubeconfigFile) => {
        const args = buildArgs(operator, kubeconfigFile, kubeconfig.context, deadline.remaining());
        const { code, stdout, stderr } = await runProgram(helm, args, {
          env: childEnvironment(process.env, kubeconfigVariables),
          signal: deadline.signal,
          what: `the Sail Operator of ${spec.name}`,
          late: "Look at the pods of namespace sail-operator: is the operator's image pulled? `timeout` sets another deadline.",
          broken: "Is it a Helm for this machine's platform, and executable?",
        });
        if (code !== 0) throw refusal(message(stderr || stdout) || `exit code ${code}`, spec.name, operator);
      });
    },
  };
}

/** The command line after the program's name. Holds no secret: the credentials are in the kubeconfig's file. */
export function buildArgs(
  { version, chart }: Required<OperatorSpec>,
  kubeconfigFile: string,
  context: string,
  remaining: number,
): string[] {
  // An archive or a folder is of one version; a repository has many.
  const many = !/^[./]|^[A-Za-z]:|\.tgz$/.test(chart);
  return [
    "upgrade",
    "--install",
    RELEASE,
    chart,
    ...(many ? [`--version=${version}`] : []),
    `--namespace=${RELEASE}`,
    "--create-namespace",
    "--wait",
    `--timeout=${Math.max(1, Math.round(remaining / 1000))}s`,
    `--kubeconfig=${kubeconfigFile}`,
    `--kube-context=${context}`,
  ];
}

function refusal(told: string, cluster: string, { chart }: OperatorSpec): Failure {
  const hint = /forbidden/i.test(told)
    ? `The kubeconfig of ${cluster} must be an administrator's to install an operator.`
    : /another operation .* is in progress/.test(told)
      ? `An earlier installation was cut off: \`helm -n ${RELEASE} rollback ${RELEASE}\`, or uninstall it, and run again.`
      : /not found|no such host|failed to (fetch|download)|404/i.test(told)
        ? `Is there a chart at ${chart}? \`operator-chart\` and \`operator-version\` name another.`
        : `kubectl -n ${RELEASE} get pods, and \`helm -n ${RELEASE} status ${RELEASE}\`, say how far it came.`;
  return new Failure(`Helm could not install the Sail Operator in ${cluster}: ${told}`, hint);
}
