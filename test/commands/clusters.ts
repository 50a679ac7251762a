// The embedded clusters that the tests of a file are about.
// The polyfill has to be there before @peculiar/x509 is loaded.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { afterAll, beforeAll, vi } from "vitest";
import { type ClusterOptions, startClusters } from "../embedded/cluster.ts";
import type { Kube } from "../embedded/kube.ts";

export type Clusters = [Kube, Kube, ...Kube[]];

/** So many pairs of keys are made, by each worker, and then used in turn: more than the certificates of any one test need. */
const POOL = 8;
const pools = new Map<string, { keys: unknown[]; asked: number }>();

/**
 * To be called once, outside of tests: gives what starts clusters, which are stopped after the file's last test. They are
 * without TLS: that costs more than all that is asked over it, and has tests of its own. Keys are short meanwhile, for those
 * of 3072 bits take up to a second each; how long they are is tested elsewhere.
 */
export function testClusters(): (
  count: number,
  options?: ClusterOptions | ((index: number) => ClusterOptions),
) => Promise<Clusters> {
  const running: Kube[] = [];
  beforeAll(() => {
    const make = webcrypto.subtle.generateKey.bind(webcrypto.subtle) as (...args: unknown[]) => unknown;
    vi.spyOn(webcrypto.subtle, "generateKey").mockImplementation(((
      algorithm: { modulusLength?: number },
      extractable: boolean,
      usages: readonly string[],
    ) => {
      if (!algorithm.modulusLength) return make(algorithm, extractable, usages);
      const kind = `${extractable} ${usages}`;
      const pool = pools.get(kind) ?? { keys: [], asked: 0 };
      pools.set(kind, pool);
      const place = pool.asked++ % POOL;
      pool.keys[place] ??= make({ ...algorithm, modulusLength: 2048 }, extractable, usages);
      return pool.keys[place];
    }) as never);
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await Promise.all(running.map((kube) => kube.stop()));
  });
  return async (count, options) => {
    const of = typeof options === "function" ? options : () => options ?? {};
    const started = (await startClusters(count, (index) => {
      const each = of(index);
      return { ...each, kube: { plain: true, ...each.kube } };
    })) as Clusters;
    running.push(...started);
    return started;
  };
}
