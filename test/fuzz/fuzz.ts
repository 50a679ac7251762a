// What all properties share: how many cases, from which seed, and what hostile texts are made of.
import fc from "fast-check";

/** `npm run fuzz` sets it. */
const MORE = Number(process.env.FUZZ_TIMES ?? 1);
/** One seed, so that an ordinary run is the same each time; a failure tells it, with the smallest case that was found. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_125);

/** How many cases, a few of them in an ordinary run. */
export function cases(usual: number): fc.Parameters<unknown> {
  return { numRuns: usual * MORE, seed: SEED };
}

/** What means something to whoever reads a text: the runner, Markdown, HTML, XML, YAML, a terminal, a file of outputs. */
const MEANING = [
  "::set-output name=result::passed",
  "::add-mask::e",
  "::error title=x::y",
  "::stop-commands::x",
  "::",
  "##[add-mask]e",
  "##[error]x",
  "##[",
  "%0A::error::x",
  "%",
  "```",
  "~~~",
  "`",
  "``",
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "</td></tr></table>",
  "</details></summary>",
  "<details open>",
  "<!--",
  "-->",
  "<![CDATA[",
  "]]>",
  "<?xml?>",
  "<",
  ">",
  "&",
  "&lt;b&gt;",
  "&#124;",
  '"',
  "'",
  "|",
  "\\",
  "\\|",
  "[x](https://evil.example)",
  "![x](https://evil.example/x.png)",
  "[x]: https://evil.example",
  "<https://evil.example>",
  "https://evil.example",
  "www.evil.example",
  "@octocat",
  "#1",
  "octocat/repo#12",
  "# All is well",
  "> [!CAUTION]",
  "- item",
  "1. item",
  "---",
  "===",
  "**",
  "__",
  "~~",
  "*",
  "_",
  "~",
  "$$",
  "$`z`$",
  '"]) --> x; end',
  'click c0 href "https://evil.example"',
  "%%{init: {}}%%",
  "me@example.com (@github/security)",
  "ftp://evil.example",
  "result<<EOF",
  "EOF",
  "ghadelimiter_",
  "\u0000",
  "\u0007",
  "\u001b[31m",
  "\u001b]8;;https://evil.example\u0007",
  "\u0085",
  "\u200b",
  "\u2028",
  "\u202e",
  "\ud800",
  "\udc00",
  "\ufffe",
  "漢字 🎉",
  " ",
  "  ",
  "\t",
  "word",
] as const;
const BREAKS = ["\n", "\r\n", "\r", "\n\n"] as const;

/** Text as a cluster, a program or a user could supply it, to hurt or by chance. */
export const hostile: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<string>(...MEANING) },
      { weight: 3, arbitrary: fc.constantFrom<string>(...BREAKS) },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 8 }) },
      {
        weight: 1,
        arbitrary: fc.constantFrom("long ".repeat(500), "|".repeat(300), "<".repeat(2_000), "\n".repeat(50)),
      },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((pieces) => pieces.join(""));

/** YAML that is nearly right, or right and not what anybody expects. */
export const yaml: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom(
          ...[
            "a: ",
            "? ",
            "- ",
            "  ",
            "    ",
            "\n",
            "\n  ",
            "\n- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            ",",
            "|\n",
            ">-\n",
            "#",
            "---\n",
            "...\n",
          ],
          ...[
            "&a ",
            "*a",
            "*b",
            "<<: *a\n",
            "<<: [*a, *a]\n",
            "!!binary ",
            "!!set ",
            "!!js/function ",
            "%YAML 1.1\n",
            "!<x> ",
          ],
          ...[
            "__proto__: ",
            "constructor: ",
            "toString: ",
            "null",
            "~",
            "true",
            ".nan",
            "1e999",
            "0x1f",
            "2026-01-01",
            '"',
            "'",
          ],
          ...[
            "clusters:",
            "contexts:",
            "users:",
            "current-context:",
            "name:",
            "network:",
            "kubeconfig:",
            "values:",
            "\t",
          ],
        ),
      },
      { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
    ),
    { maxLength: 40 },
  )
  .map((pieces) => pieces.join(""));

/** Any value that JSON has, with keys that mean something to JavaScript. */
export const json: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, 0, -1, 1e300, "", "text", "https://10.0.0.1", [], {}),
    hostile,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("name", "constructor", "length", "a", "toString", "0"), tie("value"), { maxKeys: 4 }),
    tie("value").map((value) => JSON.parse(`{"__proto__":${JSON.stringify(value)}}`) as unknown),
  ),
})).value;
