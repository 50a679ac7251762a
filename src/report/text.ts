/** Characters of one text: GitHub drops a summary of over 1 MiB whole. */
const LONGEST_TEXT = 1_500;

/** Text from outside, safe in a table's cell: no markup, no line break, no mention, no HTML. */
export function escaped(text: string): string {
  return (
    plain(text)
      .replace(/&/g, "&amp;")
      .replace(/</g, "&lt;")
      .replace(/>/g, "&gt;")
      .replace(/[\\`*_[\]|~#!$]/g, (character) => `&#${character.charCodeAt(0)};`)
      // An invisible break keeps GitHub from making links, mentions and references of what a cluster said.
      .replace(/@/g, "&#64;&#8203;")
      .replace(/&#35;(?=\d)/g, "&#35;&#8203;")
      .replace(/:\/\//g, ":&#47;&#47;")
      .replace(/www\./gi, (www) => `${www.slice(0, 3)}&#46;`)
  );
}

/** Text from outside as one line, for a block of code. */
export function plain(text: string, length = LONGEST_TEXT): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
  return cut(text, length).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}

/** A message of ours, in which only `code` and what was quoted from outside has meaning: kept readable, made safe. */
export function prose(text: string): string {
  return (
    cut(text)
      .split(/(`[^`]*`)/)
      .map((part) => (/^`[^`]+`$/.test(part) ? `<code>${escaped(part.slice(1, -1))}</code>` : escaped(part)))
      .join("")
      .trimStart()
      // At the beginning of a line these make a list or a rule.
      .replace(/^(?:[-+=]|\d+(?=[.)]))/, (start) => [...start].map((each) => `&#${each.charCodeAt(0)};`).join(""))
  );
}

/** What is left of a part of the page, in bytes: several tables may share it. */
export class Room {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Whether there is room for the text, which is then taken. */
  take(text: string): boolean {
    this.#bytes -= Buffer.byteLength(text) + 1;
    return this.#bytes >= 0;
  }
}

/** As many rows as there is room for; the JSON report has every one. */
export function table<T>(
  header: readonly string[],
  items: readonly T[],
  room: Room,
  cells: (item: T) => readonly string[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const lines = [line(header), line(header.map(() => "---"))];
  for (const [i, item] of items.entries()) {
    const row = line(cells(item));
    if (!room.take(row)) {
      const more = `… ${items.length - i} more in the JSON report`;
      return [...lines, line(header.map((_, column) => (column === 1 ? more : "")))].join("\n");
    }
    lines.push(row);
  }
  return lines.join("\n");
}

/** Something that is shown on a click. */
export function folded(summary: string, body: string): string {
  return `<details><summary>${summary}</summary>\n\n${body}\n\n</details>`;
}

function cut(text: string, length = LONGEST_TEXT): string {
  return text.length > length ? `${text.slice(0, length)} …` : text;
}
