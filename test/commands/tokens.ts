// Joined clusters, and the tokens by which they read each other.
import { expect, vi } from "vitest";
import { parse } from "yaml";
import type { ClusterOptions } from "../embedded/cluster.ts";
import type { Kube } from "../embedded/kube.ts";
import { type Clusters, testClusters } from "./clusters.ts";
import { NAMESPACE, notPassed, runInstall, type Setup, text } from "./mesh.ts";

/** How the names of the Secrets begin that hold the reader's token. */
export const TOKEN = "istio-reader-service-account-istio-remote-secret-token";

/**
 * To be called once, outside of tests: gives what makes clusters that have been one mesh for a minute. A time in Kubernetes
 * is in whole seconds, and what istiod logged of the join is not to be in the same one as what a test does.
 */
export function joinedClusters() {
  const clusters = testClusters();
  return async (
    count = 2,
    { options, setup }: { options?: (index: number) => ClusterOptions; setup?: Setup } = {},
  ): Promise<Clusters> => {
    const kubes = await clusters(count, options);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 60_000 });
    const outcome = await runInstall(kubes, setup).finally(() => vi.useRealTimers());
    expect(notPassed(outcome)).toEqual([]);
    for (const kube of kubes) kube.requests.length = 0;
    return kubes;
  };
}

export const secretRef = (name: string) => ({ apiVersion: "v1", kind: "Secret", namespace: NAMESPACE, name });
/** The Secrets that reader tokens stand with, by name. */
export const tokenSecrets = (kube: Kube): string[] =>
  kube
    .list("v1", "Secret", NAMESPACE)
    .map(({ metadata }) => metadata.name as string)
    .filter((name) => name.startsWith(TOKEN));
/** The token that an observer has for a target. */
export function heldToken(observer: Kube, target: number): string {
  const secret = observer.get(secretRef(`istio-remote-secret-cluster${target}`));
  return parse(text(secret, `cluster${target}`)).users[0].user.token;
}
export function remotes(kubes: readonly Kube[]): { observer: Kube; target: Kube; token: string }[] {
  return kubes.flatMap((observer) =>
    kubes.flatMap((target, i) => (target === observer ? [] : { observer, target, token: heldToken(observer, i + 1) })),
  );
}
/** Whether every remote secret's token is one that its target accepts now. */
export function expectAllGood(kubes: readonly Kube[]): void {
  for (const { target, token } of remotes(kubes)) expect(target.userOf(token)).toMatch(/istio-reader-service-account$/);
}
