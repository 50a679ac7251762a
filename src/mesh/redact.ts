/** Shorter ones occur by chance all over a text. */
const SHORTEST = 8;
/** Of a secret that was cut off, so much at its beginning is one, still. */
const SHORTEST_PART = 16;
const HIDDEN = "***";
/** How long the lines are that base64 and openssl make. */
const LINES = [76, 64];

/** Every form of every secret that this process has come across, by its first characters. */
const known = new Map<string, string[]>();
/** Whether a secret may begin so: hardly any place in a text is the beginning of one, and all that is told is looked through. */
const beginnings = new Uint8Array(1 << 16);
/** What was noted already: the same objects are read again and again. */
const noted = new Set<string>();

/**
 * Notes a secret, which from then on is in nothing that is told: neither as it is, nor a line of it, nor in base64 or as a
 * part of a URL.
 */
export function withhold(secret: string): void {
  if (noted.has(secret)) return;
  noted.add(secret);
  const lines = secretLines(secret);
  if (lines.length === 0) return;
  const inUrl = lines.map((line) => encodeURIComponent(line.toWellFormed()));
  for (const form of new Set([...lines, ...inUrl])) note(form);
  withholdEncoded(secret);
  if (secret.trim() !== secret) withholdEncoded(secret.trim());
}

/** Whether it was noted already. */
export function isWithheld(secret: string): boolean {
  return noted.has(secret);
}

/** Notes the base64 of a text that is no secret as it reads, but holds one: as a whole, and in the lines that programs make. */
export function withholdEncoded(text: string): void {
  const whole = Buffer.from(text, "utf8").toString("base64");
  const lines = LINES.flatMap((length) => whole.match(new RegExp(`.{1,${length}}`, "g")) ?? []);
  for (const form of new Set([whole, ...lines])) if (form.length >= SHORTEST) note(form);
}

/** Forgets what was noted: for tests, many files of which share a process. */
export function forgetSecrets(): void {
  known.clear();
  noted.clear();
  beginnings.fill(0);
}

/** The lines of a secret that must not be told. A PEM's armour is no secret. */
export function secretLines(secret: string): string[] {
  return secret
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line.length >= SHORTEST && !/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(line));
}

function note(form: string): void {
  const start = form.slice(0, SHORTEST);
  const same = known.get(start);
  if (same) same.push(form);
  else known.set(start, [form]);
  beginnings[beginning(form, 0)] = 1;
}

/** A number for four characters of a text, by which most texts differ. */
function beginning(text: string, at: number): number {
  const of = (place: number, shift: number) => text.charCodeAt(at + place) << shift;
  return (of(0, 0) ^ of(1, 4) ^ of(2, 8) ^ of(3, 11)) & 0xffff;
}

/** A text without any secret that was noted, or the beginning of one. */
export function withoutSecrets(text: string): string {
  let told = "";
  let from = 0;
  for (const { at, length } of secretsIn(text)) {
    told += text.slice(from, at) + HIDDEN;
    from = at + length;
  }
  return told + text.slice(from);
}

/** Whether a text holds a secret that was noted, and is not just one of its words by chance. */
export function holdsSecret(text: string): boolean {
  return secretsIn(text).some(({ length }) => length >= SHORTEST_PART);
}

function secretsIn(text: string): { at: number; length: number }[] {
  const found: { at: number; length: number }[] = [];
  if (known.size === 0) return found;
  for (let at = 0; at + SHORTEST <= text.length; ) {
    const length = beginnings[beginning(text, at)] ? longest(known.get(text.slice(at, at + SHORTEST)), text, at) : 0;
    if (length > 0) found.push({ at, length });
    at += length || 1;
  }
  return found;
}

/** How much of the text is a secret from there on. */
function longest(forms: readonly string[] | undefined, text: string, at: number): number {
  let most = 0;
  for (const form of forms ?? []) {
    let length = SHORTEST;
    while (length < form.length && form[length] === text[at + length]) length++;
    if (length > most && (length === form.length || length >= SHORTEST_PART)) most = length;
  }
  return most;
}

/** The same of every text in a value. */
export function withoutSecretsIn<T>(value: T): T {
  if (typeof value === "string") return withoutSecrets(value) as T;
  if (Array.isArray(value)) return value.map(withoutSecretsIn) as T;
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [withoutSecrets(key), withoutSecretsIn(inner)]),
  ) as T;
}

/**
 * A text from outside without what was noted, and without what looks like a credential: PEM blocks, JWTs, values called
 * token or password, long mixed strings.
 */
export function redact(text: string): string {
  return (
    withoutSecrets(text)
      .replace(/-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g, HIDDEN)
      .replace(/\beyJ[\w-]{8,}(\.[\w-]*){0,2}/g, HIDDEN)
      .replace(/\b((?:bearer|basic) +)[\w.~+/=-]{8,}/gi, `$1${HIDDEN}`)
      .replace(/\b((?:id-|refresh-|access-)?token|password|[\w-]*-data)("?\s*[:=]\s*"?)[^\s",;]{8,}/gi, `$1$2${HIDDEN}`)
      .replace(/[A-Za-z0-9+_=-]{32,}/g, mixed)
      // Of base64 proper; a path begins otherwise.
      .replace(/(?<![/\w+=-])[A-Za-z0-9+][A-Za-z0-9+/=]{39,}/g, mixed)
  );
}

function mixed(word: string): string {
  return /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word) ? HIDDEN : word;
}
