import { type Deadline, heeding } from "../../src/cluster/deadline.ts";
import type { Istioctl } from "../../src/istioctl/istioctl.ts";
import { parseManifests } from "../../src/istioctl/manifests.ts";
import { buildArgs, parseRemoteSecret } from "../../src/istioctl/remote-secret.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { istioOperator } from "../../src/mesh/objects/control-plane.ts";
import { READER } from "../../src/mesh/objects/reader.ts";
import { createRemoteSecret, flagsOf, generate, Problem } from "./istioctl.ts";
import { dial } from "./network.ts";

/**
 * The stand-in for istioctl without processes, which take longer than all else of a run; its requests meet faults as all
 * others do.
 * @param calls gets the arguments of each call
 */
export function quickIstioctl({ signal }: Deadline, calls: string[] = []): Istioctl {
  const said = (what: string, cluster: string) => (error: unknown) => {
    if (signal.aborted)
      throw new Failure(`istioctl did not finish the ${what} of ${cluster} in time.`, "Raise `timeout`.");
    if (!(error instanceof Problem)) throw error;
    throw new Failure(
      `istioctl could not make the ${what} of ${cluster}: ${error.message}`,
      "Is that so in its kubeconfig?",
    );
  };
  const made = new Map<string, Promise<string>>();
  return {
    ready: async () => "istioctl",
    async manifests(mesh, cluster) {
      const asked = JSON.stringify(istioOperator(mesh, cluster));
      if (!made.has(asked)) {
        calls.push("manifest generate --filename=-");
        made.set(asked, generate(asked, mesh.istioVersion));
      }
      const output = await (made.get(asked) as Promise<string>).catch(said("control plane", cluster.name));
      return parseManifests(output, cluster.name);
    },
    async createRemoteSecret(mesh, { spec, kubeconfig }, server, tokenSecret) {
      const tlsServerName = spec.tlsServerName ?? kubeconfig.tlsServerName;
      const asked = {
        ...{ cluster: spec.name, namespace: mesh.namespace, server, serviceAccount: READER, tokenSecret },
        ...(tlsServerName ? { tlsServerName } : {}),
      };
      const args = buildArgs({ ...asked, istioctl: "istioctl", kubeconfigFile: "-", context: kubeconfig.context });
      calls.push(args.join(" "));
      const output = heeding(
        createRemoteSecret(flagsOf(args), kubeconfig.text, (server) => dial(server) ?? server),
        signal,
      );
      return parseRemoteSecret(await output.catch(said("remote secret", spec.name)), asked);
    },
  };
}
