// Loaded into the action's process before it (`node --import`): notes what it takes, and writes that to the file
// GAUGE_FILE when the process ends. Its children load it, too, and it does nothing there.
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import type { Socket } from "node:net";

export interface Gauge {
  /** From the start of the process to the first request. */
  readonly firstRequestSeconds: number;
  readonly peakMegabytes: number;
  /** User and system time of the process without its children. */
  readonly cpuSeconds: number;
  /** By the API servers' URLs: connections open at once, at most. */
  readonly connections: Readonly<Record<string, number>>;
  /** Open at once to all of them together, at most. */
  readonly allConnections: number;
  /** Requests under way at once to all of them together, watches included, at most. */
  readonly inFlight: number;
}

/** Counts what is there at once. */
class Level {
  now = 0;
  peak = 0;

  up(): void {
    this.peak = Math.max(this.peak, ++this.now);
  }

  down(): void {
    this.now--;
  }
}

const file = process.env.GAUGE_FILE;
if (file && process.argv[1]?.endsWith("main.js")) {
  const servers = new Map<string, Level>();
  const all = new Level();
  const inFlight = new Level();
  const open = new Set<unknown>();
  let first = Number.NaN;

  subscribe("undici:client:connected", (message) => {
    const { connectParams, socket } = message as { connectParams: { host: string }; socket: Socket };
    const server = servers.get(connectParams.host) ?? new Level();
    servers.set(connectParams.host, server);
    for (const level of [server, all]) level.up();
    socket.once("close", () => {
      for (const level of [server, all]) level.down();
    });
  });
  subscribe("undici:request:create", (message) => {
    if (Number.isNaN(first)) first = performance.now() / 1000;
    open.add((message as { request: unknown }).request);
    inFlight.up();
  });
  for (const end of ["undici:request:trailers", "undici:request:error"])
    subscribe(end, (message) => {
      if (open.delete((message as { request: unknown }).request)) inFlight.down();
    });

  process.on("exit", () => {
    const { maxRSS } = process.resourceUsage();
    const { user, system } = process.cpuUsage();
    const gauge: Gauge = {
      firstRequestSeconds: first,
      // Kilobytes everywhere, libuv sees to that.
      peakMegabytes: (maxRSS * 1024) / 1e6,
      cpuSeconds: (user + system) / 1e6,
      connections: Object.fromEntries([...servers].map(([name, { peak }]) => [name, peak])),
      allConnections: all.peak,
      inFlight: inFlight.peak,
    };
    writeFileSync(file, JSON.stringify(gauge));
  });
}
