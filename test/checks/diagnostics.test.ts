import { describe, expect, test } from "vitest";
import { diagnose, shaped } from "../../src/checks/diagnostics.ts";
import type { Cluster, ListQuery } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

const SECRET = "s3cr3t-Qq7vXw2LmT9kZp4R";
const TOKEN = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZWFkZXIifQ.${"c2lnbmF0dXJl".repeat(4)}`;
const KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7Zx\nq1w2e3r4\n-----END RSA PRIVATE KEY-----\n";
const base64 = (text: string) => Buffer.from(text).toString("base64");
const mesh = meshOf(["a", "b"]);
const ROOM = 1_000_000;

/** An object with a secret in every place that is not chosen to get out. */
const object = (kind: string, name: string, more: object = {}) => ({
  apiVersion: "v1",
  kind,
  metadata: {
    name,
    namespace: "istio-system",
    labels: { app: "istiod", private: SECRET },
    annotations: { "kubectl.kubernetes.io/last-applied-configuration": SECRET },
    managedFields: [{ manager: SECRET }],
  },
  data: { key: SECRET },
  ...more,
});

const pod = (name: string, container: string) =>
  object("Pod", name, {
    spec: {
      containers: [{ name: container, image: "i:1", env: [{ name: "PASSWORD", value: SECRET }], args: [SECRET] }],
    },
    status: { phase: "Running", message: `token: ${SECRET}` },
  });

const LISTS: Readonly<Record<string, object[]>> = {
  Istio: [
    object("Istio", "default", {
      spec: { version: "v1.26.3", values: { global: { meshID: "mesh1" }, pilot: { env: { PASSWORD: SECRET } } } },
      status: { state: "ReconcileError", conditions: [{ type: "Ready", status: "False", message: `bearer ${TOKEN}` }] },
    }),
  ],
  Deployment: [
    object("Deployment", "istiod", { spec: { replicas: 1, template: { spec: { containers: [{ env: SECRET }] } } } }),
  ],
  Service: [
    object("Service", "istio-eastwestgateway", { status: { loadBalancer: { ingress: [{ ip: "10.0.0.9" }] } } }),
  ],
  Gateway: [
    object("Gateway", "cross-network-gateway", { spec: { servers: [{ hosts: ["*.local"], tls: { mode: "X" } }] } }),
  ],
  Event: [
    object("Event", "e", { reason: "Failed", message: `password=${SECRET} was refused`, lastTimestamp: "2026-01-01" }),
  ],
  Secret: [
    object("Secret", "cacerts", {
      type: "Opaque",
      data: { "ca-key.pem": base64(KEY), "root-cert.pem": base64("a certificate"), token: base64(TOKEN) },
    }),
  ],
};

const list: Cluster["list"] = async <T>({ kind, labelSelector = "" }: ListQuery) => {
  if (kind !== "Pod") return (LISTS[kind] ?? []) as T[];
  const pods = {
    "app=istiod": [pod("istiod-1", "discovery")],
    "istio=eastwestgateway": [pod("gateway-1", "istio-proxy")],
    "": [pod("istiod-1", "discovery")],
  } as Record<string, object[]>;
  return (pods[labelSelector] ?? [pod("operator-1", "manager")]) as T[];
};

const cluster = (more: Partial<Cluster> = {}) =>
  clusterOf("a", {
    version: async () => "v1.33.1",
    get: async () => object("Namespace", "istio-system") as never,
    list,
    logs: async () => `info starting\n${KEY}\nerror Authorization: Bearer ${TOKEN}\nerror password: ${SECRET}\n`,
    exec: async (_, container) => ({
      exitCode: 0,
      stdout:
        container === "discovery"
          ? '[{"id":"b","secretName":"istio-system/x","syncStatus":"timeout"}]'
          : "outbound_.80_._.x.y.svc::10.0.0.9:15443::health_flags::healthy\nxds-grpc::secret::x\n",
      stderr: "",
    }),
    ...more,
  });

describe("diagnostics", () => {
  test("hold what helps to understand the cluster", async () => {
    const { exhibits, missing } = await diagnose(mesh, cluster(), ROOM);
    expect(missing).toEqual([]);
    const text = (path: string) => exhibits.find((each) => each.path === path)?.text ?? "";
    expect(exhibits.map(({ path }) => path)).toEqual([
      "version.txt",
      "istios.json",
      "operator.json",
      "namespace.json",
      "deployments.json",
      "pods.json",
      "services.json",
      "gateways.json",
      "kubernetes-gateways.json",
      "secrets.json",
      "clusterz.json",
      "events.json",
      "logs/istiod-1.txt",
      "proxies/gateway-1.txt",
      "logs/gateway-1.txt",
      "logs/operator-1.txt",
    ]);
    expect(text("istios.json")).toContain("ReconcileError");
    expect(text("services.json")).toContain("10.0.0.9");
    expect(text("gateways.json")).toContain("*.local");
    expect(text("clusterz.json")).toContain("timeout");
    expect(text("logs/istiod-1.txt")).toContain("info starting");
    expect(text("proxies/gateway-1.txt")).toBe("outbound_.80_._.x.y.svc::10.0.0.9:15443::health_flags::healthy");
    expect(JSON.parse(text("secrets.json"))[0]).toMatchObject({
      metadata: { name: "cacerts" },
      data: {
        "ca-key.pem": { bytes: KEY.length },
        "root-cert.pem": { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    });
  });

  test("hold no secret, wherever one is", async () => {
    const all = JSON.stringify(await diagnose(mesh, cluster(), ROOM));
    for (const secret of [SECRET, TOKEN, "MIIEpAIBAAKCAQEA7Zx", "q1w2e3r4", base64(KEY), base64(TOKEN)])
      expect(all).not.toContain(secret);
    expect(all).not.toMatch(/annotations|managedFields|"env"/);
  });

  test("say what could not be read, and hold the rest", async () => {
    const forbidden = () => Promise.reject(new Failure(`Could not read: Forbidden, bearer ${TOKEN}`, ""));
    const { exhibits, missing } = await diagnose(mesh, cluster({ logs: forbidden, version: forbidden }), ROOM);
    expect(missing.map(({ path }) => path)).toEqual(["version.txt", "logs/istiod", "logs/gateway", "logs/operator"]);
    expect(missing[0]?.why).toBe("Could not read: Forbidden, bearer ***");
    expect(exhibits.map(({ path }) => path)).toContain("istios.json");
  });

  test("of a cluster that does not answer say so of everything", async () => {
    const dead = () => Promise.reject(new Failure("It does not answer.", ""));
    const nothing = cluster({ version: dead, get: dead, list: dead, logs: dead, exec: dead });
    const { exhibits, missing } = await diagnose(mesh, nothing, ROOM);
    expect(exhibits).toEqual([]);
    expect(missing.length).toBeGreaterThan(10);
  });

  test("are bounded: of a log the end is kept, and what has no room is named", async () => {
    const long = cluster({ logs: async () => `${"first line\n".repeat(50_000)}the last line` });
    const { exhibits, missing } = await diagnose(mesh, long, 250_000);
    expect(exhibits.map(({ text }) => text.length).reduce((a, b) => a + b)).toBeLessThan(250_000);
    expect(exhibits.find(({ path }) => path === "logs/istiod-1.txt")?.text).toMatch(
      /^\[\d+ characters left out\]\n[\s\S]*the last line$/,
    );
    expect(missing.map(({ path }) => path)).toEqual(["logs/gateway-1.txt", "logs/operator-1.txt"]);
  });
});

test("a shape lets nothing out that it does not name", () => {
  const shape = { a: true, list: [{ b: true }], in: { c: true } } as const;
  const value = { a: 1, z: 2, list: [{ b: "x", z: 1 }, null], in: { c: null, d: 1 }, more: {} };
  expect(shaped(value, shape)).toEqual({ a: 1, list: [{ b: "x" }, undefined], in: {} });
  expect(shaped({ a: { hidden: 1 }, list: "text" }, shape)).toEqual({});
});
