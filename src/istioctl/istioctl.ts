import { availableParallelism } from "node:os";
import pLimit from "p-limit";
import { childEnvironment } from "../cluster/child.ts";
import type { Member } from "../cluster/member.ts";
import { istioOperator } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { READER } from "../mesh/objects/reader.ts";
import type { ClusterSpec, SettledMesh } from "../mesh/spec.ts";
import { ensureTool, type ToolOptions } from "../tools/download.ts";
import { withPrivateFile } from "../tools/private-file.ts";
import { generateManifests } from "./manifests.ts";
import { ISTIOCTL } from "./release.ts";
import { createRemoteSecret, type RemoteSecret } from "./remote-secret.ts";

/** istioctl of the mesh's version, fetched when it is first needed. */
export interface Istioctl {
  /** Path of the program; throws a `Failure` where it cannot be had. */
  ready(mesh: SettledMesh): Promise<string>;
  /** The objects of a cluster's control plane, as `istioctl install` would apply them; made once for the same values. */
  manifests(mesh: SettledMesh, cluster: ClusterSpec): Promise<readonly KubernetesObject[]>;
  /**
   * @param server the target's API server as the observers reach it
   * @param tokenSecret the Secret that holds the reader's token
   */
  createRemoteSecret(mesh: SettledMesh, target: Member, server: string, tokenSecret: string): Promise<RemoteSecret>;
}

/** A call takes some seconds. Milliseconds. */
const CALL = 60_000;
/** So many that ask an API server go on at once: they wait for it for most of their time, and take some 100 MB each meanwhile. */
const ASKING = 8;

/**
 * @param directory where a kubeconfig is kept while istioctl reads it; private to this user, and emptied after the run
 * @param kubeconfigVariables environment variables that hold kubeconfigs, which no child is given
 */
export function istioctlFor(
  options: Omit<ToolOptions, "version">,
  directory: string,
  kubeconfigVariables: readonly string[],
): Istioctl {
  const { signal } = options.deadline;
  let path: Promise<string> | undefined;
  const ready = ({ istioVersion: version }: SettledMesh) => {
    path ??= ensureTool(ISTIOCTL, { ...options, version });
    return path;
  };
  const env = () => childEnvironment(process.env, kubeconfigVariables);
  // What only computes takes a CPU for all of its time.
  const computing = pLimit(availableParallelism());
  const asking = pLimit(ASKING);
  const made = new Map<string, Promise<readonly KubernetesObject[]>>();
  const generate = async (mesh: SettledMesh, cluster: ClusterSpec) => {
    const istioctl = await ready(mesh);
    return withPrivateFile(directory, cluster.name, JSON.stringify(istioOperator(mesh, cluster)), (file) =>
      computing(() => generateManifests({ istioctl, file, cluster: cluster.name, signal, env: env() })),
    );
  };
  return {
    ready,
    manifests(mesh, cluster) {
      const key = JSON.stringify([cluster.name, cluster.values]);
      const known = made.get(key) ?? generate(mesh, cluster);
      made.set(key, known);
      return known;
    },
    createRemoteSecret(mesh, { spec, cluster, kubeconfig }, server, tokenSecret) {
      // Its kubeconfig is on the disk no longer than it is read.
      return asking(async () => {
        const istioctl = await ready(mesh);
        const tlsServerName = spec.tlsServerName ?? kubeconfig.tlsServerName;
        return withPrivateFile(directory, spec.name, await cluster.kubeconfig(CALL), (kubeconfigFile) =>
          createRemoteSecret({
            istioctl,
            kubeconfigFile,
            context: kubeconfig.context,
            cluster: spec.name,
            namespace: mesh.namespace,
            server,
            serviceAccount: READER,
            tokenSecret,
            ...(tlsServerName ? { tlsServerName } : {}),
            signal,
            env: env(),
          }),
        );
      });
    },
  };
}
