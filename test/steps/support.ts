import type { Applied, Cluster } from "../../src/cluster/cluster.ts";
import type { Kubeconfig } from "../../src/cluster/kubeconfig.ts";
import type { Member } from "../../src/cluster/member.ts";
import { ownerOf, proven } from "../../src/mesh/claim.ts";
import type { KubernetesObject, ObjectRef } from "../../src/mesh/objects/object.ts";
import { ownership } from "../../src/mesh/objects/ownership.ts";
import type { Phase, Verdict } from "../../src/mesh/phases.ts";
import { type Subject, subjectName } from "../../src/mesh/report.ts";
import type { MeshSpec, SettledMesh } from "../../src/mesh/spec.ts";
import type { Progress } from "../../src/steps/run.ts";

/** A mesh of clusters `a`, `b`, … as the inputs' defaults make it. */
export function meshOf(names: readonly string[], more: Partial<SettledMesh> = {}): SettledMesh {
  return {
    id: "mesh1",
    istioVersion: "1.26.3",
    namespace: "istio-system",
    istioResource: "default",
    installer: "sail",
    imageHub: "auto",
    trust: { mode: "auto" },
    gateway: { install: true, replicas: 1, service: { type: "LoadBalancer", annotations: {} } },
    readerRole: "auto",
    clusters: names.map((name) => ({ name, network: `network-${name}`, values: {} })),
    ...more,
  };
}

/** A cluster of which a test says what is asked of it; all else is a mistake of the test. */
export function clusterOf(name: string, more: Partial<Cluster> = {}): Cluster {
  const unexpected = (what: string) => () => Promise.reject(new Error(`unexpected ${what}`));
  return {
    name,
    server: `https://${name}.example`,
    requests: 7,
    kubeconfig: unexpected("kubeconfig"),
    version: unexpected("version"),
    uid: async () => `uid-of-${name}`,
    serves: unexpected("serves"),
    get: unexpected("get"),
    list: unexpected("list"),
    contents: unexpected("contents"),
    apply: unexpected("apply"),
    tryApply: unexpected("tryApply"),
    restart: unexpected("restart"),
    create: unexpected("create"),
    update: unexpected("update"),
    dryRun: unexpected("dryRun"),
    delete: unexpected("delete"),
    waitFor: unexpected("waitFor"),
    poll: unexpected("poll"),
    proxy: unexpected("proxy"),
    exec: unexpected("exec"),
    logs: unexpected("logs"),
    requestToken: unexpected("requestToken"),
    close: async () => {},
    ...more,
  };
}

export function memberOf(mesh: MeshSpec, name: string, cluster: Partial<Cluster> = {}): Member {
  const spec = mesh.clusters.find((each) => each.name === name);
  if (!spec) throw new Error(`no cluster ${name}`);
  return { spec, cluster: clusterOf(name, cluster), kubeconfig: {} as Kubeconfig };
}

/** `apply` that answers with an action, for each object in turn; the last one stays. */
export function applying(...actions: Applied<unknown>["action"][]): Cluster["apply"] {
  let turn = 0;
  return async <T extends KubernetesObject>(object: T): Promise<Applied<T>> => {
    const action = actions[Math.min(turn++, actions.length - 1)] ?? "unchanged";
    return { object, action };
  };
}

export const secretRef: ObjectRef = { apiVersion: "v1", kind: "Secret", namespace: "istio-system", name: "s" };
export const secret: KubernetesObject = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "s", namespace: "istio-system" },
};

/** The same, as it was read of a cluster in which it is ours. */
export function ownSecret(cluster: string): KubernetesObject {
  const { metadata } = proven(ownerOf(meshOf([]), `uid-of-${cluster}`), {
    ...secret,
    metadata: { ...secret.metadata, uid: "u-1", labels: ownership(meshOf([]), "trust") },
  });
  return { ...secret, metadata };
}

/** Everything that is told, in order. */
export class Told implements Progress {
  readonly lines: string[] = [];
  readonly planned = new Set<Phase>();
  readonly ended: Phase[] = [];

  event(phase: Phase, subject: Subject, text: string, verdict?: Verdict): void {
    this.lines.push(`${phase} ${subjectName(subject)}: ${verdict ? `[${verdict}] ` : ""}${text}`);
  }
  phasePlanned(phase: Phase): void {
    this.planned.add(phase);
  }
  phaseEnded(phase: Phase): void {
    this.ended.push(phase);
  }
  warning(text: string): void {
    this.lines.push(`warning: ${text}`);
  }
  secret(value: string): void {
    this.lines.push(`secret: ${value}`);
  }
}
