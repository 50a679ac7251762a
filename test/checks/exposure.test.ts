import { describe, expect, test } from "vitest";
import { exposedHosts, servicesAreExposed } from "../../src/checks/exposure.ts";
import type { IstioGateway, KubernetesGateway } from "../../src/checks/gateway-resource.ts";
import type { Gateways } from "../../src/checks/gateways.ts";
import type { Taking } from "../../src/checks/taking.ts";
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
    className = "istio",
  }: { name?: string; addresses?: { value: string }[]; labels?: Record<string, string>; className?: string } = {},
): KubernetesGateway => ({
  apiVersion: "gateway.networking.k8s.io/v1",
  kind: "Gateway",
  metadata: { name, namespace: "mesh", labels },
  spec: { gatewayClassName: className, ...(addresses ? { addresses } : {}), listeners: [listener] },
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
    pods: [{ metadata: { ...metadata, labels: { ...labels, ...own } } }],
    others: [],
    hidden: [],
    idle: [],
    addresses: [],
  };
}
const OURS = behind(SELECTOR);
const ISTIODS = behind({ "gateway.networking.k8s.io/gateway-name": "eastwest" });

const ALL: Taking = { revisions: ["default"], looksAt: () => true, scoped: false };
const facts = (
  gateways: Gateways,
  exposures: IstioGateway[],
  others: KubernetesGateway[] | Failure = [],
  domain = "cluster.local",
  taking = ALL,
) =>
  ({
    gateways: () => gateways,
    clusterDomain: () => domain,
    taking: () => taking,
    exposures: () => exposures,
    kubernetesGateways: () => {
      if (others instanceof Failure) throw others;
      return others;
    },
  }) satisfies Parameters<typeof servicesAreExposed>[0];
const judge = (...given: Parameters<typeof facts>) => servicesAreExposed(facts(...given));

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
      [istio({ port: { number: 15443, protocol: "TCP" }, hosts: ["shop.example.com"] })],
      [],
      /protocol TCP instead of TLS and has TLS mode \(none\) .* and has hosts shop\.example\.com instead/,
      /edit/,
    ],
    [
      "at an address of the pod's own",
      OURS,
      [istio({ ...server, bind: "127.0.0.1" })],
      [],
      /Gateway mesh\/expose is bound to 127\.0\.0\.1\.$/,
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
      "by a Gateway that only tells istiod of one elsewhere",
      ISTIODS,
      [],
      [kubernetes(listener, { className: "istio-remote" })],
      /^No Gateway exposes/,
      /expose-services/,
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

describe("several Gateways on one port", () => {
  const passing = (name: string, ...hosts: string[]): IstioGateway => {
    const gateway = istio({ ...server, hosts });
    return {
      ...gateway,
      metadata: { ...gateway.metadata, name, creationTimestamp: `2026-01-0${name.at(-1)}T00:00:00Z` },
    };
  };
  const terminating = (name: string, host: string): IstioGateway => {
    const gateway = passing(name, host);
    return { ...gateway, spec: { ...gateway.spec, servers: [{ ...server, hosts: [host], tls: { mode: "SIMPLE" } }] } };
  };
  const plainText = (name: string): IstioGateway => {
    const gateway = passing(name, "*");
    const servers = [{ port: { number: 15443, protocol: "HTTP" }, hosts: ["*"] }];
    return { ...gateway, spec: { ...gateway.spec, servers } };
  };

  test.each<[string, IstioGateway[], RegExp]>([
    [
      "for the same host, of which the later is left out",
      [passing("b2", "*.local"), passing("a1", "*.local")],
      /^Gateway mesh\/a1 exposes \*\.local/,
    ],
    [
      "for different namespaces",
      [passing("a1", "*.a.svc.cluster.local"), passing("b2", "*.b.svc.cluster.local")],
      /^Gateway mesh\/a1, Gateway mesh\/b2 expose/,
    ],
    [
      "of which one is for something else",
      [passing("a1", "*.local"), terminating("b2", "shop.example.com")],
      /^Gateway mesh\/a1 exposes/,
    ],
    [
      "one of which comes with plain text later",
      [passing("a1", "*.local"), plainText("b2")],
      /^Gateway mesh\/a1 exposes/,
    ],
  ])("%s, are right", (_, gateways, evidence) => {
    const finding = judge(OURS, gateways);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.evidence).toMatch(evidence);
  });

  test.each<[string, IstioGateway[], RegExp]>([
    [
      "for all and for some",
      [passing("a1", "*"), passing("b2", "*.local")],
      /^Gateway mesh\/a1 \(\*\) and Gateway mesh\/b2 \(\*\.local\) let the same names in on port 15443 of the same pods/,
    ],
    [
      "for all and for a namespace",
      [passing("b2", "*.a.svc.cluster.local"), passing("a1", "*.local")],
      /^Gateway mesh\/a1 \(\*\.local\) and Gateway mesh\/b2/,
    ],
    [
      "for the same host, bound to a namespace by one of them",
      [passing("a1", "mesh/*"), passing("b2", "*")],
      /let the same names in/,
    ],
    [
      "of which the elder has the host for something else",
      [terminating("a1", "*.local"), passing("b2", "*.local")],
      /b2 comes after another one that has the port, or its hosts/,
    ],
    [
      "of which the elder is plain text",
      [plainText("a1"), passing("b2", "*.local")],
      /b2 comes after another one that has the port/,
    ],
  ])("%s, are told as what istiod makes of them", (_, gateways, cause) => {
    const finding = judge(OURS, gateways);
    expect(finding.verdict).toBe("failed");
    expect(finding.cause).toMatch(cause);
  });

  test("are mended by deleting ours, where one of them is", () => {
    const ours = passing("a1", "*.local");
    const labelled = {
      ...ours,
      metadata: { ...ours.metadata, labels: { "app.kubernetes.io/managed-by": "istio-mesh-action" } },
    };
    const { hint } = judge(OURS, [labelled, passing("b2", "*")]);
    expect(hint).toMatch(/: kubectl -n mesh delete gateways\.networking\.istio\.io a1$/);
  });
});

describe("the port that the traffic arrives at", () => {
  const leadingTo = (
    targetPort: number | string,
    labels: Record<string, string> = { "networking.istio.io/gatewayPort": "443" },
  ): Gateways => {
    const gateways = behind(SELECTOR, labels);
    const [service, pod] = [gateways.services[0]!, gateways.pods[0]!];
    const ports = [{ name: "mtls", containerPort: 15443 }];
    return {
      ...gateways,
      services: [{ ...service, spec: { ...service.spec, ports: [{ port: 443, targetPort }] } }],
      pods: [{ ...pod, spec: { containers: [{ name: "istio-proxy", ports }] } }],
    };
  };
  const on = (number: number) => [istio({ ...server, port: { number, protocol: "TLS" } })];

  test.each<[string, Gateways, IstioGateway[], string]>([
    ["is where the Service's port leads", leadingTo(15443), on(15443), "passed"],
    ["is the Service's port, too, which istiod translates", leadingTo(15443), on(443), "passed"],
    ["may have a name", leadingTo("mtls"), on(15443), "passed"],
    ["is no other one", leadingTo(15443), on(15444), "failed"],
    ["is not the Service's, where that leads elsewhere", leadingTo(8443), on(15443), "failed"],
  ])("%s", (_, gateways, exposures, verdict) => {
    expect(judge(gateways, exposures).verdict).toBe(verdict);
  });
});

describe("the hosts", () => {
  const to = (...hosts: string[]) => [istio({ ...server, hosts })];

  test.each<[string, string[], string, RegExp, string[] | undefined]>([
    [
      "of all Services",
      ["*.svc.cluster.local"],
      "cluster.local",
      /exposes \*\.svc\.cluster\.local on 15443/,
      undefined,
    ],
    [
      "of a namespace, on purpose",
      ["*.team-a.svc.cluster.local"],
      "cluster.local",
      /reach namespace team-a, and nothing else\.$/,
      ["*.team-a.svc.cluster.local"],
    ],
    [
      "of a Service",
      ["web.team-a.svc.cluster.local"],
      "cluster.local",
      /reach Service team-a\/web, and nothing else/,
      ["web.team-a.svc.cluster.local"],
    ],
    ["of some, and of all", ["*.team-a.svc.cluster.local", "*"], "cluster.local", /exposes \* on/, undefined],
    ["of another domain", ["*.svc.corp.io"], "corp.io", /exposes \*\.svc\.corp\.io/, undefined],
    ["of another domain, as a whole", ["*.io"], "corp.io", /exposes \*\.io/, undefined],
  ])("%s", (_, hosts, domain, evidence, narrow) => {
    const finding = judge(OURS, to(...hosts), [], domain);
    expect(finding.verdict, finding.cause).toBe("passed");
    expect(finding.evidence).toMatch(evidence);
    expect(exposedHosts(facts(OURS, to(...hosts), [], domain))).toEqual(narrow);
  });

  test("of no Service of the cluster's domain expose nothing", () => {
    expect(judge(OURS, to("*.local"), [], "corp.io").cause).toMatch(
      /has hosts \*\.local instead of \*\.svc\.corp\.io\.$/,
    );
  });
});

describe("pods of two kinds behind one Service", () => {
  const two: Gateways = {
    ...OURS,
    services: [{ ...OURS.services[0]!, spec: { selector: { app: "gateway" } } }],
    pods: ["one", "other"].map((name) => ({
      metadata: { name, namespace: "mesh", labels: { app: "gateway", istio: name } },
    })),
  };
  const forPods = (name: string, host: string): IstioGateway => {
    const gateway = istio({ ...server, hosts: [host] }, { istio: name });
    return { ...gateway, metadata: { ...gateway.metadata, name } };
  };

  test.each<[string, IstioGateway[], string, RegExp]>([
    [
      "may have a Gateway each",
      [forPods("one", "*"), forPods("other", "*.local")],
      "passed",
      /one exposes \*.*other exp/,
    ],
    [
      "each need one",
      [forPods("one", "*")],
      "failed",
      /its selector does not match the east-west gateway's pods other\.$/,
    ],
  ])("%s", (_, gateways, verdict, told) => {
    const finding = judge(two, gateways);
    expect(finding.verdict).toBe(verdict);
    expect(finding.cause ?? finding.evidence).toMatch(told);
  });
});

describe("a Gateway of a revision", () => {
  const of = (revision: string): IstioGateway => {
    const gateway = istio(server);
    return { ...gateway, metadata: { ...gateway.metadata, labels: { "istio.io/rev": revision } } };
  };
  const two: Taking = { ...ALL, revisions: ["default", "canary"] };
  const injected = (revision: string): Gateways => ({
    ...OURS,
    pods: OURS.pods.map((pod) => ({
      ...pod,
      metadata: { ...pod.metadata, annotations: { "istio.io/rev": revision } },
    })),
  });

  test.each<[string, Gateways, Taking, string, RegExp]>([
    ["is taken by its istiod", injected("canary"), two, "passed", /exposes/],
    ["is left aside by another one", OURS, two, "failed", /rev=canary, and the gateway's pods are of revision default/],
    ["may be a tag's", OURS, ALL, "passed", /unless it is a tag of one, istiod does not take it/],
  ])("%s", (_, gateways, taking, verdict, told) => {
    const finding = judge(gateways, [of("canary")], [], "cluster.local", taking);
    expect(finding.verdict).toBe(verdict);
    expect([finding.cause, finding.warning, finding.evidence].join("\n")).toMatch(told);
  });
});

test("each of several gateways of the network has to be exposed", () => {
  const two = behind({ app: "second" });
  const both: Gateways = {
    ...OURS,
    services: [...OURS.services, { ...two.services[0]!, metadata: { ...two.services[0]!.metadata, name: "second" } }],
    pods: [...OURS.pods, ...two.pods],
  };
  expect(judge(both, [istio(server)]).verdict).toBe("failed");
  expect(judge(both, [istio(server), istio(server, { app: "second" })]).verdict).toBe("passed");
});
