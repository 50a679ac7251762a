// What an istiod no longer holds of another cluster, and what of that the other one still has.
import { expect, test } from "vitest";
import { lessOf, lostOf } from "../../src/checks/as-before.ts";
import type { Held, Offer } from "../../src/facts/endpoints.ts";

interface Given {
  /** Addresses by Service. */
  readonly endpoints?: Readonly<Record<string, readonly string[]>>;
  readonly gateways?: boolean;
}
const ENDPOINT = { ofPod: true, takesMtls: true, labels: {} };
const held = ({ endpoints = {}, gateways = false }: Given, cluster = "west"): Held => ({
  pod: "istiod-1",
  endpoints: new Map([
    [
      cluster,
      new Map(
        Object.entries(endpoints).map(
          ([service, all]) => [service, new Map(all.map((one) => [one, ENDPOINT]))] as const,
        ),
      ),
    ],
  ]),
  gateways: gateways ? [{ network: "net-w", cluster, address: "192.0.2.1", port: 15443 }] : [],
});
const offer = (endpoints: Readonly<Record<string, readonly string[]>>, gateway = false): Offer => ({
  endpoints: new Map(
    Object.entries(endpoints).map(([service, all]) => [service, { ready: new Set(all), all: new Set(all) }]),
  ),
  services: new Map(
    gateway
      ? [
          [
            "mesh/gateway",
            {
              apiVersion: "v1",
              kind: "Service",
              metadata: { name: "gateway", labels: { "topology.istio.io/network": "net-w" } },
            },
          ],
        ]
      : [],
  ),
  namespaces: new Map(),
});

const WEB = { "apps/web": ["10.0.0.1:80", "10.0.0.2:80"] };
test.each<[string, Given[], Given, Offer, string | undefined]>([
  [
    "all of it is held",
    [{ endpoints: WEB, gateways: true }],
    { endpoints: WEB, gateways: true },
    offer(WEB, true),
    undefined,
  ],
  ["there is more", [{}], { endpoints: WEB }, offer(WEB), undefined],
  ["all is lost", [{ endpoints: WEB, gateways: true }], {}, offer(WEB, true), "2 endpoints of apps/web, its gateways"],
  [
    "some of it is lost",
    [{ endpoints: { ...WEB, "apps/db": ["10.0.0.3:5432"] } }],
    { endpoints: { "apps/web": ["10.0.0.1:80"] } },
    offer({ ...WEB, "apps/db": ["10.0.0.3:5432"] }),
    "2 endpoints of apps/web and 1 other Service",
  ],
  ["another replica held it", [{}, { endpoints: WEB }], {}, offer(WEB), "2 endpoints of apps/web"],
  ["it is gone there, too", [{ endpoints: WEB, gateways: true }], {}, offer({}), undefined],
  ["a pod has moved", [{ endpoints: { "apps/web": ["10.0.0.9:80"] } }], { endpoints: WEB }, offer(WEB), undefined],
])("%s", (_, before, now, offered, lost) => {
  const less = lessOf(
    "west",
    before.map((each) => held(each)),
    held(now),
  );
  expect(less && lostOf(less, offered)).toBe(lost);
});

test("what is held of a third cluster is no matter", () => {
  expect(lessOf("west", [held({ endpoints: WEB, gateways: true }, "north")], held({}))).toBeUndefined();
});
