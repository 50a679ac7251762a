// The polyfill has to be there before @peculiar/x509 is loaded.
import "reflect-metadata";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { uninstallRights } from "../../src/checks/rights.ts";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { OWNER, unclaimed } from "../../src/mesh/claim.ts";
import { istio, namespace as namespaceObject } from "../../src/mesh/objects/control-plane.ts";
import { exposure } from "../../src/mesh/objects/exposure.ts";
import { cacerts } from "../../src/mesh/objects/secrets.ts";
import type { SettledMesh, UninstallScope } from "../../src/mesh/spec.ts";
import { uninstallation, uninstallationHeadline } from "../../src/report/uninstallation.ts";
import type { ClusterOptions } from "../embedded/cluster.ts";
import { definitions } from "../embedded/controllers/crds.ts";
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
  type Outcome,
  proven,
  resourceVersions,
  restricted,
  runInstall,
  runPlan,
  runUninstall,
} from "./mesh.ts";

const clusters = testClusters();

let files: Record<string, string>;

/** Clusters that are one mesh: as an install that was cut off after the trust, and another one, leave them. */
async function joined(count: number, options?: ClusterOptions): Promise<[Kube, Kube, ...Kube[]]> {
  const kubes = await clusters(count, options);
  kubes.forEach((kube, index) => {
    kube.put(proven(kube, namespaceObject(meshSpec(count), clusterSpec(index + 1))));
    // One key for all, for it is the making of keys that takes its time.
    kube.put(proven(kube, cacerts(meshSpec(count), files)));
  });
  expect(notPassed(await runInstall(kubes))).toEqual([]);
  return kubes;
}

beforeAll(async () => {
  files = { ...(await issueIntermediate(await generateRoot(), "any", NAMESPACE)) };
});

const LABELS = { "app.kubernetes.io/managed-by": MANAGER, "app.kubernetes.io/part-of": "mesh1" };
const nameOf = ({ kind, metadata }: Json) =>
  `${kind} ${metadata.namespace ? `${metadata.namespace}/` : ""}${metadata.name}`;
const isOurs = ({ metadata }: Json) => metadata.labels?.["app.kubernetes.io/managed-by"] === MANAGER;
const ours = (kube: Kube) => everything(kube).filter(isOurs).map(nameOf).sort();
const namespace = (kube: Kube): Json => kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE });
const revisions = (kube: Kube) => kube.list("sailoperator.io/v1", "IstioRevision");
const left = ({ report }: Outcome) =>
  report.left.map((object) => `${object.cluster} ${nameOf({ kind: object.kind, metadata: object })}`);
const withoutStatus = ({ status: _, metadata, ...rest }: Json): Json => {
  const { resourceVersion: __, managedFields, ...others } = metadata;
  const content = managedFields.filter(({ subresource }: Json) => !subresource);
  return { ...rest, metadata: { ...others, managedFields: content } };
};
const THEIRS = [
  { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" },
  { apiVersion: "networking.istio.io/v1", kind: "Gateway", namespace: NAMESPACE, name: "cross-network-gateway" },
];
const deleted = ({ report }: Outcome) => report.changes.filter(({ action }) => action === "deleted");

const LINKS = (peer: string) => [
  "Gateway istio-system/cross-network-gateway",
  `Secret istio-system/istio-reader-service-account-istio-remote-secret-token`,
  `Secret istio-system/istio-remote-secret-${peer}`,
];

describe("two clusters that were joined", () => {
  let kubes: [Kube, Kube, ...Kube[]];
  beforeAll(async () => {
    kubes = await joined(2);
  });

  test("lose the links between them and nothing else", async () => {
    const before = kubes.map(ours);
    const deleted: string[] = [];
    for (const kube of kubes) {
      kube.intercept(({ method, path }) => {
        if (method === "DELETE") deleted.push(path);
        return undefined;
      });
    }
    const outcome = await runUninstall(kubes, "mesh");
    for (const kube of kubes) kube.intercept(undefined);
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.changed).toBe(true);
    expect(left(outcome)).toEqual([]);
    kubes.forEach((kube, index) => {
      const links = LINKS(`cluster${2 - index}`);
      expect(before[index]?.filter((name) => !ours(kube).includes(name))).toEqual(links);
      expect(kube.get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" }).status.state).toBe(
        "Healthy",
      );
    });
    // Everywhere the clusters stop reading each other before one of them closes.
    const order = deleted.map((path) => /\/istio-remote-secret-/.test(path));
    expect(order.filter(Boolean)).toHaveLength(2);
    expect(order).toEqual([...order].sort().reverse());
  });

  test("have no links to lose a second time", async () => {
    const before = kubes.map(resourceVersions);
    const outcome = await runUninstall(kubes, "mesh");
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.result).toBe("passed");
    expect(outcome.report.changed).toBe(false);
    expect(outcome.report.changes).toEqual([]);
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  test("can be joined again, and then lose everything", async () => {
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    const count = kubes.flatMap(ours).length;
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(deleted(outcome)).toHaveLength(count);
    expect(left(outcome)).toEqual([]);
    for (const kube of kubes) {
      expect(ours(kube)).toEqual([]);
      expect(revisions(kube)).toEqual([]);
      expect(namespace(kube)).toBeUndefined();
      // The operator is not ours.
      expect(kube.get({ apiVersion: "v1", kind: "Namespace", name: "sail-operator" })).toBeDefined();
    }
  });

  test("have nothing left to lose", async () => {
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report).toMatchObject({ result: "passed", changed: false, changes: [], left: [] });
  });
});

describe("what is not ours stays, and is told", () => {
  const put = (kube: Kube, apiVersion: string, kind: string, name: string, more: Json = {}) => {
    const { metadata, ...rest } = more;
    return kube.put({ apiVersion, kind, metadata: { name, namespace: NAMESPACE, ...metadata }, ...rest });
  };
  const OF_OTHER = { labels: { ...LABELS, "app.kubernetes.io/part-of": "mesh2" } };
  const multiCluster = { "istio/multiCluster": "true" };
  const byHand = (kube: Kube) =>
    put(kube, "v1", "Secret", "by-hand", { metadata: { labels: multiCluster }, data: { cluster7: "eA==" } });

  test("a remote secret made by hand keeps the cluster that it is for, until it is gone", async () => {
    const kubes = await joined(2);
    const theirs = { metadata: { labels: { ...multiCluster, ...OF_OTHER.labels } }, data: { cluster1: "eA==" } };
    put(kubes[1], "v1", "Secret", "theirs", theirs);
    const before = kubes.map(resourceVersions);
    const outcome = await runUninstall(kubes, "mesh");
    expect(failures(outcome)).toEqual([
      "failed preflight.readers cluster1: cluster1 would still be read, for the remote secret is not this action's and stays: cluster2, by Secret theirs. | Delete it first, in cluster2: kubectl -n istio-system delete secret theirs",
    ]);
    expect(kubes.map(resourceVersions)).toEqual(before);
    kubes[1].delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "theirs" });
    expect(notPassed(await runUninstall(kubes, "mesh"))).toEqual([]);
  });

  test("a remote secret by hand for a cluster that is gone: the cluster is not said to be unlinked", async () => {
    const kubes = await joined(2);
    byHand(kubes[0]);
    expect(failures(await runUninstall(kubes, "mesh"))).toEqual([
      expect.stringMatching(
        /^failed preflight\.readers cluster1: cluster1 is linked with cluster7, .* could not be looked at .*`gone-clusters: cluster7`\.$/,
      ),
    ]);
    const outcome = await runUninstall(kubes, "mesh", { gone: ["cluster7"] });
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.left).toEqual([
      {
        cluster: "cluster1",
        apiVersion: "v1",
        kind: "Secret",
        namespace: NAMESPACE,
        name: "by-hand",
        why: "It has no label app.kubernetes.io/managed-by=istio-mesh-action: this action did not make it.",
      },
    ]);
    expect(outcome.report.checks.flatMap(({ warning }) => warning ?? [])).toEqual([
      "Not this action's, and left: Secret by-hand (for cluster7). istiod goes on reading what it names.",
    ]);
    expect(uninstallation(outcome.report).end).toBe(
      "This action's links are gone from 2 clusters, and others are left",
    );
  });

  test("a namespace with somebody's workload in it, until that is gone", async () => {
    const kubes = await joined(2);
    const [kube] = kubes;
    const template = {
      metadata: { labels: { app: "kiali" } },
      spec: { containers: [{ name: "kiali", image: "kiali" }] },
    };
    put(kube, "apps/v1", "Deployment", "kiali", { spec: { selector: { matchLabels: { app: "kiali" } }, template } });
    // A kind of which nothing here knows.
    put(kube, "networking.istio.io/v1", "VirtualService", "routes");
    put(kube, "v1", "Secret", "of-mesh2", { metadata: OF_OTHER });
    // What is in every namespace, or was istiod's.
    put(kube, "v1", "ConfigMap", "kube-root-ca.crt");
    put(kube, "v1", "ServiceAccount", "default");
    const leader = { "control-plane.alpha.kubernetes.io/leader": "{}" };
    put(kube, "v1", "ConfigMap", "istio-leader", { metadata: { annotations: leader } });
    put(kube, "coordination.k8s.io/v1", "Lease", "istio-gateway-deployment-default");

    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(ours(kube)).toEqual([`Namespace ${NAMESPACE}`, `Secret ${NAMESPACE}/of-mesh2`]);
    expect(left(outcome).sort()).toEqual([
      "cluster1 Deployment istio-system/kiali",
      "cluster1 Namespace istio-system",
      "cluster1 Secret istio-system/of-mesh2",
      "cluster1 VirtualService istio-system/routes",
    ]);
    expect(outcome.report.left.find(({ kind }) => kind === "Namespace")?.why).toBe(
      "It holds 3 objects that are not this action's.",
    );

    const again = await runUninstall(kubes, "all");
    expect(again.report).toMatchObject({
      result: "passed",
      changed: false,
      left: expect.arrayContaining([...outcome.report.left]),
    });

    kube.delete({ apiVersion: "apps/v1", kind: "Deployment", namespace: NAMESPACE, name: "kiali" });
    kube.delete({ apiVersion: "networking.istio.io/v1", kind: "VirtualService", namespace: NAMESPACE, name: "routes" });
    kube.delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "of-mesh2" });
    const last = await runUninstall(kubes, "all");
    expect(deleted(last).map(({ kind }) => kind)).toEqual(["Namespace"]);
    expect(last.report.left).toEqual([]);
    expect(namespace(kube)).toBeUndefined();
  });

  test("a namespace that was there before: only the network's label is taken back", async () => {
    const kubes = await clusters(2);
    for (const kube of kubes) put(kube, "v1", "Namespace", NAMESPACE, { metadata: { labels: { team: "mesh" } } });
    expect(notPassed(await runInstall(kubes))).toEqual([]);
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(left(outcome)).toEqual(["cluster1 Namespace istio-system", "cluster2 Namespace istio-system"]);
    for (const kube of kubes) {
      expect(namespace(kube).metadata.labels).toMatchObject({ team: "mesh" });
      expect(namespace(kube).metadata.labels).not.toHaveProperty("topology.istio.io/network");
      expect(ours(kube)).toEqual([]);
    }
    expect((await runUninstall(kubes, "all")).report.changed).toBe(false);
  });

  test("an Istio resource, cacerts and a token without our labels", async () => {
    const kubes = await joined(2);
    const [kube] = kubes;
    const names = [
      { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" },
      { apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" },
      {
        apiVersion: "v1",
        kind: "Secret",
        namespace: NAMESPACE,
        name: "istio-reader-service-account-istio-remote-secret-token",
      },
    ];
    for (const ref of names) {
      const object = kube.get(ref);
      const { labels: _, annotations, ...rest } = object.metadata;
      const { [OWNER]: __, ...others } = annotations;
      const metadata = { ...rest, annotations: others };
      kube.put({ ...object, metadata });
    }
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    for (const ref of names) {
      expect(kube.get(ref), ref.name).toBeDefined();
      expect(left(outcome)).toContain(`cluster1 ${nameOf({ kind: ref.kind, metadata: ref })}`);
    }
    expect(revisions(kube)).toHaveLength(1);
    expect(namespace(kube)).toBeDefined();
    expect(namespace(kubes[1])).toBeUndefined();
  });

  test("control planes that the action was told to leave alone, with what they stand on", async () => {
    const kubes = await joined(2);
    const cacerts = { apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" };
    const before = kubes.map((kube) => [kube.get(cacerts), namespace(kube)]);
    const outcome = await runUninstall(kubes, "all", { mesh: { installer: "existing" } });
    expect(notPassed(outcome)).toEqual([]);
    for (const kube of kubes) expect(revisions(kube)).toHaveLength(1);
    expect(outcome.report.left).toContainEqual(
      expect.objectContaining({ kind: "Istio", why: "`installer: existing` leaves control planes alone." }),
    );
    expect(kubes.map((kube) => [kube.get(cacerts), namespace(kube)])).toEqual(before);
    for (const kind of ["Secret", "Namespace"])
      expect(outcome.report.left).toContainEqual(
        expect.objectContaining({
          kind,
          why: expect.stringMatching(/^Istio default, Deployment istio-system\/istiod are there/),
        }),
      );
    // Once they are gone, the rest goes, too.
    expect(notPassed(await runUninstall(kubes, "all"))).toEqual([]);
    for (const kube of kubes) expect([ours(kube), namespace(kube)]).toEqual([[], undefined]);
  });

  test("a platform team's own Istio and exposure, equal to ours: byte for byte, after an install as well", async () => {
    const kubes = await clusters(2);
    const team = { owner: "platform-team" };
    const of = (kube: Kube) => THEIRS.map((ref) => withoutStatus(kube.get(ref)));
    for (const [index, kube] of kubes.entries()) {
      kube.put(proven(kube, namespaceObject(meshSpec(2), clusterSpec(index + 1))));
      kube.put(proven(kube, cacerts(meshSpec(2), files)));
      const wanted = [istio(meshSpec(2) as SettledMesh, clusterSpec(index + 1)), exposure(meshSpec(2))];
      for (const object of wanted.map(unclaimed))
        kube.put({ ...object, metadata: { ...object.metadata, labels: team } });
    }
    const before = kubes.map(of);
    const plan = await runPlan(kubes);
    const installed = await runInstall(kubes);
    expect([...notPassed(plan), ...notPassed(installed)]).toEqual([]);
    for (const { report } of [plan, installed]) {
      const note = "It is somebody else's (kube-controller-manager), and does the job; it stays as it is.";
      for (const { kind } of THEIRS.slice(0, 1))
        expect(report.changes.filter((each) => each.kind === kind)).toEqual([
          expect.objectContaining({ cluster: "cluster1", action: "unchanged", note }),
          expect.objectContaining({ cluster: "cluster2", action: "unchanged", note }),
        ]);
    }
    expect(installed.report.checks.find(({ id }) => id === "preflight.ownership")?.evidence).toBe(
      "Not this action's, and left as they are, for they do the job: Istio default.",
    );
    expect(kubes.map(of)).toEqual(before);

    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(kubes.map(of)).toEqual(before);
    for (const kube of kubes) {
      expect(revisions(kube)).toHaveLength(1);
      // They stand on these.
      expect(ours(kube)).toEqual([`Namespace ${NAMESPACE}`, `Secret ${NAMESPACE}/cacerts`]);
    }
  });

  test("what carries our labels and not our proof, as a copy does", async () => {
    const kubes = await joined(2);
    const cacerts = kubes[0].get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" });
    const { uid: _, resourceVersion: __, managedFields: ___, ...metadata } = cacerts.metadata;
    kubes[0].put({ ...cacerts, metadata: { ...metadata, name: "cacerts-backup" } });
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(ours(kubes[0])).toEqual([`Namespace ${NAMESPACE}`, `Secret ${NAMESPACE}/cacerts-backup`]);
    expect(outcome.report.left).toContainEqual(
      expect.objectContaining({
        name: "cacerts-backup",
        why: expect.stringMatching(
          /label, but not its proof .*: kubectl -n istio-system delete secret cacerts-backup$/,
        ),
      }),
    );
  });

  test("everything of another mesh", async () => {
    const kubes = await joined(2);
    const before = kubes.map(resourceVersions);
    const outcome = await runUninstall(kubes, "all", { mesh: { id: "mesh2" } });
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.changed).toBe(false);
    expect(kubes.map(resourceVersions)).toEqual(before);
    expect(outcome.report.left).toHaveLength(kubes.flatMap(ours).length);
  });

  test("what was made anew after it was read", async () => {
    const kubes = await joined(2);
    const name = "istio-remote-secret-cluster2";
    let old: Json;
    kubes[0].intercept(({ method, path }) => {
      if (method !== "DELETE" || !path.includes(name) || old) return undefined;
      old = kubes[0].get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
      kubes[0].delete({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
      const { uid: _, ...metadata } = old.metadata;
      kubes[0].put({ ...old, metadata });
      return undefined;
    });
    const outcome = await runUninstall(kubes, "mesh");
    kubes[0].intercept(undefined);
    expect(notPassed(outcome)).toEqual([]);
    expect(kubes[0].get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name }).metadata.uid).not.toBe(
      old.metadata.uid,
    );
    expect(deleted(outcome).map((each) => each.name)).not.toContain(name);
  });
});

describe("what is ours goes,", () => {
  test("whatever its name, and a killed run's probe with it", async () => {
    const kubes = await joined(2);
    const metadata = {
      name: "an-older-name",
      namespace: NAMESPACE,
      labels: { ...LABELS, "app.kubernetes.io/component": "reader" },
    };
    kubes[0].put(proven(kubes[0], { apiVersion: "v1", kind: "Secret", metadata }));
    const probe = { name: "istio-mesh-probe-1", labels: { ...LABELS, "app.kubernetes.io/component": "probe" } };
    kubes[0].put(proven(kubes[0], { apiVersion: "v1", kind: "Namespace", metadata: probe }));
    kubes[0].put({ apiVersion: "v1", kind: "ConfigMap", metadata: { ...probe, namespace: "istio-mesh-probe-1" } });
    const outcome = await runUninstall(kubes, "mesh");
    expect(notPassed(outcome)).toEqual([]);
    expect(deleted(outcome).map(({ name }) => name)).toEqual(
      expect.arrayContaining(["an-older-name", "istio-mesh-probe-1"]),
    );
    expect(kubes[0].get({ apiVersion: "v1", kind: "Namespace", name: "istio-mesh-probe-1" })).toBeUndefined();
  });

  test("the reader account too, where it is ours, and the revision whatever it is called", async () => {
    const kubes = await clusters(2);
    const mesh = { istioResource: "canary" };
    expect(notPassed(await runInstall(kubes, { mesh }))).toEqual([]);
    const outcome = await runUninstall(kubes, "all", { mesh });
    expect(notPassed(outcome)).toEqual([]);
    expect(
      deleted(outcome).filter(({ kind, name }) => kind === "ServiceAccount" && name.startsWith("istio-reader")),
    ).toHaveLength(2);
    for (const kube of kubes) expect([...ours(kube), ...revisions(kube)]).toEqual([]);
  });

  test("also a control plane that istioctl made, but for Istio's CRDs", async () => {
    const kubes = await clusters(2, { operator: false });
    // CRDs outlive the operator.
    for (const kube of kubes) for (const definition of definitions(["1.26.3"])) kube.put(definition);
    const mesh = { installer: "istioctl" } as const;
    expect(notPassed(await runInstall(kubes, { mesh }))).toEqual([]);
    const webhooks = (kube: Kube) =>
      kube.list("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration").filter(isOurs);
    for (const kube of kubes) expect(webhooks(kube)).not.toEqual([]);
    // Found by their labels, whatever installer is named now.
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(left(outcome)).toEqual([]);
    for (const kube of kubes) {
      expect([...ours(kube), ...webhooks(kube)]).toEqual([]);
      expect(namespace(kube)).toBeUndefined();
      expect(
        kube.get({
          apiVersion: "apiextensions.k8s.io/v1",
          kind: "CustomResourceDefinition",
          name: "gateways.networking.istio.io",
        }),
      ).toBeDefined();
    }
  });

  test("and the CNI plugin with its namespace, unless another control plane may use it", async () => {
    const mesh = { clusters: [1, 2].map((n) => clusterSpec(n, { values: { pilot: { cni: { enabled: true } } } })) };
    const kubes = await clusters(2);
    expect(notPassed(await runInstall(kubes, { mesh }))).toEqual([]);
    const cni = { apiVersion: "sailoperator.io/v1", kind: "IstioCNI", name: "default" };
    const space = { apiVersion: "v1", kind: "Namespace", name: "istio-cni" };
    kubes[1].put({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: { name: "theirs" },
      spec: { version: "v1.26.3", namespace: "elsewhere" },
    });
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect([kubes[0].get(cni), kubes[0].get(space)]).toEqual([undefined, undefined]);
    expect([kubes[1].get(cni), kubes[1].get(space)]).not.toContain(undefined);
    expect(outcome.report.left.map(({ cluster, kind, why }) => [cluster, kind, why])).toEqual([
      ["cluster2", "IstioCNI", "Istio theirs may use it."],
      ["cluster2", "Namespace", "Istio theirs may use it."],
    ]);
  });

  test("where Istio was never installed there is none", async () => {
    const kubes = await clusters(2, { operator: false });
    const outcome = await runUninstall(kubes, "all");
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report).toMatchObject({ result: "passed", changed: false, left: [] });
  });

  test("of one cluster alone, once the others no longer read it", async () => {
    const kubes = await joined(3);
    const [first, second, third] = kubes as [Kube, Kube, Kube];
    const only = { mesh: { clusters: [clusterSpec(3)] } };
    const before = kubes.map(resourceVersions);
    expect(failures(await runUninstall([third], "all", only))).toEqual([
      "failed preflight.readers cluster3: cluster1, cluster2, not on the list, read cluster3, and would go on sending requests to it. | Take cluster3 out in the right order: run `install` with `prune: true` on the list without cluster3, then `uninstall` with cluster3 alone. If cluster1, cluster2 are gone for good, say so: `gone-clusters: cluster1, cluster2`.",
    ]);
    expect(kubes.map(resourceVersions)).toEqual(before);

    const rest = { mesh: { clusters: [clusterSpec(1), clusterSpec(2)] } };
    const pruned = await runInstall([first, second], { ...rest, prune: true });
    expect(notPassed(pruned)).toEqual([]);
    expect(pruned.report.checks.flatMap(({ id, warning }) => (id === "install.strangers" ? warning : []))).toEqual(
      [1, 2].map(
        (n) =>
          `cluster3 may hold a token of cluster${n} still, by which it is read, and which never expires. The command \`rotate\` revokes it.`,
      ),
    );
    const outcome = await runUninstall([third], "all", only);
    expect(notPassed(outcome)).toEqual([]);
    expect(ours(third)).toEqual([]);
    expect(outcome.report.checks.find(({ id }) => id === "preflight.readers")?.evidence).toBe(
      "Nobody reads cluster3 when what is removed is gone. cluster1, cluster2, not on the list, read it no more.",
    );
  });

  test("of one of two alone, whose other one is gone for good", async () => {
    const [one, two] = await joined(2);
    const only = { mesh: { clusters: [clusterSpec(2)] } };
    one.intercept(() => ({ status: 503 }));
    expect(failures(await runUninstall([two], "all", only))).toEqual([
      expect.stringMatching(/could not be looked at from here\. cluster1: .*Unlink the two first/),
    ]);
    expect(notPassed(await runUninstall([two], "all", { ...only, gone: ["cluster1"] }))).toEqual([]);
    expect(ours(two)).toEqual([]);
    one.intercept(undefined);
  });
});

describe("a run that is cut off", () => {
  // Two clusters are taken apart by 22 writes.
  test.each([1, 11, 22])("at write %i is completed by the next one", async (last) => {
    const kubes = await joined(2);
    const cancel = new AbortController();
    let count = 0;
    for (const kube of kubes) {
      kube.intercept((sent) => {
        if (!isWrite(sent) || ++count < last) return undefined;
        cancel.abort();
        return count === last ? { truncate: true } : { destroy: true };
      });
    }
    const first = await runUninstall(kubes, "all", { cancel: cancel.signal });
    expect(first.report.result).toBe("failed");
    for (const kube of kubes) kube.intercept(undefined);
    const second = await runUninstall(kubes, "all");
    expect(notPassed(second)).toEqual([]);
    for (const kube of kubes) {
      expect([...ours(kube), ...revisions(kube)]).toEqual([]);
      expect(namespace(kube)).toBeUndefined();
    }
  });
});

describe("without the operator", () => {
  test("nothing is begun that only it could finish", async () => {
    const kubes = await joined(2);
    const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: "sail-operator", name: "sail-operator" };
    const deployment = kubes[0].get(ref);
    kubes[0].put({ ...deployment, spec: { ...deployment.spec, replicas: 0 } });
    await vi.waitFor(() => expect(kubes[0].get(ref).status.availableReplicas).toBe(0));
    const outcome = await runUninstall(kubes, "all", { endWhen: ({ open, seen }) => open === 4 && seen.length === 1 });
    expect(failures(outcome)).toEqual([
      expect.stringMatching(
        /uninstall\.control-plane cluster1: The Sail Operator is not available\. Waited .* \| kubectl -n sail-operator describe deployment/,
      ),
    ]);
    expect(
      kubes[0].get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" }).metadata.deletionTimestamp,
    ).toBeUndefined();
    expect(ours(kubes[0])).not.toContain(`Secret ${NAMESPACE}/istio-remote-secret-cluster2`);
    expect(ours(kubes[1])).toEqual([]);
    kubes[0].put({ ...kubes[0].get(ref), spec: deployment.spec });
    expect(notPassed(await runUninstall(kubes, "all"))).toEqual([]);
    expect(ours(kubes[0])).toEqual([]);
  });

  test("whose work does not end, its finalizer stays, and is named", async () => {
    const [kube] = await clusters(1, { operator: { neverReconcile: true } });
    const metadata = { name: "default", labels: { ...LABELS, "app.kubernetes.io/component": "control-plane" } };
    const spec = { version: "v1.26.3", namespace: NAMESPACE };
    const { uid } = kube.put(
      proven(kube, { apiVersion: "sailoperator.io/v1", kind: "Istio", metadata, spec }),
    ).metadata;
    const owner = { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default", uid };
    kube.put({
      apiVersion: "sailoperator.io/v1",
      kind: "IstioRevision",
      metadata: { name: "default", finalizers: ["sailoperator.io/sail-operator"], ownerReferences: [owner] },
      spec,
    });
    for (let run = 1; run <= 2; run++) {
      const outcome = await runUninstall([kube], "all", {
        endWhen: ({ seen }) => seen.some((each) => each.includes("being deleted")),
      });
      expect(failures(outcome)).toEqual([
        expect.stringMatching(
          /uninstall\.control-plane cluster1: Waited \d+ s for the Sail Operator to remove the control plane, .* Last seen: IstioRevision default is being deleted, held by finalizer sailoperator\.io\/sail-operator; is the Sail Operator running\? \| .*Do not take the finalizer off/,
        ),
      ]);
      expect(revisions(kube)[0].metadata.finalizers).toEqual(["sailoperator.io/sail-operator"]);
      expect(outcome.report.checks.filter(({ verdict }) => verdict === "skipped").map(({ id }) => id)).toEqual([
        "uninstall.cni",
        "uninstall.rest",
        "uninstall.namespace",
      ]);
    }
  });
});

describe("a cluster that cannot be reached does not keep the others:", () => {
  /** Its API server is down, and a load balancer says so. */
  const down = { status: 503, headers: { "retry-after": "1000" } };

  test("from the beginning", async () => {
    const kubes = await joined(3);
    const before = resourceVersions(kubes[1]);
    kubes[1].intercept(() => down);
    const outcome = await runUninstall(kubes, "all");
    kubes[1].intercept(undefined);
    expect(outcome.report.result).toBe("failed");
    expect(failures(outcome)).toEqual([expect.stringMatching(/preflight\.api cluster2: /)]);
    expect(uninstallationHeadline(outcome.report).sentences[0]).toBe("cluster2 could not be reached.");
    for (const kube of [kubes[0], kubes[2]]) expect(ours(kube as Kube)).toEqual([]);
    expect(resourceVersions(kubes[1])).toEqual(before);
  });

  test("from the moment on at which it was to be unlinked", async () => {
    const kubes = await joined(2);
    let gone = false;
    kubes[1].intercept(({ method }) => {
      gone ||= method === "DELETE";
      return gone ? down : undefined;
    });
    const outcome = await runUninstall(kubes, "all");
    kubes[1].intercept(undefined);
    expect(failures(outcome)).toContainEqual(expect.stringMatching(/uninstall\.remote-secrets cluster2: /));
    expect(ours(kubes[0])).toEqual([]);
    expect(notPassed(await runUninstall(kubes, "all"))).toEqual([]);
    expect(ours(kubes[1])).toEqual([]);
  });
});

describe("the rights", () => {
  test.each<UninstallScope>(["mesh", "all"])("that are documented are enough: %s", async (scope) => {
    const kubes = await joined(2);
    const kubeconfigs = kubes.map((kube) => restricted(kube, uninstallRights(meshSpec(2), scope)));
    const from = kubes.map(({ requests }) => requests.length);
    const outcome = await runUninstall(kubes, scope, { kubeconfigs });
    expect(notPassed(outcome)).toEqual([]);
    kubes.forEach((kube, index) => {
      expect(kube.requests.slice(from[index]).filter(({ status }) => status === 403)).toEqual([]);
      // The user's own rights are in the namespace, which is a reason to leave it.
      expect(ours(kube)).toEqual(scope === "all" ? [`Namespace ${NAMESPACE}`] : expect.any(Array));
    });
  });

  test("of which one is missing are told before anything is removed", async () => {
    const kubes = await joined(2);
    const rights = uninstallRights(meshSpec(2), "mesh");
    const pick = ({ resource, verb }: { resource: string; verb: string }) =>
      resource !== "secrets" || verb !== "delete";
    const kubeconfigs = [restricted(kubes[0], rights, pick), kubes[1].kubeconfig()];
    const before = kubes.map(resourceVersions);
    const outcome = await runUninstall(kubes, "mesh", { kubeconfigs });
    expect(failures(outcome)).toEqual([
      expect.stringMatching(/preflight\.rights cluster1: .*may not: delete secrets in istio-system\./),
    ]);
    expect(kubes.map(resourceVersions)).toEqual(before);
  });
});
