import { ISTIOD, namesOfRunning } from "../checks/istiod.ts";
import { rolledOut } from "../checks/pods.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { matches } from "../mesh/label-selector.ts";
import { describe } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { defectOf, versionOf } from "../mesh/versions.ts";
import type { AsBefore } from "./as-before.ts";
import type { Step } from "./step.ts";

/** How long an istiod may take to show that it takes a remote secret up, in milliseconds. Mostly it takes a second. */
export const PATIENCE = 20_000;

/**
 * Restarts the Deployments of these replicas of istiod, as `kubectl rollout restart` does, and waits until that is done.
 * @param why in words, for whoever follows the run
 * @returns the names of all that ran before; throws a `Failure` where there is no such Deployment
 */
export async function restartIstiods(
  step: Step,
  namespace: string,
  { cluster, spec }: Member,
  replicas: readonly Pod[],
  why: string,
): Promise<ReadonlySet<string>> {
  const inNamespace = { namespace, labelSelector: ISTIOD };
  const deployment = { apiVersion: "apps/v1", kind: "Deployment" };
  const pod = { apiVersion: "v1", kind: "Pod" };
  const [pods, all] = await Promise.all([
    cluster.list({ ...pod, ...inNamespace }),
    // A revision's Deployments and their pods do not all bear the same labels.
    cluster.list<Deployment>({ ...deployment, ...inNamespace }),
  ]);
  const owns = ({ spec }: Deployment, { metadata }: Pick<Pod, "metadata">) =>
    matches(spec.template.metadata?.labels ?? {}, metadata.labels);
  const restarted = all.filter((each) => replicas.some((replica) => owns(each, replica)));
  if (restarted.length === 0) {
    throw new Failure(
      `In ${spec.name}, ${why}, and there is no Deployment of istiod that could be restarted.`,
      `Restart it, and run again: kubectl -n ${namespace} delete pod ${replicas.map(({ metadata }) => metadata.name).join(" ")}`,
    );
  }
  step.say(`restarting istiod of ${spec.name}: ${why}`);
  for (const { metadata } of restarted) {
    const ref = { ...deployment, namespace, name: metadata.name };
    await step.restart(cluster, ref);
    await cluster.waitFor(
      `the restart of ${describe(ref)}`,
      { deployments: { ...deployment, ...inNamespace }, pods: { ...pod, ...inNamespace } },
      (seen): Look<unknown> => {
        const now = (seen.deployments as Deployment[]).find((each) => each.metadata.name === metadata.name);
        const own = (seen.pods as unknown as Pod[]).filter((each) => now && owns(now, each));
        return rolledOut(now, own);
      },
    );
  }
  return new Set(pods.map(({ metadata }) => metadata.name));
}

/**
 * Sees to it that istiod is none the worse for the remote secrets that were removed: a version that is known to lose what it
 * had read by a secret which changes is restarted, and what was held of the clusters that stay is held still.
 * @param removed the clusters whose remote secrets are gone
 * @param stay the others that it reads
 * @returns what there is to warn of
 */
export async function readAfterRemoval(
  step: Step,
  namespace: string,
  observer: Member,
  removed: readonly string[],
  stay: readonly string[],
  asBefore: AsBefore,
  patience = PATIENCE,
): Promise<string | undefined> {
  const { cluster, spec } = observer;
  const query = { apiVersion: "v1", kind: "Pod", namespace, labelSelector: ISTIOD };
  const pods = (await cluster.list(query)) as unknown as Pod[];
  const running = namesOfRunning(pods);
  const defective = pods.filter((each) => running.includes(each.metadata.name) && defectiveVersion(each));
  const [first] = defective;
  let warning: string | undefined;
  if (first) {
    const why = `Istio ${defectiveVersion(first)}, which ${first.metadata.name} runs, is known to lose what it had read when a remote secret changes, and that for ${removed.join(", ")} is gone (${fixedIn(defectiveVersion(first) ?? "")} and later do not)`;
    await restartIstiods(step, namespace, observer, defective, why);
    warning = `istiod of ${spec.name} was restarted, for ${why}.`;
  }
  const lost = await asBefore.stillLost(stay, patience);
  const told =
    lost &&
    `In ${spec.name}, ${lost}, since the remote secret for ${removed.join(", ")} was removed: \`kubectl -n ${namespace} rollout restart deployment -l ${ISTIOD}\` has istiod read it anew.`;
  return [warning, told].filter(Boolean).join(" ") || undefined;
}

/** The version of an istiod that is known to lose what it had read by a remote secret which changes; else `undefined`. */
export function defectiveVersion({ spec }: Pod): string | undefined {
  const version = versionOf(spec?.containers.find(({ name }) => name === "discovery")?.image ?? "");
  return defectOf(version, "remote-secret-change") && version;
}

/** The first releases without that defect. */
export function fixedIn(version: string): string {
  return defectOf(version, "remote-secret-change")?.fixed.join(", ") ?? "";
}
