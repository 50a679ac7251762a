import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { waitsToJoin } from "../checks/adoption.ts";
import type { Asked } from "../checks/answers.ts";
import { type Call, isTroubled } from "../checks/attempt.ts";
import { exposedHosts } from "../checks/exposure.ts";
import { skipped, unknown } from "../checks/finding.ts";
import { exposedOf } from "../checks/gateway.ts";
import { addressesOf, sharedWays } from "../checks/gateway-service.ts";
import type { Observation } from "../checks/observation.ts";
import { type Part, part, readable } from "../checks/part.ts";
import { judgePair } from "../checks/traffic.ts";
import { localRule } from "../checks/visibility.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type GatewayView, readGateway } from "../facts/gateway-view.ts";
import { readMeshConfig } from "../facts/mesh-config.ts";
import { type RootPolicies, readNetworkPolicies, readRootPolicies } from "../facts/policies.ts";
import { Failure } from "../mesh/failure.ts";
import { isSelected, type LabelSelector } from "../mesh/label-selector.ts";
import { connectPath, discoverableLabels, PROBE_PREFIX, type ProbeSpec, probeName } from "../mesh/objects/probe.ts";
import type { Finding } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import {
  type MeshSpec,
  orderedPairs,
  type ServiceSpec,
  serviceName,
  shareNetwork,
  type TrafficPair,
} from "../mesh/spec.ts";
import { listed } from "../mesh/words.ts";
import { callServices, callsPerService } from "./answers.ts";
import { type Injection, removeProbe, type StartingProbe, startProbe } from "./probe.ts";
import { ask, callsPerPair, connectionsOf, type EndpointsNow, endpointsOf, tryPair } from "./requests.ts";
import type { Run } from "./run.ts";

export interface TrafficTools {
  /** Whether requests are sent. Without, no probe is started. */
  readonly traffic: boolean;
  /** The user's Services that every cluster shall reach; the probes call those with a `request`. */
  readonly services: readonly ServiceSpec[];
  /** How long a pair is tried, in milliseconds; default: 30 s, or 10 s where something is known to be wrong already. */
  readonly patience?: number;
  /** Told before a probe's namespace exists, and once it is asked to go everywhere. */
  probing(namespace: string, there: boolean): void;
  /** A connection to clean up by, which outlives the run's deadline. */
  lastly(member: Member): { readonly cluster: Cluster };
  /** Whether the run's deadline has passed, or it was cancelled: then `lastly` gives a connection of its own. */
  isOver(): boolean;
}

/** How long a pair is tried: endpoints take a moment to get from cluster to cluster. Milliseconds. */
const PATIENCE = 30_000;
/** The same where something is known to be wrong already. */
const PATIENCE_IN_TROUBLE = 10_000;
/** How long a probe waits for what the other clusters' control planes ask of its namespace. Milliseconds. */
const SOON = 2_000;
/** Of how many pods of a gateway it is asked why requests fail. */
const MOST_VIEWS = 10;
/** After this nobody needs a probe's namespace any more, whatever became of its run. Milliseconds. */
const LIFETIME = 3_600_000;

/** A run's probes, one in each cluster. Whoever starts one sees to it that all are removed, whatever happens. */
export class Probes {
  readonly #run: Run;
  readonly #mesh: MeshSpec;
  readonly #tools: TrafficTools;
  readonly #probe: ProbeSpec;
  readonly #started = new Map<string, StartingProbe & { member: Member; labelling: Promise<Labels | undefined> }>();
  /** Those that run, once that is known. */
  readonly #up = new Map<string, Promise<Up | undefined>>();
  /** Of every cluster's control plane, the discoverySelectors. */
  readonly #selectors: ReadonlyMap<string, PromiseWithResolvers<Part<readonly LabelSelector[]>>>;
  readonly #endpoints = new Map<string, EndpointsNow>();
  /** Read where requests fail. */
  readonly #root = new Map<string, Promise<Part<RootPolicies>>>();
  #over = false;

  constructor(run: Run, mesh: MeshSpec, tools: TrafficTools) {
    this.#run = run;
    this.#mesh = mesh;
    this.#tools = tools;
    this.#probe = {
      namespace: `${PROBE_PREFIX}${randomBytes(4).toString("hex")}`,
      expires: new Date(Date.now() + LIFETIME),
      key: randomBytes(16).toString("hex"),
      services: tools.services,
    };
    this.#selectors = new Map(mesh.clusters.map(({ name }) => [name, Promise.withResolvers()]));
  }

  #patience = () => this.#tools.patience ?? (this.#run.troubled ? PATIENCE_IN_TROUBLE : PATIENCE);

  /** Starts a cluster's probe, unless it is started already. @param injecting what it is injected by, once that is known */
  start(member: Member, injecting: Promise<Injection>): void {
    const { name } = member.spec;
    if (!this.#tools.traffic || this.#over || this.#started.has(name)) return;
    if (this.#started.size === 0) this.#tools.probing(this.#probe.namespace, true);
    const selecting = part(
      injecting.then(async ({ revision, istiod }) => {
        const config = await readMeshConfig(member.cluster, this.#mesh.namespace, revision, istiod);
        return config.discoverySelectors;
      }),
    );
    this.#selectors.get(name)?.resolve(selecting);
    const labelling = injecting.then(async ({ revision }) => {
      const own = (await selecting)();
      const others = await this.#selectorsOfOthers(name);
      return discoverableLabels(this.#mesh, this.#probe, revision, [own, ...others]);
    });
    const starting = startProbe(this.#mesh, this.#probe, member, injecting, labelling, this.#patience);
    const { ready } = starting;
    const timed = this.#run.timed("traffic", { cluster: name }, () => ready);
    // Its end is looked at when requests are sent.
    timed.catch(() => {});
    labelling.catch(() => {});
    this.#started.set(name, { ...starting, member, ready: timed, labelling });
  }

  /** Whether a cluster's probe was started and runs. */
  async runs({ spec }: Member): Promise<boolean> {
    const finding = await this.#started.get(spec.name)?.ready;
    return finding?.verdict === "passed";
  }

  /** One request from a cluster's probe to another's, on a connection of its own. */
  callOnce(source: Member, target: string): Promise<Call> {
    return ask(this.#probe, source, connectPath(this.#probe, target));
  }

  /** The discoverySelectors of the other clusters' control planes, as far as they can be told soon. */
  async #selectorsOfOthers(name: string): Promise<LabelSelector[][]> {
    const others = [...this.#selectors].filter(([other]) => other !== name);
    const known = new AbortController();
    // It keeps the process: of a cluster that does not answer nothing else may.
    const soon = delay(SOON, undefined, { signal: known.signal }).catch(() => undefined);
    const told = await Promise.all(others.map(([, { promise }]) => Promise.race([promise, soon])));
    known.abort();
    return told.map((each) => [...((each && readable(each)) ?? [])]);
  }

  /** That the source's istiod does not look at the target's probe; `undefined` where it does. */
  async #hidden({ source, target }: TrafficPair): Promise<Finding | undefined> {
    const selectors = readable(await (this.#selectors.get(source)?.promise ?? part(Promise.resolve([]))));
    const labels = await this.#started.get(target)?.labelling;
    if (!labels || isSelected(selectors ?? [], labels)) return undefined;
    return unknown(
      `No request was sent: the discoverySelectors of ${source}'s mesh configuration do not select the probe's namespace in ${target}, and were not known when it was made.`,
      "Run the command `verify` by itself, which reads them first.",
    );
  }

  /** Has each cluster's probe call all others, and notes what each check finds. */
  async sendTraffic(members: readonly Member[], seenOf: (member: Member) => Promise<Observation>): Promise<void> {
    const [run, tools] = [this.#run, this.#tools];
    const pairs = orderedPairs(members.map(({ spec }) => spec.name)).map(
      ({ observer, target }): TrafficPair => ({ source: observer, target }),
    );
    if (!tools.traffic) {
      const none = skipped("No request was sent, for `traffic` is false.");
      for (const { spec } of members) run.judge("traffic.probe", { cluster: spec.name }, none);
      for (const pair of pairs) run.judge("pair.request", pair, none);
      return;
    }
    const up = new Map(members.map((member) => [member.spec.name, this.#running(member, seenOf)]));
    const settled = await Promise.allSettled(
      pairs.map(async (pair) => {
        const [from, to] = await Promise.all([up.get(pair.source), up.get(pair.target)]);
        const finding = await run.timed("traffic", pair, () => this.#request(pair, from, to));
        run.judge("pair.request", pair, finding);
      }),
    );
    for (const each of settled) if (each.status === "rejected") throw each.reason;
  }

  /** Whether a cluster's probe runs, which is noted. */
  #running(member: Member, seenOf: (member: Member) => Promise<Observation>): Promise<Up | undefined> {
    const { name } = member.spec;
    const looked = async (): Promise<Up | undefined> => {
      // By then the probe of a cluster that answers is begun.
      const seen = await seenOf(member);
      const ready = this.#started.get(name)?.ready;
      const finding = ready ? await ready : unknown(`No probe was started: ${name} did not answer.`, "");
      this.#run.judge("traffic.probe", { cluster: name }, finding);
      return finding.verdict === "passed" ? { member, seen } : undefined;
    };
    const known = this.#up.get(name) ?? looked();
    this.#up.set(name, known);
    return known;
  }

  /** Has a cluster's probe call the user's Services. @returns by name, what came of each; throws where no probe runs there */
  async callServices(
    member: Member,
    seenOf: (member: Member) => Promise<Observation>,
  ): Promise<ReadonlyMap<string, Part<Asked>>> {
    const { name } = member.spec;
    const up = await this.#running(member, seenOf);
    const calls = await this.#started.get(name)?.calls;
    if (!up || !calls) throw new Failure(`No request was sent: no probe runs in ${name}.`);
    const able = [...calls.values()].flatMap((call) => readable(call) ?? []);
    const number = callsPerService(able.length, this.#mesh.clusters.length);
    const asked = await this.#run.timed("traffic", { cluster: name }, () =>
      callServices(this.#probe, member, able, this.#patience(), number),
    );
    return new Map(
      [...calls].map(([service, call]) => [service, () => asked.get(serviceName(call().service)) as Asked]),
    );
  }

  async #request(pair: TrafficPair, from: Up | undefined, to: Up | undefined): Promise<Finding> {
    const missing = [...(from ? [] : [pair.source]), ...(to ? [] : [pair.target])];
    if (!from || !to) return unknown(`No request was sent: no probe runs in ${missing.join(" and ")}.`, "");
    const waiting = [from, to].filter(({ seen }) => waitsToJoin(seen)).map(({ member }) => member.spec.name);
    if (waiting.length > 0) return skipped(`No request was sent: ${listed(waiting)} is not joined yet.`);
    const hidden = await this.#hidden(pair);
    if (hidden) return hidden;
    const oneNetwork = shareNetwork(this.#mesh, pair.source, pair.target);
    if (!oneNetwork && this.#mesh.exposed?.length === 0)
      return skipped("No request was sent: `exposure: none` lets other networks in to no Service.");
    const hosts = oneNetwork ? undefined : readable(() => exposedHosts(exposedOf(to.seen)));
    if (hosts)
      return skipped(
        `${pair.target} exposes ${listed(hosts)} alone. The probe is in a namespace of its own, which is not among them, so no request was sent to it.`,
      );
    const config = readable(from.seen.meshConfig);
    const local = config && localRule({ namespace: this.#probe.namespace, name: probeName(pair.target) }, config);
    if (local)
      return skipped(
        `In ${pair.source}, ${local}: the probe's Services stay in their cluster, as do all that are not taken out of that rule, so no request was sent.`,
      );
    const gateways = readable(to.seen.gateways);
    const context = {
      trustDomain: readable(from.seen.identity)?.trustDomain ?? "cluster.local",
      gateway: addressesOf(gateways?.services ?? []),
      targetNetwork: to.seen.spec.network,
      shared: sharedWays(gateways?.services ?? [], readable(from.seen.gateways)?.services ?? []),
      oneNetwork,
      istioNamespace: this.#mesh.namespace,
    };
    const ways = Math.max(gateways?.pods.length ?? 1, context.gateway.length);
    const calls = callsPerPair(this.#mesh.clusters.length, ways);
    const endpoints = this.#endpoints.get(pair.source) ?? endpointsOf(this.#probe, from.member);
    this.#endpoints.set(pair.source, endpoints);
    const attempt = await tryPair(this.#probe, pair, from.member, context, this.#patience(), calls, endpoints);
    const several = typeof attempt.endpoints !== "string" && attempt.endpoints.length > 1;
    const troubled = isTroubled(attempt);
    const [addresses, views, policies, walls] = await Promise.all([
      troubled || several ? connectionsOf(this.#probe, from.member, pair.target) : undefined,
      troubled ? this.#views(to, gateways?.pods ?? []) : [],
      troubled ? this.#policies([from, to]) : new Map(),
      troubled ? this.#walls([from, to]) : new Map(),
    ]);
    return judgePair(attempt, { addresses, gateways: views, policies, walls });
  }

  /** What the pods of a target's gateway say, of a few of them. */
  async #views({ member }: Up, pods: readonly Pod[]): Promise<GatewayView[]> {
    return Promise.all(pods.slice(0, MOST_VIEWS).map((pod) => readGateway(member.cluster, pod, this.#probe.namespace)));
  }

  /** The NetworkPolicies that came upon the probes' namespaces, as far as they may be read. */
  async #walls(clusters: readonly Up[]): Promise<Map<string, string[]>> {
    const read = clusters.map(async ({ member: { spec, cluster } }) => {
      const found = readable(await part(readNetworkPolicies(cluster, this.#probe.namespace)));
      return [spec.name, found ?? []] as const;
    });
    return new Map(await Promise.all(read));
  }

  /** What holds for all workloads of the clusters, as far as that could be read; of each once. */
  async #policies(clusters: readonly Up[]): Promise<Map<string, RootPolicies>> {
    const read = clusters.map(async ({ member: { spec, cluster }, seen }) => {
      const known =
        this.#root.get(spec.name) ??
        part(
          Promise.resolve(seen.revision).then((revision) =>
            readRootPolicies(cluster, this.#mesh.namespace, revision(), readable(seen.istiod)),
          ),
        );
      this.#root.set(spec.name, known);
      const policies = readable(await known);
      return policies ? [[spec.name, policies] as const] : [];
    });
    return new Map((await Promise.all(read)).flat());
  }

  /** Asks the probes that were started to go; none is started any more. */
  async remove(): Promise<void> {
    this.#over = true;
    if (this.#started.size === 0) return;
    const { namespace } = this.#probe;
    const asked = await Promise.all(
      [...this.#started.values()].map(async ({ member, created }) => {
        try {
          // Of one that is still being started no part may come after this.
          await created.catch(() => {});
          await this.#removeFrom(member);
          return true;
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#run.warn(
            `The probe's namespace ${namespace} could not be removed from ${member.spec.name}: ${error.message} kubectl delete namespace ${namespace}`,
          );
          return false;
        }
      }),
    );
    this.#started.clear();
    // Where it was not asked to go the post step tries again.
    if (asked.every(Boolean)) this.#tools.probing(namespace, false);
  }

  async #removeFrom(member: Member): Promise<void> {
    const { cluster } = this.#tools.lastly(member);
    const { namespace } = this.#probe;
    if (cluster !== member.cluster) return removeProbe(cluster, namespace).finally(() => cluster.close());
    try {
      await removeProbe(cluster, namespace);
    } catch (error) {
      // The run may have come to its deadline, or been cancelled, over this: then it is done by what outlives it.
      if (!(error instanceof Failure) || !this.#tools.isOver()) throw error;
      await this.#removeFrom(member);
    }
  }
}

type Labels = Readonly<Record<string, string>>;

/** One of a pair's two clusters, where a probe runs. */
interface Up {
  readonly member: Member;
  readonly seen: Observation;
}
