import type { Member } from "../cluster/member.ts";
import { generateRoot, inspectRoot, issueIntermediate, type RootCa } from "../mesh/certificates.ts";
import { namespace } from "../mesh/objects/control-plane.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import { cacerts } from "../mesh/objects/secrets.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { TrustPlan } from "../mesh/trust.ts";
import type { Run } from "./run.ts";

/** The root that intermediates are issued from, where any are to be issued. */
export async function rootFor(run: Run, plan: TrustPlan, provided: RootCa | undefined): Promise<RootCa | undefined> {
  if (plan.warning) run.warn(plan.warning);
  const root = plan.issueFor.length === 0 ? undefined : plan.source === "generated" ? await generateRoot() : provided;
  run.rootSha256 = root ? inspectRoot(root.certificate).sha256 : plan.rootSha256;
  return root;
}

/** Makes the control plane's namespace and, where planned, its `cacerts`: istiod reads them when it starts. */
export function establishTrust(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  existing: KubernetesObject | undefined,
  plan: TrustPlan,
  root: RootCa | undefined,
): Promise<void> {
  return run.step("trust.root", { cluster: spec.name }, [], async (step) => {
    const issuing =
      root && plan.issueFor.includes(spec.name) ? issueIntermediate(root, spec.name, mesh.namespace) : undefined;
    const ours = !existing || existing.metadata.labels?.[MANAGED_BY] === MANAGER;
    await step.apply(cluster, namespace(mesh, spec, ours));
    if (!issuing) {
      return { value: undefined, evidence: `Its root of trust has SHA-256 ${plan.rootSha256} and stays as it is.` };
    }
    await step.apply(cluster, cacerts(mesh, { ...(await issuing) }));
    return { value: undefined, evidence: `cacerts holds an intermediate of the root with SHA-256 ${run.rootSha256}.` };
  });
}
