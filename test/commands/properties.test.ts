// The polyfill has to be there before @peculiar/x509 is loaded.
import "reflect-metadata";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import { OWNER, ownerOf, proven, unclaimed } from "../../src/mesh/claim.ts";
import { exposure } from "../../src/mesh/objects/exposure.ts";
import { cacerts } from "../../src/mesh/objects/secrets.ts";
import type { MeshSpec } from "../../src/mesh/spec.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import {
  everything,
  MANAGER,
  meshSpec,
  NAMESPACE,
  notPassed,
  type Outcome,
  resourceVersions,
  runInstall,
  runPlan,
  runUninstall,
  writes,
} from "./mesh.ts";

/** How many meshes; more by hand. */
const RUNS = Number(process.env.PROPERTIES_RUNS ?? 4);

const clusters = testClusters();
let files: Record<string, string>;
beforeAll(async () => {
  files = { ...(await issueIntermediate(await generateRoot(), "any", NAMESPACE)) };
});

/** As a copy of an object of ours carries it: labels, and no proof. */
const copied = (component: string) => ({
  "app.kubernetes.io/managed-by": MANAGER,
  "app.kubernetes.io/part-of": "mesh1",
  "app.kubernetes.io/component": component,
});
const object = (apiVersion: string, kind: string, name: string, more: Json = {}, metadata: Json = {}): Json => ({
  apiVersion,
  kind,
  metadata: { name, ...(kind.startsWith("Cluster") ? {} : { namespace: NAMESPACE }), ...metadata },
  ...more,
});
const rule = { role: { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] } };

/** What may be on a cluster before, whoever made it. */
const FOREIGN: Readonly<Record<string, (kube: Kube) => Json>> = {
  "a ConfigMap with our labels": () =>
    object("v1", "ConfigMap", "notes", { data: { a: "b" } }, { labels: copied("gateway") }),
  "a Service with our labels": () =>
    object("v1", "Service", "edge", { spec: { ports: [{ port: 80 }] } }, { labels: copied("east-west-gateway") }),
  "a Deployment without labels": () =>
    object("apps/v1", "Deployment", "tool", {
      spec: {
        selector: { matchLabels: { app: "tool" } },
        template: { metadata: { labels: { app: "tool" } }, spec: { containers: [{ name: "tool", image: "tool:1" }] } },
      },
    }),
  "a Gateway for other hosts": () =>
    object("networking.istio.io/v1", "Gateway", "public", {
      spec: {
        selector: { istio: "ingress" },
        servers: [
          {
            hosts: ["shop.example"],
            port: { number: 443, name: "tls", protocol: "TLS" },
            tls: { mode: "PASSTHROUGH" },
          },
        ],
      },
    }),
  "an exposure that is as ours would be": () => ({
    ...unclaimed(exposure(meshSpec(2))),
    metadata: { name: "cross-network-gateway", namespace: NAMESPACE, labels: { owner: "platform-team" } },
  }),
  "a ClusterRole with our labels": () =>
    object("rbac.authorization.k8s.io/v1", "ClusterRole", "readers", rule.role, { labels: copied("reader") }),
  "a Gateway of another mesh of ours": (kube) => {
    const made = exposure(meshSpec(2, { id: "mesh2" }));
    const { uid } = kube.get({ apiVersion: "v1", kind: "Namespace", name: "kube-system" }).metadata;
    const other = { ...made, metadata: { ...made.metadata, name: "of-mesh2", namespace: "default" } };
    return {
      ...proven(ownerOf({ id: "mesh2", namespace: NAMESPACE }, uid), other),
      spec: { selector: { istio: "of-mesh2" }, servers: [] },
    };
  },
  "a Secret of one's own": () =>
    object("v1", "Secret", "vault", { data: { key: "YQ==" } }, { labels: copied("trust") }),
  "the root of trust": () => unclaimed(cacerts(meshSpec(2), files)),
};

/** What somebody else made under a name that we take, and that does not do. */
const IN_THE_WAY: Readonly<Record<string, () => Json>> = {
  "a gateway's Service on other ports": () =>
    object("v1", "Service", "istio-eastwestgateway", { spec: { type: "ClusterIP", ports: [{ port: 8443 }] } }),
  "a gateway's Deployment of another program": () => ({
    ...FOREIGN["a Deployment without labels"]?.({} as Kube),
    metadata: { name: "istio-eastwestgateway", namespace: NAMESPACE },
  }),
  "an exposure on another port": () =>
    object("networking.istio.io/v1", "Gateway", "cross-network-gateway", {
      spec: {
        selector: { istio: "eastwestgateway" },
        servers: [
          {
            hosts: ["*.local"],
            port: { number: 15444, name: "tls", protocol: "TLS" },
            tls: { mode: "AUTO_PASSTHROUGH" },
          },
        ],
      },
    }),
  "an Istio for another network": () => {
    const global = { meshID: "mesh1", network: "elsewhere", multiCluster: { clusterName: "cluster1" } };
    return {
      ...object("sailoperator.io/v1", "Istio", "default", {
        spec: { version: "v1.26.3", namespace: NAMESPACE, values: { global } },
      }),
      metadata: { name: "default" },
    };
  },
  "the reader's token by others": () =>
    object("v1", "Secret", "istio-reader-service-account-istio-remote-secret-token", { data: {}, type: "Opaque" }),
};

const isRoot = (name: string) => name === "the root of trust";
const nameOf = ({ kind, metadata }: Json) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;
const isOurs = ({ metadata }: Json) => metadata.annotations?.[OWNER]?.includes(" of mesh mesh1 in ");

/** What an object is, but for its status and for what each write leaves. */
function content({ status: _, metadata, ...rest }: Json): Json {
  const { resourceVersion: __, generation: ___, managedFields: ____, ...others } = metadata;
  return { ...rest, metadata: others };
}
const told = ({ report }: Outcome) =>
  report.changes
    .filter(({ action }) => action !== "unchanged")
    .map(({ cluster, kind, namespace, name, action }) => `${cluster} ${kind} ${namespace ?? ""}/${name} ${action}`)
    .sort();

const meshes = fc.record({
  // By cluster.
  foreign: fc.tuple(...[0, 1].map(() => fc.subarray(Object.keys(FOREIGN).filter((name) => !isRoot(name))))),
  root: fc.boolean(),
  ownNamespace: fc.tuple(fc.boolean(), fc.boolean()),
  mesh: fc.constantFrom<Partial<MeshSpec>>({}, { istioResource: "canary" }, { tokenTtl: 7_200 }),
});

describe("of any mesh, on clusters where others have made something", () => {
  test(
    `${RUNS} of them: plan is what install does; install again does nothing; uninstall leaves what was there`,
    async () => {
      await fc.assert(
        fc.asyncProperty(meshes, async ({ foreign, root, ownNamespace, mesh }) => {
          const kubes = await clusters(2);
          const theirs = kubes.map((kube, index) => {
            const names = [...(foreign[index] ?? []), ...(root ? ["the root of trust"] : [])];
            // What is in it has to be somewhere.
            const namespace = {
              apiVersion: "v1",
              kind: "Namespace",
              metadata: { name: NAMESPACE, labels: { team: "a" } },
            };
            const put = [
              ...(names.length > 0 || ownNamespace[index] ? [namespace] : []),
              ...names.map((name) => FOREIGN[name]?.(kube) as Json),
            ].map((each) => content(kube.put(each)));
            kube.requests.length = 0;
            return put;
          });

          const planned = await runPlan(kubes, { mesh });
          expect(notPassed(planned)).toEqual([]);
          expect(kubes.flatMap(writes)).toEqual([]);

          const installed = await runInstall(kubes, { mesh });
          expect(notPassed(installed)).toEqual([]);
          expect(told(installed)).toEqual(told(planned));

          const versions = kubes.map(resourceVersions);
          const again = await runInstall(kubes, { mesh });
          expect(notPassed(again)).toEqual([]);
          expect(told(again)).toEqual([]);
          expect(kubes.map(resourceVersions)).toEqual(versions);

          const removed = await runUninstall(kubes, "all", { mesh });
          expect(notPassed(removed)).toEqual([]);
          kubes.forEach((kube, index) => {
            const left = new Map(everything(kube).map((each) => [nameOf(each), each]));
            expect([...left.values()].filter(isOurs).map(nameOf)).toEqual([]);
            for (const before of theirs[index] ?? []) {
              const after = left.get(nameOf(before));
              expect(after && content(after), nameOf(before)).toEqual(before);
            }
          });
          await Promise.all(kubes.map((kube) => kube.stop()));
        }),
        { numRuns: RUNS, ...(process.env.PROPERTIES_SEED ? { seed: Number(process.env.PROPERTIES_SEED) } : {}) },
      );
    },
    RUNS * 20_000,
  );

  test(
    `${RUNS} of them: where something is in the way nothing is written, in neither cluster`,
    async () => {
      const ways = fc.record({
        foreign: fc.subarray(Object.keys(FOREIGN)),
        way: fc.subarray(Object.keys(IN_THE_WAY), { minLength: 1, maxLength: 2 }),
      });
      await fc.assert(
        fc.asyncProperty(ways, async ({ foreign, way }) => {
          const kubes = await clusters(2);
          const [kube] = kubes;
          kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
          const names = foreign.filter(
            (name) => !(name.startsWith("an exposure") && way.some((each) => each.startsWith("an exposure"))),
          );
          for (const name of names) kube.put(FOREIGN[name]?.(kube) as Json);
          for (const name of way) kube.put(IN_THE_WAY[name]?.() as Json);
          for (const each of kubes) each.requests.length = 0;
          const outcome = await runInstall(kubes);
          expect(outcome.report.result).toBe("failed");
          expect(outcome.report.changed).toBe(false);
          expect(kubes.flatMap(writes)).toEqual([]);
          for (const { cause, hint } of outcome.report.checks.filter(({ verdict }) => verdict === "failed"))
            expect([cause, hint]).toEqual([expect.stringMatching(/./), expect.stringMatching(/./)]);
          await Promise.all(kubes.map((each) => each.stop()));
        }),
        { numRuns: RUNS },
      );
    },
    RUNS * 20_000,
  );
});
