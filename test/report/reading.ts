// How the tests read a summary.
import { marked, type Token, type Tokens } from "marked";

export function tokens(markdown: string): Token[] {
  const found: Token[] = [];
  marked.walkTokens(marked.lexer(markdown), (token) => {
    found.push(token);
  });
  return found;
}

export const tables = (markdown: string) =>
  tokens(markdown).filter((token): token is Tokens.Table => token.type === "table");
export const headings = (markdown: string) =>
  tokens(markdown).flatMap((token) => (token.type === "heading" ? [(token as Tokens.Heading).text] : []));

export function decoded(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

/** The HTML's elements, opened and closed, in their order. */
export const elements = (markdown: string) => (marked.parse(markdown) as string).match(/<[^>]*>/g) ?? [];

/** A table's cells as text, by its first header cells. */
export function table(markdown: string, ...header: string[]): string[][] {
  const found = tables(markdown).find((each) => header.every((text, i) => each.header[i]?.text === text));
  if (!found) throw new Error(`there is no table ${header.join(", ")}`);
  return found.rows.map((row) => row.map(({ text }) => decoded(text).replaceAll("**", "").replace(/ +/g, " ").trim()));
}

/** All tables with these first header cells. */
export function allTables(markdown: string, ...header: string[]): string[][][] {
  return tables(markdown)
    .filter((each) => header.every((text, i) => each.header[i]?.text === text))
    .map(({ rows }) => rows.map((row) => row.map(({ text }) => decoded(text).replace(/ +/g, " ").trim())));
}

/** The part of the Markdown before the first fold. */
export const unfolded = (markdown: string) => markdown.split("<details>")[0] ?? "";

/** The source of the summary's picture. */
export function picture(markdown: string): string | undefined {
  const code = tokens(markdown).find(
    (token): token is Tokens.Code => token.type === "code" && token.lang === "mermaid",
  );
  return code?.text;
}
