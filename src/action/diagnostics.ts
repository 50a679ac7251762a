import { writeFile } from "node:fs/promises";
import { createTarGzip } from "nanotar";
import { diagnose } from "../checks/diagnostics.ts";
import { connect, retriesOnly } from "../cluster/client.ts";
import { Deadline } from "../cluster/deadline.ts";
import type { Member } from "../cluster/member.ts";
import type { Report } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { diagnosticsPage } from "../report/diagnostics.ts";
import { toJson } from "../report/json.ts";
import { tellRetry } from "./log.ts";

/** How long reading may take, in milliseconds, and how long all that was read may be, in characters. */
const TIME = 10_000;
const ROOM = 5 * 1024 * 1024;

/** Reads what helps to understand all clusters, and writes it to one archive with an index page. */
export async function writeDiagnostics(
  file: string,
  report: Report,
  mesh: MeshSpec,
  members: readonly Pick<Member, "spec" | "kubeconfig">[],
  cancelled: AbortSignal,
): Promise<void> {
  // The run's own deadline may be what it ended by.
  const deadline = new Deadline(TIME, cancelled);
  const watcher = retriesOnly(tellRetry);
  const gathered = await Promise.all(
    members.map(async ({ spec, kubeconfig }) => {
      const cluster = connect(spec.name, kubeconfig, deadline, watcher);
      try {
        return { cluster: spec.name, ...(await diagnose(mesh, cluster, ROOM / members.length)) };
      } finally {
        await cluster.close();
      }
    }),
  );
  const files = [
    { name: "index.html", data: diagnosticsPage(report, gathered) },
    { name: "report.json", data: toJson(report) },
    ...gathered.flatMap(({ cluster, exhibits }) =>
      exhibits.map(({ path, text }) => ({ name: `${cluster}/${path}`, data: text })),
    ),
  ];
  await writeFile(file, await createTarGzip(files), { mode: 0o600 });
}
