import type { Cluster, ExecResult } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import { Failure } from "../mesh/failure.ts";
import { plainVersion, versionOf } from "../mesh/versions.ts";
import { isActive, type Pod } from "./pods.ts";
import type { Deployment, IstioResource } from "./survey.ts";

/** Selects the istiods of all revisions, and their Deployments. */
export const ISTIOD = "app=istiod";

/** The revision of an istiod, `default` where it is of none by name. */
export function revisionOf({ spec }: Deployment): string {
  return spec.template.metadata?.labels?.["istio.io/rev"] ?? "default";
}

/** What the charts of a development build are labelled with, whatever it is built from. */
const DEVELOPMENT = "1.0.0";

/**
 * The Istio version that an istiod runs, `X.Y.Z`: by its image's tag; where it has none, as images by digest have none, by
 * the Istio resource that it is of, or by the label that Istio's charts set. `undefined` where none of them tells.
 */
export function istiodVersion(istiod: Deployment | undefined, istios: readonly IstioResource[]): string | undefined {
  if (!istiod) return undefined;
  const image = istiod.spec.template.spec.containers[0]?.image ?? "";
  const revision = revisionOf(istiod);
  const resource = istios.find(({ metadata, status }) => (status?.activeRevisionName ?? metadata.name) === revision);
  const label = istiod.metadata.labels?.["app.kubernetes.io/version"];
  return (
    versionOf(image) ?? plainVersion(resource?.spec.version) ?? plainVersion(label === DEVELOPMENT ? undefined : label)
  );
}

/** What one replica of istiod says of the clusters that it knows, or in words why it could not be asked. */
export interface IstiodView {
  readonly pod: string;
  readonly clusters: readonly RemoteCluster[] | string;
}

export interface RemoteCluster {
  readonly id: string;
  readonly secretName?: string;
  /** `synced`, `syncing`, `timeout` or `closed`; of the first reading only, whatever happened since. */
  readonly syncStatus?: string;
}

/** Asks every replica that runs. The debug endpoint answers to localhost only, so the API server's proxy will not do. */
export function istiodViews(cluster: Cluster, namespace: string, pods: readonly Pod[]): Promise<IstiodView[]> {
  const running = pods.filter((pod) => isActive(pod) && pod.status?.phase === "Running");
  return Promise.all(
    running.map(async ({ metadata: { name } }) => ({ pod: name, clusters: await clusterz(cluster, namespace, name) })),
  );
}

/** The status of a target that a replica does not know. */
export const NOT_REGISTERED = "not registered";

/** What a replica says of one target: its status, or why it could not be asked. */
export function statusOf({ clusters }: IstiodView, target: string): string {
  if (typeof clusters === "string") return clusters;
  return clusters.find(({ id }) => id === target)?.syncStatus ?? NOT_REGISTERED;
}

async function clusterz(cluster: Cluster, namespace: string, name: string): Promise<RemoteCluster[] | string> {
  const command = ["pilot-discovery", "request", "GET", "/debug/clusterz"];
  let result: ExecResult;
  try {
    result = await cluster.exec({ apiVersion: "v1", kind: "Pod", namespace, name }, "discovery", command);
  } catch (error) {
    // A pod that is just being replaced cannot be asked; the next one can.
    if (error instanceof Failure) return `it could not be asked (${error.message})`;
    throw error;
  }
  const { stdout, stderr, exitCode } = result;
  try {
    const clusters: unknown = JSON.parse(stdout);
    if (!Array.isArray(clusters)) throw new Error("not a list");
    return clusters as RemoteCluster[];
  } catch {
    return `its answer cannot be read (exit code ${exitCode}: ${clip(stderr || stdout, 200)})`;
  }
}
