import type { Cluster } from "../cluster/cluster.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { count } from "../mesh/words.ts";
import { writtenAt } from "../mesh/written.ts";
import { type InjectedProxy, proxyOf } from "./proxies.ts";

/** A pod that is there to work: neither on its way out nor over. */
export interface Workload {
  readonly namespace: string;
  readonly pod: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly created: Date;
  readonly ready: boolean;
  readonly hostNetwork: boolean;
  /** What it says of injection itself; the label counts before the annotation. */
  readonly inject: string | undefined;
  /** Whether injection, of whatever template, has been at it. */
  readonly injected: boolean;
  /** Whether ambient's node proxies take its traffic. */
  readonly redirected: boolean;
  readonly proxy: InjectedProxy | undefined;
}

export interface SeenNamespace {
  readonly labels: Readonly<Record<string, string>>;
  /** When one of its labels for injection was last set, as far as that is recorded. */
  readonly labelled: Date | undefined;
}

/** Pods of a cluster: all of them, or of each revision's namespaces some. */
export interface Sample {
  readonly workloads: readonly Workload[];
  readonly namespaces: ReadonlyMap<string, SeenNamespace>;
  /** What was looked at, in words, where that is not all. */
  readonly part: string | undefined;
}

/** So many pods are looked at, whatever namespaces they are of. */
export const AT_ONCE = 500;
/** Where there are more: so many namespaces, and so many pods of each. */
export const NAMESPACES = 16;
export const OF_EACH = 50;

/** By which a namespace says who injects its pods. */
const REVISION = "istio.io/rev";
const INJECTION = "istio-injection";
const INJECT = "sidecar.istio.io/inject";

/**
 * Reads a cluster's pods. Takes `list` of namespaces, and of pods in all of them.
 * At most 2 + `NAMESPACES` requests, whatever the cluster's size.
 */
export async function readSample(cluster: Cluster): Promise<Sample> {
  const pods = async (namespace: string | undefined, limit: number) =>
    (await cluster.list({
      apiVersion: "v1",
      kind: "Pod",
      limit,
      ...(namespace ? { namespace } : {}),
    })) as unknown as Pod[];
  const [all, first] = await Promise.all([
    cluster.list<KubernetesObject>({ apiVersion: "v1", kind: "Namespace" }),
    pods(undefined, AT_ONCE),
  ]);
  const namespaces = new Map(all.map((each) => [each.metadata.name, namespaceOf(each)]));
  if (first.length < AT_ONCE) return { workloads: first.flatMap(workloadOf), namespaces, part: undefined };
  const chosen = chooseNamespaces(namespaces);
  const some = await Promise.all(chosen.map((name) => pods(name, OF_EACH)));
  const part = `up to ${OF_EACH} pods each of ${chosen.length} of ${count(namespaces.size, "namespace")}`;
  return { workloads: some.flat().flatMap(workloadOf), namespaces, part };
}

/** Of each revision's namespaces some, those that ask for injection by a label first. */
function chooseNamespaces(namespaces: ReadonlyMap<string, SeenNamespace>): string[] {
  const byRevision = Map.groupBy(
    [...namespaces].filter(([name]) => !name.startsWith("kube-") && !name.startsWith(PROBE_PREFIX)),
    ([, { labels }]) => labels[REVISION] ?? labels[INJECTION] ?? "",
  );
  const groups = [...byRevision]
    .sort(([a], [b]) => Number(a === "") - Number(b === ""))
    .map(([, some]) => some.map(([name]) => name));
  const longest = Math.max(0, ...groups.map(({ length }) => length));
  const turns = Array.from({ length: longest }, (_, turn) => groups.flatMap((group) => group[turn] ?? []));
  return turns.flat().slice(0, NAMESPACES);
}

function namespaceOf({ metadata }: KubernetesObject): SeenNamespace {
  const times = [REVISION, INJECTION].flatMap((label) => writtenAt(metadata, ["metadata", "labels", label]) ?? []);
  const last = times.sort((a, b) => a.getTime() - b.getTime()).at(-1);
  return { labels: metadata.labels ?? {}, labelled: last };
}

function workloadOf(pod: Pod): Workload[] {
  const { metadata, spec, status } = pod;
  const { namespace = "default", name, labels = {}, annotations = {}, creationTimestamp } = metadata;
  if (metadata.deletionTimestamp || status?.phase === "Failed" || status?.phase === "Succeeded") return [];
  // Of its own probes the action says more than this.
  if (namespace.startsWith(PROBE_PREFIX)) return [];
  const workload = {
    namespace,
    pod: name,
    labels,
    created: new Date(creationTimestamp ?? 0),
    ready: status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false,
    // A static pod is its kubelet's, and nobody injects it.
    hostNetwork: spec?.hostNetwork === true || "kubernetes.io/config.mirror" in annotations,
    inject: labels[INJECT] ?? annotations[INJECT],
    injected: "sidecar.istio.io/status" in annotations,
    redirected: annotations["ambient.istio.io/redirection"] === "enabled",
    proxy: proxyOf(pod),
  };
  return [workload];
}
