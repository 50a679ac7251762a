import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  holdsSecret,
  redact,
  secretLines,
  withhold,
  withholdEncoded,
  withoutSecrets,
  withoutSecretsIn,
} from "../../src/mesh/redact.ts";
import { Canaries } from "../canary.ts";
import { base64 } from "../cluster/certificates.ts";

const word = () => randomBytes(30).toString("base64");
/** A secret that is noted, and a text in which it is. */
function noted(secret: string): string {
  withhold(secret);
  return secret;
}

const pem = () => `-----BEGIN PRIVATE KEY-----\n${word()}\n${word()}\n-----END PRIVATE KEY-----\n`;

describe("a secret that was noted is in no text", () => {
  test.each<[string, string, (secret: string) => string]>([
    ["as it is", word(), (secret) => secret],
    ["twice, and beside itself", word(), (secret) => `${secret}${secret} ${secret}`],
    ["short, in words", "pass-123", (secret) => `"${secret}"`],
    ["without the break at its end", `${word()}\n`, (secret) => secret.trim()],
    ["cut off", word(), (secret) => secret.slice(0, 24)],
    ["in base64", word(), base64],
    ["in base64, cut off", pem(), (secret) => base64(secret).slice(0, 50)],
    ["in a URL", word(), encodeURIComponent],
    ["line by line", pem(), (secret) => secret.split("\n").toReversed().join(" ")],
    ["in JSON", pem(), JSON.stringify],
    ["in lines of base64", pem(), (secret) => base64(secret).replace(/.{64}/g, "$&\n")],
    ["in longer lines of base64", pem(), (secret) => base64(secret).replace(/.{76}/g, "$&\n")],
  ])("%s", (_, secret, quote) => {
    const text = withoutSecrets(`It said: ${quote(noted(secret))}, and no more.`);
    expect(text).toMatch(/^It said: .*\*\*\*.*, and no more\.$/s);
    expect(new Canaries().add("secret", secret).in(text)).toEqual([]);
    for (const line of secretLines(secret)) expect(text).not.toContain(line);
  });

  test("nor in anything that holds texts, and all else is as it was", () => {
    const [a, b] = [noted(word()), noted(pem())];
    const value = { n: 1, none: null, list: [a, { [a]: `x ${b}` }], kept: "It is kept.", no: false };
    const told = withoutSecretsIn(value);
    expect(JSON.stringify(told)).not.toContain(a);
    expect(told).toMatchObject({ n: 1, none: null, kept: "It is kept.", no: false });
    expect(told.list[0]).toBe("***");
  });
});

test("what is no secret stays: a key's armour, what is too short, and what only begins alike", () => {
  const secret = noted(word());
  const key = noted(pem());
  withhold("short");
  for (const text of [
    "",
    "short",
    "-----BEGIN PRIVATE KEY-----",
    secret.slice(0, 12),
    `${secret.slice(0, 9)}…`,
    key.slice(0, 30),
  ])
    expect(withoutSecrets(text)).toBe(text);
});

test("a text that holds a secret is not harmless itself, but only its base64 is hidden", () => {
  const config = JSON.stringify({ users: [{ user: { token: word() } }], filler: "x".repeat(100) });
  withholdEncoded(config);
  expect(withoutSecrets(base64(config))).toBe("***");
  expect(withoutSecrets(base64(config).replace(/.{76}/g, "$&\n")).replaceAll(/\*\*\*|\n/g, "")).toBe("");
  expect(withoutSecrets(config)).toBe(config);
});

test("a variable holds a secret, or by chance one of its words", () => {
  const secret = noted(word());
  withhold("production");
  expect(holdsSecret(`TOKEN is ${secret}`)).toBe(true);
  expect(holdsSecret("/srv/production/bin")).toBe(false);
});

test.each([
  ["base64 proper", `error: ${"aB3/".repeat(12)}==`, "error: ***"],
  ["a path", "/opt/Tools/Abc1/Def2/Ghi3/Jkl4/Mno5/Pqr6/Stu7", "/opt/Tools/Abc1/Def2/Ghi3/Jkl4/Mno5/Pqr6/Stu7"],
  [
    "a URL",
    "https://mirror.example/a/B1/istio/releases/download",
    "https://mirror.example/a/B1/istio/releases/download",
  ],
])("what looks like a credential is taken out of a text from outside, and nothing else: %s", (_, text, told) => {
  expect(redact(text)).toBe(told);
});
