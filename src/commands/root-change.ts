// What an installation begins with where the mesh's root is to become another.
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import type { CheckRef } from "../mesh/report.ts";
import type { Ready } from "../steps/preflight.ts";
import { changeRoot } from "../steps/root-change.ts";
import { changing } from "../steps/root-plan.ts";
import { type Run, reached } from "../steps/run.ts";
import type { WritingTools } from "./tools.ts";
import { verify } from "./verify.ts";

export const ROOT_CHANGE: CheckRef = { id: "install.root-change", subject: {} };

/** Leads the mesh to the root that is provided. @returns whether that is over, and the installation goes on */
export async function rootChanged(
  run: Run,
  { mesh, served, surveys, trust }: Ready<unknown>,
  members: readonly Member[],
  tools: WritingTools & { readonly root: RootCa | undefined },
): Promise<boolean> {
  const { root, verification, times, left = () => Number.POSITIVE_INFINITY } = tools;
  if (!trust.change || !root) {
    const evidence = `No control plane that runs has another root than that with SHA-256 ${trust.rootSha256}.`;
    await run.step("install.root-change", {}, [], async () => ({ value: undefined, evidence }));
    return true;
  }
  if (trust.rootSha256) run.trusts(trust.rootSha256);
  const change = await reached(changeRoot(run, mesh, changing(served, surveys), root, { left, times }));
  if (change?.over) return true;
  if (change) run.goesOn(change.next);
  const isInstall = ({ id }: CheckRef) => id.startsWith("install.");
  run.skipRest(
    change
      ? "The change of the root comes first, and is under way."
      : "The change of the root comes first, and failed.",
    isInstall,
  );
  if (!verification || !change) {
    run.skipRest("Not looked at, for the change of the root did not come to its end.");
    return false;
  }
  const isJoined = served.every((observer) => {
    const { remoteSecrets } = surveys.get(observer.spec.name) as Survey;
    return remoteSecrets.length >= served.length - 1;
  });
  if (isJoined) await verify(run, mesh, members, verification);
  else run.skipRest("Not looked at: the clusters are joined once they have one root.");
  return false;
}
