// Changes of the root of trust while workloads call each other. Their certificates are good for two minutes, so that what has to be
// waited for takes minutes, too.
import { setTimeout as delay } from "node:timers/promises";
import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { expect } from "vitest";
import type { RunResult } from "../runner.ts";
import type { Cluster } from "./cluster.ts";
import { explain, runOn } from "./run.ts";

export const VALUES = { meshConfig: { defaultConfig: { proxyMetadata: { SECRET_TTL: "2m" } } } };

export interface Root {
  readonly certificate: string;
  readonly key: string;
}
export const sum = ({ certificate }: Root) => new X509Certificate(certificate).fingerprint256;
export const keyOf = ({ key }: Root) =>
  webcrypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(key),
    { name: "ECDSA", namedCurve: "P-256" },
    true,
    ["sign"],
  );
const base64 = (text: string) => Buffer.from(text, "base64").toString();
const blocks = (pem: string) => pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];

/** The roots in effect in a cluster, and what signs the certificate of a workload there, as its proxy has them. */
export async function seen(cluster: Cluster) {
  const { data } = await cluster.get("configmap", "istio-ca-root-cert", "sample");
  const [pod] = await cluster.list("pods", "-n", "sample", "-l", "app=helloworld");
  const request = ["pilot-agent", "request", "GET", "config_dump?mask=dynamic_active_secrets"];
  const answer = await cluster.exec("sample", pod.metadata.name, "istio-proxy", ...request);
  const dump = JSON.parse(answer.slice(answer.indexOf("\n{"), answer.lastIndexOf("}") + 1));
  const secrets = dump.configs.flatMap(
    (config: { dynamic_active_secrets?: object[] }) => config.dynamic_active_secrets ?? [],
  );
  const { secret } = secrets.find(({ name }: { name: string }) => name === "default");
  // What it shows holds the roots of its time, too: what counts is whose signature is on the intermediate.
  const [, intermediate] = blocks(base64(secret.tls_certificate.certificate_chain.inline_bytes));
  const isOf = ({ certificate }: Root) =>
    new X509Certificate(intermediate as string).verify(new X509Certificate(certificate).publicKey);
  return { roots: blocks(data["root-cert.pem"]).map((block) => new X509Certificate(block).fingerprint256), isOf };
}

export const change = (root: Root) => ({
  ca: "provided",
  "ca-root-cert": root.certificate,
  "ca-root-key": root.key,
  "trust-transition": "true",
  timeout: "15m",
  values: JSON.stringify(VALUES),
});

/** Runs until the change is over; some of them are killed on their way. */
export async function through(
  clusters: readonly Cluster[],
  root: Root,
  what: string,
  cutOff: number,
  isJoined: boolean,
): Promise<RunResult> {
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
