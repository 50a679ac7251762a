// Whether the root of control planes that run has to be changed, before anything is written.
import { obstacles, secretRoots, servedSince, standing } from "../checks/root-change.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import { info, readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { PHASE_WORDS } from "../mesh/root-change.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { brokenTrust, type TrustDecision, type TrustProblem } from "../mesh/trust.ts";

/** The clusters whose root is changed: those with an istiod. */
export function changing(members: readonly Member[], surveys: ReadonlyMap<string, Survey>): Member[] {
  return members.filter(({ spec }) => (surveys.get(spec.name)?.istiods.length ?? 0) > 0);
}

/**
 * What is decided on where the root of control planes that run is another than the one provided, or their change to that is
 * under way; `undefined` where there is nothing to change.
 * @param missing clusters that could not be reached
 */
export async function decideRootChange(
  mesh: MeshSpec,
  members: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  root: RootCa,
  missing: readonly string[],
): Promise<TrustDecision | undefined> {
  const [fresh] = readableIn(root.certificate);
  const live = changing(members, surveys);
  if (!mesh.trust.transition || !fresh || live.length === 0) return undefined;
  const { namespace } = mesh;
  const seen = live.map(({ spec }) => {
    const survey = surveys.get(spec.name) as Survey;
    const roots = secretRoots(survey.cacerts, survey.selfSigned);
    const stands = roots && standing(roots, fresh);
    const served = roots && servedSince(roots, stands?.phase, survey.trust.inEffect);
    return {
      cluster: spec.name,
      survey,
      roots,
      phase: stands?.phase,
      done: stands?.phase === 3 && served !== undefined,
    };
  });
  if (seen.every(({ done }) => done)) return undefined;
  if (missing.length > 0) {
    const cause = `A change of the root takes every cluster to be reached, for the proxies of each one count; ${missing.join(", ")} cannot be.`;
    return { problems: [{ cause, hint: "Run again once it can be." }] };
  }
  const { keyIds } = await import("../mesh/certificates/constraints.ts");
  const problems = seen.flatMap(({ cluster, survey, roots, phase }): TrustProblem[] => {
    const broken = brokenTrust(survey.trust, namespace);
    if (broken.length > 0) return broken;
    const hint = "Nothing was changed. docs/SECURITY.md has what a change of the root takes.";
    if (survey.trust.otherCa) {
      const cause = `Another CA signs there (${survey.trust.otherCa}): its root is not this action's to change.`;
      return [{ cluster, cause, hint }];
    }
    const found = obstacles(roots, fresh, namespace, keyIds);
    if (found.length === 0 && phase === undefined)
      found.push(`The Secret ${namespace}/cacerts signs by a root that it does not hold.`);
    return found.map((cause) => ({ cluster, cause: `The root cannot be changed by this action: ${cause}`, hint }));
  });
  if (problems.length > 0) return { problems };
  const sha256 = info(fresh).sha256;
  const stands = seen.map(({ cluster, phase = 0 }) => `${cluster}: ${PHASE_WORDS[phase]}`).join("; ");
  return {
    source: "provided",
    rootSha256: sha256,
    issueFor: [],
    keepFor: members.map(({ spec }) => spec.name),
    change: true,
    warning: `The mesh's root is being changed to that with SHA-256 ${sha256}; all else waits until that is over. ${stands}.`,
  };
}
