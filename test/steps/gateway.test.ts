import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Cluster, ListQuery, Look } from "../../src/cluster/cluster.ts";
import type { KubernetesObject, ObjectRef } from "../../src/mesh/objects/object.ts";
import { addressed, runGateway } from "../../src/steps/gateway.ts";
import { Run } from "../../src/steps/run.ts";
import { applying, memberOf, meshOf, Told } from "./support.ts";

type Service = Parameters<typeof addressed>[0][number];
const service = (type: string, ...ingress: { ip?: string; hostname?: string }[]): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "istio-eastwestgateway" },
  spec: { type },
  status: { loadBalancer: ingress.length > 0 ? { ingress } : {} },
});

describe("the gateway's address", () => {
  const metadata = { name: "istio-eastwestgateway", namespace: "mesh" };
  const byNodes = { ...metadata, annotations: { "traffic.istio.io/nodeSelector": "{}" } };

  test.each<[string, Service[], string[]]>([
    ["an IP", [service("LoadBalancer", { ip: "192.0.2.1" })], ["192.0.2.1"]],
    ["a host name, as AWS gives", [service("LoadBalancer", { hostname: "lb.example" })], ["lb.example"]],
    [
      "an IP rather than its host name",
      [service("LoadBalancer", { ip: "192.0.2.1", hostname: "lb.example" })],
      ["192.0.2.1"],
    ],
    ["several", [service("LoadBalancer", { ip: "192.0.2.1" }, { ip: "2001:db8::1" })], ["192.0.2.1", "2001:db8::1"]],
    ["of several Services", [service("LoadBalancer"), service("LoadBalancer", { ip: "192.0.2.2" })], ["192.0.2.2"]],
    ["one that it has by itself", [{ ...service("ClusterIP"), spec: { externalIPs: ["192.0.2.3"] } }], ["192.0.2.3"]],
    ["none for a NodePort, whose nodes have them", [{ ...service("NodePort"), metadata: byNodes }], []],
  ])("%s", (_, services, addresses) => {
    expect(addressed(services)).toEqual({ done: addresses });
  });

  test.each<[string, Service[], string]>([
    ["no Service", [], "there is no Service with the label topology.istio.io/network of this network"],
    ["no address", [service("LoadBalancer")], "Service istio-eastwestgateway has no address"],
    [
      "an address without anything in it",
      [service("LoadBalancer", {})],
      "Service istio-eastwestgateway has no address",
    ],
    [
      "a Service without a status",
      [{ ...service("LoadBalancer"), status: undefined } as unknown as Service],
      "Service istio-eastwestgateway has no address",
    ],
    ["a Service for the cluster only", [service("ClusterIP")], "Service istio-eastwestgateway has no address"],
    [
      "a NodePort that does not say which nodes",
      [service("NodePort")],
      "Service istio-eastwestgateway is a NodePort without the annotation traffic.istio.io/nodeSelector, by which istiod finds the nodes' addresses",
    ],
  ])("not yet: %s", (_, services, seen) => {
    expect(addressed(services)).toMatchObject({ seen });
  });
});

describe("pods that cannot become ready as they are", () => {
  const owner = (name: string) => ({ apiVersion: "apps/v1", kind: "ReplicaSet", name, uid: "u" });
  const pod = (name: string, image: string, more: object = {}) => ({
    metadata: {
      name,
      namespace: "istio-system",
      uid: `uid-${name}`,
      labels: { "pod-template-hash": "1" },
      ownerReferences: [owner("istio-eastwestgateway-1")],
      ...more,
    },
    spec: { containers: [{ name: "istio-proxy", image }] },
    status: { phase: "Pending" },
  });
  const without = (name: string, reason: string) => ({
    ...pod(name, "nowhere/proxyv2:1.26.3"),
    status: { phase: "Pending", containerStatuses: [{ name: "istio-proxy", state: { waiting: { reason } } }] },
  });
  const available = {
    metadata: { name: "istio-eastwestgateway", generation: 1 },
    spec: { template: { spec: { containers: [] } } },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
  };

  /** Runs the step on a cluster where the pods are seen, one list after the other; the Deployment is available at last. */
  const deleted = (...lists: object[][]) => deletedWhere(async () => undefined, ...lists);

  async function deletedWhere(
    get: Cluster["get"],
    ...lists: object[][]
  ): Promise<[name: string, uid: string | undefined][]> {
    const found: [string, string | undefined][] = [];
    const waitFor: Cluster["waitFor"] = async <K extends string, R>(
      _: string,
      __: Readonly<Record<K, ListQuery>>,
      probe: (seen: Record<K, KubernetesObject[]>) => Look<R> | Promise<Look<R>>,
    ) => {
      for (const [i, pods] of lists.entries()) {
        const deployment = i === lists.length - 1 ? [available] : [];
        const outcome = await probe({ deployment, pods } as unknown as Record<K, KubernetesObject[]>);
        if ("done" in outcome) return outcome.done;
      }
      throw new Error("it never was available");
    };
    const mesh = meshOf(["a"]);
    const member = memberOf(mesh, "a", {
      serves: async () => false,
      apply: applying("unchanged"),
      tryApply: async (object, before) => ({ object: before ?? object, action: "unchanged" }),
      get,
      waitFor,
      delete: async (ref: ObjectRef, uid?: string) => {
        found.push([ref.name, uid]);
        return true;
      },
    });
    const run = new Run("install", mesh, [member], new Told());
    run.plan({ id: "install.gateway-available", subject: { cluster: "a" } });
    await runGateway(run, mesh, member, Promise.resolve({ revision: "default" }), "1.26.3", Promise.resolve(""), []);
    return found;
  }

  test("made before injection served, are replaced, each once, and only that very pod", async () => {
    expect(await deleted([pod("p", "auto")], [pod("p", "auto")], [pod("q", "proxyv2:1.26.3")])).toEqual([
      ["p", "uid-p"],
    ]);
  });

  test("and so is the next one, if it comes too early too", async () => {
    expect(await deleted([pod("p", "auto")], [pod("q", "auto")], [])).toEqual([
      ["p", "uid-p"],
      ["q", "uid-q"],
    ]);
  });

  test("those that are injected, or are going already, are left alone", async () => {
    const going = pod("p", "auto", { deletionTimestamp: "2026-11-20T12:00:00Z" });
    expect(await deleted([going, pod("q", "proxyv2:1.26.3")], [])).toEqual([]);
  });

  test("those of other Deployments, or of none, are left alone", async () => {
    const others = [
      pod("p", "auto", { ownerReferences: [owner("istio-eastwestgateway-of-b-1")] }),
      pod("q", "auto", { ownerReferences: [] }),
    ];
    expect(await deleted(others, [])).toEqual([]);
  });

  test("nor is a pod of a gateway that is somebody else's replaced", async () => {
    const theirs = async <T extends KubernetesObject>({ apiVersion, kind, name }: ObjectRef) =>
      kind === "Deployment" ? ({ apiVersion, kind, metadata: { name, uid: "u" } } as T) : undefined;
    expect(await deletedWhere(theirs, [pod("p", "auto")], [])).toEqual([]);
  });

  test.each(["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])(
    "of an earlier run, whose image may be another by now (%s), are replaced",
    async (reason) => {
      expect(await deleted([without("p", reason)], [pod("q", "proxyv2:1.26.3")])).toEqual([["p", "uid-p"]]);
    },
  );

  test("and so are those that come instead, if they are without an image for long, but not for ever", async () => {
    const now = vi.spyOn(performance, "now");
    onTestFinished(() => now.mockRestore());
    const started = performance.now();
    const looks = ["p", "q", "q", "r", "r", "s", "s"].map((name) => [without(name, "ImagePullBackOff")]);
    let look = 0;
    // Half a minute goes by from look to look.
    now.mockImplementation(() => started + look++ * 31_000);
    expect((await deleted(...looks, [])).map(([name]) => name)).toEqual(["p", "q", "r"]);
  });

  test("of this run, whose image is the one that they are to have, are left alone", async () => {
    expect(await deleted([pod("p", "proxyv2")], [without("p", "ErrImagePull")], [])).toEqual([]);
  });
});
