// Whatever clusters, programs or users say: it is text where it is told, and changes nothing of what it stands in.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { XmlDocument } from "libxml2-wasm";
import { marked } from "marked";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { annotate, annotateChanges, annotateError } from "../../src/action/annotations.ts";
import { Log } from "../../src/action/log.ts";
import { InputError, printable } from "../../src/action/messages.ts";
import { setOutputs } from "../../src/action/outputs.ts";
import { shaped } from "../../src/checks/diagnostics.ts";
import { ApiError, clip, statusIn } from "../../src/cluster/errors.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { redact } from "../../src/mesh/redact.ts";
import type { Report } from "../../src/mesh/report.ts";
import { diagnosticsPage } from "../../src/report/diagnostics.ts";
import { toJson } from "../../src/report/json.ts";
import { toJUnit } from "../../src/report/junit.ts";
import { inputProblemsToMarkdown, toMarkdown } from "../../src/report/markdown.ts";
import { escaped } from "../../src/report/text.ts";
import { action } from "../action/source.ts";
import { isCommand, stdout } from "../action/stdout.ts";
import { decoded, elements, picture, tables } from "../report/reading.ts";
import {
  allFailed,
  failedInPreflight,
  failedMidway,
  healthy,
  passed,
  planned,
  report,
  unlinked,
} from "../report/sample.ts";
import { schemaProblems } from "../report/schema.ts";
import { parseCommand, parseFileCommand } from "../runner.ts";
import { cases, hostile, json } from "./fuzz.ts";

const SAMPLES: Readonly<Record<string, (options: { supplied: string }) => Report>> = {
  passed,
  "failed in the preflight": failedInPreflight,
  "failed midway": (options) => failedMidway({ clusters: 3, ...options }),
  "all failed": allFailed,
  incomplete: (options) =>
    report({ ...options, ends: (id) => (id === "install.synced" ? { verdict: "unknown" } : undefined) }),
  verified: healthy,
  "taken apart": unlinked,
  planned,
  "all failed in the verification": (options) => allFailed({ command: "verify", clusters: 3, ...options }),
};

/** A text that there is room for, told in one of these reports. */
const supplied = hostile.filter((text) => text.length <= 600 && clip(text) !== "" && /[^\p{Cc}\s]/u.test(text));
const sampled = fc.record({ sample: fc.constantFrom(...Object.keys(SAMPLES)), supplied });
const made = ({ sample, supplied }: { sample: string; supplied: string }) => SAMPLES[sample]!({ supplied });
const usual = new Map<string, unknown>();
/** What is found in the same report about something harmless. */
function ofUsual<T>(what: string, sample: string, look: (report: Report) => T): T {
  const key = `${what} ${sample}`;
  if (!usual.has(key)) usual.set(key, look(made({ sample, supplied: "word" })));
  return usual.get(key) as T;
}

describe("the summary", () => {
  // The action's own names are code, and backticks in its messages become code, in pairs.
  const structure = (markdown: string) => elements(markdown).filter((element) => !/^<\/?code>$|^<br>$/.test(element));
  const columns = (markdown: string) => {
    const lines = markdown.split("\n").filter((line) => line.startsWith("|"));
    return lines.map((line) => line.split("|").length);
  };
  // Nothing but what is between a node's quotes differs.
  const frame = (markdown: string) => picture(markdown)?.replace(/"[^"]*"/g, '""');

  test("keeps its headings, tables, folds and picture", () => {
    fc.assert(
      fc.property(sampled, (given) => {
        const markdown = toMarkdown(made(given));
        const same = <T>(what: string, look: (markdown: string) => T) =>
          expect(look(markdown)).toEqual(ofUsual(what, given.sample, (report) => look(toMarkdown(report))));
        same("structure", structure);
        same("columns", columns);
        same("frame", frame);
        const all = elements(markdown);
        expect(all.filter((element) => element.startsWith("<code"))).toHaveLength(
          all.filter((element) => element === "</code>").length,
        );
        for (const { header, rows } of tables(markdown))
          for (const row of rows) expect(row).toHaveLength(header.length);
        expect(picture(markdown) ?? "").not.toMatch(/[`;%]|<(?!br\/>|-->)/);
        expect(markdown).not.toMatch(/^\s*::/m);
      }),
      cases(40),
    );
  });

  test("mentions, links and references nobody", () => {
    fc.assert(
      fc.property(sampled, (given) => {
        const html = marked.parse(toMarkdown(made(given))) as string;
        expect(html).not.toMatch(/<a |<img|<script/);
        // GitHub makes mentions and references of the text as it is read, but not in blocks of code.
        const text = decoded(html.replace(/<pre>.*?<\/pre>/gs, ""));
        expect(text).not.toMatch(/@[a-z0-9]/i);
        expect(text).not.toMatch(/#\d/);
      }),
      cases(20),
    );
  });

  test("shows a text as it is", () => {
    fc.assert(
      fc.property(supplied, (text) => {
        const seen = decoded(marked.parse(`| a |\n| --- |\n| ${escaped(text)} |`) as string);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are shown as a space
        const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
        const simple = (each: string) => each.replaceAll("\u200b", "").replace(/\s+/g, " ").trim();
        expect(simple(seen)).toBe(simple(`a ${plain}`));
      }),
      cases(200),
    );
  });

  test("of inputs that cannot be used has an item for each problem", () => {
    fc.assert(
      fc.property(fc.array(supplied, { minLength: 1, maxLength: 4 }), (problems) => {
        const of = (list: readonly string[]) =>
          structure(inputProblemsToMarkdown(list.map((text) => `\`a\` is ${text}`)));
        expect(of(problems)).toEqual(of(problems.map(() => "bad")));
      }),
      cases(150),
    );
  });
});

describe("the log", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  /** As the runner reads them: any of these ends a line. */
  const lines = async (act: () => unknown) => (await stdout(act)).flatMap((line) => line.split(/\r\n|\r|\n/));

  test("has a line for each thing that is told, and no command but the action's own", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    await fc.assert(
      fc.asyncProperty(supplied, async (text) => {
        const found = await lines(() => {
          const log = new Log();
          log.phasePlanned("preflight");
          log.event("preflight", { cluster: "a" }, text, "failed");
          log.retrying("a", text);
          log.waiting({ cluster: "a", what: text, since: performance.now(), seen: text });
          vi.advanceTimersByTime(15_000);
          log.warning(text);
          log.phaseEnded("preflight");
          log.end();
        });
        expect(found).toHaveLength(6);
        const commands = found.filter(isCommand).map((line) => parseCommand(line)?.name);
        expect(commands).toEqual(["group", "warning", "endgroup"]);
        expect(found.join("")).not.toMatch(/[^\P{Cc}]/u);
      }),
      cases(150),
    );
  });

  test("has annotations that are one command each, with the text as it is", async () => {
    await fc.assert(
      fc.asyncProperty(sampled, supplied, async (given, text) => {
        const sample = made(given);
        const found = await lines(() => {
          annotate(sample, "https://github.com/acme/mesh/blob/v1");
          annotateChanges(sample);
          annotateError(new Failure(text, text));
          annotateError(new Error(text));
        });
        const commands = found.map(parseCommand);
        for (const command of commands) {
          expect(["error", "warning"]).toContain(command?.name);
          expect(Object.keys(command?.properties ?? {})).toEqual(["title"]);
        }
        expect(commands.at(-1)?.message).toBe(printable(text));
      }),
      cases(40),
    );
  });

  test("has an annotation for each problem of the inputs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 12 }), async (problems) => {
        const found = await lines(() => annotateError(new InputError(problems)));
        expect(found.filter((line) => !isCommand(line))).toEqual(["Nothing was changed."]);
        expect(found.map((line) => parseCommand(line)?.name ?? "")).toEqual([
          ...Array(Math.min(10, problems.length)).fill("error"),
          "",
        ]);
      }),
      cases(60),
    );
  });
});

describe("what programs read", () => {
  const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  test("outputs are those of action.yml, each its own", () => {
    const file = join(folder, "output");
    vi.stubEnv("GITHUB_OUTPUT", file);
    fc.assert(
      fc.property(sampled, (given) => {
        writeFileSync(file, "");
        const sample = made(given);
        setOutputs(sample, { report: "/r.json", junit: "/j.xml" });
        const found = parseFileCommand(readFileSync(file, "utf8"));
        expect(Object.keys(found).toSorted()).toEqual(Object.keys(action.outputs).toSorted());
        expect(found.result).toBe(sample.result);
        const addresses = Object.fromEntries(
          sample.clusters.map(({ name, gatewayAddresses }) => [name, gatewayAddresses]),
        );
        expect(JSON.parse(found["gateway-addresses"] as string)).toEqual(addresses);
      }),
      cases(40),
    );
  });

  test("JSON is as the schema says, and tells the same", () => {
    fc.assert(
      fc.property(sampled, (given) => {
        const sample = made(given);
        const found: unknown = JSON.parse(toJson(sample));
        expect(schemaProblems(found)).toEqual([]);
        expect(found).toEqual(JSON.parse(JSON.stringify(sample)));
      }),
      cases(40),
    );
  });

  test("JUnit is XML, with the elements that a harmless report has", () => {
    const names = (sample: Report) => {
      using document = XmlDocument.fromString(toJUnit(sample));
      return document.find("//*").map((node) => (node as { name?: string }).name);
    };
    fc.assert(
      fc.property(sampled, (given) => {
        expect(names(made(given))).toEqual(ofUsual("JUnit", given.sample, names));
      }),
      cases(40),
    );
  });

  test("the first page of the diagnostics has the elements that a harmless one has", () => {
    const page = (sample: Report, text: string) =>
      diagnosticsPage(sample, [
        {
          cluster: "a",
          exhibits: [{ path: `logs/${text.toWellFormed()}.txt`, text }],
          missing: [{ path: "x", why: text }],
        },
      ]).match(/<[a-z/!][^>]*>/gi);
    const shape = (found: readonly string[] | null) => found?.map((element) => element.replace(/href="[^"]*"/, "href"));
    fc.assert(
      fc.property(sampled, (given) => {
        expect(shape(page(made(given), given.supplied))).toEqual(
          ofUsual("page", given.sample, (sample) => shape(page(sample, "word"))),
        );
      }),
      cases(40),
    );
  });
});

describe("what an API server answers", () => {
  test("an error is told in a line of readable length, whatever its body", () => {
    const body = fc.oneof(
      hostile,
      json.map((value) => JSON.stringify(value)),
      fc
        .record({ reason: fc.oneof(json, hostile), message: fc.oneof(json, hostile), details: json, causes: json })
        .map(({ causes, ...rest }) => JSON.stringify({ ...rest, details: { causes } })),
    );
    fc.assert(
      fc.property(body, fc.integer({ min: 400, max: 599 }), (text, status) => {
        const { message, hint } = new ApiError("read it", status, statusIn(text));
        expect(message).toContain("Could not read it: ");
        expect(message.length).toBeLessThan(2_000);
        expect(hint).not.toBe("");
      }),
      cases(200),
    );
  });

  test("a text of any length and kind is cut and cleaned of credentials, again and again the same", () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ unit: "binary", maxLength: 300 })), (text) => {
        const found = clip(text);
        expect(found).toMatch(/^[^\n\r\t]*$/);
        expect(found.length).toBeLessThanOrEqual(602);
        expect(redact(redact(text))).toBe(redact(text));
      }),
      cases(300),
    );
  });

  test("an object of any shape is shown by what was chosen of it", () => {
    fc.assert(
      fc.property(json, (value) => {
        const found = shaped(value, { name: true, a: [{ name: true }], length: { name: true } });
        expect(found === undefined || typeof found === "object").toBe(true);
        expect(Object.keys(found ?? {}).every((key) => ["name", "a", "length"].includes(key))).toBe(true);
      }),
      cases(200),
    );
  });
});
