// The process is ended after a request: by SIGKILL, by SIGTERM alone, or by SIGINT as the runner sends it on cancel.
import { appendFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pLimit from "p-limit";
import { afterAll, expect, inject, test } from "vitest";
import { notPassed } from "../commands/mesh.ts";
import { fakeIstioctl } from "../embedded/istioctl.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { type RunResult, runAction } from "../runner.ts";
import { differences, probesOf, type Target } from "./cases.ts";
import { EVERY, LANES, type Undisturbed, undisturbed } from "./faults.ts";
import { classOf, isOurs, isStored } from "./requests.ts";
import { begin, SCENARIOS, type Scenario, states, stop } from "./scenarios.ts";

const SIGNALS = ["SIGKILL", "SIGINT", "SIGTERM"] as const;
type Signal = (typeof SIGNALS)[number];
/** So many-eth are taken where not all are, for a process takes its time to start. */
const OF_WRITES = 3;
const OF_READS = 8;

interface Kill {
  readonly signal: Signal;
  readonly target: Pick<Target, "class" | "occurrence">;
}

const COMMANDS: readonly { scenario: Scenario; inputs: Readonly<Record<string, string>> }[] = [
  { scenario: SCENARIOS.install, inputs: { command: "install", verify: "false" } },
  { scenario: SCENARIOS.again, inputs: { command: "install", verify: "false" } },
  { scenario: SCENARIOS.verify, inputs: { command: "verify" } },
  { scenario: SCENARIOS.plan, inputs: { command: "plan" } },
  { scenario: SCENARIOS.rotate, inputs: { command: "rotate", verify: "false" } },
  { scenario: SCENARIOS.unlink, inputs: { command: "uninstall", "uninstall-scope": "mesh" } },
  { scenario: SCENARIOS.remove, inputs: { command: "uninstall", "uninstall-scope": "all" } },
];

const folder = await mkdtemp(join(tmpdir(), "killed-"));
const istioctl = await fakeIstioctl(folder);
afterAll(() => rm(folder, { recursive: true }));

/** At each write that differs from others SIGKILL, and at some one of the other two; of all else some, by each in turn. */
function killsOf(targets: Undisturbed["targets"]): Kill[] {
  const classes = [...Map.groupBy(targets, (target) => target.class).values()].map(
    (same) => same[0] as (typeof same)[0],
  );
  const [writes, reads] = [
    classes.filter(({ request }) => isStored(request)),
    classes.filter(({ request }) => !isStored(request)),
  ];
  return [
    ...writes.flatMap((target, i): Kill[] => [
      { signal: "SIGKILL", target },
      ...(i % OF_WRITES === 0 ? [{ signal: SIGNALS[1 + ((i / OF_WRITES) % 2)] as Signal, target }] : []),
    ]),
    ...reads
      .filter((_, i) => i % OF_READS === 0)
      .map((target, i): Kill => ({ signal: SIGNALS[i % SIGNALS.length] as Signal, target })),
  ];
}

async function kill(
  kubes: readonly Kube[],
  inputs: Readonly<Record<string, string>>,
  { signal, target }: Kill,
): Promise<RunResult & { hit: boolean }> {
  const now = new AbortController();
  let count = 0;
  for (const kube of kubes) {
    kube.intercept((request) => {
      if (isOurs(request) && classOf(request) === target.class && ++count === target.occurrence) now.abort();
      return undefined;
    });
  }
  const [one, two] = kubes.map((kube) => kube.kubeconfig()) as [string, string];
  const result = await runAction({
    inputs: { ...inputs, "cluster1-kubeconfig": one, "cluster2-kubeconfig": two, "istioctl-path": istioctl },
    env: {
      NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, "keys.ts")).href}`,
      NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
    },
    ...(signal === "SIGINT" ? { cancel: now.signal } : { kill: { signal, when: now.signal } }),
  });
  for (const kube of kubes) kube.intercept(undefined);
  return { ...result, hit: now.signal.aborted };
}

async function problemsOf(
  scenario: Scenario,
  inputs: Readonly<Record<string, string>>,
  each: Kill,
  whole: Json,
): Promise<{ hit: boolean; problems: string[] }> {
  const kubes = await begin(scenario, { tls: true });
  try {
    const { hit, exitCode, postExitCode, log, left } = await kill(kubes, inputs, each);
    const problems: string[] = [];
    // What comes too late for the run is no longer in its way.
    const expected = each.signal === "SIGKILL" ? [null, 0] : [1, 0];
    if (hit && !expected.includes(exitCode)) problems.push(`Its exit code is ${exitCode}.`);
    if (postExitCode !== 0) problems.push(`The post step's exit code is ${postExitCode}.`);
    const warned = log.filter(({ kind, text }) => kind === "warning" && text.includes("could not be removed"));
    problems.push(...warned.map(({ text }) => text));
    const secrets = left.filter(({ path }) => !/^istio-mesh-(report|diagnostics)-/.test(path));
    problems.push(...secrets.map(({ path }) => `Left in RUNNER_TEMP: ${path}`));
    problems.push(...kubes.flatMap(probesOf).map((name) => `Left: ${name}`));
    problems.push(...notPassed(await scenario.run(kubes)).filter((text) => !text.startsWith("skipped")));
    problems.push(...differences(whole, states(kubes)));
    return { hit, problems };
  } finally {
    await stop(kubes);
  }
}

function line({ signal, target, problems }: Kill & { problems: readonly string[] }): string {
  return `${signal} at ${target.class}: ${problems.join("; ")}`;
}

for (const { scenario, inputs } of COMMANDS) {
  const { whole, targets } = await undisturbed(scenario);
  const kills = killsOf(targets).filter((_, i) => i % EVERY === 0);
  test(`${scenario.name}: the process ended after a request, ${kills.length} cases`, async () => {
    const limit = pLimit(LANES);
    const ended = await Promise.all(
      kills.map((each) =>
        limit(async () => {
          const told = { ...each, ...(await problemsOf(scenario, inputs, each, whole)) };
          if (told.problems.length > 0) console.log(line(told));
          return told;
        }),
      ),
    );
    const failed = ended.filter(({ problems }) => problems.length > 0);
    for (const signal of SIGNALS) {
      const some = ended.filter((each) => each.signal === signal);
      const count = {
        name: `${scenario.name}: ${signal}`,
        cases: some.length,
        missed: some.filter(({ hit }) => !hit).length,
        failures: some.filter((each) => failed.includes(each)).length,
      };
      appendFileSync(inject("counts"), `${JSON.stringify(count)}\n`);
    }
    expect(
      failed.map(({ signal, target, problems }) => `${signal} at ${target.class}: ${problems.join("; ")}`),
    ).toEqual([]);
  });
}
