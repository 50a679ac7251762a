// Of the probe, what an embedded cluster cannot show.
import { expect, test } from "vitest";
import { judgePair } from "../../src/checks/traffic.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { callPath, connectPath, type ProbeSpec } from "../../src/mesh/objects/probe.ts";
import { tryPair } from "../../src/steps/requests.ts";
import { memberOf, meshOf } from "./support.ts";

const probe: ProbeSpec = { namespace: "probe", expires: new Date(0), key: "key", services: [] };
const MESH = meshOf(["east", "west"]);
const pair = { source: "east", target: "west" };
const context = { trustDomain: "cluster.local", gateway: ["192.0.2.7"], istioNamespace: "mesh-system" };
const UNREACHED = "error trying to reach service: dial tcp 10.0.0.1:8081: i/o timeout";

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
  const configs = [{ endpoint_config: { endpoints: [{ lb_endpoints: [{ endpoint }] }] } }];
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
  const finding = judgePair(await tryPair(probe, pair, memberOf(MESH, "east", cluster), context, 1_000, 3));
  expect(finding.evidence).toMatch(/^3 of 3 requests answered by west through 192\.0\.2\.7:15443/);
  expect(asked.filter((way) => way === "proxy")).toHaveLength(1);
});

test("is refused there in Envoy's own words", async () => {
  const { cluster } = cutOff(async () => ({
    exitCode: 1,
    stdout: "",
    stderr: "Error: received unsuccessful status code 503: no healthy upstream",
  }));
  const attempt = await tryPair(probe, pair, memberOf(MESH, "east", cluster), context, 0, 3);
  expect(attempt.first).toEqual({ status: 503, body: "no healthy upstream" });
});

test("is unknown, as the API server says it, where that may not be done either", async () => {
  const { cluster } = cutOff(async () => {
    throw new Failure("pods/exec is forbidden");
  });
  const finding = judgePair(await tryPair(probe, pair, memberOf(MESH, "east", cluster), context, 0, 3));
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
  const attempt = await tryPair(probe, pair, memberOf(MESH, "east", proxied), context, 0, 3);
  expect(attempt.first).toEqual({ status: undefined, body: "Unauthorized" });
});
