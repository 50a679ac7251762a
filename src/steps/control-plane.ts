import type { Deployment, IstioResource } from "../checks/survey.ts";
import type { Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, istio } from "../mesh/objects/control-plane.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Needs, Run } from "./run.ts";

/** A control plane that is laid out: its objects exist, istiod may still be starting. */
export interface ControlPlane {
  readonly revision: string;
  /** Generation of the `Istio` resource that was applied. */
  readonly generation?: number;
  /** The Deployment of an istiod that somebody else installed. */
  readonly istiod?: string;
}

// Messages of the operator after which no waiting helps. From the Sail Operator's reconcilers and Helm.
const INCURABLE: readonly [pattern: RegExp, hint: string][] = [
  [/end-of-life/, "Choose an `istio-version` that this operator installs."],
  [/version "?[^ ]+"? not found/, "Choose an `istio-version` that this operator installs."],
  [
    /cannot be imported into the current release|invalid ownership metadata/,
    "Something else made that object. If nothing else needs it, delete it; the operator then makes its own.",
  ],
];

/** Applies the `Istio` resource and waits until the operator has reconciled it. */
export function installControlPlane(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  needs: Needs,
): Promise<ControlPlane> {
  return run.step("control-plane.reconciled", { cluster: spec.name }, needs, async (step) => {
    const { metadata } = await step.apply(cluster, istio(mesh, spec));
    const generation = metadata.generation ?? 1;
    const revision = await cluster.waitFor(
      `the operator to reconcile Istio ${mesh.istioResource}`,
      { istio: istioQuery(mesh) },
      (seen) => reconciled(seen.istio[0] as IstioResource | undefined, generation),
    );
    return { value: { generation, revision }, evidence: `The operator has reconciled revision ${revision}.` };
  });
}

/** As `installControlPlane`, for a control plane that somebody else installed: it is taken as it is. */
export function existingControlPlane(
  run: Run,
  mesh: MeshSpec,
  { spec }: Member,
  istiods: readonly Deployment[],
  needs: Needs,
): Promise<ControlPlane> {
  return run.step("control-plane.reconciled", { cluster: spec.name }, needs, async () => {
    const revisionOf = (istiod: Deployment) => istiod.spec.template.metadata?.labels?.["istio.io/rev"] ?? "default";
    const found =
      istiods.find((each) => revisionOf(each) === mesh.istioResource) ??
      (istiods.length === 1 ? istiods[0] : undefined);
    if (!found) {
      throw new Failure(
        `There are several istiods (${istiods.map((each) => each.metadata.name).join(", ")}) and none has the revision ${mesh.istioResource}.`,
        "Set `istio-resource` to the revision that is to be connected.",
      );
    }
    const { name } = found.metadata;
    const revision = revisionOf(found);
    return { value: { revision, istiod: name }, evidence: `istiod ${name} is there, revision ${revision}.` };
  });
}

/** Waits until the control plane is truly ready. */
export function controlPlaneHealthy(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
): Promise<void> {
  return run.step("control-plane.healthy", { cluster: spec.name }, [controlPlane], async () => {
    const { revision, generation, istiod } = await controlPlane;
    const inNamespace = { namespace: mesh.namespace };
    const report = run.clusterReport(spec.name);
    if (istiod === undefined) {
      await cluster.waitFor(
        `Istio ${mesh.istioResource} to be healthy`,
        {
          istio: istioQuery(mesh),
          pods: { apiVersion: "v1", kind: "Pod", ...inNamespace, labelSelector: istiodSelector(revision) },
        },
        (seen) => healthy(seen.istio[0] as IstioResource | undefined, generation ?? 1, seen.pods as unknown as Pod[]),
      );
      report.istioVersion = mesh.istioVersion;
      return {
        value: undefined,
        evidence: `Istio ${mesh.istioResource} is Healthy as it is now, generation ${generation}.`,
      };
    }
    const image = await cluster.waitFor(
      `Deployment ${mesh.namespace}/${istiod} to be available`,
      {
        istiod: { apiVersion: "apps/v1", kind: "Deployment", ...inNamespace, fieldSelector: `metadata.name=${istiod}` },
      },
      (seen) => ready(seen.istiod[0] as Deployment | undefined),
    );
    const version = /:v?(\d+\.\d+\.\d+[^@]*)/.exec(image)?.[1];
    if (version) report.istioVersion = version;
    return { value: undefined, evidence: `Every replica of istiod is ready (${image}).` };
  });
}

function istioQuery(mesh: MeshSpec) {
  return { ...ISTIO, fieldSelector: `metadata.name=${mesh.istioResource}` };
}

/** The image of a Deployment whose replicas are all ready. */
function ready(deployment: Deployment | undefined): Probe<string> {
  const [now, wanted] = [deployment?.status?.readyReplicas ?? 0, deployment?.spec.replicas ?? 1];
  if (!deployment || now < wanted || now === 0) return { seen: `${now} of ${wanted} pods are ready` };
  return { done: deployment.spec.template.spec.containers[0]?.image ?? "" };
}

/** Selects the istiod pods of a revision. */
export function istiodSelector(revision: string): string {
  return `app=istiod,istio.io/rev=${revision}`;
}

/** The revision's name once the operator has reconciled this generation; throws where it never will. */
export function reconciled(resource: IstioResource | undefined, generation: number): Probe<string> {
  const status = resource?.status;
  if (!resource) return { seen: "there is no such resource any more" };
  if (!status?.observedGeneration) return { seen: "the operator has not reported a status yet; is it running?" };
  if (status.observedGeneration < generation) return { seen: "the operator has not seen the latest change yet" };
  const condition = status.conditions?.find(({ type }) => type === "Reconciled");
  if (condition?.status === "True") return { done: status.activeRevisionName ?? resource.metadata.name };
  const message = condition?.message ?? "";
  const incurable = INCURABLE.find(([pattern]) => pattern.test(message));
  if (incurable) throw new Failure(`The operator says: ${message}`, incurable[1]);
  return { seen: `${condition?.reason ?? status.state ?? "no condition Reconciled"}${message ? `: ${message}` : ""}` };
}

/** What this code reads of a pod. */
export interface Pod {
  metadata: { name: string; namespace?: string; uid?: string; deletionTimestamp?: string };
  spec?: { containers: { name: string; image?: string }[] };
  status?: {
    phase?: string;
    conditions?: { type: string; status: string; message?: string }[];
    containerStatuses?: {
      name: string;
      ready?: boolean;
      state?: { waiting?: { reason?: string; message?: string } };
    }[];
  };
}

/**
 * Truly ready: `Healthy`, and said of this generation. The condition `Ready` alone can be True beside a failed
 * reconciliation, or be left over from before the last change.
 */
export function healthy(
  resource: IstioResource | undefined,
  generation: number,
  istiods: readonly Pod[],
): Probe<undefined> {
  const known = reconciled(resource, generation);
  if ("seen" in known) return known;
  if (resource?.status?.state === "Healthy") return { done: undefined };
  const bad = resource?.status?.conditions?.find(({ status }) => status !== "True");
  const pods = istiods.flatMap((pod) => podTrouble(pod) ?? []);
  return { seen: [`${resource?.status?.state}${bad?.message ? `: ${bad.message}` : ""}`, ...pods].join("; ") };
}

/** Why a pod is not ready, in its own words, or `undefined` where it is. */
export function podTrouble(pod: Pod): string | undefined {
  const waiting = pod.status?.containerStatuses?.find(({ state }) => state?.waiting)?.state?.waiting;
  if (waiting) return `pod ${pod.metadata.name}: ${waiting.reason}${waiting.message ? `: ${waiting.message}` : ""}`;
  const conditions = pod.status?.conditions ?? [];
  if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return undefined;
  const unscheduled = conditions.find(({ type, status }) => type === "PodScheduled" && status !== "True");
  return `pod ${pod.metadata.name}: ${unscheduled?.message ?? `${pod.status?.phase ?? "Pending"}, not ready`}`;
}
