import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { connect, type Watcher } from "../../src/cluster/client.ts";
import type { Cluster, Look, Wait } from "../../src/cluster/cluster.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { ApiError } from "../../src/cluster/errors.ts";
import { Failure } from "../../src/mesh/failure.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";
import { type Handler, inTurn, json, refuse, type Server, serve } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());

const open: Cluster[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(open.splice(0).map((cluster) => cluster.close()));
});

interface Watched extends Watcher {
  readonly told: string[];
  readonly waits: Set<Wait>;
}

/** A deadline of ten minutes that passes when the test says so. */
function passing() {
  const controller = new AbortController();
  const { signal } = controller;
  const deadline = {
    signal,
    seconds: 600,
    cancelled: false,
    remaining: () => (signal.aborted ? 0 : 60_000),
    pause: async () => {},
    get passed() {
      return signal.aborted;
    },
  };
  return { deadline: deadline as unknown as Deadline, pass: () => controller.abort() };
}

/** A deadline whose pauses take no time, while they count as taken. */
function skipping() {
  let ahead = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
  class Skipping extends Deadline {
    override async pause(milliseconds: number): Promise<void> {
      ahead += milliseconds;
    }
  }
  return { deadline: new Skipping(600_000), spent: () => ahead };
}

function client({ deadline = new Deadline(60_000) } = {}): { cluster: Cluster; watcher: Watched } {
  const watcher: Watched = {
    told: [],
    waits: new Set(),
    waiting: (wait) => {
      watcher.told.push(`waiting for ${wait.what}`);
      watcher.waits.add(wait);
    },
    waited: (wait) => {
      watcher.told.push(`waited for ${wait.what}`);
      watcher.waits.delete(wait);
    },
    retrying: (cluster, message) => watcher.told.push(`${cluster}: ${message}`),
  };
  const cluster = connect("east", server.kubeconfig(), deadline, watcher);
  open.push(cluster);
  return { cluster, watcher };
}

const pods = { apiVersion: "v1", kind: "Pod", namespace: "ns" };
const services = { apiVersion: "v1", kind: "Service", namespace: "ns" };
const pod = (name: string, phase: string, more: object = {}) => ({
  metadata: { name, namespace: "ns", ...more },
  status: { phase },
});
const list = (...items: object[]): Handler => {
  return (_, response) => json(response, 200, { kind: "PodList", metadata: { resourceVersion: "7" }, items });
};
const event = (response: ServerResponse, type: string, object: object) =>
  response.write(`${JSON.stringify({ type, object })}\n`);
/** Lists by one handler, watches by another. */
const split =
  (lists: Handler, watches: Handler): Handler =>
  (request, ...rest) =>
    request.path.includes("watch=true") ? watches(request, ...rest) : lists(request, ...rest);
const phases = (seen: { pods: KubernetesObject[] }) =>
  seen.pods.map(({ metadata, status }) => `${metadata.name} ${(status as { phase: string }).phase}`).join(", ");
/** Done when the pods are as expected. */
const until =
  (expected: string) =>
  (seen: { pods: KubernetesObject[] }): Look<string> =>
    phases(seen) === expected ? { done: expected } : { seen: phases(seen) };
const requests = () => server.received.map(({ path }) => (path.includes("watch=true") ? "watch" : "list"));
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => Promise.reject(new Error("it was expected to fail")),
    (error: Failure) => error,
  );

/** The message, however long this machine took. */
const unhurried = ({ message }: Failure) => message.replace(/^Waited \d+ s/, "Waited 0 s");

describe("reading", () => {
  test("what is not there is undefined, and so is a kind that is not served", async () => {
    server.answer((_, response) => void response.writeHead(404).end("404 page not found"));
    const { cluster } = client();
    expect(await cluster.get({ ...pods, name: "a" })).toBeUndefined();
    expect(await cluster.list({ apiVersion: "sailoperator.io/v1", kind: "Istio" })).toEqual([]);
  });

  test("the end of a container's log is text, or the reason why there is none", async () => {
    const { cluster } = client();
    server.answer((_, response) => void response.writeHead(200).end("one\ntwo\n"));
    expect(await cluster.logs({ ...pods, name: "a" }, "discovery", { lastLines: 2 })).toBe("one\ntwo\n");
    expect(server.received.map(({ path }) => path)).toEqual([
      "/api/v1/namespaces/ns/pods/a/log?container=discovery&tailLines=2",
    ]);
    server.answer((_, response) => refuse(response, 403, "Forbidden"));
    expect(await failure(cluster.logs({ ...pods, name: "a" }, "discovery", { lastLines: 2 }))).toMatchObject({
      message: "Could not read the log of Pod ns/a: Forbidden: it is Forbidden",
    });
  });

  test("every other no is an error", async () => {
    server.answer((_, response) => refuse(response, 403, "Forbidden"));
    const { cluster } = client();
    expect(await failure(cluster.get({ ...pods, name: "a" }))).toMatchObject({
      status: 403,
      message: "Could not read Pod ns/a: Forbidden: it is Forbidden",
    });
    expect(await failure(cluster.list(pods))).toMatchObject({ message: expect.stringContaining("list Pods") });
  });

  test("a list's items say what they are, and a list without items is empty", async () => {
    server.answer(
      inTurn(list(pod("a", "Running")), (_, response) => json(response, 200, { metadata: {}, items: null })),
    );
    const { cluster } = client();
    expect(await cluster.list(pods)).toEqual([{ apiVersion: "v1", kind: "Pod", ...pod("a", "Running") }]);
    expect(await cluster.list(pods)).toEqual([]);
  });

  test("the version; and requests are counted", async () => {
    server.answer((_, response) => json(response, 200, { gitVersion: "v1.33.1" }));
    const { cluster } = client();
    expect(await cluster.version()).toBe("v1.33.1");
    expect([cluster.requests, cluster.name, cluster.server]).toEqual([1, "east", server.url]);
  });
});

describe("the contents of a namespace", () => {
  const kind = (name: string, kind: string, more: object = {}) => ({
    name,
    kind,
    namespaced: true,
    verbs: ["list"],
    ...more,
  });
  const version = (groupVersion: string) => ({ groupVersion });
  const group = { preferredVersion: version("x.io/v1"), versions: [version("x.io/v1"), version("x.io/v1alpha1")] };
  const served: Record<string, object> = {
    "/apis": { groups: [group] },
    "/api/v1": {
      resources: [
        kind("pods", "Pod"),
        kind("pods/status", "Pod", { verbs: ["get"] }),
        kind("nodes", "Node", { namespaced: false }),
        kind("bindings", "Binding", { verbs: ["create"] }),
      ],
    },
    "/apis/x.io/v1": { resources: [kind("foos", "Foo")] },
    "/apis/x.io/v1alpha1": { resources: [kind("foos", "Foo"), kind("bars", "Bar")] },
    "/api/v1/namespaces/ns/pods": { items: [{ metadata: { name: "p", uid: "1" } }] },
    "/apis/x.io/v1/namespaces/ns/foos": {
      items: [{ metadata: { name: "f", uid: "2" } }, { metadata: { name: "computed" } }],
    },
    "/apis/x.io/v1alpha1/namespaces/ns/bars": {
      items: [{ metadata: { name: "b", uid: "3" } }, { metadata: { name: "p", uid: "1" } }],
    },
  };

  test("are of every kind, in whatever version of its group, each object once", async () => {
    server.answer(({ path }, response) => json(response, served[path] ? 200 : 500, served[path] ?? {}));
    const { cluster } = client();
    const found = await cluster.contents("ns");
    expect(found.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort()).toEqual(["Bar b", "Foo f", "Pod p"]);
  });

  test("are not known where an extension API does not answer, which is not insisted on", async () => {
    server.answer(({ path }, response) =>
      path === "/apis/x.io/v1alpha1"
        ? refuse(response, 503, "ServiceUnavailable")
        : json(response, 200, served[path] ?? {}),
    );
    const { deadline, spent } = skipping();
    const { cluster, watcher } = client({ deadline });
    expect(await failure(cluster.contents("ns"))).toMatchObject({
      message: expect.stringContaining(
        "Could not list what is in namespace ns: read x.io/v1alpha1: ServiceUnavailable",
      ),
    });
    expect(watcher.told.length).toBeGreaterThan(2);
    expect(spent()).toBeLessThan(3_000);
  });

  test("are asked for without their content", async () => {
    const accepted = new Set<string | undefined>();
    server.answer(({ path }, response, raw) => {
      if (path.includes("/namespaces/")) accepted.add(raw.headers.accept);
      json(response, 200, served[path] ?? {});
    });
    await client().cluster.contents("ns");
    expect([...accepted]).toEqual([expect.stringContaining("as=PartialObjectMetadataList;")]);
  });
});

const ours = (fields: object) => ({ manager: "istio-mesh-action", operation: "Apply", time: "1", fieldsV1: fields });

describe("applying", () => {
  const theirs = { manager: "kubelet", operation: "Update", time: "2", fieldsV1: {} };
  const object = (resourceVersion: string, managedFields: object[], more: object = {}, generation?: number) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "s", namespace: "ns", resourceVersion, managedFields, ...(generation ? { generation } : {}) },
    ...more,
  });

  test.each<[string, object | undefined, object, string]>([
    ["one that was not there", undefined, object("1", [ours({})]), "created"],
    ["one that stays as it is", object("1", [ours({})]), object("1", [ours({})]), "unchanged"],
    [
      "one that somebody else wrote to in between",
      object("1", [ours({})]),
      object("2", [theirs, ours({})]),
      "unchanged",
    ],
    ["one that gets another field", object("1", [ours({})]), object("2", [ours({ "f:data": {} })]), "updated"],
    ["one that was not ours", object("1", [theirs]), object("2", [theirs, ours({})]), "updated"],
    ["one with another generation", object("1", [ours({})], {}, 1), object("2", [ours({})], {}, 2), "updated"],
    [
      "one with other data in the same fields",
      object("1", [ours({})], { data: { a: "1" } }),
      object("2", [ours({})], { data: { a: "2" } }),
      "updated",
    ],
    [
      "one that our update, not our apply, wrote to",
      object("1", [{ ...ours({}), operation: "Update" }]),
      object("2", [{ ...ours({}), operation: "Update" }, ours({})]),
      "updated",
    ],
  ])("%s", async (_, before, after, action) => {
    server.answer((_, response) => json(response, 200, after));
    const wanted: KubernetesObject = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s", namespace: "ns" },
      data: { a: "1" },
    };
    expect(await client().cluster.apply(wanted, before as KubernetesObject | undefined)).toEqual({
      object: after,
      action,
      ...(before ? { before } : {}),
    });
    expect(server.received[0]).toMatchObject({
      method: "PATCH",
      path: "/api/v1/namespaces/ns/secrets/s?fieldManager=istio-mesh-action",
      contentType: "application/apply-patch+yaml",
      body: JSON.stringify(wanted),
    });
  });

  test("what somebody else set is not overwritten", async () => {
    server.answer((_, response) => refuse(response, 409, "Conflict"));
    const wanted = { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace: "ns" } };
    expect(await failure(client().cluster.apply(wanted, undefined))).toMatchObject({ status: 409 });
    expect(server.received.every(({ path }) => !path.includes("force"))).toBe(true);
  });
});

describe("a dry run of applying", () => {
  const wanted = { apiVersion: "v1", kind: "Secret", metadata: { name: "s", namespace: "ns" }, data: { a: "1" } };
  // The resourceVersion stays in a dry run, whatever it would change.
  const live = (fields: object, more: object = {}) => ({
    ...wanted,
    metadata: { ...wanted.metadata, resourceVersion: "1", managedFields: [ours(fields)] },
    ...more,
  });
  test.each<[string, object | undefined, object, string]>([
    ["what is not there", undefined, live({ a: {} }), "created"],
    ["what would stay", live({ a: {} }, { status: { x: 1 } }), live({ a: {} }, { status: { x: 2 } }), "unchanged"],
    ["what would differ", live({ a: {} }, { data: { a: "0" } }), live({ a: {} }), "updated"],
    ["what would be managed by us, too", live({}), live({ a: {} }), "updated"],
  ])("%s", async (_, before, after, action) => {
    server.answer((_, response) => json(response, 200, after));
    expect(await client().cluster.tryApply(wanted, before as typeof wanted | undefined)).toMatchObject({
      object: after,
      action,
    });
    expect(server.received[0]).toMatchObject({
      method: "PATCH",
      path: "/api/v1/namespaces/ns/secrets/s?fieldManager=istio-mesh-action&dryRun=All",
      body: JSON.stringify(wanted),
    });
  });

  const unanswered: Handler = (_, response) => {
    const message =
      'Internal error occurred: failed calling webhook "validation.istio.io": failed to call webhook: EOF';
    json(response, 500, { kind: "Status", reason: "InternalError", message });
  };

  test("is tried again, and soon no more where a webhook cannot be called", async () => {
    const { deadline, spent } = skipping();
    server.answer(inTurn((_, response) => refuse(response, 503, "ServiceUnavailable"), unanswered));
    expect(await failure(client({ deadline }).cluster.tryApply(wanted, live({})))).toMatchObject({
      status: 500,
      message: "Could not apply Secret ns/s: the webhook validation.istio.io cannot be called: EOF",
    });
    expect(spent()).toBeLessThan(3_000);
    expect(spent()).toBeGreaterThan(1_000);
  });

  test("is not told by the first answer after a webhook's rollout", async () => {
    const { deadline } = skipping();
    server.answer(inTurn(unanswered, unanswered, (_, response) => json(response, 200, live({ a: {} }))));
    expect(await client({ deadline }).cluster.tryApply(wanted, live({ a: {} }))).toMatchObject({ action: "unchanged" });
  });
});

describe("deleting", () => {
  const ref = { ...pods, name: "a" };
  const other = "the UID in the precondition (u-1) does not match the UID in record (u-2)";
  test.each<[string, number, string, boolean]>([
    ["what is not there", 404, "u-1", false],
    ["that very one", 200, "u-1", true],
    ["another one by that name", 409, "u-1", false],
  ])("%s", async (_, code, uid, deleted) => {
    server.answer((_, response) =>
      code === 200 ? json(response, 200, {}) : refuse(response, code, "Conflict", other),
    );
    expect(await client().cluster.delete(ref, uid)).toBe(deleted);
    expect(JSON.parse(server.received[0]?.body ?? "")).toEqual({
      propagationPolicy: "Background",
      preconditions: { uid },
    });
  });

  test.each([403, 409])("what may not be deleted is an error: %i", async (code) => {
    server.answer((_, response) => refuse(response, code, "Tested"));
    expect(await failure(client().cluster.delete(ref, "u-1"))).toMatchObject({ status: code });
  });
});

describe("waiting", () => {
  test("what is there already is not watched for", async () => {
    server.answer(list(pod("a", "Running")));
    const { cluster, watcher } = client();
    expect(await cluster.waitFor("a", { pods }, until("a Running"))).toBe("a Running");
    expect(requests()).toEqual(["list"]);
    expect(watcher.told).toEqual(["waiting for a", "waited for a"]);
  });

  test("a list, then what happens to it, until it is as wanted; then the watch is over", async () => {
    const closed = new Promise<void>((resolve) => {
      server.answer(
        split(list(pod("a", "Pending"), pod("b", "Running")), (_, response) => {
          response.on("close", resolve);
          event(response, "BOOKMARK", { kind: "Pod", metadata: { resourceVersion: "8" } });
          event(response, "MODIFIED", pod("a", "Running"));
          event(response, "ADDED", pod("c", "Pending"));
          event(response, "DELETED", pod("b", "Running"));
          event(response, "MODIFIED", pod("c", "Running"));
        }),
      );
    });
    const seen: string[] = [];
    const { cluster } = client();
    await cluster.waitFor("x", { pods }, (now) => {
      seen.push(phases(now));
      return until("a Running, c Running")(now);
    });
    await closed;
    expect(seen).toEqual([
      "a Pending, b Running",
      "a Running, b Running",
      "a Running, b Running, c Pending",
      "a Running, c Pending",
      "a Running, c Running",
    ]);
    expect(requests()).toEqual(["list", "watch"]);
    expect(server.received[1]?.path).toMatch(/[?&]resourceVersion=7(&|$)/);
  });

  test.each<[string, Handler, RegExp]>([
    ["ends early", (_, response) => void response.end(), /^it ended after 0\.\d s; begun anew in 0\.\d s$/],
    ["is cut", (_, __, raw) => void raw.socket.destroy(), /^.+; begun/],
    [
      "is too old",
      (_, response) => {
        event(response, "ERROR", { kind: "Status", code: 410, reason: "Expired" });
      },
      /^HTTP 410 Expired; begun/,
    ],
    ["is refused as too old", (_, response) => refuse(response, 410, "Expired"), /^HTTP 410; begun/],
    ["is spoilt", (_, response) => void response.end("{half\n"), /^.+; begun/],
    ["is not authorised any more", (_, response) => refuse(response, 401, "Unauthorized"), /^HTTP 401; begun/],
    [
      "is too much",
      (_, response) => json(response, 429, {}, { "retry-after": "7" }),
      /^HTTP 429; begun anew in 7\.\d s$/,
    ],
  ])("a watch that %s: everything is listed afresh, which is said", async (_, broken, told) => {
    server.answer(split(inTurn(list(pod("a", "Pending")), list(pod("a", "Running"))), broken));
    const { cluster, watcher } = client(skipping());
    expect(await cluster.waitFor("x", { pods }, until("a Running"))).toBe("a Running");
    expect(requests()).toEqual(["list", "watch", "list"]);
    expect(watcher.told).toEqual([
      "waiting for x",
      expect.stringMatching(new RegExp(`^east: watch Pods: ${told.source.replace(/^\^/, "")}`)),
      "waited for x",
    ]);
  });

  test("a kind that is not served yet is waited for", async () => {
    server.answer(
      split(
        inTurn((_, response) => refuse(response, 404, "NotFound"), list(pod("a", "Running"))),
        (_, response) => refuse(response, 404, "NotFound"),
      ),
    );
    expect(await client().cluster.waitFor("x", { pods }, until("a Running"))).toBe("a Running");
  });

  test("two kinds are looked at together", async () => {
    server.answer((request, response) => {
      const ofPods = request.path.includes("/pods");
      if (!request.path.includes("watch=true"))
        return list(...(ofPods ? [] : [pod("s", "")]))(request, response, undefined as never);
      if (ofPods) event(response, "ADDED", pod("a", "Running"));
      else response.flushHeaders();
    });
    const result = await client().cluster.waitFor(
      "x",
      { pods, services },
      (seen): Look<number> =>
        seen.pods.length + seen.services.length === 2 ? { done: seen.services.length } : { seen: "not yet" },
    );
    expect(result).toBe(1);
  });

  test.each<[string, (probe: () => never) => Handler]>([
    ["of the list", () => list(pod("a", "Failed"))],
    [
      "of an event",
      () =>
        split(list(pod("a", "Pending")), (_, response) => {
          event(response, "MODIFIED", pod("a", "Failed"));
        }),
    ],
  ])("a probe that throws ends the wait at once: %s", async (_, handler) => {
    server.answer(handler(() => undefined as never));
    const { cluster, watcher } = client();
    const hopeless = new Failure("It never will.");
    const wait = cluster.waitFor("x", { pods }, (seen) => {
      if (phases(seen) === "a Failed") throw hopeless;
      return { seen: "pending" };
    });
    expect(await failure(wait)).toBe(hopeless);
    expect(watcher.waits.size).toBe(0);
  });

  test("what may not be watched is an error, and not waited for", async () => {
    server.answer(split(list(), (_, response) => refuse(response, 403, "Forbidden")));
    const error = await failure(client().cluster.waitFor("x", { pods }, until("a Running")));
    expect(error).toBeInstanceOf(ApiError);
    expect(error.message).toContain("watch Pods");
  });

  test.each<[string, string]>([
    ["a Pending", "a Pending."],
    ["is it running?", "is it running?"],
    ["It is pending.", "It is pending."],
  ])("at the deadline it says what was waited for and the last thing seen: %s", async (seen, end) => {
    const { deadline, pass } = passing();
    server.answer(
      split(list(), (_, response) => {
        response.flushHeaders();
        pass();
      }),
    );
    const { cluster, watcher } = client({ deadline });
    const error = await failure(cluster.waitFor("the pod to run", { pods }, () => ({ seen })));
    expect(unhurried(error)).toBe(
      `Waited 0 s for the pod to run, until the run's deadline of 600 s. Last seen: ${end}`,
    );
    expect(error.hint).toContain("`timeout`");
    expect(watcher.waits.size).toBe(0);
  });

  test("a run that is cancelled ends at once and says so", async () => {
    const controller = new AbortController();
    server.answer(
      split(list(), (_, response) => {
        response.flushHeaders();
        controller.abort();
      }),
    );
    const { cluster } = client({ deadline: new Deadline(60_000, controller.signal) });
    const error = await failure(cluster.waitFor("the pod to run", { pods }, () => ({ seen: "nothing" })));
    expect(error.message).toBe("The run was cancelled while waiting for the pod to run.");
  });

  test("a wait tells its progress lines what it saw last", async () => {
    let told: string | undefined;
    const { cluster, watcher } = client();
    server.answer(
      split(list(pod("a", "Pending")), (_, response) => {
        told = [...watcher.waits].map(({ cluster, what, seen }) => `${cluster}: ${what}: ${seen}`).join();
        event(response, "MODIFIED", pod("a", "Running"));
      }),
    );
    await cluster.waitFor("the pod", { pods }, until("a Running"));
    expect(told).toBe("east: the pod: a Pending");
  });
});

describe("polling", () => {
  test("asks until it is done", async () => {
    let asked = 0;
    const result = client().cluster.poll("x", async () => (++asked === 3 ? { done: "yes" } : { seen: "no" }));
    expect(await result).toBe("yes");
    expect(asked).toBe(3);
  });

  test("says at the deadline what it saw last", async () => {
    const { deadline, pass } = passing();
    const error = await failure(
      client({ deadline }).cluster.poll("istiod to read", async () => {
        pass();
        return { seen: "a says of b: timeout" };
      }),
    );
    expect(unhurried(error)).toBe(
      "Waited 0 s for istiod to read, until the run's deadline of 600 s. Last seen: a says of b: timeout.",
    );
  });

  test("what is seen once the deadline has passed is no news: the last look was cut off", async () => {
    const { deadline, pass } = passing();
    let asked = 0;
    const error = await failure(
      client({ deadline }).cluster.poll("istiod to read", async () => {
        if (++asked === 1) return { seen: "a says of b: timeout", hint: "Let a reach b." };
        pass();
        return { seen: "a could not be asked" };
      }),
    );
    expect(unhurried(error)).toContain("Last seen: a says of b: timeout.");
    expect(error).toMatchObject({ hint: "Let a reach b." });
  });

  test("with a time of its own ends after that, with the last thing seen and what to do about it", async () => {
    const look = async () => ({ seen: "It is pending.", hint: "Look at it." });
    const error = await failure(client().cluster.poll("the operator", look, 1));
    expect([error.message, error.hint]).toEqual([
      "Waited 0 s for the operator. Last seen: It is pending.",
      "Look at it.",
    ]);
  });

  test("ends when it throws", async () => {
    const error = new Failure("no");
    expect(await failure(client().cluster.poll("x", () => Promise.reject(error)))).toBe(error);
  });
});
