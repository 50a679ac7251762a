// What is looked at before the access to clusters that are joined already is changed.
import { waitsToJoin } from "../checks/adoption.ts";
import { passed } from "../checks/finding.ts";
import * as checks from "../checks/preflight.ts";
import type { Right } from "../checks/rights.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import { ownerOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import type { CheckRef } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { type ClusterCheck, type Looks, look, lookFurther, planned, tellDistinct } from "./preflight.ts";
import { foreignRemoteSecret, strangersOf } from "./remote-access.ts";
import type { Run } from "./run.ts";
import { together } from "./trial.ts";

const ACCESS_CHECKS: readonly ClusterCheck[] = ["api", "rights", "read", "remote-secrets", "ownership"];

/** The steps of `accessPreflight`, for the run's plan. */
export function planAccessPreflight(mesh: MeshSpec): CheckRef[] {
  return planned(mesh, ACCESS_CHECKS);
}

/**
 * Looks at clusters that are joined already, as far as who reads whom is concerned, and changes nothing.
 * @returns what was read, or `undefined` where something stands in the way
 */
export async function accessPreflight(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  rights: readonly Right[],
  prune: boolean,
  first: (member: Member) => Promise<void>,
): Promise<ReadonlyMap<string, Survey> | undefined> {
  const looks: Looks = (member, survey) => ({
    "remote-secrets": () => {
      if (waitsToJoin({ istios: () => survey.istios, namespace: () => survey.namespace }))
        throw new Failure(`${member.spec.name} is not joined yet.`, "Run `install` first.");
      // A cluster that is not in the list may read this one, too, and would be left behind.
      const { uid, remoteSecrets } = survey;
      const { left } = strangersOf(ownerOf(mesh, uid), mesh, member.spec.name, remoteSecrets, prune);
      if (left) throw left;
      return checks.checkRemoteSecrets(mesh, member, survey);
    },
    ownership: () => {
      const foreign = members.flatMap(({ spec }) => foreignRemoteSecret(mesh, survey, spec.name) ?? []);
      if (foreign.length > 0) throw together(foreign);
      return passed("The remote secrets that are there are this action's.");
    },
  });
  // By what the control planes are installed has no part in it, and would take further rights to look at.
  const bare = { ...mesh, installer: "existing" } as const;
  const surveys = await readAll(run, members, async (member) => {
    const survey = await look(run, bare, member, rights, first);
    if (survey) await lookFurther(run, member, looks(member, survey));
    return survey;
  });
  return run.failed ? undefined : surveys;
}

/** What each cluster's survey gave; `undefined` where one could not be read. */
async function readAll(
  run: Run,
  members: readonly Member[],
  look: (member: Member) => Promise<Survey | undefined>,
): Promise<ReadonlyMap<string, Survey> | undefined> {
  const read = await Promise.all(members.map(look));
  const surveys = new Map(members.flatMap(({ spec }, i) => (read[i] ? [[spec.name, read[i]] as const] : [])));
  await tellDistinct(run, members, surveys);
  return surveys.size === members.length ? surveys : undefined;
}
