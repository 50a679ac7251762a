// Restarts the workloads of namespaces whose owner said so, so that their proxies need not be waited for.

import { matches } from "../mesh/label-selector.ts";
import type { ObjectRef } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { View } from "./root-view.ts";
import type { Step } from "./step.ts";

const KINDS = ["Deployment", "StatefulSet", "DaemonSet"] as const;
/** As `kubectl rollout restart` leaves it. */
const RESTARTED = "kubectl.kubernetes.io/restartedAt";

/**
 * Restarts what late proxies are of, each once: not what was restarted since the roots, or what signs, became what they are.
 * @param late `namespace/pod`
 * @returns how many
 */
export async function restartLate(
  step: Step,
  { member }: View,
  namespaces: readonly string[],
  late: readonly string[],
  served: Date,
): Promise<number> {
  const { cluster, spec } = member;
  const wanted = namespaces.filter((each) => late.some((name) => name.startsWith(`${each}/`)));
  let count = 0;
  for (const namespace of wanted) {
    const pods = (await cluster.list({ apiVersion: "v1", kind: "Pod", namespace })) as unknown as Pod[];
    const behind = pods.filter(({ metadata }) => late.includes(`${namespace}/${metadata.name}`));
    for (const kind of KINDS) {
      const all = await cluster.list<Deployment>({ apiVersion: "apps/v1", kind, namespace });
      for (const { metadata, spec: of } of all) {
        const labels = of.template.metadata?.labels ?? {};
        const restarted = Date.parse(of.template.metadata?.annotations?.[RESTARTED] ?? "");
        if (restarted > served.getTime() || !behind.some((pod) => matches(labels, pod.metadata.labels))) continue;
        const ref: ObjectRef = { apiVersion: "apps/v1", kind, namespace, name: metadata.name };
        step.say(
          `restarting ${kind} ${namespace}/${metadata.name} of ${spec.name}: its proxies then have the new root at once`,
        );
        await step.restart(cluster, ref);
        count++;
      }
    }
  }
  return count;
}
