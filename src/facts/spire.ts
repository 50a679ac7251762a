import { parse } from "yaml";
import type { Cluster } from "../cluster/cluster.ts";
import { fields } from "../mesh/fields.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { configText, ofRevision } from "./config.ts";
import { proxyOf, SPIRE_DRIVER } from "./proxies.ts";

const TEMPLATES = "inject.istio.io/templates";
/** So many pods are looked at. */
const SOME = 500;

/** What a pod says of itself to have its proxy's certificate from SPIRE. */
export interface SpireMark {
  readonly annotations: Readonly<Record<string, string>>;
  /** By which SPIRE's own entries may choose pods, as Istio's page has it. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Whether a pod's certificates come from SPIRE. */
export const isBySpire = ({ spec }: Pick<Pod, "spec">) =>
  spec?.volumes?.some(({ csi }) => csi?.driver === SPIRE_DRIVER) ?? false;

/**
 * How the workloads of a control plane have their certificates from SPIRE; `undefined` where they have not, or no pod that runs
 * shows how. Takes `get configmaps` in the namespace, and, where the injector has a template for it, `list pods`.
 */
export async function readSpire(cluster: Cluster, namespace: string, revision: string): Promise<SpireMark | undefined> {
  const config = await configText(cluster, namespace, ofRevision("istio-sidecar-injector", revision), "config");
  if (!Object.values(templatesIn(config)).some((text) => JSON.stringify(text ?? "").includes(SPIRE_DRIVER)))
    return undefined;
  const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod", limit: SOME })) as unknown as Pod[];
  const sidecars = pods.filter((pod) => {
    const proxy = proxyOf(pod);
    return proxy?.role === "sidecar" && proxy.revision === revision && proxy.started;
  });
  const some = sidecars.filter(isBySpire);
  // Where others have theirs from istiod, a probe that has, too, is one of them.
  return some.length * 2 >= sidecars.length && some.length > 0 ? markOf(some) : undefined;
}

function templatesIn(config: string | undefined): Record<string, unknown> {
  try {
    return fields(fields(parse(config ?? "")).templates);
  } catch {
    return {};
  }
}

/** What most of them have. */
function markOf(pods: readonly Pod[]): SpireMark {
  const most = <T extends string>(values: readonly (T | undefined)[]): T | undefined =>
    [...Map.groupBy(values, (value) => value)].sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
  const templates = most(pods.map(({ metadata }) => metadata.annotations?.[TEMPLATES]));
  const keys = new Set(
    pods.flatMap(({ metadata }) =>
      Object.keys(metadata.labels ?? {}).filter((key) => /^(.*\.)?spiffe\.io\//.test(key)),
    ),
  );
  const labels = [...keys].flatMap((key) => {
    const value = most(pods.map(({ metadata }) => metadata.labels?.[key]));
    return value === undefined ? [] : [[key, value] as const];
  });
  return { annotations: templates ? { [TEMPLATES]: templates } : {}, labels: Object.fromEntries(labels) };
}
