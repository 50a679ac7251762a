import { describe, expect, test } from "vitest";
import { controlPlaneChecks, trustDomainsGoTogether, versionsGoTogether } from "../../src/checks/control-plane.ts";
import type { Observation } from "../../src/checks/observation.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import { meshOf } from "../steps/support.ts";

/** Of clusters `a`, `b` and so on. */
const observed = <T>(parts: readonly T[], of: (part: T) => object) =>
  parts.map((part, i) => ({ spec: { name: "abc"[i] }, ...of(part) }) as Observation);

describe("the clusters' trust domains", () => {
  /** @param more the version of each istiod, the trust domains that come with others' roots, and its environment */
  const judgeBeside =
    (more: { version?: string; trustDomains?: string[]; env?: Record<string, string> }) =>
    (...domains: (readonly [domain: string, ...aliases: string[]])[]) =>
      trustDomainsGoTogether(
        observed(domains, ([trustDomain, ...trustDomainAliases]) => ({
          identity: () => ({
            trustDomain,
            trustDomainAliases,
            caCertificates: [{ trustDomains: more.trustDomains ?? [] }],
          }),
          istios: () => [],
          istiod: () => ({
            metadata: {},
            spec: {
              template: {
                spec: {
                  containers: [
                    {
                      image: `pilot:${more.version ?? "1.26.3"}`,
                      env: Object.entries(more.env ?? {}).map(([name, value]) => ({ name, value })),
                    },
                  ],
                },
              },
            },
          }),
        })),
      );
  const judge = judgeBeside({});
  const unchecked = { PILOT_SKIP_VALIDATE_TRUST_DOMAIN: "true" };

  test.each<[string, ReturnType<typeof judge>, RegExp]>([
    ["are one", judge(["east"], ["east"]), /^The trust domain is east everywhere/],
    ["are each other's aliases", judge(["east", "west"], ["west", "east"]), /east in a; west in b/],
    [
      "come with the others' roots",
      judgeBeside({ version: "1.29.0", trustDomains: ["east", "west"] })(["east"], ["west"]),
      /east in a; west in b/,
    ],
    [
      "are not looked at",
      judgeBeside({ version: "1.30.1", env: unchecked })(["east"], ["west"]),
      /east in a; west in b/,
    ],
  ])("%s", (_, { verdict, evidence }, told) => {
    expect(verdict).toBe("passed");
    expect(evidence).toMatch(told);
  });

  test.each<[string, ReturnType<typeof judge>, string[], RegExp]>([
    ["differ", judge(["east"], ["west"]), ["a", "b"], /a does not know west; b does not know east\.$/],
    [
      "come with the others' roots, which who calls does not go by yet",
      judgeBeside({ version: "1.28.9", trustDomains: ["east", "west"], env: unchecked })(["east"], ["west"]),
      ["a", "b"],
      /a does not know west; b does not know east\.$/,
    ],
    ["are known to one side only", judge(["east", "west"], ["west"]), ["b"], /aliases, b does not know east\.$/],
    [
      "are known to all but one",
      judge(["east", "west"], ["west", "east"], ["east"]),
      ["c"],
      /east in a, c; west in b\. .* c does not know west\.$/,
    ],
  ])("%s", (_, { verdict, cause, clusters, hint }, where, told) => {
    expect(verdict).toBe("failed");
    expect(cause).toMatch(told);
    expect(clusters).toEqual(where);
    expect(hint).toMatch(/trustDomainAliases/);
  });
});

describe("a control plane's identity", () => {
  const LABEL = "topology.istio.io/network";
  const checks = controlPlaneChecks(meshOf(["east", "west"]));
  const judge = (identity: object, label: string | undefined) => {
    const own = { clusterName: "east", network: "network-east", meshId: "mesh1", trustDomain: "cluster.local" };
    const namespace = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: "istio-system", labels: label ? { [LABEL]: label } : {} },
    };
    const seen = {
      spec: { name: "east", network: "network-east", values: {} },
      istiod: () => ({}),
      identities: () => new Map([["default", { ...own, ...identity }]]),
      istios: () => [],
      namespace: () => namespace,
      meshConfig: () => ({ networkGateways: [] }),
    } as unknown as Observation;
    return (["control-plane.identity", "control-plane.network"] as const).map((id) => {
      const { verdict, warning } = checks[id]?.(seen) ?? { verdict: "none" };
      return warning ? `${verdict}, warned` : verdict;
    });
  };

  test.each<[string, object, string | undefined, string[]]>([
    ["is the mesh's", {}, "network-east", ["passed", "passed"]],
    ["has no mesh ID", { meshId: undefined }, "network-east", ["passed, warned", "passed"]],
    ["has no label on the namespace", {}, undefined, ["passed", "passed, warned"]],
    ["has its network by the label alone", { network: undefined }, "network-east", ["passed, warned", "passed"]],
    ["has no network", { network: undefined }, undefined, ["failed", "passed, warned"]],
    ["has another label alone", { network: undefined }, "other", ["passed, warned", "failed"]],
    ["has another label", {}, "other", ["passed", "failed"]],
    ["has another name", { clusterName: "Kubernetes" }, "network-east", ["failed", "passed"]],
    ["has another mesh ID", { meshId: "other" }, "network-east", ["failed", "passed"]],
  ])("%s", (_, identity, label, verdicts) => {
    expect(judge(identity, label)).toEqual(verdicts);
  });
});

describe("the control planes' versions", () => {
  interface Plane {
    image?: string;
    /** Of the Istio resource of the same revision. */
    resource?: string;
    label?: string;
  }
  const judge = (...planes: Plane[]) =>
    versionsGoTogether(
      observed(planes, ({ image, resource, label }) => ({
        istiod: (): Deployment | undefined =>
          image === undefined
            ? undefined
            : ({
                metadata: { labels: { "app.kubernetes.io/version": label } },
                spec: { template: { spec: { containers: [{ image }] } } },
              } as unknown as Deployment),
        istios: () => [
          { metadata: { name: "other" }, spec: { version: "v1.0.1" } },
          { metadata: { name: "mesh" }, spec: { version: resource }, status: { activeRevisionName: "default" } },
        ],
      })),
    );
  const of = (image: string) => ({ image });
  const digest = "registry.example.com/pilot@sha256:0123456789abcdef";

  test.each<[string, ReturnType<typeof judge>, string, RegExp]>([
    ["are one", judge(of("pilot:1.26.3"), of("hub:5000/pilot:v1.26.3")), "passed", /^All .* run Istio 1\.26\.3\./],
    ["are one in two variants", judge(of("pilot:1.26.3"), of("pilot:1.26.3-distroless")), "passed", /^All/],
    [
      "are told by the Istio resource, by the charts, and by a tag beside a digest",
      judge({ image: digest, resource: "v1.26.3" }, { image: digest, label: "1.26.3" }, of("pilot:1.26.3@sha256:01")),
      "passed",
      /^All .* run Istio 1\.26\.3\./,
    ],
    ["are neighbours", judge(of("pilot:1.26.3"), of("pilot:1.27.0")), "passed", /differ: 1\.26\.3 in a; 1\.27\.0 in b/],
    ["are too far apart", judge(of("pilot:1.26.3"), of("pilot:1.28.0")), "failed", /are 2 minor versions apart/],
    [
      "are not told",
      judge(of("pilot:1.26.3"), { image: "pilot:latest", resource: "v1.26-latest", label: "1.0.0" }),
      "unknown",
      /could not be told in b/,
    ],
    ["are not there", judge(of("pilot:1.26.3"), {}), "unknown", /could not be told in b/],
  ])("%s", (_, finding, verdict, told) => {
    expect(finding.verdict).toBe(verdict);
    expect([finding.evidence, finding.warning, finding.cause].join("\n")).toMatch(told);
  });
});
