// The user's own Services on a real mesh: what istiod really gives a proxy that runs, and what really hides a Service from it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Check, subjectName } from "../../src/mesh/report.ts";
import { type RunResult, runAction } from "../runner.ts";
import { Cluster, type KubernetesObject } from "./cluster.ts";
import { explain, listed, runOn, untilPassed } from "./run.ts";
import { call, deploySample, NAMESPACE, removeSample } from "./sample.ts";
import { settings } from "./settings.ts";

const { kubeconfigs, sampleImage } = settings();
const clusters = kubeconfigs.map((path, index) => new Cluster(index + 1, path));
const [source, target] = clusters as [Cluster, Cluster];
const SYSTEM = "istio-system";
const ONLY = `only-${target.name}`;

const look = (...services: string[]) =>
  runAction({
    inputs: { command: "verify", traffic: "false", clusters: listed(clusters), services: services.join("\n") },
  });
const found = ({ report }: RunResult, name: string): Check =>
  report?.checks.find(({ id, subject }) => id === "service.reached" && subjectName(subject) === name) as Check;

beforeAll(async () => {
  const joined = await untilPassed(() => runOn(clusters, { verify: "false" }), Date.now() + 4 * 60_000);
  expect(joined.exitCode, explain(joined)).toBe(0);
  await Promise.all(clusters.map((cluster) => deploySample(cluster, clusters, sampleImage)));
  await call(source, ONLY, [target.name]);
}, 6 * 60_000);
afterAll(() => Promise.all(clusters.map(removeSample)));

it("what a proxy that runs has of a Service is seen, and one that is nowhere is told", async () => {
  const result = await look(`- ${NAMESPACE}/helloworld:5000`, `- ${NAMESPACE}/${ONLY}`, `- ${NAMESPACE}/nowhere`);
  const [shared, only] = [`${NAMESPACE}/helloworld:5000`, `${NAMESPACE}/${ONLY}`].map((service) =>
    found(result, `${service} seen from ${source.name}`),
  );
  expect(shared, explain(result)).toMatchObject({ verdict: "passed" });
  expect(shared?.evidence).toMatch(
    /1 in cluster1, 1 in cluster2.*A proxy that runs in cluster1, \S+\.sample, has them all/,
  );
  expect(only).toMatchObject({ verdict: "passed" });
  expect(only?.evidence).toMatch(/^Endpoints that are ready: 1 in cluster2\. A proxy/);
  expect(found(result, `${NAMESPACE}/nowhere seen from ${target.name}`).cause).toMatch(/^No cluster has a Service/);
  expect(result.outputs.result).toBe("failed");
});

it("a Service is called by every cluster, and it is seen which clusters' endpoints answered", async () => {
  const services = [
    `- {service: "${NAMESPACE}/helloworld:5000", request: /}`,
    `- {service: "${NAMESPACE}/${ONLY}", request: "/?query=1"}`,
  ].join("\n");
  const result = await runAction({ inputs: { command: "verify", clusters: listed(clusters), services } });
  const of = (service: string): Check | undefined =>
    result.report?.checks.find(
      ({ id, subject }) => id === "service.answered" && subjectName(subject) === `${service} seen from ${source.name}`,
    );
  expect(of(`${NAMESPACE}/helloworld:5000`), explain(result)).toMatchObject({ verdict: "passed" });
  expect(of(`${NAMESPACE}/helloworld:5000`)?.evidence).toMatch(/HTTP 200\): \d+ by cluster\d, \d+ by cluster\d/);
  expect(of(`${NAMESPACE}/${ONLY}`), explain(result)).toMatchObject({ verdict: "passed" });
  expect(of(`${NAMESPACE}/${ONLY}`)?.evidence).toMatch(/HTTP 200\): \d+ by cluster2\.$/);
});

interface Hidden {
  readonly name: string;
  readonly cluster: Cluster;
  readonly object: KubernetesObject;
  readonly told: RegExp;
}
const HIDDEN: Hidden[] = [
  {
    name: "a DestinationRule for all, without mutual TLS",
    cluster: source,
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "plain", namespace: SYSTEM },
      spec: { host: "*.local", trafficPolicy: { tls: { mode: "DISABLE" } } },
    },
    told: /no endpoint of sample\/only-cluster2:5000 in cluster2: DestinationRule istio-system\/plain has TLS mode DISABLE/,
  },
  {
    name: "a Sidecar for all, that lets proxies see their own namespace only",
    cluster: source,
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "Sidecar",
      metadata: { name: "narrow", namespace: SYSTEM },
      spec: { egress: [{ hosts: ["istio-system/*"] }] },
    },
    told: /does not know sample\/only-cluster2:5000: Sidecar istio-system\/narrow decides what it is given/,
  },
  {
    name: "a policy that lets nobody in",
    cluster: target,
    object: {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: "nobody", namespace: NAMESPACE },
      spec: {},
    },
    told: /^AuthorizationPolicy sample\/nobody of cluster2 lets nobody in/,
  },
  {
    name: "a VirtualService that aborts all requests",
    cluster: source,
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "way", namespace: NAMESPACE },
      spec: {
        hosts: [ONLY],
        http: [
          {
            fault: { abort: { httpStatus: 503, percentage: { value: 100 } } },
            route: [{ destination: { host: ONLY } }],
          },
        ],
      },
    },
    told: /^VirtualService sample\/way of cluster1 aborts every request to sample\/only-cluster2:5000/,
  },
];

describe("what hides a Service is named", () => {
  it.each(HIDDEN)("$name", async ({ cluster, object, told }) => {
    await cluster.apply([object]);
    try {
      let result: RunResult;
      const deadline = Date.now() + 60_000;
      do result = await look(`- ${NAMESPACE}/${ONLY}`);
      while (
        found(result, `${NAMESPACE}/${ONLY} seen from ${source.name}`).verdict === "passed" &&
        Date.now() < deadline
      );
      const check = found(result, `${NAMESPACE}/${ONLY} seen from ${source.name}`);
      expect(check.verdict, explain(result)).toBe("failed");
      expect(check.cause).toMatch(told);
    } finally {
      const { kind, metadata } = object;
      await cluster.kubectl(["delete", kind, metadata.name, "-n", metadata.namespace]);
    }
  });
});
