import { isLoopback, type Kubeconfig, readKubeconfig } from "../cluster/kubeconfig.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { hubIn } from "../mesh/images.ts";
import { identityValues, mergeValues } from "../mesh/objects/control-plane.ts";
import type {
  ClusterSpec,
  Installer,
  MeshSpec,
  ServiceSpec,
  TrustMode,
  TrustSpec,
  UninstallScope,
  Values,
} from "../mesh/spec.ts";
import { type Entry, readClusters } from "./clusters.ts";
import { parseDuration } from "./duration.ts";
import { NO_EFFECT, readCni, readGateway, readImageHub, reportReaderValues } from "./installation.ts";
import { InputError, type ReportProblem, shown, withoutPassword } from "./messages.ts";
import { readOperator, VERSION } from "./operator.ts";
import { readProbe } from "./probe.ts";
import { Reader } from "./reader.ts";
import { readExposed, readServices } from "./services.ts";
import type { InputSource } from "./source.ts";
import { readTrust } from "./trust.ts";
import { mapping, readYaml } from "./yaml.ts";

export const COMMANDS = ["install", "verify", "plan", "rotate", "uninstall", "diagnose"] as const;
export type Command = (typeof COMMANDS)[number];

/** From which verdict on the step fails. `never`: the report and the outputs tell, and the job goes on. */
export type FailOn = "failed" | "unknown" | "never";

export interface Inputs {
  readonly command: Command;
  /** Whether `install` and `rotate` end with a verification. */
  readonly verify: boolean;
  /** Whether `install` and `rotate` remove remote secrets for clusters that are not on the list. */
  readonly prune: boolean;
  /** Clusters that are not on the list, and are no more. */
  readonly gone: readonly string[];
  /** Whether a verification sends requests between the clusters. */
  readonly traffic: boolean;
  /** The user's Services that a verification looks at. */
  readonly services: readonly ServiceSpec[];
  readonly failOn: FailOn;
  readonly uninstallScope: UninstallScope;
  /** Whether a plan that has changes fails the step. */
  readonly failOnChange: boolean;
  readonly mesh: MeshSpec;
  /** By the cluster's name. */
  readonly kubeconfigs: ReadonlyMap<string, Kubeconfig>;
  readonly root: RootCa | undefined;
  /** Milliseconds. */
  readonly timeout: number;
  readonly istioctl: { readonly mirror: string; readonly path?: string };
  readonly helm: { readonly mirror: string };
}

// For the mesh, clusters and networks a label's value.
const LABEL_VALUE = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const NAME = "letters, digits, `-`, `_` and `.`, at most 63";

/** Reads all inputs, without a call to any cluster; throws one `InputError` that lists everything that is wrong. */
export async function readInputs(source: InputSource, mask: (secret: string) => void): Promise<Inputs> {
  const reader = new Reader(source);
  const asked = readAsked(reader);
  const downloads = readDownloads(reader, mask);
  const installation = readInstallation(reader, mask);
  const { clusters, kubeconfigs } = readClusterSpecs(reader, asked.command, installation, mask);
  const { root, trust } = await readRoot(reader, installation.installer, mask);
  const { timeout } = asked;
  if (reader.problems.length > 0 || timeout === undefined) throw new InputError([...new Set(reader.problems)]);
  const { values: _, ...mesh } = installation;
  return { ...asked, ...downloads, timeout, kubeconfigs, root, mesh: { ...mesh, trust, clusters } };
}

/** What is to be done. */
function readAsked(reader: Reader) {
  const { source, report } = reader;
  const command = reader.oneOf("command", COMMANDS);
  const failOn = reader.oneOf<FailOn>("fail-on", ["failed", "unknown", "never"]);
  const uninstallScope = reader.oneOf<UninstallScope>("uninstall-scope", ["mesh", "all"]);
  const failOnChange = reader.flag("fail-on-change");
  reader.only("fail-on-change", failOnChange, command === "plan", "`command: plan`", "the command to plan");
  const verify = reader.flag("verify");
  const prune = reader.flag("prune");
  const gone = reader.list("gone-clusters");
  for (const name of gone) reader.matching("gone-clusters", name, LABEL_VALUE, NAME);
  const uninstalls = command === "uninstall";
  reader.only("gone-clusters", gone.length > 0, uninstalls, "`command: uninstall`", "the command to uninstall");
  const traffic = reader.flag("traffic");
  const services = readServices(source, report);
  const timeout = parseDuration(source.get("timeout"));
  if (timeout === undefined)
    report("timeout", `is ${shown(source.get("timeout"))}; expected a duration such as 90s, 10m or 1h30m`);
  return { command, verify, prune, gone, traffic, services, failOn, uninstallScope, failOnChange, timeout };
}

/** From where programs come. */
function readDownloads({ source, report }: Reader, mask: (secret: string) => void) {
  const mirrorOf = (input: string) => {
    const mirror = source.get(input);
    if (!URL.canParse(mirror) || !/^https?:/.test(mirror)) {
      report(input, `is ${shown(withoutPassword(mirror))}; expected an http or https URL`);
    } else mask(new URL(mirror).password);
    return mirror;
  };
  const path = source.get("istioctl-path");
  const istioctl = { mirror: mirrorOf("istioctl-mirror"), ...(path ? { path } : {}) };
  return { istioctl, helm: { mirror: mirrorOf("helm-mirror") } };
}

type Installation = ReturnType<typeof readInstallation>;

/** What holds for all clusters, but for their trust. */
function readInstallation(reader: Reader, mask: (secret: string) => void) {
  const { source, report } = reader;
  const probe = readProbe(source, report);
  const installer = reader.oneOf<Installer>("installer", ["sail", "istioctl", "existing"]);
  const id = reader.matching("mesh-id", source.get("mesh-id"), LABEL_VALUE, NAME);
  const asked = source.get("istio-version");
  const version = VERSION.exec(asked)?.[1];
  if (asked && !version) report("istio-version", `is ${shown(asked)}; expected a full version such as 1.26.3`);
  const allowDowngrade = reader.flag("allow-downgrade");
  const adopt = reader.flag("adopt");
  const namespace = reader.dnsLabel("istio-namespace");
  const istioResource = reader.dnsLabel("istio-resource");
  const readerRole = source.get("reader-role") || "auto";
  const tokenTtl = readTokenTtl(source.get("token-ttl"), report);
  const install = reader.flag("install-operator");
  const operator = install ? readOperator(source, installer, version, report, mask) : undefined;
  const values = readYaml("values", source.get("values"), mapping, report, {}) ?? {};
  if (installer === "existing" && Object.keys(values).length > 0) report("values", NO_EFFECT);
  const imageHub = readImageHub(source, installer, report);
  const cni = readCni(source, installer, report);
  const gateway = readGateway(source, report);
  const exposed = readExposed(source, report);
  return {
    id,
    ...(version ? { istioVersion: version } : {}),
    ...(allowDowngrade ? { allowDowngrade } : {}),
    ...(adopt ? { adopt } : {}),
    namespace,
    istioResource,
    installer,
    ...(operator ? { operator } : {}),
    imageHub,
    ...(cni ? { cni } : {}),
    gateway,
    ...(exposed ? { exposed } : {}),
    readerRole,
    ...(tokenTtl === undefined ? {} : { tokenTtl }),
    ...(probe ? { probe } : {}),
    values,
  };
}

/** The clusters, and how each is reached. */
function readClusterSpecs(
  reader: Reader,
  command: Command,
  installation: Installation,
  mask: (secret: string) => void,
): { clusters: ClusterSpec[]; kubeconfigs: ReadonlyMap<string, Kubeconfig> } {
  const { source, report } = reader;
  // A cluster that has left the mesh is cleaned up alone.
  const entries = readClusters(source, command === "uninstall" ? 1 : 2, report);
  const kubeconfigs = new Map<Entry, Kubeconfig>();
  const taken = new Set<string>();
  const clusters = entries.map((entry): ClusterSpec => {
    // As Istio takes them: a key in a Secret, and a label's value.
    for (const key of ["name", "network"] as const) reader.matching(entry.label(key), entry[key], LABEL_VALUE, NAME);
    const server = entry.apiServer && apiServerProblem(entry.apiServer);
    if (server) report(entry.label("api-server"), `is ${shown(withoutPassword(entry.apiServer))}${server}`);
    const kubeconfig = kubeconfigOf(entry, report, mask);
    if (kubeconfig) kubeconfigs.set(entry, kubeconfig);
    return {
      name: entry.name,
      network: entry.network,
      ...(entry.apiServer ? { apiServer: entry.apiServer.replace(/\/+$/, "") } : {}),
      ...(entry.tlsServerName ? { tlsServerName: entry.tlsServerName } : {}),
      values: valuesOf(entry, installation, report, taken),
    };
  });
  reportTaken("values", [...taken], report);
  unique(entries, "name", (entry) => entry.name, report);
  // One URL may lead to many clusters, told apart by TLS server name, proxy or login; the clusters' UIDs decide later.
  const access = (entry: Entry) => {
    const { server, tlsServerName, cluster, user } = kubeconfigs.get(entry) ?? {};
    return server && JSON.stringify([server, tlsServerName, cluster?.["proxy-url"], user]);
  };
  unique(entries, "kubeconfig", access, report);
  return { clusters, kubeconfigs: new Map([...kubeconfigs].map(([{ name }, kubeconfig]) => [name, kubeconfig])) };
}

/** A cluster's Helm values, those for all merged in. @param taken gets the paths of those that the mesh itself sets */
function valuesOf(
  entry: Entry,
  { id, installer, imageHub, readerRole, values: all }: Installation,
  report: ReportProblem,
  taken: Set<string>,
): Values {
  const values = mergeValues(all, entry.values);
  reportReaderValues(values, readerRole, report);
  const hub = hubIn(values);
  if (imageHub !== "auto" && hub !== undefined && hub !== imageHub) {
    report("image-hub", `is ${shown(imageHub)}, but the values say global.hub ${shown(hub)}; leave one of them out`);
  }
  const identity = identityValues({ id }, entry);
  const own = overridden(entry.values, identity);
  reportTaken(entry.label("values"), own, report);
  for (const path of overridden(values, identity)) if (!own.includes(path)) taken.add(path);
  if (installer === "existing" && Object.keys(entry.values).length > 0) report(entry.label("values"), NO_EFFECT);
  return values;
}

/** The root of trust, and whether a mesh that runs is led to it. */
async function readRoot(
  reader: Reader,
  installer: Installer,
  mask: (secret: string) => void,
): Promise<{ root: RootCa | undefined; trust: TrustSpec }> {
  const { source, report } = reader;
  const asked = reader.oneOf<TrustMode>("ca", ["auto", "existing", "provided", "generate"]);
  const { root, mode } = await readTrust(source, installer, asked, report, mask);
  const transition = reader.flag("trust-transition");
  reader.only("trust-transition", transition, mode === "provided", "`ca: provided`", "`ca` to provided");
  const restart = reader.list("restart-workloads");
  for (const name of restart) reader.dnsLabel("restart-workloads", name);
  reader.only("restart-workloads", restart.length > 0, transition, "`trust-transition: true`", "that");
  const trust = { mode, ...(transition ? { transition } : {}), ...(restart.length > 0 ? { restart } : {}) };
  return { root, trust };
}

/** The kubeconfig of a cluster; `undefined` where it cannot be read, which was reported. */
function kubeconfigOf(entry: Entry, report: ReportProblem, mask: (secret: string) => void): Kubeconfig | undefined {
  const { content, folder, from } = entry.kubeconfig ?? {};
  const read = content ? readKubeconfig(content, entry.context, { folder }) : undefined;
  if (read && "problem" in read) {
    report(entry.label("kubeconfig"), `${from ? `is looked for in ${from}, which ` : ""}${read.problem}`);
    return undefined;
  }
  read?.secrets.forEach(mask);
  return read;
}

/** How each cluster is reached, as far as its inputs can still be read, and what is wrong with the others. */
export function readAccess(
  source: InputSource,
  mask: (secret: string) => void,
): { clusters: { name: string; kubeconfig: Kubeconfig | undefined }[]; problems: string[] } {
  const problems: string[] = [];
  const report: ReportProblem = (input, problem) => problems.push(`\`${input}\` ${problem}.`);
  const clusters = readClusters(source, 1, report).map((entry) => ({
    name: entry.name,
    kubeconfig: kubeconfigOf(entry, report, mask),
  }));
  return { clusters, problems };
}

/** No API server gives a token for less, and there is no more that the TokenRequest API takes. Milliseconds. */
const SHORTEST_TTL = 600_000;
const LONGEST_TTL = 2 ** 32 * 1000;

/** Seconds; `undefined` where tokens do not expire. */
function readTokenTtl(given: string, report: ReportProblem): number | undefined {
  if (!given) return undefined;
  const ttl = parseDuration(given, LONGEST_TTL);
  if (ttl === undefined) report("token-ttl", `is ${shown(given)}; expected a duration such as 24h or 720h`);
  else if (ttl < SHORTEST_TTL) report("token-ttl", `is ${shown(given)}; expected at least 10m, which Kubernetes wants`);
  return ttl === undefined ? undefined : ttl / 1000;
}

/** What is wrong with the URL by which the other clusters shall reach an API server. */
function apiServerProblem(url: string): string | undefined {
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") return "; expected an https URL";
  if (new URL(url).username || new URL(url).password) return " with a user or password; expected a URL without one";
  return isLoopback(url)
    ? ", which every cluster takes for itself; expected an address that the other clusters reach"
    : undefined;
}

function unique(
  entries: readonly Entry[],
  key: string,
  of: (entry: Entry) => string | undefined,
  report: ReportProblem,
): void {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    const value = of(entry);
    if (!value) continue;
    const first = seen.get(value);
    if (first) {
      const same = `as \`${first.label(key)}\``;
      const what =
        key === "kubeconfig" ? `leads to the same API server ${same}` : `is ${shown(value)}, the same ${same}`;
      report(entry.label(key), `${what}; expected one of its own for every cluster`);
    } else seen.set(value, entry);
  }
}

function reportTaken(input: string, paths: readonly string[], report: ReportProblem): void {
  if (paths.length === 0) return;
  report(
    input,
    `sets ${paths.map((path) => `\`${path}\``).join(", ")} to something else than \`mesh-id\` and the cluster's name and network say; leave it out`,
  );
}

/** Paths of values that the user set otherwise than the mesh needs them. */
function overridden(values: Values, identity: Values, path = ""): string[] {
  return Object.entries(identity).flatMap(([key, value]) => {
    const given = values[key];
    if (given === undefined || given === value) return [];
    return typeof value === "object" && typeof given === "object" && given !== null
      ? overridden(given as Values, value as Values, `${path}${key}.`)
      : [`${path}${key}`];
  });
}
