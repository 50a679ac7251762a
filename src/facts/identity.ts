import { parse } from "yaml";
import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { fields, text } from "../mesh/fields.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import { injectorValues, isOn } from "./config.ts";
import { type CaCertificate, readMeshConfig } from "./mesh-config.ts";

/** What istiod takes for its own cluster's name where nobody gives it one (pilot/pkg/bootstrap, and Istio's charts). */
export const DEFAULT_CLUSTER_NAME = "Kubernetes";

/** The identity that a control plane, and the proxies that it injects, run with. */
export interface Identity {
  readonly clusterName: string;
  /** Other names by which it takes proxies for its own cluster's. */
  readonly clusterAliases: readonly string[];
  /** By its Helm values; the namespace's label counts where they name none. */
  readonly network: string | undefined;
  /** `undefined` where none is set: proxies give the trust domain for it. */
  readonly meshId: string | undefined;
  readonly trustDomain: string;
  /** Other trust domains whose identities it takes for its own. */
  readonly trustDomainAliases: readonly string[];
  /** Roots of others: `meshConfig.caCertificates`. */
  readonly caCertificates: readonly CaCertificate[];
  /** Whether proxies are told to take those (`PROXY_CONFIG_XDS_AGENT` in the proxies' metadata). */
  readonly takesCaCertificates: boolean;
  /** Who signs for the proxies that it injects, where that is said: `global.caAddress`. */
  readonly caAddress: string | undefined;
}

/** The domain of an istiod that is told none (pilot-discovery's flag `--domain`). */
export const DEFAULT_CLUSTER_DOMAIN = "cluster.local";

/** What the host names of Services end with for an istiod, of all clusters that it reads: the domain it is started with. */
export function clusterDomainOf(istiod: Deployment | undefined): string {
  return flag(istiod?.spec.template.spec.containers[0]?.args ?? [], "domain").at(-1) || DEFAULT_CLUSTER_DOMAIN;
}

/**
 * Reads the identity of the control plane of a revision: by istiod's own arguments and environment, its mesh configuration,
 * and the values that it injects by. Takes `get configmaps` in the namespace. Throws a `Failure` where the name or the mesh configuration cannot be told.
 * @param istiod its Deployment
 */
export async function readIdentity(
  cluster: Cluster,
  namespace: string,
  revision: string,
  istiod: Deployment | undefined,
): Promise<Identity> {
  const [mesh, injector] = await Promise.all([
    readMeshConfig(cluster, namespace, revision, istiod),
    injectorValues(cluster, namespace, revision),
  ]);
  const global = fields(fields(readYaml(injector)).global);
  return {
    ...clusterNames(istiod, text(fields(global.multiCluster).clusterName)),
    network: text(global.network),
    meshId: text(global.meshID) ?? mesh.meshId,
    trustDomain: mesh.trustDomain,
    trustDomainAliases: mesh.trustDomainAliases,
    caCertificates: mesh.caCertificates,
    takesCaCertificates: isOn(mesh.proxyMetadata.PROXY_CONFIG_XDS_AGENT),
    caAddress: text(global.caAddress),
  };
}

/** @param injected the name that proxies are given */
function clusterNames(istiod: Deployment | undefined, injected: string | undefined) {
  const { args = [], env = [] } = istiod?.spec.template.spec.containers[0] ?? {};
  const variable = env.find(({ name }) => name === "CLUSTER_ID");
  const clusterName = flag(args, "clusterID").at(-1) ?? text(variable?.value) ?? injected;
  if (clusterName === undefined && variable?.valueFrom !== undefined) {
    throw new Failure(
      `istiod (Deployment ${istiod?.metadata.name}) takes its cluster's name, CLUSTER_ID, from another object: it cannot be told.`,
      "Set the Helm value global.multiCluster.clusterName instead.",
    );
  }
  return { clusterName: clusterName ?? DEFAULT_CLUSTER_NAME, clusterAliases: aliasesIn(args, clusterName) };
}

/** The names that istiod's arguments make aliases of a cluster's: `--clusterAliases=old=new`. @param name default: `Kubernetes` */
export function aliasesIn(args: readonly string[], name = DEFAULT_CLUSTER_NAME): string[] {
  return flag(args, "clusterAliases")
    .flatMap((list) => list.split(","))
    .flatMap((pair) => (pair.endsWith(`=${name}`) ? pair.slice(0, -name.length - 1) : []));
}

/** The values of a flag, given as one argument or two. */
function flag(args: readonly string[], name: string): string[] {
  return args.flatMap((arg, i) => {
    if (arg.startsWith(`--${name}=`)) return arg.slice(name.length + 3);
    return arg === `--${name}` ? (args[i + 1] ?? []) : [];
  });
}

/** Nothing where it is no YAML: then what is missing is told, not what could not be parsed. */
function readYaml(written: string | undefined): unknown {
  try {
    return parse(written ?? "");
  } catch {
    return undefined;
  }
}
