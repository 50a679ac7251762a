// All checks that need no cluster, side by side: what the linter, the compiler, the build and the documentation have to say
// is told when the tests are over. Arguments are the tests'.
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

const CHECKS = [
  ["linter", "npm run --silent lint"],
  ["types", "npm run --silent types"],
  ["dist", "npm run --silent dist"],
  ["documentation", "node scripts/docs.ts --check"],
];

/** Runs a command of a shell, whose paths npm has set. @returns its exit code and what it said */
async function ran(command) {
  const child = spawn(command, { shell: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  const said = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await ended, said: said.join("").trim() };
}

const checks = CHECKS.map(async ([name, command]) => ({ name, ...(await ran(command)) }));
const vitest = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)], {
  stdio: "inherit",
});
const tests = await new Promise((resolve, reject) => vitest.on("error", reject).on("close", resolve));
const failed = (await Promise.all(checks)).filter(({ code }) => code !== 0);
for (const { name, said } of failed) console.error(`\n== ${name} failed\n${said}`);
process.exitCode = tests || (failed.length > 0 ? 1 : 0);
