import { isScalar, Lexer, parseDocument, visit } from "yaml";

/** Enough for a list of many clusters that share their values, and no room for a bomb. */
const MOST_ALIASES = 100;
/** In characters, tokens, and collections within each other: far beyond what anybody writes, and still read in a moment. */
const LONGEST = 512 * 1024;
const MOST_TOKENS = 100_000;
const DEEPEST = 100;

/**
 * Parses YAML, without throwing. What was read is never quoted in a problem, as the parser's messages would: it may hold a
 * secret.
 */
export function parseYaml(text: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    const excess = excessOf(text);
    if (excess) return { problem: excess };
    // Its own look for keys that occur twice compares each with all others, and its warnings quote what they are about.
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, logLevel: "error" });
    const [error] = document.errors;
    if (error) return { problem: `is not valid YAML (line ${lineAt(text, error.pos[0])}: ${words(error.code)})` };
    const repeated = repeatedKey(document);
    if (repeated !== undefined) return { problem: `is not valid YAML (line ${lineAt(text, repeated)}: duplicate key)` };
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

/**
 * What is too much for a parser, whose time and stack can grow faster than the text. Collections are nested in brackets or by
 * dashes in one line; by indentation that takes more room than there is.
 */
function excessOf(text: string): string | undefined {
  if (text.length > LONGEST) return `is longer than ${LONGEST / 1024} KiB`;
  let tokens = 0;
  let brackets = 0;
  let dashes = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === "[" || token === "{") brackets++;
    else if (token === "]" || token === "}") brackets = Math.max(0, brackets - 1);
    else if (token === "-" || token === "?") dashes++;
    else if (token.startsWith("\n") || token.startsWith("\r")) dashes = 0;
    if (brackets > DEEPEST || dashes > DEEPEST) return `has more than ${DEEPEST} YAML collections within each other`;
    if (++tokens > MOST_TOKENS) return `has more than ${MOST_TOKENS} YAML tokens`;
  }
  return undefined;
}

/** Where a key is that its mapping has already. */
function repeatedKey(document: ReturnType<typeof parseDocument>): number | undefined {
  let found: number | undefined;
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key) || key.value === "<<") continue;
        if (keys.has(key.value)) {
          found = key.range?.[0] ?? 0;
          return visit.BREAK;
        }
        keys.add(key.value);
      }
      return undefined;
    },
  });
  return found;
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}

function words(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}
