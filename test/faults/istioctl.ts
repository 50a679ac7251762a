import type { Deadline } from "../../src/cluster/deadline.ts";
import { heeding } from "../../src/cluster/deadline.ts";
import type { Istioctl } from "../../src/istioctl/istioctl.ts";
import { buildArgs, parseRemoteSecret } from "../../src/istioctl/remote-secret.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { READER } from "../../src/mesh/objects/reader.ts";
import { createRemoteSecret, flagsOf, Problem } from "../embedded/istioctl.ts";

/** The stand-in for istioctl without a process of its own; its requests meet faults as all others do. */
export function quickIstioctl({ signal }: Deadline): Istioctl {
  return {
    ready: async () => "istioctl",
    manifests: () => Promise.reject(new Error("no manifests are asked for here")),
    async createRemoteSecret(mesh, { spec, kubeconfig }, server, tokenSecret) {
      const asked = { cluster: spec.name, namespace: mesh.namespace, server, serviceAccount: READER, tokenSecret };
      const files = { istioctl: "istioctl", kubeconfigFile: "", context: kubeconfig.context };
      try {
        const made = createRemoteSecret(flagsOf(buildArgs({ ...asked, ...files })), kubeconfig.text);
        return parseRemoteSecret(await heeding(made, signal), asked);
      } catch (error) {
        if (signal.aborted) {
          throw new Failure(`istioctl did not finish the remote secret of ${spec.name} in time.`, "Raise `timeout`.");
        }
        if (!(error instanceof Problem)) throw error;
        throw new Failure(
          `istioctl could not make the remote secret of ${spec.name}: ${error.message}`,
          "Does the kubeconfig reach its API server?",
        );
      }
    },
  };
}
