import "reflect-metadata";
import { describe, expect, test, vi } from "vitest";
import { OWNER } from "../../src/mesh/claim.ts";
import { encode } from "../embedded/controllers/support.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { serviceAccountToken } from "../embedded/reviews.ts";
import {
  failures,
  NAMESPACE,
  notPassed,
  type Outcome,
  proven,
  resourceVersions,
  runInstall,
  runRotate,
  runVerify,
  text,
  writes,
} from "./mesh.ts";
import { expectAllGood, heldToken, joinedClusters, remotes, secretRef, TOKEN, tokenSecrets } from "./tokens.ts";

const READER = "istio-reader-service-account";
const TTL = { mesh: { tokenTtl: 7_200 } };

const joined = joinedClusters();

const istiodPods = (kube: Kube): string[] =>
  kube.list("v1", "Pod", NAMESPACE).flatMap(({ metadata }) => (metadata.labels.app === "istiod" ? metadata.name : []));
const check = ({ report }: Outcome, id: string, cluster = "cluster1"): Json =>
  report.checks.find((each) => each.id === id && Object.values(each.subject)[0] === cluster);

describe("a mesh whose tokens do not expire", () => {
  test("has new ones everywhere, and the old ones are gone; install then finds nothing to do", async () => {
    const kubes = await joined(3);
    const before = remotes(kubes);
    const pods = kubes.map(istiodPods);
    const outcome = await runRotate(kubes, { verification: { traffic: true } });
    expect(notPassed(outcome)).toEqual([]);
    expect(outcome.report.changed).toBe(true);
    expect(outcome.istioctl).toEqual([]);

    const after = remotes(kubes);
    expect(after.map(({ token }) => token).filter((token) => before.some((old) => old.token === token))).toEqual([]);
    for (const { target, token } of before) expect(target.userOf(token)).toBeUndefined();
    expectAllGood(kubes);
    expect(kubes.map(tokenSecrets)).toEqual(kubes.map(() => [`${TOKEN}-2`]));
    for (const { token } of after) expect(outcome.secrets).toContain(token);
    expect(kubes.map(istiodPods)).toEqual(pods);
    expect(check(outcome, "rotate.adopted").evidence).toMatch(
      /^istiod-\S+ has logged the change; it reports cluster[23] synced/,
    );

    const versions = kubes.map(resourceVersions);
    const again = await runInstall(kubes, { verification: { traffic: false } });
    expect(notPassed(again).filter((line) => !line.startsWith("skipped"))).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(kubes.map(resourceVersions)).toEqual(versions);
  });

  test("keeps the old token until every istiod has the new one", async () => {
    const [one, two] = await joined();
    const old = heldToken(one, 2);
    two.intercept(({ method, path }) => {
      const holding = remotes([one, two]).every(({ target, token }) => target.userOf(token));
      return method === "DELETE" && path.includes(TOKEN) && (!holding || heldToken(one, 2) === old)
        ? { status: 418 }
        : undefined;
    });
    // An istiod that cannot be asked is not known to have anything.
    one.intercept(({ path }) => (path.includes("/exec") ? { status: 500 } : undefined));
    const outcome = await runRotate([one, two], {
      // All else is over: what is left is that istiod, and the token that waits for it.
      endWhen: ({ open, seen }) => open === 2 && seen.some((each) => each.includes("could not be asked")),
    });
    expect(outcome.report.result).toBe("failed");
    expect(failures(outcome)).toEqual([
      expect.stringMatching(/rotate\.adopted cluster1 → cluster2: .*could not be asked/),
    ]);
    expect(check(outcome, "rotate.retired", "cluster2")).toMatchObject({ verdict: "skipped" });
    expect(two.userOf(old)).toBeDefined();
    expect(tokenSecrets(two)).toEqual([TOKEN, `${TOKEN}-2`]);
    // The other direction is done all the same.
    expect(tokenSecrets(one)).toEqual([`${TOKEN}-2`]);

    one.intercept(undefined);
    const seen = await runVerify([one, two], { verification: { traffic: false } });
    expect(failures(seen)).toEqual([]);
    expect(check(seen, "leftover.objects", "cluster2").warning).toContain(`old token in ${TOKEN} was never deleted`);
    expect(check(seen, "leftover.objects", "cluster1").warning).toBeUndefined();
    const next = await runRotate([one, two]);
    expect(notPassed(next)).toEqual([]);
    expect(check(next, "rotate.token", "cluster2").evidence).toContain("an earlier run made it");
    expect(tokenSecrets(two)).toEqual([`${TOKEN}-2`]);
    expect(two.userOf(old)).toBeUndefined();
    expectAllGood([one, two]);
  });

  test("has its istiod restarted where that misses a changed remote secret, and only there", async () => {
    const kubes = await joined(3, { options: (index) => ({ istiod: { deaf: index === 0 } }) });
    const pods = kubes.map(istiodPods);
    const outcome = await runRotate(kubes, { patience: 300 });
    expect(notPassed(outcome)).toEqual([]);
    const [one, ...others] = kubes.map(istiodPods);
    expect(one).not.toEqual(pods[0]);
    expect(others).toEqual(pods.slice(1));
    for (const target of ["cluster2", "cluster3"]) {
      const adopted = outcome.report.checks.find(
        ({ id, subject }) =>
          id === "rotate.adopted" && JSON.stringify(Object.values(subject)) === `["cluster1","${target}"]`,
      );
      expect(adopted?.warning).toContain(`istiod of cluster1 was restarted, for ${pods[0]?.[0]} did not take up`);
      expect(adopted?.evidence).toContain("has started since");
    }
    // One restart for all of its targets.
    const restarts = outcome.report.changes.filter(({ kind }) => kind === "Deployment");
    expect(restarts.map(({ cluster, action }) => [cluster, action])).toEqual([["cluster1", "updated"]]);
    expectAllGood(kubes);
  });

  test("has an istiod restarted that misses one which install made, instead of being taken at its word for the old one", async () => {
    const deaf = await joined(2, { options: () => ({ istiod: { deaf: true } }) });
    const pods = deaf.map(istiodPods);
    deaf[0].delete(secretRef(TOKEN));
    const again = await runInstall(deaf, { patience: 300, verification: { traffic: false } });
    expect(failures(again)).toEqual([]);
    const now = deaf.map(istiodPods);
    expect(now[0]).toEqual(pods[0]);
    expect(now[1]).not.toEqual(pods[1]);
    const [warned] = again.report.checks.filter(({ id, warning }) => id === "install.synced" && warning);
    expect(warned).toMatchObject({ subject: { observer: "cluster2", target: "cluster1" } });
    expect(warned?.warning).toContain(`restarted, for ${pods[1]?.[0]} did not take up the remote secret for cluster1`);
    const third = await runInstall(deaf);
    expect(third.report.changed).toBe(false);
    expect(deaf.map(istiodPods)).toEqual(now);
  });

  test("has the istiod restarted that istioctl's objects are of, and nothing else of it changes", async () => {
    const mesh = { mesh: { installer: "istioctl" } } as const;
    const options = () => ({ operator: false, istiod: { deaf: true } }) as const;
    const kubes = await joined(2, { options, setup: mesh });
    const pods = kubes.map(istiodPods);
    const outcome = await runRotate(kubes, { ...mesh, patience: 300 });
    expect(notPassed(outcome)).toEqual([]);
    for (const [i, kube] of kubes.entries()) expect(istiodPods(kube)).not.toEqual(pods[i]);
    expectAllGood(kubes);
    const restarted = kubes.map(istiodPods);
    const again = await runInstall(kubes, mesh);
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(kubes.map(istiodPods)).toEqual(restarted);
  });

  test("does not take up the token that an earlier run made where it is refused", async () => {
    const [one, two] = await joined();
    const { uid: _, ...metadata } = two.get(secretRef(TOKEN)).metadata;
    const earlier = two.put(
      proven(two, { ...two.get(secretRef(TOKEN)), metadata: { ...metadata, name: `${TOKEN}-2` }, data: {} }),
    );
    await vi.waitFor(() => expect(text(two.get(secretRef(`${TOKEN}-2`)), "token")).not.toBe(""));
    two.setToken(text(two.get(secretRef(earlier.metadata.name)), "token"), undefined);
    const outcome = await runRotate([one, two]);
    expect(notPassed(outcome)).toEqual([]);
    expect(tokenSecrets(two)).toEqual([`${TOKEN}-3`]);
    expectAllGood([one, two]);
  });

  test("keeps a token of somebody else's, and is told its name", async () => {
    const [one, two] = await joined();
    const { labels: _, annotations, ...rest } = two.get(secretRef(TOKEN)).metadata;
    const { [OWNER]: __, ...others } = annotations;
    const metadata = { ...rest, annotations: others };
    const foreign = two.put({ ...two.get(secretRef(TOKEN)), metadata });
    expect(foreign.metadata.labels).toBeUndefined();
    const outcome = await runRotate([one, two]);
    expect(notPassed(outcome)).toEqual([]);
    expect(tokenSecrets(two)).toEqual([TOKEN, `${TOKEN}-2`]);
    expect(two.userOf(heldToken(one, 2))).toBeDefined();
    expect(heldToken(one, 2)).toBe(text(two.get(secretRef(`${TOKEN}-2`)), "token"));
    expect(check(outcome, "rotate.retired", "cluster2").warning).toContain(
      `kubectl -n ${NAMESPACE} delete secret ${TOKEN}\``,
    );
    // Ours is the one from now on, though the other one's name is istioctl's own.
    const again = await runInstall([one, two]);
    expect(again.report.changed).toBe(false);
  });

  test("is left alone where a cluster outside the list may read by the same token", async () => {
    const kubes = await joined(3);
    const outcome = await runRotate(kubes.slice(0, 2));
    expect(failures(outcome).join("\n")).toMatch(/preflight\.remote-secrets cluster1: .*istio-remote-secret-cluster3/);
    for (const kube of kubes) expect(writes(kube)).toEqual([]);
  });

  test("with `prune` goes by the list: what a cluster that left holds is good for nothing any more", async () => {
    const kubes = await joined(3);
    const [one, two, three] = kubes as [Kube, Kube, Kube];
    const taken = [heldToken(three, 1), heldToken(three, 2)];
    const outcome = await runRotate([one, two], { prune: true });
    expect(notPassed(outcome)).toEqual([]);
    for (const kube of [one, two]) expect(kube.get(secretRef("istio-remote-secret-cluster3"))).toBeUndefined();
    expect([one.userOf(taken[0] as string), two.userOf(taken[1] as string)]).toEqual([undefined, undefined]);
    expectAllGood([one, two]);
  });

  test("does not write into a remote secret that somebody else made, and says so before anything is written", async () => {
    const [one, two] = await joined();
    const secret = one.get(secretRef("istio-remote-secret-cluster2"));
    const { labels, annotations, ...metadata } = secret.metadata;
    const { [OWNER]: _, ...others } = annotations;
    one.put({ ...secret, metadata: { ...metadata, annotations: others, labels: { "istio/multiCluster": "true" } } });
    expect(failures(await runRotate([one, two]))).toEqual([
      expect.stringMatching(
        /^failed preflight\.ownership cluster1: Secret istio-system\/istio-remote-secret-cluster2, .* is not this action's, .*kubectl -n istio-system annotate secret/,
      ),
    ]);
    for (const kube of [one, two]) expect(writes(kube)).toEqual([]);
  });

  test.each(["install", "rotate"])("is whole again where somebody edited a remote secret: %s", async (command) => {
    const kubes = await joined();
    const [one] = kubes;
    const held = one.get(secretRef("istio-remote-secret-cluster2"));
    const broken = encode(text(held, "cluster2").replace(/server: .*/, "server: https://192.0.2.9:6443"));
    one.put({ ...held, data: { cluster2: broken } });
    const outcome = await (command === "install" ? runInstall(kubes) : runRotate(kubes));
    expect(failures(outcome)).toEqual([]);
    expectAllGood(kubes);
    expect(text(one.get(secretRef("istio-remote-secret-cluster2")), "cluster2")).not.toContain("192.0.2.9");
  });

  test("does not lose its old token where a remote secret was changed behind the run's back", async () => {
    const [one, two] = await joined();
    const before = one.get(secretRef("istio-remote-secret-cluster2"));
    one.intercept(({ path }) => {
      // Just before the last look at it.
      if (path.includes("/exec")) one.put({ ...one.get(secretRef("istio-remote-secret-cluster2")), data: before.data });
      return undefined;
    });
    const outcome = await runRotate([one, two]);
    expect(failures(outcome)).toEqual([expect.stringMatching(/rotate\.retired cluster2: .*was changed meanwhile/)]);
    expectAllGood([one, two]);
  });
});

describe("tokens that expire", () => {
  test("are made by install, renewed when half of their time is over, and told of", async () => {
    const kubes = await joined(2, { setup: TTL });
    const claims = (token: string): Json => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    for (const { target, token } of remotes(kubes)) {
      const { iat, exp, "kubernetes.io": bound } = claims(token);
      expect(exp - iat).toBe(7_200);
      expect(bound.secret.uid).toBe(target.get(secretRef(TOKEN)).metadata.uid);
    }
    for (const kube of kubes) expect(kube.get(secretRef(TOKEN)).data).toBeUndefined();

    const again = await runInstall(kubes, { ...TTL, verification: { traffic: false } });
    expect(again.report.changed).toBe(false);
    expect(again.istioctl).toEqual([]);
    expect(again.report.tokensExpireAt).toBe(
      new Date(Math.min(...remotes(kubes).map(({ token }) => claims(token).exp)) * 1000).toISOString(),
    );

    const held = remotes(kubes).map(({ token }) => token);
    const later = Date.now() + 3_700_000;
    const clock = vi.spyOn(Date, "now").mockReturnValue(later);
    vi.setSystemTime(later);
    try {
      const renewed = await runInstall(kubes, TTL);
      expect(notPassed(renewed)).toEqual([]);
      expect(renewed.report.changed).toBe(true);
    } finally {
      clock.mockRestore();
      vi.useRealTimers();
    }
    for (const { token } of remotes(kubes)) expect(held).not.toContain(token);
  });

  test("are refused with the Secret that they were bound to: rotate ends them before their time", async () => {
    const kubes = await joined(2, { setup: TTL });
    const before = remotes(kubes);
    const outcome = await runRotate(kubes, { ...TTL, verification: { traffic: false } });
    expect(failures(outcome)).toEqual([]);
    for (const { target, token } of before) expect(target.userOf(token)).toBeUndefined();
    expectAllGood(kubes);
    expect(kubes.map(tokenSecrets)).toEqual(kubes.map(() => [`${TOKEN}-2`]));
    expect((await runInstall(kubes, TTL)).report.changed).toBe(false);
  });

  test("are renewed where the target no longer accepts them", async () => {
    const [one, two] = await joined(2, { setup: TTL });
    two.setToken(heldToken(one, 2), undefined);
    const outcome = await runInstall([one, two], TTL);
    expect(notPassed(outcome)).toEqual([]);
    expectAllGood([one, two]);
  });

  test("take the place of ones that do not, and the other way round", async () => {
    const kubes = await joined(2);
    const forever = remotes(kubes);
    expect(notPassed(await runRotate(kubes, TTL))).toEqual([]);
    for (const { target, token } of forever) expect(target.userOf(token)).toBeUndefined();
    for (const kube of kubes) expect(kube.get(secretRef(`${TOKEN}-2`)).type).toBe("Opaque");
    const expiring = remotes(kubes);
    expect(notPassed(await runRotate(kubes))).toEqual([]);
    for (const { target, token } of expiring) expect(target.userOf(token)).toBeUndefined();
    for (const kube of kubes)
      expect(kube.get(secretRef(`${TOKEN}-3`)).type).toBe("kubernetes.io/service-account-token");
    expect(failures(await runVerify(kubes, { verification: { traffic: false } }))).toEqual([]);
  });

  test("may be given for less than was asked; that is told, and they are left alone for half of what they were given", async () => {
    const kubes = await joined(2);
    for (const kube of kubes) {
      kube.intercept(({ method, path }) => {
        if (method !== "POST" || !path.endsWith("/token")) return undefined;
        const { name, uid } = kube.get(secretRef(TOKEN)).metadata;
        const token = serviceAccountToken(NAMESPACE, READER, new Date(Date.now() + 1_800_000), {
          secret: { name, uid },
        });
        kube.setToken(token, `system:serviceaccount:${NAMESPACE}:${READER}`);
        return { status: 201, body: { status: { token, expirationTimestamp: "2030-01-01T00:00:00Z" } } };
      });
    }
    const outcome = await runInstall(kubes, TTL);
    expect(notPassed(outcome)).toEqual([]);
    // The clusters go side by side.
    expect(outcome.warnings.toSorted()).toEqual(
      ["cluster1", "cluster2"].map((name) =>
        expect.stringContaining(`${name} gives tokens of 30 minutes, not of the 2 hours`),
      ),
    );
    expect((await runInstall(kubes, TTL)).report.changed).toBe(false);
  });
});

describe("a version of Istio that is known to lose what it had read by a remote secret that changes", () => {
  const setup = { mesh: { istioVersion: "1.30.3" } };
  const options = () => ({ operator: { versions: ["1.30.3"], version: "1.30.3" }, istiod: { forgetful: true } });

  test("has istiod restarted in every cluster, once and without waiting for a sign, and it is told why", async () => {
    const kubes = await joined(3, { options, setup });
    const pods = kubes.map(istiodPods);
    const outcome = await runRotate(kubes, { ...setup, patience: 600_000, verification: { traffic: false } });
    expect(failures(outcome)).toEqual([]);
    for (const [i, kube] of kubes.entries()) {
      expect(istiodPods(kube)).not.toEqual(pods[i]);
      const restarts = kube.requests.filter(
        ({ method, path }) => method === "PATCH" && path.includes("/deployments/istiod"),
      );
      expect(restarts).toHaveLength(1);
    }
    const adopted = check(outcome, "rotate.adopted");
    expect(adopted.evidence).toMatch(/^istiod-\S+ has started since; it reports cluster[23] synced/);
    expect(adopted.warning).toMatch(
      /^istiod of cluster1 was restarted, for Istio 1\.30\.3, .* is known to lose the endpoints of .*\(1\.30\.4, 1\.31\.0 and later do not\)\.$/,
    );
    expectAllGood(kubes);
  });

  test("has it restarted where the remote secret of a cluster that has left is removed, too", async () => {
    const kubes = await joined(3, { options, setup });
    const left = kubes.slice(0, 2);
    const pods = left.map(istiodPods);
    const outcome = await runInstall(left, { ...setup, prune: true, patience: 600_000 });
    expect(failures(outcome)).toEqual([]);
    expect(check(outcome, "install.strangers").warning).toMatch(
      /^istiod of cluster1 was restarted, for Istio 1\.30\.3, .* and that for cluster3 is gone/,
    );
    for (const [i, kube] of left.entries()) expect(istiodPods(kube)).not.toEqual(pods[i]);
    expect(failures(await runVerify(left, { ...setup, verification: { traffic: false } }))).toEqual([]);
    // Nothing is removed any more.
    const again = await runInstall(left, { ...setup, prune: true });
    expect([again.report.changed, notPassed(again)]).toEqual([false, []]);
  });

  test("is found by what istiod holds no more, where the version is not known for it", async () => {
    const kubes = await joined(2, { options: (index) => ({ istiod: { forgetful: index === 0 } }) });
    const pods = kubes.map(istiodPods);
    const outcome = await runRotate(kubes, { patience: 300, verification: { traffic: false } });
    expect(failures(outcome)).toEqual([]);
    const [first, second] = ["cluster1", "cluster2"].map((observer) =>
      outcome.report.checks.find(
        ({ id, subject }) => id === "rotate.adopted" && "observer" in subject && subject.observer === observer,
      ),
    );
    expect(first?.warning).toMatch(
      /^istiod of cluster1 was restarted, for istiod-\S+ no longer holds of cluster2: .*endpoint.*, since the remote secret for it was changed\.$/,
    );
    expect(second?.warning).toBeUndefined();
    expect(istiodPods(kubes[0])).not.toEqual(pods[0]);
    expect(istiodPods(kubes[1])).toEqual(pods[1]);
  });

  test("is left alone by an install that changes no remote secret", async () => {
    const kubes = await joined(2, { options, setup });
    const pods = kubes.map(istiodPods);
    const again = await runInstall(kubes, setup);
    expect(notPassed(again)).toEqual([]);
    expect(again.report.changed).toBe(false);
    expect(kubes.map(istiodPods)).toEqual(pods);
  });
});
