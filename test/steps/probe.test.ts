// How a probe is made where a cluster is not as an embedded one is.
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import type { Pod } from "../../src/mesh/shapes/pod.ts";
import { startProbe } from "../../src/steps/probe.ts";
import { memberOf, meshOf } from "./support.ts";

const mesh = meshOf(["east", "west"]);
const probe = { namespace: "probe-1", expires: new Date(0), key: "key", services: [] };
const sidecar = { name: "istio-proxy", image: "registry.example/proxyv2:1" };
const ready = { conditions: [{ type: "Ready", status: "True" }] };
const unpulled = {
  containerStatuses: [{ name: "probe", state: { waiting: { reason: "ImagePullBackOff", message: "denied" } } }],
};

/** Starts a probe, and tells what was created of it. */
async function started({
  spec = {},
  status = ready,
  families = ["IPv4"],
  create = async () => {},
  walls = [],
}: {
  spec?: Partial<Pod["spec"]>;
  status?: Pod["status"];
  families?: string[];
  create?: (object: KubernetesObject) => Promise<void>;
  /** Names of NetworkPolicies in its namespace. */
  walls?: string[];
}) {
  const made: KubernetesObject[] = [];
  const cluster: Partial<Cluster> = {
    create: async (object) => {
      await create(object);
      made.push(object);
      return { ...object, ...(object.kind === "Service" ? { spec: { ipFamilies: families } } : {}) } as never;
    },
    list: async () => walls.map((name) => ({ metadata: { name } })) as never,
    dryRun: async () => ({ spec: { containers: [sidecar], ...spec } }) as never,
    get: async ({ kind, name, namespace }) =>
      (kind === "Secret" && name === "pull"
        ? {
            kind,
            metadata: { name, namespace },
            type: "kubernetes.io/dockerconfigjson",
            data: { ".dockerconfigjson": "e30=" },
          }
        : undefined) as never,
    waitFor: async (_, __, look) => {
      const outcome = await look({ pods: [{ kind: "Pod", metadata: { name: "probe" }, status }] } as never);
      if ("done" in outcome) return outcome.done;
      throw new Failure(outcome.seen);
    },
  };
  const injecting = Promise.resolve({ revision: "default", namespace: undefined });
  const { ready: told } = startProbe(
    mesh,
    probe,
    memberOf(mesh, "east", cluster),
    injecting,
    Promise.resolve({}),
    () => 0,
  );
  const finding = await told;
  return { finding, of: (kind: string) => made.filter((object) => object.kind === kind) as never[] };
}
const textOf = (configs: { data: Record<string, string> }[]) => configs[0]?.data["envoy.json"] ?? "";

describe("the Secrets that images are pulled by", () => {
  const spec = { imagePullSecrets: [{ name: "pull" }] };

  test("are there beside the probe", async () => {
    const { finding, of } = await started({ spec });
    expect(finding.verdict).toBe("passed");
    expect((of("Secret") as Secret[])[0]).toMatchObject({
      metadata: { name: "pull", namespace: "probe-1" },
      type: "kubernetes.io/dockerconfigjson",
      data: { ".dockerconfigjson": "e30=" },
    });
  });

  const forbidden = async ({ kind }: KubernetesObject) => {
    if (kind === "Secret") throw new Failure("secrets is forbidden");
  };
  test("are missed where they may not be put there and nothing else serves the node", async () => {
    const { finding } = await started({ spec, status: unpulled, create: forbidden });
    expect(finding.verdict).toBe("unknown");
    expect(finding.cause).toMatch(/lacks what it is pulled by: secrets is forbidden\. pod probe: ImagePullBackOff/);
    expect((await started({ spec, create: forbidden })).finding.verdict).toBe("passed");
  });

  test("are not to blame where there are none to miss", async () => {
    expect((await started({ status: unpulled })).finding.verdict).toBe("failed");
  });
});

describe("a probe that does not become ready in time", () => {
  const unscheduled = { type: "PodScheduled", status: "False", message: "0/3 nodes are available: untolerated taint" };
  const late = () => {
    let now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => {
      now += 100_000;
      return now;
    });
  };
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each<[string, Parameters<typeof started>[0], string, RegExp]>([
    [
      "that no node takes says nothing of the mesh",
      { status: { conditions: [unscheduled] } },
      "unknown",
      /^No node takes the probe, .*untolerated taint\.$/,
    ],
    [
      "among NetworkPolicies may be kept from it by them",
      { status: { conditions: [] }, walls: ["default-deny"] },
      "unknown",
      /was given NetworkPolicies by a rule of the cluster's own \(default-deny\)/,
    ],
    [
      "for which SPIRE has no entry says nothing of the mesh",
      {
        status: { conditions: [] },
        spec: { volumes: [{ name: "workload-socket", csi: { driver: "csi.spiffe.io" } }] },
      },
      "unknown",
      /^The probe is to have its certificate from SPIRE, as the workloads here do/,
    ],
    ["is told as that", { status: { conditions: [] } }, "failed", /^The probe is not ready after 90 s: pod probe/],
  ])("%s", async (_, given, verdict, cause) => {
    late();
    const { finding } = await started(given);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause).toMatch(cause);
  });
});

test.each([
  [["IPv4"], "0.0.0.0"],
  [["IPv6"], "::"],
  [["IPv6", "IPv4"], "::"],
])("with Services of %j it listens on %s", async (families, address) => {
  const { of } = await started({ families });
  expect(textOf(of("ConfigMap"))).toContain(`"address":"${address}"`);
  expect(JSON.stringify(of("Pod")[0])).toContain(address === "::" ? "::1" : "127.0.0.1");
});

test.each([403, 404, 422])("its sidecars need not tell why they refuse: HTTP %i", async (status) => {
  const create = async ({ kind }: KubernetesObject) => {
    if (kind === "EnvoyFilter") throw new Failure(`HTTP ${status}`);
  };
  const { finding, of } = await started({ create });
  expect([finding.verdict, of("Pod").length, of("EnvoyFilter").length]).toEqual(["passed", 1, 0]);
});

test("a proxy that waits for itself is watched, and its own port left to it", async () => {
  const podOf = (pods: KubernetesObject[]) => JSON.stringify(pods[0]);
  const usual = podOf((await started({})).of("Pod"));
  expect(usual).toContain('"status.sidecar.istio.io/port":"0"');
  const waiting = { containers: [{ ...sidecar, lifecycle: { postStart: { exec: {} } } }] };
  const { of } = await started({ spec: waiting });
  expect(podOf(of("Pod"))).not.toContain("status.sidecar.istio.io/port");
  expect(podOf(of("Pod"))).not.toContain("15020");
  expect(usual).toContain("15020");
});
