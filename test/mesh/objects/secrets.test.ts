import { describe, expect, test } from "vitest";
import { describe as named, refOf } from "../../../src/mesh/objects/object.ts";
import { chartReaderRole, readerAccount, readerBinding, readerToken } from "../../../src/mesh/objects/reader.ts";
import { cacerts, remoteSecret, secretText } from "../../../src/mesh/objects/secrets.ts";
import { base64 } from "../../cluster/certificates.ts";
import { meshOf } from "../../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const ours = (component: string) => ({
  "app.kubernetes.io/managed-by": "istio-mesh-action",
  "app.kubernetes.io/part-of": "mesh1",
  "app.kubernetes.io/component": component,
});

test("a remote secret: label, annotation and key by which istiod knows the cluster", () => {
  expect(remoteSecret(mesh, "b", "kubeconfig: ä")).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: "istio-remote-secret-b",
      namespace: "istio-system",
      labels: { ...ours("remote-secret"), "istio/multiCluster": "true" },
      annotations: { "networking.istio.io/cluster": "b" },
    },
    type: "Opaque",
    data: { b: base64("kubeconfig: ä") },
  });
});

test("cacerts: the files under the names that istiod reads", () => {
  expect(cacerts(mesh, { "ca-cert.pem": "1", "root-cert.pem": "2" })).toEqual({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: "istio-system", labels: ours("trust") },
    type: "Opaque",
    data: { "ca-cert.pem": base64("1"), "root-cert.pem": base64("2") },
  });
});

test.each<[string, Record<string, string> | undefined, string | undefined]>([
  ["text", { a: base64("ä") }, "ä"],
  ["nothing in it", { a: "" }, ""],
  ["another key", { b: base64("x") }, undefined],
  ["no data", undefined, undefined],
])("a Secret's entry: %s", (_, data, expected) => {
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } };
  expect(secretText(data ? { ...secret, data } : secret, "a")).toBe(expected);
  expect(secretText(undefined, "a")).toBeUndefined();
});

describe("the reader", () => {
  test("account", () => {
    expect(readerAccount(mesh)).toEqual({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "istio-reader-service-account", namespace: "istio-system", labels: ours("reader") },
    });
  });

  test("a token that istioctl finds, and Kubernetes fills", () => {
    expect(readerToken(mesh)).toEqual({
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "istio-reader-service-account-istio-remote-secret-token",
        namespace: "istio-system",
        labels: ours("reader"),
        annotations: { "kubernetes.io/service-account.name": "istio-reader-service-account" },
      },
      type: "kubernetes.io/service-account-token",
    });
  });

  test("binding", () => {
    expect(readerBinding(mesh, "cluster-reader")).toEqual({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "cluster-reader-istio-reader-sa", labels: ours("reader") },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-reader" },
      subjects: [{ kind: "ServiceAccount", name: "istio-reader-service-account", namespace: "istio-system" }],
    });
  });

  test("bindings of different roles and namespaces do not share a name", () => {
    const names = [
      readerBinding(mesh, "a"),
      readerBinding(mesh, "b"),
      readerBinding({ ...mesh, namespace: "mesh" }, "a"),
    ].map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(3);
  });

  test.each<[string, string, string]>([
    ["default", "istio-system", "istio-reader-clusterrole-istio-system"],
    ["canary", "istio-system", "istio-reader-clusterrole-canary-istio-system"],
    ["default-v1-26-3", "mesh", "istio-reader-clusterrole-default-v1-26-3-mesh"],
  ])("the chart's role of revision %s in %s", (revision, namespace, expected) => {
    expect(chartReaderRole({ ...mesh, namespace }, revision)).toBe(expected);
  });
});

test.each([
  [remoteSecret(mesh, "b", ""), "Secret istio-system/istio-remote-secret-b"],
  [readerBinding(mesh, "view"), "ClusterRoleBinding view-istio-reader-sa"],
])("%o is called %s", (object, name) => {
  expect(named(refOf(object))).toBe(name);
});
