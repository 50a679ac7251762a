import type { Deployment, IstioResource } from "../checks/survey.ts";
import type { Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, istio } from "../mesh/objects/control-plane.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Run } from "./run.ts";

/** A control plane that the operator has laid out: its objects exist, istiod may still be starting. */
export interface Reconciled {
  readonly revision: string;
  /** Resolves when the control plane is truly ready. */
  readonly healthy: () => Promise<void>;
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
export async function installControlPlane(run: Run, mesh: MeshSpec, { spec, cluster }: Member): Promise<Reconciled> {
  const subject = { cluster: spec.name };
  const query = { ...ISTIO, fieldSelector: `metadata.name=${mesh.istioResource}` };

  const generation = await run.step("control-plane.reconciled", subject, async (step) => {
    const applied = await step.apply(cluster, istio(mesh, spec));
    const wanted = applied.metadata.generation ?? 1;
    const revision = await cluster.waitFor(`the operator to reconcile Istio ${mesh.istioResource}`, { istio: query }, (seen) =>
      reconciled(seen.istio[0] as IstioResource | undefined, wanted),
    );
    return { value: { wanted, revision }, evidence: `The operator has reconciled revision ${revision}.` };
  });

  return {
    revision: generation.revision,
    healthy: () =>
      run.step("control-plane.healthy", subject, async () => {
        const seconds = await cluster.waitFor(
          `Istio ${mesh.istioResource} to be healthy`,
          {
            istio: query,
            istiod: { apiVersion: "v1", kind: "Pod", namespace: mesh.namespace, labelSelector: istiodSelector(generation.revision) },
          },
          (seen) => healthy(seen.istio[0] as IstioResource | undefined, generation.wanted, seen.istiod as Pod[]),
        );
        run.clusterReport(spec.name).istioVersion = mesh.istioVersion;
        return { value: seconds, evidence: "Istio is Healthy, and that is said of the resource as it is now." };
      }),
  };
}

/** As `installControlPlane`, for a control plane that somebody else installed: it must be ready as it is. */
export async function existingControlPlane(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  istiods: readonly Deployment[],
): Promise<Reconciled> {
  const subject = { cluster: spec.name };
  const revisionOf = (istiod: Deployment) => istiod.spec.template.metadata?.labels?.["istio.io/rev"] ?? "default";
  const istiod = await run.step("control-plane.reconciled", subject, async () => {
    const found = istiods.find((each) => revisionOf(each) === mesh.istioResource) ?? (istiods.length === 1 ? istiods[0] : undefined);
    if (!found) {
      throw new Failure(
        `There are several istiods (${istiods.map((each) => each.metadata.name).join(", ")}) and none has the revision ${mesh.istioResource}.`,
        "Set `istio-resource` to the revision that is to be connected.",
      );
    }
    return { value: found, evidence: `istiod ${found.metadata.name} is there, revision ${revisionOf(found)}.` };
  });
  return {
    revision: revisionOf(istiod),
    healthy: () =>
      run.step("control-plane.healthy", subject, async () => {
        const { name } = istiod.metadata;
        const image = await cluster.waitFor(
          `Deployment ${mesh.namespace}/${name} to be available`,
          {
            istiod: {
              apiVersion: "apps/v1",
              kind: "Deployment",
              namespace: mesh.namespace,
              fieldSelector: `metadata.name=${name}`,
            },
          },
          (seen): Probe<string> => {
            const now = seen.istiod[0] as Deployment | undefined;
            const [ready, wanted] = [now?.status?.readyReplicas ?? 0, now?.spec.replicas ?? 1];
            const done = now && ready >= wanted && ready > 0;
            return done ? { done: now.spec.template.spec.containers[0]?.image ?? "" } : { seen: `${ready} of ${wanted} pods are ready` };
          },
        );
        const version = /:v?(\d+\.\d+\.\d+[^@-]*)/.exec(image)?.[1];
        if (version) run.clusterReport(spec.name).istioVersion = version;
        return { value: undefined, evidence: `Every replica of istiod is ready (${image}).` };
      }),
  };
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
    containerStatuses?: { name: string; ready?: boolean; state?: { waiting?: { reason?: string; message?: string } } }[];
  };
}

/**
 * Truly ready: `Healthy`, and said of this generation. The condition `Ready` alone can be True beside a failed
 * reconciliation, or be left over from before the last change.
 */
export function healthy(resource: IstioResource | undefined, generation: number, istiods: readonly Pod[]): Probe<undefined> {
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
