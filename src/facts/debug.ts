import type { Cluster } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import { Failure } from "../mesh/failure.ts";

/** The variable by which istiod's debug interface is closed, as hardened manifests do. */
export const DEBUG_SWITCH = "ENABLE_DEBUG_ON_HTTP=false";

/** istiod does not serve its debug interface. */
export class DebugClosed extends Failure {}

/**
 * What one replica of istiod answers at a path of its debug interface, parsed. It answers to localhost only, so the API
 * server's proxy will not do.
 * @param within milliseconds, where it may take longer than a request
 * @throws DebugClosed where the interface is not served, else a `Failure` that says in words, without a subject, why it is not known
 */
export async function debug(
  cluster: Cluster,
  namespace: string,
  pod: string,
  path: string,
  within?: number,
): Promise<unknown> {
  const { stdout, stderr, exitCode } = await ask(cluster, namespace, pod, `/debug/${path}`, within);
  // istiod's HTTP server says so of a path that it does not serve, and pilot-discovery does not mind.
  if (stdout.startsWith("404 page not found")) throw new DebugClosed(`its debug interface is closed (${DEBUG_SWITCH})`);
  try {
    return JSON.parse(stdout);
  } catch {
    throw new Failure(`its answer cannot be read (exit code ${exitCode}: ${clip(stderr || stdout, 200)})`);
  }
}

/** What its metrics say of remote clusters: less, but they are served where the debug interface is not. */
export interface RemoteMetrics {
  /** How many it manages. */
  readonly remotes: number;
  /** How many took too long to be read, since its start. */
  readonly timeouts: number;
  /** `synced`, `syncing`, `timeout` or `closed`, by cluster; Istio 1.30 and later have it. */
  readonly statuses: ReadonlyMap<string, string>;
}

/** A replica's metrics, in Prometheus' text. @throws a `Failure` where it could not be asked */
export async function metricsOf(cluster: Cluster, namespace: string, pod: string): Promise<string> {
  return (await ask(cluster, namespace, pod, "/metrics")).stdout;
}

/** @throws a `Failure` where they could not be read */
export async function remoteMetrics(cluster: Cluster, namespace: string, pod: string): Promise<RemoteMetrics> {
  const stdout = await metricsOf(cluster, namespace, pod);
  const remotes = /^istiod_managed_clusters\{[^}]*cluster_type="remote"[^}]*\} (\S+)$/m.exec(stdout)?.[1];
  if (remotes === undefined) throw new Failure("its metrics do not tell of remote clusters");
  const statuses = stdout.matchAll(/^istiod_remote_cluster_sync_status\{([^}]*)\} 1(?:\.0)?$/gm);
  const label = (labels: string, name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
  return {
    remotes: Number(remotes),
    timeouts: Number(/^remote_cluster_sync_timeouts_total(?:\{[^}]*\})? (\S+)$/m.exec(stdout)?.[1] ?? 0),
    statuses: new Map(
      [...statuses].map(([, labels = ""]) => [label(labels, "cluster"), label(labels, "status")] as const),
    ),
  };
}

async function ask(cluster: Cluster, namespace: string, pod: string, path: string, within?: number) {
  const command = ["pilot-discovery", "request", "GET", path];
  try {
    return await cluster.exec({ apiVersion: "v1", kind: "Pod", namespace, name: pod }, "discovery", command, within);
  } catch (error) {
    // A pod that is just being replaced cannot be asked; the next one can.
    if (error instanceof Failure) throw new Failure(`it could not be asked (${error.message})`, error.hint);
    throw error;
  }
}
