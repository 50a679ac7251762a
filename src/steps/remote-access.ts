import { askWho, type Call, saysNothing } from "../checks/remote-access.ts";
import { strangersAmong, strangersLeft } from "../checks/strangers.ts";
import type { Survey } from "../checks/survey.ts";
import { type Reviews, reviewsOnce, reviewToken } from "../checks/tokens.ts";
import type { Member } from "../cluster/member.ts";
import type { Istioctl } from "../istioctl/istioctl.ts";
import { handOver, inShell, isOurs, type Owner, ownerOf, writersOf } from "../mesh/claim.ts";
import { Failure } from "../mesh/failure.ts";
import { isDnsLabel } from "../mesh/objects/names.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import { remoteSecret, remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import { parseRemoteKubeconfig, type RemoteKubeconfig, remoteKubeconfig, unfit } from "../mesh/remote-kubeconfig.ts";
import type { MeshSpec, SettledMesh } from "../mesh/spec.ts";
import { lifetime, span, tokenClaims } from "../mesh/token.ts";
import { listed } from "../mesh/words.ts";
import type { AsBefore } from "./as-before.ts";
import { credentials } from "./reader.ts";
import { readAfterRemoval } from "./restart.ts";
import type { Needs, Run } from "./run.ts";
import { type Written, written } from "./synced.ts";

/** What an observer's remote secret for the target says; `undefined` where it has none that is ours to judge. */
export function remoteOf(observer: Survey, target: string): RemoteKubeconfig | undefined {
  const secret = remoteSecretOf(observer, target);
  const text = secretText(secret, target);
  return secret && text !== undefined && Object.keys(secret.data ?? {}).length === 1
    ? parseRemoteKubeconfig(text)
    : undefined;
}

/** The observer's remote secret for the target, by its name. */
export function remoteSecretOf(observer: Survey, target: string): Secret | undefined {
  return observer.remoteSecrets.find(({ metadata }) => metadata.name === remoteSecretName(target));
}

/** That a remote secret which is to be written is somebody else's; `undefined` where it is not. */
export function foreignRemoteSecret(mesh: MeshSpec, observer: Survey, target: string): Failure | undefined {
  const owner = ownerOf(mesh, observer.uid);
  const secret = remoteSecretOf(observer, target);
  if (!secret || isOurs(owner, secret)) return undefined;
  const ref = refOf(secret);
  const writers = writersOf(secret);
  return new Failure(
    `${describe(ref)}, the remote secret for ${target}, is not this action's${writers.length > 0 ? ` (${listed(writers)} made it)` : ""}, and has to be written.`,
    `Have it made by this action: ${inShell("delete", ref)}, upon which istiod forgets ${target} until \`install\` has made another. Or hand it over, to be changed and removed as this action's own: ${handOver(owner, ref)}`,
  );
}

/** Whether the token is the one in the Secret, or was bound to it. */
export function standsWith(token: string, secret: Secret | undefined): boolean {
  if (!secret || token === "") return false;
  return token === secretText(secret, "token") || tokenClaims(token).boundTo === secret.metadata.uid;
}

/**
 * Whether the observer's remote secret for the target is what would be made now: the same server and CA, and the token of
 * the target's token Secret, or one with enough time left. Then it is left alone, for a change makes istiod build its
 * client anew.
 */
export function isCurrent(
  { tokenTtl }: Pick<MeshSpec, "tokenTtl">,
  observer: Survey,
  target: Survey,
  { spec, kubeconfig }: Member,
  now = new Date(),
): boolean {
  const remote = remoteOf(observer, spec.name);
  if (
    !remote ||
    unfit(remote).length > 0 ||
    remote.insecure ||
    remote.server !== target.apiServer.url ||
    remote.tlsServerName !== (spec.tlsServerName ?? kubeconfig.tlsServerName) ||
    remote.token === ""
  )
    return false;
  const secret = target.readerToken;
  return tokenTtl === undefined
    ? remote.token === secretText(secret, "token") && remote.ca === secretText(secret, "ca.crt")
    : remote.ca === target.rootCa && isFresh(remote.token, secret, tokenTtl, now);
}

/** An API server may give other times than it was asked for, by a moment; it may also give much less, but never more. */
const CLOCKS = 60_000;

/** Whether an expiring token stands with the Secret, was made for no longer than is wanted now, and is not half over. */
function isFresh(token: string, secret: Secret | undefined, ttl: number, now: Date): boolean {
  const claims = tokenClaims(token);
  const life = lifetime(claims);
  if (!claims.expires || life === undefined || !secret || claims.boundTo !== secret.metadata.uid) return false;
  return life <= ttl * 1000 + CLOCKS && claims.expires.getTime() - now.getTime() > life / 2;
}

/**
 * Gives every observer the remote secret for one target: one token, and one call of istioctl, for all of them.
 * @param reader the Secret of the target's reader account
 * @param namespaceReady the step after which an observer's namespace exists
 * @returns for each observer how its remote secret became as it is
 */
export function shareRemoteSecret(
  run: Run,
  mesh: SettledMesh,
  target: Member,
  observers: readonly Member[],
  surveys: ReadonlyMap<string, Survey>,
  istioctl: Istioctl,
  reader: Promise<Secret>,
  call: Call,
  namespaceReady: (observer: Member) => Promise<void>,
  asBefore: (observer: Member) => AsBefore,
): Map<string, Promise<Written>> {
  const { name } = target.spec;
  const survey = surveys.get(name) as Survey;
  const make = async () => {
    const secret = await reader;
    // istioctl takes fewer names for a cluster's than istiod does.
    if (mesh.tokenTtl !== undefined || !isDnsLabel(name)) return makeRemoteSecret(run, mesh, target, survey, secret);
    // Told which Secret to take: while a rotation is unfinished there are two, and istioctl would take the first.
    const made = await istioctl.createRemoteSecret(mesh, target, survey.apiServer.url, secret.metadata.name);
    run.secret(made.token);
    return remoteSecret(mesh, name, made.kubeconfig);
  };
  const reviews = reviewsOnce();
  let made: Promise<Secret> | undefined;

  return new Map(
    observers.map((observer) => [
      observer.spec.name,
      run.step(
        "install.remote-secret",
        { observer: observer.spec.name, target: name },
        [reader, namespaceReady(observer)],
        async (step) => {
          const known = surveys.get(observer.spec.name) as Survey;
          if (await isUpToDate(mesh, known, survey, target, reviews)) {
            const { expires } = tokenClaims(remoteOf(known, name)?.token ?? "");
            const end = expires ? `, its token good until ${expires.toISOString()}` : "";
            const value = written(remoteSecretOf(known, name) as Secret, false);
            return { value, evidence: `Its remote secret for ${name} is current${end}.` };
          }
          if (remoteSecretOf(known, name)) await asBefore(observer).read();
          made ??= make().then((secret) => proved(run, target, survey, secret, call));
          const { object, action } = await step.apply(observer.cluster, await made);
          return {
            value: written(object, action === "updated"),
            evidence: `It holds a remote secret for ${name}, server ${survey.apiServer.url}.`,
          };
        },
      ),
    ]),
  );
}

/** Whether `install` leaves the observer's remote secret for the target as it is. */
export async function isUpToDate(
  mesh: MeshSpec,
  observer: Survey,
  target: Survey,
  member: Member,
  reviews: Reviews,
): Promise<boolean> {
  if (!isCurrent(mesh, observer, target, member)) return false;
  return mesh.tokenTtl === undefined || isAccepted(member, observer, reviews);
}

/** Whether the target accepts the token that an observer holds: one that was revoked looks like any other. */
export async function isAccepted(target: Member, observer: Survey, reviews: Reviews): Promise<boolean> {
  const token = remoteOf(observer, target.spec.name)?.token ?? "";
  return token !== "" && (await reviews(target, token)).authenticated;
}

/**
 * The remote secret once a call with nothing but it has led to the target: what is wrong with its URL, CA or token would else
 * be seen after minutes, by istiod. Where that may be a matter of the way from here, it is only told.
 */
export async function proved(
  run: Run,
  { spec: { name }, kubeconfig }: Member,
  { uid, apiServer }: Survey,
  secret: Secret,
  call: Call,
): Promise<Secret> {
  const answer = await call(secretText(secret, name) ?? "", askWho(false));
  const input = "Set the input `api-server` of that cluster to a URL by which the others reach its API server itself.";
  if ("problem" in answer) {
    if (saysNothing(answer, apiServer.url, kubeconfig.server)) {
      const told = `The remote secret for ${name} could not be tried from here before it is handed out: ${answer.problem}`;
      run.say("remoteAccess", { cluster: name }, told);
      return secret;
    }
    throw new Failure(`The remote secret for ${name} would not do, and was given to nobody: ${answer.problem}`, input);
  }
  if (answer.uid === undefined || answer.uid === uid) return secret;
  throw new Failure(
    `The remote secret for ${name} would lead to another cluster, and was given to nobody: at ${apiServer.url} the UID of kube-system is ${answer.uid}, not ${uid}.`,
    input,
  );
}

/** The remote secret for a target, from a token that the target was seen to accept. */
export async function makeRemoteSecret(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster, kubeconfig }: Member,
  survey: Survey,
  secret: Secret,
): Promise<Secret> {
  const { token, ca, expires } = await credentials(mesh, cluster, secret);
  run.secret(token);
  const asked = mesh.tokenTtl ?? 0;
  const given = lifetime(tokenClaims(token));
  if (expires && given !== undefined && given + CLOCKS < asked * 1000) {
    run.warn(
      `${spec.name} gives tokens of ${span(given)}, not of the ${span(asked * 1000)} in \`token-ttl\`: its API server's --service-account-max-token-expiration says so.`,
    );
  }
  const { authenticated, error } = await reviewToken(cluster, token);
  if (!authenticated) {
    throw new Failure(
      `${spec.name} does not accept the token that it has just made${error ? ` (${error.replace(/^\[|\]$/g, "")})` : ""}.`,
      "Run again. If it stays so, look at the API server's log and its --service-account-key-file.",
    );
  }
  const tlsServerName = spec.tlsServerName ?? kubeconfig.tlsServerName;
  const remote = { server: survey.apiServer.url, ca, token, ...(tlsServerName ? { tlsServerName } : {}) };
  return remoteSecret(mesh, spec.name, remoteKubeconfig(spec.name, remote));
}

/**
 * Sees to it that a cluster holds no remote secret for one that is not on the list. Those that are not ours are told, and
 * left to whom they belong.
 * @param needs what is to be done before something is removed
 * @param revoked whether the tokens that those clusters hold are revoked by this run
 */
export function leaveNoStrangers(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster, ...rest }: Member,
  { remoteSecrets, uid }: Survey,
  prune: boolean,
  needs: Needs,
  asBefore: AsBefore,
  patience?: number,
  revoked = false,
): Promise<void> {
  return run.step("install.strangers", { cluster: spec.name }, prune ? needs : [], async (step) => {
    const { removed, left } = strangersOf(ownerOf(mesh, uid), mesh, spec.name, remoteSecrets, prune);
    const gone = removed.flatMap(({ clusters }) => clusters);
    let warning: string | undefined;
    if (gone.length > 0) {
      await asBefore.read();
      for (const { secret } of removed) await step.delete(cluster, secret);
      const others = mesh.clusters.map(({ name }) => name).filter((name) => name !== spec.name);
      warning = await readAfterRemoval(
        step,
        mesh.namespace,
        { spec, cluster, ...rest },
        gone,
        others,
        asBefore,
        patience,
      );
    }
    if (left) throw left;
    const evidence = "Every remote secret is for a cluster of this mesh";
    if (gone.length === 0) return { value: undefined, evidence: `${evidence}.` };
    const end = mesh.tokenTtl === undefined ? ", and which never expires" : "";
    const held = `${listed(gone)} may hold a token of ${spec.name} still, by which it is read${end}. The command \`rotate\` revokes it.`;
    const warnings = [...(warning ? [warning] : []), ...(revoked ? [] : [held])].join(" ");
    return {
      value: undefined,
      evidence: `${evidence}; removed: ${gone.join(", ")}.`,
      ...(warnings ? { warning: warnings } : {}),
    };
  });
}

/** The remote secrets that are to be removed, and what is to be said of those that are not. */
export function strangersOf(
  owner: Owner,
  mesh: MeshSpec,
  name: string,
  remoteSecrets: readonly Secret[],
  prune: boolean,
) {
  const strangers = strangersAmong(owner, mesh, name, remoteSecrets);
  const removed = strangers.filter(({ ours }) => prune && ours);
  const left = strangers.filter((each) => !removed.includes(each));
  if (left.length === 0) return { removed };
  const { cause = "", hint } = strangersLeft(mesh, left);
  return { removed, left: new Failure(cause, hint) };
}
