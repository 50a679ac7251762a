import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, chmod, constants, mkdir, readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import * as cache from "@actions/tool-cache";
import { Failure } from "../mesh/failure.ts";

const TOOL = "istioctl";

/** Istio's release files by Node's names of platform and architecture; `arch` is the one that the binary is made for. */
const RELEASES: Readonly<Record<string, { file: string; arch: string }>> = {
  "linux/x64": { file: "linux-amd64.tar.gz", arch: "x64" },
  "linux/arm64": { file: "linux-arm64.tar.gz", arch: "arm64" },
  "linux/arm": { file: "linux-armv7.tar.gz", arch: "arm" },
  "darwin/x64": { file: "osx-amd64.tar.gz", arch: "x64" },
  "darwin/arm64": { file: "osx-arm64.tar.gz", arch: "arm64" },
  "win32/x64": { file: "win-amd64.zip", arch: "x64" },
  // Istio has no release for Windows on ARM; Windows 11 runs the amd64 one under emulation.
  "win32/arm64": { file: "win-amd64.zip", arch: "x64" },
};

export interface IstioctlOptions {
  /** `X.Y.Z`, perhaps with a suffix such as `-lab`; without a leading `v`. */
  readonly version: string;
  /** URL under which `<version>/istioctl-<version>-<platform>` and its `.sha256` are served. */
  readonly mirror: string;
  /** Use this binary and download nothing. */
  readonly path?: string;
  /** Node's names; default: those of this process. */
  readonly platform?: string;
  readonly arch?: string;
  /** Ends the download; what it leaves behind is removed all the same. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

/** A release as it is fetched. */
export interface Release {
  /** Without user name and password: fit for messages. */
  readonly url: string;
  readonly file: string;
  /** Node's name of the binary's architecture. */
  readonly arch: string;
  /** Value of the Authorization header, where the mirror's URL holds a user name. */
  readonly authorization?: string;
}

/**
 * Where the release of this version is for this machine. Throws a `Failure` for a platform that Istio does not release for,
 * or a mirror that is no http(s) URL.
 */
export function releaseOf({
  version,
  mirror,
  platform = process.platform,
  arch = process.arch,
}: IstioctlOptions): Release {
  const release = RELEASES[`${platform}/${arch}`];
  if (!release)
    throw new Failure(
      `There is no release of istioctl for ${platform}/${arch}.`,
      "Use a runner with Linux, macOS or Windows on amd64 or arm64, or give an istioctl of your own by `istioctl-path`.",
    );
  const base = URL.canParse(mirror) ? new URL(mirror) : undefined;
  if (!base || !["http:", "https:"].includes(base.protocol))
    throw new Failure(
      "The input istioctl-mirror is not an http or https URL.",
      "It is the address under which `<version>/istioctl-<version>-<platform>` is served.",
    );
  const { username, password } = base;
  base.username = base.password = base.hash = base.search = "";
  const file = `${TOOL}-${version}-${release.file}`;
  return {
    url: `${base.href.replace(/\/+$/, "")}/${version}/${file}`,
    file,
    arch: release.arch,
    ...(username
      ? {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`,
        }
      : {}),
  };
}

/**
 * Path of an istioctl of that version: the given one, the runner's tool cache, or a download whose SHA-256 sum is checked
 * before anything of it is unpacked or cached. Throws a `Failure` that says which of them failed and why.
 */
export async function ensureIstioctl(options: IstioctlOptions): Promise<string> {
  if (options.path) return usable(options.path);
  const release = releaseOf(options);
  for (const name of ["RUNNER_TOOL_CACHE", "RUNNER_TEMP"])
    if (!process.env[name])
      throw new Failure(
        `The environment variable ${name} is not set, so there is no place to keep istioctl.`,
        "A GitHub runner sets it. Elsewhere set it to a directory, or give an istioctl by `istioctl-path`.",
      );
  const binary = (options.platform ?? process.platform) === "win32" ? `${TOOL}.exe` : TOOL;
  const cached = cache.find(TOOL, options.version, release.arch);
  if (cached && (await isFile(join(cached, binary)))) {
    options.onProgress?.(`istioctl ${options.version} is in the tool cache`);
    return join(cached, binary);
  }
  options.onProgress?.(`downloading ${release.url}`);
  const { signal } = options;
  const download = fetchAndCache(release, options.version, binary);
  if (!signal) return download;
  return Promise.race([download, aborted(signal, release.url)]);
}

async function usable(path: string): Promise<string> {
  const full = resolve(path);
  if (!(await isFile(full)))
    throw new Failure(
      `The input istioctl-path names ${path}, where there is no file.`,
      "Correct the path, or leave it out.",
    );
  try {
    // On Windows there is no such permission, and this passes.
    await access(full, constants.X_OK);
  } catch {
    throw new Failure(
      `The file ${path} (istioctl-path) is not executable.`,
      `Run \`chmod +x ${path}\` before this step.`,
    );
  }
  return full;
}

async function fetchAndCache(release: Release, version: string, binary: string): Promise<string> {
  // A directory of its own under its proper name: Windows' unpacker wants a file that ends in .zip.
  const work = join(process.env.RUNNER_TEMP!, `${TOOL}-${randomUUID()}`);
  const archive = join(work, release.file);
  try {
    await mkdir(work, { recursive: true });
    const get = (suffix: string) => fetchFile(`${release.url}${suffix}`, `${archive}${suffix}`, release.authorization);
    // Both end before anything is removed or reported; the archive's own failure says more than its checksum's.
    const [file, sum] = await Promise.allSettled([get(""), get(".sha256")]);
    for (const outcome of [file, sum]) if (outcome.status === "rejected") throw outcome.reason;
    await verify(archive, release.url);
    const unpacked = join(work, "unpacked");
    await (archive.endsWith(".zip") ? cache.extractZip(archive, unpacked) : cache.extractTar(archive, unpacked));
    const source = join(unpacked, binary);
    if (!(await isFile(source)))
      throw new Failure(
        `The archive ${release.url} does not hold ${binary}.`,
        "Does the mirror serve Istio's own release files?",
      );
    await chmod(source, 0o755);
    return join(await cache.cacheFile(source, binary, TOOL, version, release.arch), binary);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** tool-cache tries three times, 10 to 20 seconds apart, except after an answer below 500, which it passes on at once. */
async function fetchFile(url: string, path: string, authorization: string | undefined): Promise<void> {
  try {
    await cache.downloadTool(url, path, authorization);
  } catch (error) {
    const status = error instanceof cache.HTTPError ? error.httpStatusCode : undefined;
    if (status === 404)
      throw new Failure(
        `There is no ${url} (404).`,
        "Either there is no such Istio release (istio-version), or istioctl-mirror is wrong: it must serve `<version>/istioctl-<version>-<platform>` and the `.sha256` beside it.",
        { cause: error },
      );
    if (status !== undefined)
      throw new Failure(`${url} was answered with HTTP status ${status}.`, mirrorHint, { cause: error });
    throw new Failure(`${url} could not be downloaded: ${reason(error)}.`, mirrorHint, { cause: error });
  }
}

const mirrorHint =
  "Does the runner reach that address? `istioctl-mirror` sets another one (`https_proxy` is honoured, and " +
  "`NODE_EXTRA_CA_CERTS` for a private CA); `istioctl-path` uses an istioctl that is there already.";

/** An error's code, with the message where that adds something; of several attempts (IPv4, IPv6) the first. */
function reason(error: unknown): string {
  const first = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const { code, message } = first as NodeJS.ErrnoException;
  return code && !message.includes(code) ? `${code} (${message})` : message || code || "unknown error";
}

async function verify(archive: string, url: string): Promise<void> {
  const listed = (await readFile(`${archive}.sha256`, "utf8")).trim().match(/^([0-9a-f]{64})(\s|$)/i)?.[1];
  if (!listed)
    throw new Failure(
      `${url}.sha256 does not hold a SHA-256 sum.`,
      "Does the mirror serve Istio's own release files, and not a page to log in?",
    );
  const hash = createHash("sha256");
  await pipeline(createReadStream(archive), hash);
  const actual = hash.digest("hex");
  if (actual !== listed.toLowerCase())
    throw new Failure(
      `The checksum of ${url} is wrong: its SHA-256 sum is ${actual}, but ${listed.toLowerCase()} is listed. It was removed.`,
      "Run again in case it was cut on its way. If it stays so, the file at the mirror is not the one that was released: do not use it.",
    );
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function aborted(signal: AbortSignal, url: string): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(new Failure(`${url} could not be downloaded in time.`, mirrorHint));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
