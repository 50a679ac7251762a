// The root of a mesh that runs becomes another one, by runs that each do what can be done then.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { readableIn } from "../../src/mesh/certificates/pem.ts";
import { loadRoot, type RootCa } from "../../src/mesh/certificates/root.ts";
import { rootCa } from "../cluster/certificates.ts";
import { renew } from "../embedded/controllers/certificates.ts";
import { decode, encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { certificate } from "../mesh/certificate.ts";
import { testClusters } from "./clusters.ts";
import {
  failures,
  NAMESPACE,
  notPassed,
  type Outcome,
  resourceVersions,
  runInstall,
  runPlan,
  runRotate,
  runVerify,
  type Setup,
} from "./mesh.ts";

const clusters = testClusters();
vi.setConfig({ testTimeout: 90_000 });
const PROVED = { verification: { traffic: true } };
const TIMES = { reload: 2_000, kubelet: 0, skew: 0, waited: 0 };
let root: RootCa;
let made: { certificate: string; key: string };

beforeAll(async () => {
  made = await rootCa();
  root = await loadRoot(made.certificate, made.key);
});

const change = (more: Setup = {}): Setup => ({
  root,
  times: TIMES,
  pace: 20,
  ...more,
  mesh: { trust: { mode: "provided", transition: true }, ...more.mesh },
});
const secret = (kube: Kube, name = "cacerts"): Json =>
  kube.get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
const roots = (kube: Kube): number => readableIn(decode(secret(kube)?.data["root-cert.pem"]) ?? "").length;
const signer = (kube: Kube): string => readableIn(decode(secret(kube)?.data["ca-cert.pem"]) ?? "")[0]?.issuer ?? "";
const said = ({ report }: Outcome): string =>
  report.checks.find(({ id }) => id === "install.root-change")?.evidence ?? "";
const bad = (outcome: Outcome) => notPassed(outcome).filter((line) => !line.startsWith("skipped"));
const renewAll = (kubes: readonly Kube[]) => {
  for (const kube of kubes) renew.get(kube)?.();
};

const istiods = (kube: Kube): string[] =>
  kube.list("v1", "Pod", NAMESPACE).flatMap(({ metadata }) => (metadata.labels.app === "istiod" ? metadata.name : []));

async function importRoot({ key }: { key: string }) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pkcs8 = x509.PemConverter.decodeFirst(key);
  return { privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]) };
}

/** A workload that runs. */
async function workload(kube: Kube): Promise<void> {
  kube.put({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "apps", labels: { "istio-injection": "enabled" } },
  });
  kube.put({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "apps" } });
  kube.put({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "apps" },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web:1" }] } },
    },
  });
  await vi.waitFor(
    () => {
      const [pod] = kube.list("v1", "Pod", "apps");
      expect(pod?.status.phase).toBe("Running");
      expect(JSON.stringify(pod.spec)).toContain("istio-proxy");
    },
    { timeout: 10_000 },
  );
}

function patchSecret(kube: Kube, { metadata = {}, data = {} }: Json): void {
  const { managedFields: _, ...rest } = secret(kube).metadata;
  kube.put({ ...secret(kube), metadata: { ...rest, ...metadata }, data: { ...secret(kube).data, ...data } });
}

async function joined(): Promise<[Kube, Kube]> {
  const kubes = (await clusters(2)) as [Kube, Kube, ...Kube[]];
  expect(notPassed(await runInstall(kubes))).toEqual([]);
  await Promise.all(kubes.map(workload));
  return [kubes[0], kubes[1]];
}

describe("from one root to another", () => {
  test("is refused unless it is asked for, with what it takes", async () => {
    const kubes = await joined();
    const before = kubes.map(resourceVersions);
    const outcome = await runInstall(kubes, change({ mesh: { trust: { mode: "provided" } } }));
    expect(failures(outcome).join()).toMatch(
      /preflight\.trust .*`trust-transition: true`.*12 h 15 min.*old root is taken out/s,
    );
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  test("goes by three phases, each once every proxy is ready for it, and verify is green in all", async () => {
    const kubes = await joined();
    const old = kubes.map((kube) => decode(secret(kube).data["root-cert.pem"]));

    const versions0 = kubes.map(resourceVersions);
    const plan = await runPlan(kubes, change());
    expect(bad(plan)).toEqual([]);
    expect(plan.report.changes.map(({ kind, name, action }) => `${kind} ${name} ${action}`)).toEqual(
      kubes.flatMap(() => ["Secret cacerts updated", "Deployment istiod updated"]),
    );
    expect(kubes.map(resourceVersions)).toEqual(versions0);

    const first = await runInstall(kubes, change(PROVED));
    expect(bad(first)).toEqual([]);
    expect(said(first)).toMatch(/cluster1, cluster2: phase 1 of 3, both roots are trusted, and the old one signs/);
    const wait = Date.parse(first.report.nextRunAfter ?? "") - Date.now();
    expect(wait / 3_600_000).toBeGreaterThan(12);
    expect(wait / 3_600_000).toBeLessThan(12.3);
    expect(kubes.map(roots)).toEqual([2, 2]);
    expect(kubes.map((kube, i) => decode(secret(kube).data["root-cert.pem"]).startsWith(old[i] as string))).toEqual([
      true,
      true,
    ]);
    expect(kubes.map(signer)).toEqual(["O=Istio\nCN=Root CA", "O=Istio\nCN=Root CA"]);
    expect(first.report.checks.filter(({ id, verdict }) => id === "pair.request" && verdict === "passed")).toHaveLength(
      2,
    );

    const early = await runInstall(kubes, change());
    expect([bad(early), early.report.changed]).toEqual([[], false]);
    expect(said(early)).toContain("learn of the new root");

    renewAll(kubes);
    const second = await runInstall(kubes, change(PROVED));
    expect(bad(second)).toEqual([]);
    expect(said(second)).toMatch(/cluster1, cluster2: phase 2 of 3.*certificates of the new root/);
    expect(kubes.map(roots)).toEqual([2, 2]);
    expect(kubes.map(signer)).toEqual(["O=Example\nCN=Root", "O=Example\nCN=Root"]);
    const seen = await runVerify(kubes);
    expect(bad(seen)).toEqual([]);
    const phases = seen.report.checks.flatMap(({ id, warning }) => (id === "trust.cacerts" ? (warning ?? "none") : []));
    expect(phases).toEqual(
      kubes.map(() => expect.stringMatching(/in phase 2 of 3: both roots are trusted, and the new one signs/)),
    );

    renewAll(kubes);
    const third = await runInstall(kubes, change(PROVED));
    expect(notPassed(third)).toEqual([]);
    expect(third.report.nextRunAfter).toBeUndefined();
    expect(said(third)).toContain("the new root alone is trusted");
    expect(kubes.map(roots)).toEqual([1, 1]);

    const versions = kubes.map(resourceVersions);
    const again = await runInstall(kubes, change());
    expect([notPassed(again), again.report.changed]).toEqual([[], false]);
    expect(kubes.map(resourceVersions)).toEqual(versions);
  });

  test("from roots that istiods made themselves, clusters become one mesh once all have the new one", async () => {
    const kubes = (await clusters(2)) as [Kube, Kube, ...Kube[]];
    for (const [i, kube] of kubes.entries()) {
      kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
      const global = { meshID: "mesh1", network: `network${i + 1}`, multiCluster: { clusterName: `cluster${i + 1}` } };
      kube.put({
        apiVersion: "sailoperator.io/v1",
        kind: "Istio",
        metadata: { name: "default" },
        spec: { version: "v1.26.3", namespace: NAMESPACE, values: { global } },
      });
    }
    await vi.waitFor(
      () => {
        for (const kube of kubes) expect(secret(kube, "istio-ca-secret")).toBeDefined();
      },
      { timeout: 5_000 },
    );
    await Promise.all(kubes.map(workload));
    const own = kubes.map((kube) => secret(kube, "istio-ca-secret").data);

    const first = await runInstall(kubes, change(PROVED));
    expect(bad(first)).toEqual([]);
    expect(said(first)).toContain("cluster1, cluster2: phase 1 of 3");
    expect(kubes.map((kube) => secret(kube).data["ca-key.pem"])).toEqual(own.map((data) => data["ca-key.pem"]));
    expect(kubes.map(roots)).toEqual([2, 2]);
    renewAll(kubes);
    expect(said(await runInstall(kubes, change(PROVED)))).toContain("cluster1, cluster2: phase 2 of 3");
    renewAll(kubes);
    const last = await runInstall(kubes, change(PROVED));
    expect(notPassed(last)).toEqual([]);
    expect(last.report.checks.filter(({ id, verdict }) => id === "pair.request" && verdict === "passed")).toHaveLength(
      2,
    );
    expect(kubes.map(roots)).toEqual([1, 1]);
  });

  test.each<[string, (kube: Kube) => void, RegExp]>([
    [
      "kept by another controller",
      (kube) => patchSecret(kube, { metadata: { annotations: { "argocd.argoproj.io/tracking-id": "mesh" } } }),
      /cluster2: The root cannot be changed by this action: .*cacerts is kept by Argo CD/,
    ],
    [
      "with a list of what is revoked",
      (kube) => patchSecret(kube, { data: { "ca-crl.pem": "eA==" } }),
      /ca-crl\.pem: proxies refuse/,
    ],
    [
      "that cannot be read",
      (kube) => patchSecret(kube, { data: { "ca-cert.pem": "eA==" } }),
      /cluster2: .*ca-cert\.pem/,
    ],
  ])("is refused, with the reason, for a Secret %s", async (_, spoil, why) => {
    const kubes = await joined();
    spoil(kubes[1]);
    const before = kubes.map(resourceVersions);
    const outcome = await runInstall(kubes, change());
    expect(failures(outcome).join()).toMatch(why);
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  test("is one of istiods by rotate alone: an intermediate that ends soon is renewed, and nothing restarted", async () => {
    const kubes = (await clusters(2)) as [Kube, Kube, ...Kube[]];
    expect(notPassed(await runInstall(kubes, { root, mesh: { trust: { mode: "provided" } } }))).toEqual([]);
    const day = 86_400_000;
    const { privateKey } = await importRoot(made);
    const keyed = { ...(await certificate()), cert: new x509.X509Certificate(made.certificate), crypto: privateKey };
    const term = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 30 * day) };
    const short = await certificate({ name: "Short", issuer: keyed, pathLength: 0, ...term });
    const chain = encode(`${short.pem}${made.certificate}`);
    const key = encode(String(short.key.export({ type: "pkcs8", format: "pem" })));
    patchSecret(kubes[1], { data: { "ca-cert.pem": encode(short.pem), "ca-key.pem": key, "cert-chain.pem": chain } });
    const [before, pods] = [kubes.map((kube) => secret(kube).data), kubes.map(istiods)];

    const outcome = await runRotate(kubes, { root, times: TIMES, ...PROVED });
    expect(notPassed(outcome)).toEqual([]);
    const told = outcome.report.checks.flatMap(({ id, evidence }) => (id === "rotate.intermediate" ? evidence : []));
    expect(told.sort()).toEqual([
      expect.stringContaining("by a new intermediate"),
      expect.stringContaining("it is renewed from 60 days before"),
    ]);
    const after = kubes.map((kube) => secret(kube).data);
    expect(after[0]).toEqual(before[0]);
    expect(after[1]["ca-cert.pem"]).not.toBe(before[1]["ca-cert.pem"]);
    expect(after[1]["root-cert.pem"]).toBe(before[1]["root-cert.pem"]);
    expect(kubes.map(istiods)).toEqual(pods);
    const end = readableIn(decode(after[1]["ca-cert.pem"]) ?? "")[0]?.validToDate.getTime() ?? 0;
    expect(end - Date.now()).toBeGreaterThan(3_000 * day);
  });

  test("is refused while a cluster cannot be reached, for its proxies count, too", async () => {
    const kubes = await joined();
    const gone = kubes[1].kubeconfig({ server: "https://127.0.0.1:1" });
    const before = kubes.map(resourceVersions);
    const outcome = await runInstall(
      kubes,
      change({ kubeconfigs: [kubes[0].kubeconfig(), gone], timeoutMs: 12_000, pace: 1 }),
    );
    expect(failures(outcome).join()).toMatch(
      /preflight\.trust .*takes every cluster to be reached.*cluster2 cannot be/,
    );
    expect(kubes.map(resourceVersions)).toEqual(before);
  });

  test("a pod that is made anew need not be waited for", async () => {
    const kubes = await joined();
    await runInstall(kubes, change());
    for (const kube of kubes)
      for (const pod of kube.list("v1", "Pod", "apps")) kube.delete({ apiVersion: "v1", kind: "Pod", ...pod.metadata });
    await vi.waitFor(() => {
      for (const kube of kubes) expect(kube.list("v1", "Pod", "apps")[0]?.status.phase).toBe("Running");
    });
    const second = await runInstall(kubes, change());
    expect(said(second)).toContain("cluster1, cluster2: phase 2 of 3");
  });

  test("takes out the roots of all clusters where each trusts the others'", async () => {
    const kubes = await joined();
    const other = await rootCa();
    const { "root-cert.pem": _, ...files } = await issueIntermediate(
      await loadRoot(other.certificate, other.key),
      "cluster2",
      NAMESPACE,
    );
    const both = encode(`${decode(secret(kubes[0]).data["root-cert.pem"])}${other.certificate}`);
    const data = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encode(text)]));
    patchSecret(kubes[0], { data: { "root-cert.pem": both } });
    patchSecret(kubes[1], { data: { ...data, "root-cert.pem": both } });
    for (const kube of kubes)
      for (const name of istiods(kube)) kube.delete({ apiVersion: "v1", kind: "Pod", namespace: NAMESPACE, name });
    await vi.waitFor(
      () => {
        for (const kube of kubes)
          expect(
            readableIn(
              kube.get({ apiVersion: "v1", kind: "ConfigMap", namespace: "apps", name: "istio-ca-root-cert" }).data[
                "root-cert.pem"
              ],
            ),
          ).toHaveLength(2);
      },
      { timeout: 10_000 },
    );
    for (const expected of [3, 3, 1]) {
      renewAll(kubes);
      expect(bad(await runInstall(kubes, change()))).toEqual([]);
      expect(kubes.map(roots)).toEqual([expected, expected]);
    }
  });

  test("is not begun where the time would not do, and that is told", async () => {
    const kubes = await joined();
    const before = kubes.map((kube) => secret(kube).data);
    const outcome = await runInstall(kubes, change({ times: { ...TIMES, reload: 60_000 } }));
    expect(bad(outcome)).toEqual([]);
    expect(said(outcome)).toContain("too little of the run's time left");
    expect(outcome.report.nextRunAfter).toBeDefined();
    expect(kubes.map((kube) => secret(kube).data)).toEqual(before);
  });

  test("is over in one run where workloads may be restarted", async () => {
    const kubes = await joined();
    const before = kubes.map((kube) => kube.list("v1", "Pod", "apps").map(({ metadata }) => metadata.uid));
    const trust = { mode: "provided", transition: true, restart: ["apps"] } as const;
    const times = { ...TIMES, waited: 20_000 };
    const outcome = await runInstall(kubes, change({ times, timeoutMs: 300_000, mesh: { trust } }));
    expect(notPassed(outcome)).toEqual([]);
    expect(said(outcome)).toContain("the new root alone is trusted");
    expect(kubes.map(roots)).toEqual([1, 1]);
    const changed = outcome.report.changes.filter(({ name }) => name === "web").map(({ action }) => action);
    expect(changed).toEqual(["updated", "updated", "updated", "updated"]);
    const after = kubes.map((kube) => kube.list("v1", "Pod", "apps").map(({ metadata }) => metadata.uid));
    expect(after.flat().filter((uid) => before.flat().includes(uid))).toEqual([]);
  });

  test("is gone on with wherever runs are cut off", async () => {
    const kubes = await joined();
    let over = false;
    for (let run = 1; run <= 40 && !over; run++) {
      const late = new AbortController();
      let left = 1 + ((run * 7) % 5);
      kubes[run % 2]?.intercept((request) => {
        if (/PATCH|POST|PUT/.test(request.method) && /secrets|deployments/.test(request.path) && --left === 0)
          late.abort();
      });
      const outcome = await runInstall(kubes, change({ late: late.signal }));
      kubes[run % 2]?.intercept(undefined);
      over = outcome.report.result === "passed" && outcome.report.nextRunAfter === undefined;
      renewAll(kubes);
    }
    expect(over).toBe(true);
    expect(kubes.map(roots)).toEqual([1, 1]);
    expect(bad(await runVerify(kubes))).toEqual([]);
  });
});
