// What the post step does for a run that could not clean up itself.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { releaseLeases, removeProbes } from "../../src/action/cleanup.ts";
import { LEASE, lease } from "../../src/mesh/objects/lease.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import { PROBE_PREFIX } from "../../src/mesh/objects/probe.ts";
import { meshSpec, proven } from "../commands/mesh.ts";
import type { Kube } from "../embedded/kube.ts";
import { startKube } from "../embedded/server.ts";

const HOLDER = "a run that was killed";
const PROBE = { apiVersion: "v1", kind: "Namespace", name: `${PROBE_PREFIX}00000000` };

let kube: Kube;
let printed: string[];
beforeEach(async () => {
  kube = await startKube();
  printed = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0);
  const gone = { name: "gone", network: "network1", "kubeconfig-file": "/does/not/exist" };
  const there = { name: "there", network: "network2", kubeconfig: kube.kubeconfig() };
  vi.stubEnv("INPUT_CLUSTERS", JSON.stringify([gone, there]));
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await kube.stop();
});
const warnings = () => printed.filter((line) => line.startsWith("::warning"));

test("a cluster whose kubeconfig is gone keeps no other's probe from being removed", async () => {
  const labels = ownership(meshSpec(1), "probe");
  kube.put(proven(kube, { apiVersion: "v1", kind: "Namespace", metadata: { name: PROBE.name, labels } }));
  await removeProbes(PROBE.name);
  await vi.waitFor(() => expect(kube.get(PROBE)).toBeUndefined());
  expect(warnings()).toEqual([expect.stringMatching(/could not be removed from gone: .*"\/does\/not\/exist"/)]);
});

test("a namespace of that name that is not a probe's is left alone", async () => {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: PROBE.name } });
  await removeProbes(PROBE.name);
  expect(kube.get(PROBE)).toBeDefined();
});

test("nor its Lease from being given back", async () => {
  kube.put(lease(HOLDER, 60_000, undefined));
  await releaseLeases(HOLDER);
  expect(kube.get(LEASE)?.spec.holderIdentity || undefined).toBeUndefined();
  expect(warnings()).toEqual([expect.stringMatching(/given back in gone: .*"\/does\/not\/exist"/)]);
});
