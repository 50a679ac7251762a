import { describe, expect, test } from "vitest";
import type { IstioGateway } from "../../src/checks/gateway-resource.ts";
import type { Service } from "../../src/checks/gateway-service.ts";
import type { Gateways } from "../../src/checks/gateways.ts";
import { ownerOf, proven } from "../../src/mesh/claim.ts";
import { exposure } from "../../src/mesh/objects/exposure.ts";
import type { ExposedSpec } from "../../src/mesh/spec.ts";
import { decideExposure } from "../../src/steps/exposure.ts";

const MESH = { id: "mesh1", namespace: "istio-system" };
const ways = (...selectors: Record<string, string>[]): Gateways => ({
  services: selectors.map((selector, i): Service => {
    const metadata = { name: `way${i}`, namespace: "edge", labels: { "topology.istio.io/network": "one" } };
    return { apiVersion: "v1", kind: "Service", metadata, spec: { selector, ports: [{ port: 15443 }] } };
  }),
  deployments: [],
  pods: [],
  others: [],
  hidden: [],
  idle: [],
  addresses: [],
});
const OURS = { app: "istio-eastwestgateway", istio: "eastwestgateway" };
const ours = exposure(MESH) as IstioGateway;
const OWNER = ownerOf(MESH, "uid");
const there = proven(OWNER, ours);
const theirs = (hosts: string, name = "theirs"): IstioGateway => {
  const gateway = exposure(MESH, [hosts]) as IstioGateway;
  return { ...gateway, metadata: { name, namespace: "edge", labels: {} } };
};
const TAKING = { revisions: [], looksAt: () => true, scoped: false };
const decide = (gateways: Gateways, exposures: IstioGateway[], domain = "cluster.local", exposed?: ExposedSpec[]) =>
  decideExposure({ ...MESH, ...(exposed ? { exposed } : {}) }, OWNER, domain, gateways, {
    exposures,
    kubernetesGateways: [],
    taking: TAKING,
  });

describe("a Gateway of ours", () => {
  test.each<[string, Gateways, IstioGateway[], string, IstioGateway | undefined]>([
    ["is made where there is none", ways(OURS), [], "cluster.local", ours],
    ["is kept", ways(OURS), [there], "cluster.local", ours],
    ["is made where somebody's is for something else", ways(OURS), [theirs("shop.example.com")], "cluster.local", ours],
    ["is not made beside one that does the job", ways(OURS), [theirs("*")], "cluster.local", undefined],
    [
      "is not made beside one that does it for some namespaces, on purpose",
      ways(OURS),
      [theirs("*.a.svc.cluster.local")],
      "cluster.local",
      undefined,
    ],
    [
      "is not made over one of its name that does the job",
      ways(OURS),
      [{ ...theirs("*", "cross-network-gateway"), metadata: { ...ours.metadata, labels: {} } }],
      "cluster.local",
      undefined,
    ],
    ["is for the cluster's own domain", ways(OURS), [], "corp.io", exposure(MESH, ["*.svc.corp.io"]) as IstioGateway],
    [
      "selects a gateway of other labels by those",
      ways({ app: "way" }),
      [],
      "cluster.local",
      exposure(MESH, ["*.local"], { selector: { app: "way" }, port: 15443 }) as IstioGateway,
    ],
    [
      "selects several gateways by what they have in common",
      ways({ app: "way", v: "1" }, { app: "way", v: "2" }),
      [],
      "cluster.local",
      exposure(MESH, ["*.local"], { selector: { app: "way" }, port: 15443 }) as IstioGateway,
    ],
    ["is not made without a gateway", ways(), [], "cluster.local", undefined],
  ])("%s", (_, gateways, exposures, domain, expected) => {
    expect(decide(gateways, exposures, domain).object).toEqual(expected);
  });

  test("exposes what is selected, by the cluster's domain", () => {
    const { object, evidence } = decide(ways(OURS), [there], "corp.io", [
      { namespace: "a" },
      { namespace: "b", name: "c" },
    ]);
    expect(object?.spec.servers?.[0]?.hosts).toEqual(["*.a.svc.corp.io", "c.b.svc.corp.io"]);
    expect(evidence).toContain("exposes *.a.svc.corp.io, c.b.svc.corp.io on 15443");
  });

  test("goes where none is wanted; somebody else's stays, and is told", () => {
    expect(decide(ways(OURS), [there], "cluster.local", []).gone).toEqual(there);
    const { object, gone, evidence } = decide(ways(OURS), [theirs("*")], "cluster.local", []);
    expect([object, gone]).toEqual([undefined, undefined]);
    expect(evidence).toMatch(/Somebody else's does: .*theirs/);
  });

  test("is never made where the two would keep the gateway from listening", () => {
    expect(() => decide(ways(OURS), [there, theirs("*")])).toThrow(/let the same names in on port 15443/);
  });

  test("cannot select gateways that have nothing in common", () => {
    expect(() => decide(ways({ app: "a" }, { app: "b" }), [])).toThrow(
      /edge\/way0, edge\/way1 have no label in common/,
    );
  });
});
