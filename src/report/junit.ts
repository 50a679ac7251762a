import { CATEGORIES, type Category, CHECKS } from "../mesh/catalogue.ts";
import type { Phase, Verdict } from "../mesh/phases.ts";
import { type Check, type Report, subjectName } from "../mesh/report.ts";
import { inWhat } from "./words.ts";

/**
 * The report as JUnit XML, for the actions that show test results: a suite for each category, a class for each check's ID,
 * a test for each of its subjects. What could not be checked is an error, in JUnit's sense.
 */
export function toJUnit(report: Report): string {
  const suites = Map.groupBy(report.checks, ({ category }) => category);
  const names = (Object.keys(CATEGORIES) as Category[]).filter((category) => suites.has(category));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    element("testsuites", { name: `Mesh ${report.mesh.id}`, ...counts(report.checks), time: time(report.seconds) }),
    ...names.flatMap((category) => suite(report, category, suites.get(category) ?? [])),
    "</testsuites>",
    "",
  ].join("\n");
}

function suite(report: Report, category: Category, checks: readonly Check[]): string[] {
  return [
    element("testsuite", {
      name: CATEGORIES[category],
      ...counts(checks),
      time: time(secondsOf(report, category)),
      timestamp: report.startedAt,
    }),
    ...checks.map(testcase),
    "</testsuite>",
  ];
}

function testcase(check: Check): string {
  const { id, subject, verdict } = check;
  // The time of a single check is not measured: they overlap.
  const start = element("testcase", { classname: id, name: `${CHECKS[id].title}: ${subjectName(subject)}`, time: "0" });
  return `${start}${OUTCOMES[verdict](check)}</testcase>`;
}

const OUTCOMES: Readonly<Record<Verdict, (check: Check) => string>> = {
  passed: (check) => output(check),
  failed: (check) => trouble("failure", check),
  unknown: (check) => trouble("error", check),
  skipped: (check) => `${element("skipped", { message: check.cause ?? "" })}</skipped>${output(check)}`,
};

function trouble(name: string, check: Check): string {
  return `${element(name, { message: check.cause ?? "", type: check.id })}${escaped(known(check))}</${name}>`;
}

function output(check: Check): string {
  const seen = known({ ...check, cause: "" });
  return seen === "" ? "" : `<system-out>${escaped(seen)}</system-out>`;
}

/** All that is known of a check, a line each. */
function known({ cause, hint, because, warning, evidence, readings }: Check): string {
  return [
    cause,
    hint && `What to do next: ${hint}`,
    because && `Because of: ${because.id}${inWhat(because.subject)}`,
    warning && `Warning: ${warning}`,
    evidence && `Seen: ${evidence}`,
    ...readings.map(({ source, values }) => `${source}: ${JSON.stringify(values)}`),
  ]
    .filter((part) => part)
    .join("\n");
}

function counts(checks: readonly Check[]): Record<string, string> {
  const number = (verdict: Verdict) => String(checks.filter((check) => check.verdict === verdict).length);
  return {
    tests: String(checks.length),
    failures: number("failed"),
    errors: number("unknown"),
    skipped: number("skipped"),
  };
}

/** The time of the phases that are the category's alone; of one that several share nothing can be said. */
function secondsOf({ phases, checks }: Report, category: Category): number {
  const categories = (phase: Phase) => checks.filter((check) => check.phase === phase).map((check) => check.category);
  return phases
    .filter(({ phase }) => categories(phase).length > 0 && categories(phase).every((each) => each === category))
    .reduce((sum, { seconds }) => sum + seconds, 0);
}

function time(seconds: number): string {
  return seconds.toFixed(3);
}

function element(name: string, attributes: Readonly<Record<string, string>>): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${attribute(value)}"`);
  return `<${name}${list.join("")}>`;
}

/** A line break would be read as a space, were it not written so. */
function attribute(value: string): string {
  return escaped(value).replaceAll('"', "&quot;").replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}

/** Only what XML 1.0 takes. What it does not is not needed to understand the text. */
function escaped(text: string): string {
  return (
    text
      .toWellFormed()
      .replace(/\r\n?/g, "\n")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]/g, "")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
  );
}
