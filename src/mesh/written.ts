import { fields } from "./fields.ts";
import type { ObjectMeta } from "./objects/object.ts";

/**
 * When a field of an object was last written, by what the API server notes of each manager; `undefined` where it notes nothing.
 * A write that changes nothing does not count.
 * @param path such as `["data"]`; of what is below it, any write counts
 */
export function writtenAt({ managedFields = [] }: ObjectMeta, path: readonly string[]): Date | undefined {
  const times = managedFields.flatMap(({ time, fieldsV1 }) => {
    let below: unknown = fieldsV1;
    for (const each of path) below = fields(below)[`f:${each}`];
    return time && below !== undefined ? Date.parse(time) : [];
  });
  return times.length > 0 ? new Date(Math.max(...times)) : undefined;
}
