import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { readSpire } from "../../src/facts/spire.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import { clusterOf } from "../steps/support.ts";

const SOCKET = { name: "workload-socket", csi: { driver: "csi.spiffe.io", readOnly: true } };
const TEMPLATES = "inject.istio.io/templates";
const MANAGED = "spiffe.io/spire-managed-identity";

interface Kind {
  readonly spire?: boolean;
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly role?: string;
}

const pod = ({ spire = true, annotations = {}, labels = {}, role = "sidecar" }: Kind, i: number) => ({
  metadata: { namespace: "shop", name: `web-${i}`, annotations: { "istio.io/rev": "default", ...annotations }, labels },
  spec: {
    containers: [{ name: "istio-proxy", args: ["proxy", role] }],
    volumes: spire ? [SOCKET] : [],
  },
  status: { containerStatuses: [{ name: "istio-proxy", state: { running: { startedAt: "2026-11-20T00:00:00Z" } } }] },
});

function read(
  pods: readonly Kind[],
  templates: Record<string, string> = { sidecar: "spec: {}", spire: stringify({ spec: { volumes: [SOCKET] } }) },
) {
  let lists = 0;
  const cluster = clusterOf("c", {
    get: async <T>() => ({ data: { config: stringify({ templates }) } }) as T,
    list: async <T extends KubernetesObject>() => {
      lists++;
      return pods.map(pod) as unknown as T[];
    },
  });
  return readSpire(cluster, "istio-system", "default").then((mark) => ({ mark, lists }));
}

describe("workloads that have their certificates from SPIRE", () => {
  test("say by what", async () => {
    const own = { annotations: { [TEMPLATES]: "sidecar,spire" }, labels: { [MANAGED]: "true", app: "web" } };
    expect((await read([own, own, { spire: false }])).mark).toEqual({
      annotations: { [TEMPLATES]: "sidecar,spire" },
      labels: { [MANAGED]: "true" },
    });
  });

  test("may have it by the injector's default, and say nothing", async () => {
    expect((await read([{}, {}])).mark).toEqual({ annotations: {}, labels: {} });
  });

  test.each<[string, Kind[]]>([
    ["of none", []],
    ["of a few", [{}, { spire: false }, { spire: false }]],
    ["of a gateway alone", [{ role: "router" }, { spire: false }]],
  ])("are not taken for the rule: %s", async (_, pods) => {
    expect((await read(pods)).mark).toBeUndefined();
  });

  test("are not looked for where no template has it", async () => {
    expect(await read([{}], { sidecar: "volumes: [{ name: workload-socket, emptyDir: {} }]" })).toEqual({
      mark: undefined,
      lists: 0,
    });
  });
});
