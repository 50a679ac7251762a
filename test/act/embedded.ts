// Every example that two clusters are enough for, by act, one after the other on two embedded clusters: `npm run act`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startClusters } from "../embedded/cluster.ts";
import { fakeIstioctl } from "../embedded/istioctl.ts";

/** Each with its event. */
const RUNS = [
  ["two-clusters", "workflow_dispatch"],
  ["mesh", "workflow_dispatch"],
  ["scheduled-verification", "schedule"],
  ["plan", "pull_request"],
  ["drift", "schedule"],
  ["rotate", "schedule"],
  ["uninstall", "workflow_dispatch"],
] as const;

const folder = await mkdtemp(join(tmpdir(), "act-"));
const clusters = await startClusters(2);
const failed: string[] = [];
try {
  const kubeconfigs = clusters.map((_, index) => join(folder, `cluster${index + 1}`));
  await Promise.all(clusters.map((cluster, index) => writeFile(kubeconfigs[index] as string, cluster.kubeconfig())));
  const env = {
    ...process.env,
    LOOPBACK_ONLY: "true",
    E2E_KUBECONFIGS: kubeconfigs.join(":"),
    E2E_ISTIO_VERSION: "1.26.3",
    E2E_ISTIOCTL: await fakeIstioctl(join(folder, "bin")),
  };
  for (const [name, event] of RUNS) {
    console.log(`== ${name}.yml`);
    const script = join(import.meta.dirname, "run.sh");
    const child = spawn(script, [`examples/${name}.yml`, event], { stdio: "inherit", env });
    if ((await once(child, "exit"))[0] !== 0) failed.push(name);
  }
} finally {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
  await rm(folder, { recursive: true });
}
console.log(failed.length > 0 ? `failed: ${failed.join(", ")}` : `all ${RUNS.length} examples passed`);
process.exit(failed.length > 0 ? 1 : 0);
