// Compiles src with tsc and bundles it into dist; with --check, into a temporary folder that must equal dist.
//
// esbuild goes before ncc because ncc keeps whole packages: of @kubernetes/client-node only the reading of kubeconfigs is
// used, and dropping its generated models makes dist less than half as large and its start twice as fast.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const check = process.argv.includes("--check");
const work = mkdtempSync(join(tmpdir(), "build-"));
const out = check ? join(work, "dist") : "dist";
const run = (...args) => execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
const inputs = new Set();

rmSync("lib", { recursive: true, force: true });
run("node_modules/typescript/bin/tsc");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const entry of ["main", "post"]) {
  const bundle = join("lib", "bundle", `${entry}.js`);
  const { metafile } = await build({
    entryPoints: [`lib/${entry}.js`],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    metafile: true,
    logLevel: "error",
    // CommonJS packages in the bundle ask for Node's own modules by require.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  for (const file of Object.keys(metafile.inputs)) inputs.add(file);
  const packed = join(work, entry);
  run("node_modules/@vercel/ncc/dist/ncc/cli.js", "build", bundle, "-o", packed, "--minify", "--no-cache", "-q");
  cpSync(join(packed, "index.js"), join(out, `${entry}.js`));
}
writeFileSync(join(out, "package.json"), '{ "type": "module" }\n');
writeFileSync(join(out, "licenses.txt"), licenses());

if (check) {
  const files = (folder) => (existsSync(folder) ? readdirSync(folder).sort() : []);
  const same =
    files(out).join() === files("dist").join() &&
    files(out).every((file) => readFileSync(join(out, file)).equals(readFileSync(join("dist", file))));
  if (!same) console.error("dist is not what `npm run build` makes. Run it and commit dist.");
  else console.log("dist is what `npm run build` makes.");
  process.exitCode = same ? 0 : 1;
}
rmSync(work, { recursive: true });

/** The licenses of the packages that are in the bundles, which must go with them. */
function licenses() {
  const folders = new Set([...inputs].flatMap((file) => /^(.*node_modules\/(@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim() : ""}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}
