import type { HeldEndpoint, Offer } from "../facts/endpoints.ts";
import type { MeshConfig } from "../facts/mesh-config.ts";
import type { Policies } from "../facts/policies.ts";
import type { ProxyView } from "../facts/proxy-view.ts";
import type { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Finding } from "../mesh/report.ts";
import type { ServiceSpec } from "../mesh/spec.ts";
import type { Comparison } from "./comparison.ts";
import { type Part, readable, unanswered } from "./part.ts";
import type { Route } from "./policies.ts";
import { isTcp, portsOf } from "./visibility.ts";

/** What there is to see of a Service from one cluster. */
export interface ServiceView {
  readonly service: ServiceSpec;
  readonly observer: string;
  /** The control planes' namespace. */
  readonly istioNamespace: string;
  /** The Service's whole name. */
  readonly host: string;
  /** Of every cluster of the mesh, by name. */
  readonly offers: ReadonlyMap<string, Part<Offer>>;
  /** Networks by cluster. */
  readonly networks: ReadonlyMap<string, string>;
  /** What the observer's istiods hold of another cluster, by replica. */
  held(target: string): readonly (Comparison | { readonly pod: string; readonly problem: Failure })[];
  /** By cluster. */
  readonly configs: ReadonlyMap<string, Part<MeshConfig>>;
  /** What a running sidecar of the observer is given; `undefined` where there is none. */
  readonly proxy: Part<ProxyView | undefined>;
  /** By cluster. */
  readonly policies: ReadonlyMap<string, Part<Policies>>;
}

export type Of<T> = ReadonlyMap<string, T>;

/** What a cluster's control plane goes by. Throws the `Failure` that says why that is not known. */
export const configOf = ({ configs }: ServiceView, cluster: string): MeshConfig =>
  (configs.get(cluster) ?? unanswered(cluster))();
/** The namespace whose policies hold for all of a cluster's. Where that is not known, it is told elsewhere. */
export const rootOf = (view: ServiceView, cluster: string): string =>
  readable(() => configOf(view, cluster))?.rootNamespace ?? view.istioNamespace;
/** What is in the way, and what to do about it. */
export type Trouble = Pick<Finding, "cause" | "hint" | "clusters">;

export const policiesOf = ({ policies }: ServiceView, cluster: string): Policies =>
  readable(policies.get(cluster) ?? none) ?? [];

/** The Service as callers of a namespace see it by a cluster's policies. */
export function routeIn(view: ServiceView, cluster: string, caller: string): Route {
  const { defaultExportTo: exports = {} } = readable(() => configOf(view, cluster)) ?? {};
  return { host: view.host, namespace: view.service.namespace, caller, rootNamespace: rootOf(view, cluster), exports };
}

/** The ports that are called. */
export function portsIn({ service }: ServiceView, object: KubernetesObject): number[] {
  if (service.port !== undefined) return [service.port];
  return portsOf(object)
    .filter(isTcp)
    .map(({ port }) => port);
}

/** The port of the pods that one of the Service's leads to; `undefined`: it is named there, and its number is not known. */
export function targetOf(object: KubernetesObject, port: number): number | undefined {
  const { targetPort = port } = portsOf(object).find((each) => each.port === port) ?? {};
  return typeof targetPort === "number" ? targetPort : undefined;
}

/** The endpoints that a replica of the observer's holds of a cluster; none where that is not known. */
export function heldOf(view: ServiceView, target: string): readonly HeldEndpoint[] {
  const [replica] = view.held(target).filter((each) => "named" in each);
  return replica?.named.get(`${view.service.namespace}/${view.service.name}`) ?? [];
}

const none: Part<Policies> = () => [];
