import { describe, expect, test } from "vitest";
import { collectionPath, groupResource, listPath, objectPath } from "../../src/cluster/resources.ts";

const gateway = { apiVersion: "networking.istio.io/v1", kind: "Gateway" };
const secret = { apiVersion: "v1", kind: "Secret" };
const rbac = "rbac.authorization.k8s.io/v1";

describe("paths", () => {
  test.each<[string, string]>([
    [
      objectPath({ ...secret, namespace: "istio-system", name: "cacerts" }),
      "/api/v1/namespaces/istio-system/secrets/cacerts",
    ],
    [objectPath({ apiVersion: "v1", kind: "Namespace", name: "istio-system" }), "/api/v1/namespaces/istio-system"],
    [objectPath({ ...gateway, namespace: "a", name: "b" }), "/apis/networking.istio.io/v1/namespaces/a/gateways/b"],
    [
      objectPath({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" }),
      "/apis/sailoperator.io/v1/istios/default",
    ],
    [
      objectPath({ apiVersion: rbac, kind: "ClusterRole", name: "system:a/b" }),
      `/apis/${rbac}/clusterroles/system%3Aa%2Fb`,
    ],
    // A cluster's object has no namespace, whatever is said of it.
    [objectPath({ apiVersion: rbac, kind: "ClusterRole", namespace: "x", name: "y" }), `/apis/${rbac}/clusterroles/y`],
    [
      objectPath({ ...secret, namespace: "../x", name: "../../y?z" }),
      "/api/v1/namespaces/..%2Fx/secrets/..%2F..%2Fy%3Fz",
    ],
    [collectionPath(secret), "/api/v1/secrets"],
    [
      collectionPath({ apiVersion: "policy/v1", kind: "PodDisruptionBudget", namespace: "a" }),
      "/apis/policy/v1/namespaces/a/poddisruptionbudgets",
    ],
    [
      collectionPath({ apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview" }),
      "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    ],
    [listPath({ ...secret, namespace: "a" }), "/api/v1/namespaces/a/secrets"],
    [
      listPath(
        { ...secret, namespace: "a", labelSelector: "a in (b,c),d=e", fieldSelector: "metadata.name=x" },
        { watch: "true" },
      ),
      "/api/v1/namespaces/a/secrets?watch=true&labelSelector=a+in+%28b%2Cc%29%2Cd%3De&fieldSelector=metadata.name%3Dx",
    ],
  ])("%s", (path, expected) => {
    expect(path).toBe(expected);
  });

  test("a kind that is not in the table is a defect that names itself", () => {
    expect(() => collectionPath({ apiVersion: "v1", kind: "Node" })).toThrow("v1 Node is missing");
    // Other products define a kind Istio too.
    expect(() => collectionPath({ apiVersion: "operator.example/v1", kind: "Istio" })).toThrow("is missing");
  });
});

test.each<[{ apiVersion: string; kind: string }, { group: string; resource: string }]>([
  [secret, { group: "", resource: "secrets" }],
  [gateway, { group: "networking.istio.io", resource: "gateways" }],
  [
    { apiVersion: "apps/v1", kind: "Deployment" },
    { group: "apps", resource: "deployments" },
  ],
])("%o as access reviews name it", (kind, expected) => {
  expect(groupResource(kind)).toEqual(expected);
});
