import type { Cluster } from "../cluster/cluster.ts";
import { isLoopback } from "../cluster/kubeconfig.ts";
import type { Member } from "../cluster/member.ts";
import { configText } from "../facts/config.ts";
import { type Identity, readIdentity } from "../facts/identity.ts";
import { readProxies } from "../facts/proxies.ts";
import { type Bundle, otherCa, plannedCa, readBundle } from "../facts/trust.ts";
import type { Adoption } from "../mesh/adoption.ts";
import type { Authority } from "../mesh/authority.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import { isOurs, type Owner, ownerOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import {
  CLUSTER_READER,
  currentReaderToken,
  type ReaderTokens,
  readerTokens,
  TOKEN_TYPE,
} from "../mesh/objects/reader.ts";
import { REMOTE_SECRET_LABEL, type Secret, secretText } from "../mesh/objects/secrets.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { TrustState } from "../mesh/trust.ts";
import { adoptionOf } from "./adoption.ts";
import { type CniPlan, planCni } from "./cni.ts";
import { type FoundOperator, findOperator } from "./found-operator.ts";
import { type ControlPlanes, chooseIstiod, ISTIOD, revisionOf, type Workloads, workloadsOf } from "./istiod.ts";
import { type Part, part, readable } from "./part.ts";
import { reviewToken } from "./tokens.ts";

/** What was read of one cluster before anything is changed. */
export interface Survey {
  /** UID of `kube-system`, by which a cluster is told from others. */
  readonly uid: string;
  /** The API server's URL that goes into the other clusters' remote secrets, and where it comes from. */
  readonly apiServer: { readonly url: string; readonly source: string };
  /** `Istio` resources for our namespace. */
  readonly istios: readonly IstioResource[];
  /** Deployments of istiod in our namespace. */
  readonly istiods: readonly Deployment[];
  /** Which of them count. */
  readonly controlPlanes: ControlPlanes;
  /** By revision, of those in use. */
  readonly identities: ReadonlyMap<string, Part<Identity>>;
  readonly namespace: KubernetesObject | undefined;
  readonly trust: TrustState;
  /** The Secret `cacerts`, as it was read, and that of the root which istiod made itself. */
  readonly cacerts: Secret | undefined;
  readonly selfSigned: Secret | undefined;
  readonly remoteSecrets: readonly Secret[];
  /** The Secrets that tokens of the reader stand and fall with. */
  readonly readerTokens: ReaderTokens;
  /** That one of them which remote secrets are made from; none where the API server refuses the token in it. */
  readonly readerToken: Secret | undefined;
  /** The CA that the API server is known by in the cluster, PEM; `undefined` where there is no namespace yet. */
  readonly rootCa: string | undefined;
  readonly hasClusterReader: boolean;
  /** The Sail Operator, where it is to install the control plane. */
  readonly operator: FoundOperator | undefined;
  readonly cni: CniPlan;
  /** How its control plane, which has lived alone, goes on into the mesh; `undefined`: it need not, or may not. */
  readonly adoption: Adoption | undefined;
}

/** Reads what the preflight and the steps after it need to know of a cluster; throws a `Failure` where it cannot. */
export async function survey(mesh: MeshSpec, { spec, cluster, kubeconfig }: Member): Promise<Survey> {
  const inNamespace = { namespace: mesh.namespace };
  const secret = (name: string) => cluster.get<Secret>({ apiVersion: "v1", kind: "Secret", ...inNamespace, name });
  const istiosThere = cluster.list<IstioResource>(ISTIO);
  const istiodsThere = cluster.list<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    ...inNamespace,
    labelSelector: ISTIOD,
  });
  const choosing = Promise.all([istiosThere, istiodsThere]).then(async ([all, istiods]) => {
    const istios = all.filter((istio) => istio.spec.namespace === mesh.namespace);
    const controlPlanes = chooseIstiod(mesh, istios, istiods, await hanging(cluster, istiods));
    const { istiod, inUse } = controlPlanes;
    const identities = new Map(
      await Promise.all(
        inUse.map(async (each) => {
          const revision = revisionOf(each);
          return [revision, await part(readIdentity(cluster, mesh.namespace, revision, each))] as const;
        }),
      ),
    );
    const own = identities.get(controlPlanes.revision);
    const identity = own && readable(own);
    // istiod renews it while it runs and leaves it behind when it goes.
    const running = istiod ?? istiods[0];
    const signs = running
      ? otherCa(istiod, mesh.namespace, identity?.caAddress)
      : plannedCa(istios[0]?.spec.values ?? spec.values, mesh.namespace);
    // One that signs in istiod's place writes its root there by itself.
    const bundle = running || signs ? await readBundle(cluster, mesh.namespace, running, identity) : undefined;
    return { istios, istiods, controlPlanes, identities, bundle, signs };
  });
  const [
    uid,
    apiServer,
    namespace,
    { istios, istiods, controlPlanes, identities, bundle, signs },
    cacerts,
    selfSigned,
    remoteSecrets,
    reader,
    rootCa,
    clusterReader,
    operator,
    cni,
  ] = await Promise.all([
    cluster.uid(),
    peerServer(spec.apiServer, kubeconfig.server, cluster),
    cluster.get({ apiVersion: "v1", kind: "Namespace", name: mesh.namespace }),
    choosing,
    secret("cacerts"),
    secret("istio-ca-secret"),
    cluster.list<Secret>({
      apiVersion: "v1",
      kind: "Secret",
      ...inNamespace,
      labelSelector: `${REMOTE_SECRET_LABEL}=true`,
    }),
    readerTokensOf(mesh, cluster),
    clusterCa(cluster, mesh),
    cluster.get({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", name: CLUSTER_READER }),
    mesh.installer === "sail" ? findOperator(cluster) : undefined,
    istiosThere.then((all) => planCni(mesh, { spec, cluster }, all)),
  ]);
  return {
    uid,
    apiServer,
    namespace,
    istios,
    istiods,
    controlPlanes,
    identities,
    adoption: await adoptionOf(mesh, { spec, cluster }, uid, {
      istios,
      controlPlanes,
      identities,
      namespace,
      remoteSecrets,
    }),
    trust: {
      cluster: spec.name,
      ...(await authorities(ownerOf(mesh, uid), cacerts, selfSigned)),
      ...inEffect(bundle),
      otherCa: signs,
      controlPlane: istios.length > 0 || istiods.length > 0,
      running: istiods.length > 0,
    },
    cacerts,
    selfSigned,
    remoteSecrets,
    ...reader,
    rootCa,
    hasClusterReader: clusterReader !== undefined,
    operator,
    cni,
  };
}

/** Who hangs on which istiod, a question only where there are several; `undefined` where that is not known. */
async function hanging(cluster: Cluster, { length }: readonly Deployment[]): Promise<Workloads | undefined> {
  if (length < 2) return undefined;
  const proxies = await part(readProxies(cluster));
  return readable(() => workloadsOf(proxies()));
}

/**
 * The Secrets of the reader's tokens, and the one to make remote secrets from. Not one whose token the API server refuses, as
 * it does when its signing key was replaced, or the Secret comes from a backup. Tokens that expire are made when they are
 * needed, and looked at then.
 */
async function readerTokensOf(mesh: MeshSpec, cluster: Cluster): Promise<Pick<Survey, "readerTokens" | "readerToken">> {
  const secrets = { apiVersion: "v1", kind: "Secret", namespace: mesh.namespace };
  const [uid, filled, ours] = await Promise.all([
    cluster.uid(),
    // Tokens that do not expire, whoever made them, and ours of both kinds.
    cluster.list<Secret>({ ...secrets, fieldSelector: `type=${TOKEN_TYPE}` }),
    cluster.list<Secret>({ ...secrets, labelSelector: `${MANAGED_BY}=${MANAGER},app.kubernetes.io/component=reader` }),
  ]);
  const tokens = readerTokens(ownerOf(mesh, uid), [...filled, ...ours]);
  const current = currentReaderToken(mesh, tokens);
  const token = mesh.tokenTtl === undefined ? secretText(current, "token") : undefined;
  const refused = token && !(await reviewToken(cluster, token)).authenticated;
  return { readerTokens: tokens, readerToken: refused ? undefined : current };
}

/** The CA in the ConfigMap that Kubernetes puts into every namespace. */
export function clusterCa(cluster: Cluster, mesh: MeshSpec): Promise<string | undefined> {
  return configText(cluster, mesh.namespace, "kube-root-ca.crt", "ca.crt");
}

interface EndpointSlice extends KubernetesObject {
  addressType?: string;
  endpoints?: { addresses?: string[] }[];
  ports?: { name?: string; port?: number }[];
}

/** The API server's URL by the address in the EndpointSlice default/kubernetes, which the cluster's own nodes use. */
export async function apiServerAddress(cluster: Cluster): Promise<string | undefined> {
  const slice = await cluster.get<EndpointSlice>({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    namespace: "default",
    name: "kubernetes",
  });
  const address = slice?.endpoints?.[0]?.addresses?.[0];
  const port = slice?.ports?.find((each) => each.name === "https")?.port ?? slice?.ports?.[0]?.port;
  return address ? `https://${address.includes(":") ? `[${address}]` : address}:${port ?? 443}` : undefined;
}

/** The API server's URL as the other clusters reach it. kind's kubeconfig says 127.0.0.1, which is the reader itself. */
async function peerServer(given: string | undefined, own: string, cluster: Cluster): Promise<Survey["apiServer"]> {
  if (given) return { url: given, source: "the input" };
  if (!isLoopback(own)) return { url: own, source: "the kubeconfig" };
  const url = await apiServerAddress(cluster);
  if (!url || isLoopback(url)) {
    throw new Failure(
      `The kubeconfig's server ${own} is a loopback address, which the other clusters cannot reach, and the EndpointSlice default/kubernetes names no other${url ? ` (${url})` : ""}.`,
      "Set the input `api-server` of this cluster to a URL that the other clusters reach.",
    );
  }
  return { url, source: "the EndpointSlice default/kubernetes, for the kubeconfig's server is a loopback address" };
}

/** Loaded while the clusters answer, for what reads a certificate's extensions is large. */
const inspector = () => import("../mesh/certificates/inspect.ts");

/** The CAs in Secrets. */
async function authorities(
  owner: Owner,
  cacerts: Secret | undefined,
  selfSigned: Secret | undefined,
): Promise<Pick<TrustState, "cacerts" | "selfSigned">> {
  const inspection = cacerts && (await inspector()).inspectCaCerts(cacerts.data ?? {});
  // istiod can keep the root that it made for itself under the name cacerts, too.
  const generated = inspection?.istioGenerated ? cacerts : undefined;
  const own = selfSignedCa(selfSigned ?? generated);
  if (!inspection || !cacerts || generated) return own ? { selfSigned: own } : {};
  const { issuer, roots, problems } = inspection;
  return {
    cacerts: {
      ...(issuer && roots.length > 0 ? { authority: { issuer, trusted: roots } } : {}),
      problems,
      ours: isOurs(owner, cacerts),
    },
    ...(own ? { selfSigned: own } : {}),
  };
}

/** The CA that istiod made for itself, from the Secret that it keeps it in. */
export function selfSignedCa(secret: Secret | undefined): Authority | undefined {
  const [certificate] = readableIn(secretText(secret, "ca-cert.pem") ?? "");
  return certificate && { issuer: { certificate, chain: [] }, trusted: [certificate] };
}

/** What istiod tells proxies to trust; nothing where there is no certificate in it. */
function inEffect(bundle: Bundle | undefined): Pick<TrustState, "inEffect" | "more"> {
  const roots = readableIn(bundle?.pem ?? "");
  if (!bundle || roots.length === 0) return {};
  const more = { added: readableIn(bundle.added), idle: readableIn(bundle.idle) };
  return { inEffect: roots, more };
}
