// A rotation that is cut off at each of its writes: not only that the next one finishes it, but what is between.
import { describe, expect, test } from "vitest";
import { isWrite, notPassed, runRotate } from "../commands/mesh.ts";
import { expectAllGood, joinedClusters, remotes, tokenSecrets } from "../commands/tokens.ts";
import type { LoggedRequest } from "../embedded/kube.ts";

const joined = joinedClusters();

/** A Lease that is not given back keeps nobody from having finished. */
const counts = (request: LoggedRequest) => isWrite(request) && !request.path.includes("/leases");

describe("a run that is cut off", () => {
  test.each([
    ["tokens that do not expire", {}],
    ["tokens that do", { mesh: { tokenTtl: 7_200 } }],
  ])("after any write is finished by the next one, and no token that is in use was ever gone: %s", async (_, setup) => {
    const kubes = await joined(2, { setup });
    const broken: string[] = [];
    const look = () => {
      for (const { target, token } of remotes(kubes)) if (!target.userOf(token)) broken.push(token.slice(-8));
    };
    const stops = kubes.map((kube) => kube.subscribe(look));
    let cut = 0;
    for (const kind of ["before", "after"] as const) {
      for (let k = 1; ; k++) {
        const controller = new AbortController();
        let n = 0;
        for (const kube of kubes) {
          kube.intercept((request) => {
            if (counts(request)) n++;
            if (n < k) return undefined;
            controller.abort();
            // Either the write is lost, or only the answer to it.
            return n === k && kind === "after" && counts(request) ? { truncate: true } : { destroy: true };
          });
        }
        const tokens = kubes.map(tokenSecrets);
        const outcome = await runRotate(kubes, { ...setup, cancel: controller.signal });
        for (const kube of kubes) kube.intercept(undefined);
        if (!controller.signal.aborted) {
          expect(notPassed(outcome)).toEqual([]);
          cut += k - 1;
          break;
        }
        expect(outcome.report.result).toBe("failed");
        expect(kubes.flatMap(tokenSecrets).length).toBeLessThanOrEqual(4);

        const next = await runRotate(kubes, setup);
        expect(notPassed(next)).toEqual([]);
        kubes.forEach((kube, i) => {
          expect(tokenSecrets(kube)).toHaveLength(1);
          expect(tokenSecrets(kube)).not.toEqual(tokens[i]);
        });
        expectAllGood(kubes);
      }
    }
    for (const stop of stops) stop();
    expect(broken).toEqual([]);
    // Two new tokens, two remote secrets, two old tokens at least.
    expect(cut).toBeGreaterThanOrEqual(12);
  });
});
