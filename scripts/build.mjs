// Compiles src with tsc and bundles it with ncc into dist; with --check, into a temporary folder that must equal dist.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const check = process.argv.includes("--check");
const out = check ? mkdtempSync(join(tmpdir(), "dist-")) : "dist";
const run = (...args) => execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });

rmSync("lib", { recursive: true, force: true });
run("node_modules/typescript/bin/tsc");
if (!check) rmSync(out, { recursive: true, force: true });
for (const entry of ["main", "post"]) {
  const bundle = mkdtempSync(join(tmpdir(), `ncc-${entry}-`));
  run(
    "node_modules/@vercel/ncc/dist/ncc/cli.js",
    "build",
    `lib/${entry}.js`,
    "-o",
    bundle,
    "--minify",
    "--no-cache",
    "-q",
  );
  cpSync(join(bundle, "index.js"), join(out, `${entry}.js`));
  rmSync(bundle, { recursive: true });
}
cpSync("scripts/dist-package.json", join(out, "package.json"));

if (check) {
  const files = (folder) => (existsSync(folder) ? readdirSync(folder).sort() : []);
  const same =
    files(out).join() === files("dist").join() &&
    files(out).every((file) => readFileSync(join(out, file)).equals(readFileSync(join("dist", file))));
  rmSync(out, { recursive: true });
  if (!same) {
    console.error("dist is not what `npm run build` makes. Run it and commit dist.");
    process.exit(1);
  }
  console.log("dist is what `npm run build` makes.");
}
