import { expect, test } from "vitest";
import { callsPerPair } from "../../src/steps/requests.ts";
import type { LoggedRequest } from "../embedded/kube.ts";
import { testClusters } from "./clusters.ts";
import { failures, runInstall, runVerify } from "./mesh.ts";

/** What a cluster is asked for each other one: its remote secret read and written, its probe's Service, and the calls. */
const FOR_EACH_OTHER = 14;
/** What it is asked for itself. */
const FOR_ITSELF = 133;

const forAnother = ({ method, path }: LoggedRequest) =>
  /\/istio-remote-secret-|:8081\/proxy\//.test(path) || (method === "POST" && path.endsWith("/services"));
/** How often something that takes its time is looked at is a matter of the machine. */
const waiting = ({ path }: LoggedRequest) => /\/exec\?|[?&]watch=true|\/pods\?/.test(path);

const started = testClusters();

/** Joins so many clusters, and verifies them: how often each was asked. */
async function requestsOf(clusters: number): Promise<{ others: number; own: number }[]> {
  const kubes = await started(clusters);
  const outcome = await runInstall(kubes, { verification: { traffic: true }, leaseMs: 45_000 });
  expect(failures(outcome)).toEqual([]);
  return kubes.map(({ requests }) => {
    // Not what istiods, those of the others, too, ask with their tokens.
    const asked = requests.filter((each) => !each.user.startsWith("system:serviceaccount:") && !waiting(each));
    const others = asked.filter(forAnother).length;
    return { others, own: asked.length - others };
  });
}

test.each([2, 4])(
  "a cluster of %i is asked a few times for each other one, and else as in every mesh",
  async (n) => {
    for (const { others, own } of await requestsOf(n)) {
      expect(others).toBeLessThanOrEqual(FOR_EACH_OTHER * (n - 1) + 1);
      expect(own).toBeLessThanOrEqual(FOR_ITSELF);
    }
  },
  120_000,
);

test("workloads are looked at by a few lists, and each istiod is asked for its proxies once", async () => {
  const kubes = await started(2);
  await runInstall(kubes, { leaseMs: 45_000 });
  const before = kubes.map(({ requests }) => requests.length);
  const services = [{ namespace: "istio-system", name: "istiod" }];
  await runVerify(kubes, { verification: { traffic: false, services } });
  for (const [i, { requests }] of kubes.entries()) {
    const asked = requests.slice(before[i]).map(({ path }) => path);
    const of = (what: RegExp) => asked.filter((path) => what.test(path)).length;
    expect(of(/%2Fdebug%2Fsyncz/)).toBe(1);
    expect(of(/^\/api\/v1\/pods\?/)).toBe(1);
    expect(of(/^\/api\/v1\/namespaces(\?|$)/)).toBeLessThanOrEqual(3);
    expect(of(/mutatingwebhookconfigurations/)).toBe(1);
  }
}, 60_000);

test("a pair is called ten times, in a large mesh less often", () => {
  expect([2, 11, 12, 21, 64].map((clusters) => callsPerPair(clusters))).toEqual([10, 10, 9, 5, 3]);
});

test("so often, that each of a gateway's pods is most likely met", () => {
  expect([1, 2, 3, 5, 100].map((ways) => callsPerPair(2, ways))).toEqual([10, 10, 15, 28, 40]);
  expect(callsPerPair(64, 2)).toBe(8);
});
