import type { Cluster, ListQuery } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type Connection, readConnections } from "../facts/connections.ts";
import { type Identity, readIdentity } from "../facts/identity.ts";
import { type Injector, readInjectors } from "../facts/injectors.ts";
import { type MeshConfig, readMeshConfig } from "../facts/mesh-config.ts";
import { readProxies } from "../facts/proxies.ts";
import { readSigner, type Signer, startedBefore } from "../facts/signer.ts";
import { type Bundle, readBundle, readNamespaceBundles } from "../facts/trust.ts";
import { readSample, type Sample } from "../facts/workloads.ts";
import { isOurs, ownerOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import { PROBE_NAMESPACES } from "../mesh/objects/probe.ts";
import { readerTokens } from "../mesh/objects/reader.ts";
import { REMOTE_SECRET_LABEL, type Secret } from "../mesh/objects/secrets.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { ClusterSpec, MeshSpec } from "../mesh/spec.ts";
import { type FoundCni, readCni } from "./cni.ts";
import type { IstioGateway, KubernetesGateway } from "./gateway-resource.ts";
import { type Gateways, namespacesOf, readGateways, whereIstiodLooks } from "./gateways.ts";
import {
  type ControlPlanes,
  chooseIstiod,
  ISTIOD,
  type IstiodView,
  istiodViews,
  namesOfRunning,
  revisionOf,
  speaking,
  type Workloads,
  workloadsOf,
} from "./istiod.ts";
import { type Part, part, readable, unanswered } from "./part.ts";
import { apiServerAddress, clusterCa } from "./survey.ts";
import { type Taking, takingOf } from "./taking.ts";

export interface Binding extends KubernetesObject {
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace?: string }[];
}

/** All that was read of one cluster to judge it. A part that could not be read spoils only what needs it. */
export interface Observation {
  readonly spec: ClusterSpec;
  /** The URL by which the API server answered here; `undefined`: it did not. */
  readonly answeredAt: string | undefined;
  /** UID of `kube-system`. */
  readonly uid: Part<string>;
  readonly namespace: Part<KubernetesObject | undefined>;
  /** Of the control planes' namespace. */
  readonly istios: Part<readonly IstioResource[]>;
  readonly cni: Part<FoundCni>;
  readonly revision: Part<string>;
  /** The Deployment of istiod of the mesh's revision; `undefined` where there is none. */
  readonly istiod: Part<Deployment | undefined>;
  /** The Deployments of all istiods in the namespace. */
  readonly istiods: Part<readonly Deployment[]>;
  /** Those of revisions in use, the mesh's first. */
  readonly inUse: Part<readonly Deployment[]>;
  /** Empty where there is one istiod, on which all hang. */
  readonly workloads: Part<Workloads>;
  /** Of the istiods in use. */
  readonly istiodPods: Part<readonly Pod[]>;
  /** That of the mesh's revision. */
  readonly identity: Part<Identity>;
  /** By revision, of the istiods in use. */
  readonly identities: Part<ReadonlyMap<string, Identity>>;
  /** Of the mesh's revision. */
  readonly meshConfig: Part<MeshConfig>;
  /** The roots in effect. */
  readonly bundle: Part<Bundle>;
  /** What the namespaces hold of them, PEM, where it is a ConfigMap that each has. */
  readonly namespaceBundles: Part<ReadonlyMap<string, string>>;
  readonly cacerts: Part<Secret | undefined>;
  /** What istiod made for itself; not looked at where there is a `cacerts`. */
  readonly selfSigned: Part<Secret | undefined>;
  /** What the replicas of istiod sign by that run since before `cacerts` was last written; the others have read it as they came up. */
  readonly signers: Part<readonly Signer[]>;
  readonly gateways: Part<Gateways>;
  /** The proxies that are connected to the istiods in use, in one reading of each replica. */
  readonly connections: Part<readonly Connection[]>;
  /** The cluster's pods. */
  readonly sample: Part<Sample>;
  readonly injectors: Part<readonly Injector[]>;
  readonly exposures: Part<readonly IstioGateway[]>;
  /** None where that API is not served. */
  readonly kubernetesGateways: Part<readonly KubernetesGateway[]>;
  /** How those of either API are taken. */
  readonly taking: Part<Taking>;
  readonly remoteSecrets: Part<readonly Secret[]>;
  /** Looked for where one is missing: Secrets that hold a cluster's key and that istiod does not take, for it looks elsewhere. */
  readonly strayRemoteSecrets: Part<readonly Secret[]>;
  /** What each replica of istiod says. */
  readonly views: Part<readonly IstiodView[]>;
  /** The CA that the API server is known by in its own cluster, PEM. */
  readonly rootCa: Part<string | undefined>;
  /** URLs of the API server that are known to be right. */
  readonly servers: Part<readonly string[]>;
  /** Bindings that this action made. */
  readonly bindings: Part<readonly Binding[]>;
  readonly serviceAccounts: Part<readonly KubernetesObject[]>;
  /** Those of this mesh's probes. */
  readonly probeNamespaces: Part<readonly KubernetesObject[]>;
  /** The Secrets of ours that tokens of the reader stand and fall with, the newest last. */
  readonly readerTokens: Part<readonly Secret[]>;
}

/** What is asked of a cluster first, for a probe can start as soon as it is known: its control planes. All is still being read. */
export interface Beginning {
  readonly namespace: Promise<KubernetesObject | undefined>;
  readonly istios: Promise<readonly IstioResource[]>;
  readonly istiods: Promise<readonly Deployment[]>;
  readonly workloads: Promise<Workloads | undefined>;
  readonly chosen: Promise<ControlPlanes>;
}

/** Begins to read a cluster. */
export function beginObserving(mesh: MeshSpec, { cluster }: Member): Beginning {
  const { namespace } = mesh;
  const istios = cluster
    .list<IstioResource>({ apiVersion: ISTIO.apiVersion, kind: ISTIO.kind })
    .then((all) => all.filter((istio) => istio.spec.namespace === namespace));
  const istiods = cluster.list<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace,
    labelSelector: ISTIOD,
  });
  // Who hangs on which is a question only where there are several.
  const workloads = istiods.then(async ({ length }) =>
    length > 1 ? workloadsOf(await readProxies(cluster)) : undefined,
  );
  const chosen = Promise.all([istios, istiods, workloads.catch(unknown)]).then(([resources, deployments, of]) =>
    chooseIstiod(mesh, resources, deployments, of),
  );
  const beginning = {
    namespace: cluster.get<KubernetesObject>({ apiVersion: "v1", kind: "Namespace", name: namespace }),
    istios,
    istiods,
    workloads,
    chosen,
  };
  // Whoever needs one looks at its end in their own time.
  for (const each of Object.values(beginning)) each.catch(() => {});
  return beginning;
}

/** Reads a cluster; never throws for what it could not read. */
export async function observe(
  mesh: MeshSpec,
  { spec, cluster, kubeconfig }: Member,
  { istios, istiods, workloads, chosen, namespace: ownNamespace }: Beginning,
): Promise<Observation> {
  const { namespace } = mesh;
  const list = <T extends KubernetesObject>(apiVersion: string, kind: string, rest: Partial<ListQuery> = {}) =>
    cluster.list<T>({ apiVersion, kind, ...rest });
  const get = <T extends KubernetesObject>(kind: string, name: string, where?: string) =>
    cluster.get<T>({ apiVersion: "v1", kind, name, ...(where ? { namespace: where } : {}) });
  const istiodPods = readIstiodPods(
    cluster,
    namespace,
    chosen.then(({ inUse, revision }) => [revision, ...inUse.map(revisionOf)]),
  );
  const identities = chosen.then(
    async ({ inUse }) =>
      new Map(
        await Promise.all(
          inUse.map(async (each) => {
            const revision = revisionOf(each);
            return [revision, await readIdentity(cluster, namespace, revision, each)] as const;
          }),
        ),
      ),
  );
  const identity = Promise.all([chosen, identities]).then(
    ([{ revision }, all]) => all.get(revision) ?? readIdentity(cluster, namespace, revision, undefined),
  );
  const known = identity.catch(unknown);
  const bundle = Promise.all([chosen, known]).then(([{ istiod }, own]) => readBundle(cluster, namespace, istiod, own));
  const cacerts = get<Secret>("Secret", "cacerts", namespace);
  const selfSigned = cacerts.then((found) => (found ? undefined : get<Secret>("Secret", "istio-ca-secret", namespace)));
  const meshConfig = chosen.then(({ revision, istiod }) => readMeshConfig(cluster, namespace, revision, istiod));
  const gateways = meshConfig.then((config) => readGateways(cluster, spec, config));
  const exposures = list<IstioGateway>("networking.istio.io/v1", "Gateway");
  const kubernetesGateways = list<KubernetesGateway>("gateway.networking.k8s.io/v1", "Gateway");
  const remoteSecrets = list<Secret>("v1", "Secret", { namespace, labelSelector: `${REMOTE_SECRET_LABEL}=true` });
  const servers = apiServerAddress(cluster).then((address) => [
    ...new Set([spec.apiServer, kubeconfig.server.replace(/\/+$/, ""), address].filter((url) => url !== undefined)),
  ]);
  const [ours, rbac] = [`${MANAGED_BY}=${MANAGER}`, "rbac.authorization.k8s.io/v1"];
  return settled({
    spec,
    answeredAt: kubeconfig.server,
    uid: part(cluster.uid()),
    namespace: part(ownNamespace),
    istios: part(istios),
    cni: part(istios.then(([istio]) => readCni(cluster, istio, spec.values))),
    revision: part(chosen.then(({ revision }) => revision)),
    istiod: part(chosen.then(({ istiod }) => istiod)),
    istiods: part(istiods),
    inUse: part(chosen.then(({ inUse }) => inUse)),
    workloads: part(workloads.then((known) => known ?? new Map())),
    istiodPods: part(istiodPods),
    identity: part(identity),
    identities: part(identities),
    bundle: part(bundle),
    namespaceBundles: part(
      bundle.then(({ configMap }) => (configMap ? readNamespaceBundles(cluster, configMap) : new Map())),
    ),
    cacerts: part(cacerts),
    selfSigned: part(selfSigned),
    signers: part(
      Promise.all([cacerts, istiodPods]).then(([secret, pods]) => {
        const older = secret ? startedBefore(secret, speaking(pods)) : [];
        return Promise.all(older.map(({ metadata }) => readSigner(cluster, namespace, metadata.name)));
      }),
    ),
    meshConfig: part(meshConfig),
    gateways: part(gateways),
    connections: part(istiodPods.then((running) => connectionsOf(cluster, namespace, running))),
    sample: part(readSample(cluster)),
    injectors: part(readInjectors(cluster)),
    exposures: part(exposures),
    kubernetesGateways: part(kubernetesGateways),
    taking: part(
      Promise.all([chosen, istiods, meshConfig, exposures, kubernetesGateways.catch(unknown)]).then(
        async ([{ istiod }, all, { discoverySelectors }, ofIstio, others = []]) =>
          takingOf(
            istiod,
            all,
            await whereIstiodLooks(cluster, discoverySelectors, namespacesOf([...ofIstio, ...others])),
          ),
      ),
    ),
    remoteSecrets: part(remoteSecrets),
    strayRemoteSecrets: part(remoteSecrets.then((found) => strays(mesh, cluster, spec.name, found))),
    views: part(istiodPods.then((running) => istiodViews(cluster, namespace, speaking(running)))),
    rootCa: part(clusterCa(cluster, mesh)),
    servers: part(servers),
    bindings: part(list<Binding>(rbac, "ClusterRoleBinding", { labelSelector: ours })),
    serviceAccounts: part(list("v1", "ServiceAccount", { namespace })),
    probeNamespaces: part(
      Promise.all([cluster.uid(), list("v1", "Namespace", { labelSelector: PROBE_NAMESPACES })]).then(([uid, found]) =>
        found.filter((each) => isOurs(ownerOf(mesh, uid), each)),
      ),
    ),
    readerTokens: part(
      Promise.all([
        cluster.uid(),
        list<Secret>("v1", "Secret", { namespace, labelSelector: `${ours},app.kubernetes.io/component=reader` }),
      ]).then(([uid, secrets]) => readerTokens(ownerOf(mesh, uid), secrets).ours),
    ),
  });
}

/** Of a cluster whose API server did not answer: nothing of it is known. */
export function unseen(spec: ClusterSpec): Observation {
  const part = unanswered(spec.name);
  return {
    spec,
    answeredAt: undefined,
    uid: part,
    namespace: part,
    istios: part,
    cni: part,
    revision: part,
    istiod: part,
    istiods: part,
    inUse: part,
    workloads: part,
    istiodPods: part,
    identity: part,
    identities: part,
    meshConfig: part,
    bundle: part,
    namespaceBundles: part,
    cacerts: part,
    selfSigned: part,
    signers: part,
    gateways: part,
    connections: part,
    sample: part,
    injectors: part,
    exposures: part,
    kubernetesGateways: part,
    taking: part,
    remoteSecrets: part,
    strayRemoteSecrets: part,
    views: part,
    rootCa: part,
    servers: part,
    bindings: part,
    serviceAccounts: part,
    probeNamespaces: part,
    readerTokens: part,
  };
}

/**
 * Secrets with the key of another cluster of the mesh that has no remote secret: without the label, or, as far as one may look
 * there, in another namespace.
 */
async function strays(
  { namespace, clusters }: MeshSpec,
  cluster: Cluster,
  own: string,
  taken: readonly Secret[],
): Promise<Secret[]> {
  const keys = new Set(taken.flatMap(({ data }) => Object.keys(data ?? {})));
  const missing = clusters.filter(({ name }) => name !== own && !keys.has(name)).map(({ name }) => name);
  if (missing.length === 0) return [];
  const secrets = { apiVersion: "v1", kind: "Secret" };
  const lists = await Promise.all([
    cluster.list<Secret>({ ...secrets, namespace }),
    cluster.list<Secret>({ ...secrets, labelSelector: `${REMOTE_SECRET_LABEL}=true` }).catch((error: unknown) => {
      if (error instanceof Failure) return [];
      throw error;
    }),
  ]);
  const isTaken = ({ metadata }: Secret) =>
    metadata.namespace === namespace && metadata.labels?.[REMOTE_SECRET_LABEL] === "true";
  return lists.flat().filter((each) => !isTaken(each) && missing.some((name) => name in (each.data ?? {})));
}

/** The pods of the istiods of these revisions. */
export async function readIstiodPods(
  cluster: Cluster,
  namespace: string,
  revisions: readonly string[] | Promise<readonly string[]>,
): Promise<Pod[]> {
  const query = { apiVersion: "v1", kind: "Pod", namespace, labelSelector: ISTIOD };
  const [wanted, all] = await Promise.all([revisions, cluster.list(query)]);
  return (all as unknown as Pod[]).filter(({ metadata }) =>
    wanted.includes(metadata.labels?.["istio.io/rev"] ?? "default"),
  );
}

/**
 * The proxies that are connected to the istiods of these pods. One that is not ready may have some still, or answer nothing yet.
 * @throws as `debug`, and where none of them runs
 */
export async function connectionsOf(cluster: Cluster, namespace: string, pods: readonly Pod[]): Promise<Connection[]> {
  const running = namesOfRunning(pods);
  if (running.length === 0) throw new Failure("No replica of istiod runs that could be asked for its proxies.");
  const counting = namesOfRunning(speaking(pods));
  const others = running.filter((each) => !counting.includes(each));
  const [told, ...more] = await Promise.all([
    readConnections(cluster, namespace, counting),
    ...others.map((each) => part(readConnections(cluster, namespace, [each]))),
  ]);
  return [...told, ...more.flatMap((each) => readable(each) ?? [])];
}

/** All that is being read, once it is. */
async function settled<T extends Record<string, unknown>>(parts: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await Promise.all(Object.values(parts));
  return Object.fromEntries(Object.keys(parts).map((key, i) => [key, values[i]])) as { [K in keyof T]: Awaited<T[K]> };
}

/** Where it could not be read, its own part says why. */
function unknown(error: unknown): undefined {
  if (!(error instanceof Failure)) throw error;
}
