import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type Dispatcher, EnvHttpProxyAgent, interceptors, request } from "undici";
import { type Deadline, heeding } from "./deadline.ts";
import { isTransient } from "./errors.ts";
import { plain, retryAfter } from "./headers.ts";
import { type OnRetry, PATIENCE, PATIENCE_AT_FIRST, retrying, TRIED_AGAIN, type Try } from "./retry.ts";

/** A server may be silent for this long. Milliseconds. */
const SILENCE = 20_000;
/** GitHub's release files are elsewhere, one step from their address. */
const REDIRECTIONS = 5;

export interface DownloadOptions {
  /** Value of the Authorization header; another host that it leads to is not given it. */
  readonly authorization?: string | undefined;
  readonly deadline: Deadline;
  readonly onRetry: OnRetry;
}

/** The status of the answer that stayed, or the error that did; nothing where the file is there, whole. */
export type NotDownloaded = { readonly status: number } | { readonly error: unknown } | undefined;

/** Fetches a URL into a file, by way of the proxy that the environment names. Tried again as `retry.ts` has it. */
export async function download(
  url: string,
  path: string,
  { authorization, deadline, onRetry }: DownloadOptions,
): Promise<NotDownloaded> {
  const agent = new EnvHttpProxyAgent();
  const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: REDIRECTIONS }));
  let answered = false;
  const patience = () => (answered ? PATIENCE : PATIENCE_AT_FIRST);
  try {
    return await retrying(`download ${url}`, { deadline, patience, onRetry }, async (): Promise<Try<NotDownloaded>> => {
      try {
        const { statusCode: status, headers, body } = await get(url, dispatcher, authorization, deadline.signal);
        answered = true;
        if (status === 200) {
          await pipeline(body, createWriteStream(path), { signal: deadline.signal });
          return { done: undefined };
        }
        await body.dump();
        if (!TRIED_AGAIN.has(status)) return { done: { status } };
        const { "retry-after": header } = plain(headers);
        return { problem: `HTTP ${status}`, after: retryAfter(header), end: () => ({ status }) };
      } catch (error) {
        const end = { error };
        if (deadline.passed || !isTransient(error)) return { done: end };
        return { problem: error instanceof Error ? error.message : String(error), end: () => end };
      }
    });
  } finally {
    void agent.destroy().catch(() => {});
  }
}

function get(
  url: string,
  dispatcher: Dispatcher,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const headers = authorization ? { authorization } : {};
  return heeding(request(url, { dispatcher, headers, signal, headersTimeout: SILENCE, bodyTimeout: SILENCE }), signal);
}
