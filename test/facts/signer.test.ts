import { expect, test } from "vitest";
import { readSigner, type Signer, startedBefore } from "../../src/facts/signer.ts";
import type { Secret } from "../../src/mesh/objects/secrets.ts";
import type { Pod } from "../../src/mesh/shapes/pod.ts";
import { clusterOf } from "../steps/support.ts";

const answering = (stdout: string) =>
  readSigner(clusterOf("c", { exec: async () => ({ stdout, stderr: "", exitCode: 0 }) }), "istio-system", "istiod-1");

test.each<[string, string, Partial<Signer>]>([
  [
    "its intermediate",
    "# TYPE citadel_server_cert_chain_expiry_timestamp gauge\ncitadel_server_cert_chain_expiry_timestamp 1.796131200e+09\ncitadel_server_root_cert_expiry_timestamp 1.8e+09\n",
    { chainEnds: new Date("2026-12-01T13:20:00Z"), rootEnds: new Date(1_800_000_000_000) },
  ],
  ["its own root", "citadel_server_root_cert_expiry_timestamp 1800000000\n", { chainEnds: undefined }],
])("a replica tells that it signs by %s", async (_, metrics, wanted) => {
  expect(await answering(metrics)).toMatchObject({ pod: "istiod-1", ...wanted });
});

test("a replica that does not sign does not tell", async () => {
  await expect(answering("citadel_server_cert_chain_expiry_seconds 12\n")).rejects.toThrow("do not tell what it signs");
});

const pod = (name: string, startedAt: string | undefined) =>
  ({
    metadata: { name },
    status: { containerStatuses: [{ name: "discovery", state: startedAt ? { running: { startedAt } } : {} }] },
  }) as unknown as Pod;
const secret = (time: string | undefined, field: string) =>
  ({
    metadata: { name: "cacerts", ...(time ? { managedFields: [{ time, fieldsV1: { [field]: {} } }] } : {}) },
  }) as unknown as Secret;

test.each<[string, Secret, string[]]>([
  ["was written between their starts", secret("2026-11-20T12:00:00Z", "f:data"), ["old"]],
  ["was labelled since", secret("2026-11-20T14:00:00Z", "f:metadata"), ["old", "new"]],
  ["was written whenever", secret(undefined, ""), ["old", "new"]],
  ["was written before all", secret("2026-11-19T00:00:00Z", "f:data"), []],
])("replicas that may not have taken up a Secret that %s", (_, cacerts, wanted) => {
  const pods = [pod("old", "2026-11-20T11:00:00Z"), pod("new", "2026-11-20T13:00:00Z"), pod("none", undefined)];
  expect(startedBefore(cacerts, pods).map(({ metadata }) => metadata.name)).toEqual(wanted);
});
