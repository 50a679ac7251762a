// Markdown for a terminal: as much of it as a job summary uses.
import { stripVTControlCharacters, styleText } from "node:util";
import { marked, type Token, type Tokens } from "marked";

export type Style = (format: Parameters<typeof styleText>[0], text: string) => string;

/** Styles where the terminal can show them, and NO_COLOR does not forbid it. */
export const style: Style = (format, text) => styleText(format, text, { stream: process.stdout });

export function terminal(markdown: string, paint: Style = style): string {
  return `${blocks(marked.lexer(markdown), paint)
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim()}\n`;
}

function blocks(tokens: readonly Token[], paint: Style): string {
  return tokens.map((token) => block(token, paint)).join("");
}

function block(token: Token, paint: Style): string {
  const { type } = token;
  if (type === "heading") return `\n${paint(["bold", "underline"], inline(token.tokens ?? [], paint))}\n\n`;
  if (type === "paragraph") return `${inline(token.tokens ?? [], paint)}\n\n`;
  if (type === "table") return `${table(token as Tokens.Table, paint)}\n\n`;
  if (type === "list") return `${list(token as Tokens.List, paint)}\n\n`;
  if (type === "blockquote") return `${indent(quote(token as Tokens.Blockquote, paint), paint("dim", "│ "))}\n\n`;
  if (type === "code" && token.lang === "mermaid") return `${paint("dim", "[a diagram: see the page]")}\n\n`;
  if (type === "code") return `${indent(token.text, "    ")}\n\n`;
  if (type === "hr") return `${paint("dim", "─".repeat(40))}\n\n`;
  if (type === "html") return html(token.text, paint);
  if (type === "text") return `${token.tokens ? inline(token.tokens, paint) : plain(token.text)}\n`;
  return token.raw.trim() === "" ? "" : token.raw;
}

/** GitHub's alerts begin with their kind. */
function quote(token: Tokens.Blockquote, paint: Style): string {
  return blocks(token.tokens, paint)
    .trim()
    .replace(/^\[!([A-Z])([A-Z]+)\]\s*/, (_, first: string, rest: string) =>
      paint(["bold", "yellow"], `${first}${rest.toLowerCase()}\n`),
    );
}

/** Of a folded part its title; all of it is shown. */
function html(text: string, paint: Style): string {
  const titled = text.replaceAll(/<summary>(.*?)<\/summary>/gs, (_, title: string) =>
    paint("bold", `▾ ${untag(title)}`),
  );
  const rest = untag(titled).trim();
  return rest === "" ? "" : `${rest}\n\n`;
}

function untag(text: string): string {
  return plain(text.replaceAll(/<br\s*\/?>/gi, "\n").replaceAll(/<!--.*?-->|<\/?[a-z][^>]*>/gis, ""));
}

/** What Markdown escapes so that it is not taken for HTML. */
function plain(text: string): string {
  const characters: Record<string, string> = {
    lt: "<",
    gt: ">",
    quot: '"',
    "#39": "'",
    "#124": "|",
    nbsp: " ",
    amp: "&",
  };
  return text.replaceAll(/&(lt|gt|quot|#39|#124|nbsp|amp);/g, (_, name: string) => characters[name]!);
}

function inline(tokens: readonly Token[], paint: Style): string {
  return tokens.map((token) => span(token, paint)).join("");
}

function span(token: Token, paint: Style): string {
  const { tokens } = token as { tokens?: Token[] };
  const inner = () => inline(tokens ?? [], paint);
  if (token.type === "strong") return paint("bold", inner());
  if (token.type === "em") return paint("italic", inner());
  if (token.type === "del") return paint("strikethrough", inner());
  if (token.type === "codespan") return paint("cyan", plain(token.text));
  if (token.type === "link") return inner() === token.href ? inner() : `${inner()} (${token.href})`;
  if (token.type === "br") return "\n";
  if (token.type === "html") return /^<br/i.test(token.raw) ? "\n" : "";
  if (tokens) return inner();
  return plain("text" in token ? token.text : token.raw);
}

function list(token: Tokens.List, paint: Style): string {
  return token.items
    .map((item, index) => {
      const mark = token.ordered ? `${Number(token.start || 1) + index}. ` : "• ";
      return `${mark}${indent(blocks(item.tokens, paint).trim(), " ".repeat(mark.length)).trimStart()}`;
    })
    .join("\n");
}

function table(token: Tokens.Table, paint: Style): string {
  const cells = (row: readonly Tokens.TableCell[]) => row.map((cell) => inline(cell.tokens, paint).split("\n"));
  const header = cells(token.header).map((lines) => lines.map((line) => paint("bold", line)));
  const rows = [header, ...token.rows.map(cells)];
  const widths = token.header.map((_, column) =>
    Math.max(...rows.flatMap((row) => row[column]!.map((line) => width(line)))),
  );
  const rule = (left: string, middle: string, right: string) =>
    paint("dim", `${left}${widths.map((n) => "─".repeat(n + 2)).join(middle)}${right}`);
  const edge = paint("dim", "│");
  const line = (row: readonly (readonly string[])[], n: number) =>
    `${edge}${row.map((lines, i) => ` ${pad(lines[n] ?? "", widths[i]!, token.align[i])} `).join(edge)}${edge}`;
  const drawn = rows.map((row) =>
    Array.from({ length: Math.max(...row.map((lines) => lines.length)) }, (_, n) => line(row, n)).join("\n"),
  );
  return [rule("┌", "┬", "┐"), drawn[0], rule("├", "┼", "┤"), ...drawn.slice(1), rule("└", "┴", "┘")].join("\n");
}

function pad(text: string, size: number, align: "center" | "left" | "right" | null | undefined): string {
  const free = size - width(text);
  const left = align === "right" ? free : align === "center" ? free >> 1 : 0;
  return `${" ".repeat(left)}${text}${" ".repeat(free - left)}`;
}

const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u;

/** Columns that a text takes: emoji and CJK take two, styles none. */
export function width(text: string): number {
  let columns = 0;
  for (const { segment } of new Intl.Segmenter().segment(stripVTControlCharacters(text)))
    columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}

function indent(text: string, by: string): string {
  return text
    .split("\n")
    .map((line) => `${by}${line}`)
    .join("\n");
}
