// What is seen of a cluster whose root of trust is changed.
import type { X509Certificate } from "node:crypto";
import { ISTIOD } from "../checks/istiod.ts";
import { isActive } from "../checks/pods.ts";
import { oldRoots, type SecretRoots, secretRoots, servedSince, standing } from "../checks/root-change.ts";
import type { Member } from "../cluster/member.ts";
import { proxyOf } from "../facts/proxies.ts";
import { readProxySecrets } from "../facts/proxy-trust.ts";
import { type Bundle, readBundle } from "../facts/trust.ts";
import { chainTo, sameAuthority } from "../mesh/certificates/chain.ts";
import { info, readableIn } from "../mesh/certificates/pem.ts";
import { Failure } from "../mesh/failure.ts";
import { GATEWAY_NAME } from "../mesh/objects/gateway.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import {
  type ClusterRoots,
  DEFAULT_TTL,
  KUBELET,
  type ProxyTrust,
  type RootPhase,
  renewalOf,
  renewedBy,
} from "../mesh/root-change.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";

/** In milliseconds. */
export interface ChangeTimes {
  /** How long a changed `cacerts` may take to be taken up without a restart. */
  readonly reload: number;
  /** See `KUBELET`. */
  readonly kubelet: number;
  /** By how much clocks may differ. */
  readonly skew: number;
  /** What a run waits for itself; longer is left to the next one. */
  readonly waited: number;
}

/** The kubelet's sync takes a minute and a half at most, and istiod a moment. */
export const TIMES: ChangeTimes = { reload: 120_000, kubelet: KUBELET, skew: 60_000, waited: 300_000 };
/** So many proxies are asked in each cluster, so many at a time; of more, the time is waited for that they take at most. */
const ASKED = 300;
const AT_A_TIME = 8;

export type Seen = ClusterRoots & { readonly phase: RootPhase | undefined };

/** A cluster, and what was seen of its proxies: what one has learned it does not forget. */
export class View {
  readonly mesh: MeshSpec;
  readonly member: Member;
  readonly fresh: X509Certificate;
  readonly times: ChangeTimes;
  /** SHA-256 of the roots that are to go, as far as this cluster knows them. */
  old: readonly string[] = [];
  /** By the pod's UID. */
  readonly #trusting = new Set<string>();
  readonly #renewed = new Set<string>();

  constructor(mesh: MeshSpec, member: Member, fresh: X509Certificate, times: ChangeTimes) {
    this.mesh = mesh;
    this.member = member;
    this.fresh = fresh;
    this.times = times;
  }

  async secrets(): Promise<SecretRoots> {
    const { cluster } = this.member;
    const secret = (name: string) =>
      cluster.get<Secret>({ apiVersion: "v1", kind: "Secret", namespace: this.mesh.namespace, name });
    const [plugged, own] = await Promise.all([secret("cacerts"), secret("istio-ca-secret")]);
    const seen = secretRoots(plugged, own);
    if (!seen)
      throw new Failure(`What signs there cannot be read from the Secret ${this.mesh.namespace}/cacerts any more.`);
    return seen;
  }

  async inEffect(): Promise<Bundle> {
    const { cluster } = this.member;
    const { namespace } = this.mesh;
    const query = { apiVersion: "apps/v1", kind: "Deployment", namespace, labelSelector: ISTIOD };
    const [istiod] = await cluster.list<Deployment>(query);
    return readBundle(cluster, namespace, istiod, undefined);
  }

  async look(): Promise<Seen> {
    const [seen, bundle] = await Promise.all([this.secrets(), this.inEffect()]);
    const { holds, signsFresh, phase } = standing(seen, this.fresh);
    this.old = [...(seen.note?.from ?? []), ...oldRoots(seen, this.fresh).map((each) => info(each).sha256)];
    const served = servedSince(seen, phase, readableIn(bundle.pem ?? ""));
    const takesPart = served && (phase === 1 || phase === 2);
    const proxies = takesPart ? await this.#proxies(served, phase) : [];
    return { cluster: this.member.spec.name, holds, signsFresh, served, proxies, phase };
  }

  async pods(): Promise<Pod[]> {
    return (await this.member.cluster.list({ apiVersion: "v1", kind: "Pod" })) as unknown as Pod[];
  }

  async #proxies(served: Date, phase: 1 | 2): Promise<ProxyTrust[]> {
    const known = phase === 1 ? this.#trusting : this.#renewed;
    const pods = (await this.pods()).filter((pod) => isActive(pod));
    const ambient = pods.find(({ spec }) => spec?.containers.some(({ args }) => args?.includes("ztunnel")));
    if (ambient)
      throw new Failure(
        `Ambient's node proxies run (${ambient.metadata.namespace}/${ambient.metadata.name}): when they learn of a root is not known here.`,
        "Change the root of a mesh with ambient workloads by hand.",
      );
    const all = pods.flatMap((pod) => {
      const proxy = proxyOf(pod);
      // One that has not come up takes what istiod has when it does.
      if (!proxy?.started || (proxy.controlPlane ?? this.mesh.namespace) !== this.mesh.namespace) return [];
      // The gateway between the networks passes on what it cannot read, and shows nobody a certificate.
      if (proxy.namespace === this.mesh.namespace && pod.metadata.labels?.app === GATEWAY_NAME) return [];
      return { proxy, started: proxy.started, uid: pod.metadata.uid ?? "", name: `${proxy.namespace}/${proxy.pod}` };
    });
    const isSince = (started: Date) => started.getTime() > served.getTime() + this.times.skew;
    const late = all.filter(({ started, uid }) => !isSince(started) && !known.has(uid));
    const asked = new Map<string, ProxyTrust>();
    const queue = late.slice(0, ASKED);
    const ask = async () => {
      for (let each = queue.shift(); each; each = queue.shift()) asked.set(each.uid, await this.#ask(each));
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, ask));
    return all.map(({ proxy, started, uid, name }): ProxyTrust => {
      if (isSince(started) || known.has(uid)) return { name, trusts: true, renewed: true, by: undefined };
      const told = asked.get(uid);
      if (told && (phase === 1 ? told.trusts : told.renewed) !== undefined) return told;
      // It does not say. By then it has asked for a certificate anew.
      const by = renewedBy(served, Math.max(proxy.secretTtl ?? DEFAULT_TTL, 0));
      const done = Date.now() > by.getTime() ? true : undefined;
      return { name, trusts: done, renewed: done, by };
    });
  }

  async #ask({ proxy, uid, name }: { proxy: { namespace: string; pod: string }; uid: string; name: string }) {
    const secrets = await readProxySecrets(this.member.cluster, proxy.namespace, proxy.pod);
    if (!secrets) return { name, trusts: undefined, renewed: undefined, by: undefined };
    const trusts = secrets.roots.some((each) => sameAuthority(each, this.fresh));
    const renewed = chainTo([this.fresh], secrets.own) !== undefined;
    if (trusts) this.#trusting.add(uid);
    if (renewed) this.#renewed.add(uid);
    return { name, trusts, renewed, by: renewalOf(secrets.own.certificate) };
  }
}
