// A verification is of any mesh, whoever made it: what this action would have made otherwise is as good.
import { describe, expect, it } from "vitest";
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
