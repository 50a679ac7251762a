import { expect } from "vitest";
import { inspectRoot } from "../../src/mesh/certificates/pem.ts";
import type { Kube } from "../embedded/kube.ts";
import { NAMESPACE, notPassed, runInstall, text } from "./mesh.ts";

const LEASE = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace: "default", name: "istio-mesh-action" };

/** Two installations of the same fresh clusters, so many milliseconds apart: both end well, with one root. */
export async function installTwice(kubes: readonly Kube[], apart: number): Promise<void> {
  const both = await Promise.all([
    runInstall(kubes, { holder: "first" }),
    new Promise((resolve) => setTimeout(resolve, apart)).then(() => runInstall(kubes, { holder: "second" })),
  ]);
  expect(both.map(notPassed), `${apart} ms apart`).toEqual([[], []]);
  const roots = kubes.map((kube) => {
    const secret = kube.get({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name: "cacerts" });
    return inspectRoot(text(secret, "root-cert.pem")).sha256;
  });
  expect(new Set(roots).size, `${apart} ms apart`).toBe(1);
  for (const kube of kubes) expect(kube.get(LEASE).spec.holderIdentity).toBe("");
}
