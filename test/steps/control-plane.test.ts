import { describe, expect, test } from "vitest";
import { podTrouble, rolledOut } from "../../src/checks/pods.ts";
import type { Look } from "../../src/cluster/cluster.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import type { IstioResource } from "../../src/mesh/shapes/istio.ts";
import type { Pod } from "../../src/mesh/shapes/pod.ts";
import { healthy, reconciled } from "../../src/steps/control-plane.ts";

type Status = NonNullable<IstioResource["status"]>;
const istio = (status?: Status, name = "default"): IstioResource => ({
  apiVersion: "sailoperator.io/v1",
  kind: "Istio",
  metadata: { name, generation: 2 },
  spec: { version: "v1.26.3", namespace: "istio-system" },
  ...(status ? { status } : {}),
});

const condition = (type: string, status: boolean, reason = type, message = "") => ({
  type,
  status: status ? "True" : "False",
  reason,
  ...(message ? { message } : {}),
});
const good = [condition("Reconciled", true), condition("Ready", true), condition("DependenciesHealthy", true)];
/** A status as the operator writes it. */
const status = (more: Partial<Status> = {}): Status => ({
  observedGeneration: 2,
  state: "Healthy",
  activeRevisionName: "default",
  conditions: good,
  ...more,
});
const error = (message: string, ready = false): Status =>
  status({
    state: "ReconcileError",
    conditions: [
      condition("Reconciled", false, "ReconcileError", message),
      condition("Ready", ready, ready ? "Ready" : "IstiodNotReady"),
    ],
  });

const END_OF_LIFE = 'version "v1.26.3" is end-of-life and cannot be installed; use a supported version';
const FOREIGN =
  'failed to reconcile: ServiceAccount "istio-reader-service-account" in namespace "istio-system" exists and cannot be imported into the current release: invalid ownership metadata; label validation error: missing key "app.kubernetes.io/managed-by"';
const NO_NAMESPACE = `validation error: namespace "istio-system" doesn't exist`;

const done = (probe: Look<unknown>) => ("done" in probe ? probe.done : undefined);
const seen = (probe: Look<unknown>) => ("seen" in probe ? probe.seen : undefined);

describe("reconciled", () => {
  test.each<[string, IstioResource, string]>([
    ["all is well", istio(status()), "default"],
    [
      "istiod is still starting",
      istio(
        status({ state: "IstiodNotReady", conditions: [condition("Reconciled", true), condition("Ready", false)] }),
      ),
      "default",
    ],
    ["a revision of another name", istio(status({ activeRevisionName: "default-v1-26-3" })), "default-v1-26-3"],
    ["an operator that names no revision", istio({ observedGeneration: 2, conditions: good }, "canary"), "canary"],
    ["somebody changed it since", istio(status({ observedGeneration: 3 })), "default"],
  ])("%s", (_, resource, revision) => {
    expect(reconciled(resource, 2)).toEqual({ done: revision });
  });

  test.each<[string, IstioResource | undefined, string]>([
    ["no status", istio(), "the operator has not reported a status yet; is it running?"],
    ["an empty status", istio({}), "the operator has not reported a status yet; is it running?"],
    [
      "a status of before the change",
      istio(status({ observedGeneration: 1 })),
      "the operator has not seen the latest change yet",
    ],
    [
      "an error of before the change",
      istio({ ...error(END_OF_LIFE), observedGeneration: 1 }),
      "the operator has not seen the latest change yet",
    ],
    ["no conditions", istio({ observedGeneration: 2 }), "no condition Reconciled"],
    ["a namespace that is missing, which heals", istio(error(NO_NAMESPACE)), `ReconcileError: ${NO_NAMESPACE}`],
    [
      "a webhook that does not serve yet",
      istio(error("failed calling webhook: connection refused")),
      "ReconcileError: failed calling webhook: connection refused",
    ],
    ["a resource that is gone", undefined, "there is no such resource any more"],
  ])("not yet: %s", (_, resource, expected) => {
    expect(reconciled(resource, 2)).toEqual({ seen: expected });
  });

  test.each<[string, string, RegExp]>([
    ["a version that is end-of-life", END_OF_LIFE, /`istio-version`/],
    ["a version that the operator lacks", 'version "v1.26.0" not found', /`istio-version`/],
    [
      "an object that something else made",
      FOREIGN,
      /`kubectl -n istio-system delete serviceaccount istio-reader-service-account`/,
    ],
  ])("never: %s", (_, message, hint) => {
    const thrown = (() => {
      try {
        reconciled(istio(error(message)), 2);
      } catch (error) {
        return error as Failure;
      }
      return undefined;
    })();
    expect(thrown).toBeInstanceOf(Failure);
    expect(thrown?.message).toContain(message.slice(0, 80));
    expect(thrown?.hint).toMatch(hint);
  });

  test("an error about something else than the resource may be from before it was mended", () => {
    expect(seen(reconciled(istio(error(FOREIGN)), 2, true))).toContain("invalid ownership metadata");
    expect(seen(healthy(istio(error(FOREIGN)), 2, true))).toContain("invalid ownership metadata");
    expect(() => healthy(istio(error(FOREIGN)), 2)).toThrow("invalid ownership metadata");
    expect(() => reconciled(istio(error(END_OF_LIFE)), 2, true)).toThrow("end-of-life");
  });
});

describe("healthy", () => {
  test.each<[string, Status, boolean]>([
    ["all is well", status(), true],
    ["Healthy, of before the change", status({ observedGeneration: 1 }), false],
    ["Ready, beside a reconciliation that failed", error("a chart failed", true), false],
    [
      "Healthy, but not reconciled",
      status({ conditions: [condition("Reconciled", false, "ReconcileError"), condition("Ready", true)] }),
      false,
    ],
    [
      "istiod not ready",
      status({
        state: "IstiodNotReady",
        conditions: [condition("Reconciled", true), condition("Ready", false, "IstiodNotReady")],
      }),
      false,
    ],
    [
      "what it depends on not healthy",
      status({
        state: "IstioCNINotFound",
        conditions: [
          condition("Reconciled", true),
          condition("Ready", true),
          condition("DependenciesHealthy", false, "IstioCNINotFound", "IstioCNI resource does not exist"),
        ],
      }),
      false,
    ],
  ])("%s", (_, of, expected) => {
    expect("done" in healthy(istio(of), 2)).toBe(expected);
  });

  test("says what is not well, in the operator's words", () => {
    const bad = status({
      state: "IstiodNotReady",
      conditions: [condition("Reconciled", true), condition("Ready", false, "IstiodNotReady", "0 of 1 pods are ready")],
    });
    expect(seen(healthy(istio(bad), 2))).toBe("IstiodNotReady: 0 of 1 pods are ready");
  });

  test("never, where it can never be reconciled", () => {
    expect(() => healthy(istio(error(FOREIGN, true)), 2)).toThrow("The operator says: ");
  });
});

describe("why a pod is not ready", () => {
  const pod = (status: Pod["status"]): Pod => ({ metadata: { name: "p" }, ...(status ? { status } : {}) });
  const waiting = (reason: string, message?: string) => ({
    name: "discovery",
    ready: false,
    state: { waiting: { reason, ...(message ? { message } : {}) } },
  });
  const running = { name: "other", ready: true, state: {} };
  const ready = (status: string) => [{ type: "Ready", status }];

  test.each<[string, Pod["status"], string | undefined]>([
    ["it is", { phase: "Running", conditions: ready("True"), containerStatuses: [running] }, undefined],
    ["no status yet", undefined, "pod p: Pending, not ready"],
    [
      "it runs, but is not ready",
      { phase: "Running", conditions: ready("False"), containerStatuses: [running] },
      "pod p: Running, not ready",
    ],
    [
      "its image cannot be pulled",
      {
        phase: "Pending",
        conditions: ready("False"),
        containerStatuses: [running, waiting("ImagePullBackOff", 'Back-off pulling image "auto"')],
      },
      'pod p: ImagePullBackOff: Back-off pulling image "auto"',
    ],
    [
      "its container is being made",
      { phase: "Pending", containerStatuses: [waiting("ContainerCreating")] },
      "pod p: ContainerCreating",
    ],
    [
      "no node has room for it",
      {
        phase: "Pending",
        conditions: [
          { type: "PodScheduled", status: "False", message: "0/1 nodes are available: 1 Insufficient memory." },
        ],
      },
      "pod p: 0/1 nodes are available: 1 Insufficient memory.",
    ],
    [
      "it failed",
      { phase: "Failed", conditions: [{ type: "PodScheduled", status: "True" }, ...ready("False")] },
      "pod p: Failed, not ready",
    ],
  ])("%s", (_, status, expected) => {
    expect(podTrouble(pod(status))).toBe(expected);
  });
});

describe("rolled out", () => {
  const deployment = (status: Deployment["status"], generation = 3): Deployment => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "istiod", generation },
    spec: { template: { spec: { containers: [{ name: "discovery", image: "pilot:1.26.3" }] } } },
    ...(status ? { status } : {}),
  });
  const full = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  const pod: Pod = { metadata: { name: "p" }, status: { phase: "Running" } };

  test("all pods are new and available", () => {
    expect(done(rolledOut(deployment(full), [pod]))).toEqual({ image: "pilot:1.26.3", replicas: 2 });
  });

  test.each<[string, Deployment | undefined, string]>([
    ["there is none", undefined, "0 of ? pods are available"],
    ["no status yet", deployment(undefined), "0 of ? pods are available"],
    ["a status of before the change", deployment({ ...full, observedGeneration: 2 }), "2 of 2 pods are available"],
    ["one of two is available", deployment({ ...full, availableReplicas: 1 }), "1 of 2 pods are available"],
    [
      "old pods still serve",
      deployment({ ...full, replicas: 3, availableReplicas: 3, updatedReplicas: 2 }),
      "3 of 3 pods are available",
    ],
    [
      "none is wanted",
      deployment({ observedGeneration: 3, replicas: 0, updatedReplicas: 0, availableReplicas: 0 }),
      "0 of ? pods are available",
    ],
  ])("not yet: %s", (_, of, expected) => {
    expect(seen(rolledOut(of, []))).toBe(expected);
  });

  test.each<[string, string, string, RegExp]>([
    [
      "a quota",
      'pods "x-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1',
      "exceeded quota: small",
      /describe resourcequota,limitrange/,
    ],
    [
      "a LimitRange",
      'pods "x-1" is forbidden: maximum memory usage per Container is 64Mi, but limit is 1Gi',
      "maximum memory usage",
      /describe limitrange/,
    ],
    [
      "PodSecurity",
      'pods "x-1" is forbidden: violates PodSecurity "restricted:latest": seccompProfile (pod or container "discovery" must set it)',
      'violates PodSecurity "restricted:latest"',
      /pod-security\.kubernetes\.io\/enforce/,
    ],
    [
      "a webhook that cannot be called",
      'Internal error occurred: failed calling webhook "rev.object.sidecar-injector.istio.io": Post "https://istiod": EOF',
      'failed calling webhook "rev.object',
      /may the API server reach them/,
    ],
    [
      "a policy",
      'admission webhook "validate.kyverno.svc-fail" denied the request: label team is missing',
      "label team is missing",
      /owns that policy/,
    ],
    ["somebody else", "it is out of order", "it is out of order", /describe replicaset/],
  ])("not yet, for its pods are refused by %s", (_, message, cause, hint) => {
    const conditions = [{ type: "ReplicaFailure", status: "True", message }];
    const of = deployment({ observedGeneration: 3, replicas: 0, updatedReplicas: 0, conditions });
    const looked = rolledOut(of, []);
    expect(seen(looked)).toMatch(/^its pods are refused: /);
    expect(seen(looked)).toContain(cause);
    expect(looked).toMatchObject({ hint: expect.stringMatching(hint) });
  });

  test("not yet, and the pods say why", () => {
    expect(
      seen(rolledOut(deployment({ ...full, availableReplicas: 0 }), [pod, { ...pod, metadata: { name: "q" } }])),
    ).toBe("pod p: Running, not ready; pod q: Running, not ready");
  });

  test("not yet, and the pods that are over say nothing of it", () => {
    const evicted: Pod = { metadata: { name: "q" }, status: { phase: "Failed" } };
    const leaving: Pod = { metadata: { name: "r", deletionTimestamp: "2026-01-01T00:00:00Z" } };
    expect(seen(rolledOut(deployment({ ...full, availableReplicas: 0 }), [evicted, pod, leaving]))).toBe(
      "pod p: Running, not ready",
    );
  });

  test.each<[string, Pod["status"], string | undefined]>([
    [
      "an image that cannot be pulled",
      { containerStatuses: [{ name: "discovery", state: { waiting: { reason: "ImagePullBackOff" } } }] },
      "Is there such an image, and may the nodes pull it? Look: kubectl -n istio-system describe pod p",
    ],
    [
      "a container that ends again and again",
      { containerStatuses: [{ name: "discovery", state: { waiting: { reason: "CrashLoopBackOff" } } }] },
      "See why it ends: kubectl -n istio-system logs p -c discovery --previous",
    ],
    [
      "no node with room",
      { conditions: [{ type: "PodScheduled", status: "False" }] },
      "Is there a node with room for it? Look: kubectl -n istio-system describe pod p",
    ],
    [
      "a node that does not take its pods up",
      { phase: "Pending", conditions: [{ type: "PodScheduled", status: "True" }] },
      "Is the node ready? Look: kubectl describe node n",
    ],
    [
      "a node that fell silent",
      {
        startTime: "2026-01-01T00:00:00Z",
        conditions: [
          { type: "Ready", status: "False" },
          { type: "ContainersReady", status: "True" },
        ],
      },
      "Is the node ready? Look: kubectl describe node n",
    ],
    ["nothing but slowness", { phase: "Pending", startTime: "2026-01-01T00:00:00Z" }, undefined],
  ])("not yet, and what to do about %s", (_, status, hint) => {
    const metadata = { name: "p", namespace: "istio-system" };
    const troubled: Pod = { metadata, spec: { nodeName: "n", containers: [] }, ...(status ? { status } : {}) };
    expect(rolledOut(deployment({ ...full, availableReplicas: 0 }), [troubled])).toMatchObject({ hint });
  });
});
