// The root of trust of meshes that run becomes another one while their workloads call each other: of two control planes whose
// istiods made roots for themselves, then of the mesh that these have become. Workloads' certificates are good for two minutes,
// so that the waits are minutes, too. Wants clusters without a mesh, and leaves none.

import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rootCa } from "../cluster/certificates.ts";
import { certificate as authority } from "../mesh/certificate.ts";
import type { RunResult } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { explain, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";
import { startStreams, toldOf } from "./stream.ts";

const { kubeconfigs, istioVersion, sampleImage } = settings();
const clusters = kubeconfigs.slice(0, 2).map((path, index) => new Cluster(index + 1, path));
const all = <T>(task: (cluster: Cluster) => Promise<T>): Promise<T[]> => Promise.all(clusters.map(task));
const SYSTEM = "istio-system";
const VALUES = { meshConfig: { defaultConfig: { proxyMetadata: { SECRET_TTL: "2m" } } } };

const istiods = (await all((cluster) => cluster.list("deployments", "-A", "-l", "app=istiod"))).flat();
const taken = istiods.length > 0 ? "the clusters have a control plane already" : undefined;

interface Root {
  readonly certificate: string;
  readonly key: string;
}
const sum = ({ certificate }: Root) => new X509Certificate(certificate).fingerprint256;
const keyOf = ({ key }: Root) =>
  webcrypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(key),
    { name: "ECDSA", namedCurve: "P-256" },
    true,
    ["sign"],
  );
const base64 = (text: string) => Buffer.from(text, "base64").toString();
const sums = (pem: string) =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []).map(
    (block) => new X509Certificate(block).fingerprint256,
  );

/** The roots in effect in a cluster, and what signs the certificate of a workload there, as its proxy has them. */
async function seen(cluster: Cluster) {
  const { data } = await cluster.get("configmap", "istio-ca-root-cert", "sample");
  const [pod] = await cluster.list("pods", "-n", "sample", "-l", "app=helloworld");
  const request = ["pilot-agent", "request", "GET", "config_dump?mask=dynamic_active_secrets"];
  const answer = await cluster.exec("sample", pod.metadata.name, "istio-proxy", ...request);
  const dump = JSON.parse(answer.slice(answer.indexOf("\n{"), answer.lastIndexOf("}") + 1));
  const secrets = dump.configs.flatMap(
    (config: { dynamic_active_secrets?: object[] }) => config.dynamic_active_secrets ?? [],
  );
  const { secret } = secrets.find(({ name }: { name: string }) => name === "default");
  const shown = sums(base64(secret.tls_certificate.certificate_chain.inline_bytes));
  return { roots: sums(data["root-cert.pem"]), shown };
}

const change = (root: Root) => ({
  ca: "provided",
  "ca-root-cert": root.certificate,
  "ca-root-key": root.key,
  "trust-transition": "true",
  timeout: "15m",
  values: JSON.stringify(VALUES),
});

/** Runs until the change is over; some of them are killed on their way. */
async function through(root: Root, what: string, cutOff: number, isJoined: boolean): Promise<RunResult> {
  const begun = Date.now();
  const seconds = () => Math.round((Date.now() - begun) / 1000);
  for (let run = 1; run <= 20; run++) {
    const kill = new AbortController();
    const after = 3_000 + Math.random() * 90_000;
    const timer = run <= cutOff ? setTimeout(() => kill.abort(), after) : undefined;
    const result = await runOn(clusters, change(root), { kill: { signal: "SIGKILL", when: kill.signal } });
    clearTimeout(timer);
    const told = result.report?.checks.find(({ id }) => id === "install.root-change");
    const end = kill.signal.aborted ? `killed after ${Math.round(after / 1000)} s` : `exit code ${result.exitCode}`;
    console.log(`${what}, run ${run}, ${seconds()} s: ${end}. ${told?.evidence ?? ""}`);
    const next = result.outputs["next-run-after"];
    if (!kill.signal.aborted) expect(result.exitCode, explain(result)).toBe(0);
    if (!kill.signal.aborted && !next) return result;
    if (isJoined) {
      const verified = await runOn(clusters, { command: "verify" });
      const checks = verified.report?.checks ?? [];
      const phase = checks.flatMap(({ id, warning }) =>
        id === "trust.cacerts" ? (/phase \d of 3/.exec(warning ?? "") ?? []) : [],
      );
      console.log(`verify: ${verified.outputs.result}, ${phase.join(", ") || "no phase"}`);
      const failed = checks.filter(({ id, verdict }) => /^(trust|pair)\./.test(id) && verdict === "failed");
      expect(failed, explain(verified)).toEqual([]);
    }
    await delay(Math.max(0, Date.parse(next ?? "") - Date.now() || 0));
  }
  throw new Error(`${what} does not come to its end`);
}

describe.skipIf(taken)(`the root of meshes that run${taken ? ` (skipped: ${taken})` : ""}`, () => {
  let first: Root;
  let second: Root;

  beforeAll(async () => {
    [first, second] = await Promise.all([rootCa(), rootCa()]);
    await all(async (cluster) => {
      const global = { meshID: "mesh1", multiCluster: { clusterName: cluster.name }, network: cluster.network };
      await cluster.kubectl(["create", "namespace", SYSTEM]);
      await cluster.apply([
        {
          apiVersion: "sailoperator.io/v1",
          kind: "Istio",
          metadata: { name: "default" },
          spec: { version: `v${istioVersion}`, namespace: SYSTEM, values: { ...VALUES, global } },
        },
      ]);
      const ready = ["istios.sailoperator.io/default", "--for=jsonpath={.status.state}=Healthy", "--timeout=120s"];
      await cluster.kubectl(["wait", ...ready], { timeoutMs: 130_000 });
    });
  });

  afterAll(async () => {
    const result = await runOn(clusters, { command: "uninstall", "uninstall-scope": "all" });
    await all(async (cluster) => {
      await cluster.kubectl(["delete", "istios.sailoperator.io", "default", "--ignore-not-found", "--timeout=60s"]);
      await cluster.kubectl(["delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=60s"], {
        timeoutMs: 70_000,
      });
    });
    expect(result.exitCode, logOf(result)).toBe(0);
  });

  it("of two that istiod made itself becomes one, and the clusters one mesh", async () => {
    const streams = await startStreams(clusters, sampleImage, undefined, true);
    const result = await through(first, "self-signed to one root", 0, false);
    const sent = await streams.stop();
    console.log(toldOf(sent));
    expect(result.outputs.result).toBe("passed");
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });

  it("becomes another one, by runs that are cut off, and no request between the clusters fails", async () => {
    const streams = await startStreams(clusters, sampleImage);
    for (const { roots, shown } of await all(seen)) {
      expect(roots).toEqual([sum(first)]);
      expect(shown.at(-1)).toBe(sum(first));
    }
    await through(second, "from one root to another", 4, true);
    for (const { roots, shown } of await all(seen)) {
      expect(roots).toEqual([sum(second)]);
      expect(shown).not.toContain(sum(first));
    }
    const sent = await streams.stop();
    console.log(toldOf(sent));
    expect(sent.map(({ failed }) => failed)).toEqual(sent.map(() => 0));
  });

  it("stays, and an intermediate of it that ends soon is renewed by rotate: nothing is restarted, and no request fails", async () => {
    const [, cluster] = clusters as [Cluster, Cluster];
    const streams = await startStreams(clusters, sampleImage);
    const term = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 30 * 86_400_000) };
    const issuer = {
      ...(await authority()),
      cert: new x509.X509Certificate(second.certificate),
      crypto: await keyOf(second),
    };
    const short = await authority({ name: "Short", issuer, pathLength: 0, ...term });
    await cluster.kubectl(["patch", "secret", "cacerts", "-n", SYSTEM, "--type=merge", "--patch-file=/dev/stdin"], {
      input: JSON.stringify({
        stringData: {
          "ca-cert.pem": short.pem,
          "ca-key.pem": short.key.export({ type: "pkcs8", format: "pem" }),
          "cert-chain.pem": `${short.pem}${second.certificate}`,
        },
      }),
    });
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
