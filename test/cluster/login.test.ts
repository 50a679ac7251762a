import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadline } from "../../src/cluster/deadline.ts";
import { Login } from "../../src/cluster/login.ts";
import { Transport } from "../../src/cluster/transport.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { base64, selfSigned } from "./certificates.ts";
import { type Handler, json, refuse, type Server, serve, TOKEN } from "./server.ts";

let server: Server;
let folder: string;
const open: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "login-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((each) => each.close()));
  rmSync(folder, { recursive: true, force: true });
});

const API = "client.authentication.k8s.io/v1";
const ok: Handler = (_, response) => json(response, 200, { ok: true });

function begin(parts: { user?: object; cluster?: object }, deadline = new Deadline(60_000)) {
  const login = new Login(server.kubeconfig(parts), deadline, {});
  const transport = new Transport("east", login, deadline, () => {});
  open.push(transport);
  return { login, read: () => transport.json<object>("read x", "GET", "/x") };
}

/** Prints a token of its own for each call. */
const COUNTED = "print({ token: 'given-token-' + n })";
const COUNTED_FOR = (seconds: number) =>
  `print({ token: 'given-token-' + n, expirationTimestamp: new Date(Date.now() + ${seconds * 1000}) })`;

/** A plugin that counts its calls, keeps what it was given, and prints what the code makes of `n`, its how manieth call it is. */
function plugin(code: string, more: object = {}): { exec: object } {
  const path = join(folder, "plugin.cjs");
  const kept = JSON.stringify(join(folder, "calls"));
  const lines = [
    `const fs = require("node:fs");`,
    `fs.appendFileSync(${kept}, JSON.stringify({ argv: process.argv.slice(2), env: process.env }) + "\\n");`,
    `const n = fs.readFileSync(${kept}, "utf8").trim().split("\\n").length;`,
    `const print = (status) => console.log(JSON.stringify({ apiVersion: "${API}", kind: "ExecCredential", status }));`,
    code,
  ];
  writeFileSync(path, lines.join("\n"));
  return { exec: { apiVersion: API, command: process.execPath, args: [path, "get-token"], ...more } };
}
const calls = (): { argv: string[]; env: Record<string, string> }[] => {
  const path = join(folder, "calls");
  const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  return lines.map((line) => JSON.parse(line));
};
const tokens = () => server.received.map(({ authorization }) => authorization);
const failure = async (promise: Promise<unknown>): Promise<Failure> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
};

/** What is dead and was not fetched by its parent yet does not run. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    // Where there is no /proc, the signal alone says it.
    return (error as NodeJS.ErrnoException).code === "ENOENT" && !existsSync("/proc/self");
  }
}

describe("a plugin", () => {
  test("is run once for requests that begin together, and not again while its token is taken", async () => {
    const { read } = begin({ user: plugin(COUNTED) });
    server.answer(ok);
    await Promise.all(Array.from({ length: 12 }, read));
    await read();
    expect(calls()).toHaveLength(1);
    expect(new Set(tokens())).toEqual(new Set(["Bearer given-token-1"]));
  });

  test("is really asked again, once, when its token is refused", async () => {
    const { read } = begin({ user: plugin(COUNTED) });
    server.answer(ok);
    await read();
    server.answer(({ authorization }, response) =>
      authorization === "Bearer given-token-2" ? json(response, 200, {}) : refuse(response, 401, "Unauthorized"),
    );
    await Promise.all(Array.from({ length: 5 }, read));
    expect(calls()).toHaveLength(2);
  });

  test("is asked again where its token has run out, or is about to", async () => {
    const user = plugin(COUNTED_FOR(3_600));
    const { read } = begin({ user });
    server.answer(ok);
    await read();
    await read();
    expect(calls()).toHaveLength(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_595_000 });
    await Promise.all([read(), read()]);
    expect(tokens().at(-1)).toBe("Bearer given-token-2");
    expect(calls()).toHaveLength(2);
  });

  test("may give a client certificate, by which connections are then made", async () => {
    const { certificate, key } = await selfSigned();
    const status = JSON.stringify({ clientCertificateData: certificate, clientKeyData: key });
    const { read, login } = begin({ user: plugin(`print(${status})`) });
    server.answer(ok);
    await read();
    expect(tokens()).toEqual([undefined]);
    const { users } = JSON.parse(await login.kubeconfig(1_000));
    expect(users[0].user).toEqual({
      "client-certificate-data": base64(certificate),
      "client-key-data": base64(key),
    });
  });

  test("gets the environment that it needs, and no more", async () => {
    const given = {
      AWS_PROFILE: "x",
      https_proxy: "http://proxy:1",
      ACTIONS_ID_TOKEN_REQUEST_URL: "https://token.example",
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "id-token-of-the-job",
    };
    const secret = {
      GITHUB_TOKEN: "g",
      GH_TOKEN: "g",
      ACTIONS_RUNTIME_TOKEN: "r",
      INPUT_CLUSTERS: "c",
      "INPUT_CLUSTER1-KUBECONFIG": "c",
      SOME_KUBECONFIG: `token: ${TOKEN}`,
    };
    for (const [name, value] of Object.entries({ ...given, ...secret })) vi.stubEnv(name, value);
    const { withhold } = await import("../../src/mesh/redact.ts");
    withhold(TOKEN);
    const env = [{ name: "OWN", value: "of the kubeconfig" }];
    const { read } = begin({ user: plugin("print({ token: 'given-token' })", { env }) });
    server.answer(ok);
    await read();
    const [call] = calls();
    expect(call?.argv).toEqual(["get-token"]);
    expect(call?.env).toMatchObject({ ...given, OWN: "of the kubeconfig", PATH: process.env.PATH });
    for (const name of Object.keys(secret)) expect(call?.env).not.toHaveProperty(name);
  });

  test.each([true, false])("is told of the cluster where it asks for that: %s", async (provideClusterInfo) => {
    const extensions = [
      { name: "other", extension: {} },
      { name: "client.authentication.k8s.io/exec", extension: { audience: "a" } },
    ];
    const { read } = begin({
      user: plugin("print({ token: 'given-token' })", { provideClusterInfo }),
      cluster: { extensions, "tls-server-name": "api.example" },
    });
    server.answer(ok);
    await read();
    const cluster = {
      server: server.url,
      "tls-server-name": "api.example",
      "certificate-authority-data": server.kubeconfig().cluster["certificate-authority-data"],
      config: { audience: "a" },
    };
    expect(JSON.parse(calls()[0]?.env.KUBERNETES_EXEC_INFO ?? "")).toEqual({
      apiVersion: API,
      kind: "ExecCredential",
      spec: { interactive: false, ...(provideClusterInfo ? { cluster } : {}) },
    });
  });

  test.each<[string, string, RegExp]>([
    [
      "its exit code and what it said",
      `console.error("az login first\\nToken: ${TOKEN}"); process.exitCode = 3`,
      /^Could not log in to https:\S+: The login plugin node\S* ended with exit code 3\. It said: az login first; Token: \*\*\*$/,
    ],
    ["that it printed nothing", "console.error('why')", /gave no credentials: it printed nothing\. It said: why$/],
    ["that it printed something else", `console.log("${TOKEN}")`, /it printed something that is no JSON\.$/],
    [
      "that it is no ExecCredential",
      `console.log('{"token":"${TOKEN}"}')`,
      /it printed no ExecCredential with a status\.$/,
    ],
    ["that it holds nothing", "print({})", /neither a token nor a client certificate/],
    ["that a key is missing", "print({ clientCertificateData: 'x' })", /or a key without the other/],
    [
      "a question without an answer",
      "process.stdin.resume().on('end', () => { console.error('no terminal'); process.exit(1) })",
      /no terminal/,
    ],
  ])("that fails tells %s", async (_, code, expected) => {
    const { read } = begin({ user: plugin(code) });
    const error = await failure(read());
    expect(error.message).toMatch(expected);
    expect(error.hint).toBeTruthy();
    expect(error.message + error.hint).not.toContain(TOKEN);
  });

  test("that is not there is told with what the kubeconfig says of it", async () => {
    const user = plugin("", { installHint: "Get it at https://x.example." });
    const kubeconfig = server.kubeconfig({ user });
    const exec = { ...(kubeconfig.user.exec as object), command: join(folder, "gone") };
    const login = new Login({ ...kubeconfig, user: { exec } }, new Deadline(1_000), {});
    expect(await failure(login.access())).toMatchObject({
      message: expect.stringContaining("The login plugin gone is not on this runner."),
      hint: expect.stringContaining("Get it at https://x.example."),
    });
  });

  test.skipIf(process.platform === "win32")(
    "that hangs is ended by the deadline, with all that it has started, even where it will not (by signals, so not on Windows)",
    async () => {
      const controller = new AbortController();
      const code = `process.on("SIGTERM", () => {});
        const child = require("node:child_process").spawn(process.execPath, ["-e", "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: "inherit" });
        console.error("open https://login.example");
        fs.writeFileSync(${JSON.stringify(join(folder, "pids"))}, process.pid + " " + child.pid);
        setInterval(() => {}, 1000);`;
      const { read } = begin({ user: plugin(code) }, new Deadline(60_000, controller.signal));
      const asked = failure(read());
      await vi.waitFor(() => expect(existsSync(join(folder, "pids"))).toBe(true), 20_000);
      controller.abort();
      const error = await asked;
      expect(error.message).toMatch(/did not finish the login in time\. It said: open https:\/\/login\.example$/);
      expect(error.hint).toContain("without a browser");
      const pids = readFileSync(join(folder, "pids"), "utf8").split(" ").map(Number);
      await vi.waitFor(() => expect(pids.filter(runs)).toEqual([]), 10_000);
    },
  );
});

describe("a login without a plugin", () => {
  test("reads a token from its file, and again after a minute", async () => {
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "token-in-file-1\n");
    const { read } = begin({ user: { tokenFile } });
    server.answer(ok);
    await read();
    writeFileSync(tokenFile, "token-in-file-2\n");
    await read();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
    await read();
    expect(tokens()).toEqual(["Bearer token-in-file-1", "Bearer token-in-file-1", "Bearer token-in-file-2"]);
  });

  test("may be by a password", async () => {
    const { read } = begin({ user: { username: "me", password: "my-pass-word" } });
    server.answer(ok);
    await read();
    expect(tokens()).toEqual([`Basic ${base64("me:my-pass-word")}`]);
  });

  test.each<[string, number, boolean]>([
    ["that is good", 3_600, true],
    ["that has expired", -10, false],
  ])("by kubectl's own OIDC is by the ID token %s", async (_, seconds, good) => {
    const claims = Buffer.from(JSON.stringify({ exp: Math.round(Date.now() / 1000) + seconds })).toString("base64url");
    const { read } = begin({ user: { "auth-provider": { name: "oidc", config: { "id-token": `e.${claims}.s` } } } });
    server.answer(ok);
    if (good) {
      await read();
      expect(tokens()).toEqual([`Bearer e.${claims}.s`]);
    } else expect((await failure(read())).message).toMatch(/ID token \(auth-provider oidc\) expired at /);
  });

  const as = {
    as: "jane",
    "as-uid": "u-1",
    "as-groups": ["admins", "a, b"],
    "as-user-extra": { "example.com/scope": ["x", "y"], reason: ["z"] },
  };
  const HEADERS = [
    "impersonate-user: jane",
    "impersonate-uid: u-1",
    "impersonate-group: admins",
    "impersonate-group: a, b",
    "impersonate-extra-example.com%2fscope: x",
    "impersonate-extra-example.com%2fscope: y",
    "impersonate-extra-reason: z",
  ];

  test("may act as another user, with groups, UID and all else, each in a header of its own", async () => {
    let raw: string[] = [];
    server.answer((_, response, { rawHeaders }) => {
      raw = rawHeaders;
      json(response, 200, {});
    });
    const { read, login } = begin({ user: { token: TOKEN, ...as } });
    await read();
    const pairs = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name.toLowerCase()}: ${raw[i + 1]}`] : []));
    expect(pairs.filter((pair) => pair.startsWith("impersonate")).sort()).toEqual(HEADERS.toSorted());
    // A program that is handed the login acts as that user, too.
    expect(JSON.parse(await login.kubeconfig(1_000)).users[0].user).toEqual({ token: TOKEN, ...as });
  });
});

describe("the kubeconfig for a program", () => {
  test("has all that it takes to do what our own requests do, and nothing to log in by itself", async () => {
    const user = plugin(COUNTED_FOR(600));
    const { login } = begin({ user, cluster: { "tls-server-name": "api.example", "proxy-url": "http://u:p@proxy:1" } });
    expect(JSON.parse(await login.kubeconfig(60_000))).toEqual({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "cluster", user: "user" } }],
      clusters: [
        {
          name: "cluster",
          cluster: {
            server: server.url,
            "tls-server-name": "api.example",
            "certificate-authority-data": server.kubeconfig().cluster["certificate-authority-data"],
            "proxy-url": "http://u:p@proxy:1/",
          },
        },
      ],
      users: [{ name: "user", user: { token: "given-token-1" } }],
    });
    await login.kubeconfig(60_000);
    expect(calls()).toHaveLength(1);
    // One that it needs for longer than these last is new.
    expect(await login.kubeconfig(3_600_000)).toContain("given-token-2");
  });

  test("has what the kubeconfig names by file, and the environment's proxy", async () => {
    const { certificate, key } = await selfSigned();
    for (const [name, text] of Object.entries({ ca: certificate, crt: certificate, key }))
      writeFileSync(join(folder, name), text);
    const kubeconfig = server.kubeconfig({
      user: { "client-certificate": join(folder, "crt"), "client-key": join(folder, "key") },
      cluster: {
        server: "https://api.example",
        "certificate-authority-data": undefined,
        "certificate-authority": join(folder, "ca"),
      },
    });
    const login = new Login(kubeconfig, new Deadline(1_000), { HTTPS_PROXY: "http://proxy:3128" });
    const { clusters, users } = JSON.parse(await login.kubeconfig(1_000));
    expect(clusters[0].cluster).toEqual({
      server: "https://api.example",
      "certificate-authority-data": base64(certificate),
      "proxy-url": "http://proxy:3128/",
    });
    expect(users[0].user).toEqual({
      "client-certificate-data": base64(certificate),
      "client-key-data": base64(key),
    });
  });
});
