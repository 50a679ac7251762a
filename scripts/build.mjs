// Compiles src with tsc and bundles it into dist; with --check, into a temporary folder that must equal dist.
//
// esbuild goes before ncc because ncc keeps whole packages: of @kubernetes/client-node only the reading of kubeconfigs is
// used, and dropping its generated models makes dist less than half as large and its start twice as fast. What most runs do
// not need is loaded where it is needed (`import()` in src), and is a file of its own: the post step is a few lines until
// there is a probe to remove.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const check = process.argv.includes("--check");
const work = mkdtempSync(join(tmpdir(), "build-"));
const out = check ? join(work, "dist") : "dist";
const run = (...args) => execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });

rmSync("lib", { recursive: true, force: true });
run("node_modules/typescript/bin/tsc");
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  entryPoints: ["lib/index.js"],
  outdir: join("lib", "bundle"),
  bundle: true,
  // A linked node_modules, as a worktree has it, is one folder with another path, and paths are in the names of the chunks.
  preserveSymlinks: true,
  splitting: true,
  minify: true,
  platform: "node",
  format: "esm",
  target: "node24",
  // The licenses go into a file of their own.
  legalComments: "none",
  metafile: true,
  logLevel: "error",
  plugins: [withoutOidc()],
  // CommonJS packages in the bundle ask for Node's own modules by require.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
// The same for ncc, whose loaders' paths are in the numbers of its chunks: it is run from a copy that is always at one place.
cpSync(join("node_modules", "@vercel", "ncc"), join("lib", "ncc"), { recursive: true, dereference: true });
const { default: ncc } = await import(pathToFileURL(resolve("lib", "ncc", "dist", "ncc", "index.js")).href);
// The bundle needs no file beside it; where ncc sees a path, it would bring along all that is there.
const filterAssetBase = resolve("lib", "bundle");
const { code, assets } = await ncc(join(filterAssetBase, "index.js"), { filterAssetBase, cache: false, quiet: true });
writeFileSync(join(out, "index.js"), code);
for (const [file, { source }] of Object.entries(assets)) writeFileSync(join(out, file), source);
// What the runner runs: a file for each of its steps.
for (const step of ["main", "post"]) {
  mkdirSync(join(out, step));
  writeFileSync(join(out, step, "index.js"), `import { ${step} } from "../index.js";\n\nawait ${step}();\n`);
}
writeFileSync(join(out, "licenses.txt"), licenses());

if (check) {
  const files = (folder) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
          .sort()
      : [];
  const same =
    files(out).join() === files("dist").join() &&
    files(out).every((file) => readFileSync(join(out, file)).equals(readFileSync(join("dist", file))));
  if (!same) console.error("dist is not what `npm run build` makes. Run it and commit dist.");
  else console.log("dist is what `npm run build` makes.");
  process.exitCode = same ? 0 : 1;
}
rmSync(work, { recursive: true });

/** @actions/core brings an HTTP client, for tokens that nobody asks for here; told that it may go, it goes. */
function withoutOidc() {
  const known = Symbol("resolved");
  return {
    name: "without-oidc",
    setup(bundle) {
      bundle.onResolve({ filter: /^\.\/oidc-utils\.js$/ }, async ({ path, pluginData, ...from }) =>
        pluginData === known
          ? undefined
          : { ...(await bundle.resolve(path, { ...from, pluginData: known })), sideEffects: false },
      );
    },
  };
}

/** The licenses of the packages that are in the bundles, which must go with them. */
function licenses() {
  const used = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
  const folders = new Set(used.flatMap((file) => /^(.*node_modules\/(@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim() : ""}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}
