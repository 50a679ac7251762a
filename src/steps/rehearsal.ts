// What is to be written, tried in the preflight.
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { SettledMesh } from "../mesh/spec.ts";
import { foreignRemoteSecret, isCurrent } from "./remote-access.ts";
import type { Run } from "./run.ts";
import { type Intent, Trial, together, tryInstall, UNTRIED } from "./trial.ts";

/** Tries what is to be written to a cluster by a dry run: what is refused, and what is in the way, is known before anything is. */
export async function tryWrites(
  run: Run,
  mesh: SettledMesh,
  member: Member,
  intent: Intent,
  surveys: ReadonlyMap<string, Survey>,
  targets: readonly Member[],
): Promise<boolean> {
  const subject = { cluster: member.spec.name };
  const trial = new Trial(mesh, member.cluster, intent.survey);
  const trying = tryInstall(trial, mesh, member, intent);
  trying.catch(() => {}); // told by the dry run's step
  const done = await Promise.allSettled([
    run.step("preflight.ownership", subject, [], async () => {
      await Promise.allSettled([trying]);
      const { inTheWay, left } = await trial.end();
      const stale = targets.filter(
        (target) => !isCurrent(mesh, intent.survey, surveys.get(target.spec.name) as Survey, target),
      );
      const foreign = stale.flatMap(({ spec }) => foreignRemoteSecret(mesh, intent.survey, spec.name) ?? []);
      if (inTheWay.length + foreign.length > 0) throw together([...inTheWay, ...foreign]);
      const names = left.map((object) => describe(refOf(object)));
      const evidence =
        names.length > 0
          ? `Not this action's, and left as they are, for they do the job: ${names.join(", ")}.`
          : "Nothing of somebody else's is in the way.";
      return { value: undefined, evidence };
    }),
    run.step("preflight.dry-run", subject, [], async () => {
      await trying;
      const { tried, untried, refused, same } = await trial.end();
      run.same.set(member.spec.name, same);
      if (refused.length > 0) throw together(refused);
      const evidence = `A dry run of ${tried} object${tried === 1 ? "" : "s"} was taken.`;
      return { value: undefined, evidence: `${evidence}${untried ? ` ${UNTRIED}` : ""}` };
    }),
  ]);
  return done.every(({ status }) => status === "fulfilled");
}
