import type { MeshSpec } from "../mesh/spec.ts";
import type { FoundControlPlane } from "../mesh/transition.ts";
import { plainVersion } from "../mesh/versions.ts";
import { chartVersion, istiodVersion } from "./istiod.ts";
import type { Survey } from "./survey.ts";

/** The mesh's own control plane in a cluster, as far as its version goes. */
export function foundControlPlane(
  mesh: MeshSpec,
  cluster: string,
  { istios, controlPlanes: { istiod } }: Pick<Survey, "istios" | "controlPlanes">,
): FoundControlPlane {
  const resource = istios.find(({ metadata }) => metadata.name === mesh.istioResource);
  return {
    cluster,
    runs: istiod !== undefined,
    version: istiodVersion(istiod, istios),
    declared: resource ? resource.spec.version?.replace(/^v/, "") : plainVersion(chartVersion(istiod)),
    byRevision: resource?.spec.updateStrategy?.type === "RevisionBased",
  };
}
