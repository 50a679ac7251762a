// Whatever is given as an input or a kubeconfig: it is read, or what is wrong is told, soon, and without what is secret.
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { InputError } from "../../src/action/messages.ts";
import { readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import { withholdContents } from "../../src/cluster/secrets.ts";
import { Failure } from "../../src/mesh/failure.ts";
import { parseRemoteKubeconfig } from "../../src/mesh/remote-kubeconfig.ts";
import { tokenClaims } from "../../src/mesh/token.ts";
import { parseYaml } from "../../src/mesh/yaml.ts";
import { action, CANARY, good, kubeconfig, problems, read } from "../action/source.ts";
import { cases, hostile, json, yaml } from "./fuzz.ts";

// A library that warns may quote what it was given.
let warning: MockInstance;
beforeEach(() => {
  warning = vi.spyOn(process, "emitWarning");
});
afterEach(() => {
  expect(warning).not.toHaveBeenCalled();
  warning.mockRestore();
});

/** What was read, or told in one line of readable length. */
function told(content: string): string | undefined {
  const found = readKubeconfig(content);
  if (!("problem" in found)) {
    expect(found.server).toMatch(/^https:/i);
    expect(() => JSON.parse(found.text)).not.toThrow();
    for (const secret of found.secrets) expect(typeof secret).toBe("string");
    return undefined;
  }
  expect(found.problem).toMatch(/^.{5,2000}$/u);
  return found.problem;
}

/** A kubeconfig in which anything may stand in any place. */
const twisted = fc
  .tuple(
    fc.array(fc.tuple(fc.array(fc.nat(6), { maxLength: 6 }), fc.oneof(json, fc.constant(undefined))), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.boolean(),
  )
  .map(([changes, encoded]) => {
    const config = JSON.parse(kubeconfig()) as Record<string, unknown>;
    for (const [path, value] of changes) {
      let at: unknown = config;
      for (const [i, step] of path.entries()) {
        if (typeof at !== "object" || at === null) break;
        const key = Object.keys(at)[step % Math.max(1, Object.keys(at).length)];
        if (key === undefined) break;
        if (i === path.length - 1) (at as Record<string, unknown>)[key] = value;
        else at = (at as Record<string, unknown>)[key];
      }
    }
    const text = JSON.stringify(config);
    return encoded ? Buffer.from(text).toString("base64") : text;
  });

describe("a kubeconfig", () => {
  test.each<[string, fc.Arbitrary<string>, number]>([
    ["any text", fc.oneof(hostile, fc.string({ unit: "binary", maxLength: 200 })), 200],
    ["nearly YAML", yaml, 300],
    [
      "base64 of anything",
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("base64")),
      100,
    ],
    ["anything in any place", twisted, 150],
    ["any context", hostile.map((context) => kubeconfig({ context })), 100],
    ["any server", hostile.map((server) => kubeconfig({ server: `https://${server}` })), 100],
  ])("is read, or it is told what is wrong: %s", (_, content, usual) => {
    fc.assert(
      fc.property(content, (text) => {
        told(text);
      }),
      cases(usual),
    );
  });

  test("is not quoted, whatever is wrong with it", () => {
    const secretly = twisted.filter((text) => text.includes(CANARY));
    fc.assert(
      fc.property(
        fc.oneof(
          secretly,
          fc.tuple(yaml, yaml).map(([a, b]) => `${a}token: ${CANARY}${b}`),
        ),
        (text) => {
          // A name may be quoted, so what is put into the place of a name is seen.
          fc.pre(!/"(name|current-context)":"[^"]*canary/.test(text));
          expect(told(text) ?? "").not.toContain(CANARY);
        },
      ),
      cases(200),
    );
  });

  // The time of a parser may grow faster than the text; each of these once took it minutes, or its stack.
  const MANY = 1_000_000;
  const numbered = (line: (i: number) => string) => Array.from({ length: MANY / 10 }, (_, i) => line(i)).join("\n");
  test.each<[string, () => string]>([
    [
      "aliases of aliases",
      () =>
        `a: &a [x,x,x,x,x,x,x,x]\n${[..."bcdefgh"].map((c, i) => `${c}: &${c} [${`*${"abcdefgh"[i]},`.repeat(8)}]`).join("\n")}`,
    ],
    ["an anchor that contains itself", () => "&a [*a]"],
    ["a merge of itself", () => "&a {<<: *a}"],
    ["brackets", () => "[".repeat(MANY)],
    ["braces", () => "{a: ".repeat(MANY / 4)],
    ["dashes", () => "- ".repeat(MANY / 2)],
    ["question marks", () => "? ".repeat(MANY / 2)],
    ["indentation", () => Array.from({ length: 1_000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
    ["keys", () => numbered((i) => `k${i}: x`)],
    ["keys as many as may be", () => Array.from({ length: 19_000 }, (_, i) => `k${i}: x`).join("\n")],
    ["anchors", () => numbered((i) => `- &a${i} x`)],
    ["aliases", () => `- &a x\n${"- *a\n".repeat(MANY / 5)}`],
    ["quotes", () => '"'.repeat(MANY)],
    ["quotes as many as may be", () => '"'.repeat(90_000)],
    ["directives", () => "%\n".repeat(MANY / 2)],
    ["documents", () => "---\n".repeat(MANY / 4)],
    ["errors", () => "a: b: c\n".repeat(MANY / 8)],
    ["control characters", () => "\u0000".repeat(MANY)],
    ["a long word", () => "a".repeat(5 * MANY)],
    ["base64", () => Buffer.from("[".repeat(MANY)).toString("base64")],
  ])("is read soon: %s", (_, text) => {
    expect(told(text())).toBeDefined();
  });

  test("is read in silence where a key is a collection, which a parser would warn of and quote", () => {
    expect(parseYaml(`? {token: ${CANARY}}\n: x\n`)).toHaveProperty("value");
    expect(readKubeconfig(`clusters: []\ncontexts: []\n? [${CANARY}]\n: x\n`)).toHaveProperty("problem");
  });

  test("is refused where a key occurs twice, or is JavaScript's own", () => {
    expect(parseYaml("a: 1\nb:\n  - {c: 1, d: 2, c: 3}\n")).toEqual({
      problem: "is not valid YAML (line 3: duplicate key)",
    });
    expect(parseYaml("x: &x {a: 1}\nb:\n  <<: *x\n  a: 2\n")).toMatchObject({ value: { b: { "<<": { a: 1 }, a: 2 } } });
    for (const name of ["__proto__", "constructor", "toString"]) {
      expect(readKubeconfig(kubeconfig(), name)).toMatchObject({ problem: expect.stringContaining("has no context") });
    }
  });
});

/** Inputs that have nothing to do with each other, and what each may wrongly be. */
const INDEPENDENT: Readonly<Record<string, fc.Arbitrary<string>>> = Object.fromEntries(
  [
    "mesh-id",
    "istio-namespace",
    "istio-resource",
    "timeout",
    "token-ttl",
    "fail-on",
    "uninstall-scope",
    "prune",
    "traffic",
    "istioctl-mirror",
    "helm-mirror",
    "gateway",
    "values",
  ].map((name) => [name, fc.oneof(hostile, yaml)]),
);

const anyInputs = fc.dictionary(
  fc.constantFrom(...Object.keys(action.inputs)),
  fc.oneof(
    hostile,
    yaml,
    twisted,
    fc.constantFrom("true", "false", "install", "uninstall", "existing", "istioctl", "provided", "1.28.3"),
  ),
  { maxKeys: 6 },
);

/** An entry of `clusters` in which anything may be missing, wrong or of another kind. */
const entry = fc.oneof(
  { weight: 1, arbitrary: json },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        name: fc.oneof(json, fc.constantFrom("east", "west")),
        network: fc.oneof(json, fc.constantFrom("n1", "n2")),
        kubeconfig: fc.oneof(json, fc.constant(kubeconfig()), twisted),
        "kubeconfig-env": fc.oneof(hostile, fc.constantFrom("GOOD", "PATH")),
        "kubeconfig-file": fc.oneof(hostile, fc.constantFrom("/nowhere", ".", "/dev/null")),
        context: json,
        "api-server": fc.oneof(hostile, fc.constant("https://10.0.0.1")),
        "tls-server-name": json,
        values: json,
      },
      { requiredKeys: [] },
    ),
  },
);

async function refusal(given: Record<string, string>): Promise<readonly string[]> {
  return read(given, { GOOD: good["cluster2-kubeconfig"] }).then(
    () => [],
    (error: unknown) => {
      expect(error).toBeInstanceOf(InputError);
      return (error as InputError).problems;
    },
  );
}

describe("the inputs", () => {
  test("are read, or all that is wrong is told, whatever they are", async () => {
    await fc.assert(
      fc.asyncProperty(anyInputs, async (given) => {
        const found = await refusal({ ...good, ...given });
        for (const problem of found) expect(problem).toMatch(/^`[^`]+` .*\.$/u);
      }),
      cases(150),
    );
  });

  test("and the list of clusters, whatever it holds", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.array(entry, { maxLength: 4 }).map((list) => JSON.stringify(list)),
          yaml,
        ),
        async (clusters) => {
          for (const problem of await refusal({ clusters })) expect(problem).toMatch(/^`[^`]+` .*\.$/u);
        },
      ),
      cases(250),
    );
  });

  test("are told all at once: what is wrong with one hides nothing of another", async () => {
    await fc.assert(
      fc.asyncProperty(fc.record(INDEPENDENT, { requiredKeys: [] }), async (given) => {
        const alone = await Promise.all(
          Object.entries(given).map(([name, value]) => problems({ ...good, [name]: value })),
        );
        const together = await problems({ ...good, ...given });
        expect([...together].toSorted()).toEqual([...new Set(alone.flat())].toSorted());
      }),
      cases(25),
    );
  });
});

describe("what a cluster holds", () => {
  test("is read without a crash, whatever it is", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          yaml,
          hostile,
          json.map((value) => JSON.stringify(value)),
        ),
        json,
        (text, value) => {
          const { problems } = parseRemoteKubeconfig(text);
          expect(problems.length).toBeGreaterThan(0);
          expect(tokenClaims(`x.${Buffer.from(text).toString("base64url")}.x`)).toBeInstanceOf(Object);
          for (const kind of ["Secret", "SecretList", "TokenRequest", "TokenReview"]) {
            withholdContents({ kind, data: value, stringData: value, items: value, spec: value, status: value });
          }
          withholdContents({ kind: "Secret", data: { a: Buffer.from(`users: ${text}`).toString("base64") } });
        },
      ),
      cases(200),
    );
  });

  test("and a failure of ours is one", () => {
    expect(new InputError(["`a` is bad."])).toBeInstanceOf(Failure);
  });
});
