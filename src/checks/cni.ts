import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { CNI_NAME, cniAsked, ISTIO_CNI, OPENSHIFT_API } from "../mesh/objects/cni.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec, Values } from "../mesh/spec.ts";
import { versionSkew } from "../mesh/versions.ts";
import { failed, passed, skipped } from "./finding.ts";
import type { IstioResource } from "./survey.ts";

/** Whether a cluster needs the CNI plugin, why, and what is there. */
export interface CniPlan {
  readonly needed: boolean;
  readonly why: string;
  /** The `IstioCNI` resource; looked for only where it is needed. */
  readonly found: IstioResource | undefined;
}

/** Whether the plugin is needed: as the values say, else on OpenShift. */
export async function needsCni(cluster: Cluster, values: Values | undefined): Promise<Omit<CniPlan, "found">> {
  const asked = cniAsked(values);
  if (asked !== undefined) {
    return { needed: asked, why: asked ? "the values ask for it" : "the values say pilot.cni.enabled: false" };
  }
  return (await cluster.serves(OPENSHIFT_API))
    ? { needed: true, why: "the platform is OpenShift" }
    : { needed: false, why: "neither the platform nor the values ask for it" };
}

/** The plan for a control plane that the operator installs; other installers leave the plugin to the user. */
export async function planCni(mesh: MeshSpec, { spec, cluster }: Pick<Member, "spec" | "cluster">): Promise<CniPlan> {
  if (mesh.installer !== "sail") {
    return { needed: false, why: `\`installer: ${mesh.installer}\` leaves the CNI plugin alone`, found: undefined };
  }
  return readCni(cluster, spec.values);
}

/** What is there, where it is needed. */
export async function readCni(cluster: Cluster, values: Values | undefined): Promise<CniPlan> {
  const need = await needsCni(cluster, values);
  const found = need.needed ? await cluster.get<IstioResource>({ ...ISTIO_CNI, name: CNI_NAME }) : undefined;
  return { ...need, found };
}

export const isOurCni = ({ metadata }: IstioResource): boolean => metadata.labels?.[MANAGED_BY] === MANAGER;

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
export function cniInTheWay({ found }: CniPlan, istioVersion: string): Finding | undefined {
  const trouble = found && !isOurCni(found) ? cniTrouble(found, istioVersion) : undefined;
  if (!trouble) return undefined;
  return failed(
    `There is an IstioCNI ${CNI_NAME} that somebody else manages, and it ${trouble}.`,
    `${LOOK}; mend it, or have its owner remove it: then this action makes its own.`,
  );
}

/** The check of a verification. */
export function cniIsHealthy({ needed, why, found }: CniPlan, istioVersion: string | undefined): Finding {
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
