import { judged } from "../checks/finding.ts";
import { namesOfRunning } from "../checks/istiod.ts";
import type { Observation } from "../checks/observation.ts";
import { type Part, part, readable, unanswered } from "../checks/part.ts";
import { serviceIsReached } from "../checks/services.ts";
import type { Member } from "../cluster/member.ts";
import { type Policies, readPolicies } from "../facts/policies.ts";
import { type ProxyView, readProxyView } from "../facts/proxy-view.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type MeshSpec, type ServiceSpec, serviceName } from "../mesh/spec.ts";
import type { Comparisons } from "./endpoints.ts";
import type { Run } from "./run.ts";

/** The checks of the user's Services, for the run's plan: of each, in every cluster. */
export function planServices({ clusters }: MeshSpec, services: readonly ServiceSpec[]): CheckRef[] {
  return clusters.flatMap(({ name }) =>
    services.map(
      (service): CheckRef => ({ id: "service.reached", subject: { cluster: name, service: serviceName(service) } }),
    ),
  );
}

/** Notes of each of the user's Services, in every cluster, whether it is known there with what the others have of it. */
export async function judgeServices(
  run: Run,
  mesh: MeshSpec,
  services: readonly ServiceSpec[],
  members: readonly Member[],
  seenOf: (member: Member) => Promise<Observation>,
  comparing: Promise<Part<Comparisons>>,
): Promise<void> {
  if (services.length === 0) return;
  const namespaces = services.map(({ namespace }) => namespace);
  const of = async <T>(member: Member, read: (seen: Observation) => Promise<T>): Promise<Part<T>> => {
    const seen = await seenOf(member);
    return seen.answeredAt ? part(read(seen)) : unanswered(member.spec.name);
  };
  const each = async <T>(read: (member: Member, seen: Observation) => Promise<T>): Promise<Map<string, Part<T>>> =>
    new Map(
      await Promise.all(
        members.map(async (member) => [member.spec.name, await of(member, (seen) => read(member, seen))] as const),
      ),
    );
  const [policies, proxies, comparisons] = await Promise.all([
    each<Policies>(({ cluster }) => readPolicies(cluster)),
    each<ProxyView | undefined>(({ cluster, spec }, { istiodPods }) => {
      return readProxyView(cluster, mesh.namespace, namesOfRunning(readable(istiodPods) ?? []), spec.name, namespaces);
    }),
    comparing,
  ]);
  const configs = new Map(
    await Promise.all(members.map(async (member) => [member.spec.name, (await seenOf(member)).meshConfig] as const)),
  );
  const networks = new Map(mesh.clusters.map(({ name, network }) => [name, network]));
  for (const { spec } of members) {
    for (const service of services) {
      const finding = judged(() => {
        const { offers, of } = comparisons();
        return serviceIsReached({
          service,
          observer: spec.name,
          rootNamespace: mesh.namespace,
          offers: new Map(members.map(({ spec: { name } }) => [name, offers.get(name) ?? unanswered(name)])),
          networks,
          held: (target) => [...of({ observer: spec.name, target }).values()],
          config: configs.get(spec.name) ?? unanswered(spec.name),
          proxy: proxies.get(spec.name) ?? unanswered(spec.name),
          policies,
        });
      });
      run.judge("service.reached", { cluster: spec.name, service: serviceName(service) }, finding);
    }
  }
}
