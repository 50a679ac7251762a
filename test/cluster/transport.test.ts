import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadline } from "../../src/cluster/deadline.ts";
import { ApiError, isTransient, unreachable, unreachableCluster } from "../../src/cluster/errors.ts";
import type { Kubeconfig } from "../../src/cluster/kubeconfig.ts";
import { type Access, Login } from "../../src/cluster/login.ts";
import { Transport } from "../../src/cluster/transport.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { type Handler, inTurn, json, refuse, type Server, serve, TOKEN } from "./server.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());

/** Milliseconds that the clock runs ahead. */
let ahead = 0;
const now = performance.now.bind(performance);
beforeEach(() => {
  ahead = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
});

const open: Transport[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(open.splice(0).map((transport) => transport.close()));
});

const retries: string[] = [];
function transport({
  deadline = new Deadline(60_000),
  kubeconfig = server.kubeconfig(),
  login = new Login(kubeconfig, deadline, {}),
  onRetry = () => {},
} = {}) {
  retries.length = 0;
  const made = new Transport("east", login, deadline, (message) => {
    retries.push(message);
    onRetry();
  });
  open.push(made);
  return made;
}

const ok: Handler = (_, response) => json(response, 200, { ok: true });
const status = (code: number, headers: Record<string, string> = {}): Handler => {
  return (_, response) => json(response, code, { reason: "Tested", message: `it is ${code}` }, headers);
};
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error("it was expected to fail");
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(Failure);
      return error as Failure;
    },
  );

describe("what is tried again", () => {
  test.each([429, 500, 502, 503, 504])("HTTP %i", async (code) => {
    server.answer(inTurn(status(code), ok));
    const made = transport();
    expect(await made.json("read x", "GET", "/x")).toEqual({ ok: true });
    expect(server.received).toHaveLength(2);
    expect(made.requests).toBe(2);
    expect(retries).toEqual([expect.stringMatching(new RegExp(`^read x: try 2 in 0\\.\\d s: HTTP ${code}$`))]);
  });

  test.each([400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 501])("not HTTP %i", async (code) => {
    server.answer(inTurn(status(code), ok));
    const error = await failure(transport().json("read x", "GET", "/x"));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: code, message: `Could not read x: Tested: it is ${code}` });
    expect(server.received).toHaveLength(1);
    expect(retries).toEqual([]);
  });

  test("not HTTP 500 for a field that there is not", async () => {
    const message = "failed to create typed patch object (/x; v1, Kind=X): .spec.y: field not declared in schema";
    server.answer(inTurn((_, response) => refuse(response, 500, "", message), ok));
    await expect(transport().json("apply x", "PATCH", "/x")).rejects.toThrow(
      "Could not apply x: .spec.y: field not declared in schema",
    );
    expect(server.received).toHaveLength(1);
  });

  test.each<[string, Handler]>([
    ["a connection that is cut before the answer", (_, __, raw) => void raw.socket.destroy()],
    [
      "a connection that is cut within the answer",
      (_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write('{"ok":', () => response.destroy());
      },
    ],
    [
      "half a JSON answer",
      (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end(`{"token": "${TOKEN}`),
    ],
    [
      "a JSON answer that is spoilt",
      (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end(`{"token": ${TOKEN}}`),
    ],
  ])("%s", async (_, broken) => {
    server.answer(inTurn(broken, ok));
    expect(await transport().json("read x", "GET", "/x")).toEqual({ ok: true });
    expect(retries).toHaveLength(1);
    expect(retries[0]).not.toContain(TOKEN);
  });

  test.each(["GET", "POST", "PATCH", "DELETE"] as const)("%s, with the same body", async (method) => {
    server.answer(inTurn(status(503), ok));
    const body = method === "GET" ? undefined : { a: "ä" };
    await transport().json("do x", method, "/x?y=z", { body, contentType: "application/apply-patch+yaml" });
    const expected = {
      method,
      path: "/x?y=z",
      authorization: `Bearer ${TOKEN}`,
      contentType: body && "application/apply-patch+yaml",
      body: body ? '{"a":"ä"}' : "",
    };
    expect(server.received).toEqual([expected, expected]);
  });

  test("a write that met another one, for the object as it is now may take it", async () => {
    const message =
      'Operation cannot be fulfilled on secrets "x": the object has been modified; please apply your changes to the latest version and try again';
    server.answer(inTurn((_, response) => json(response, 409, { reason: "Conflict", message }), ok));
    expect(await transport().json("apply Secret x", "PATCH", "/x", { body: {} })).toEqual({ ok: true });
    expect(retries).toEqual([expect.stringMatching(/: HTTP 409$/)]);
  });

  test("again and again, with growing pauses", async () => {
    server.answer(inTurn(status(503), status(503), status(503), ok));
    await transport().json("read x", "GET", "/x");
    const pauses = retries.map((text) => Number(/in (\d\.\d) s/.exec(text)?.[1]));
    expect(pauses).toHaveLength(3);
    // Half of each is left to chance, so that clusters do not ask in step.
    [0.2, 0.4, 0.8].forEach((most, i) => {
      expect(pauses[i]).toBeGreaterThanOrEqual(most / 2);
      expect(pauses[i]).toBeLessThanOrEqual(most);
    });
  });
});

describe("how long", () => {
  test("Retry-After is honoured", async () => {
    const at: number[] = [];
    const timed =
      (handler: Handler): Handler =>
      (...args) => {
        at.push(now());
        return handler(...args);
      };
    server.answer(inTurn(timed(status(429, { "retry-after": "1" })), timed(ok)));
    await transport().json("read x", "GET", "/x");
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test.each<[string, () => string, RegExp]>([
    ["seconds", () => "7", /in 7\.\d s/],
    ["a date", () => new Date(Date.now() + 40_000).toUTCString(), /in (3|4)\d\.\d s/],
    ["a date that has passed", () => new Date(0).toUTCString(), /in 0\.\d s/],
    ["what is neither", () => "soon", /in 0\.\d s/],
  ])("Retry-After may be %s", async (_, header, told) => {
    server.answer(inTurn((...args) => status(503, { "retry-after": header() })(...args), ok));
    const deadline = new Deadline(60_000);
    vi.spyOn(deadline, "pause").mockResolvedValue();
    await transport({ deadline }).json("read x", "GET", "/x");
    expect(retries).toEqual([expect.stringMatching(told)]);
  });

  test("a Retry-After beyond the deadline is not waited for", async () => {
    server.answer(status(429, { "retry-after": "3600" }));
    const error = await failure(transport().json("read x", "GET", "/x"));
    expect(error).toMatchObject({ status: 429 });
    expect(server.received).toHaveLength(1);
    expect(retries).toEqual([]);
  });

  test("no longer than the deadline", async () => {
    server.answer((...args) => {
      ahead += 4_000;
      return status(503)(...args);
    });
    const error = await failure(transport({ deadline: new Deadline(10_000) }).json("read x", "GET", "/x"));
    expect(error).toMatchObject({ status: 503 });
    expect(server.received.filter(({ path }) => path === "/x")).toHaveLength(3);
  });

  test.each<[string, number, boolean, boolean]>([
    ["a cluster that was never reached: 15 s", 10, false, true],
    ["and no longer", 16, false, false],
    ["one that was reached before: 2 minutes", 100, true, true],
    ["and no longer", 121, true, false],
  ])("%s (%i s)", async (_, seconds, reached, again) => {
    const made = transport({ deadline: new Deadline(3_600_000) });
    server.answer(ok);
    if (reached) await made.json("read x", "GET", "/x");
    const cut: Handler = (_, __, raw) => {
      ahead += seconds * 1_000;
      raw.socket.destroy();
    };
    server.answer(inTurn(cut, ok));
    const answer = made.json("read x", "GET", "/x");
    if (again) expect(await answer).toEqual({ ok: true });
    else expect((await failure(answer)).message).toContain("cannot be reached");
  });

  test("a request that the deadline ends says so", async () => {
    server.answer(() => {});
    const error = await failure(transport({ deadline: new Deadline(300) }).json("read x", "GET", "/x"));
    expect(error.message).toBe("Could not read x before the run's deadline of 0.3 s.");
    expect(error.hint).toContain("`timeout`");
  });

  describe("a write waits for admission webhooks", () => {
    // Its time is over as soon as it has come, and so is the patience with it.
    const silent: Handler = () => {
      ahead += 130_000;
      vi.advanceTimersByTime(34_000);
      setImmediate(() => vi.advanceTimersByTime(1_000));
    };
    const answering =
      (version: Handler): Handler =>
      (...args) =>
        (args[0].method === "GET" ? version : silent)(...args);
    beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
    afterEach(() => void vi.useRealTimers());

    test("and one that is slow is told as that, where the API server answers otherwise", async () => {
      const made = transport({ deadline: new Deadline(3_600_000) });
      server.answer(answering(ok));
      await made.json("read x", "GET", "/x");
      const error = await failure(made.json("apply Secret x", "PATCH", "/x", { body: {} }));
      expect(error.message).toBe(
        "Could not apply Secret x: east gave no answer within 35 s, but answers reads: an admission webhook is slow, or cannot be reached.",
      );
      expect(error.hint).toContain("webhookconfigurations");
      expect(unreachableCluster(error)).toBeUndefined();
    });

    test("but where it answers nothing at all, the cluster cannot be reached", async () => {
      const made = transport({ deadline: new Deadline(3_600_000) });
      server.answer(answering((_, __, raw) => void raw.socket.destroy()));
      const error = await failure(made.json("apply Secret x", "PATCH", "/x", { body: {} }));
      expect(error.message).toContain("cannot be reached: no answer");
      expect(unreachableCluster(error)).toBe("east");
    });
  });

  test("a request that the runner cancels ends at once and says so", async () => {
    const controller = new AbortController();
    server.answer(() => controller.abort());
    const deadline = new Deadline(60_000, controller.signal);
    const error = await failure(transport({ deadline }).json("read x", "GET", "/x"));
    expect(error.message).toBe("Could not read x: the run was cancelled.");
  });
});

describe("credentials", () => {
  /** A login that gives another token each time that it is asked for new ones. */
  class Counting extends Login {
    asked = 1;

    constructor() {
      super(server.kubeconfig(), new Deadline(60_000), {});
    }
    override async access(): Promise<Access> {
      const { dispatcher } = await super.access();
      return { headers: { authorization: `token-${this.asked}` }, dispatcher };
    }
    override async refused({ headers }: Access): Promise<void> {
      if (headers.authorization === `token-${this.asked}`) this.asked++;
    }
  }

  test("are asked for anew, once, where they are not accepted any more", async () => {
    const login = new Counting();
    const made = transport({ login });
    server.answer(ok);
    await made.json("read x", "GET", "/x");
    server.answer((request, response) => {
      if (request.authorization === "token-2") json(response, 200, { ok: true });
      else refuse(response, 401, "Unauthorized");
    });
    expect(await made.json("read x", "GET", "/x")).toEqual({ ok: true });
    expect(login.asked).toBe(2);
    expect(server.received).toHaveLength(2);

    server.answer((_, response) => refuse(response, 401, "Unauthorized"));
    const error = await failure(made.json("read x", "GET", "/x"));
    expect(error).toMatchObject({ status: 401, hint: expect.stringContaining("renew") });
    expect(login.asked).toBe(3);
    expect(server.received).toHaveLength(2);
  });

  test("are not to blame for what an application answers that the API server hands on", async () => {
    const login = new Counting();
    const made = transport({ login });
    server.answer(ok);
    await made.json("read x", "GET", "/x");
    server.answer((_, response) => json(response, 401, { who: "an application" }, { server: "envoy" }));
    const options = {
      final: ({ headers }: { headers: { server?: unknown } }) => headers.server === "envoy",
      passedOn: true,
    };
    expect((await made.send("ask x", "GET", "/x", options)).status).toBe(401);
    expect([login.asked, server.received.length]).toEqual([1, 1]);
  });
});

describe("connections", () => {
  test("live on: 20 requests in turn take few", async () => {
    server.answer(ok);
    const made = transport();
    for (let i = 0; i < 20; i++) await made.json("read x", "GET", "/x");
    expect(made.requests).toBe(20);
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  // Those of sixteen API servers use up what all together may have.
  test.each([
    { servers: 1, limit: 8 },
    { servers: 20, limit: 128 },
  ])("of $servers: at most $limit requests are under way, and all are answered", async ({ servers, limit }) => {
    let most = 0;
    let underWay = 0;
    let full: () => void = () => {};
    // The first answers are held back until so many are asked for, and then for a moment in which one more could come.
    const first = new Promise<void>((resolve) => {
      full = () => setTimeout(resolve, 20);
    });
    server.answer(async (_, response) => {
      underWay++;
      most = Math.max(most, underWay);
      if (underWay === limit) full();
      await first;
      underWay--;
      json(response, 200, { ok: true });
    });
    const made = Array.from({ length: servers }, () => transport());
    const asked = made.flatMap((one) => Array.from({ length: 20 }, () => one.json("read x", "GET", "/x")));
    await Promise.all(asked);
    expect(server.received).toHaveLength(20 * servers);
    expect(most).toBe(limit);
  });
});

describe("what an error says", () => {
  test("what the API server answered: reason and message, nothing of headers", async () => {
    server.answer((_, response) =>
      json(
        response,
        403,
        { reason: "Forbidden", message: 'secrets is\n  forbidden: User "me"' },
        { "x-secret": TOKEN },
      ),
    );
    const error = await failure(transport().json("list Secrets", "GET", "/x"));
    expect(error).toMatchObject({
      status: 403,
      reason: "Forbidden",
      message: 'Could not list Secrets: Forbidden: secrets is forbidden: User "me"',
      hint: expect.stringContaining("docs/SECURITY.md"),
    });
  });

  test("whose field it is that was not overwritten", async () => {
    server.answer((_, response) =>
      json(response, 409, {
        reason: "Conflict",
        message: "Apply failed with 2 conflicts",
        details: {
          causes: [
            { reason: "FieldManagerConflict", message: 'conflict with "kubectl" using v1', field: ".spec.type" },
            { reason: "FieldManagerConflict", message: 'conflict with "helm"', field: ".spec.ports" },
          ],
        },
      }),
    );
    const error = (await failure(transport().json("apply Service a/b", "PATCH", "/x"))) as ApiError;
    expect(error.conflicts).toEqual([
      { manager: "kubectl", field: ".spec.type" },
      { manager: "helm", field: ".spec.ports" },
    ]);
    expect(error.message).toBe(
      "Could not apply Service a/b: somebody else set it differently: .spec.type (by kubectl), .spec.ports (by helm)",
    );
    expect(error.hint).toContain("Nothing was overwritten.");
  });

  test.each<[string, Handler, string | undefined]>([
    ["the API server answers: it is an extension API that is down", ok, undefined],
    ["it does not either: the cluster is down", status(503), "east"],
    ["nobody does: the cluster is down", (_, __, raw) => void raw.socket.destroy(), "east"],
  ])("of a 503, after asking for the version, where %s", async (_, version, down) => {
    const gone = status(503, { "retry-after": "1000" });
    server.answer((...args) => (args[0].path === "/version" ? version : gone)(...args));
    const error = await failure(transport().json("read x", "GET", "/apis/metrics.k8s.io/v1beta1"));
    expect(unreachableCluster(error)).toBe(down);
  });

  test.each([
    ["text", "text/plain", "404 page not found"],
    ["HTML", "text/html", "<html>no</html>"],
  ])("only the status where the answer is %s", async (_, type, body) => {
    server.answer((_, response) => void response.writeHead(404, { "content-type": type }).end(body));
    const error = await failure(transport().json("read x", "GET", "/x"));
    expect(error.message).toBe("Could not read x: HTTP 404");
  });

  test("that something else answers, such as a login page", async () => {
    server.answer((_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>"));
    const error = await failure(transport().json("read x", "GET", "/x"));
    expect(error.message).toBe(`Could not read x: ${server.url} answers, but not as an API server does.`);
    expect(server.received).toHaveLength(1);
  });

  test("that the connection was refused, and it is tried again", async () => {
    // A port that was free a moment ago.
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, "127.0.0.1", () => resolve((other.address() as { port: number }).port));
    });
    await new Promise((resolve) => other.close(resolve));
    const url = `https://127.0.0.1:${port}`;
    const onRetry = () => {
      ahead += 20_000;
    };
    const kubeconfig = server.kubeconfig({ cluster: { server: url } });
    const error = await failure(transport({ kubeconfig, onRetry }).json("read x", "GET", "/x"));
    expect(error.message).toMatch(
      `The API server at ${url} cannot be reached: the connection was refused (ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:${port}).`,
    );
    expect(error.hint).toContain("right port");
    expect(retries).toHaveLength(1);
  });

  test.each<[string, () => Kubeconfig, RegExp]>([
    [
      "an unknown CA",
      () => server.kubeconfig({ cluster: { "certificate-authority-data": undefined } }),
      /its certificate was not accepted \((DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE): /,
    ],
    [
      "a certificate for another name",
      () => server.kubeconfig({ cluster: { "tls-server-name": "other.example" } }),
      /its certificate was not accepted \(ERR_TLS_CERT_ALTNAME_INVALID: /,
    ],
  ])("%s, at once", async (_, kubeconfig, expected) => {
    server.answer(ok);
    const error = await failure(transport({ kubeconfig: kubeconfig() }).json("read x", "GET", "/x"));
    expect(error.message).toMatch(expected);
    expect(error.hint).toContain("certificate-authority-data");
    expect(retries).toEqual([]);
  });

  test("the TLS server name of the kubeconfig is used", async () => {
    server.answer(ok);
    const kubeconfig = server.kubeconfig({ cluster: { "tls-server-name": "api.example" } });
    expect(await transport({ kubeconfig }).json("read x", "GET", "/x")).toEqual({ ok: true });
  });

  const coded = (code: string, message: string) => Object.assign(new Error(message), { code });
  test.each<[unknown, boolean, string]>([
    [
      coded("ENOTFOUND", "getaddrinfo ENOTFOUND x"),
      false,
      "its host name does not resolve (ENOTFOUND: getaddrinfo ENOTFOUND x)",
    ],
    [coded("EAI_AGAIN", "getaddrinfo EAI_AGAIN x"), true, "no answer (EAI_AGAIN: getaddrinfo EAI_AGAIN x)"],
    [coded("ECONNRESET", "read ECONNRESET"), true, "no answer (ECONNRESET: read ECONNRESET)"],
    [
      coded("CERT_HAS_EXPIRED", "certificate has expired"),
      false,
      "its certificate was not accepted (CERT_HAS_EXPIRED: certificate has expired)",
    ],
    [
      new TypeError("fetch failed", { cause: coded("ECONNREFUSED", "connect") }),
      true,
      "the connection was refused (ECONNREFUSED: connect)",
    ],
    [
      Object.assign(
        new AggregateError([coded("ECONNREFUSED", "connect ::1"), coded("ECONNREFUSED", "connect 127.0.0.1")]),
        { message: "" },
      ),
      true,
      "the connection was refused (ECONNREFUSED: connect ::1)",
    ],
    [
      new DOMException("The operation was aborted due to timeout", "TimeoutError"),
      true,
      "no answer (The operation was aborted due to timeout)",
    ],
    ["a string", true, "no answer (a string)"],
  ])("%s", (error, again, why) => {
    expect(isTransient(error)).toBe(again);
    expect(unreachable("east", "https://x", error).message).toBe(
      `The API server at https://x cannot be reached: ${why}.`,
    );
  });
});

describe("lines", () => {
  test("come whole, however the answer is cut into pieces", async () => {
    server.answer((_, response) => {
      response.writeHead(200);
      const bytes = Buffer.from('{"a":"ä"}\n\n{"b":1}\n{"half');
      for (const byte of bytes) response.write(Buffer.from([byte]));
      response.end();
    });
    const lines: string[] = [];
    for await (const line of transport().lines("watch x", "/x", new AbortController().signal)) lines.push(line);
    expect(lines).toEqual(['{"a":"ä"}', '{"b":1}']);
  });

  test("are refused as other answers are", async () => {
    server.answer((_, response) => refuse(response, 410, "Gone"));
    const lines = transport().lines("watch x", "/x", new AbortController().signal);
    expect(await failure(lines.next())).toMatchObject({ status: 410, reason: "Gone" });
  });

  test("end when nobody wants them any more, and the server is told", async () => {
    const closed = new Promise<void>((resolve) => {
      server.answer((_, response) => {
        response.on("close", resolve);
        response.write("1\n2\n");
      });
    });
    for await (const line of transport().lines("watch x", "/x", new AbortController().signal)) {
      expect(line).toBe("1");
      break;
    }
    await closed;
  });
});
