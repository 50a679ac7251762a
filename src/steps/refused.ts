import { isActive, refusedPods } from "../checks/pods.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import { describe, refOf } from "../mesh/objects/object.ts";
import type { Deployment } from "../mesh/shapes/deployment.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { Step } from "./step.ts";

/** How long a Deployment's pods may be forbidden before that is taken for an answer. Milliseconds. */
const PATIENCE = 20_000;

/** Ends a wait for a Deployment whose pods are forbidden: waiting makes none of them. */
export class Refusals {
  readonly #step: Step;
  readonly #cluster: Cluster;
  #looked = false;
  #since: number | undefined;

  constructor(step: Step, cluster: Cluster) {
    this.#step = step;
    this.#cluster = cluster;
  }

  /** To be called at each look of the wait; throws a `Failure` that says who refuses, and what to do. */
  async look(deployment: Deployment | undefined, pods: readonly Pod[]): Promise<void> {
    if (!deployment) return;
    const first = !this.#looked;
    this.#looked = true;
    const refused = refusedPods(deployment);
    if (!refused?.forbidden) {
      this.#since = undefined;
      return;
    }
    this.#since ??= performance.now();
    if (performance.now() - this.#since >= PATIENCE) {
      throw new Failure(`Of ${describe(refOf(deployment))}, ${refused.seen}.`, refused.hint);
    }
    // One that is from before may be mended by now. Kubernetes tries again ever more seldom, but at once for a new template.
    if (!first || pods.some(isActive)) return;
    const ref = { ...refOf(deployment), apiVersion: "apps/v1", kind: "Deployment" };
    this.#step.say(`${describe(ref)}: ${refused.seen}; its pods are asked for once more.`);
    await this.#step.restart(this.#cluster, ref);
  }
}
