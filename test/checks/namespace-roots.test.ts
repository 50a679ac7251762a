import { beforeAll, describe, expect, test } from "vitest";
import { namespacesHaveRoot } from "../../src/checks/namespace-roots.ts";
import type { Observation } from "../../src/checks/observation.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { type Authority, at, certificate, now } from "../mesh/certificate.ts";
import { meshOf } from "../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const roots: Record<"own" | "renewed" | "other", Authority> = {} as never;
beforeAll(async () => {
  roots.own = await certificate({ name: "Own" });
  roots.renewed = await certificate({ name: "Own", keysOf: roots.own, notAfter: at(3000) });
  roots.other = await certificate({ name: "Other" });
});
type Root = keyof typeof roots;

interface World {
  /** By namespace, what it holds; those with proxies are `shop` and `bank`. */
  readonly held?: Readonly<Record<string, readonly Root[]>>;
  /** Where the proxies find it. */
  readonly from?: string | undefined;
  readonly configMap?: string | undefined;
  /** Whose proxies they are. */
  readonly controlPlane?: string;
  /** Seconds ago. */
  readonly written?: number;
  readonly unread?: string;
}

function judge(world: World) {
  const { held = {}, controlPlane = "istio-system", written = 3600, unread } = world;
  const rootFrom = "from" in world ? world.from : "istio-ca-root-cert";
  const configMap = "configMap" in world ? world.configMap : "istio-ca-root-cert";
  const pem = (of: readonly Root[]) => of.map((each) => roots[each].pem).join("");
  const proxies = ["shop", "bank"].map((namespace) => ({
    namespace,
    pod: "web-1",
    ready: true,
    proxy: { namespace, pod: "web-1", revision: "default", controlPlane, rootFrom },
  }));
  const seen = {
    istiods: () => [],
    istiod: () => ({ spec: { template: { spec: { containers: [{}] } } } }),
    identities: () => new Map(),
    identity: () => ({}),
    istiodPods: () => [],
    connections: () => [],
    cacerts: () => undefined,
    selfSigned: () => ({ data: { "ca-cert.pem": Buffer.from(roots.own.pem).toString("base64") } }),
    sample: () => ({ workloads: proxies, namespaces: new Map(), part: undefined }),
    bundle: () => ({
      source: "ConfigMap istio-system/istio-ca-root-cert",
      pem: roots.own.pem,
      since: new Date(now.getTime() - written * 1000),
      added: "",
      idle: "",
      ...(configMap ? { configMap } : {}),
    }),
    namespaceBundles: () => {
      if (unread) throw new Failure(unread);
      return new Map(Object.entries(held).map(([namespace, of]) => [namespace, pem(of)]));
    },
  } as unknown as Observation;
  return namespacesHaveRoot(mesh, seen, now);
}

describe("the root that pods find in their namespaces", () => {
  test.each<[string, World]>([
    ["istiod's", { held: { shop: ["own"], bank: ["own"] } }],
    ["in another order, beside another one, and renewed", { held: { shop: ["other", "own"], bank: ["renewed"] } }],
    ["another one where no proxy is", { held: { shop: ["own"], bank: ["own"], dark: ["other"] } }],
    ["by another name than proxies that run since before have it", { from: "old-root-cert" }],
    ["that proxies do not take from there", { from: undefined }],
    [
      "another mesh's, for its own proxies",
      { held: { shop: ["other"], bank: ["other"] }, controlPlane: "other-system" },
    ],
  ])("is right: %s", (_, world) => {
    const { verdict, warning } = judge(world);
    expect([verdict, warning]).toEqual(["passed", undefined]);
  });

  test.each<[string, World, RegExp]>([
    ["missing", { held: { shop: ["own"] } }, /: bank has no ConfigMap istio-ca-root-cert, without which no pod/],
    [
      "another one",
      { held: { shop: ["other"], bank: ["own"] } },
      /: the ConfigMap istio-ca-root-cert of shop holds another/,
    ],
    ["empty", { held: { shop: [], bank: ["own"] } }, /of shop holds another root/],
  ])("is wrong: %s", (_, world, cause) => {
    const finding = judge(world);
    expect(finding).toMatchObject({ verdict: "failed", cause: expect.stringMatching(cause) });
    expect(finding.hint).toMatch(/kubectl -n (shop|bank) get configmap/);
  });

  test("may be on its way, right after a change", () => {
    expect(judge({ held: { shop: ["own"] }, written: 20 })).toMatchObject({
      verdict: "passed",
      warning: expect.stringMatching(/^Not every namespace has it yet: bank has no/),
    });
  });

  test("is not looked for where the cluster has one for all, and is not known where it may not be read", () => {
    expect(judge({ configMap: undefined }).verdict).toBe("skipped");
    expect(() => judge({ unread: "forbidden" })).toThrow("forbidden");
  });
});
