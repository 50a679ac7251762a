import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { connect } from "../../src/cluster/client.ts";
import { Deadline } from "../../src/cluster/deadline.ts";
import { withholdContents } from "../../src/cluster/secrets.ts";
import { withoutSecrets } from "../../src/mesh/redact.ts";
import { Canaries } from "../canary.ts";
import { base64 } from "./certificates.ts";
import { json, type Server, serve, TOKEN } from "./server.ts";

const word = () => randomBytes(30).toString("base64url");
const pem = (what: string) => `-----BEGIN ${what}-----\n${word()}\n${word()}\n-----END ${what}-----\n`;
const secretOf = (data: Record<string, string>) => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "s", namespace: "n" },
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
});
const kubeconfig = (token: string) =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [],
    contexts: [],
    users: [{ name: "east", user: { token } }],
  });

describe("what passes through a client is in nothing that the API server says of it", () => {
  let server: Server;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => server.close());

  const watcher = { waiting() {}, waited() {}, retrying() {} };
  const cluster = () => connect("east", server.kubeconfig(), new Deadline(10_000), watcher);
  /** An API server that refuses what it is sent and tells all of it, in the way that is asked for. */
  const quoting = (quote: (body: string, authorization: string) => string) =>
    server.answer(({ method, body, authorization = "" }, response) =>
      method === "GET"
        ? json(response, 404, {})
        : json(response, 422, { reason: "Invalid", message: quote(body, authorization) }),
    );

  test.each<[string, (body: string, authorization: string) => string]>([
    ["as it came", (body) => `Invalid value: ${body}`],
    ["in base64", (body) => `Invalid value: ${base64(body)}`],
    [
      "decoded",
      (body) =>
        Object.values<string>(JSON.parse(body).data)
          .map((value) => Buffer.from(value, "base64").toString())
          .join(),
    ],
    [
      "decoded and escaped",
      (body) => JSON.stringify(Buffer.from(JSON.parse(body).data["ca-key.pem"], "base64").toString()),
    ],
    ["with who sent it", (_, authorization) => `denied: ${authorization}`],
    ["with who sent it, in base64", (_, authorization) => `denied: ${base64(authorization)}`],
  ])("%s", async (_, quote) => {
    quoting(quote);
    const [key, token] = [pem("PRIVATE KEY"), word()];
    const object = secretOf({ "ca-key.pem": key, east: kubeconfig(token), namespace: "istio-system" });
    const client = cluster();
    const error = await client.apply(object, undefined).catch((error: Error) => error);
    await client.close();
    expect((error as Error).message).toMatch(/^Could not apply Secret n\/s: Invalid: .*\*\*\*/);
    const canaries = new Canaries().add("key", key).add("token", token).add("credential", TOKEN);
    expect(canaries.in((error as Error).message)).toEqual([]);
  });

  test("nor in an error of another request, after it was read", async () => {
    const token = word();
    server.answer(({ path }, response) =>
      path.endsWith("/secrets/s")
        ? json(response, 200, secretOf({ token }))
        : json(response, 403, { reason: "Forbidden", message: `${token.slice(0, 20)} may not` }),
    );
    const client = cluster();
    await client.get({ apiVersion: "v1", kind: "Secret", namespace: "n", name: "s" });
    await expect(client.version()).rejects.toThrow("Could not read the Kubernetes version: Forbidden: *** may not");
    await client.close();
  });
});

describe("of a Secret", () => {
  const told = (text: string) => withoutSecrets(`It is ${text}.`) === `It is ${text}.`;

  test("names and the lines that every kubeconfig has are told, its credentials are not", () => {
    const token = word();
    withholdContents(
      secretOf({ namespace: "istio-system-of-the-mesh", east: kubeconfig(token), "ca.crt": pem("CERTIFICATE") }),
    );
    expect(
      ["istio-system-of-the-mesh", "apiVersion: v1", "kind: Config", "name: east"].filter((each) => !told(each)),
    ).toEqual([]);
    expect(told(token)).toBe(false);
  });

  test.each<[string, (value: string) => object]>([
    ["in a list", (value) => ({ kind: "SecretList", items: [{ data: { token: base64(value) } }] })],
    ["as plain text", (value) => ({ kind: "Secret", stringData: { password: value } })],
    ["a token that was asked for", (value) => ({ kind: "TokenRequest", status: { token: value } })],
    ["a token that is looked at", (value) => ({ kind: "TokenReview", spec: { token: value } })],
    ["of whatever name", (value) => ({ kind: "Secret", data: { x: base64(value) } })],
  ])("what is secret is not told: %s", (_, object) => {
    const value = word();
    expect(told(value)).toBe(true);
    withholdContents(object(value));
    expect(told(value)).toBe(false);
  });
});
