import { beforeAll, describe, expect, test } from "vitest";
import { installRights } from "../../src/checks/rights.ts";
import { rootCauses } from "../../src/mesh/causes.ts";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import type { RootCa } from "../../src/mesh/certificates/root.ts";
import { subjectName } from "../../src/mesh/report.ts";
import { toMarkdown } from "../../src/report/markdown.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { schemaProblems } from "../report/schema.ts";
import { testClusters } from "./clusters.ts";
import {
  failures,
  isWrite,
  meshSpec,
  NAMESPACE,
  notPassed,
  type Outcome,
  resourceVersions,
  runInstall,
  type Setup,
  state,
  writes,
} from "./mesh.ts";

const clusters = testClusters();
let root: RootCa;

beforeAll(async () => {
  root = await generateRoot();
});
const TRAFFIC = { verification: { traffic: true } };
/** Without a verification. */
const QUICK = { verification: undefined };

/** A run with the same root each time, and the verification at its end. */
function install(kubes: readonly Kube[], { mesh, ...setup }: Setup = {}): Promise<Outcome> {
  return runInstall(kubes, { root, ...TRAFFIC, ...setup, mesh: { trust: { mode: "provided" }, ...mesh } });
}

async function joined(count: number): Promise<Kube[]> {
  const kubes = await clusters(count);
  expect(notPassed(await install(kubes, QUICK))).toEqual([]);
  return kubes;
}

/** Its API server is down, and a load balancer says so. */
function goesAway(kube: Kube): void {
  kube.intercept(() => ({ status: 503, headers: { "retry-after": "1000" } }));
}
const comesBack = (kube: Kube) => kube.intercept(undefined);

const changes = ({ report }: Outcome) =>
  report.changes
    .filter(({ action }) => action !== "unchanged")
    .map(({ cluster, kind, name, action }) => `${cluster} ${kind} ${name} ${action}`)
    .sort();
const roots = ({ report }: Outcome) =>
  rootCauses(report.checks).map(
    ({ check, subjects }) => `${check.verdict} ${check.id} ${subjects.map(subjectName).join(", ")}`,
  );
const remoteSecrets = (kube: Kube): string[] =>
  kube
    .list("v1", "Secret", NAMESPACE)
    .filter(({ metadata }) => metadata.labels?.["istio/multiCluster"])
    .map(({ metadata }) => metadata.name)
    .sort();
const secret = (kube: Kube, name: string): Json =>
  kube.get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
const remove = (kube: Kube, name: string) =>
  kube.delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
const removeExposure = (kube: Kube) =>
  kube.delete({
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    namespace: NAMESPACE,
    name: "cross-network-gateway",
  });
const [TO_1, TO_2, TO_3] = [1, 2, 3].map((number) => `istio-remote-secret-cluster${number}`) as [
  string,
  string,
  string,
];

async function putCaCerts(kube: Kube, name: string): Promise<void> {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
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

describe("a cluster that is added to the list", () => {
  test.each(["provided", "existing"] as const)(
    "joins with one run, and the others get its remote secret: ca: %s",
    async (mode) => {
      const kubes = await clusters(3);
      if (mode === "existing") await Promise.all(kubes.map((kube, i) => putCaCerts(kube, `cluster${i + 1}`)));
      const mesh = { trust: { mode } };
      expect(notPassed(await install(kubes.slice(0, 2), { ...QUICK, mesh }))).toEqual([]);
      const old = kubes.slice(0, 2).map(resourceVersions);

      const grown = await install(kubes, { mesh });
      expect(notPassed(grown)).toEqual([]);
      expect(changes(grown).filter((line) => !line.startsWith("cluster3"))).toEqual([
        `cluster1 Secret ${TO_3} created`,
        `cluster2 Secret ${TO_3} created`,
      ]);
      expect(changes(grown)).toEqual(
        expect.arrayContaining([`cluster3 Secret ${TO_1} created`, "cluster3 Istio default created"]),
      );
      // Byte for byte: nothing that was there has another resourceVersion.
      kubes.slice(0, 2).forEach((kube, i) => {
        const { [`Secret ${NAMESPACE}/${TO_3}`]: created, ...before } = resourceVersions(kube);
        expect(created).toBeDefined();
        expect(before).toEqual(old[i]);
      });
      expect(grown.istioctl.filter((call) => call.startsWith("create-remote-secret"))).toHaveLength(3);
    },
  );
});

describe("a cluster that is taken off the list", () => {
  let kubes: Kube[];
  let left: Kube[];
  beforeAll(async () => {
    kubes = await joined(3);
    left = kubes.slice(0, 2);
  });

  test("is reported as left over, once, and nothing is removed", async () => {
    const outcome = await install(left);
    expect(roots(outcome)).toEqual(["failed install.strangers cluster1, cluster2"]);
    const [found] = failures(outcome);
    expect(found).toContain(`${TO_3} for cluster3`);
    expect(found).toContain("run `install` with `prune: true`");
    // All else is proved.
    expect(
      outcome.report.checks.filter(({ id, verdict }) => id === "pair.request" && verdict === "passed"),
    ).toHaveLength(2);
    expect(changes(outcome)).toEqual([]);
    expect(left.map(remoteSecrets)).toEqual([
      [TO_2, TO_3],
      [TO_1, TO_3],
    ]);
  });

  test("is told without a verification, too", async () => {
    expect((await install(left, QUICK)).report.result).toBe("failed");
  });

  test("stays where its secret is not this action's, or more than that; it is named with the command", async () => {
    const foreign = structuredClone(secret(kubes[0] as Kube, TO_3));
    const { uid: _, resourceVersion: __, ...metadata } = foreign.metadata;
    const theirs = { ...foreign, metadata: { ...metadata, name: "theirs", labels: { "istio/multiCluster": "true" } } };
    theirs.data = { elsewhere: foreign.data.cluster3 };
    const other = {
      ...foreign,
      metadata: { ...metadata, name: "of-another-mesh" },
      data: { far: foreign.data.cluster3 },
    };
    other.metadata.labels = { ...metadata.labels, "app.kubernetes.io/part-of": "mesh2" };
    const mixed = structuredClone(secret(kubes[0] as Kube, TO_2));
    kubes[0]?.put(theirs);
    kubes[0]?.put(other);
    kubes[0]?.put({ ...mixed, data: { ...mixed.data, second: mixed.data.cluster2 } });

    const outcome = await install(left, { ...QUICK, prune: true });
    expect(changes(outcome)).toEqual([`cluster1 Secret ${TO_3} deleted`, `cluster2 Secret ${TO_3} deleted`]);
    expect(roots(outcome)).toEqual(["failed install.strangers cluster1"]);
    expect(failures(outcome)[0]).toContain(`kubectl -n ${NAMESPACE} delete secret`);
    expect(remoteSecrets(kubes[0] as Kube)).toEqual([TO_2, "of-another-mesh", "theirs"].sort());

    remove(kubes[0] as Kube, "theirs");
    remove(kubes[0] as Kube, "of-another-mesh");
    kubes[0]?.put(mixed);
  });

  test("is gone from the others with `prune`, in one green run, and comes back in another", async () => {
    expect(notPassed(await install(kubes, QUICK))).toEqual([]);
    const outcome = await install(left, { prune: true });
    expect(notPassed(outcome)).toEqual([]);
    expect(changes(outcome)).toEqual([`cluster1 Secret ${TO_3} deleted`, `cluster2 Secret ${TO_3} deleted`]);
    expect(schemaProblems(outcome.report)).toEqual([]);
    expect(left.map(remoteSecrets)).toEqual([[TO_2], [TO_1]]);

    const again = await install(left, { ...QUICK, prune: true });
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);

    const back = await install(kubes, QUICK);
    expect(notPassed(back)).toEqual([]);
    expect(changes(back)).toEqual([`cluster1 Secret ${TO_3} created`, `cluster2 Secret ${TO_3} created`]);
  });

  test("is not removed where something else failed", async () => {
    left[0]?.delete({
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      namespace: NAMESPACE,
      name: "istio-eastwestgateway",
    });
    left[0]?.intercept((sent) =>
      isWrite(sent) && sent.path.includes("poddisruptionbudgets") && !sent.path.includes("dryRun")
        ? { status: 403 }
        : undefined,
    );
    const outcome = await install(left, { prune: true });
    comesBack(left[0] as Kube);
    expect(failures(outcome)).toHaveLength(1);
    expect(changes(outcome)).toEqual([`cluster2 Secret ${TO_3} deleted`]);
    expect(left.map(remoteSecrets)).toEqual([[TO_2, TO_3], [TO_1]]);
  });
});

test.each([false, true])("the right to delete Secrets is asked for only to prune: %s", (prune) => {
  const ofSecrets = installRights(meshSpec(2), prune).filter(({ resource }) => resource === "secrets");
  expect(ofSecrets.some(({ verbs }) => verbs.includes("delete"))).toBe(prune);
});

describe("a cluster that cannot be reached", () => {
  let whole: Json[][];

  test("does not keep the others from being repaired and proved, and keeps its remote secrets even with `prune`", async () => {
    const kubes = await joined(3);
    const [one, , three] = kubes as [Kube, Kube, Kube];
    removeExposure(one);
    remove(one, TO_2);
    const kept = secret(one, TO_3);
    goesAway(three);
    const before = writes(three).length;
    const outcome = await install(kubes, { prune: true });

    expect(roots(outcome)).toEqual(["failed preflight.api cluster3"]);
    expect(changes(outcome)).toEqual([
      "cluster1 Gateway cross-network-gateway created",
      `cluster1 Secret ${TO_2} created`,
    ]);
    expect(secret(one, TO_3)).toEqual(kept);
    expect(writes(three)).toHaveLength(before);
    const { report } = outcome;
    const requests = report.checks.filter(({ id }) => id === "pair.request");
    expect(requests.map(({ subject, verdict }) => `${subjectName(subject)} ${verdict}`).sort()).toEqual([
      "cluster1 → cluster2 passed",
      "cluster1 → cluster3 unknown",
      "cluster2 → cluster1 passed",
      "cluster2 → cluster3 unknown",
      "cluster3 → cluster1 unknown",
      "cluster3 → cluster2 unknown",
    ]);
    for (const { id, subject, verdict, cause } of report.checks) {
      // What is skipped everywhere does not apply here.
      if (verdict === "passed" || id === "control-plane.cni") continue;
      expect(`${id} ${subjectName(subject)} ${cause}`).toContain("cluster3");
    }
    expect(schemaProblems(report)).toEqual([]);
    const [title, , text] = toMarkdown(report).split("\n");
    expect(title).toBe("## ❌ Mesh mesh1 is not whole: cluster3 could not be reached");
    expect(text).toContain("Without it: cluster1 is done (2 objects changed), cluster2 is done (nothing changed).");

    comesBack(three);
    const again = await install(kubes, QUICK);
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    whole = kubes.map(state);
  });

  test("joins in the run in which it is back, and all is as if it had been there", async () => {
    const kubes = await clusters(3);
    const three = kubes[2] as Kube;
    goesAway(three);
    const outcome = await install(kubes, QUICK);
    expect(roots(outcome)).toEqual(["failed preflight.api cluster3"]);
    expect(kubes.slice(0, 2).map(remoteSecrets)).toEqual([[TO_2], [TO_1]]);
    comesBack(three);
    const old = kubes.slice(0, 2).map(resourceVersions);
    const completed = await install(kubes, QUICK);
    expect(notPassed(completed)).toEqual([]);
    expect(changes(completed).filter((line) => !line.startsWith("cluster3"))).toHaveLength(2);
    kubes.slice(0, 2).forEach((kube, i) => {
      expect(resourceVersions(kube)).toMatchObject(old[i] as object);
    });
    expect(kubes.map(state)).toEqual(whole);
  });

  test("leaves even a single one served", async () => {
    const kubes = await clusters(2);
    goesAway(kubes[1] as Kube);
    const outcome = await install(kubes);
    expect(roots(outcome)).toEqual(["failed preflight.api cluster2"]);
    const gateways = outcome.report.checks.filter(({ id }) => id === "install.gateway-available");
    expect(gateways.map(({ subject, verdict }) => `${subjectName(subject)} ${verdict}`).sort()).toEqual([
      "cluster1 passed",
      "cluster2 skipped",
    ]);
    comesBack(kubes[1] as Kube);
    expect(notPassed(await install(kubes, QUICK))).toEqual([]);
  });

  test("stops the run where a root would have to be generated", async () => {
    const kubes = await clusters(3);
    goesAway(kubes[2] as Kube);
    const outcome = await runInstall(kubes, TRAFFIC);
    expect(roots(outcome)).toEqual(["failed preflight.api cluster3"]);
    const trust = outcome.report.checks.find(({ id }) => id === "preflight.trust");
    expect(trust?.cause).toMatch(/takes every cluster to be reached, for its key is not kept; cluster3 cannot be/);
    expect(kubes.flatMap(writes)).toEqual([]);
    expect(toMarkdown(outcome.report)).toContain("Nothing was changed.");
  });

  test("before it got its part of a generated root, leaves no control plane that could never be its peer", async () => {
    const kubes = await clusters(3);
    const three = kubes[2] as Kube;
    three.intercept((sent) =>
      isWrite(sent) && sent.method === "PATCH" ? { status: 503, headers: { "retry-after": "1000" } } : undefined,
    );
    expect((await runInstall(kubes)).report.result).toBe("failed");
    goesAway(three);
    expect(roots(await runInstall(kubes))).toEqual(["failed preflight.api cluster3"]);
    for (const kube of kubes) expect(kube.list("sailoperator.io/v1", "Istio")).toEqual([]);
    comesBack(three);
    expect(notPassed(await runInstall(kubes))).toEqual([]);
  });

  test("does not excuse what is wrong elsewhere: nothing is changed then", async () => {
    const kubes = await clusters(3);
    goesAway(kubes[2] as Kube);
    const outcome = await install(kubes, { mesh: { istioVersion: "1.27.0" } });
    expect(roots(outcome)).toEqual(expect.arrayContaining(["failed preflight.operator cluster1, cluster2"]));
    expect(kubes.flatMap(writes)).toEqual([]);
  });

  test("with credentials that are refused is a wrong input, and stops the run", async () => {
    const kubes = await clusters(3);
    kubes[2]?.intercept(() => ({ status: 401 }));
    const outcome = await install(kubes);
    expect(roots(outcome)).toEqual(["failed preflight.api cluster3"]);
    expect(kubes.flatMap(writes)).toEqual([]);
  });

  test("any more, in the middle of a run, does not hold up the others either", async () => {
    const kubes = await clusters(3);
    const three = kubes[2] as Kube;
    three.subscribe(({ type, object }) => {
      if (type === "ADDED" && object.kind === "Istio") goesAway(three);
    });
    const outcome = await install(kubes);
    expect(roots(outcome)).toEqual(["failed cluster.api cluster3"]);
    expect(
      outcome.report.checks.filter(({ id, verdict }) => id === "pair.request" && verdict === "passed"),
    ).toHaveLength(2);
    expect(toMarkdown(outcome.report)).toContain("cluster3 could not be reached. Without it: cluster1 is done (");
    expect(schemaProblems(outcome.report)).toEqual([]);
  });
});
