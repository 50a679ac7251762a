import { parse } from "yaml";
import type { ListQuery } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { GATEWAY_SELECTOR } from "../mesh/objects/gateway.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import { PROBE_NAMESPACES } from "../mesh/objects/probe.ts";
import { readerTokens } from "../mesh/objects/reader.ts";
import { REMOTE_SECRET_LABEL, type Secret } from "../mesh/objects/secrets.ts";
import type { ClusterSpec, MeshSpec } from "../mesh/spec.ts";
import { type CniPlan, readCni } from "./cni.ts";
import type { IstioGateway, KubernetesGateway } from "./exposure.ts";
import { type Service, takesMtls } from "./gateway-service.ts";
import { ISTIOD, type IstiodView, istiodViews, revisionOf } from "./istiod.ts";
import { isActive, type Pod } from "./pods.ts";
import { apiServerAddress, type Deployment, type IstioResource, rootInEffect } from "./survey.ts";

/** Something that was to be read: what it is, or the `Failure` that says why it could not be read, thrown. */
export type Part<T> = () => T;

export interface Binding extends KubernetesObject {
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace?: string }[];
}

/** What takes in the other networks' traffic. */
export interface Gateways {
  readonly services: readonly Service[];
  readonly deployments: readonly Deployment[];
  /** The active ones. */
  readonly pods: readonly Pod[];
}

/** The identity that istiod, and the proxies that it injects, run with. */
export interface Identity {
  readonly meshId: string | undefined;
  readonly trustDomain: string;
  /** Other trust domains whose identities it takes for its own. */
  readonly trustDomainAliases: readonly string[];
  readonly clusterName: string | undefined;
  readonly network: string | undefined;
}

/** All that was read of one cluster to judge it. A part that could not be read spoils only what needs it. */
export interface Observation {
  readonly spec: ClusterSpec;
  /** Whether the API server answered at all. */
  readonly answered: boolean;
  /** UID of `kube-system`. */
  readonly uid: Part<string>;
  readonly namespace: Part<KubernetesObject | undefined>;
  /** Of the control planes' namespace. */
  readonly istios: Part<readonly IstioResource[]>;
  readonly cni: Part<CniPlan>;
  readonly revision: Part<string>;
  /** The Deployment of istiod of the mesh's revision; `undefined` where there is none. */
  readonly istiod: Part<Deployment | undefined>;
  readonly istiodPods: Part<readonly Pod[]>;
  readonly identity: Part<Identity>;
  /** The root in effect, PEM. */
  readonly root: Part<string | undefined>;
  readonly cacerts: Part<Secret | undefined>;
  readonly gateways: Part<Gateways>;
  readonly exposures: Part<readonly IstioGateway[]>;
  /** None where that API is not served. */
  readonly kubernetesGateways: Part<readonly KubernetesGateway[]>;
  readonly remoteSecrets: Part<readonly Secret[]>;
  /** What each replica of istiod says. */
  readonly views: Part<readonly IstiodView[]>;
  /** URLs of the API server that are known to be right. */
  readonly servers: Part<readonly string[]>;
  /** Bindings that this action made. */
  readonly bindings: Part<readonly Binding[]>;
  readonly serviceAccounts: Part<readonly KubernetesObject[]>;
  readonly probeNamespaces: Part<readonly KubernetesObject[]>;
  /** The Secrets of ours that tokens of the reader stand and fall with, the newest last. */
  readonly readerTokens: Part<readonly Secret[]>;
}

/** Reads a cluster; never throws for what it could not read. */
export async function observe(mesh: MeshSpec, { spec, cluster, kubeconfig }: Member): Promise<Observation> {
  const { namespace } = mesh;
  const list = <T extends KubernetesObject>(apiVersion: string, kind: string, rest: Partial<ListQuery> = {}) =>
    cluster.list<T>({ apiVersion, kind, ...rest });
  const get = <T extends KubernetesObject>(kind: string, name: string, where?: string) =>
    cluster.get<T>({ apiVersion: "v1", kind, name, ...(where ? { namespace: where } : {}) });
  const config = (name: string) =>
    get<KubernetesObject & { data?: Record<string, string> }>("ConfigMap", name, namespace);

  const istios = list<IstioResource>(ISTIO.apiVersion, ISTIO.kind).then((all) =>
    all.filter((istio) => istio.spec.namespace === namespace),
  );
  const istiods = list<Deployment>("apps/v1", "Deployment", { namespace, labelSelector: ISTIOD });
  const chosen = Promise.all([istios, istiods]).then(([resources, deployments]) =>
    choose(mesh, resources, deployments),
  );
  const pods = list("v1", "Pod", { namespace, labelSelector: ISTIOD }) as unknown as Promise<Pod[]>;
  const istiodPods = Promise.all([chosen, pods]).then(([{ revision }, all]) =>
    all.filter(({ metadata }) => (metadata.labels?.["istio.io/rev"] ?? "default") === revision),
  );
  const identity = chosen.then(({ revision, istiod }) => readIdentity(config, revision, istiod));
  const root = rootInEffect(cluster, mesh);
  const servers = apiServerAddress(cluster).then((address) => [
    ...new Set([spec.apiServer, kubeconfig.server.replace(/\/+$/, ""), address].filter((url) => url !== undefined)),
  ]);
  const [ours, rbac] = [`${MANAGED_BY}=${MANAGER}`, "rbac.authorization.k8s.io/v1"];
  return settled({
    spec,
    answered: true,
    uid: part(get("Namespace", "kube-system").then((found) => found?.metadata.uid ?? "")),
    namespace: part(get("Namespace", namespace)),
    istios: part(istios),
    cni: part(istios.then(([istio]) => readCni(cluster, istio?.spec.values ?? spec.values))),
    revision: part(chosen.then(({ revision }) => revision)),
    istiod: part(chosen.then(({ istiod }) => istiod)),
    istiodPods: part(istiodPods),
    identity: part(identity),
    root: part(root),
    cacerts: part(get<Secret>("Secret", "cacerts", namespace)),
    gateways: part(readGateways(list)),
    exposures: part(list<IstioGateway>("networking.istio.io/v1", "Gateway")),
    kubernetesGateways: part(list<KubernetesGateway>("gateway.networking.k8s.io/v1", "Gateway")),
    remoteSecrets: part(list<Secret>("v1", "Secret", { namespace, labelSelector: `${REMOTE_SECRET_LABEL}=true` })),
    views: part(istiodPods.then((running) => istiodViews(cluster, namespace, running))),
    servers: part(servers),
    bindings: part(list<Binding>(rbac, "ClusterRoleBinding", { labelSelector: ours })),
    serviceAccounts: part(list("v1", "ServiceAccount", { namespace })),
    probeNamespaces: part(list("v1", "Namespace", { labelSelector: PROBE_NAMESPACES })),
    readerTokens: part(
      list<Secret>("v1", "Secret", { namespace, labelSelector: `${ours},app.kubernetes.io/component=reader` }).then(
        (secrets) => readerTokens(secrets).ours,
      ),
    ),
  });
}

/** Of a cluster whose API server did not answer: nothing of it is known. */
export function unseen(spec: ClusterSpec): Observation {
  const part = (): never => {
    throw new Failure(`It could not be looked at: ${spec.name} did not answer.`);
  };
  return {
    spec,
    answered: false,
    uid: part,
    namespace: part,
    istios: part,
    cni: part,
    revision: part,
    istiod: part,
    istiodPods: part,
    identity: part,
    root: part,
    cacerts: part,
    gateways: part,
    exposures: part,
    kubernetesGateways: part,
    remoteSecrets: part,
    views: part,
    servers: part,
    bindings: part,
    serviceAccounts: part,
    probeNamespaces: part,
    readerTokens: part,
  };
}

/** All that is being read, once it is. */
async function settled<T extends Record<string, unknown>>(parts: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await Promise.all(Object.values(parts));
  return Object.fromEntries(Object.keys(parts).map((key, i) => [key, values[i]])) as { [K in keyof T]: Awaited<T[K]> };
}

/** The istiod that is the mesh's: the Istio resource's active revision, else that of its name, else the only one. */
function choose(mesh: MeshSpec, istios: readonly IstioResource[], istiods: readonly Deployment[]) {
  const resource = istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  const wanted = resource?.status?.activeRevisionName ?? mesh.istioResource;
  const istiod = istiods.find((each) => revisionOf(each) === wanted) ?? (istiods.length === 1 ? istiods[0] : undefined);
  return { istiod, revision: istiod ? revisionOf(istiod) : wanted };
}

async function readIdentity(
  config: (name: string) => Promise<(KubernetesObject & { data?: Record<string, string> }) | undefined>,
  revision: string,
  istiod: Deployment | undefined,
): Promise<Identity> {
  const suffix = revision === "default" ? "" : `-${revision}`;
  const [mesh, injector] = await Promise.all([config(`istio${suffix}`), config(`istio-sidecar-injector${suffix}`)]);
  const { defaultConfig, trustDomain, trustDomainAliases } = fields(readYaml(mesh?.data?.mesh));
  const global = fields(fields(readYaml(injector?.data?.values)).global);
  const env = (name: string) =>
    istiod?.spec.template.spec.containers[0]?.env?.find((variable) => variable.name === name)?.value;
  return {
    meshId: string(fields(defaultConfig).meshId) ?? string(global.meshID),
    trustDomain: string(trustDomain) ?? "cluster.local",
    trustDomainAliases: Array.isArray(trustDomainAliases)
      ? trustDomainAliases.flatMap((each) => string(each) ?? [])
      : [],
    clusterName: env("CLUSTER_ID") ?? string(fields(global.multiCluster).clusterName),
    network: string(global.network),
  };
}

/**
 * The Services that istiod takes for gateways of a network, by their label, or that call themselves so, and their pods.
 * Those of ambient meshes alone, which have another port, are in question only where there are no others.
 */
async function readGateways(
  list: <T extends KubernetesObject>(apiVersion: string, kind: string, rest?: Partial<ListQuery>) => Promise<T[]>,
): Promise<Gateways> {
  const found = await Promise.all(
    [NETWORK_LABEL, `istio=${GATEWAY_SELECTOR.istio}`].map((labelSelector) =>
      list<Service>("v1", "Service", { labelSelector }),
    ),
  );
  const labelled = [...new Map(found.flat().map((service) => [service.metadata.uid, service])).values()];
  const services = labelled.some(takesMtls) ? labelled.filter(takesMtls) : labelled;
  const behind = await Promise.all(
    services.map(async ({ metadata, spec }) => {
      const selector = spec?.selector ?? {};
      const namespace = metadata.namespace as string;
      const labelSelector = Object.entries(selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(",");
      if (!labelSelector) return { deployments: [], pods: [] };
      const [pods, all] = await Promise.all([
        list("v1", "Pod", { namespace, labelSelector }),
        list<Deployment>("apps/v1", "Deployment", { namespace }),
      ]);
      const deployments = all.filter(({ spec }) => matches(selector, spec.template.metadata?.labels));
      return { deployments, pods: (pods as unknown as Pod[]).filter(isActive) };
    }),
  );
  const unique = <T extends { metadata: { uid?: string } }>(items: readonly T[]) => [
    ...new Map(items.map((item) => [item.metadata.uid, item])).values(),
  ];
  return {
    services,
    deployments: unique(behind.flatMap(({ deployments }) => deployments)),
    pods: unique(behind.flatMap(({ pods }) => pods)),
  };
}

/** A part, where it could be read. */
export function readable<T>(part: Part<T>): T | undefined {
  try {
    return part();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** What comes of the work, for later: the value, or its `Failure` when it is asked for. */
export async function part<T>(work: Promise<T>): Promise<Part<T>> {
  try {
    const value = await work;
    return () => value;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return () => {
      throw error;
    };
  }
}

/** Whether the labels have all that the selector asks for. */
export function matches(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** Nothing where it is no YAML: then what is missing is told, not what could not be parsed. */
function readYaml(text: string | undefined): unknown {
  try {
    return parse(text ?? "");
  } catch {
    return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function string(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
