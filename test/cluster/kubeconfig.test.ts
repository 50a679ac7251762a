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
  const read = readKubeconfig(JSON.stringify({ ...config, users: [{ name: "u1", user }] }), undefined, now);
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

  test("the client library has the server and the user of that context", () => {
    const { config: library } = good(stringify(config), "west");
    expect(library.getCurrentCluster()?.server).toBe("https://west.example:6443/k8s/clusters/c-1");
    expect(library.getCurrentUser()?.token).toBe("token-west");
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

  test("a file that cannot be run is no program", () => {
    const path = join(folder, "plugin");
    writeFileSync(path, "", { mode: 0o600 });
    // root may read everything, but not run what nobody may run.
    expect(problem(exec(path))).toContain("which is not on this runner's PATH");
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
