// Measures how a run grows with the number of clusters, on embedded API servers that answer after 40 ms.
// SCALE_SIZES: numbers of clusters, separated by commas (2,4,8,16,32,64).
// SCALE_SERVICES, SCALE_ENDPOINTS: how many of a cluster's own it has (0).
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { fakeIstioctl } from "../embedded/istioctl.ts";
import { ROOT, type RunResult, runAction } from "../runner.ts";
import { scaleChart } from "./chart.ts";
import type { Figures, Question, Ready } from "./clusters.ts";
import { cpuSeconds, measured } from "./cpu.ts";
import { table } from "./table.ts";

const LATENCY = 40;
/** The wall time's slope between these two is the number of requests that wait for each other. Milliseconds. */
const SLOPE = [40, 240] as const;
const SLOPE_ROUNDS = 3;
const KINDS = ["install", "re-run", "verify"] as const;
type Kind = (typeof KINDS)[number];

/** What gauge.mjs writes of the action's process. */
export interface Gauge {
  /** From the start of the process to the first request. */
  readonly firstRequestSeconds: number;
  readonly peakMegabytes: number;
  /** User and system time, without the process's children. */
  readonly cpuSeconds: number;
  /** By the API servers: connections open at once, at most. */
  readonly connections: Readonly<Record<string, number>>;
  /** Open at once to all of them together, at most. */
  readonly allConnections: number;
  /** Requests under way at once to all of them together, watches included, at most. */
  readonly inFlight: number;
}

interface Run {
  readonly seconds: number;
  /** Without what istioctl asks. */
  readonly requests: { readonly total: number; readonly perCluster: number };
  readonly peakMegabytes: number;
  readonly connectionsPerCluster: number;
  readonly connections: number;
  readonly inFlight: number;
  /** The action's own process; the programs that it calls; the stand-ins for the clusters. */
  readonly cpuSeconds: { readonly own: number; readonly children: number; readonly clusters: number };
  readonly firstRequestSeconds: number;
}

export interface Size {
  readonly clusters: number;
  readonly remoteSecrets: number;
  readonly runs: Readonly<Record<Kind, Run>>;
}

export interface Scale {
  readonly latencyMs: number;
  readonly machine: { readonly cpus: number; readonly model: string | undefined; readonly node: string };
  readonly sizes: readonly Size[];
  /** Of two clusters: requests that wait for each other, by kind of run, and the seconds that no request takes. */
  readonly chain: Readonly<Record<Kind, { readonly requests: number; readonly restSeconds: number }>>;
}

class Clusters {
  readonly kubeconfigs: readonly string[];
  readonly #child: ReturnType<typeof fork>;

  private constructor(child: ReturnType<typeof fork>, { kubeconfigs }: Ready) {
    this.#child = child;
    this.kubeconfigs = kubeconfigs;
  }

  static async start(count: number, latency: number): Promise<Clusters> {
    const child = fork(join(import.meta.dirname, "clusters.ts"), [
      String(count),
      String(latency),
      process.env.SCALE_SERVICES ?? "0",
      process.env.SCALE_ENDPOINTS ?? "0",
    ]);
    const [ready] = await Promise.race([once(child, "message"), once(child, "exit").then(ended)]);
    return new Clusters(child, ready as Ready);
  }

  async figures(): Promise<Figures> {
    const answer = once(this.#child, "message");
    this.#ask("figures");
    const [figures] = await answer;
    return figures as Figures;
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#ask("stop");
    await exit;
  }

  #ask(question: Question): void {
    this.#child.send(question);
  }
}

function ended(): never {
  throw new Error("The clusters' process ended before they were there.");
}

async function run(clusters: Clusters, kind: Kind, folder: string): Promise<Run> {
  const variable = (index: number) => `KUBECONFIG_${index + 1}`;
  const list = clusters.kubeconfigs.map((_, index) => ({
    name: `cluster${index + 1}`,
    network: `network${index + 1}`,
    "kubeconfig-env": variable(index),
  }));
  const files = { gauge: join(folder, "gauge.json"), times: join(folder, "times") };
  await clusters.figures();
  const result = await runAction({
    inputs: {
      command: kind === "verify" ? "verify" : "install",
      clusters: stringify(list),
      "istioctl-path": await fakeIstioctl(folder),
      timeout: "30m",
    },
    env: {
      NODE_OPTIONS: `--import=${join(import.meta.dirname, "gauge.mjs")}`,
      GAUGE_FILE: files.gauge,
      // One by one: all of them in one input are more than Linux takes in a variable.
      ...Object.fromEntries(clusters.kubeconfigs.map((kubeconfig, index) => [variable(index), kubeconfig])),
    },
    prefix: measured(files.times),
    timeoutMs: 30 * 60_000,
  });
  if (result.exitCode !== 0 || (result.outputs.changed === "true") !== (kind === "install"))
    throw new Error(told(result));
  const gauge: Gauge = JSON.parse(await readFile(files.gauge, "utf8"));
  const figures = await clusters.figures();
  const requests = result.report?.clusters.map((each) => each.requests) ?? [];
  return {
    seconds: result.seconds,
    requests: { total: requests.reduce((a, b) => a + b, 0), perCluster: Math.max(...requests) },
    peakMegabytes: gauge.peakMegabytes,
    connectionsPerCluster: Math.max(...Object.values(gauge.connections)),
    connections: gauge.allConnections,
    inFlight: gauge.inFlight,
    cpuSeconds: {
      own: gauge.cpuSeconds,
      children: Math.max(0, (await cpuSeconds(files.times)) - gauge.cpuSeconds),
      clusters: figures.cpuSeconds,
    },
    firstRequestSeconds: gauge.firstRequestSeconds,
  };
}

function told({ exitCode, outputs, log }: RunResult): string {
  const lines = log.filter(({ kind, text }) => kind === "error" || text.includes("✗")).map(({ text }) => text);
  return `The action ended with ${exitCode}, changed=${outputs.changed}:\n${(lines.length > 0 ? lines : log.map(({ text }) => text)).slice(-40).join("\n")}`;
}

/** Fresh clusters: installed, installed once more, verified. */
async function runs(count: number, latency: number, folder: string): Promise<Record<Kind, Run>> {
  const clusters = await Clusters.start(count, latency);
  try {
    const made: Partial<Record<Kind, Run>> = {};
    for (const kind of KINDS) {
      made[kind] = await run(clusters, kind, folder);
      const { seconds, requests, peakMegabytes } = made[kind];
      console.log(
        `${count} clusters, ${latency} ms: ${kind}: ${seconds.toFixed(1)} s, ${requests.total} requests, ${peakMegabytes.toFixed(0)} MB`,
      );
    }
    return made as Record<Kind, Run>;
  } finally {
    await clusters.stop();
  }
}

async function chain(folder: string): Promise<Scale["chain"]> {
  const [short, long] = [[], []] as [Record<Kind, Run>[], Record<Kind, Run>[]];
  for (let round = 0; round < SLOPE_ROUNDS; round++) {
    short.push(await runs(2, SLOPE[0], folder));
    long.push(await runs(2, SLOPE[1], folder));
  }
  const of = (kind: Kind) => {
    // The quickest of each: whatever else the machine does makes a run slower, never quicker.
    const [quick, slow] = [short, long].map((all) => Math.min(...all.map((each) => each[kind].seconds))) as [
      number,
      number,
    ];
    const requests = (slow - quick) / ((SLOPE[1] - SLOPE[0]) / 1000);
    return { requests, restSeconds: quick - (requests * SLOPE[0]) / 1000 };
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, of(kind)])) as Scale["chain"];
}

function show(sizes: readonly Size[], chain: Scale["chain"] | undefined): void {
  const head = ["", "N", "wall s", "requests", "per cluster", "MB", "connections per cluster", "in all", "in flight"];
  const cpu = ["CPU s: action", "programs", "clusters"];
  for (const kind of KINDS) {
    const rows = sizes.map(({ clusters, runs }) => {
      const each = runs[kind];
      const { own, children, clusters: standIns } = each.cpuSeconds;
      return [
        kind,
        String(clusters),
        each.seconds.toFixed(1),
        String(each.requests.total),
        String(each.requests.perCluster),
        each.peakMegabytes.toFixed(0),
        String(each.connectionsPerCluster),
        String(each.connections),
        String(each.inFlight),
        ...[own, children, standIns].map((seconds) => seconds.toFixed(1)),
      ];
    });
    console.log(`\n${table([[...head, ...cpu], ...rows])}`);
    if (!chain) continue;
    const { requests, restSeconds } = chain[kind];
    const seconds = (requests * LATENCY) / 1000;
    console.log(
      `${kind}: ${requests.toFixed(0)} requests wait for each other: ${seconds.toFixed(1)} s at ${LATENCY} ms; ${restSeconds.toFixed(1)} s at two clusters are no requests`,
    );
  }
}

// A part of the sizes is for the eye alone.
const part = process.env.SCALE_SIZES?.split(",").map(Number);
const folder = await mkdtemp(join(tmpdir(), "scale-"));
try {
  const longest = part ? undefined : await chain(folder);
  const sizes: Size[] = [];
  for (const clusters of part ?? [2, 4, 8, 16, 32, 64])
    sizes.push({ clusters, remoteSecrets: clusters * (clusters - 1), runs: await runs(clusters, LATENCY, folder) });
  show(sizes, longest);
  if (longest) {
    const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
    const scale: Scale = { latencyMs: LATENCY, machine, sizes, chain: longest };
    await writeFile(join(ROOT, "docs/scale.json"), `${JSON.stringify(scale, rounded, 2)}\n`);
    await writeFile(join(ROOT, "docs/scale.svg"), scaleChart(scale));
    console.log("\nWritten to docs/scale.json and docs/scale.svg");
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

function rounded(_: string, value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
}
