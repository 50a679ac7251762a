import { describe, expect, test } from "vitest";
import { CATEGORIES, CHECKS } from "../../src/mesh/catalogue.ts";
import { PHASES } from "../../src/mesh/phases.ts";
import { type Report, SCHEMA_VERSION } from "../../src/mesh/report.ts";
import {
  allFailed,
  deadGateway,
  failedInPreflight,
  failedMidway,
  healthy,
  otherRoot,
  passed,
  planned,
  twoCauses,
  unlinked,
  unreachable,
} from "./sample.ts";
import { schema, schemaProblems } from "./schema.ts";

const SAMPLES: [string, Report][] = [
  ["passed", passed()],
  ["installed and verified", passed({ traffic: true })],
  ["failed in the preflight", failedInPreflight()],
  ["failed midway", failedMidway({ clusters: 3 })],
  ["everything failed", allFailed({ traffic: true })],
  ["healthy, with warnings and readings", healthy()],
  ["with what explains the rest", deadGateway()],
  ["with clusters that are named", otherRoot()],
  ["incomplete", unreachable()],
  ["of many clusters", twoCauses()],
  ["of an uninstallation, with what was left", unlinked()],
  ["planned", planned()],
  ["with a root", { ...passed(), mesh: { ...passed().mesh, rootSha256: "1a".repeat(32) } }],
];

test.each(SAMPLES)("a report is as the schema says: %s", (_, sample) => {
  expect(schemaProblems(sample)).toEqual([]);
});

test("the samples have all that a report can have", () => {
  const checks = SAMPLES.flatMap(([, sample]) => sample.checks);
  expect(new Set(checks.map(({ verdict }) => verdict)).size).toBe(4);
  expect(new Set(checks.flatMap((check) => Object.keys(check)))).toEqual(
    new Set(Object.keys(schema.$defs.check.properties)),
  );
  expect(new Set(SAMPLES.flatMap(([, { changes }]) => changes.flatMap((change) => Object.keys(change))))).toEqual(
    new Set(Object.keys(schema.$defs.change.properties)),
  );
  expect(new Set(checks.flatMap(({ subject }) => Object.keys(subject).join()))).toEqual(
    new Set(["", "cluster", "cluster,service", "observer,target", "source,target"]),
  );
});

test("the schema has the catalogue's IDs, categories and phases, and the version", () => {
  expect(schema.$defs.id.enum).toEqual(Object.keys(CHECKS));
  expect(schema.$defs.category.enum).toEqual(Object.keys(CATEGORIES));
  expect(schema.$defs.phaseName.enum).toEqual(Object.keys(PHASES));
  expect(schema.properties.schemaVersion.const).toBe(SCHEMA_VERSION);
});

test("every object is closed, and every field described", () => {
  const open: string[] = [];
  const undescribed: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    const { type, properties, additionalProperties } = node as Record<string, unknown>;
    if (type === "object" && properties) {
      if (additionalProperties !== false) open.push(path);
      for (const [name, field] of Object.entries(properties)) {
        const { description } = field.$ref ? schema.$defs[field.$ref.split("/").at(-1)] : field;
        if (!description) undescribed.push(`${path}/${name}`);
      }
    }
    for (const [key, value] of Object.entries(node)) visit(value, `${path}/${key}`);
  };
  visit(schema, "");
  expect({ open, undescribed }).toEqual({ open: [], undescribed: [] });
  expect(schema.$id).not.toContain("://");
});

describe("a report is refused", () => {
  // biome-ignore lint/suspicious/noExplicitAny: what is not a report has no type
  type Draft = any;
  const failed = (draft: Draft) => draft.checks.find((check: Draft) => check.verdict === "failed");

  test.each<[string, (draft: Draft) => void]>([
    ["of another version", (draft) => Object.assign(draft, { schemaVersion: 2 })],
    ["of an unknown command", (draft) => Object.assign(draft, { command: "destroy" })],
    ["with an unknown result", (draft) => Object.assign(draft, { result: "ok" })],
    ["with a field too many", (draft) => Object.assign(draft, { extra: 1 })],
    ["without traffic", (draft) => delete draft.traffic],
    ["with a time that is none", (draft) => Object.assign(draft, { startedAt: "yesterday" })],
    ["with a negative duration", (draft) => Object.assign(draft, { seconds: -1 })],
    ["with a mesh of more", (draft) => Object.assign(draft.mesh, { key: "secret" })],
    ["with a root that is no hash", (draft) => Object.assign(draft.mesh, { rootSha256: "abc" })],
    ["with a cluster without a network", (draft) => delete draft.clusters[0].network],
    ["with a cluster of more", (draft) => Object.assign(draft.clusters[0], { kubeconfig: "secret" })],
    ["with half a request", (draft) => Object.assign(draft.clusters[0], { requests: 1.5 })],
    ["with an unknown check", (draft) => Object.assign(draft.checks[0], { id: "gateway.colour" })],
    ["with an unknown category", (draft) => Object.assign(draft.checks[0], { category: "colour" })],
    ["with an unknown phase", (draft) => Object.assign(draft.checks[0], { phase: "later" })],
    ["with an unknown verdict", (draft) => Object.assign(draft.checks[0], { verdict: "warned" })],
    ["with a check of more", (draft) => Object.assign(draft.checks[0], { note: "" })],
    ["with a check without evidence", (draft) => delete draft.checks[0].evidence],
    ["with a check without readings", (draft) => delete draft.checks[0].readings],
    ["with a reading without a source", (draft) => Object.assign(draft.checks[0], { readings: [{ values: {} }] })],
    [
      "with a reading of no names",
      (draft) => Object.assign(draft.checks[0], { readings: [{ source: "a", values: [] }] }),
    ],
    ["with a subject that is a name", (draft) => Object.assign(draft.checks[0], { subject: "cluster1" })],
    ["with half a pair", (draft) => Object.assign(draft.checks[0], { subject: { source: "a" } })],
    [
      "with a pair of two kinds",
      (draft) => Object.assign(draft.checks[0], { subject: { source: "a", observer: "b" } }),
    ],
    ["with a failure without a cause", (draft) => delete failed(draft).cause],
    ["with a success that has a cause", (draft) => Object.assign(draft.checks[0], { verdict: "passed", cause: "x" })],
    ["with an empty warning", (draft) => Object.assign(draft.checks[0], { warning: "" })],
    ["with an explanation by name", (draft) => Object.assign(failed(draft), { because: "cluster.api" })],
    ["with an explanation of no check", (draft) => Object.assign(failed(draft), { because: { id: "x", subject: {} } })],
    ["with a warning that is no text", (draft) => draft.warnings.push({})],
    ["with an unknown change", (draft) => Object.assign(draft.changes[0], { action: "patched" })],
    ["with a change that shows the object", (draft) => Object.assign(draft.changes[0], { data: {} })],
    [
      "with something left for no reason",
      (draft) => draft.left.push({ cluster: "a", apiVersion: "v1", kind: "Secret", name: "b" }),
    ],
    ["with a field that has no path", (draft) => Object.assign(draft.changes[0], { diff: [{ before: 1, after: 2 }] })],
    ["with a field without values", (draft) => Object.assign(draft.changes[0], { diff: [{ path: "spec" }] })],
    ["with an empty note", (draft) => Object.assign(draft.changes[0], { note: "" })],
    ["with a phase's time as text", (draft) => Object.assign(draft.phases[0].clusters, { cluster1: "1 s" })],
  ])("%s", (_, mutate) => {
    const draft = structuredClone(failedMidway({ clusters: 3, traffic: true })) as Draft;
    expect(schemaProblems(draft)).toEqual([]);
    mutate(draft);
    expect(schemaProblems(draft)).not.toEqual([]);
  });
});
