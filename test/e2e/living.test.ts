// Clusters that live already: a platform team's control planes, installed as a single cluster's are, with one root of trust
// and workloads running. What would cut these off is refused before anything is written. Leaves nothing.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { loadRoot } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { call, deploySample, removeSample } from "./sample.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, istioVersion, sampleImage } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

/** All that a run could have changed, by what shows every write, but for what istiod and the operator write themselves. */
async function seen(cluster: Cluster): Promise<Record<string, string>> {
  const kinds = "secrets,services,serviceaccounts,deployments,roles,rolebindings,poddisruptionbudgets";
  const objects = [
    ...(await cluster.list(kinds, "-n", SYSTEM)),
    ...(await cluster.list("gateways.networking.istio.io", "-n", SYSTEM)),
    ...(await cluster.list("namespaces,clusterroles,clusterrolebindings,istios.sailoperator.io")),
  ];
  const state = ({ kind, metadata }: KubernetesObject) => {
    // A status may change at any time.
    const version = /^(Deployment|Istio)$/.test(kind) ? metadata.generation : metadata.resourceVersion;
    return `${version} ${JSON.stringify(metadata.labels)}`;
  };
  // A probe's namespace may be on its way out.
  const stay = objects.filter(({ metadata }) => !metadata.deletionTimestamp);
  return Object.fromEntries(
    stay.map((each) => [`${each.kind} ${each.metadata.namespace ?? ""}/${each.metadata.name}`, state(each)]),
  );
}

/** The proxies that istiod serves, by their pods' names and namespaces. */
async function served(cluster: Cluster): Promise<string[]> {
  const [istiod] = await cluster.list("pods", "-n", SYSTEM, "-l", "app=istiod");
  const request = ["pilot-discovery", "request", "GET", "/debug/syncz"];
  const answer = await cluster.exec(SYSTEM, istiod.metadata.name, "discovery", ...request);
  return [...answer.matchAll(/"proxy":\s*"([^"]+)"/g)].map(([, proxy]) => proxy as string).sort();
}

describe.skipIf(taken)(`control planes that run under other names${taken ? ` (skipped: ${taken})` : ""}`, () => {
  beforeAll(async () => {
    const { certificate, key } = await rootCa();
    const root = await loadRoot(certificate, key);
    await all(async (cluster) => {
      await cluster.kubectl(["create", "namespace", SYSTEM]);
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
          metadata: { name: "default", labels: { owner: "platform-team" } },
          spec: { version: `v${istioVersion}`, namespace: SYSTEM, values: {} },
        },
      ]);
      const ready = ["istios.sailoperator.io/default", "--for=jsonpath={.status.state}=Healthy", "--timeout=120s"];
      await cluster.kubectl(["wait", ...ready], { timeoutMs: 130_000 });
      await deploySample(cluster, clusters, sampleImage);
    });
  });

  afterAll(async () => {
    await all(async (cluster) => {
      await removeSample(cluster);
      await cluster.kubectl(["delete", "istios.sailoperator.io", "default", "--timeout=60s"]);
      await cluster.kubectl(["wait", "--for=delete", "deployment/istiod", "-n", SYSTEM, "--timeout=60s"]);
      await cluster.kubectl(["delete", "namespace", SYSTEM, "--timeout=60s"]);
    });
  });

  it.each(["sail", "existing"])("are not renamed, whoever is to install: %s", async (installer) => {
    const before = await all(seen);
    const proxies = await all(served);
    const result = await runOn(clusters, { installer });
    console.log(`${clusters.length} clusters that live, installer ${installer}: ${result.seconds.toFixed(1)} s`);
    expect([result.exitCode, result.outputs.changed], explain(result)).toEqual([1, "false"]);
    const failed = result.report?.checks.filter(({ verdict }) => verdict === "failed") ?? [];
    expect(failed.map(({ id }) => id)).toEqual(clusters.map(() => "preflight.control-plane"));
    for (const { name, network } of clusters) {
      // The clusters are looked at side by side, and noted as they come.
      const { cause = "", hint } = failed.find(({ subject }) => Object.values(subject).includes(name)) ?? {};
      expect(cause).toContain(`cluster name Kubernetes instead of ${name}, network (none) instead of ${network}`);
      expect(cause).toContain("the 2 proxies that run (in namespace sample)");
      expect(hint).toContain(`--clusterAliases=Kubernetes=${name}`);
    }
    expect(await all(seen)).toEqual(before);
    expect(proxies.every(({ length }) => length === 2)).toBe(true);
    expect(await all(served)).toEqual(proxies);
  });

  it("and serve their workloads, those that run and new ones", async () => {
    await all(async (cluster) => {
      await cluster.kubectl(["rollout", "restart", "deployment/helloworld", "-n", "sample"]);
      const rollout = ["rollout", "status", "deployment/helloworld", "-n", "sample", "--timeout=60s"];
      await cluster.kubectl(rollout, { timeoutMs: 70_000 });
      const { from, lastError } = await call(cluster, "helloworld", [cluster.name]);
      expect([...from.keys()], lastError).toEqual([cluster.name]);
    });
  });
});
