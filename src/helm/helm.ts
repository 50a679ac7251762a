import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { childEnvironment, message, runProgram } from "../cluster/child.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { findProgram } from "../cluster/program.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";
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
  /**
   * Installs the Sail Operator and waits until it is available; throws a `Failure` with Helm's own message. What a run of this
   * action was cut off in is taken away and begun again: nobody else may install at the same time, see `lock.ts`.
   */
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
  // Each call is a process that takes a CPU, and some 100 MB, for a while.
  const limit = pLimit(availableParallelism());
  return {
    ready,
    async installOperator(operator, { spec, cluster, kubeconfig }) {
      const helm = await ready();
      const credentials = await cluster.kubeconfig(deadline.remaining());
      await withPrivateFile(directory, spec.name, credentials, async (file) => {
        const run = (command: readonly string[]) =>
          limit(() =>
            runProgram(helm, [...command, ...access(file, kubeconfig.context, deadline.remaining())], {
              env: childEnvironment(process.env, kubeconfigVariables),
              signal: deadline.signal,
              what: `the Sail Operator of ${spec.name}`,
              late: "Look at the pods of namespace sail-operator: is the operator's image pulled? `timeout` sets another deadline.",
              broken: "Is it a Helm for this machine's platform, and executable?",
            }),
          );
        const install = installArgs(operator);
        let done = await run(install);
        if (done.code !== 0 && UNDER_WAY.test(done.stderr) && (await isCutOff(cluster))) {
          await run(["uninstall", RELEASE, "--wait"]);
          done = await run(install);
        }
        if (done.code !== 0)
          throw refusal(message(done.stderr || done.stdout) || `exit code ${done.code}`, spec.name, operator);
      });
    },
  };
}

const UNDER_WAY = /another operation .* is in progress/;

/** Whether the operator's one release is this action's, and was never finished. */
async function isCutOff(cluster: Cluster): Promise<boolean> {
  const labelSelector = `owner=helm,name=${RELEASE}`;
  const [release, ...more] = await cluster.list<KubernetesObject>({
    apiVersion: "v1",
    kind: "Secret",
    namespace: RELEASE,
    labelSelector,
  });
  // What it was begun with.
  const { status, [MANAGER]: ours } = release?.metadata.labels ?? {};
  return more.length === 0 && status === "pending-install" && ours !== undefined;
}

/** The command line after the program's name. Holds no secret: the credentials are in the kubeconfig's file. */
export function installArgs({ version, chart }: Required<OperatorSpec>): string[] {
  // An archive or a folder is of one version; a repository has many.
  const many = !/^[./]|^[A-Za-z]:|\.tgz$/.test(chart);
  return [
    "upgrade",
    "--install",
    RELEASE,
    chart,
    ...(many ? [`--version=${version}`] : []),
    "--create-namespace",
    `--labels=${MANAGER}=true`,
    "--wait",
  ];
}

/** What each command ends with. */
const access = (kubeconfigFile: string, context: string, remaining: number): string[] => [
  `--namespace=${RELEASE}`,
  `--timeout=${Math.max(1, Math.round(remaining / 1000))}s`,
  `--kubeconfig=${kubeconfigFile}`,
  `--kube-context=${context}`,
];

function refusal(told: string, cluster: string, { chart }: OperatorSpec): Failure {
  const hint = /forbidden/i.test(told)
    ? `The kubeconfig of ${cluster} must be an administrator's to install an operator.`
    : UNDER_WAY.test(told)
      ? `An installation by somebody else is under way, or was cut off: \`helm -n ${RELEASE} rollback ${RELEASE}\`, or uninstall it, and run again.`
      : /not found|no such host|failed to (fetch|download)|404/i.test(told)
        ? `Is there a chart at ${chart}? \`operator-chart\` and \`operator-version\` name another.`
        : `kubectl -n ${RELEASE} get pods, and \`helm -n ${RELEASE} status ${RELEASE}\`, say how far it came.`;
  return new Failure(`Helm could not install the Sail Operator in ${cluster}: ${told}`, hint);
}
