// Traffic between clusters that goes on while something is done to the mesh, and what became of every request.
import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, KubernetesObject } from "./cluster.ts";
import { deploySample, NAMESPACE, PORT, removeSample } from "./sample.ts";

/** Answers in a row that make a stream steady: from there on it counts. */
const STEADY = 40;

export interface StreamResult {
  readonly source: string;
  readonly target: string;
  /** Requests, since the stream was steady. */
  readonly sent: number;
  /** Those of them that got anything but the target's answer. */
  readonly failed: number;
  /** The longest time without a good answer, in milliseconds. */
  readonly longestGap: number;
  /** When the first few failed, in seconds since it was steady, and what the client got. */
  readonly failures: readonly string[];
}

export interface Streams {
  /** Ends them, and removes the sample, unless that is kept. Asks the API servers, which must be reachable again. */
  stop(options?: { readonly keep: boolean }): Promise<StreamResult[]>;
}

/** Where a client notes its calls: a container's log is not kept as reliably. */
const CALLS = "/tmp/calls";

/**
 * A client that calls a target, fifty milliseconds after each call again, for as long as it lives. One call at a time, so
 * that a line more says that the last call is over. What it needs is a shell's own, but for the pause.
 */
function client(target: Cluster, image: string): KubernetesObject {
  const call = 'answer=$(/sample get "$URL"); read -r uptime rest </proc/uptime; echo "$uptime [$answer]"';
  const loop = `while true; do { ${call}; } >>${CALLS}; sleep 0.05; done`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: podName(target), namespace: NAMESPACE, labels: { app: "stream" } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "client",
          image,
          command: ["sh", "-c", loop],
          // Only the target's server is behind this name.
          env: [{ name: "URL", value: `http://only-${target.name}.${NAMESPACE}:${PORT}/` }],
        },
      ],
    },
  };
}

/**
 * Deploys the sample in the clusters and lets every one of them call every other until it is stopped. The clients run in
 * the clusters by themselves: no API server has a part in the traffic, so one that goes away disturbs nothing.
 * @param within each cluster calls itself, and no other
 */
export async function startStreams(
  clusters: readonly Cluster[],
  image: string,
  injection?: Readonly<Record<string, string>>,
  within = false,
): Promise<Streams> {
  await Promise.all(clusters.map((cluster) => deploySample(cluster, clusters, image, injection)));
  const streams = clusters.flatMap((source) =>
    clusters.filter((target) => (target === source) === within).map((target) => ({ source, target })),
  );
  const started = await Promise.all(
    streams.map(async ({ source, target }) => {
      await source.apply([client(target, image)]);
      return { source, target, before: await steady(source, target) };
    }),
  );
  return {
    async stop({ keep } = { keep: false }) {
      const results = await Promise.all(
        started.map(async ({ source, target, before }) => {
          return resultOf(source, target, (await oneMore(source, target)).slice(before));
        }),
      );
      const gone = ({ source, target }: (typeof started)[number]) =>
        source.kubectl(["delete", "pod", podName(target), "-n", NAMESPACE, "--timeout=60s"], { timeoutMs: 70_000 });
      await Promise.all(keep ? started.map(gone) : clusters.map(removeSample));
      return results;
    },
  };
}

/** A line for each direction, for the reader of the log. */
export function toldOf(results: readonly StreamResult[]): string {
  return results
    .map(
      ({ source, target, sent, failed, longestGap, failures }) =>
        `${source} → ${target}: ${sent} requests, ${failed} failed, longest gap ${longestGap} ms${failures.map((each) => `\n  ${each}`).join("")}`,
    )
    .join("\n");
}

interface Line {
  /** Milliseconds, by the node's uptime. */
  readonly at: number;
  readonly text: string;
}

/** The calls that a client made so far. */
async function calls(source: Cluster, target: Cluster): Promise<Line[]> {
  const read = `while read -r line; do echo "$line"; done <${CALLS}`;
  const output = await source.kubectl([
    "exec",
    "-n",
    NAMESPACE,
    podName(target),
    "-c",
    "client",
    "--",
    "sh",
    "-c",
    read,
  ]);
  return output.split("\n").flatMap((line) => {
    const [, uptime, text = ""] = /^(\d+\.\d+) \[(.*)\]$/.exec(line) ?? [];
    return uptime ? [{ at: Number(uptime) * 1000, text }] : [];
  });
}

const isAnswer = ({ name }: Cluster, { text }: Line) => text === `200 hello from ${name}`;

/** Waits until the stream flows; gives the number of lines before it did. */
async function steady(source: Cluster, target: Cluster): Promise<number> {
  const deadline = Date.now() + 180_000;
  for (;;) {
    // Its container may not be there yet.
    const lines = await calls(source, target).catch((): Line[] => []);
    const last = lines.slice(-STEADY);
    if (last.length === STEADY && last.every((line) => isAnswer(target, line))) return lines.length - 1;
    if (Date.now() > deadline)
      throw new Error(`${source.name} → ${target.name} does not flow: ${last.at(-1)?.text ?? "no call was made"}`);
    await delay(1_000);
  }
}

/** All calls, once the one that is under way is over. */
async function oneMore(source: Cluster, target: Cluster): Promise<Line[]> {
  const stopped = (await calls(source, target)).length;
  const deadline = Date.now() + 60_000;
  for (;;) {
    const lines = await calls(source, target);
    const { status } = await source.get("pod", podName(target), NAMESPACE);
    const restarts = status.containerStatuses.map(({ restartCount }: KubernetesObject) => restartCount);
    // The file is that of the last container alone.
    if (restarts.some(Boolean)) throw new Error(`The client of ${source.name} → ${target.name} was restarted.`);
    if (lines.length > stopped) return lines;
    if (Date.now() > deadline) throw new Error(`The client of ${source.name} → ${target.name} does not go on.`);
    await delay(500);
  }
}

function resultOf(source: Cluster, target: Cluster, lines: readonly Line[]): StreamResult {
  const failed = lines.filter((line) => !isAnswer(target, line));
  const good = lines.filter((line) => isAnswer(target, line)).map(({ at }) => at);
  const start = lines[0]?.at ?? 0;
  const times = [start, ...good, lines.at(-1)?.at ?? 0];
  const gaps = times.slice(1).map((at, i) => Math.round(at - (times[i] as number)));
  return {
    source: source.name,
    target: target.name,
    sent: lines.length,
    failed: failed.length,
    longestGap: Math.max(...gaps),
    failures: failed.slice(0, 5).map(({ at, text }) => `after ${((at - start) / 1000).toFixed(1)} s: ${text}`),
  };
}

function podName({ name }: Cluster): string {
  return `stream-to-${name}`;
}
