import { describe, expect, test } from "vitest";
import { type FoundOperator, findOperator, pinsOf } from "../../src/checks/found-operator.ts";
import { isToInstall, operatorAvailable, operatorInstalls } from "../../src/checks/operator.ts";
import type { Cluster, ListQuery } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import { operatorRelease } from "../../src/mesh/versions.ts";
import { clusterOf, meshOf } from "../steps/support.ts";

const deployment = (...images: string[]) =>
  ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "sail-operator", namespace: "sail-operator" },
    spec: { template: { spec: { containers: images.map((image) => ({ name: "c", image })) } } },
  }) as Deployment;

function found(version: string | undefined, offers: readonly string[] | undefined): FoundOperator {
  const release = version === undefined ? undefined : operatorRelease(version);
  return {
    crd: "served",
    offers,
    version,
    ...(release ? { release } : {}),
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
      "Sail Operator 1.30.3 installs Istio 1.28.0 to 1.28.10, 1.29.0 to 1.29.6, 1.30.0 to 1.30.3, not 1.26.3, which is in its CRD's list but end-of-life.",
    );
    expect(hint).toBe(
      "Choose one of these as `istio-version`: v1.30.3, v1.29.6; or another operator: Sail Operator 1.26.3 to 1.28.3 installs v1.26.3.",
    );
  });

  test("what is not in the list is refused, and only what the operator truly installs is offered", () => {
    const { verdict, cause, hint } = judge("1.27.3", found("1.30.3", ["v1.30.3", "v1.26.3"]));
    expect([verdict, cause]).toEqual([
      "failed",
      "The Sail Operator 1.30.3 does not know Istio v1.27.3. It offers: v1.30.3.",
    ]);
    expect(hint).toMatch(/Sail Operator 1\.27\.3 to 1\.29\.2 installs v1\.27\.3\.$/);
  });

  test.each<[string, FoundOperator, RegExp]>([
    ["1.26.3", found(undefined, ["v1.26.3"]), /image does not tell its version, so only the CRD was asked/],
    ["1.26.3", found(undefined, undefined), /its CRD does not say which versions it offers/],
    ["1.32.0", found("1.33.1", ["v1.33.1", "v1.32.0"]), /not one that this action knows, so only the CRD was asked/],
    [
      "1.28.6",
      found("1.28.3-asm-r0", ["v1.28.6"]),
      /1\.28\.3-asm-r0 is not one that this action knows, .* told when it rec/,
    ],
  ])("of %s is said how sure it is (%#)", (version, operator, doubt) => {
    const { verdict, evidence } = judge(version, operator);
    expect(verdict).toBe("passed");
    expect(evidence).toMatch(doubt);
  });

  test("a version that only another release's CRDs list is told as that", () => {
    const { verdict, cause, hint } = judge("1.31.3", found("1.30.3", ["v1.31.3", "v1.30.3"]));
    expect([verdict, cause]).toEqual([
      "failed",
      expect.stringMatching(/not 1\.31\.3; its CRDs, which list it, are another/),
    ]);
    expect(hint).toBe(
      "Choose one of these as `istio-version`: v1.30.3; or another operator: Sail Operator 1.31.2 installs v1.31.3.",
    );
  });

  test.each(["missing", "older"] as const)("a CRD that is %s is told", (crd) => {
    const { verdict, cause, hint } = judge("1.26.3", { ...found("1.26.3", undefined), crd });
    expect(verdict).toBe("failed");
    expect(cause).toMatch(/^The Sail Operator is not installed/);
    expect(cause?.includes("an older version")).toBe(crd === "older");
    expect(hint).toMatch(/install-operator: true/);
  });
});

/** A cluster with these Deployments, by namespace/name, and Leases: since how many minutes their holder has not renewed. */
function withOperators(
  images: Record<string, string[]>,
  leases: [namespace: string, holder: string, minutes: number][],
) {
  const all = Object.entries(images).map(([path, of]) => {
    const [namespace = "", name = ""] = path.split("/");
    const labels = name === "labelled" ? { "control-plane": "servicemesh-operator3" } : {};
    return { ...deployment(...of), metadata: { name, namespace, labels } };
  });
  return clusterOf("a", {
    get: async () => undefined,
    list: (async ({ kind, namespace, labelSelector, fieldSelector }: ListQuery) => {
      if (kind === "Lease") {
        expect(fieldSelector).toBe("metadata.name=sail-operator-lock");
        return leases.map(([namespace, holderIdentity, minutes]) => ({
          metadata: { name: "sail-operator-lock", namespace },
          spec: { holderIdentity, renewTime: new Date(Date.now() - minutes * 60_000).toISOString() },
        }));
      }
      const label = labelSelector?.split(" ")[0];
      return all.filter(
        ({ metadata }) => (!namespace || metadata.namespace === namespace) && (!label || label in metadata.labels),
      );
    }) as never,
  });
}

describe("the operator is found", () => {
  const proxy = "gcr.io/kubebuilder/kube-rbac-proxy:v0.15.0";
  test.each<[string, Record<string, string[]>, [string, string, number][], string | undefined, string | undefined]>([
    [
      "by its Lease, whatever its labels and name",
      { "mesh/x": ["hub/y:1.28.3-asm-r0"], "mesh/z": ["hub/z:1.0.0"] },
      [["mesh", "x-6d8-abc_0-1", 0]],
      "x",
      "1.28.3-asm-r0",
    ],
    [
      "with its own container among several",
      { "o/sail-operator": [proxy, "quay.io/sail-dev/sail-operator:1.27.3"] },
      [["o", "sail-operator-6d8-abc_0-1", 0]],
      "sail-operator",
      "1.27.3",
    ],
    [
      "by the longest name that fits",
      { "o/a": ["h/a:1.0.0"], "o/a-b": ["h/operator:1.28.3"] },
      [["o", "a-b-6d8-abc_0-1", 0]],
      "a-b",
      "1.28.3",
    ],
    [
      "as the only Deployment where the leader has its node's name",
      { "o/servicemesh-operator2": ["h/operator:v1.28.6"] },
      [["o", "node-7_0-1", 0]],
      "servicemesh-operator2",
      "1.28.6",
    ],
    [
      "of the Lease that is renewed, not of one that was left",
      { "old/sail-operator": ["h/operator:1.26.3"], "new/sail-operator": ["h/operator:1.28.3"] },
      [
        ["old", "sail-operator-1-2_0", 60],
        ["new", "sail-operator-1-2_0", 1],
      ],
      "sail-operator",
      "1.28.3",
    ],
    [
      "by its labels where it has no Lease",
      { "o/labelled": ["h/operator@sha256:01"], "o/other": ["h/o:1.0.0"] },
      [],
      "labelled",
      undefined,
    ],
    ["nowhere, where only a Lease was left", {}, [["old", "sail-operator-1-2_0", 60]], undefined, undefined],
  ])("%s", async (_, images, leases, name, version) => {
    const found = await findOperator(withOperators(images, leases));
    expect([found.deployment?.metadata.name, found.version]).toEqual([name, version]);
    if (leases.some(([, , minutes]) => minutes < 5))
      expect(found.deployment?.metadata.namespace).toBe(leases.at(-1)?.[0]);
  });

  test("by its Lease alone is enough: a second one is never installed", async () => {
    const mesh = meshOf(["a", "b"], { operator: { version: "1.28.3", chart: "./chart" } });
    const leads = await findOperator(
      withOperators({ "o/a": ["h/a:1.0.0"], "o/b": ["h/b:1.0.0"] }, [["o", "node_0", 0]]),
    );
    expect([leads.deployment, leads.holder]).toEqual([undefined, "node_0 in namespace o"]);
    expect(isToInstall(mesh, leads)).toBe(false);
    expect(isToInstall(mesh, await findOperator(withOperators({}, [["o", "gone_0", 60]])))).toBe(true);
  });
});

test("an operator's pins are read from its pod, for the very version", () => {
  const pinned = deployment("quay.io/sail-dev/sail-operator:1.28.3");
  pinned.spec.template.metadata = {
    annotations: {
      "images.v1_26_3.istiod": "gcr.io/istio-release/pilot:1.26.3",
      "images.v1_26_3.cni": "gcr.io/istio-release/install-cni:1.26.3",
      "images.v1_26_30.istiod": "elsewhere/pilot:1.26.30",
    },
  };
  expect(pinsOf({ deployment: pinned }, "1.26.3")).toEqual({
    istiod: "gcr.io/istio-release/pilot:1.26.3",
    cni: "gcr.io/istio-release/install-cni:1.26.3",
  });
  expect(pinsOf({ deployment: pinned }, "1.27.0")).toBeUndefined();
  expect(pinsOf({ deployment: undefined }, "1.26.3")).toBeUndefined();
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
      if (kind === "Lease") return Promise.resolve([]);
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
