import { describe, expect, test } from "vitest";
import { type IstioGateway, type KubernetesGateway, servicesAreExposed } from "../../src/checks/exposure.ts";
import type { Gateways } from "../../src/checks/observation.ts";
import { Failure } from "../../src/mesh/failure.ts";

type Server = NonNullable<IstioGateway["spec"]["servers"]>[number];
type Listener = NonNullable<KubernetesGateway["spec"]["listeners"]>[number];

const SELECTOR = { istio: "eastwestgateway" };
const istio = (server: Server, selector: Record<string, string> = SELECTOR): IstioGateway => ({
  apiVersion: "networking.istio.io/v1",
  kind: "Gateway",
  metadata: { name: "expose", namespace: "mesh" },
  spec: { selector, servers: [server] },
});
const server = {
  port: { number: 15443, protocol: "TLS" },
  tls: { mode: "AUTO_PASSTHROUGH" },
  hosts: ["*.local"],
};

const kubernetes = (
  listener: Listener,
  {
    name = "eastwest",
    addresses,
    labels = {},
  }: { name?: string; addresses?: { value: string }[]; labels?: Record<string, string> } = {},
): KubernetesGateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { name, namespace: "mesh", labels },
  spec: { ...(addresses ? { addresses } : {}), listeners: [listener] },
});
const listener = {
  port: 15443,
  protocol: "TLS",
  hostname: "*.local",
  tls: { mode: "Passthrough", options: { "gateway.istio.io/listener-protocol": "auto-passthrough" } },
};

const plain = { ...listener, tls: { mode: "Passthrough" } };

/** A gateway that the procedure made, or one that istiod made for a Gateway of Kubernetes' API. */
function behind(labels: Record<string, string>, own: Record<string, string> = {}): Gateways {
  const metadata = { name: "eastwest-istio", namespace: "mesh", labels: { ...labels, ...own } };
  return {
    services: [{ apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels } }],
    deployments: [],
    pods: [{ metadata }],
  };
}
const OURS = behind(SELECTOR);
const ISTIODS = behind({ "gateway.networking.k8s.io/gateway-name": "eastwest" });

const judge = (gateways: Gateways, exposures: IstioGateway[], others: KubernetesGateway[] | Failure = []) =>
  servicesAreExposed({
    gateways: () => gateways,
    exposures: () => exposures,
    kubernetesGateways: () => {
      if (others instanceof Failure) throw others;
      return others;
    },
  });

describe("services are exposed", () => {
  const ofNetwork = { labels: { "topology.istio.io/network": "network1" } };
  const byAddress = (value: string) => ({ name: "other", addresses: [{ value }] });

  test.each<[string, Gateways, IstioGateway[], KubernetesGateway[] | Failure, RegExp]>([
    ["by Istio's API", OURS, [istio(server)], [], /^Gateway mesh\/expose exposes/],
    [
      "by Istio's API, whatever is of Kubernetes' cannot be read",
      OURS,
      [istio(server)],
      new Failure("forbidden"),
      /^Gateway mesh\/expose exposes/,
    ],
    [
      "on the port that the Service's label says",
      behind(SELECTOR, { "networking.istio.io/gatewayPort": "32443" }),
      [istio({ ...server, port: { number: 32443, protocol: "TLS" } })],
      [],
      /exposes \*\.local on 32443/,
    ],
    ["to hosts of any name", OURS, [istio({ ...server, hosts: ["mesh/*"] })], [], /exposes/],
    [
      "by Kubernetes' API",
      ISTIODS,
      [],
      [kubernetes(listener)],
      /^Gateway mesh\/eastwest of gateway\.networking\.k8s\.io exposes/,
    ],
    [
      "by a listener without a host, beside Gateways for much else",
      ISTIODS,
      [istio({ ...server, port: { number: 443, protocol: "TLS" } }, { app: "ingress" })],
      [kubernetes({ port: 80, protocol: "HTTP" }, { name: "shop" }), kubernetes({ ...listener, hostname: undefined! })],
      /exposes/,
    ],
    ["by a network's Gateway on the port for it", ISTIODS, [], [kubernetes(plain, ofNetwork)], /exposes/],
    [
      "by a Gateway that names the Service",
      OURS,
      [],
      [kubernetes(listener, byAddress("eastwest-istio.mesh.svc.cluster.local"))],
      /exposes/,
    ],
    ["by a Gateway that calls it short", OURS, [], [kubernetes(listener, byAddress("eastwest-istio"))], /exposes/],
  ])("%s", (_, gateways, exposures, others, evidence) => {
    const finding = judge(gateways, exposures, others);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.evidence).toMatch(evidence);
  });
});

describe("services are not exposed", () => {
  test.each<[string, Gateways, IstioGateway[], KubernetesGateway[], RegExp, RegExp]>([
    ["by nothing", OURS, [], [], /^No Gateway exposes the services/, /expose-services/],
    [
      "by what selects other pods",
      OURS,
      [istio(server, { app: "ingress" })],
      [],
      /^Gateway mesh\/expose exposes services, but its selector does not match/,
      /expose-services/,
    ],
    [
      "on another port",
      OURS,
      [istio({ ...server, port: { number: 15444, protocol: "TLS" } })],
      [],
      /Gateway mesh\/expose listens on port 15444 instead of 15443\.$/,
      /^kubectl -n mesh edit gateways\.networking\.istio\.io expose, or/,
    ],
    [
      "in another mode, of another protocol, to other hosts",
      OURS,
      [istio({ port: { number: 15443, protocol: "HTTPS" }, hosts: ["shop.example.com"] })],
      [],
      /protocol HTTPS instead of TLS and has TLS mode \(none\) .* and has hosts shop\.example\.com instead/,
      /edit/,
    ],
    [
      "by a listener that passes through what a route says",
      ISTIODS,
      [],
      [kubernetes(plain)],
      /Gateway mesh\/eastwest of gateway\.networking\.k8s\.io has TLS mode PASSTHROUGH instead of AUTO_PASSTHROUGH/,
      /^kubectl -n mesh edit gateways\.gateway\.networking\.k8s\.io eastwest, or/,
    ],
    [
      "by another gateway's listener",
      ISTIODS,
      [],
      [kubernetes(listener, { name: "shop" })],
      /^No Gateway exposes/,
      /expose-services/,
    ],
  ])("%s", (_, gateways, exposures, others, cause, hint) => {
    const finding = judge(gateways, exposures, others);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
    expect(finding.hint).toMatch(hint);
  });

  test("is not said where the other API cannot be read", () => {
    expect(() => judge(OURS, [], new Failure("forbidden"))).toThrow("forbidden");
  });
});
