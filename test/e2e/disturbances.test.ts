// An installation while something breaks on one of its clusters: on fresh ones each time, for a mesh that is there already
// would hide what was not done. What goes away for a while is waited for; what stays broken is named.
import { execFile, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { listed, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, nodeShell, nodePids } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const [, target] = clusters as [Cluster, Cluster];
const run = promisify(execFile);

const withoutShell = nodeShell ? undefined : "E2E_NODE_SHELL is not set, so the node's network cannot be cut";
const withoutPids = nodePids ? undefined : "E2E_NODE_PIDS is not set, so nothing on the node can be stopped";

interface Disturbance {
  readonly name: string;
  readonly impossible?: string | undefined;
  /** It begins as soon as this is on the cluster: its kind and its name. */
  readonly at: readonly [kind: string, name: string];
  /** Begins it, and is over with it; ends sooner when the run has ended. */
  readonly make: (over: AbortSignal) => Promise<unknown>;
}

const pidFile = (name: string) => join(nodePids as string, `${name}.pid`);
const pid = (name: string) => Number(readFileSync(pidFile(name), "utf8"));
const inNetwork = (...words: string[]) => {
  const [command, ...rest] = [...(nodeShell as string[]), ...words] as [string, ...string[]];
  return run(command, rest);
};
const pause = (milliseconds: number, signal?: AbortSignal) =>
  delay(milliseconds, undefined, { signal }).catch(() => {});

const DISTURBANCES: Disturbance[] = [
  {
    name: "the API server is stopped, and started after 10 s",
    impossible: withoutPids,
    at: ["istios.sailoperator.io", "default"],
    make: async () => {
      const server = pid("apiserver");
      const [program = "", ...args] = readFileSync(`/proc/${server}/cmdline`, "utf8").split("\0").slice(0, -1);
      process.kill(server, "SIGKILL");
      await pause(10_000);
      // Where its database runs, there it ran itself; nsenter becomes the program, so its process is the new server's.
      const where = ["--target", String(pid("etcd")), "--mount", "--net"];
      const started = spawn("nsenter", [...where, program, ...args], { detached: true, stdio: "ignore" });
      started.unref();
      writeFileSync(pidFile("apiserver"), `${started.pid}\n`);
    },
  },
  {
    name: "etcd is slow: it stands still for two thirds of each second",
    impossible: withoutPids,
    at: ["namespace", "istio-system"],
    make: async (over) => {
      const etcd = pid("etcd");
      try {
        while (!over.aborted) {
          process.kill(etcd, "SIGSTOP");
          await pause(660);
          process.kill(etcd, "SIGCONT");
          await pause(340, over);
        }
      } finally {
        process.kill(etcd, "SIGCONT");
      }
    },
  },
  {
    name: "the node's network is cut for 20 s",
    impossible: withoutShell,
    at: ["istios.sailoperator.io", "default"],
    make: async () => {
      const rules = [
        ["PREROUTING", "-i"],
        ["OUTPUT", "-o"],
      ].map(([chain = "", way = ""]) => [chain, "-t", "raw", way, "eth0", "-j", "DROP"]);
      for (const rule of rules) await inNetwork("iptables", "-I", ...rule);
      await pause(20_000);
      for (const rule of rules) await inNetwork("iptables", "-D", ...rule);
    },
  },
  {
    name: "istiod is killed while the remote secrets are exchanged",
    at: ["secret", "istio-remote-secret-cluster1"],
    // Not by force, which takes the pod's object away under its kubelet: one of Kubernetes 1.33 panics over that when it
    // has just started the pod (kubernetes/kubernetes#137999).
    make: () =>
      target.kubectl(["delete", "pods", "-n", "istio-system", "-l", "app=istiod", "--grace-period=1", "--wait=false"]),
  },
];

/** Waits for its moment; whether that came before the run was over. */
async function begin({ at: [kind, name], make }: Disturbance, over: AbortSignal): Promise<boolean> {
  const there = () =>
    target.kubectl(["get", kind, name, "-n", "istio-system", "-o", "name"]).then(
      () => true,
      () => false,
    );
  while (!over.aborted) {
    if (await there()) {
      await make(over);
      return true;
    }
    await pause(200);
  }
  return false;
}

async function install(values?: object, disturbance?: Disturbance): Promise<RunResult> {
  const list = listed(clusters, ({ name, kubeconfigPath }) => ({
    "kubeconfig-file": kubeconfigPath,
    ...(values && name === target.name ? { values } : {}),
  }));
  const over = new AbortController();
  const made = disturbance ? begin(disturbance, over.signal) : undefined;
  const result = await runOn(clusters, { clusters: list, timeout: values ? "90s" : "10m" });
  over.abort();
  if (disturbance) expect(await made, `the run was over before it began\n${logOf(result)}`).toBe(true);
  return result;
}

async function uninstall(): Promise<void> {
  const inputs = { command: "uninstall", "uninstall-scope": "all" };
  const result = await runOn(clusters, inputs, { timeoutMs: 5 * 60_000 });
  expect(result.exitCode, logOf(result)).toBe(0);
}

const bad = ({ report }: RunResult) =>
  report?.checks.flatMap(({ id, verdict, cause, hint }) => (verdict === "failed" ? { id, cause, hint } : [])) ?? [];

afterAll(uninstall);

describe("an installation goes on when it is over", () => {
  for (const disturbance of DISTURBANCES) {
    const { name, impossible } = disturbance;
    it.skipIf(impossible)(`${name}${impossible ? ` (skipped: ${impossible})` : ""}`, async () => {
      await uninstall();
      const result = await install(undefined, disturbance);
      const retries = result.log.filter(({ text }) => /: try \d+ in /.test(text)).length;
      console.log(
        `${name}: ${result.seconds.toFixed(1)} s, exit code ${result.exitCode}, ${retries} requests tried again`,
      );
      expect(bad(result), logOf(result)).toEqual([]);
      expect([result.exitCode, result.outputs.result]).toEqual([0, "passed"]);
    });
  }
});

describe("what stays broken is named", () => {
  it("an image of the gateway that cannot be pulled, with the pod's own reason; and the next run is whole", async () => {
    await uninstall();
    const result = await install({ global: { proxy: { image: "no-such-proxy" } } });
    console.log(`an image that cannot be pulled: ${result.seconds.toFixed(1)} s, ${JSON.stringify(bad(result))}`);
    expect(result.exitCode).toBe(1);
    const told = bad(result).find(({ id }) => id === "install.gateway-available");
    expect(told?.cause).toMatch(/cluster2|no-such-proxy/);
    expect(told?.cause).toMatch(/ImagePullBackOff|ErrImagePull/);
    expect(told?.hint).toMatch(/describe pod/);
    const again = await install();
    expect(bad(again), logOf(again)).toEqual([]);
    expect(again.outputs.result).toBe("passed");
  });
});
