import type { Cluster } from "../cluster/cluster.ts";
import { DebugClosed, debug, type RemoteMetrics, remoteMetrics } from "../facts/debug.ts";
import type { MeshProxy } from "../facts/proxies.ts";
import { Failure } from "../mesh/failure.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { plainVersion, versionOf } from "../mesh/versions.ts";
import { isActive, serves } from "./pods.ts";

/** Selects the istiods of all revisions, and their Deployments. */
export const ISTIOD = "app=istiod";

/** The revision of an istiod, `default` where it is of none by name. */
export function revisionOf({ spec }: Deployment): string {
  return spec.template.metadata?.labels?.["istio.io/rev"] ?? "default";
}

/** How many proxies hang on each revision: those that its istiod injected. */
export type Workloads = ReadonlyMap<string, number>;

export function workloadsOf(proxies: readonly MeshProxy[]): Workloads {
  const byRevision = Map.groupBy(proxies, ({ revision }) => revision);
  return new Map([...byRevision].map(([revision, own]) => [revision, own.length]));
}

/** The control planes of a namespace, as far as they are the mesh's. */
export interface ControlPlanes {
  /** The mesh's revision, whether there is an istiod of it or not. */
  readonly revision: string;
  /** Its istiod. */
  readonly istiod: Deployment | undefined;
  /** That one first, and those of other revisions that workloads hang on. */
  readonly inUse: readonly Deployment[];
}

/**
 * Which istiod is the mesh's: that of the Istio resource's active revision, else that of its name, else the only one, else
 * the only one that workloads hang on.
 * @param workloads `undefined` where they are not known: then every revision may be in use
 */
export function chooseIstiod(
  { istioResource }: Pick<MeshSpec, "istioResource">,
  istios: readonly IstioResource[],
  istiods: readonly Deployment[],
  workloads: Workloads | undefined,
): ControlPlanes {
  const resource = istios.find(({ metadata }) => metadata.name === istioResource);
  const wanted = resource?.status?.activeRevisionName ?? istioResource;
  const used = istiods.filter((each) => !workloads || (workloads.get(revisionOf(each)) ?? 0) > 0);
  const only = [istiods, used].find(({ length }) => length === 1)?.[0];
  const istiod = istiods.find((each) => revisionOf(each) === wanted) ?? only;
  return {
    revision: istiod ? revisionOf(istiod) : wanted,
    istiod,
    inUse: [...(istiod ? [istiod] : []), ...used.filter((each) => each !== istiod)],
  };
}

/** What there is to say where no istiod is the mesh's. */
export function noIstiod(
  { namespace }: Pick<MeshSpec, "namespace">,
  revision: string,
  istiods: readonly Deployment[],
): { readonly cause: string; readonly hint: string } {
  if (istiods.length === 0) {
    return {
      cause: `There is no istiod of revision ${revision} in namespace ${namespace}.`,
      hint: `kubectl -n ${namespace} describe deployment,pod -l app=istiod`,
    };
  }
  const list = istiods.map((each) => `${each.metadata.name} of revision ${revisionOf(each)}`).join(", ");
  return {
    cause: `There is no istiod of revision ${revision} in namespace ${namespace}, and several others: ${list}.`,
    hint: "Set `istio-resource` to the revision that is the mesh's.",
  };
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
  return versionOf(image) ?? plainVersion(resource?.spec.version) ?? plainVersion(chartVersion(istiod));
}

/** The version of the charts that an istiod is of, by their label; `undefined` where there is none. */
export function chartVersion(istiod: Deployment | undefined): string | undefined {
  const label = istiod?.metadata.labels?.["app.kubernetes.io/version"];
  return label === DEVELOPMENT ? undefined : label;
}

/** What one replica of istiod says of the clusters that it knows, or in words why it could not be asked. */
export interface IstiodView {
  readonly pod: string;
  readonly clusters: readonly RemoteCluster[] | string;
  /** What its metrics say instead, where its debug interface is closed. */
  readonly metrics?: RemoteMetrics;
}

export interface RemoteCluster {
  readonly id: string;
  readonly secretName?: string;
  /** `synced`, `syncing`, `timeout` or `closed`; of the first reading only, whatever happened since. */
  readonly syncStatus?: string;
}

/** Asks every replica that runs. */
export function istiodViews(cluster: Cluster, namespace: string, pods: readonly Pod[]): Promise<IstiodView[]> {
  return Promise.all(
    namesOfRunning(pods).map(async (name) => ({ pod: name, ...(await clusterz(cluster, namespace, name)) })),
  );
}

/** Those of istiod's pods whose word counts: those that serve; where none does, all. */
export function speaking(pods: readonly Pod[]): readonly Pod[] {
  const serving = pods.filter(serves);
  return serving.length > 0 ? serving : pods;
}

/** The pods that can be asked something. */
export function namesOfRunning(pods: readonly Pod[]): string[] {
  const running = pods.filter((pod) => isActive(pod) && pod.status?.phase === "Running");
  return running.map(({ metadata }) => metadata.name);
}

/** The status of a target that a replica does not know. */
export const NOT_REGISTERED = "not registered";

/** What a replica says of one target: its status, or why it could not be asked. */
export function statusOf({ clusters, metrics }: IstiodView, target: string): string {
  if (typeof clusters !== "string") return clusters.find(({ id }) => id === target)?.syncStatus ?? NOT_REGISTERED;
  return metrics?.statuses.size ? (metrics.statuses.get(target) ?? NOT_REGISTERED) : clusters;
}

/**
 * Whether a replica that cannot be asked for names says by its metrics that it manages so many remote clusters, and never
 * took too long to read one.
 */
export function managesAll({ metrics }: IstiodView, remotes: number): boolean {
  return metrics !== undefined && metrics.remotes >= remotes && metrics.timeouts === 0;
}

async function clusterz(cluster: Cluster, namespace: string, name: string): Promise<Omit<IstiodView, "pod">> {
  try {
    const clusters = await debug(cluster, namespace, name, "clusterz");
    return { clusters: Array.isArray(clusters) ? (clusters as RemoteCluster[]) : "its answer is no list of clusters" };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (!(error instanceof DebugClosed)) return { clusters: error.message };
    const metrics = await remoteMetrics(cluster, namespace, name).catch((problem: unknown) => {
      if (problem instanceof Failure) return undefined;
      throw problem;
    });
    return { clusters: error.message, ...(metrics ? { metrics } : {}) };
  }
}
