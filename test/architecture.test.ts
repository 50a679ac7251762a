import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { posix } from "node:path/posix";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface Import {
  readonly from: string;
  readonly to: string;
  /** Gone when the types are stripped. */
  readonly typeOnly: boolean;
}

const files = globSync("src/**/*.ts", { cwd: root }).map((path) => path.replaceAll("\\", "/"));

/** Every import and re-export of a source, ours by its path from `src`. */
function importsOf(path: string): Import[] {
  const text = read(path).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;
  return [...text.matchAll(pattern)].map(([, type, named, dynamic]) => {
    const to = (named ?? dynamic) as string;
    return {
      from: path.replace("src/", ""),
      to: to.startsWith(".") ? posix.join(posix.dirname(path), to).replace("src/", "") : to,
      typeOnly: type !== undefined,
    };
  });
}

const imports = files.flatMap(importsOf);
const folder = (path: string) => (path.includes("/") ? (path.split("/")[0] as string) : "");
const ours = imports.filter(({ to }) => to.endsWith(".ts"));
const packages = imports.filter(({ to }) => !/\.(ts|json)$/.test(to) && !to.startsWith("node:"));
const told = ({ from, to }: Import) => `${from} → ${to}`;

test("there is something to look at", () => {
  expect(files.length).toBeGreaterThan(40);
  expect(ours.length).toBeGreaterThan(100);
  // Every word `from` of a source belongs to an import that was read, so none was overlooked.
  for (const path of files) {
    const words = read(path).match(/^(?:import|export)\b.*\sfrom "|^\} from "|^import "|\bimport\("/gm) ?? [];
    expect(importsOf(path).length, path).toBe(words.length);
  }
});

describe("the arrows point down", () => {
  // What a folder may import of ours, beside itself. An arrow in brackets: types only.
  const ALLOWED: Record<string, string[]> = {
    mesh: [],
    cluster: ["mesh"],
    tools: ["mesh", "cluster"],
    istioctl: ["mesh", "cluster", "tools"],
    helm: ["mesh", "cluster", "tools"],
    // Reads, without a rule.
    facts: ["mesh", "cluster", "istioctl", "helm"],
    checks: ["mesh", "cluster", "facts", "(istioctl)"],
    steps: ["mesh", "cluster", "istioctl", "helm", "facts", "checks"],
    commands: ["mesh", "cluster", "istioctl", "helm", "facts", "checks", "steps"],
    report: ["mesh"],
    action: ["mesh", "cluster", "istioctl", "helm", "facts", "checks", "steps", "commands", "report"],
    // The entries: index.ts, main.ts and post.ts.
    "": ["action"],
  };

  test("every folder is known", () => {
    expect(new Set(files.map((path) => folder(path.replace("src/", ""))))).toEqual(new Set(Object.keys(ALLOWED)));
  });

  test.each(Object.entries(ALLOWED))("of %s", (from, allowed) => {
    const wrong = ours.filter((each) => {
      const to = folder(each.to);
      return (
        folder(each.from) === from &&
        to !== from &&
        !allowed.includes(to) &&
        !(each.typeOnly && allowed.includes(`(${to})`))
      );
    });
    expect(wrong.map(told)).toEqual([]);
  });

  test("and never in a circle", () => {
    // Types count as well: what needs each other's to be understood is one thing.
    const next = (path: string) => ours.filter(({ from }) => from === path).map(({ to }) => to);
    const done = new Set<string>();
    const visit = (path: string, way: string[]): void => {
      if (way.includes(path)) throw new Error(`a circle: ${[...way, path].join(" → ")}`);
      if (done.has(path)) return;
      for (const to of next(path)) visit(to, [...way, path]);
      done.add(path);
    };
    for (const path of files) visit(path.replace("src/", ""), []);
    expect(done.size).toBe(files.length);
  });
});

describe("packages are used where they belong", () => {
  test.each<[string, string[]]>([
    ["@actions/core", ["action", ""]],
    ["@actions/tool-cache", ["tools"]],
    ["@kubernetes/client-node", ["cluster"]],
    ["undici", ["cluster"]],
    ["@peculiar/x509", ["mesh"]],
    ["valibot", ["action"]],
  ])("%s", (name, folders) => {
    const users = packages.filter(({ to }) => to === name || to.startsWith(`${name}/`));
    expect(users.length).toBeGreaterThan(0);
    expect(users.filter(({ from }) => !folders.includes(folder(from))).map(told)).toEqual([]);
  });

  test("and none that package.json does not name", () => {
    const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
    const name = (to: string) =>
      to
        .split("/")
        .slice(0, to.startsWith("@") ? 2 : 1)
        .join("/");
    expect(packages.filter(({ to }) => !(name(to) in dependencies)).map(told)).toEqual([]);
  });

  test("the domain has no input or output", () => {
    const allowed = ["node:crypto", "node:util"];
    const used = imports.filter(
      ({ from, to }) => folder(from) === "mesh" && to.startsWith("node:") && !allowed.includes(to),
    );
    expect(used.map(told)).toEqual([]);
  });
});

describe("the files", () => {
  test.each(files)("%s is not too long to be read at once", (path) => {
    expect(read(path).split("\n").length - 1).toBeLessThanOrEqual(400);
  });

  test("print by the runner's toolkit only", () => {
    // The entry waits until all that was printed is written.
    expect(files.filter((path) => /\bconsole\.|process\.std(out|err)\b/.test(read(path)))).toEqual(["src/main.ts"]);
  });

  test("the exit code is decided in one place, and the process ended by the entry only; children by who runs them", () => {
    expect(files.filter((path) => /process\.exitCode\b/.test(read(path)))).toEqual(["src/action/run.ts"]);
    expect(files.filter((path) => /process\.(exit|abort)\(/.test(read(path)))).toEqual(["src/main.ts"]);
    expect(files.filter((path) => /process\.kill\(/.test(read(path)))).toEqual(["src/cluster/child.ts"]);
    expect(files.filter((path) => /"node:child_process"/.test(read(path)))).toEqual(["src/cluster/child.ts"]);
  });
});

describe("the interface", () => {
  const action = parse(read("action.yml")) as Record<"inputs" | "outputs", Record<string, { description?: string }>>;
  const inputs = ["inputs", "clusters", "installation", "operator", "probe", "services", "trust"]
    .map((name) => read(`src/action/${name}.ts`))
    .join("");

  test.each(Object.keys(action.inputs))("the input %s is described and read", (name) => {
    expect(action.inputs[name]?.description).toMatch(/\.$/);
    // `cluster1-name` is read as `cluster1` and `name`.
    const [, cluster, key] = /^(cluster[12])-(.*)$/.exec(name) ?? [];
    for (const part of cluster && key ? [cluster, key] : [name]) expect(inputs).toContain(`"${part}"`);
  });

  test.each(Object.keys(action.outputs))("the output %s is described and set", (name) => {
    expect(action.outputs[name]?.description).toMatch(/\.$/);
    expect(read("src/action/outputs.ts")).toMatch(new RegExp(`^\\s*("${name}"|${name}): `, "m"));
  });

  test("the program and what cleans up after it are the bundle's", () => {
    const { runs } = parse(read("action.yml")) as { runs: Record<string, string> };
    expect(runs).toEqual({ using: "node24", main: "dist/main/index.js", post: "dist/post/index.js" });
  });
});

test("writes to clusters pass one place, where it is asked whether they may: the lock and the probe, which nothing stands on, apart", () => {
  const writers = files.filter((path) => /\bcluster\.(create|apply|delete|update|restart)\(/i.test(read(path)));
  const known = ["step", "write", "lock", "probe"].map((name) => `src/steps/${name}.ts`);
  // A review is no write.
  expect(
    writers.filter((path) => !path.startsWith("src/cluster/") && !/\/(rights|tokens)\.ts$/.test(path)).sort(),
  ).toEqual(known.sort());
});
