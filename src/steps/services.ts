import { serviceIsAnswered } from "../checks/answers.ts";
import type { Comparison } from "../checks/comparison.ts";
import { judged, skipped } from "../checks/finding.ts";
import type { Observation } from "../checks/observation.ts";
import { type Part, part, readable, unanswered } from "../checks/part.ts";
import { clustersHaving, placesOf, preferenceOf } from "../checks/places.ts";
import { authorizing } from "../checks/policies.ts";
import { serviceIsReached } from "../checks/services.ts";
import { exportOf } from "../checks/visibility.ts";
import type { Member } from "../cluster/member.ts";
import type { Offer } from "../facts/endpoints.ts";
import { clusterDomainOf, DEFAULT_CLUSTER_DOMAIN } from "../facts/identity.ts";
import type { MeshConfig } from "../facts/mesh-config.ts";
import { type Policies, readPolicies } from "../facts/policies.ts";
import { type ProxyView, readProxyView } from "../facts/proxy-view.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type MeshSpec, type ServiceSpec, serviceName } from "../mesh/spec.ts";
import type { Comparisons } from "./endpoints.ts";
import type { Run } from "./run.ts";
import type { Probes } from "./traffic.ts";

/** The checks of the user's Services, for the run's plan: of each, in every cluster. */
export function planServices({ clusters }: MeshSpec, services: readonly ServiceSpec[]): CheckRef[] {
  return clusters.flatMap(({ name }) =>
    services.flatMap((service): CheckRef[] => {
      const subject = { cluster: name, service: serviceName(service) };
      const asked: CheckRef[] = service.request === undefined ? [] : [{ id: "service.answered", subject }];
      return [{ id: "service.reached", subject }, ...asked];
    }),
  );
}

type Of<T> = ReadonlyMap<string, T>;
type SeenOf = (member: Member) => Promise<Observation>;

/** What the checks of Services have in common, by cluster. */
interface Looked {
  readonly policies: Of<Part<Policies>>;
  readonly configs: Of<Part<MeshConfig>>;
  readonly networks: Of<string>;
  /** The domain of all Services' names. */
  readonly domains: Of<string>;
  readonly comparisons: Part<Comparisons>;
}

/**
 * Notes of each of the user's Services, in every cluster, whether it is known there with what the others have of it; and of
 * those with a `request` whether they answer.
 * @param probes by which they are called; `undefined` where no requests are sent
 */
export async function judgeServices(
  run: Run,
  mesh: MeshSpec,
  services: readonly ServiceSpec[],
  members: readonly Member[],
  seenOf: SeenOf,
  comparing: Promise<Part<Comparisons>>,
  probes: Probes | undefined,
): Promise<void> {
  if (services.length === 0) return;
  const task = { run, mesh, services, members, seenOf, looking: look(mesh, members, seenOf, comparing) };
  await Promise.all([judgeReached(task), judgeAnswered(task, probes)]);
}

/** What either check goes by. */
interface Task {
  readonly run: Run;
  readonly mesh: MeshSpec;
  readonly services: readonly ServiceSpec[];
  readonly members: readonly Member[];
  readonly seenOf: SeenOf;
  readonly looking: Promise<Looked>;
}

async function look(
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: SeenOf,
  comparing: Promise<Part<Comparisons>>,
): Promise<Looked> {
  const [policies, comparisons] = await Promise.all([
    each(members, seenOf, ({ cluster }): Promise<Policies> => readPolicies(cluster)),
    comparing,
  ]);
  const seen = await Promise.all(members.map(seenOf));
  const configs = new Map(seen.map(({ spec, meshConfig }) => [spec.name, meshConfig]));
  const domains = new Map(seen.map(({ spec, istiod }) => [spec.name, clusterDomainOf(readable(istiod))]));
  const networks = new Map(mesh.clusters.map(({ name, network }) => [name, network]));
  return { policies, configs, networks, domains, comparisons };
}

/** What is read of each cluster that answers. */
async function each<T>(
  members: readonly Member[],
  seenOf: SeenOf,
  read: (member: Member, seen: Observation) => Promise<T>,
): Promise<Of<Part<T>>> {
  const of = async (member: Member): Promise<Part<T>> => {
    const seen = await seenOf(member);
    return seen.answeredAt ? part(read(member, seen)) : unanswered(member.spec.name);
  };
  return new Map(await Promise.all(members.map(async (member) => [member.spec.name, await of(member)] as const)));
}

const hostOf = ({ namespace, name }: ServiceSpec, domain = DEFAULT_CLUSTER_DOMAIN) =>
  `${name}.${namespace}.svc.${domain}`;

async function judgeReached({ run, mesh, services, members, seenOf, looking }: Task): Promise<void> {
  const namespaces = services.map(({ namespace }) => namespace);
  const [{ policies, configs, networks, domains, comparisons }, proxies] = await Promise.all([
    looking,
    each(
      members,
      seenOf,
      async ({ cluster, spec }, { connections }): Promise<ProxyView | undefined> =>
        readProxyView(cluster, mesh.namespace, connections(), spec.name, namespaces),
    ),
  ]);
  for (const { spec } of members) {
    for (const service of services) {
      const finding = judged(() => {
        const { offers, of } = comparisons();
        return serviceIsReached({
          service,
          observer: spec.name,
          istioNamespace: mesh.namespace,
          host: hostOf(service, domains.get(spec.name)),
          offers: new Map(members.map(({ spec: { name } }) => [name, offers.get(name) ?? unanswered(name)])),
          networks,
          held: (target) => [...of({ observer: spec.name, target }).values()],
          configs,
          proxy: proxies.get(spec.name) ?? unanswered(spec.name),
          policies,
        });
      });
      run.judge("service.reached", { cluster: spec.name, service: serviceName(service) }, finding);
    }
  }
}

async function judgeAnswered(
  { run, mesh, services, members, seenOf, looking }: Task,
  probes: Probes | undefined,
): Promise<void> {
  const called = services.filter(({ request }) => request !== undefined);
  if (called.length === 0) return;
  await Promise.all(
    members.map(async (member) => {
      const source = member.spec.name;
      const subjectOf = (service: ServiceSpec) => ({ cluster: source, service: serviceName(service) });
      if (!probes) {
        const none = skipped("No request was sent, for `traffic` is false.");
        for (const service of called) run.judge("service.answered", subjectOf(service), none);
        return;
      }
      const [answers, looked] = await Promise.all([part(probes.callServices(member, seenOf)), looking]);
      for (const service of called) {
        const finding = judged(() => {
          const asked = answers().get(serviceName(service))?.();
          if (!asked) throw new Error(`${serviceName(service)} was not called`);
          return serviceIsAnswered({
            service,
            source,
            asked,
            ...whereabouts(looked, members, mesh, source, service, asked.port),
          });
        });
        run.judge("service.answered", subjectOf(service), finding);
      }
    }),
  );
}

/** Where a Service's endpoints are, as far as that is known, for callers of a cluster. */
function whereabouts(
  { policies, configs, networks, domains, comparisons }: Looked,
  members: readonly Member[],
  mesh: MeshSpec,
  source: string,
  service: ServiceSpec,
  port: number,
) {
  const name = `${service.namespace}/${service.name}`;
  const known = readable(comparisons);
  const offers = new Map<string, Offer>();
  for (const { spec } of members) {
    const offer = known?.offers.get(spec.name);
    const value = offer && readable(offer);
    if (value) offers.set(spec.name, value);
  }
  const held = (target: string): Comparison[] => {
    const replicas = (known && readable(() => known.of({ observer: source, target }))) ?? new Map<string, never>();
    return [...replicas.values()].filter((each) => "named" in each);
  };
  const gateways = members.flatMap(({ spec }) => held(spec.name).flatMap((replica) => replica.gateways));
  const where = { service: name, source, offers, networks, gateways };
  const config = readable(configs.get(source) ?? unanswered(source));
  const route = {
    host: hostOf(service, domains.get(source)),
    namespace: service.namespace,
    // The probe's own namespace is new, and has no rules.
    caller: "",
    rootNamespace: config?.rootNamespace ?? mesh.namespace,
  };
  const deciding = clustersHaving(where).flatMap((target) => {
    const its = readable(policies.get(target) ?? unanswered(target)) ?? [];
    const rootNamespace = readable(configs.get(target) ?? unanswered(target))?.rootNamespace ?? mesh.namespace;
    const [replica] = held(target);
    const labels = (replica?.named.get(name) ?? []).map((endpoint) => endpoint.labels);
    return authorizing(its, { ...route, rootNamespace }, labels).map(
      (policy) => `${describe(refOf(policy))} of ${target}`,
    );
  });
  const own = offers.get(source)?.services.get(name);
  const exported = own ? exportOf(own, config) : [];
  return {
    places: placesOf(where),
    having: clustersHaving(where),
    exported: exported.includes("*") ? [] : exported,
    deciding,
    preference: preferenceOf(route, port, own, readable(policies.get(source) ?? unanswered(source)), config),
  };
}
