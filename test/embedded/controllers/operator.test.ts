import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startCluster } from "../cluster.ts";
import type { Json, Kube } from "../kube.ts";

const NAMESPACE = "istio-system";
const READER = { apiVersion: "v1", kind: "ServiceAccount", namespace: NAMESPACE, name: "istio-reader-service-account" };
const ISTIO = { apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" };
const NAMES = { meshID: "m", network: "n", multiCluster: { clusterName: "c" } };

let kube: Kube;
beforeEach(async () => {
  kube = await startCluster();
});
afterEach(() => kube.stop());

function put(kind: string, name: string, more: Json = {}, namespace?: string): void {
  kube.put({ apiVersion: "v1", kind, metadata: { name, ...(namespace ? { namespace } : {}) }, ...more });
}

function putIstio(): void {
  const spec = { version: "v1.26.3", namespace: NAMESPACE, values: { global: NAMES } };
  put("Istio", "default", { apiVersion: ISTIO.apiVersion, spec });
}

const reconciled = (): Json => kube.get(ISTIO)?.status?.conditions.find(({ type }: Json) => type === "Reconciled");
const healthy = () => vi.waitFor(() => expect(kube.get(ISTIO).status?.state).toBe("Healthy"));

test("a namespace that is missing is an error until it is there", async () => {
  putIstio();
  await vi.waitFor(() =>
    expect(reconciled()?.message).toBe(`validation error: namespace "${NAMESPACE}" doesn't exist`),
  );
  put("Namespace", NAMESPACE);
  await healthy();
  expect(kube.get(ISTIO).status).toMatchObject({ observedGeneration: 1, activeRevisionName: "default" });
});

test("a reader account of somebody else is an error until it is gone, though istiod is ready", async () => {
  put("Namespace", NAMESPACE);
  put("ServiceAccount", READER.name, {}, NAMESPACE);
  putIstio();
  await vi.waitFor(() => {
    const conditions: Json[] = kube.get(ISTIO).status?.conditions ?? [];
    expect(conditions.map(({ type, status }) => `${type}=${status}`)).toContain("Ready=True");
  });
  expect(reconciled()).toMatchObject({ status: "False", reason: "ReconcileError" });
  kube.delete(READER);
  await healthy();
  expect(kube.get(READER).metadata.labels["app.kubernetes.io/managed-by"]).toBe("Helm");
});

test("deleting the Istio takes away what it installed, and only that", async () => {
  put("Namespace", NAMESPACE);
  putIstio();
  await healthy();
  kube.delete(ISTIO);
  await vi.waitFor(() => {
    expect(kube.list("sailoperator.io/v1", "IstioRevision")).toEqual([]);
    expect(kube.list("apps/v1", "Deployment", NAMESPACE)).toEqual([]);
    expect(kube.list("v1", "Pod", NAMESPACE)).toEqual([]);
    expect(kube.get(READER)).toBeUndefined();
  });
  expect(kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE })).toBeDefined();
  expect(kube.get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "istio-ca-secret" })).toBeDefined();
});
