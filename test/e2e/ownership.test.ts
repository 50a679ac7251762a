// What the platform team made stays the platform team's, and what stays keeps what it stands on. Leaves nothing.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { loadRoot } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import type { RunResult } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const [, second] = clusters as [Cluster, Cluster];
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";
const ISTIO = "istios.sailoperator.io";
const OWNER = { owner: "platform-team" };

const run = (inputs: Record<string, string>, of: readonly Cluster[] = clusters) =>
  runOn(of, { verify: "false", ...inputs });
const uninstall = (inputs: Record<string, string> = {}, of = clusters) =>
  run({ command: "uninstall", "uninstall-scope": "all", ...inputs }, of);
const failed = ({ report }: RunResult) => report?.checks.filter(({ verdict }) => verdict === "failed") ?? [];

/** What of an object is whoever's who made it: all but what its status shows. */
function content({ status: _, metadata, ...rest }: KubernetesObject): unknown {
  const { resourceVersion: __, managedFields, ...others } = metadata;
  return {
    ...rest,
    metadata: others,
    managers: managedFields?.filter(({ subresource }: KubernetesObject) => !subresource),
  };
}

const theirs = (cluster: Cluster) =>
  Promise.all(
    [
      [ISTIO, "default"],
      ["gateways.networking.istio.io", "cross-network-gateway"],
      ["secret", "cacerts"],
    ].map(async ([kind = "", name = ""]) => content(await cluster.get(kind, name, SYSTEM, "--show-managed-fields"))),
  );
const istiod = async (cluster: Cluster) => (await cluster.get("deployment", "istiod")).metadata.uid;
const network = async (cluster: Cluster) =>
  (await cluster.get("namespace", SYSTEM)).metadata.labels["topology.istio.io/network"];
const healthy = [`${ISTIO}/default`, "--for=jsonpath={.status.state}=Healthy", "--timeout=240s"];

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

describe.skipIf(taken)(`what the platform team made${taken ? ` (skipped: ${taken})` : ""}`, () => {
  let before: unknown[][];
  beforeAll(async () => {
    const { certificate, key } = await rootCa();
    const root = await loadRoot(certificate, key);
    await all(async (cluster) => {
      await cluster.kubectl(["create", "namespace", SYSTEM]);
      await cluster.kubectl(["label", "namespace", SYSTEM, `topology.istio.io/network=${cluster.network}`]);
      const multiCluster = { clusterName: cluster.name };
      const global = { meshID: "mesh1", network: cluster.network, multiCluster };
      await cluster.apply([
        {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "cacerts", namespace: SYSTEM },
          stringData: { ...(await issueIntermediate(root, cluster.name, SYSTEM)) },
        },
        {
          apiVersion: "sailoperator.io/v1",
          kind: "Istio",
          metadata: { name: "default", labels: OWNER },
          spec: { version: `v${istioVersion}`, namespace: SYSTEM, values: { global } },
        },
      ]);
      await cluster.kubectl(["wait", ...healthy], { timeoutMs: 250_000 });
      await cluster.kubectl(["rollout", "status", "deployment/istiod", "-n", SYSTEM, "--timeout=240s"], {
        timeoutMs: 250_000,
      });
      await cluster.apply([
        {
          apiVersion: "networking.istio.io/v1",
          kind: "Gateway",
          metadata: { name: "cross-network-gateway", namespace: SYSTEM, labels: OWNER },
          spec: {
            selector: { istio: "eastwestgateway" },
            servers: [
              {
                port: { number: 15443, name: "tls", protocol: "TLS" },
                tls: { mode: "AUTO_PASSTHROUGH" },
                hosts: ["*.local"],
              },
            ],
          },
        },
      ]);
    });
    before = await all(theirs);
  });

  it("does the job for an installation, and stays as it is", async () => {
    const result = await run({});
    expect(result.exitCode, explain(result)).toBe(0);
    expect(await all(theirs)).toEqual(before);
    const told = result.report?.checks.filter(({ id }) => id === "preflight.ownership") ?? [];
    for (const { evidence } of told) expect(evidence).toMatch(/left as they are, for they do the job: Istio default/);
  });

  it("keeps a cluster that the other one reads from being taken out alone", async () => {
    const result = await uninstall({}, [second]);
    expect(failed(result).map(({ id }) => id)).toEqual(["preflight.readers"]);
    expect(failed(result)[0]?.cause).toMatch(/^cluster1, not on the list, reads cluster2/);
    expect(result.outputs.changed).toBe("false");
  });

  it("is there byte for byte after an uninstallation of all, with what it stands on", async () => {
    const running = await all(istiod);
    const result = await uninstall();
    expect(result.exitCode, explain(result)).toBe(0);
    expect(await all(theirs)).toEqual(before);
    expect(await all(istiod)).toEqual(running);
    expect(await all(network)).toEqual(clusters.map((cluster) => cluster.network));
    const ours = await all((cluster) =>
      cluster.list(
        "deployments,services,secrets",
        "-n",
        SYSTEM,
        "-l",
        "app.kubernetes.io/managed-by=istio-mesh-action",
      ),
    );
    expect(ours.flat()).toEqual([]);
  });

  afterAll(async () => {
    await all(async (cluster) => {
      await cluster.kubectl(["delete", ISTIO, "default", "--timeout=60s"], { timeoutMs: 70_000 });
      await cluster.kubectl(["wait", "--for=delete", "deployment/istiod", "-n", SYSTEM, "--timeout=60s"]);
      await cluster.kubectl(["delete", "namespace", SYSTEM, "--timeout=60s"], { timeoutMs: 70_000 });
    });
  });
});

describe.skipIf(taken)("a control plane that this action made, and is told to leave alone", () => {
  it("keeps its CA, its reader and its network's label, until it goes, too", async () => {
    const installed = await run({});
    expect(installed.exitCode, explain(installed)).toBe(0);
    const kept = (cluster: Cluster) =>
      Promise.all([istiod(cluster), network(cluster), cluster.get("secret", "cacerts").then(content)]);
    const before = await all(kept);
    const left = await uninstall({ installer: "existing" });
    expect(left.exitCode, explain(left)).toBe(0);
    expect(await all(kept)).toEqual(before);
    expect(left.report?.left.filter(({ name }) => name === "cacerts").map(({ why }) => why)).toEqual(
      clusters.map(() => expect.stringMatching(/^Istio default, Deployment istio-system\/istiod are there still/)),
    );
    const gone = await uninstall();
    expect(gone.exitCode, explain(gone)).toBe(0);
    const spaces = await all((cluster) => cluster.list("namespaces"));
    expect(spaces.flat().map(({ metadata }) => metadata.name)).not.toContain(SYSTEM);
  });
});
