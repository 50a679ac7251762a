import { installRights } from "../checks/rights.ts";
import type { Survey } from "../checks/survey.ts";
import { reviewsOnce } from "../checks/tokens.ts";
import type { Member } from "../cluster/member.ts";
import type { CheckRef } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import { planObjects, planRemoteSecrets } from "../steps/plan.ts";
import { planPreflight, preflight } from "../steps/preflight.ts";
import { planRootChange } from "../steps/root-change.ts";
import { changing } from "../steps/root-plan.ts";
import { type Run, reached } from "../steps/run.ts";
import type { Tools } from "./install.ts";

/**
 * Says what `install` would change, and changes nothing: after the same preflight every object that `install` would apply
 * is tried by a server-side dry run. What is only made by `install` (keys, tokens) is not made, and istioctl is needed only
 * where the control planes are of its making.
 */
export async function plan(
  run: Run,
  asked: MeshSpec,
  members: readonly Member[],
  { istioctl, root, prune }: Pick<Tools, "istioctl" | "root" | "prune">,
): Promise<void> {
  const needed = asked.installer === "istioctl";
  run.plan(...planPreflight(asked, { istioctl: needed, helm: false, dryRun: false }), ...planPlan(asked));

  // A dry run takes the rights of the real one.
  const rights = installRights(asked, prune);
  const tools = { istioctl: needed ? istioctl : undefined, helm: undefined, dryRun: false };
  const ready = await preflight(run, asked, members, { ...tools, root, rights, begin() {} });
  if (!ready) return run.skipRest("The preflight found what must be mended first.");
  const { mesh, served, surveys, transitions, trust } = ready;
  const survey = (member: Member) => surveys.get(member.spec.name) as Survey;

  if (trust.warning) run.warn(trust.warning);
  if (trust.rootSha256) run.trusts(trust.rootSha256);

  if (trust.change && root) {
    await planRootChange(run, mesh, changing(served, surveys), root);
    return run.skipRest("The change of the root comes first; all else waits until that is over.");
  }
  const reviews = reviewsOnce();
  await Promise.all(
    served.map(async (member) => {
      const waits = (each: Member) => survey(each).adoption?.record.waits;
      const others = waits(member) ? [] : served.filter((other) => other !== member && !waits(other));
      // One after the other, so that the report has them in one order.
      const transition = transitions.get(member.spec.name) as Transition;
      const intent = { survey: survey(member), trust, transition, istioctl: tools.istioctl };
      await reached(planObjects(run, mesh, member, intent));
      await reached(planRemoteSecrets(run, mesh, member, others, surveys, prune, reviews));
    }),
  );
}

/** The steps after the preflight, for the run's plan. */
function planPlan(mesh: MeshSpec): CheckRef[] {
  return mesh.clusters.flatMap(({ name: cluster }) =>
    (["plan.objects", "plan.remote-secrets"] as const).map((id): CheckRef => ({ id, subject: { cluster } })),
  );
}
