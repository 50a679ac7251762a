import type { Call } from "../checks/remote-access.ts";
import type { Survey } from "../checks/survey.ts";
import { reviewsOnce } from "../checks/tokens.ts";
import type { Member } from "../cluster/member.ts";
import { Failure } from "../mesh/failure.ts";
import type { ObjectRef } from "../mesh/objects/object.ts";
import { generationOf, nextGeneration, readerToken } from "../mesh/objects/reader.ts";
import { remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import { parseRemoteKubeconfig } from "../mesh/remote-kubeconfig.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { tokenClaims } from "../mesh/token.ts";
import type { AsBefore } from "./as-before.ts";
import { makeReaderToken } from "./reader.ts";
import {
  isAccepted,
  isCurrent,
  makeRemoteSecret,
  proved,
  remoteOf,
  remoteSecretOf,
  standsWith,
} from "./remote-access.ts";
import type { Run } from "./run.ts";
import { type Written, written } from "./synced.ts";

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
 * @returns for each observer how its remote secret became as it is
 */
export function replaceRemoteSecrets(
  run: Run,
  mesh: MeshSpec,
  target: Member,
  observers: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  token: Promise<Secret>,
  call: Call,
  asBefore: (observer: Member) => AsBefore,
): Map<string, Promise<Written>> {
  const { name } = target.spec;
  const reviews = reviewsOnce();
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
        if (existing && isCurrent(mesh, seen, survey, target) && (await isAccepted(target, seen, reviews))) {
          return { value: written(existing, true), evidence: `An earlier run has written it: ${holds}.` };
        }
        await asBefore(observer).read();
        made ??= makeRemoteSecret(run, mesh, target, survey, readerToken).then((secret) =>
          proved(run, target, survey, secret, call),
        );
        const { object } = await step.apply(observer.cluster, await made);
        const { expires } = tokenClaims(parseRemoteKubeconfig(secretText(object, name) ?? "").token);
        const end = expires ? `, good until ${expires.toISOString()}` : "";
        return { value: written(object, true), evidence: `Now ${holds}${end}.` };
      }),
    ]),
  );
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
    for (const each of old) await step.delete(cluster, each);
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
