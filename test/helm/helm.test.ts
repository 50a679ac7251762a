import { execFileSync } from "node:child_process";
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
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadline } from "../../src/cluster/deadline.ts";
import type { Member } from "../../src/cluster/member.ts";
import { helmFor, installArgs } from "../../src/helm/helm.ts";
import { HELM, HELM_VERSION } from "../../src/helm/release.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { releaseOf } from "../../src/tools/download.ts";
import { leftOut } from "../left-out.ts";

const OPERATOR = { version: "1.28.3", chart: "https://charts.example/sail-operator-1.28.3.tgz" };
const SECRET = "the-token-of-the-administrator";
const member = {
  spec: { name: "east", network: "n", values: {} },
  kubeconfig: { context: "admin" },
  cluster: { kubeconfig: async () => `{"token":"${SECRET}"}`, list: async () => [] },
} as unknown as Member;

let dir: string;
let server: Server;
let mirror: string;
let files: Map<string, Buffer | string>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "helm-"));
  for (const folder of ["temp", "secret", "bin"]) mkdirSync(join(dir, folder));
  vi.stubEnv("RUNNER_TEMP", join(dir, "temp"));
  vi.stubEnv("RUNNER_TOOL_CACHE", join(dir, "cache"));
  for (const name of ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"]) vi.stubEnv(name, undefined);
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
  files = new Map();
  server = createServer((request, response) => {
    const found = files.get(request.url ?? "");
    if (found === undefined) response.writeHead(404).end();
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

const helm = (deadline = new Deadline(90_000)) =>
  helmFor({ mirror, deadline, platform: "linux", arch: "x64" }, join(dir, "secret"), ["EAST"]);

/** A Helm on the PATH that keeps what it was given, and then does this. */
function fake(script = ""): void {
  const path = join(dir, "bin", "helm");
  const keep = `printf '%s\\n' "$@" > ${dir}/args; env > ${dir}/env
for a in "$@"; do case $a in --kubeconfig=*) cp "\${a#*=}" ${dir}/kubeconfig; ls -l "\${a#*=}" > ${dir}/mode;; esac; done`;
  writeFileSync(path, `#!/bin/sh\n${keep}\n${script}\n`);
  chmodSync(path, 0o755);
  vi.stubEnv("PATH", `${join(dir, "bin")}:${process.env.PATH}`);
}
const kept = (name: string) => readFileSync(join(dir, name), "utf8");

test.each([
  ["sail-operator/sail-operator", true],
  ["oci://registry.example/charts/sail-operator", true],
  ["./charts/sail-operator", false],
  ["/charts/sail-operator", false],
  ["https://charts.example/sail-operator-1.28.3.tgz", false],
])("the version of a chart in a repository is named (%s: %s)", (chart, named) => {
  expect(installArgs({ ...OPERATOR, chart }).includes("--version=1.28.3")).toBe(named);
});

const windows = leftOut("running Helm, for which a shell script stands in", process.platform === "win32");
describe.skipIf(windows)("running Helm", () => {
  test("gives it the kubeconfig as a private file, gone afterwards, and no secret otherwise", async () => {
    fake();
    vi.stubEnv("EAST", SECRET);
    vi.stubEnv("INPUT_CLUSTER1-KUBECONFIG", SECRET);
    await helm().installOperator(OPERATOR, member);
    expect(kept("args")).not.toContain(SECRET);
    expect(kept("env")).not.toContain(SECRET);
    expect(kept("kubeconfig")).toContain(SECRET);
    expect(kept("mode")).toMatch(/^-rw-------/);
    expect(readdirSync(join(dir, "secret"))).toEqual([]);
  });

  test("installs or completes the release, and waits as long as the run may take", async () => {
    fake();
    await helm().installOperator(OPERATOR, member);
    const args = kept("args").trimEnd().split("\n");
    expect(args.slice(0, 8)).toEqual([
      "upgrade",
      "--install",
      "sail-operator",
      OPERATOR.chart,
      "--create-namespace",
      "--labels=istio-mesh-action=true",
      "--wait",
      "--namespace=sail-operator",
    ]);
    expect(args[8]).toMatch(/^--timeout=(8\d|90)s$/);
    expect(args[9]).toMatch(/^--kubeconfig=./);
    expect(args.slice(10)).toEqual(["--kube-context=admin"]);
  });

  const release = (labels: object) => ({ metadata: { name: "r", labels: { status: "pending-install", ...labels } } });
  const ours = release({ "istio-mesh-action": "true" });
  test.each<[string, object[], boolean]>([
    ["that this action was cut off in is begun again", [ours], true],
    ["of somebody else's is left", [release({})], false],
    ["that is done, but for an upgrade, is left", [release({ status: "deployed" }), ours], false],
    ["that is upgraded is left", [release({ "istio-mesh-action": "true", status: "pending-upgrade" })], false],
  ])("an installation %s", async (_, releases, again) => {
    fake(`echo "$1" >> ${dir}/commands
case $1 in uninstall) touch ${dir}/gone; exit 0;; esac
[ -e ${dir}/gone ] || { echo 'Error: another operation (install/upgrade/rollback) is in progress' >&2; exit 1; }`);
    const cluster = { ...member.cluster, list: async () => releases };
    const installing = helm().installOperator(OPERATOR, { ...member, cluster } as unknown as Member);
    if (again) await installing;
    else await expect(installing).rejects.toThrow(/in progress/);
    const commands = kept("commands").trimEnd().split("\n");
    expect(commands).toEqual(again ? ["upgrade", "uninstall", "upgrade"] : ["upgrade"]);
  });

  test.each([
    ["echo 'Error: clusterroles is forbidden' >&2; exit 1", /forbidden/, /administrator/],
    ["echo 'Error: chart not found' >&2; exit 1", /chart not found/, /operator-chart/],
    ["echo 'Error: another operation (install) is in progress' >&2; exit 1", /in progress/, /rollback/],
    ["echo 'Error: context deadline exceeded' >&2; exit 1", /deadline exceeded/, /get pods/],
    ["exit 3", /exit code 3/, /get pods/],
    ["echo 'password: hunter2hunter2' >&2; exit 1", /\*\*\*/, /get pods/],
  ])("that fails tells why (%#)", async (script, cause, hint) => {
    fake(script);
    const error = await helm()
      .installOperator(OPERATOR, member)
      .then(
        () => undefined,
        (thrown: Failure) => thrown,
      );
    expect(error).toBeInstanceOf(Failure);
    expect(error?.message).toMatch(/^Helm could not install the Sail Operator in east: /);
    expect(error?.message).toMatch(cause);
    expect(error?.hint).toMatch(hint);
    expect(readdirSync(join(dir, "secret"))).toEqual([]);
  });

  test("is ended at the deadline", async () => {
    fake("exec sleep 60");
    const controller = new AbortController();
    const installing = helm(new Deadline(90_000, controller.signal)).installOperator(OPERATOR, member);
    await vi.waitFor(() => expect(existsSync(join(dir, "mode"))).toBe(true), { timeout: 20_000 });
    controller.abort();
    await expect(installing).rejects.toThrow(/did not finish the Sail Operator of east in time/);
  });

  test("takes the one on the PATH", async () => {
    fake();
    expect(await helm().ready()).toBe(join(dir, "bin", "helm"));
  });

  test("is downloaded and checked where there is none", async () => {
    vi.stubEnv("PATH", "/usr/bin:/bin");
    mkdirSync(join(dir, "linux-amd64"));
    writeFileSync(join(dir, "linux-amd64", "helm"), "#!/bin/sh\necho downloaded\n");
    const file = `helm-v${HELM_VERSION}-linux-amd64.tar.gz`;
    execFileSync("tar", ["-czf", join(dir, file), "-C", dir, "linux-amd64"]);
    const body = readFileSync(join(dir, file));
    files.set(`/${file}`, body);
    files.set(`/${file}.sha256sum`, `${"0".repeat(64)}  ${file}\n`);
    await expect(helm().ready()).rejects.toThrow(/checksum of .* is wrong/);
    files.set(`/${file}.sha256sum`, `${createHash("sha256").update(body).digest("hex")}  ${file}\n`);
    const path = await helm().ready();
    expect(path).toBe(join(dir, "cache", "helm", HELM_VERSION, "x64", "helm"));
    expect(execFileSync(path, { encoding: "utf8" })).toBe("downloaded\n");
  });

  test("says how to do without the download", async () => {
    vi.stubEnv("PATH", "/usr/bin:/bin");
    const error = await helm()
      .ready()
      .catch((thrown: Failure) => thrown as Failure);
    expect((error as Failure).message).toMatch(/There is no http.*helm-v/);
    expect((error as Failure).hint).toMatch(/helm-mirror/);
  });
});

test.each([
  ["linux", "arm64", "linux-arm64.tar.gz", "linux-arm64"],
  ["darwin", "arm64", "darwin-arm64.tar.gz", "darwin-arm64"],
  ["win32", "x64", "windows-amd64.zip", "windows-amd64"],
])("Helm's release for %s/%s is %s", (platform, arch, file, folder) => {
  expect(releaseOf(HELM, { version: "3.22.0", mirror: "https://get.example", platform, arch })).toMatchObject({
    url: `https://get.example/helm-v3.22.0-${file}`,
    folder,
  });
});
