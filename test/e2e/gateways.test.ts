// Gateways and exposures as others have them: what istiod takes is right, and where it takes nothing the cause is told.
import { beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import type { Check } from "../../src/mesh/report.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, listed, runOn, untilPassed } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const [source, target] = clusters as [Cluster, Cluster];
const SYSTEM = "istio-system";
const GATEWAY = "istio-eastwestgateway";
const EXPOSURE = "cross-network-gateway";
const NETWORK = "topology.istio.io/network";
const PORT = "networking.istio.io/gatewayPort";

const verify = (traffic = true) =>
  runAction({
    inputs: { command: "verify", clusters: listed(clusters), traffic: String(traffic) },
    timeoutMs: 5 * 60_000,
  });

const checkOf = ({ report }: RunResult, id: string, where: Cluster): Check | undefined =>
  report?.checks.find((check) => check.id === id && (check.subject as { cluster?: string }).cluster === where.name);
const failed = ({ report }: RunResult) =>
  (report?.checks ?? []).filter(({ verdict, because }) => verdict === "failed" && !because);

const patch = (cluster: Cluster, kind: string, name: string, change: object) =>
  cluster.kubectl(["patch", kind, name, "-n", SYSTEM, "--type=merge", "-p", JSON.stringify(change)]);
const remove = (cluster: Cluster, kind: string, name: string, namespace = SYSTEM) =>
  cluster.kubectl(["delete", kind, name, "-n", namespace, "--ignore-not-found"]);

const letIn = (name: string, hosts: string[], selector: Record<string, string>): KubernetesObject => ({
  apiVersion: "networking.istio.io/v1",
  kind: "Gateway",
  metadata: { name, namespace: SYSTEM },
  spec: {
    selector,
    servers: [{ port: { number: 15443, name: "tls", protocol: "TLS" }, tls: { mode: "AUTO_PASSTHROUGH" }, hosts }],
  },
});

async function whole(): Promise<void> {
  const result = await runOn(clusters, { traffic: "false" });
  expect(result.outputs.result, explain(result)).toBe("passed");
}
beforeAll(whole);

it("a typo in values ends the run before anything is written, in all clusters at once", async () => {
  // To the API server a number is no value of an environment variable.
  const result = await runOn(clusters, { values: stringify({ pilot: { env: { MESH_E2E: 1 } } }) });
  expect(result.outputs).toMatchObject({ result: "failed", changed: "false" });
  const checks = failed(result);
  // The clusters are looked at side by side.
  expect(new Set(checks.map(({ id, subject }) => `${id} ${Object.values(subject)}`))).toEqual(
    new Set(clusters.map(({ name }) => `preflight.dry-run ${name}`)),
  );
  expect(checks[0]?.cause).toMatch(/\.spec\.values\.pilot\.env\.MESH_E2E/);
});

describe("right as they are", () => {
  it("another network's gateway, a port that leads to another, and services that are exposed in part on purpose", async () => {
    const vms = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "vms", namespace: SYSTEM, labels: { [NETWORK]: "vms" } },
      spec: { selector: { app: "vms" }, ports: [{ name: "tls", port: 15443 }] },
    };
    await target.apply([vms]);
    const service = await target.get("service", GATEWAY);
    const ports = [...service.spec.ports, { name: "tls-short", port: 443, targetPort: 15443, protocol: "TCP" }];
    await patch(target, "service", GATEWAY, { metadata: { labels: { [PORT]: "443" } }, spec: { ports } });
    await remove(source, "gateways.networking.istio.io", EXPOSURE);
    await source.apply([letIn("some", ["*.team-a.svc.cluster.local"], { istio: "eastwestgateway" })]);
    let result: RunResult;
    try {
      result = await untilPassed(verify, Date.now() + 60_000);
    } finally {
      await Promise.all([
        remove(target, "service", "vms"),
        remove(source, "gateways.networking.istio.io", "some"),
        patch(target, "service", GATEWAY, {
          metadata: { labels: { [PORT]: null } },
          spec: { ports: service.spec.ports },
        }),
      ]);
    }
    expect(result.outputs.result, explain(result)).toBe("passed");
    expect(checkOf(result, "gateway.deployment", target)?.evidence).toContain(
      "not looked at: istio-system/vms of vms.",
    );
    expect(checkOf(result, "gateway.exposure", source)?.evidence).toMatch(/reach namespace team-a, and nothing else/);
    const pairs = result.report?.checks.filter(({ id }) => id === "pair.request") ?? [];
    expect(pairs.map(({ subject, verdict }) => [(subject as { target: string }).target, verdict]).sort()).toEqual([
      [source.name, "skipped"],
      [target.name, "passed"],
    ]);
  });

  it("a gateway of the cluster's own, in another namespace and with other labels", async () => {
    const { spec } = await target.get("deployment", GATEWAY);
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "way", namespace: "edge" } };
    const labels = { app: "way" };
    const own = [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: "edge" } },
      account,
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "way", namespace: "edge" },
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: {
              labels: { ...labels, "sidecar.istio.io/inject": "true", [NETWORK]: target.network },
              annotations: { "inject.istio.io/templates": "gateway" },
            },
            spec: { ...spec.template.spec, serviceAccount: "way", serviceAccountName: "way" },
          },
        },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "way", namespace: "edge", labels: { [NETWORK]: target.network } },
        spec: { type: "LoadBalancer", selector: labels, ports: [{ name: "tls", port: 15443 }] },
      },
    ];
    await remove(target, "deployment,service,hpa,pdb", GATEWAY);
    await remove(target, "gateways.networking.istio.io", EXPOSURE);
    await target.apply(own);
    await target.kubectl(["rollout", "status", "deployment/way", "-n", "edge", "--timeout=90s"], {
      timeoutMs: 100_000,
    });
    let result: RunResult;
    let exposure: KubernetesObject;
    try {
      result = await runOn(clusters, { gateway: stringify({ install: false }) });
      exposure = await target.get("gateways.networking.istio.io", EXPOSURE);
    } finally {
      await target.kubectl(["delete", "namespace", "edge"]);
      await remove(target, "gateways.networking.istio.io", EXPOSURE);
    }
    expect(result.outputs.result, explain(result)).toBe("passed");
    expect(exposure.spec.selector).toEqual(labels);
  });
});

it("two Gateways for the same names on one port are the cause, and install makes none beside another", async () => {
  await whole();
  await target.apply([letIn("everything", ["*"], { istio: "eastwestgateway" })]);
  const seen = await verify(false);
  expect(
    failed(seen).map(({ id }) => id),
    explain(seen),
  ).toEqual(["gateway.exposure"]);
  expect(failed(seen)[0]?.cause).toMatch(/let the same names in on port 15443 of the same pods/);
  const refused = await runOn(clusters, { traffic: "false" });
  expect(
    failed(refused).map(({ id }) => id),
    explain(refused),
  ).toEqual(["preflight.dry-run"]);
  expect(refused.outputs.changed).toBe("false");
  // As the hint says.
  await remove(target, "gateways.networking.istio.io", EXPOSURE);
  const left = await runOn(clusters, { traffic: "false" });
  expect(left.outputs, explain(left)).toMatchObject({ result: "passed", changed: "false" });
  await remove(target, "gateways.networking.istio.io", "everything");
  await whole();
});
