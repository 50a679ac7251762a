// Writes the parts of the documentation that are made from the sources; with --check, fails where they are not current.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Document, isScalar, parse, parseDocument, type Scalar, visit, type YAMLMap } from "yaml";
import {
  diagnosticsRights,
  installRights,
  merged,
  pruneRights,
  type Right,
  ROOT_CHANGE,
  rotateRights,
  uninstallRights,
  verifyRights,
} from "../src/checks/rights.ts";
import type { MeshSpec } from "../src/mesh/spec.ts";
import { compare, type Interface, isMajor, MANIFEST, readInterface } from "./interface.ts";

interface ActionFile {
  inputs: Record<string, { description: string; default?: string | number }>;
  outputs: Record<string, { description: string }>;
}

const action = parse(readFileSync("action.yml", "utf8")) as ActionFile;

function table(header: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function described(name: string, description: string | undefined): string {
  if (!description?.trim()) throw new Error(`action.yml: ${name} has no description`);
  return description.trim();
}

/** A table for each group; a comment in action.yml begins one. */
function inputs(): string {
  const map = parseDocument(readFileSync("action.yml", "utf8")).get("inputs") as YAMLMap<Scalar<string>>;
  const groups: { title: string; rows: string[][] }[] = [];
  map.items.forEach(({ key }, at) => {
    // What stands above the first entry is the map's own.
    const title = (at === 0 ? map.commentBefore : key.commentBefore)?.trim();
    if (title) groups.push({ title, rows: [] });
    const name = key.value;
    const { description, default: value } = action.inputs[name] ?? { description: "" };
    const row = [`\`${name}\``, described(name, description), value === undefined ? "" : `\`${value}\``];
    const group = groups.at(-1);
    if (!group) throw new Error(`action.yml: ${name} is in no group: a comment above it begins one`);
    group.rows.push(row);
  });
  return groups
    .map(({ title, rows }) => `### ${title}\n\n${table(["Input", "What it is", "Default"], rows)}`)
    .join("\n\n");
}

function outputs(): string {
  const rows = Object.entries(action.outputs).map(([name, { description }]) => [
    `\`${name}\``,
    described(name, description),
  ]);
  return table(["Output", "What it is"], rows);
}

const mesh = {
  namespace: "istio-system",
  installer: "sail",
  gateway: { install: true },
  trust: { mode: "auto" },
} as MeshSpec;

/** The rights as RBAC objects: cluster-wide ones in a ClusterRole, the others in a Role for each namespace. */
function roles(rights: readonly Right[], name = "istio-mesh-action"): string {
  const rule = ({ group, resource, subresource, names, verbs }: Right) => ({
    apiGroups: [group],
    resources: [subresource ? `${resource}/${subresource}` : resource],
    ...(names ? { resourceNames: [...names] } : {}),
    verbs: [...verbs],
  });
  const byNamespace = Map.groupBy(merged(rights), ({ namespace }) => namespace ?? "");
  const objects = [...byNamespace].map(([namespace, rights]) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: namespace ? "Role" : "ClusterRole",
    metadata: { name, ...(namespace ? { namespace } : {}) },
    rules: rights.map(rule),
  }));
  const text = objects.map((object) => {
    const document = new Document(object);
    visit(document, {
      Seq: (_, node) => {
        node.flow = node.items.every(isScalar);
      },
    });
    return document.toString({ lineWidth: 110, flowCollectionPadding: false });
  });
  return `\`\`\`yaml\n${text.join("---\n")}\`\`\``;
}

const parts: Record<string, Record<string, () => string>> = {
  "docs/REFERENCE.md": { inputs, outputs },
  "docs/SECURITY.md": {
    install: () => roles([...installRights(mesh), ...verifyRights(mesh, true)]),
    prune: () => roles(pruneRights(mesh), "istio-mesh-action-prune"),
    "change-root": () => roles(ROOT_CHANGE, "istio-mesh-action-change-root"),
    rotate: () => roles([...rotateRights({ ...mesh, tokenTtl: 3600 }), ...verifyRights(mesh, true)]),
    verify: () => roles(verifyRights(mesh, true)),
    diagnostics: () => roles(diagnosticsRights(mesh), "istio-mesh-action-diagnostics"),
    uninstall: () => roles(uninstallRights(mesh, "mesh")),
    "uninstall-all": () => roles(uninstallRights(mesh, "all")),
    "verify-without-traffic": () => roles(verifyRights(mesh, false)),
  },
};

const check = process.argv.includes("--check");
for (const [file, sections] of Object.entries(parts)) {
  const before = readFileSync(file, "utf8");
  let after = before;
  for (const [name, make] of Object.entries(sections)) {
    const section = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end -->)`);
    if (!section.test(after)) throw new Error(`${file} has no section ${name}`);
    after = after.replace(section, (_, begin: string, end: string) => `${begin}\n${make()}\n\n${end}`);
  }
  if (after === before) continue;
  if (check) {
    console.error(`${file} is not current. Run \`npm run docs\`.`);
    process.exitCode = 1;
  } else writeFileSync(file, after);
}

/**
 * The action as one that verifies, for workflows of this repository that others call: `$/verify` takes no checkout, and at the
 * root `$/` alone is refused.
 */
function verifyAction(): string {
  const text = readFileSync("action.yml", "utf8")
    .replace(
      /^#.*\n/,
      "# Made by `npm run docs` from ../action.yml: the same action, with another command unless told.\n",
    )
    .replace(/^name: .*$/m, "name: Verify an Istio multi-primary multi-network mesh")
    .replace(
      /^description: .*$/m,
      "description: Proves that Kubernetes clusters are one Istio mesh, no matter who made it.",
    )
    .replace(/^( {2}command:\n(?: {4}.*\n)*? {4}default: )install$/m, "$1verify")
    .replaceAll(/^( {2}(?:main|post): )dist\//gm, "$1../dist/");
  return text;
}

const whole: Record<string, () => string> = { "verify/action.yml": verifyAction };
for (const [file, make] of Object.entries(whole)) {
  const text = make();
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (check) {
    console.error(`${file} is not current. Run \`npm run docs\`.`);
    process.exitCode = 1;
  } else writeFileSync(file, text);
}

manifest();

/** The manifest of the interface. Nothing goes from it without a new major version. */
function manifest(): void {
  const now = readInterface();
  const text = `${JSON.stringify(now, null, 2)}\n`;
  const committed = existsSync(MANIFEST) ? readFileSync(MANIFEST, "utf8") : undefined;
  if (committed === text) return;
  const before = committed === undefined ? now : (JSON.parse(committed) as Interface);
  const { broken, added } = compare(before, now);
  const allowed = isMajor(before.version, now.version) || process.argv.includes("--unreleased");
  if (broken.length > 0 && !allowed) {
    console.error(`A new major version is needed (package.json), for users rely on these:\n  ${broken.join("\n  ")}`);
    console.error("If they were never released: `npm run docs -- --unreleased`.");
    process.exitCode = 1;
  } else if (check) {
    console.error([`${MANIFEST} is not current. Run \`npm run docs\`.`, ...broken, ...added].join("\n  "));
    process.exitCode = 1;
  } else writeFileSync(MANIFEST, text);
}
