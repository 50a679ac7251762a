// A mesh that loses a cluster and gets it back, while workloads of the others call each other without a break.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rootCauses } from "../../src/mesh/causes.ts";
import { subjectName } from "../../src/mesh/report.ts";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { block } from "./faults.ts";
import { runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { type Streams, startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, sampleImage, nodeShell } = settings();
const all = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const [one, two] = all as [Cluster, Cluster];

async function install(
  what: string,
  clusters: readonly Cluster[],
  inputs: Record<string, string> = {},
): Promise<RunResult> {
  const result = await runOn(clusters, inputs, { timeoutMs: 10 * 60_000 });
  console.log(`${what}: ${result.seconds.toFixed(1)} s, exit code ${result.exitCode}; ${lastLine(result)}`);
  return result;
}

/** The result in a sentence, which ends with the duration. */
const lastLine = ({ log }: RunResult) =>
  log.findLast(({ kind, text }) => kind === "text" && /\d s\.$/.test(text))?.text ?? "no result";
const roots = ({ report }: RunResult) =>
  rootCauses(report?.checks ?? []).map(
    ({ check, subjects }) => `${check.verdict} ${check.id} ${subjects.map(subjectName).join(", ")}: ${check.cause}`,
  );
const changes = ({ report }: RunResult) =>
  (report?.changes ?? [])
    .filter(({ action }) => action !== "unchanged")
    .map(({ cluster, kind, name, action }) => `${cluster} ${kind} ${name} ${action}`)
    .sort();
/** The remote secrets in a cluster, with the version by which a write would show. */
async function remoteSecrets(cluster: Cluster): Promise<Record<string, string>> {
  const secrets = await cluster.list("secrets", "-n", "istio-system", "-l", "istio/multiCluster=true");
  return Object.fromEntries(secrets.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
}

let streams: Streams;
beforeAll(async () => {
  streams = await startStreams([one, two], sampleImage);
});

describe.skipIf(!nodeShell)(
  `a cluster that cannot be reached${nodeShell ? "" : " (skipped: E2E_NODE_SHELL is not set, so no port can be blocked)"}`,
  () => {
    it("does not keep the others from being served, and is whole again in the next run", async () => {
      await one.kubectl(["delete", "poddisruptionbudget", "istio-eastwestgateway", "-n", "istio-system"]);
      const before = await remoteSecrets(one);
      const unblock = await block(nodeShell!, 6443);
      const without = await install(`without ${two.name}`, all).finally(unblock);
      expect(roots(without)).toEqual([
        expect.stringMatching(`^failed preflight.api ${two.name}: .* cannot be reached`),
      ]);
      expect(changes(without)).toEqual([`${one.name} PodDisruptionBudget istio-eastwestgateway created`]);
      expect(lastLine(without)).toContain(
        `${two.name} could not be reached. Without it: ${one.name} is done (1 object changed)`,
      );
      const answered = without.report?.checks.filter(
        ({ id, verdict }) => id === "pair.request" && verdict === "passed",
      );
      expect(answered).toHaveLength((all.length - 1) * (all.length - 2));

      const again = await whole();
      expect(changes(again)).toEqual([]);
      expect(await remoteSecrets(one)).toEqual(before);
    });
  },
);

describe.skipIf(all.length < 3)(
  `a cluster that leaves${all.length < 3 ? " (skipped: two clusters are the least that a mesh has)" : ""}`,
  () => {
    const rest = all.slice(0, -1);
    const last = all.at(-1) as Cluster;
    const secret = `istio-remote-secret-${last.name}`;
    const before = new Map<Cluster, Record<string, string>>();
    let left = false;
    beforeAll(async () => {
      for (const cluster of all) before.set(cluster, await remoteSecrets(cluster));
    });
    afterAll(async () => {
      // What comes after this file expects the whole mesh, whatever went wrong here.
      if (left) await install("repair", all);
    });

    it("is told as left over", async () => {
      const result = await install(`without ${last.name} on the list`, rest);
      expect(roots(result)).toEqual([expect.stringMatching("^failed install.strangers .*istio-remote-secret")]);
      expect(changes(result)).toEqual([]);
      expect(result.exitCode).toBe(1);
    });

    it("is gone from the others with `prune`, which are a whole mesh without it", async () => {
      left = true;
      const result = await install("prune", rest, { prune: "true" });
      expect(roots(result)).toEqual([]);
      expect(changes(result)).toEqual(rest.map(({ name }) => `${name} Secret ${secret} deleted`));
      expect(result.exitCode).toBe(0);
      for (const cluster of rest) {
        const { [secret]: gone, ...others } = before.get(cluster) ?? {};
        expect(gone).toBeDefined();
        expect(await remoteSecrets(cluster)).toEqual(others);
      }
    });

    it("comes back with one run, which writes one secret in each of the others", async () => {
      const result = await install("back", all);
      expect(roots(result)).toEqual([]);
      expect(changes(result)).toEqual(rest.map(({ name }) => `${name} Secret ${secret} created`));
      expect(result.exitCode).toBe(0);
      left = false;
      for (const cluster of all)
        expect(await remoteSecrets(cluster)).toMatchObject(without(before.get(cluster), secret));
    });
  },
);

it("the workloads of the others did not notice", async () => {
  const results = await streams.stop();
  console.log(toldOf(results));
  for (const { sent, failed } of results) {
    expect(sent).toBeGreaterThan(0);
    expect(failed).toBe(0);
  }
});

function without(secrets: Record<string, string> = {}, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(secrets).filter(([each]) => each !== name));
}

/** An istiod that lost its connection to another cluster needs a moment to see what is new there. */
async function whole(): Promise<RunResult> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const result = await install("with all again", all);
    if (result.exitCode === 0 || Date.now() > deadline) {
      expect(roots(result)).toEqual([]);
      return result;
    }
  }
}
