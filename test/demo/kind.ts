// Two kind clusters, for a demo on Kubernetes itself; the action installs the operator. Needs Docker and a network.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What go together: an Istio, the operator that installs it, a Kubernetes that both support, as an image of kind 0.33.0. */
export const ISTIO_VERSION = "1.31.3";
export const OPERATOR_VERSION = "1.31.2";
const NODE_IMAGE = "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed";

export interface KindClusters {
  readonly kubeconfigs: readonly string[];
  stop(): Promise<void>;
}

/** What the demo needs and this machine does not have, a line each. */
export async function missingForKind(): Promise<string[]> {
  const needed = [
    [["kind", "version"], "kind is not on PATH: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"],
    [["docker", "info"], "docker is not on PATH, or its engine does not run (`docker info` fails)"],
    [["kubectl", "version", "--client"], "kubectl is not on PATH: https://kubernetes.io/docs/tasks/tools/"],
  ] as const;
  const found = await Promise.all(
    needed.map(([[program, ...args], missing]) =>
      run(program, args).then(
        () => [],
        () => [missing],
      ),
    ),
  );
  return found.flat();
}

export async function startKindClusters(say: (line: string) => void): Promise<KindClusters> {
  const folder = await mkdtemp(join(tmpdir(), "kind-"));
  const names = ["mesh-demo-1", "mesh-demo-2"];
  const stopping = new AbortController();
  const balancers: Promise<void>[] = [];
  const stop = async () => {
    stopping.abort();
    await Promise.all(balancers);
    await Promise.all(names.map((name) => run("kind", ["delete", "cluster", "--name", name])));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const kubeconfigs = await Promise.all(
      names.map(async (name) => {
        const kubeconfig = join(folder, name);
        const at = ["--kubeconfig", kubeconfig];
        say(`${name}: creating the cluster`);
        await run("kind", ["create", "cluster", "--name", name, "--image", NODE_IMAGE, "--wait", "180s", ...at]);
        balancers.push(balance(kubeconfig, await nodeAddress(name), stopping.signal));
        return readFile(kubeconfig, "utf8");
      }),
    );
    return { kubeconfigs, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function nodeAddress(cluster: string): Promise<string> {
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  return (await run("docker", ["inspect", "-f", format, `${cluster}-control-plane`])).stdout.trim();
}

/** A stand-in for a load balancer, which kind has none of: Services get their node's address, where kube-proxy answers. */
async function balance(kubeconfig: string, address: string, signal: AbortSignal): Promise<void> {
  const kubectl = async (...args: string[]) => (await run("kubectl", ["--kubeconfig", kubeconfig, ...args])).stdout;
  const status = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: address }] } } });
  while (!signal.aborted) {
    const { items } = JSON.parse(await kubectl("get", "services", "-A", "-o", "json"));
    for (const { metadata, spec, status: current } of items) {
      if (spec.type !== "LoadBalancer" || current.loadBalancer?.ingress?.length > 0) continue;
      await kubectl(
        "patch",
        "service",
        metadata.name,
        "-n",
        metadata.namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
      );
    }
    await delay(1000, undefined, { signal }).catch(() => {});
  }
}
