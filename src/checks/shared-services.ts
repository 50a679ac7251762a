// Services that two clusters have under one name: once one reads the other, both answer for them.
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type MeshConfig, readMeshConfig } from "../facts/mesh-config.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { type Part, part, readable } from "./part.ts";
import type { Survey } from "./survey.ts";
import { localRule } from "./visibility.ts";

interface Place {
  readonly name: string;
  readonly cluster: Cluster;
  readonly survey: Survey;
}

/** `namespace/name` of those that both have, but for what is each cluster's own by the observer's mesh configuration, and the mesh's. */
export function sharedServices(
  own: readonly KubernetesObject[],
  others: readonly KubernetesObject[],
  { namespace }: Pick<MeshSpec, "namespace">,
  config: Pick<MeshConfig, "clusterLocal">,
): string[] {
  const nameOf = ({ metadata }: KubernetesObject) => `${metadata.namespace}/${metadata.name}`;
  const there = new Set(others.filter(isAnswered).map(nameOf));
  const both = own.filter((each) => {
    const { name, namespace: where = "" } = each.metadata;
    if (!isAnswered(each) || !there.has(nameOf(each))) return false;
    if (where === namespace || where.startsWith(PROBE_PREFIX)) return false;
    return localRule({ namespace: where, name }, config as MeshConfig) === undefined;
  });
  return both.map(nameOf).sort();
}

/** Of another kind it is a name for something else. */
const isAnswered = ({ spec }: KubernetesObject) => (spec as { type?: string } | undefined)?.type !== "ExternalName";

/** Tells of observers which Services are answered by others, too, as soon as they read those. Each cluster's are listed once. */
export class SharedServices {
  readonly #mesh: MeshSpec;
  readonly #places: readonly Place[];
  readonly #listed = new Map<string, Promise<Part<readonly KubernetesObject[]>>>();

  /** @param surveys by cluster, of those that could be read */
  constructor(mesh: MeshSpec, members: readonly Member[], surveys: ReadonlyMap<string, Survey>) {
    this.#mesh = mesh;
    this.#places = members.flatMap(({ spec: { name }, cluster }) => {
      const survey = surveys.get(name);
      return survey ? [{ name, cluster, survey }] : [];
    });
  }

  /** A finding that passed, with what there is to tell of the observer as its warning. */
  async beside(finding: Finding, { spec }: Pick<Member, "spec">): Promise<Finding> {
    const warning = finding.verdict === "passed" ? await this.told(spec.name) : undefined;
    return { ...finding, ...(warning ? { warning } : {}) };
  }

  #servicesOf({ name, cluster }: Place): Promise<Part<readonly KubernetesObject[]>> {
    const known = this.#listed.get(name) ?? part(cluster.list({ apiVersion: "v1", kind: "Service" }));
    this.#listed.set(name, known);
    return known;
  }

  /** In a sentence, of those that the observer does not read yet; `undefined`: of none there is anything to say. */
  async told(observer: string): Promise<string | undefined> {
    const own = this.#places.find(({ name }) => name === observer);
    if (!own) return undefined;
    const read = new Set(own.survey.remoteSecrets.flatMap(({ data }) => Object.keys(data ?? {})));
    const unread = this.#places.filter((each) => each !== own && !read.has(each.name));
    if (unread.length === 0) return undefined;
    const [mine, ...theirs] = await Promise.all([own, ...unread].map((each) => this.#servicesOf(each)));
    const { istiod, revision } = own.survey.controlPlanes;
    const config = istiod
      ? readable(await part(readMeshConfig(own.cluster, this.#mesh.namespace, revision)))
      : undefined;
    const answered = unread.flatMap(({ name }, i) => {
      const services = mine && theirs[i] && readable(() => [mine(), (theirs[i] as typeof mine)()] as const);
      if (!services) return `which Services ${name} answers, too, could not be read`;
      const both = sharedServices(...services, this.#mesh, config ?? { clusterLocal: [] });
      return both.length > 0 ? `${name} answers, too, for ${count(both.length, "Service")} (${listed(both)})` : [];
    });
    if (answered.length === 0) return undefined;
    return `Once it reads the others, ${answered.join("; ")}. One that is to be answered in its own cluster alone is named in meshConfig.serviceSettings, as clusterLocal, beforehand.`;
  }
}
