// New tokens on a mesh that is in use: nobody's request fails, and the old tokens are good for nothing afterwards.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { leaks, secretStrings } from "./secrets.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const pairs = clusters.flatMap((observer) =>
  clusters.filter((target) => target !== observer).map((target) => ({ observer, target })),
);
const TTL = { "token-ttl": "1h" };

let toolCache: string;
beforeAll(async () => {
  toolCache = await mkdtemp(join(tmpdir(), "tools-"));
});
afterAll(async () => {
  await rm(toolCache, { recursive: true, force: true });
});

async function run(command: string, more: Readonly<Record<string, string>> = {}): Promise<RunResult> {
  const result = await runOn(clusters, { command, ...more }, { toolCache });
  console.log(`${command}: ${result.seconds.toFixed(1)} s`);
  return result;
}

interface Held {
  readonly observer: Cluster;
  readonly target: Cluster;
  readonly token: string;
}

/** The tokens in all remote secrets. */
const held = (): Promise<Held[]> =>
  Promise.all(
    pairs.map(async ({ observer, target }) => {
      const { data } = await observer.get("secret", `istio-remote-secret-${target.name}`);
      const kubeconfig = parse(Buffer.from(data[target.name], "base64").toString());
      return { observer, target, token: kubeconfig.users[0].user.token as string };
    }),
  );

async function isAccepted({ target, token }: Held): Promise<boolean> {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const answer = await target.kubectl(["create", "-f", "-", "-o", "json"], { input: JSON.stringify(review) });
  return JSON.parse(answer).status.authenticated === true;
}

/** API servers remember for ten seconds that a token was good. */
async function areRefused(old: readonly Held[]): Promise<boolean> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answers = await Promise.all(old.map(isAccepted));
    if (!answers.includes(true)) return true;
    if (Date.now() > deadline) return false;
    await delay(1_000);
  }
}

const istiods = async (): Promise<string[]> =>
  (await Promise.all(clusters.map((cluster) => cluster.list("pods", "-n", "istio-system", "-l", "app=istiod"))))
    .flat()
    .map(({ metadata }) => metadata.name)
    .sort();

const tokenSecrets = async (cluster: Cluster): Promise<string[]> =>
  (await cluster.list("secrets", "-n", "istio-system"))
    .map(({ metadata }) => metadata.name as string)
    .filter((name) => name.startsWith("istio-reader-service-account-"));

/** A rotation while requests flow in all directions. */
async function rotateUnderTraffic(inputs: Readonly<Record<string, string>> = {}): Promise<void> {
  const before = await held();
  const pods = await istiods();
  const streams = await startStreams(clusters, sampleImage);
  const result = await run("rotate", inputs);
  const sent = await streams.stop();
  console.log(toldOf(sent));
  expect(result.exitCode, explain(result)).toBe(0);
  expect(result.outputs).toMatchObject({ result: "passed", changed: "true" });
  expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));

  const after = await held();
  const old = new Set(before.map(({ token }) => token));
  expect(after.filter(({ token }) => old.has(token))).toEqual([]);
  expect(await Promise.all(after.map(isAccepted))).toEqual(after.map(() => true));
  expect(await areRefused(before)).toBe(true);
  for (const cluster of clusters) expect(await tokenSecrets(cluster)).toHaveLength(1);
  // Restarted only where the report says so.
  const adopted = result.report?.checks.filter(({ id }) => id === "rotate.adopted") ?? [];
  for (const { evidence, warning } of adopted) console.log(warning ?? evidence);
  if (adopted.every(({ warning }) => warning === undefined)) expect(await istiods()).toEqual(pods);
  expect(leaks(result, await secretStrings(clusters))).toEqual([]);
}

describe("rotate", () => {
  it("gives every remote secret a new token while requests flow", () => rotateUnderTraffic());

  it("leaves nothing to do for install", async () => {
    const result = await run("install");
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.outputs.changed).toBe("false");
  });
});

describe("with token-ttl", () => {
  it("the new tokens expire, and the old ones are refused", async () => {
    await rotateUnderTraffic(TTL);
    for (const { token } of await held()) {
      const { iat, exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
      expect(exp - iat).toBe(3_600);
    }
  });

  it("leaves nothing to do for install, and verify tells the time that is left", async () => {
    const again = await run("install", { ...TTL, verify: "false" });
    expect(again.exitCode, explain(again)).toBe(0);
    expect(again.outputs.changed).toBe("false");
    const verified = await run("verify", { traffic: "false" });
    expect(verified.exitCode, explain(verified)).toBe(0);
    expect(verified.summary).toMatch(/The first of the tokens that istiods read by expires in \d+ minutes/);
  });

  it("an expiring token can be revoked all the same", async () => {
    await rotateUnderTraffic();
    const result = await run("install", { verify: "false" });
    expect(result.outputs.changed, explain(result)).toBe("false");
  });
});
