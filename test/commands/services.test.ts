// The user's own Services, on embedded clusters whose istiods give their proxies what Istio would.
import { beforeAll, expect, test, vi } from "vitest";
import { subjectName } from "../../src/mesh/report.ts";
import type { Kube } from "../embedded/kube.ts";
import { schemaProblems } from "../report/schema.ts";
import { testClusters } from "./clusters.ts";
import { runInstall, runVerify } from "./mesh.ts";

const started = testClusters();
let kubes: Kube[];
beforeAll(async () => {
  kubes = await started(2);
  expect((await runInstall(kubes)).report.result).toBe("passed");
  await Promise.all(kubes.map((kube) => deploy(kube, "apps", "web")));
  await Promise.all(kubes.map((kube) => deploy(kube, "shop", "caller")));
});

/** A Service and its pods, with sidecars. */
async function deploy(kube: Kube, namespace: string, name: string): Promise<void> {
  const labels = { app: name };
  kube.put({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "istio.io/rev": "default" } },
  });
  kube.put({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } });
  kube.put({
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name },
    spec: { type: "ClusterIP", selector: labels, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  });
  kube.put({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "app", image: "app:1" }] } },
    },
  });
  const slice = { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", namespace, name: `${name}-slice` };
  await vi.waitFor(() => expect(kube.get(slice)?.endpoints?.[0]?.conditions?.ready).toBe(true), { timeout: 5_000 });
}

async function look(...services: { namespace: string; name: string; port?: number }[]) {
  const outcome = await runVerify(kubes, { verification: { traffic: false, services } });
  expect(schemaProblems(outcome.report)).toEqual([]);
  return outcome.report.checks
    .filter(({ id }) => id === "service.reached")
    .map(({ subject, verdict, cause = "", evidence }) => `${verdict} ${subjectName(subject)}: ${cause || evidence}`);
}

test("a Service is seen from each cluster, and what hides it is named", async () => {
  expect(await look({ namespace: "apps", name: "web", port: 80 }, { namespace: "apps", name: "gone" })).toEqual([
    expect.stringMatching(
      /^passed apps\/web:80 seen from cluster1: .* 1 in cluster1, 1 in cluster2\. A proxy .*\.apps, has them all/,
    ),
    expect.stringMatching(/^failed apps\/gone seen from cluster1: No cluster has a Service apps\/gone/),
    expect.stringMatching(/^passed apps\/web:80 seen from cluster2/),
    expect.stringMatching(/^failed apps\/gone seen from cluster2/),
  ]);
  const [, kube] = kubes as [Kube, Kube];
  const pods = kube.list("v1", "Pod", "apps");
  for (const pod of pods) {
    const { "security.istio.io/tlsMode": _, ...labels } = pod.metadata.labels;
    kube.put({ ...pod, metadata: { ...pod.metadata, labels } });
  }
  expect(await look({ namespace: "apps", name: "web" })).toEqual([
    expect.stringMatching(/^failed apps\/web seen from cluster1: No pod of apps\/web in cluster2 has a sidecar/),
    expect.stringMatching(/^passed apps\/web seen from cluster2/),
  ]);
  for (const pod of pods) kube.put(pod);
});
