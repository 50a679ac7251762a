import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { connect } from "../../src/cluster/client.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import type { Interference, Kube } from "../embedded/kube.ts";
import { startKube } from "../embedded/server.ts";

const pod = { apiVersion: "v1", kind: "Pod", namespace: "default", name: "a" };
let kube: Kube;
let cluster: Cluster;
const told: string[] = [];

/** A deadline whose pauses take no time. */
class Unhurried extends Deadline {
  override async pause(): Promise<void> {}
}

beforeAll(async () => {
  kube = await startKube();
  kube.put({ apiVersion: "v1", kind: "Pod", metadata: pod, spec: { containers: [{ name: "main" }] } });
  kube.onExec(({ command }) => ({ exitCode: command[0] === "false" ? 1 : 0, stdout: command.join(" "), stderr: "" }));
  const watcher = { waiting() {}, waited() {}, retrying: (_: string, message: string) => void told.push(message) };
  cluster = connect("east", readKubeconfig(kube.kubeconfig()) as Kubeconfig, new Unhurried(60_000), watcher);
});
afterEach(() => {
  kube.intercept(undefined);
  told.length = 0;
});
afterAll(async () => {
  await cluster.close();
  await kube.stop();
});

const run = (...command: string[]) => cluster.exec(pod, "main", command);
/** Spoils the first request. */
function spoil(what: Interference): void {
  let first = true;
  kube.intercept(() => {
    const now = first ? what : undefined;
    first = false;
    return now;
  });
}

test("a command's output and exit code come back", async () => {
  expect(await run("echo", "x")).toEqual({ exitCode: 0, stdout: "echo x", stderr: "" });
  expect(await run("false")).toMatchObject({ exitCode: 1 });
  expect(told).toEqual([]);
});

test.each<[string, Interference, RegExp]>([
  ["429 with Retry-After", { status: 429, headers: { "retry-after": "1" } }, /in 1\.\d s: HTTP 429$/],
  ["503", { status: 503 }, /in 0\.\d s: HTTP 503$/],
  ["a connection that is cut", { destroy: true }, /in 0\.\d s: /],
  ["a command that breaks off", { truncate: true }, /in 0\.\d s: the connection broke$/],
])("it is run again after %s, which is said", async (_, fault, expected) => {
  spoil(fault);
  expect(await run("echo", "x")).toMatchObject({ exitCode: 0, stdout: "echo x" });
  expect(told).toEqual([expect.stringMatching(/^run echo in Pod default\/a: try 2 /)]);
  expect(told[0]).toMatch(expected);
});

test.each([403, 404])("it is not run again after %i", async (status) => {
  kube.intercept(() => ({ status }));
  await expect(run("echo")).rejects.toThrow(`Could not run echo in Pod default/a: HTTP ${status}.`);
  expect(told).toEqual([]);
});
