import { differences } from "../mesh/diff.ts";
import type { KubernetesObject, ManagedFieldsEntry } from "../mesh/objects/object.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";

/**
 * Whether our apply changed nothing. The API server leaves our entry in managedFields as it is then; others may have
 * written in between (a status, say), so a different resourceVersion alone says little.
 */
export function isSame(before: KubernetesObject, after: KubernetesObject): boolean {
  if (before.metadata.resourceVersion === after.metadata.resourceVersion) return true;
  return (
    ours(before) !== undefined &&
    JSON.stringify(ours(before)) === JSON.stringify(ours(after)) &&
    before.metadata.generation === after.metadata.generation &&
    JSON.stringify(before.data) === JSON.stringify(after.data)
  );
}

/** The same of a dry run, which leaves the resourceVersion as it is. */
export function wouldBeSame(before: KubernetesObject, after: KubernetesObject): boolean {
  const fields = (object: KubernetesObject) => JSON.stringify(ours(object)?.fieldsV1);
  return fields(before) === fields(after) && differences(before, after).length === 0;
}

function ours({ metadata }: KubernetesObject): ManagedFieldsEntry | undefined {
  return metadata.managedFields?.find(({ manager, operation }) => manager === MANAGER && operation === "Apply");
}
