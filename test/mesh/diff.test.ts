import { describe, expect, test } from "vitest";
import { differences, HIDDEN } from "../../src/mesh/diff.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";

const object = (more: Record<string, unknown> = {}, metadata: object = {}, kind = "Deployment"): KubernetesObject => ({
  apiVersion: "v1",
  kind,
  metadata: { name: "a", namespace: "ns", ...metadata },
  ...more,
});
const spec = (value: unknown) => object({ spec: value });

describe("the fields that differ", () => {
  test.each<[string, KubernetesObject | undefined, KubernetesObject, unknown[]]>([
    ["none", spec({ a: [1, { b: 2 }] }), spec({ a: [1, { b: 2 }] }), []],
    [
      "one set, one changed, one gone",
      spec({ a: 1, c: { d: "x" } }),
      spec({ a: 2, b: { e: { f: true } } }),
      [
        { path: "spec.a", before: 1, after: 2 },
        { path: "spec.c.d", before: "x" },
        { path: "spec.b.e.f", after: true },
      ],
    ],
    ["null is a value", spec({ a: null }), spec({}), [{ path: "spec.a", before: null }]],
    ["nothing in it", spec({ a: {} }), spec({ a: [] }), [{ path: "spec.a", before: {}, after: [] }]],
    ["of an empty one", spec({ a: {} }), spec({ a: { b: 1 } }), [{ path: "spec.a.b", after: 1 }]],
    [
      "keys that are no names",
      object({}, { labels: { "a.b/c": "1" } }),
      object({}, { labels: { "a.b/c": "2" } }),
      [{ path: 'metadata.labels["a.b/c"]', before: "1", after: "2" }],
    ],
    [
      "items by their names, wherever they are",
      spec({ c: [{ name: "x", v: 1 }, { name: "y" }] }),
      spec({ c: [{ name: "new" }, { name: "x", v: 2 }, { name: "y" }] }),
      [
        { path: 'spec.c[name="x"].v', before: 1, after: 2 },
        { path: 'spec.c[name="new"].name', after: "new" },
      ],
    ],
    [
      "the order of items",
      spec({ c: [{ name: "x" }, { name: "y" }] }),
      spec({ c: [{ name: "y" }, { name: "x" }] }),
      [{ path: "spec.c", before: [{ name: "x" }, { name: "y" }], after: [{ name: "y" }, { name: "x" }] }],
    ],
    ["other lists as a whole", spec({ c: [1, 2] }), spec({ c: [1] }), [{ path: "spec.c", before: [1, 2], after: [1] }]],
    [
      "all of what is new",
      undefined,
      object({ spec: { a: 1 } }, { labels: { b: "c" } }),
      [
        { path: "metadata.labels.b", after: "c" },
        { path: "spec.a", after: 1 },
      ],
    ],
    ["nothing of what is new and has no fields", undefined, object(), []],
    [
      "nothing that the server keeps",
      object(
        { status: { ready: 1 } },
        { uid: "1", resourceVersion: "1", generation: 1, managedFields: [{ manager: "x", operation: "Apply" }] },
      ),
      object({ status: { ready: 2 } }, { uid: "2", resourceVersion: "2", generation: 2, creationTimestamp: "now" }),
      [],
    ],
    [
      "no copy of the object that kubectl left",
      object({}, { annotations: { "kubectl.kubernetes.io/last-applied-configuration": "all", a: "1" } }),
      object({}, { annotations: { a: "2" } }),
      [{ path: "metadata.annotations.a", before: "1", after: "2" }],
    ],
  ])("%s", (_, before, after, expected) => {
    expect(differences(before, after)).toEqual(expected);
  });

  test("of a Secret do not show its values", () => {
    const secret = (more: Record<string, unknown>) => object({ type: "Opaque", ...more }, {}, "Secret");
    const before = secret({ data: { changed: "old-value", same: "same-value", gone: "gone-value" } });
    const after = secret({
      data: { changed: "new-value", same: "same-value", set: "set-value" },
      stringData: { x: "y-value" },
    });
    const found = differences(before, after);
    expect(found).toEqual([
      { path: "data.changed", before: HIDDEN, after: HIDDEN },
      { path: "data.gone", before: HIDDEN },
      { path: "data.set", after: HIDDEN },
      { path: "stringData.x", after: HIDDEN },
    ]);
    expect(JSON.stringify([found, differences(undefined, after)])).not.toContain("-value");
  });
});
