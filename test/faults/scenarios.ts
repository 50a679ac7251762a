import type { Command } from "../../src/action/inputs.ts";
import type { UninstallScope } from "../../src/mesh/spec.ts";
import { notPassed, type Outcome, runCommand, type Setup, state } from "../commands/mesh.ts";
import { startClusters } from "../embedded/cluster.ts";
import type { Json, Kube } from "../embedded/kube.ts";

/** A command, as it is run with faults. */
export interface Scenario {
  readonly name: string;
  run(kubes: readonly Kube[], setup?: Setup): Promise<Outcome>;
  /** Runs that bring clusters to where the command begins: fresh ones, or those that it left. */
  before(kubes: readonly Kube[]): Promise<void>;
  /** Whether it begins where it ends, so that clusters serve one case after the other. */
  readonly repeatable: boolean;
  /** Whether it leaves all as it is. */
  readonly readOnly: boolean;
}

const QUICK: Setup = { pace: 0.02 };
const TRAFFIC = { verification: { traffic: true } };

/** Slow enough for a run to have to wait, by watch. */
const SLOW = { operator: { whenWatched: true }, kubelet: { delayMs: 100 } };

type Run = Scenario["run"];
const runner =
  (command: Command, own: Setup = {}, scope?: UninstallScope): Run =>
  (kubes, setup) => {
    // A token is quicker than a certificate.
    const kubeconfigs = kubes.map((kube) => kube.kubeconfig({ auth: "token" }));
    return runCommand(command, kubes, { ...QUICK, kubeconfigs, ...own, ...setup }, scope);
  };
const install = runner("install");

async function joined(kubes: readonly Kube[]): Promise<void> {
  const problems = notPassed(await install(kubes));
  if (problems.length > 0) throw new Error(`The clusters could not be joined:\n${problems.join("\n")}`);
}

export const SCENARIOS = {
  install: { name: "install", run: install, before: async () => {}, repeatable: false, readOnly: false },
  again: { name: "install again", run: install, before: joined, repeatable: true, readOnly: true },
  verify: {
    name: "verify with traffic",
    run: runner("verify", TRAFFIC),
    before: joined,
    repeatable: true,
    readOnly: true,
  },
  plan: { name: "plan", run: runner("plan"), before: joined, repeatable: true, readOnly: true },
  rotate: { name: "rotate", run: runner("rotate"), before: joined, repeatable: true, readOnly: false },
  unlink: {
    name: "uninstall, scope mesh",
    run: runner("uninstall", {}, "mesh"),
    before: joined,
    repeatable: false,
    readOnly: false,
  },
  remove: {
    name: "uninstall, scope all",
    run: runner("uninstall", {}, "all"),
    before: joined,
    repeatable: false,
    readOnly: false,
  },
} satisfies Record<string, Scenario>;

/** What is on the clusters; tokens of the reader are numbered on with each rotation. */
export function states(kubes: readonly Kube[]): Json {
  const text = JSON.stringify(kubes.map(state), (name, value) => (name === "managers" ? [...value].sort() : value));
  return JSON.parse(text.replaceAll(/(istio-remote-secret-token)-\d+/g, "$1"));
}

/** Clusters where the command begins. @param tls for runs that are processes of their own */
export async function begin(scenario: Scenario, { tls = false } = {}): Promise<Kube[]> {
  const kubes = await startClusters(2, { ...SLOW, kube: { plain: !tls } });
  await scenario.before(kubes);
  for (const kube of kubes) kube.requests.length = 0;
  return kubes;
}

export async function stop(kubes: readonly Kube[]): Promise<void> {
  await Promise.all(kubes.map((kube) => kube.stop()));
}
