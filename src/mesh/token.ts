/** What a JSON web token of a service account says of itself. Its signature is not looked at. */
export interface TokenClaims {
  readonly issued?: Date;
  /** Absent: it does not expire. */
  readonly expires?: Date;
  /** UID of the Secret that it was bound to by the TokenRequest API: with that Secret, it ends. */
  readonly boundTo?: string;
}

/** A token's claims; none of what is no such token. */
export function tokenClaims(token: string): TokenClaims {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
      iat?: unknown;
      exp?: unknown;
      "kubernetes.io"?: { secret?: { uid?: unknown } };
    };
    const { iat, exp } = claims;
    const uid = claims["kubernetes.io"]?.secret?.uid;
    return {
      ...(typeof iat === "number" ? { issued: new Date(iat * 1000) } : {}),
      ...(typeof exp === "number" ? { expires: new Date(exp * 1000) } : {}),
      ...(typeof uid === "string" ? { boundTo: uid } : {}),
    };
  } catch {
    return {};
  }
}

/** Milliseconds that a token was made for; `undefined` where it does not expire, or does not say since when it is. */
export function lifetime({ issued, expires }: TokenClaims): number | undefined {
  return issued && expires ? expires.getTime() - issued.getTime() : undefined;
}

/** Milliseconds before a token's end from which on it is warned of: a third of its life, but no more than a week. */
export function earlyWarning(claims: TokenClaims): number {
  return Math.min(WEEK, (lifetime(claims) ?? Number.POSITIVE_INFINITY) / 3);
}

const WEEK = 7 * 86_400_000;
const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

/** A span for people, in its largest unit: `12 days`, `1 hour`. */
export function span(milliseconds: number): string {
  // Two of a unit are more exact than one of the next.
  const [unit, size] = UNITS.find(([, each]) => milliseconds >= 2 * each) ?? ["minute", 60_000];
  const number = Math.max(0, Math.floor(milliseconds / size));
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}
