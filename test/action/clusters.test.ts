import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { selfSigned } from "../cluster/certificates.ts";
import { good, kubeconfig, problems, read } from "./source.ts";

const FORK =
  "The usual cause is a secret that is not available: its name is misspelled, or the run is for a pull request from a fork, which gets no secrets.";

/** A kubeconfig as login actions leave it: a context for each cluster. */
const contexts = (clusters: Record<string, { server: string; user?: object; cluster?: object }>, current?: string) =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    ...(current ? { "current-context": current } : {}),
    contexts: Object.keys(clusters).map((name) => ({ name, context: { cluster: name, user: name } })),
    clusters: Object.entries(clusters).map(([name, { server, cluster }]) => ({
      name,
      cluster: { server, ...cluster },
    })),
    users: Object.entries(clusters).map(([name, { user }]) => ({ name, user: user ?? { token: `token-of-${name}` } })),
  });
const EAST = { east: { server: "https://east.example" } };
const WEST = { west: { server: "https://west.example" } };
const BOTH = contexts({ ...EAST, ...WEST }, "east");
const byContext = { "cluster1-context": "east", "cluster2-context": "west" };

let folder: string;
const path = (name: string) => join(folder, name);
const files = (...names: string[]) => ({ KUBECONFIG: names.map(path).join(delimiter) });
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "clusters-"));
  mkdirSync(path(".kube"));
  mkdirSync(path("sub"));
  const { certificate } = await selfSigned();
  const other = { east: { server: "https://other.example", user: { token: "token-of-other" } } };
  const relative = { east: { ...EAST.east, cluster: { "certificate-authority": "ca.crt" } } };
  for (const [name, content] of Object.entries({
    both: BOTH,
    east: contexts(EAST),
    west: contexts({ ...WEST, ...other }),
    "sub/relative": contexts(relative),
    "sub/ca.crt": certificate,
    ".kube/config": BOTH,
    empty: "",
    broken: "contexts: [\n",
  }))
    writeFileSync(path(name), content);
});
afterAll(() => rmSync(folder, { recursive: true }));

const servers = async (given: Record<string, string>, env: Record<string, string> = {}) =>
  [...(await read(given, env)).kubeconfigs].map(([name, { server, context }]) => `${name} ${context} ${server}`);
const found = ["cluster1 east https://east.example", "cluster2 west https://west.example"];

describe("contexts are all that it takes", () => {
  test.each<[string, () => Record<string, string>]>([
    ["in the file of KUBECONFIG", () => files("both")],
    ["in several, of which the first that has a name counts", () => files("east", "west")],
    ["in those that are there", () => files("gone", "east", "empty", "west")],
    ["in ~/.kube/config, where there is no KUBECONFIG", () => ({ HOME: folder })],
    ["in that of a Windows user", () => ({ USERPROFILE: folder })],
    ["in KUBECONFIG alone, where there is one", () => ({ ...files("east", "west"), HOME: path("nowhere") })],
  ])("%s", async (_, env) => {
    expect(await servers(byContext, env())).toEqual(found);
    const clusters = stringify([
      { name: "cluster1", network: "n1", context: "east" },
      { name: "cluster2", network: "n2", context: "west" },
    ]);
    expect(await servers({ clusters }, env())).toEqual(found);
  });

  test("in one kubeconfig for all, whatever is on the runner", async () => {
    expect(await servers({ ...byContext, kubeconfig: BOTH }, files("west"))).toEqual(found);
    expect(await servers({ ...byContext, kubeconfig: Buffer.from(BOTH).toString("base64") })).toEqual(found);
  });

  test("but for a cluster that has one of its own", async () => {
    const own = { "cluster2-kubeconfig": kubeconfig({ server: "https://own.example" }), "cluster2-context": "prod" };
    expect(await servers({ ...byContext, ...own }, files("both"))).toEqual([
      found[0],
      "cluster2 prod https://own.example",
    ]);
    expect(await servers({ ...byContext, ...own, kubeconfig: BOTH })).toEqual([
      found[0],
      "cluster2 prod https://own.example",
    ]);
  });

  test("paths in a file begin at its folder", async () => {
    const { kubeconfigs } = await read(byContext, files("sub/relative", "west"));
    expect(kubeconfigs.get("cluster1")?.cluster["certificate-authority"]).toBe(path("sub/ca.crt"));
  });

  test("what is secret in them is masked, and nothing of the others is kept", async () => {
    const { masked, kubeconfigs } = await read(byContext, files("both", "west"));
    expect(masked).toEqual(expect.arrayContaining(["token-of-east", "token-of-west"]));
    expect(kubeconfigs.get("cluster1")?.text).not.toContain("west");
  });
});

describe("one URL may lead to several clusters; their UIDs decide", () => {
  const same = { server: "https://10.0.0.2:6443", user: { token: "one-token-for-all" } };
  test.each<[string, object, object]>([
    ["behind other proxies", { cluster: { "proxy-url": "http://a:1" } }, { cluster: { "proxy-url": "http://b:1" } }],
    ["by another login", {}, { user: { token: "another-token" } }],
    ["by another path", {}, { server: "https://10.0.0.2:6443/k8s/clusters/c-2" }],
  ])("%s", async (_, east, west) => {
    const given = { ...byContext, kubeconfig: contexts({ east: { ...same, ...east }, west: { ...same, ...west } }) };
    expect(await problems(given)).toEqual([]);
  });

  test("two contexts that are the same in all are one cluster", async () => {
    const given = { ...byContext, kubeconfig: contexts({ east: same, west: same }) };
    expect(await problems(given)).toEqual([
      "`cluster2-context` leads to the same API server as `cluster1-context`; expected one of its own for every cluster.",
    ]);
  });
});

describe("refused is", () => {
  const one = (input: string, context: string) => ({ "cluster1-context": "east", [input]: context });
  test.each<[string, Record<string, string>, () => Record<string, string>, () => string[]]>([
    [
      "a context that is in none of the files",
      one("cluster2-context", "north"),
      () => files("east", "west"),
      () => [
        `\`cluster2-context\` is looked for in KUBECONFIG ("${path("east")}", "${path("west")}"), which has no context "north"; expected one of: "east", "west".`,
      ],
    ],
    [
      "a context that is not in the one kubeconfig",
      { ...one("cluster2-context", "north"), kubeconfig: BOTH },
      () => ({}),
      () => [
        '`cluster2-context` is looked for in `kubeconfig`, which has no context "north"; expected one of: "east", "west".',
      ],
    ],
    [
      "a context without any kubeconfig",
      byContext,
      () => files("gone"),
      () =>
        ["east", "west"].map(
          (name, i) =>
            `\`cluster${i + 1}-context\` is "${name}", but there is no kubeconfig to look in: the cluster has none of its own, \`kubeconfig\` is empty, and this runner has neither a file of KUBECONFIG nor ~/.kube/config. ${FORK}`,
        ),
    ],
    [
      "a file that is no kubeconfig",
      byContext,
      () => files("east", "broken"),
      () =>
        ["east", "west"].map(
          (name, i) =>
            `\`cluster${i + 1}-context\` is "${name}", but the file "${path("broken")}" of this runner is not valid YAML (line 2: bad indent).`,
        ),
    ],
    [
      "one kubeconfig for all without the clusters' contexts",
      { "cluster1-context": "east", kubeconfig: BOTH },
      () => ({}),
      () => ["`cluster2-context` is empty; expected the context of this cluster in `kubeconfig`."],
    ],
    [
      "one kubeconfig for all beside one for each",
      { ...good, kubeconfig: BOTH },
      () => ({}),
      () => ["`kubeconfig` is of no use: every cluster has a kubeconfig of its own; leave out one or the other."],
    ],
  ])("%s", async (_, given, env, expected) => {
    expect(await problems(given, env())).toEqual(expected());
  });
});
