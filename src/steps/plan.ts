import { isActive } from "../checks/pods.ts";
import type { Survey } from "../checks/survey.ts";
import type { Reviews } from "../checks/tokens.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { isOurs, ownerOf } from "../mesh/claim.ts";
import { GATEWAY_NAME } from "../mesh/objects/gateway.ts";
import { refOf } from "../mesh/objects/object.ts";
import { remoteSecret } from "../mesh/objects/secrets.ts";
import type { Action } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import { isOfGateway, isUninjected } from "./gateway.ts";
import { isUpToDate, strangersOf } from "./remote-access.ts";
import type { Outcome, Run } from "./run.ts";
import type { ObjectChange, Step } from "./step.ts";
import { type Intent, NOT_MADE, Trial, together, tryInstall, UNTRIED } from "./trial.ts";

/** Says what `install` would do to a cluster's objects, its remote secrets apart. */
export function planObjects(run: Run, mesh: SettledMesh, member: Member, intent: Intent): Promise<void> {
  const { spec, cluster } = member;
  return run.step("plan.objects", { cluster: spec.name }, [], async (step) => {
    const trial = new Trial(mesh, cluster, intent.survey);
    await tryInstall(trial, mesh, member, intent);
    if (mesh.gateway.install) trial.add(uninjectedPods(mesh, cluster, intent.survey.uid));
    return told(step, cluster, trial, "Nothing would be applied.");
  });
}

/** Says which remote secrets `install` would give an observer. */
export function planRemoteSecrets(
  run: Run,
  mesh: MeshSpec,
  observer: Member,
  targets: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  prune: boolean,
  reviews: Reviews,
): Promise<void> {
  const survey = (member: Member) => surveys.get(member.spec.name) as Survey;
  return run.step("plan.remote-secrets", { cluster: observer.spec.name }, [], async (step) => {
    const trial = new Trial(mesh, observer.cluster, survey(observer));
    const current = await Promise.all(
      targets.map((target) => isUpToDate(mesh, survey(observer), survey(target), target, reviews)),
    );
    for (const target of targets.filter((_, i) => !current[i])) {
      const note = `It is made with a token of ${target.spec.name}'s reader.`;
      trial.apply(remoteSecret(mesh, target.spec.name, NOT_MADE), note);
    }
    const { uid, remoteSecrets } = survey(observer);
    const { removed, left } = strangersOf(ownerOf(mesh, uid), mesh, observer.spec.name, remoteSecrets, prune);
    const gone = removed.map(({ secret, clusters }): ObjectChange => {
      const note = `${clusters.join(", ")} is not in the list of clusters.`;
      return { ...refOf(secret), action: "deleted", note };
    });
    trial.add(Promise.resolve(gone));
    if (left) trial.add(Promise.reject(left));
    return told(step, observer.cluster, trial, "Every remote secret is current.");
  });
}

/** The gateway's pods that `install` would delete, so that new ones are injected. */
async function uninjectedPods(mesh: MeshSpec, cluster: Cluster, uid: string): Promise<ObjectChange[]> {
  const { namespace } = mesh;
  const kind = { apiVersion: "v1", kind: "Pod", namespace };
  const [deployment, found] = await Promise.all([
    cluster.get({ apiVersion: "apps/v1", kind: "Deployment", namespace, name: GATEWAY_NAME }),
    cluster.list({ ...kind, labelSelector: `app=${GATEWAY_NAME}` }),
  ]);
  if (!deployment || !isOurs(ownerOf(mesh, uid), deployment)) return [];
  const pods = found as unknown as Pod[];
  const note = "It was made before injection served, and keeps its placeholder image.";
  return pods
    .filter((pod) => isActive(pod) && isOfGateway(pod) && isUninjected(pod))
    .map(({ metadata }) => ({ ...kind, name: metadata.name, action: "deleted", note }));
}

/** Notes all that would become; throws what was refused. @param none the evidence where nothing was tried */
async function told(step: Step, cluster: Cluster, trial: Trial, none: string): Promise<Outcome<void>> {
  const { changes, untried, inTheWay, refused } = await trial.end();
  for (const change of changes) step.would(cluster, change);
  if (inTheWay.length + refused.length > 0) throw together([...inTheWay, ...refused]);
  const evidence = changes.length > 0 ? summary(changes.map(({ action }) => action)) : none;
  return { value: undefined, evidence: `${evidence}${untried ? ` ${UNTRIED}` : ""}` };
}

function summary(actions: readonly Action[]): string {
  const number = (action: Action) => actions.filter((each) => each === action).length;
  const would = (["created", "updated", "deleted"] as const)
    .filter((action) => number(action) > 0)
    .map((action) => `${number(action)} would be ${action}`);
  const same = number("unchanged");
  if (would.length === 0) return `All ${same} objects are as they should be.`;
  return `${would.join(", ")}${same > 0 ? `; ${same} are as they should be` : ""}.`;
}
