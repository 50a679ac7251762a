import { parseDocument } from "yaml";

/** Enough for a list of many clusters that share their values, and no room for a bomb. */
const MOST_ALIASES = 100;

/**
 * Parses YAML, without throwing. What was read is never quoted in a problem, as the parser's messages would: it may hold a
 * secret.
 */
export function parseYaml(text: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    const document = parseDocument(text, { prettyErrors: false });
    const [error] = document.errors;
    if (error) {
      const line = text.slice(0, error.pos[0]).split("\n").length;
      return { problem: `is not valid YAML (line ${line}: ${error.code.toLowerCase().replaceAll("_", " ")})` };
    }
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES });
    // An anchor may hold an alias of itself, which no JSON can say and Kubernetes does not take.
    JSON.stringify(value);
    return { value };
  } catch (error) {
    if (error instanceof ReferenceError) return { problem: "uses its YAML anchors too often, or one that it lacks" };
    if (error instanceof TypeError) return { problem: "has a YAML anchor that contains itself" };
    return { problem: "is not valid YAML" };
  }
}
