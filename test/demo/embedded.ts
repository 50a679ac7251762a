import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startClusters } from "../embedded/cluster.ts";
import { fakeIstioctl } from "../embedded/istioctl.ts";
import type { RunOptions } from "../runner.ts";
import { ISTIO_VERSION, OPERATOR_VERSION } from "./kind.ts";

export interface EmbeddedClusters {
  /** The kubeconfigs, and an istioctl that knows these clusters. */
  readonly inputs: RunOptions["inputs"];
  stop(): Promise<void>;
}

/** Two embedded Kubernetes APIs, each with the Sail Operator's part played, ready to be joined. */
export async function startEmbeddedClusters(): Promise<EmbeddedClusters> {
  const folder = await mkdtemp(join(tmpdir(), "istioctl-"));
  const [east, west] = await startClusters(2, {
    operator: { version: OPERATOR_VERSION, versions: [ISTIO_VERSION], pins: "registry.istio.io/release" },
  });
  if (!east || !west) throw new Error("two clusters were asked for");
  return {
    inputs: {
      "cluster1-kubeconfig": east.kubeconfig(),
      "cluster2-kubeconfig": west.kubeconfig(),
      "istio-version": ISTIO_VERSION,
      // Their API servers listen on loopback, as kind's do; each reaches the other there all the same.
      "istioctl-path": await fakeIstioctl(folder),
    },
    async stop() {
      await Promise.all([east.stop(), west.stop()]);
      await rm(folder, { recursive: true });
    },
  };
}
