// What users build on: inputs, outputs, check IDs, fields of the report. The committed manifest says what was promised;
// something that is no longer so takes a new major version.
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { CHECKS } from "../src/mesh/catalogue.ts";

export interface Interface {
  /** The version of package.json when the manifest was written. */
  readonly version: string;
  /** Defaults; an empty one is none. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
  /** The category of each ID. */
  readonly checks: Readonly<Record<string, string>>;
  /** Type, and the allowed values, of each field; `?` where it may be missing. */
  readonly report: Readonly<Record<string, string>>;
}

export const MANIFEST = "schema/interface.json";

interface Action {
  readonly inputs: Record<string, { default?: string | number | boolean }>;
  readonly outputs: Record<string, unknown>;
}

/** The interface that the sources make now. */
export function readInterface(): Interface {
  const action = parse(readFileSync("action.yml", "utf8")) as Action;
  return {
    version: JSON.parse(readFileSync("package.json", "utf8")).version,
    inputs: Object.fromEntries(Object.entries(action.inputs).map(([name, input]) => [name, `${input.default ?? ""}`])),
    outputs: Object.keys(action.outputs),
    checks: Object.fromEntries(Object.entries(CHECKS).map(([id, { category }]) => [id, category])),
    report: fields(JSON.parse(readFileSync("schema/report.schema.json", "utf8"))),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON schema
type Schema = any;

/** Every field of a JSON schema by its path, with all that a reader of it relies on. */
export function fields(root: Schema): Record<string, string> {
  const found: Record<string, string> = {};
  const resolved = (schema: Schema): Schema =>
    schema.$ref ? { ...root.$defs[schema.$ref.replace("#/$defs/", "")], ...schema, $ref: undefined } : schema;
  const visit = (given: Schema, path: string, optional: boolean): void => {
    const schema = resolved(given);
    // The IDs have a list of their own.
    if (given.$ref === "#/$defs/id") {
      found[path] = `check ID${optional ? " ?" : ""}`;
      return;
    }
    const values = schema.enum ?? ("const" in schema ? [schema.const] : undefined);
    const types = values ? [...values].map((value) => JSON.stringify(value)).sort() : [schema.type ?? "any"].flat();
    if (path) found[path] = types.join(" | ") + (optional ? " ?" : "");
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      visit(property, path ? `${path}.${name}` : name, !(schema.required ?? []).includes(name));
    if (schema.items) visit(schema.items, `${path}[]`, false);
    if (schema.additionalProperties instanceof Object) visit(schema.additionalProperties, `${path}.*`, false);
    for (const each of schema.oneOf ?? schema.anyOf ?? [])
      for (const [name, property] of Object.entries(resolved(each).properties ?? {}))
        visit(property, `${path}.${name}`, true);
  };
  visit(root, "", false);
  return found;
}

export interface Difference {
  /** What was promised and is no longer so. */
  readonly broken: readonly string[];
  readonly added: readonly string[];
}

/** What became of the promises. */
export function compare(before: Interface, now: Interface): Difference {
  const broken: string[] = [];
  const added: string[] = [];
  const look = (
    what: string,
    old: Readonly<Record<string, string>>,
    current: Readonly<Record<string, string>>,
    same: (old: string, current: string) => boolean,
  ) => {
    for (const [name, value] of Object.entries(old)) {
      const is = current[name];
      if (is === undefined) broken.push(`${what} ${name} is gone`);
      else if (!same(value, is)) broken.push(`${what} ${name} was "${value}" and is "${is}"`);
      else if (value !== is) added.push(`${what} ${name} was "${value}" and is "${is}"`);
    }
    for (const name of Object.keys(current)) if (!(name in old)) added.push(`${what} ${name}`);
  };
  const equal = (a: string, b: string) => a === b;
  const named = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, ""]));
  look("the input", before.inputs, now.inputs, equal);
  look("the output", named(before.outputs), named(now.outputs), equal);
  look("the check", before.checks, now.checks, equal);
  look("the report's field", before.report, now.report, wider);
  return { broken, added };
}

/** A list of values may get longer, and what may be missing may become certain; all else is another meaning. */
function wider(old: string, current: string): boolean {
  if (current.endsWith(" ?") && !old.endsWith(" ?")) return false;
  const [was, is] = [old, current].map((text) => text.replace(/ \?$/, "").split(" | ")) as [string[], string[]];
  // `const` is a promise of its own, such as the schema's version.
  if (was.length === 1) return is.length === 1 && was[0] === is[0];
  return was.every((value) => is.includes(value));
}

/** Whether promises of the one version may be broken by the other. */
export function isMajor(before: string, now: string): boolean {
  return Number.parseInt(now, 10) > Number.parseInt(before, 10);
}
