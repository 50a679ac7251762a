// A job summary as a page that looks as it does on GitHub, without a network.
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Marked, type Tokens } from "marked";
import { ROOT } from "../runner.ts";

/** Writes the page, and Mermaid beside it. */
export async function writePage(file: string, title: string, markdown: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, page(title, markdown));
  await copyFile(join(ROOT, "node_modules/mermaid/dist/mermaid.min.js"), join(dirname(file), "mermaid.min.js"));
}

export function page(title: string, markdown: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<main>
<header>${escapeHtml(title)}</header>
<article>
${body(markdown)}
</article>
</main>
<script src="mermaid.min.js"></script>
<script>${SCRIPT}</script>
</html>
`;
}

/** The tags that a summary may hold; GitHub drops what it does not know, and here it shows as text. */
const TAGS = /^(?:<\/?(?:details|summary|br|sub|sup|kbd|b|i|strong|em|code|p|hr)(?:\s+open)?\s*\/?>|[^<>])*$/i;
const COMMENT = /^\s*<!--.*?-->\s*$/s;
const ALERT = /^<p>\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*/;

export function body(markdown: string): string {
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      code({ text, lang }: Tokens.Code): string | false {
        return lang === "mermaid" ? `<pre class="mermaid">${escapeHtml(text)}</pre>\n` : false;
      },
      html({ text }: Tokens.HTML | Tokens.Tag): string {
        if (COMMENT.test(text)) return "";
        return TAGS.test(text) ? text : escapeHtml(text);
      },
      blockquote({ tokens }: Tokens.Blockquote): string {
        const html = this.parser.parse(tokens);
        const kind = ALERT.exec(html)?.[1];
        if (kind === undefined) return `<blockquote>\n${html}</blockquote>\n`;
        const heading = `<p class="alert">${kind[0]}${kind.slice(1).toLowerCase()}</p>`;
        return `<blockquote class="${kind.toLowerCase()}">\n${heading}${html.replace(ALERT, "<p>")}</blockquote>\n`;
      },
    },
  });
  return marked.parse(markdown, { async: false });
}

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
}

const STYLE = `
:root { color-scheme: light dark; --text: #1f2328; --quiet: #59636e; --line: #d1d9e0; --faint: #f6f8fa; --page: #fff;
  --link: #0969da; --warning: #9a6700; --caution: #d1242f; }
@media (prefers-color-scheme: dark) { :root { --text: #f0f6fc; --quiet: #9198a1; --line: #3d444d; --faint: #151b23;
  --page: #0d1117; --link: #4493f8; --warning: #d29922; --caution: #f85149; } }
body { margin: 0; background: var(--page); color: var(--text);
  font: 14px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif, "Apple Color Emoji", "Segoe UI Emoji"; }
main { max-width: 980px; margin: 24px auto; border: 1px solid var(--line); border-radius: 6px; }
header { padding: 12px 24px; background: var(--faint); border-bottom: 1px solid var(--line); border-radius: 6px 6px 0 0; font-weight: 600; }
article { padding: 16px 24px; overflow-wrap: break-word; }
h1, h2 { padding-bottom: .3em; border-bottom: 1px solid var(--line); }
h1, h2, h3, h4 { margin: 24px 0 16px; font-weight: 600; line-height: 1.25; }
article > :first-child { margin-top: 0; }
p, ul, ol, table, pre, blockquote, details { margin: 0 0 16px; }
a { color: var(--link); }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-collapse: collapse; }
th, td { padding: 6px 13px; border: 1px solid var(--line); }
th { font-weight: 600; }
tr:nth-child(2n) td { background: var(--faint); }
code, pre { font: 85%/1.45 ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { padding: .2em .4em; background: color-mix(in srgb, var(--quiet) 15%, transparent); border-radius: 6px; }
pre { padding: 16px; overflow: auto; background: var(--faint); border-radius: 6px; }
pre code { padding: 0; background: none; font-size: 100%; }
pre.mermaid { border: 1px solid var(--line); background: none; text-align: center; }
summary { cursor: pointer; }
blockquote { padding: 0 1em; border-left: .25em solid var(--line); color: var(--quiet); }
blockquote > :last-child { margin-bottom: 0; }
blockquote[class] { color: inherit; }
.alert { margin-bottom: 4px; font-weight: 500; color: var(--link); }
.warning { border-color: var(--warning); } .warning .alert { color: var(--warning); }
.caution { border-color: var(--caution); } .caution .alert { color: var(--caution); }
`;

// The height is for those who take a picture of the page: it is known once the diagrams are drawn.
const SCRIPT = `
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default" });
mermaid.run().finally(() => { document.documentElement.dataset.height = document.documentElement.scrollHeight; });
`;
