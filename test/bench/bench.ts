// Measures the action against the written procedure (sequential.sh), alternating, on fresh clusters, in one run.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { arch, cpus, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { stringify } from "yaml";
import { ROOT, type RunResult, runAction } from "../runner.ts";

const HELP = `The benchmark runs on clusters that you name, and throws them away for fresh ones before each installation:
  BENCH_KUBECONFIGS        two or more kubeconfig files, separated by colons
  BENCH_RESET              a shell command that replaces the clusters by fresh ones, each with the Sail Operator
  BENCH_ISTIO_VERSION      the Istio version to install
  BENCH_ISTIOCTL_MIRROR    optional: where istioctl is downloaded from
  BENCH_ROUNDS             optional: how often each way is measured (3)`;

interface Settings {
  readonly kubeconfigs: readonly string[];
  readonly reset: string;
  readonly version: string;
  readonly mirror: string;
  readonly rounds: number;
}

type Way = "script" | "action";
type Kind = "install" | "re-run";

interface Measurement {
  readonly way: Way;
  readonly kind: Kind;
  readonly round: number;
  readonly seconds: number;
  /** User and system time of the process and all its children. */
  readonly cpuSeconds: number;
  /** Requests to each cluster's API server; the action alone counts them. */
  readonly requests?: Readonly<Record<string, number>>;
}

function settings(): Settings {
  const { BENCH_KUBECONFIGS, BENCH_RESET, BENCH_ISTIO_VERSION, BENCH_ISTIOCTL_MIRROR, BENCH_ROUNDS } = process.env;
  const missing = Object.entries({ BENCH_KUBECONFIGS, BENCH_RESET, BENCH_ISTIO_VERSION })
    .filter(([, value]) => !value)
    .map(([name]) => `${name} is not set.`);
  const rounds = Number(BENCH_ROUNDS || 3);
  if (!Number.isInteger(rounds) || rounds < 1) missing.push("BENCH_ROUNDS is not a number of 1 or more.");
  if (missing.length > 0) {
    console.error(`${missing.join("\n")}\n\n${HELP}`);
    process.exit(1);
  }
  return {
    kubeconfigs: BENCH_KUBECONFIGS!.split(":").filter((path) => path !== ""),
    reset: BENCH_RESET!,
    version: BENCH_ISTIO_VERSION!,
    mirror: (BENCH_ISTIOCTL_MIRROR || "https://github.com/istio/istio/releases/download").replace(/\/$/, ""),
    rounds,
  };
}

/** Runs a command to its end; its output is kept, and shown only where it failed. */
async function command(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const [program = "", ...args] = words;
  const started = performance.now();
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
  const code = await new Promise<number | null>((onClose, onError) => child.on("close", onClose).on("error", onError));
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${words.join(" ")} ended with ${code}:\n${Buffer.concat(output)}`);
  return seconds;
}

/** Words before a command that write the CPU time of its process tree into a file: the shell's own `time`. */
function measured(file: string): string[] {
  return ["bash", "-c", 'exec 3>&2; TIMEFORMAT="%U %S"; { time "$@" 2>&3; } 2>"$0"', file];
}

async function cpuSeconds(file: string): Promise<number> {
  const [user = 0, system = 0] = (await readFile(file, "utf8")).trim().split(/\s+/).slice(-2).map(Number);
  return user + system;
}

/** The istioctl of both ways, so that neither has to download it while the clock runs. */
async function fetchIstioctl({ version, mirror }: Settings, folder: string): Promise<string> {
  const os = platform() === "darwin" ? "osx" : "linux";
  const cpu = arch() === "x64" ? "amd64" : arch();
  const url = `${mirror}/${version}/istioctl-${version}-${os}-${cpu}.tar.gz`;
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  const archive = join(folder, "istioctl.tar.gz");
  await writeFile(archive, Buffer.from(await response.arrayBuffer()));
  await command(["tar", "-xzf", archive, "-C", folder]);
  return join(folder, "istioctl");
}

async function runScript(
  set: Settings,
  istioctl: string,
  folder: string,
): Promise<Omit<Measurement, "kind" | "round">> {
  const times = join(folder, "times");
  const env = {
    ...process.env,
    KUBECONFIGS: set.kubeconfigs.join(":"),
    ISTIO_VERSION: set.version,
    ISTIOCTL: istioctl,
  };
  const seconds = await command([...measured(times), "bash", join(ROOT, "test/bench/sequential.sh")], env);
  return { way: "script", seconds, cpuSeconds: await cpuSeconds(times) };
}

async function runAsAction(set: Settings, istioctl: string, folder: string, changed: boolean) {
  const times = join(folder, "times");
  const clusters = set.kubeconfigs.map((path, index) => ({
    name: `cluster${index + 1}`,
    network: `network${index + 1}`,
    "kubeconfig-file": path,
  }));
  const result = await runAction({
    inputs: { clusters: stringify(clusters), "istio-version": set.version, "istioctl-path": istioctl },
    prefix: measured(times),
    timeoutMs: 15 * 60_000,
  });
  if (result.exitCode !== 0 || result.outputs.changed !== String(changed)) throw new Error(unexpected(result, changed));
  const requests = Object.fromEntries(result.report?.clusters.map(({ name, requests }) => [name, requests]) ?? []);
  return { way: "action" as const, seconds: result.seconds, cpuSeconds: await cpuSeconds(times), requests };
}

function unexpected(result: RunResult, changed: boolean): string {
  const log = result.log.map(({ text }) => text).join("\n");
  return `The action ended with ${result.exitCode}, changed=${result.outputs.changed} (wanted ${changed}):\n${log}`;
}

async function measure(set: Settings, folder: string): Promise<Measurement[]> {
  const istioctl = await fetchIstioctl(set, folder);
  const measurements: Measurement[] = [];
  for (let round = 1; round <= set.rounds; round++) {
    // What a machine does between the rounds must not always hit the same one of the two.
    for (const way of round % 2 === 1 ? (["script", "action"] as const) : (["action", "script"] as const)) {
      await command(["bash", "-c", set.reset]);
      for (const kind of ["install", "re-run"] as const) {
        const run =
          way === "script"
            ? await runScript(set, istioctl, folder)
            : await runAsAction(set, istioctl, folder, kind === "install");
        measurements.push({ ...run, kind, round });
        console.log(`round ${round}: ${way}, ${kind}: ${run.seconds.toFixed(1)} s`);
      }
    }
  }
  return measurements;
}

/** How long the bundle takes to say that its inputs are missing, and how long Node takes to do nothing. */
async function startUp(): Promise<{ bundle: number; node: number }> {
  const bundle: number[] = [];
  const node: number[] = [];
  for (let i = 0; i < 10; i++) {
    bundle.push((await runAction({ inputs: {} })).seconds);
    node.push(await command([process.execPath, "-e", "0"], { PATH: process.env.PATH }));
  }
  return { bundle: median(bundle), node: median(node) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .join("\n");
}

function show(measurements: readonly Measurement[]): { ratios: Record<Kind, number> } {
  const of = (way: Way, kind: Kind) => measurements.filter((m) => m.way === way && m.kind === kind);
  const seconds = (way: Way, kind: Kind) => of(way, kind).map((m) => m.seconds);
  const kinds = ["install", "re-run"] as const;
  const rows = kinds.flatMap((kind) =>
    (["script", "action"] as const).map((way) => {
      const times = seconds(way, kind);
      const cpu = median(of(way, kind).map((m) => m.cpuSeconds));
      return [kind, way, ...[Math.min(...times), median(times), Math.max(...times), cpu].map((n) => n.toFixed(1))];
    }),
  );
  console.log(`\n${table([["", "", "min s", "median s", "max s", "CPU s"], ...rows])}\n`);
  const ratio = (kind: Kind) => median(seconds("action", kind)) / median(seconds("script", kind));
  const ratios = { install: ratio("install"), "re-run": ratio("re-run") };
  for (const kind of kinds) {
    console.log(`${kind}: action / script = ${ratios[kind].toFixed(2)} (medians)`);
    const clusters = Object.keys(of("action", kind)[0]?.requests ?? {});
    const requests = clusters.map((name) => `${name} ${median(of("action", kind).map((m) => m.requests![name]!))}`);
    console.log(`${kind}: the action's API requests: ${requests.join(", ")} (medians)`);
  }
  return { ratios };
}

const set = settings();
const folder = await mkdtemp(join(tmpdir(), "bench-"));
try {
  const dist = {
    main: (await stat(join(ROOT, "dist/main.js"))).size,
    post: (await stat(join(ROOT, "dist/post.js"))).size,
  };
  const start = await startUp();
  console.log(
    `${set.kubeconfigs.length} clusters, ${set.rounds} rounds, ${cpus().length} CPUs, Node ${process.version}`,
  );
  const measurements = await measure(set, folder);
  const { ratios } = show(measurements);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
  console.log(`dist: main.js ${megabytes(dist.main)}, post.js ${megabytes(dist.post)}`);
  console.log(
    `start-up until missing inputs are told: ${start.bundle.toFixed(2)} s; node -e 0: ${start.node.toFixed(2)} s`,
  );
  console.log(`
Not the same work: the script makes no common root of trust (its clusters' workloads do not trust each other), and checks
nothing but that every istiod is synced. The action checks the clusters before it changes them, and gives every cluster an
intermediate CA of one root. Both have istioctl at hand.`);

  const results = join(ROOT, "bench-results");
  await mkdir(results, { recursive: true });
  const file = join(results, `${new Date().toISOString().replaceAll(":", "-")}.json`);
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
  const result = { clusters: set.kubeconfigs.length, machine, measurements, ratios, dist, startUp: start };
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nWritten to ${file}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
