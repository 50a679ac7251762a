// Versions of Istio that are known to lose what istiod had read when a remote secret changes. None of those is here: those that
// are here are declared so, in a copy of the built action, and what it does about that is done to a mesh that is in use.
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT, type RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { explain, runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, istioVersion, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const rest = clusters.slice(0, -1);

/** As the data on versions has it in the built action, and as it is said here. */
const DEFECT = 'id:"remote-secret-change",versions:{';
const [, line, patch] = /^(\d+\.\d+)\.(\d+)/.exec(istioVersion) ?? [];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "defective-"));
  await cp(join(ROOT, "dist"), folder, { recursive: true });
  let found = 0;
  for (const file of await readdir(folder)) {
    const parts = file.endsWith(".js") ? (await readFile(join(folder, file), "utf8")).split(DEFECT) : [];
    if (parts.length < 2) continue;
    found += parts.length - 1;
    await writeFile(join(folder, file), parts.join(`${DEFECT}"${line}":[${patch}],`));
  }
  expect(found).toBe(1);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The istiods that are to stay, by their pods' names. */
const istiods = (of: readonly Cluster[]): Promise<string[][]> =>
  Promise.all(
    of.map(async (cluster) =>
      (await cluster.list("pods", "-n", "istio-system", "-l", "app=istiod"))
        .filter(({ metadata }) => !metadata.deletionTimestamp)
        .map(({ metadata }) => metadata.name),
    ),
  );

/** A run of the copy while requests flow between these clusters: each istiod is another afterwards, and no request failed. */
async function underTraffic(
  what: string,
  among: readonly Cluster[],
  inputs: Readonly<Record<string, string>>,
): Promise<void> {
  const before = await istiods(among);
  const streams = await startStreams(among, sampleImage);
  const result: RunResult = await runOn(among, inputs, { entry: join(folder, "main/index.js") });
  const sent = await streams.stop();
  console.log(`${what}: ${result.seconds.toFixed(1)} s\n${toldOf(sent)}`);
  expect(result.exitCode, explain(result)).toBe(0);
  const after = await istiods(among);
  for (const [index, { name }] of among.entries())
    expect(
      after[index]?.filter((pod) => before[index]?.includes(pod)),
      `${name}'s istiod as before`,
    ).toEqual([]);
  // Once for all that changed.
  const restarts = result.report?.checks.filter(({ warning }) => /is known to lose/.test(warning ?? "")) ?? [];
  expect(restarts.length, explain(result)).toBeGreaterThan(0);
  expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
}

describe("versions that lose what istiod had read: it is restarted, and nobody's request fails", () => {
  it("in a rotation", () => underTraffic("rotate", clusters, { command: "rotate" }));

  it("in a renewal, by tokens that end", () =>
    underTraffic("renewal", clusters, { "token-ttl": "1h", verify: "false" }));

  it.skipIf(rest.length < 2)(
    `when a cluster has left${rest.length < 2 ? " (skipped: two clusters are the least that a mesh has)" : ""}`,
    async () => {
      await underTraffic("prune", rest, { prune: "true", "token-ttl": "1h", verify: "false" });
      const back = await runOn(clusters, { "token-ttl": "1h", verify: "false" });
      expect(back.exitCode, explain(back)).toBe(0);
    },
  );

  it("and a version that is not declared so is left running", async () => {
    const before = await istiods(clusters);
    const result = await runOn(clusters, { command: "rotate" });
    expect(result.exitCode, explain(result)).toBe(0);
    expect(await istiods(clusters)).toEqual(before);
  });
});
