import { describe, expect, test } from "vitest";
import type { Helm } from "../../src/helm/helm.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { definitions } from "../embedded/controllers/crds.ts";
import { operator, SHIPPED } from "../embedded/controllers/operator.ts";
import type { Kube } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { failures, notPassed, runInstall, writes } from "./mesh.ts";

const mesh = { operator: { version: "1.26.3", chart: "./chart" } } as const;
const started = testClusters();

/** Clusters with the operator or without. */
const clusters = (...operators: boolean[]) =>
  started(operators.length, (index) => (operators[index] ? {} : { operator: false }));

/** A Helm that does on the embedded clusters what the real one does. */
function fakeHelm(kubes: readonly Kube[]) {
  const installed: string[] = [];
  const helm: Helm = {
    ready: async () => "/bin/helm",
    installOperator: async ({ version }, { spec }) => {
      installed.push(`${spec.name} ${version}`);
      operator(kubes[Number(spec.name.slice(-1)) - 1] as Kube, { version });
    },
  };
  return { helm, installed };
}

test("the operator is installed where there is none, before the control plane; and never again", async () => {
  const kubes = await clusters(false, true);
  const { helm, installed } = fakeHelm(kubes);
  const outcome = await runInstall(kubes, { mesh, helm });
  expect(notPassed(outcome)).toEqual([]);
  expect(installed).toEqual(["cluster1 1.26.3"]);
  const said = outcome.report.checks.filter(({ id }) => id === "install.operator").map(({ evidence }) => evidence);
  expect(said.toSorted()).toEqual([
    "The Sail Operator 1.26.3 is installed and available.",
    "The Sail Operator sail-operator/sail-operator was there and is left as it is.",
  ]);
  const made = outcome.report.changes.filter(({ name }) => name === "sail-operator");
  expect(made.map(({ cluster, kind, action }) => `${cluster} ${action} ${kind}`)).toEqual([
    "cluster1 created Deployment",
  ]);

  const again = await runInstall(kubes, { mesh });
  expect(notPassed(again)).toEqual([]);
  expect(again.report.changed).toBe(false);
});

describe("an operator of another kind", () => {
  // Helm is not to be asked for: whoever ships it, it is found, and there is never a second one.
  test.each<[string, [keyof typeof SHIPPED, keyof typeof SHIPPED], RegExp[]]>([
    [
      "Alauda's and Red Hat's",
      ["alauda", "redHat"],
      [/Operator 1\.28\.3-asm-r0 is not one/, /image does not tell its version/],
    ],
    [
      "one of unknown labels, and upstream's",
      ["unknown", "upstream"],
      [/image does not tell its version/, /^Sail Operator 1\.28\.3 installs/],
    ],
  ])("%s: it is found by its Lease, and left alone", async (_, kinds, said) => {
    const kubes = await started(2, (index) => ({ operator: { shipped: SHIPPED[kinds[index]!] } }));
    const outcome = await runInstall(kubes, { mesh });
    expect(notPassed(outcome)).toEqual([]);
    const evidence = (id: string) =>
      outcome.report.checks.filter((check) => check.id === id).map((check) => check.evidence);
    expect(evidence("preflight.operator")).toEqual(said.map((each) => expect.stringMatching(each)));
    expect(evidence("install.operator").toSorted()).toEqual(
      kinds
        .map(
          (kind) =>
            `The Sail Operator ${SHIPPED[kind].namespace}/${SHIPPED[kind].name} was there and is left as it is.`,
        )
        .toSorted(),
    );
  });
});

test("an operator that is there and too old is refused, not upgraded", async () => {
  const kubes = await clusters(true, true);
  const [failure] = failures(
    await runInstall(kubes, { mesh: { istioVersion: "1.30.3", operator: { version: "1.30.3", chart: "./chart" } } }),
  );
  expect(failure).toMatch(/preflight\.operator cluster1: The Sail Operator 1\.26\.3 does not know Istio v1\.30\.3/);
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
});

test("CRDs that an operator left behind must know the version: Helm leaves them as they are", async () => {
  const kubes = await clusters(false, false);
  for (const definition of definitions(["1.25.0"])) kubes[0].put(definition);
  const all = failures(await runInstall(kubes, { mesh, helm: fakeHelm(kubes).helm }));
  expect(all).toHaveLength(1);
  expect(all[0]).toMatch(/preflight\.operator cluster1: .*does not know Istio v1\.26\.3.*Helm leaves CRDs as they are/);
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
});

test("that Helm cannot be had is told before anything is changed", async () => {
  const kubes = await clusters(false, false);
  const helm: Helm = {
    ready: () => Promise.reject(new Failure("There is no Helm.", "Put it there.")),
    installOperator: () => Promise.reject(new Error("unexpected")),
  };
  const all = failures(await runInstall(kubes, { mesh, helm }));
  expect(all).toEqual(["failed preflight.helm mesh: There is no Helm. | Put it there."]);
  for (const kube of kubes) expect(writes(kube)).toEqual([]);
});

test("what Helm says is the cause, and nothing that needs the operator is begun", async () => {
  const kubes = await clusters(false, false);
  const helm: Helm = {
    ready: async () => "/bin/helm",
    installOperator: () => Promise.reject(new Failure("Helm could not install it: no such image", "Look.")),
  };
  const outcome = await runInstall(kubes, { mesh, helm });
  expect(failures(outcome)).toHaveLength(2);
  const reconciled = outcome.report.checks.find(({ id }) => id === "install.reconciled");
  expect([reconciled?.verdict, reconciled?.cause]).toEqual([
    "skipped",
    expect.stringMatching(/^Not reached: install\.operator of cluster\d failed/),
  ]);
});
