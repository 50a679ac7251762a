// Two installations of the same fresh clusters at once: one waits for the other, and both end well, with one root.
import { expect, it } from "vitest";
import { Cluster } from "./cluster.ts";
import { explain, logOf, runOn } from "./run.ts";
import { settings } from "./settings.ts";

const clusters = settings().kubeconfigs.map((path, index) => new Cluster(index + 1, path));

it("two installations at once end well, with one root", async () => {
  const apart = Math.round(Math.random() * 4_000);
  const both = await Promise.all([
    runOn(clusters, {}),
    new Promise((resolve) => setTimeout(resolve, apart)).then(() => runOn(clusters)),
  ]);
  console.log(
    `${apart} ms apart: ${both.map(({ seconds, outputs }) => `${seconds.toFixed(1)} s, changed: ${outputs.changed}`).join("; ")}`,
  );
  for (const result of both) expect([result.exitCode, result.outputs.result], explain(result)).toEqual([0, "passed"]);
  expect(both.map(logOf).join("\n")).toMatch(/It waited for |This run holds Lease/);
  const roots = await Promise.all(
    clusters.map(async (cluster) => (await cluster.get("secret", "cacerts")).data["root-cert.pem"]),
  );
  expect(new Set(roots).size).toBe(1);
  for (const cluster of clusters) {
    expect((await cluster.get("lease", "istio-mesh-action", "default")).spec.holderIdentity ?? "").toBe("");
  }
}, 300_000);
