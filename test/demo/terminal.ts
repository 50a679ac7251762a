// Markdown for a terminal: as much of it as a job summary uses.
import { stripVTControlCharacters, styleText } from "node:util";
import { marked, type Token, type Tokens } from "marked";

export type Style = (format: Parameters<typeof styleText>[0], text: string) => string;

/** Styles where the terminal can show them, and NO_COLOR does not forbid it. */
export const style: Style = (format, text) => styleText(format, text, { stream: process.stdout });

/** @param columns as wide as a table may be */
export function terminal(markdown: string, paint: Style = style, columns = process.stdout.columns || 140): string {
  return `${blocks(unfold(marked.lexer(markdown)), { paint, columns })
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim()}\n`;
}

interface Look {
  readonly paint: Style;
  readonly columns: number;
}

/** Of what the summary folds only the title is left: a terminal cannot unfold it, the page can. */
function unfold(tokens: readonly Token[]): Token[] {
  let depth = 0;
  return tokens.filter((token) => {
    const inside = depth > 0;
    if (token.type === "html") {
      const count = (tag: RegExp) => token.text.match(tag)?.length ?? 0;
      depth += count(/<details>/gi) - count(/<\/details>/gi);
    }
    return !inside;
  });
}

function blocks(tokens: readonly Token[], look: Look): string {
  return tokens.map((token) => block(token, look)).join("");
}

function block(token: Token, look: Look): string {
  const { type } = token;
  const { paint } = look;
  if (type === "heading") return `\n${paint(["bold", "underline"], inline(token.tokens ?? [], paint))}\n\n`;
  if (type === "paragraph") return `${inline(token.tokens ?? [], paint)}\n\n`;
  if (type === "table") return `${table(token as Tokens.Table, look)}\n\n`;
  if (type === "list") return `${list(token as Tokens.List, look)}\n\n`;
  if (type === "blockquote") return `${indent(quote(token as Tokens.Blockquote, look), paint("dim", "│ "))}\n\n`;
  if (type === "code" && token.lang === "mermaid") return `${paint("dim", "[a diagram: see the page]")}\n\n`;
  if (type === "code") return `${indent(token.text, "    ")}\n\n`;
  if (type === "hr") return `${paint("dim", "─".repeat(40))}\n\n`;
  if (type === "html") return html(token.text, paint);
  if (type === "text") return `${token.tokens ? inline(token.tokens, paint) : plain(token.text)}\n`;
  return token.raw.trim() === "" ? "" : token.raw;
}

/** GitHub's alerts begin with their kind. */
function quote(token: Tokens.Blockquote, look: Look): string {
  return blocks(token.tokens, look)
    .trim()
    .replace(/^\[!([A-Z])([A-Z]+)\]\s*/, (_, first: string, rest: string) =>
      look.paint(["bold", "yellow"], `${first}${rest.toLowerCase()}\n`),
    );
}

function html(text: string, paint: Style): string {
  const titled = text.replaceAll(/<summary>(.*?)<\/summary>/gs, (_, title: string) =>
    paint("bold", `▸ ${untag(title)}`),
  );
  const rest = untag(titled).trim();
  return rest === "" ? "" : `${rest}\n\n`;
}

function untag(text: string): string {
  return plain(text.replaceAll(/<br\s*\/?>/gi, "\n").replaceAll(/<!--.*?-->|<\/?[a-z][^>]*>/gis, ""));
}

/** What Markdown escapes so that it is not taken for HTML. */
function plain(text: string): string {
  const characters: Record<string, string> = { lt: "<", gt: ">", quot: '"', nbsp: " ", amp: "&" };
  return text
    .replaceAll(/&#(\d{1,6});/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll(/&(lt|gt|quot|nbsp|amp);/g, (_, name: string) => characters[name]!);
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

function list(token: Tokens.List, look: Look): string {
  return token.items
    .map((item, index) => {
      const mark = token.ordered ? `${Number(token.start || 1) + index}. ` : "• ";
      return `${mark}${indent(blocks(item.tokens, look).trim(), " ".repeat(mark.length)).trimStart()}`;
    })
    .join("\n");
}

function table(token: Tokens.Table, { paint, columns }: Look): string {
  const raw: Style = (_, text) => text;
  const all = [token.header, ...token.rows];
  const natural = token.header.map((_, column) =>
    Math.max(...all.flatMap((row) => inline(row[column]!.tokens, raw).split("\n").map(width))),
  );
  const widths = narrowed(natural, columns - 3 * natural.length - 1);
  const rows = all.map((row, n) =>
    row.map(({ tokens }, column) => {
      const size = widths[column]!;
      // A style that spans two lines would run through the table's edge; a cell that must be wrapped goes without.
      const lines = size < natural[column]! ? wrap(inline(tokens, raw), size) : inline(tokens, paint).split("\n");
      return n === 0 ? lines.map((line) => paint("bold", line)) : lines;
    }),
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

/** Narrows the widest columns until all fit into the space, or are too narrow to read. */
function narrowed(natural: readonly number[], space: number): number[] {
  const widths = [...natural];
  for (let over = widths.reduce((a, b) => a + b, 0) - space; over > 0; over--) {
    const widest = widths.indexOf(Math.max(...widths));
    if (widths[widest]! <= 12) break;
    widths[widest]!--;
  }
  return widths;
}

/** Breaks lines between words, and words that are longer than a line. */
function wrap(text: string, size: number): string[] {
  return text.split("\n").flatMap((paragraph) => {
    const lines = [""];
    for (const word of paragraph.split(" ").flatMap((word) => word.match(new RegExp(`.{1,${size}}`, "gu")) ?? [""])) {
      const line = lines.at(-1)!;
      if (line === "") lines[lines.length - 1] = word;
      else if (width(line) + 1 + width(word) <= size) lines[lines.length - 1] = `${line} ${word}`;
      else lines.push(word);
    }
    return lines;
  });
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
