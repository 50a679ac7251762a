import { type FoundOperator, pinsOf } from "../checks/found-operator.ts";
import { ISTIOD, istiodVersion } from "../checks/istiod.ts";
import { isToInstall } from "../checks/operator.ts";
import type { Survey } from "../checks/survey.ts";
import type { Member } from "../cluster/member.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import { decideHub, type HubDecision, hubIn, hubOf, LASTING_HUB } from "../mesh/images.ts";
import { mergeValues } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { SettledMesh } from "../mesh/spec.ts";
import { operatorRelease } from "../mesh/versions.ts";
import { type Run, reached } from "./run.ts";

/**
 * Decides for each cluster from where its images are to come, and says so.
 * @returns the clusters with that in their values; one of which it could not be known is left out, and was noted as failed
 */
export async function withImages(
  run: Run,
  mesh: SettledMesh,
  members: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  istioctl: Istioctl | undefined,
): Promise<Member[]> {
  if (mesh.installer === "existing") return [...members];
  const decided = await Promise.all(
    members.map((member) =>
      reached(
        run.step("preflight.images", { cluster: member.spec.name }, [], async () => {
          const survey = surveys.get(member.spec.name) as Survey;
          const { hub, ...told } = await decide(mesh, member, survey, istioctl);
          const cniHub = mesh.installer === "sail" ? decideCniHub(mesh, member, survey, hub) : undefined;
          const spec = {
            ...member.spec,
            ...(hub ? { values: mergeValues(member.spec.values, { global: { hub } }) } : {}),
            ...(cniHub ? { cniHub } : {}),
          };
          return { value: { ...member, spec }, ...told };
        }),
      ),
    ),
  );
  return decided.filter((member) => member !== undefined);
}

async function decide(
  mesh: SettledMesh,
  { spec }: Member,
  { istios, istiods, operator }: Survey,
  istioctl: Istioctl | undefined,
): Promise<HubDecision> {
  const resource = istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  const istiod = istiods.find((each) => istiodVersion(each, istios) === mesh.istioVersion);
  const question = {
    wanted: mesh.imageHub,
    given: hubIn(spec.values),
    applied: hubIn(resource?.spec.values),
    same: resource ? resource.spec.version === `v${mesh.istioVersion}` : istiod !== undefined,
  };
  if (mesh.installer === "istioctl") {
    const objects = istioctl ? await istioctl.manifests(mesh, spec) : [];
    const running = hubOf(istiod?.spec.template.spec.containers[0]?.image);
    return decideHub({ ...question, running, would: hubOf(istiodImage(objects)) });
  }
  const pins = operator && pinsOf(operator, mesh.istioVersion);
  return decideHub({ ...question, ...ofOperator(mesh, operator, pins?.istiod) });
}

/** What an operator does where the values name no hub: one that this run installs is upstream's, unless its chart is another. */
function ofOperator(mesh: SettledMesh, found: FoundOperator | undefined, pin: string | undefined) {
  const coming = mesh.operator && found && isToInstall(mesh, found) && /\bistio-ecosystem\b/.test(mesh.operator.chart);
  if (!coming) return { would: hubOf(pin) };
  return { would: operatorRelease(mesh.operator?.version ?? "")?.hub, fallback: LASTING_HUB };
}

function decideCniHub(mesh: SettledMesh, { spec }: Member, { cni, operator }: Survey, hub: string | undefined) {
  const found = cni.found as IstioResource | undefined;
  const pins = operator && pinsOf(operator, mesh.istioVersion);
  const instead = hub ?? hubIn(spec.values);
  return decideHub({
    wanted: mesh.imageHub,
    given: hubIn(mesh.cni?.values),
    applied: hubIn(found?.spec.values),
    same: found?.spec.version === `v${mesh.istioVersion}`,
    ...ofOperator(mesh, operator, pins?.cni),
    ...(instead ? { instead } : {}),
  }).hub;
}

function istiodImage(objects: readonly KubernetesObject[]): string | undefined {
  const [key, value] = ISTIOD.split("=") as [string, string];
  const istiod = objects.find(({ kind, metadata }) => kind === "Deployment" && metadata.labels?.[key] === value);
  return (istiod as Deployment | undefined)?.spec.template.spec.containers[0]?.image;
}
