import { judged } from "../checks/finding.ts";
import { revisionOf, speaking } from "../checks/istiod.ts";
import { connectionsOf, type Observation, readIstiodPods } from "../checks/observation.ts";
import { part } from "../checks/part.ts";
import { mayHoldIstiodsOwn } from "../checks/proxy-root.ts";
import { stillSo, type Trouble, troublesOf } from "../checks/proxy-sync.ts";
import { revisionsToAsk } from "../checks/sidecars.ts";
import { workloadChecks } from "../checks/workloads.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type InjectionPolicy, readInjectionPolicy } from "../facts/injectors.ts";
import { readSample } from "../facts/workloads.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Run } from "./run.ts";

/** Most of what is on its way arrives at once. Milliseconds, as all of these. */
const SOON = 1_000;
/** What is so as long counts: proxies take what they are sent within seconds. */
const LASTING = 6_000;
/** Envoy waits so long at most until it asks for its configuration again, where istiod was not there. */
const RECONNECTED = 35_000;

/** Where istiod keeps the root that it makes where it is given none. */
const ISTIODS_OWN = "istio-ca-secret";

/**
 * Notes of every cluster how its running workloads are. Reads only: where all is well, nothing beside what was observed; what is
 * not is looked at again, three times at most, with as many requests each as the first time.
 * @param lasting how long what is wrong must last, in milliseconds, where not the usual time
 */
export async function judgeWorkloads(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: (member: Member) => Promise<Observation>,
  traffic: boolean,
  lasting = LASTING,
): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      const seen = await seenOf(member);
      const now = new Date();
      const own = { apiVersion: "v1", kind: "Secret", namespace: mesh.namespace, name: ISTIODS_OWN };
      const [troubles, istiodsOwn, policies] = await Promise.all([
        part(lastingTroubles(mesh, member, seen, lasting)),
        part(mayHoldIstiodsOwn(mesh, seen, now) ? member.cluster.get<Secret>(own) : Promise.resolve(undefined)),
        part(policiesOf(mesh, member, seen)),
      ]);
      const view = { seen, lasting: troubles, traffic, istiodsOwn, policies };
      for (const [id, check] of Object.entries(workloadChecks(mesh, now)))
        run.judge(
          id as CheckId,
          { cluster: member.spec.name },
          judged(() => check(view)),
        );
    }),
  );
}

async function lastingTroubles(
  mesh: MeshSpec,
  { cluster }: Member,
  seen: Observation,
  lasting: number,
): Promise<Trouble[]> {
  let troubles = troublesOf(mesh, seen, seen.sample(), seen.connections(), seen.istiodPods());
  const since = performance.now();
  const some = () => troubles.length > 0;
  const looks = [
    { after: SOON, needed: some },
    { after: LASTING, needed: some },
    // What may come back by itself.
    { after: RECONNECTED, needed: () => troubles.some(({ what }) => what === "absent") },
  ];
  for (const { after, needed } of looks) {
    if (!needed()) break;
    await cluster.poll("the proxies to take their configuration", async (): Promise<Look<void>> => {
      if (performance.now() - since >= (after * lasting) / LASTING) return { done: undefined };
      const { name, what } = troubles[0] as Trouble;
      return { seen: `${name} ${what === "absent" ? "is connected to no istiod" : "has not taken it"}` };
    });
    // Of another replica, perhaps, than at the first look.
    const revisions = [seen.revision(), ...seen.inUse().map(revisionOf)];
    const [sample, istiods] = await Promise.all([
      readSample(cluster),
      readIstiodPods(cluster, mesh.namespace, revisions),
    ]);
    const connections = await connectionsOf(cluster, mesh.namespace, speaking(istiods));
    troubles = stillSo(troubles, troublesOf(mesh, seen, sample, connections, istiods));
  }
  return troubles;
}

async function policiesOf(
  mesh: MeshSpec,
  { cluster }: Member,
  seen: Observation,
): Promise<ReadonlyMap<string, InjectionPolicy>> {
  return new Map(
    await Promise.all(
      revisionsToAsk(mesh, seen).map(
        async (revision) => [revision, await readInjectionPolicy(cluster, mesh.namespace, revision)] as const,
      ),
    ),
  );
}
