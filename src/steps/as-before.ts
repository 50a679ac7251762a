import { type Less, lessOf, lostOf } from "../checks/as-before.ts";
import { ISTIOD, namesOfRunning } from "../checks/istiod.ts";
import { type Part, part } from "../checks/part.ts";
import type { Look } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import { type Held, readHeld, readOffer } from "../facts/endpoints.ts";
import { Failure } from "../mesh/failure.ts";
import type { Pod } from "../mesh/shapes/pod.ts";

/**
 * What the istiods of a cluster held of the others before something was changed there, to be compared with what they hold
 * then: that an istiod says `synced` is no proof of it. Of what it no longer holds, only that counts which the other cluster
 * still has. What cannot be read proves nothing, and nothing is done for its sake.
 */
export class AsBefore {
  readonly #namespace: string;
  readonly #observer: Member;
  readonly #members: readonly Member[];
  #before: Promise<Part<readonly Held[]>> | undefined;

  /** @param members the mesh's clusters, the observer among them or not */
  constructor(namespace: string, observer: Member, members: readonly Member[]) {
    this.#namespace = namespace;
    this.#observer = observer;
    this.#members = members;
  }

  /** Reads it, once: to be awaited before anything is changed. */
  async read(): Promise<void> {
    this.#before ??= part(this.#all());
    await this.#before;
  }

  /**
   * What these pods no longer hold of a cluster that it still has, in words; `undefined`: nothing, or that is not known.
   * @param held what was read of a pod in this look, to be asked once for all targets
   */
  async lost(
    name: string,
    pods: readonly string[],
    held = new Map<string, Promise<Held>>(),
  ): Promise<string | undefined> {
    const target = this.#members.find(({ spec }) => spec.name === name);
    try {
      const before = (await this.#before)?.();
      if (!before || !target) return undefined;
      const less = await Promise.all(
        pods.map(async (pod): Promise<[string, Less][]> => {
          const now = held.get(pod) ?? readHeld(this.#observer.cluster, this.#namespace, pod);
          held.set(pod, now);
          const missing = lessOf(name, before, await now);
          return missing ? [[pod, missing]] : [];
        }),
      );
      if (less.flat().length === 0) return undefined;
      const offer = await readOffer(target.cluster);
      const told = less.flat().flatMap(([pod, missing]) => {
        const lost = lostOf(missing, offer);
        return lost ? [`${pod} no longer holds of ${name}: ${lost}`] : [];
      });
      return told[0];
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  /**
   * Waits until every replica of istiod holds again what was held.
   * @param patience how long at most, in milliseconds
   * @returns what one of them does not hold even then, as `lost`
   */
  stillLost(targets: readonly string[], patience: number, labelSelector = ISTIOD): Promise<string | undefined> {
    const { cluster, spec } = this.#observer;
    const begun = performance.now();
    return cluster.poll(`istiod of ${spec.name} to hold what it held`, async (): Promise<Look<string | undefined>> => {
      const pods = await this.#pods(labelSelector);
      const held = new Map<string, Promise<Held>>();
      const each = await Promise.all(targets.map((target) => this.lost(target, pods, held)));
      const lost = each.find((one) => one !== undefined);
      return !lost || performance.now() - begun >= patience ? { done: lost } : { seen: lost };
    });
  }

  async #pods(labelSelector: string): Promise<string[]> {
    const query = { apiVersion: "v1", kind: "Pod", namespace: this.#namespace, labelSelector };
    return namesOfRunning((await this.#observer.cluster.list(query)) as unknown as Pod[]);
  }

  async #all(): Promise<readonly Held[]> {
    const pods = await this.#pods(ISTIOD);
    return Promise.all(pods.map((pod) => readHeld(this.#observer.cluster, this.#namespace, pod)));
  }
}
