import { type ControlPlanes, ISTIOD } from "../checks/istiod.ts";
import type { Applied, Cluster, Look } from "../cluster/cluster.ts";
import { clip } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import type { Adoption } from "../mesh/adoption.ts";
import { Failure } from "../mesh/failure.ts";
import { ISTIO, imageIsChosen, inOrder, istio, owned, withoutIstiods } from "../mesh/objects/control-plane.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, SettledMesh, Values } from "../mesh/spec.ts";
import type { Transition } from "../mesh/transition.ts";
import type { Needs, Run } from "./run.ts";

/** A control plane that is laid out: its objects exist, istiod may still be starting. */
export interface ControlPlane {
  readonly revision: string;
  /** Of the operator: generation of the `Istio` resource that was applied. */
  readonly generation?: number;
  /** What istiod is waited for to run, `X.Y.Z`, where this run changes its version; absent: whatever it runs. */
  readonly version?: string;
}

// Messages of the operator after which no waiting helps, from the Sail Operator's reconcilers and Helm. `elsewhere`: what
// is wrong is not in the resource, so the message may be from before it was mended.
const INCURABLE: readonly { pattern: RegExp; elsewhere: boolean; hint: (message: string) => string }[] = [
  {
    pattern: /end-of-life|version "?[^ ]+"? not found/,
    elsewhere: false,
    hint: () => "Choose an `istio-version` that this operator installs.",
  },
  {
    pattern: /cannot be imported into the current release|invalid ownership metadata/,
    elsewhere: true,
    hint: (message) => {
      const [, kind, name, namespace] = /(\w+) "([\w.-]+)" in namespace "([\w.-]*)" exists/.exec(message) ?? [];
      const command = kind
        ? ` (\`kubectl${namespace ? ` -n ${namespace}` : ""} delete ${kind.toLowerCase()} ${name}\`)`
        : "";
      const revoked =
        kind === "ServiceAccount"
          ? " With a ServiceAccount go its tokens: what reads this cluster by one, as the other clusters of a mesh do, is cut off until it is given a new one, which a run gives to the clusters that it has on its list."
          : "";
      return `Something else made that object. If nothing else needs it, delete it${command} and run again: the operator makes its own.${revoked}`;
    },
  },
];

/** How long an error that was there before is given to go away. Milliseconds. */
export const STALE = 15_000;

/** Applies the `Istio` resource and waits until the operator has reconciled it. */
export function installControlPlane(
  run: Run,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  transition: Transition,
  adoption: Adoption | undefined,
  needs: Needs,
): Promise<ControlPlane> {
  return run.step("install.reconciled", { cluster: spec.name }, needs, async (step) => {
    const wanted = istio(mesh, spec, transition.writes, adoption) as IstioResource;
    const { object, action } = await step.apply(cluster, wanted);
    const generation = object.metadata.generation ?? 1;
    const applied = performance.now();
    const revision = await cluster.waitFor(
      `the operator to reconcile Istio ${mesh.istioResource}`,
      { istio: istioQuery(mesh) },
      (seen) => {
        const stale = action === "unchanged" && performance.now() - applied < STALE;
        return reconciled(seen.istio[0] as IstioResource | undefined, generation, stale);
      },
    );
    const version = newVersion(transition, object.spec.values);
    return {
      value: { generation, revision, ...version },
      evidence: `The operator has reconciled revision ${revision}.`,
    };
  });
}

/**
 * As `installControlPlane`, without an operator: applies what istioctl makes of the same values. Applied by ourselves, and not
 * by `istioctl install`, it is as all else is: told object by object, unchanged where nothing changed, a conflict where
 * somebody else set a field.
 */
export function applyControlPlane(
  run: Run,
  mesh: SettledMesh,
  { spec, cluster }: Member,
  transition: Transition,
  istioctl: Istioctl,
  needs: Needs,
): Promise<ControlPlane> {
  return run.step("install.reconciled", { cluster: spec.name }, needs, async (step) => {
    const objects = await istioctl.manifests(mesh, spec);
    for (const group of inOrder(objects)) {
      await Promise.all(
        group.map(async (object) => {
          await step.apply(cluster, await manifest(mesh, cluster, object));
        }),
      );
    }
    const evidence = `The ${objects.length} objects that istioctl makes of the values are in place.`;
    return { value: { revision: mesh.istioResource, ...newVersion(transition, spec.values) }, evidence };
  });
}

/** The version that istiod is to have, where that is new and the values leave it to be the image's. */
function newVersion({ course, to }: Transition, values: Values | undefined): Pick<ControlPlane, "version"> {
  return course === "wave" && to !== undefined && !imageIsChosen(values) ? { version: to } : {};
}

/** An object that istioctl made, as it is applied. */
export async function manifest(mesh: MeshSpec, cluster: Cluster, object: KubernetesObject): Promise<KubernetesObject> {
  const existing = "webhooks" in object ? await cluster.get(refOf(object)) : undefined;
  return owned(mesh, withoutIstiods(object, existing));
}

/** As `installControlPlane`, for a control plane that somebody else installed: it is taken as it is. */
export function existingControlPlane(
  run: Run,
  { spec }: Member,
  { revision, istiod }: ControlPlanes,
  needs: Needs,
): Promise<ControlPlane> {
  return run.step("install.reconciled", { cluster: spec.name }, needs, async () => {
    const evidence = `istiod ${istiod?.metadata.name} is there, revision ${revision}.`;
    return { value: { revision }, evidence };
  });
}

/**
 * The revision that the operator will have installed, and whether it still has to: `upcoming`.
 * @param applied what applying the resource would give
 */
export function expectedRevision(
  mesh: MeshSpec,
  { action, object, before }: Applied<IstioResource>,
): { revision: string; upcoming: boolean } {
  const { observedGeneration, conditions = [], activeRevisionName } = before?.status ?? {};
  const isDone =
    action === "unchanged" &&
    observedGeneration === before?.metadata.generation &&
    conditions.some(({ type, status }) => type === "Reconciled" && status === "True");
  if (isDone && activeRevisionName) return { revision: activeRevisionName, upcoming: false };
  const { updateStrategy, version = "" } = object.spec;
  const revision =
    updateStrategy?.type === "RevisionBased"
      ? `${object.metadata.name}-${version.replaceAll(".", "-")}`
      : mesh.istioResource;
  return { revision, upcoming: true };
}

/** Waits until the operator says that all is well, and says so of the resource as it is now. */
export function controlPlaneHealthy(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  controlPlane: Promise<ControlPlane>,
): Promise<void> {
  return run.step("install.healthy", { cluster: spec.name }, [controlPlane], async () => {
    const { generation = 1 } = await controlPlane;
    await cluster.waitFor(`Istio ${mesh.istioResource} to be healthy`, { istio: istioQuery(mesh) }, (seen) =>
      healthy(seen.istio[0] as IstioResource | undefined, generation),
    );
    return {
      value: undefined,
      evidence: `Istio ${mesh.istioResource} is Healthy as it is now, generation ${generation}.`,
    };
  });
}

function istioQuery(mesh: MeshSpec) {
  return { ...ISTIO, fieldSelector: `metadata.name=${mesh.istioResource}` };
}

/** Selects the istiod pods of these revisions. */
export function istiodSelector(...revisions: string[]): string {
  return `${ISTIOD},istio.io/rev${revisions.length === 1 ? `=${revisions[0]}` : ` in (${revisions.join(",")})`}`;
}

/**
 * The revision's name once the operator has reconciled this generation; throws where it never will.
 * @param stale whether an error may be left over from before this run
 */
export function reconciled(resource: IstioResource | undefined, generation: number, stale = false): Look<string> {
  const status = resource?.status;
  if (!resource) return { seen: "there is no such resource any more" };
  if (!status?.observedGeneration) return { seen: "the operator has not reported a status yet; is it running?" };
  if (status.observedGeneration < generation) return { seen: "the operator has not seen the latest change yet" };
  const condition = status.conditions?.find(({ type }) => type === "Reconciled");
  if (condition?.status === "True") return { done: status.activeRevisionName ?? resource.metadata.name };
  const message = condition?.message ?? "";
  const incurable = INCURABLE.find(({ pattern }) => pattern.test(message));
  if (incurable && !(incurable.elsewhere && stale)) {
    throw new Failure(`The operator says: ${clip(message)}`, incurable.hint(message));
  }
  return { seen: `${condition?.reason ?? status.state ?? "no condition Reconciled"}${message ? `: ${message}` : ""}` };
}

/**
 * Truly ready: `Healthy`, and said of this generation. The condition `Ready` alone can be True beside a failed
 * reconciliation, or be left over from before the last change.
 */
export function healthy(resource: IstioResource | undefined, generation: number, stale = false): Look<undefined> {
  const known = reconciled(resource, generation, stale);
  if ("seen" in known) return known;
  if (resource?.status?.state === "Healthy") return { done: undefined };
  const bad = resource?.status?.conditions?.find(({ status }) => status !== "True");
  return { seen: `${resource?.status?.state}${bad?.message ? `: ${bad.message}` : ""}` };
}
