import { describe, expect, test } from "vitest";
import { ownerOf, proven } from "../../../src/mesh/claim.ts";
import {
  currentReaderToken,
  generationOf,
  readerToken as labelledToken,
  nextGeneration,
  READER,
  READER_TOKEN,
  readerTokens,
  TOKEN_TYPE,
} from "../../../src/mesh/objects/reader.ts";
import type { Secret } from "../../../src/mesh/objects/secrets.ts";
import { meshOf } from "../../steps/support.ts";

const mesh = meshOf(["a", "b"]);
const expiring = { ...mesh, tokenTtl: 3_600 };
const foreign = (name: string, account = READER, type = TOKEN_TYPE): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, annotations: { "kubernetes.io/service-account.name": account } },
  type,
});
const owner = ownerOf(mesh, "uid-of-a");
const readerToken = (...[of, generation]: Parameters<typeof labelledToken>) =>
  proven(owner, labelledToken(of, generation));
const tokens = (...secrets: Secret[]) => readerTokens(owner, secrets);
const name = (secret: Secret | undefined) => secret?.metadata.name;

describe("the reader's token Secrets", () => {
  test("ours are told by proof and name, the newest last; others by type and account", () => {
    const { ours, others } = tokens(
      readerToken(mesh, 10),
      foreign("hand-made"),
      readerToken(mesh, 9),
      foreign("another-account", "default"),
      foreign("opaque", READER, "Opaque"),
      labelledToken(mesh, 11),
      readerToken(expiring, 2),
      readerToken(mesh, 9),
      { ...readerToken(mesh), metadata: { ...readerToken(mesh).metadata, name: `${READER_TOKEN}-x` } },
    );
    expect(ours.map(name)).toEqual([`${READER_TOKEN}-2`, `${READER_TOKEN}-9`, `${READER_TOKEN}-10`]);
    expect(others.map(name)).toEqual(["hand-made", `${READER_TOKEN}-11`, `${READER_TOKEN}-x`]);
  });

  test.each([
    ["the newest of ours", [readerToken(mesh), readerToken(mesh, 2), foreign("a")], `${READER_TOKEN}-2`],
    ["not one that tokens are only bound to", [readerToken(mesh), readerToken(expiring, 2)], READER_TOKEN],
    ["else istioctl's", [foreign("a"), foreign(READER_TOKEN)], READER_TOKEN],
    ["else any", [foreign("b")], "b"],
    ["else none", [], undefined],
  ])("remote secrets are made from %s", (_, secrets, wanted) => {
    expect(name(currentReaderToken({}, readerTokens(owner, secrets)))).toBe(wanted);
  });

  test("tokens that expire are bound to one of ours only", () => {
    expect(name(currentReaderToken(expiring, tokens(readerToken(mesh), foreign("a"))))).toBe(READER_TOKEN);
    expect(currentReaderToken(expiring, tokens(foreign(READER_TOKEN)))).toBeUndefined();
  });

  test("a new generation takes no name that is there", () => {
    expect(nextGeneration(tokens())).toBe(1);
    expect(nextGeneration(tokens(foreign(READER_TOKEN)))).toBe(2);
    expect(nextGeneration(tokens(readerToken(mesh), readerToken(mesh, 7)))).toBe(8);
    expect(nextGeneration(tokens(labelledToken(expiring, 4)))).toBe(5);
    expect(generationOf(foreign("x"))).toBe(0);
    expect(generationOf(readerToken(mesh, 12))).toBe(12);
  });
});
