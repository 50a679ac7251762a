// Runs a command in this process on embedded clusters, as src/action/run.ts does.

import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "../../src/action/inputs.ts";
import { type AnyCall, type Problem, problemOf } from "../../src/checks/remote-access.ts";
import type { Right } from "../../src/checks/rights.ts";
import { connect, type Watcher } from "../../src/cluster/client.ts";
import type { Cluster, Wait } from "../../src/cluster/cluster.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import type { Member } from "../../src/cluster/member.ts";
import { install } from "../../src/commands/install.ts";
import { plan } from "../../src/commands/plan.ts";
import { rotate } from "../../src/commands/rotate.ts";
import { uninstall } from "../../src/commands/uninstall.ts";
import { planVerify, type VerifyTools, verify } from "../../src/commands/verify.ts";
import type { Helm } from "../../src/helm/helm.ts";
import { type Istioctl, istioctlFor } from "../../src/istioctl/istioctl.ts";
import type { RootCa } from "../../src/mesh/certificates/root.ts";
import { ownerOf, proven as prove } from "../../src/mesh/claim.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { Check, Report } from "../../src/mesh/report.ts";
import type { ClusterSpec, MeshSpec, ServiceSpec, UninstallScope } from "../../src/mesh/spec.ts";
import { Lock } from "../../src/steps/lock.ts";
import type { ChangeTimes } from "../../src/steps/root-view.ts";
import { type Progress, Run } from "../../src/steps/run.ts";
import { CALLS, fakeIstioctl } from "../embedded/istioctl.ts";
import type { Json, Kube, LoggedRequest } from "../embedded/kube.ts";
import { dial } from "../embedded/network.ts";
import { quickIstioctl } from "../embedded/quick-istioctl.ts";

export const NAMESPACE = "istio-system";
export const MANAGER = "istio-mesh-action";

/** @param rest an `istioVersion` that is empty is left out */
export function meshSpec(count: number, { clusters, ...rest }: Partial<MeshSpec> = {}): MeshSpec {
  const { istioVersion = "1.26.3", ...more } = rest;
  return {
    id: "mesh1",
    ...(istioVersion ? { istioVersion } : {}),
    namespace: NAMESPACE,
    istioResource: "default",
    installer: "sail",
    imageHub: "auto",
    trust: { mode: "auto" },
    gateway: { install: true, service: { type: "LoadBalancer", annotations: {} }, replicas: 1 },
    readerRole: "auto",
    clusters: clusters ?? Array.from({ length: count }, (_, index) => clusterSpec(index + 1)),
    ...more,
  };
}

export function clusterSpec(number: number, over: Partial<ClusterSpec> = {}): ClusterSpec {
  return { name: `cluster${number}`, network: `network${number}`, values: {}, ...over };
}

export interface Setup {
  readonly mesh?: Partial<MeshSpec>;
  /** Instead of the administrator's. */
  readonly kubeconfigs?: readonly string[];
  readonly root?: RootCa;
  readonly timeoutMs?: number;
  /** The deadline passes as soon as this holds: however slow the machine, all that is to be done before it is done. */
  readonly endWhen?: (now: Now) => boolean;
  readonly cancel?: AbortSignal;
  /** The deadline passes when this aborts. */
  readonly late?: AbortSignal;
  /** By how much pauses between tries and between looks are shortened. */
  readonly pace?: number;
  /** Instead of one in this process that works: the path of a program, or one that works, too. */
  readonly istioctl?: string | { readonly program: true };
  readonly prune?: boolean;
  /** Clusters that are no more, by what the user says. */
  readonly gone?: readonly string[];
  /** Instead of one that must not be asked for. */
  readonly helm?: Helm;
  /** How long an istiod may take to show a new token, in milliseconds. */
  readonly patience?: number;
  /** Of a change of the root. */
  readonly times?: Partial<ChangeTimes>;
  /** Who holds the clusters' Leases. */
  readonly holder?: string;
  /** How long a Lease is good without a renewal, in milliseconds; short, for a run that is cut off may leave it held. */
  readonly leaseMs?: number;
  /** Of the verification; `install` and `rotate` have none unless this says how. */
  readonly verification?:
    | { readonly traffic: boolean; readonly patience?: number; readonly services?: readonly ServiceSpec[] }
    | undefined;
}

/** How far a run is. */
export interface Now {
  /** Number of checks that are not over. */
  readonly open: number;
  /** What each wait saw last. */
  readonly seen: readonly string[];
}

export interface Outcome {
  readonly report: Report;
  readonly warnings: readonly string[];
  /** What was to be masked. */
  readonly secrets: readonly string[];
  /** The arguments of istioctl's calls. */
  readonly istioctl: readonly string[];
  /** The namespaces of probes that were told of, `undefined` for gone. */
  readonly probing: readonly (string | undefined)[];
  /** What was said of retries, the cluster's name first. */
  readonly retries: readonly string[];
}

export function runInstall(kubes: readonly Kube[], setup: Setup = {}): Promise<Outcome> {
  return runCommand("install", kubes, setup);
}

export function runPlan(kubes: readonly Kube[], setup: Setup = {}): Promise<Outcome> {
  return runCommand("plan", kubes, setup);
}

export function runVerify(kubes: readonly Kube[], setup: Setup = {}): Promise<Outcome> {
  return runCommand("verify", kubes, setup);
}

export function runRotate(kubes: readonly Kube[], setup: Setup = {}): Promise<Outcome> {
  return runCommand("rotate", kubes, setup);
}

export function runUninstall(kubes: readonly Kube[], scope: UninstallScope, setup: Setup = {}): Promise<Outcome> {
  return runCommand("uninstall", kubes, setup, scope);
}

export async function runCommand(
  command: Command,
  kubes: readonly Kube[],
  setup: Setup,
  scope: UninstallScope = "mesh",
): Promise<Outcome> {
  const mesh = meshSpec(kubes.length, setup.mesh);
  const deadline = new EarlyDeadline(setup);
  const waits = new Set<Wait>();
  let open = 0;
  const look =
    setup.endWhen &&
    setInterval(() => {
      if (setup.endWhen?.({ open, seen: [...waits].map(({ seen }) => seen) })) deadline.pass();
    }, 25);
  const warnings: string[] = [];
  const secrets: string[] = [];
  const retries: string[] = [];
  const progress: Progress & Watcher = {
    event: (_phase, _subject, _text, verdict) => {
      if (verdict) open--;
    },
    phasePlanned() {},
    phaseEnded() {},
    warning: (text) => warnings.push(text),
    secret: (value) => secrets.push(value),
    waiting: (wait) => waits.add(wait),
    waited: (wait) => waits.delete(wait),
    retrying: (cluster, message) => retries.push(`${cluster}: ${message}`),
  };
  let lock: Lock | undefined;
  const folder = await mkdtemp(join(tmpdir(), "install-"));
  const members: Member[] = mesh.clusters.map((spec, index) => {
    const kubeconfig = listening(setup.kubeconfigs?.[index] ?? (kubes[index] as Kube).kubeconfig());
    return { spec, kubeconfig, cluster: connect(spec.name, kubeconfig, deadline, progress) };
  });
  try {
    const calls: string[] = [];
    const istioctl = await istioctlOf(setup, mesh, folder, deadline, calls);
    const run = new Run(command, mesh, members, progress);
    const announce = run.plan.bind(run);
    run.plan = (...steps) => {
      open += steps.length;
      announce(...steps);
    };
    const probing: (string | undefined)[] = [];
    lock = new Lock({
      holder: setup.holder ?? `test ${randomUUID()}`,
      duration: setup.leaseMs ?? 1_500,
      lastly: ({ spec, cluster, kubeconfig }) =>
        deadline.passed ? { cluster: connect(spec.name, kubeconfig, new Deadline(1_000), progress) } : { cluster },
    });
    const call: AnyCall = (kubeconfig, ask) => callTarget(kubeconfig, ask, progress);
    const verification = (traffic: boolean): VerifyTools => ({
      traffic,
      services: setup.verification?.services ?? [],
      // Embedded clusters answer at once, or not at all.
      patience: setup.verification?.patience ?? 500,
      call,
      probing: (namespace, there) => probing.push(there ? namespace : undefined),
      isOver: () => deadline.passed,
      lastly: ({ spec, cluster, kubeconfig }) =>
        deadline.passed ? { cluster: connect(spec.name, kubeconfig, new Deadline(30_000), progress) } : { cluster },
    });
    if (command === "verify") {
      run.plan(...planVerify(mesh, setup.verification?.services));
      await verify(run, mesh, members, verification(setup.verification?.traffic ?? true));
    } else if (command === "uninstall") {
      await uninstall(run, mesh, members, scope, lock, { gone: setup.gone ?? [], call });
    } else if (command === "plan") {
      await plan(run, mesh, members, { istioctl, root: setup.root, prune: setup.prune ?? false });
    } else {
      const ending = setup.verification && verification(setup.verification.traffic);
      if (command === "install")
        await install(run, mesh, members, {
          istioctl,
          helm: setup.helm ?? noHelm,
          root: setup.root,
          prune: setup.prune ?? false,
          verification: ending,
          lock,
          call,
          patience: setup.patience,
          left: () => deadline.remaining(),
          times: setup.times,
        });
      else
        await rotate(run, mesh, members, {
          root: setup.root,
          times: setup.times,
          verification: ending,
          lock,
          call,
          patience: setup.patience,
          prune: setup.prune ?? false,
        });
    }
    const called = await readFile(join(folder, CALLS), "utf8").catch(() => "");
    return {
      report: run.report(),
      warnings,
      secrets,
      istioctl: [...calls, ...called.split("\n").filter((line) => line !== "")],
      probing,
      retries,
    };
  } finally {
    clearInterval(look);
    await lock?.release(command === "uninstall" && scope === "all");
    await Promise.all(members.map(({ cluster }) => cluster.close()));
    await rm(folder, { recursive: true, force: true });
  }
}

async function istioctlOf(
  { istioctl: given }: Setup,
  { istioVersion = "1.26.3" }: MeshSpec,
  folder: string,
  deadline: Deadline,
  calls: string[],
): Promise<Istioctl> {
  if (!given) return quickIstioctl(deadline, calls);
  const path = typeof given === "string" ? given : await fakeIstioctl(folder, istioVersion);
  return istioctlFor({ mirror: "https://istioctl.invalid", deadline, path }, folder, []);
}

const unexpected = () => Promise.reject(new Error("unexpected call of Helm"));
const noHelm: Helm = { ready: unexpected, installOperator: unexpected };

/** A kubeconfig, with where its API server really listens. */
function listening(text: string): Kubeconfig {
  const kubeconfig = readKubeconfig(text) as Kubeconfig;
  return { ...kubeconfig, server: dial(kubeconfig.server) ?? kubeconfig.server };
}

/** As the action's own, on the network between the embedded clusters. */
async function callTarget<T>(
  text: string,
  ask: (cluster: Cluster) => Promise<T>,
  watcher: Watcher,
): Promise<T | Problem> {
  const { server } = readKubeconfig(text) as Kubeconfig;
  if (!dial(server)) return { problem: `Nobody answers at ${server}.`, by: "nobody" };
  const cluster = connect("", listening(text), new Deadline(1_000), watcher);
  try {
    return await ask(cluster);
  } catch (error) {
    return problemOf(error);
  } finally {
    await cluster.close();
  }
}

/** A deadline that can be made to pass, and whose pauses can be made short. */
class EarlyDeadline extends Deadline {
  readonly #early = new AbortController();
  readonly #pace: number;
  override readonly signal: AbortSignal;

  constructor({ timeoutMs = 60_000, cancel, late, pace = 1 }: Setup) {
    super(timeoutMs, cancel);
    this.#pace = pace;
    const others = [cancel, late].filter((signal) => signal !== undefined);
    this.signal = AbortSignal.any([this.#early.signal, AbortSignal.timeout(timeoutMs), ...others]);
  }

  override pause(milliseconds: number): Promise<void> {
    return super.pause(milliseconds * this.#pace);
  }

  pass(): void {
    this.#early.abort();
  }
}

/** The checks that did not pass, a line each, so that a test that fails says why. */
export function notPassed({ report }: Outcome): string[] {
  // That a cluster needs no CNI plugin is no news.
  const usual = (check: Check) => check.id === "control-plane.cni" && check.verdict === "skipped";
  return report.checks.filter((check) => check.verdict !== "passed" && !usual(check)).map(line);
}

export function failures({ report }: Outcome): string[] {
  return report.checks.filter(({ verdict }) => verdict === "failed").map(line);
}

function line({ id, subject, verdict, cause, hint }: Check): string {
  return `${verdict} ${id} ${Object.values(subject).join(" → ") || "mesh"}: ${cause}${hint ? ` | ${hint}` : ""}`;
}

/** The requests that can change something: all but reads, dry runs, and reviews, which are stored nowhere. */
export function writes(kube: Kube): LoggedRequest[] {
  return kube.requests.filter(isWrite);
}

export function isWrite({ method, path }: LoggedRequest): boolean {
  return method !== "GET" && !path.includes("reviews") && !/[?&]dryRun=All(&|$)/.test(path);
}

const KINDS = [
  ["v1", "Namespace"],
  ["v1", "Secret"],
  ["v1", "ConfigMap"],
  ["v1", "ServiceAccount"],
  ["v1", "Service"],
  ["apps/v1", "Deployment"],
  ["policy/v1", "PodDisruptionBudget"],
  ["autoscaling/v2", "HorizontalPodAutoscaler"],
  ["rbac.authorization.k8s.io/v1", "Role"],
  ["rbac.authorization.k8s.io/v1", "RoleBinding"],
  ["rbac.authorization.k8s.io/v1", "ClusterRole"],
  ["rbac.authorization.k8s.io/v1", "ClusterRoleBinding"],
  ["sailoperator.io/v1", "Istio"],
  ["networking.istio.io/v1", "Gateway"],
] as const;

/** An object as this action makes it in a cluster, for the mesh `mesh1`. */
export function proven(kube: Kube, object: Json): Json {
  const { uid } = kube.get({ apiVersion: "v1", kind: "Namespace", name: "kube-system" }).metadata;
  return prove(ownerOf(meshSpec(1), uid), object as KubernetesObject);
}

/** Everything that is there but pods. */
export function everything(kube: Kube): Json[] {
  const served = (apiVersion: string, kind: string) => {
    const [group] = apiVersion.includes("/") ? apiVersion.split("/") : [""];
    const of = (crd: Json) => crd.spec.group === group && crd.spec.names.kind === kind;
    const custom = /sailoperator|networking\.istio/.test(apiVersion);
    return !custom || kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition").some(of);
  };
  return KINDS.filter(([apiVersion, kind]) => served(apiVersion, kind)).flatMap(([apiVersion, kind]) =>
    kube.list(apiVersion, kind),
  );
}

export function resourceVersions(kube: Kube): Record<string, string> {
  const entries = everything(kube).map(({ kind, metadata }) => [
    `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
    metadata.resourceVersion as string,
  ]);
  return Object.fromEntries(entries);
}

/** What must be the same however it came about: no identities, times, addresses or keys. */
export function state(kube: Kube): Json[] {
  return everything(kube).map(({ apiVersion, kind, metadata, spec, data, ...rest }) => ({
    apiVersion,
    kind,
    name: metadata.name,
    namespace: metadata.namespace,
    labels: metadata.labels,
    managers: [
      ...new Set(metadata.managedFields?.map(({ manager, operation }: Json) => `${manager} ${operation}`)),
    ].sort(),
    spec: withoutAllocated(spec),
    data: kind === "Secret" || kind === "ConfigMap" ? Object.keys(data ?? {}).sort() : data,
    rules: rest.rules,
    subjects: rest.subjects,
    roleRef: rest.roleRef,
    state: kind === "Istio" ? rest.status?.state : undefined,
  }));
}

function withoutAllocated(spec: Json): Json {
  if (!spec?.clusterIP) return spec;
  const { clusterIP: _, clusterIPs: __, ...rest } = spec;
  return { ...rest, ports: rest.ports?.map(({ nodePort: _, ...port }: Json) => port) };
}

export function text(object: Json, key: string): string {
  return Buffer.from(object?.data?.[key] ?? "", "base64").toString();
}

export function putNamespace(kube: Kube): void {
  kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
}

/** A kubeconfig of a user who has these rights, or those of them that are picked, and no others. */
export function restricted(
  kube: Kube,
  rights: readonly Right[],
  pick: (right: { resource: string; verb: string }) => boolean = () => true,
): string {
  const rules = rights.flatMap(({ group, resource, subresource, verbs, namespace }) =>
    verbs
      .filter((verb) => pick({ resource, verb }))
      .map((verb) => ({
        namespace,
        rule: { apiGroups: [group], resources: [subresource ? `${resource}/${subresource}` : resource], verbs: [verb] },
      })),
  );
  // One that is there keeps its labels.
  if (!kube.get({ apiVersion: "v1", kind: "Namespace", name: NAMESPACE })) putNamespace(kube);
  const apiGroup = "rbac.authorization.k8s.io";
  const subjects = [{ kind: "User", name: "deployer", apiGroup }];
  for (const namespace of new Set(rules.map((each) => each.namespace))) {
    const of = namespace ? "Role" : "ClusterRole";
    const metadata = { name: "deployer", ...(namespace ? { namespace } : {}) };
    const granted = rules.filter((each) => each.namespace === namespace).map(({ rule }) => rule);
    kube.put({ apiVersion: `${apiGroup}/v1`, kind: of, metadata, rules: granted });
    kube.put({
      apiVersion: `${apiGroup}/v1`,
      kind: `${of}Binding`,
      metadata,
      roleRef: { apiGroup, kind: of, name: "deployer" },
      subjects,
    });
  }
  kube.setToken("token-of-the-deployer", "deployer");
  return kube.kubeconfig({ auth: "token", token: "token-of-the-deployer" });
}
