import type { RunOptions } from "../runner.ts";

export interface EmbeddedClusters {
  /** The kubeconfigs, and an istioctl that knows these clusters. */
  readonly inputs: RunOptions["inputs"];
  readonly env?: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Embedded Kubernetes APIs, each with the Sail Operator's part played, ready to be joined. */
export async function startEmbeddedClusters(count: number): Promise<EmbeddedClusters> {
  // TODO: startCluster and fakeIstioctl of test/kube.
  throw new Error(`test/kube cannot start ${count} clusters yet; use \`npm run demo -- --kind\`.`);
}
