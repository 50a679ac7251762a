// The polyfill has to be there before @peculiar/x509 is loaded.
import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { Agent, request } from "undici";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { installRights } from "../../src/checks/rights.ts";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { inspectRoot } from "../../src/mesh/certificates/pem.ts";
import { loadRoot, type RootCa } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import type { ClusterOptions } from "../embedded/cluster.ts";
import { istiodChart } from "../embedded/controllers/chart.ts";
import { definitions } from "../embedded/controllers/crds.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import {
  clusterSpec,
  everything,
  failures,
  isWrite,
  MANAGER,
  meshSpec,
  NAMESPACE,
  notPassed,
  putNamespace,
  resourceVersions,
  restricted,
  runInstall,
  runRotate,
  state,
  text,
  writes,
} from "./mesh.ts";
import { tokenSecrets } from "./tokens.ts";

const rights = installRights(meshSpec(2));
const READER = "istio-reader-service-account";
const GATEWAY = "istio-eastwestgateway";

const clusters = testClusters();

const inNamespace = (kube: Kube, apiVersion: string, kind: string, name: string): Json =>
  kube.get({ apiVersion, kind, namespace: NAMESPACE, name });
const secret = (kube: Kube, name: string) => inNamespace(kube, "v1", "Secret", name);
const istio = (kube: Kube, name = "default"): Json =>
  kube.get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name });

function putIstio(kube: Kube, global: Json): void {
  kube.put({
    apiVersion: "sailoperator.io/v1",
    kind: "Istio",
    metadata: { name: "default" },
    spec: { version: "v1.26.3", namespace: NAMESPACE, values: { global } },
  });
}

async function putCaCerts(kube: Kube, root: RootCa | Promise<RootCa>, name: string): Promise<void> {
  putNamespace(kube);
  const files = await issueIntermediate(root, name, NAMESPACE);
  const data = Object.fromEntries(Object.entries(files).map(([key, value]) => [key, encode(value)]));
  kube.put({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: NAMESPACE },
    type: "Opaque",
    data,
  });
}

function expectNothingWritten(kubes: readonly Kube[]): void {
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
}

describe("fresh clusters", () => {
  test.each([2, 3])("%i become one mesh", async (count) => {
    const kubes = await clusters(count);
    const outcome = await runInstall(kubes);
    expect(notPassed(outcome)).toEqual([]);
    const { report } = outcome;
    expect(report.result).toBe("passed");
    expect(report.changed).toBe(true);
    expect(report.checks.filter(({ id }) => id === "install.synced")).toHaveLength(count * (count - 1));
    expect(outcome.warnings).toHaveLength(1);
    expect(outcome.istioctl.filter((call) => call.startsWith("create-remote-secret"))).toHaveLength(count);

    const roots = new Set<string>();
    kubes.forEach((kube, index) => {
      const [name, network] = [`cluster${index + 1}`, `network${index + 1}`];
      const resource = istio(kube);
      expect(resource.spec).toEqual({
        version: "v1.26.3",
        namespace: NAMESPACE,
        values: { global: { meshID: "mesh1", network, multiCluster: { clusterName: name } } },
      });
      expect(resource.status.state).toBe("Healthy");
      const namespace = kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE });
      expect(namespace.metadata.labels["topology.istio.io/network"]).toBe(network);

      const cacerts = secret(kube, "cacerts");
      const [issuing, root] = [text(cacerts, "ca-cert.pem"), text(cacerts, "root-cert.pem")];
      roots.add(new X509Certificate(root).fingerprint256);
      expect(new X509Certificate(issuing).verify(new X509Certificate(root).publicKey)).toBe(true);
      expect(new X509Certificate(issuing).subject).toContain(`L=${name}`);
      expect(text(cacerts, "cert-chain.pem")).toBe(issuing + root);
      const inEffect = inNamespace(kube, "v1", "ConfigMap", "istio-ca-root-cert");
      expect(inEffect.data["root-cert.pem"]).toBe(root);

      const service = inNamespace(kube, "v1", "Service", GATEWAY);
      expect(service.metadata.labels).toMatchObject({ istio: "eastwestgateway", "topology.istio.io/network": network });
      expect(service.spec.ports.map(({ port }: Json) => port)).toEqual([15021, 15443, 15012, 15017]);
      const exposed = inNamespace(kube, "networking.istio.io/v1", "Gateway", "cross-network-gateway");
      expect(exposed.spec.servers[0]).toMatchObject({ hosts: ["*.local"], tls: { mode: "AUTO_PASSTHROUGH" } });
      const pods = kube.list("v1", "Pod", NAMESPACE).filter(({ metadata }) => metadata.labels.app === GATEWAY);
      expect(pods.map(({ spec }) => spec.containers[0].image)).toEqual(["gcr.io/istio-release/proxyv2:1.26.3"]);
      expect(report.clusters[index]?.gatewayAddresses).toEqual([service.status.loadBalancer.ingress[0].ip]);

      const remotes = kubes.flatMap((_, other) => (other === index ? [] : [`cluster${other + 1}`]));
      const remoteSecrets = kube
        .list("v1", "Secret", NAMESPACE)
        .filter((each) => each.metadata.labels?.["istio/multiCluster"]);
      expect(remoteSecrets.map(({ metadata }) => metadata.name)).toEqual(
        remotes.map((each) => `istio-remote-secret-${each}`),
      );
      for (const each of remoteSecrets) {
        const [target = ""] = Object.keys(each.data);
        expect(each.metadata.annotations["networking.istio.io/cluster"]).toBe(target);
        const { users } = parse(text(each, target));
        const token = users[0].user.token;
        expect(kubes[remotes.length && Number(target.slice(-1)) - 1]?.userOf(token)).toBe(
          `system:serviceaccount:${NAMESPACE}:${READER}`,
        );
        expect(outcome.secrets).toContain(token);
      }

      // All that the action wrote says so, to people by labels and to the API server by its field manager.
      const ours = everything(kube).filter(({ metadata }) =>
        metadata.managedFields?.some((f: Json) => f.manager === MANAGER),
      );
      expect(ours.length).toBeGreaterThan(10);
      for (const { metadata } of ours) {
        const labels = { "app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/part-of": "mesh1" };
        expect(metadata.labels, metadata.name).toMatchObject(labels);
        const entries = metadata.managedFields.filter((field: Json) => field.manager === MANAGER);
        // What is secret and cannot be made twice is created, never applied over.
        const operation = metadata.name === "cacerts" ? "Update" : "Apply";
        expect(entries.map((entry: Json) => entry.operation)).toEqual([operation]);
      }
    });
    expect([...roots]).toHaveLength(1);
    const [root = ""] = roots;
    expect(report.mesh.rootSha256).toBe(root.replaceAll(":", "").toLowerCase());
  });
});

describe("a run after another", () => {
  let kubes: [Kube, Kube, ...Kube[]];
  let whole: Json[][];
  beforeAll(async () => {
    kubes = await clusters(2);
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    whole = kubes.map(state);
  });

  test("changes nothing and needs no istioctl", async () => {
    const before = kubes.map(resourceVersions);
    const again = await runInstall(kubes, { istioctl: "/there/is/no/istioctl" });
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(again.report.changes.every(({ action }) => action === "unchanged")).toBe(true);
    expect(again.istioctl).toEqual([]);
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  test("makes up for what was taken away, and only for that", async () => {
    kubes[0].delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "istio-remote-secret-cluster2" });
    kubes[1].delete({
      apiVersion: "networking.istio.io/v1",
      kind: "Gateway",
      namespace: NAMESPACE,
      name: "cross-network-gateway",
    });
    const again = await runInstall(kubes);
    expect(notPassed(again)).toEqual([]);
    const changed = again.report.changes.filter(({ action }) => action !== "unchanged");
    expect(changed.map(({ cluster, name, action }) => `${cluster} ${name} ${action}`).sort()).toEqual([
      "cluster1 istio-remote-secret-cluster2 created",
      "cluster2 cross-network-gateway created",
    ]);
  });

  test("with a token that was made anew gives it to the others", async () => {
    const name = `${READER}-istio-remote-secret-token`;
    const old = text(secret(kubes[0], name), "token");
    kubes[0].delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
    const again = await runInstall(kubes);
    expect(notPassed(again)).toEqual([]);
    const token = text(secret(kubes[0], name), "token");
    expect(token).not.toBe(old);
    expect(text(secret(kubes[1], "istio-remote-secret-cluster1"), "cluster1")).toContain(token);
  });

  test("with a token that its Secret still holds, but that is refused, makes another", async () => {
    // As after a new signing key of the API server, or a Secret from a backup.
    const name = `${READER}-istio-remote-secret-token`;
    const refused = text(secret(kubes[0], name), "token");
    kubes[0].setToken(refused, undefined);
    const again = await runInstall(kubes);
    expect(notPassed(again)).toEqual([]);
    const token = text(secret(kubes[0], `${name}-2`), "token");
    expect(kubes[0].userOf(token)).toMatch(/istio-reader-service-account$/);
    expect(text(secret(kubes[1], "istio-remote-secret-cluster1"), "cluster1")).toContain(token);
    const third = await runInstall(kubes);
    expect(third.report.changed).toBe(false);
    const rotated = await runRotate(kubes);
    expect(notPassed(rotated)).toEqual([]);
    expect(kubes.map(tokenSecrets)).toEqual([[`${name}-2`], [`${name}-2`]]);
  });

  test("with names that were mixed up finds it, and changes nothing", async () => {
    const before = kubes.map(resourceVersions);
    const swapped = [clusterSpec(1, { name: "cluster2" }), clusterSpec(2, { name: "cluster1" })];
    const outcome = await runInstall(kubes, { mesh: { clusters: swapped } });
    expect(failures(outcome).join("\n")).toMatch(
      /preflight\.control-plane cluster2: .*cluster name cluster1 instead of cluster2/,
    );
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  // Two clusters are joined by 22 writes.
  test.each([1, 4, 9, 14, 18, 22])("that ended at write %i completes it", async (last) => {
    const broken = await clusters(2);
    const cancel = new AbortController();
    let count = 0;
    let cancelled = 0;
    for (const kube of broken) {
      kube.intercept((sent) => {
        if (!isWrite(sent) || ++count < last) return undefined;
        cancelled ||= performance.now();
        cancel.abort();
        // The last write is done though nobody hears of it; what is under way then is not.
        return count === last ? { truncate: true } : { destroy: true };
      });
    }
    const first = await runInstall(broken, { cancel: cancel.signal });
    expect(first.report.result).toBe("failed");
    // A run that goes on to retry does not leave the runner's ten seconds for the report.
    expect(performance.now() - cancelled).toBeLessThan(5_000);
    for (const kube of broken) kube.intercept(undefined);
    expect(notPassed(await runInstall(broken))).toEqual([]);
    expect(broken.map(state)).toEqual(whole);
  });
});

describe("the operator", () => {
  test("makes the reader account, which is never made before it has reconciled", async () => {
    const kubes = await clusters(2, { operator: { slowMs: 100 } });
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    for (const kube of kubes) {
      expect(inNamespace(kube, "v1", "ServiceAccount", READER).metadata.labels["app.kubernetes.io/managed-by"]).toBe(
        "Helm",
      );
      expect(writes(kube).filter(({ path }) => path.includes(`serviceaccounts/${READER}`))).toEqual([]);
    }
  });

  test("whose revision is not `default` makes none, so that it is made here, and the gateway asks for the revision", async () => {
    const kubes = await clusters(2, { operator: { slowMs: 50 } });
    const made: string[] = [];
    for (const kube of kubes) {
      kube.subscribe(({ type, object }) => {
        if (type !== "ADDED" || object.kind !== "ServiceAccount" || object.metadata.name !== READER) return;
        const conditions: Json[] = istio(kube, "canary")?.status?.conditions ?? [];
        made.push(conditions.find((each) => each.type === "Reconciled")?.status);
      });
    }
    expect(notPassed(await runInstall(kubes, { mesh: { istioResource: "canary" } }))).toEqual([]);
    expect(made).toEqual(["True", "True"]);
    for (const kube of kubes) {
      expect(inNamespace(kube, "v1", "ServiceAccount", READER).metadata.labels["app.kubernetes.io/managed-by"]).toBe(
        MANAGER,
      );
      const pods = kube.list("v1", "Pod", NAMESPACE).filter(({ metadata }) => metadata.labels.app === GATEWAY);
      expect(pods.map(({ metadata }) => metadata.labels["istio.io/rev"])).toEqual(["canary"]);
    }
  });

  test("that could not reconcile is a failure at once, though Ready is True", async () => {
    const kubes = await clusters(2);
    putNamespace(kubes[0]);
    kubes[0].put({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: READER, namespace: NAMESPACE } });
    const outcome = await runInstall(kubes);
    const [failure, ...more] = failures(outcome);
    expect(more).toEqual([]);
    expect(failure).toMatch(
      /install\.reconciled cluster1: The operator says: .*cannot be imported into the current release/,
    );
    expect(failure).toContain(`kubectl -n ${NAMESPACE} delete serviceaccount ${READER}`);
    expect(outcome.report.seconds).toBeLessThan(20);
    await vi.waitFor(() => {
      const conditions: Json[] = istio(kubes[0]).status.conditions;
      expect(conditions.map(({ type, status }) => `${type}=${status}`)).toContain("Ready=True");
    });
    // The other one went as far as it could alone.
    expect(istio(kubes[1]).status.state).toBe("Healthy");
    expect(
      outcome.report.checks.filter(({ id, verdict }) => id === "install.gateway-available" && verdict === "passed"),
    ).toHaveLength(1);
  });

  test("that refuses the version as end-of-life is a failure at once", async () => {
    const kubes = await clusters(2);
    const outcome = await runInstall(kubes, { mesh: { istioVersion: "1.24.6" } });
    expect(failures(outcome)).toHaveLength(2);
    expect(failures(outcome)[0]).toMatch(/version "v1\.24\.6" is end-of-life.*Choose an `istio-version`/);
    expect(outcome.report.seconds).toBeLessThan(20);
  });
});

describe("the preflight finds, before anything is written,", () => {
  test("a version that the operator does not offer", async () => {
    const kubes = await clusters(2);
    const outcome = await runInstall(kubes, { mesh: { istioVersion: "1.27.0" } });
    expect(failures(outcome)[0]).toMatch(
      /preflight\.operator cluster1: .*does not know Istio v1\.27\.0\. It offers: v1\.26\.3/,
    );
    expectNothingWritten(kubes);
  });

  test("that there is no operator", async () => {
    const kubes = await clusters(2, (index) => (index === 0 ? { operator: false } : {}));
    const [failure, ...more] = failures(await runInstall(kubes));
    expect(failure).toMatch(/preflight\.operator cluster1: The Sail Operator is not installed/);
    expect(more).toEqual([]);
    expectNothingWritten(kubes);
  });

  test("a control plane of another mesh", async () => {
    const kubes = await clusters(2);
    putNamespace(kubes[0]);
    putIstio(kubes[0], { meshID: "other", network: "network1", multiCluster: { clusterName: "cluster1" } });
    const [failure] = failures(await runInstall(kubes));
    expect(failure).toMatch(/preflight\.control-plane cluster1: .*mesh ID other instead of mesh1/);
    expectNothingWritten(kubes);
  });

  test("one cluster given twice", async () => {
    const [kube] = await clusters(1);
    const [failure] = failures(await runInstall([kube, kube]));
    expect(failure).toMatch(/preflight\.distinct mesh: cluster1 and cluster2 are the same cluster/);
    expectNothingWritten([kube]);
  });

  test("a right that is missing", async () => {
    const kubes = await clusters(2);
    const kubeconfigs = kubes.map((kube) =>
      restricted(kube, rights, ({ resource, verb }) => resource !== "secrets" || verb !== "patch"),
    );
    const outcome = await runInstall(kubes, { kubeconfigs });
    expect(failures(outcome)[0]).toMatch(/preflight\.rights cluster1: .*may not: patch secrets in istio-system\./);
    expectNothingWritten(kubes);
  });

  test("what an API server would refuse, in all clusters at once", async () => {
    const kubes = await clusters(2);
    const message =
      "failed to create typed patch object (/default; sailoperator.io/v1, Kind=Istio): .spec.values.meshConfig.accesslogfile: field not declared in schema";
    kubes[0].intercept(({ method, path }) =>
      method === "PATCH" && path.includes("/istios/")
        ? { status: 500, body: { kind: "Status", code: 500, message } }
        : undefined,
    );
    const going = { name: NAMESPACE, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["example.com/slow"] };
    kubes[1].put({ apiVersion: "v1", kind: "Namespace", metadata: going });
    const outcome = await runInstall(kubes);
    expect(failures(outcome)).toEqual([
      expect.stringMatching(
        /^failed preflight\.dry-run cluster1: Could not apply Istio default: \.spec\.values\.meshConfig\.accesslogfile: field not declared in schema \| Correct .*`values`/,
      ),
      expect.stringMatching(
        /^failed preflight\.ownership cluster2: Namespace istio-system is being deleted, held by finalizer example\.com\/slow: .* \| Run again when it is gone\./,
      ),
    ]);
    expect(outcome.report.seconds).toBeLessThan(20);
    expectNothingWritten(kubes);
  });

  test("roots of trust that differ, with both sums", async () => {
    const kubes = await clusters(2);
    const roots = await Promise.all([generateRoot(), generateRoot()]);
    await Promise.all(kubes.map((kube, index) => putCaCerts(kube, roots[index] as RootCa, `cluster${index + 1}`)));
    const outcome = await runInstall(kubes, { mesh: { trust: { mode: "existing" } } });
    const [failure] = failures(outcome);
    expect(failure).toContain("preflight.trust mesh: ");
    for (const { certificate } of roots) expect(failure).toContain(inspectRoot(certificate).sha256);
    expectNothingWritten(kubes);
  });
});

test("the documented rights are enough", async () => {
  const kubes = await clusters(2);
  const kubeconfigs = kubes.map((kube) => restricted(kube, rights));
  expect(notPassed(await runInstall(kubes, { kubeconfigs }))).toEqual([]);
  // Not even the refusals of what it might try beyond them.
  for (const kube of kubes) expect(kube.requests.filter(({ status }) => status === 403)).toEqual([]);
});

describe("the gateway", () => {
  test("gets new pods for those that were made before injection served", async () => {
    const kubes = await clusters(2, { injection: { webhookLateBy: 2 } });
    const outcome = await runInstall(kubes);
    expect(notPassed(outcome)).toEqual([]);
    const deleted = outcome.report.changes.filter(({ action }) => action === "deleted");
    expect(deleted.map(({ cluster, kind }) => `${cluster} ${kind}`).sort()).toEqual([
      "cluster1 Pod",
      "cluster1 Pod",
      "cluster2 Pod",
      "cluster2 Pod",
    ]);
  });

  test("is not started by the root that an earlier mesh has left, but once istiod tells of the new one", async () => {
    const kubes = await clusters(2, () => ({ istiod: { election: 500 } }));
    const { certificate } = await generateRoot();
    for (const kube of kubes) {
      putNamespace(kube);
      const metadata = { name: "istio-ca-root-cert", namespace: NAMESPACE };
      kube.put({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { "root-cert.pem": certificate } });
    }
    const startedBy = new Map<Kube, string>();
    for (const kube of kubes) {
      kube.intercept(({ method, path }) => {
        if (method === "PATCH" && path.includes(`/deployments/${GATEWAY}`)) {
          const ref = { apiVersion: "v1", kind: "ConfigMap", namespace: NAMESPACE, name: "istio-ca-root-cert" };
          startedBy.set(kube, kube.get(ref).data["root-cert.pem"]);
        }
        return undefined;
      });
    }
    const outcome = await runInstall(kubes);
    expect(notPassed(outcome)).toEqual([]);
    for (const kube of kubes)
      expect(startedBy.get(kube)?.trim()).toBe(text(secret(kube, "cacerts"), "root-cert.pem").trim());
  });

  test("may have a host name for its address, and several pods", async () => {
    const hostname = "gateway.elb.example.com";
    const kubes = await clusters(2, { loadBalancer: { ingress: { hostname }, delayMs: 50 } });
    const gateway = { ...meshSpec(2).gateway, replicas: 2 };
    const outcome = await runInstall(kubes, { mesh: { gateway } });
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.clusters.map(({ gatewayAddresses }) => gatewayAddresses)).toEqual([[hostname], [hostname]]);
  });

  test("is left to somebody else who set it differently", async () => {
    const kubes = await clusters(2);
    putNamespace(kubes[0]);
    const theirs = {
      apiVersion: "networking.istio.io/v1",
      kind: "Gateway",
      metadata: { name: "cross-network-gateway", namespace: NAMESPACE },
      spec: {
        selector: { istio: "eastwestgateway" },
        servers: [{ hosts: ["*.example.com"], port: { number: 1, name: "x", protocol: "TLS" } }],
      },
    };
    await applyAs(kubes[0], "their-gitops", theirs);
    for (const kube of kubes) kube.requests.length = 0;
    const before = inNamespace(kubes[0], theirs.apiVersion, "Gateway", "cross-network-gateway");
    const [failure, ...more] = failures(await runInstall(kubes));
    expect(failure).toMatch(
      /preflight\.ownership cluster1: Gateway istio-system\/cross-network-gateway is not this action's \(their-gitops made it\), and it is not as the mesh needs it: spec\.servers \(by their-gitops\)\. \| .*kubectl -n istio-system delete gateway\.v1\.networking\.istio\.io cross-network-gateway.*kubectl -n istio-system annotate/,
    );
    expect(more).toEqual([]);
    expect(inNamespace(kubes[0], theirs.apiVersion, "Gateway", "cross-network-gateway")).toEqual(before);
    expectNothingWritten(kubes);
  });
});

// Side by side, for they wait for time to pass.
describe.concurrent("what a run ends by, and says:", () => {
  test("an operator that never reports", async () => {
    const kubes = await clusters(2, { operator: { neverReconcile: true } });
    const outcome = await runInstall(kubes, {
      endWhen: ({ seen }) => seen.filter((each) => each.includes("has not reported a status")).length === 2,
    });
    expect(failures(outcome).join("\n")).toMatch(
      /Waited \d+ s for the operator to reconcile Istio default, until the run's deadline of 60 s. Last seen: the operator has not reported a status yet/,
    );
  });

  test("a cluster that does not answer, before anything is written", async () => {
    const kubes = await clusters(2);
    const gone = kubes[1].kubeconfig({ server: "https://127.0.0.1:1" });
    // With pauses as long as they can be, it is given up when half of the time is left for what comes after.
    const random = vi.spyOn(Math, "random").mockReturnValue(1);
    const outcome = await runInstall(kubes, { kubeconfigs: [kubes[0].kubeconfig(), gone], timeoutMs: 6_100 });
    random.mockRestore();
    const [failure, ...more] = failures(outcome);
    expect(failure).toMatch(/preflight\.api cluster2: .*127\.0\.0\.1:1 cannot be reached: the connection was refused/);
    expect(more).toEqual([]);
    expectNothingWritten(kubes);
  });

  test("a gateway without an address, and pods without an image, when all else is done", async () => {
    const [one, two] = [
      { loadBalancer: { ingress: "never" } },
      { kubelet: { missingImages: ["gcr.io/istio-release/proxyv2:1.26.3"] } },
    ] satisfies ClusterOptions[];
    const kubes = await clusters(2, (index) => (index === 0 ? one : two) as ClusterOptions);
    const outcome = await runInstall(kubes, {
      // Beside these two, only the last look at each cluster is to come.
      endWhen: ({ open, seen }) => open === 2 + 2 && seen.some((each) => each.includes("ImagePullBackOff")),
    });
    expect(outcome.report.result).toBe("failed");
    const [address, image, ...more] = notPassed(outcome).sort();
    expect(address).toMatch(
      /install\.gateway-address cluster1: Waited \d+ s for the gateway's Service to get an address.* Last seen: Service istio-eastwestgateway has no address\./,
    );
    expect(image).toMatch(
      /install\.gateway-available cluster2: Waited .*pod istio-eastwestgateway-\S+: ImagePullBackOff: Back-off pulling image/,
    );
    expect(more).toEqual([]);
  });

  test("an API server that the others do not reach at the address that it has for them", async () => {
    const kubes = await clusters(2, (index) => ({ reachable: index !== 0 }));
    const outcome = await runInstall(kubes, {
      endWhen: ({ open, seen }) => open === 1 + 2 && seen.some((each) => each.includes("timeout")),
    });
    const slice = kubes[0].get({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      namespace: "default",
      name: "kubernetes",
    });
    const config = parse(text(secret(kubes[1], "istio-remote-secret-cluster1"), "cluster1"));
    expect(config.clusters[0].cluster.server).toBe(`https://${slice.endpoints[0].addresses[0]}:6443`);
    const [failure, ...more] = notPassed(outcome);
    expect(failure).toMatch(/install\.synced cluster2 → cluster1: Waited .*istiod-\S+ says of cluster1: timeout/);
    expect(more).toEqual([]);
  });
});

/** Server-side apply of a Gateway by another field manager. */
async function applyAs(kube: Kube, manager: string, object: Json): Promise<void> {
  const { users } = parse(kube.kubeconfig({ auth: "token" }));
  const dispatcher = new Agent();
  const { namespace, name } = object.metadata;
  const path = `/apis/networking.istio.io/v1/namespaces/${namespace}/gateways/${name}?fieldManager=${manager}`;
  const { statusCode, body } = await request(kube.listening + path, {
    method: "PATCH",
    headers: { authorization: `Bearer ${users[0].user.token}`, "content-type": "application/apply-patch+yaml" },
    body: JSON.stringify(object),
    dispatcher,
  });
  expect(statusCode, await body.text()).toBe(201);
  await dispatcher.close();
}

test("a run that is cancelled ends at once, with a report", async () => {
  const kubes = await clusters(2, { operator: { slowMs: 60_000 } });
  const cancel = new AbortController();
  let cancelled = Number.POSITIVE_INFINITY;
  kubes[0].subscribe(({ type, object }) => {
    if (type !== "ADDED" || object.kind !== "Istio") return;
    setTimeout(() => {
      cancelled = performance.now();
      cancel.abort();
    }, 200);
  });
  const outcome = await runInstall(kubes, { cancel: cancel.signal });
  expect(performance.now() - cancelled).toBeLessThan(1_000);
  expect(failures(outcome).join("\n")).toContain(
    "The run was cancelled while waiting for the operator to reconcile Istio default.",
  );
  expect(outcome.report.checks.every(({ verdict, cause }) => verdict === "passed" || cause)).toBe(true);
});

describe("trust", () => {
  test("comes from the root that was provided", async () => {
    const kubes = await clusters(2);
    const { certificate, key } = await rootCa();
    const root = await loadRoot(certificate, key);
    const outcome = await runInstall(kubes, {
      mesh: { trust: { mode: "provided" } },
      root,
    });
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.warnings).toEqual([]);
    for (const kube of kubes) {
      const cacerts = secret(kube, "cacerts");
      expect(new X509Certificate(text(cacerts, "root-cert.pem")).raw).toEqual(new X509Certificate(certificate).raw);
      expect(new X509Certificate(text(cacerts, "ca-cert.pem")).checkIssued(new X509Certificate(certificate))).toBe(
        true,
      );
      expect(JSON.stringify(everything(kube))).not.toContain(encode(key));
    }
  });
});

test("control planes that somebody else installed are connected and left alone", async () => {
  const kubes = await clusters(2, { operator: false });
  const root = generateRoot();
  await Promise.all(kubes.map((kube, index) => putCaCerts(kube, root, `cluster${index + 1}`)));
  kubes.forEach((kube, index) => {
    for (const definition of definitions([]).filter(({ spec }) => spec.group === "networking.istio.io"))
      kube.put(definition);
    const global = {
      meshID: "mesh1",
      network: `network${index + 1}`,
      multiCluster: { clusterName: `cluster${index + 1}` },
    };
    const release = { revision: "default", namespace: NAMESPACE, version: "1.26.3", values: { global } };
    for (const object of istiodChart(release)) kube.put(object);
  });
  await vi.waitFor(() => {
    for (const kube of kubes) expect(inNamespace(kube, "v1", "ConfigMap", "istio-ca-root-cert")).toBeDefined();
  });
  const before = kubes.map((kube) => inNamespace(kube, "apps/v1", "Deployment", "istiod").metadata.resourceVersion);
  expect(notPassed(await runInstall(kubes, { mesh: { installer: "existing" } }))).toEqual([]);
  const after = kubes.map((kube) => inNamespace(kube, "apps/v1", "Deployment", "istiod").metadata.resourceVersion);
  expect(after).toEqual(before);
});
