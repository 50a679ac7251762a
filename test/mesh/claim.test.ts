import { describe, expect, test } from "vitest";
import {
  alsoSaidBy,
  classify,
  type Found,
  foundAs,
  handOver,
  isOurs,
  isProven,
  type Move,
  notOurs,
  OWNER,
  ownerOf,
  proofOf,
  proven,
  unclaimed,
} from "../../src/mesh/claim.ts";
import { cniNamespace } from "../../src/mesh/objects/cni.ts";
import { istio, namespace } from "../../src/mesh/objects/control-plane.ts";
import { gateway } from "../../src/mesh/objects/gateway.ts";
import { type KubernetesObject, refOf } from "../../src/mesh/objects/object.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import { readerToken } from "../../src/mesh/objects/reader.ts";
import { remoteSecret } from "../../src/mesh/objects/secrets.ts";
import { type Claim, claimOn } from "../../src/mesh/pieces.ts";
import { meshOf } from "../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const [spec] = mesh.clusters as [(typeof mesh.clusters)[number]];
const owner = ownerOf(mesh, "uid-1");
const made = proven(owner, istio(mesh, spec));
const renamed = (object: KubernetesObject, metadata: object) => ({
  ...object,
  metadata: { ...object.metadata, ...metadata },
});
const { [OWNER]: proof, ...unproven } = made.metadata.annotations ?? {};
const labelled = renamed(made, { annotations: unproven });

describe("what is done to an object, by claim and by what is there", () => {
  const table: Record<Claim, Record<Found, [where: Move, whereNot: Move]>> = {
    own: {
      absent: ["create", "create"],
      ours: ["update", "update"],
      theirs: ["refuse", "refuse"],
      labelled: ["warn", "warn"],
      terminating: ["refuse", "refuse"],
    },
    suffices: {
      absent: ["create", "create"],
      ours: ["update", "update"],
      theirs: ["leave", "refuse"],
      labelled: ["leave", "refuse"],
      terminating: ["refuse", "refuse"],
    },
    share: {
      absent: ["create", "create"],
      ours: ["update", "update"],
      theirs: ["fields", "fields"],
      labelled: ["fields", "fields"],
      terminating: ["refuse", "refuse"],
    },
  };
  const rows = Object.entries(table).flatMap(([claim, byFound]) =>
    Object.entries(byFound).map(([found, moves]) => [claim, found, moves] as [Claim, Found, [Move, Move]]),
  );
  test.each(rows)("%s, %s", (claim, found, [where, whereNot]) => {
    expect([classify(claim, found, true), classify(claim, found, false)]).toEqual([where, whereNot]);
  });

  test.each<[Found, KubernetesObject | undefined]>([
    ["absent", undefined],
    ["ours", made],
    ["terminating", renamed(made, { deletionTimestamp: "2026-11-20T12:00:00Z" })],
    ["labelled", labelled],
    ["labelled", renamed(made, { annotations: { [OWNER]: `${proof}.` } })],
    ["theirs", renamed(made, { labels: {}, annotations: {} })],
    ["theirs", renamed(labelled, { labels: ownership({ id: "mesh2" }, "control-plane") })],
  ])("found: %s", (found, object) => {
    expect(foundAs(owner, object)).toBe(found);
  });

  const [service] = gateway(mesh, spec, "default").early.filter(({ kind }) => kind === "Service");
  test.each<[Claim, KubernetesObject]>([
    ["share", namespace(mesh, spec)],
    ["share", cniNamespace(mesh)],
    ["share", { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: "x" } }],
    ["own", readerToken(mesh)],
    ["suffices", remoteSecret(mesh, "b", "")],
    ["suffices", istio(mesh, spec)],
    ["suffices", service as KubernetesObject],
  ])("claim: %s", (claim, object) => {
    expect(claimOn(object)).toBe(claim);
  });
});

describe("the proof", () => {
  test("names the object, the mesh and the cluster", () => {
    expect(proof).toBe("Istio.sailoperator.io default of mesh mesh1 in istio-system, cluster uid-1");
    expect(isOurs(owner, made)).toBe(true);
    expect(notOurs(owner, made)).toBeUndefined();
  });

  test.each<[string, KubernetesObject]>([
    ["a copy under another name", renamed(made, { name: "canary" })],
    ["a copy in another namespace", renamed(made, { namespace: "elsewhere" })],
    ["what another group calls the same", { ...made, apiVersion: "example.com/v1" }],
    ["what has the label alone", labelled],
  ])("does not hold on %s", (_, object) => {
    expect(isOurs(owner, object)).toBe(false);
    expect(notOurs(owner, object)).toMatch(/label, but not its proof .* kubectl .*delete istio\.v1\./);
  });

  test("holds in whatever version of its kind the object is read", () => {
    expect(isOurs(owner, { ...made, apiVersion: "sailoperator.io/v2" })).toBe(true);
  });

  test.each([
    ["in another cluster, as after a backup was restored there", ownerOf(mesh, "uid-2")],
    ["for another mesh", ownerOf({ ...mesh, id: "mesh2" }, "uid-1")],
    ["for a mesh of that name in another namespace", ownerOf({ ...mesh, namespace: "istio" }, "uid-1")],
  ])("does not hold %s", (_, other) => {
    expect(isOurs(other, made)).toBe(false);
  });

  test("shows whose it is, and that it is this action's, whichever mesh's", () => {
    expect([isProven("uid-1", made), isProven("uid-2", made)]).toEqual([true, false]);
    expect(isProven("uid-1", labelled)).toBe(false);
    const other = ownerOf({ id: "my mesh in here", namespace: "istio" }, "uid-1");
    expect(isProven("uid-1", proven(other, istio(mesh, spec)))).toBe(true);
  });

  test("can be given by hand", () => {
    expect(handOver(owner, refOf(made))).toBe(
      `kubectl annotate istio.v1.sailoperator.io default '${OWNER}=${proofOf(owner, refOf(made))}' --overwrite`,
    );
  });

  test.each<[string, Record<string, string> | undefined, RegExp]>([
    ["no labels", undefined, /no label .*: this action did not make it/],
    ["Helm's", { ...ownership(mesh, "x"), "app.kubernetes.io/managed-by": "Helm" }, /this action did not make it/],
    ["another mesh's", ownership({ id: "mesh2" }, "x"), /^It is part of mesh mesh2, not of mesh1\.$/],
  ])("why it is not ours: %s", (_, labels, why) => {
    expect(notOurs(owner, renamed(labelled, { labels }))).toMatch(why);
  });
});

describe("what is put on an object of somebody else's", () => {
  test("is its network's label on a namespace, and nothing by which it would become ours", () => {
    expect(unclaimed(namespace(mesh, spec)).metadata.labels).toEqual({
      "topology.istio.io/network": "network-a",
    });
    expect(unclaimed(istio(mesh, spec)).metadata).toEqual({ name: "default" });
  });

  test("an object that we do not label is proven by nobody", () => {
    const crd = { apiVersion: "v1", kind: "CustomResourceDefinition", metadata: { name: "x", labels: { app: "y" } } };
    expect([proven(owner, crd), unclaimed(crd)]).toEqual([crd, crd]);
  });
});

describe("who says the same as we do", () => {
  const entry = (manager: string, operation: string, fieldsV1: object, subresource?: string) => ({
    manager,
    operation,
    fieldsV1,
    ...(subresource ? { subresource } : {}),
  });
  const ours = entry("istio-mesh-action", "Apply", { "f:spec": { "f:version": {}, "f:namespace": {} } });
  test.each([
    ["nobody", [ours], undefined],
    [
      "who made it with the same values",
      [ours, entry("kubectl", "Update", { "f:spec": { "f:version": {} } })],
      "kubectl",
    ],
    [
      "not who set what we do not",
      [ours, entry("operator", "Update", { "f:metadata": { "f:finalizers": {} } })],
      undefined,
    ],
    ["not who reports", [ours, entry("operator", "Update", { "f:spec": { "f:version": {} } }, "status")], undefined],
    ["not we ourselves", [ours, entry("istio-mesh-action", "Update", { "f:spec": { "f:version": {} } })], undefined],
  ])("%s", (_, managedFields, manager) => {
    expect(alsoSaidBy(renamed(made, { managedFields }))).toBe(manager);
  });
});
