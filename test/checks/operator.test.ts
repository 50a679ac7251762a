import { describe, expect, test } from "vitest";
import { type FoundOperator, findOperator, operatorAvailable, operatorInstalls } from "../../src/checks/operator.ts";
import type { Deployment } from "../../src/checks/survey.ts";
import type { Cluster, ListQuery } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

const deployment = (...images: string[]) =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "sail-operator", namespace: "sail-operator" },
    spec: { template: { spec: { containers: images.map((image) => ({ name: "c", image })) } } },
  }) as Deployment;

function found(version: string | undefined, offers: readonly string[] | undefined): FoundOperator {
  return {
    crd: "served",
    offers,
    version,
    deployment: deployment(`quay.io/sail-dev/sail-operator:${version ?? "latest"}`),
  };
}
const judge = (istioVersion: string, operator: FoundOperator) =>
  operatorInstalls(meshOf(["a", "b"], { istioVersion }), operator);

describe("whether an operator installs the wanted Istio", () => {
  test("it does, by its own version and its CRD", () => {
    const { verdict, evidence } = judge("1.28.4", found("1.30.3", ["v1.30.3", "v1.28.4", "v1.26.3"]));
    expect([verdict, evidence]).toEqual([
      "passed",
      "Sail Operator 1.30.3 installs Istio v1.28.4: its CRD offers Istio v1.28.4.",
    ]);
  });

  test("what is in the list but end-of-life is refused, with the versions and the operators that would do", () => {
    const { verdict, cause, hint } = judge("1.26.3", found("1.30.3", ["v1.30.3", "v1.29.6", "v1.26.3", "v1.24.0"]));
    expect(verdict).toBe("failed");
    expect(cause).toBe(
      "Sail Operator 1.30.3 installs Istio 1.28 to 1.30, not 1.26.3, which is in its CRD's list but end-of-life.",
    );
    expect(hint).toBe(
      "Choose one of these as `istio-version`: v1.30.3, v1.29.6; or another operator: Sail Operator 1.26 to 1.28 installs v1.26.3.",
    );
  });

  test("what is not in the list is refused, and only what the operator truly installs is offered", () => {
    const { verdict, cause, hint } = judge("1.27.3", found("1.30.3", ["v1.30.3", "v1.26.3"]));
    expect([verdict, cause]).toEqual([
      "failed",
      "The Sail Operator 1.30.3 does not know Istio v1.27.3. It offers: v1.30.3.",
    ]);
    expect(hint).toMatch(/Sail Operator 1\.27 to 1\.29 installs v1\.27\.3\.$/);
  });

  test.each<[string, FoundOperator, RegExp]>([
    ["1.26.3", found(undefined, ["v1.26.3"]), /image does not tell its version, so only the CRD was asked/],
    ["1.26.3", found(undefined, undefined), /its CRD does not say which versions it offers/],
    ["1.32.0", found("1.33.1", ["v1.33.1", "v1.32.0"]), /newer than this action knows, so only the CRD was asked/],
    ["1.28.0", found("1.33.1", ["v1.33.1", "v1.28.0"]), /may refuse Istio older than 1\.31 as end-of-life/],
  ])("of %s is said how sure it is (%#)", (version, operator, doubt) => {
    const { verdict, evidence } = judge(version, operator);
    expect(verdict).toBe("passed");
    expect(evidence).toMatch(doubt);
  });

  test.each(["missing", "older"] as const)("a CRD that is %s is told", (crd) => {
    const { verdict, cause, hint } = judge("1.26.3", { ...found("1.26.3", undefined), crd });
    expect(verdict).toBe("failed");
    expect(cause).toMatch(/^The Sail Operator is not installed/);
    expect(cause?.includes("an older version")).toBe(crd === "older");
    expect(hint).toMatch(/install-operator: true/);
  });
});

test.each([
  ["app.kubernetes.io/name", "as OLM does"],
  ["control-plane", "as the chart does"],
])("an operator labelled by %s (%s) is found, and its own container among several", async (label) => {
  const cluster = clusterOf("a", {
    get: async () => undefined,
    list: (async ({ labelSelector = "" }) =>
      labelSelector.startsWith(`${label} in `)
        ? [deployment("gcr.io/kubebuilder/kube-rbac-proxy:v0.15.0", "quay.io/sail-dev/sail-operator:1.27.3")]
        : []) as never,
  });
  expect(await findOperator(cluster)).toMatchObject({ crd: "missing", version: "1.27.3" });
});

describe("an operator that is not available", () => {
  const operator: Deployment = {
    ...deployment("quay.io/sail-dev/sail-operator:1.27.3"),
    status: { conditions: [{ type: "Available", status: "False", message: "It has no minimum availability." }] },
  };
  operator.spec.selector = { matchLabels: { "control-plane": "sail-operator" } };
  /** Asks once, and is over: what was seen, and what is to be done. */
  const poll: Cluster["poll"] = async (what, look) => {
    const seen = await look();
    if ("done" in seen) return seen.done;
    throw new Failure(`Waited for ${what}. Last seen: ${seen.seen}`, seen.hint);
  };
  const told = async (pods: () => Promise<unknown[]>) => {
    const list = ({ kind, namespace, labelSelector }: ListQuery) => {
      if (kind === "Deployment") return Promise.resolve([operator]);
      expect([kind, namespace, labelSelector]).toEqual(["Pod", "sail-operator", "control-plane=sail-operator"]);
      return pods();
    };
    const error = await operatorAvailable(clusterOf("a", { list: list as never, poll })).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(Failure);
    return [(error as Failure).message, (error as Failure).hint];
  };
  const beginning =
    "The Sail Operator is not available. Waited for the Sail Operator (Deployment sail-operator/sail-operator) to be available. Last seen:";
  const look = "kubectl -n sail-operator describe deployment sail-operator; kubectl -n sail-operator get pods";

  test("is told by its pods' own reason", async () => {
    const waiting = { reason: "ImagePullBackOff", message: "no such image" };
    const status = { containerStatuses: [{ name: "c", state: { waiting } }] };
    expect(await told(async () => [{ metadata: { name: "p", namespace: "sail-operator" }, status }])).toEqual([
      `${beginning} pod p: ImagePullBackOff: no such image`,
      "Is there such an image, and may the nodes pull it? Look: kubectl -n sail-operator describe pod p",
    ]);
  });

  test.each<[string, () => Promise<never[]>]>([
    ["has no pods", async () => []],
    ["has pods that may not be read", () => Promise.reject(new Failure("forbidden"))],
  ])("and %s is told by its Deployment's condition", async (_, pods) => {
    expect(await told(pods)).toEqual([`${beginning} It has no minimum availability.`, look]);
  });
});
