// The user's own Services, on embedded clusters whose istiods give their proxies what Istio would.
import { beforeAll, expect, test, vi } from "vitest";
import { subjectName } from "../../src/mesh/report.ts";
import type { MeshSpec, ServiceSpec } from "../../src/mesh/spec.ts";
import { blocked } from "../embedded/cluster.ts";
import { ANSWERS } from "../embedded/controllers/probes.ts";
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

const WEB = { namespace: "apps", name: "web", request: "/healthz?full=1" };

/** What the requests to the Service `apps/web` found. */
async function answers(mesh: Partial<MeshSpec> = {}, service: ServiceSpec = WEB): Promise<string[]> {
  const outcome = await runVerify(kubes, { mesh, verification: { traffic: true, services: [service] } });
  expect(schemaProblems(outcome.report)).toEqual([]);
  return outcome.report.checks
    .toSorted((a, b) => subjectName(a.subject).localeCompare(subjectName(b.subject)))
    .filter(({ id }) => id === "service.answered")
    .map(({ subject, verdict, cause = "", evidence, warning = "", because }) =>
      [verdict, `${subjectName(subject)}:`, cause || evidence, warning, because ? `(${because.id})` : ""]
        .join(" ")
        .trim(),
    );
}

test("a Service that is called is answered by every cluster that has endpoints, and it is seen who answered", async () => {
  expect(await answers()).toEqual([
    "passed apps/web seen from cluster1: 10 of 10 requests from cluster1 to /healthz of apps/web:80 were answered (HTTP 200): 5 by cluster1, 5 by cluster2.",
    "passed apps/web seen from cluster2: 10 of 10 requests from cluster2 to /healthz of apps/web:80 were answered (HTTP 200): 5 by cluster2, 5 by cluster1.",
  ]);
});

test("why a Service does not answer is told, once", async () => {
  const [one, other] = kubes as [Kube, Kube];
  const [pod] = other.list("v1", "Pod", "apps");
  other.put({
    ...pod,
    metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, [ANSWERS]: "403 no" } },
  });
  expect(await answers()).toEqual([
    expect.stringMatching(
      /^passed apps\/web seen from cluster1: .*\(5 by HTTP 200, 5 by HTTP 403\): \d by cluster1, \d by cluster2\.$/,
    ),
    expect.stringMatching(/^passed apps\/web seen from cluster2/),
  ]);
  other.put(pod);

  const ref = { apiVersion: "v1", kind: "Service", namespace: "apps", name: "web" };
  const service = one.get(ref);
  one.delete(ref);
  expect(await answers({}, { ...WEB, port: 80 })).toEqual([
    expect.stringMatching(
      /^failed apps\/web:80 seen from cluster1: .* its name, web\.apps\.svc, does not resolve there.* \(service\.reached\)$/,
    ),
    expect.stringMatching(/^passed apps\/web:80 seen from cluster2: .*10 by cluster2\.$/),
  ]);
  expect(await answers()).toEqual([
    expect.stringMatching(/^unknown apps\/web seen from cluster1: No request was sent: cluster1 has no Service/),
    expect.stringMatching(/^passed/),
  ]);
  one.put(service);

  blocked.add(other);
  expect(await answers()).toEqual([
    expect.stringMatching(
      /^failed apps\/web seen from cluster1: Of apps\/web:80, what is in cluster2 does not answer cluster1: .*\(pair\.request\)$/,
    ),
    expect.stringMatching(/^passed apps\/web seen from cluster2/),
  ]);
  blocked.delete(other);
}, 60_000);

test("without traffic it is not called", async () => {
  const { report } = await runVerify(kubes, { verification: { traffic: false, services: [WEB] } });
  expect(
    report.checks.filter(({ id }) => id === "service.answered").map(({ verdict, cause }) => [verdict, cause]),
  ).toEqual([
    ["skipped", "No request was sent, for `traffic` is false."],
    ["skipped", "No request was sent, for `traffic` is false."],
  ]);
});

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
