/** When a JSON web token expires; `undefined` for one that does not, or is no such token. Its signature is not looked at. */
export function tokenExpiry(token: string): Date | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
      exp?: unknown;
    };
    return typeof exp === "number" ? new Date(exp * 1000) : undefined;
  } catch {
    return undefined;
  }
}
