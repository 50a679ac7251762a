import * as v from "valibot";
import { isMapping } from "../mesh/fields.ts";
import { parseYaml } from "../mesh/yaml.ts";
import { type ReportProblem, shown } from "./messages.ts";

/** Any mapping. A list is none, though valibot takes it for one. */
export const mapping = v.custom<Readonly<Record<string, unknown>>>(isMapping);

export const texts = v.pipe(v.custom<Record<string, string>>(isMapping), v.record(v.string(), v.string()));

/** A mapping of just these keys. */
export function keys<E extends v.ObjectEntries>(entries: E) {
  return v.pipe(v.custom<v.InferInput<v.StrictObjectSchema<E, undefined>>>(isMapping), v.strictObject(entries));
}

/**
 * Reads an input that is YAML; `undefined` where something is wrong, which was reported.
 * @param empty what stands for nothing at all, where that is allowed
 */
export function readYaml<S extends v.GenericSchema>(
  input: string,
  text: string,
  schema: S,
  report: ReportProblem,
  empty?: v.InferOutput<S>,
): v.InferOutput<S> | undefined {
  const parsed = parseYaml(text);
  if ("problem" in parsed) {
    report(input, parsed.problem);
    return undefined;
  }
  return parsed.value === null && empty !== undefined ? empty : checked(input, parsed.value, schema, report);
}

/** Checks a value by a schema and reports all that is wrong. What was read may hold a secret: it is not quoted. */
export function checked<S extends v.GenericSchema>(
  input: string,
  value: unknown,
  schema: S,
  report: ReportProblem,
): v.InferOutput<S> | undefined {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  for (const issue of parsed.issues) {
    const path = issue.path ?? [];
    if (issue.type === "strict_object" && issue.expected === "never") {
      const known = Object.keys(entriesAt(schema, path.slice(0, -1)));
      const unknown = Object.keys((path.at(-1)?.input ?? {}) as object).filter((key) => !known.includes(key));
      report(
        place(input, path.slice(0, -1)),
        `has the unknown key${unknown.length > 1 ? "s" : ""} ${unknown.map((key) => shown(key)).join(", ")}; known are: ${known.join(", ")}`,
      );
    } else if (issue.type === "strict_object") report(place(input, path), "is missing");
    else report(place(input, path), `is ${found(issue)}; expected ${expected(issue)}`);
  }
  return undefined;
}

/** `clusters[0].values`, as one would write it. */
function place(input: string, path: readonly v.IssuePathItem[]): string {
  return path.reduce(
    (at, { key }) =>
      typeof key === "number" ? `${at}[${key}]` : /^[\w-]{1,60}$/.test(`${key}`) ? `${at}.${key}` : `${at}[…]`,
    input,
  );
}

/** The keys that a schema knows at a path. */
function entriesAt(schema: v.GenericSchema, path: readonly v.IssuePathItem[]): object {
  interface Node {
    type?: string;
    wrapped?: Node;
    pipe?: Node[];
    item?: Node;
    entries?: Record<string, Node>;
  }
  const unwrapped = (node: Node | undefined): Node | undefined =>
    node?.type === "optional" ? unwrapped(node.wrapped) : (node?.pipe?.find(({ entries }) => entries) ?? node);
  let node = unwrapped(schema as Node);
  for (const { key } of path) node = unwrapped(typeof key === "number" ? node?.item : node?.entries?.[String(key)]);
  return node?.entries ?? {};
}

function found({ type, input }: v.BaseIssue<unknown>): string {
  if (input === null || input === "") return "empty";
  if (typeof input === "number" || typeof input === "boolean") return String(input);
  // Where a choice is expected there is no secret.
  if (typeof input === "string") return type === "picklist" ? shown(input) : "text";
  return Array.isArray(input) ? "a list" : "a mapping";
}

function expected({ type, expected }: v.BaseIssue<unknown>): string {
  switch (type) {
    case "custom":
      return "a mapping";
    case "array":
      return "a list";
    case "string":
      return "text (in quotes, if it looks like something else)";
    case "boolean":
      return "true or false";
    case "picklist":
      return `one of: ${String(expected).replace(/["()]/g, "").replaceAll(" | ", ", ")}`;
    default:
      // The only number among the inputs.
      return "a whole number from 1 to 100";
  }
}
