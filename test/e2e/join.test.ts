// The main job on real clusters: fresh clusters in, one mesh out, and a call in one answered by another.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { connectProxy } from "../cluster/proxies.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { call, deploySample, removeSample } from "./sample.ts";
import { leaks, secretStrings } from "./secrets.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion, istioctlMirror, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const names = clusters.map(({ name }) => name);
const pairs = clusters.flatMap((source) =>
  clusters.filter((target) => target !== source).map((target) => ({ source, target })),
);
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));

let toolCache: string;
beforeAll(async () => {
  toolCache = await mkdtemp(join(tmpdir(), "tools-"));
});
afterAll(async () => {
  await rm(toolCache, { recursive: true, force: true });
});

/** A runner behind a proxy needs these to reach the download page. */
const PROXY = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS"];

/** A run on all clusters; `kubeconfig` and `context` stand in for the last cluster's. */
async function run(last: { kubeconfig?: string; context?: string } = {}): Promise<RunResult> {
  const contents = [
    ...clusters.slice(0, -1).map(({ kubeconfig }) => kubeconfig),
    last.kubeconfig ?? clusters.at(-1)!.kubeconfig,
  ];
  const proxy = PROXY.flatMap((name) => (process.env[name] ? [[name, process.env[name]] as const] : []));
  const env: Record<string, string> = Object.fromEntries(proxy);
  const inputs: Record<string, string> = { "istio-version": istioVersion };
  if (istioctlMirror) inputs["istioctl-mirror"] = istioctlMirror;
  if (clusters.length === 2) {
    inputs["cluster1-kubeconfig"] = contents[0]!;
    // Both forms that a secret may have: plain, and base64.
    inputs["cluster2-kubeconfig"] = Buffer.from(contents[1]!).toString("base64");
    if (last.context) inputs["cluster2-context"] = last.context;
  } else {
    const entries = clusters.map(({ name, network, kubeconfigPath }, index) => {
      const entry = { name, network, ...(index === clusters.length - 1 && last.context && { context: last.context }) };
      // All but the first by their content; that one by its file, so that both ways are gone.
      if (index === 0) return { ...entry, "kubeconfig-file": kubeconfigPath };
      env[`KUBECONFIG_${index + 1}`] = contents[index]!;
      return { ...entry, "kubeconfig-env": `KUBECONFIG_${index + 1}` };
    });
    inputs.clusters = stringify(entries);
  }
  return runAction({ inputs, env, toolCache, timeoutMs: 12 * 60_000 });
}

function tell(what: string, result: RunResult): void {
  const requests = result.report?.clusters.map(({ name, requests }) => `${name} ${requests}`).join(", ");
  console.log(`${what}: ${result.seconds.toFixed(1)} s; API requests: ${requests ?? "no report"}`);
}

/** What the log, the annotations and the report say of a failure, for a reader who has nothing else. */
function explain(result: RunResult): string {
  const log = result.log.map(({ kind, text }) => (kind === "text" ? text : `[${kind}] ${text}`)).join("\n");
  return `exit code ${result.exitCode}${result.timedOut ? ", out of time" : ""}\n${log}\n${result.summary}`;
}

let first: RunResult | undefined;
function installed(): RunResult {
  if (first?.exitCode !== 0) throw new Error("The clusters were not joined; see the first case.");
  return first;
}

describe("install on fresh clusters", () => {
  it("joins them", async () => {
    first = await run();
    tell("first run", first);
    expect(first.exitCode, explain(first)).toBe(0);
    expect(first.postExitCode).toBe(0);
    expect(first.outputs, "were the clusters fresh?").toMatchObject({ result: "passed", changed: "true" });
  });

  it("tells it in outputs that a workflow can use", () => {
    const { outputs, report } = installed();
    expect(JSON.parse(outputs.clusters!)).toEqual(
      clusters.map(({ name, network }) => ({
        name,
        network,
        kubernetesVersion: expect.stringMatching(/^v1\.\d+/),
        istioVersion: expect.stringContaining(istioVersion),
      })),
    );
    const addresses: Record<string, string[]> = JSON.parse(outputs["gateway-addresses"]!);
    expect(Object.keys(addresses)).toEqual(names);
    for (const name of names) expect(addresses[name], name).toEqual([expect.stringMatching(/./)]);
    expect(outputs["istio-version"]).toBe(istioVersion);
    expect(Number(outputs.duration)).toBeGreaterThan(0);
    expect(report).toMatchObject({ schemaVersion: 1, command: "install", result: "passed", changed: true });
  });

  it("writes a summary that names every cluster", () => {
    const { summary } = installed();
    for (const name of names) expect(summary).toContain(name);
    expect(summary).toContain("```mermaid");
  });

  it("shows no secret and leaves none on the runner", async () => {
    const secrets = await secretStrings(clusters);
    // Guards the case itself: a key or token of each kubeconfig, and a token in each remote secret.
    expect(secrets.size).toBeGreaterThan(2 * clusters.length);
    expect(leaks(installed(), secrets)).toEqual([]);
  });
});

describe("on the clusters", () => {
  it("every control plane is healthy, at its resource's last generation", async () => {
    installed();
    for (const istio of await all((cluster) => cluster.get("istios.sailoperator.io", "default"))) {
      expect(istio.status).toMatchObject({ state: "Healthy", observedGeneration: istio.metadata.generation });
      expect(istio.spec.version).toBe(`v${istioVersion}`);
    }
  });

  it("every gateway is available, on its own network, and exposes the services", async () => {
    installed();
    await all(async (cluster) => {
      const deployment = await cluster.get("deployment", "istio-eastwestgateway");
      expect(deployment.status.conditions).toContainEqual(
        expect.objectContaining({ type: "Available", status: "True" }),
      );
      const service = await cluster.get("service", "istio-eastwestgateway");
      expect(service.metadata.labels).toMatchObject({ "topology.istio.io/network": cluster.network });
      const gateway = await cluster.get("gateways.networking.istio.io", "cross-network-gateway");
      expect(gateway.spec).toMatchObject({
        selector: { istio: "eastwestgateway" },
        servers: [{ port: { number: 15443 }, tls: { mode: "AUTO_PASSTHROUGH" }, hosts: ["*.local"] }],
      });
    });
  });

  it("every cluster holds a remote secret for every other one", async () => {
    installed();
    await all(async (cluster) => {
      const secrets = await cluster.list("secrets", "-n", "istio-system", "-l", "istio/multiCluster=true");
      const others = names.filter((name) => name !== cluster.name);
      expect(secrets.flatMap((secret) => Object.keys(secret.data)).sort()).toEqual(others);
    });
  });

  it("every istiod reads every other cluster", async () => {
    installed();
    await all(async (cluster) => {
      const pods = await cluster.list(
        "pods",
        "-n",
        "istio-system",
        "-l",
        "app=istiod",
        "--field-selector=status.phase=Running",
      );
      expect(pods).not.toHaveLength(0);
      for (const pod of pods) {
        // istiod answers this to its own host alone; the API server's proxy gets a 401.
        const request = ["pilot-discovery", "request", "GET", "/debug/clusterz"];
        const text = await cluster.exec("istio-system", pod.metadata.name, "discovery", ...request);
        const remote = JSON.parse(text).filter(({ secretName }: KubernetesObject) => secretName);
        expect(Object.fromEntries(remote.map(({ id, syncStatus }: KubernetesObject) => [id, syncStatus]))).toEqual(
          Object.fromEntries(names.filter((name) => name !== cluster.name).map((name) => [name, "synced"])),
        );
      }
    });
  });
});

describe("traffic", () => {
  beforeAll(async () => {
    if (first?.exitCode === 0) await all((cluster) => deploySample(cluster, clusters, sampleImage));
  });
  afterAll(async () => {
    await all(removeSample);
  });

  it.each(names)("from %s: a Service of all clusters is answered by all of them", async (name) => {
    installed();
    const source = clusters.find((cluster) => cluster.name === name)!;
    const answers = await call(source, "helloworld", names);
    console.log(`${name} → helloworld: ${[...answers.from].map(([from, n]) => `${from} ×${n}`).join(", ")}`);
    expect([...answers.from.keys()].sort(), answers.lastError).toEqual(names);
  });

  it.each(pairs.map(({ source, target }) => [source.name, target.name]))(
    "from %s: a Service with endpoints in %s alone is answered by it",
    async (source, target) => {
      installed();
      const answers = await call(clusters.find(({ name }) => name === source)!, `only-${target}`, [target!]);
      expect([...answers.from.keys()], answers.lastError).toEqual([target]);
    },
  );
});

describe("install again", () => {
  it("changes nothing", async () => {
    const before = installed();
    const again = await run();
    tell("re-run", again);
    console.log(`re-run / first run: ${(again.seconds / before.seconds).toFixed(2)}`);
    expect(again.exitCode, explain(again)).toBe(0);
    expect(again.outputs).toMatchObject({ result: "passed", changed: "false" });
    expect(again.report?.changes).not.toHaveLength(0);
    expect(again.report?.changes.filter(({ action }) => action !== "unchanged")).toEqual([]);
    expect(leaks(again, await secretStrings(clusters))).toEqual([]);
  });

  it("puts back what is missing, and that alone", async () => {
    installed();
    const [one, two] = clusters as [Cluster, Cluster];
    await one.kubectl(["delete", "secret", `istio-remote-secret-${two.name}`, "-n", "istio-system"]);
    await two.kubectl(["delete", "gateways.networking.istio.io", "cross-network-gateway", "-n", "istio-system"]);
    const repair = await run();
    tell("repair", repair);
    expect(repair.exitCode, explain(repair)).toBe(0);
    expect(repair.outputs).toMatchObject({ result: "passed", changed: "true" });
    const changed = repair.report!.changes.filter(({ action }) => action !== "unchanged");
    expect(changed.map(({ cluster, kind, name, action }) => [cluster, kind, name, action]).sort()).toEqual([
      [one.name, "Secret", `istio-remote-secret-${two.name}`, "created"],
      [two.name, "Gateway", "cross-network-gateway", "created"],
    ]);
  });
});

/** Kubeconfigs as a cloud's login leaves them, a file for each cluster: the user runs a program, and a proxy is in between. */
async function loggedIn(proxyUrl: string): Promise<string> {
  const paths = clusters.map(async ({ name, kubeconfig }, index) => {
    const {
      clusters: [{ cluster }],
      users: [{ user }],
    } = parse(kubeconfig);
    const decoded = (key: string) => user[key] && Buffer.from(user[key], "base64").toString();
    const status = {
      token: user.token,
      clientCertificateData: decoded("client-certificate-data"),
      clientKeyData: decoded("client-key-data"),
    };
    const plugin = join(toolCache, `login-${name}.cjs`);
    const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
    await writeFile(plugin, `console.log(${JSON.stringify(JSON.stringify(credential))})`, { mode: 0o600 });
    const exec = {
      apiVersion: credential.apiVersion,
      command: process.execPath,
      args: [plugin],
      interactiveMode: "Never",
    };
    const path = join(toolCache, `kubeconfig-${index}`);
    const config = {
      apiVersion: "v1",
      kind: "Config",
      contexts: [{ name: `at-${name}`, context: { cluster: name, user: name } }],
      clusters: [{ name, cluster: { ...cluster, "proxy-url": proxyUrl } }],
      users: [{ name, user: { exec } }],
    };
    await writeFile(path, stringify(config), { mode: 0o600 });
    return path;
  });
  return (await Promise.all(paths)).join(delimiter);
}

describe("by contexts that a login has left in KUBECONFIG, with a plugin and behind a proxy", () => {
  it("istioctl gets to the clusters as the action does", async () => {
    installed();
    const proxy = await connectProxy(undefined, undefined, null);
    try {
      const env = { KUBECONFIG: await loggedIn(`http://127.0.0.1:${proxy.port}`) };
      const [one, two] = clusters as [Cluster, Cluster];
      await one.kubectl(["delete", "secret", `istio-remote-secret-${two.name}`, "-n", "istio-system"]);
      const inputs: Record<string, string> = {
        "istio-version": istioVersion,
        clusters: stringify(clusters.map(({ name, network }) => ({ name, network, context: `at-${name}` }))),
        traffic: "false",
        ...(istioctlMirror ? { "istioctl-mirror": istioctlMirror } : {}),
      };
      const result = await runAction({ inputs, env, toolCache, timeoutMs: 12 * 60_000 });
      tell("by contexts", result);
      expect(result.exitCode, explain(result)).toBe(0);
      const changed = result.report!.changes.filter(({ action }) => action !== "unchanged");
      expect(changed.map(({ cluster, name }) => [cluster, name])).toEqual([
        [one.name, `istio-remote-secret-${two.name}`],
      ]);
      const servers = clusters.map(({ kubeconfig }) => new URL(parse(kubeconfig).clusters[0].cluster.server).host);
      expect([...new Set(proxy.led.map(({ target }) => target))].sort()).toEqual(servers.sort());
      expect(leaks(result, await secretStrings(clusters))).toEqual([]);
    } finally {
      await proxy.close();
    }
  });
});

/** What a run would have to change; without what controllers and the clusters themselves keep writing. */
async function state(): Promise<unknown> {
  const watched =
    "istios.sailoperator.io,gateways.networking.istio.io,secrets,serviceaccounts,services,deployments,roles,rolebindings,clusterrolebindings";
  // A probe's namespace may be on its way out.
  const stays = ({ metadata }: KubernetesObject) => !metadata.namespace?.startsWith("istio-mesh-probe-");
  return all(async (cluster) =>
    (await cluster.list(watched, "-A")).filter(stays).map(({ kind, metadata, spec, data }) => ({
      kind,
      uid: metadata.uid,
      name: metadata.name,
      labels: metadata.labels,
      spec,
      data,
    })),
  );
}

describe("a wrong kubeconfig is named, and nothing is touched", () => {
  // A kubeconfig cut off in the middle: what is left of it is as secret as the whole.
  const secret = "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.not-to-be-shown";
  const garbage = `users: [{ name: admin, user: { token: ${secret}\n  : `;
  it.each([
    ["that is garbage", { kubeconfig: garbage }, /kubeconfig/i],
    ["that is empty", { kubeconfig: "" }, /empty|missing|not set/i],
    ["without the context", { context: "no-such-context" }, /no-such-context/],
  ])("%s", async (_, last, message) => {
    const before = await state();
    const result = await run(last);
    expect(result.exitCode, explain(result)).toBe(1);
    expect(result.postExitCode).toBe(0);
    const errors = result.annotations.filter(({ level }) => level === "error");
    const text = errors.map(({ title, message }) => `${title ?? ""} ${message}`).join("\n");
    expect(text).toMatch(message);
    // Which of the clusters it is: by its input, its variable, its place in the list or its name.
    expect(text).toMatch(/cluster2|KUBECONFIG_\d|clusters\[\d\]|cluster\d/);
    expect(await state()).toEqual(before);
    expect(leaks(result, (await secretStrings(clusters)).add("the kubeconfig", secret))).toEqual([]);
  });
});
