import { ISTIOD } from "../checks/istiod.ts";
import { merged, rotateRights, verifyRights } from "../checks/rights.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type MeshSpec, orderedPairs } from "../mesh/spec.ts";
import { accessPreflight, planAccessPreflight } from "../steps/access-preflight.ts";
import { AsBefore } from "../steps/as-before.ts";
import { renewIntermediate } from "../steps/intermediate.ts";
import { LOCK_CHECK } from "../steps/lock.ts";
import { leaveNoStrangers } from "../steps/remote-access.ts";
import { newToken, replaceRemoteSecrets, retireTokens } from "../steps/rotate.ts";
import type { Run } from "../steps/run.ts";
import { confirmRead } from "../steps/synced.ts";
import type { WritingTools } from "./tools.ts";
import { planVerify, verify } from "./verify.ts";

/**
 * Gives every reader a new token, make before break: an old one is deleted when every istiod that could read by it is known
 * to read by the new one. What was done is seen on the clusters alone, so a run that was cut off is finished by the next.
 */
export async function rotate(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  tools: WritingTools & { readonly root: RootCa | undefined },
): Promise<void> {
  const { verification, patience, lock, prune, root } = tools;
  run.plan(
    ...planAccessPreflight(mesh),
    LOCK_CHECK,
    ...(root
      ? mesh.clusters.map(({ name }): CheckRef => ({ id: "rotate.intermediate", subject: { cluster: name } }))
      : []),
    ...planRotate(mesh, prune),
    ...(verification ? planVerify(mesh, verification.services) : []),
  );

  const rights = merged([
    ...rotateRights(mesh),
    ...(verification ? verifyRights(mesh, verification.traffic, verification.services.length > 0) : []),
  ]);
  const surveys = await lock.after(run, members, planAccessPreflight(mesh), () =>
    accessPreflight(run, mesh, members, rights, prune, (member) => lock.look(member)),
  );
  if (!surveys) return run.skipRest("The preflight found what must be mended first. Nothing was changed.");
  const survey = ({ spec }: Member) => surveys.get(spec.name) as Survey;
  const others = (member: Member) => members.filter((each) => each !== member);
  const perCluster = <T>(begin: (member: Member) => T): ((member: Member) => T) => {
    const begun = new Map(members.map((member) => [member, begin(member)]));
    return (member) => begun.get(member) as T;
  };

  // First: where an istiod has to be restarted for it, that is over before anything is read of it.
  if (root) {
    const renewed = members.map((member) => renewIntermediate(run, mesh, member, survey(member), root, tools.times));
    await Promise.allSettled(renewed);
  }
  const asBefore = perCluster((observer) => new AsBefore(mesh.namespace, observer, members));

  const token = perCluster((target) => newToken(run, mesh, target, survey(target), others(target).map(survey)));
  const secretsFor = perCluster((target) =>
    replaceRemoteSecrets(run, mesh, target, others(target), surveys, token(target), tools.call, asBefore),
  );
  const adopted = perCluster((observer) => {
    const targets = others(observer);
    const secrets = new Map(targets.map((target) => [target.spec.name, secretsFor(target).get(observer.spec.name)!]));
    const all = async () => ISTIOD;
    const before = asBefore(observer);
    const steps = confirmRead(run, "rotate.adopted", mesh, observer, all, secrets, [], patience, before);
    return new Map(targets.map((target, i) => [target, steps[i]!]));
  });
  const retired = members.map((target) => {
    const observers = others(target);
    const seen = observers.map((observer) => adopted(observer).get(target)!);
    return retireTokens(run, mesh, target, observers, survey(target), token(target), seen);
  });

  // Last, as in an installation: where something is amiss, nothing more is taken away.
  const alone = members.map((member) =>
    prune
      ? leaveNoStrangers(run, mesh, member, survey(member), true, retired, asBefore(member), patience, true)
      : Promise.resolve(),
  );

  // Where one step failed the others still come to their end.
  await Promise.allSettled([...alone, ...retired, ...members.flatMap((observer) => [...adopted(observer).values()])]);
  if (!verification) return;
  if (run.failed) return run.skipRest("Not looked at, for the rotation did not come to its end.");
  await verify(run, mesh, members, verification);
}

/** The steps after the preflight, for the run's plan. */
function planRotate(mesh: MeshSpec, prune: boolean): CheckRef[] {
  const names = mesh.clusters.map(({ name }) => name);
  return [
    ...(prune ? names.map((cluster): CheckRef => ({ id: "install.strangers", subject: { cluster } })) : []),
    ...names.map((cluster): CheckRef => ({ id: "rotate.token", subject: { cluster } })),
    ...orderedPairs(names).flatMap((subject): CheckRef[] => [
      { id: "rotate.remote-secret", subject },
      { id: "rotate.adopted", subject },
    ]),
    ...names.map((cluster): CheckRef => ({ id: "rotate.retired", subject: { cluster } })),
  ];
}
