import { expect, test } from "vitest";
import { cniNamespace, istioCni } from "../../../src/mesh/objects/cni.ts";
import { istio, namespace } from "../../../src/mesh/objects/control-plane.ts";
import { exposure } from "../../../src/mesh/objects/exposure.ts";
import { gateway } from "../../../src/mesh/objects/gateway.ts";
import { MANAGED_BY, MANAGER, OWN_KINDS, PART_OF } from "../../../src/mesh/objects/ownership.ts";
import { readerAccount, readerBinding, readerToken } from "../../../src/mesh/objects/reader.ts";
import { cacerts, remoteSecret } from "../../../src/mesh/objects/secrets.ts";
import { meshOf } from "../../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const [spec] = mesh.clusters as [(typeof mesh.clusters)[number]];
const { early, late } = gateway(mesh, spec, "default");
const made = [
  namespace(mesh, spec),
  istio(mesh, spec),
  exposure(mesh),
  ...early,
  ...late,
  cniNamespace(mesh),
  istioCni(mesh, {}),
  readerAccount(mesh),
  readerToken(mesh),
  readerBinding(mesh, "view"),
  cacerts(mesh, {}),
  remoteSecret(mesh, "b", ""),
];

/** What istioctl's manifests hold beside, in one version or another; CRDs are not made ours. */
const OF_MANIFESTS = [
  "v1 ConfigMap",
  "networking.k8s.io/v1 NetworkPolicy",
  "rbac.authorization.k8s.io/v1 ClusterRole",
  "rbac.authorization.k8s.io/v1 Role",
  "rbac.authorization.k8s.io/v1 RoleBinding",
  ...["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy"].map(
    (kind) => `admissionregistration.k8s.io/v1 ${kind}`,
  ),
  "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding",
];

test("the kinds that are searched for what is ours are those that are made", () => {
  const kinds = (objects: readonly { apiVersion: string; kind: string }[]) =>
    objects.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
  expect(new Set(kinds(OWN_KINDS))).toEqual(new Set([...kinds(made), ...OF_MANIFESTS]));
  for (const { apiVersion, kind, metadata } of made) {
    const found = OWN_KINDS.find((each) => each.apiVersion === apiVersion && each.kind === kind);
    expect([kind, found?.clusterScoped ?? false]).toEqual([kind, metadata.namespace === undefined]);
  }
});

test("what is made is labelled, for the one mesh", () => {
  for (const { metadata } of made) expect(metadata.labels).toMatchObject({ [MANAGED_BY]: MANAGER, [PART_OF]: "mesh1" });
});
