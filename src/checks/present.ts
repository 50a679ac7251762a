// The control plane that is there already, before anything is changed.
import type { Member } from "../cluster/member.ts";
import type { Identity } from "../facts/identity.ts";
import { readProxies } from "../facts/proxies.ts";
import { NETWORK_LABEL } from "../mesh/objects/control-plane.ts";
import { MANAGED_BY, MANAGER } from "../mesh/objects/ownership.ts";
import type { Finding } from "../mesh/report.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { IstioResource } from "../mesh/shapes/istio.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import { adoptionFinding, adoptionPlan, isAdoptable, valuesToSet } from "./adoption.ts";
import { cniInTheWay } from "./cni.ts";
import { failed, passed } from "./finding.ts";
import { consequences, type Difference, differencesOf, imprecise, inWords, keepsServing, safeWay } from "./identity.ts";
import { noIstiod, revisionOf } from "./istiod.ts";
import { type Part, part } from "./part.ts";
import type { Survey } from "./survey.ts";

/** Whether the control planes that are there already are, or may become, the ones that the mesh needs. */
export async function checkControlPlane(mesh: SettledMesh, member: Member, survey: Survey): Promise<Finding> {
  const inTheWay = await somebodyElses(mesh, member, survey);
  if (inTheWay) return inTheWay;
  const running = survey.controlPlanes.inUse.length > 0 ? await runningIdentity(mesh, member, survey) : undefined;
  if (running?.verdict === "failed") return running;
  const declared = survey.adoption && !survey.adoption.byNames ? undefined : declaredIdentity(mesh, member, survey);
  if (declared) return declared;
  const cni = mesh.installer === "sail" ? cniInTheWay(survey.cni, mesh.istioVersion) : undefined;
  if (cni) return cni;
  if (running) return running;
  const [istio] = survey.istios;
  return passed(
    istio
      ? `The Istio resource ${istio.metadata.name} is for no other mesh, and no istiod runs yet.`
      : "There is no other control plane in the namespace.",
  );
}

/** What keeps the installer from installing: a control plane of another one's, or none where one is wanted. */
async function somebodyElses(mesh: MeshSpec, member: Member, survey: Survey): Promise<Finding | undefined> {
  const { namespace } = mesh;
  const { istios, istiods, controlPlanes } = survey;
  switch (mesh.installer) {
    case "existing": {
      if (controlPlanes.istiod) return undefined;
      if (istiods.length === 0) {
        return failed(
          `There is no istiod in namespace ${namespace}, and \`installer: existing\` installs none.`,
          "Install Istio first, set `istio-namespace`, or use `installer: sail` or `istioctl`.",
        );
      }
      const { cause, hint } = noIstiod(mesh, controlPlanes.revision, istiods);
      return failed(cause, hint);
    }
    case "istioctl": {
      const [istio] = istios;
      if (istio) {
        return failed(
          `The Sail Operator owns the control plane in ${namespace}, by the Istio resource ${istio.metadata.name}.`,
          `Use \`installer: sail\`, or remove it first: kubectl delete istios.sailoperator.io ${istio.metadata.name}`,
        );
      }
      const foreign = istiods.find((istiod) => !isOurs(istiod));
      if (!foreign) return undefined;
      return failed(
        `There is an istiod (Deployment ${foreign.metadata.name}) that ${installerOf(foreign)} installed; it is not taken over.`,
        "Use `installer: existing` to connect it as it is, or remove it first.",
      );
    }
    case "sail": {
      const elsewhere = await otherNamespace(mesh, member);
      if (elsewhere) {
        return failed(
          `The Istio ${mesh.istioResource} that exists is for namespace ${elsewhere}, which cannot be changed.`,
          "Set `istio-namespace` to it, or choose another `istio-resource`.",
        );
      }
      const [foreign] = istiods;
      if (!foreign || istios.length > 0) return undefined;
      return failed(
        `There is an istiod (Deployment ${foreign.metadata.name}) without an Istio resource: ${installerOf(foreign)} installed it, not the Sail Operator.`,
        isOurs(foreign)
          ? "Stay with `installer: istioctl`, or remove that control plane first."
          : "Use `installer: existing` to connect it as it is, or remove it first.",
      );
    }
  }
}

/** Whether those that run are the mesh's already: another identity would cost the workloads theirs. */
async function runningIdentity(mesh: MeshSpec, { cluster, spec }: Member, survey: Survey): Promise<Finding> {
  const changeable = mesh.installer !== "existing";
  const label = survey.namespace?.metadata.labels?.[NETWORK_LABEL];
  const names: string[] = [];
  const warnings: string[] = [];
  for (const istiod of survey.controlPlanes.inUse) {
    const { name } = istiod.metadata;
    const identity = (survey.identities.get(revisionOf(istiod)) as Part<Identity>)();
    if (survey.adoption) return adoptionFinding(mesh, spec, identity, survey.adoption);
    const old = identity.clusterName;
    const served = (each: Difference) =>
      each.what === "cluster name" && changeable && keepsServing(spec.values, old, spec.name);
    const all = differencesOf(mesh, spec, identity, label);
    const different = all.filter((each) => !served(each));
    if (different.length > 0) {
      const proxies = await part(readProxies(cluster));
      const circumstances = { flat: survey.remoteSecrets.length > 0, changeable };
      return failed(
        `istiod (Deployment ${name}) runs with ${inWords(different)}. ${consequences(different, proxies, circumstances)}`,
        safeWay(different, {
          ...circumstances,
          ...(isAdoptable(different, circumstances.flat)
            ? {
                adoption: mesh.installer === "sail" ? adoptionPlan(mesh, spec, identity) : undefined,
                values: mesh.installer === "existing" ? valuesToSet(mesh, spec, identity) : undefined,
              }
            : {}),
        }),
      );
    }
    if (all.length > 0) {
      warnings.push(
        `The cluster is renamed from ${old} to ${spec.name}. istiod goes on serving proxies by the old name, by its argument --clusterAliases: restart gateways and workloads, then take it out.`,
      );
    }
    const note = imprecise(identity, label);
    if (note) warnings.push(note);
    names.push(name);
  }
  const [warning] = warnings;
  return {
    ...passed(`istiod ${names.join(", ")} has the mesh's identity.`),
    ...(warning ? { warning: `${spec.name}: ${warning}` } : {}),
  };
}

/** What an Istio resource asks for that is not the mesh's. What it leaves open nobody relies on where no istiod runs. */
function declaredIdentity(mesh: MeshSpec, { spec }: Member, { istios }: Survey): Finding | undefined {
  for (const { metadata, spec: declared } of istios) {
    const { meshID, network, multiCluster } = declared.values?.global ?? {};
    const { clusterName } = (multiCluster ?? {}) as Record<string, unknown>;
    const text = (value: unknown) => (value === undefined || value === "" ? undefined : String(value));
    const identity = {
      clusterName: text(clusterName) ?? spec.name,
      network: text(network) ?? spec.network,
      meshId: text(meshID),
    };
    const different = differencesOf(mesh, spec, identity, undefined);
    if (different.length > 0) {
      return failed(
        `There is an Istio ${metadata.name} for namespace ${mesh.namespace} already, with ${inWords(different)}.`,
        "Give this action the same names, or change them in that Istio resource first, before workloads rely on it.",
      );
    }
  }
  return undefined;
}

async function otherNamespace(mesh: MeshSpec, { cluster }: Member): Promise<string | undefined> {
  const istio = await cluster.get<IstioResource>({
    apiVersion: "sailoperator.io/v1",
    kind: "Istio",
    name: mesh.istioResource,
  });
  return istio && istio.spec.namespace !== mesh.namespace ? istio.spec.namespace : undefined;
}

/** Which installer of ours goes with it. Whether it may be changed is asked of its proof (`preflight.ownership`). */
const isOurs = ({ metadata }: Deployment) => metadata.labels?.[MANAGED_BY] === MANAGER;

/** Who installed an istiod, by the marks that each leaves on it. */
function installerOf(istiod: Deployment): string {
  const { labels = {}, annotations = {} } = istiod.metadata;
  const release = annotations["meta.helm.sh/release-name"];
  if (isOurs(istiod)) return "this action with `installer: istioctl`";
  if (release) return `Helm (release ${release})`;
  return labels["operator.istio.io/managed"] ? "`istioctl install`" : "something else";
}
