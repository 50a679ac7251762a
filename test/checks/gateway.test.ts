import { describe, expect, test } from "vitest";
import { gatewayChecks } from "../../src/checks/gateway.ts";
import type { Service } from "../../src/checks/gateway-service.ts";
import type { Gateways } from "../../src/checks/gateways.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { meshOf } from "../steps/support.ts";

const checks = gatewayChecks(meshOf(["east", "west"]));
const judge = (...services: Service[]) =>
  checks["gateway.address"]!({
    spec: { name: "east", network: "network1" },
    gateways: () => ({ services, deployments: [], pods: [], others: [], hidden: [], addresses: [] }),
  } as unknown as Observation);

interface Given {
  type?: string;
  ports?: number[];
  externalIPs?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ip?: string;
}
const service = ({ type = "LoadBalancer", ports = [15443], externalIPs, labels, annotations, ip }: Given): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "eastwest", namespace: "mesh", ...(labels && { labels }), ...(annotations && { annotations }) },
  spec: { type, ports: ports.map((port) => ({ port })), ...(externalIPs && { externalIPs }) },
  ...(ip && { status: { loadBalancer: { ingress: [{ ip }] } } }),
});

describe("a gateway's address", () => {
  const nodes = { "traffic.istio.io/nodeSelector": '{"role":"gateway"}' };
  const other = { "networking.istio.io/gatewayPort": "32443" };

  test.each<[string, Given, RegExp]>([
    ["is what a load balancer gave", { ip: "192.0.2.1" }, /address is 192\.0\.2\.1\.$/],
    ["is an external IP", { type: "ClusterIP", externalIPs: ["192.0.2.2"] }, /address is 192\.0\.2\.2\.$/],
    ["is its nodes'", { type: "NodePort", annotations: nodes }, /its nodes'/],
    ["is of another port, by its label", { ip: "192.0.2.1", ports: [32443], labels: other }, /192\.0\.2\.1/],
  ])("%s", (_, given, evidence) => {
    const finding = judge(service(given));
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.evidence).toMatch(evidence);
  });

  test.each<[string, Given | undefined, RegExp, RegExp]>([
    ["is nowhere", undefined, /no Service is labelled topology\.istio\.io\/network=network1/, /install/],
    ["is to come", {}, /mesh\/eastwest has no address/, /load balancer controller.* describe service eastwest$/],
    [
      "is nobody's node's",
      { type: "NodePort" },
      /is a NodePort without the annotation traffic\.istio\.io\/nodeSelector/,
      /^Say which nodes: kubectl -n mesh annotate service eastwest traffic\.istio\.io\/nodeSelector='\{\}'$/,
    ],
    [
      "has no port to come in by",
      { ip: "192.0.2.1", ports: [443] },
      /has no port 15443: istiod does not/,
      /edit service/,
    ],
    [
      "has not the port of its label",
      { ip: "192.0.2.1", ports: [15443], labels: other },
      /has no port 32443/,
      /edit service/,
    ],
  ])("%s, and is told", (_, given, cause, hint) => {
    const finding = judge(...(given ? [service(given)] : []));
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
  });
});

describe("a gateway's network", () => {
  const LABEL = "topology.istio.io/network";
  const judged = (ofService: string | undefined, ofPod: string | undefined) =>
    checks["gateway.network"]!({
      spec: { name: "east", network: "network1" },
      gateways: () => ({
        services: [service({ labels: ofService ? { [LABEL]: ofService } : {} })],
        deployments: [],
        others: [],
        hidden: [],
        pods: [{ metadata: { name: "gateway", labels: ofPod ? { [LABEL]: ofPod } : {} } }],
      }),
    } as unknown as Observation).verdict;

  test.each<[string, string | undefined, string | undefined, string]>([
    ["is its Service's and its pods'", "network1", "network1", "passed"],
    [
      "is its Service's; its pods have it from the values that they were injected with",
      "network1",
      undefined,
      "passed",
    ],
    ["is another one of its pods", "network1", "network2", "failed"],
    ["is not its Service's", undefined, "network1", "failed"],
  ])("%s", (_, ofService, ofPod, verdict) => {
    expect(judged(ofService, ofPod)).toBe(verdict);
  });
});

describe("gateways that are not the network's", () => {
  const vms = service({ labels: { "topology.istio.io/network": "vms" } });
  const seen = (gateways: Partial<Gateways>) =>
    ({
      spec: { name: "east", network: "network1" },
      gateways: () => ({ services: [], deployments: [], pods: [], others: [], hidden: [], addresses: [], ...gateways }),
    }) as unknown as Observation;

  test("are named where there is no other", () => {
    const { cause } = checks["gateway.network"]!(seen({ others: [vms] }));
    expect(cause).toMatch(
      /^There is no east-west gateway: .*network1\. Of other networks, and not looked at: mesh\/eastwest of vms\.$/,
    );
  });

  test("are not asked for where the mesh configuration names an address", () => {
    const finding = checks["gateway.address"]!(seen({ addresses: ["192.0.2.1:443"] }));
    expect([finding.verdict, finding.evidence]).toEqual(["passed", expect.stringContaining("192.0.2.1:443")]);
    for (const id of ["gateway.deployment", "gateway.exposure", "gateway.network"] as const)
      expect(checks[id]!(seen({ addresses: ["192.0.2.1:443"] })).verdict).toBe("skipped");
  });

  test("are those where istiod does not look", () => {
    const own = service({ labels: { "topology.istio.io/network": "network1" } });
    const finding = checks["gateway.network"]!(seen({ services: [own], hidden: [own] }));
    expect(finding.cause).toMatch(/^istiod takes no Service of namespace mesh for a gateway, .*discoverySelectors/);
    expect(finding.hint).toContain("kubectl label namespace mesh");
  });
});

test("a mesh in one network is asked for no gateway", () => {
  const mesh = meshOf(["east", "west"]);
  const one = { ...mesh, clusters: mesh.clusters.map((each) => ({ ...each, network: "flat" })) };
  const seen = { spec: { name: "east", network: "flat" } } as unknown as Observation;
  for (const judge of Object.values(gatewayChecks(one))) expect(judge(seen).verdict).toBe("skipped");
});
