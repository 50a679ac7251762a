// Finds secrets where none may be: as they are, cut off, encoded, or as a piece of something encoded.
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseTarGzip } from "nanotar";
import { parse } from "yaml";
import { decoded as withoutEntities } from "./report/reading.ts";
import type { RunResult } from "./runner.ts";

/** So many characters of a secret in a row are no chance. */
const PIECE = 16;
const ARMOUR = /^-----(BEGIN|END) [A-Z0-9 ]+-----$/;

/** What a detector needs of a cluster. */
interface Watched {
  subscribe(listener: (event: { readonly object: Json }) => void): () => void;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind
type Json = any;

/** Texts by the names of the places where they were found. */
export type Places = Readonly<Record<string, string>>;

/** Every secret that a test knows of, and what is found of them in a text. */
export class Canaries {
  /** Which secret a piece is of. */
  readonly #pieces = new Map<string, string>();
  /** Of what is public, but nothing to be told. */
  readonly #public = new Set<string>();
  readonly #added = new Set<string>();

  /** How many secrets there are. */
  get size(): number {
    return this.#added.size;
  }

  /** @param name how a leak is told; the secret itself is never repeated */
  add(name: string, secret: unknown): this {
    if (typeof secret !== "string" || secret.length < PIECE || this.#added.has(secret)) return this;
    this.#added.add(secret);
    for (const piece of piecesOf(secret)) if (!this.#pieces.has(piece)) this.#pieces.set(piece, name);
    return this;
  }

  /** A certificate: it may be in objects that are there to tell of it, and nowhere else. What a key shares with it is public. */
  addPublic(name: string, text: unknown): this {
    if (typeof text !== "string" || this.#added.has(text)) return this;
    this.#added.add(text);
    this.#public.add(name);
    for (const piece of piecesOf(text))
      if (!this.#public.has(this.#pieces.get(piece) ?? "")) this.#pieces.set(piece, name);
    return this;
  }

  /** The credentials and the CA in a kubeconfig; its other lines are everywhere. */
  addKubeconfig(name: string, text: string): this {
    const { users, clusters } = parse(text.includes(":") ? text : Buffer.from(text, "base64").toString());
    for (const { user } of users ?? []) {
      this.add(`token of ${name}`, user.token);
      this.add(`password of ${name}`, user.password);
      this.#addEncoded(`key of ${name}`, user["client-key-data"]);
      this.#addEncoded(`certificate of ${name}`, user["client-certificate-data"], true);
      for (const { value } of user.exec?.env ?? []) this.add(`plugin's variable of ${name}`, value);
    }
    for (const { cluster } of clusters ?? []) {
      this.#addEncoded(`CA of ${name}`, cluster["certificate-authority-data"], true);
    }
    return this.addPublic(`kubeconfig of ${name}, encoded`, Buffer.from(text).toString("base64"));
  }

  /** All that a Secret holds. */
  addSecret(cluster: string, { metadata, data }: Json): this {
    for (const [key, value] of Object.entries<string>(data ?? {})) {
      const name = `${key} of Secret ${metadata.name} in ${cluster}`;
      const text = Buffer.from(value, "base64").toString();
      // A namespace is a name.
      if (key === "namespace") continue;
      if (/^(apiVersion|clusters):|"apiVersion":/m.test(text)) this.addKubeconfig(name, text);
      else this.#addEncoded(name, value, /CERTIFICATE/.test(text) && !/PRIVATE/.test(text));
    }
    return this;
  }

  /** What is in Secrets from now on, and was at any time. */
  watch(cluster: string, kube: Watched): this {
    kube.subscribe(({ object }) => {
      if (object.kind === "Secret") this.addSecret(cluster, object);
    });
    return this;
  }

  #addEncoded(name: string, value: unknown, isPublic = false): void {
    if (typeof value !== "string") return;
    const text = Buffer.from(value, "base64").toString();
    if (isPublic) this.addPublic(name, text);
    else this.add(name, text);
  }

  /** The names of the secrets of which something is in the text. */
  in(text: string): string[] {
    const found = new Set<string>();
    // As it stands, as a page of Markdown shows it, and as the runner reads a command.
    for (const shape of new Set([text, withoutEntities(text).replaceAll("\u200b", ""), fromPercent(text)]))
      for (let at = 0; at + PIECE <= shape.length; at++) {
        const name = this.#pieces.get(shape.slice(at, at + PIECE));
        if (name !== undefined) found.add(name);
      }
    return [...found];
  }

  /** A line for each secret that is found in a place. */
  leaks(places: Places): string[] {
    return Object.entries(places).flatMap(([place, text]) => this.in(text).map((name) => `${place}: ${name}`));
  }

  /** The same of objects that may tell what is public. */
  leaksOnCluster(places: Places): string[] {
    return Object.entries(places).flatMap(([place, text]) =>
      this.in(text).flatMap((name) => (this.#public.has(name) ? [] : [`${place}: ${name}`])),
    );
  }
}

function* piecesOf(secret: string): Generator<string> {
  for (const form of forms(secret)) for (let at = 0; at + PIECE <= form.length; at++) yield form.slice(at, at + PIECE);
}

/** What a secret looks like: its lines, without a PEM's armour; in base64, by itself, line by line, or within something. */
function forms(secret: string): Set<string> {
  const lines = secret
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.length >= PIECE && !ARMOUR.test(line));
  // What is encoded together with other text begins at any of three places; its edges are the other text's, too.
  const shifted = [0, 1, 2].flatMap((shift) =>
    lines.map((line) =>
      Buffer.from(`${"-".repeat(shift)}${line}`)
        .toString("base64")
        .slice(shift && 4, -4),
    ),
  );
  return new Set([
    ...lines,
    ...shifted,
    ...lines.map((line) => Buffer.from(line).toString("base64url")),
    ...lines.map(encodeURIComponent),
    ...lines.map((line) => JSON.stringify(line).slice(1, -1)),
    ...(ARMOUR.test(secret.split(/\r?\n/)[0] ?? "") ? [armoured(secret)] : []),
  ]);
}

/** A PEM as a whole in base64, without what all of them have in common. */
function armoured(pem: string): string {
  const start = Buffer.from(pem.split("\n")[0] ?? "").toString("base64").length;
  return Buffer.from(pem).toString("base64").slice(start, -44);
}

function fromPercent(text: string): string {
  return text.replaceAll(/%([0-9A-F]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** What a run told while it went on, but the commands by which it asked for masks, which no page shows. */
function withoutMasks(text: string): string {
  return text.replaceAll(/^::add-mask::.*$/gm, "");
}

/** What a run of the built action leaves for others to read. */
export type Told = Pick<
  RunResult,
  | "stdout"
  | "stderr"
  | "postStdout"
  | "postStderr"
  | "summary"
  | "outputs"
  | "state"
  | "annotations"
  | "report"
  | "left"
>;

/** Every place of a run of the built action where somebody may read. Masks are not trusted to hide anything. */
export function toldBy(result: Told): Places {
  return {
    "the log": withoutMasks(result.stdout),
    "standard error": withoutMasks(result.stderr),
    "post's log": withoutMasks(result.postStdout),
    "post's standard error": withoutMasks(result.postStderr),
    "the summary": result.summary,
    "the outputs": JSON.stringify(result.outputs),
    "the state": JSON.stringify(result.state),
    "the annotations": JSON.stringify(result.annotations),
    "the report": JSON.stringify(result.report ?? {}),
    ...Object.fromEntries(result.left.map(({ path, content }) => [`RUNNER_TEMP/${path}`, content])),
  };
}

/** The same, and every file that is below the run's folder. */
export async function placesOf(result: Told, folder: string): Promise<Places> {
  return { ...toldBy(result), ...(await placesIn(folder)) };
}

/** The same of a command that ran in this process. */
export function placesOfOutcome({
  report,
  warnings,
  istioctl,
}: Record<"report" | "warnings" | "istioctl", unknown>): Places {
  return {
    "the report": JSON.stringify(report),
    "the warnings": JSON.stringify(warnings),
    "istioctl's arguments": JSON.stringify(istioctl),
  };
}

/** Every file below a folder, archives opened. */
export async function placesIn(folder: string): Promise<Record<string, string>> {
  const places: Record<string, string> = {};
  for (const { path } of await filesIn(folder)) {
    const content = await readFile(path);
    const name = relative(folder, path);
    places[name] = content.toString("latin1");
    if (!/\.(tar\.gz|tgz)$/.test(path)) continue;
    for (const file of await parseTarGzip(content)) places[`${name}: ${file.name}`] = file.text;
  }
  return places;
}

export async function filesIn(folder: string): Promise<{ path: string; mode: number }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (path) => ({ path, mode: (await stat(path)).mode & 0o777 })));
}

/** Objects by their names, but for Secrets, which are where secrets belong; of those all but what they are for. */
export function placesOnCluster(objects: readonly Json[]): Places {
  return Object.fromEntries(
    objects.map((object) => {
      const { data: _, stringData: __, ...rest } = object;
      const { kind, metadata } = object;
      return [
        `${kind} ${metadata.namespace ?? ""}/${metadata.name}`,
        JSON.stringify(kind === "Secret" ? rest : object),
      ];
    }),
  );
}
