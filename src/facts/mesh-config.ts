import { parse } from "yaml";
import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { type Fields, fields, items, text } from "../mesh/fields.ts";
import type { LabelSelector } from "../mesh/label-selector.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import { configData, envOf, ofRevision } from "./config.ts";

/** What a control plane's mesh configuration says, as far as it is asked; what it leaves out is Istio's default. */
export interface MeshConfig {
  readonly meshId: string | undefined;
  /** Whose policies hold for all namespaces, where it is not the control plane's. */
  readonly rootNamespace?: string;
  /** Proxies do not use mTLS towards what takes it, unless they are told to. */
  readonly autoMtls?: false;
  readonly trustDomain: string;
  /** Other trust domains whose identities are taken for its own. */
  readonly trustDomainAliases: readonly string[];
  /**
   * By which of them istiod chooses the namespaces that it looks at, in its own cluster and, by the same, in the others'
   * (pkg/kube/namespace/filter.go). None: it looks at all.
   */
  readonly discoverySelectors: readonly LabelSelector[];
  /** Hosts whose endpoints stay in their cluster, or not, in the order in which they are written. */
  readonly clusterLocal: readonly { readonly host: string; readonly local: boolean }[];
  /** To which namespaces a Service is exported that does not say so itself. */
  readonly defaultServiceExportTo: readonly string[];
  /** The same of policies, by their kinds. */
  readonly defaultExportTo?: Readonly<Record<string, readonly string[]>>;
  /** Roots of others. */
  readonly caCertificates: readonly CaCertificate[];
  /** What every proxy is given of variables. */
  readonly proxyMetadata: Readonly<Record<string, unknown>>;
  /** How endpoints are chosen by where they are. */
  readonly localityLbSetting: { readonly enabled?: boolean; readonly distribute?: readonly unknown[] };
  /** The ways into networks that it names, beside those that Services' labels name (`meshNetworks`). */
  readonly networkGateways: readonly NetworkGateway[];
}

/** The hosts whose endpoints a mesh configuration keeps in their cluster, or not. @param mesh its YAML, read */
export function clusterLocalIn(mesh: unknown): MeshConfig["clusterLocal"] {
  return items(fields(mesh).serviceSettings).flatMap((each) => {
    const { settings, hosts } = fields(each);
    return strings(hosts).map((host) => ({ host, local: fields(settings).clusterLocal === true }));
  });
}

/** A way into a network by the mesh configuration. */
export interface NetworkGateway {
  readonly network: string;
  /** The clusters that are in the network. */
  readonly registries: readonly string[];
  readonly address: string | undefined;
  /** Instead of an address: the host name of a Service of those clusters. */
  readonly service: string | undefined;
  readonly port: number;
}

export interface CaCertificate {
  /** Absent where it is to be fetched. */
  readonly pem: string | undefined;
  readonly trustDomains: readonly string[];
}

/** The variable of istiod that names a ConfigMap with a mesh configuration that several revisions have in common. */
const SHARED = "SHARED_MESH_CONFIG";

/** As istiod puts one over the other (pkg/config/mesh, ApplyMeshConfig): field by field, but for what is merged. */
function merged(common: Fields, own: Fields): Fields {
  const [theirs, ours] = [fields(common.defaultConfig), fields(own.defaultConfig)];
  return {
    ...common,
    ...own,
    trustDomainAliases: [...items(common.trustDomainAliases), ...items(own.trustDomainAliases)],
    defaultConfig: {
      ...theirs,
      ...ours,
      proxyMetadata: { ...fields(theirs.proxyMetadata), ...fields(ours.proxyMetadata) },
    },
  };
}

/**
 * Reads the mesh configuration of a revision's control plane. Takes `get configmaps` in the namespace. Throws a `Failure`
 * where what is written is no YAML.
 * @param istiod its Deployment, which may name a configuration that several have in common
 */
export async function readMeshConfig(
  cluster: Cluster,
  namespace: string,
  revision: string,
  istiod?: Deployment,
): Promise<MeshConfig> {
  const shared = envOf(istiod, SHARED);
  const own = ofRevision("istio", revision);
  const [written, common] = await Promise.all([
    configData(cluster, namespace, own),
    shared ? configData(cluster, namespace, shared) : ({} as Readonly<Record<string, string>>),
  ]);
  const parsed = (text: string | undefined, name: string): unknown => {
    try {
      return parse(text ?? "");
    } catch {
      throw new Failure(`ConfigMap ${namespace}/${name} holds no YAML, so what istiod goes by is not known.`);
    }
  };
  const mesh = merged(fields(parsed(common.mesh, shared ?? "")), fields(parsed(written.mesh, own)));
  const networks = parsed(written.meshNetworks, own);
  const defaultConfig = fields(mesh.defaultConfig);
  return {
    meshId: text(defaultConfig.meshId),
    ...(text(mesh.rootNamespace) ? { rootNamespace: text(mesh.rootNamespace) as string } : {}),
    ...(mesh.enableAutoMtls === false ? { autoMtls: false } : {}),
    trustDomain: text(mesh.trustDomain) ?? "cluster.local",
    trustDomainAliases: strings(mesh.trustDomainAliases),
    discoverySelectors: items(mesh.discoverySelectors) as LabelSelector[],
    clusterLocal: clusterLocalIn(mesh),
    defaultServiceExportTo: strings(mesh.defaultServiceExportTo),
    defaultExportTo: {
      VirtualService: strings(mesh.defaultVirtualServiceExportTo),
      DestinationRule: strings(mesh.defaultDestinationRuleExportTo),
    },
    caCertificates: items(mesh.caCertificates)
      .map(fields)
      .map(({ pem, trustDomains }) => ({ pem: text(pem), trustDomains: strings(trustDomains) })),
    proxyMetadata: fields(defaultConfig.proxyMetadata),
    localityLbSetting: {
      ...(fields(mesh.localityLbSetting).enabled === false ? { enabled: false } : {}),
      distribute: items(fields(mesh.localityLbSetting).distribute),
    },
    networkGateways: Object.entries(fields(fields(networks).networks)).flatMap(([network, each]) => {
      const { endpoints, gateways } = fields(each);
      const registries = items(endpoints).flatMap((endpoint) => text(fields(endpoint).fromRegistry) ?? []);
      return items(gateways).map((gateway) => {
        const { address, registryServiceName, port } = fields(gateway);
        return { network, registries, address: text(address), service: text(registryServiceName), port: Number(port) };
      });
    }),
  };
}

const strings = (value: unknown): string[] => items(value).flatMap((each) => text(each) ?? []);
