// New tokens on a mesh that is in use: nobody's request fails, and the old tokens are good for nothing afterwards.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { RunResult } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { leaks, secretStrings } from "./secrets.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, sampleImage, istioVersion, olderIstioVersion, istioctlMirror } = settings();
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

  it("writes remote secrets that are istioctl's field by field, in each version, the token apart", async () => {
    await makeByIstioctl();
    await areIstioctls();
  });

  it("leaves nothing to do for install", async () => {
    const result = await run("install");
    expect(result.exitCode, explain(result)).toBe(0);
    expect(result.outputs.changed, explain(result)).toBe("false");
  });
});

/** Programs of the versions under test, from where the action has them. */
async function istioctls(): Promise<string[]> {
  const wanted = [istioVersion, olderIstioVersion].filter((version) => version !== undefined);
  if (!istioctlMirror) return [];
  return Promise.all(
    wanted.map(async (version) => {
      const folder = join(toolCache, `own-${version}`);
      await mkdir(folder);
      const answer = await fetch(`${istioctlMirror}/${version}/istioctl-${version}-linux-amd64.tar.gz`);
      await writeFile(join(folder, "archive"), Buffer.from(await answer.arrayBuffer()));
      await promisify(execFile)("tar", ["-xzf", join(folder, "archive"), "-C", folder]);
      return join(folder, "istioctl");
    }),
  );
}

/** A remote secret with its kubeconfig read, without its token and what nobody but an API server writes. */
function fieldsOf({ kind, type, metadata, data = {}, stringData = {} }: KubernetesObject): KubernetesObject {
  const texts = { ...Object.fromEntries(Object.entries<string>(data).map(([k, v]) => [k, atob(v)])), ...stringData };
  const kubeconfigs = Object.entries<string>(texts).map(([key, text]) => {
    const { preferences, ...kubeconfig } = parse(text);
    // Empty where istioctl's library still writes it, and without a meaning to anybody.
    expect(preferences ?? {}).toEqual({});
    expect(kubeconfig.users.map(({ user }: KubernetesObject) => Object.keys(user))).toEqual([["token"]]);
    for (const { user } of kubeconfig.users) user.token = "(a token)";
    return [key, kubeconfig];
  });
  const { name, namespace, labels, annotations } = metadata;
  return {
    kind,
    type: type ?? "Opaque",
    metadata: { name, namespace, labels, annotations },
    ...Object.fromEntries(kubeconfigs),
  };
}

/** By version and target: what each istioctl makes. */
const made: { target: Cluster; fields: KubernetesObject }[] = [];

/** Of the token Secrets as they are, by which istioctl goes. */
async function makeByIstioctl(): Promise<void> {
  for (const istioctl of await istioctls())
    for (const target of clusters) {
      const [tokenSecret] = await tokenSecrets(target);
      const { stdout } = await promisify(execFile)(istioctl, [
        "create-remote-secret",
        `--kubeconfig=${target.kubeconfigPath}`,
        `--name=${target.name}`,
        `--server=${parse(target.kubeconfig).clusters[0].cluster.server}`,
        "--create-service-account=false",
        `--secret-name=${tokenSecret}`,
      ]);
      made.push({ target, fields: fieldsOf(parseAllDocuments(stdout)[0]?.toJS()) });
    }
}

/** What is held has each field that istioctl makes, and of its own nothing but labels and annotations. */
async function areIstioctls(): Promise<void> {
  for (const { observer, target } of pairs) {
    const { metadata, ...own } = fieldsOf(await observer.get("secret", `istio-remote-secret-${target.name}`));
    const its = made.filter((each) => each.target === target);
    console.log(
      `istio-remote-secret-${target.name} in ${observer.name}: held against ${its.length} versions of istioctl`,
    );
    for (const { fields } of its) {
      const { metadata: wanted, ...rest } = fields;
      expect(own).toEqual(rest);
      expect(metadata).toMatchObject(wanted);
    }
  }
}

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

  it("writes remote secrets that are istioctl's, too", areIstioctls);

  it("an expiring token can be revoked all the same", async () => {
    await rotateUnderTraffic();
    const result = await run("install", { verify: "false" });
    expect(result.outputs.changed, explain(result)).toBe("false");
  });
});
