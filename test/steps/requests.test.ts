// Of the probe, what an embedded cluster cannot show.
import { expect, test, vi } from "vitest";
import { judgePair } from "../../src/checks/traffic.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { callPath, connectPath, type ProbeSpec } from "../../src/mesh/objects/probe.ts";
import { endpointsOf, tryPair } from "../../src/steps/requests.ts";
import { memberOf, meshOf } from "./support.ts";

const probe: ProbeSpec = { namespace: "probe", expires: new Date(0), key: "key", services: [] };
const MESH = meshOf(["east", "west"]);
const pair = { source: "east", target: "west" };
const context = { trustDomain: "cluster.local", gateway: ["192.0.2.7"], istioNamespace: "mesh-system" };
const UNREACHED = "error trying to reach service: dial tcp 10.0.0.1:8081: i/o timeout";

/** Sends the pair's requests. */
function tried(cluster: Cluster, patience: number) {
  const source = memberOf(MESH, "east", cluster);
  return tryPair(probe, pair, source, context, patience, 3, endpointsOf(probe, source));
}

/** A cluster whose API server does not reach pods; what its kubelets are asked is answered, or not. */
function cutOff(exec: Cluster["exec"]) {
  const asked: string[] = [];
  const cluster = {
    name: "east",
    poll: async (_: string, look: () => Promise<{ done: unknown } | object>) => {
      for (;;) {
        const outcome = await look();
        if ("done" in outcome) return outcome.done;
      }
    },
    proxy: async () => {
      asked.push("proxy");
      return { status: 503, headers: {}, body: JSON.stringify({ kind: "Status", message: UNREACHED }) };
    },
    exec: async (...call: Parameters<Cluster["exec"]>) => {
      asked.push("exec");
      return exec(...call);
    },
  } as unknown as Cluster;
  return { asked, cluster };
}
const done = (stdout: string) => ({ exitCode: 0, stdout: `${stdout}\n`, stderr: "" });

test("is asked from within its pod where the API server does not reach it, and after that at once", async () => {
  const endpoint = { address: { socket_address: { address: "192.0.2.7", port_value: 15443 } } };
  const cluster_name = "outbound|8080||probe-west.probe.svc.cluster.local";
  const configs = [{ endpoint_config: { cluster_name, endpoints: [{ lb_endpoints: [{ endpoint }] }] } }];
  const { asked, cluster } = cutOff(async (_, container, command) => {
    expect([container, ...command.slice(0, 4)]).toEqual([
      "istio-proxy",
      ...["pilot-agent", "request", "--debug-port", "15020"],
    ]);
    const path = command.at(-1) as string;
    return [callPath(probe, "west"), connectPath(probe, "west")].includes(path)
      ? done("west")
      : done(JSON.stringify({ configs }));
  });
  const finding = judgePair(await tried(cluster, 1_000));
  expect(finding.evidence).toMatch(/^3 of 3 requests answered by west through 192\.0\.2\.7:15443/);
  expect(asked.filter((way) => way === "proxy")).toHaveLength(1);
});

test("is refused there in Envoy's own words", async () => {
  const { cluster } = cutOff(async () => ({
    exitCode: 1,
    stdout: "",
    stderr: "Error: received unsuccessful status code 503: no healthy upstream",
  }));
  const attempt = await tried(cluster, 0);
  expect(attempt.first).toEqual({ status: 503, body: "no healthy upstream" });
});

test("is unknown, as the API server says it, where that may not be done either", async () => {
  const { cluster } = cutOff(async () => {
    throw new Failure("pods/exec is forbidden");
  });
  const finding = judgePair(await tried(cluster, 0));
  expect(finding.verdict).toBe("unknown");
  expect(finding.cause).toContain(UNREACHED);
  expect(finding.hint).toMatch(/pods\/exec/);
});

test("what the API server says is not the probe's answer, though an Envoy stands before it", async () => {
  const status = JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", message: "Unauthorized" });
  const { cluster } = cutOff(async () => {
    throw new Failure("pods/exec is forbidden");
  });
  const proxied = {
    ...cluster,
    proxy: async () => ({ status: 401, headers: { server: "envoy" }, body: status }),
  } as unknown as Cluster;
  const attempt = await tried(proxied, 0);
  expect(attempt.first).toEqual({ status: undefined, body: "Unauthorized" });
});

test("whoever asks for endpoints while an answer is under way shares the next one, and none asked too late", async () => {
  const answers: ((version: number) => void)[] = [];
  const address = (version: number) => ({ socket_address: { address: `192.0.2.${version}`, port_value: 15443 } });
  const proxy = () =>
    new Promise((resolve) => {
      const body = (version: number) => {
        const cluster_name = "outbound|8080||probe-west.probe.svc.cluster.local";
        const endpoints = [{ lb_endpoints: [{ endpoint: { address: address(version) } }] }];
        return JSON.stringify({ configs: [{ endpoint_config: { cluster_name, endpoints } }] });
      };
      answers.push((version) => resolve({ status: 200, headers: { server: "envoy" }, body: body(version) }));
    });
  const endpoints = endpointsOf(probe, memberOf(MESH, "east", { name: "east", proxy } as unknown as Cluster));
  const seen = async (asked: ReturnType<typeof endpoints>) => {
    const known = await asked;
    return typeof known === "string" ? known : known.get("probe-west")?.endpoints;
  };
  const first = seen(endpoints());
  await vi.waitFor(() => expect(answers).toHaveLength(1));
  const later = [seen(endpoints()), seen(endpoints())];
  answers[0]?.(1);
  expect(await first).toEqual([{ address: "192.0.2.1", port: 15443 }]);
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.(2);
  for (const each of later) expect(await each).toEqual([{ address: "192.0.2.2", port: 15443 }]);
});
