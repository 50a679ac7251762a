// The built action with secrets that are known, in each command and in failures in which somebody quotes them: nothing of
// them is anywhere but where it belongs. Each run goes on from the one before.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { secretLines } from "../src/mesh/redact.ts";
import { Canaries, filesIn, placesIn, placesOf, placesOnCluster } from "./canary.ts";
import { base64, rootCa, selfSigned } from "./cluster/certificates.ts";
import { everything, NAMESPACE, putNamespace } from "./commands/mesh.ts";
import { startClusters } from "./embedded/cluster.ts";
import { fakeIstioctl } from "./embedded/istioctl.ts";
import type { Json, Kube } from "./embedded/kube.ts";
import { leftOut } from "./left-out.ts";
import { type RunOptions, type RunResult, runAction } from "./runner.ts";

// Shell scripts stand in for the action's children and watch what these are given.
const windows = leftOut(
  "the canaries' runs, for which shell scripts stand in for programs",
  process.platform === "win32",
);

const secretly = (what: string) => `canary.${what}.${createHash("sha256").update(what).digest("base64")}`;
const TOKEN = secretly("token-of-west");
const REFUSED = secretly("token-that-east-does-not-know");
const PLUGIN = secretly("secret-of-the-plugin");
const PASSWORD = "canary-password-5e1f7c93";

const canaries = new Canaries();
let dir: string;
let clusters: [Kube, Kube];
let root: { certificate: string; key: string };
let env: Record<string, string>;
const running: Kube[] = [];
let intermediate: Json;

beforeAll(async () => {
  if (windows) return;
  dir = mkdtempSync(join(tmpdir(), "canary-"));
  mkdirSync(join(dir, "children"));
  mkdirSync(join(dir, "bin"));
  clusters = (await startClusters(2)) as [Kube, Kube];
  running.push(...clusters);
  const [east, west] = clusters;
  for (const [name, kube] of Object.entries({ east, west })) canaries.watch(name, kube);
  west.setToken(TOKEN, "kubernetes-admin");
  root = await rootCa();
  const kubeconfig = withPlugin(west);
  env = {
    RUNNER_DEBUG: "1",
    // Much of a short run is the loading of the program.
    NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
    WEST: base64(kubeconfig),
    // As a workflow's `env:` often has it for another step.
    KUBECONFIG_CONTENT: kubeconfig,
    PATH: [join(dir, "bin"), process.env.PATH].join(delimiter),
  };
  canaries
    .add("token that west's plugin gives", TOKEN)
    .add("token that east does not know", REFUSED)
    .add("password of the mirror", PASSWORD)
    .add("key of the root", root.key)
    .addPublic("certificate of the root", root.certificate)
    .addKubeconfig("east", east.kubeconfig())
    .addKubeconfig("west", kubeconfig);
});

afterAll(async () => {
  await Promise.all(running.map((kube) => kube.stop()));
  if (dir) rmSync(dir, { recursive: true });
});

/** A program that notes what it is given and how private the file is that it reads, and then does what it is told. */
function program(path: string, then: string): string {
  const seen = join(dir, "children", path.replaceAll("/", "-"));
  const script = [
    "#!/bin/sh",
    `printf '%s\\n' "$0" "$@" >> '${seen}.argv'`,
    // What a kubeconfig sets for its plugin is meant for that one.
    `env | grep -v '^PLUGIN_SECRET=' >> '${seen}.env'`,
    `tr '\\0' '\\n' < /proc/$PPID/cmdline >> '${seen}.argv' 2> /dev/null`,
    'for word in "$@"; do case "$word" in --kubeconfig=*) kubeconfig=$(echo "$word" | cut -d= -f2-) ;; esac; done',
    `if [ -n "$kubeconfig" ]; then ls -ld "$kubeconfig" "$(dirname "$kubeconfig")" | cut -c1-10 >> '${join(dir, "modes")}'; fi`,
    then,
  ];
  const file = join(dir, path);
  writeFileSync(file, `${script.join("\n")}\n`, { mode: 0o755 });
  return file;
}

/** A kubeconfig that logs in by a program. */
function withPlugin(kube: Kube): string {
  const config = parse(kube.kubeconfig());
  const apiVersion = "client.authentication.k8s.io/v1";
  const credential = JSON.stringify({ apiVersion, kind: "ExecCredential", status: { token: TOKEN } });
  const command = program("plugin", `printf '%s' '${credential}'`);
  const variables = [{ name: "PLUGIN_SECRET", value: PLUGIN }];
  config.users[0].user = {
    exec: { apiVersion, command, args: ["get-token"], env: variables, interactiveMode: "Never" },
  };
  return stringify(config);
}

const QUOTE = [
  'echo "Error: cannot log in with $(cat "$kubeconfig")" >&2',
  'base64 "$kubeconfig" >&2',
  'cat "$kubeconfig"',
].join("\n");

interface Given {
  readonly inputs?: RunOptions["inputs"];
  /** Of east. */
  readonly kubeconfig?: string;
  readonly istioctl?: string;
  readonly kubes?: readonly Kube[];
  readonly cancel?: AbortSignal;
  readonly kill?: RunOptions["kill"];
}

let runs = 0;

/** A run with its post step, and whatever it left. */
async function run(command: string, given: Given = {}): Promise<RunResult> {
  const [east, west] = clusters;
  const kubes = given.kubes ?? [east, west];
  const list = [
    { name: "east", network: "network1", kubeconfig: given.kubeconfig ?? (kubes[0] as Kube).kubeconfig() },
    { name: "west", network: "network2", "kubeconfig-env": "WEST" },
  ];
  const folder = join(dir, `run-${++runs}`);
  const istioctl = given.istioctl ?? program("bin/istioctl", `exec '${await fakeIstioctl(join(dir, "fake"))}' "$@"`);
  const result = await runAction({
    inputs: {
      command,
      clusters: stringify(list),
      "istioctl-path": istioctl,
      "istioctl-mirror": `https://me:${PASSWORD}@mirror.invalid/istio`,
      "ca-root-cert": root.certificate,
      "ca-root-key": root.key,
      ...given.inputs,
    },
    env,
    keep: folder,
    timeoutMs: 90_000,
    ...(given.cancel ? { cancel: given.cancel } : {}),
    ...(given.kill ? { kill: given.kill } : {}),
  });
  expect(result.timedOut).toBe(false);
  expect(result.postExitCode).toBe(0);

  expect(canaries.leaks(await placesOf(result, folder))).toEqual([]);
  expect(canaries.leaks(await placesIn(join(dir, "children")))).toEqual([]);
  for (const kube of kubes) expect(canaries.leaksOnCluster(placesOnCluster(everything(kube)))).toEqual([]);

  // What is still there is for others to read, and by nobody but this user.
  const left = result.left.map(({ path }) => path.replace(/-[0-9a-f-]{36}/, ""));
  const published = ["istio-mesh-diagnostics.tar.gz", "istio-mesh-report.json", "istio-mesh-report.xml"];
  expect(left.filter((path) => !published.includes(path))).toEqual([]);
  const files = await filesIn(join(folder, "temp"));
  expect(files.filter(({ mode }) => mode !== 0o600)).toEqual([]);
  expect(await filesIn(join(folder, "workspace"))).toEqual([]);
  expectMasksFirst(result);
  return result;
}

/** Before anything is said, all that the inputs hold is masked, each line by itself. */
function expectMasksFirst({ stdout, stderr }: RunResult): void {
  const lines = stdout.split("\n");
  const begin = lines.findIndex((line) => !line.startsWith("::add-mask::"));
  const first = lines.slice(0, begin).map((line) => line.replace("::add-mask::", ""));
  const [east] = clusters;
  const key = Buffer.from(parse(east.kubeconfig()).users[0].user["client-key-data"], "base64").toString();
  const wanted = [
    PLUGIN,
    PASSWORD,
    ...secretLines(root.key),
    ...(stdout.includes(REFUSED) ? [REFUSED] : secretLines(key)),
  ];
  expect(first.length).toBeGreaterThanOrEqual(wanted.length);
  expect(wanted.filter((line) => !first.includes(line))).toHaveLength(0);
  const masks = lines.filter((line) => line.startsWith("::add-mask::"));
  // The runner would split it, but then the armour of every PEM were a mask.
  expect(masks.filter((line) => /%0A|-----/.test(line))).toEqual([]);
  expect(stderr).toBe("");
}

/** An API server that tells in each error what it was sent and what it keeps. */
function quoting(kube: Kube, token: string, path: RegExp, status: number): void {
  let n = 0;
  kube.intercept(({ method, path: asked }) => {
    if (method === "GET" || !path.test(asked)) return undefined;
    const kept = clusters
      .flatMap((each) => each.list("v1", "Secret", NAMESPACE))
      .flatMap(({ data }) => Object.values<string>(data));
    const encoded = kept[n++ % kept.length] ?? "";
    const plain = Buffer.from(encoded, "base64").toString();
    const message = `denied Authorization: Bearer ${token}; data: Invalid value: "${plain.slice(0, 200)}" ${encoded}`;
    return {
      status,
      body: { apiVersion: "v1", kind: "Status", status: "Failure", code: status, reason: "Invalid", message },
    };
  });
}

const silent = () => {
  for (const kube of clusters) kube.intercept(undefined);
};

const causes = ({ report }: RunResult) =>
  report?.checks
    .filter(({ verdict }) => verdict === "failed" || verdict === "unknown")
    .map(({ cause }) => cause ?? "") ?? [];

describe.skipIf(windows)("nothing of a secret is anywhere but where it belongs", () => {
  test("plan", async () => {
    expect((await run("plan")).outputs).toMatchObject({ result: "passed", changed: "true" });
  });

  test("install, where istioctl quotes its kubeconfig", async () => {
    const result = await run("install", { istioctl: program("bin/quoting", `${QUOTE}\nexit 1`) });
    expect(result.exitCode).toBe(1);
    expect(causes(result).join()).toContain("Error: cannot log in with".replace("Error: ", ""));
    expect(result.outputs.diagnostics).not.toBe("");
  });

  /** A program that has read its kubeconfig and does not end soon, and a signal for when it has. */
  function reading(name: string, seconds: number): { istioctl: string; when: AbortSignal } {
    const reached = join(dir, `${name}-reached`);
    const istioctl = program(`bin/${name}`, `${QUOTE}\ntouch '${reached}'\nexec sleep ${seconds}`);
    const there = new AbortController();
    const look = setInterval(() => existsSync(reached) && there.abort(), 50).unref();
    there.signal.addEventListener("abort", () => clearInterval(look));
    return { istioctl, when: there.signal };
  }

  test("install, cancelled while a program reads its kubeconfig", async () => {
    const { istioctl, when } = reading("slow", 60);
    const result = await run("install", { istioctl, cancel: when });
    expect(result.exitCode).toBe(1);
    expect(causes(result).join()).toContain("did not finish the remote secret of");
  });

  test("install, killed while a program reads its kubeconfig", async () => {
    // Nobody ends the program then.
    const { istioctl, when } = reading("orphan", 3);
    const result = await run("install", { istioctl, kill: { signal: "SIGKILL", when } });
    expect(result.exitCode).toBe(null);
  });

  test("install", async () => {
    const result = await run("install");
    expect(result.annotations.filter(({ level }) => level === "error")).toEqual([]);
    expect(result.outputs).toMatchObject({ result: "passed", changed: "true" });
    expect(Object.keys(JSON.parse(result.outputs["gateway-addresses"] ?? "{}"))).toEqual(["east", "west"]);
    // Keys of intermediates, tokens of readers, kubeconfigs in remote secrets.
    expect(canaries.size).toBeGreaterThan(20);
    const secrets = clusters.flatMap((kube) => kube.list("v1", "Secret", NAMESPACE));
    const tokens = secrets.filter(({ type }) => type === "kubernetes.io/service-account-token");
    expect(tokens).toHaveLength(2);
    const readers = tokens.map(({ data }) => Buffer.from(data.token, "base64").toString());
    expect(result.masks).toEqual(expect.arrayContaining(readers));
  });

  test("rotate, where the API servers quote what they are sent and what they keep", async () => {
    const [east, west] = clusters;
    quoting(east, parse(east.kubeconfig()).users[0].user["client-key-data"], /\/secrets\/istio-remote-secret/, 422);
    quoting(west, TOKEN, /\/secrets\/istio-remote-secret/, 422);
    const result = await run("rotate").finally(silent);
    expect(causes(result).join()).toContain("denied Authorization: Bearer ***");
  });

  test("rotate", async () => {
    expect((await run("rotate")).outputs).toMatchObject({ result: "passed", changed: "true" });
  });

  test("verify, where a token is refused and quoted, and a certificate is not the server's", async () => {
    const [east, west] = clusters;
    quoting(east, REFUSED, /./, 401);
    const other = parse(env.WEST ? Buffer.from(env.WEST, "base64").toString() : "");
    other.clusters[0].cluster["certificate-authority-data"] = base64((await selfSigned()).certificate);
    const before = env;
    env = { ...env, WEST: base64(stringify(other)) };
    const kubeconfig = east.kubeconfig({ auth: "token", token: REFUSED });
    const result = await run("verify", { kubeconfig }).finally(() => {
      env = before;
      silent();
    });
    expect(result.exitCode).toBe(1);
    expect(causes(result).join()).toContain(
      `The API server at ${west.server} cannot be reached: its certificate was not accepted`,
    );
    expect(causes(result).join()).toMatch(/Unauthorized|denied/);
  });

  test("diagnose, where logs, events and the operator quote secrets", async () => {
    for (const kube of clusters) {
      const secrets = kube.list("v1", "Secret", NAMESPACE).flatMap(({ data }) => Object.values<string>(data));
      const quoted = secrets.flatMap((value) => [value, Buffer.from(value, "base64").toString()]).join("\n");
      kube.onLog(() => `Authorization: Bearer ${TOKEN}\n${quoted}`);
      const involvedObject = { kind: "Pod", namespace: NAMESPACE, name: "istiod" };
      const metadata = { name: "quoting", namespace: NAMESPACE };
      kube.put({
        apiVersion: "v1",
        kind: "Event",
        metadata,
        type: "Warning",
        reason: "Failed",
        message: quoted,
        involvedObject,
      });
    }
    const result = await run("diagnose");
    expect(result.outputs.diagnostics).toMatch(/\.tar\.gz$/);
  });

  test("uninstall", async () => {
    intermediate = clusters[0].get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" });
    const result = await run("uninstall", { inputs: { "uninstall-scope": "all" } });
    expect(result.outputs).toMatchObject({ result: "passed", changed: "true" });
  });

  test("install, where Helm quotes its kubeconfig", async () => {
    const kubes = await startClusters(2, { operator: false });
    running.push(...kubes);
    const west = kubes[1] as Kube;
    west.setToken(TOKEN, "kubernetes-admin");
    for (const kube of kubes) {
      canaries.watch("a cluster without an operator", kube);
      putNamespace(kube);
      // So that none is issued, which takes a while.
      kube.put(intermediate);
    }
    program("bin/helm", `${QUOTE}\nexit 1`);
    const before = env;
    env = { ...env, WEST: base64(withPlugin(west)), KUBECONFIG_CONTENT: "" };
    const inputs = { "install-operator": "true", "operator-chart": "./chart" };
    const result = await run("install", { kubes, inputs }).finally(() => {
      env = before;
    });
    expect(causes(result).join()).toContain("Helm could not install the Sail Operator");
  });

  test("inputs that stand in each other's places", async () => {
    const result = await run("install", {
      inputs: { "mesh-id": PASSWORD, "istio-version": root.key, "operator-version": TOKEN },
    });
    expect(result.exitCode).toBe(1);
    expect(result.summary).toContain("The inputs cannot be used");
  });

  test("and every file that a program was given was its user's alone, in a folder that is", () => {
    const modes = new Set(readFileSync(join(dir, "modes"), "utf8").trim().split("\n"));
    expect([...modes].toSorted()).toEqual(["-rw-------", "drwx------"]);
  });
});

const key =
  "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\nAwEHBG0wawIBAQQgZm9vYmFyYmF6\n-----END PRIVATE KEY-----\n";

describe("a canary", () => {
  const found = (text: string) => new Canaries().add("token", TOKEN).add("key", key).in(text);

  test.each<[string, string, string[]]>([
    ["as it is", `a ${TOKEN} b`, ["token"]],
    ["cut off", TOKEN.slice(0, 20), ["token"]],
    ["without its beginning", TOKEN.slice(12), ["token"]],
    ["in base64", base64(TOKEN), ["token"]],
    ["in base64 with other text", base64(`user:${TOKEN}\n`), ["token"]],
    ["in a URL", `https://x/?t=${encodeURIComponent(TOKEN)}`, ["token"]],
    ["in a page", TOKEN.replaceAll(/[+/.-]/g, (each) => `&#${each.charCodeAt(0)};`), ["token"]],
    ["in a command", TOKEN.replaceAll(/[+/.-]/g, (each) => `%${each.charCodeAt(0).toString(16)}`), ["token"]],
    ["a key in base64", base64(key), ["key"]],
    ["a line of a key", "AwEHBG0wawIBAQQgZm9vYmFyYmF6", ["key"]],
    ["a line of a key in base64", base64("AwEHBG0wawIBAQQgZm9vYmFyYmF6"), ["key"]],
    ["but not a key's armour", "-----BEGIN PRIVATE KEY-----", []],
    ["nor what all keys in base64 begin with", base64(key).slice(0, 30), []],
  ])("is seen %s", (_, text, names) => {
    expect(found(text)).toEqual(names);
  });
});
