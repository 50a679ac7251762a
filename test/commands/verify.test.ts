// The whole verification in this process, on embedded clusters whose probes answer as their objects let them.
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { CheckId } from "../../src/mesh/catalogue.ts";
import { rootCauses } from "../../src/mesh/causes.ts";
import { OWNER } from "../../src/mesh/claim.ts";
import { type Subject, subjectName } from "../../src/mesh/report.ts";
import { blocked } from "../embedded/cluster.ts";
import { REFUSE } from "../embedded/controllers/deployments.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { schemaProblems } from "../report/schema.ts";
import { changed, object, removed, tells } from "./change.ts";
import { testClusters } from "./clusters.ts";
import {
  failures,
  isWrite,
  NAMESPACE,
  notPassed,
  type Outcome,
  proven,
  runInstall,
  runVerify,
  writes,
} from "./mesh.ts";

const SECRET = "istio-remote-secret-cluster2";
const A_B = { observer: "cluster1", target: "cluster2" };
const B = { cluster: "cluster2" };

const started = testClusters();
let kubes: Kube[];
let installed: Outcome;
beforeAll(async () => {
  kubes = await started(3);
  installed = await runInstall(kubes, { verification: { traffic: true } });
});

const QUIET = { verification: { traffic: false } };

const probeNamespaces = () =>
  kubes
    .flatMap((kube) => kube.list("v1", "Namespace").map(({ metadata }) => metadata.name as string))
    .filter((name) => /probe/.test(name));

describe("a healthy mesh", () => {
  test("is proved at the end of its installation", () => {
    expect(notPassed(installed)).toEqual([]);
    expect(installed.report.result).toBe("passed");
    expect(installed.report.checks.filter(({ id }) => id === "pair.request")).toHaveLength(6);
    expect(schemaProblems(installed.report)).toEqual([]);
  });

  test("has its probes started beside its gateways, and those of an installation that fails are removed", async () => {
    for (const { requests } of kubes) {
      const first = (what: RegExp) => requests.findIndex(({ method, path }) => what.test(`${method} ${path}`));
      // Bindings are looked at by the verification alone.
      expect(first(/^POST \/api\/v1\/namespaces\?/)).toBeLessThan(first(/^GET .*\/clusterrolebindings\?/));
    }
    // What is as it should be would not be written.
    const mend = changed(one(), object(one(), "v1", "Service", "istio-eastwestgateway"), ({ metadata }) => {
      delete metadata.labels.istio;
    });
    one().intercept((request) => (isWrite(request) && /\/services\//.test(request.path) ? { status: 403 } : undefined));
    const outcome = await runInstall(kubes, { verification: { traffic: true } });
    one().intercept(undefined);
    mend();
    expect(failures(outcome)).toEqual([expect.stringMatching(/^failed install\.gateway-service cluster1/)]);
    expect(outcome.probing).toEqual([expect.stringMatching(/^istio-mesh-probe-/), undefined]);
    expect(probeNamespaces()).toEqual([]);
  });

  test("passes every check, is not changed, and nothing is left", async () => {
    const outcome = await runVerify(kubes);
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.changed).toBe(false);
    expect(outcome.report.changes).toEqual([]);
    expect(probeNamespaces()).toEqual([]);
    expect(schemaProblems(outcome.report)).toEqual([]);
    // Told before the first probe, and again when all were asked to go.
    expect(outcome.probing).toEqual([expect.stringMatching(/^istio-mesh-probe-[0-9a-f]{8}$/), undefined]);
  });

  test("says by which way and as whom each pair was answered", async () => {
    const { report } = await runVerify(kubes);
    const pair = report.checks.find(
      ({ id, subject }) => id === "pair.request" && subjectName(subject) === "cluster1 → cluster2",
    );
    expect(pair?.evidence).toMatch(/^10 of 10 requests answered by cluster2 through 172\.\S+:15443, p50 2 ms/);
    expect(pair?.evidence).toMatch(/spiffe:\/\/cluster\.local\/ns\/istio-mesh-probe-\w+\/sa\/probe-cluster1/);
  });

  test.each(["cancelled", "late"] as const)("leaves no probe where it is %s just as it removes them", async (how) => {
    const end = new AbortController();
    const removes = ({ method, path }: { method: string; path: string }) =>
      method === "DELETE" && /\/namespaces\/istio-mesh-probe-\w+$/.test(path);
    // The deletion itself is lost, too.
    kubes[0]?.intercept((request) => {
      if (!removes(request) || end.signal.aborted) return undefined;
      end.abort();
      return { destroy: true };
    });
    const outcome = await runVerify(kubes, how === "late" ? { late: end.signal } : { cancel: end.signal });
    kubes[0]?.intercept(undefined);
    expect(end.signal.aborted).toBe(true);
    expect(outcome.warnings).toEqual([]);
    expect(outcome.probing).toEqual([expect.stringMatching(/^istio-mesh-probe-/), undefined]);
    await vi.waitFor(() => expect(probeNamespaces()).toEqual([]));
  });

  test("without traffic passes all else, and nothing at all is written", async () => {
    const before = kubes.map((kube) => writes(kube).length);
    const outcome = await runVerify(kubes, QUIET);
    expect(new Set(notPassed(outcome).map((line) => line.split(" ").slice(0, 2).join(" ")))).toEqual(
      new Set(["skipped traffic.probe", "skipped pair.request"]),
    );
    expect(outcome.report.result).toBe("passed");
    expect(kubes.map((kube) => writes(kube).length)).toEqual(before);
    expect(outcome.probing).toEqual([]);
  });
});

interface Case {
  name: string;
  expected: [id: CheckId, subject: Subject, cause: RegExp, hint?: RegExp][];
  make: () => () => void;
}

function withoutShards(shardz: Json, which: (host: string) => boolean): void {
  for (const [host, namespaces] of Object.entries<Json>(shardz))
    if (which(host)) for (const each of Object.values<Json>(namespaces)) delete each.Shards["Kubernetes/cluster2"];
}

const [one, two] = [() => kubes[0] as Kube, () => kubes[1] as Kube];
const gatewayPod = (kube: Kube) =>
  kube.list("v1", "Pod", NAMESPACE).find(({ metadata }) => metadata.labels?.app === "istio-eastwestgateway");
const gatewayOf = (kube: Kube) => object(kube, "networking.istio.io/v1", "Gateway", "cross-network-gateway");

/** A pod that runs, with a sidecar of Kubernetes' own kind. */
function workload(name: string, clusterName: string): Json {
  const env = [
    { name: "CA_ADDR", value: `istiod.${NAMESPACE}.svc:15012` },
    { name: "ISTIO_META_CLUSTER_ID", value: clusterName },
    { name: "ISTIO_META_NETWORK", value: "network1" },
  ];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", annotations: { "istio.io/rev": "default" } },
    spec: {
      containers: [{ name: "app", image: "app:1" }],
      initContainers: [{ name: "istio-proxy", image: "docker.io/istio/proxyv2:1.26.3", restartPolicy: "Always", env }],
    },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  };
}

const CASES: Case[] = [
  {
    name: "a remote secret that is gone",
    expected: [["remote.secret", A_B, /no remote secret for cluster2/]],
    make: () => removed(one(), object(one(), "v1", "Secret", SECRET)),
  },
  {
    name: "a remote secret with another server",
    expected: [["remote.kubeconfig", A_B, /names the server https:\/\/192\.0\.2\.1:6443/]],
    make: () =>
      changed(one(), object(one(), "v1", "Secret", SECRET), (secret) => {
        const text = Buffer.from(secret.data.cluster2, "base64").toString();
        secret.data.cluster2 = Buffer.from(text.replace(/server: \S+/, "server: https://192.0.2.1:6443")).toString(
          "base64",
        );
      }),
  },
  {
    name: "a remote secret under another name",
    expected: [
      ["remote.secret", A_B, /holds elsewhere instead/],
      ["remote.strangers", { cluster: "cluster1" }, /for elsewhere/],
    ],
    make: () =>
      changed(one(), object(one(), "v1", "Secret", SECRET), (secret) => {
        secret.data = { elsewhere: secret.data.cluster2 };
      }),
  },
  {
    name: "a remote secret that istiod refused while there was another",
    expected: [["remote.synced", A_B, /says not registered/, /annotate secret a-second-one looked-at=/]],
    make: () => {
      const first = object(one(), "v1", "Secret", SECRET);
      const { uid: _, resourceVersion: __, ...metadata } = first.metadata;
      one().put({ ...first, metadata: { ...metadata, name: "a-second-one" } });
      const undo = removed(one(), first);
      return () => {
        removed(one(), object(one(), "v1", "Secret", "a-second-one"));
        undo();
      };
    },
  },
  {
    name: "the reader's role taken away",
    expected: [["remote.reader", B, /may not list services/]],
    make: () => {
      const bindings = two()
        .list("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
        .filter(({ subjects }: Json) => subjects?.some(({ name }: Json) => name === "istio-reader-service-account"));
      const undo = bindings.map((binding: Json) => removed(two(), binding));
      return () => {
        for (const each of undo) each();
      };
    },
  },
  {
    name: "the exposure gone",
    expected: [["gateway.exposure", B, /No Gateway exposes/]],
    make: () => removed(two(), gatewayOf(two())),
  },
  {
    name: "the exposure on another port",
    expected: [["gateway.exposure", B, /port 15444 instead of 15443/]],
    make: () =>
      changed(two(), gatewayOf(two()), ({ spec }) => {
        spec.servers[0].port.number = 15444;
      }),
  },
  {
    name: "another network on the namespace",
    expected: [["control-plane.network", B, /labelled network elsewhere/]],
    make: () =>
      changed(two(), object(two(), "v1", "Namespace", NAMESPACE, ""), ({ metadata }) => {
        metadata.labels["topology.istio.io/network"] = "elsewhere";
      }),
  },
  {
    name: "an istiod that has lost another cluster, and says that it is synced",
    expected: [
      [
        "remote.endpoints",
        A_B,
        /does not hold any of the \d+ endpoints of \d+ Services that cluster2 has/,
        /rollout restart/,
      ],
    ],
    make: () => tells(one(), "endpointShardz", (shardz) => withoutShards(shardz, () => true)),
  },
  {
    name: "an istiod that does not follow another cluster any more",
    expected: [["remote.endpoints", A_B, /1 endpoint held that is no more \(istio-system\/istiod 10\.9\.9\.9:15012\)/]],
    make: () =>
      tells(one(), "endpointShardz", (shardz) => {
        const shard = shardz["istiod.istio-system.svc.cluster.local"][NAMESPACE].Shards["Kubernetes/cluster2"];
        shard.push({ ...shard[0], Addresses: ["10.9.9.9"], EndpointPort: 15012 });
      }),
  },
  {
    name: "an istiod that has lost another cluster's gateway",
    expected: [
      ["remote.endpoints", A_B, /does not hold cluster2's gateways as they are: \S+:15443 of network2 missing/],
    ],
    make: () =>
      tells(one(), "networkz", (gateways) =>
        gateways.splice(0, 9, ...gateways.filter(({ Cluster }: Json) => Cluster !== "cluster2")),
      ),
  },
  {
    name: "a gateway that upgrades left behind",
    expected: [
      ["gateway.version", B, /more than a minor version older.* 1\.24\.6 under istiod 1\.26\.3/, /rollout restart/],
    ],
    make: () =>
      changed(two(), gatewayPod(two()), ({ spec }) => {
        spec.containers[0].image = "docker.io/istio/proxyv2:1.24.6";
      }),
  },
  {
    name: "a gateway that is ahead of istiod, by an image without a version",
    expected: [["gateway.version", { cluster: "cluster1" }, /newer than its istiod .* 1\.27\.0 under istiod 1\.26\.3/]],
    make: () => {
      const undo = changed(one(), gatewayPod(one()), ({ spec }) => {
        spec.containers[0].image = `docker.io/istio/proxyv2@sha256:${"0".repeat(64)}`;
      });
      const tell = tells(one(), "syncz", (proxies) => {
        for (const proxy of proxies) proxy.istio_version = "1.27.0";
      });
      return () => {
        undo();
        tell();
      };
    },
  },
  {
    name: "workloads that run since before their cluster got its name",
    expected: [
      [
        "workloads.identity",
        { cluster: "cluster1" },
        /^2 proxies \(default\/old-1, default\/old-2\) of cluster name Kubernetes under an istiod of cluster1: it refuses/,
        /kubectl -n default rollout restart deployment/,
      ],
    ],
    make: () => {
      for (const name of ["old-1", "old-2"]) one().put(workload(name, "Kubernetes"));
      // istiod takes no connection of theirs.
      const tell = tells(one(), "syncz", (proxies) => {
        const taken = proxies.filter(({ proxy }: Json) => !proxy.startsWith("old-"));
        proxies.splice(0, proxies.length, ...taken);
      });
      return () => {
        tell();
        for (const name of ["old-1", "old-2"])
          one().delete({ apiVersion: "v1", kind: "Pod", namespace: "default", name });
      };
    },
  },
  {
    name: "a workload that rejects what istiod sends",
    expected: [
      [
        "workloads.synced",
        { cluster: "cluster1" },
        /^1 proxy \(default\/web-1\) rejects the listeners that istiod sends, and keeps older ones: no such filter$/,
        /envoyfilters/,
      ],
    ],
    make: () => {
      one().put(workload("web-1", "cluster1"));
      const tell = tells(one(), "syncz", (proxies) => {
        const { resources } = proxies.find(({ proxy }: Json) => proxy === "web-1.default");
        resources["type.googleapis.com/envoy.config.listener.v3.Listener"].lastError = "no such filter";
      });
      return () => {
        tell();
        one().delete({ apiVersion: "v1", kind: "Pod", namespace: "default", name: "web-1" });
      };
    },
  },
  {
    name: "the way to a gateway blocked",
    expected: [
      ["pair.request", { source: "cluster1", target: "cluster2" }, /does not take connections/],
      ["pair.request", { source: "cluster3", target: "cluster2" }, /does not take connections/],
    ],
    make: () => {
      blocked.add(two());
      return () => blocked.delete(two());
    },
  },
  {
    name: "an API server that answers nobody",
    expected: [["cluster.api", B, /Could not read the Kubernetes version/]],
    make: () => {
      two().intercept(({ path }) => (path.startsWith("/version") ? { status: 403 } : undefined));
      return () => two().intercept(undefined);
    },
  },
];

describe("what is broken", () => {
  test.each(CASES)("$name is one finding, and all else is green or points to it", async ({ expected, make }) => {
    const mend = make();
    let outcome: Outcome;
    try {
      outcome = await runVerify(kubes);
    } finally {
      mend();
    }
    // An istiod that could not read a cluster tries again, in its own time.
    await vi.waitFor(
      async () => expect(await runVerify(kubes, QUIET).then(({ report }) => report.result)).toBe("passed"),
      10_000,
    );
    const { checks, result } = outcome.report;
    const roots = rootCauses(checks).flatMap(({ check, subjects }) =>
      subjects.map((subject) => ({ ...check, subject })),
    );
    const named = (id: string, subject: Subject) => `${id} ${subjectName(subject)}`;
    expect(roots.map(({ id, subject }) => named(id, subject)).sort(), notPassed(outcome).join("\n")).toEqual(
      expected.map(([id, subject]) => named(id, subject)).sort(),
    );
    for (const [id, subject, cause, hint = /./] of expected) {
      const found = roots.find((each) => named(each.id, each.subject) === named(id, subject));
      expect(found?.verdict).toBe("failed");
      expect(found?.cause).toMatch(cause);
      expect(found?.hint).toMatch(hint);
    }
    expect(result).toBe("failed");
    expect(probeNamespaces()).toEqual([]);
    expect(schemaProblems(outcome.report)).toEqual([]);
  });

  test("is mended, and all is green again", async () => {
    expect(notPassed(await runVerify(kubes))).toEqual([]);
  });
});

test("pods that are refused are told by who refuses them", async () => {
  const refused = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1';
  const restore = changed(one(), object(one(), "v1", "Namespace", NAMESPACE, undefined), ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, [REFUSE]: refused };
  });
  const gateway = one()
    .list("v1", "Pod", NAMESPACE)
    .find(({ metadata }: Json) => metadata.labels?.app === "istio-eastwestgateway");
  one().delete({ apiVersion: "v1", kind: "Pod", namespace: NAMESPACE, name: gateway.metadata.name });
  const { report } = await runVerify(kubes, QUIET);
  restore();
  const found = report.checks.find(
    ({ id, subject }) => id === "gateway.deployment" && subjectName(subject) === "cluster1",
  );
  expect(found?.cause).toContain(`is not available: its pods are refused: ${refused}`);
  expect(found?.hint).toContain("describe resourcequota,limitrange");
  changed(one(), object(one(), "apps/v1", "Deployment", "istio-eastwestgateway"), ({ metadata }) => {
    metadata.annotations = { ...metadata.annotations, mended: "true" };
  });
  await vi.waitFor(async () => expect((await runVerify(kubes, QUIET)).report.result).toBe("passed"), 10_000);
});

test("pods that were evicted stay, and are not taken for the mesh's", async () => {
  const pods = two().list("v1", "Pod");
  const refs = ["istiod", "istio-eastwestgateway"].map((app) => {
    const { metadata, spec } = pods.find((pod: Json) => pod.metadata.labels?.app === app) as Json;
    const name = `${app}-evicted`;
    const containers = spec.containers.map((container: Json) => ({ ...container, image: "auto" }));
    two().put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: metadata.namespace, labels: metadata.labels },
      spec: { ...spec, containers },
      status: { phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." },
    });
    return { apiVersion: "v1", kind: "Pod", namespace: metadata.namespace, name };
  });
  const outcome = await runVerify(kubes);
  for (const ref of refs) two().delete(ref);
  expect(notPassed(outcome)).toEqual([]);
  const { checks } = outcome.report;
  const gateway = checks.find(({ id, subject }) => id === "gateway.deployment" && subjectName(subject) === "cluster2");
  expect(gateway?.evidence).toBe("1 gateway pod is ready and injected.");
});

describe("a probe among the rules of others", () => {
  const probeIn = (report: Outcome["report"], cluster = "cluster1") =>
    report.checks.find(({ id, subject }) => id === "traffic.probe" && subjectName(subject) === cluster);
  const namespaces: Json[] = [];
  /** Keeps what a cluster's probe runs in, and refuses what it is told to. */
  const watch = (refuses?: { path: RegExp; message: string; status: number }) =>
    one().intercept(({ method, path }) => {
      if (method !== "POST") return undefined;
      if (/\/pods\?(?!dryRun)/.test(path))
        namespaces.push(
          ...one()
            .list("v1", "Namespace")
            .filter(({ metadata }) => /probe/.test(metadata.name)),
        );
      if (!refuses?.path.test(path)) return undefined;
      const { status, message } = refuses;
      return { status, body: { kind: "Status", code: status, reason: "Forbidden", message } };
    });
  const configured = (mesh: string) => {
    const config = object(one(), "v1", "ConfigMap", "istio");
    const changes = ({ data }: Json) => {
      data.mesh = `${data.mesh}\n${mesh}`;
    };
    return changed(one(), config, changes);
  };
  afterEach(() => {
    one().intercept(undefined);
    namespaces.length = 0;
  });

  test("has the labels that control planes and policies ask for", async () => {
    const mend = configured("discoverySelectors: [{ matchLabels: { istio-discovery: enabled } }]");
    watch();
    const probe = { labels: { team: "mesh" }, annotations: { owner: "The Mesh Team" } };
    const { report } = await runVerify(kubes, { mesh: { probe } });
    mend();
    expect(probeIn(report)?.verdict).toBe("passed");
    expect(namespaces[0]?.metadata).toMatchObject({
      labels: { "istio-discovery": "enabled", team: "mesh" },
      annotations: { owner: "The Mesh Team" },
    });
  });

  test.each([
    [
      "no namespace of its own can be looked at",
      () => {
        const mend = configured(
          "discoverySelectors: [{ matchExpressions: [{ key: kubernetes.io/metadata.name, operator: In, values: [apps] }] }]",
        );
        return mend;
      },
      /no labels of a namespace of its own fit their discoverySelectors/,
      /get configmaps/,
    ],
    [
      "a policy refuses its namespace",
      () => {
        const message = `admission webhook "owners.example.com" denied the request: no owner`;
        watch({ path: /\/namespaces\?/, status: 400, message });
        return () => {};
      },
      /the cluster's own rules refuse it: .*no owner/,
      /Set what the webhook owners\.example\.com asks for by the input `probe`/,
    ],
    [
      "a quota has no room for it",
      () => {
        const message = 'pods "probe" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1';
        watch({ path: /\/pods\?(?!dryRun)/, status: 403, message });
        return () => {};
      },
      /the cluster's own rules refuse it: .*exceeded quota/,
      /the ResourceQuota small/,
    ],
  ])("says nothing of the mesh where %s", async (_, make, cause, hint) => {
    const mend = make();
    const { report } = await runVerify(kubes, { verification: { traffic: true, patience: 0 } });
    mend();
    expect(probeIn(report)).toMatchObject({
      verdict: "unknown",
      cause: expect.stringMatching(cause),
      hint: expect.stringMatching(hint),
    });
    expect(probeNamespaces()).toEqual([]);
  });
});

describe("a webhook that cannot be called", () => {
  const REASON = `Post "https://istiod.${NAMESPACE}.svc:443/inject?timeout=10s": dial tcp 10.0.0.1:443: connect: connection refused`;
  /** Has it not answered the first so many requests for a kind that it is asked about, a dry run and the real one apart. */
  const fail = (kind: string, webhook: string, times: number) => {
    const failed = { dry: 0, real: 0 };
    const message = `Internal error occurred: failed calling webhook "${webhook}": failed to call webhook: ${REASON}`;
    one().intercept(({ method, path }) => {
      if (method !== "POST" || !new RegExp(`/${kind}(\\?|$)`).test(path)) return undefined;
      const which = path.includes("dryRun") ? "dry" : "real";
      if (failed[which] >= times) return undefined;
      failed[which]++;
      return { status: 500, body: { kind: "Status", code: 500, reason: "InternalError", message } };
    });
    return failed;
  };
  afterEach(() => one().intercept(undefined));
  const INJECTOR = "rev.namespace.sidecar-injector.istio.io";

  test.each([
    ["pods", INJECTOR, { dry: 1, real: 1 }],
    ["namespaces", "kyverno-resource-validating-webhook", { dry: 0, real: 1 }],
    ["authorizationpolicies", "rev.validation.istio.io", { dry: 0, real: 1 }],
  ])("for a moment, as after its rollout, holds up nothing: %s", async (kind, webhook, times) => {
    const failed = fail(kind, webhook, 1);
    expect(notPassed(await runVerify(kubes, { verification: { traffic: true, patience: 20_000 } }))).toEqual([]);
    expect(failed).toEqual(times);
  });

  test("is told by its name and its reason where it stays so", async () => {
    fail("pods", INJECTOR, Number.POSITIVE_INFINITY);
    const outcome = await runVerify(kubes);
    const [first, ...more] = outcome.report.checks.filter(({ verdict }) => verdict === "failed");
    expect(more).toEqual([]);
    expect(first).toMatchObject({ id: "traffic.probe", subject: { cluster: "cluster1" } });
    expect(first?.cause).toMatch(
      /^Could not try Pod \S+: the webhook rev\.namespace\.sidecar-injector\.istio\.io cannot be/,
    );
    expect(first?.cause).toContain(REASON);
    expect(first?.hint).toBe(
      `istiod injects the sidecars: is it ready? kubectl -n ${NAMESPACE} get pods -l app=istiod`,
    );
    expect(probeNamespaces()).toEqual([]);
  });
});

test("workloads that may not be looked at are unknown, and why, and not red", async () => {
  const refused = ({ path }: { path: string }) => /^\/api\/v1\/pods\?|mutatingwebhookconfigurations/.test(path);
  one().intercept((request) => (refused(request) ? { status: 403 } : undefined));
  const { report } = await runVerify(kubes, QUIET);
  one().intercept(undefined);
  const of = report.checks.filter(({ id, subject }) => /^workloads/.test(id) && subjectName(subject) === "cluster1");
  expect(of.map(({ id, verdict }) => `${verdict} ${id}`)).toEqual([
    "unknown workloads.identity",
    "unknown workloads.root",
    "unknown workloads.synced",
    "passed workloads.version",
    "unknown workloads.injected",
  ]);
  expect(of[0]?.cause).toMatch(/list Pods/);
  expect(report.result).toBe("incomplete");
});

test("an istiod whose debug interface is closed is told as that, and what its metrics say is taken", async () => {
  const mends = one()
    .list("v1", "Pod", NAMESPACE)
    .filter(({ metadata }) => metadata.labels?.app === "istiod")
    .map((pod) =>
      changed(one(), pod, ({ spec }) => spec.containers[0].env.push({ name: "ENABLE_DEBUG_ON_HTTP", value: "false" })),
    );
  const outcome = await runVerify(kubes);
  const quiet = await runVerify(kubes, QUIET);
  for (const mend of mends) mend();
  const ofOne = (report: Outcome["report"], id: CheckId) =>
    report.checks.find((check) => check.id === id && subjectName(check.subject) === "cluster1 → cluster2");
  expect(outcome.report.result, notPassed(outcome).join("\n")).toBe("passed");
  expect(ofOne(outcome.report, "remote.synced")).toMatchObject({
    verdict: "passed",
    evidence: expect.stringMatching(/manages 2 remote clusters/),
    warning: expect.stringMatching(/ENABLE_DEBUG_ON_HTTP=false/),
  });
  expect(ofOne(outcome.report, "remote.endpoints")).toMatchObject({
    verdict: "skipped",
    cause: expect.stringMatching(/ENABLE_DEBUG_ON_HTTP=false/),
  });
  expect(ofOne(quiet.report, "remote.endpoints")?.verdict).toBe("unknown");
  await vi.waitFor(
    async () => expect(await runVerify(kubes, QUIET).then(({ report }) => report.result)).toBe("passed"),
    10_000,
  );
});

describe("a probe that a killed run left", () => {
  const leave = (expires: Date, name = "istio-mesh-probe-00000000") =>
    one().put(
      proven(one(), {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
          name,
          labels: { "app.kubernetes.io/managed-by": "istio-mesh-action", "app.kubernetes.io/component": "probe" },
          annotations: { "istio-mesh-action/expires": expires.toISOString() },
        },
      }),
    );

  test("is removed once its time is over", async () => {
    leave(new Date(Date.now() - 1_000));
    const outcome = await runVerify(kubes);
    expect(notPassed(outcome)).toEqual([]);
    expect(
      outcome.report.checks.find(({ id, subject }) => id === "leftover.objects" && subjectName(subject) === "cluster1")
        ?.evidence,
    ).toMatch(/Removed what a killed run had left: istio-mesh-probe-00000000/);
  });

  test("is told, and left alone, where nothing may be written", async () => {
    leave(new Date(Date.now() - 1_000));
    const { report } = await runVerify(kubes, QUIET);
    expect(report.checks.find(({ id, verdict }) => id === "leftover.objects" && verdict === "failed")?.hint).toBe(
      "kubectl delete namespace istio-mesh-probe-00000000",
    );
    one().delete({ apiVersion: "v1", kind: "Namespace", name: "istio-mesh-probe-00000000" });
  });

  test("is not this mesh's to remove, or to tell, without proof", async () => {
    const name = "istio-mesh-probe-00000001";
    const probe = leave(new Date(Date.now() - 1_000), name);
    const { annotations, ...metadata } = probe.metadata;
    const { [OWNER]: _, ...others } = annotations;
    one().put({ ...probe, metadata: { ...metadata, annotations: others } });
    expect(notPassed(await runVerify(kubes))).toEqual([]);
    expect(one().get({ apiVersion: "v1", kind: "Namespace", name })).toBeDefined();
    one().delete({ apiVersion: "v1", kind: "Namespace", name });
  });

  test("is another run's as long as its time is not over", async () => {
    leave(new Date(Date.now() + 600_000));
    expect(notPassed(await runVerify(kubes))).toEqual([]);
    one().delete({ apiVersion: "v1", kind: "Namespace", name: "istio-mesh-probe-00000000" });
  });
});
