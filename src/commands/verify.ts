import { waitsToJoin } from "../checks/adoption.ts";
import { failed, passed } from "../checks/finding.ts";
import { addressesOf } from "../checks/gateway-service.ts";
import { istiodVersion } from "../checks/istiod.ts";
import { type Beginning, beginObserving, type Observation, observe, unseen } from "../checks/observation.ts";
import { part, readable } from "../checks/part.ts";
import type { Call } from "../checks/remote-access.ts";
import type { Member } from "../cluster/member.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import { Failure } from "../mesh/failure.ts";
import type { CheckRef } from "../mesh/report.ts";
import { type MeshSpec, orderedPairs, type ServiceSpec } from "../mesh/spec.ts";
import { compareEndpoints, judgeEndpoints } from "../steps/endpoints.ts";
import { judgeCluster, judgeMesh, judgePairs, trust } from "../steps/judge.ts";
import type { Injection } from "../steps/probe.ts";
import type { Run } from "../steps/run.ts";
import { judgeServices, planServices } from "../steps/services.ts";
import { Probes, type TrafficTools } from "../steps/traffic.ts";
import { excuseWaiting } from "../steps/waiting.ts";
import { judgeWorkloads } from "../steps/workloads.ts";

export interface VerifyTools extends TrafficTools {
  readonly call: Call;
}

const OF_CLUSTER: readonly CheckId[] = [
  "cluster.api",
  "control-plane.istiod",
  "control-plane.istio",
  "control-plane.cni",
  "control-plane.identity",
  "control-plane.network",
  "control-plane.images",
  "trust.cacerts",
  "trust.in-effect",
  "trust.root",
  "trust.namespaces",
  "gateway.deployment",
  "gateway.address",
  "gateway.exposure",
  "gateway.network",
  "gateway.version",
  "remote.reader",
  "remote.strangers",
  "workloads.identity",
  "workloads.root",
  "workloads.synced",
  "workloads.version",
  "workloads.injected",
  "leftover.objects",
  "traffic.probe",
];
const OF_MESH: readonly CheckId[] = [
  "cluster.distinct",
  "control-plane.versions",
  "control-plane.trust-domain",
  "control-plane.cluster-domain",
  "trust.same-root",
];
const OF_REMOTE: readonly CheckId[] = [
  "remote.secret",
  "remote.kubeconfig",
  "remote.token",
  "remote.synced",
  "remote.endpoints",
];

/** The checks of a verification, for the run's plan. */
export function planVerify(mesh: MeshSpec, services: readonly ServiceSpec[] = []): CheckRef[] {
  const names = mesh.clusters.map(({ name }) => name);
  return [
    ...names.flatMap((cluster) => OF_CLUSTER.map((id) => ({ id, subject: { cluster } }))),
    ...OF_MESH.map((id) => ({ id, subject: {} })),
    ...orderedPairs(names).flatMap((pair) => OF_REMOTE.map((id) => ({ id, subject: pair }))),
    ...planServices(mesh, services),
    ...orderedPairs(names).map(
      ({ observer, target }): CheckRef => ({ id: "pair.request", subject: { source: observer, target } }),
    ),
  ];
}

/**
 * Looks at every part of the mesh and sends requests between all ordered pairs of clusters. What a cluster does not tell
 * in time holds up only the checks that need it. The checks must be planned.
 * @param probes those that run already; the others are started beside the first requests
 */
export async function verify(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  tools: VerifyTools,
  probes = new Probes(run, mesh, tools),
): Promise<void> {
  run.traffic = tools.traffic;
  const seen = new Map(members.map((member) => [member, look(run, mesh, member, probes)]));
  const of = (member: Member) => seen.get(member) as Promise<Observation>;

  const named = tools.services.map(({ namespace, name }) => `${namespace}/${name}`);
  const comparing = part(compareEndpoints(mesh, members, of, named, tools.patience));
  try {
    await Promise.all([
      ...members.map((member) => {
        const peers = members.filter((each) => each !== member && each.spec.network === member.spec.network);
        return judgeCluster(run, mesh, member, of(member), tools.traffic, peers.map(of));
      }),
      judgeMesh(run, mesh, members, of),
      judgePairs(run, mesh, members, of, tools.call),
      judgeEndpoints(run, mesh, members, of, comparing, tools.traffic),
      judgeWorkloads(run, mesh, members, of, tools.traffic, tools.patience),
      judgeServices(run, mesh, tools.services, members, of, comparing, tools.traffic ? probes : undefined),
      probes.sendTraffic(members, of),
    ]);
  } finally {
    await probes.remove();
  }
}

/** Reads a cluster, and notes what the report says of it. */
async function look(run: Run, mesh: MeshSpec, member: Member, probes: Probes): Promise<Observation> {
  const { cluster, spec } = member;
  const subject = { cluster: spec.name };
  return run.timed("verification", subject, async () => {
    const report = run.clusterReport(spec.name);
    if (report.unreachable) {
      // The installation has waited for it already.
      const cause = `${spec.name} could not be reached before, and was not asked again.`;
      run.judge("cluster.api", subject, failed(cause, "Run again once its API server can be reached."));
      return unseen(spec);
    }
    try {
      report.kubernetesVersion = await cluster.version();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      run.judge("cluster.api", subject, failed(error.message, error.hint ?? ""));
      return unseen(spec);
    }
    const reading = { source: `${cluster.server}/version`, values: { gitVersion: report.kubernetesVersion } };
    const evidence = `Kubernetes ${report.kubernetesVersion} answers at ${cluster.server}.`;
    run.judge("cluster.api", subject, passed(evidence, reading));
    const beginning = beginObserving(mesh, member);
    probes.start(member, injectionOf(beginning));
    const seen = await observe(mesh, member, beginning);
    if (waitsToJoin(seen)) excuseWaiting(run, spec.name);
    const istioVersion = istiodVersion(readable(seen.istiod), readable(seen.istios) ?? []);
    if (istioVersion) report.istioVersion = istioVersion;
    report.gatewayAddresses = addressesOf(readable(seen.gateways)?.services ?? []);
    const apiServer = readable(seen.servers)?.[0];
    if (apiServer) report.apiServer ??= apiServer;
    const root = (await trust()).rootSum(mesh, seen);
    if (root) run.trusts(root);
    return seen;
  });
}

async function injectionOf({ chosen, namespace }: Beginning): Promise<Injection> {
  const [{ revision, istiod }, found] = await Promise.all([chosen, namespace]);
  return { revision, istiod, namespace: found };
}
