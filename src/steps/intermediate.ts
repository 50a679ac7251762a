// Renews a cluster's intermediate of a root that stays.
import { obstacles, secretRoots, standing } from "../checks/root-change.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import { chainTo } from "../mesh/certificates/chain.ts";
import { info, readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { act } from "./root-serve.ts";
import { type ChangeTimes, TIMES, View } from "./root-view.ts";
import type { Outcome, Run } from "./run.ts";

/** An intermediate that ends within so many days is renewed. */
const EARLY = 60;
const DAY = 86_400_000;

/**
 * Gives istiod a new intermediate of the provided root, where the one in `cacerts` is of that root and ends soon. The roots stay to
 * the byte, so istiod takes it up while it runs; certificates of the old one stay good to its end.
 */
export function renewIntermediate(
  run: Run,
  mesh: MeshSpec,
  member: Member,
  survey: Survey,
  root: RootCa,
  times?: Partial<ChangeTimes>,
): Promise<void> {
  return run.step("rotate.intermediate", { cluster: member.spec.name }, [], async (step) => {
    const [fresh] = readableIn(root.certificate);
    const seen = survey.cacerts && secretRoots(survey.cacerts, undefined);
    if (!fresh || !seen?.plugged) return done("There is no Secret cacerts: nothing is renewed.");
    if (survey.trust.otherCa) return done(`Another CA signs, not istiod: ${survey.trust.otherCa}. Nothing is renewed.`);
    if (!chainTo([fresh], seen.issuer) || standing(seen, fresh).phase !== 3)
      return done(
        `It does not sign by the root in ca-root-cert (SHA-256 ${info(fresh).sha256}) alone: nothing is renewed.`,
      );
    const { notAfter, subject } = info(seen.issuer.certificate);
    const end = notAfter.toISOString().slice(0, 10);
    if (notAfter.getTime() - Date.now() > EARLY * DAY)
      return done(
        `The intermediate "${subject}" is valid until ${end}: it is renewed from ${EARLY} days before that on.`,
      );
    if (fresh.validToDate <= notAfter)
      return done(`The intermediate "${subject}" ends on ${end} with its root, so a new one would, too.`, EARLY_ROOT);
    const { keyIds } = await import("../mesh/certificates/constraints.ts");
    const [why] = obstacles(seen, fresh, mesh.namespace, keyIds);
    if (why)
      return done(`The intermediate "${subject}" ends on ${end}, and is not renewed.`, `${why} It ends on ${end}.`);
    const view = new View(mesh, member, fresh, { ...TIMES, ...times });
    await act(step, view, "sign", root);
    const made = await view.secrets();
    return done(
      `Every istiod signs by a new intermediate, valid until ${info(made.issuer.certificate).notAfter.toISOString().slice(0, 10)}; the old one ended on ${end}.`,
    );
  });
}

const EARLY_ROOT = "The root of trust itself ends soon: change to a new one, see `trust-transition`.";

function done(evidence: string, warning?: string): Outcome<void> {
  return { value: undefined, evidence, ...(warning ? { warning } : {}) };
}
