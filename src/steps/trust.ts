import type { Survey } from "../checks/survey.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { readBundle } from "../facts/trust.ts";
import { waiting } from "../mesh/adoption.ts";
import type { CaCerts } from "../mesh/certificates/issue.ts";
import { info, inspectRoot, readableIn } from "../mesh/certificates/pem.ts";
import type { RootCa } from "../mesh/certificates/root.ts";
import { Failure } from "../mesh/failure.ts";
import { NETWORK_LABEL, namespace } from "../mesh/objects/control-plane.ts";
import { describe, type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { cacerts, type Secret } from "../mesh/objects/secrets.ts";
import type { ClusterSpec, MeshSpec } from "../mesh/spec.ts";
import type { TrustPlan } from "../mesh/trust.ts";
import type { Needs, Run } from "./run.ts";
import type { Step } from "./step.ts";

/** What is being issued, by cluster, while other work goes on. */
export interface Issuing {
  /** SHA-256 of the mesh's root. */
  readonly rootSha256: Promise<string>;
  readonly cacerts: ReadonlyMap<string, Promise<CaCerts>>;
}

/** Begins to issue what the plan asks for: finding keys takes a while, and nothing is written by it. */
export function beginIssuing(mesh: MeshSpec, plan: TrustPlan, provided: RootCa | undefined): Issuing {
  const root = plan.source === "generated" ? generatedRoot() : Promise.resolve(provided);
  const issued = (name: string) => issue(root as Promise<RootCa>, name, mesh.namespace);
  const cacerts = new Map(plan.issueFor.map((name) => [name, issued(name)]));
  // Awaited, and its failure reported, by the step that writes it; or by none, where the preflight ends the run.
  for (const promise of cacerts.values()) promise.catch(() => {});
  const rootSha256 = root.then((made) => plan.rootSha256 ?? (made ? inspectRoot(made.certificate).sha256 : ""));
  return { rootSha256, cacerts };
}

// Most runs find a mesh whose trust is there, and what issues certificates is large.
const issuer = () => import("../mesh/certificates/issue.ts");

async function generatedRoot(): Promise<RootCa> {
  return (await issuer()).generateRoot();
}

async function issue(root: Promise<RootCa>, cluster: string, namespace: string): Promise<CaCerts> {
  return (await issuer()).issueIntermediate(root, cluster, namespace);
}

/**
 * The namespace's network label, where it has to wait until the gateway has an address: to the control plane that runs it
 * says at once that the other networks reach its pods by a gateway alone.
 */
export function laterNetwork(mesh: MeshSpec, spec: ClusterSpec, survey: Survey): KubernetesObject | undefined {
  const isLabelled = survey.namespace?.metadata.labels?.[NETWORK_LABEL] !== undefined;
  return survey.istiods.length > 0 && !isLabelled ? namespace(mesh, spec) : undefined;
}

/** Makes the control plane's namespace and, where planned, its `cacerts`: istiod reads them when it starts. */
export function establishTrust(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  survey: Survey,
  issuing: Issuing,
  needs: Needs = [],
): Promise<void> {
  return run.step("install.trust", { cluster: spec.name }, needs, async (step) => {
    if (!laterNetwork(mesh, spec, survey)) await step.apply(cluster, namespace(mesh, spec));
    else if (survey.adoption?.byNames) await step.apply(cluster, waiting(namespace(mesh, spec)));
    const files = await issuing.cacerts.get(spec.name);
    const sha256 = await issuing.rootSha256;
    if (!files) return { value: undefined, evidence: `Its root of trust has SHA-256 ${sha256} and stays as it is.` };
    const left = survey.trust.cacerts?.ours ? survey.cacerts : undefined;
    const evidence = await writeCacerts(step, cluster, cacerts(mesh, { ...files }), sha256, left);
    return { value: undefined, evidence };
  });
}

/**
 * Creates `cacerts`, or replaces the one that an interrupted run has left, as it was read; never any other. Where somebody
 * was faster, what is there now decides: it is good where its root is the one that this run goes by.
 */
async function writeCacerts(
  step: Step,
  cluster: Cluster,
  wanted: Secret,
  sha256: string,
  left: Secret | undefined,
): Promise<string> {
  const evidence = `cacerts holds an intermediate of the root with SHA-256 ${sha256}.`;
  try {
    await (left ? step.update(cluster, wanted, left) : step.create(cluster, wanted));
    return evidence;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    const found = await cluster.get<Secret>(refOf(wanted));
    if (!found) throw error;
    const isOurs = Object.entries(wanted.data ?? {}).every(([key, value]) => found.data?.[key] === value);
    if (isOurs) {
      // The answer to an earlier try was lost.
      step.changed(cluster, refOf(wanted), left ? "updated" : "created");
      return evidence;
    }
    const { inspectCaCerts } = await import("../mesh/certificates/inspect.ts");
    const { anchor, problems } = inspectCaCerts(found.data ?? {});
    const root = anchor && info(anchor);
    if (root?.sha256 === sha256 && problems.length === 0)
      return `Meanwhile somebody else has made cacerts, with an intermediate of the same root (SHA-256 ${sha256}); it stays as it is.`;
    throw new Failure(
      `The ${describe(refOf(wanted))} was ${left ? "changed" : "made"} by somebody else while this run was about to do so: its root has SHA-256 ${root?.sha256 ?? "(unreadable)"}, this run's ${sha256}. It was not overwritten.`,
      "Another run for these clusters seems to be under way: let it end, and run this one again. It then goes by what is there.",
    );
  }
}

/** How long an istiod may take to tell proxies of its root, in milliseconds: the lease of one that is gone runs 30 s. */
const ROOT_PATIENCE = 45_000;

/**
 * Waits while the namespace still has the root of an earlier mesh: an istiod renews it only once it leads. A proxy that
 * starts with it cannot speak to istiod until the kubelet brings its volume up to date, which takes a minute or more.
 * Where there is none at all yet, Kubernetes itself lets no pod start. It is no more than a better start, so whatever
 * becomes of it, the gateway is begun; `trust.in-effect` judges the root.
 */
export async function noOtherRoot(mesh: MeshSpec, cluster: Cluster, rootSha256: string): Promise<void> {
  if (rootSha256 === "") return;
  const start = performance.now();
  await cluster.poll(`istiod to put the mesh's root into ConfigMap ${mesh.namespace}/istio-ca-root-cert`, async () => {
    const { pem } = await readBundle(cluster, mesh.namespace, undefined, undefined);
    const roots = readableIn(pem ?? "");
    const other = roots.length > 0 && roots.every((each) => info(each).sha256 !== rootSha256);
    return other && performance.now() - start < ROOT_PATIENCE
      ? { seen: "it has the root of an earlier mesh" }
      : { done: undefined };
  });
}
