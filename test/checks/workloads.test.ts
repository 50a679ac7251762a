// The workloads that run: what is right as others have it, what is broken, and what is only told.
import { beforeAll, describe, expect, test } from "vitest";
import { judged } from "../../src/checks/finding.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { part } from "../../src/checks/part.ts";
import { mayHoldIstiodsOwn } from "../../src/checks/proxy-root.ts";
import { stillSo, troublesOf } from "../../src/checks/proxy-sync.ts";
import { revisionsToAsk } from "../../src/checks/sidecars.ts";
import { workloadChecks } from "../../src/checks/workloads.ts";
import type { ListQuery } from "../../src/cluster/cluster.ts";
import { readConnections } from "../../src/facts/connections.ts";
import { DebugClosed } from "../../src/facts/debug.ts";
import type { Identity } from "../../src/facts/identity.ts";
import { readInjectionPolicy, readInjectors } from "../../src/facts/injectors.ts";
import { AT_ONCE, NAMESPACES, OF_EACH, readSample } from "../../src/facts/workloads.ts";
import type { CheckId } from "../../src/mesh/catalogue.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import type { Finding } from "../../src/mesh/report.ts";
import { certificate } from "../mesh/certificate.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects as an API server has them
type Json = any;

const REVISION = "istio.io/rev";
const READY = [{ type: "Ready", status: "True" }];

interface Given {
  readonly namespace?: string;
  readonly revision?: string;
  readonly cluster?: string;
  readonly network?: string | null;
  readonly meshId?: string;
  readonly of?: string;
  readonly tag?: string;
  readonly role?: string;
  readonly native?: boolean;
  readonly proxied?: boolean;
  readonly labels?: Json;
  readonly annotations?: Json;
  readonly spec?: Json;
  readonly env?: Json[];
  readonly status?: Json;
  readonly created?: string;
  readonly gone?: boolean;
}

/** A pod that was injected by istiod as it runs, but for what is said. */
function pod(name: string, given: Given = {}): Json {
  const { namespace = "shop", revision = "default", cluster = "a", network = "network-a", meshId = "mesh1" } = given;
  const { of = "istio-system", tag = "1.30.3", role = "sidecar", native = true, proxied = true } = given;
  const service = revision === "default" ? "istiod" : `istiod-${revision}`;
  const proxy = {
    name: "istio-proxy",
    image: `proxyv2:${tag}`,
    args: ["proxy", role, "--domain", "x"],
    env: [
      { name: "CA_ADDR", value: `${service}.${of}.svc:15012` },
      { name: "PROXY_CONFIG", value: "{}\n" },
      { name: "ISTIO_META_CLUSTER_ID", value: cluster },
      ...(network === null ? [] : [{ name: "ISTIO_META_NETWORK", value: network }]),
      { name: "ISTIO_META_MESH_ID", value: meshId },
      ...(given.env ?? []),
    ],
  };
  const app = { name: "app", image: "app" };
  return {
    metadata: {
      name,
      namespace,
      labels: given.labels ?? {},
      annotations: {
        ...(proxied ? { [REVISION]: revision, "sidecar.istio.io/status": `{"revision":"${revision}"}` } : {}),
        ...given.annotations,
      },
      creationTimestamp: given.created ?? "2026-11-01T00:00:00Z",
      ...(given.gone ? { deletionTimestamp: "2026-11-30T00:00:00Z" } : {}),
    },
    spec: {
      containers: [app, ...(proxied && !native ? [proxy] : [])],
      initContainers: proxied && native ? [{ ...proxy, restartPolicy: "Always" }] : [],
      ...given.spec,
    },
    status: { phase: "Running", conditions: READY, ...given.status },
  };
}

const TYPES: Record<string, string> = {
  clusters: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  listeners: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routes: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
};

/** What istiod says of a pod's proxy. */
function connected(pod: Json, resources: Json = {}, more: Json = {}): Json {
  const { name, namespace } = pod.metadata;
  const all = { clusters: { sent: "n2", acked: "n2" }, listeners: { sent: "n2", acked: "n2" }, ...resources };
  return {
    proxy: `${name}.${namespace}`,
    proxy_type: "sidecar",
    cluster_id: "a",
    istio_version: "1.30.3",
    resources: Object.fromEntries(Object.entries(all).map(([kind, each]) => [TYPES[kind], each])),
    ...more,
  };
}

const deployment = (revision = "default", version = "1.30.3") => ({
  metadata: { name: revision === "default" ? "istiod" : `istiod-${revision}` },
  spec: {
    template: { metadata: { labels: { [REVISION]: revision } }, spec: { containers: [{ image: `pilot:${version}` }] } },
  },
});
const replica = (revision = "default", version = "1.30.3") => ({
  metadata: { name: `istiod-${revision}-1`, labels: { [REVISION]: revision } },
  spec: { containers: [{ name: "discovery", image: `pilot:${version}` }] },
  status: { phase: "Running", conditions: READY },
});
const identity = (more: Partial<Identity> = {}): Identity => ({
  clusterName: "a",
  clusterAliases: [],
  network: "network-a",
  meshId: "mesh1",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  caCertificates: [],
  takesCaCertificates: false,
  caAddress: undefined,
  ...more,
});
const webhooks = (revision = "default", tag = revision, namespace = "istio-system") => ({
  metadata: { name: `injector-${tag}`, labels: { [REVISION]: revision } },
  webhooks: [
    {
      name: "rev.namespace.sidecar-injector.istio.io",
      clientConfig: { service: { namespace } },
      namespaceSelector: {
        matchExpressions: [
          { key: REVISION, operator: "In", values: [tag] },
          { key: "istio-injection", operator: "DoesNotExist" },
        ],
      },
      objectSelector: {
        matchExpressions: [{ key: "sidecar.istio.io/inject", operator: "NotIn", values: ["false"] }],
      },
    },
    ...(tag === "default"
      ? [
          {
            name: "namespace.sidecar-injector.istio.io",
            clientConfig: { service: { namespace } },
            namespaceSelector: {
              matchExpressions: [{ key: "istio-injection", operator: "In", values: ["enabled"] }],
            },
            objectSelector: {
              matchExpressions: [{ key: "sidecar.istio.io/inject", operator: "NotIn", values: ["false"] }],
            },
          },
        ]
      : []),
  ],
});
const namespace = (name: string, labels: Json = {}, labelled?: string) => ({
  metadata: {
    name,
    labels,
    managedFields: labelled
      ? [
          {
            manager: "kubectl",
            time: labelled,
            fieldsV1: { "f:metadata": { "f:labels": { "f:istio-injection": {} } } },
          },
        ]
      : [],
  },
});

interface World {
  readonly pods: Json[];
  /** By replica. Default: all pods with a proxy are connected to the first revision's, and all is well. */
  readonly syncz?: Json[] | Record<string, Json[]> | Failure;
  /** At a later look; default: the same. */
  readonly later?: { readonly syncz?: Json[]; readonly pods?: Json[] };
  readonly revisions?: Record<string, Identity>;
  readonly versions?: Record<string, string>;
  /** Whether there is a replica of istiod more, which does not serve. */
  readonly silent?: boolean;
  readonly namespaces?: Json[];
  readonly injectors?: Json[] | Failure;
  readonly policy?: string;
  readonly gateways?: Json[];
  /** The host of each Gateway that exposes Services. */
  readonly exposed?: readonly string[];
  readonly proxyMetadata?: Json;
  readonly networks?: [string, string];
  /** When each root in effect was made, and when it was written. */
  readonly roots?: {
    readonly made: readonly string[];
    readonly written: string | undefined;
    /** When there came to be a Secret `cacerts`, and when the root was made that istiod had before. */
    readonly cacerts?: string;
    readonly own?: string;
  };
  readonly now?: string;
}

async function judge(id: CheckId, world: World): Promise<Finding> {
  const { pods, revisions = { default: identity() }, versions = {}, injectors = [webhooks()] } = world;
  const { networks = ["network-a", "network-b"] } = world;
  const mesh = meshOf(["a", "b"], {
    clusters: ["a", "b"].map((name, i) => ({ name, network: networks[i] as string, values: {} })),
  });
  const named = Object.keys(revisions);
  const has = (each: Json) =>
    [...each.spec.containers, ...each.spec.initContainers].some(({ name }: Json) => name === "istio-proxy");
  const list =
    (all: Json[]) =>
    async ({ kind, namespace: where }: ListQuery) => {
      const lists: Record<string, Json> = {
        Pod: all,
        Namespace: world.namespaces ?? [namespace("shop", { "istio-injection": "enabled" })],
        MutatingWebhookConfiguration: injectors,
      };
      if (lists[kind] instanceof Failure) throw lists[kind];
      return lists[kind].filter(({ metadata }: Json) => !where || metadata.namespace === where);
    };
  const of = (all: Json[], syncz: World["syncz"] = all.filter(has).map((each) => connected(each))) =>
    clusterOf("a", {
      list: list(all) as never,
      get: (async () => ({ data: { config: world.policy ?? "policy: enabled" } })) as never,
      exec: async ({ name }) => {
        if (syncz instanceof DebugClosed) return { exitCode: 0, stdout: "404 page not found\n", stderr: "" };
        if (syncz instanceof Failure) throw syncz;
        const first = `istiod-${named[0]}-1`;
        const told = Array.isArray(syncz) ? (name === first ? syncz : []) : (syncz[name] ?? []);
        return { exitCode: 0, stdout: JSON.stringify(told), stderr: "" };
      },
    });
  const cluster = of(pods, world.syncz);
  const ready = named.map((revision) => replica(revision, versions[revision]));
  const replicas = [
    ...ready,
    ...(world.silent ? [{ ...replica(), status: { phase: "Running", conditions: [] } }] : []),
  ];
  const names = ready.map(({ metadata }) => metadata.name);
  const read = (from: typeof cluster) => part(readConnections(from, "istio-system", names));
  const seen = {
    spec: mesh.clusters[0],
    namespace: () => ({ metadata: { labels: {} } }),
    istios: () => [],
    istiods: () => named.map((revision) => deployment(revision, versions[revision])),
    istiodPods: () => replicas,
    identities: () => new Map(Object.entries(revisions)),
    meshConfig: () => ({ proxyMetadata: world.proxyMetadata ?? {} }),
    gateways: () => ({
      services: [{ metadata: { name: "gateway", namespace: "istio-system" }, spec: { selector: EASTWEST } }],
      deployments: [],
      pods: world.gateways ?? [],
      others: [],
      hidden: [],
      addresses: [],
    }),
    exposures: () => (world.exposed ?? ["*.local"]).map((host, i) => exposing(host, `expose-${i}`)),
    kubernetesGateways: () => [],
    taking: () => ({ revisions: ["default"], looksAt: () => true, scoped: false }),
    istiod: () => deployment(),
    cacerts: () => (world.roots?.cacerts ? { metadata: { creationTimestamp: world.roots.cacerts } } : undefined),
    bundle: () => ({
      source: "ConfigMap roots",
      pem: (world.roots?.made ?? []).map((made) => madeAt.get(made)).join(""),
      since: world.roots?.written ? new Date(world.roots.written) : undefined,
    }),
    connections: await read(cluster),
    sample: await part(readSample(cluster)),
    injectors: await part(readInjectors(cluster)),
  } as unknown as Observation;
  const lasting = await part(
    (async () => {
      const first = troublesOf(mesh, seen, seen.sample(), seen.connections(), replicas);
      const after = of(world.later?.pods ?? pods, world.later?.syncz ?? (world.later?.pods ? undefined : world.syncz));
      return stillSo(first, troublesOf(mesh, seen, await readSample(after), (await read(after))(), replicas));
    })(),
  );
  const policies = new Map(
    await Promise.all(
      revisionsToAsk(mesh, seen).map(
        async (revision) => [revision, await readInjectionPolicy(cluster, "istio-system", revision)] as const,
      ),
    ),
  );
  const own = madeAt.get(world.roots?.own ?? "");
  const secret = own ? { data: { "ca-cert.pem": Buffer.from(own).toString("base64") } } : undefined;
  const now = new Date(world.now ?? Date.now());
  const istiodsOwn = () => (mayHoldIstiodsOwn(mesh, seen, now) ? (secret as unknown as Secret) : undefined);
  const check = workloadChecks(mesh, now)[id];
  return judged(() =>
    (check as NonNullable<typeof check>)({ seen, lasting, traffic: true, istiodsOwn, policies: () => policies }),
  );
}

/** Roots by when they were made. */
const madeAt = new Map<string, string>();
beforeAll(async () => {
  for (const made of ["2026-10-01T00:00:00Z", "2026-11-20T08:00:00Z"])
    madeAt.set(made, (await certificate({ name: `Of ${made}`, notBefore: new Date(made) })).pem);
});

const CLOSED = new DebugClosed("its debug interface is closed");
const web = pod("web-1");
const EASTWEST = { istio: "eastwestgateway" };
const gateway = pod("gateway-1", { namespace: "istio-system", role: "router", native: false, labels: EASTWEST });
const exposing = (host: string, name: string): Json => ({
  metadata: { name, namespace: "istio-system" },
  spec: {
    selector: EASTWEST,
    servers: [{ port: { number: 15443, protocol: "TLS" }, tls: { mode: "AUTO_PASSTHROUGH" }, hosts: [host] }],
  },
});

describe("names", () => {
  test.each<[string, World]>([
    ["are istiod's", { pods: [web, pod("db-0")] }],
    ["are a container's that is no sidecar of Kubernetes' own kind", { pods: [pod("web-1", { native: false })] }],
    [
      "are those of the canary that it is connected to",
      {
        pods: [web, pod("new-1", { revision: "canary", cluster: "a2" })],
        revisions: { default: identity(), canary: identity({ clusterName: "a2" }) },
        syncz: { "istiod-default-1": [connected(web)], "istiod-canary-1": [connected(pod("new-1"))] },
      },
    ],
    [
      "are another mesh's, whose istiod is elsewhere",
      {
        pods: [web, pod("theirs-1", { of: "other-mesh", cluster: "z", network: "z", meshId: "z" })],
        syncz: [connected(web)],
      },
    ],
    [
      "are another mesh's, by its discovery address",
      {
        pods: [
          web,
          pod("theirs-1", {
            cluster: "z",
            of: "cert-manager",
            env: [{ name: "PROXY_CONFIG", value: '{"discoveryAddress":"istiod-x.other-mesh.svc:15012"}' }],
          }),
        ],
        syncz: [connected(web)],
      },
    ],
    [
      "of a gateway are its own network's",
      { pods: [web, pod("vm-gateway-1", { role: "router", native: false, network: "vm-network" })] },
    ],
    [
      "are those that the owner wrote",
      {
        pods: [
          pod("web-1", {
            network: "edge",
            annotations: { "proxy.istio.io/config": "proxyMetadata: { ISTIO_META_NETWORK: edge }" },
          }),
        ],
      },
    ],
    [
      "are those of the mesh configuration's proxyMetadata, which come last",
      {
        pods: [pod("web-1", { env: [{ name: "ISTIO_META_NETWORK", value: "set" }] })],
        proxyMetadata: { ISTIO_META_NETWORK: "set" },
      },
    ],
    [
      "are none where the control plane gives none",
      { pods: [pod("web-1", { network: null })], revisions: { default: identity({ network: undefined }) } },
    ],
    [
      "are the trust domain for want of a mesh ID",
      {
        pods: [pod("web-1", { meshId: "cluster.local" })],
        revisions: { default: identity({ meshId: undefined }) },
      },
    ],
    ["are not asked of what is over or goes", { pods: [web, pod("old-1", { cluster: "z", gone: true })] }],
    [
      "are not asked of ambient's node proxies",
      { pods: [web, pod("ztunnel-1", { cluster: "z", role: "ztunnel", native: false })] },
    ],
    [
      "of our own probes are not looked at",
      { pods: [web, pod("probe", { namespace: "istio-mesh-probe-1", cluster: "z" })] },
    ],
    ["are seen where istiod cannot be asked", { pods: [web], syncz: CLOSED }],
  ])("%s", async (_, world) => {
    const finding = await judge("workloads.identity", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toBeUndefined();
  });

  test.each<[string, World, RegExp, RegExp]>([
    [
      "of before, told once",
      {
        pods: [web, ...[..."23456"].map((n) => pod(`web-${n}`, { cluster: "Kubernetes" }))],
        syncz: [connected(web)],
      },
      /^5 proxies \(shop\/web-2, shop\/web-3, shop\/web-4 and 2 more\) of cluster name Kubernetes under an istiod of a: it refuses them/,
      /kubectl -n shop rollout restart deployment\. .*--clusterAliases=Kubernetes=a/,
    ],
    [
      "of before, where istiod cannot be asked",
      { pods: [pod("web-1", { cluster: "Kubernetes" })], syncz: CLOSED },
      /^1 proxy \(shop\/web-1\) of cluster name Kubernetes/,
      /rollout restart/,
    ],
    [
      "of another network",
      { pods: [pod("web-1", { network: "old" })] },
      /^1 proxy \(shop\/web-1\) of network old under an istiod of network-a/,
      /made anew/,
    ],
    [
      "of no network",
      { pods: [pod("web-1", { network: null })] },
      /of no network under an istiod of network-a: they call the other clusters' pods past the gateways/,
      /made anew/,
    ],
    [
      "of a revision that is gone",
      { pods: [pod("web-1", { revision: "1-29-0" }), pod("db-0")], syncz: [connected(pod("db-0"))] },
      /^1 proxy \(shop\/web-1\) injected by revision 1-29-0, of which there is no istiod in istio-system/,
      /istio\.io\/rev/,
    ],
  ])("%s", async (_, world, cause, hint) => {
    const finding = await judge("workloads.identity", world);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
  });

  test.each<[string, World, RegExp]>([
    [
      "of before, which istiod has for an alias",
      {
        pods: [pod("web-1", { cluster: "Kubernetes" })],
        revisions: { default: identity({ clusterAliases: ["Kubernetes"] }) },
      },
      /^1 proxy \(shop\/web-1\) of cluster name Kubernetes, by which istiod of a takes them still/,
    ],
    ["of before that istiod took all the same", { pods: [pod("web-1", { cluster: "z" })] }, /took them all the same/],
    ["of another mesh", { pods: [pod("web-1", { meshId: "old" })] }, /mesh ID old under an istiod of mesh1/],
    [
      "of another network, where all clusters share one",
      { pods: [pod("web-1", { network: "old" })], networks: ["network-a", "network-a"] },
      /of network old/,
    ],
    [
      "of a revision that is gone, perhaps",
      { pods: [pod("web-1", { revision: "1-29-0" })], syncz: CLOSED },
      /injected by revision 1-29-0/,
    ],
  ])("%s, are told, and not red", async (_, world, warning) => {
    const finding = await judge("workloads.identity", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toMatch(warning);
  });
});

describe("the root", () => {
  const [OLD, NEW] = ["2026-10-01T00:00:00Z", "2026-11-20T08:00:00Z"];
  const since = (startedAt: string, given: Given = {}) =>
    pod("web-1", {
      ...given,
      status: { initContainerStatuses: [{ name: "istio-proxy", state: { running: { startedAt } } }], ...given.status },
    });
  const changed = { made: [NEW], written: "2026-11-20T09:00:00Z" };
  const now = "2026-11-20T12:00:00Z";
  const before = since("2026-11-20T07:00:00Z");

  test.each<[string, World]>([
    ["was there before them", { pods: [since("2026-11-20T10:00:00Z")], roots: changed, now }],
    ["was taken when they renewed their certificates", { pods: [before], roots: changed, now: "2026-11-20T21:16:00Z" }],
    ["is of no matter to gateways between the networks", { pods: [before], gateways: [before], roots: changed, now }],
    [
      "is not that of another mesh",
      { pods: [since("2026-11-20T07:00:00Z", { of: "other" })], syncz: [], roots: changed, now },
    ],
    ["is of no matter to what does not run", { pods: [web], roots: changed, now }],
  ])("%s", async (_, world) => {
    const finding = await judge("workloads.root", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toBeUndefined();
  });

  const plugged = { made: [NEW], written: "2026-11-20T09:00:00Z", cacerts: "2026-11-20T08:30:00Z", own: OLD };

  test("is another one than running proxies have", async () => {
    const finding = await judge("workloads.root", { pods: [before], roots: plugged, now });
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(/^1 proxy \(shop\/web-1\) started before there was a Secret cacerts, and holds/);
    expect(finding.hint).toMatch(/rollout restart deployment\. By themselves all have done so by 2026-11-20 21:15 UTC/);
  });

  test.each<[string, World]>([
    ["is perhaps of the same key", { pods: [before], roots: changed, now }],
    ["is istiod's own of before", { pods: [before], roots: { ...plugged, made: [OLD] }, now }],
    [
      "came after that of a Secret which was there before them",
      { pods: [before], roots: { ...plugged, cacerts: "2026-11-20T06:00:00Z" }, now },
    ],
    ["was added to theirs", { pods: [before], roots: { ...changed, made: [OLD, NEW] }, now }],
    ["was written, and is perhaps the same", { pods: [before], roots: { ...changed, made: [OLD] }, now }],
    [
      "is taken half a day after their start, which is just so",
      { pods: [since("2026-11-20T00:10:00Z")], roots: plugged, now },
    ],
    [
      "is pushed to them",
      {
        pods: [since("2026-11-20T07:00:00Z", { env: [{ name: "PROXY_CONFIG_XDS_AGENT", value: "true" }] })],
        roots: plugged,
        now,
      },
    ],
  ])("%s, which is told, and not red", async (_, world) => {
    const finding = await judge("workloads.root", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toMatch(/^1 proxy \(shop\/web-1\) run.* since before .*, by 2026-11-20 21:15 UTC/);
  });

  test("is not known since when", async () => {
    expect(
      (await judge("workloads.root", { pods: [before], roots: { ...changed, written: undefined }, now })).verdict,
    ).toBe("skipped");
  });
});

describe("configuration", () => {
  const rejects = { listeners: { sent: "n3", acked: "n1", lastError: "Error adding/updating listener(s) x:\n no" } };
  const stuck = { clusters: { sent: "n3", acked: "n1" } };
  const vm = connected({ metadata: { name: "vm-1", namespace: "shop" } });

  test.each<[string, World]>([
    ["is taken", { pods: [web] }],
    ["is on its way", { pods: [web], syncz: [connected(web, stuck)], later: { syncz: [connected(web)] } }],
    [
      "changes all the time, and is taken",
      {
        pods: [web],
        syncz: [connected(web, stuck)],
        later: { syncz: [connected(web, { clusters: { sent: "n9", acked: "n8" } })] },
      },
    ],
    [
      "was rejected, and then taken",
      { pods: [web], syncz: [connected(web, rejects)], later: { syncz: [connected(web)] } },
    ],
    ["is taken by a machine outside of Kubernetes", { pods: [web], syncz: [connected(web), vm] }],
    [
      "is taken by the connection that came after another one",
      { pods: [web], syncz: [connected(web, stuck), connected(web)] },
    ],
    [
      "is told as older versions tell it",
      { pods: [web], syncz: [{ proxy: "web-1.shop", cluster_sent: "n", cluster_acked: "n" }] },
    ],
    [
      "is not for a pod that is not ready yet",
      { pods: [web, pod("new-1", { status: { conditions: [] } })], syncz: [connected(web)] },
    ],
    ["is that of another mesh", { pods: [web, pod("theirs-1", { of: "other" })], syncz: [connected(web)] }],
    [
      "is not taken by a gateway that hangs, which requests tell of",
      { pods: [web, gateway], gateways: [gateway], syncz: [connected(web), connected(gateway, stuck)] },
    ],
    [
      "is rejected by a gateway that two Gateways are in conflict on, which is told of those",
      {
        pods: [web, gateway],
        gateways: [gateway],
        exposed: ["*", "*.local"],
        syncz: [connected(web), connected(gateway, rejects)],
      },
    ],
    ["was not there for a moment", { pods: [web], syncz: [vm], later: { syncz: [vm, connected(web)] } }],
    ["may come from a replica that was not asked", { pods: [web], syncz: [vm], silent: true }],
    ["was for a pod that went meanwhile", { pods: [web], syncz: [vm], later: { pods: [], syncz: [vm] } }],
  ])("%s", async (_, world) => {
    const finding = await judge("workloads.synced", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toBeUndefined();
  });

  test.each<[string, World, RegExp, RegExp]>([
    [
      "is rejected, once for each reason",
      {
        pods: [web, pod("web-2"), pod("db-0")],
        syncz: [
          connected(web, rejects),
          connected(pod("web-2"), rejects),
          connected(pod("db-0"), { clusters: { sent: "n3", acked: "n1", lastError: "bad cluster" } }),
        ],
      },
      /^2 proxies \(shop\/web-1, shop\/web-2\) reject the listeners that istiod sends, and keep older ones: Error adding\/updating listener\(s\) x: no 1 proxy \(shop\/db-0\) rejects the clusters .*: bad cluster$/,
      /^What is rejected [^.]*envoyfilters\.networking\.istio\.io -A; istioctl analyze -A$/,
    ],
    [
      "is not taken",
      { pods: [web], syncz: [connected(web, stuck)] },
      /^1 proxy \(shop\/web-1\) does not take the clusters/,
      /logs web-1 -c istio-proxy/,
    ],
    [
      "comes to nobody",
      { pods: [web, pod("web-2")], syncz: [connected(pod("web-2"))] },
      /^1 proxy \(shop\/web-1\) is connected to no istiod/,
      /15012/,
    ],
    [
      "is rejected by a gateway",
      { pods: [gateway], gateways: [gateway], syncz: [connected(gateway, rejects)] },
      /^1 proxy \(istio-system\/gateway-1\) rejects the listeners/,
      /envoyfilters/,
    ],
    [
      "is rejected by a machine outside of Kubernetes",
      { pods: [web], syncz: [connected(web), connected({ metadata: { name: "vm-1", namespace: "shop" } }, rejects)] },
      /^1 proxy \(shop\/vm-1\) rejects/,
      /analyze/,
    ],
  ])("%s", async (_, world, cause, hint) => {
    const finding = await judge("workloads.synced", world);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
  });

  test.each<[string, World]>([
    ["is not asked for any more", { pods: [web], syncz: [connected(web, { routes: { sent: "n3", acked: "n1" } })] }],
    [
      "is not taken by what is not ready",
      { pods: [pod("web-1", { status: { conditions: [] } })], syncz: [connected(web, stuck)] },
    ],
  ])("%s, is told, and not red", async (_, world) => {
    const finding = await judge("workloads.synced", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toMatch(/^1 proxy \(shop\/web-1\) has not taken all/);
  });

  test("cannot be seen where the debug interface is closed, and is unknown where it could not be asked", async () => {
    expect((await judge("workloads.synced", { pods: [web], syncz: CLOSED })).verdict).toBe("skipped");
    const finding = await judge("workloads.synced", { pods: [web], syncz: new Failure("exec is not allowed") });
    expect(finding).toMatchObject({ verdict: "unknown", cause: expect.stringContaining("exec is not allowed") });
  });

  test("of pods that go with a broken name is told of the name", async () => {
    const world = { pods: [web, pod("old-1", { cluster: "Kubernetes" })], syncz: [connected(web)] };
    expect((await judge("workloads.synced", world)).verdict).toBe("passed");
    expect((await judge("workloads.identity", world)).verdict).toBe("failed");
  });
});

describe("versions", () => {
  const version = (of: string) => ({ istio_version: of });

  test.each<[string, World]>([
    ["are istiod's", { pods: [web] }],
    ["are a minor behind", { pods: [web], syncz: [connected(web, {}, version("1.29.7"))] }],
    [
      "are those of each one's own istiod",
      {
        pods: [web, pod("new-1", { revision: "canary" })],
        revisions: { default: identity(), canary: identity() },
        versions: { canary: "1.32.0" },
        syncz: {
          "istiod-default-1": [connected(web)],
          "istiod-canary-1": [connected(pod("new-1"), {}, version("1.32.0"))],
        },
      },
    ],
    [
      "of the gateway are told elsewhere",
      { pods: [web, gateway], gateways: [gateway], syncz: [connected(web), connected(gateway, {}, version("1.27.0"))] },
    ],
    ["are the images', where istiod cannot be asked", { pods: [pod("web-1", { tag: "1.29.1" })], syncz: CLOSED }],
    [
      "are the images', where builds name themselves otherwise",
      { pods: [web], syncz: [connected(web, {}, version("master"))] },
    ],
    ["are vendors' builds", { pods: [web], syncz: [connected(web, {}, version("1.30.2-tetrate0"))] }],
  ])("%s", async (_, world) => {
    const finding = await judge("workloads.version", world);
    expect(finding.verdict, finding.cause).toBe("passed");
  });

  test.each<[string, World, RegExp]>([
    [
      "are too old",
      { pods: [web, pod("web-2")], syncz: [connected(web, {}, version("1.28.5")), connected(pod("web-2"))] },
      /^More than a minor version older .*: 1 proxy \(shop\/web-1\) of 1\.28\.5 under istiod 1\.30\.3\.$/,
    ],
    [
      "are ahead",
      { pods: [web], syncz: [connected(web, {}, version("1.31.0"))] },
      /^Newer than their istiod.*: 1 proxy \(shop\/web-1\) of 1\.31\.0/,
    ],
    [
      "are too old on a machine outside of Kubernetes",
      { pods: [web], syncz: [connected({ metadata: { name: "vm-1", namespace: "shop" } }, {}, version("1.27.0"))] },
      /shop\/vm-1\) of 1\.27\.0/,
    ],
    ["are too old by the images", { pods: [pod("web-1", { tag: "1.27.1" })], syncz: CLOSED }, /of 1\.27\.1 under/],
  ])("%s", async (_, world, cause) => {
    const finding = await judge("workloads.version", world);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(/kubectl -n shop rollout restart deployment/);
  });

  test.each<[string, World, RegExp | undefined]>([
    [
      "by a minor is a warning, with where and for how long",
      { pods: [web, pod("web-2")], syncz: [connected(web, {}, version("1.29.5")), connected(pod("web-2"))] },
      /^In shop a proxy runs Istio 1\.29 under an istiod of 1\.30: .*until istiod goes up again.* rollout restart/,
    ],
    ["by a patch is nothing", { pods: [web], syncz: [connected(web, {}, version("1.30.1"))] }, undefined],
  ])("that are older %s", async (_, world, warning) => {
    const finding = await judge("workloads.version", world);
    expect(finding.verdict).toBe("passed");
    expect(finding.warning).toEqual(warning && expect.stringMatching(warning));
  });

  test("are unknown where nobody tells", async () => {
    const world = { pods: [pod("web-1", { tag: "latest" })], syncz: [connected(web, {}, version("unknown"))] };
    expect((await judge("workloads.version", world)).verdict).toBe("unknown");
  });
});

describe("sidecars", () => {
  const bare = (name: string, given: Given = {}) => pod(name, { ...given, proxied: false });
  const shop = (labels: Json, labelled?: string) => [namespace("shop", labels, labelled)];

  test.each<[string, World]>([
    ["are there", { pods: [web] }],
    ["are not asked for", { pods: [bare("web-1")], namespaces: shop({}) }],
    ["are refused by label", { pods: [bare("web-1", { labels: { "sidecar.istio.io/inject": "false" } })] }],
    ["are refused by annotation", { pods: [bare("web-1", { annotations: { "sidecar.istio.io/inject": "false" } })] }],
    ["cannot be in the host's network", { pods: [bare("web-1", { spec: { hostNetwork: true } })] }],
    ["were in a Job that is over", { pods: [bare("job-1", { status: { phase: "Succeeded" } })] }],
    [
      "are not needed in ambient",
      {
        pods: [bare("web-1")],
        namespaces: shop({ "istio-injection": "enabled", "istio.io/dataplane-mode": "ambient" }),
      },
    ],
    [
      "are not needed by a pod in ambient",
      { pods: [bare("web-1", { labels: { "istio.io/dataplane-mode": "ambient" } })] },
    ],
    [
      "are another mesh's to inject",
      {
        pods: [bare("web-1")],
        namespaces: shop({ [REVISION]: "other" }),
        injectors: [webhooks(), webhooks("other", "other", "other-mesh")],
      },
    ],
    [
      "are in a proxyless pod's place",
      { pods: [bare("grpc-1", { annotations: { "sidecar.istio.io/status": "{}" } })] },
    ],
    ["are given only who asks", { pods: [bare("web-1")], policy: "policy: disabled" }],
    [
      "are never given some",
      {
        pods: [bare("web-1", { labels: { team: "x" } })],
        policy: "{ policy: enabled, neverInjectSelector: [{ matchLabels: { team: x } }] }",
      },
    ],
    [
      "are of no matter in kube-system",
      {
        pods: [bare("dns-1", { namespace: "kube-system" })],
        namespaces: [namespace("kube-system", { "istio-injection": "enabled" })],
      },
    ],
  ])("%s", async (_, world) => {
    const finding = await judge("workloads.injected", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toBeUndefined();
  });

  test.each<[string, World, RegExp]>([
    [
      "are missing",
      { pods: [web, bare("web-2")] },
      /^1 pod \(shop\/web-2\) has no sidecar, where injection is asked for\. .*kubectl -n shop rollout restart/,
    ],
    [
      "are missing in pods of before",
      {
        pods: [bare("web-1"), bare("web-2")],
        namespaces: shop({ "istio-injection": "enabled" }, "2026-11-20T00:00:00Z"),
      },
      /^2 pods \(shop\/web-1, shop\/web-2\) have no sidecar, where injection is asked for: they were there before the namespace's label was\./,
    ],
    [
      "are missing by a tag",
      {
        pods: [bare("web-1")],
        namespaces: shop({ [REVISION]: "prod" }),
        injectors: [webhooks("canary", "prod")],
        revisions: { canary: identity() },
      },
      /^1 pod \(shop\/web-1\) has no sidecar, where injection is asked for/,
    ],
    [
      "are asked for of a revision that nobody has",
      { pods: [bare("web-1")], namespaces: shop({ [REVISION]: "1-20-0" }) },
      /labelled istio\.io\/rev=1-20-0, and no istiod injects by that/,
    ],
    [
      "are asked for by the pod alone",
      {
        pods: [bare("web-1", { labels: { "sidecar.istio.io/inject": "true" } })],
        policy: "policy: disabled",
      },
      /has no sidecar/,
    ],
  ])("%s, which is told, and not red", async (_, world, warning) => {
    const finding = await judge("workloads.injected", world);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.warning).toMatch(warning);
  });

  test("are unknown where nobody may look who injects", async () => {
    const finding = await judge("workloads.injected", { pods: [web], injectors: new Failure("may not list webhooks") });
    expect(finding).toMatchObject({ verdict: "unknown", cause: "may not list webhooks" });
  });
});

describe("a large cluster", () => {
  const large = (namespaces: number, pods: number) => {
    const asked: ListQuery[] = [];
    const cluster = clusterOf("a", {
      list: (async (query: ListQuery) => {
        asked.push(query);
        if (query.kind === "Namespace")
          return Array.from({ length: namespaces }, (_, i) =>
            namespace(`n${i}`, i < 100 ? {} : { [REVISION]: i < namespaces - 3 ? "stable" : "canary" }),
          );
        const all = query.namespace ? pods / namespaces : pods;
        return Array.from({ length: Math.min(all, query.limit ?? all) }, (_, i) =>
          pod(`p${i}`, { namespace: query.namespace ?? "n0" }),
        );
      }) as never,
    });
    return { cluster, asked };
  };

  test("is sampled by namespace and revision, in a bounded number of requests", async () => {
    const { cluster, asked } = large(400, 40_000);
    const { workloads, part } = await readSample(cluster);
    expect(asked).toHaveLength(2 + NAMESPACES);
    expect(workloads).toHaveLength(NAMESPACES * OF_EACH);
    expect(part).toBe("up to 50 pods each of 16 of 400 namespaces");
    const chosen = asked.flatMap(({ namespace }) => (namespace ? [Number(namespace.slice(1))] : []));
    expect(chosen.filter((n) => n >= 397)).toHaveLength(3);
    expect(chosen.filter((n) => n >= 100 && n < 397).length).toBeGreaterThan(3);
    expect(chosen.filter((n) => n < 100).length).toBeGreaterThan(0);
  });

  test("is looked at as a whole where it is not", async () => {
    const { cluster, asked } = large(10, AT_ONCE - 1);
    const { workloads, part } = await readSample(cluster);
    expect(asked).toHaveLength(2);
    expect(workloads).toHaveLength(AT_ONCE - 1);
    expect(part).toBeUndefined();
  });
});
