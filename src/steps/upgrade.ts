import { ISTIOD, type IstiodView, istiodViews, namesOfRunning, statusOf } from "../checks/istiod.ts";
import type { Survey } from "../checks/survey.ts";
import type { Cluster, Look } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { readConnections } from "../facts/connections.ts";
import { Failure } from "../mesh/failure.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import { listed } from "../mesh/words.ts";
import type { AsBefore } from "./as-before.ts";
import { type ControlPlane, istiodSelector } from "./control-plane.ts";
import { injectionFor } from "./probe.ts";
import type { Needs, Outcome, Run } from "./run.ts";
import type { Steady } from "./steady.ts";

/** What an upgrade goes by. */
export interface UpgradeTools {
  readonly surveys: ReadonlyMap<string, Survey>;
  readonly transitions: ReadonlyMap<string, Transition>;
  readonly asBefore: (member: Member) => AsBefore;
  /** Requests between the clusters meanwhile; absent: none are sent. */
  readonly steady: Steady | undefined;
  /** How long it may take until all is as before, in milliseconds; default: 20 s. */
  readonly patience?: number | undefined;
}

/** How long an istiod that does not tell what it has read is asked, in milliseconds. */
const MUTE = 15_000;

/**
 * The clusters whose Istio becomes another: one after another, each whole before the next one is touched, and the mesh as it was
 * before, else the rest is left as it is.
 */
export class Upgrade {
  readonly #run: Run;
  readonly #mesh: MeshSpec;
  readonly #served: readonly Member[];
  readonly #moved: readonly Member[];
  readonly #tools: UpgradeTools;
  readonly #ends: ReadonlyMap<Member, PromiseWithResolvers<void>>;
  /** What proxies refused before, by cluster: those are no news. */
  readonly #refused = new Map<string, readonly string[]>();

  constructor(run: Run, mesh: MeshSpec, served: readonly Member[], tools: UpgradeTools) {
    this.#run = run;
    this.#mesh = mesh;
    this.#served = served;
    this.#tools = tools;
    this.#moved = served.filter((member) => this.#transition(member).course === "wave");
    this.#ends = new Map(this.#moved.map((member) => [member, Promise.withResolvers<void>()]));
    // A failure is looked at by those that wait for it, if anybody does.
    for (const { promise } of this.#ends.values()) promise.catch(() => {});
  }

  get #patience(): number {
    return this.#tools.patience ?? PATIENCE;
  }

  has(member: Member): boolean {
    return this.#moved.includes(member);
  }

  #transition = ({ spec }: Member) => this.#tools.transitions.get(spec.name) as Transition;
  #survey = ({ spec }: Member) => this.#tools.surveys.get(spec.name) as Survey;

  /** The other clusters that a cluster reads. */
  #targets(member: Member): Member[] {
    const { remoteSecrets } = this.#survey(member);
    const isRead = ({ spec }: Member) => remoteSecrets.some(({ data }) => data?.[spec.name] !== undefined);
    return this.#served.filter((other) => other !== member && isRead(other));
  }

  /** What comes before anything of a cluster is changed: nothing, where its Istio stays. */
  before(member: Member): Needs {
    if (!this.has(member)) return [];
    const { spec, cluster } = member;
    const subject = { cluster: spec.name };
    const previous = this.#moved[this.#moved.indexOf(member) - 1];
    const turn = previous ? [(this.#ends.get(previous) as PromiseWithResolvers<void>).promise] : [];
    // Planned only now: whether there is an upgrade is not known before the clusters were looked at.
    this.#run.plan({ id: "install.before-upgrade", subject });
    const looked = this.#run.step("install.before-upgrade", subject, turn, async (): Promise<Outcome<void>> => {
      const { steady, asBefore } = this.#tools;
      const targets = this.#targets(member);
      const [pods] = await Promise.all([
        this.#istiods(cluster, ISTIOD),
        asBefore(member).read(),
        ...targets.map((target) => answering(spec.name, target)),
        this.#send(),
      ]);
      const refused = await refusals(cluster, this.#mesh.namespace, pods);
      this.#refused.set(spec.name, refused?.map(({ key }) => key) ?? []);
      const cut = await steady?.cut(member, this.#patience);
      if (cut) throw new Failure(`Before ${spec.name} is begun, requests are no longer answered. ${cut}`, LOOK);
      const read =
        targets.length > 0
          ? `${targets.map((each) => each.spec.name).join(", ")} can be read`
          : "nothing is to be read";
      return { value: undefined, evidence: `It is ${spec.name}'s turn: ${read}, and the mesh is as it was.` };
    });
    return [looked];
  }

  /** Has those clusters call each other that do so already. */
  async #send(): Promise<void> {
    const running = this.#served.filter((each) => this.#survey(each).istiods.length > 0);
    const reads = new Map(running.map((each) => [each.spec.name, this.#targets(each).map(({ spec }) => spec.name)]));
    await this.#tools.steady?.begin(
      running,
      (each) => injectionFor(this.#mesh, each, this.#survey(each).controlPlanes.revision),
      ({ source, target }) => reads.get(source)?.includes(target) ?? false,
    );
  }

  /** After istiod, and before anything is made anew: its proxies, which are older by now, go on taking what they are sent. */
  proxies(member: Member, istiod: Promise<unknown>): Needs {
    if (!this.has(member)) return [];
    const { spec, cluster } = member;
    const subject = { cluster: spec.name };
    const { to } = this.#transition(member);
    this.#run.plan({ id: "install.proxies", subject });
    const taken = this.#run.step("install.proxies", subject, [istiod], async (): Promise<Outcome<void>> => {
      const known = this.#refused.get(spec.name) ?? [];
      const begun = performance.now();
      const refused = await cluster.poll("the proxies to take what the new istiod sends", async () => {
        const now = await refusals(cluster, this.#mesh.namespace, await this.#istiods(cluster, ISTIOD));
        const more = now?.filter(({ key }) => !known.includes(key));
        if (!more) return { done: undefined };
        const late = performance.now() - begun > this.#patience;
        return more.length === 0 || late ? { done: more } : { seen: `${more[0]?.key} refused: ${more[0]?.why}` };
      });
      if (!refused) return { value: undefined, evidence: "What the proxies take could not be seen." };
      if (refused.length > 0)
        throw new Failure(
          `Since istiod is of ${to}, ${listed(refused.map(({ key }) => key))} ${refused.length > 1 ? "are" : "is"} refused: ${refused[0]?.why}`,
          "What is refused is mostly made of configuration of your own, EnvoyFilters first: kubectl get envoyfilters.networking.istio.io -A. Those proxies keep what they have; a pod that is made anew is of the new version.",
        );
      return { value: undefined, evidence: "The proxies take what the new istiod sends them." };
    });
    return [taken];
  }

  /**
   * The end of a cluster's upgrade: besides what the steps before it saw, the new istiod has read again every cluster that the
   * old one read, and holds of it what was held; it is ready without, half a minute after its start. And the clusters
   * answer each other as before.
   */
  end(member: Member, controlPlane: Promise<ControlPlane>, needs: Needs): void {
    const { spec, cluster } = member;
    const { from, to } = this.#transition(member);
    const { asBefore, steady } = this.#tools;
    const subject = { cluster: spec.name };
    this.#run.plan({ id: "install.upgrade", subject });
    const targets = this.#targets(member).map((each) => each.spec.name);
    const done = this.#run.step(
      "install.upgrade",
      subject,
      [controlPlane, ...needs],
      async (): Promise<Outcome<void>> => {
        const { revision } = await controlPlane;
        const begun = performance.now();
        const mute = await cluster.poll(`istiod to have read ${targets.join(" and ")} again`, async () => {
          const pods = await this.#istiods(cluster, istiodSelector(revision));
          return readAgain(await istiodViews(cluster, this.#mesh.namespace, pods), targets, performance.now() - begun);
        });
        const lost = mute
          ? undefined
          : await asBefore(member).stillLost(targets, this.#patience, istiodSelector(revision));
        if (lost)
          throw new Failure(
            `The mesh is not as it was before: in ${spec.name}, ${lost}.`,
            `An istiod that starts anew reads it again: kubectl -n ${this.#mesh.namespace} rollout restart deployment -l app=istiod. ${LOOK}`,
          );
        const cut = await steady?.cut(member, this.#patience);
        if (cut) throw new Failure(`The mesh is not as it was before: requests are no longer answered. ${cut}`, LOOK);
        const meanwhile = steady?.told();
        const read = targets.length > 0 && !mute ? `, and istiod has read ${targets.join(", ")}` : "";
        const evidence = `Istio ${to} has taken the place of ${from ?? "what ran"}: istiod and the gateway are of it${read}.`;
        const warnings = [
          ...(mute
            ? [`Whether istiod of ${spec.name} has read ${targets.join(", ")} again could not be seen: ${mute}.`]
            : []),
          ...(meanwhile && meanwhile.failed > 0 ? [meanwhile.evidence] : []),
        ];
        return {
          value: undefined,
          evidence: meanwhile ? `${evidence} ${meanwhile.evidence}` : evidence,
          ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}),
        };
      },
    );
    this.#ends.get(member)?.resolve(done);
  }

  async #istiods(cluster: Cluster, labelSelector: string): Promise<Pod[]> {
    const pods = { apiVersion: "v1", kind: "Pod", namespace: this.#mesh.namespace, labelSelector };
    return (await cluster.list(pods)) as unknown as Pod[];
  }

  /** Waits for its end, and says, where it has stopped, how far it is and both ways on. */
  async tell(): Promise<void> {
    const ended = await Promise.allSettled([...this.#ends.values()].map(({ promise }) => promise));
    tellHowFar(
      this.#run,
      this.#moved.map((member, i) => ({ ...this.#transition(member), done: ended[i]?.status === "fulfilled" })),
    );
  }
}

const LOOK = "No other cluster was begun. The command `verify` looks into it.";

/** That a cluster which istiod reads can be read now: the new one becomes ready without, half a minute after its start. */
async function answering(observer: string, { spec, cluster }: Member): Promise<void> {
  try {
    await cluster.version();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(
      `${spec.name} does not answer: an istiod that starts in ${observer} now would be ready without it, and workloads would lose its endpoints. ${error.message}`,
      "Run again once it answers; nothing of this cluster was changed.",
    );
  }
}

/** What proxies refuse of their configuration; `undefined` where that cannot be seen. */
async function refusals(
  cluster: Cluster,
  namespace: string,
  pods: readonly Pod[],
): Promise<{ readonly key: string; readonly why: string }[] | undefined> {
  try {
    const connections = await readConnections(cluster, namespace, namesOfRunning(pods));
    return connections.flatMap(({ proxy, resources }) =>
      [...resources].flatMap(([kind, { rejected }]) =>
        rejected ? [{ key: `${kind} of ${proxy}`, why: clip(rejected, 200) }] : [],
      ),
    );
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** How long an istiod that has read a cluster may take to hold what was held of it before, in milliseconds. */
const PATIENCE = 20_000;

/** Nothing, once every replica has read all targets; why it could not be asked, where that does not change. */
export function readAgain(
  views: readonly IstiodView[],
  targets: readonly string[],
  milliseconds: number,
): Look<string | undefined> {
  if (targets.length === 0) return { done: undefined };
  if (views.length === 0) return { seen: "no istiod runs" };
  const waiting = views.flatMap((view) =>
    targets
      .map((target) => ({ ...view, target, status: statusOf(view, target) }))
      .filter((each) => each.status !== "synced"),
  );
  const [first] = waiting;
  if (!first) return { done: undefined };
  const mute = waiting.every(({ clusters }) => typeof clusters === "string");
  if (mute && milliseconds > MUTE) return { done: first.status };
  return { seen: `${first.target} in ${first.pod}: ${first.status}` };
}

/** Says, of an upgrade that has stopped, how far it is and both ways on. @param moved in their order, and whether each is done */
export function tellHowFar(run: Run, moved: readonly (Transition & { readonly done: boolean })[]): void {
  const [stopped, ...rest] = moved.filter(({ done }) => !done);
  if (!stopped) return;
  const { to, from = "what ran" } = stopped;
  const names = (some: readonly Transition[]) => some.map(({ cluster }) => cluster).join(", ");
  const done = moved.filter((each) => each.done);
  const parts = [
    ...(done.length > 0 ? [`${names(done)} ${done.length === 1 ? "has" : "have"} it`] : []),
    `${stopped.cluster} is between ${from} and it`,
    ...[...Map.groupBy(rest, (each) => each.from ?? "what ran")].map(
      ([version, some]) =>
        `${names(some)} ${some.length === 1 ? "was" : "were"} not begun and ${some.length === 1 ? "has" : "have"} ${version}`,
    ),
  ];
  run.warn(
    `The change to Istio ${to} has stopped: ${parts.join("; ")}. Clusters of neighbouring versions are a mesh that works, so there is time: mend what failed, then run again with \`istio-version: ${to}\`, which goes on from there. To go back instead, set \`istio-version: ${from}\` and \`allow-downgrade: true\`.`,
  );
}
