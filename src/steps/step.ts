// What a step does to a cluster: the one place where all writes pass.
import type { Cluster } from "../cluster/cluster.ts";
import { fieldsAlone, type GivingBack } from "../mesh/adoption.ts";
import { notOurs, ownerOf, proven } from "../mesh/claim.ts";
import { differences } from "../mesh/diff.ts";
import { describe, type KubernetesObject, type ObjectRef, refOf } from "../mesh/objects/object.ts";
import type { Change } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { type Written, write } from "./write.ts";

/** What a step's work has at hand. */
export interface Step {
  say(text: string): void;
  /** Applies an object as far as it may be (see `write`), and notes the change. */
  apply<T extends KubernetesObject>(cluster: Cluster, object: T): Promise<Written<T>>;
  /** Gives up all that was applied of this very object. */
  giveBack(cluster: Cluster, object: KubernetesObject): Promise<void>;
  /** Sets an object that was read to what it was before this action changed it, as its managers had it, and then applies what stays ours. */
  restore(cluster: Cluster, object: KubernetesObject, giving: GivingBack): Promise<KubernetesObject>;
  /** Creates an object of ours and notes it; throws an `ApiError` 409 where there is one of its name. */
  create(cluster: Cluster, object: KubernetesObject): Promise<void>;
  /** Changes an object of ours that was read, where it is so still (see `Cluster.update`), and notes it. */
  update(cluster: Cluster, object: KubernetesObject, before: KubernetesObject): Promise<void>;
  /** Deletes this very object, which is proven to be ours. */
  delete(cluster: Cluster, object: KubernetesObject): Promise<void>;
  /** Deletes this very pod, which belongs to something of ours: another one comes in its place. */
  replacePod(cluster: Cluster, pod: Pod): Promise<void>;
  /** Makes a Deployment's pods anew, one after another (see `Cluster.restart`), and notes it. */
  restart(cluster: Cluster, deployment: ObjectRef): Promise<void>;
  /** Asked before another program writes to a cluster: throws where no write may begin any more. */
  mayWrite(cluster: Cluster): Promise<void>;
  /** Notes a change that another program made. */
  changed(cluster: Cluster, ref: ObjectRef, action: Change["action"]): void;
  /** Notes what would become of an object; nothing is done to it. */
  would(cluster: Cluster, change: ObjectChange): void;
}

/** A change, but for the cluster. */
export type ObjectChange = Omit<Change, "cluster">;

/** What applying an object did to it, or would do. */
export function changeOf(object: KubernetesObject, written: Written<KubernetesObject>): ObjectChange {
  const { action, before, object: after, note } = written;
  const diff = action === "unchanged" ? [] : differences(before, before ? after : object);
  return { ...refOf(object), action, ...(diff.length > 0 ? { diff } : {}), ...(note ? { note } : {}) };
}

/** What a step tells, and asks, of the run that it is of. */
export interface OfRun {
  /** Asked before each write to a cluster; throws where none may begin any more. */
  guard(cluster: string): Promise<void>;
  say(text: string): void;
  changed(cluster: Cluster, change: ObjectChange, would?: string): void;
  /** What is known already of what applying it would do. */
  known<T extends KubernetesObject>(cluster: Cluster, object: T): Written<T> | undefined;
}

export function stepOf(mesh: MeshSpec, { guard, say, changed, known }: OfRun): Step {
  const owner = async (cluster: Cluster) => ownerOf(mesh, await cluster.uid());
  const remove = async (cluster: Cluster, object: KubernetesObject) => {
    const [ref, { uid }] = [refOf(object), object.metadata];
    if (!uid) throw new Error(`${describe(ref)} was not read`);
    if (await cluster.delete(ref, uid)) changed(cluster, { ...ref, action: "deleted" });
  };
  return {
    say,
    apply: async (cluster, object) => {
      await guard(cluster.name);
      const written = known(cluster, object) ?? (await write(cluster, await owner(cluster), object));
      if (written.left) say(`${describe(refOf(object))}: ${written.note}`);
      changed(cluster, changeOf(object, written));
      return written;
    },
    giveBack: async (cluster, object) => {
      await guard(cluster.name);
      const { apiVersion, kind, metadata } = object;
      const nothing = { apiVersion, kind, metadata: { name: metadata.name } };
      changed(cluster, changeOf(nothing, await cluster.apply(nothing, object)));
    },
    restore: async (cluster, object, { restored, applied }) => {
      await guard(cluster.name);
      let current = object;
      for (const [manager, fields] of Map.groupBy(restored, ({ by }) => by)) {
        const { uid = "", resourceVersion = "" } = current.metadata;
        const metadata = { name: object.metadata.name, uid, resourceVersion };
        const former = { apiVersion: object.apiVersion, kind: object.kind, metadata, ...fieldsAlone(fields) };
        current = await cluster.update(former, manager);
      }
      const after = await cluster.apply(applied, current, true);
      changed(cluster, changeOf(applied, { object: after.object, before: object, action: "updated" }));
      return after.object;
    },
    create: async (cluster, object) => {
      await guard(cluster.name);
      const wanted = proven(await owner(cluster), object);
      await cluster.create(wanted);
      changed(cluster, changeOf(object, { action: "created", object: wanted }));
    },
    update: async (cluster, object, before) => {
      await guard(cluster.name);
      const { uid = "", resourceVersion = "" } = before.metadata;
      const { metadata, ...rest } = proven(await owner(cluster), object);
      const after = await cluster.update({ ...rest, metadata: { ...metadata, uid, resourceVersion } } as never);
      changed(cluster, changeOf(object, { object: after, before, action: "updated" }));
    },
    delete: async (cluster, object) => {
      await guard(cluster.name);
      const why = notOurs(await owner(cluster), object);
      if (why) throw new Error(`${describe(refOf(object))} is not to be deleted. ${why}`);
      await remove(cluster, object);
    },
    replacePod: async (cluster, { metadata }) => {
      await guard(cluster.name);
      await remove(cluster, { apiVersion: "v1", kind: "Pod", metadata });
    },
    restart: async (cluster, deployment) => {
      await guard(cluster.name);
      await cluster.restart(deployment);
      changed(cluster, { ...deployment, action: "updated" });
    },
    mayWrite: (cluster) => guard(cluster.name),
    changed: (cluster, ref, action) => changed(cluster, { ...ref, action }),
    would: (cluster, change) => changed(cluster, change, "would be "),
  };
}
