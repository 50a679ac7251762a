import type { ClusterSpec } from "../mesh/spec.ts";
import type { Cluster } from "./cluster.ts";
import type { Kubeconfig } from "./kubeconfig.ts";

/** One cluster of the mesh: what it shall be, how it is reached, and by which credentials. */
export interface Member {
  readonly spec: ClusterSpec;
  readonly cluster: Cluster;
  readonly kubeconfig: Kubeconfig;
}
