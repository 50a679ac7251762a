import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../src/cluster/client.ts";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import { type KubernetesObject, refOf } from "../../src/mesh/objects/object.ts";
import type { Json, Kube, StoreEvent } from "./kube.ts";
import { startKube } from "./server.ts";

// What only the embedded API has, seen through the action's own client; the rest is in the contract.
/** Reads, and applies. */
const apply = async (cluster: Cluster, object: KubernetesObject) =>
  cluster.apply(object, await cluster.get(refOf(object)));

describe("embedded API", () => {
  let kube: Kube;
  const clients: Cluster[] = [];
  const client = (kubeconfig = kube.kubeconfig()): Cluster => {
    const read = readKubeconfig(kubeconfig);
    if ("problem" in read) throw new Error(read.problem);
    const watcher = { waiting: () => {}, waited: () => {}, retrying: () => {} };
    const made = connect("cluster1", read, new Deadline(20_000), watcher);
    clients.push(made);
    return made;
  };
  const configMap = (name: string, data: Record<string, string> = {}) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data,
  });
  const ref = (name: string, kind = "ConfigMap") => ({ apiVersion: "v1", kind, namespace: "default", name });

  beforeEach(async () => {
    kube = await startKube({ name: "one" });
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((one) => one.close()));
    await kube.stop();
  });

  test("applies and says what that did, by certificate and by token", async () => {
    for (const auth of ["certificate", "token"] as const) {
      const cluster = client(kube.kubeconfig({ auth }));
      expect(await cluster.version()).toBe("v1.33.0");
      expect((await apply(cluster, configMap(auth, { a: "1" }))).action).toBe("created");
      expect((await apply(cluster, configMap(auth, { a: "1" }))).action).toBe("unchanged");
      expect((await apply(cluster, configMap(auth, { a: "2" }))).action).toBe("updated");
      expect(kube.get(ref(auth)).data).toEqual({ a: "2" });
    }
    expect(new Set(kube.requests.map(({ user }) => user))).toEqual(new Set(["kubernetes-admin"]));
    expect(kube.requests).toContainEqual(expect.objectContaining({ method: "PATCH", status: 201 }));
  });

  test("somebody else's field is a conflict that names them", async () => {
    kube.put(configMap("x", { a: "1" }));
    await expect(apply(client(), configMap("x", { a: "2" }))).rejects.toMatchObject({
      status: 409,
      conflicts: [{ manager: "kube-controller-manager", field: ".data.a" }],
    });
  });

  test("a wait sees what happens inside", async () => {
    const pods = { apiVersion: "v1", kind: "Pod", namespace: "default", labelSelector: "app=x" };
    const waited = client().waitFor("a running pod", { pods }, ({ pods: [pod] }) =>
      (pod as Json)?.status.phase === "Running" ? { done: pod?.metadata.name } : { seen: "none" },
    );
    await pause(50);
    kube.put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "default", labels: { app: "x" } },
      spec: { containers: [{ name: "c", image: "x" }] },
    });
    await pause(50);
    const pod = kube.patchStatus(ref("p", "Pod"), { phase: "Running" });
    expect(await waited).toBe("p");
    expect(pod.metadata.generation).toBe(1);
  });

  test("exec", async () => {
    kube.put({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "default" },
      spec: { containers: [{ name: "c", image: "x" }] },
    });
    kube.onExec(({ pod, container, command }) => ({
      exitCode: command.length - 2,
      stdout: `${pod}/${container}: ${command.join(" ")}`,
      stderr: "hm",
    }));
    const run = (...command: string[]) => client().exec(ref("p", "Pod"), "c", command);
    expect(await run("ls", "/")).toEqual({ exitCode: 0, stdout: "p/c: ls /", stderr: "hm" });
    expect(await run("a", "b", "c")).toMatchObject({ exitCode: 1 });
    await expect(client().exec(ref("none", "Pod"), "c", ["x"])).rejects.toThrow("run x in Pod default/none");
  });

  test("interference", async () => {
    const seen: number[] = [];
    const cluster = client();
    await cluster.version();
    kube.intercept((request, number) => {
      seen.push(number);
      if (request.method !== "GET") return undefined;
      if (number === 2) return { destroy: true };
      if (number === 3) return { truncate: true };
      if (number === 4) return { status: 503, headers: { "retry-after": "0" } };
      return number === 5 ? { delayMs: 100 } : undefined;
    });
    const started = performance.now();
    expect(await cluster.version()).toBe("v1.33.0");
    expect(performance.now() - started).toBeGreaterThan(100);
    expect(seen).toEqual([2, 3, 4, 5]);
    kube.intercept(undefined);
    kube.intercept(() => ({ status: 403 }));
    await expect(cluster.version()).rejects.toMatchObject({ status: 403, reason: "Forbidden" });
  });

  test("nobody gets in without credentials, or with a token that was taken back", async () => {
    kube.setToken("t", "alice");
    const alice = client(kube.kubeconfig({ auth: "token", token: "t" }));
    await expect(alice.list({ apiVersion: "v1", kind: "Secret" })).rejects.toThrow(
      'secrets is forbidden: User "alice" cannot list resource "secrets" in API group "" at the cluster scope',
    );
    expect(kube.userOf("t")).toBe("alice");
    kube.setToken("t", undefined);
    await expect(alice.list({ apiVersion: "v1", kind: "Secret" })).rejects.toMatchObject({ status: 401 });
  });

  test("a subscriber is told everything, in order", async () => {
    const events: string[] = [];
    const stop = kube.subscribe(({ type, object }: StoreEvent) => {
      if (object.kind === "ConfigMap") events.push(`${type} ${object.metadata.name}`);
    });
    kube.put(configMap("a"));
    kube.put(configMap("a", { b: "c" }));
    kube.put(configMap("a", { b: "c" }));
    expect(events).toEqual([]);
    await pause(0);
    expect([kube.delete(ref("a")), kube.delete(ref("a"))]).toEqual([true, false]);
    await pause(0);
    stop();
    kube.put(configMap("b"));
    await pause(0);
    expect(events).toEqual(["ADDED a", "MODIFIED a", "DELETED a"]);
  });

  test("a namespace takes along what is in it, and waits for finalizers", async () => {
    kube.put({ apiVersion: "v1", kind: "Namespace", metadata: { name: "n" } });
    const held = { ...configMap("held"), metadata: { name: "held", namespace: "n", finalizers: ["x.org/hold"] } };
    kube.put(held);
    kube.put({ ...configMap("free"), metadata: { name: "free", namespace: "n" } });
    const namespace = { apiVersion: "v1", kind: "Namespace", name: "n" };
    kube.delete(namespace);
    await pause(20);
    expect(kube.list("v1", "ConfigMap", "n").map(({ metadata }) => metadata.name)).toEqual(["held"]);
    expect(kube.get(namespace).status.phase).toBe("Terminating");
    expect(() => kube.put({ ...configMap("new"), metadata: { name: "new", namespace: "n" } })).toThrow(
      "being terminated",
    );
    kube.put({ ...held, metadata: { name: "held", namespace: "n" } });
    await pause(20);
    expect(kube.get(namespace)).toBeUndefined();
  });

  test("custom resources, as their definition wants them", async () => {
    const cluster = client();
    const istio = (version: Json, more: Json = {}) => ({
      apiVersion: "sailoperator.io/v1",
      kind: "Istio",
      metadata: { name: "default" },
      spec: { version, ...more },
    });
    expect(await cluster.list({ apiVersion: "sailoperator.io/v1", kind: "Istio" })).toEqual([]);
    kube.put(ISTIO_CRD);
    expect((await apply(cluster, istio("v1.0.0", { values: { any: { thing: 1 } }, unknown: 1 }))).action).toBe(
      "created",
    );
    const stored = kube.get({ apiVersion: "sailoperator.io/v1", kind: "Istio", name: "default" });
    expect(stored.spec).toEqual({ version: "v1.0.0", namespace: "istio-system", values: { any: { thing: 1 } } });
    await expect(apply(cluster, istio("v9.9.9"))).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining(
        'Istio.sailoperator.io "default" is invalid: spec.version: Unsupported value: "v9.9.9": supported values: "v1.0.0", "v1.1.0"',
      ),
    });
    await expect(apply(cluster, { ...istio("v1.0.0"), spec: {} })).rejects.toThrow("spec.version: Required value");
    const updated: Json = (await apply(cluster, istio("v1.1.0"))).object;
    expect(updated.metadata.generation).toBe(2);
    expect(kube.get(CRD_REF).status.conditions).toContainEqual(expect.objectContaining({ type: "Established" }));
    kube.delete(CRD_REF);
    expect(await cluster.list({ apiVersion: "sailoperator.io/v1", kind: "Istio" })).toEqual([]);
  });

  test("every request takes its latency", async () => {
    const slow = await startKube({ latencyMs: 80 });
    const started = performance.now();
    await client(slow.kubeconfig()).version();
    expect(performance.now() - started).toBeGreaterThan(75);
    await slow.stop();
  });
});

const CRD_REF = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  name: "istios.sailoperator.io",
};

const ISTIO_CRD = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "istios.sailoperator.io" },
  spec: {
    group: "sailoperator.io",
    scope: "Cluster",
    names: { kind: "Istio", plural: "istios" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["version"],
                properties: {
                  version: { type: "string", enum: ["v1.0.0", "v1.1.0"] },
                  namespace: { type: "string", default: "istio-system" },
                  values: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                },
              },
              status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
            },
          },
        },
      },
    ],
  },
};
