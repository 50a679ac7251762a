import { describe, expect, test } from "vitest";
import { cniNamespace, istioCni } from "../../src/mesh/objects/cni.ts";
import { istio, namespace } from "../../src/mesh/objects/control-plane.ts";
import { exposure } from "../../src/mesh/objects/exposure.ts";
import { gateway } from "../../src/mesh/objects/gateway.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import { MANAGED_BY, MANAGER, ownership, PART_OF } from "../../src/mesh/objects/ownership.ts";
import { readerAccount, readerBinding, readerToken } from "../../src/mesh/objects/reader.ts";
import { cacerts, remoteSecret } from "../../src/mesh/objects/secrets.ts";
import {
  appliedKinds,
  foundKinds,
  PIECES,
  type PieceId,
  pieceOf,
  type Removal,
  removalOf,
  takenDown,
} from "../../src/mesh/pieces.ts";
import { meshOf } from "../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const [spec] = mesh.clusters as [(typeof mesh.clusters)[number]];
const { early, late } = gateway(mesh, spec, "default");
const of: Record<Exclude<PieceId, "probe">, readonly KubernetesObject[]> = {
  namespace: [namespace(mesh, spec)],
  trust: [cacerts(mesh, {})],
  account: [readerAccount(mesh)],
  "cni-namespace": [cniNamespace(mesh)],
  cni: [istioCni(mesh, {})],
  "control-plane": [istio(mesh, spec)],
  gateway: [...early, ...late],
  exposure: [exposure(mesh)],
  access: [readerToken(mesh), readerToken(mesh, 2), readerBinding(mesh, "view")],
  "remote-secret": [remoteSecret(mesh, "b", "")],
};
const made = Object.values(of).flat();
const names = (kinds: readonly { apiVersion: string; kind: string }[]) =>
  kinds.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);

test.each(Object.entries(of))("an object is known for its piece: %s", (id, objects) => {
  expect(objects.map(pieceOf)).toEqual(objects.map(() => id));
  expect(objects.map(removalOf)).toEqual(objects.map(() => PIECES[id as PieceId].removal));
});

test("what istioctl makes is the control plane's, and CRDs, which have no label, too", () => {
  const crd = { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "x" } };
  const webhook = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: "x", labels: ownership(mesh, "control-plane") },
  };
  expect([crd, webhook].map(pieceOf)).toEqual(["control-plane", "control-plane"]);
});

test("what is ours and of no piece goes with the rest", () => {
  const labels = ownership(mesh, "of an older version");
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", labels } };
  expect(pieceOf(object)).toBeUndefined();
  expect(removalOf(object)).toBe("uninstall.rest");
});

test("what is made is labelled, for the one mesh", () => {
  for (const { metadata } of made) expect(metadata.labels).toMatchObject({ [MANAGED_BY]: MANAGER, [PART_OF]: "mesh1" });
});

test("the kinds that are searched for what is ours are those that are made", () => {
  const kinds = foundKinds("all");
  for (const { apiVersion, kind, metadata } of made.filter((each) => each.kind !== "Namespace")) {
    const found = kinds.find((each) => each.apiVersion === apiVersion && each.kind === kind);
    expect([kind, found && (found.clusterScoped ?? false)]).toEqual([kind, metadata.namespace === undefined]);
  }
  expect(names(kinds)).not.toContain("apiextensions.k8s.io/v1 CustomResourceDefinition");
  expect(names(foundKinds("mesh")).sort()).toEqual([
    "networking.istio.io/v1 Gateway",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
    "v1 Secret",
  ]);
});

test.each<[string, Parameters<typeof appliedKinds>[0], string[], string[]]>([
  ["the operator's", mesh, ["sailoperator.io/v1 Istio", "apps/v1 Deployment"], ["v1 ConfigMap"]],
  ["istioctl's", { ...mesh, installer: "istioctl" }, ["v1 ConfigMap"], ["sailoperator.io/v1 Istio"]],
  [
    "somebody else's, with a gateway",
    { installer: "existing", gateway: { ...mesh.gateway, install: false } },
    ["v1 Secret", "networking.istio.io/v1 Gateway"],
    ["sailoperator.io/v1 Istio", "v1 Service", "apps/v1 Deployment", "policy/v1 PodDisruptionBudget"],
  ],
])("the kinds that are applied where control planes are %s", (_, asked, applied, not) => {
  expect(names(appliedKinds(asked))).toEqual(expect.arrayContaining(applied));
  for (const kind of not) expect(names(appliedKinds(asked))).not.toContain(kind);
});

describe("a mesh is taken down", () => {
  test("in this order", () => {
    const told = takenDown("all").map(({ id, after, afterAll }) => [id, [...after].sort(), afterAll]);
    expect(told).toEqual([
      ["uninstall.probes", [], []],
      ["uninstall.remote-secrets", [], []],
      ["uninstall.access", [], ["uninstall.remote-secrets"]],
      ["uninstall.exposure", [], ["uninstall.remote-secrets"]],
      ["uninstall.gateway", ["uninstall.exposure"], []],
      ["uninstall.control-plane", ["uninstall.gateway"], []],
      ["uninstall.cni", ["uninstall.control-plane"], []],
      ["uninstall.rest", ["uninstall.access", "uninstall.control-plane"], []],
      ["uninstall.namespace", ["uninstall.control-plane", "uninstall.remote-secrets", "uninstall.rest"], []],
    ]);
  });

  test("or its links alone", () => {
    expect(takenDown("mesh").map(({ id }) => id)).toEqual([
      "uninstall.probes",
      "uninstall.remote-secrets",
      "uninstall.access",
      "uninstall.exposure",
    ]);
  });

  test.each(["all", "mesh"] as const)("no step before one that it waits for: %s", (scope) => {
    const done = new Set<Removal>();
    for (const { id, after, afterAll } of takenDown(scope)) {
      for (const before of [...after, ...afterAll]) expect(done.has(before), `${before} before ${id}`).toBe(true);
      done.add(id);
    }
  });
});
