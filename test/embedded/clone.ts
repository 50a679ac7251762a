/** A copy of JSON. `structuredClone`, which can do more, takes several times as long. */
export function clone<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(clone) as T;
  const copy: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) copy[name] = clone(inner);
  return copy as T;
}
