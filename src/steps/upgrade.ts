import { type IstiodView, istiodViews, statusOf } from "../checks/istiod.ts";
import type { Survey } from "../checks/survey.ts";
import type { Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import type { AsBefore } from "./as-before.ts";
import { type ControlPlane, istiodSelector } from "./control-plane.ts";
import type { Needs, Outcome, Run } from "./run.ts";

/** One after another: each begins when the one before it is done, and never where that failed. */
export interface Turns {
  /** What comes before a cluster; nothing, where it takes no turn. */
  before(member: Member): Needs;
  /** Says what the end of a cluster's turn is. */
  end(member: Member, done: Promise<unknown>): void;
}

export function takingTurns(members: readonly Member[]): Turns {
  const ends = new Map(members.map((member) => [member, Promise.withResolvers<unknown>()]));
  // A failure is looked at by those that wait for it, if anybody does.
  for (const { promise } of ends.values()) promise.catch(() => {});
  return {
    before(member) {
      const previous = members[members.indexOf(member) - 1];
      return previous ? [(ends.get(previous) as PromiseWithResolvers<unknown>).promise] : [];
    },
    end: (member, done) => ends.get(member)?.resolve(done),
  };
}

/** How long an istiod that does not tell what it has read is asked, in milliseconds. */
const MUTE = 15_000;

/**
 * The end of a cluster's upgrade: besides what the steps before it saw, the new istiod has read again every cluster that the
 * old one read. It is ready without, half a minute after its start, and the endpoints of the others are missing then.
 */
export function upgraded(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  { from, to }: Transition,
  { remoteSecrets }: Survey,
  controlPlane: Promise<ControlPlane>,
  needs: Needs,
  asBefore: AsBefore,
): Promise<void> {
  const subject = { cluster: spec.name };
  // Planned only now: whether there is an upgrade is not known before the clusters were looked at.
  run.plan({ id: "install.upgrade", subject });
  const others = mesh.clusters.map(({ name }) => name).filter((name) => name !== spec.name);
  const targets = others.filter((name) => remoteSecrets.some(({ data }) => data?.[name] !== undefined));
  return run.step("install.upgrade", subject, [controlPlane, ...needs], async (): Promise<Outcome<void>> => {
    const { revision } = await controlPlane;
    const pods = { apiVersion: "v1", kind: "Pod", namespace: mesh.namespace, labelSelector: istiodSelector(revision) };
    const done = `Istio ${to} has taken the place of ${from ?? "what ran"}: istiod and the gateway are of it`;
    if (targets.length === 0) return { value: undefined, evidence: `${done}.` };
    const begun = performance.now();
    const mute = await cluster.poll(`istiod to have read ${targets.join(" and ")} again`, async () => {
      const views = await istiodViews(cluster, mesh.namespace, (await cluster.list(pods)) as unknown as Pod[]);
      return readAgain(views, targets, performance.now() - begun);
    });
    if (!mute) {
      const evidence = `${done}, and istiod has read ${targets.join(", ")}.`;
      const lost = await asBefore.stillLost(targets, PATIENCE, istiodSelector(revision));
      return {
        value: undefined,
        evidence,
        ...(lost ? { warning: `In ${spec.name}, ${lost}, since the upgrade.` } : {}),
      };
    }
    const warning = `Whether istiod of ${spec.name} has read ${targets.join(", ")} again could not be seen: ${mute}.`;
    return { value: undefined, evidence: `${done}.`, warning };
  });
}

/** How long an istiod that has read a cluster may take to hold what was held of it before, in milliseconds. */
const PATIENCE = 20_000;

/** Nothing, once every replica has read all targets; why it could not be asked, where that does not change. */
export function readAgain(
  views: readonly IstiodView[],
  targets: readonly string[],
  milliseconds: number,
): Probe<string | undefined> {
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
