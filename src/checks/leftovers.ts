import { clip } from "../cluster/errors.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { EXPIRES, PROBE_NAMESPACES } from "../mesh/objects/probe.ts";
import { READER } from "../mesh/objects/reader.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { failed, passed } from "./finding.ts";
import type { Observation } from "./observation.ts";

interface Namespace extends KubernetesObject {
  status?: { conditions?: { type: string; status: string; message?: string }[] };
}

/** This mesh's probes that no run needs any more: what set them up was killed before it could remove them. */
export function expiredProbes({ probeNamespaces }: Observation, now = new Date()): KubernetesObject[] {
  return probeNamespaces().filter(({ metadata }) => {
    const expires = Date.parse(metadata.annotations?.[EXPIRES] ?? "");
    return !metadata.deletionTimestamp && !(expires > now.getTime());
  });
}

/** How long a namespace may take to go, unless something keeps it. Milliseconds. */
const GOES = 300_000;

/** The probes' namespaces that were asked to go long ago and are still there, each with what Kubernetes says of it. */
function stuckProbes({ probeNamespaces }: Observation, now: Date): string[] {
  return (probeNamespaces() as Namespace[]).flatMap(({ metadata, status }) => {
    const since = Date.parse(metadata.deletionTimestamp ?? "");
    if (!(now.getTime() - since > GOES)) return [];
    const why = status?.conditions?.find((each) => each.status === "True")?.message;
    return `${metadata.name}${why ? ` (${clip(why, 200)})` : ""}`;
  });
}

/** Whether something of ours is there that nothing refers to. @param removed probes' namespaces that this run removed */
export function nothingLeft(mesh: MeshSpec, seen: Observation, removed: readonly string[], now = new Date()): Finding {
  const probes = expiredProbes(seen, now)
    .map(({ metadata }) => metadata.name)
    .filter((name) => !removed.includes(name));
  const accounts = seen.serviceAccounts().map(({ metadata }) => metadata.name);
  const bindings = seen
    .bindings()
    .filter(({ subjects = [] }) =>
      subjects.some(({ name, namespace }) => name === READER && namespace === mesh.namespace),
    )
    .filter(() => !accounts.includes(READER))
    .map(({ metadata }) => metadata.name);
  const oldTokens = seen
    .readerTokens()
    .slice(0, -1)
    .map(({ metadata }) => metadata.name);
  const reading = { source: "objects labelled as this action's", values: { probes, bindings, oldTokens, removed } };
  const commands = [
    ...(probes.length > 0 ? [`kubectl delete namespace ${probes.join(" ")}`] : []),
    ...(bindings.length > 0 ? [`kubectl delete clusterrolebinding ${bindings.join(" ")}`] : []),
  ];
  if (commands.length > 0) {
    const list = [
      ...probes.map((name) => `namespace ${name}, of a probe whose run was killed`),
      ...bindings.map((name) => `ClusterRoleBinding ${name}, whose service account is gone`),
    ];
    return failed(`Something of this action's is left over: ${list.join("; ")}.`, commands.join("; "), reading);
  }
  const note = removed.length > 0 ? ` Removed what a killed run had left: ${removed.join(", ")}.` : "";
  const stuck = stuckProbes(seen, now);
  const warnings = [
    ...(oldTokens.length > 0
      ? [
          `The reader's old token in ${oldTokens.join(", ")} was never deleted, and may still be good. The command \`rotate\` sees that no istiod needs it, and deletes it.`,
        ]
      : []),
    ...(stuck.length > 0
      ? [
          `A probe's namespace does not come to its end: ${stuck.join(", ")}. Look at what keeps it: kubectl get namespace -l ${PROBE_NAMESPACES} -o yaml; kubectl get apiservices`,
        ]
      : []),
  ];
  return {
    ...passed(`Nothing of this action's is left over.${note}`, reading),
    ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}),
  };
}
