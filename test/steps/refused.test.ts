import { afterEach, describe, expect, test, vi } from "vitest";
import type { ObjectRef } from "../../src/mesh/objects/object.ts";
import type { Deployment } from "../../src/mesh/shapes/deployment.ts";
import type { Pod } from "../../src/mesh/shapes/pod.ts";
import { Refusals } from "../../src/steps/refused.ts";
import type { Step } from "../../src/steps/step.ts";
import { clusterOf } from "./support.ts";

const QUOTA = 'pods "gw-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1';
const UNCALLED = 'Internal error occurred: failed calling webhook "x.example.com": EOF';

const deployment = (message?: string): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "gw", namespace: "istio-system" },
  spec: { template: { spec: { containers: [] } } },
  status: { conditions: message ? [{ type: "ReplicaFailure", status: "True", message }] : [] },
});
const running: Pod = { metadata: { name: "gw-0" }, status: { phase: "Running" } };

/** Looks at a Deployment once a second, with what its condition says then. */
async function watch(messages: readonly (string | undefined)[], pods: readonly Pod[] = []) {
  const restarted: string[] = [];
  const said: string[] = [];
  const step = {
    say: (text: string) => said.push(text),
    restart: async (_: unknown, { kind, name }: ObjectRef) => void restarted.push(`${kind} ${name}`),
  } as unknown as Step;
  const cluster = clusterOf("a");
  const refusals = new Refusals(step, cluster);
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  let error: unknown;
  let looks = 0;
  for (const message of messages) {
    error = await refusals.look(deployment(message), pods).catch((thrown: unknown) => thrown);
    if (error) break;
    looks++;
    now += 1_000;
  }
  return { error, looks, restarted, said };
}
const times = (count: number, message: string | undefined) => Array.from({ length: count }, () => message);

describe("a Deployment whose pods are refused", () => {
  afterEach(() => void vi.restoreAllMocks());

  test("is told soon, with who refuses and what to do, where they are forbidden", async () => {
    const { error, looks, restarted } = await watch([undefined, ...times(60, QUOTA)]);
    expect(error).toMatchObject({
      message: `Of Deployment istio-system/gw, its pods are refused: ${QUOTA}.`,
      hint: expect.stringContaining("kubectl -n istio-system describe resourcequota,limitrange"),
    });
    expect(looks).toBe(21);
    expect(restarted).toEqual([]);
  });

  test("is asked for them once more where that is from before, for it may be mended", async () => {
    const { error, restarted, said } = await watch([...times(3, QUOTA), ...times(60, undefined)]);
    expect(error).toBeUndefined();
    expect(restarted).toEqual(["Deployment gw"]);
    expect(said).toEqual([expect.stringMatching(/asked for once more\.$/)]);
  });

  test("is not restarted where pods run", async () => {
    const { restarted } = await watch(times(3, QUOTA), [running]);
    expect(restarted).toEqual([]);
  });

  test("is waited for while another one is in the way that goes", async () => {
    const { error } = await watch([...times(15, QUOTA), undefined, ...times(15, QUOTA), undefined]);
    expect(error).toBeUndefined();
  });

  test("is waited for where a webhook cannot be called, as after its rollout", async () => {
    const { error, restarted } = await watch(times(60, UNCALLED));
    expect(error).toBeUndefined();
    expect(restarted).toEqual([]);
  });
});
