/** Helm values of istiod, as the `Istio` resource's `spec.values` takes them. */
export type Values = { readonly [key: string]: unknown };

/**
 * Who installs and owns the control planes. `sail`: the Sail Operator. `istioctl`: this action, which applies what istioctl
 * makes of the same values. `existing`: somebody else; they are only connected.
 */
export type Installer = "sail" | "istioctl" | "existing";

/** What `uninstall` removes: the links between the clusters, or all that is ours. */
export type UninstallScope = "mesh" | "all";

/** Where the root of trust comes from; see docs/SECURITY.md. */
export type TrustMode = "auto" | "existing" | "provided" | "generate";

export interface TrustSpec {
  readonly mode: TrustMode;
  /** Meshes that run are led from their roots to the one that is provided. */
  readonly transition?: true;
  /** Namespaces whose workloads may be restarted for that. */
  readonly restart?: readonly string[];
}

export interface GatewaySpec {
  /** `false`: the clusters have east-west gateways of their own; ours are not made. */
  readonly install: boolean;
  readonly service: {
    readonly type: "LoadBalancer" | "NodePort";
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
    readonly loadBalancerClass?: string;
  };
  /** Smallest number of gateway pods; the autoscaler may add more. */
  readonly replicas: number;
  /** Kubernetes resource requirements of the gateway's container, instead of Istio's usual ones. */
  readonly resources?: Values;
  /** Of the gateway's pods, as Kubernetes has them. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly Values[];
  readonly affinity?: Values;
  readonly topologySpreadConstraints?: readonly Values[];
  readonly podLabels?: Readonly<Record<string, string>>;
  readonly podAnnotations?: Readonly<Record<string, string>>;
  /** Of the pod, not of its container. */
  readonly securityContext?: Values;
}

/** The Sail Operator to install where there is none. */
export interface OperatorSpec {
  /** `X.Y.Z`, without a leading `v`; absent: one that installs the mesh's Istio. */
  readonly version?: string;
  /** Helm chart: a path, a URL, `oci://…`, or a chart of a repository; `<version>` stands for the operator's. */
  readonly chart: string;
}

export interface ClusterSpec {
  /** Istio's cluster ID: unique in the mesh, and the key in every remote secret that points here. */
  readonly name: string;
  readonly network: string;
  /** The API server's URL as the *other* clusters reach it, where the kubeconfig's would not do. */
  readonly apiServer?: string;
  /** The name on the API server's certificate, where it differs from the host of the URL. */
  readonly tlsServerName?: string;
  /** The user's Helm values for this cluster, those for all clusters merged in. */
  readonly values: Values;
  /** Where the CNI plugin's image comes from, where that is to be said. */
  readonly cniHub?: string;
}

/** The CNI plugin's own settings. */
export interface CniSpec {
  readonly namespace?: string;
  /** Helm values of the plugin's chart. */
  readonly values?: Values;
}

/** A Service of the user's that every cluster shall reach. */
export interface ServiceSpec {
  readonly namespace: string;
  readonly name: string;
  /** Absent: all of its ports. */
  readonly port?: number;
  /** The path by which the probes call it, with its query; absent: they do not. */
  readonly request?: string;
}

/** `namespace/name`, or `namespace/name:port`. */
export function serviceName({ namespace, name, port }: ServiceSpec): string {
  return `${namespace}/${name}${port === undefined ? "" : `:${port}`}`;
}

/** What other networks are let in to: a Service, or without a name all of a namespace. */
export interface ExposedSpec {
  readonly namespace: string;
  readonly name?: string;
}

/** What the clusters' own policies ask of the probe's namespace and pod. */
export interface ProbeOptions {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The whole mesh as the user asked for it: validated, and without kubeconfigs and keys, which are kept apart from it. */
export interface MeshSpec {
  readonly id: string;
  /** `X.Y.Z` as it was asked for, without a leading `v`; absent: what runs, and a usual one where none does. */
  readonly istioVersion?: string;
  /** Control planes that live alone may take the mesh's identity. */
  readonly adopt?: true;
  /** Control planes may go back to an older version. */
  readonly allowDowngrade?: true;
  /** The control planes' namespace. */
  readonly namespace: string;
  /** Name of the `Istio` resource; any other than `default` means a revision of that name. */
  readonly istioResource: string;
  readonly installer: Installer;
  /** Absent: the operator is there already, or none is used. */
  readonly operator?: OperatorSpec;
  /** Where images come from: `auto`, or a registry and a path. */
  readonly imageHub: string;
  readonly cni?: CniSpec;
  readonly trust: TrustSpec;
  readonly gateway: GatewaySpec;
  /** Absent: all Services; empty: none. */
  readonly exposed?: readonly ExposedSpec[];
  /** `auto`, or the name of the ClusterRole that the reader account is bound to. */
  readonly readerRole: string;
  /** Seconds that the tokens in remote secrets are good for; absent: they do not expire. */
  readonly tokenTtl?: number;
  /** What the clusters' own policies ask of the probe's namespace and pod. */
  readonly probe?: ProbeOptions;
  /** At least two (one will do to uninstall), with unique names. In one network they reach each other's pods directly. */
  readonly clusters: readonly ClusterSpec[];
}

/** Whether the mesh has another network than this one: only then a way into this one is needed. */
export function hasOtherNetworks({ clusters }: Pick<MeshSpec, "clusters">, network: string): boolean {
  return clusters.some((each) => each.network !== network);
}

/** Whether two of the mesh's clusters are in one network. */
export function shareNetwork({ clusters }: Pick<MeshSpec, "clusters">, one: string, other: string): boolean {
  const networkOf = (name: string) => clusters.find((each) => each.name === name)?.network;
  return networkOf(one) !== undefined && networkOf(one) === networkOf(other);
}

/** The mesh once the clusters were looked at, which decides on what was not asked for. */
export interface SettledMesh extends MeshSpec {
  /** Without a leading `v`. */
  readonly istioVersion: string;
  readonly operator?: Required<OperatorSpec>;
}

/** `observer` holds a remote secret by which its istiod reads `target`. */
export interface RemotePair {
  readonly observer: string;
  readonly target: string;
}

/** Every ordered pair of different names: N·(N−1) of them. */
export function orderedPairs(names: readonly string[]): RemotePair[] {
  return names.flatMap((observer) =>
    names.filter((target) => target !== observer).map((target) => ({ observer, target })),
  );
}

/** `source` calls `target`. */
export interface TrafficPair {
  readonly source: string;
  readonly target: string;
}
