// Measures the action against the written procedure (sequential.sh), alternating, on fresh clusters, in one run.
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { arch, cpus, platform, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { performance } from "node:perf_hooks";
import { stringify } from "yaml";
import { ROOT, type RunResult, runAction } from "../runner.ts";
import { cpuSeconds, machineCpuSeconds, measured } from "./cpu.ts";
import { OWN_TIME, type OwnTime, ownTime } from "./own-time.ts";
import { median, table } from "./table.ts";

const HELP = `The benchmark runs on clusters that you name, and throws them away for fresh ones before each installation:
  BENCH_KUBECONFIGS        two or more kubeconfig files, separated by colons; of those that are not there yet the paths
  BENCH_RESET              a shell command that replaces the clusters by BENCH_CLUSTERS fresh ones, each with a Sail
                           Operator that is available already, whose kubeconfigs are the first of those files
  BENCH_ISTIO_VERSION      the Istio version to install
  BENCH_ISTIOCTL_MIRROR    optional: where istioctl is downloaded from
  BENCH_SIZES              optional: numbers of clusters, separated by commas (all kubeconfigs)
  BENCH_ROUNDS             optional: how often each way is measured (3)`;

interface Settings {
  readonly kubeconfigs: readonly string[];
  readonly sizes: readonly number[];
  readonly reset: string;
  readonly version: string;
  readonly mirror: string;
  readonly rounds: number;
}

type Way = "script" | "action";
type Kind = (typeof KINDS)[number];

const KINDS = ["install", "re-run", "verify"] as const;

interface Measured {
  readonly way: Way;
  readonly seconds: number;
  /** User and system time of the process and all its children. */
  readonly cpuSeconds: number;
  /** The same of the whole machine, and so of the clusters that run on it; absent where there is no /proc/stat. */
  readonly machineCpuSeconds?: number;
  /** Requests to each cluster's API server; the action alone counts them. */
  readonly requests?: Readonly<Record<string, number>>;
}

interface Measurement extends Measured {
  readonly clusters: number;
  readonly kind: Kind;
  readonly round: number;
  /** Of an installation: what each cluster took for itself. */
  readonly own?: readonly OwnTime[];
}

function settings(): Settings {
  const { BENCH_KUBECONFIGS, BENCH_RESET, BENCH_ISTIO_VERSION, BENCH_ISTIOCTL_MIRROR, BENCH_ROUNDS, BENCH_SIZES } =
    process.env;
  const missing = Object.entries({ BENCH_KUBECONFIGS, BENCH_RESET, BENCH_ISTIO_VERSION })
    .filter(([, value]) => !value)
    .map(([name]) => `${name} is not set.`);
  const rounds = Number(BENCH_ROUNDS || 3);
  if (!Number.isInteger(rounds) || rounds < 1) missing.push("BENCH_ROUNDS is not a number of 1 or more.");
  const kubeconfigs = (BENCH_KUBECONFIGS ?? "").split(":").filter((path) => path !== "");
  const sizes = BENCH_SIZES ? BENCH_SIZES.split(",").map(Number) : [kubeconfigs.length];
  if (!sizes.every((size) => Number.isInteger(size) && size >= 2 && size <= kubeconfigs.length))
    missing.push("BENCH_SIZES is not a list of numbers from 2 to that of the kubeconfigs.");
  if (missing.length > 0) {
    console.error(`${missing.join("\n")}\n\n${HELP}`);
    process.exit(1);
  }
  return {
    kubeconfigs,
    sizes,
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

async function runScript(set: Settings, kubeconfigs: readonly string[], istioctl: string, times: string) {
  const env = { ...process.env, KUBECONFIGS: kubeconfigs.join(":"), ISTIO_VERSION: set.version, ISTIOCTL: istioctl };
  const seconds = await command([...measured(times), "bash", join(ROOT, "test/bench/sequential.sh")], env);
  return { way: "script" as const, seconds };
}

/** The script verifies nothing, so the installation is measured without, and the verification for itself. */
async function runAsAction(set: Settings, kubeconfigs: readonly string[], istioctl: string, times: string, kind: Kind) {
  const clusters = kubeconfigs.map((path, index) => ({
    name: `cluster${index + 1}`,
    network: `network${index + 1}`,
    "kubeconfig-file": path,
  }));
  const result = await runAction({
    inputs: {
      command: kind === "verify" ? "verify" : "install",
      verify: "false",
      clusters: stringify(clusters),
      "istio-version": set.version,
      "istioctl-path": istioctl,
    },
    prefix: measured(times),
    timeoutMs: 15 * 60_000,
  });
  const changed = kind === "install";
  if (result.exitCode !== 0 || (result.outputs.changed === "true") !== changed)
    throw new Error(unexpected(result, changed));
  const requests = Object.fromEntries(result.report?.clusters.map(({ name, requests }) => [name, requests]) ?? []);
  return { way: "action" as const, seconds: result.seconds, requests };
}

function unexpected(result: RunResult, changed: boolean): string {
  const log = result.log.map(({ text }) => text).join("\n");
  return `The action ended with ${result.exitCode}, changed=${result.outputs.changed} (wanted ${changed}):\n${log}`;
}

async function measure(set: Settings, folder: string): Promise<Measurement[]> {
  const istioctl = await fetchIstioctl(set, folder);
  const times = join(folder, "times");
  const measurements: Measurement[] = [];
  for (const clusters of set.sizes) {
    const kubeconfigs = set.kubeconfigs.slice(0, clusters);
    for (let round = 1; round <= set.rounds; round++) {
      // What a machine does between the rounds must not always hit the same one of the two.
      for (const way of round % 2 === 1 ? (["script", "action"] as const) : (["action", "script"] as const)) {
        await command(["bash", "-c", set.reset], { ...process.env, BENCH_CLUSTERS: String(clusters) });
        for (const kind of way === "script" ? (["install", "re-run"] as const) : KINDS) {
          const before = await machineCpuSeconds();
          const run =
            way === "script"
              ? await runScript(set, kubeconfigs, istioctl, times)
              : await runAsAction(set, kubeconfigs, istioctl, times, kind);
          const after = await machineCpuSeconds();
          measurements.push({
            ...run,
            clusters,
            kind,
            round,
            cpuSeconds: await cpuSeconds(times),
            ...(before === undefined || after === undefined ? {} : { machineCpuSeconds: after - before }),
            ...(kind === "install" ? { own: await Promise.all(kubeconfigs.map(ownTime)) } : {}),
          });
          console.log(`${clusters} clusters, round ${round}: ${way}, ${kind}: ${run.seconds.toFixed(1)} s`);
        }
      }
    }
  }
  return measurements;
}

/** How long the bundle takes to say that its inputs are missing, and how long Node takes to do nothing. */
async function startUp(): Promise<{ bundle: number; post: number; node: number }> {
  const bundle: number[] = [];
  const post: number[] = [];
  const node: number[] = [];
  for (let i = 0; i < 10; i++) {
    bundle.push((await runAction({ inputs: {} })).seconds);
    post.push(await command([process.execPath, join(ROOT, "dist/post/index.js")], { PATH: process.env.PATH }));
    node.push(await command([process.execPath, "-e", "0"], { PATH: process.env.PATH }));
  }
  return { bundle: median(bundle), post: median(post), node: median(node) };
}

interface Ratios {
  readonly clusters: number;
  readonly install: number;
  readonly "re-run": number;
  /** Of the action's installation: its wall time over the slowest cluster's own time, less one. */
  readonly overhead?: number;
}

function show(measurements: readonly Measurement[], clusters: number): Ratios {
  const of = (way: Way, kind: Kind) =>
    measurements.filter((m) => m.clusters === clusters && m.way === way && m.kind === kind);
  const seconds = (way: Way, kind: Kind) => of(way, kind).map((m) => m.seconds);
  const rows = KINDS.flatMap((kind) =>
    (["script", "action"] as const).flatMap((way) => {
      const times = seconds(way, kind);
      if (times.length === 0) return [];
      const cpu = median(of(way, kind).map((m) => m.cpuSeconds));
      const machine = of(way, kind).flatMap((m) => m.machineCpuSeconds ?? []);
      const figures = [Math.min(...times), median(times), Math.max(...times), cpu].map((n) => n.toFixed(1));
      return [[kind, way, ...figures, machine.length > 0 ? median(machine).toFixed(1) : "–"]];
    }),
  );
  console.log(
    `\n${clusters} clusters\n${table([["", "", "min s", "median s", "max s", "CPU s", "machine's CPU s"], ...rows])}\n`,
  );
  const ratio = (kind: Kind) => median(seconds("action", kind)) / median(seconds("script", kind));
  for (const kind of ["install", "re-run"] as const) {
    console.log(`${kind}: action / script = ${ratio(kind).toFixed(2)} (medians)`);
    const names = Object.keys(of("action", kind)[0]?.requests ?? {});
    const requests = names.map((name) => `${name} ${median(of("action", kind).map((m) => m.requests![name]!))}`);
    console.log(`${kind}: the action's API requests: ${requests.join(", ")} (medians)`);
  }
  const verified = median(seconds("action", "install")) + median(seconds("action", "verify"));
  console.log(
    `install and verify, as the action does by default: ${verified.toFixed(1)} s, ${(verified / median(seconds("script", "install"))).toFixed(2)} of the script's installation`,
  );
  const slowest = ({ own = [] }: Measurement) => Math.max(...own.map((each) => each.controlPlane + each.gateway));
  const installs = of("action", "install");
  // Clusters that take no time that their clocks could show leave nothing to compare with.
  const overheads = installs.filter((m) => slowest(m) > 0).map((m) => m.seconds / slowest(m) - 1);
  const each = installs.map((m) => `${m.seconds.toFixed(1)} s over ${slowest(m).toFixed(0)} s`).join(", ");
  const overhead = overheads.length > 0 ? median(overheads) : undefined;
  console.log(
    `install: the action's overhead over the slowest cluster's own time is ${overhead === undefined ? "unknown" : `${(100 * overhead).toFixed(0)} %`} (median; ${each})`,
  );
  return {
    clusters,
    install: ratio("install"),
    "re-run": ratio("re-run"),
    ...(overhead === undefined ? {} : { overhead }),
  };
}

const set = settings();
const folder = await mkdtemp(join(tmpdir(), "bench-"));
try {
  const entries = await readdir(join(ROOT, "dist"), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const dist = await Promise.all(files.map(async (file) => [relative(ROOT, file), (await stat(file)).size] as const));
  const start = await startUp();
  console.log(`${set.sizes.join(", ")} clusters, ${set.rounds} rounds, ${cpus().length} CPUs, Node ${process.version}`);
  const measurements = await measure(set, folder);
  const ratios = set.sizes.map((clusters) => show(measurements, clusters));
  const megabytes = (...files: (readonly [string, number])[]) =>
    `${(files.reduce((sum, [, bytes]) => sum + bytes, 0) / 1e6).toFixed(2)} MB`;
  console.log(`\ndist: ${megabytes(...dist)} in ${dist.length} files`);
  console.log(
    `start-up until missing inputs are told: ${start.bundle.toFixed(3)} s; post without a probe: ${start.post.toFixed(3)} s; node -e 0: ${start.node.toFixed(3)} s (medians)`,
  );
  console.log(`
Not the same work: the script makes no common root of trust (its clusters' workloads do not trust each other), and checks
nothing but that every istiod is synced. The action checks the clusters before it changes them, and gives every cluster an
intermediate CA of one root. Both have istioctl at hand. The machine's CPU time is that of everything on it: where the
clusters run there, too, they share its CPUs.

${OWN_TIME}`);

  const results = join(ROOT, "bench-results");
  await mkdir(results, { recursive: true });
  const file = join(results, `${new Date().toISOString().replaceAll(":", "-")}.json`);
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version };
  const result = { machine, measurements, ratios, dist: Object.fromEntries(dist), startUp: start };
  await writeFile(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nWritten to ${file}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
