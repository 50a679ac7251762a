import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { isLoopback, type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import { base64, type Made, selfSigned } from "./certificates.ts";

const config = {
  apiVersion: "v1",
  kind: "Config",
  "current-context": "east",
  contexts: [
    { name: "east", context: { cluster: "c1", user: "u1", namespace: "somewhere" } },
    { name: "west", context: { cluster: "c2", user: "u2" } },
  ],
  clusters: [
    { name: "c1", cluster: { server: "https://east.example:6443/", "tls-server-name": "east" } },
    { name: "c2", cluster: { server: "https://west.example:6443/k8s/clusters/c-1" } },
  ],
  users: [
    { name: "u1", user: { token: "token-east" } },
    { name: "u2", user: { token: "token-west" } },
  ],
};

function good(content: string, context?: string): Kubeconfig {
  const read = readKubeconfig(content, context);
  if ("problem" in read) throw new Error(read.problem);
  return read;
}

/** The problem that a user of the kubeconfig makes. */
function problem(user: object, now?: Date): string | undefined {
  const read = readKubeconfig(
    JSON.stringify({ ...config, users: [{ name: "u1", user }] }),
    undefined,
    now ? { now } : {},
  );
  return "problem" in read ? read.problem : undefined;
}

let made: Made;
let folder: string;
beforeAll(async () => {
  made = await selfSigned();
  folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("forms", () => {
  const yaml = stringify(config);
  test.each<[string, string]>([
    ["YAML", yaml],
    ["JSON", JSON.stringify(config)],
    ["base64", base64(yaml)],
    ["base64 in lines", base64(yaml).replace(/.{60}/g, "$&\n")],
    ["base64 with space around it", `\n ${base64(yaml)}\n`],
    ["Windows' line ends", yaml.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${yaml}`],
  ])("%s", (_, content) => {
    expect(good(content)).toMatchObject({
      context: "east",
      server: "https://east.example:6443",
      tlsServerName: "east",
    });
  });
});

describe("what is kept of it", () => {
  test("the current context", () => {
    expect(good(stringify(config)).context).toBe("east");
  });

  test("or the one that was asked for, with a path in its server's URL", () => {
    expect(good(stringify(config), "west")).toMatchObject({
      context: "west",
      server: "https://west.example:6443/k8s/clusters/c-1",
      tlsServerName: undefined,
    });
  });

  test("nothing of the other clusters and users", () => {
    const { text, secrets } = good(stringify(config), "west");
    expect(text).not.toContain("east");
    expect(secrets).toEqual(["token-west"]);
    expect(parse(text)).toEqual({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "west",
      contexts: [{ name: "west", context: { cluster: "cluster", user: "user" } }],
      clusters: [{ name: "cluster", cluster: config.clusters[1]?.cluster }],
      users: [{ name: "user", user: config.users[1]?.user }],
    });
  });

  test("what is reduced is a kubeconfig that reads the same", () => {
    const once = good(stringify(config));
    expect(good(once.text)).toMatchObject({ context: once.context, server: once.server, text: once.text });
  });

  test("the server and the user of that context", () => {
    const { cluster, user } = good(stringify(config), "west");
    expect(cluster).toEqual({ server: "https://west.example:6443/k8s/clusters/c-1" });
    expect(user).toEqual({ token: "token-west" });
  });
});

describe("client certificates", () => {
  const day = (n: number) => new Date(Date.now() + n * 86_400_000);
  const embedded = () => ({ "client-certificate-data": base64(made.certificate), "client-key-data": base64(made.key) });
  const files = () => {
    const paths = { "client-certificate": join(folder, "tls.crt"), "client-key": join(folder, "tls.key") };
    writeFileSync(paths["client-certificate"], made.certificate);
    writeFileSync(paths["client-key"], made.key);
    return paths;
  };

  test.each<[string, number, string | undefined]>([
    ["valid", 0, undefined],
    ["to the last hour", 0.9, undefined],
    ["expired", 1.1, "a client certificate that expired on"],
    ["not yet valid", -1.1, "a client certificate that is not valid before"],
  ])("%s", (_, days, expected) => {
    for (const user of [embedded(), files()]) {
      const found = problem(user, day(days));
      if (expected) expect(found).toContain(expected);
      else expect(found).toBeUndefined();
    }
  });
});

describe("exec plugins", () => {
  const exec = (command: string) => ({ exec: { apiVersion: "client.authentication.k8s.io/v1", command } });
  test.each<[string, string, boolean]>([
    ["a program on the PATH", "node", true],
    ["a program by its path", process.execPath, true],
    ["a program that is not there", "no-such-plugin", false],
    ["a path that is not there", "/no/such/plugin", false],
  ])("%s", (_, command, found) => {
    expect(problem(exec(command)) === undefined).toBe(found);
  });

  test.each<[string, object, string]>([
    [
      "that wants a terminal",
      { interactiveMode: "Always", command: "node" },
      "wants a terminal (`interactiveMode: Always`)",
    ],
    [
      "that is not there and says how to get it",
      { command: "none", installHint: "Get it at https://x.example." },
      'the program "none", which is not on this runner\'s PATH; install it in a step before this one. The kubeconfig says: Get it at https://x.example',
    ],
    ["without a command", {}, "a plugin without a command"],
  ])("one %s is refused", (_, more, expected) => {
    expect(problem({ exec: { apiVersion: "client.authentication.k8s.io/v1", ...more } })).toContain(expected);
  });

  test.each(["gcp", "azure"])("the auth provider %s, which kubectl has no more, is refused", (name) => {
    expect(problem({ "auth-provider": { name } })).toContain(`the auth provider "${name}", which kubectl has given up`);
  });

  test("a file that cannot be run is no program", () => {
    const path = join(folder, "plugin");
    writeFileSync(path, "", { mode: 0o600 });
    // root may read everything, but not run what nobody may run.
    expect(problem(exec(path))).toContain("which is not on this runner's PATH");
  });
});

test.each(["as-uid", "as-groups", "as-user-extra"])(
  "%s without a user to act as is refused, as kubectl does",
  (key) => {
    expect(problem({ token: "t", [key]: ["x"] })).toContain(`\`${key}\` without \`as\``);
    expect(problem({ token: "t", as: "jane", [key]: ["x"] })).toBeUndefined();
  },
);

describe("a proxy-url", () => {
  const read = (url: string) =>
    readKubeconfig(
      JSON.stringify({ ...config, clusters: [{ name: "c1", cluster: { server: "https://x", "proxy-url": url } }] }),
    );
  test.each<[string, string | undefined]>([
    ["http://proxy:3128", undefined],
    ["https://proxy", undefined],
    ["socks5://proxy:1080", undefined],
    ["socks4://proxy", "a proxy-url with socks4://; expected an http, https or socks5 URL"],
    ["proxy:3128", "a proxy-url that is no URL"],
    ["no url", "a proxy-url that is no URL"],
  ])("%s", (url, expected) => {
    const found = read(url);
    if (expected) expect("problem" in found && found.problem).toContain(expected);
    else expect(found).toMatchObject({ server: "https://x" });
  });

  test("has a password that is secret, as it stands there and as it reads", () => {
    const found = read("http://user:pass%2Fword-1@proxy:3128") as Kubeconfig;
    expect(found.secrets).toEqual(["token-east", "pass%2Fword-1", "pass/word-1"]);
  });
});

test.each<[object, string]>([
  [{ exec: { apiVersion: "client.authentication.k8s.io/v1", command: "node" } }, "a login by a program"],
  [{ tokenFile: "/etc/hostname" }, "a tokenFile file"],
])("one that a cluster holds neither runs nor reads anything here: %j", (user, expected) => {
  const content = JSON.stringify({ ...config, users: [{ name: "u1", user }] });
  expect(readKubeconfig(content, undefined, { foreign: true })).toMatchObject({
    problem: expect.stringContaining(expected),
  });
});

test("paths in a file begin at its folder, as kubectl has it; a plugin's name is looked for on the PATH", () => {
  writeFileSync(join(folder, "ca.crt"), made.certificate);
  const content = (user: object) =>
    JSON.stringify({
      ...config,
      clusters: [{ name: "c1", cluster: { server: "https://x", "certificate-authority": "ca.crt" } }],
      users: [{ name: "u1", user }],
    });
  writeFileSync(join(folder, "login"), "", { mode: 0o755 });
  const read = (user: object) => readKubeconfig(content(user), undefined, { folder }) as Kubeconfig;
  expect(read({ exec: { command: "./login" } })).toMatchObject({
    cluster: { "certificate-authority": join(folder, "ca.crt") },
    user: { exec: { command: join(folder, "login") } },
  });
  expect(read({ exec: { command: "node" } }).user).toEqual({ exec: { command: "node" } });
  expect(readKubeconfig(content({ token: "t" }))).toMatchObject({
    problem: expect.stringContaining("certificate-authority"),
  });
});

test.each<[string, boolean]>([
  ["https://127.0.0.1:6443", true],
  ["https://127.8.9.1", true],
  ["https://localhost:6443", true],
  ["https://LOCALHOST", true],
  ["https://api.localhost", true],
  ["https://[::1]:6443", true],
  ["https://0.0.0.0:6443", true],
  ["https://[::]:6443", true],
  // The URL parser writes all of these as 127.0.0.1.
  ["https://2130706433", true],
  ["https://0x7f.1", true],
  ["https://[::ffff:127.0.0.1]", true],
  ["https://localhost.:6443", true],
  ["https://10.0.0.1", false],
  ["https://127.example.com", false],
  ["https://localhost.example.com", false],
  ["https://[fd00::1]", false],
])("%s is the machine itself: %s", (server, loopback) => {
  expect(isLoopback(server)).toBe(loopback);
});
