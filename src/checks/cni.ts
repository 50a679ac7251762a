import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { isOurs, ownerOf } from "../mesh/claim.ts";
import { CNI_NAME, cniAsked, ISTIO_CNI, OPENSHIFT_API } from "../mesh/objects/cni.ts";
import type { Finding } from "../mesh/report.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, Values } from "../mesh/spec.ts";
import { versionSkew } from "../mesh/versions.ts";
import { failed, passed, skipped } from "./finding.ts";

/** Whether a cluster needs the CNI plugin, why, and what is there. */
export interface CniPlan {
  /** By what is known so far; the operator has the last word once it has reconciled. */
  readonly needed: boolean;
  readonly why: string;
  /** The `IstioCNI` resource. */
  readonly found: IstioResource | undefined;
  /** Whether that one is this mesh's. */
  readonly ours: boolean;
}

/** As it is on a mesh, whoever's it is. */
export type FoundCni = Omit<CniPlan, "ours">;

/** The reasons of the operator's condition `DependenciesHealthy` by which it asks for the plugin. */
const DEMANDS = /^IstioCNI(NotFound|NotHealthy)$/;

/**
 * Whether the operator asks for the plugin, by its condition `DependenciesHealthy`; `undefined` while it has not said. What is
 * there and healthy it does not ask for.
 */
export function cniDemanded(istio: IstioResource | undefined): boolean | undefined {
  const { conditions = [], observedGeneration, state } = istio?.status ?? {};
  if (!istio || observedGeneration !== istio.metadata.generation) return undefined;
  const told = conditions.find(({ type }) => type === "DependenciesHealthy");
  if (told?.status === "False") return DEMANDS.test(told.reason ?? "");
  return told?.status === "True" || state === "Healthy" ? false : undefined;
}

const ASKED = "the values ask for it";
const DEMANDED = "the operator asks for it";

/** Whether the rights for it are looked at beforehand: the values ask for it, or the platform is one where operators do. */
export async function likelyNeedsCni({ cluster, spec }: Pick<Member, "spec" | "cluster">): Promise<boolean> {
  return cniAsked(spec.values) ?? (await cluster.serves(OPENSHIFT_API));
}

/** The plan for a control plane that the operator installs; other installers leave the plugin to the user. */
export async function planCni(
  mesh: MeshSpec,
  member: Pick<Member, "spec" | "cluster">,
  istios: readonly IstioResource[],
): Promise<CniPlan> {
  if (mesh.installer !== "sail") {
    return { needed: false, why: `\`installer: ${mesh.installer}\` leaves the CNI plugin alone`, ...NONE };
  }
  const { spec, cluster } = member;
  const [uid, found] = await Promise.all([cluster.uid(), cluster.get<IstioResource>({ ...ISTIO_CNI, name: CNI_NAME })]);
  const there = { found, ours: found !== undefined && isOurs(ownerOf(mesh, uid), found) };
  const istio = istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  const demanded = cniDemanded(istio);
  const asked = cniAsked(spec.values);
  if (asked) return { needed: true, why: ASKED, ...there };
  if (demanded) return { needed: true, why: DEMANDED, ...there };
  if (there.ours) return { needed: true, why: "an earlier run made it", ...there };
  // Only of a control plane that is not there yet something has to be supposed: what an operator does on this platform.
  if (asked === undefined && !istio && (await cluster.serves(OPENSHIFT_API))) {
    return { needed: true, why: "on OpenShift the operator asks for it", ...there };
  }
  return { needed: false, why: "neither the operator nor the values ask for it", ...there };
}

const NONE = { found: undefined, ours: false } as const;

/** What is there of it on a mesh, as the operator and the values have it. */
export async function readCni(
  cluster: Cluster,
  istio: IstioResource | undefined,
  values: Values | undefined,
): Promise<FoundCni> {
  const asked = cniAsked(istio?.spec.values ?? values);
  const demanded = cniDemanded(istio);
  const needed = asked || demanded || (asked === undefined && (await cluster.serves(OPENSHIFT_API)));
  const why = asked ? ASKED : demanded ? DEMANDED : "the platform is OpenShift";
  if (!needed) return { needed: false, why: "neither the operator nor the values ask for it", found: undefined };
  const found = await cluster.get<IstioResource>({ ...ISTIO_CNI, name: CNI_NAME });
  // What the operator does without, nobody need have.
  if (!found && !asked && demanded === false) return { needed: false, why: "the operator does not ask for it", found };
  return { needed: true, why, found };
}

/** What is wrong with an IstioCNI, or `undefined`: not healthy as it is now, or of a version that does not go with Istio's. */
export function cniTrouble(found: IstioResource, istioVersion: string | undefined): string | undefined {
  const { spec, status, metadata } = found;
  if (status?.observedGeneration !== metadata.generation || status?.state !== "Healthy") {
    const bad = status?.conditions?.find((condition) => condition.status !== "True");
    return `is ${status?.state ?? "without a state"}${bad?.message ? `: ${bad.message}` : ""}`;
  }
  const skew = versionSkew([spec.version ?? "", istioVersion ?? ""]);
  return skew !== undefined && skew > 1
    ? `has version ${spec.version}, which does not go with Istio ${istioVersion}`
    : undefined;
}

const LOOK = `kubectl get istiocnis.sailoperator.io ${CNI_NAME} -o yaml`;

/** Whether an IstioCNI of somebody else can stay as it is; `undefined` where there is none. */
export function cniInTheWay({ needed, found, ours }: CniPlan, istioVersion: string): Finding | undefined {
  const trouble = needed && found && !ours ? cniTrouble(found, istioVersion) : undefined;
  if (!trouble) return undefined;
  return failed(
    `There is an IstioCNI ${CNI_NAME} that somebody else manages, and it ${trouble}.`,
    `${LOOK}; mend it, or have its owner remove it: then this action makes its own.`,
  );
}

/** The check of a verification. */
export function cniIsHealthy({ needed, why, found }: FoundCni, istioVersion: string | undefined): Finding {
  if (!needed) return skipped(`No CNI plugin is needed: ${why}.`);
  if (!found) {
    return failed(
      `There is no IstioCNI ${CNI_NAME}, though ${why}: new pods get no sidecar that works.`,
      "Run `install` with `installer: sail`, which makes it.",
    );
  }
  const { generation } = found.metadata;
  const { observedGeneration, state } = found.status ?? {};
  const reading = {
    source: `IstioCNI ${CNI_NAME}`,
    values: { generation, observedGeneration, state, version: found.spec.version },
  };
  const trouble = cniTrouble(found, istioVersion);
  return trouble
    ? failed(`IstioCNI ${CNI_NAME} ${trouble}.`, `${LOOK}, and the operator's log`, reading)
    : passed(`IstioCNI ${CNI_NAME} is Healthy, version ${found.spec.version}.`, reading);
}
