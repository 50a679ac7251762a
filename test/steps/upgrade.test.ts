import { describe, expect, test } from "vitest";
import type { IstiodView } from "../../src/checks/istiod.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import type { IstioResource } from "../../src/mesh/shapes/istio.ts";
import type { Pod } from "../../src/mesh/shapes/pod.ts";
import { istiodDone } from "../../src/steps/istiod.ts";
import { Run } from "../../src/steps/run.ts";
import { readAgain, tellHowFar } from "../../src/steps/upgrade.ts";
import { memberOf, meshOf, Told } from "./support.ts";

const metadata = { name: "istiod", generation: 2 };
const istiod = (image: string, status: object = {}): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata,
  spec: { template: { spec: { containers: [{ name: "discovery", image: `hub/pilot:${image}` }] } } },
  status: { observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1, ...status },
});
const revision = (version: string, status?: IstioResource["status"]): { found: IstioResource } => ({
  found: {
    apiVersion: "sailoperator.io/v1",
    kind: "IstioRevision",
    metadata: { name: "default", generation: 4 },
    spec: { version: `v${version}` },
    ...(status ? { status } : {}),
  } as KubernetesObject & IstioResource,
});
const reconciled = (status: string, message = "") => ({
  observedGeneration: 4,
  conditions: [{ type: "Reconciled", status, reason: "ReconcileError", message }],
});
const leaving = { metadata: { name: "istiod-old", deletionTimestamp: "2026-01-01T00:00:00Z" } } as Pod;

describe("istiod", () => {
  test.each<[string, Parameters<typeof istiodDone>, string | undefined]>([
    [
      "is done",
      [{ revision: revision("1.32.0", reconciled("True")), deployment: istiod("1.32.0"), pods: [] }, "1.32.0"],
      undefined,
    ],
    [
      "is done without an operator",
      [{ revision: undefined, deployment: istiod("1.32.0"), pods: [] }, "1.32.0"],
      undefined,
    ],
    [
      "is done where the operator tells nothing of the revision",
      [{ revision: revision("1.32.0"), deployment: istiod("1.32.0"), pods: [] }, "1.32.0"],
      undefined,
    ],
    [
      "is a vendor's build",
      [{ revision: undefined, deployment: istiod("1.28.3-asm-r0"), pods: [] }, "1.28.3"],
      undefined,
    ],
    [
      "does not tell its version",
      [{ revision: undefined, deployment: istiod("nightly"), pods: [] }, "1.32.0"],
      undefined,
    ],
    [
      "is whatever it is, where nothing changes",
      [{ revision: revision("1.32.0"), deployment: istiod("1.31.0"), pods: [leaving] }, undefined],
      undefined,
    ],
    [
      "has no revision yet",
      [{ revision: { found: undefined }, deployment: istiod("1.31.0"), pods: [] }, undefined],
      "there is no IstioRevision yet",
    ],
    [
      "is of a revision that is still the old one",
      [{ revision: revision("1.31.0"), deployment: istiod("1.31.0"), pods: [] }, "1.32.0"],
      "IstioRevision default is of 1.31.0 still",
    ],
    [
      "is of a revision that the operator has not looked at",
      [
        {
          revision: revision("1.32.0", { ...reconciled("True"), observedGeneration: 3 }),
          deployment: istiod("1.31.0"),
          pods: [],
        },
        undefined,
      ],
      "the operator has not seen the latest change of IstioRevision default",
    ],
    [
      "is of a revision that Helm could not install",
      [
        { revision: revision("1.32.0", reconciled("False", "no such chart")), deployment: istiod("1.31.0"), pods: [] },
        "1.32.0",
      ],
      "IstioRevision default: ReconcileError: no such chart",
    ],
    [
      "is the old one still",
      [{ revision: revision("1.32.0"), deployment: istiod("1.31.0"), pods: [] }, "1.32.0"],
      "istiod's Deployment is of 1.31.0 still",
    ],
    [
      "is rolling out",
      [{ revision: undefined, deployment: istiod("1.32.0", { updatedReplicas: 0 }), pods: [] }, "1.32.0"],
      "1 of 1 pods are available",
    ],
    [
      "has a pod of the old one still",
      [{ revision: undefined, deployment: istiod("1.32.0"), pods: [leaving] }, "1.32.0"],
      "pod istiod-old, which is replaced, has not ended",
    ],
  ])("%s", (_, question, seen) => {
    const answer = istiodDone(...question);
    expect("seen" in answer ? answer.seen : undefined).toBe(seen);
  });
});

describe("the others, for a new istiod,", () => {
  const view = (pod: string, ...synced: string[]): IstiodView => ({
    pod,
    clusters: synced.map((id) => ({ id, syncStatus: "synced" })),
  });
  const mute: IstiodView = { pod: "a", clusters: "its answer cannot be read" };
  test.each<[string, Parameters<typeof readAgain>, object]>([
    ["are read by every replica", [[view("a", "b", "c"), view("b", "c", "b")], ["b", "c"], 0], { done: undefined }],
    ["are not yet read by one", [[view("a", "b"), view("b")], ["b"], 99_000], { seen: "b in b: not registered" }],
    ["may be read where it does not tell, yet", [[mute], ["b"], 1_000], { seen: "b in a: its answer cannot be read" }],
    ["are not known to be read where it never tells", [[mute], ["b"], 60_000], { done: "its answer cannot be read" }],
    ["are not read where none runs", [[], ["b"], 60_000], { seen: "no istiod runs" }],
  ])("%s", (_, question, expected) => {
    expect(readAgain(...question)).toEqual(expected);
  });
});

test("how far an upgrade came is told where it has stopped, and only there", () => {
  const mesh = meshOf(["a"]);
  const run = new Run("install", mesh, [memberOf(mesh, "a")], new Told());
  const moved = (cluster: string, done: boolean, from = "1.31.0") =>
    ({ cluster, what: "minor-up", from, to: "1.32.0", writes: "1.32.0", course: "wave", done }) as const;
  tellHowFar(run, []);
  tellHowFar(run, [moved("a", true)]);
  tellHowFar(run, [moved("a", true), moved("b", false), moved("c", false), moved("d", false, "1.31.2")]);
  expect(run.report().warnings).toEqual([
    expect.stringMatching(
      /^The change to Istio 1\.32\.0 has stopped: a has it; b is between 1\.31\.0 and it; c was not begun and has 1\.31\.0; d was not begun and has 1\.31\.2\. /,
    ),
  ]);
});
