import type { Cluster } from "../cluster/cluster.ts";
import { ApiError, Distrusted } from "../cluster/errors.ts";
import { isLoopback, isPrivate } from "../cluster/kubeconfig.ts";
import { envOf } from "../facts/config.ts";
import { DEBUG_SWITCH } from "../facts/debug.ts";
import { sameAuthority } from "../mesh/certificates/chain.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import { Failure } from "../mesh/failure.ts";
import { REMOTE_SECRET_LABEL, remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import {
  INSECURE_OPTIONS,
  type Login,
  parseRemoteKubeconfig,
  type RemoteKubeconfig,
  unfit,
} from "../mesh/remote-kubeconfig.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { earlyWarning, span, tokenClaims } from "../mesh/token.ts";
import { count } from "../mesh/words.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import { managesAll, NOT_REGISTERED, statusOf } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { lackingOwnRights } from "./reader.ts";
import type { TokenStatus } from "./tokens.ts";

/** An observer, and the target that its istiod is to read. */
export interface RemoteView {
  readonly observer: Observation;
  readonly target: Observation;
  readonly access: Access;
}

/** What came of using the observer's remote secret. */
export interface Access {
  /** What the target's API server says of the token. Throws a `Failure` where it could not be asked. */
  readonly review: () => TokenStatus;
  /** A call from here with nothing but the secret, made where something about it is in doubt. */
  readonly call?: Answer | Problem;
}

/** What the API server answered to who logged in by a remote secret. */
export interface Answer {
  /** UID of its `kube-system`; `undefined` where it may not be read. */
  readonly uid: string | undefined;
  /** The rights that istiod would miss; absent: it was not asked for them. */
  readonly lacking?: readonly string[];
}

export interface Problem {
  readonly problem: string;
  /** `nobody`: there was no answer, which may be a matter of the way from here; `certificate`: it was not the expected one. */
  readonly by: "nobody" | "certificate" | "answer";
}

/**
 * Whether a call with what is the target's own CA came no further than the network that it was made from: nobody answered, or
 * a stranger did, whom a private address may belong to from here.
 * @param server the URL that was called @param own the one by which the target itself has answered here
 */
export function saysNothing({ by }: Problem, server: string, own: string | undefined): boolean {
  return by === "nobody" || (by === "certificate" && server !== own && isPrivate(server));
}

/** Makes a call with nothing but a remote secret's kubeconfig. */
export type Call = (kubeconfig: string, ask: (cluster: Cluster) => Promise<Answer>) => Promise<Answer | Problem>;

/** The same, to ask whatever. */
export type AnyCall = <T>(kubeconfig: string, ask: (cluster: Cluster) => Promise<T>) => Promise<T | Problem>;

/** What there is to ask who is called with a remote secret. @param rights whether its user's are to be looked at, too */
export const askWho =
  (rights: boolean) =>
  async (cluster: Cluster): Promise<Answer> => {
    const ref = { apiVersion: "v1", kind: "Namespace", name: "kube-system" };
    const uid = await cluster.get(ref).then(
      (found) => found?.metadata.uid,
      (error: unknown) => {
        if (error instanceof ApiError && error.status === 403) return undefined;
        throw error;
      },
    );
    return rights ? { uid, lacking: await lackingOwnRights(cluster) } : { uid };
  };

/** What an observer's istiod does not refuse in remote secrets. */
export function allowedIn({ istiod }: Observation): ReadonlySet<string> {
  return new Set((envOf(readable(istiod), INSECURE_OPTIONS) ?? "").split(","));
}

/** Whether the CA in a remote secret is none of those that the target's API server is known by in its own cluster. */
export function hasOtherCa({ ca }: RemoteKubeconfig, { rootCa }: Observation): boolean {
  const known = readable(rootCa) ?? "";
  if (ca === known) return false;
  const own = readableIn(known);
  const held = readableIn(ca);
  return own.length > 0 && held.length > 0 && !held.some((each) => own.some((other) => sameAuthority(each, other)));
}

/** The remote secrets that hold a target's key: istiod goes by the key, whatever the Secret's name. */
export function secretsFor({ remoteSecrets }: Observation, target: string): Secret[] {
  return remoteSecrets().filter(({ data }) => Object.keys(data ?? {}).includes(target));
}

/** The kubeconfig in the one remote secret for a target; `undefined` where there is not exactly one. */
export function remoteKubeconfig(observer: Observation, target: string): RemoteKubeconfig | undefined {
  const [secret, ...more] = secretsFor(observer, target);
  const text = more.length > 0 ? undefined : secretText(secret, target);
  return text === undefined ? undefined : parseRemoteKubeconfig(text);
}

/** The kubeconfig itself, as `remoteKubeconfig` finds it. */
export function remoteSecretText(observer: Observation, target: string): string | undefined {
  return secretText(secretsFor(observer, target)[0], target);
}

/** The checks of who reads whom. @param now for the tokens' validity */
export function remoteChecks(mesh: MeshSpec, now = new Date()): Judgements<RemoteView> {
  return {
    "remote.secret": (view) => oneSecret(mesh, view),
    "remote.kubeconfig": (view) => kubeconfigLeadsThere(mesh, view),
    "remote.token": (view) => tokenIsAccepted(mesh, view, now),
    "remote.synced": (view) => istiodHasRead(mesh, view),
  };
}

const RERUN = "Run the command `install`: it makes the remote secret anew.";

function oneSecret({ namespace }: MeshSpec, { observer, target }: RemoteView): Finding {
  const name = target.spec.name;
  const secrets = secretsFor(observer, name);
  const names = secrets.map(({ metadata }) => metadata.name);
  const reading = { source: `Secrets labelled istio/multiCluster=true in ${namespace}`, values: { holding: names } };
  const [secret, ...more] = secrets;
  if (!secret) {
    const meant = observer
      .remoteSecrets()
      .find(
        ({ metadata }) =>
          metadata.name === remoteSecretName(name) || metadata.annotations?.["networking.istio.io/cluster"] === name,
      );
    const stray = (readable(observer.strayRemoteSecrets) ?? []).find(({ data }) => name in (data ?? {}));
    if (stray) {
      const where = stray.metadata.namespace ?? namespace;
      const elsewhere = where !== namespace;
      const secret = `Secret ${where}/${stray.metadata.name} holds one for ${name}, but istiod does not look at it: `;
      return failed(
        `There is no remote secret for ${name}, so istiod does not read it. ${secret}${elsewhere ? `it is not in ${namespace}` : `it has no label ${REMOTE_SECRET_LABEL}=true`}.`,
        elsewhere
          ? RERUN
          : `In ${observer.spec.name}: kubectl -n ${namespace} label secret ${stray.metadata.name} ${REMOTE_SECRET_LABEL}=true. Or: ${RERUN}`,
        reading,
      );
    }
    const instead = meant
      ? ` Secret ${meant.metadata.name} holds ${Object.keys(meant.data ?? {}).join(", ") || "nothing"} instead, and istiod takes the key for the cluster's name.`
      : "";
    return failed(`There is no remote secret for ${name}, so istiod does not read it.${instead}`, RERUN, reading);
  }
  if (more.length > 0) {
    const keep = names.includes(remoteSecretName(name)) ? remoteSecretName(name) : names[0];
    const others = names.filter((each) => each !== keep);
    return failed(
      `There are ${secrets.length} remote secrets for ${name} (${names.join(", ")}): istiod takes the first that it sees and refuses the others.`,
      `Keep ${keep}. In ${observer.spec.name}: kubectl -n ${namespace} delete secret ${others.join(" ")}`,
      reading,
    );
  }
  const annotation = secret.metadata.annotations?.["networking.istio.io/cluster"];
  const warning =
    annotation !== undefined && annotation !== name
      ? `Secret ${secret.metadata.name} is annotated for ${annotation}, but holds the key ${name}, by which istiod goes.`
      : undefined;
  return {
    ...passed(`Secret ${secret.metadata.name} is the one for ${name}.`, reading),
    ...(warning ? { warning } : {}),
  };
}

function kubeconfigLeadsThere(mesh: MeshSpec, view: RemoteView): Finding {
  const finding = whereKubeconfigLeads(mesh, view);
  const { name } = view.target.spec;
  const kubeconfig = remoteKubeconfig(view.observer, name);
  if (finding.verdict !== "passed" || !kubeconfig) return finding;
  if (!kubeconfig.insecure) {
    const { call } = view.access;
    if (!hasOtherCa(kubeconfig, view.target) || !call || "uid" in call || call.by !== "nobody") return finding;
    const warning = `The CA in the remote secret for ${name} is another than its API server is known by in its own cluster, and whether it fits ${kubeconfig.server} could not be tried from here: ${call.problem}`;
    return { ...finding, warning };
  }
  const warning = `The remote secret for ${name} turns off the verification of its API server's certificate: whoever answers in its place gets what istiod logs in with.`;
  return { ...finding, warning };
}

function whereKubeconfigLeads(mesh: MeshSpec, { observer, target, access }: RemoteView): Finding {
  const { name } = target.spec;
  const kubeconfig = remoteKubeconfig(observer, name);
  if (!kubeconfig) return unknown(`There is no single remote secret for ${name} to look into.`, RERUN);
  const { server, tlsServerName } = kubeconfig;
  const problems = unfit(kubeconfig, allowedIn(observer));
  const reading = {
    source: `remote secret for ${name}`,
    values: { server, ...(tlsServerName ? { tlsServerName } : {}) },
  };
  if (problems.length > 0)
    return failed(`istiod cannot use the remote secret for ${name}: ${problems.join(" ")}`, RERUN, reading);
  if (isLoopback(server)) {
    return failed(
      `The remote secret for ${name} names ${server}, a loopback address: istiod would ask itself.`,
      "Set the input `api-server` of that cluster to a URL that the others reach, and run the command `install`.",
      reading,
    );
  }
  const call = access.call;
  const refused = call && "problem" in call && call.by === "certificate" && !kubeconfig.insecure;
  if (refused && (hasOtherCa(kubeconfig, target) || !saysNothing(call, server, target.answeredAt))) {
    return failed(
      `The CA in the remote secret for ${name} is not the one of the API server at ${server}: ${call.problem} An istiod goes on as if all were well until it next connects.`,
      RERUN,
      reading,
    );
  }
  const known = target.servers().includes(server.replace(/\/+$/, ""));
  if (call && "uid" in call && call.uid !== undefined) {
    if (call.uid !== target.uid()) {
      return failed(
        `The remote secret for ${name} leads to another cluster: ${server} is not ${name}'s API server.`,
        RERUN,
        { ...reading, values: { ...reading.values, answeredByUid: call.uid, expectedUid: target.uid() } },
      );
    }
    return passed(
      `${server} is ${name}'s API server: it was called with the secret, and its UID is ${name}'s.`,
      reading,
    );
  }
  if (known) return passed(`${server} is ${name}'s API server.`, reading);
  const synced = observer.views().every((view) => statusOf(view, name) === "synced");
  if (synced && observer.views().length > 0) {
    return passed(`${server} is not an address that is known here, but istiod has read ${name} by it.`, reading);
  }
  return failed(
    `The remote secret for ${name} names the server ${server}, which is none of ${name}'s (${target.servers().join(", ")})${call && "problem" in call ? ` and cannot be used from here either: ${call.problem.replace(/\.$/, "")}` : ""}.`,
    `If ${server} is right, let ${mesh.namespace}'s istiod reach it; else: ${RERUN}`,
    reading,
  );
}

function tokenIsAccepted(_: MeshSpec, { observer, target, access }: RemoteView, now: Date): Finding {
  const { name } = target.spec;
  const kubeconfig = remoteKubeconfig(observer, name);
  if (!kubeconfig?.login)
    return unknown(`There is no single remote secret for ${name} with something to log in with.`, RERUN);
  if (kubeconfig.login !== "token") return loginIsAccepted(name, kubeconfig.login, access);
  const claims = tokenClaims(kubeconfig.token);
  const expiry = claims.expires;
  const left = expiry ? expiry.getTime() - now.getTime() : undefined;
  const { authenticated, username, error } = access.review();
  const reading = {
    source: `TokenReview by ${name}`,
    values: {
      authenticated,
      ...(username ? { username } : {}),
      expires: expiry?.toISOString() ?? "never",
      ...(left === undefined ? {} : { secondsLeft: Math.max(0, Math.round(left / 1000)) }),
    },
  };
  if (!authenticated && access.call && "uid" in access.call && [undefined, target.uid()].includes(access.call.uid)) {
    return passed(
      `${name} itself does not know the token in the remote secret for it, but a call with it by ${kubeconfig.server} is answered: what stands before the API server takes it.`,
      reading,
    );
  }
  const isProxys = !target.servers().includes(kubeconfig.server.replace(/\/+$/, ""));
  if (!authenticated && isProxys && access.call && "problem" in access.call && access.call.by === "nobody") {
    return unknown(
      `${name} itself does not know the token in the remote secret for it, and whether ${kubeconfig.server} takes it could not be tried from here: ${access.call.problem}`,
      "See whether istiod goes on reading it: istioctl remote-clusters",
      reading,
    );
  }
  if (!authenticated) {
    const past =
      expiry && expiry <= now
        ? `It expired on ${expiry.toISOString()}.`
        : "Its Secret or its account was deleted, or it is from another cluster.";
    return failed(
      `${name} does not accept the token in the remote secrets for it${error ? ` (${error.replace(/^\[|\]$/g, "")})` : ""}. ${past} An istiod goes on as if all were well until it next connects.`,
      RERUN,
      reading,
    );
  }
  const warning =
    left !== undefined && left < earlyWarning(claims)
      ? `The token in the remote secrets for ${name} expires in ${span(left)}; the commands \`install\` and \`rotate\` renew it.`
      : undefined;
  const end = expiry && left !== undefined ? `expires in ${span(left)}, at ${expiry.toISOString()}` : "never expires";
  return {
    ...passed(`${name} accepts the token as ${username}; it ${end}.`, reading),
    ...(warning ? { warning } : {}),
  };
}

/** What is no token cannot be reviewed: it is tried, unless it is of istiod's container alone. */
function loginIsAccepted(name: string, login: Login, { call }: Access): Finding {
  if (login === "command" || login === "file") {
    return skipped(
      `istiod logs in to ${name} by a ${login} of its own container, as ${INSECURE_OPTIONS} lets it: what it gets by it cannot be tried from here. Whether it reads ${name} is told by remote.synced and remote.endpoints.`,
    );
  }
  const reading = { source: `a call of ${name} with the remote secret`, values: { login, ...call } };
  if (call && "uid" in call) return passed(`${name} accepts the ${login} in the remote secret for it.`, reading);
  const why = call ? `: ${call.problem}` : ".";
  return unknown(
    `The remote secret for ${name} holds no token but a ${login}, and whether that is accepted could not be tried from here${why}`,
    "See whether istiod goes on reading it: istioctl remote-clusters",
    reading,
  );
}

function istiodHasRead({ namespace }: MeshSpec, { observer, target, access }: RemoteView): Finding {
  const { name } = target.spec;
  const views = observer.views();
  if (views.length === 0) return unknown("No pod of istiod runs that could be asked.", "");
  const states = views.map((view) => ({ view, pod: view.pod, status: statusOf(view, name) }));
  const closed = views.filter(({ metrics }) => metrics);
  const reading = {
    source: `pilot-discovery request GET ${closed.length > 0 ? "/metrics" : "/debug/clusterz"}`,
    values: Object.fromEntries(states.map(({ pod, status }) => [pod, status])),
  };
  const known = ["synced", "syncing", "timeout", "closed", NOT_REGISTERED];
  const unasked = states.filter(({ status }) => !known.includes(status));
  const not = states.filter(({ status }) => known.includes(status) && status !== "synced");
  if (not.length > 0) {
    const call =
      access.call && "problem" in access.call ? ` A call from here with the same secret: ${access.call.problem}` : "";
    // istiod looks at a Secret when it changes: one that it refused, as the second for a cluster, it does not come back to.
    const [secret] = not.every(({ status }) => status === NOT_REGISTERED) ? secretsFor(observer, name) : [];
    const here = `In ${observer.spec.name}: kubectl -n ${namespace}`;
    const log = `${here} logs -l app=istiod --tail=-1 | grep ${name}`;
    return failed(
      `istiod has not read ${name}: ${not.map(({ pod, status }) => `${pod} says ${status}`).join(", ")}.${call}`,
      secret
        ? `Make istiod look at the Secret once more. ${here} annotate secret ${secret.metadata.name} looked-at="$(date)" --overwrite. If it stays so, restart istiod: kubectl -n ${namespace} rollout restart deployment -l app=istiod`
        : `Does istiod reach ${name}'s API server, and are token and CA in the remote secret right? ${log}`,
      reading,
    );
  }
  const names = states.map(({ pod }) => pod).join(", ");
  const remotes = new Set(observer.remoteSecrets().flatMap(({ data }) => Object.keys(data ?? {}))).size;
  if (unasked.length > 0 && unasked.every(({ view }) => managesAll(view, remotes))) {
    const evidence = `${names} ${states.length === 1 ? "manages" : "manage"} ${count(remotes, "remote cluster")}, as many as there are remote secrets, and took too long to read none.`;
    const warning = `That istiod of ${observer.spec.name} has read ${name} is told by its metrics alone: its debug interface is closed (${DEBUG_SWITCH}).`;
    return { ...passed(evidence, reading), warning };
  }
  if (unasked.length > 0) {
    const [first] = unasked;
    return unknown(
      `${first?.pod} could not be asked what it has read: ${first?.status}.`,
      first?.view.metrics
        ? `By its metrics it manages ${first.view.metrics.remotes} of ${count(remotes, "remote cluster")}. Look into its log: kubectl -n ${namespace} logs ${first.pod} | grep ${name}`
        : "The kubeconfig's user needs `get` and `create` on pods/exec there.",
      reading,
    );
  }
  const by = closed.length > 0 ? ", by its metrics" : "";
  return passed(`${names} ${states.length === 1 ? "reports" : "report"} ${name} synced${by}.`, reading);
}

/** What a `Failure` of a call says. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof Failure)) throw error;
  const by =
    error instanceof Distrusted ? "certificate" : error instanceof ApiError && !error.down ? "answer" : "nobody";
  return { problem: error.message, by };
}
