/** Removes what looks like a credential: PEM blocks, JWTs, values called token or password, long mixed strings. */
export function redact(text: string): string {
  return text
    .replace(/-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g, "***")
    .replace(/\beyJ[\w-]{8,}(\.[\w-]*){0,2}/g, "***")
    .replace(/\b((?:bearer|basic) +)[\w.~+/=-]{8,}/gi, "$1***")
    .replace(/\b((?:id-|refresh-|access-)?token|password|[\w-]*-data)("?\s*[:=]\s*"?)[^\s",;]{8,}/gi, "$1$2***")
    .replace(/[A-Za-z0-9+_=-]{32,}/g, (word) =>
      /[A-Z]/.test(word) && /[a-z]/.test(word) && /\d/.test(word) ? "***" : word,
    );
}
