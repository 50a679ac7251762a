// A Helm chart of the Sail Operator for clusters whose operator runs elsewhere: its resource definitions, as they are on a
// cluster, and a Deployment that is available and does nothing.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Cluster } from "./cluster.ts";

export const OPERATOR = "sail-operator";
const GROUP = ".sailoperator.io";

/** Writes the chart into the folder. @param version of the chart, and so of the operator */
export async function writeChart(folder: string, version: string, cluster: Cluster, image: string): Promise<void> {
  const definitions = (await cluster.list("customresourcedefinitions")).filter(({ metadata }) =>
    metadata.name.endsWith(GROUP),
  );
  const labels = { "control-plane": OPERATOR };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: OPERATOR, labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: OPERATOR, image, command: ["sleep", "infinity"] }] },
      },
    },
  };
  await mkdir(join(folder, "templates"), { recursive: true });
  await mkdir(join(folder, "crds"));
  await writeFile(join(folder, "Chart.yaml"), stringify({ apiVersion: "v2", name: OPERATOR, version }));
  await writeFile(join(folder, "templates", "deployment.yaml"), stringify(deployment));
  await Promise.all(
    definitions.map(({ apiVersion, kind, metadata: { name }, spec }) =>
      writeFile(join(folder, "crds", `${name}.yaml`), stringify({ apiVersion, kind, metadata: { name }, spec })),
    ),
  );
}

/** Takes the operator and its resource definitions off a cluster. */
export async function removeOperator(cluster: Cluster): Promise<void> {
  const definitions = (await cluster.kubectl(["get", "customresourcedefinitions", "-o", "name"])).trim().split("\n");
  const own = definitions.filter((name) => name.endsWith(GROUP));
  await cluster.kubectl(["delete", "namespace", OPERATOR, "--ignore-not-found"]);
  if (own.length > 0) await cluster.kubectl(["delete", ...own]);
}
