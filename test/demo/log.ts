// The log of a run as GitHub's page draws it: groups, and what is wrong in colour.
import { performance } from "node:perf_hooks";
import type { LogLine } from "../runner.ts";
import { style } from "./terminal.ts";

export function logPrinter(print: (line: string) => void = console.log): (line: LogLine) => void {
  const started = performance.now();
  let depth = 0;
  return ({ kind, text, title }) => {
    const time = style("dim", `${((performance.now() - started) / 1000).toFixed(1)} s`.padStart(7));
    // What begins a line, and how the lines after it line up.
    const put = (first: string, more: string, body: string) => {
      const margin = "  ".repeat(depth);
      for (const [index, line] of body.split("\n").entries()) {
        print(`${index === 0 ? time : " ".repeat(7)}  ${margin}${index === 0 ? first : more}${line}`);
      }
    };
    const marked = (colour: "red" | "yellow" | "blue", mark: string) =>
      put(style([colour, "bold"], `${mark} `), "  ", title ? `${style("bold", title)}: ${text}` : text);
    if (kind === "group") {
      put(style("blue", "▾ "), "  ", style("bold", text));
      depth = 1;
    } else if (kind === "endgroup") depth = 0;
    else if (kind === "error") marked("red", "✗");
    else if (kind === "warning") marked("yellow", "‼");
    else if (kind === "notice") marked("blue", "•");
    else if (kind === "text") put("", "", text);
  };
}
