import { describe, expect, test } from "vitest";
import { foreignContents, goingRevisions, terminating } from "../../src/checks/inventory.ts";
import { ownerOf, proven } from "../../src/mesh/claim.ts";
import type { KubernetesObject, ObjectMeta } from "../../src/mesh/objects/object.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import { meshOf } from "../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const mine = ownerOf(mesh, "uid-of-a");

function object(kind: string, name: string, metadata: Partial<ObjectMeta> = {}, spec?: object): KubernetesObject {
  return { apiVersion: "v1", kind, metadata: { name, uid: `${kind} ${name}`, ...metadata }, ...(spec ? { spec } : {}) };
}
const owner = (kind: string, name: string) => [{ apiVersion: "v1", kind, name, uid: `${kind} ${name}` }];

describe("in a namespace of ours", () => {
  test.each<[string, KubernetesObject[]]>([
    ["ours", [proven(mine, object("Secret", "cacerts", { labels: ownership(mesh, "trust") }))]],
    ["what Kubernetes puts everywhere", [object("ConfigMap", "kube-root-ca.crt"), object("ServiceAccount", "default")]],
    [
      "what OpenShift puts everywhere",
      [object("ServiceAccount", "builder"), object("RoleBinding", "system:deployers")],
    ],
    [
      "the credentials of such an account",
      [
        object("ServiceAccount", "default"),
        object("Secret", "default-token-1", { annotations: { "kubernetes.io/service-account.name": "default" } }),
      ],
    ],
    ["what OLM copies everywhere", [object("ClusterServiceVersion", "x", { labels: { "olm.copiedFrom": "y" } })]],
    [
      "what istiod tells every namespace",
      [object("ConfigMap", "istio-ca-root-cert"), object("ConfigMap", "istio-ca-crl")],
    ],
    [
      "the leaders that istiod noted",
      [
        object("ConfigMap", "istio-leader", { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } }),
        object("Lease", "istio-gateway-deployment-default"),
      ],
    ],
    ["what is being deleted", [object("Pod", "p", { deletionTimestamp: "2026-11-20T12:00:00Z" })]],
    ["events, and what follows a Service", [object("Event", "e"), object("Endpoints", "e")]],
  ])("nothing is somebody's: %s", (_, contents) => {
    expect(foreignContents(mine, contents)).toEqual({ foreign: [], passing: [] });
  });

  test.each<[string, KubernetesObject]>([
    ["without labels", object("ConfigMap", "kiali")],
    ["labelled as ours, without the proof", object("Secret", "cacerts", { labels: ownership(mesh, "trust") })],
    ["of a kind that nobody knows", object("EnvoyFilter", "tuning")],
    ["of another mesh", object("Secret", "x", { labels: ownership({ id: "mesh2" }, "trust") })],
    ["of Helm's", object("Secret", "sh.helm.release.v1.kiali.v1", { labels: { owner: "helm" } })],
    ["a root that istiod made for itself", object("Secret", "istio-ca-secret")],
  ])("it is somebody's: %s", (_, somebodys) => {
    expect(foreignContents(mine, [somebodys])).toEqual({ foreign: [somebodys], passing: [] });
  });

  test("what has an owner is told by its owner", () => {
    const deployment = object("Deployment", "kiali");
    const pod = object("Pod", "kiali-1", { ownerReferences: owner("Deployment", "kiali") });
    expect(foreignContents(mine, [deployment, pod])).toEqual({ foreign: [deployment], passing: [] });
  });

  test("what has lost its owner, or its account, is about to go", () => {
    const pod = object("Pod", "istiod-1", { ownerReferences: owner("ReplicaSet", "istiod") });
    const token = object("Secret", "token", { annotations: { "kubernetes.io/service-account.name": "gone" } });
    expect(foreignContents(mine, [pod, token])).toEqual({ foreign: [], passing: [pod, token] });
    const account = object("ServiceAccount", "gone");
    expect(foreignContents(mine, [token, account]).foreign).toEqual([token, account]);
  });
});

describe("revisions", () => {
  const here = { namespace: "istio-system" };
  const istios = [object("Istio", "ours"), object("Istio", "theirs")];
  test.each<[string, Partial<ObjectMeta>, object, boolean]>([
    ["of what is removed", { ownerReferences: owner("Istio", "ours") }, here, true],
    ["of what was removed before", { ownerReferences: owner("Istio", "gone") }, here, true],
    ["that are being deleted", { deletionTimestamp: "2026-11-20T12:00:00Z" }, here, true],
    ["of what stays", { ownerReferences: owner("Istio", "theirs") }, here, false],
    ["that somebody made by hand", {}, here, false],
    ["of another namespace", { deletionTimestamp: "2026-11-20T12:00:00Z" }, { namespace: "other" }, false],
  ])("are waited for, or not: %s", (_, metadata, spec, going) => {
    const revision = object("IstioRevision", "default", metadata, spec);
    expect(goingRevisions(mesh, new Set(["Istio ours"]), istios, [revision])).toEqual(going ? [revision] : []);
  });
});

test.each<[string, KubernetesObject, string]>([
  [
    "a finalizer",
    object("Service", "x", { namespace: "ns", deletionTimestamp: "t", finalizers: ["a/b", "c/d"] }),
    "Service ns/x is being deleted, held by finalizer a/b, c/d",
  ],
  ["nothing yet", object("IstioRevision", "x"), "IstioRevision x is still there"],
  [
    "a namespace's content",
    {
      ...object("Namespace", "x", { deletionTimestamp: "t" }),
      status: {
        conditions: [
          {
            type: "NamespaceContentRemaining",
            status: "True",
            message: "Some resources are remaining: foos.example.com has 1",
          },
          {
            type: "NamespaceDeletionDiscoveryFailure",
            status: "False",
            message: "All resources successfully discovered",
          },
        ],
      },
    },
    "Namespace x is being deleted: Some resources are remaining: foos.example.com has 1",
  ],
])("what keeps an object is told: %s", (_, held, told) => {
  expect(terminating(held)).toBe(told);
});
