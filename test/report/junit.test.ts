import { XmlDocument, type XmlElement } from "libxml2-wasm";
import { describe, expect, test } from "vitest";
import { CATEGORIES, CHECKS } from "../../src/mesh/catalogue.ts";
import { type Report, subjectName } from "../../src/mesh/report.ts";
import { toJUnit } from "../../src/report/junit.ts";
import { allFailed, deadGateway, failedMidway, healthy, otherRoot, passed, report, unreachable } from "./sample.ts";

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly Element[];
}

/** The file as a strict XML parser reads it. */
function parsed(sample: Report): Element {
  using document = XmlDocument.fromString(toJUnit(sample));
  const read = (element: XmlElement): Element => ({
    name: element.name,
    attributes: Object.fromEntries(element.attrs.map(({ name, value }) => [name, value])),
    text: element.content,
    children: element.find("./*").map((child) => read(child as XmlElement)),
  });
  return read(document.root);
}

const suitesOf = (sample: Report) => parsed(sample).children;
const casesOf = (sample: Report) => suitesOf(sample).flatMap(({ children }) => children);
const caseOf = (sample: Report, id: string, name: string) =>
  casesOf(sample).find(({ attributes }) => attributes.classname === id && attributes.name?.endsWith(`: ${name}`));

const SAMPLES: [string, Report][] = [
  ["passed", passed()],
  ["healthy", healthy()],
  ["failed midway", failedMidway({ clusters: 3 })],
  ["a dead gateway", deadGateway()],
  ["unreachable", unreachable()],
  ["everything failed", allFailed({ traffic: true })],
];

describe.each(SAMPLES)("of a report: %s", (_, sample) => {
  test("every check is a test, and no two have one name", () => {
    const names = casesOf(sample).map(({ attributes }) => `${attributes.classname} ${attributes.name}`);
    expect(names.toSorted()).toEqual(
      sample.checks.map(({ id, subject }) => `${id} ${CHECKS[id].title}: ${subjectName(subject)}`).toSorted(),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test("a suite is a category, and counts what is in it", () => {
    const { attributes, children } = parsed(sample);
    const categories = new Set(sample.checks.map(({ category }) => CATEGORIES[category]));
    expect(new Set(children.map((suite) => suite.attributes.name))).toEqual(categories);
    const counted = (of: readonly Element[]) => {
      const having = (name: string) => String(of.filter(({ children }) => children[0]?.name === name).length);
      const [failures, errors, skipped] = [having("failure"), having("error"), having("skipped")];
      return { tests: String(of.length), failures, errors, skipped };
    };
    for (const suite of children) {
      expect(suite.attributes).toMatchObject(counted(suite.children));
      expect(suite.attributes.time).toMatch(/^\d+\.\d{3}$/);
    }
    expect(attributes).toMatchObject({ name: "Mesh mesh1", ...counted(children.flatMap((suite) => suite.children)) });
  });

  test("the verdicts are JUnit's", () => {
    const number = (verdict: string) => String(sample.checks.filter((check) => check.verdict === verdict).length);
    expect(parsed(sample).attributes).toMatchObject({
      failures: number("failed"),
      errors: number("unknown"),
      skipped: number("skipped"),
      time: "12.345",
    });
  });
});

describe("a test", () => {
  test("that failed says why, what to do, and what explains it", () => {
    const [failure] = caseOf(deadGateway(), "pair.request", "cluster1 → cluster2")?.children ?? [];
    expect(failure).toMatchObject({
      name: "failure",
      attributes: {
        type: "pair.request",
        message: "No request was answered: upstream connect error, connection refused.",
      },
      text: [
        "No request was answered: upstream connect error, connection refused.",
        "What to do next: Look at the gateway.",
        "Because of: gateway.deployment in cluster2",
      ].join("\n"),
    });
  });

  test("that failed has what was read", () => {
    const [failure] = caseOf(otherRoot(), "trust.same-root", "mesh")?.children ?? [];
    expect(failure?.text).toContain('\nConfigMap istio-system/istio-ca-root-cert of cluster3: {"sha256":"9f8e7d"}');
  });

  test("of what could not be checked is an error", () => {
    const [error] = caseOf(unreachable(), "cluster.api", "cluster2")?.children ?? [];
    expect(error).toMatchObject({ name: "error", attributes: { type: "cluster.api" } });
    expect(error?.attributes.message).toContain("ETIMEDOUT");
  });

  test("that was skipped says why", () => {
    expect(caseOf(healthy(), "control-plane.istio", "cluster1")?.children).toEqual([
      {
        name: "skipped",
        attributes: { message: "The Sail Operator does not own this control plane." },
        text: "",
        children: [],
      },
    ]);
  });

  test("that passed says what was seen, and what to mind", () => {
    const text = (id: string, name: string) => caseOf(healthy(), id, name)?.children.map((each) => each.text);
    expect(text("trust.root", "cluster1")).toEqual(["Seen: The root in effect is valid."]);
    expect(text("trust.cacerts", "cluster1")?.[0]).toMatch(/^Warning: The intermediate CA expires in 12 days/);
    expect(text("pair.request", "cluster1 → cluster2")?.[0]).toMatch(
      /^Seen: .*\nrequests, 10 of them: \{"p50":2(\.\d)?,"p99":\d+\}$/,
    );
  });
});

test("the time of a phase is its category's, where it is of one only", () => {
  const times = Object.fromEntries(
    suitesOf(passed({ traffic: true })).map(({ attributes }) => [attributes.name, attributes.time]),
  );
  expect(times).toMatchObject({ Preflight: "1.234", Installation: "2.134", Traffic: "4.334", Trust: "0.000" });
});

/** What a cluster might say, and what is left of it. */
const HOSTILE: [string, string, string][] = [
  ["markup", "</failure><testcase/>&amp;<![CDATA[x]]>", "</failure><testcase/>&amp;<![CDATA[x]]>"],
  ["quotes", `"'><x y="`, `"'><x y="`],
  ["control characters", "a\u0000b\u0008c\u001b[31md\u007fe\u0085f", "abc[31mdef"],
  ["what is no character", "a\ufffeb\uffffc", "abc"],
  ["lone surrogates", "a\ud800b\udc00c\ud83c", "a\ufffdb\ufffdc\ufffd"],
  ["other scripts", "漢字 🎉 \u202e", "漢字 🎉 \u202e"],
  ["line breaks", "one\r\ntwo\rthree\n\tfour", "one\ntwo\nthree\n\tfour"],
];

test.each(HOSTILE)("what a cluster says is text, in a message and in a body: %s", (_, supplied, expected) => {
  const readings = [{ source: supplied, values: { [supplied]: supplied } }];
  const sample = report({
    command: "verify",
    supplied,
    ends: (id) => (id === "gateway.address" ? { verdict: "failed", readings } : undefined),
  });
  const cases = casesOf(sample);
  expect(cases).toHaveLength(sample.checks.length);
  const [failure] = cases.find(({ attributes }) => attributes.classname === "gateway.address")?.children ?? [];
  expect(failure?.attributes.message).toBe(expected);
  expect(failure?.text.startsWith(`${expected}\nWhat to do next: ${expected}\n${expected}: {`)).toBe(true);
});
