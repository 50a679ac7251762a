import { describe, expect, test } from "vitest";
import { gatewayChecks } from "../../src/checks/gateway.ts";
import type { Service } from "../../src/checks/gateway-service.ts";
import type { Gateways } from "../../src/checks/gateways.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { meshOf } from "../steps/support.ts";

const checks = gatewayChecks(meshOf(["east", "west"]));
const judge = (...services: Service[]) =>
  checks["gateway.address"]!({
    spec: { name: "east", network: "network1" },
    gateways: () => ({ services, deployments: [], pods: [], others: [], hidden: [], idle: [], addresses: [] }),
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
      /has no port 15443 of TCP: istiod does not/,
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

describe("a gateway's version", () => {
  interface Given {
    /** Tag of the proxy's image, or a digest. */
    readonly proxy: string;
    readonly istiod?: string;
    readonly revision?: string;
    /** What the proxy tells istiod. */
    readonly tells?: string | Failure;
    /** Of another revision. */
    readonly second?: string;
  }
  const deployment = (revision: string, image: string) => ({
    metadata: { name: `istiod-${revision}` },
    spec: { template: { metadata: { labels: { "istio.io/rev": revision } }, spec: { containers: [{ image }] } } },
  });
  const judged = ({ proxy, istiod = ":1.31.2", revision = "default", tells, second }: Given) =>
    checks["gateway.version"]!({
      spec: { name: "east", network: "network1" },
      istios: () => [],
      istiods: () => [
        deployment("default", `pilot${istiod}`),
        ...(second ? [deployment("canary", `pilot${second}`)] : []),
      ],
      connections: () => {
        if (tells instanceof Failure) throw tells;
        return tells ? [{ proxy: "gateway-1.mesh", version: tells }] : [];
      },
      gateways: () => ({
        services: [],
        addresses: [],
        deployments: [{ metadata: { name: "eastwest", namespace: "mesh" } }],
        pods: [
          {
            metadata: { name: "gateway-1", namespace: "mesh", annotations: { "istio.io/rev": revision } },
            spec: { containers: [{ name: "istio-proxy", image: `proxyv2${proxy}` }] },
          },
        ],
      }),
    } as unknown as Observation);
  const DIGEST = "@sha256:0123";

  test.each<[string, Given, RegExp | undefined]>([
    ["is istiod's", { proxy: ":1.31.2" }, undefined],
    ["is of another patch", { proxy: ":1.31.4-distroless" }, undefined],
    ["is a vendor's build", { proxy: ":1.31.2-asm-r0" }, undefined],
    [
      "is a minor behind, for an upgrade",
      { proxy: ":1.30.8" },
      /1\.30\.8 under istiod 1\.31\.2.*rollout restart deployment eastwest/,
    ],
    ["is what the proxy tells", { proxy: DIGEST, tells: "1.31.2" }, undefined],
    ["is behind, as the proxy tells", { proxy: DIGEST, tells: "1.30.1" }, /a minor version older/],
    ["is that of its own revision's istiod", { proxy: ":1.30.1", istiod: ":1.30.1", second: ":1.32.0" }, undefined],
  ])("%s", (_, given, warning) => {
    const finding = judged(given);
    expect(finding.verdict, finding.cause).toBe("passed");
    if (warning) expect(finding.warning).toMatch(warning);
    else expect(finding.warning).toBeUndefined();
  });

  test.each<[string, Given, "failed" | "unknown", RegExp]>([
    ["is too old", { proxy: ":1.29.9" }, "failed", /more than a minor version older.*1\.29\.9 under istiod 1\.31\.2/],
    ["is ahead", { proxy: ":1.32.0" }, "failed", /newer than its istiod .*never supports/],
    ["is ahead of its own revision's", { proxy: ":1.31.2", revision: "canary", second: ":1.30.2" }, "failed", /newer/],
    ["is not told", { proxy: DIGEST }, "unknown", /no version in its tag, and no istiod knows it/],
    [
      "cannot be asked",
      { proxy: DIGEST, tells: new Failure("it is closed", "") },
      "unknown",
      /its tag, and it is closed/,
    ],
    ["has an istiod without one", { proxy: ":1.31.2", istiod: DIGEST }, "unknown", /istiod's image has no version/],
    [
      "has no istiod",
      { proxy: ":1.31.2", revision: "gone", second: ":1.30.2" },
      "unknown",
      /no istiod of its revision gone/,
    ],
  ])("%s, and is told", (_, given, verdict, cause) => {
    const finding = judged(given);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause).toMatch(cause);
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
        idle: [],
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
      gateways: () => ({
        services: [],
        deployments: [],
        pods: [],
        others: [],
        hidden: [],
        idle: [],
        addresses: [],
        ...gateways,
      }),
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

test("a Service that selects no pods is a way in, of whose other end the cluster knows nothing", () => {
  const own = service({ ip: "192.0.2.1", labels: { "topology.istio.io/network": "network1" } });
  const seen = {
    spec: { name: "east", network: "network1" },
    gateways: () => ({ services: [own], deployments: [], pods: [], others: [], hidden: [], idle: [], addresses: [] }),
  } as unknown as Observation;
  expect(Object.fromEntries(Object.entries(checks).map(([id, judge]) => [id, judge(seen).verdict]))).toEqual({
    "gateway.deployment": "skipped",
    "gateway.address": "passed",
    "gateway.exposure": "skipped",
    "gateway.network": "passed",
    "gateway.version": "skipped",
  });
});

test("a mesh in one network is asked for no gateway", () => {
  const mesh = meshOf(["east", "west"]);
  const one = { ...mesh, clusters: mesh.clusters.map((each) => ({ ...each, network: "flat" })) };
  const seen = { spec: { name: "east", network: "flat" } } as unknown as Observation;
  for (const judge of Object.values(gatewayChecks(one))) expect(judge(seen).verdict).toBe("skipped");
});
