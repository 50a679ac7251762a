import type { Cluster } from "../cluster/cluster.ts";
import { fields, text } from "../mesh/fields.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Values } from "../mesh/spec.ts";
import { writtenAt } from "../mesh/written.ts";
import { envOf, isOn } from "./config.ts";
import type { Identity } from "./identity.ts";

/** Where the proxies of a control plane learn which roots to trust. */
export interface Bundle {
  /** `ConfigMap istio-system/istio-ca-root-cert` */
  readonly source: string;
  /** The name of the ConfigMap, which proxies find in their own namespaces; `undefined`: it is none. */
  readonly configMap?: string;
  /** PEM, any number and order; `undefined`: there is none. */
  readonly pem: string | undefined;
  /** When that was last written; `undefined`: it is not noted. */
  readonly since: Date | undefined;
  /** Those that `meshConfig.caCertificates` adds to it, PEM. */
  readonly added: string;
  /** Those that it would add, if istiod and the proxies were told to take them, PEM. */
  readonly idle: string;
}

/** What istiod keeps its root in for a namespace's proxies where it is not told otherwise. */
export const ROOT_CONFIG_MAP = "istio-ca-root-cert";

/** The one object that istiod writes its root to where it is told to (pilot/pkg/config/kube/clustertrustbundle). */
const TRUST_BUNDLE = "istio.io:istiod-ca:root-cert";

/** Kubernetes 1.33 and later, and those before that. */
const TRUST_BUNDLE_VERSIONS = ["certificates.k8s.io/v1beta1", "certificates.k8s.io/v1alpha1"];

interface ClusterTrustBundle extends KubernetesObject {
  spec?: { trustBundle?: string };
}

/**
 * Reads the roots that an istiod tells its proxies of. It outlives istiod. Takes `get configmaps` in the namespace, or, where
 * istiod says so by its environment, `get clustertrustbundles`.
 * @param istiod its Deployment; none: Istio's usual place
 */
export async function readBundle(
  cluster: Cluster,
  namespace: string,
  istiod: Deployment | undefined,
  identity: Pick<Identity, "caCertificates" | "takesCaCertificates"> | undefined,
): Promise<Bundle> {
  const variable = (name: string) => envOf(istiod, name);
  const more = (identity?.caCertificates ?? []).flatMap(({ pem }) => pem ?? []).join("\n");
  const takes = isOn(variable("ISTIO_MULTIROOT_MESH")) && identity?.takesCaCertificates;
  const extra = { added: takes ? more : "", idle: takes ? "" : more };
  if (isOn(variable("ENABLE_CLUSTER_TRUST_BUNDLE_API"))) {
    const found = await clusterTrustBundle(cluster);
    const since = found && writtenAt(found.metadata, ["spec"]);
    return { source: `ClusterTrustBundle ${TRUST_BUNDLE}`, pem: found?.spec?.trustBundle, since, ...extra };
  }
  const name = variable("PILOT_CA_CERT_CONFIGMAP") ?? ROOT_CONFIG_MAP;
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace, name };
  const found = await cluster.get<KubernetesObject & { data?: Record<string, string> }>(ref);
  const since = found && writtenAt(found.metadata, ["data"]);
  return {
    source: `ConfigMap ${namespace}/${name}`,
    configMap: name,
    pem: found?.data?.["root-cert.pem"],
    since,
    ...extra,
  };
}

/**
 * What the namespaces hold in a ConfigMap of that name, PEM: one list. Takes `list configmaps` of that name alone, which
 * RBAC grants by `resourceNames`.
 */
export async function readNamespaceBundles(cluster: Cluster, name: string): Promise<Map<string, string>> {
  const found = await cluster.list<KubernetesObject & { data?: Record<string, string> }>({
    apiVersion: "v1",
    kind: "ConfigMap",
    fieldSelector: `metadata.name=${name}`,
  });
  return new Map(found.map(({ metadata, data }) => [metadata.namespace ?? "", data?.["root-cert.pem"] ?? ""]));
}

async function clusterTrustBundle(cluster: Cluster): Promise<ClusterTrustBundle | undefined> {
  for (const apiVersion of TRUST_BUNDLE_VERSIONS) {
    const ref = { apiVersion, kind: "ClusterTrustBundle", name: TRUST_BUNDLE };
    const found = await cluster.get<ClusterTrustBundle>(ref);
    if (found) return found;
  }
  return undefined;
}

/** What signs the proxies' certificates where it is not istiod, in words; `undefined` where istiod does. */
export function otherCa(
  istiod: Deployment | undefined,
  namespace: string,
  caAddress: string | undefined,
): string | undefined {
  return signerOf((name) => envOf(istiod, name), namespace, caAddress);
}

/** The same of a control plane that is still to be made by these values. */
export function plannedCa(values: Values, namespace: string): string | undefined {
  const env = fields(fields(values.pilot).env);
  return signerOf((name) => text(env[name]), namespace, text(fields(values.global).caAddress));
}

function signerOf(
  variable: (name: string) => string | undefined,
  namespace: string,
  caAddress: string | undefined,
): string | undefined {
  const external = variable("EXTERNAL_CA");
  if (external) return `EXTERNAL_CA=${external}`;
  if (/^(0|f|false)$/i.test(variable("ENABLE_CA_SERVER") ?? "")) return "ENABLE_CA_SERVER=false";
  // istiod's own Service may be named, too.
  const isIstiod = new RegExp(`^istiod[-\\w]*\\.${namespace}\\.svc\\b`).test(caAddress ?? "");
  return caAddress && !isIstiod ? `global.caAddress ${caAddress}` : undefined;
}
