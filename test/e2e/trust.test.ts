// The root of trust of a mesh that runs becomes another one while its workloads call each other, by runs of which some are killed;
// then an intermediate is renewed. Wants clusters without a mesh, and leaves none.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rootCa } from "../cluster/certificates.ts";
import { certificate as authority } from "../mesh/certificate.ts";
import { Cluster } from "./cluster.ts";
import { change, keyOf, type Root, seen, sum, through } from "./root-change.ts";
import { explain, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

describe.skipIf(taken)(`the root of a mesh that runs${taken ? ` (skipped: ${taken})` : ""}`, () => {
  let first: Root;
  let second: Root;

  beforeAll(async () => {
    [first, second] = await Promise.all([rootCa(), rootCa()]);
    const result = await runOn(clusters, { ...change(first), "trust-transition": "false" });
    expect(result.exitCode, explain(result)).toBe(0);
  });

  afterAll(async () => {
    const result = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("becomes another one, by runs that are killed, and no request between the clusters fails", async () => {
    const streams = await startStreams(clusters, sampleImage);
    for (const { roots, isOf } of await all(seen)) expect([roots, isOf(first)]).toEqual([[sum(first)], true]);
    await through(clusters, second, "from one root to another", 4, true);
    const now = await all(seen);
    const sent = await streams.stop();
    console.log(toldOf(sent));
    for (const { roots, isOf } of now) expect([roots, isOf(first), isOf(second)]).toEqual([[sum(second)], false, true]);
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });

  it("stays, and an intermediate of it that ends soon is renewed by rotate: nothing is restarted, and no request fails", async () => {
    const [, cluster] = clusters as [Cluster, Cluster, ...Cluster[]];
    const streams = await startStreams(clusters, sampleImage);
    const term = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 30 * 86_400_000) };
    const issuer = {
      ...(await authority()),
      cert: new x509.X509Certificate(second.certificate),
      crypto: await keyOf(second),
    };
    const short = await authority({ name: "Short", issuer, pathLength: 0, ...term });
    const files = {
      "ca-cert.pem": short.pem,
      "ca-key.pem": short.key.export({ type: "pkcs8", format: "pem" }),
      "cert-chain.pem": `${short.pem}${second.certificate}`,
    };
    const patch = JSON.stringify({ stringData: files });
    await cluster.kubectl(["patch", "secret", "cacerts", "-n", SYSTEM, "--type=merge", "-p", patch]);
    const pods = async () =>
      (await all((each) => each.list("pods", "-n", SYSTEM, "-l", "app=istiod")))
        .flat()
        .map(({ metadata }) => metadata.uid);
    const before = await pods();
    const given = { "ca-root-cert": second.certificate, "ca-root-key": second.key };
    const result = await runOn(clusters, { command: "rotate", timeout: "10m", ...given });
    const told = result.report?.checks.flatMap(({ id, evidence }) => (id === "rotate.intermediate" ? evidence : []));
    console.log(`rotate: ${result.seconds.toFixed(1)} s. ${told?.join(" ")}`);
    expect(result.exitCode, explain(result)).toBe(0);
    expect(told).toEqual([
      expect.stringContaining("it is renewed from 60 days before"),
      expect.stringContaining("by a new intermediate"),
    ]);
    expect(await pods()).toEqual(before);
    const sent = await streams.stop();
    console.log(toldOf(sent));
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });
});
