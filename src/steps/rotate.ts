import { type IstiodView, istiodViews, statusOf } from "../checks/istiod.ts";
import { matches } from "../checks/observation.ts";
import { type Pod, rolledOut } from "../checks/pods.ts";
import type { Deployment, Survey } from "../checks/survey.ts";
import type { Probe } from "../cluster/cluster.ts";
import { ApiError } from "../cluster/errors.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import { describe, type ObjectRef, refOf } from "../mesh/objects/object.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";
import { generationOf, nextGeneration, readerToken } from "../mesh/objects/reader.ts";
import { remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import { parseRemoteKubeconfig } from "../mesh/remote-kubeconfig.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { tokenClaims } from "../mesh/token.ts";
import { makeReaderToken } from "./reader.ts";
import { isAccepted, isCurrent, makeRemoteSecret, remoteOf, remoteSecretOf, standsWith } from "./remote-access.ts";
import type { Outcome, Run, Step } from "./run.ts";

/** How long an istiod that was told of a new token may take to show it, in milliseconds. Mostly it takes a second. */
export const ADOPTION_PATIENCE = 20_000;

/** Where it says on istiod's pods when this action restarted them. Not kubectl's own annotation, which is kubectl's. */
const RESTARTED = `${MANAGER}/restartedAt`;

/**
 * Makes the Secret of the target's new token, or takes up the one that an earlier run has made and not finished with: it
 * stands beside an older one, or nobody holds its token yet.
 */
export function newToken(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  survey: Survey,
  observers: readonly Survey[],
): Promise<Secret> {
  return run.step("rotate.token", { cluster: spec.name }, [], async (step) => {
    const { ours } = survey.readerTokens;
    const newest = ours.at(-1);
    const held = observers.some((observer) => standsWith(remoteOf(observer, spec.name)?.token ?? "", newest));
    const usable = newest?.type === readerToken(mesh).type && newest === survey.readerToken;
    const unfinished = usable && (ours.length > 1 || !held);
    const generation = unfinished && newest ? generationOf(newest) : nextGeneration(survey.readerTokens);
    const value = await makeReaderToken(step, mesh, cluster, generation);
    const what = mesh.tokenTtl === undefined ? "holds the new token" : "is there for new tokens to be bound to";
    const origin = unfinished ? "; an earlier run made it, and was not finished" : "";
    return { value, evidence: `Secret ${value.metadata.name} ${what}${origin}.` };
  });
}

/**
 * Writes the new token into every observer's remote secret. Not by istioctl: it would look for a token by itself, and all
 * that a remote secret holds is at hand.
 * @returns for each observer since when its remote secret is as it is
 */
export function replaceRemoteSecrets(
  run: Run,
  mesh: MeshSpec,
  target: Member,
  observers: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  token: Promise<Secret>,
): Map<string, Promise<Date>> {
  const { name } = target.spec;
  let made: Promise<Secret> | undefined;
  return new Map(
    observers.map((observer) => [
      observer.spec.name,
      run.step("rotate.remote-secret", { observer: observer.spec.name, target: name }, [token], async (step) => {
        const readerToken = await token;
        const survey = { ...(surveys.get(name) as Survey), readerToken };
        const seen = surveys.get(observer.spec.name) as Survey;
        const holds = `its remote secret for ${name} holds the token of ${readerToken.metadata.name}`;
        const existing = remoteSecretOf(seen, name);
        if (existing && isCurrent(mesh, seen, survey, target) && (await isAccepted(target, seen))) {
          return { value: writtenAt(existing), evidence: `An earlier run has written it: ${holds}.` };
        }
        made ??= makeRemoteSecret(run, mesh, target, survey, readerToken);
        const { object } = await step.apply(observer.cluster, await made);
        const { expires } = tokenClaims(parseRemoteKubeconfig(secretText(object, name) ?? "").token);
        const end = expires ? `, good until ${expires.toISOString()}` : "";
        return { value: writtenAt(object), evidence: `Now ${holds}${end}.` };
      }),
    ]),
  );
}

/** When our part of an object became what it is, by the API server's clock. */
function writtenAt({ metadata }: Secret): Date {
  const ours = metadata.managedFields?.find(({ manager, operation }) => manager === MANAGER && operation === "Apply");
  return new Date(ours?.time ?? metadata.creationTimestamp ?? 0);
}

/**
 * Waits until every replica of the observer's istiod is known to read each target by its new token. `synced` alone says
 * that it did once, by whatever token. So a replica counts that started after the remote secret was written, or that has
 * logged since then that it takes the change up. Where one does neither in time, it has missed it, as some versions of
 * Istio do, and istiod is restarted.
 * @param secrets for each target since when its remote secret is as it is
 */
export function confirmAdopted(
  run: Run,
  mesh: MeshSpec,
  observer: Member,
  secrets: ReadonlyMap<string, Promise<Date>>,
  patience = ADOPTION_PATIENCE,
): Promise<void>[] {
  const { name } = observer.spec;
  let adoption: Promise<Adoption> | undefined;
  const adopt = async (step: Step): Promise<Adoption> => {
    // All of them first, so that one restart serves all targets. What could not be written has failed for itself.
    const settled = await Promise.all(
      [...secrets].map(async ([target, written]) => ({ target, at: await written.catch(() => undefined) })),
    );
    const written = new Map(settled.flatMap(({ target, at }) => (at ? [[target, at] as const] : [])));
    return new Istiod(mesh, observer, written).adopt(step, patience);
  };
  return [...secrets].map(([target, secret]) =>
    run.step("rotate.adopted", { observer: name, target }, [secret], async (step): Promise<Outcome<void>> => {
      adoption ??= adopt(step);
      const { evidence, warning } = await adoption;
      return { value: undefined, evidence: evidence.get(target) ?? "", ...(warning ? { warning } : {}) };
    }),
  );
}

interface Adoption {
  /** By target. */
  readonly evidence: ReadonlyMap<string, string>;
  readonly warning?: string;
}

/** A replica, and why it is known to have each target's new token. */
interface Replica {
  readonly pod: Pod;
  readonly view: IstiodView;
  readonly signs: ReadonlyMap<string, string | undefined>;
}

/** The istiods of one observer. Those of all revisions, for they all read the remote secrets. */
class Istiod {
  readonly #observer: Member;
  readonly #namespace: string;
  readonly #written: ReadonlyMap<string, Date>;
  /** Where a replica was seen to have logged a change, as `POD TARGET`. */
  readonly #logged = new Set<string>();
  /** The pods that ran before a restart. */
  #before: ReadonlySet<string> | undefined;

  constructor({ namespace }: MeshSpec, observer: Member, written: ReadonlyMap<string, Date>) {
    this.#observer = observer;
    this.#namespace = namespace;
    this.#written = written;
  }

  async adopt(step: Step, patience: number): Promise<Adoption> {
    const started = performance.now();
    const { name } = this.#observer.spec;
    const late = () => performance.now() - started >= patience;
    const { replicas, blind } = await this.#look(`istiod of ${name} to take up the new tokens`, late);
    if (blind.length === 0) return { evidence: this.#evidence(replicas) };
    const names = blind.map(({ pod }) => pod.metadata.name).join(", ");
    const seconds = Math.round(patience / 1000);
    step.say(`restarting istiod of ${name}: ${names} did not take up the new tokens within ${seconds} s`);
    await this.#restart(step, blind);
    const after = await this.#look(`the restarted istiod of ${name} to read the other clusters`, () => false);
    return {
      evidence: this.#evidence(after.replicas),
      warning: `istiod of ${name} was restarted, for ${names} did not take up a changed remote secret within ${seconds} s.`,
    };
  }

  /** Polls until all replicas have all new tokens and are synced, or it is late and some show no sign of having them. */
  #look(what: string, late: () => boolean): Promise<{ replicas: Replica[]; blind: Replica[] }> {
    return this.#observer.cluster.poll(what, async () => {
      const known = this.#logged.size;
      const replicas = await this.#replicas();
      if (replicas.length === 0) return { seen: "no pod of istiod runs" };
      const missing = replicas.flatMap(({ view, signs }) =>
        [...signs].flatMap(([target, sign]) => {
          const status = statusOf(view, target);
          if (status !== "synced") return [`${view.pod} says of ${target}: ${status}`];
          return sign ? [] : [`${view.pod} shows no sign of the new token for ${target}`];
        }),
      );
      // Between the line in the log and the new client, istiod still tells of the old one: it is asked once more.
      if (this.#logged.size > known) return { seen: missing.join("; ") || "istiod is taking up the new tokens" };
      if (missing.length === 0) return { done: { replicas, blind: [] } };
      const blind = replicas.filter(({ signs }) => [...signs.values()].includes(undefined));
      return blind.length > 0 && late() ? { done: { replicas, blind } } : { seen: missing.join("; ") };
    });
  }

  async #replicas(): Promise<Replica[]> {
    const { cluster } = this.#observer;
    const query = { apiVersion: "v1", kind: "Pod", namespace: this.#namespace, labelSelector: ISTIOD };
    const pods = (await cluster.list(query)) as unknown as Pod[];
    const views = await istiodViews(cluster, this.#namespace, pods);
    return Promise.all(
      views.map(async (view) => {
        const pod = pods.find(({ metadata }) => metadata.name === view.pod) as Pod;
        return { pod, view, signs: await this.#signs(pod) };
      }),
    );
  }

  async #signs({ metadata }: Pod): Promise<Map<string, string | undefined>> {
    const created = new Date(metadata.creationTimestamp ?? 0);
    const isNew = (written: Date) => created > written || (this.#before && !this.#before.has(metadata.name));
    const times = [...this.#written.values()];
    let log = "";
    if (!times.every(isNew)) {
      const pod = { apiVersion: "v1", kind: "Pod", namespace: this.#namespace, name: metadata.name };
      const since = new Date(Math.min(...times.map(Number)));
      log = await this.#observer.cluster.logs(pod, "discovery", { since }).catch((error: unknown) => {
        // A pod that is just being replaced has no log; the next look finds its successor.
        if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return "";
        throw error;
      });
    }
    return new Map(
      [...this.#written].map(([target, at]) => {
        if (isNew(at)) return [target, "has started since"];
        if (!tookUp(log, target)) return [target, undefined];
        this.#logged.add(`${metadata.name} ${target}`);
        return [target, "has logged the change"];
      }),
    );
  }

  #evidence(replicas: readonly Replica[]): Map<string, string> {
    return new Map(
      [...this.#written.keys()].map((target) => [
        target,
        `${replicas.map(({ pod, signs }) => `${pod.metadata.name} ${signs.get(target)}`).join(", ")}; ${replicas.length === 1 ? "it reports" : "all report"} ${target} synced.`,
      ]),
    );
  }

  /** As `kubectl rollout restart` does. */
  async #restart(step: Step, blind: readonly Replica[]): Promise<void> {
    const { cluster } = this.#observer;
    const inNamespace = { namespace: this.#namespace, labelSelector: ISTIOD };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment" };
    const pod = { apiVersion: "v1", kind: "Pod" };
    const [pods, all] = await Promise.all([
      cluster.list({ ...pod, ...inNamespace }),
      cluster.list<Deployment>({ ...deployment, ...inNamespace }),
    ]);
    this.#before = new Set(pods.map(({ metadata }) => metadata.name));
    const owns = ({ spec }: Deployment, { metadata }: Pick<Pod, "metadata">) =>
      matches(spec.template.metadata?.labels ?? {}, metadata.labels);
    const restarted = all.filter((each) => blind.some((replica) => owns(each, replica.pod)));
    if (restarted.length === 0) {
      throw new Failure(
        `istiod of ${this.#observer.spec.name} did not take up the new tokens, and there is no Deployment of it that could be restarted.`,
        `Restart it, and run \`rotate\` again: kubectl -n ${this.#namespace} delete pod ${blind.map(({ pod }) => pod.metadata.name).join(" ")}`,
      );
    }
    const annotations = { [RESTARTED]: new Date().toISOString() };
    for (const { metadata } of restarted) {
      const { name, namespace = this.#namespace } = metadata;
      const patch = { ...deployment, metadata: { name, namespace }, spec: { template: { metadata: { annotations } } } };
      await step.apply(cluster, patch);
      await cluster.waitFor(
        `the restart of ${describe(refOf(patch))}`,
        { deployments: { ...deployment, ...inNamespace }, pods: { ...pod, ...inNamespace } },
        (seen): Probe<unknown> => {
          const now = (seen.deployments as Deployment[]).find((each) => each.metadata.name === name);
          const own = (seen.pods as unknown as Pod[]).filter((each) => now && owns(now, each));
          return rolledOut(now, own);
        },
      );
    }
  }
}

const ISTIOD = "app=istiod";

/**
 * Whether istiod has logged that it takes up a cluster's changed remote secret. In the words of its secret controller
 * (pkg/kube/multicluster): `Updating cluster NAME from secret` in old versions, `Updating cluster` or `Update cluster` and
 * then `cluster=NAME` in later ones, or the same as JSON. What follows a colon there is an error.
 */
export function tookUp(log: string, target: string): boolean {
  const change = /\b(?:Add|Adding|Update|Updating) cluster(?=[\s"])/;
  const named = new RegExp(`\\bcluster(?:[= ]|":\\s*")${target}(?![-a-z0-9])`);
  return log.split("\n").some((line) => change.test(line) && named.test(line));
}

/**
 * Deletes the older tokens of ours. Only once every replica of every observer's istiod has the new one: an istiod whose
 * token is gone goes on until it next connects, and then misses all that changes.
 * @param adopted of each observer, that its istiod has the new token
 */
export function retireTokens(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  observers: readonly Member[],
  survey: Survey,
  token: Promise<Secret>,
  adopted: readonly Promise<void>[],
): Promise<void> {
  const { name } = spec;
  return run.step("rotate.retired", { cluster: name }, [token, ...adopted], async (step) => {
    const current = await token;
    await Promise.all(observers.map((observer) => stillHolds(mesh, observer, name, current)));
    const { ours, others } = survey.readerTokens;
    const old = ours.filter(({ metadata }) => metadata.name !== current.metadata.name);
    for (const each of old) await step.delete(cluster, refOf(each), each.metadata.uid);
    const names = (secrets: readonly Secret[]) => secrets.map(({ metadata }) => metadata.name).join(", ");
    const evidence =
      old.length > 0
        ? `Deleted, and their tokens with them: ${names(old)}.`
        : "There was no older token of this action.";
    if (others.length === 0) return { value: undefined, evidence };
    const warning = `${names(others)} in ${name} also ${others.length === 1 ? "holds a token" : "hold tokens"} of the reader. This action did not make ${others.length === 1 ? "it" : "them"}, and leaves ${others.length === 1 ? "it" : "them"} alone; if nobody else uses ${others.length === 1 ? "it" : "them"}: \`kubectl -n ${mesh.namespace} delete secret ${others.map(({ metadata }) => metadata.name).join(" ")}\``;
    return { value: undefined, evidence, warning };
  });
}

/** Another run, or somebody's own hands, may have written an older token meanwhile. */
async function stillHolds(mesh: MeshSpec, { spec, cluster }: Member, target: string, current: Secret): Promise<void> {
  const ref: ObjectRef = {
    apiVersion: "v1",
    kind: "Secret",
    namespace: mesh.namespace,
    name: remoteSecretName(target),
  };
  const { token } = parseRemoteKubeconfig(secretText(await cluster.get<Secret>(ref), target) ?? "");
  if (standsWith(token, current)) return;
  throw new Failure(
    `The remote secret for ${target} in ${spec.name} was changed meanwhile, and no longer holds the new token. No token was deleted.`,
    "Is another run under way? Let only one at a time change a mesh (`concurrency` in the workflow), and run `rotate` again.",
  );
}
