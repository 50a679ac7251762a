// A verification is of any mesh, whoever made it: what this action would have made otherwise is as good.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Check, subjectName } from "../../src/mesh/report.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster } from "./cluster.ts";
import { explain, listed, runOn, untilPassed } from "./run.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, gatewayApi } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const [source, target] = clusters as [Cluster, Cluster];
const SYSTEM = "istio-system";

interface Other {
  readonly name: string;
  readonly impossible?: string | undefined;
  /** What tells that it was seen, and was not taken for something else. */
  readonly evidence: Pick<Check, "id" | "subject"> & { readonly told: RegExp };
  /** Puts it in the place of what is there; gives what takes it away again. */
  readonly make: () => Promise<() => Promise<unknown>>;
}

const ANSWERED = /requests answered by \S+ through .*; it saw spiffe:/;

/** Whether all of it is in what was found. */
function isIn(wanted: unknown, found: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return wanted === found;
  return Object.entries(wanted).every(([key, value]) => isIn(value, (found as Record<string, unknown> | null)?.[key]));
}

/** Adds to the mesh configuration of every cluster, until its istiods go by it; gives what takes it out again. */
async function meshConfig(more: Readonly<Record<string, unknown>>): Promise<() => Promise<unknown>> {
  const istio = ["istios.sailoperator.io", "default"];
  const patch = (cluster: Cluster, value: object) =>
    cluster.kubectl([
      "patch",
      ...istio,
      "--type=merge",
      "-p",
      JSON.stringify({ spec: { values: { meshConfig: value } } }),
    ]);
  const until = async (cluster: Cluster, there: boolean) => {
    while (isIn(more, parse((await cluster.get("configmap", "istio")).data.mesh)) !== there) await delay(500);
  };
  // A default stays: where a map is applied that has become empty, null is left of it, which is no mesh configuration.
  const none = { ...Object.fromEntries(Object.keys(more).map((key) => [key, null])), accessLogFile: "" };
  await Promise.all(clusters.map((each) => patch(each, more)));
  await Promise.all(clusters.map((each) => until(each, true)));
  return async () => {
    await Promise.all(clusters.map((each) => patch(each, none)));
    await Promise.all(clusters.map((each) => until(each, false)));
  };
}

const OTHERS: Other[] = [
  {
    name: "an east-west gateway of Kubernetes' own API",
    impossible: gatewayApi ? undefined : "E2E_GATEWAY_API is not set, so there is no such API",
    evidence: {
      id: "gateway.exposure",
      subject: { cluster: target.name },
      told: /^Gateway istio-system\/eastwest of gateway\.networking\.k8s\.io exposes/,
    },
    make: async () => {
      await target.kubectl(["apply", "--server-side", "-f", gatewayApi as string]);
      await target.kubectl(["delete", "deployment,service,hpa,pdb", "-n", SYSTEM, "-l", "app=istio-eastwestgateway"]);
      await target.kubectl(["delete", "gateways.networking.istio.io", "--all", "-n", SYSTEM]);
      const listener = { name: "cross-network", port: 15443, protocol: "TLS", hostname: "*.local" };
      await target.apply([
        {
          apiVersion: "gateway.networking.k8s.io/v1",
          kind: "Gateway",
          metadata: {
            name: "eastwest",
            namespace: SYSTEM,
            labels: { "topology.istio.io/network": target.network },
          },
          spec: { gatewayClassName: "istio", listeners: [{ ...listener, tls: { mode: "Passthrough" } }] },
        },
      ]);
      const gateway = ["gateways.gateway.networking.k8s.io", "eastwest", "-n", SYSTEM];
      await target.kubectl(["wait", ...gateway, "--for=condition=Programmed", "--timeout=90s"], { timeoutMs: 100_000 });
      return async () => {
        await target.kubectl(["delete", ...gateway]);
        const made = ["-n", SYSTEM, "-l", "gateway.networking.k8s.io/gateway-name=eastwest"];
        await target.kubectl(["wait", "--for=delete", "service,pod", ...made, "--timeout=60s"], { timeoutMs: 70_000 });
      };
    },
  },
  {
    name: "control planes that look at some namespaces alone",
    evidence: { id: "pair.request", subject: { source: source.name, target: target.name }, told: ANSWERED },
    make: async () => {
      const label = (value: string) =>
        Promise.all(clusters.map((each) => each.kubectl(["label", "namespace", SYSTEM, `istio-discovery${value}`])));
      await label("=enabled");
      const mend = await meshConfig({ discoverySelectors: [{ matchLabels: { "istio-discovery": "enabled" } }] });
      return async () => {
        await mend();
        await label("-");
      };
    },
  },
  {
    name: "proxies that do not tell workloads who calls them",
    evidence: { id: "pair.request", subject: { source: source.name, target: target.name }, told: ANSWERED },
    make: () => meshConfig({ defaultConfig: { proxyHeaders: { forwardedClientCert: "SANITIZE" } } }),
  },
  {
    name: "a policy that lets in a few namespaces alone",
    evidence: {
      id: "pair.request",
      subject: { source: source.name, target: target.name },
      told: /^\S+'s request came through \S+:15443 to \S+'s own proxy, which refused it/,
    },
    make: async () => {
      const name = "few";
      const few = {
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name, namespace: SYSTEM },
        spec: { action: "DENY", rules: [{ from: [{ source: { notNamespaces: ["apps", SYSTEM] } }] }] },
      };
      await target.apply([few]);
      return () => target.kubectl(["delete", "authorizationpolicies.security.istio.io", name, "-n", SYSTEM]);
    },
  },
  {
    name: "a remote secret whose kubeconfig has a client certificate",
    impossible: /client-key-data/.test(target.kubeconfig) ? undefined : `${target.name}'s kubeconfig has none`,
    evidence: {
      id: "remote.token",
      subject: { observer: source.name, target: target.name },
      told: /accepts the client certificate/,
    },
    make: async () => {
      const { metadata, type } = await source.get("secret", `istio-remote-secret-${target.name}`);
      const { name, labels, annotations } = metadata;
      const remove = () => source.kubectl(["delete", "secret", name, "-n", SYSTEM]);
      await remove();
      await source.apply([
        {
          apiVersion: "v1",
          kind: "Secret",
          type,
          metadata: { name, namespace: SYSTEM, labels, annotations },
          stringData: { [target.name]: target.kubeconfig },
        },
      ]);
      return remove;
    },
  },
];

const verify = () => runAction({ inputs: { command: "verify", clusters: listed(clusters) }, timeoutMs: 5 * 60_000 });

describe("a mesh that others made is proved", () => {
  for (const { name, impossible, evidence, make } of OTHERS) {
    it.skipIf(impossible)(`with ${name}${impossible ? ` (skipped: ${impossible})` : ""}`, async () => {
      const remove = await make();
      let result: RunResult;
      try {
        // Endpoints get from cluster to cluster in their own time; what is broken stays so.
        result = await untilPassed(verify, Date.now() + 90_000);
      } finally {
        await remove();
      }
      const mended = await runOn(clusters);
      expect(result.outputs.result, explain(result)).toBe("passed");
      const check = result.report?.checks.find(
        ({ id, subject }) => id === evidence.id && subjectName(subject) === subjectName(evidence.subject),
      );
      expect(check?.evidence).toMatch(evidence.told);
      expect(mended.outputs.result, explain(mended)).toBe("passed");
    });
  }
});
