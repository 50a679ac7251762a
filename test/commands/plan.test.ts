import { webcrypto } from "node:crypto";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { installRights } from "../../src/checks/rights.ts";
import type { Helm } from "../../src/helm/helm.ts";
import { generateRoot } from "../../src/mesh/certificates/issue.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import type { Report } from "../../src/mesh/report.ts";
import type { ClusterSpec, MeshSpec } from "../../src/mesh/spec.ts";
import { toMarkdown } from "../../src/report/markdown.ts";
import { operator } from "../embedded/controllers/operator.ts";
import type { Json, Kube, LoggedRequest } from "../embedded/kube.ts";
import { schemaProblems } from "../report/schema.ts";
import { type RunResult, runAction } from "../runner.ts";
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
  type Outcome,
  proven,
  putNamespace,
  restricted,
  runInstall,
  runPlan,
  type Setup,
  writes,
} from "./mesh.ts";

const GATEWAY = "istio-eastwestgateway";
const EXPOSURE = "cross-network-gateway";
const TOKEN = "istio-reader-service-account-istio-remote-secret-token";

const clusters = testClusters();

/** Every object, and what becomes or would become of it. */
function told({ changes }: Report): string[] {
  return changes
    .map(({ cluster, kind, namespace, name, action }) => `${cluster} ${kind} ${namespace ?? ""}/${name} ${action}`)
    .sort();
}
const changed = (report: Report) => told(report).filter((line) => !line.endsWith(" unchanged"));
const inNamespace = (cluster: number, kind: string, name: string, action: string) =>
  `cluster${cluster} ${kind} ${NAMESPACE}/${name} ${action}`;

/** Every namespace gets these a moment after it was made. */
const OF_NAMESPACES = ["ServiceAccount default", "ConfigMap kube-root-ca.crt"];

/** All that a client could have changed; what controllers keep writing is theirs. */
function stored(kube: Kube): Json[] {
  return everything(kube)
    .filter(({ kind, metadata }) => !OF_NAMESPACES.includes(`${kind} ${metadata.name}`))
    .map(({ status: _, metadata, ...rest }) => {
      const { resourceVersion: __, managedFields = [], ...kept } = metadata;
      return { ...rest, metadata: kept, ours: managedFields.filter(({ manager }: Json) => manager === MANAGER) };
    });
}

/** What came to rest: the operator's work goes on after an install that was cut off. */
async function settled(kubes: readonly Kube[]): Promise<void> {
  await vi.waitFor(() => {
    for (const kube of kubes)
      for (const { kind, status } of everything(kube)) if (kind === "Istio") expect(status?.state).toBe("Healthy");
  });
}

/** A plan, in which nothing may be changed, made or shown. */
async function plan(kubes: readonly Kube[], setup: Setup = {}): Promise<Outcome> {
  for (const kube of kubes) kube.requests.length = 0;
  const before = kubes.map(stored);
  const keys = vi.mocked(webcrypto.subtle.generateKey);
  const made = keys.mock.calls.length;
  // Only where the control planes are of its making something has to be known from it.
  const none = setup.mesh?.installer === "istioctl" ? {} : { istioctl: "/there/is/no/istioctl" };
  const outcome = await runPlan(kubes, { ...setup, ...none });
  expect(kubes.flatMap(writes)).toEqual([]);
  expect(kubes.map(stored)).toEqual(before);
  expect(keys.mock.calls.length).toBe(made);
  expect(outcome.istioctl.filter((call) => !call.startsWith("manifest generate"))).toEqual([]);
  expect(schemaProblems(outcome.report)).toEqual([]);
  expectNoSecrets(kubes, outcome.report);
  return outcome;
}

/** No Secret's value is in the report or in the summary, as it is stored or decoded. */
function expectNoSecrets(kubes: readonly Kube[], report: Report): void {
  const shown = `${JSON.stringify(report)}${toMarkdown(report)}`;
  const values = kubes.flatMap((kube) =>
    kube.list("v1", "Secret").flatMap(({ data }) => Object.values<string>(data ?? {})),
  );
  const lines = values.flatMap((value) => [value, ...Buffer.from(value, "base64").toString().split("\n")]);
  expect(lines.filter((line) => line.length > 20 && !line.startsWith("---") && shown.includes(line))).toEqual([]);
}

/** A plan, then the install, which does what the plan told; then a plan without a change. */
async function planHolds(kubes: readonly Kube[], setup: Setup = {}): Promise<{ plan: Report; install: Report }> {
  await settled(kubes);
  const planned = await plan(kubes, setup);
  expect(notPassed(planned)).toEqual([]);

  const install = await runInstall(kubes, setup);
  expect(notPassed(install)).toEqual([]);
  expect(told(planned.report)).toEqual(told(install.report));
  expect(planned.report.changed).toBe(install.report.changed);
  expect(fields(planned.report)).toEqual(fields(install.report));
  expectNoSecrets(kubes, install.report);

  const after = await plan(kubes, setup);
  expect(notPassed(after)).toEqual([]);
  expect(changed(after.report)).toEqual([]);
  expect(after.report.changed).toBe(false);
  return { plan: planned.report, install: install.report };
}

/** What would be another value, or was made one. */
const fields = ({ changes }: Report) =>
  changes
    .filter(({ diff }) => diff)
    .map(({ cluster, kind, name, diff }) => JSON.stringify({ cluster, kind, name, diff }))
    .sort();

describe("what a plan tells is what an install then does, on fresh clusters", () => {
  test("as they are", async () => {
    const { plan } = await planHolds(await clusters(2));
    expect(plan.changed).toBe(true);
    expect(plan.mesh.rootSha256).toBeUndefined();
    const notes = plan.changes.filter(({ cluster, note }) => cluster === "cluster1" && note);
    expect(notes.map(({ name, note }) => [name, note])).toEqual([
      ["cacerts", "`install` issues an intermediate of a root that is generated then."],
      [TOKEN, "Kubernetes fills it with a token."],
      ["istio-remote-secret-cluster2", "It is made with a token of cluster2's reader."],
    ]);
  });

  test("with a root of the user's, a revision, somebody's namespace, and a role for readers", async () => {
    const kubes = await clusters(2);
    for (const kube of kubes) {
      putNamespace(kube);
      const metadata = { name: "cluster-reader" };
      kube.put({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata, rules: [] });
    }
    const mesh: Partial<MeshSpec> = { istioResource: "canary", trust: { mode: "provided" } };
    const { plan, install } = await planHolds(kubes, { mesh, root: await generateRoot() });
    expect(plan.mesh.rootSha256).toBe(install.mesh.rootSha256);
    expect(changed(plan)).toContain(inNamespace(1, "ServiceAccount", "istio-reader-service-account", "created"));
  });

  test("whose control planes istioctl makes, with tokens that expire", async () => {
    const mesh = { installer: "istioctl", tokenTtl: 7_200 } as const;
    const { plan } = await planHolds(await clusters(2, { operator: false }), { mesh });
    expect(changed(plan)).toContain(inNamespace(1, "Deployment", "istiod", "created"));
  });

  test("of which one has no operator, and both need the CNI plugin", async () => {
    const kubes = await clusters(2, (index) => (index === 0 ? { operator: false } : {}));
    const values = { pilot: { cni: { enabled: true } } };
    const helm: Helm = {
      ready: async () => "/bin/helm",
      installOperator: async ({ version }) => operator(kubes[0], { version }),
    };
    const setup = {
      helm,
      mesh: {
        operator: { version: "1.26.3", chart: "./chart" },
        clusters: [clusterSpec(1, { values }), clusterSpec(2, { values })],
      },
    };
    const { plan } = await planHolds(kubes, setup);
    expect(changed(plan)).toContain("cluster1 Deployment sail-operator/sail-operator created");
    expect(changed(plan)).toContain("cluster2 IstioCNI /default created");
  });

  // Before any control plane, and amid the gateways.
  test.each([3, 18])("of which an install was cut off at write %i", async (last) => {
    const kubes = await clusters(2);
    const cancel = new AbortController();
    let count = 0;
    for (const kube of kubes) {
      kube.intercept((sent) => {
        if (!isWrite(sent) || ++count < last) return undefined;
        cancel.abort();
        return { destroy: true };
      });
    }
    expect((await runInstall(kubes, { cancel: cancel.signal })).report.result).toBe("failed");
    for (const kube of kubes) kube.intercept(undefined);
    await planHolds(kubes);
  });
});

describe("the same of clusters that were joined", () => {
  let kubes: [Kube, Kube, ...Kube[]];
  beforeAll(async () => {
    kubes = await clusters(2);
    expect(notPassed(await runInstall(kubes))).toEqual([]);
  });

  test("and are whole", async () => {
    const { report } = await plan(kubes);
    expect(changed(report)).toEqual([]);
    expect(report.changes.length).toBeGreaterThan(15);
    expect(report.clusters.map(({ istioVersion }) => istioVersion)).toEqual(["1.26.3", "1.26.3"]);
    expect(report.checks.find(({ id }) => id === "plan.objects")?.evidence).toMatch(
      /^All \d+ objects are as they should be\.$/,
    );
  });

  test("and lost some objects, and got a pod that was not injected", async () => {
    const apiVersion = "v1";
    const lost = { apiVersion, kind: "Secret", namespace: NAMESPACE };
    expect(kubes[0].delete({ ...lost, name: "istio-remote-secret-cluster2" })).toBe(true);
    expect(kubes[1].delete({ ...lost, name: TOKEN })).toBe(true);
    const budget = { apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespace: NAMESPACE, name: GATEWAY };
    expect(kubes[1].delete(budget)).toBe(true);
    const name = `${GATEWAY}-1`;
    const { uid } = kubes[0].get(budget).metadata;
    const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name, uid };
    const metadata = {
      name: "early",
      namespace: NAMESPACE,
      labels: { app: GATEWAY, "pod-template-hash": "1" },
      ownerReferences: [owner],
    };
    kubes[0].put({ apiVersion, kind: "Pod", metadata, spec: { containers: [{ name: "istio-proxy", image: "auto" }] } });
    const { plan } = await planHolds(kubes);
    expect(changed(plan)).toEqual([
      inNamespace(1, "Pod", "early", "deleted"),
      inNamespace(1, "Secret", "istio-remote-secret-cluster2", "created"),
      inNamespace(2, "PodDisruptionBudget", GATEWAY, "created"),
      inNamespace(2, "Secret", TOKEN, "created"),
    ]);
  });

  test("and one of which has left", async () => {
    const name = "istio-remote-secret-cluster9";
    const labels = { ...ownership({ id: "mesh1" }, "remote-secret"), "istio/multiCluster": "true" };
    const data = { cluster9: "" };
    kubes[0].put(
      proven(kubes[0], { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: NAMESPACE, labels }, data }),
    );
    const kept = await plan(kubes);
    expect(failures(kept).join("\n")).toMatch(/^failed plan\.remote-secrets cluster1: .*cluster9.*`prune: true`/);
    expect(changed(kept.report)).toEqual([]);
    const { plan: pruned } = await planHolds(kubes, { prune: true });
    expect(changed(pruned)).toEqual([inNamespace(1, "Secret", name, "deleted")]);
  });

  test("and one of which cannot be reached", async () => {
    const gone = kubes[1].kubeconfig({ server: "https://127.0.0.1:1" });
    // With pauses as long as they can be, it is given up when half of the time is left for the other one.
    const random = vi.spyOn(Math, "random").mockReturnValue(1);
    const outcome = await runPlan(kubes, { kubeconfigs: [kubes[0].kubeconfig(), gone], timeoutMs: 9_100 });
    random.mockRestore();
    const { report } = outcome;
    expect(failures(outcome).join("\n")).toMatch(/^failed preflight\.api cluster2: [^\n]*$/);
    expect(
      report.checks
        .filter(({ id }) => id.startsWith("plan."))
        .map(({ verdict }) => verdict)
        .sort(),
    ).toEqual(["passed", "passed", "skipped", "skipped"]);
    expect([...new Set(report.changes.map(({ cluster }) => cluster))]).toEqual(["cluster1"]);
    expect(toMarkdown(report)).toContain("Not known of cluster2, which cannot be reached.");
  });

  const gateway = (more: Partial<MeshSpec["gateway"]>): Partial<MeshSpec> => ({
    gateway: { ...meshSpec(2).gateway, ...more },
  });
  const both = (kind: string) => [1, 2].map((n) => inNamespace(n, kind, GATEWAY, "updated"));
  const logging = (cluster: number): ClusterSpec =>
    clusterSpec(cluster, { values: { meshConfig: { accessLogFile: "/dev/stdout" } } });
  test.each<[string, Partial<MeshSpec>, string[], unknown[]]>([
    [
      "values",
      { clusters: [logging(1), clusterSpec(2)] },
      ["cluster1 Istio /default updated"],
      [{ path: "spec.values.meshConfig.accessLogFile", after: "/dev/stdout" }],
    ],
    [
      "which are taken back, and more",
      gateway({ replicas: 3, service: { type: "LoadBalancer", annotations: { "example.com/pool": "edge" } } }),
      ["cluster1 Istio /default updated", ...both("HorizontalPodAutoscaler"), ...both("Service")].sort(),
      [
        { path: "spec.values.meshConfig.accessLogFile", before: "/dev/stdout" },
        { path: "spec.minReplicas", before: 1, after: 3 },
        { path: 'metadata.annotations["example.com/pool"]', after: "edge" },
      ],
    ],
  ])("whose inputs are changed: %s", async (_, mesh, expected, diff) => {
    const { plan } = await planHolds(kubes, { mesh });
    expect(changed(plan)).toEqual(expected);
    const found = plan.changes.flatMap(({ diff = [] }) => diff).map((change) => JSON.stringify(change));
    // In both clusters the same.
    expect(new Set(found)).toEqual(new Set(diff.map((each) => JSON.stringify(each))));
  });

  test("whose API server is to be called by another name", async () => {
    const mesh = {
      ...gateway({ replicas: 3 }),
      clusters: [clusterSpec(1, { apiServer: "https://api.example.com" }), clusterSpec(2)],
    };
    const { report } = await plan(kubes, { mesh });
    expect(report.changes.find(({ name }) => name === "istio-remote-secret-cluster1")).toMatchObject({
      cluster: "cluster2",
      action: "updated",
      diff: [{ path: "data.cluster1", before: "(secret)", after: "(secret)" }],
    });
  });
});

describe("what cannot be tried", () => {
  const dryRunOf = (name: string, { method, path }: LoggedRequest) => method === "PATCH" && path.includes(`/${name}?`);
  const status = (code: number, message: string) => ({ status: code, body: { kind: "Status", code, message } });
  const UNANSWERED = status(
    500,
    'Internal error occurred: failed calling webhook "validation.istio.io": connection refused',
  );
  const UNTAKEN = status(400, "admission webhook x does not support dry run");
  let kubes: [Kube, Kube, ...Kube[]];
  beforeAll(async () => {
    kubes = await clusters(2);
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    kubes[1].delete({ apiVersion: "networking.istio.io/v1", kind: "Gateway", namespace: NAMESPACE, name: EXPOSURE });
  });

  test.each([
    [
      "for a webhook does not answer",
      UNANSWERED,
      "It could not be tried: the webhook validation.istio.io cannot be called.",
    ],
    ["for a webhook takes no dry runs", UNTAKEN, "It could not be tried: a webhook for it does not take dry runs."],
  ])("%s, is compared with what is there, and says so", async (_, answer, note) => {
    for (const kube of kubes) kube.intercept((sent) => (dryRunOf(EXPOSURE, sent) ? answer : undefined));
    const outcome = await plan(kubes);
    expect(notPassed(outcome)).toEqual([]);
    expect(changed(outcome.report)).toEqual([inNamespace(2, "Gateway", EXPOSURE, "created")]);
    expect(outcome.report.changes.find(({ action }) => action === "created")?.note).toBe(note);
    for (const kube of kubes) kube.intercept(undefined);
  });

  test("for somebody else set it differently, is a failure with all that is in the way; the rest is planned", async () => {
    const conflict = (field: string) => ({
      status: 409,
      body: {
        kind: "Status",
        code: 409,
        reason: "Conflict",
        details: { causes: [{ reason: "FieldManagerConflict", message: 'conflict with "their-gitops"', field }] },
      },
    });
    kubes[0].intercept((sent) => {
      if (dryRunOf(EXPOSURE, sent)) return conflict(".spec.servers");
      return dryRunOf(NAMESPACE, sent) ? conflict(".metadata.labels.x") : undefined;
    });
    const outcome = await plan(kubes);
    const [failure, ...more] = failures(outcome);
    expect(more).toEqual([]);
    expect(failure).toBe(
      `failed plan.objects cluster1: Could not apply Namespace ${NAMESPACE}: somebody else set it differently: .metadata.labels.x (by their-gitops); ` +
        `Could not apply Gateway ${NAMESPACE}/${EXPOSURE}: somebody else set it differently: .spec.servers (by their-gitops) | ` +
        "Nothing was overwritten. Set the same value in this action's inputs, or have the other manager give the field up.",
    );
    expect(changed(outcome.report)).toEqual([inNamespace(2, "Gateway", EXPOSURE, "created")]);
    expect(outcome.report.result).toBe("failed");
    kubes[0].intercept(undefined);
  });
});

test("what stands in the way of an install is found by the preflight, and nothing is planned", async () => {
  const outcome = await plan(await clusters(2), { mesh: { istioVersion: "1.27.0" } });
  expect(failures(outcome)[0]).toMatch(/^failed preflight\.operator cluster1: .*1\.27\.0/);
  expect(outcome.report.changes).toEqual([]);
  const skipped = outcome.report.checks.filter(({ id }) => id.startsWith("plan."));
  expect(skipped.map(({ verdict }) => verdict)).toEqual(["skipped", "skipped", "skipped", "skipped"]);
});

test("the rights of an install are enough", async () => {
  const kubes = await clusters(2);
  const kubeconfigs = kubes.map((kube) => restricted(kube, installRights(meshSpec(2))));
  expect(notPassed(await plan(kubes, { kubeconfigs }))).toEqual([]);
  for (const kube of kubes) expect(kube.requests.filter(({ status }) => status === 403)).toEqual([]);
});

test("the built action fails the step for a plan with changes where it shall, and says why", async () => {
  const kubes = await clusters(2, { kube: { plain: false } });
  const inputs = {
    command: "plan",
    "cluster1-kubeconfig": kubes[0].kubeconfig(),
    "cluster2-kubeconfig": kubes[1].kubeconfig(),
    "istioctl-path": "/there/is/no/istioctl",
  };
  const run = (failOnChange: string) =>
    runAction({ inputs: { ...inputs, "fail-on-change": failOnChange }, timeoutMs: 60_000 });
  const [told, failed] = await Promise.all([run("false"), run("true")]);
  expect([told.exitCode, failed.exitCode]).toEqual([0, 1]);
  const sentence = "22 objects would be created in cluster1, cluster2.";
  const errors = ({ annotations }: RunResult) => annotations.filter(({ level }) => level === "error");
  expect(errors(told)).toEqual([]);
  expect(errors(failed)).toEqual([
    { level: "error", title: "The plan has changes", message: expect.stringContaining(`${sentence}\nThe job summary`) },
  ]);
  for (const { outputs, log, summary } of [told, failed]) {
    expect(outputs).toMatchObject({ result: "passed", changed: "true" });
    expect(log.at(-1)?.text).toMatch(new RegExp(`^${sentence} Nothing was changed\\. [\\d.]+ s\\.$`));
    expect(summary).toContain("would change 22 objects in mesh mesh1");
  }
});
