// Two installations at once, again and again, at random distances in time.
import { test } from "vitest";
import { installTwice } from "../commands/twice.ts";
import { startClusters } from "../embedded/cluster.ts";

const TIMES = 50;
/** An installation takes about as long here. Milliseconds. */
const SPAN = 1_500;

test(`two installations at once, ${TIMES} times`, async () => {
  for (let i = 0; i < TIMES; i++) {
    const kubes = await startClusters(2);
    try {
      await installTwice(kubes, Math.round(Math.random() * SPAN));
    } finally {
      await Promise.all(kubes.map((kube) => kube.stop()));
    }
  }
});
