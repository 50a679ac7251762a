import type { Cluster } from "../cluster/cluster.ts";
import { isLoopback } from "../cluster/kubeconfig.ts";
import { DEBUG_SWITCH } from "../facts/debug.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { ownership } from "../mesh/objects/ownership.ts";
import { remoteSecretName, type Secret, secretText } from "../mesh/objects/secrets.ts";
import { type Login, parseRemoteKubeconfig, type RemoteKubeconfig } from "../mesh/remote-kubeconfig.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { earlyWarning, span, tokenClaims } from "../mesh/token.ts";
import { count } from "../mesh/words.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import { managesAll, NOT_REGISTERED, statusOf } from "./istiod.ts";
import { matches, type Observation } from "./observation.ts";
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
  readonly call?: { readonly uid: string } | { readonly problem: string };
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
  if (finding.verdict !== "passed" || !remoteKubeconfig(view.observer, name)?.insecure) return finding;
  const warning = `The remote secret for ${name} turns off the verification of its API server's certificate: whoever answers in its place gets what istiod logs in with.`;
  return { ...finding, warning };
}

function whereKubeconfigLeads(mesh: MeshSpec, { observer, target, access }: RemoteView): Finding {
  const { name } = target.spec;
  const kubeconfig = remoteKubeconfig(observer, name);
  if (!kubeconfig) return unknown(`There is no single remote secret for ${name} to look into.`, RERUN);
  const { server, tlsServerName, problems } = kubeconfig;
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
  const known = target.servers().includes(server.replace(/\/+$/, ""));
  if (call && "uid" in call) {
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
    `The remote secret for ${name} names the server ${server}, which is none of ${name}'s (${target.servers().join(", ")})${call ? ` and cannot be used from here either: ${call.problem.replace(/\.$/, "")}` : ""}.`,
    `If ${server} is right, let ${mesh.namespace}'s istiod reach it; else: ${RERUN}`,
    reading,
  );
}

function tokenIsAccepted(_: MeshSpec, { observer, target, access }: RemoteView, now: Date): Finding {
  const { name } = target.spec;
  const kubeconfig = remoteKubeconfig(observer, name);
  if (!kubeconfig?.login)
    return unknown(`There is no single remote secret for ${name} with something to log in with.`, RERUN);
  if (!kubeconfig.token) return loginIsAccepted(name, kubeconfig.login, access);
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

/** What is no token cannot be reviewed: it is tried. */
function loginIsAccepted(name: string, login: Login, { call }: Access): Finding {
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

/** What istiod reads of another cluster (pilot/pkg/serviceregistry/kube/controller): without these there is no endpoint. */
const NEEDED = [
  { group: "", resource: "services" },
  { group: "", resource: "pods" },
  { group: "", resource: "nodes" },
  { group: "", resource: "namespaces" },
  { group: "discovery.k8s.io", resource: "endpointslices" },
] as const;

/** What the account lacks of what istiod needs, as `list pods`. */
export async function lackingRights(cluster: Cluster, username: string): Promise<string[]> {
  const [, namespace, account] = /^system:serviceaccount:([^:]+):(.+)$/.exec(username) ?? [];
  const groups = [
    "system:authenticated",
    ...(account ? ["system:serviceaccounts", `system:serviceaccounts:${namespace}`] : []),
  ];
  const wanted = NEEDED.flatMap((resource) => ["list", "watch"].map((verb) => ({ ...resource, verb })));
  const answers = await Promise.all(
    wanted.map((resourceAttributes) =>
      cluster.create<KubernetesObject & { status?: { allowed?: boolean } }>({
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        metadata: { name: "" },
        spec: { user: username, groups, resourceAttributes },
      }),
    ),
  );
  return wanted.filter((_, i) => !answers[i]?.status?.allowed).map(({ verb, resource }) => `${verb} ${resource}`);
}

/** Whether the accounts that the others read a target as may do so. @param lacking by the account's name */
export function readerMayRead(lacking: ReadonlyMap<string, readonly string[]>): Finding {
  if (lacking.size === 0)
    return skipped("No other cluster has a token that is accepted, so there is no account to look at.");
  const values = Object.fromEntries(
    [...lacking].map(([user, rights]) => [user, rights.length === 0 ? "all" : `not ${rights.join(", ")}`]),
  );
  const reading = { source: "SubjectAccessReview", values };
  const poor = [...lacking].filter(([, rights]) => rights.length > 0);
  if (poor.length === 0) return passed(`${[...lacking.keys()].join(", ")} may read what istiod needs.`, reading);
  const list = poor.map(([user, rights]) => `${user} may not ${rights.join(", ")}`).join("; ");
  return failed(
    `The other clusters may not read this one: ${list}. An istiod goes on with what it has read before, and misses every change.`,
    "Run the command `install`: it binds the reader account to its role. Or see who removed it: kubectl get clusterrolebindings | grep istio-reader",
    reading,
  );
}

/** A remote secret for a cluster that is not in the list, or for the cluster that holds it. */
export interface Stranger {
  readonly secret: Secret;
  readonly clusters: readonly string[];
  /** This action made it for this mesh, and it holds nothing else: it may be removed. */
  readonly ours: boolean;
}

/** The strangers among a cluster's remote secrets. That a cluster cannot be reached makes it none: the list counts. */
export function strangersAmong(mesh: MeshSpec, name: string, remoteSecrets: readonly Secret[]): Stranger[] {
  const others = mesh.clusters.map((cluster) => cluster.name).filter((each) => each !== name);
  const ownLabels = ownership(mesh, "remote-secret");
  return remoteSecrets.flatMap((secret): Stranger | [] => {
    const keys = Object.keys(secret.data ?? {});
    const clusters = keys.filter((key) => !others.includes(key));
    if (clusters.length === 0) return [];
    const ours = clusters.length === keys.length && !clusters.includes(name);
    return { secret, clusters, ours: ours && matches(ownLabels, secret.metadata.labels) };
  });
}

/** What is to be said of a cluster's strangers, of which there is one at least. */
export function strangersLeft({ namespace }: MeshSpec, name: string, strangers: readonly Stranger[]): Finding {
  const told = strangers.flatMap(({ secret, clusters }) =>
    clusters.map((each) =>
      each === name
        ? `${secret.metadata.name} for ${each}, which is this cluster itself`
        : `${secret.metadata.name} for ${each}`,
    ),
  );
  const others = strangers.filter(({ ours }) => !ours).map(({ secret }) => secret.metadata.name);
  const ways = [
    ...(others.length < strangers.length ? ["run `install` with `prune: true`"] : []),
    ...(others.length > 0 ? [`kubectl -n ${namespace} delete secret ${others.join(" ")}`] : []),
  ];
  return failed(
    `There is a remote secret for a cluster that is not in the list: ${told.join("; ")}. istiod goes on reading it.`,
    `If it has left the mesh: ${ways.join("; and ")}; else add it to the input \`clusters\`.`,
  );
}

/** Whether all remote secrets are for clusters of the mesh, and none for the cluster itself. */
export function noStrangers(
  mesh: MeshSpec,
  { spec, remoteSecrets }: Pick<Observation, "spec" | "remoteSecrets">,
): Finding {
  const secrets = remoteSecrets();
  const entries = secrets.flatMap(({ metadata, data }) => Object.keys(data ?? {}).map((key) => [key, metadata.name]));
  const reading = {
    source: `Secrets labelled istio/multiCluster=true in ${mesh.namespace}`,
    values: Object.fromEntries(entries),
  };
  const strangers = strangersAmong(mesh, spec.name, secrets);
  const finding =
    strangers.length === 0
      ? passed("Every remote secret is for a cluster of this mesh.")
      : strangersLeft(mesh, spec.name, strangers);
  return { ...finding, readings: [reading] };
}

/** What a `Failure` says, for `Access.call`. */
export function problemOf(error: unknown): { readonly problem: string } {
  if (error instanceof Failure) return { problem: error.message };
  throw error;
}
