import { existsSync } from "node:fs";

export interface Settings {
  readonly kubeconfigs: readonly string[];
  readonly istioVersion: string;
  readonly olderIstioVersion: string | undefined;
  readonly istioctlMirror: string | undefined;
  readonly sampleImage: string;
  readonly istioctl: string | undefined;
  readonly nodeShell: readonly string[] | undefined;
  readonly nextIstiod: string | undefined;
  readonly values: string | undefined;
  readonly helm: string | undefined;
  readonly nodePids: string | undefined;
  readonly gatewayApi: string | undefined;
}

const HELP = `The end-to-end tests run on clusters that you name:
  E2E_KUBECONFIGS        two or more kubeconfig files, separated by colons; fresh clusters, each with the Sail Operator
  E2E_ISTIO_VERSION      the Istio version to install, one that the operator knows
  E2E_SAMPLE_IMAGE       an image that the clusters can pull: an HTTP server on port 5000 that answers
                         "hello from $VERSION", and, as /sample get URL, a client that prints "<status> <body>"; with sh and sleep
  E2E_OLDER_ISTIO_VERSION  optional: one that the operator knows, too, a minor before, to upgrade from
  E2E_ISTIOCTL_MIRROR    optional: where istioctl is downloaded from
  E2E_ISTIOCTL           optional: an istioctl, to compare what it notices of a broken mesh
  E2E_NODE_SHELL         optional: words before a command that runs it in the network of the second cluster's node
  E2E_NODE_PIDS          optional: a folder with the files apiserver.pid and etcd.pid of the second cluster's node
  E2E_NEXT_ISTIOD        optional: the mesh's image of istiod under the tag of the next minor version
  E2E_FAULTS             optional: a regular expression for the names of the faults to make, where not all
  E2E_VALUES             optional: YAML, Helm values of istiod that these clusters need with \`installer: istioctl\`
  E2E_GATEWAY_API        optional: a folder with the CRDs of Kubernetes' Gateway API
  E2E_HELM               optional: the program helm, to have the action install the operator`;

/** What the environment says; throws an error that says all that is missing. */
export function settings(): Settings {
  const { E2E_KUBECONFIGS, E2E_ISTIO_VERSION, E2E_SAMPLE_IMAGE, E2E_ISTIOCTL_MIRROR } = process.env;
  const { E2E_ISTIOCTL, E2E_NODE_SHELL, E2E_NEXT_ISTIOD, E2E_VALUES, E2E_HELM, E2E_NODE_PIDS, E2E_GATEWAY_API } =
    process.env;
  const { E2E_OLDER_ISTIO_VERSION } = process.env;
  const kubeconfigs = (E2E_KUBECONFIGS ?? "").split(":").filter((path) => path !== "");
  const problems = Object.entries({ E2E_KUBECONFIGS, E2E_ISTIO_VERSION, E2E_SAMPLE_IMAGE })
    .filter(([, value]) => !value)
    .map(([name]) => `${name} is not set.`);
  if (kubeconfigs.length === 1) problems.push("E2E_KUBECONFIGS names one cluster; a mesh needs two or more.");
  problems.push(...kubeconfigs.filter((path) => !existsSync(path)).map((path) => `${path} does not exist.`));
  if (problems.length > 0) throw new Error(`${problems.join("\n")}\n\n${HELP}`);
  return {
    kubeconfigs,
    istioVersion: E2E_ISTIO_VERSION!,
    olderIstioVersion: E2E_OLDER_ISTIO_VERSION || undefined,
    istioctlMirror: E2E_ISTIOCTL_MIRROR || undefined,
    sampleImage: E2E_SAMPLE_IMAGE!,
    istioctl: E2E_ISTIOCTL || undefined,
    nodeShell: E2E_NODE_SHELL ? E2E_NODE_SHELL.split(" ") : undefined,
    nextIstiod: E2E_NEXT_ISTIOD || undefined,
    values: E2E_VALUES || undefined,
    helm: E2E_HELM || undefined,
    nodePids: E2E_NODE_PIDS || undefined,
    gatewayApi: E2E_GATEWAY_API || undefined,
  };
}
