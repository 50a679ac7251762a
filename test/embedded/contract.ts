import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Access, Client } from "./contract-client.ts";
import type { Json } from "./kube.ts";

export interface ContractOptions {
  /** Whether something fills the token Secrets of service accounts. */
  readonly tokens: boolean;
}

const APPLY = "application/apply-patch+yaml";
const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const JSON_PATCH = "application/json-patch+json";

/** Registers the cases that any Kubernetes API server passes, real or embedded. */
export function contract(name: string, connect: () => Promise<Access>, { tokens }: ContractOptions): void {
  describe(`contract: ${name}`, () => {
    const namespace = `contract-${randomBytes(4).toString("hex")}`;
    const core = `/api/v1/namespaces/${namespace}`;
    const configMaps = `${core}/configmaps`;
    let api: Client;
    let names = 0;
    const newName = () => `x${++names}`;

    beforeAll(async () => {
      api = new Client(await connect());
      await api.ok("POST", "/api/v1/namespaces", { metadata: { name: namespace } });
    }, 60_000);
    afterAll(async () => {
      await api.call("DELETE", `/api/v1/namespaces/${namespace}`);
      await api.close();
    });

    const configMap = (name: string, more: Json = {}): Json => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      ...more,
      metadata: { name, ...more.metadata },
    });
    const create = (more: Json = {}) => api.ok("POST", configMaps, configMap(more.metadata?.name ?? newName(), more));
    const apply = (path: string, object: Json, query = "fieldManager=me") =>
      api.call("PATCH", `${path}?${query}`, object, APPLY);
    const entry = (object: Json, manager: string, operation = "Apply"): Json =>
      object.metadata.managedFields?.find((one: Json) => one.manager === manager && one.operation === operation);

    describe("errors", () => {
      test("what is not there", async () => {
        expect(await api.call("GET", `${configMaps}/none`)).toEqual({
          status: 404,
          body: {
            kind: "Status",
            apiVersion: "v1",
            metadata: {},
            status: "Failure",
            message: 'configmaps "none" not found',
            reason: "NotFound",
            details: { name: "none", kind: "configmaps" },
            code: 404,
          },
        });
        const { body } = await api.call("DELETE", `/apis/apps/v1/namespaces/${namespace}/deployments/none`);
        expect(body.message).toBe('deployments.apps "none" not found');
        expect(body.details).toEqual({ name: "none", group: "apps", kind: "deployments" });
      });

      test("a kind that is not served is no Status", async () => {
        for (const path of ["/apis/contract.example.org/v1/things", "/apis/contract.example.org/v1"]) {
          expect(await api.call("GET", path)).toEqual({ status: 404, body: "404 page not found\n" });
        }
      });

      test("a namespace that is not there", async () => {
        const created = await api.call("POST", "/api/v1/namespaces/contract-none/configmaps", configMap("x"));
        expect(created).toMatchObject({
          status: 404,
          body: {
            reason: "NotFound",
            message: 'namespaces "contract-none" not found',
            details: { name: "contract-none", kind: "namespaces" },
          },
        });
        const applied = await apply("/api/v1/namespaces/contract-none/configmaps/x", configMap("x"));
        expect(applied).toMatchObject({ status: 404, body: { message: 'namespaces "contract-none" not found' } });
        const { status, body } = await api.call("GET", "/api/v1/namespaces/contract-none/configmaps");
        expect([status, body.items]).toEqual([200, []]);
      });

      test("what is there already", async () => {
        const { metadata } = await create();
        expect(await api.call("POST", configMaps, configMap(metadata.name))).toMatchObject({
          status: 409,
          body: {
            reason: "AlreadyExists",
            message: `configmaps "${metadata.name}" already exists`,
            details: { name: metadata.name, kind: "configmaps" },
          },
        });
      });

      test("a stale resourceVersion", async () => {
        const old = await create({ data: { a: "1" } });
        const { name } = old.metadata;
        await api.ok("PUT", `${configMaps}/${name}`, { ...old, data: { a: "2" } });
        const stale = {
          status: 409,
          body: {
            reason: "Conflict",
            message: `Operation cannot be fulfilled on configmaps "${name}": the object has been modified; please apply your changes to the latest version and try again`,
            details: { name, kind: "configmaps" },
          },
        };
        expect(await api.call("PUT", `${configMaps}/${name}`, { ...old, data: { a: "3" } })).toMatchObject(stale);
        const patch = { metadata: { resourceVersion: old.metadata.resourceVersion }, data: { a: "3" } };
        expect(await api.call("PATCH", `${configMaps}/${name}`, patch, MERGE)).toMatchObject(stale);
      });

      test("a name that none can have", async () => {
        const { status, body } = await api.call("POST", configMaps, configMap("Not_A_Name"));
        expect([status, body.reason, body.details.kind]).toEqual([422, "Invalid", "ConfigMap"]);
        expect(body.message).toMatch(
          /^ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": /,
        );
        expect(body.details.causes).toMatchObject([{ reason: "FieldValueInvalid", field: "metadata.name" }]);
        const label = await api.call(
          "POST",
          configMaps,
          configMap(newName(), { metadata: { labels: { a: "no label" } } }),
        );
        expect(label).toMatchObject({ status: 422, body: { details: { causes: [{ field: "metadata.labels" }] } } });
      });

      test("another name or namespace than the path has", async () => {
        const { metadata } = await create();
        expect(await api.call("PUT", `${configMaps}/${metadata.name}`, configMap("other"))).toMatchObject({
          status: 400,
          body: {
            reason: "BadRequest",
            message: `the name of the object (other) does not match the name on the URL (${metadata.name})`,
          },
        });
        const elsewhere = configMap(newName(), { metadata: { namespace: "default" } });
        const { status, body } = await api.call("POST", configMaps, elsewhere);
        expect([status, body.reason]).toEqual([400, "BadRequest"]);
        expect(body.message).toContain(
          "the namespace of the provided object does not match the namespace sent on the request",
        );
      });

      test("a token that nobody gave", async () => {
        expect(await api.call("GET", configMaps, undefined, undefined, { authorization: "Bearer nonsense" })).toEqual({
          status: 401,
          body: {
            kind: "Status",
            apiVersion: "v1",
            metadata: {},
            status: "Failure",
            message: "Unauthorized",
            reason: "Unauthorized",
            code: 401,
          },
        });
      });

      test("the role of a binding cannot be changed", async () => {
        const bindings = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`;
        const roleRef = (name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name });
        const name = newName();
        const binding = (role: string) => ({
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "RoleBinding",
          metadata: { name },
          roleRef: roleRef(role),
        });
        await api.ok("POST", bindings, binding("view"));
        for (const { status, body } of [
          await api.call("PUT", `${bindings}/${name}`, binding("cluster-admin")),
          await apply(`${bindings}/${name}`, binding("cluster-admin"), "fieldManager=me&force=true"),
        ]) {
          expect([status, body.reason, body.details.kind, body.details.group]).toEqual([
            422,
            "Invalid",
            "RoleBinding",
            "rbac.authorization.k8s.io",
          ]);
          expect(body.message).toMatch(
            new RegExp(
              `^RoleBinding.rbac.authorization.k8s.io "${name}" is invalid: roleRef: Invalid value: .*: cannot change roleRef$`,
            ),
          );
          expect(body.details.causes).toMatchObject([{ reason: "FieldValueInvalid", field: "roleRef" }]);
        }
      });

      test("a Secret's type cannot be changed", async () => {
        const name = newName();
        await api.ok("POST", `${core}/secrets`, { metadata: { name }, type: "Opaque" });
        const { status, body } = await api.call("PUT", `${core}/secrets/${name}`, {
          metadata: { name },
          type: "contract.example.org/other",
        });
        expect([status, body.reason, body.details.causes[0].field]).toEqual([422, "Invalid", "type"]);
        expect(body.message).toContain("field is immutable");
      });
    });

    describe("reading", () => {
      test("label selectors", async () => {
        const of = newName();
        const labelled = async (name: string, labels: Json) =>
          create({ metadata: { name: `${of}-${name}`, labels: { of, ...labels } } });
        await labelled("a", { tier: "web", zone: "1" });
        await labelled("b", { tier: "db" });
        await labelled("c", {});
        const found = async (selector: string) => {
          const query = new URLSearchParams({ labelSelector: `of=${of},${selector}` });
          const { items } = await api.ok("GET", `${configMaps}?${query}`);
          return items.map(({ metadata }: Json) => metadata.name.slice(of.length + 1)).join("");
        };
        expect(await found("tier=web")).toBe("a");
        expect(await found("tier==db")).toBe("b");
        expect(await found("tier!=web")).toBe("bc");
        expect(await found("tier in (web, db)")).toBe("ab");
        expect(await found("tier notin (web)")).toBe("bc");
        expect(await found("tier")).toBe("ab");
        expect(await found("!tier")).toBe("c");
        expect(await found("tier,zone=1")).toBe("a");
        expect(await found("tier in (web,db),!zone")).toBe("b");
        const { status, body } = await api.call("GET", `${configMaps}?labelSelector=${encodeURIComponent("a in")}`);
        expect([status, body.reason]).toEqual([400, "BadRequest"]);
      });

      test("field selectors", async () => {
        const name = newName();
        await api.ok("POST", `${core}/secrets`, { metadata: { name }, type: "contract.example.org/kind" });
        const found = async (path: string, fieldSelector: string) => {
          const { items } = await api.ok("GET", `${path}?${new URLSearchParams({ fieldSelector })}`);
          return items.map(({ metadata }: Json) => metadata.name);
        };
        expect(await found(`${core}/secrets`, `metadata.name=${name}`)).toEqual([name]);
        expect(await found(`${core}/secrets`, "type=contract.example.org/kind")).toEqual([name]);
        expect(await found(`${core}/secrets`, `type=contract.example.org/kind,metadata.name!=${name}`)).toEqual([]);
        expect(await found("/api/v1/secrets", `metadata.namespace=${namespace},metadata.name=${name}`)).toEqual([name]);
        expect(await found("/api/v1/namespaces", `metadata.name=${namespace},status.phase=Active`)).toEqual([
          namespace,
        ]);
      });

      test("a list names the kind once, and has a resourceVersion", async () => {
        const { metadata } = await create();
        const list = await api.ok("GET", `${configMaps}?fieldSelector=metadata.name%3D${metadata.name}`);
        expect(list).toMatchObject({
          kind: "ConfigMapList",
          apiVersion: "v1",
          metadata: { resourceVersion: expect.stringMatching(/^\d+$/) },
        });
        expect(list.items).toHaveLength(1);
        expect(list.items[0]).not.toHaveProperty("kind");
      });

      test("discovery and health", async () => {
        expect(await api.ok("GET", "/version")).toMatchObject({
          major: "1",
          gitVersion: expect.stringMatching(/^v1\.\d+\.\d+/),
        });
        expect(await api.call("GET", "/readyz")).toEqual({ status: 200, body: "ok" });
        expect((await api.ok("GET", "/apis")).groups).toContainEqual(
          expect.objectContaining({ name: "apps", preferredVersion: { groupVersion: "apps/v1", version: "v1" } }),
        );
        expect((await api.ok("GET", "/apis/apps/v1")).resources).toContainEqual(
          expect.objectContaining({ name: "deployments", kind: "Deployment", namespaced: true }),
        );
        expect((await api.ok("GET", "/api/v1")).resources).toContainEqual(
          expect.objectContaining({ name: "secrets", kind: "Secret", namespaced: true }),
        );
      });
    });

    describe("watch", () => {
      const eventsOf = async (query: string, act: () => Promise<unknown>, until: (events: Json[]) => boolean) => {
        const watching = api.watch(`${configMaps}?watch=true&timeoutSeconds=20&${query}`, until);
        await act();
        return (await watching).map(({ type, object }) => [type, object.metadata?.name, object.data?.a]);
      };

      test("changes since a resourceVersion, in their order", async () => {
        const of = newName();
        const label = { metadata: { labels: { of } } };
        const { metadata } = await api.ok("GET", configMaps);
        const first = await create({ metadata: { ...label.metadata, name: `${of}-a` }, data: { a: "1" } });
        const path = `${configMaps}/${first.metadata.name}`;
        await api.ok("PATCH", path, { data: { a: "2" } }, MERGE);
        const events = await eventsOf(
          `labelSelector=of%3D${of}&resourceVersion=${metadata.resourceVersion}`,
          async () => {
            await create({ metadata: { ...label.metadata, name: `${of}-b` } });
            await api.ok("DELETE", path);
          },
          (all) => all.length === 4,
        );
        expect(events).toEqual([
          ["ADDED", `${of}-a`, "1"],
          ["MODIFIED", `${of}-a`, "2"],
          ["ADDED", `${of}-b`, undefined],
          ["DELETED", `${of}-a`, "2"],
        ]);
      });

      test("what is there, without a resourceVersion", async () => {
        const of = newName();
        await create({ metadata: { labels: { of }, name: of } });
        const events = await eventsOf(
          `labelSelector=of%3D${of}`,
          async () => {},
          (all) => all.length === 1,
        );
        expect(events).toEqual([["ADDED", of, undefined]]);
      });

      test("objects that begin and cease to match", async () => {
        const { metadata } = await create({ data: { a: "1" } });
        const path = `${configMaps}/${metadata.name}`;
        const events = await eventsOf(
          `labelSelector=on%3D${metadata.name}&resourceVersion=${metadata.resourceVersion}`,
          async () => {
            await api.ok("PATCH", path, { metadata: { labels: { on: metadata.name } } }, MERGE);
            await api.ok("PATCH", path, { data: { a: "2" } }, MERGE);
            await api.ok("PATCH", path, { metadata: { labels: null } }, MERGE);
            await api.ok("PATCH", path, { data: { a: "3" } }, MERGE);
            await api.ok("PATCH", path, { metadata: { labels: { on: metadata.name } } }, MERGE);
          },
          (all) => all.length === 4,
        );
        expect(events.map(([type]) => type)).toEqual(["ADDED", "MODIFIED", "DELETED", "ADDED"]);
        expect(events[3]?.[2]).toBe("3");
      });

      test("a write that changes nothing is no event", async () => {
        const { metadata } = await create({ data: { a: "1" } });
        const path = `${configMaps}/${metadata.name}`;
        const events = await eventsOf(
          `fieldSelector=metadata.name%3D${metadata.name}&resourceVersion=${metadata.resourceVersion}`,
          async () => {
            await api.ok("PATCH", path, { data: { a: "1" } }, MERGE);
            await api.ok("PATCH", path, { data: { a: "2" } }, MERGE);
          },
          (all) => all.length === 1,
        );
        expect(events).toEqual([["MODIFIED", metadata.name, "2"]]);
      });

      test("it ends when its time is over", async () => {
        const { metadata } = await api.ok("GET", configMaps);
        const started = performance.now();
        await api.watch(
          `${configMaps}?watch=true&timeoutSeconds=1&resourceVersion=${metadata.resourceVersion}`,
          () => false,
        );
        expect(performance.now() - started).toBeGreaterThan(900);
      });

      test("from before what is remembered", async () => {
        const events = await api.watch(
          `${configMaps}?watch=true&resourceVersion=1&timeoutSeconds=5`,
          (all) => all.length > 0,
        );
        // A server that has only begun still remembers everything.
        if (events[0]?.type === "ERROR")
          expect(events[0].object).toMatchObject({ kind: "Status", code: 410, reason: "Expired" });
      });
    });

    describe("writing", () => {
      test("what the server adds on creation", async () => {
        const created = await create({ data: { a: "1" } });
        expect(created.metadata).toMatchObject({
          namespace,
          uid: expect.stringMatching(/^[0-9a-f]{8}-/),
          resourceVersion: expect.stringMatching(/^\d+$/),
          creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        });
        expect(created.metadata).not.toHaveProperty("generation");
        const generated = await api.ok("POST", configMaps, { metadata: { generateName: "gen-" } });
        expect(generated.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/);
      });

      test("a dry run changes nothing", async () => {
        const name = newName();
        const created = await api.call("POST", `${configMaps}?dryRun=All`, configMap(name));
        expect([created.status, created.body.metadata.uid]).toEqual([201, expect.any(String)]);
        expect(created.body.metadata).not.toHaveProperty("resourceVersion");
        expect((await api.call("GET", `${configMaps}/${name}`)).status).toBe(404);
        const applied = await apply(`${configMaps}/${name}`, configMap(name), "fieldManager=me&dryRun=All");
        expect(applied.status).toBe(201);
        expect((await api.call("GET", `${configMaps}/${name}`)).status).toBe(404);
        const real = await create({ metadata: { name }, data: { a: "1" } });
        const patched = await api.ok("PATCH", `${configMaps}/${name}?dryRun=All`, { data: { a: "2" } }, MERGE);
        expect(patched.data.a).toBe("2");
        expect((await api.call("DELETE", `${configMaps}/${name}?dryRun=All`)).status).toBe(200);
        expect(await api.ok("GET", `${configMaps}/${name}`)).toEqual(real);
      });

      test("patches", async () => {
        const { metadata } = await create({ data: { a: "1", b: "2" } });
        const path = `${configMaps}/${metadata.name}`;
        const merged = await api.ok("PATCH", path, { data: { a: null, c: "3" } }, MERGE);
        expect(merged.data).toEqual({ b: "2", c: "3" });
        const operations = [
          { op: "test", path: "/data/b", value: "2" },
          { op: "replace", path: "/data/b", value: "4" },
          { op: "add", path: "/metadata/labels", value: { "a.b/c": "x" } },
          { op: "remove", path: "/data/c" },
        ];
        const changed = await api.ok("PATCH", path, operations, JSON_PATCH);
        expect([changed.data, changed.metadata.labels]).toEqual([{ b: "4" }, { "a.b/c": "x" }]);
        const failed = await api.call("PATCH", path, [{ op: "test", path: "/data/b", value: "no" }], JSON_PATCH);
        expect(failed.status).toBe(422);
        const label = [{ op: "remove", path: "/metadata/labels/a.b~1c" }];
        expect((await api.ok("PATCH", path, label, JSON_PATCH)).metadata).not.toHaveProperty("labels");
        expect((await api.ok("PATCH", path, { data: { d: "5" } }, STRATEGIC)).data).toEqual({ b: "4", d: "5" });
      });

      test("a Secret's stringData becomes data", async () => {
        const secret = await api.ok("POST", `${core}/secrets`, {
          metadata: { name: newName() },
          stringData: { a: "x" },
          data: { b: "eQ==" },
        });
        expect([secret.data, secret.type, secret.stringData]).toEqual([{ a: "eA==", b: "eQ==" }, "Opaque", undefined]);
      });

      test("deletion, only of the very object that is meant", async () => {
        const { metadata } = await create();
        const path = `${configMaps}/${metadata.name}`;
        const uid = "00000000-0000-0000-0000-000000000000";
        expect(await api.call("DELETE", path, { preconditions: { uid } })).toMatchObject({
          status: 409,
          body: {
            reason: "Conflict",
            message: `Operation cannot be fulfilled on ConfigMap "${metadata.name}": the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
            details: { name: metadata.name, kind: "ConfigMap" },
          },
        });
        expect(await api.call("DELETE", path, { preconditions: { uid: metadata.uid } })).toEqual({
          status: 200,
          body: {
            kind: "Status",
            apiVersion: "v1",
            metadata: {},
            status: "Success",
            details: { name: metadata.name, kind: "configmaps", uid: metadata.uid },
          },
        });
        expect((await api.call("GET", path)).status).toBe(404);
      });

      test("finalizers hold an object that is being deleted", async () => {
        const { metadata } = await create({ metadata: { finalizers: ["contract.example.org/hold"] } });
        const path = `${configMaps}/${metadata.name}`;
        const held = await api.ok("DELETE", path);
        expect(held.metadata).toMatchObject({
          uid: metadata.uid,
          deletionTimestamp: expect.any(String),
          deletionGracePeriodSeconds: 0,
        });
        expect((await api.ok("GET", path)).metadata.deletionTimestamp).toBe(held.metadata.deletionTimestamp);
        await api.ok("PATCH", path, { metadata: { finalizers: null } }, MERGE);
        expect((await api.call("GET", path)).status).toBe(404);
      });

      test("a collection is deleted by its selector", async () => {
        const of = newName();
        await create({ metadata: { labels: { of } } });
        await create({ metadata: { labels: { of } } });
        const kept = await create();
        await api.ok("DELETE", `${configMaps}?labelSelector=of%3D${of}`);
        expect((await api.ok("GET", `${configMaps}?labelSelector=of%3D${of}`)).items).toEqual([]);
        await api.ok("GET", `${configMaps}/${kept.metadata.name}`);
      });

      test("dependents go after their owner", async () => {
        const owner = await create();
        const { name, uid } = owner.metadata;
        const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name, uid }];
        const dependent = await create({ metadata: { ownerReferences } });
        await api.ok("DELETE", `${configMaps}/${name}`, { propagationPolicy: "Background" });
        await expect
          .poll(async () => (await api.call("GET", `${configMaps}/${dependent.metadata.name}`)).status, {
            timeout: 20_000,
          })
          .toBe(404);
      });

      test("generation counts what is wanted, not how it is", async () => {
        const budgets = `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`;
        const name = newName();
        const wanted = (minAvailable: number) => ({
          metadata: { name },
          spec: { minAvailable, selector: { matchLabels: { app: name } } },
          status: { currentHealthy: 7, desiredHealthy: 7, disruptionsAllowed: 7, expectedPods: 7 },
        });
        const created = await api.ok("POST", budgets, wanted(1));
        expect([created.metadata.generation, created.status.expectedPods]).toEqual([1, 0]);
        const path = `${budgets}/${name}`;
        const labelled = await api.ok("PATCH", path, { metadata: { labels: { a: "b" } } }, MERGE);
        expect(labelled.metadata.generation).toBe(1);
        const changed = await api.ok("PATCH", path, wanted(2), MERGE);
        expect([changed.metadata.generation, changed.spec.minAvailable]).toEqual([2, 2]);
        expect(changed.status.expectedPods).not.toBe(7);
        const status = {
          spec: { minAvailable: 9 },
          status: {
            conditions: [
              { type: "X", status: "True", reason: "R", message: "", lastTransitionTime: "2020-01-01T00:00:00Z" },
            ],
          },
        };
        const reported = await api.ok("PATCH", `${path}/status`, status, MERGE);
        expect([reported.metadata.generation, reported.spec.minAvailable]).toEqual([2, 2]);
        expect(reported.status.conditions).toContainEqual(expect.objectContaining({ type: "X" }));
      });

      test("a Service gets addresses and ports", async () => {
        const service = await api.ok("POST", `${core}/services`, {
          metadata: { name: newName() },
          spec: { type: "NodePort", ports: [{ port: 80 }] },
        });
        expect(service.spec).toMatchObject({
          clusterIP: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/),
          type: "NodePort",
          sessionAffinity: "None",
          externalTrafficPolicy: "Cluster",
          ports: [{ port: 80, protocol: "TCP", targetPort: 80, nodePort: expect.any(Number) }],
        });
        expect(service.spec.clusterIPs).toEqual([service.spec.clusterIP]);
        const plain = await api.ok(
          "PATCH",
          `${core}/services/${service.metadata.name}`,
          { spec: { type: "ClusterIP" } },
          MERGE,
        );
        expect(plain.spec.clusterIP).toBe(service.spec.clusterIP);
        expect(plain.spec.ports[0]).not.toHaveProperty("nodePort");
        expect(plain.spec).not.toHaveProperty("externalTrafficPolicy");
      });
    });

    describe("server-side apply", () => {
      const target = () => {
        const name = newName();
        return { name, path: `${configMaps}/${name}` };
      };

      test("creates, and then changes nothing", async () => {
        const { name, path } = target();
        const object = configMap(name, { metadata: { labels: { a: "b" } }, data: { x: "1" } });
        const first = await apply(path, object);
        expect(first.status).toBe(201);
        expect(entry(first.body, "me")).toEqual({
          manager: "me",
          operation: "Apply",
          apiVersion: "v1",
          time: expect.any(String),
          fieldsType: "FieldsV1",
          fieldsV1: { "f:data": { "f:x": {} }, "f:metadata": { "f:labels": { "f:a": {} } } },
        });
        await pause(1_100);
        const again = await apply(path, object);
        expect(again).toEqual({ status: 200, body: first.body });
        const changed = await apply(path, { ...object, data: { x: "2" } });
        expect(changed.body.data).toEqual({ x: "2" });
        expect(changed.body.metadata.resourceVersion).not.toBe(first.body.metadata.resourceVersion);
        expect(entry(changed.body, "me").time).not.toBe(entry(first.body, "me").time);
      });

      test("leaves our entry as it is while others write", async () => {
        const { name, path } = target();
        const object = configMap(name, { data: { x: "1" } });
        const first = await apply(path, object);
        await pause(1_100);
        await api.ok("PATCH", `${path}?fieldManager=other`, { data: { y: "2" } }, MERGE);
        const again = await apply(path, object);
        expect(again.body.data).toEqual({ x: "1", y: "2" });
        expect(entry(again.body, "me")).toEqual(entry(first.body, "me"));
        expect(entry(again.body, "other", "Update")).toMatchObject({
          apiVersion: "v1",
          fieldsV1: { "f:data": { "f:y": {} } },
        });
      });

      test("removes what we no longer want, and nothing of others", async () => {
        const { name, path } = target();
        await apply(path, configMap(name, { metadata: { labels: { a: "1" } }, data: { x: "1", y: "1", z: "1" } }));
        await api.ok("PATCH", `${path}?fieldManager=other`, { data: { w: "1" } }, MERGE);
        await apply(path, configMap(name, { data: { z: "1" } }), "fieldManager=third");
        const { body } = await apply(path, configMap(name, { data: { x: "1" } }));
        expect(body.data).toEqual({ w: "1", x: "1", z: "1" });
        expect(body.metadata).not.toHaveProperty("labels");
        expect(entry(body, "me").fieldsV1).toEqual({ "f:data": { "f:x": {} } });
        const none = await apply(path, configMap(name));
        expect(none.body.data).toEqual({ w: "1", z: "1" });
        expect(entry(none.body, "me")).toBeUndefined();
      });

      test("conflicts with one other manager", async () => {
        const name = newName();
        await api.ok("POST", `${configMaps}?fieldManager=kubectl`, configMap(name, { data: { x: "1", y: "1" } }));
        const { status, body } = await apply(`${configMaps}/${name}`, configMap(name, { data: { x: "2", y: "1" } }));
        expect(status).toBe(409);
        expect(body).toEqual({
          kind: "Status",
          apiVersion: "v1",
          metadata: {},
          status: "Failure",
          message: 'Apply failed with 1 conflict: conflict with "kubectl" using v1: .data.x',
          reason: "Conflict",
          details: {
            causes: [{ reason: "FieldManagerConflict", message: 'conflict with "kubectl" using v1', field: ".data.x" }],
          },
          code: 409,
        });
      });

      test("conflicts with several", async () => {
        const { name, path } = target();
        await apply(
          path,
          configMap(name, { metadata: { labels: { "a.b/c": "1" } }, data: { x: "1" } }),
          "fieldManager=one",
        );
        await api.ok("PATCH", `${path}?fieldManager=two`, { data: { y: "1" } }, MERGE);
        const { status, body } = await apply(
          path,
          configMap(name, { metadata: { labels: { "a.b/c": "2" } }, data: { x: "2", y: "2" } }),
        );
        expect([status, body.message]).toEqual([
          409,
          'Apply failed with 3 conflicts: conflicts with "one":\n- .data.x\n- .metadata.labels.a.b/c\nconflicts with "two" using v1:\n- .data.y',
        ]);
        expect(body.details.causes.map((cause: Json) => [cause.message, cause.field]).sort()).toEqual([
          ['conflict with "one"', ".data.x"],
          ['conflict with "one"', ".metadata.labels.a.b/c"],
          ['conflict with "two" using v1', ".data.y"],
        ]);
      });

      test("the same value is no conflict, but shared", async () => {
        const { name, path } = target();
        await apply(path, configMap(name, { data: { x: "1" } }), "fieldManager=one");
        expect((await apply(path, configMap(name, { data: { x: "1" } }))).status).toBe(200);
        const { body } = await apply(path, configMap(name), "fieldManager=one");
        expect(body.data).toEqual({ x: "1" });
        expect(entry(body, "one")).toBeUndefined();
        expect((await apply(path, configMap(name, { data: { x: "2" } }))).body.data).toEqual({ x: "2" });
      });

      test("force takes fields from others", async () => {
        const name = newName();
        const path = `${configMaps}/${name}`;
        await api.ok("POST", `${configMaps}?fieldManager=kubectl`, configMap(name, { data: { x: "1", y: "1" } }));
        const { status, body } = await apply(path, configMap(name, { data: { x: "2" } }), "fieldManager=me&force=true");
        expect([status, body.data]).toEqual([200, { x: "2", y: "1" }]);
        const of = (object: Json, manager: string, operation?: string) =>
          Object.keys(entry(object, manager, operation).fieldsV1["f:data"]).filter((key) => key !== ".");
        expect(of(body, "kubectl", "Update")).toEqual(["f:y"]);
        expect(of(body, "me")).toEqual(["f:x"]);
        const taken = await api.ok("PATCH", `${path}?fieldManager=kubectl`, { data: { x: "3" } }, MERGE);
        expect(of(taken, "kubectl", "Update")).toEqual(["f:x", "f:y"]);
        expect(entry(taken, "me")).toBeUndefined();
      });

      test("needs a manager, and none in the object", async () => {
        const { name, path } = target();
        const { status, body } = await api.call("PATCH", path, configMap(name), APPLY);
        expect([status, body.reason]).toEqual([422, "Invalid"]);
        expect(body.message).toContain("fieldManager: Required value: is required for apply patch");
        const managed = configMap(name, { metadata: { managedFields: [{ manager: "x" }] } });
        expect(await apply(path, managed)).toMatchObject({
          status: 400,
          body: { reason: "BadRequest", message: "metadata.managedFields must be nil" },
        });
      });

      test("lists by their items' keys: a Service's ports", async () => {
        const name = newName();
        const path = `${core}/services/${name}`;
        const service = (...ports: Json[]) => ({
          apiVersion: "v1",
          kind: "Service",
          metadata: { name },
          spec: { selector: { app: name }, ports },
        });
        const first = await apply(
          path,
          service({ name: "a", port: 80 }, { name: "b", port: 81, targetPort: 8081, protocol: "TCP" }),
        );
        expect(first.status).toBe(201);
        const keys = ({ body }: Json, manager: string) =>
          Object.keys(entry(body, manager).fieldsV1["f:spec"]["f:ports"]);
        expect(keys(first, "me")).toEqual(['k:{"port":80,"protocol":"TCP"}', 'k:{"port":81,"protocol":"TCP"}']);
        expect(entry(first.body, "me").fieldsV1["f:spec"]["f:selector"]).toEqual({});
        expect(
          (
            await apply(
              path,
              service({ name: "a", port: 80 }, { name: "b", port: 81, targetPort: 8081, protocol: "TCP" }),
            )
          ).body,
        ).toEqual(first.body);
        const other = {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name },
          spec: { ports: [{ name: "c", port: 82 }] },
        };
        const shared = await apply(path, other, "fieldManager=other");
        expect(shared.body.spec.ports.map(({ name }: Json) => name)).toEqual(["a", "b", "c"]);
        const fewer = await apply(path, service({ name: "b", port: 81, targetPort: 8081 }));
        expect(fewer.body.spec.ports.map(({ name }: Json) => name)).toEqual(["b", "c"]);
        const conflict = await apply(path, service({ name: "b", port: 81, targetPort: 8081 }, { name: "d", port: 82 }));
        expect(conflict.body.message).toBe(
          'Apply failed with 1 conflict: conflict with "other": .spec.ports[port=82,protocol="TCP"].name',
        );
      });

      test("lists by their items' keys: a Deployment's containers", async () => {
        const name = newName();
        const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`;
        const deployment = (...containers: Json[]) => ({
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name },
          spec: {
            replicas: 0,
            selector: { matchLabels: { app: name } },
            template: { metadata: { labels: { app: name } }, spec: { containers } },
          },
        });
        const container = {
          name: "c",
          image: "contract.example.org/none:1",
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "1" },
          ],
          ports: [{ containerPort: 80, protocol: "TCP" }],
        };
        const first = await apply(`${deployments}/${name}`, deployment(container));
        expect([first.status, first.body.metadata.generation]).toEqual([201, 1]);
        expect(first.body.spec).toMatchObject({
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
          template: {
            spec: {
              restartPolicy: "Always",
              containers: [{ terminationMessagePath: "/dev/termination-log", imagePullPolicy: "IfNotPresent" }],
            },
          },
        });
        expect(entry(first.body, "me").fieldsV1["f:spec"]["f:template"]["f:spec"]).toEqual({
          "f:containers": {
            'k:{"name":"c"}': {
              ".": {},
              "f:name": {},
              "f:image": {},
              "f:env": {
                'k:{"name":"A"}': { ".": {}, "f:name": {}, "f:value": {} },
                'k:{"name":"B"}': { ".": {}, "f:name": {}, "f:value": {} },
              },
              "f:ports": {
                'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {}, "f:protocol": {} },
              },
            },
          },
        });
        const second = await apply(
          `${deployments}/${name}`,
          deployment({ ...container, env: [{ name: "B", value: "2" }] }),
        );
        expect(second.body.metadata.generation).toBe(2);
        expect(second.body.spec.template.spec.containers[0].env).toEqual([{ name: "B", value: "2" }]);
        const status = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, status: { replicas: 5 } };
        const ignored = await apply(`${deployments}/${name}`, {
          ...deployment({ ...container, env: [{ name: "B", value: "2" }] }),
          status: status.status,
        });
        expect(ignored.body.metadata.generation).toBe(2);
        expect(ignored.body.status.replicas).not.toBe(5);
        const selector = { matchLabels: { app: "other" } };
        const wrong = await api.call(
          "PATCH",
          `${deployments}/${name}`,
          { spec: { selector, template: { metadata: { labels: selector.matchLabels } } } },
          MERGE,
        );
        expect(wrong).toMatchObject({
          status: 422,
          body: { reason: "Invalid", details: { causes: [{ field: "spec.selector" }] } },
        });
        await api.ok("DELETE", `${deployments}/${name}`, { propagationPolicy: "Background" });
      });

      test("a set: finalizers", async () => {
        const { name, path } = target();
        const holding = (...finalizers: string[]) => configMap(name, { metadata: { finalizers } });
        await apply(path, holding("contract.example.org/a", "contract.example.org/b"));
        const shared = await apply(path, holding("contract.example.org/c"), "fieldManager=other");
        expect(shared.body.metadata.finalizers).toEqual([
          "contract.example.org/a",
          "contract.example.org/b",
          "contract.example.org/c",
        ]);
        expect(entry(shared.body, "other").fieldsV1).toEqual({
          "f:metadata": { "f:finalizers": { 'v:"contract.example.org/c"': {} } },
        });
        const left = await apply(path, holding("contract.example.org/b"));
        expect([...left.body.metadata.finalizers].sort()).toEqual(["contract.example.org/b", "contract.example.org/c"]);
        await api.ok("PATCH", path, { metadata: { finalizers: null } }, MERGE);
        const { status, body } = await api.call("DELETE", path);
        expect([status, body.status]).toEqual([200, "Success"]);
      });

      test("one value: a role's rules", async () => {
        const name = newName();
        const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles/${name}`;
        const role = (...verbs: string[]) => ({
          apiVersion: "rbac.authorization.k8s.io/v1",
          kind: "Role",
          metadata: { name },
          rules: [{ apiGroups: [""], resources: ["pods"], verbs }],
        });
        const first = await apply(path, role("get"));
        expect(entry(first.body, "me").fieldsV1).toEqual({ "f:rules": {} });
        expect((await apply(path, role("list"), "fieldManager=other")).body.message).toBe(
          'Apply failed with 1 conflict: conflict with "me": .rules',
        );
        expect((await apply(path, role("list"))).body.rules).toEqual(role("list").rules);
      });
    });

    describe("who may what", () => {
      test("an administrator may do all", async () => {
        const review = await api.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: { resourceAttributes: { group: "*", resource: "*", verb: "*" } },
        });
        expect(review.status.allowed).toBe(true);
      });

      test("a token that nobody gave is nobody's", async () => {
        const review = await api.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenReview",
          spec: { token: "nonsense" },
        });
        expect(review.status.authenticated ?? false).toBe(false);
        expect(review.status.error).toContain("invalid bearer token");
      });

      test("a service account may what it is granted", async () => {
        const name = newName();
        await api.ok("POST", `${core}/serviceaccounts`, { metadata: { name } });
        const request = {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          spec: { expirationSeconds: 3600 },
        };
        const { token } = (await api.ok("POST", `${core}/serviceaccounts/${name}/token`, request)).status;
        const user = `system:serviceaccount:${namespace}:${name}`;
        const reviewed = await api.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token } });
        expect(reviewed.status).toMatchObject({ authenticated: true, user: { username: user } });
        expect(reviewed.status.user.groups).toEqual([
          "system:serviceaccounts",
          `system:serviceaccounts:${namespace}`,
          "system:authenticated",
        ]);
        const as = (method: string, path: string, body?: Json, type?: string) =>
          api.call(method, path, body, type, { authorization: `Bearer ${token}` });

        expect(await as("GET", `${core}/secrets`)).toMatchObject({
          status: 403,
          body: {
            reason: "Forbidden",
            message: `secrets is forbidden: User "${user}" cannot list resource "secrets" in API group "" in the namespace "${namespace}"`,
            details: { kind: "secrets" },
          },
        });
        expect((await as("GET", "/apis/apps/v1/deployments")).body.message).toBe(
          `deployments.apps is forbidden: User "${user}" cannot list resource "deployments" in API group "apps" at the cluster scope`,
        );
        expect((await as("DELETE", `${core}/pods/p`)).body).toMatchObject({
          message: `pods "p" is forbidden: User "${user}" cannot delete resource "pods" in API group "" in the namespace "${namespace}"`,
          details: { name: "p", kind: "pods" },
        });
        expect((await as("GET", "/metrics")).body.message).toBe(`forbidden: User "${user}" cannot get path "/metrics"`);
        expect((await as("GET", "/version")).status).toBe(200);

        const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
        await api.ok("POST", `${rbac}/roles`, {
          metadata: { name },
          rules: [
            { apiGroups: [""], resources: ["secrets"], verbs: ["get", "list"] },
            { apiGroups: [""], resources: ["configmaps"], resourceNames: [`${name}-mine`], verbs: ["patch", "get"] },
            { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: ["create"] },
          ],
        });
        await api.ok("POST", `${rbac}/rolebindings`, {
          metadata: { name },
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
          subjects: [{ kind: "ServiceAccount", name, namespace }],
        });
        await expect.poll(async () => (await as("GET", `${core}/secrets`)).status, { timeout: 10_000 }).toBe(200);
        expect((await as("GET", "/api/v1/secrets")).status).toBe(403);
        const allowed = async (resourceAttributes: Json) =>
          (await as("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", { spec: { resourceAttributes } }))
            .body.status.allowed;
        expect(await allowed({ verb: "list", resource: "secrets", namespace })).toBe(true);
        expect(await allowed({ verb: "list", resource: "secrets" })).toBe(false);
        expect(await allowed({ verb: "*", resource: "*", group: "*" })).toBe(false);
        expect(await allowed({ verb: "patch", resource: "configmaps", name: `${name}-mine`, namespace })).toBe(true);
        expect(await allowed({ verb: "patch", resource: "configmaps", name: "other", namespace })).toBe(false);
        expect(await allowed({ verb: "get", resource: "secrets", subresource: "status", namespace })).toBe(false);

        // To apply what is not there takes the right to create it.
        const mine = `${core}/configmaps/${name}-mine`;
        const refused = await as("PATCH", `${mine}?fieldManager=me`, configMap(`${name}-mine`), APPLY);
        expect([refused.status, refused.body.reason]).toEqual([403, "Forbidden"]);
        expect(refused.body.message).toContain('cannot create resource "configmaps"');
        await create({ metadata: { name: `${name}-mine` } });
        expect(
          (await as("PATCH", `${mine}?fieldManager=me`, configMap(`${name}-mine`, { data: { a: "1" } }), APPLY)).status,
        ).toBe(200);

        // Nobody may grant what they do not have.
        const granting = {
          metadata: { name: `${name}-more` },
          rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["delete"] }],
        };
        const escalated = await as("POST", `${rbac}/roles`, granting);
        expect([escalated.status, escalated.body.reason]).toEqual([403, "Forbidden"]);
        expect(escalated.body.message).toContain("is attempting to grant RBAC permissions not currently held:\n");
        expect(escalated.body.message).toContain('{APIGroups:[""], Resources:["secrets"], Verbs:["delete"]}');
        const lesser = { ...granting, rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["list"] }] };
        expect((await as("POST", `${rbac}/roles`, lesser)).status).toBe(201);
        const binding = (role: string) => ({
          metadata: { name: `${name}-${role}` },
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role },
          subjects: [{ kind: "ServiceAccount", name, namespace }],
        });
        expect(await as("POST", `${rbac}/rolebindings`, binding("none"))).toMatchObject({
          status: 404,
          body: { message: 'rolebindings.rbac.authorization.k8s.io "none" not found' },
        });
        await expect
          .poll(async () => (await as("POST", `${rbac}/rolebindings`, binding(`${name}-more`))).status)
          .toBe(201);
      });

      // A bare API server has no token controller.
      if (tokens)
        test("a token Secret is filled", async () => {
          const name = newName();
          await api.ok("POST", `${core}/serviceaccounts`, { metadata: { name } });
          const annotations = { "kubernetes.io/service-account.name": name };
          await api.ok("POST", `${core}/secrets`, {
            metadata: { name, annotations },
            type: "kubernetes.io/service-account-token",
          });
          await expect
            .poll(async () => Object.keys((await api.ok("GET", `${core}/secrets/${name}`)).data ?? {}).sort(), {
              timeout: 20_000,
            })
            .toEqual(["ca.crt", "namespace", "token"]);
        });

      test("a token Secret has to name its account", async () => {
        const secret = { metadata: { name: newName() }, type: "kubernetes.io/service-account-token" };
        const { status, body } = await api.call("POST", `${core}/secrets`, secret);
        expect([status, body.reason]).toEqual([422, "Invalid"]);
        expect(body.details.causes).toMatchObject([
          { reason: "FieldValueRequired", field: "metadata.annotations[kubernetes.io/service-account.name]" },
        ]);
      });
    });
  });
}
