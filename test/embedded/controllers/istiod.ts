import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { ExecResponse, Json, Kube } from "../kube.ts";
import type { Neighbour } from "../network.ts";
import { type Ca, caIn, proxyCertificates } from "./certificates.ts";
import { endpointsFor, type Known, networkGateways, networkOf } from "./endpoints.ts";
import { type Dial, RemoteClusters } from "./remote-clusters.ts";
import { shardz } from "./slices.ts";
import { encode, ensure, isReady, now, on } from "./support.ts";

export interface IstiodOptions {
  /** Where a URL of the clusters' network leads to in this process. */
  readonly dial?: Dial;
  /** The cluster whose API server really listens at a URL. Default: none but this one is known. */
  readonly neighbourAt?: (server: string) => Neighbour | undefined;
  /** It misses changed remote secrets until it is restarted, as some versions do. */
  readonly deaf?: boolean;
  /** It loses what it holds of a cluster whose remote secret is changed, until it is restarted, as some versions do. */
  readonly forgetful?: boolean;
  /** What becomes of an answer of its debug interface. */
  readonly distort?: (path: string, answer: Json) => Json;
  /** How long it tries to read another cluster, in milliseconds, where not the usual time. */
  readonly timeout?: number;
  /** Milliseconds until it leads, and tells the namespaces of its root. Default: at once. */
  readonly election?: number;
}

/** The control planes of one cluster, for those that they tell. */
export interface Istiods {
  /** The clusters that a replica of the revision knows, its own first; `undefined`: none runs. */
  known(revision: string): Promise<Known[] | undefined>;
}

/** One running istiod. */
interface Istiod {
  readonly id: string;
  readonly revision: string;
  readonly namespace: string;
  /** What it signs by and has its workloads trust: as of its start, but for a new intermediate of the same roots. */
  ca: Promise<Ca>;
  readonly remotes: RemoteClusters;
  readonly log: { readonly at: Date; readonly line: string }[];
}

/** What a proxy is asked for its certificates. */
const SECRETS = "pilot-agent request GET config_dump?mask=dynamic_active_secrets";
const UNTOLD = new Set(["kube-system", "kube-public", "kube-node-lease"]);

/** istiod's part: its root of trust, told to every namespace, and the reading of other clusters by remote secrets. */
export function istiod(kube: Kube, options: IstiodOptions = {}): Istiods {
  const { dial = (server) => server, neighbourAt = () => undefined, deaf = false, timeout, election = 0 } = options;
  const { forgetful = false, distort = (_, answer) => answer } = options;
  /** By the pod's UID. */
  const running = new Map<string, Istiod>();
  on(kube, "v1", "Pod", ({ type, object }) => {
    const { uid, namespace, labels } = object.metadata;
    if (labels?.app !== "istiod") return;
    if (type === "DELETED" || !isReady(object)) {
      running.delete(uid);
      return;
    }
    if (running.has(uid)) return;
    const env: Json[] = object.spec.containers[0].env ?? [];
    const id = env.find(({ name }) => name === "CLUSTER_ID")?.value ?? "Kubernetes";
    const log: Istiod["log"] = [];
    const say = (line: string) => log.push({ at: new Date(), line: `${new Date().toISOString()}\tinfo\t${line}` });
    const started: Istiod = {
      id,
      revision: labels["istio.io/rev"] ?? "default",
      namespace,
      ca: caOf(kube, namespace),
      remotes: new RemoteClusters(id, dial, { deaf, forgetful }, say, timeout),
      log,
    };
    running.set(uid, started);
    for (const secret of kube.list("v1", "Secret", namespace)) started.remotes.take("ADDED", secret);
    const lead = () => {
      for (const { metadata } of kube.list("v1", "Namespace")) void tell(kube, started, metadata.name);
    };
    if (election > 0) setTimeout(lead, election);
    else lead();
  });
  on(kube, "v1", "Secret", ({ type, object }) => {
    for (const each of running.values()) {
      if (each.namespace !== object.metadata.namespace) continue;
      each.remotes.take(type, object);
      if (object.metadata.name === "cacerts" && type === "MODIFIED") void reload(each, object);
    }
  });
  on(kube, "v1", "Namespace", ({ type, object }) => {
    if (type !== "ADDED") return;
    for (const each of running.values()) void tell(kube, each, object.metadata.name);
  });

  const known = async ({ id, namespace, remotes }: Istiod): Promise<Known[]> => {
    const own = neighbourAt(kube.listening) ?? { kube, blocked: () => false, routed: () => true };
    const others = (await remotes.synced()).map(({ id, server }) => ({ id, neighbour: neighbourAt(server) }));
    return [{ id, neighbour: own }, ...others].flatMap(({ id, neighbour }) =>
      neighbour ? { id, neighbour, namespace } : [],
    );
  };

  const answers: Readonly<Record<string, (asked: Istiod, proxy: string) => Promise<Json>>> = {
    "debug/syncz": async ({ id }) =>
      proxiesOf(kube).map((pod) => ({ cluster_id: id, proxy: proxyId(pod), ...roleOf(pod), ...syncOf(pod) })),
    "debug/edsz": async (asked, proxy) => {
      const pod = proxiesOf(kube).find((each) => proxyId(each) === proxy);
      return pod ? edsz(await known(asked), pod) : undefined;
    },
    "debug/clusterz": ({ remotes }) => remotes.status(),
    "debug/networkz": async (asked) => networkz(await known(asked)),
    "debug/endpointShardz": async (asked) => {
      const held = (await known(asked)).filter(({ id }) => !asked.remotes.lost.has(id));
      return shardz(held.map(({ id, neighbour }) => ({ id, kube: neighbour.kube })));
    },
    metrics: async ({ remotes, ca }) => {
      const { roots, cert, plugged } = await ca;
      const lines = [
        'istiod_managed_clusters{cluster_type="local"} 1',
        `istiod_managed_clusters{cluster_type="remote"} ${(await remotes.status()).length - 1}`,
        `citadel_server_root_cert_expiry_timestamp ${endOf(roots)}`,
        // It does not tell this of a root that it made itself.
        ...(plugged ? [`citadel_server_cert_chain_expiry_timestamp ${endOf(cert)}`] : []),
      ];
      return `${lines.join("\n")}\n`;
    },
  };

  const secretsOf = proxyCertificates(kube, async () => [...running.values()].at(-1)?.ca);

  kube.onExec(async ({ namespace, pod, container, command }): Promise<ExecResponse> => {
    const found = kube.get({ apiVersion: "v1", kind: "Pod", namespace, name: pod });
    const asked = running.get(found?.metadata.uid);
    const refused = (stderr: string) => ({ exitCode: 1, stdout: "", stderr });
    if (container === "istio-proxy" && command.join(" ") === SECRETS) return secretsOf(found);
    if (!asked || container !== "discovery") return refused(`no istiod runs in ${namespace}/${pod}, ${container}\n`);
    const [, path = "", proxy = ""] =
      /^pilot-discovery request GET \/(metrics|debug\/\w+)(?:\?proxyID=(\S+))?$/.exec(command.join(" ")) ?? [];
    const env: Json[] = found?.spec.containers[0].env ?? [];
    const closed = env.some(({ name, value }) => name === "ENABLE_DEBUG_ON_HTTP" && value === "false");
    const answer = closed && path !== "metrics" ? undefined : await answers[path]?.(asked, proxy);
    if (!path) return refused("unknown command\n");
    const told = answer === undefined ? answer : distort(path.replace("debug/", ""), answer);
    const text = typeof told === "string" ? told : JSON.stringify(told);
    const stdout = answer === undefined ? "404 page not found\n\n" : `${text}\n`;
    return { exitCode: 0, stdout, stderr: "info\tklog\tConfig not found: /var/run/secrets/remote/config\n" };
  });

  kube.onLog(({ namespace, pod, container, since }) => {
    const found = kube.get({ apiVersion: "v1", kind: "Pod", namespace, name: pod });
    const lines = container === "discovery" ? (running.get(found?.metadata.uid)?.log ?? []) : [];
    const text = lines.filter(({ at }) => !since || at >= since).map(({ line }) => line);
    return text.map((line) => `${line}\n`).join("");
  });

  return {
    known: async (revision) => {
      const found = [...running.values()].find((each) => each.revision === revision);
      return found && known(found);
    },
  };
}

const proxyId = ({ metadata }: Json) => `${metadata.name}.${metadata.namespace}`;
const roleOf = ({ metadata }: Json) => ({
  proxy_type: metadata.labels?.istio === "eastwestgateway" ? "router" : "sidecar",
});

/** What a proxy took, and its version, which a test's image by digest does not tell. */
function syncOf({ spec }: Json): Json {
  const { image } = [...(spec.initContainers ?? []), ...spec.containers].find(({ name }) => name === "istio-proxy");
  const version = /:(\d+\.\d+\.\d+)/.exec(image)?.[1];
  const types = ["cluster.v3.Cluster", "listener.v3.Listener", "route.v3.RouteConfiguration"];
  const taken = [...types, "endpoint.v3.ClusterLoadAssignment"].map((type) => [
    `type.googleapis.com/envoy.config.${type}`,
    { sent: "nonce-1", acked: "nonce-1", sentTime: "2026-01-01T00:00:00Z" },
  ]);
  return { ...(version ? { istio_version: version } : {}), resources: Object.fromEntries(taken) };
}

function proxiesOf(kube: Kube): Json[] {
  return kube
    .list("v1", "Pod")
    .filter(
      (pod) =>
        isReady(pod) &&
        [...(pod.spec.initContainers ?? []), ...pod.spec.containers].some(({ name }: Json) => name === "istio-proxy"),
    );
}

/** Of a proxy the endpoints alone, as Envoy's admin API has them. */
function edsz(all: readonly Known[], pod: Json): Json {
  const own = all[0] as Known;
  const services = all.flatMap(({ neighbour }) => neighbour.kube.list("v1", "Service"));
  const clusters = new Map<string, Json>();
  for (const { metadata, spec } of services)
    for (const { port } of spec.ports ?? [])
      clusters.set(`outbound|${port}||${metadata.name}.${metadata.namespace}.svc.cluster.local`, {
        namespace: metadata.namespace,
        name: metadata.name,
        port,
      });
  const configs = [...clusters].map(([clusterName, service]) => ({
    clusterName,
    endpoints: [
      {
        lbEndpoints: endpointsFor(all, service, networkOf(own, pod)).map(({ address, port }) => ({
          endpoint: { address: { socketAddress: { address, portValue: port } } },
        })),
      },
    ],
  }));
  return { configs };
}

function networkz(all: readonly Known[]): Json[] {
  return networkGateways(all)
    .map(({ network, known, address, port }) => ({ Network: network, Cluster: known.id, Addr: address, Port: port }))
    .sort((a, b) => (`${a.Network}/${a.Cluster}/${a.Addr}` < `${b.Network}/${b.Cluster}/${b.Addr}` ? -1 : 1));
}

/** Only one that was started with a Secret looks after it, and takes nothing up where the roots are others. */
async function reload(istiod: Istiod, secret: Json): Promise<void> {
  const [has, given] = [await istiod.ca, caIn(secret, true)];
  if (has.plugged && has.roots === given.roots) istiod.ca = Promise.resolve(given);
}

async function tell(kube: Kube, { ca }: Istiod, namespace: string): Promise<void> {
  if (UNTOLD.has(namespace)) return;
  const { roots: pem } = await ca;
  const here = kube.get({ apiVersion: "v1", kind: "Namespace", name: namespace });
  if (!here || here.metadata.deletionTimestamp) return;
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace, name: "istio-ca-root-cert" };
  const told = kube.get(ref)?.data?.["root-cert.pem"] === pem;
  const entry = { manager: "pilot-discovery", operation: "Update", time: now(), fieldsV1: { "f:data": {} } };
  ensure(kube, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: ref.name,
      namespace,
      labels: { "istio.io/config": "true" },
      ...(told ? {} : { managedFields: [entry] }),
    },
    data: { "root-cert.pem": pem },
  });
}

/** The CA in `cacerts`; without it one of its own, which is kept for the next istiod. */
async function caOf(kube: Kube, namespace: string): Promise<Ca> {
  const secret = (name: string) => kube.get({ apiVersion: "v1", kind: "Secret", namespace, name });
  const given = secret("cacerts");
  if (given?.data?.["root-cert.pem"] || given?.data?.["tls.crt"]) return caIn(given, true);
  const kept = () => secret("istio-ca-secret");
  if (kept()) return caIn(kept(), false);
  const { certificate, key } = await selfSigned();
  // Another replica may have been quicker.
  if (kept()) return caIn(kept(), false);
  kube.put({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "istio-ca-secret", namespace },
    type: "istio.io/ca-root",
    data: { "ca-cert.pem": encode(certificate), "ca-key.pem": encode(key), "root-cert.pem": encode(certificate) },
  });
  return { roots: certificate, cert: certificate, key, chain: "", plugged: false };
}

/** Of the first certificate, in seconds. */
function endOf(pem: string): number {
  return Math.floor(new X509Certificate(pem).validToDate.getTime() / 1000);
}

async function selfSigned(): Promise<{ certificate: string; key: string }> {
  x509.cryptoProvider.set(webcrypto as never);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: ["cluster.local"] }],
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3650 * 86_400_000),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
  };
}
