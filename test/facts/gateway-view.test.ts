import { expect, test } from "vitest";
import { answerIn } from "../../src/facts/agent.ts";
import { readGateway } from "../../src/facts/gateway-view.ts";
import { clusterOf } from "../steps/support.ts";

const SNI = "outbound_.8080_._.probe-west.probe-1.svc.cluster.local";
const LOG = "2026-11-30T18:18:05.882404Z\twarn\tOS CA Cert could not be found for agent\n";

/** A gateway's answers, as Envoy 1.40 has them. */
const listeners = (...names: string[]) =>
  JSON.stringify({
    configs: [
      {
        name: "0.0.0.0_15443",
        active_state: {
          listener: {
            address: { socket_address: { port_value: 15443 } },
            filter_chains: names.map((name) => ({ filter_chain_match: { server_names: [name] } })),
          },
        },
      },
    ],
  });
const endpoint = (address: string, total: number, failed: number) =>
  [`${SNI}::${address}::cx_total::${total}`, `${SNI}::${address}::cx_connect_fail::${failed}`].join("\n");

const read = (dump: string, clusters: string) =>
  readGateway(
    clusterOf("west", {
      exec: async (_, __, command) => ({
        stdout: `${LOG}${command.at(-1) === "clusters" ? clusters : dump}`,
        stderr: "",
        exitCode: 0,
      }),
    }),
    { metadata: { name: "gw", namespace: "istio-system" } },
    "probe-1",
  );

test("a gateway's pod tells on what it listens, what it hands on, and where to", async () => {
  const view = await read(
    listeners(SNI, "outbound_.80_._.web.shop.svc.cluster.local"),
    endpoint("10.0.0.9:8080", 6, 5),
  );
  expect(view).toMatchObject({ pod: "gw", ports: [15443], connections: 6 });
  expect(view.problem).toBeUndefined();
  expect([...view.names]).toContain(SNI);
  expect(view.endpoints.get(SNI)).toMatchObject([{ address: "10.0.0.9:8080", made: 6, failed: 5 }]);
});

test("a name that it has no endpoint for is told as that", async () => {
  const { endpoints } = await read(listeners(SNI), `${SNI}::added_via_api::true`);
  expect([...endpoints]).toEqual([[SNI, []]]);
});

test("what is no answer is none", async () => {
  expect((await read("unavailable", "")).problem).toMatch(/cannot be read/);
});

test.each([
  [`${LOG}${LOG}west\n`, "west\n"],
  ["west\n", "west\n"],
  [`{"a":"${LOG.trim()}"}`, `{"a":"${LOG.trim()}"}`],
  [LOG.trimEnd(), ""],
])("the agent's own words before an answer are left out: %j", (stdout, answer) => {
  expect(answerIn(stdout)).toBe(answer);
});
