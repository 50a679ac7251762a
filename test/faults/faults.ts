import { appendFileSync } from "node:fs";
import pLimit from "p-limit";
import { expect, inject, test } from "vitest";
import { notPassed } from "../commands/mesh.ts";
import type { Json, Kube } from "../embedded/kube.ts";
import { type Case, type Ended, runCase, type Target } from "./cases.ts";
import { KINDS, type Kind } from "./kinds.ts";
import { classOf, isOurs } from "./requests.ts";
import { begin, type Scenario, states, stop } from "./scenarios.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Where each file of the suite notes its counts. */
    counts: string;
  }
}

/** Cases side by side in one process: they wait more than they work. */
export const LANES = 4;

/** How often a case is begun whose request does not come. */
const TRIES = 3;

export interface Undisturbed {
  /** What is on the clusters in the end. */
  readonly whole: Json;
  /** The requests, in the order in which they came. */
  readonly targets: readonly (Target & { readonly request: { method: string; path: string } })[];
}

export async function undisturbed(scenario: Scenario): Promise<Undisturbed> {
  const kubes = await begin(scenario);
  const sent: { cluster: number; request: { method: string; path: string } }[] = [];
  kubes.forEach((kube, cluster) => {
    kube.intercept((request) => {
      if (isOurs(request)) sent.push({ cluster, request });
      return undefined;
    });
  });
  const outcome = await scenario.run(kubes);
  expect(notPassed(outcome)).toEqual([]);
  for (const kube of kubes) kube.intercept(undefined);
  const whole = states(kubes);
  await stop(kubes);
  const counts = new Map<string, number>();
  const targets = sent.map(({ cluster, request }) => {
    const name = classOf(request);
    const key = `${cluster} ${name}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return { cluster, class: name, occurrence: counts.get(key) as number, request };
  });
  return { whole, targets };
}

/**
 * The cases: every kind of fault that applies for each request that differs from others (method, resource, and what is asked
 * of it), now in one cluster, now in the other; and for each of all requests at least one kind.
 */
export function casesOf(targets: Undisturbed["targets"]): Case[] {
  const cases: Case[] = [];
  const covered = new Set<unknown>();
  const byClass = [...Map.groupBy(targets, (target) => target.class).values()];
  byClass.forEach((same, number) => {
    const kinds = KINDS.filter(({ applies }) => applies((same[0] as (typeof same)[number]).request));
    kinds.forEach((kind, i) => {
      const target = same[(i + number) % same.length] as (typeof same)[number];
      covered.add(target);
      cases.push({ kind, target });
    });
  });
  targets.forEach((target, i) => {
    if (covered.has(target)) return;
    const kinds = KINDS.filter(({ applies }) => applies(target.request));
    cases.push({ kind: kinds[i % kinds.length] as Kind, target });
  });
  return cases;
}

/** Asked by istioctl, which has rules of its own for what it tries again. */
export function isIstioctls({ class: name }: Target): boolean {
  return /^GET \S+\/serviceaccounts\/istio-reader-service-account$|^GET all of a kind in a namespace$/.test(name);
}

/** Runs the cases, several at once, each on clusters where the command begins. */
export async function runCases(scenario: Scenario, cases: readonly Case[], whole: Json): Promise<(Case & Ended)[]> {
  const limit = pLimit(LANES);
  const idle: Kube[][] = [];
  const ended = await Promise.all(
    cases.map((each) =>
      limit(async () => {
        const once = async () => {
          const kubes = idle.pop() ?? (await begin(scenario));
          const end = await runCase(scenario, kubes, each, whole);
          if (scenario.repeatable && end.problems.length === 0) idle.push(kubes);
          else await stop(kubes);
          return end;
        };
        // Not every run looks or watches as often as another one.
        let end = await once();
        for (let tries = 1; !end.hit && end.problems.length === 0 && tries < TRIES; tries++) end = await once();
        const told = { ...each, ...end };
        if (end.problems.length > 0) console.log(line(told));
        return told;
      }),
    ),
  );
  await Promise.all(idle.map(stop));
  return ended;
}

export function line({ kind, target, result, problems }: Case & Ended): string {
  const { cluster, class: name, occurrence } = target;
  return `${kind.name} at ${name} (${occurrence}., cluster${cluster + 1}), result ${result}: ${problems.join("; ")}`;
}

/** Every so-many-eth case only, to look around quickly; a number that shares no factor with that of the kinds. */
export const EVERY = Number(process.env.FAULTS_EVERY ?? 1);

/** A test for each kind of fault. */
export async function faults(scenario: Scenario): Promise<void> {
  const { whole, targets } = await undisturbed(scenario);
  const cases = casesOf(targets).filter((_, i) => i % EVERY === 0);
  const classes = new Set(targets.map((target) => target.class)).size;
  console.log(`${scenario.name}: ${targets.length} requests, ${classes} that differ, ${cases.length} cases`);
  for (const [kind, some] of Map.groupBy(cases, (each) => each.kind.name)) {
    test(`${scenario.name}: ${kind}, ${some.length} cases`, async () => {
      const ended = await runCases(scenario, some, whole);
      const failed = ended.filter(({ problems }) => problems.length > 0);
      const count = {
        name: `${scenario.name}: ${kind}`,
        cases: ended.length,
        missed: ended.filter(({ hit }) => !hit).length,
        passed: ended.filter(({ hit, result }) => hit && result === "passed").length,
        failures: failed.length,
      };
      appendFileSync(inject("counts"), `${JSON.stringify(count)}\n`);
      expect(failed.map(line)).toEqual([]);
    });
  }
}
