import { type IstiodView, istiodViews, statusOf } from "../checks/istiod.ts";
import type { Pod } from "../checks/pods.ts";
import { strangersAmong, strangersLeft } from "../checks/remote-access.ts";
import type { Survey } from "../checks/survey.ts";
import type { Probe } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import { Failure } from "../mesh/failure.ts";
import { type KubernetesObject, refOf } from "../mesh/objects/object.ts";
import { remoteSecret, remoteSecretName, secretText } from "../mesh/objects/secrets.ts";
import { parseRemoteKubeconfig } from "../mesh/remote-kubeconfig.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { type ControlPlane, istiodSelector } from "./control-plane.ts";
import type { Needs, Run } from "./run.ts";

/**
 * Whether the observer's remote secret for the target is what istioctl would make now: the same server, the token and CA
 * of the target's token Secret. Then it is left alone, for a change makes istiod build its client anew.
 */
export function isCurrent(observer: Survey, target: Survey, { spec, kubeconfig }: Member): boolean {
  const secret = observer.remoteSecrets.find(({ metadata }) => metadata.name === remoteSecretName(spec.name));
  const text = secretText(secret, spec.name);
  if (!secret || text === undefined || Object.keys(secret.data ?? {}).length !== 1) return false;
  const remote = parseRemoteKubeconfig(text);
  return (
    remote.problems.length === 0 &&
    remote.server === target.apiServer.url &&
    remote.tlsServerName === (spec.tlsServerName ?? kubeconfig.tlsServerName) &&
    remote.token !== "" &&
    remote.token === secretText(target.readerToken, "token") &&
    remote.ca === secretText(target.readerToken, "ca.crt")
  );
}

/**
 * Gives every observer the remote secret for one target: one call of istioctl, its output applied to all of them.
 * @param reader the target's reader account
 * @param namespaceReady the step after which an observer's namespace exists
 * @returns a step for each observer
 */
export function shareRemoteSecret(
  run: Run,
  mesh: MeshSpec,
  target: Member,
  observers: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  istioctl: Istioctl,
  reader: Promise<void>,
  namespaceReady: (observer: Member) => Promise<void>,
): Map<string, Promise<void>> {
  const { name } = target.spec;
  const survey = surveys.get(name) as Survey;
  const outdated = observers.filter(
    (observer) => !isCurrent(surveys.get(observer.spec.name) as Survey, survey, target),
  );
  const make = async () => {
    await reader;
    const { kubeconfig, token } = await istioctl.createRemoteSecret(mesh, target, survey.apiServer.url);
    run.secret(token);
    return remoteSecret(mesh, name, kubeconfig);
  };
  // One for all observers; each of their steps below reports a failure as its own.
  const made = outdated.length > 0 ? make() : undefined;
  made?.catch(() => {});

  return new Map(
    observers.map((observer) => [
      observer.spec.name,
      run.step(
        "install.remote-secret",
        { observer: observer.spec.name, target: name },
        [reader, namespaceReady(observer)],
        async (step) => {
          if (!made || !outdated.includes(observer))
            return { value: undefined, evidence: `Its remote secret for ${name} is current.` };
          await step.apply(observer.cluster, await made);
          return {
            value: undefined,
            evidence: `It holds a remote secret for ${name}, server ${survey.apiServer.url}.`,
          };
        },
      ),
    ]),
  );
}

/** Waits until every replica of the observer's istiod says of each target that it has read it. */
export function confirmSynced(
  run: Run,
  mesh: MeshSpec,
  observer: Member,
  controlPlane: Promise<ControlPlane>,
  secrets: ReadonlyMap<string, Promise<void>>,
  needs: Needs,
): Promise<void>[] {
  // One poll serves the steps of all targets, each of which is over as soon as its own is seen.
  let poll: Promise<void> | undefined;
  const open = new Map<string, (evidence: string) => void>();
  const { name } = observer.spec;
  const ask = async () => {
    const { revision } = await controlPlane;
    await observer.cluster.poll(`istiod of ${name} to read the other clusters`, async (): Promise<Probe<undefined>> => {
      const replicas = await views(observer, mesh, revision);
      if (replicas.length === 0) return { seen: "no pod of istiod runs" };
      const missing: string[] = [];
      for (const [target, seen] of open) {
        const not = replicas.flatMap((view) => {
          const status = statusOf(view, target);
          return status === "synced" ? [] : [`${view.pod} says of ${target}: ${status}`];
        });
        missing.push(...not);
        if (not.length === 0) {
          open.delete(target);
          seen(
            `${replicas.map(({ pod }) => pod).join(", ")} ${replicas.length === 1 ? "reports" : "report"} ${target} synced.`,
          );
        }
      }
      if (missing.length > 0) return { seen: missing.join("; ") };
      poll = undefined;
      return { done: undefined };
    });
  };
  return [...secrets].map(([target, secret]) =>
    run.step("install.synced", { observer: name, target }, [controlPlane, secret, ...needs], async () => {
      const seen = new Promise<string>((resolve) => open.set(target, resolve));
      poll ??= ask();
      const evidence = await Promise.race([seen, poll.then(() => seen)]);
      return { value: undefined, evidence };
    }),
  );
}

/**
 * Sees to it that a cluster holds no remote secret for one that is not on the list. Those that are not ours are told, and
 * left to whom they belong.
 * @param needs what is to be done before something is removed
 */
export function leaveNoStrangers(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  { remoteSecrets }: Survey,
  prune: boolean,
  needs: Needs,
): Promise<void> {
  return run.step("install.strangers", { cluster: spec.name }, prune ? needs : [], async (step) => {
    const strangers = strangersAmong(mesh, spec.name, remoteSecrets);
    const removed = strangers.filter(({ ours }) => prune && ours);
    for (const { secret } of removed) await step.delete(cluster, refOf(secret), secret.metadata.uid);
    const left = strangers.filter((each) => !removed.includes(each));
    if (left.length > 0) {
      const { cause = "", hint } = strangersLeft(mesh, spec.name, left);
      throw new Failure(cause, hint);
    }
    const gone = removed.flatMap(({ clusters }) => clusters);
    const evidence = "Every remote secret is for a cluster of this mesh";
    return { value: undefined, evidence: `${evidence}${gone.length > 0 ? `; removed: ${gone.join(", ")}` : ""}.` };
  });
}

async function views({ cluster }: Member, { namespace }: MeshSpec, revision: string): Promise<IstiodView[]> {
  const labelSelector = istiodSelector(revision);
  const pods = await cluster.list<KubernetesObject>({ apiVersion: "v1", kind: "Pod", namespace, labelSelector });
  return istiodViews(cluster, namespace, pods as unknown as Pod[]);
}
