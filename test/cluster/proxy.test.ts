import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Deadline } from "../../src/cluster/deadline.ts";
import { isTransient, unreachableCluster } from "../../src/cluster/errors.ts";
import { Login } from "../../src/cluster/login.ts";
import { proxyFor } from "../../src/cluster/proxy.ts";
import { Transport } from "../../src/cluster/transport.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { base64, selfSigned } from "./certificates.ts";
import { connectProxy, socksProxy, type TestProxy } from "./proxies.ts";
import { json, type Server, serve } from "./server.ts";

const PROXY = "http://proxy.example:3128";
const used = (server: string, env: NodeJS.ProcessEnv, proxyUrl?: string) => proxyFor(server, proxyUrl, env)?.told;

describe("which proxy an API server is asked by, as kubectl has it", () => {
  test.each<[string, NodeJS.ProcessEnv, string | undefined, string | undefined]>([
    ["none where none is named", {}, undefined, undefined],
    ["the environment's", { HTTPS_PROXY: PROXY }, undefined, `${PROXY} (HTTPS_PROXY)`],
    ["in small letters", { https_proxy: PROXY }, undefined, `${PROXY} (https_proxy)`],
    [
      "in capital letters first",
      { HTTPS_PROXY: PROXY, https_proxy: "http://other" },
      undefined,
      `${PROXY} (HTTPS_PROXY)`,
    ],
    ["without a scheme", { HTTPS_PROXY: "proxy.example:3128" }, undefined, `${PROXY} (HTTPS_PROXY)`],
    ["not the one for http", { HTTP_PROXY: PROXY }, undefined, undefined],
    ["the kubeconfig's first", { HTTPS_PROXY: PROXY }, "https://own", "https://own (`proxy-url` in the kubeconfig)"],
    [
      "the kubeconfig's, whatever NO_PROXY says",
      { NO_PROXY: "*" },
      "socks5://own:1080",
      "socks5://own:1080 (`proxy-url` in the kubeconfig)",
    ],
    [
      "never with its password",
      { HTTPS_PROXY: "http://u:pass-word@proxy.example:3128" },
      undefined,
      `${PROXY} (HTTPS_PROXY)`,
    ],
  ])("%s", (_, env, proxyUrl, expected) => {
    expect(used("https://api.example:6443", env, proxyUrl)).toBe(expected);
  });

  test.each<[string, string, boolean]>([
    ["https://api.example.com:6443", "", true],
    ["https://api.example.com:6443", "*", false],
    ["https://api.example.com:6443", "example.com", false],
    ["https://api.example.com:6443", ".example.com", false],
    ["https://api.example.com:6443", "*.example.com", false],
    ["https://API.Example.com:6443", " other , EXAMPLE.com ", false],
    ["https://example.com", "example.com", false],
    ["https://example.com", ".example.com", true],
    ["https://notexample.com", "example.com", true],
    ["https://api.example.com:6443", "example.com:6443", false],
    ["https://api.example.com:6443", "example.com:443", true],
    ["https://api.example.com", "api.example.com:443", false],
    ["https://10.1.2.3:6443", "10.0.0.0/8", false],
    ["https://10.1.2.3:6443", "10.2.0.0/16", true],
    ["https://10.1.2.3:6443", "10.1.2.3", false],
    ["https://10.1.2.3:6443", "10.1.2.3:6443", false],
    ["https://10.1.2.3:6443", "10.1.2.3:443", true],
    ["https://10.1.2.3:6443", "10.1.2.30", true],
    ["https://[fd00::5]:6443", "fd00::/8", false],
    ["https://[fd00::5]:6443", "fd00::5", false],
    ["https://[fd00::5]:6443", "[fd00::5]", false],
    ["https://[fd00::5]:6443", "[fd00::5]:6443", false],
    ["https://[fd00::5]:6443", "[fd00::5]:443", true],
    ["https://[fd00::5]:6443", "10.0.0.0/8,2001:db8::/32", true],
    ["https://10.1.2.3", "not/a/network,10.0.0.0/99", true],
    // What is on the machine itself never needs one.
    ["https://localhost:6443", "", false],
    ["https://127.0.0.1:6443", "", false],
    ["https://127.9.9.9:6443", "", false],
    ["https://[::1]:6443", "", false],
  ])("%s with NO_PROXY=%j: %s", (server, noProxy, through) => {
    expect(used(server, { HTTPS_PROXY: PROXY, NO_PROXY: noProxy }) !== undefined).toBe(through);
    expect(used(server, { https_proxy: PROXY, no_proxy: noProxy }) !== undefined).toBe(through);
  });

  test.each(["socks4://proxy", "ftp://proxy", "http://"])("one that cannot be used is refused: %s", (url) => {
    const read = () => used("https://api.example", { HTTPS_PROXY: url });
    expect(read).toThrow(Failure);
    expect(read).toThrow(
      /^The environment variable HTTPS_PROXY names a proxy .* expected an http, https or socks5 URL\.$/,
    );
    expect(used("https://api.example", { HTTPS_PROXY: url, NO_PROXY: "api.example" })).toBeUndefined();
  });
});

describe("by way of a proxy", () => {
  let server: Server;
  const open: { close(): Promise<void> }[] = [];
  beforeAll(async () => {
    server = await serve();
    server.answer((_, response) => json(response, 200, { ok: true }));
  });
  afterEach(() => Promise.all(open.splice(0).map((each) => each.close())));
  afterAll(() => server.close());

  const kept = async <T extends { close(): Promise<void> }>(made: Promise<T>): Promise<T> => {
    open.push(await made);
    return made;
  };
  // A name that nobody but the proxy can resolve.
  const host = () => `api.example:${server.port}`;
  function transport(cluster: object, env: NodeJS.ProcessEnv = {}): Transport {
    const kubeconfig = server.kubeconfig({ cluster: { server: `https://${host()}`, ...cluster } });
    const deadline = new Deadline(60_000);
    const made = new Transport("east", new Login(kubeconfig, deadline, env), deadline, () => {});
    open.unshift(made);
    return made;
  }
  const led = ({ led }: TestProxy) => [...new Set(led.map(({ target, login }) => `${target} ${login}`.trim()))];
  const read = (made: Transport) => made.json("read x", "GET", "/x");

  test("HTTP, by the environment", async () => {
    const proxy = await kept(connectProxy());
    expect(await read(transport({}, { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }))).toEqual({ ok: true });
    expect(led(proxy)).toEqual([host()]);
  });

  test("HTTP with a login, by the kubeconfig, and connections live on", async () => {
    const proxy = await kept(connectProxy());
    const made = transport({ "proxy-url": `http://me:pass%2Fword@127.0.0.1:${proxy.port}` });
    for (let i = 0; i < 5; i++) expect(await read(made)).toEqual({ ok: true });
    expect(led(proxy)).toEqual([`${host()} me:pass/word`]);
    expect(proxy.led.length).toBeLessThanOrEqual(2);
  });

  test("HTTPS, whose certificate the kubeconfig's CA may have signed", async () => {
    const { certificate, key } = await selfSigned({ names: ["localhost"], subject: "proxy" });
    const proxy = await kept(connectProxy({ cert: certificate, key }));
    const own = server.kubeconfig().cluster["certificate-authority-data"] as string;
    const both = base64(`${Buffer.from(own, "base64")}\n${certificate}`);
    const cluster = { "proxy-url": `https://localhost:${proxy.port}`, "certificate-authority-data": both };
    expect(await read(transport(cluster))).toEqual({ ok: true });
    expect(led(proxy)).toEqual([host()]);
  });

  test("SOCKS 5, which resolves the name itself", async () => {
    const proxy = await kept(socksProxy());
    expect(await read(transport({ "proxy-url": `socks5://127.0.0.1:${proxy.port}` }))).toEqual({ ok: true });
    expect(led(proxy)).toEqual([host()]);
  });

  test("SOCKS 5 with a login", async () => {
    const proxy = await kept(socksProxy("me:password"));
    expect(await read(transport({ "proxy-url": `socks5://me:password@127.0.0.1:${proxy.port}` }))).toEqual({
      ok: true,
    });
    expect(led(proxy)).toEqual([`${host()} me:password`]);
  });

  test.each<[string, string, () => Promise<TestProxy>, string, boolean]>([
    ["wants a login", "http", () => connectProxy(undefined, 407), "it answers 407 Refused", false],
    ["does not let through", "http", () => connectProxy(undefined, 403), "it answers 403 Refused", false],
    ["does not get there", "http", () => connectProxy(undefined, 502), "it answers 502 Refused", true],
    ["wants a login", "socks5", () => socksProxy("me:password"), "it wants a login", false],
    ["does not let through", "socks5", () => socksProxy(undefined, 2), "it says: not allowed by its rules", false],
    ["does not get there", "socks5", () => socksProxy(undefined, 5), "it says: connection refused", true],
    ["is none", "socks5", () => connectProxy(), "it is no SOCKS 5 proxy", false],
  ])("one that %s is told, with who named it (%s)", async (_, scheme, make, why, again) => {
    const proxy = await kept(make());
    const url = `${scheme}://127.0.0.1:${proxy.port}`;
    const deadline = new Deadline(500);
    const kubeconfig = server.kubeconfig({ cluster: { server: `https://${host()}` } });
    const made = new Transport("east", new Login(kubeconfig, deadline, { HTTPS_PROXY: url }), deadline, () => {});
    open.unshift(made);
    const error = await read(made).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    const told = `The API server at https://${host()} cannot be reached: the proxy ${url} (HTTPS_PROXY) does not lead there (${why}).`;
    if (again) expect((error as Failure).message).toContain(why);
    else expect((error as Failure).message).toBe(told);
    if (!again) expect(isTransient((error as Failure).cause)).toBe(false);
    if (!again) expect(unreachableCluster(error)).toBe("east");
  });
});
