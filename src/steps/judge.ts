import {
  clusterDomainsGoTogether,
  controlPlaneChecks,
  trustDomainsGoTogether,
  versionsGoTogether,
} from "../checks/control-plane.ts";
import { type Judgements, judged, unknown } from "../checks/finding.ts";
import { gatewayChecks } from "../checks/gateway.ts";
import { statusOf } from "../checks/istiod.ts";
import { expiredProbes, nothingLeft } from "../checks/leftovers.ts";
import type { Observation } from "../checks/observation.ts";
import { type Part, part, readable } from "../checks/part.ts";
import { distinct } from "../checks/preflight.ts";
import { lackingRights, readerMayRead } from "../checks/reader.ts";
import {
  type Access,
  allowedIn,
  askWho,
  type Call,
  hasOtherCa,
  type RemoteView,
  remoteChecks,
  remoteKubeconfig,
  remoteSecretText,
} from "../checks/remote-access.ts";
import { noStrangers } from "../checks/strangers.ts";
import { reviewsOnce, type TokenStatus } from "../checks/tokens.ts";
import type { Member } from "../cluster/member.ts";
import type { CheckId } from "../mesh/catalogue.ts";
import { Failure } from "../mesh/failure.ts";
import { unfit } from "../mesh/remote-kubeconfig.ts";
import type { Finding, Subject } from "../mesh/report.ts";
import { type MeshSpec, orderedPairs } from "../mesh/spec.ts";
import { tokenClaims } from "../mesh/token.ts";
import { removeProbe } from "./probe.ts";
import type { Run } from "./run.ts";

type Seen = Promise<Observation>;
type SeenOf = (member: Member) => Seen;

/** Loaded while the clusters answer, for what reads a certificate's extensions is large. */
export const trust = () => import("../checks/trust.ts");

/**
 * The checks that concern one cluster alone.
 * @param mayRemove whether probes that a killed run left may be removed
 * @param inNetwork what is seen of the other clusters of its network
 */
export async function judgeCluster(
  run: Run,
  mesh: MeshSpec,
  { spec, cluster }: Member,
  seeing: Seen,
  mayRemove: boolean,
  inNetwork: readonly Seen[],
): Promise<void> {
  const subject = { cluster: spec.name };
  const [seen, { trustChecks }] = await Promise.all([seeing, trust()]);
  const checks: Judgements<Observation> = { ...controlPlaneChecks(mesh), ...trustChecks(mesh) };
  judgeAll(run, subject, checks, seen);
  // Only one that has no gateway of its own waits for the others of its network.
  const peers = (readable(seen.gateways)?.services.length ?? 0) > 0 ? [] : await Promise.all(inNetwork);
  judgeAll(run, subject, gatewayChecks(mesh, peers), seen);
  judgeAll(run, subject, { "remote.strangers": (each) => noStrangers(mesh, each) }, seen);
  const removed: string[] = [];
  if (mayRemove) {
    for (const { metadata } of readable(() => expiredProbes(seen)) ?? []) {
      const removal = await part(removeProbe(cluster, metadata.name, metadata.uid));
      if (readable(() => [removal()])) removed.push(metadata.name);
    }
  }
  judgeAll(run, subject, { "leftover.objects": (each) => nothingLeft(mesh, each, removed) }, seen);
}

/** The checks that compare the clusters. */
export async function judgeMesh(run: Run, mesh: MeshSpec, members: readonly Member[], seenOf: SeenOf): Promise<void> {
  const [all, { sameRoot }] = await Promise.all([Promise.all(members.map(seenOf)), trust()]);
  const compare = (look: (all: readonly Observation[]) => Finding): Finding => {
    const told = all.filter((seen) => judged(() => look([seen])).verdict !== "unknown");
    const missing = mesh.clusters
      .map(({ name }) => name)
      .filter((name) => !told.some(({ spec }) => spec.name === name));
    const finding = told.length > 1 ? look(told) : undefined;
    if (finding?.verdict === "failed" || (finding && missing.length === 0)) return finding;
    const some = all.find((seen) => missing.includes(seen.spec.name));
    const why = some ? judged(() => look([some])).cause : undefined;
    return {
      ...unknown(
        `It could not be looked at in ${missing.join(", ")}, so the clusters could not be compared.${why ? ` ${why}` : ""}`,
        "",
      ),
      clusters: missing,
    };
  };
  run.judge(
    "cluster.distinct",
    {},
    compare((each) => distinct(new Map(each.map(({ spec, uid }) => [spec.name, uid()])))),
  );
  run.judge("control-plane.versions", {}, compare(versionsGoTogether));
  run.judge("control-plane.trust-domain", {}, compare(trustDomainsGoTogether));
  run.judge("control-plane.cluster-domain", {}, compare(clusterDomainsGoTogether));
  run.judge(
    "trust.same-root",
    {},
    compare((each) => sameRoot(mesh, each)),
  );
}

/** The checks of who reads whom, and of what the readers may. */
export async function judgePairs(
  run: Run,
  mesh: MeshSpec,
  members: readonly Member[],
  seenOf: SeenOf,
  call: Call,
): Promise<void> {
  const member = (name: string) => members.find(({ spec }) => spec.name === name) as Member;
  const review = reviewsOnce();
  const calls = new Map<string, ReturnType<Call>>();
  /** So is its kubeconfig called, where it is in doubt. */
  const callOnce: Call = (kubeconfig, ask) => {
    const known = calls.get(kubeconfig) ?? call(kubeconfig, ask);
    calls.set(kubeconfig, known);
    return known;
  };

  const users = await Promise.all(
    orderedPairs(members.map(({ spec }) => spec.name)).map(async (pair) => {
      const [observer, target] = await Promise.all([seenOf(member(pair.observer)), seenOf(member(pair.target))]);
      const { token, secrets = [] } = readable(() => remoteKubeconfig(observer, pair.target)) ?? {};
      for (const secret of secrets) run.secret(secret);
      if (token) {
        const { expires } = tokenClaims(token);
        if (expires) run.tokenExpires(expires);
      }
      const access = await tryAccess(observer, target, (token) => part(review(member(pair.target), token)), callOnce);
      judgeAll<RemoteView>(run, pair, remoteChecks(mesh), { observer, target, access });
      return { target: pair.target, ...readerOf(observer, pair.target, access) };
    }),
  );

  await Promise.all(
    members.map(async (target) => {
      const { name } = target.spec;
      const own = users.filter((user) => user.target === name);
      const readers = new Map(own.flatMap(({ status }) => (status?.username ? [[status.username, status]] : [])));
      const rights = await part(
        Promise.all(
          [...readers].map(async ([user, status]) => [user, await lackingRights(target.cluster, status)] as const),
        ),
      );
      const { answeredAt } = await seenOf(target);
      const tried = own.flatMap(({ login = "", lacking }) => (lacking ? [[login, lacking] as const] : []));
      const untried = own.flatMap(({ login, lacking }) => (login && !lacking ? login : []));
      const finding = answeredAt
        ? judged(() => readerMayRead(new Map([...rights(), ...tried]), untried))
        : unknown(`It could not be looked at: ${name} did not answer.`, "");
      run.judge("remote.reader", { cluster: name }, finding);
    }),
  );
}

interface Reader {
  /** Of a token that the target knows. */
  readonly status?: TokenStatus;
  /** What else is logged in with, in words, and what it lacks, where it could be tried. */
  readonly login?: string;
  readonly lacking?: readonly string[];
}

/** As whom an observer's istiod reads the target; nothing where it does not, or not in a way that can be tried. */
function readerOf(observer: Observation, target: string, { review, call }: Access): Reader {
  const status = readable(review);
  if (status?.authenticated) return { status };
  const kubeconfig = readable(() => remoteKubeconfig(observer, target));
  const kind = kubeconfig?.login;
  if (!kubeconfig || !kind || kind === "command" || kind === "file") return {};
  if (unfit(kubeconfig, allowedIn(observer)).length > 0) return {};
  const login = `the ${kind} in ${observer.spec.name}'s remote secret`;
  if (call && "uid" in call && call.lacking) return { login, lacking: call.lacking };
  // A token that is refused is told as that.
  return kind === "token" ? {} : { login };
}

async function tryAccess(
  observer: Observation,
  target: Observation,
  review: (token: string) => Promise<Part<TokenStatus>>,
  call: Call,
): Promise<Access> {
  const { name } = target.spec;
  const kubeconfig = readable(() => remoteKubeconfig(observer, name));
  const none = (why: string) => (): never => {
    throw new Failure(why);
  };
  if (!kubeconfig) return { review: none(`There is no single remote secret for ${name} to look into.`) };
  if (!target.answeredAt) return { review: none(`${name} could not be asked about the token: it did not answer.`) };
  const known = readable(target.servers)?.includes(kubeconfig.server) ?? false;
  const synced = readable(observer.views)?.every((view) => statusOf(view, name) === "synced") ?? false;
  const text = remoteSecretText(observer, name);
  const { token } = kubeconfig;
  const reviewed = token ? await review(token) : none(`There is no token for ${name} to look at.`);
  const isAccepted = readable(reviewed)?.authenticated === true;
  const isFit =
    unfit(kubeconfig, allowedIn(observer)).length === 0 && !["command", "file"].includes(kubeconfig.login ?? "");
  const doubtful = !known || !synced || !isAccepted || hasOtherCa(kubeconfig, target);
  const called = isFit && doubtful && text !== undefined ? await call(text, askWho(!isAccepted)) : undefined;
  return { review: reviewed, ...(called ? { call: called } : {}) };
}

/** Notes what each check finds. */
function judgeAll<T>(run: Run, subject: Subject, checks: Judgements<T>, seen: T): void {
  for (const [id, check] of Object.entries(checks))
    run.judge(
      id as CheckId,
      subject,
      judged(() => check(seen)),
    );
}
