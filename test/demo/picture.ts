// A page as a PNG, by a headless Chromium: `node test/demo/picture.ts demo/summary.html demo/summary.png`.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const WIDTH = 1080;

export async function picture(page: string, png: string): Promise<void> {
  const browser = await find(["chromium", "chromium-browser", "google-chrome"]);
  const profile = await mkdtemp(join(tmpdir(), "chromium-"));
  const flags = [
    "--headless",
    "--disable-gpu",
    "--hide-scrollbars",
    // It is to draw a file, and to speak to nobody.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    `--user-data-dir=${profile}`,
    // Time runs until nothing is left to do, not by the clock.
    "--virtual-time-budget=20000",
    // Chromium refuses to sandbox what root runs.
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  ];
  const url = pathToFileURL(resolve(page)).href;
  try {
    const { stdout } = await run(browser, [...flags, `--window-size=${WIDTH},600`, "--dump-dom", url], {
      maxBuffer: 64 * 1024 * 1024,
    });
    const height = Number(/data-height="(\d+)"/.exec(stdout)?.[1] ?? 2000);
    await run(browser, [...flags, `--window-size=${WIDTH},${height}`, `--screenshot=${resolve(png)}`, url]);
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function find(programs: readonly string[]): Promise<string> {
  for (const program of programs) {
    if (await run(program, ["--version"]).catch(() => undefined)) return program;
  }
  throw new Error(`A picture needs one of ${programs.join(", ")} on PATH.`);
}

if (import.meta.main) {
  const [page, png] = process.argv.slice(2);
  if (!page || !png) {
    console.error("usage: node test/demo/picture.ts PAGE.html PICTURE.png");
    process.exit(2);
  }
  await picture(page, png);
}
