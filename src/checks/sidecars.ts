import type { InjectionPolicy, Injector } from "../facts/injectors.ts";
import type { Sample, Workload } from "../facts/workloads.ts";
import { isSelected, selectsLabels } from "../mesh/label-selector.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { passed } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { type Part, readable } from "./part.ts";
import { looked, nameOf, restart } from "./proxies.ts";

/** Nobody injects there (pkg/kube/inject, IgnoredNamespaces). */
const IGNORED = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];
const MODE = "istio.io/dataplane-mode";
const isAmbient = (labels: Readonly<Record<string, string>> = {}) => labels[MODE] === "ambient";

/** Pods without a sidecar that could have one, and do not refuse it. */
function bare({ workloads, namespaces }: Sample): Workload[] {
  return workloads.filter(
    ({ namespace, labels, proxy, injected, hostNetwork, inject, redirected }) =>
      !proxy &&
      !injected &&
      !hostNetwork &&
      !redirected &&
      inject !== "false" &&
      !IGNORED.includes(namespace) &&
      !isAmbient(labels) &&
      !(isAmbient(namespaces.get(namespace)?.labels) && labels[MODE] !== "none"),
  );
}

/** The webhook that was to be called for a pod, by the API server's own rule: this mesh's, where it is one of several. */
function injectorFor(
  { namespace: meshs }: Pick<MeshSpec, "namespace">,
  injectors: readonly Injector[],
  { namespaces }: Sample,
  { namespace, labels }: Workload,
): Injector | undefined {
  const own = { "kubernetes.io/metadata.name": namespace, ...namespaces.get(namespace)?.labels };
  const called = injectors.filter(
    ({ namespaceSelector, objectSelector }) =>
      selectsLabels(namespaceSelector, own) && selectsLabels(objectSelector, labels),
  );
  return called.find((each) => each.namespace === meshs) ?? called[0];
}

/** The revisions whose policy decides on pods that have no sidecar. */
export function revisionsToAsk(mesh: Pick<MeshSpec, "namespace">, seen: Observation): string[] {
  const [sample, injectors] = [readable(seen.sample), readable(seen.injectors)];
  if (!sample || !injectors) return [];
  const asked = bare(sample).map((each) => injectorFor(mesh, injectors, sample, each));
  return [...new Set(asked.flatMap((each) => (each?.namespace === mesh.namespace ? each.revision : [])))];
}

function isWanted({ labels, inject }: Workload, policy: InjectionPolicy | undefined): boolean {
  if (inject === "true" || !policy) return true;
  const is = (selectors: InjectionPolicy["never"]) => selectors.length > 0 && isSelected(selectors, labels);
  return !is(policy.never) && (is(policy.always) || policy.enabled);
}

/** By these labels a namespace asks for injection, whoever it is that injects. */
const asksFor = (labels: Readonly<Record<string, string>>) =>
  labels["istio-injection"] === "enabled"
    ? "istio-injection=enabled"
    : labels["istio.io/rev"] && labels["istio-injection"] === undefined
      ? `istio.io/rev=${labels["istio.io/rev"]}`
      : undefined;

/** A pod without a sidecar may be meant: it is told, and no more. @param policies by revision; those that are asked for */
export function haveSidecars(
  mesh: MeshSpec,
  seen: Observation,
  policies: Part<ReadonlyMap<string, InjectionPolicy>>,
): Finding {
  const sample = seen.sample();
  const injectors = seen.injectors();
  const own = policies();
  const candidates = bare(sample).map((workload) => ({
    workload,
    injector: injectorFor(mesh, injectors, sample, workload),
    label: asksFor(sample.namespaces.get(workload.namespace)?.labels ?? {}),
  }));
  const missed = candidates.filter(
    ({ workload, injector }) =>
      injector?.namespace === mesh.namespace && isWanted(workload, own.get(injector.revision)),
  );
  const unheard = candidates.filter(({ injector, label }) => !injector && label);
  const having = sample.workloads.filter(
    ({ proxy }) => proxy?.role === "sidecar" && (proxy.controlPlane ?? mesh.namespace) === mesh.namespace,
  ).length;
  const names = (some: readonly { workload: Workload }[]) => some.map(({ workload }) => nameOf(workload));
  const pods = (some: readonly { workload: Workload }[]) =>
    `${count(some.length, "pod")} (${listed(names(some))}) ${some.length === 1 ? "has" : "have"} no sidecar`;
  const older = missed.filter(({ workload }) => {
    const { labelled } = sample.namespaces.get(workload.namespace) ?? {};
    return labelled !== undefined && workload.created < labelled;
  });
  const before =
    older.length === 0
      ? ""
      : older.length === missed.length
        ? ": they were there before the namespace's label was"
        : `, ${older.length} of them from before the namespace's label`;
  const warnings = [
    ...(missed.length > 0
      ? [
          `${pods(missed)}, where injection is asked for${before}. They are not part of the mesh. If that is not meant: ${restart(names(missed))}`,
        ]
      : []),
    ...[...Map.groupBy(unheard, ({ label }) => label)].map(
      ([label, some]) =>
        `${pods(some)}, for their namespace is labelled ${label}, and no istiod injects by that: kubectl get mutatingwebhookconfigurations --show-labels`,
    ),
  ];
  const reading: Reading = {
    source: "pods, their namespaces and the webhooks that inject",
    values: { with: having, without: missed.length, unheard: unheard.length },
  };
  const evidence = `${count(having, "pod")} with a sidecar, ${missed.length + unheard.length} without one where injection is asked for.${looked(sample)}`;
  return { ...passed(evidence, reading), ...(warnings.length > 0 ? { warning: warnings.join(" ") } : {}) };
}
