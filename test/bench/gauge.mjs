// Loaded into the action's process before it (`node --import`): notes what it takes, and writes that to the file
// GAUGE_FILE when the process ends. Other programs, which load it, too, are left alone. No TypeScript: what strips the
// types would be measured with the rest.
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";

/** Counts what is there at once. */
class Level {
  now = 0;
  peak = 0;

  up() {
    this.peak = Math.max(this.peak, ++this.now);
  }

  down() {
    this.now--;
  }
}

const file = process.env.GAUGE_FILE;
if (file && /main[\\/]index\.js$/.test(process.argv[1] ?? "")) {
  const servers = new Map();
  const all = new Level();
  const inFlight = new Level();
  const open = new Set();
  let first = Number.NaN;

  subscribe("undici:client:connected", ({ connectParams: { host }, socket }) => {
    const server = servers.get(host) ?? new Level();
    servers.set(host, server);
    for (const level of [server, all]) level.up();
    socket.once("close", () => {
      for (const level of [server, all]) level.down();
    });
  });
  subscribe("undici:request:create", ({ request }) => {
    if (Number.isNaN(first)) first = performance.now() / 1000;
    open.add(request);
    inFlight.up();
  });
  for (const end of ["undici:request:trailers", "undici:request:error"])
    subscribe(end, ({ request }) => {
      if (open.delete(request)) inFlight.down();
    });

  process.on("exit", () => {
    const { user, system } = process.cpuUsage();
    /** @type {import("./scale.ts").Gauge} */
    const gauge = {
      firstRequestSeconds: first,
      // Kilobytes everywhere; libuv sees to that.
      peakMegabytes: (process.resourceUsage().maxRSS * 1024) / 1e6,
      cpuSeconds: (user + system) / 1e6,
      connections: Object.fromEntries([...servers].map(([name, { peak }]) => [name, peak])),
      allConnections: all.peak,
      inFlight: inFlight.peak,
    };
    writeFileSync(file, JSON.stringify(gauge));
  });
}
