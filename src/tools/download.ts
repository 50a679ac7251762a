import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, chmod, constants, mkdir, readFile, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Deadline } from "../cluster/deadline.ts";
import { download, type NotDownloaded } from "../cluster/download.ts";
import { Failure } from "../mesh/failure.ts";

/** Loaded where something is looked for or downloaded: it brings an HTTP client of its own. */
const toolCache = () => import("@actions/tool-cache");

/** A program that its project releases as an archive for each platform, with a SHA-256 sum beside it. */
export interface Tool {
  readonly name: string;
  /** Whose release it is, for messages. */
  readonly project: string;
  /** By Node's names of platform and architecture, `linux/x64`; `arch` is the one that the binary is made for. */
  readonly releases: Readonly<Record<string, { readonly file: string; readonly arch: string }>>;
  /** Path of the archive below the mirror's URL. */
  archive(version: string, file: string): string;
  /** What the sum's file is called, after the archive's own name. */
  readonly sum: ".sha256" | ".sha256sum";
  /** Folder of the program in the archive. */
  folder(file: string): string;
  /** The inputs that set its version, its mirror and its path, for messages. */
  readonly inputs: { readonly version: string; readonly mirror: string; readonly path?: string };
  /** What the mirror has to serve, for messages. */
  readonly serves: string;
}

export interface ToolOptions {
  /** `X.Y.Z`, perhaps with a suffix such as `-lab`; without a leading `v`. */
  readonly version: string;
  /** URL under which the archive and its sum are served. */
  readonly mirror: string;
  /** Use this binary and download nothing. */
  readonly path?: string;
  /** Node's names; default: those of this process. */
  readonly platform?: string;
  readonly arch?: string;
  /** Ends the download; what it leaves behind is removed all the same. */
  readonly deadline: Deadline;
  readonly onProgress?: (message: string) => void;
}

/** A release as it is fetched. */
export interface Release {
  /** Without user name and password: fit for messages. */
  readonly url: string;
  readonly file: string;
  /** Of the program in the archive. */
  readonly folder: string;
  /** Node's name of the binary's architecture. */
  readonly arch: string;
  /** Value of the Authorization header, where the mirror's URL holds a user name. */
  readonly authorization?: string;
}

/**
 * Where the release of this version is for this machine. Throws a `Failure` for a platform that there is none for, or a
 * mirror that is no http(s) URL.
 */
export function releaseOf(
  tool: Tool,
  { version, mirror, platform = process.platform, arch = process.arch }: Omit<ToolOptions, "deadline">,
): Release {
  const release = tool.releases[`${platform}/${arch}`];
  if (!release)
    throw new Failure(
      `There is no release of ${tool.name} for ${platform}/${arch}.`,
      `Use a runner with Linux, macOS or Windows on amd64 or arm64, or ${ownProgram(tool)}.`,
    );
  const base = URL.canParse(mirror) ? new URL(mirror) : undefined;
  if (!base || !["http:", "https:"].includes(base.protocol))
    throw new Failure(
      `The input ${tool.inputs.mirror} is not an http or https URL.`,
      `It is the address under which ${tool.serves} is served.`,
    );
  const { username, password } = base;
  base.username = base.password = base.hash = base.search = "";
  const path = tool.archive(version, release.file);
  return {
    url: `${base.href.replace(/\/+$/, "")}/${path}`,
    file: path.split("/").at(-1) as string,
    folder: tool.folder(release.file),
    arch: release.arch,
    ...(username
      ? {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`,
        }
      : {}),
  };
}

/** How to do without a download. */
function ownProgram({ name, inputs }: Tool): string {
  return inputs.path ? `give one of your own by \`${inputs.path}\`` : `have ${name} on the PATH`;
}

/**
 * Path of the program in that version: the given one, the runner's tool cache, or a download whose SHA-256 sum is checked
 * before anything of it is unpacked or cached. Throws a `Failure` that says which of them failed and why.
 */
export async function ensureTool(tool: Tool, options: ToolOptions): Promise<string> {
  if (options.path) return usable(tool, options.path);
  const release = releaseOf(tool, options);
  for (const name of ["RUNNER_TOOL_CACHE", "RUNNER_TEMP"])
    if (!process.env[name])
      throw new Failure(
        `The environment variable ${name} is not set, so there is no place to keep ${tool.name}.`,
        `A GitHub runner sets it. Elsewhere set it to a directory, or ${ownProgram(tool)}.`,
      );
  const binary = (options.platform ?? process.platform) === "win32" ? `${tool.name}.exe` : tool.name;
  const cache = await toolCache();
  const cached = cache.find(tool.name, options.version, release.arch);
  if (cached && (await isFile(join(cached, binary)))) {
    options.onProgress?.(`${tool.name} ${options.version} is in the tool cache`);
    return join(cached, binary);
  }
  options.onProgress?.(`downloading ${release.url}`);
  return fetchAndCache(tool, release, options, binary);
}

async function usable({ inputs }: Tool, path: string): Promise<string> {
  const full = resolve(path);
  if (!(await isFile(full)))
    throw new Failure(
      `The input ${inputs.path} names ${path}, where there is no file.`,
      "Correct the path, or leave it out.",
    );
  try {
    // On Windows there is no such permission, and this passes.
    await access(full, constants.X_OK);
  } catch {
    throw new Failure(
      `The file ${path} (${inputs.path}) is not executable.`,
      `Run \`chmod +x ${path}\` before this step.`,
    );
  }
  return full;
}

async function fetchAndCache(tool: Tool, release: Release, options: ToolOptions, binary: string): Promise<string> {
  const { version } = options;
  // A directory of its own under its proper name: Windows' unpacker wants a file that ends in .zip.
  const work = join(process.env.RUNNER_TEMP!, `${tool.name}-${randomUUID()}`);
  const archive = join(work, release.file);
  const cache = await toolCache();
  try {
    await mkdir(work, { recursive: true });
    const get = (suffix: string) => fetchFile(tool, release, suffix, `${archive}${suffix}`, options);
    // Both end before anything is removed or reported; the archive's own failure says more than its checksum's.
    const [file, sum] = await Promise.allSettled([get(""), get(tool.sum)]);
    for (const outcome of [file, sum]) if (outcome.status === "rejected") throw outcome.reason;
    await verify(tool, archive, release.url);
    const unpacked = join(work, "unpacked");
    await (archive.endsWith(".zip") ? cache.extractZip(archive, unpacked) : cache.extractTar(archive, unpacked));
    const source = join(unpacked, release.folder, binary);
    if (!(await isFile(source)))
      throw new Failure(
        `The archive ${release.url} does not hold ${binary}.`,
        `Does the mirror serve ${tool.project}'s own release files?`,
      );
    await chmod(source, 0o755);
    return join(await cache.cacheFile(source, binary, tool.name, version, release.arch), binary);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function fetchFile(
  tool: Tool,
  release: Release,
  suffix: string,
  path: string,
  { deadline, onProgress = () => {} }: ToolOptions,
): Promise<void> {
  const { inputs } = tool;
  const url = `${release.url}${suffix}`;
  const { authorization } = release;
  const problem: NotDownloaded = await download(url, path, { authorization, deadline, onRetry: onProgress });
  if (!problem) return;
  if (deadline.passed) throw new Failure(`${url} could not be downloaded in time.`, mirrorHint(tool));
  if ("error" in problem)
    throw new Failure(`${url} could not be downloaded: ${reason(problem.error)}.`, mirrorHint(tool), {
      cause: problem.error,
    });
  if (problem.status === 404)
    throw new Failure(
      `There is no ${url} (404).`,
      `Either there is no such ${tool.project} release (${inputs.version}), or ${inputs.mirror} is wrong: it must serve ${tool.serves} and the \`${tool.sum}\` beside it.`,
    );
  throw new Failure(`${url} was answered with HTTP status ${problem.status}.`, mirrorHint(tool));
}

function mirrorHint(tool: Tool): string {
  return (
    `Does the runner reach that address? \`${tool.inputs.mirror}\` sets another one (\`https_proxy\` is honoured, and ` +
    `\`NODE_EXTRA_CA_CERTS\` for a private CA); or ${ownProgram(tool)}.`
  );
}

/** An error's code, with the message where that adds something; of several attempts (IPv4, IPv6) the first. */
function reason(error: unknown): string {
  const first = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
  const { code, message } = first as NodeJS.ErrnoException;
  return code && !message.includes(code) ? `${code} (${message})` : message || code || "unknown error";
}

async function verify({ project, sum }: Tool, archive: string, url: string): Promise<void> {
  const listed = (await readFile(`${archive}${sum}`, "utf8")).trim().match(/^([0-9a-f]{64})(\s|$)/i)?.[1];
  if (!listed)
    throw new Failure(
      `${url}${sum} does not hold a SHA-256 sum.`,
      `Does the mirror serve ${project}'s own release files, and not a page to log in?`,
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
