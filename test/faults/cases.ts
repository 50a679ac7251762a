import { isDeepStrictEqual } from "node:util";
import { connect } from "../../src/cluster/client.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import type { Check } from "../../src/mesh/report.ts";
import { removeProbe } from "../../src/steps/probe.ts";
import { notPassed, type Outcome } from "../commands/mesh.ts";
import type { Json, Kube, LoggedRequest } from "../embedded/kube.ts";
import { type Kind, LATE } from "./kinds.ts";
import { classOf, isLease, isOurs, isWatch } from "./requests.ts";
import { type Scenario, states } from "./scenarios.ts";

/** A request of a run: the how-many-eth of its class, to which cluster. */
export interface Target {
  readonly cluster: number;
  readonly class: string;
  readonly occurrence: number;
}

export interface Case {
  readonly kind: Kind;
  readonly target: Target;
}

/** How long a run may go on after its deadline: to remove its probes, and to tell. Milliseconds. */
const GRACE = 10_000;
/** Every undisturbed run is over long before this. Milliseconds. */
const HANG = 60_000;

export interface Ended {
  /** Whether the request came, so that the fault was there. */
  readonly hit: boolean;
  /** `passed`, or what else the run said of itself. */
  readonly result: string;
  /** What is not as it should be. */
  readonly problems: readonly string[];
}

/** Runs the command with the fault, then without; says what is not as it should be. @param whole what is to be in the end */
export async function runCase(
  scenario: Scenario,
  kubes: readonly Kube[],
  { kind, target }: Case,
  whole: Json,
): Promise<Ended> {
  const problems: string[] = [];
  const over = new AbortController();
  const late = new AbortController();
  const isOver = new Promise<void>((resolve) => over.signal.addEventListener("abort", () => resolve()));
  let hit: LoggedRequest | undefined;
  let before: number[] = [];
  let passedAt = 0;
  let count = 0;
  kubes[target.cluster]?.intercept((request) => {
    if (hit || !isOurs(request) || classOf(request) !== target.class || ++count < target.occurrence) return undefined;
    hit = request;
    before = kubes.map(({ requests }) => requests.length);
    if (kind.name !== LATE) return kind.fault;
    // The request is there before the deadline passes.
    setTimeout(() => {
      passedAt = performance.now();
      late.abort();
    }, 5);
    return { answerAfter: isOver };
  });
  const outcome = await within(HANG, scenario.run(kubes, { late: late.signal }));
  const afterDeadline = passedAt > 0 ? performance.now() - passedAt : 0;
  over.abort();
  for (const kube of kubes) kube.intercept(undefined);
  if (!outcome) return { hit: hit !== undefined, result: "hangs", problems: ["The run does not end."] };
  if (afterDeadline > GRACE) problems.push(`It ended ${Math.round(afterDeadline)} ms after its deadline.`);
  problems.push(...told(outcome));
  const { result } = outcome.report;
  // A wait that another watch has ended needs this one no more.
  const needed = hit && !isWatch(hit) && !(isLease(hit) && isDone(kubes, before));
  // When its probes are removed all is proved already; and the connections that were made are proof without one more.
  const proved =
    /istio-mesh-probe-…$/.test(target.class) ||
    /^DELETE .*istio-mesh-probe-…/.test(target.class) ||
    (/istio-mesh-probe-…\/pods\?fieldSelector=/.test(target.class) && target.occurrence > 1) ||
    (/\/connect\//.test(target.class) && target.occurrence > 1);
  if (kind.name === LATE && needed && !proved && result === "passed")
    problems.push("It passed, though its deadline did, too.");
  // A Lease that was changed meanwhile is another run's doing: it is told by its check where that was waited for.
  const told409 = hit && isLease(hit) && kind.name === "409 conflict";
  if (kind.transient && needed && !told409 && result === "passed" && outcome.retries.length === 0) {
    problems.push("It was tried again, and the log does not say so.");
  }

  // What the post step does where the run could not see that its probes are gone.
  const probe = outcome.probing.at(-1);
  if (probe) await Promise.all(kubes.map((kube) => removed(kube, probe)));
  const left = kubes.flatMap((kube) => probesOf(kube));
  if (left.length > 0) problems.push(`Left: ${left.join(", ")}`);

  const same = scenario.readOnly && result === "passed" && isDeepStrictEqual(states(kubes), whole);
  if (!same) {
    if (scenario.readOnly && !isDeepStrictEqual(states(kubes), whole)) problems.push("It changed something.");
    const next = await within(HANG, scenario.run(kubes));
    if (!next) problems.push("The clean run after it does not end.");
    else {
      problems.push(
        ...notPassed(next)
          .filter(unexpected)
          .map((line) => `The clean run after it: ${line}`),
      );
      problems.push(...differences(whole, states(kubes)));
    }
  }
  return { hit: hit !== undefined, result, problems };
}

const unexpected = (line: string) => !line.startsWith("skipped");

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([work, hang]);
  } finally {
    clearTimeout(timer);
  }
}

export function probesOf(kube: Kube): string[] {
  const names = kube.list("v1", "Namespace").map(({ metadata }) => metadata.name as string);
  return names.filter((name) => name.startsWith("istio-mesh-probe-"));
}

async function removed(kube: Kube, namespace: string): Promise<void> {
  const silent = { waiting() {}, waited() {}, retrying() {} };
  const cluster = connect("", readKubeconfig(kube.kubeconfig()) as Kubeconfig, new Deadline(10_000), silent);
  await removeProbe(cluster, namespace).finally(() => cluster.close());
}

/** Whether the run had come to its end by then: all that it asked for afterwards is to give its Leases back. */
function isDone(kubes: readonly Kube[], before: readonly number[]): boolean {
  return kubes.every(({ requests }, i) => requests.slice(before[i]).every((each) => !isOurs(each) || isLease(each)));
}

/** Nothing of this may be in a text for people. */
const RAW = /undefined|\[object|NaN|TypeError|is not a function|defect of the action|\bat \S+:\d+|node:internal/;

/** What is wrong with how the run told its end: it passed, or each check that did not says why and what to do. */
function told({ report, warnings }: Outcome): string[] {
  const names = report.clusters.map(({ name }) => name);
  const bad = report.checks.filter(({ verdict }) => verdict === "failed" || verdict === "unknown");
  const problems = warnings.filter((text) => RAW.test(text));
  if (report.result !== "passed" && bad.length === 0) problems.push(`It ${report.result}, and no check says why.`);
  const name = ({ id, subject }: Check) => `${id} ${Object.values(subject).join(" → ")}`;
  for (const check of bad) {
    const { cause = "", hint = "", subject, clusters = [] } = check;
    if (cause === "") problems.push(`${name(check)} does not say why.`);
    if (hint === "" && check.verdict === "failed") problems.push(`${name(check)} has no hint: ${cause}`);
    if (RAW.test(cause) || RAW.test(hint)) problems.push(`${name(check)} is not for people: ${cause} | ${hint}`);
    const about = [...Object.values(subject as Record<string, string>), ...clusters];
    if (!names.some((each) => about.includes(each) || cause.includes(each))) {
      problems.push(`${name(check)} names no cluster: ${cause}`);
    }
  }
  return problems;
}

/** The objects that are not as they should be, a line each. */
export function differences(whole: Json, found: Json): string[] {
  return whole.flatMap((expected: Json[], i: number) => {
    const key = ({ kind, namespace, name }: Json) => `${kind} ${namespace ?? ""}/${name}`;
    const now = new Map<string, Json>(found[i].map((object: Json) => [key(object), object]));
    const lines = expected.flatMap((object) => {
      const there = now.get(key(object));
      now.delete(key(object));
      if (!there) return `cluster${i + 1} lacks ${key(object)}`;
      return isDeepStrictEqual(there, object)
        ? []
        : `cluster${i + 1} has another ${key(object)}: ${JSON.stringify(there).slice(0, 600)} instead of ${JSON.stringify(object).slice(0, 600)}`;
    });
    return [...lines, ...[...now.keys()].map((each) => `cluster${i + 1} has ${each}, too`)];
  });
}
