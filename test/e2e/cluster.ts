import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { stringify } from "yaml";

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind, of which a test looks at a field or two
export type KubernetesObject = any;

const run = promisify(execFile);

/** A cluster under test, by kubectl: nothing here shares code with what it judges. */
export class Cluster {
  readonly name: string;
  readonly network: string;
  readonly kubeconfigPath: string;
  readonly kubeconfig: string;

  constructor(number: number, kubeconfigPath: string) {
    this.name = `cluster${number}`;
    this.network = `network${number}`;
    this.kubeconfigPath = kubeconfigPath;
    this.kubeconfig = readFileSync(kubeconfigPath, "utf8");
  }

  async kubectl(args: readonly string[], { input = "", timeoutMs = 60_000 } = {}): Promise<string> {
    const call = run("kubectl", ["--kubeconfig", this.kubeconfigPath, ...args], {
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    call.child.stdin?.end(input);
    return (await call).stdout;
  }

  async get(kind: string, name: string, namespace = "istio-system", ...args: string[]): Promise<KubernetesObject> {
    return JSON.parse(await this.kubectl(["get", kind, name, "-n", namespace, "-o", "json", ...args]));
  }

  async list(kinds: string, ...args: string[]): Promise<KubernetesObject[]> {
    return JSON.parse(await this.kubectl(["get", kinds, "-o", "json", ...args])).items;
  }

  async apply(objects: readonly KubernetesObject[]): Promise<void> {
    const input = objects.map((object) => stringify(object)).join("---\n");
    await this.kubectl(["apply", "-f", "-"], { input });
  }

  /** A command in a pod; what it printed, whatever its exit code. */
  async exec(namespace: string, pod: string, container: string, ...command: string[]): Promise<string> {
    try {
      return await this.kubectl(["exec", "-n", namespace, pod, "-c", container, "--", ...command]);
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      return `${stdout ?? ""}${stderr ?? error}`;
    }
  }
}
