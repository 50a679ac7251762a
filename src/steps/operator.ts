import type { FoundOperator } from "../checks/found-operator.ts";
import { isToInstall, operatorReady } from "../checks/operator.ts";
import type { Member } from "../cluster/member.ts";
import type { Helm } from "../helm/helm.ts";
import { refOf } from "../mesh/objects/object.ts";
import type { SettledMesh } from "../mesh/spec.ts";
import type { Needs, Run } from "./run.ts";

/** Installs the Sail Operator where there is none. One that is there is never changed: it may serve other meshes. */
export function ensureOperator(
  run: Run,
  mesh: SettledMesh,
  member: Member,
  helm: Helm,
  found: FoundOperator,
  needs: Needs = [],
): Promise<void> {
  const { cluster, spec } = member;
  return run.step("install.operator", { cluster: spec.name }, needs, async (step) => {
    const operator = mesh.operator as NonNullable<SettledMesh["operator"]>;
    if (!isToInstall(mesh, found)) {
      const { namespace, name } = found.deployment?.metadata ?? {};
      const which = name ? `${namespace}/${name}` : `that leads as ${found.holder}`;
      return { value: undefined, evidence: `The Sail Operator ${which} was there and is left as it is.` };
    }
    step.say(`Helm installs the Sail Operator ${operator.version}.`);
    await step.mayWrite(cluster);
    await helm.installOperator(operator, member);
    const { deployment, version } = await operatorReady(cluster);
    if (deployment) step.changed(cluster, refOf(deployment), "created");
    return {
      value: undefined,
      evidence: `The Sail Operator ${version ?? operator.version} is installed and available.`,
    };
  });
}
