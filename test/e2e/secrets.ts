import { Canaries, type Told, toldBy } from "../canary.ts";
import type { Cluster } from "./cluster.ts";

/** Every secret that a run must not show: of the kubeconfigs, and those that the mesh has made. */
export async function secretStrings(clusters: readonly Cluster[]): Promise<Canaries> {
  const canaries = new Canaries();
  for (const cluster of clusters) {
    canaries.addKubeconfig(cluster.name, cluster.kubeconfig);
    for (const secret of await cluster.list("secrets", "-n", "istio-system")) {
      // Certificates are public, and other programs' Secrets hold names; keys, tokens and kubeconfigs are secret.
      const entries = Object.entries<string>(secret.data ?? {}).filter(
        ([key, value]) => /^apiVersion:|PRIVATE KEY/m.test(Buffer.from(value, "base64").toString()) || key === "token",
      );
      canaries.addSecret(cluster.name, { ...secret, data: Object.fromEntries(entries) });
    }
  }
  return canaries;
}

/** Where a run shows a secret, and which; the secrets themselves are not repeated. */
export function leaks(result: Told, canaries: Canaries): string[] {
  return canaries.leaks(toldBy(result));
}
