import type { Connection } from "../facts/connections.ts";
import type { Identity } from "../facts/identity.ts";
import type { InjectedProxy } from "../facts/proxies.ts";
import type { Sample, Workload } from "../facts/workloads.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { revisionOf } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";

/** `shop/web-1` */
export const nameOf = ({ namespace, pod }: Pick<Workload, "namespace" | "pod">) => `${namespace}/${pod}`;
/** As istiod names a proxy. */
export const idOf = ({ namespace, pod }: Pick<Workload, "namespace" | "pod">) => `${pod}.${namespace}`;
export const namedBy = ({ proxy, namespace }: Pick<Connection, "proxy" | "namespace">) =>
  `${namespace}/${proxy.slice(0, -namespace.length - 1)}`;

/** Of its own probes the action says more than this, and ambient's node proxies are no workload's. */
export const isWorkload = ({ namespace, role }: Connection) =>
  !namespace.startsWith(PROBE_PREFIX) && role !== "ztunnel";

/** `3 proxies (shop/a, shop/b, shop/c)` */
export function these(names: readonly string[]): string {
  const { size } = new Set(names);
  return `${size} ${size === 1 ? "proxy" : "proxies"} (${listed(names)})`;
}

export const isOne = (names: readonly string[]) => new Set(names).size === 1;

/** How the workloads of these pods are made anew. */
export function restart(names: readonly string[]): string {
  const namespaces = [...new Set(names.map((name) => name.slice(0, name.indexOf("/"))))];
  const shown = namespaces.slice(0, 3).map((namespace) => `kubectl -n ${namespace} rollout restart deployment`);
  return `${shown.join("; ")}${namespaces.length > 3 ? `; and so in ${count(namespaces.length - 3, "namespace")} more` : ""}`;
}

/** A pod with a proxy of this mesh's control planes, and what is known of its istiod. */
export interface SeenProxy {
  readonly name: string;
  readonly ready: boolean;
  readonly proxy: InjectedProxy;
  /** `undefined`: which proxies are connected is not known. */
  readonly connected: boolean | undefined;
  /** Of the istiod that it is connected to, else of that which injected it. */
  readonly revision: string;
  /** `undefined`: that istiod's is not known. */
  readonly identity: Identity | undefined;
}

/** The proxies in the sample but those of other control planes, as other meshes in the cluster have. */
export function proxiesOf(
  { namespace }: Pick<MeshSpec, "namespace">,
  seen: Observation,
  { workloads }: Sample,
  connections: readonly Connection[] | undefined,
): SeenProxy[] {
  const revisions = seen.istiods().map(revisionOf);
  const identities = readable(seen.identities);
  const byProxy = new Map(connections?.map((each) => [each.proxy, each]));
  return workloads.flatMap((workload) => {
    const { proxy } = workload;
    if (!proxy) return [];
    const connection = byProxy.get(idOf(workload));
    const ours = proxy.controlPlane ? proxy.controlPlane === namespace : revisions.includes(proxy.revision);
    if (!ours && !connection) return [];
    const revision = (connection && revisionOfReplica(seen, connection.istiod)) ?? proxy.revision;
    return {
      name: nameOf(workload),
      ready: workload.ready,
      proxy,
      connected: connections && connection !== undefined,
      revision,
      identity: identities?.get(revision),
    };
  });
}

function revisionOfReplica(seen: Observation, pod: string): string | undefined {
  const found = readable(seen.istiodPods)?.find(({ metadata }) => metadata.name === pod);
  return found && (found.metadata.labels?.["istio.io/rev"] ?? "default");
}

/** Whether istiod takes a proxy for one of its own cluster's (security/pkg/server/ca/authenticate/kubeauth). */
export const isOfItsCluster = ({ proxy, identity }: SeenProxy) =>
  !identity || [identity.clusterName, ...identity.clusterAliases].includes(proxy.clusterName);

/** Whether nobody serves it: the istiod of its revision is gone, and it is connected to no other. */
export const isLeft = (seen: Observation, { proxy, connected }: SeenProxy) =>
  connected !== true && !seen.istiods().some((each) => revisionOf(each) === proxy.revision);

/** What is wrong with some, in words, and what is to be done. */
export interface Problem {
  readonly cause: string;
  readonly hint: string;
}

export function joined(problems: readonly Problem[]): [cause: string, hint: string] {
  return [problems.map(({ cause }) => cause).join(" "), [...new Set(problems.map(({ hint }) => hint))].join(" ")];
}

/** What was looked at, where that is not all, as a sentence of its own. */
export const looked = ({ part }: Sample) => (part ? ` Looked at: ${part}.` : "");
