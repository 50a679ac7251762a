// Services that two clusters have under one name: once one reads the other, both answer for them.
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { clusterLocalIn, type MeshConfig, readMeshConfig } from "../facts/mesh-config.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { PROBE_PREFIX } from "../mesh/objects/probe.ts";
import type { Finding } from "../mesh/report.ts";
import { type MeshSpec, shareNetwork, type Values } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { failed } from "./finding.ts";
import { type Part, part, readable } from "./part.ts";
import type { Survey } from "./survey.ts";
import { localRule } from "./visibility.ts";

interface Place {
  readonly name: string;
  readonly cluster: Cluster;
  readonly survey: Survey;
  readonly values: Values;
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
    this.#places = members.flatMap(({ spec: { name, values }, cluster }) => {
      const survey = surveys.get(name);
      return survey ? [{ name, cluster, survey, values }] : [];
    });
  }

  /** A finding that passed, with what there is to tell of the observer; failed, where calls would end at a gateway. */
  async beside(finding: Finding, { spec }: Pick<Member, "spec">): Promise<Finding> {
    if (finding.verdict !== "passed") return finding;
    const both = await this.#shared(spec.name);
    const shut = both.flatMap(({ name, services }) =>
      shareNetwork(this.#mesh, spec.name, name) || typeof services === "string"
        ? []
        : services.filter((each) => !isExposed(this.#mesh, each)),
    );
    if (shut.length > 0) {
      const number = count(new Set(shut).size, "Service");
      return failed(
        `Once ${spec.name} reads the others, a share of its calls to ${number} that they have, too (${listed(shut)}), goes to their gateways, which let nobody in to these by the inputs: those would fail.`,
        "Name them in `exposed-services`, or, beforehand and in every cluster, in meshConfig.serviceSettings as clusterLocal, which keeps each cluster's calls within it.",
      );
    }
    const answered = both.flatMap(({ name, services }) => {
      if (typeof services === "string") return services;
      return services.length > 0
        ? `${name} answers, too, for ${count(services.length, "Service")} (${listed(services)})`
        : [];
    });
    if (answered.length === 0) return finding;
    const warning = `Once ${spec.name} reads the others, ${answered.join("; ")}. One that is to be answered in its own cluster alone is named in meshConfig.serviceSettings, as clusterLocal, beforehand.`;
    return { ...finding, warning };
  }

  #servicesOf({ name, cluster }: Place): Promise<Part<readonly KubernetesObject[]>> {
    const known = this.#listed.get(name) ?? part(cluster.list({ apiVersion: "v1", kind: "Service" }));
    this.#listed.set(name, known);
    return known;
  }

  /** By each cluster that the observer does not read yet: what both have, or why that is not known, in words. */
  async #shared(observer: string): Promise<{ name: string; services: readonly string[] | string }[]> {
    const own = this.#places.find(({ name }) => name === observer);
    if (!own) return [];
    const read = new Set(own.survey.remoteSecrets.flatMap(({ data }) => Object.keys(data ?? {})));
    const unread = this.#places.filter((each) => each !== own && !read.has(each.name));
    if (unread.length === 0) return [];
    const [mine, ...theirs] = await Promise.all([own, ...unread].map((each) => this.#servicesOf(each)));
    const { istiod, revision } = own.survey.controlPlanes;
    const config = istiod ? await part(readMeshConfig(own.cluster, this.#mesh.namespace, revision, istiod)) : undefined;
    // What the inputs set is so before the clusters read each other.
    const wanted = clusterLocalIn(own.values.meshConfig);
    const clusterLocal = wanted.length > 0 ? wanted : ((config && readable(config))?.clusterLocal ?? []);
    return unread.map(({ name }, i) => {
      const known = [mine, theirs[i]].flatMap((each) => (each && readable(each) ? [readable(each) ?? []] : []));
      const [ours, others] = known;
      const services =
        ours && others
          ? sharedServices(ours, others, this.#mesh, { clusterLocal })
          : `which Services ${name} answers, too, could not be read`;
      return { name, services };
    });
  }
}

/** Whether other networks are let in to a Service by the inputs. @param service `namespace/name` */
export function isExposed({ exposed }: Pick<MeshSpec, "exposed">, service: string): boolean {
  const [namespace, name] = service.split("/");
  return !exposed || exposed.some((each) => each.namespace === namespace && (each.name ?? name) === name);
}
