import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTarGzip } from "nanotar";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeDiagnostics } from "../../src/action/diagnostics.ts";
import { type Kubeconfig, readKubeconfig } from "../../src/cluster/kubeconfig.ts";
import { meshSpec } from "../commands/mesh.ts";
import { startClusters } from "../embedded/cluster.ts";
import type { Kube } from "../embedded/kube.ts";
import { deadGateway } from "../report/sample.ts";

let folder: string;
let kubes: Kube[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "diagnostics-"));
  kubes = await startClusters(2);
});
afterAll(async () => {
  await Promise.all(kubes.map((kube) => kube.stop()));
  await rm(folder, { recursive: true });
});

const mesh = meshSpec(2);
const write = async (file: string, cancelled = new AbortController().signal) => {
  const members = mesh.clusters.map((spec, index) => ({
    spec,
    kubeconfig: readKubeconfig((kubes[index] as Kube).kubeconfig()) as Kubeconfig,
  }));
  await writeDiagnostics(file, deadGateway(), mesh, members, cancelled);
  const files = await parseTarGzip(await readFile(file));
  return new Map(files.map(({ name, text }) => [name, text]));
};

test("one archive tells of all clusters, and its first page leads to every file", async () => {
  const file = join(folder, "all.tar.gz");
  const files = await write(file);
  expect([...files.keys()]).toEqual(
    expect.arrayContaining(["index.html", "report.json", "cluster1/istios.json", "cluster2/secrets.json"]),
  );
  const page = files.get("index.html") ?? "";
  const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, href = ""]) => decodeURIComponent(href));
  expect(links.toSorted()).toEqual([...files.keys()].filter((name) => name !== "index.html").toSorted());
  expect(page).toContain("gateway");
  expect(files.get("cluster1/version.txt")).toBe("v1.33.0");
  if (process.platform !== "win32") expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("no credential of a cluster is in it", async () => {
  const all = [...(await write(join(folder, "secrets.tar.gz"))).values()].join("\n");
  for (const kube of kubes) {
    const { secrets } = readKubeconfig(kube.kubeconfig()) as Kubeconfig;
    expect(secrets.length).toBeGreaterThan(0);
    for (const secret of secrets) expect(all).not.toContain(secret);
  }
});

test("what cannot be had in time is named on the first page", async () => {
  const files = await write(join(folder, "late.tar.gz"), AbortSignal.abort());
  expect([...files.keys()]).toEqual(["index.html", "report.json"]);
  expect(files.get("index.html")?.match(/istios\.json: not there\./g)).toHaveLength(2);
});
