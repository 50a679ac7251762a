// Meshes that others have, one by one: what is right is green, and what is broken is one finding, with the cause that is so.
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { rootCauses } from "../../src/mesh/causes.ts";
import { type Check, type Report, type Subject, subjectName } from "../../src/mesh/report.ts";
import type { MeshSpec } from "../../src/mesh/spec.ts";
import { blocked, distorted } from "../embedded/cluster.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { added, changed, type Mend, object, removed, tells, valued } from "./change.ts";
import { testClusters } from "./clusters.ts";
import { notPassed, type Outcome, runInstall, runVerify } from "./mesh.ts";

/** Names and a namespace as others have them: label values, not DNS labels. */
const [EAST, WEST] = ["eu.east-1", "west_2"] as const;
const SYSTEM = "mesh-system";
const MESH: Partial<MeshSpec> = {
  namespace: SYSTEM,
  clusters: [
    { name: EAST, network: "net_1", values: {} },
    { name: WEST, network: "net.2", values: {} },
  ],
};
const GATEWAY = "istio-eastwestgateway";
const NETWORK = "topology.istio.io/network";

const started = testClusters();
let kubes: Kube[];
let usual: Map<string, string>;
beforeAll(async () => {
  kubes = await started(2);
  const outcome = await runInstall(kubes, { mesh: MESH, verification: { traffic: true } });
  expect(notPassed(outcome)).toEqual([]);
  usual = warningsOf(outcome.report);
  for (const kube of kubes)
    for (const name of ["edge", "dark"]) kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
});

const [east, west] = [() => kubes[0] as Kube, () => kubes[1] as Kube];
const get = (kube: Kube, apiVersion: string, kind: string, name: string, namespace = SYSTEM) =>
  object(kube, apiVersion, kind, name, namespace);
const service = (kube: Kube) => get(kube, "v1", "Service", GATEWAY);
const deployment = (kube: Kube, name = GATEWAY) => get(kube, "apps/v1", "Deployment", name);
const exposure = (kube: Kube) => get(kube, "networking.istio.io/v1", "Gateway", "cross-network-gateway");
const podsOf = (kube: Kube, app: string) =>
  kube.list("v1", "Pod", SYSTEM).filter(({ metadata }) => metadata.labels?.app === app);

/** Something that is done to a mesh, when it is its turn. */
type Change = () => Mend | Promise<Mend>;

/** One after the other; mended the other way round. */
async function all(changes: readonly Change[]): Promise<Mend> {
  const mends: Mend[] = [];
  for (const change of changes) mends.unshift(await change());
  return async () => {
    for (const mend of mends) await mend();
  };
}

/** Until controllers have done what they do at once. */
const settled = () => delay(20);

const configured =
  (kube: Kube, more: object): Change =>
  () =>
    valued(kube, (values) => {
      values.meshConfig = { ...values.meshConfig, ...more };
    });

const variable =
  (name: string, value: string) =>
  ({ spec }: Json): void => {
    const [container] = spec.containers;
    container.env = [...(container.env ?? []).filter((each: Json) => each.name !== name), { name, value }];
  };
const istiodWith =
  (kube: Kube, name: string, value: string): Change =>
  () =>
    valued(kube, (values) => {
      values.pilot = { ...values.pilot, env: { ...values.pilot?.env, [name]: value } };
    });

/** The gateway's pods as if they had been made so. */
const gatewayPods =
  (kube: Kube, change: (pod: Json) => void): Change =>
  () =>
    all(podsOf(kube, GATEWAY).map((pod) => () => changed(kube, pod, change)));

const gatewayService =
  (kube: Kube, change: (service: Json) => void): Change =>
  () =>
    changed(kube, service(kube), change);
/** The gateway with other addresses than it was given. */
const addressed = (kube: Kube, ...ingress: Json[]) =>
  gatewayService(kube, (found) => {
    found.status = { loadBalancer: { ingress } };
  });
const addressOf = (kube: Kube): string => service(kube).status.loadBalancer.ingress[0].ip;
const unlabelled = (kube: Kube) =>
  gatewayService(kube, ({ metadata }) => {
    delete metadata.labels[NETWORK];
    delete metadata.labels.istio;
  });

/** A gateway at its nodes, of which there is one, that has these addresses. */
const byNodes = (kube: Kube, ...addresses: Json[]): Change[] => [
  () =>
    added(kube, {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "edge-1", labels: { role: "edge" } },
      status: { addresses },
    }),
  gatewayService(kube, ({ spec, metadata, status }) => {
    spec.type = "NodePort";
    metadata.annotations = { ...metadata.annotations, "traffic.istio.io/nodeSelector": '{"role":"edge"}' };
    status.loadBalancer = {};
  }),
];

/** Another Service of the gateway's pods, for the same network. */
const secondService =
  (kube: Kube, spec: Json): Change =>
  () => {
    const { metadata, spec: first } = service(kube);
    return added(kube, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "second", namespace: SYSTEM, labels: { [NETWORK]: metadata.labels[NETWORK] } },
      spec: { selector: first.selector, ports: [{ name: "tls", port: 15443 }], ...spec },
    });
  };

/** The gateway's pod as what is no Deployment makes it: a DaemonSet, for one. */
const ofDaemonSet = (kube: Kube): Change[] => [
  async () => {
    const [{ metadata, spec, status }] = podsOf(kube, GATEWAY) as [Json];
    const { uid: _, resourceVersion: __, ownerReferences: ___, ...rest } = metadata;
    const pod = { ...rest, name: "gateway-of-a-daemonset" };
    const mend = added(kube, { apiVersion: "v1", kind: "Pod", metadata: pod, spec, status });
    await settled();
    return mend;
  },
  () => removed(kube, get(kube, "autoscaling/v2", "HorizontalPodAutoscaler", GATEWAY)),
  () => removed(kube, deployment(kube)),
];

const gatewayDeployment =
  (kube: Kube, change: (spec: Json) => void): Change =>
  async () => {
    const mend = changed(kube, deployment(kube), ({ spec }) => change(spec));
    await settled();
    return mend;
  };
const unready =
  (kube: Kube, which: (pods: Json[]) => Json | undefined, app = GATEWAY): Change =>
  async () => {
    const { name } = which(podsOf(kube, app))?.metadata ?? {};
    const ref = { apiVersion: "v1", kind: "Pod", namespace: SYSTEM, name };
    const { conditions } = kube.get(ref)?.status ?? {};
    kube.patchStatus(ref, { conditions: [{ type: "Ready", status: "False" }] });
    await settled();
    return () => {
      if (kube.get(ref)) kube.patchStatus(ref, { conditions });
    };
  };

/** A Gateway that lets others in, as Istio's own page has it. */
const letsIn =
  (kube: Kube, name: string, hosts: string[], metadata: Json = {}, change = (_spec: Json): void => {}): Change =>
  () => {
    const server = {
      port: { number: 15443, name: "tls", protocol: "TLS" },
      tls: { mode: "AUTO_PASSTHROUGH" },
      hosts,
    };
    const spec = { selector: { istio: "eastwestgateway" }, servers: [server] };
    change(spec);
    return added(kube, {
      apiVersion: "networking.istio.io/v1",
      kind: "Gateway",
      metadata: { name, namespace: SYSTEM, ...metadata },
      spec,
    });
  };
const withoutExposure =
  (kube: Kube): Change =>
  () =>
    removed(kube, exposure(kube));

const systemLabels =
  (kube: Kube, change: (labels: Json) => void): Change =>
  () =>
    changed(kube, get(kube, "v1", "Namespace", SYSTEM, ""), ({ metadata }) => change(metadata.labels));
const withoutNetwork = (kube: Kube) =>
  systemLabels(kube, (labels) => {
    delete labels[NETWORK];
  });
/** A control plane that looks at namespaces that are labelled so. */
const selecting = (kube: Kube) => configured(kube, { discoverySelectors: [{ matchLabels: { watched: "yes" } }] });
const watched = (kube: Kube) =>
  systemLabels(kube, (labels) => {
    labels.watched = "yes";
  });

/** The networks that a control plane has by its own configuration, with a way into each. */
const meshNetworks =
  (kube: Kube, gatewayOf: (kube: Kube) => Json): Change =>
  () =>
    valued(kube, (values) => {
      values.global.meshNetworks = {
        net_1: { endpoints: [{ fromRegistry: EAST }], gateways: [{ ...gatewayOf(east()), port: 15443 }] },
        "net.2": { endpoints: [{ fromRegistry: WEST }], gateways: [{ ...gatewayOf(west()), port: 15443 }] },
      };
    });

/** A second istiod, of the revision `canary`, and a workload that hangs on it. */
const canary = (kube: Kube, change: (pod: Json) => void = () => {}): Change[] => [
  ...["istio", "istio-sidecar-injector"].map((name) => () => {
    const metadata = { name: `${name}-canary`, namespace: SYSTEM };
    return added(kube, { ...get(kube, "v1", "ConfigMap", name), metadata });
  }),
  () => {
    const metadata = { name: "web", namespace: SYSTEM, annotations: { "istio.io/rev": "canary" } };
    const { spec } = podsOf(kube, GATEWAY)[0] as Json;
    return added(kube, { apiVersion: "v1", kind: "Pod", metadata, spec });
  },
  async () => {
    const { spec } = deployment(kube, "istiod");
    const labels = { ...spec.selector.matchLabels, "istio.io/rev": "canary" };
    const template = structuredClone(spec.template);
    Object.assign(template.metadata.labels, labels);
    change(template);
    const mend = added(kube, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "istiod-canary", namespace: SYSTEM, labels },
      spec: { ...spec, selector: { matchLabels: labels }, template },
    });
    await settled();
    return mend;
  },
];

const secretFor = (kube: Kube, target: string): Json =>
  kube
    .list("v1", "Secret", SYSTEM)
    .find(({ metadata, data }) => metadata.labels?.["istio/multiCluster"] && target in (data ?? {}));
/** Another kubeconfig in a remote secret. */
const rewritten =
  (kube: Kube, target: string, change: (kubeconfig: Json) => void): Change =>
  () =>
    changed(kube, secretFor(kube, target), ({ data }) => {
      const kubeconfig = parse(Buffer.from(data[target], "base64").toString());
      change(kubeconfig);
      data[target] = Buffer.from(stringify(kubeconfig)).toString("base64");
    });

type Patterns = Readonly<Record<string, RegExp>>;
/** One of a check in each cluster. */
const inBoth = (id: string, pattern: RegExp): Patterns => ({ [`${id} ${EAST}`]: pattern, [`${id} ${WEST}`]: pattern });

interface Right {
  readonly id: string;
  readonly mesh: string;
  readonly make: () => Change[];
  /** All that is warned of, beside what is of the mesh as it was. */
  readonly warned?: Patterns;
  /** All that is skipped, beside the same. */
  readonly skipped?: Patterns;
  /** What is told of what passed. */
  readonly told?: Patterns;
}

const RIGHT: Right[] = [
  {
    id: "L3",
    mesh: "no mesh ID anywhere",
    make: () =>
      kubes.flatMap((kube) => [
        () =>
          valued(kube, ({ global }) => {
            delete global.meshID;
          }),
        gatewayPods(kube, ({ spec }) => {
          const [proxy] = spec.containers;
          proxy.env = proxy.env.filter(({ name }: Json) => name !== "ISTIO_META_MESH_ID");
        }),
      ]),
    warned: inBoth("control-plane.identity", /No mesh ID is set/),
  },
  {
    id: "L9",
    mesh: "control planes' namespaces without the network's label",
    make: () => kubes.map(withoutNetwork),
    warned: inBoth("control-plane.network", /has no network label/),
  },
  {
    id: "L10",
    mesh: "gateway pods without the network's label, which their Service has",
    make: () => [
      gatewayService(west(), ({ spec }) => {
        delete spec.selector[NETWORK];
      }),
      gatewayPods(west(), ({ metadata }) => {
        delete metadata.labels[NETWORK];
      }),
    ],
  },
  {
    id: "L16",
    mesh: "a gateway with an IPv6 address",
    make: () => [addressed(west(), { ip: "2001:db8::7" })],
    told: {
      [`gateway.address ${WEST}`]: /2001:db8::7/,
      [`pair.request ${EAST} → ${WEST}`]: /through 2001:db8::7:15443/,
    },
  },
  {
    id: "L17",
    mesh: "another cluster domain than cluster.local, the same everywhere",
    make: () =>
      kubes.flatMap((kube) => [
        () =>
          valued(kube, ({ global }) => {
            global.proxy = { ...global.proxy, clusterDomain: "corp.example" };
          }),
        () =>
          changed(kube, exposure(kube), ({ spec }) => {
            spec.servers[0].hosts = ["*"];
          }),
      ]),
  },
  {
    id: "C1",
    mesh: "a gateway that is reached by an external IP alone",
    make: () => [
      gatewayService(west(), ({ spec, status }) => {
        spec.type = "ClusterIP";
        spec.externalIPs = ["192.0.2.9"];
        status.loadBalancer = {};
      }),
    ],
    told: { [`pair.request ${EAST} → ${WEST}`]: /through 192\.0\.2\.9:15443/ },
  },
  {
    id: "C2",
    mesh: "a gateway whose load balancer has a name alone",
    make: () => [addressed(west(), { hostname: "gateway.west.example" })],
    told: { [`gateway.address ${WEST}`]: /gateway\.west\.example/ },
  },
  {
    id: "C3",
    mesh: "a second Service of the gateway, which has no address, beside the one that has",
    make: () => [secondService(west(), { type: "ClusterIP" })],
    warned: { [`gateway.address ${WEST}`]: /mesh-system\/second has no address/ },
  },
  {
    id: "C4",
    mesh: "a gateway at its nodes, by their external addresses",
    make: () =>
      byNodes(west(), { type: "InternalIP", address: "10.1.1.1" }, { type: "ExternalIP", address: "192.0.2.31" }),
    told: { [`pair.request ${EAST} → ${WEST}`]: /through 192\.0\.2\.31:3\d{4}/ },
  },
  {
    id: "C5",
    mesh: "services exposed by a Gateway of another namespace, without a selector",
    make: () => [
      withoutExposure(west()),
      letsIn(west(), "anybody", ["*/*.local"], { namespace: "edge" }, (spec) => {
        delete spec.selector;
      }),
    ],
    told: { [`gateway.exposure ${WEST}`]: /Gateway edge\/anybody exposes/ },
  },
  {
    id: "C6",
    mesh: "a Gateway for the same names that is another revision's",
    make: () => [...canary(west()), letsIn(west(), "canary", ["*"], { labels: { "istio.io/rev": "canary" } })],
    warned: { [`control-plane.istiod ${WEST}`]: /1 workload is on revision canary/ },
    told: { [`gateway.exposure ${WEST}`]: /^Gateway mesh-system\/cross-network-gateway exposes \*\.local/ },
  },
  {
    id: "C7",
    mesh: "a Gateway for the same names in another namespace, where each is for its own namespace's pods alone",
    make: () => [
      istiodWith(west(), "PILOT_SCOPE_GATEWAY_TO_NAMESPACE", "true"),
      letsIn(west(), "wide", ["*"], { namespace: "edge" }),
    ],
    told: { [`gateway.exposure ${WEST}`]: /^Gateway mesh-system\/cross-network-gateway exposes \*\.local/ },
  },
  {
    id: "C8",
    mesh: "a Gateway for the same names in a namespace that istiod does not look at",
    make: () => [watched(west()), selecting(west()), letsIn(west(), "wide", ["*"], { namespace: "dark" })],
    told: { [`gateway.exposure ${WEST}`]: /^Gateway mesh-system\/cross-network-gateway exposes \*\.local/ },
  },
  {
    id: "C9",
    mesh: "a gateway that a DaemonSet runs",
    make: () => ofDaemonSet(west()),
    told: { [`gateway.deployment ${WEST}`]: /1 gateway pod is ready/ },
  },
  {
    id: "C10",
    mesh: "a gateway whose rollout is paused",
    make: () => [
      gatewayDeployment(west(), (spec) => {
        spec.paused = true;
        spec.template.metadata.annotations = { ...spec.template.metadata.annotations, newer: "true" };
      }),
    ],
    warned: { [`gateway.deployment ${WEST}`]: /is paused/ },
  },
  {
    id: "C11",
    mesh: "a gateway that is being scaled up: one pod of two serves",
    make: () => [
      gatewayDeployment(west(), (spec) => {
        spec.replicas = 2;
      }),
      unready(west(), ([, pod]) => pod),
    ],
    warned: { [`gateway.deployment ${WEST}`]: /1 of 2 pods .*not ready/ },
  },
  {
    id: "C12",
    mesh: "the gateway's former Deployment, scaled to zero, beside the one that serves",
    make: () => [
      async () => {
        const { spec } = deployment(west());
        const metadata = { name: "gateway-1-25", namespace: SYSTEM };
        const former = { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { ...spec, replicas: 0 } };
        const mend = added(west(), former);
        await settled();
        return mend;
      },
    ],
  },
  {
    id: "C13",
    mesh: "Services that stay in their cluster unless it is said otherwise",
    make: () =>
      kubes.map((kube) =>
        configured(kube, {
          serviceSettings: [
            { settings: { clusterLocal: true }, hosts: ["*"] },
            { settings: { clusterLocal: false }, hosts: ["*.shop.svc.cluster.local"] },
          ],
        }),
      ),
    skipped: {
      [`pair.request ${EAST} → ${WEST}`]: /clusterLocal/,
      [`pair.request ${WEST} → ${EAST}`]: /clusterLocal/,
    },
  },
  {
    id: "C14",
    mesh: "networks by the mesh configuration: gateways by their addresses",
    make: () => [
      ...kubes.map((kube) => meshNetworks(kube, (each) => ({ address: addressOf(each) }))),
      ...kubes.map(unlabelled),
    ],
    skipped: Object.assign(
      {},
      ...["gateway.deployment", "gateway.exposure", "gateway.network", "gateway.version"].map((id) =>
        inBoth(id, /mesh configuration names/),
      ),
    ),
    told: { [`gateway.address ${WEST}`]: /The mesh configuration names it/ },
  },
  {
    id: "C15",
    mesh: "networks by the mesh configuration: gateways by their Services, and no label on the namespaces",
    make: () => [
      ...kubes.map((kube) =>
        meshNetworks(kube, () => ({ registryServiceName: `${GATEWAY}.${SYSTEM}.svc.cluster.local` })),
      ),
      ...kubes.map(unlabelled),
      ...kubes.map(withoutNetwork),
    ],
  },
  {
    id: "C16",
    mesh: "a gateway that is told to hand on what is in several networks, its own among them",
    make: () => [gatewayPods(west(), variable("ISTIO_META_REQUESTED_NETWORK_VIEW", "vms,net.2"))],
  },
  {
    id: "C17",
    mesh: "a remote secret that names its API server with a slash, and a name for TLS",
    make: () => [
      rewritten(east(), WEST, ({ clusters }) => {
        const { cluster } = clusters[0];
        cluster.server = `${cluster.server}/`;
        cluster["tls-server-name"] = "kubernetes.default";
      }),
    ],
  },
  {
    id: "C18",
    mesh: "one Secret for all clusters, its own among them",
    make: () => [
      () => {
        const { data } = secretFor(west(), EAST);
        return changed(east(), secretFor(east(), WEST), (found) => {
          found.data = { ...found.data, ...data };
        });
      },
    ],
  },
  {
    id: "C19",
    mesh: "a control plane that is being replaced: workloads hang on the former revision still",
    make: () => canary(east()),
    warned: { [`control-plane.istiod ${EAST}`]: /1 workload is on revision canary/ },
  },
  {
    id: "C20",
    mesh: "one of two pods of istiod is not ready",
    make: () => [
      () =>
        valued(west(), (values) => {
          values.pilot = { ...values.pilot, replicaCount: 2 };
        }),
      unready(west(), ([, pod]) => pod, "istiod"),
    ],
    warned: {
      [`control-plane.istiod ${WEST}`]: /^istiod serves, but of Deployment mesh-system\/istiod 1 of 2 pods .*not ready/,
      [`control-plane.istio ${WEST}`]: /is IstiodNotReady: .*One that serves is enough/,
    },
  },
  {
    id: "C22",
    mesh: "a CA as cert-manager writes it",
    make: () => [
      () =>
        changed(west(), get(west(), "v1", "Secret", "cacerts"), (secret) => {
          const { data } = secret;
          const text = (name: string) => Buffer.from(data[name], "base64").toString();
          secret.data = {
            "tls.crt": data["cert-chain.pem"] ?? Buffer.from(text("ca-cert.pem")).toString("base64"),
            "tls.key": data["ca-key.pem"],
            "ca.crt": data["root-cert.pem"],
          };
        }),
    ],
  },
  {
    id: "C43",
    mesh: "a new intermediate of the same root, which istiod does not sign by yet",
    make: () => [
      () =>
        changed(west(), get(west(), "v1", "Secret", "cacerts"), ({ metadata }) => {
          const time = new Date().toISOString();
          metadata.managedFields = [
            { manager: "kubectl", operation: "Update", time, fieldsType: "FieldsV1", fieldsV1: { "f:data": {} } },
          ];
        }),
      () => {
        distorted.set(west(), (path, answer) =>
          path === "metrics" ? answer.replace(/(cert_chain_expiry_timestamp) \S+/, "$1 1900000000") : answer,
        );
        return () => {
          distorted.delete(west());
        };
      },
    ],
    warned: { [`trust.in-effect ${WEST}`]: /istiod\S+ by one that is valid until 2030-03-17\. It takes a new/ },
  },
  {
    id: "C44",
    mesh: "a root that was written a moment ago, and is not in every namespace yet",
    make: () => [
      () => {
        const { spec, metadata } = podsOf(west(), GATEWAY)[0] as Json;
        const { annotations } = metadata;
        return added(west(), {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "web", namespace: "edge", labels: { istio: "eastwestgateway" }, annotations },
          spec,
        });
      },
      () => removed(west(), get(west(), "v1", "ConfigMap", "istio-ca-root-cert", "edge")),
    ],
    warned: { [`trust.namespaces ${WEST}`]: /^Not every namespace has it yet: edge has no ConfigMap/ },
  },
  {
    id: "C50",
    mesh: "a CA that is written again as it is, as GitOps does it",
    make: () => [
      () =>
        changed(west(), get(west(), "v1", "Secret", "cacerts"), ({ metadata, data }) => {
          metadata.labels = { ...metadata.labels, "argocd.argoproj.io/instance": "mesh" };
          data["root-cert.pem"] = Buffer.from(
            `${Buffer.from(data["root-cert.pem"], "base64").toString().trim()}\n\n`,
          ).toString("base64");
        }),
    ],
  },
  {
    id: "C51",
    mesh: "a copy of a remote secret in another namespace, and one of another program with the cluster's name for a key",
    make: () => [
      () => {
        const { data, metadata } = secretFor(east(), WEST);
        const { name, labels } = metadata;
        const copy = { name, namespace: "edge", labels };
        return added(east(), { apiVersion: "v1", kind: "Secret", metadata: copy, data });
      },
      () =>
        added(east(), {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name: "argocd", namespace: SYSTEM },
          data: { [WEST]: "e30=" },
        }),
    ],
  },
  {
    id: "C52",
    mesh: "istiod is told of a shared mesh configuration that is not there",
    make: () => [istiodWith(west(), "SHARED_MESH_CONFIG", "nowhere")],
  },
  {
    id: "C49",
    mesh: "a gateway's Service that has a port of the same number for UDP beside",
    make: () => [
      gatewayService(west(), ({ spec }) => {
        spec.ports.unshift({ name: "quic", port: 15443, targetPort: 9999, protocol: "UDP" });
      }),
    ],
  },
  {
    id: "C21",
    mesh: "trust domains that are each other's aliases",
    make: () => [
      configured(east(), { trustDomainAliases: ["west.example"] }),
      configured(west(), { trustDomainAliases: ["cluster.local", "west.example"] }),
    ],
  },
];

describe("right as it is", () => {
  test("with names and a namespace of its own (L14), and warned of its versions alone", () => {
    expect(new Set([...usual.keys()].map((id) => id.split(" ")[0]))).toEqual(
      new Set(["control-plane.images", "preflight.support"]),
    );
  });

  test.each(RIGHT)("$id: $mesh", async ({ make, warned = {}, skipped = {}, told = {} }) => {
    const [outcome] = (await outcomesOf(make(), true)) as [Outcome];
    const { checks, result } = outcome.report;
    const lines = notPassed(outcome).filter((line) => !line.startsWith("skipped"));
    expect(lines, lines.join("\n")).toEqual([]);
    expect(result).toBe("passed");
    const warnings = [...warningsOf(outcome.report)].filter(([id]) => !usual.has(id));
    expect(Object.fromEntries(warnings)).toEqual(matching(warned));
    const left = checks.filter(({ verdict, id }) => verdict === "skipped" && id !== "control-plane.cni");
    expect(Object.fromEntries(left.map((check) => [idOf(check), check.cause]))).toEqual(matching(skipped));
    for (const [id, pattern] of Object.entries(told))
      expect(checks.find((check) => idOf(check) === id)?.evidence).toMatch(pattern);
  });
});

interface Broken {
  readonly id: string;
  readonly mesh: string;
  readonly make: () => Change[];
  /** The checks that fail by themselves, by their IDs and subjects, and why. */
  readonly expected: Patterns;
  /** It is not found but by requests. */
  readonly byRequests?: true;
}

const BROKEN: Broken[] = [
  {
    id: "F4",
    mesh: "a Gateway for some of the names beside the one for all, in another namespace",
    make: () => [letsIn(west(), "shop", ["*.shop.svc.cluster.local"], { namespace: "edge" })],
    expected: { [`gateway.exposure ${WEST}`]: /\(\*\.local\) and Gateway edge\/shop .*let the same names in/ },
  },
  {
    id: "F5",
    mesh: "another trust domain",
    make: () => [configured(west(), { trustDomain: "west.example" })],
    expected: { "control-plane.trust-domain mesh": /different trust domains: .*west\.example in west_2/ },
  },
  {
    id: "F6",
    mesh: "a gateway whose name does not resolve where istiod runs",
    make: () => [
      addressed(west(), { hostname: "gateway.invalid" }),
      () =>
        tells(east(), "networkz", (gateways) =>
          gateways.splice(0, 9, ...gateways.filter(({ Addr }: Json) => Addr !== "gateway.invalid")),
        ),
    ],
    expected: { [`remote.endpoints ${EAST} → ${WEST}`]: /gateway\.invalid:15443 of net\.2: its name does not resolve/ },
  },
  {
    id: "F11",
    mesh: "a revision that workloads hang on still, whose control plane is another cluster's by its name",
    make: () => canary(east(), variable("CLUSTER_ID", "Kubernetes")),
    expected: { [`control-plane.identity ${EAST}`]: /istiod of revision canary runs with cluster name Kubernetes/ },
  },
  {
    id: "F12",
    mesh: "a remote secret whose kubeconfig has a user that is not used and that istiod refuses",
    make: () => [
      rewritten(east(), WEST, ({ users }) => {
        users.push({ name: "admin", user: { exec: { command: "aws" } } });
      }),
    ],
    expected: { [`remote.kubeconfig ${EAST} → ${WEST}`]: /in a user that it does not use, "admin"/ },
  },
  {
    id: "F13",
    mesh: "a gateway in a namespace that istiod does not look at",
    make: () => [selecting(west())],
    expected: { [`gateway.network ${WEST}`]: /takes no Service of namespace mesh-system for a gateway/ },
  },
  {
    id: "F14",
    mesh: "clusters with different domains",
    make: () => [
      () =>
        valued(west(), ({ global }) => {
          global.proxy = { ...global.proxy, clusterDomain: "west.local" };
        }),
    ],
    expected: { "control-plane.cluster-domain mesh": /cluster\.local in eu\.east-1; west\.local in west_2/ },
  },
  {
    id: "F15",
    mesh: "a control plane that hides what is not global, as for ambient",
    make: () => [istiodWith(east(), "AMBIENT_ENABLE_MULTI_NETWORK", "true")],
    expected: { [`remote.endpoints ${EAST} → ${WEST}`]: /runs with AMBIENT_ENABLE_MULTI_NETWORK=true/ },
  },
  {
    id: "C30",
    mesh: "services exposed in another namespace than the gateway's, where each is for its own alone",
    make: () => [
      istiodWith(west(), "PILOT_SCOPE_GATEWAY_TO_NAMESPACE", "true"),
      withoutExposure(west()),
      letsIn(west(), "wide", ["*.local"], { namespace: "edge" }),
    ],
    expected: { [`gateway.exposure ${WEST}`]: /Gateway edge\/wide .*PILOT_SCOPE_GATEWAY_TO_NAMESPACE/ },
  },
  {
    id: "C31",
    mesh: "services exposed by a Gateway of a revision that is not the gateway's",
    make: () => [
      ...canary(west()),
      withoutExposure(west()),
      letsIn(west(), "canary", ["*.local"], { labels: { "istio.io/rev": "canary" } }),
    ],
    expected: {
      [`gateway.exposure ${WEST}`]: /Gateway mesh-system\/canary .*istio\.io\/rev=canary, and .* of revision default/,
    },
  },
  {
    id: "C32",
    mesh: "services exposed by a Gateway in a namespace that istiod does not look at",
    make: () => [
      watched(west()),
      selecting(west()),
      withoutExposure(west()),
      letsIn(west(), "wide", ["*.local"], { namespace: "dark" }),
    ],
    expected: { [`gateway.exposure ${WEST}`]: /Gateway dark\/wide .*discoverySelectors/ },
  },
  {
    id: "C33",
    mesh: "a gateway that is told to hand on what is in another network alone",
    make: () => [gatewayPods(west(), variable("ISTIO_META_REQUESTED_NETWORK_VIEW", "net_1"))],
    expected: { [`gateway.network ${WEST}`]: /ISTIO_META_REQUESTED_NETWORK_VIEW=net_1/ },
  },
  {
    id: "C34",
    mesh: "a gateway at its nodes, which have no external address",
    make: () => byNodes(west(), { type: "InternalIP", address: "10.1.1.1" }),
    expected: { [`remote.endpoints ${EAST} → ${WEST}`]: /not know a gateway of net\.2/ },
  },
  {
    id: "C35",
    mesh: "a gateway whose pods, no Deployment's, are not ready",
    make: () => [...ofDaemonSet(west()), unready(west(), ([pod]) => pod)],
    expected: { [`gateway.deployment ${WEST}`]: /gateway-of-a-daemonset: .*not ready/ },
  },
  {
    id: "C38",
    mesh: "a gateway's Service that leads to a port by a name that its pods do not have",
    make: () => [
      gatewayService(west(), ({ spec }) => {
        spec.ports.find(({ port }: Json) => port === 15443).targetPort = "mtls";
      }),
    ],
    expected: {
      [`gateway.deployment ${WEST}`]: /from port 15443 to a port of its pods by a name that none of them has/,
    },
  },
  {
    id: "C39",
    mesh: "a gateway that was injected as a workload",
    make: () => [
      gatewayPods(west(), ({ spec }) => {
        spec.containers[0].args = ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"];
      }),
    ],
    expected: { [`gateway.deployment ${WEST}`]: /have a workload's sidecar for a gateway's proxy/ },
  },
  {
    id: "C40",
    mesh: "a gateway of two kinds of pods behind one Service, of which the Gateway selects one",
    make: () => [
      gatewayService(west(), ({ spec }) => {
        spec.selector = { app: GATEWAY };
      }),
      async () => {
        const [{ metadata, spec, status }] = podsOf(west(), GATEWAY) as [Json];
        const { uid: _, resourceVersion: __, ownerReferences: ___, ...rest } = metadata;
        const labels = { ...rest.labels, istio: "another" };
        const mend = added(west(), {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { ...rest, name: "gateway-canary", labels },
          spec,
          status,
        });
        await settled();
        return mend;
      },
    ],
    expected: {
      [`gateway.exposure ${WEST}`]: /its selector does not match the east-west gateway's pods gateway-canary\./,
    },
  },
  {
    id: "C41",
    mesh: "a gateway that is not reached, beside a rule against mTLS that is another revision's",
    make: () => [
      () => {
        blocked.add(west());
        return () => {
          blocked.delete(west());
        };
      },
      () =>
        added(west(), {
          apiVersion: "networking.istio.io/v1",
          kind: "DestinationRule",
          metadata: { name: "plain", namespace: SYSTEM, labels: { "istio.io/rev": "canary" } },
          spec: { host: "*.local", trafficPolicy: { tls: { mode: "DISABLE" } } },
        }),
    ],
    expected: { [`pair.request ${EAST} → ${WEST}`]: /does not take connections/ },
    byRequests: true,
  },
  {
    id: "C42",
    mesh: "a mesh configuration that cannot be read",
    make: () => [
      () =>
        changed(west(), get(west(), "v1", "ConfigMap", "istio"), ({ data }) => {
          data.mesh = ": [";
        }),
    ],
    expected: { [`control-plane.identity ${WEST}`]: /^\(unknown\) ConfigMap mesh-system\/istio holds no YAML/ },
  },
  {
    id: "C45",
    mesh: "a gateway in a namespace that istiod does not look at, by the configuration that it shares with others",
    make: () => [
      () =>
        added(west(), {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: "common", namespace: SYSTEM },
          data: { mesh: "discoverySelectors: [{ matchLabels: { watched: 'yes' } }]\n" },
        }),
      istiodWith(west(), "SHARED_MESH_CONFIG", "common"),
    ],
    expected: { [`gateway.network ${WEST}`]: /takes no Service of namespace mesh-system for a gateway/ },
  },
  {
    id: "C46",
    mesh: "a gateway's Service that has its port for UDP alone",
    make: () => [
      gatewayService(west(), ({ spec }) => {
        spec.ports.find(({ port }: Json) => port === 15443).protocol = "UDP";
      }),
    ],
    expected: { [`gateway.address ${WEST}`]: /has no port 15443 of TCP/ },
  },
  {
    id: "C47",
    mesh: "a remote secret without its label",
    make: () => [
      () =>
        changed(east(), secretFor(east(), WEST), ({ metadata }) => {
          delete metadata.labels["istio/multiCluster"];
        }),
    ],
    expected: {
      [`remote.secret ${EAST} → ${WEST}`]:
        /Secret mesh-system\/\S+ holds one .* it has no label istio\/multiCluster=true/,
    },
  },
  {
    id: "C48",
    mesh: "a remote secret in another namespace than istiod's",
    make: () => [
      () => {
        const { data, metadata } = secretFor(east(), WEST);
        const { name, labels, annotations } = metadata;
        return added(east(), {
          apiVersion: "v1",
          kind: "Secret",
          metadata: { name, namespace: "edge", labels, annotations },
          data,
        });
      },
      () => removed(east(), secretFor(east(), WEST)),
    ],
    expected: { [`remote.secret ${EAST} → ${WEST}`]: /Secret edge\/\S+ holds one .* it is not in mesh-system/ },
  },
  {
    id: "C53",
    mesh: "a remote secret that was switched off by its label",
    make: () => [
      () =>
        changed(east(), secretFor(east(), WEST), ({ metadata }) => {
          metadata.labels["istio/multiCluster"] = "false";
        }),
    ],
    expected: { [`remote.secret ${EAST} → ${WEST}`]: /it has no label istio\/multiCluster=true/ },
  },
  {
    id: "C54",
    mesh: "a gateway that is not reached, beside a VirtualService for all that comes in from outside",
    make: () => [
      () => {
        blocked.add(west());
        return () => {
          blocked.delete(west());
        };
      },
      () =>
        added(east(), {
          apiVersion: "networking.istio.io/v1",
          kind: "VirtualService",
          metadata: { name: "front", namespace: SYSTEM },
          spec: { hosts: ["*"], gateways: ["edge/front"], http: [{ redirect: { uri: "/login" } }] },
        }),
    ],
    expected: { [`pair.request ${EAST} → ${WEST}`]: /^The gateway of west_2 .* does not take connections.*UF/ },
    byRequests: true,
  },
  {
    id: "C36",
    mesh: "a gateway at an address that is everybody's own",
    make: () => [addressed(west(), { hostname: "localhost" })],
    expected: { [`gateway.address ${WEST}`]: /localhost/ },
  },
  {
    id: "C37",
    mesh: "gateways of two networks at one address",
    make: () => [addressed(west(), { ip: addressOf(east()) })],
    expected: {
      [`pair.request ${EAST} → ${WEST}`]: /have one address/,
      [`pair.request ${WEST} → ${EAST}`]: /have one address/,
    },
    byRequests: true,
  },
];

describe("broken", () => {
  test.each(BROKEN)("$id: $mesh", async ({ make, expected, byRequests }) => {
    const [loud, quiet] = (await outcomesOf(make(), true, false)) as [Outcome, Outcome];
    expect(causesOf(loud), notPassed(loud).join("\n")).toEqual(matching(expected));
    for (const { check } of rootCauses(loud.report.checks))
      if (check.verdict === "failed") expect(check.hint).toBeTruthy();
    expect(causesOf(quiet), notPassed(quiet).join("\n")).toEqual(byRequests ? {} : matching(expected));
  });
});

test("all is as it was, once it is mended", async () => {
  const outcome = await verify(true);
  expect(notPassed(outcome)).toEqual([]);
  expect([...warningsOf(outcome.report).keys()].filter((id) => !usual.has(id))).toEqual([]);
});

function verify(traffic: boolean): Promise<Outcome> {
  return runVerify(kubes, { mesh: MESH, verification: { traffic, patience: 200 } });
}

/** What is said of the mesh with these changes, with requests or without. */
async function outcomesOf(changes: readonly Change[], ...traffic: boolean[]): Promise<Outcome[]> {
  const mend = await all(changes);
  try {
    const outcomes: Outcome[] = [];
    for (const each of traffic) outcomes.push(await verify(each));
    return outcomes;
  } finally {
    await mend();
  }
}

function idOf({ id, subject }: { id: string; subject: Subject }): string {
  return `${id} ${subjectName(subject)}`;
}

function warningsOf({ checks }: Report): Map<string, string> {
  return new Map(checks.flatMap((check) => (check.warning ? [[idOf(check), check.warning] as const] : [])));
}

/** What is wrong once, by its check; what is unknown is told as that. */
function causesOf({ report }: Outcome): Record<string, string> {
  const told = ({ verdict, cause }: Check) => `${verdict === "failed" ? "" : `(${verdict}) `}${cause}`;
  return Object.fromEntries(
    rootCauses(report.checks).flatMap(({ check, subjects }) =>
      subjects.map((subject) => [idOf({ ...check, subject }), told(check)] as const),
    ),
  );
}

function matching(patterns: Patterns): Record<string, unknown> {
  return Object.fromEntries(Object.entries(patterns).map(([id, pattern]) => [id, expect.stringMatching(pattern)]));
}
