import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadline } from "../../src/cluster/deadline.ts";
import { ISTIOCTL } from "../../src/istioctl/release.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { ensureTool, releaseOf, type ToolOptions } from "../../src/tools/download.ts";
import { leftOut } from "../left-out.ts";

const VERSION = "1.32.0-lab";
const SCRIPT = "#!/bin/sh\necho fake istioctl\n";

let dir: string;
let server: Server;
let mirror: string;
/** Path → body, or what to do with the socket. */
let files: Map<string, Buffer | string | ((socket: Socket) => void)>;
let requests: { path: string; authorization: string | undefined }[];
let progress: string[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "download-"));
  mkdirSync(join(dir, "temp"));
  vi.stubEnv("RUNNER_TEMP", join(dir, "temp"));
  vi.stubEnv("RUNNER_TOOL_CACHE", join(dir, "cache"));
  // A proxy of the machine that the tests run on has no part in this.
  for (const name of ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"]) vi.stubEnv(name, undefined);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  files = new Map();
  requests = [];
  progress = [];
  ahead = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
  server = createServer((request, response) => {
    const path = request.url ?? "";
    requests.push({ path, authorization: request.headers.authorization });
    const found = files.get(path);
    if (typeof found === "function") found(request.socket);
    else if (found === undefined) response.writeHead(404).end();
    else response.end(found);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(dir, { recursive: true, force: true });
});

/** A deadline whose pauses take no time, while they count as taken. */
class Unhurried extends Deadline {
  override async pause(milliseconds: number): Promise<void> {
    ahead += milliseconds;
  }
}
/** Milliseconds that the clock runs ahead. */
let ahead = 0;

const sum = (body: Buffer) => createHash("sha256").update(body).digest("hex");

/** Puts a release on the mirror. */
function serve(kind: "tar" | "zip", file: string, binary = "istioctl", under = ""): Buffer {
  const source = mkdtempSync(join(dir, "source-"));
  writeFileSync(join(source, binary), SCRIPT);
  const archive = join(dir, file);
  if (kind === "tar") execFileSync("tar", ["-czf", archive, "-C", source, binary]);
  else execFileSync("zip", ["-q", archive, binary], { cwd: source });
  const body = readFileSync(archive);
  files.set(`${under}/${VERSION}/${file}`, body);
  files.set(`${under}/${VERSION}/${file}.sha256`, `${sum(body)} ${file}\n`);
  return body;
}

const LINUX = `istioctl-${VERSION}-linux-amd64.tar.gz`;
const ensure = (options: Partial<ToolOptions> = {}) =>
  ensureTool(ISTIOCTL, {
    version: VERSION,
    mirror,
    platform: "linux",
    arch: "x64",
    deadline: new Unhurried(60_000),
    onProgress: (line) => void progress.push(line),
    ...options,
  });
const failure = async (options: Partial<ToolOptions> = {}): Promise<Failure> => {
  const error = await ensure(options).then(
    (path) => new Error(`unexpected: ${path}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).hint).toBeTruthy();
  return error as Failure;
};
/** Nothing is cached, nothing is left. */
const expectNothing = () => {
  expect(existsSync(join(dir, "cache"))).toBe(false);
  expect(readdirSync(join(dir, "temp"))).toEqual([]);
};

describe("the release for a machine", () => {
  test.each([
    ["linux", "x64", "linux-amd64.tar.gz", "x64"],
    ["linux", "arm64", "linux-arm64.tar.gz", "arm64"],
    ["linux", "arm", "linux-armv7.tar.gz", "arm"],
    ["darwin", "x64", "osx-amd64.tar.gz", "x64"],
    ["darwin", "arm64", "osx-arm64.tar.gz", "arm64"],
    ["win32", "x64", "win-amd64.zip", "x64"],
    ["win32", "arm64", "win-amd64.zip", "x64"],
  ])("%s/%s is %s", (platform, arch, file, binaryArch) => {
    expect(releaseOf(ISTIOCTL, { version: "1.26.3", mirror: "https://example.test/a/", platform, arch })).toEqual({
      url: `https://example.test/a/1.26.3/istioctl-1.26.3-${file}`,
      file: `istioctl-1.26.3-${file}`,
      folder: "",
      arch: binaryArch,
    });
  });

  test.each([
    ["linux", "s390x", "https://m.test", /no release of istioctl for linux\/s390x/],
    ["linux", "x64", "m.test/releases", /not an http or https URL/],
    ["linux", "x64", "file:///releases", /not an http or https URL/],
  ])("%s/%s from %s is refused", (platform, arch, from, message) => {
    expect(() => releaseOf(ISTIOCTL, { version: "1.26.3", mirror: from, platform, arch })).toThrow(message);
  });
});

describe("a download", () => {
  test.each(["", "/", "/releases/"])("is unpacked, executable and cached (mirror ends in %j)", async (end) => {
    serve("tar", LINUX, "istioctl", end.replace(/\/$/, ""));
    const path = await ensure({ mirror: `${mirror}${end}` });
    expect(path).toBe(join(dir, "cache", "istioctl", VERSION, "x64", "istioctl"));
    expect(execFileSync(path, { encoding: "utf8" })).toBe("fake istioctl\n");
    expect(readdirSync(join(dir, "temp"))).toEqual([]);
    expect(requests).toHaveLength(2);

    // The second time nothing is asked of the mirror.
    expect(await ensure({ mirror: `${mirror}${end}` })).toBe(path);
    expect(requests).toHaveLength(2);
    expect(progress).toEqual([expect.stringMatching(/^downloading http/), `istioctl ${VERSION} is in the tool cache`]);
  });

  test("is not taken from the cache for another version, another machine, or where the file is gone", async () => {
    serve("tar", LINUX);
    const path = await ensure();
    await failure({ version: "1.32.0" });
    await failure({ arch: "arm64" });
    rmSync(path);
    expect(await ensure()).toBe(path);
    expect(existsSync(path)).toBe(true);
  });

  const zip = spawnSync("zip", ["-v"]).status === 0 && spawnSync("unzip", ["-v"]).status === 0;
  const unzipped = leftOut("an archive that zip makes, which is not on the PATH", !zip || process.platform === "win32");
  test.skipIf(unzipped)("may be a zip, for Windows", async () => {
    serve("zip", `istioctl-${VERSION}-win-amd64.zip`, "istioctl.exe");
    const path = await ensure({ platform: "win32", arch: "arm64" });
    expect(path).toBe(join(dir, "cache", "istioctl", VERSION, "x64", "istioctl.exe"));
    expect(readFileSync(path, "utf8")).toBe(SCRIPT);
  });

  test("logs in at a mirror whose URL holds a password, and does not show it", async () => {
    serve("tar", LINUX);
    await ensure({ mirror: mirror.replace("//", "//me:s%40crt@") });
    expect(requests.map(({ authorization }) => authorization)).toEqual(Array(2).fill(`Basic ${btoa("me:s@crt")}`));
    expect(progress.join()).not.toContain("crt");
  });

  const answer = (head: string, body = "") => `HTTP/1.1 ${head}\r\nconnection: close\r\n\r\n${body}`;
  test.each<[string, (socket: Socket) => void, RegExp]>([
    ["a connection that breaks", (socket) => void socket.destroy(), /in 0\.\d s: /],
    [
      "an archive that breaks off",
      (socket) => void socket.end(answer("200 OK\r\ncontent-length: 5000", "half of it")),
      /in 0\.\d s: /,
    ],
    ["503", (socket) => void socket.end(answer("503 Busy\r\ncontent-length: 0")), /in 0\.\d s: HTTP 503$/],
    [
      "429 with Retry-After",
      (socket) => void socket.end(answer("429 Slow down\r\nretry-after: 7\r\ncontent-length: 0")),
      /in 7\.\d s: HTTP 429$/,
    ],
  ])("is tried again after %s, by the rule of all requests, and says so", async (_, fault, told) => {
    const body = serve("tar", LINUX);
    files.set(`/${VERSION}/${LINUX}`, (socket) => {
      files.set(`/${VERSION}/${LINUX}`, body);
      fault(socket);
    });
    expect(existsSync(await ensure())).toBe(true);
    expect(progress).toEqual([
      expect.stringMatching(/^downloading /),
      expect.stringMatching(new RegExp(`^download http.*${LINUX}: try 2 ${told.source}`)),
    ]);
  });

  test("follows to where the release file is, without the password of the mirror", async () => {
    const body = serve("tar", LINUX);
    const other = createServer((request, response) => {
      requests.push({ path: "elsewhere", authorization: request.headers.authorization });
      response.end(body);
    });
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
    const { port } = other.address() as AddressInfo;
    const head = `302 Found\r\nlocation: http://127.0.0.1:${port}/x\r\ncontent-length: 0`;
    files.set(`/${VERSION}/${LINUX}`, (socket) => void socket.end(answer(head)));
    expect(existsSync(await ensure({ mirror: mirror.replace("//", "//me:secret@") }))).toBe(true);
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
    expect(requests.find(({ path }) => path === "elsewhere")).toEqual({ path: "elsewhere", authorization: undefined });
  });
});

describe("a download is refused", () => {
  test.each<[string, (body: Buffer) => void, RegExp]>([
    [
      "with a wrong sum",
      () => files.set(`/${VERSION}/${LINUX}.sha256`, `${"0".repeat(64)} ${LINUX}`),
      /checksum of http:.* is wrong: .*0{64} is listed/,
    ],
    ["when it was cut", (body) => files.set(`/${VERSION}/${LINUX}`, body.subarray(0, 50)), /checksum of .* is wrong/],
    [
      "with a page for a sum",
      () => files.set(`/${VERSION}/${LINUX}.sha256`, "<html>log in</html>"),
      /does not hold a SHA-256 sum/,
    ],
    ["with an empty sum", () => files.set(`/${VERSION}/${LINUX}.sha256`, ""), /does not hold a SHA-256 sum/],
    ["without a sum", () => files.delete(`/${VERSION}/${LINUX}.sha256`), /There is no http:.*\.sha256 \(404\)/],
    ["when there is no such version", () => files.clear(), /There is no http:.*amd64\.tar\.gz \(404\)/],
    ["without istioctl in it", () => void serve("tar", LINUX, "other"), /does not hold istioctl/],
    [
      "when the connection breaks each time",
      () => files.set(`/${VERSION}/${LINUX}`, (socket) => void socket.resetAndDestroy()),
      /ECONNRESET/,
    ],
  ])("%s", async (_, spoil, message) => {
    spoil(serve("tar", LINUX));
    expect((await failure()).message).toMatch(message);
    expectNothing();
  });

  test("from a mirror that nobody answers at", async () => {
    const { message, hint } = await failure({ mirror: "http://127.0.0.1:1" });
    expect(message).toMatch(/127\.0\.0\.1:1\/.*ECONNREFUSED/);
    expect(hint).toContain("istioctl-mirror");
    expectNothing();
  });

  test("after an answer other than 404", async () => {
    serve("tar", LINUX);
    const body = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    files.set(`/${VERSION}/${LINUX}`, (socket) => void socket.end(body));
    expect((await failure()).message).toMatch(/was answered with HTTP status 403/);
    expectNothing();
  });

  test("at once after a 404, and when the time is up", async () => {
    await failure();
    expect(requests).toHaveLength(2);
    serve("tar", LINUX);
    files.set(`/${VERSION}/${LINUX}`, () => {});
    expect((await failure({ deadline: new Deadline(50) })).message).toMatch(/in time/);
    expectNothing();
  });

  test("after a Retry-After beyond the deadline, at once", async () => {
    serve("tar", LINUX);
    const busy = "HTTP/1.1 503 Busy\r\nretry-after: 3600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    files.set(`/${VERSION}/${LINUX}`, (socket) => void socket.end(busy));
    expect((await failure()).message).toMatch(/was answered with HTTP status 503/);
    expect(progress).toHaveLength(1);
  });

  test.each(["RUNNER_TOOL_CACHE", "RUNNER_TEMP"])("without %s", async (name) => {
    vi.stubEnv(name, "");
    expect((await failure()).message).toContain(name);
  });
});

describe("a path", () => {
  test("is used as it is, without a runner's directories", async () => {
    vi.stubEnv("RUNNER_TEMP", "");
    const path = join(dir, "mine");
    writeFileSync(path, SCRIPT);
    chmodSync(path, 0o755);
    expect(await ensure({ path })).toBe(path);
    expect(requests).toEqual([]);
  });

  test("must name a file", async () => {
    expect((await failure({ path: join(dir, "none") })).message).toMatch(/there is no file/);
    expect((await failure({ path: dir })).message).toMatch(/there is no file/);
  });

  const modeless = leftOut("a file that is not executable, which Windows does not know", process.platform === "win32");
  test.skipIf(modeless)("must be executable", async () => {
    const path = join(dir, "plain");
    writeFileSync(path, SCRIPT, { mode: 0o644 });
    expect((await failure({ path })).message).toMatch(/not executable/);
  });
});
